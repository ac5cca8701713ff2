"""Applications that come through a partner: made, read with what was decided and why."""

from datetime import datetime
from typing import Annotated

from apiflask import APIBlueprint
from pydantic import Field

from servicing import operations, queries
from servicing.api.documented import get, post
from servicing.api.door import Call, serve
from servicing.api.paging import cursor_of, cut, place_of
from servicing.api.products import product_of
from servicing.api.scopes import Scope
from servicing.api.shapes import AskedFen, PageQuery, Rate, RowId, Shape, Terms, Text
from servicing.operations import ApplicationNotFound
from servicing.queries import partners
from servicing.tables import Application

blueprint = APIBlueprint("api_applications", __name__, tag="Applications")

_SAID = frozenset({"declined"})


class ApplicationFacts(Shape):
    """Facts around an application that help to judge it; hash what is personal."""

    device: Text | None = None
    wifi: Text | None = None
    address: Text | None = None


class NewApplication(Shape):
    """What a customer wants to buy by instalments."""

    customer_id: Annotated[RowId, Field(strict=True)]
    product: Text
    amount_fen: AskedFen
    terms: Terms
    merchant_name: Text
    merchandise: Text
    facts: ApplicationFacts = ApplicationFacts()


class ApplicationAnswer(Shape):
    """An application and where it stands.

    `reasons` are sentences for the customer. Whoever was declined by machine can ask for a person.
    """

    application_no: str
    customer_id: int
    state: str
    reasons: tuple[str, ...]
    merchant_name: str
    merchandise: str
    amount_fen: int
    terms: int
    rate_annual: Rate
    submitted_at: datetime
    decided_at: datetime | None


class ApplicationQuery(PageQuery):
    """Which applications."""

    customer_id: RowId | None = None


class ApplicationPage(Shape):
    """Some applications."""

    applications: tuple[ApplicationAnswer, ...]
    next_cursor: str | None


@serve(
    blueprint,
    post(
        "/applications",
        Scope.APPLICATIONS_WRITE,
        ApplicationAnswer,
        body=NewApplication,
        refusals=(404,),
    ),
)
def apply(call: Call, body: NewApplication) -> ApplicationAnswer:
    """Submit an application; it is decided within minutes, and a webhook tells."""
    partners.require_customer(call.session, sight=call.sight, customer_id=body.customer_id)
    application_id = operations.submit_application(
        call.session,
        customer_id=body.customer_id,
        merchant_name=body.merchant_name,
        merchandise=body.merchandise,
        amount_fen=body.amount_fen,
        terms=body.terms,
        channel=call.sight.channel,
        attributes=body.facts.model_dump(exclude_none=True),
        key=call.key,
        now=call.now,
        product=product_of(call, body.product),
    )
    return _answer(call.session.get_one(Application, application_id))


@serve(
    blueprint,
    get("/applications", Scope.APPLICATIONS_READ, ApplicationPage, query=ApplicationQuery),
)
def list_applications(call: Call, query: ApplicationQuery) -> ApplicationPage:
    """List applications, the oldest first, of one customer or of all."""
    (after,) = place_of(query.cursor)
    found = partners.applications(
        call.session,
        sight=call.sight,
        customer_id=query.customer_id,
        after=after,
        limit=query.limit + 1,
    )
    page, last = cut(found, query.limit)
    return ApplicationPage(
        applications=tuple(_answer(row) for row in page),
        next_cursor=cursor_of(last.id) if last else None,
    )


@serve(
    blueprint,
    get("/applications/<string:application_no>", Scope.APPLICATIONS_READ, ApplicationAnswer),
)
def read_application(call: Call, application_no: str) -> ApplicationAnswer:
    """Read an application, what was decided, and why."""
    return _answer(_seen(call, application_no))


@serve(
    blueprint,
    post(
        "/applications/<string:application_no>/withdrawal",
        Scope.APPLICATIONS_WRITE,
        ApplicationAnswer,
    ),
)
def withdraw(call: Call, application_no: str) -> ApplicationAnswer:
    """Withdraw an application because the customer does not want it any more."""
    row = _seen(call, application_no)
    operations.cancel_application(call.session, application_id=row.id, now=call.now)
    return _answer(row)


@serve(
    blueprint,
    post(
        "/applications/<string:application_no>/appeal",
        Scope.APPLICATIONS_WRITE,
        ApplicationAnswer,
    ),
)
def appeal(call: Call, application_no: str) -> ApplicationAnswer:
    """Ask for a person to look at what the machine declined."""
    row = _seen(call, application_no)
    operations.appeal_application(call.session, application_id=row.id, now=call.now)
    return _answer(row)


def _seen(call: Call, application_no: str) -> Application:
    row = partners.seen_application(call.session, sight=call.sight, application_no=application_no)
    if row is None:
        raise ApplicationNotFound("no such application")
    return row


def _answer(row: Application) -> ApplicationAnswer:
    return ApplicationAnswer(
        application_no=row.application_no,
        customer_id=row.customer_id,
        state=row.state,
        reasons=queries.customer_reasons(row.reasons) if row.state in _SAID else (),
        merchant_name=row.merchant_name,
        merchandise=row.merchandise,
        amount_fen=row.amount_fen,
        terms=row.terms,
        rate_annual=f"{row.rate_annual:.6f}",
        submitted_at=row.submitted_at,
        decided_at=row.decided_at,
    )
