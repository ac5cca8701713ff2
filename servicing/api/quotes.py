"""What something would cost, by the very code that posts it, and until when the word holds."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from apiflask import APIBlueprint
from pydantic import Field

from kernel.clock import start_of_day
from servicing import operations, queries
from servicing.api.acts import ValueDateOff
from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.loans import planned
from servicing.api.products import product_of
from servicing.api.scopes import Scope
from servicing.api.shapes import (
    Day,
    Fen,
    LoanNo,
    PartsAnswer,
    PlannedAnswer,
    QueryFen,
    Shape,
    Text,
    agreed_rows,
)
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import Prepayment
from servicing.engine.payments import EventRefused
from servicing.engine.plan import plan
from servicing.engine.profile import Excess
from servicing.operations.disclosures import content_hash
from servicing.products import OutsideProduct
from servicing.queries import partners
from servicing.queries.history import LoanNotFound
from servicing.queries.products import ProductNotFound
from servicing.queries.quotes import NoEarlySettlement

blueprint = APIBlueprint("api_quotes", __name__, tag="Quotes")

_AHEAD = timedelta(days=31)


class PlanQuery(Shape):
    """What is to be bought; it starts today unless said, at most 31 days from now."""

    product: Text
    amount_fen: QueryFen
    terms: int
    start_on: Day | None = None


class PlanQuote(Shape):
    """A plan with its cost table (综合融资成本明示表), as the borrower has to confirm it."""

    product: str
    product_version: int
    amount_fen: Fen
    terms: int
    start_on: date
    total: PartsAnswer
    plan: tuple[PlannedAnswer, ...]
    cost_table: dict[str, Any]
    cost_table_hash: str
    valid_until: datetime


class OnQuery(Shape):
    """For which day; today unless said, at most 31 days from now."""

    on: Day | None = None


class DueLine(Shape):
    """What is asked for of one instalment, fen."""

    n: int
    due_on: date
    amount_fen: Fen


class DueQuote(Shape):
    """What to pay now: all that is overdue or due today, else the next instalment."""

    loan_no: LoanNo
    on: date
    amount_fen: Fen
    lines: tuple[DueLine, ...]
    valid_until: datetime


class SettlementAnswer(Shape):
    """What ends a loan on a day, fen; a prepayment of just this does.

    `amount_fen` is `due_fen`, `later_principal_fen`, `cost_fen` and `fee_fen`, less `credit_fen`
    and `waived_fen`. `saved_fen` is what the plan would have asked for beyond it.
    """

    loan_no: LoanNo
    on: date
    amount_fen: Fen
    due_fen: Fen
    later_principal_fen: Fen
    cost_fen: Fen
    fee_fen: Annotated[Fen, Field(description="For settling early.")]
    credit_fen: Annotated[Fen, Field(description="Taken off, as beyond the cost cap.")]
    waived_fen: Annotated[Fen, Field(description="Given up by a settlement offer.")]
    back_fen: Annotated[
        Fen,
        Field(
            description="Owed to the borrower once it is paid: what is beyond the cost cap and "
            "could not be taken off."
        ),
    ]
    saved_fen: Fen
    valid_until: datetime


class PrepaymentQuery(Shape):
    """How much is to be paid ahead today, and what becomes smaller for it."""

    amount_fen: QueryFen
    effect: Excess = Excess.REDUCE_TERM


class PrepaymentQuote(Shape):
    """What a prepayment of today would do, fen."""

    loan_no: LoanNo
    on: date
    amount_fen: Fen
    effect: Excess
    remaining_before_fen: Fen
    remaining_after_fen: Fen
    saved_fen: Fen
    plan_after: tuple[PlannedAnswer, ...]
    valid_until: datetime


@serve(
    blueprint,
    get(
        "/quotes/plan",
        Scope.QUOTES_READ,
        PlanQuote,
        query=PlanQuery,
        refuses=(ProductNotFound, OutsideProduct, CostAboveCap, ValueDateOff),
    ),
)
def quote_plan(call: Call, query: PlanQuery) -> PlanQuote:
    """Say how a purchase would be paid, and what it costs in all."""
    product = product_of(call, query.product)
    product.check(amount_fen=query.amount_fen, terms=query.terms)
    start_on = _day(call, query.start_on)
    agreed: dict[str, Any] = {
        "principal_fen": query.amount_fen,
        "rate_annual": product.rate_annual,
        "terms": query.terms,
    }
    table = operations.cost_table(**agreed, disbursed_on=start_on, product=product)
    made = plan(product.agree(**agreed, start_on=start_on))
    return PlanQuote(
        product=product.code,
        product_version=product.version,
        amount_fen=query.amount_fen,
        terms=query.terms,
        start_on=start_on,
        total=PartsAnswer.model_validate(made.total),
        plan=agreed_rows(made),
        cost_table=table,
        cost_table_hash=content_hash(table),
        valid_until=_end_of(call.on),
    )


@serve(
    blueprint,
    get("/loans/<string:loan_no>/quotes/due", Scope.QUOTES_READ, DueQuote, refuses=(LoanNotFound,)),
)
def quote_due(call: Call, loan_no: str) -> DueQuote:
    """Say what to pay today; a repayment of just this leaves none of it."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    seen = queries.loan_of(call.session, loan_id=loan.id, customer_id=loan.customer_id, on=call.on)
    asked = queries.repayment_quote(seen, on=call.on)
    return DueQuote(
        loan_no=loan.loan_no,
        on=call.on,
        amount_fen=asked.amount_fen,
        lines=tuple(
            DueLine(n=line.n, due_on=line.due_on, amount_fen=line.outstanding_fen)
            for line in asked.lines
        ),
        valid_until=_end_of(call.on),
    )


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/quotes/settlement",
        Scope.QUOTES_READ,
        SettlementAnswer,
        query=OnQuery,
        refuses=(LoanNotFound, NoEarlySettlement, ValueDateOff, EventRefused),
    ),
)
def quote_settlement(call: Call, loan_no: str, query: OnQuery) -> SettlementAnswer:
    """Say what ends a loan on a day; it holds for that day only."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    asked = queries.settlement_quote(
        call.session,
        loan_id=loan.id,
        customer_id=loan.customer_id,
        on=_day(call, query.on),
    )
    return SettlementAnswer(
        loan_no=loan.loan_no,
        on=asked.on,
        amount_fen=asked.amount_fen,
        due_fen=asked.due_fen,
        later_principal_fen=asked.later_principal_fen,
        cost_fen=asked.cost_fen,
        fee_fen=asked.fee_fen,
        credit_fen=asked.credit_fen,
        waived_fen=asked.waived_fen,
        back_fen=asked.back_fen,
        saved_fen=asked.saved_fen,
        valid_until=_end_of(asked.on),
    )


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/quotes/prepayment",
        Scope.QUOTES_READ,
        PrepaymentQuote,
        query=PrepaymentQuery,
        refuses=(LoanNotFound, EventRefused, operations.PaymentTooLarge),
    ),
)
def quote_prepayment(call: Call, loan_no: str, query: PrepaymentQuery) -> PrepaymentQuote:
    """Say what paying an amount ahead today would do to the plan."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    event = Prepayment(id="", on=call.on, amount_fen=query.amount_fen, effect=query.effect)
    seen = operations.preview_event(call.session, loan_id=loan.id, event=event)
    return PrepaymentQuote(
        loan_no=loan.loan_no,
        on=call.on,
        amount_fen=query.amount_fen,
        effect=query.effect,
        remaining_before_fen=seen.remaining_before_fen,
        remaining_after_fen=seen.remaining_after_fen,
        saved_fen=-seen.extra_fen - query.amount_fen,
        plan_after=planned(seen.plan_after),
        valid_until=_end_of(call.on),
    )


def _day(call: Call, on: date | None) -> date:
    if on is not None and not call.on <= on <= call.on + _AHEAD:
        raise ValueDateOff("a quote is for today or one of the 31 days after it")
    return on or call.on


def _end_of(on: date) -> datetime:
    """Return when a word that holds on a day stops to hold."""
    return start_of_day(on + timedelta(days=1))
