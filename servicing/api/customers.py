"""Customers whom a partner brought, masked, and their credit lines."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
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
from servicing.api.shapes import (
    CustomerNo,
    EclStage,
    Fen,
    FiveClass,
    PageQuery,
    Reference,
    Shape,
    Text,
    such,
)
from servicing.operations import CustomerKnown
from servicing.operations.partners import IdNumberWrong, ReferenceTaken, bring_customer
from servicing.queries import partners
from servicing.queries.customers import CustomerNotFound, CustomerView, customer_views

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
            "id_number": "99000019900101005X",
            "is_student": False,
        },
    }
}


class CustomerLateness(Shape):
    """How late a customer is today, by the worst of the loans that the caller sees.

    Attributes:
        late_since: The oldest due date of what is owed and late.
    """

    late_since: date | None
    days_past_due: int
    bucket: Annotated[str, such("M0")]
    five_class: FiveClass
    ecl_stage: EclStage


class CustomerAnswer(Shape):
    """A customer, masked; `reference` is the partner's own.

    Attributes:
        lateness: None for a key without the scope `loans:read`.
    """

    customer_id: CustomerNo
    reference: str | None
    name: Annotated[str, such("张**")]
    phone: Annotated[str, such("138****0001")]
    id_number: Annotated[str, such("9****************X")]
    is_student: bool
    linked_at: datetime | None
    lateness: CustomerLateness | None


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
    granted_fen: Fen
    held_fen: Fen
    utilised_fen: Fen
    available_fen: Fen
    state: Annotated[str, such("active")]
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
        refuses=(IdNumberWrong, CustomerKnown, ReferenceTaken),
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
    return _answers(call, [link])[0]


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
        customers=_answers(call, page),
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
    return _answers(call, [link])[0]


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


def _answers(call: Call, links: Sequence[partners.LinkView]) -> tuple[CustomerAnswer, ...]:
    ids = [link.customer_id for link in links]
    seen = customer_views(call.session, call.runtime.cipher, customer_ids=ids)
    late = _lateness(call, ids)
    return tuple(
        _answer(link, seen[link.customer_id], late.get(link.customer_id)) for link in links
    )


def _lateness(call: Call, ids: Sequence[int]) -> Mapping[int, queries.LatenessView]:
    if Scope.LOANS_READ not in call.caller.scopes:
        return {}
    return queries.customers_lateness(
        call.session, customer_ids=ids, on=call.on, seen=call.sight.loans()
    )


def _answer(
    link: partners.LinkView, seen: CustomerView, late: queries.LatenessView | None
) -> CustomerAnswer:
    return CustomerAnswer(
        customer_id=link.customer_id,
        reference=link.reference,
        name=mask_name(seen.name),
        phone=mask_phone(seen.phone),
        id_number=mask_id(seen.id_number),
        is_student=seen.is_student,
        linked_at=link.linked_at,
        lateness=None if late is None else CustomerLateness.model_validate(late),
    )
