"""Statements: what was owed before some days, fell due on them, was paid, and is owed after."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Final

from apiflask import APIBlueprint
from pydantic import Field

from kernel.clock import end_of_day
from kernel.errors import Invalid
from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.loans import DayAhead
from servicing.api.scopes import Scope
from servicing.api.shapes import CustomerNo, Day, Fen, LoanNo, PartsAnswer, Shape, such
from servicing.engine.parts import Parts, total
from servicing.queries import partners
from servicing.queries.customers import CustomerNotFound
from servicing.queries.history import LoanNotFound
from servicing.queries.statements import Statement, statement
from servicing.tables import Loan

blueprint = APIBlueprint("api_statements", __name__, tag="Statements")

_LONGEST: Final = timedelta(days=366)
_LOANS: Final = 200


class PeriodRefused(Invalid):
    """A statement is for at most 366 days in order."""

    code = "period-refused"
    message_zh = "账单期间不正确，最长一年"


class PeriodQuery(Shape):
    """The first and the last day, both included, up to today; at most 366 days."""

    first_on: Day
    last_on: Day
    known_on: Annotated[
        Day | None, Field(description="What was recorded after this day is left out.")
    ] = None


class PaidAnswer(Shape):
    """One payment and what it settled, fen."""

    on: date
    kind: Annotated[str, such("repayment")]
    amount_fen: Fen
    settled: PartsAnswer


class LoanStatement(Shape):
    """A loan over some days, fen.

    Attributes:
        owed_before: Due and not paid when the first day began.
        fell_due: What fell due on these days.
        owed_after: Due and not paid when the last day ended.
        remaining: All that the plan still asked for then.
    """

    loan_no: LoanNo
    owed_before: PartsAnswer
    fell_due: PartsAnswer
    paid_fen: Fen
    payments: tuple[PaidAnswer, ...]
    owed_after: PartsAnswer
    remaining: PartsAnswer


class StatementAnswer(Shape):
    """All loans of a customer over some days, and their sums; fen."""

    customer_id: CustomerNo
    first_on: date
    last_on: date
    owed_before: PartsAnswer
    fell_due: PartsAnswer
    paid_fen: Fen
    owed_after: PartsAnswer
    remaining: PartsAnswer
    loans: tuple[LoanStatement, ...]


@serve(
    blueprint,
    get(
        "/customers/<int:customer_id>/statement",
        Scope.LOANS_READ,
        StatementAnswer,
        query=PeriodQuery,
        refuses=(CustomerNotFound, PeriodRefused, DayAhead),
    ),
)
def customer_statement(call: Call, customer_id: int, query: PeriodQuery) -> StatementAnswer:
    """Read a customer's statement over the loans that the caller sees."""
    partners.require_customer(call.session, sight=call.sight, customer_id=customer_id)
    loans = partners.loans(
        call.session, sight=call.sight, customer_id=customer_id, after=0, limit=_LOANS
    )
    found = [_statement(call, loan, query) for loan in loans]
    return StatementAnswer(
        customer_id=customer_id,
        first_on=query.first_on,
        last_on=query.last_on,
        owed_before=_sum([each.owed_before for each in found]),
        fell_due=_sum([each.fell_due for each in found]),
        paid_fen=sum(each.paid_fen for each in found),
        owed_after=_sum([each.owed_after for each in found]),
        remaining=_sum([each.remaining for each in found]),
        loans=tuple(_answer(loan, each) for loan, each in zip(loans, found, strict=True)),
    )


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/statement",
        Scope.LOANS_READ,
        LoanStatement,
        query=PeriodQuery,
        refuses=(LoanNotFound, PeriodRefused, DayAhead),
    ),
)
def loan_statement(call: Call, loan_no: str, query: PeriodQuery) -> LoanStatement:
    """Read the statement of one loan."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    return _answer(loan, _statement(call, loan, query))


def _statement(call: Call, loan: Loan, query: PeriodQuery) -> Statement:
    known_on = query.known_on or call.on
    if not timedelta(0) <= query.last_on - query.first_on < _LONGEST:
        raise PeriodRefused("the last day comes after the first, by less than 366 days")
    if max(query.last_on, known_on) > call.on:
        raise DayAhead("a statement is of days up to today")
    return statement(
        call.session,
        loan_id=loan.id,
        first_on=query.first_on,
        last_on=query.last_on,
        known_at=end_of_day(known_on),
    )


def _sum(parts: Sequence[Parts]) -> PartsAnswer:
    return PartsAnswer.model_validate(total(parts))


def _answer(loan: Loan, each: Statement) -> LoanStatement:
    return LoanStatement(
        loan_no=loan.loan_no,
        owed_before=PartsAnswer.model_validate(each.owed_before),
        fell_due=PartsAnswer.model_validate(each.fell_due),
        paid_fen=each.paid_fen,
        payments=tuple(PaidAnswer.model_validate(paid) for paid in each.paid),
        owed_after=PartsAnswer.model_validate(each.owed_after),
        remaining=PartsAnswer.model_validate(each.remaining),
    )
