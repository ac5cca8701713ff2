"""Customers whom a partner brought, masked, and their credit lines."""

from datetime import datetime
from typing import Annotated

from apiflask import APIBlueprint
from pydantic import Field
from pydantic import StringConstraints as Signs

from desk.ports import mask_id, mask_name, mask_phone
from servicing import queries
from servicing.api.documented import get, post
from servicing.api.door import Call, serve
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import PageQuery, Reference, Shape, Text
from servicing.operations import CustomerKnown
from servicing.operations.partners import ReferenceTaken, bring_customer
from servicing.queries import partners
from servicing.queries.customers import CustomerNotFound

blueprint = APIBlueprint("api_customers", __name__, tag="Customers")


class NewCustomer(Shape):
    """A customer as the partner knows them."""

    reference: Reference
    name: Text
    phone: Annotated[str, Signs(pattern=r"^1[0-9]{10}$")]
    id_number: Annotated[str, Signs(pattern=r"^[0-9]{17}[0-9Xx]$")]
    is_student: bool = Field(strict=True)
    employer: Text | None = None


EXAMPLES = {
    "customer": {
        "summary": "A customer of the shop",
        "value": {
            "reference": "shop-1",
            "name": "张小三",
            "phone": "13800000001",
            "id_number": "99000019900101001X",
            "is_student": False,
        },
    }
}


class CustomerAnswer(Shape):
    """A customer, masked; `reference` is the partner's own."""

    customer_id: int
    reference: str | None
    name: str
    phone: str
    id_number: str
    is_student: bool
    linked_at: datetime | None


class CustomerQuery(PageQuery):
    """Which customers."""

    reference: Reference | None = None


class CustomerPage(Shape):
    """Some customers."""

    customers: tuple[CustomerAnswer, ...]
    next_cursor: str | None


class LineAnswer(Shape):
    """A credit line: available = granted - held - utilised while it is active, else 0; fen."""

    line_id: int
    funder: str
    granted_fen: int
    held_fen: int
    utilised_fen: int
    available_fen: int
    state: str
    opened_at: datetime


class LinesAnswer(Shape):
    """All lines of a customer."""

    lines: tuple[LineAnswer, ...]


@serve(
    blueprint,
    post(
        "/customers",
        Scope.CUSTOMERS_WRITE,
        CustomerAnswer,
        body=NewCustomer,
        examples=EXAMPLES,
        refuses=(CustomerKnown, ReferenceTaken),
    ),
)
def create_customer(call: Call, body: NewCustomer) -> CustomerAnswer:
    """Bring a customer, or link one whom we know by exactly the same data."""
    customer_id = bring_customer(
        call.session,
        call.runtime.cipher,
        partner=call.caller.partner,
        now=call.now,
        **body.model_dump(),
    )
    call.session.flush()
    link = partners.link_of(call.session, sight=call.sight, customer_id=customer_id)
    return _answer(call, link)


@serve(
    blueprint,
    get(
        "/customers",
        Scope.CUSTOMERS_READ,
        CustomerPage,
        query=CustomerQuery,
        refuses=(CursorUnknown,),
    ),
)
def list_customers(call: Call, query: CustomerQuery) -> CustomerPage:
    """List whom the partner brought, or find one by the partner's own reference."""
    (after,) = place_of(query.cursor)
    found = partners.links(
        call.session,
        partner=call.caller.partner,
        reference=query.reference,
        after=after,
        limit=query.limit + 1,
    )
    page, last = cut(found, query.limit)
    return CustomerPage(
        customers=tuple(_answer(call, link) for link in page),
        next_cursor=cursor_of(last.customer_id) if last else None,
    )


@serve(
    blueprint,
    get(
        "/customers/<int:customer_id>",
        Scope.CUSTOMERS_READ,
        CustomerAnswer,
        refuses=(CustomerNotFound,),
    ),
)
def read_customer(call: Call, customer_id: int) -> CustomerAnswer:
    """Read a customer, masked."""
    link = partners.link_of(call.session, sight=call.sight, customer_id=customer_id)
    return _answer(call, link)


@serve(
    blueprint,
    get(
        "/customers/<int:customer_id>/lines",
        Scope.CUSTOMERS_READ,
        LinesAnswer,
        refuses=(CustomerNotFound,),
    ),
)
def read_lines(call: Call, customer_id: int) -> LinesAnswer:
    """Read a customer's credit lines."""
    partners.require_customer(call.session, sight=call.sight, customer_id=customer_id)
    return LinesAnswer(
        lines=tuple(
            LineAnswer(
                line_id=line.id,
                funder=line.funder,
                granted_fen=line.granted_fen,
                held_fen=line.held_fen,
                utilised_fen=line.utilised_fen,
                available_fen=line.available_fen,
                state=line.state,
                opened_at=line.opened_at,
            )
            for line in queries.lines_of(call.session, customer_id=customer_id)
        )
    )


def _answer(call: Call, link: partners.LinkView) -> CustomerAnswer:
    seen = queries.customer_view(call.session, call.runtime.cipher, customer_id=link.customer_id)
    return CustomerAnswer(
        customer_id=link.customer_id,
        reference=link.reference,
        name=mask_name(seen.name),
        phone=mask_phone(seen.phone),
        id_number=mask_id(seen.id_number),
        is_student=seen.is_student,
        linked_at=link.linked_at,
    )
