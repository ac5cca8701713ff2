"""Loans as of any day, as known on any day: figures, plan, ledger, and every plan there was."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from pydantic import Field

from kernel.clock import end_of_day
from kernel.errors import Invalid
from servicing import model, queries
from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import (
    BureauMark,
    ClassReason,
    CustomerNo,
    Day,
    EclStage,
    Fen,
    FiveClass,
    LoanNo,
    PageQuery,
    PartsAnswer,
    PlannedAnswer,
    Rate,
    RowId,
    Shape,
    such,
)
from servicing.engine.state import LoanRow, LoanState
from servicing.lateness import Called, rules_as_of
from servicing.model import InstalmentState, LoanStatus
from servicing.queries import partners
from servicing.queries.history import LoanNotFound
from servicing.tables import Loan

blueprint = APIBlueprint("api_loans", __name__, tag="Loans")


class DayAhead(Invalid):
    """What is asked for has not happened, or is not known, yet."""

    code = "day-ahead"
    message_zh = "日期不能晚于今天"


class KnownQuery(Shape):
    """As known at the end of which day; today if not said."""

    known_on: Annotated[
        Day | None, Field(description="What was recorded after this day is left out.")
    ] = None


class AsOfQuery(KnownQuery):
    """As of which day, and as known at the end of which day; today if not said."""

    as_of: Annotated[Day | None, Field(description="A business date up to today.")] = None


class LoanHead(Shape):
    """What a loan is for and on which terms; the same for its whole life, fen."""

    loan_no: LoanNo
    customer_id: CustomerNo
    product: Annotated[str, such("standard")]
    product_version: int
    merchant_name: Annotated[str, such("宏达手机卖场")]
    merchandise: Annotated[str, such("手机")]
    principal_fen: Fen
    rate_annual: Rate
    disbursed_on: date


class LoanBrief(LoanHead):
    """A loan as the book had it when its last day was closed; fen.

    Attributes:
        five_class: None, like the ECL stage, where nothing is owed.
        settled_on: Since when nothing is owed, however that came.
    """

    terms: int
    status: LoanStatus
    days_past_due: int
    bucket: Annotated[str, such("M0")]
    five_class: FiveClass | None
    ecl_stage: EclStage | None
    settled_on: date | None


class LoanQuery(PageQuery):
    """Which loans."""

    customer_id: RowId | None = None
    status: Annotated[
        Literal["active", "charged_off", "written_off", "cancelled", "settled"] | None,
        Field(description="Those that stand so; all if not said."),
    ] = None


class LoanPage(Shape):
    """Some loans."""

    loans: tuple[LoanBrief, ...]
    next_cursor: str | None


class InstalmentAnswer(Shape):
    """One row of a plan as it stands.

    Attributes:
        state: Of one that is waived nothing is owed, and some of its principal was given up; one
            that is void has moved into a later plan.
        bucket: Of its own days, as is `five_class`; None where nothing of it is owed.
    """

    n: int
    from_on: date
    due_on: date
    state: InstalmentState
    days_past_due: int
    bucket: Annotated[str | None, such("M1")]
    five_class: FiveClass | None
    due: PartsAnswer
    paid: PartsAnswer
    waived: PartsAnswer
    outstanding: PartsAnswer


class LoanAnswer(LoanHead):
    """A loan as of a day, as known on a day.

    Attributes:
        status: A claim that is charged off is still owed; nothing is of one that is written off.
        late_since: The oldest due date of what is owed and late.
        five_class: The worst of what its days and the marks on it say; None, like the ECL stage,
            where nothing is owed.
        class_reasons: What makes the class, each enough by itself: its days, a restructuring,
            the judgement of staff.
        is_within_grace: Late, but within the days of grace: no penalty, no report to the bureau.
        is_restructured: It is observed as restructured, until `observed_until` and while it is
            late.
        bureau_marks: What the credit bureau is told of it beside what is owed.
        credit_fen: Overpaid, and owed to the borrower until it has gone back.
        undrawn_fen: What may still be drawn of it, until `draw_until`.
        due_now: Owed by the day, it included.
        overdue: Owed, and due before the day.
        remaining: All that the plan still asks for.
    """

    as_of: date
    known_on: date
    status: LoanStatus
    late_since: date | None
    days_past_due: int
    bucket: Annotated[str, such("M0")]
    five_class: FiveClass | None
    class_reasons: tuple[ClassReason, ...]
    ecl_stage: EclStage | None
    grace_days: int
    is_within_grace: bool
    is_restructured: bool
    observed_until: date | None
    bureau_marks: tuple[BureauMark, ...]
    credit_fen: Fen
    undrawn_fen: Fen
    draw_until: date | None
    due_now: PartsAnswer
    overdue: PartsAnswer
    remaining: PartsAnswer
    paid: PartsAnswer
    plan: tuple[InstalmentAnswer, ...]


class PlanVersionAnswer(Shape):
    """A plan that was in force since an event; the last one is in force."""

    version: int
    from_seq: int
    recorded_at: datetime
    plan: tuple[PlannedAnswer, ...]


class PlanVersionsAnswer(Shape):
    """All plans of a loan."""

    versions: tuple[PlanVersionAnswer, ...]


class PostingAnswer(Shape):
    """One leg of an entry; debits positive, fen."""

    account: Annotated[str, such("loan-principal")]
    instalment_n: int | None
    amount_fen: Fen


class EntryAnswer(Shape):
    """One balanced entry."""

    id: int
    kind: Annotated[str, such("repayment")]
    effective_on: date
    recorded_at: datetime
    postings: tuple[PostingAnswer, ...]


class LedgerAnswer(Shape):
    """All entries of a loan, by business date."""

    entries: tuple[EntryAnswer, ...]


@serve(
    blueprint,
    get("/loans", Scope.LOANS_READ, LoanPage, query=LoanQuery, refuses=(CursorUnknown,)),
)
def list_loans(call: Call, query: LoanQuery) -> LoanPage:
    """List loans, the oldest first, of one customer or of all."""
    (after,) = place_of(query.cursor)
    found = partners.loans(
        call.session,
        sight=call.sight,
        customer_id=query.customer_id,
        status=None if query.status is None else LoanStatus(query.status),
        after=after,
        limit=query.limit + 1,
    )
    page, last = cut(found, query.limit)
    return LoanPage(
        loans=tuple(brief(loan) for loan in page),
        next_cursor=cursor_of(last.id) if last else None,
    )


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>",
        Scope.LOANS_READ,
        LoanAnswer,
        query=AsOfQuery,
        refuses=(LoanNotFound, DayAhead),
    ),
)
def read_loan(call: Call, loan_no: str, query: AsOfQuery) -> LoanAnswer:
    """Read a loan as of a day, as it was known on a day."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    on, known_on = past_days(call, query)
    known_at = end_of_day(known_on)
    state = queries.loan_as_of(call.session, loan_id=loan.id, on=on, known_at=known_at)
    called = queries.called_as_of(call.session, {loan.id: state}, known_at=known_at)[loan.id]
    return stood(loan, state, called, known_on)


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/plan-versions",
        Scope.LOANS_READ,
        PlanVersionsAnswer,
        query=KnownQuery,
        refuses=(LoanNotFound, DayAhead),
    ),
)
def read_plan_versions(call: Call, loan_no: str, query: KnownQuery) -> PlanVersionsAnswer:
    """Read every plan that was known on a day, the first one first."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    known_at = end_of_day(known_day(call, query))
    versions = queries.plan_versions(call.session, loan_id=loan.id)
    return PlanVersionsAnswer(
        versions=tuple(
            PlanVersionAnswer(
                version=version.version,
                from_seq=version.from_seq,
                recorded_at=version.recorded_at,
                plan=planned(version.rows),
            )
            for version in versions
            if version.recorded_at <= known_at
        )
    )


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/ledger",
        Scope.LOANS_READ,
        LedgerAnswer,
        query=AsOfQuery,
        refuses=(LoanNotFound, DayAhead),
    ),
)
def read_ledger(call: Call, loan_no: str, query: AsOfQuery) -> LedgerAnswer:
    """Read a loan's entries up to a day, as known on a day; the postings of each sum to zero."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    on, known_on = past_days(call, query)
    return LedgerAnswer(
        entries=tuple(
            EntryAnswer.model_validate(entry)
            for entry in queries.entries_of(call.session, loan_id=loan.id)
            if entry.effective_on <= on and entry.recorded_at <= end_of_day(known_on)
        )
    )


def past_days(call: Call, query: AsOfQuery) -> tuple[date, date]:
    """Return as of which day, and as known on which, a loan is asked for.

    Raises:
        DayAhead: One of them is after today.
    """
    on, known_on = query.as_of or call.on, known_day(call, query)
    if on > call.on:
        raise DayAhead("as_of is a day up to today")
    return on, known_on


def known_day(call: Call, query: KnownQuery) -> date:
    """Return as known on which day something is asked for.

    Raises:
        DayAhead: It is after today.
    """
    known_on = query.known_on or call.on
    if known_on > call.on:
        raise DayAhead("known_on is a day up to today")
    return known_on


def planned(rows: tuple[queries.PlannedRow, ...]) -> tuple[PlannedAnswer, ...]:
    """Return a plan as partners read it."""
    return tuple(PlannedAnswer.model_validate(row) for row in rows)


def brief(loan: Loan) -> LoanBrief:
    """Return a loan as lists and exports show it."""
    return LoanBrief(
        **_head(loan, loan.rate_annual),
        terms=loan.terms,
        status=queries.status_of(loan),
        days_past_due=loan.days_past_due,
        bucket=loan.bucket,
        five_class=loan.five_class if loan.state == "active" else None,
        ecl_stage=loan.ecl_stage if loan.state == "active" else None,
        settled_on=loan.settled_on,
    )


def stood(loan: Loan, state: LoanState, called: Called, known_on: date) -> LoanAnswer:
    """Return a loan as it was replayed to a day, and what it was called then."""
    return LoanAnswer(
        **_head(loan, state.rate_annual),
        as_of=state.on,
        known_on=known_on,
        status=queries.status_as_of(state),
        late_since=called.late_since,
        days_past_due=called.days_past_due,
        bucket=called.bucket,
        five_class=called.five_class,
        class_reasons=called.reasons,
        ecl_stage=called.ecl_stage,
        grace_days=state.grace_days,
        is_within_grace=called.is_within_grace,
        is_restructured=called.is_restructured,
        observed_until=called.observed_until,
        bureau_marks=called.bureau_marks,
        credit_fen=state.overpaid_fen,
        undrawn_fen=state.undrawn_fen,
        draw_until=loan.draw_until if state.undrawn_fen else None,
        due_now=PartsAnswer.model_validate(state.due_now),
        overdue=PartsAnswer.model_validate(state.overdue),
        remaining=PartsAnswer.model_validate(state.outstanding),
        paid=PartsAnswer.model_validate(state.paid),
        plan=tuple(_row(row, state.on) for row in state.rows),
    )


def _head(loan: Loan, rate_annual: Decimal) -> dict[str, Any]:
    return {
        "loan_no": loan.loan_no,
        "customer_id": loan.customer_id,
        "product": loan.product_code,
        "product_version": loan.product_version,
        "merchant_name": loan.merchant_name,
        "merchandise": loan.merchandise,
        "principal_fen": loan.principal_fen,
        "rate_annual": f"{rate_annual:.6f}",
        "disbursed_on": loan.disbursed_on,
    }


def _row(row: LoanRow, on: date) -> InstalmentAnswer:
    owed, rules = row.outstanding.total_fen, rules_as_of(on)
    days = model.days_past_due(row.due_on, on) if owed else 0
    return InstalmentAnswer(
        n=row.n,
        from_on=row.from_on,
        due_on=row.due_on,
        state=model.instalment_state(
            due_on=row.due_on,
            due_fen=row.due.total_fen,
            outstanding_fen=owed,
            given_up_fen=row.waived.principal_fen,
            on=on,
        ),
        days_past_due=days,
        bucket=rules.bucket(days) if owed else None,
        five_class=rules.five_class(days) if owed else None,
        due=PartsAnswer.model_validate(row.due),
        paid=PartsAnswer.model_validate(row.paid),
        waived=PartsAnswer.model_validate(row.waived),
        outstanding=PartsAnswer.model_validate(row.outstanding),
    )
