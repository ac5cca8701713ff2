"""Applications that come through a partner: made, decided by us, and booked as loans.

A partner carries what the customer agreed to with the application; the decision comes by webhook,
or is read. What was approved is booked on the cost table of the day, once the customer confirmed
it.

    ConsentMissing 422  the customer did not agree to an inquiry at the credit bureau
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field, StrictInt
from pydantic import StringConstraints as Signs

from kernel.clock import start_of_day
from kernel.errors import Invalid
from servicing import operations, queries
from servicing.api.documented import get, post
from servicing.api.door import Call, serve
from servicing.api.loans import LoanBrief, brief
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.products import product_of
from servicing.api.scopes import Scope
from servicing.api.shapes import (
    ApplicationNo,
    AskedFen,
    CustomerNo,
    Fen,
    PageQuery,
    PartsAnswer,
    PlannedAnswer,
    Rate,
    RowId,
    Shape,
    Terms,
    Text,
    agreed_rows,
    such,
)
from servicing.engine.cost import CostAboveCap
from servicing.engine.plan import plan
from servicing.model import (
    ApplicationEvent,
    ApplicationStateRefused,
    next_application_state,
)
from servicing.operations import ApplicationNotFound
from servicing.operations.disclosures import content_hash
from servicing.operations.partner_acts import (
    PartnerLimitExceeded,
    count_against_limit,
    keep_act,
)
from servicing.products import OutsideProduct, Product
from servicing.queries import partners
from servicing.queries.customers import CustomerNotFound
from servicing.queries.products import ProductNotFound, product_version
from servicing.tables import Application, Loan

blueprint = APIBlueprint("api_applications", __name__, tag="Applications")

_SAID = frozenset({"declined"})
_INQUIRY: Final = "credit_inquiry"
_BOOK: Final = Scope.APPLICATIONS_BOOK.value.partition(":")[2]


class ConsentMissing(Invalid):
    """No application without the customer's consent to an inquiry at the credit bureau."""

    code = "consent-missing"
    message_zh = "缺少客户的征信查询授权"


class ApplicationFacts(Shape):
    """Facts around an application that help to judge it; hash what is personal."""

    device: Text | None = None
    wifi: Text | None = None
    address: Text | None = None


class GivenConsent(Shape):
    """Words that the customer agreed to, as they were shown; we keep their hash."""

    purpose: Literal["credit_inquiry", "marketing"]
    text: Annotated[str, Signs(min_length=1, max_length=20_000, pattern=r"^[^\x00]+$")]


class NewApplication(Shape):
    """What a customer wants to buy by instalments, and what they agreed to for it."""

    customer_id: Annotated[RowId, Field(strict=True)]
    product: Text
    amount_fen: AskedFen
    terms: Terms
    merchant_name: Text
    merchandise: Text
    consents: Annotated[
        tuple[GivenConsent, ...],
        Field(max_length=4, description="`credit_inquiry` must be among them."),
    ]
    facts: ApplicationFacts = ApplicationFacts()


EXAMPLES = {
    "phone": {
        "summary": "A phone in six instalments",
        "value": {
            "customer_id": 1,
            "product": "standard",
            "amount_fen": 300_000,
            "terms": 6,
            "merchant_name": "宏达手机卖场",
            "merchandise": "手机",
            "consents": [
                {"purpose": "credit_inquiry", "text": "本人同意贷款人查询本人的信用信息。"}
            ],
        },
    }
}


class ApplicationAnswer(Shape):
    """An application and where it stands.

    `reasons` are sentences for the customer. Whoever was declined or approved by machine can ask
    for a person, who answers by `review_due_at`; it is null while no review waits.
    """

    application_no: ApplicationNo
    customer_id: CustomerNo
    state: Annotated[str, such("approved")]
    reasons: tuple[str, ...]
    merchant_name: Annotated[str, such("宏达手机卖场")]
    merchandise: Annotated[str, such("手机")]
    amount_fen: Fen
    terms: int
    rate_annual: Rate
    submitted_at: datetime
    decided_at: datetime | None
    review_due_at: datetime | None


class ContractQuote(Shape):
    """What an approved application would be booked as today.

    `cost_table` (综合融资成本明示表) is what the customer confirms; its hash goes into the request
    that books.
    """

    application_no: ApplicationNo
    on: date
    amount_fen: Fen
    terms: int
    rate_annual: Rate
    total: PartsAnswer
    plan: tuple[PlannedAnswer, ...]
    cost_table: dict[str, Any]
    cost_table_hash: str
    valid_until: datetime


class ConfirmedContract(Shape):
    """The customer had the cost table in view for so long, and confirmed it."""

    cost_table_hash: Annotated[str, Signs(pattern=r"^[0-9a-f]{64}$")]
    seconds_shown: Annotated[StrictInt, Field(ge=1, le=86_400)]


CONFIRMED = {
    "confirmed": {
        "summary": "Seen for twelve seconds, and confirmed",
        "value": {
            "cost_table_hash": "5d0c2f6a8b1e4937c6d5a4f3e2b1908776655443322110ffeeddccbbaa998877",
            "seconds_shown": 12,
        },
    }
}


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
        examples=EXAMPLES,
        refuses=(CustomerNotFound, ProductNotFound, OutsideProduct, CostAboveCap, ConsentMissing),
    ),
)
def apply(call: Call, body: NewApplication) -> ApplicationAnswer:
    """Submit an application; it is decided within minutes, and a webhook tells."""
    partners.require_customer(call.session, sight=call.sight, customer_id=body.customer_id)
    _keep_consents(call, body)
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
    return _answer(call, call.session.get_one(Application, application_id))


@serve(
    blueprint,
    get(
        "/applications",
        Scope.APPLICATIONS_READ,
        ApplicationPage,
        query=ApplicationQuery,
        refuses=(CursorUnknown,),
    ),
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
        applications=tuple(_answer(call, row) for row in page),
        next_cursor=cursor_of(last.id) if last else None,
    )


@serve(
    blueprint,
    get(
        "/applications/<string:application_no>",
        Scope.APPLICATIONS_READ,
        ApplicationAnswer,
        refuses=(ApplicationNotFound,),
    ),
)
def read_application(call: Call, application_no: str) -> ApplicationAnswer:
    """Read an application, what was decided, and why."""
    return _answer(call, _seen(call, application_no))


@serve(
    blueprint,
    post(
        "/applications/<string:application_no>/withdrawal",
        Scope.APPLICATIONS_WRITE,
        ApplicationAnswer,
        refuses=(ApplicationNotFound, ApplicationStateRefused),
    ),
)
def withdraw(call: Call, application_no: str) -> ApplicationAnswer:
    """Withdraw an application because the customer does not want it any more."""
    row = _seen(call, application_no)
    operations.cancel_application(call.session, application_id=row.id, now=call.now)
    return _answer(call, row)


@serve(
    blueprint,
    post(
        "/applications/<string:application_no>/appeal",
        Scope.APPLICATIONS_WRITE,
        ApplicationAnswer,
        refuses=(ApplicationNotFound, ApplicationStateRefused),
    ),
)
def appeal(call: Call, application_no: str) -> ApplicationAnswer:
    """Ask for a person to look at what the machine declined, or at what terms it approved.

    What was approved stands meanwhile and may be booked; it never gets worse.
    """
    row = _seen(call, application_no)
    operations.appeal_application(call.session, application_id=row.id, now=call.now)
    return _answer(call, row)


@serve(
    blueprint,
    get(
        "/applications/<string:application_no>/contract",
        Scope.APPLICATIONS_READ,
        ContractQuote,
        refuses=(ApplicationNotFound, ApplicationStateRefused, CostAboveCap),
    ),
)
def quote_contract(call: Call, application_no: str) -> ContractQuote:
    """Say as what an approved application would be booked today; nothing happens."""
    row = _seen(call, application_no)
    next_application_state(row.state, ApplicationEvent.BOOK)
    table = _cost_table(call, row)
    made = plan(_product(call, row).agree(**_agreed(row), start_on=call.on))
    return ContractQuote(
        application_no=row.application_no,
        on=call.on,
        amount_fen=row.amount_fen,
        terms=row.terms,
        rate_annual=f"{row.rate_annual:.6f}",
        total=PartsAnswer.model_validate(made.total),
        plan=agreed_rows(made),
        cost_table=table,
        cost_table_hash=content_hash(table),
        valid_until=start_of_day(call.on + timedelta(days=1)),
    )


@serve(
    blueprint,
    post(
        "/applications/<string:application_no>/loan",
        Scope.APPLICATIONS_BOOK,
        LoanBrief,
        body=ConfirmedContract,
        examples=CONFIRMED,
        refuses=(
            ApplicationNotFound,
            ApplicationStateRefused,
            CostAboveCap,
            operations.CostNotConfirmed,
            operations.LineNotDrawable,
            PartnerLimitExceeded,
        ),
    ),
)
def book_loan(call: Call, application_no: str, body: ConfirmedContract) -> LoanBrief:
    """Book an approved application as a loan of today, on the cost table that was confirmed."""
    row = operations.lock_application(call.session, application_id=_seen(call, application_no).id)
    next_application_state(row.state, ApplicationEvent.BOOK)
    table = _cost_table(call, row)
    if body.cost_table_hash != content_hash(table):
        raise operations.CostNotConfirmed("the confirmed cost table is not that of today")
    counted: dict[str, Any] = {
        "partner": call.caller.partner,
        "act": _BOOK,
        "amount_fen": row.amount_fen,
    }
    count_against_limit(call.session, on=call.on, **counted)
    shown = operations.confirm_cost(
        call.session,
        customer_id=row.customer_id,
        content=table,
        seconds_shown=body.seconds_shown,
        now=call.now,
    )
    loan_id = operations.book_application(
        call.session,
        application_id=row.id,
        disclosure_id=shown,
        key=call.key,
        disbursed_on=call.on,
        now=call.now,
    )
    keep_act(call.session, loan_id=loan_id, seq=1, now=call.now, **counted)
    return brief(call.session.get_one(Loan, loan_id))


def _keep_consents(call: Call, body: NewApplication) -> None:
    """Keep what the customer agreed to; without the inquiry there is no application."""
    if _INQUIRY not in {consent.purpose for consent in body.consents}:
        raise ConsentMissing("the customer agrees to an inquiry at the credit bureau first")
    for consent in body.consents:
        operations.record_consent(
            call.session,
            customer_id=body.customer_id,
            purpose=consent.purpose,
            text=consent.text,
            channel=call.sight.channel,
            now=call.now,
        )


def _product(call: Call, row: Application) -> Product:
    return product_version(call.session, code=row.product_code, version=row.product_version)


def _agreed(row: Application) -> dict[str, Any]:
    return {
        "principal_fen": row.amount_fen,
        "rate_annual": row.rate_annual,
        "terms": row.terms,
    }


def _cost_table(call: Call, row: Application) -> dict[str, Any]:
    return operations.cost_table(**_agreed(row), disbursed_on=call.on, product=_product(call, row))


def _seen(call: Call, application_no: str) -> Application:
    row = partners.seen_application(call.session, sight=call.sight, application_no=application_no)
    if row is None:
        raise ApplicationNotFound("no such application")
    return row


def _answer(call: Call, row: Application) -> ApplicationAnswer:
    review = queries.review_of(call.session, application_id=row.id)
    waits = review is not None and review.waits_in(row.state)
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
        review_due_at=review.due_at if review and waits else None,
    )
