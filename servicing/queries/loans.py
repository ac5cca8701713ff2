"""Loans, plans and what is owed, as views of a business date, with the reason for each fen."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, bindparam, false, not_, or_, select
from sqlalchemy.orm import Session

from kernel.money import yuan
from servicing import model
from servicing.engine.interest import day_before
from servicing.engine.parts import Parts
from servicing.engine.periods import MONTHS_A_YEAR
from servicing.engine.state import LoanRow
from servicing.engine.terms import Method
from servicing.lateness import rules_on
from servicing.model import InstalmentState, LoanStatus, loan_status
from servicing.queries.history import LoanNotFound, read_events, standing, terms_of
from servicing.queries.interest_reasons import Bearing, InterestReason, reason_of
from servicing.tables import Instalment, Loan, LoanEvent

# Of a product that counts by the actual length of the year.
_YEAR_DAYS: Final = 365

# Every question in the chat reads a plan, so its statements are built once, and its rows are read
# as plain columns: both are several times cheaper than entities.
_StoredRow = Row[*tuple[Any, ...]]
_PLAN_ROWS: Final = select(
    Instalment.loan_id,
    Instalment.n,
    Instalment.from_on,
    Instalment.due_on,
    Instalment.principal_fen,
    Instalment.interest_fen,
    Instalment.fee_fen,
    Instalment.penalty_fen,
    Instalment.paid_principal_fen,
    Instalment.paid_interest_fen,
    Instalment.paid_fee_fen,
    Instalment.paid_penalty_fen,
    Instalment.waived_principal_fen,
    Instalment.waived_interest_fen,
    Instalment.waived_fee_fen,
    Instalment.waived_penalty_fen,
    Instalment.settled_on,
).order_by(Instalment.loan_id, Instalment.n)
_LOANS_OF: Final = (
    select(Loan)
    .where(Loan.customer_id == bindparam("customer_id"))
    .order_by(Loan.state, Loan.disbursed_on.desc(), Loan.id)
)
_PLANS_OF: Final = _PLAN_ROWS.join(Loan, Loan.id == Instalment.loan_id).where(
    Loan.customer_id == bindparam("customer_id")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalmentView:
    """One row of a plan as it stands on a day; money in fen.

    Attributes:
        balance_before_fen: Principal owed before this instalment, the base of its interest.
        interest_reason: Why its interest is what it is.
    """

    n: int
    from_on: date
    due_on: date
    principal_fen: int
    interest_fen: int
    fee_fen: int
    penalty_fen: int
    total_fen: int
    paid_fen: int
    waived_fen: int
    outstanding_fen: int
    balance_before_fen: int
    interest_reason: InterestReason
    days_past_due: int
    state: InstalmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanView:
    """A loan as it stands on a day; money in fen.

    Attributes:
        principal_fen: What was paid out.
        undrawn_fen: What may still be paid out of it, until `draw_until`.
        rate_annual: In force on the day; `agreed_rate_annual` as it was agreed.
        terms: Instalments of the plan as it stands that ask for anything;
            `agreed_terms` as it was agreed.
        paid_terms: Those that were paid.
        remaining_fen: Everything that is still to be paid by plan.
        state: Whether anything is owed: active or closed; `status` says how it stands.
        due_fen: Overdue and due today.
        is_overdue: Late beyond its days of grace: called 逾期, and reported to the bureau.
        five_class: The worst of what its days and the marks on it say.
        credit_fen: Overpaid, and owed to the borrower until it has gone back.
        settles_early: Whether its product lets the borrower settle at any time.
        next: The first instalment that is not fully paid, or None.
    """

    id: int
    loan_no: str
    customer_id: int
    merchandise: str
    merchant_name: str
    principal_fen: int
    undrawn_fen: int
    draw_until: date | None
    rate_annual: Decimal
    agreed_rate_annual: Decimal
    funder: str
    terms: int
    agreed_terms: int
    paid_terms: int
    disbursed_on: date
    state: str
    status: LoanStatus
    days_past_due: int
    is_overdue: bool
    bucket: str
    five_class: str
    ecl_stage: int
    remaining_fen: int
    outstanding_principal_fen: int
    due_fen: int
    overdue_fen: int
    settles_early: bool
    credit_fen: int
    next: InstalmentView | None
    plan: tuple[InstalmentView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What settles the debt that is asked for now; posting the amount leaves none of it.

    Attributes:
        lines: The instalments it is for, oldest first.
    """

    loan_id: int
    on: date
    amount_fen: int
    lines: tuple[InstalmentView, ...]


def loans_of(session: Session, *, customer_id: int, on: date) -> tuple[LoanView, ...]:
    """List a customer's loans, active ones first, then the newest."""
    loans = session.scalars(_LOANS_OF, {"customer_id": customer_id}).all()
    # A loan booked between the two statements has a plan here, and shows the next time.
    by_loan: dict[int, list[_StoredRow]] = defaultdict(list)
    for row in session.execute(_PLANS_OF, {"customer_id": customer_id}):
        by_loan[row.loan_id].append(row)
    return tuple(_loan_view(session, loan, by_loan[loan.id], on) for loan in loans)


def loan_of(session: Session, *, loan_id: int, customer_id: int, on: date) -> LoanView:
    """Return one loan of a customer.

    Raises:
        LoanNotFound: There is none, or it is another's.
    """
    loan = session.get(Loan, loan_id)
    if loan is None or loan.customer_id != customer_id:
        raise LoanNotFound(f"no loan {loan_id} of this customer")
    rows = session.execute(_PLAN_ROWS.where(Instalment.loan_id == loan_id)).all()
    return _loan_view(session, loan, rows, on)


def status_of(loan: Loan) -> LoanStatus:
    """Say where a loan stands by its columns."""
    return loan_status(
        owes=loan.state == "active",
        is_charged_off=loan.charged_off_on is not None,
        is_written_off=loan.written_off_on is not None,
        is_cancelled=loan.cancelled_on is not None,
    )


def has_status(status: LoanStatus) -> ColumnElement[bool]:
    """Say in SQL the same of a loan that was paid out."""
    is_off_books = or_(Loan.charged_off_on.is_not(None), Loan.written_off_on.is_not(None))
    is_ended, is_given_up = Loan.state == "closed", Loan.written_off_on.is_not(None)
    is_cancelled = Loan.cancelled_on.is_not(None)
    found = {
        LoanStatus.ACTIVE: and_(not_(is_ended), not_(is_off_books)),
        LoanStatus.CHARGED_OFF: and_(not_(is_ended), is_off_books),
        LoanStatus.WRITTEN_OFF: and_(is_ended, is_given_up),
        LoanStatus.CANCELLED: and_(is_ended, not_(is_given_up), is_cancelled),
        LoanStatus.SETTLED: and_(is_ended, not_(is_given_up), not_(is_cancelled)),
    }
    return found.get(status, false())


def repayment_quote(loan: LoanView, *, on: date) -> Quote:
    """Say what to pay now: all that is overdue or due today, else the next instalment.

    Posting `amount_fen` on the same day settles exactly the quote's lines.
    """
    asked = [row for row in loan.plan if row.outstanding_fen and row.due_on <= on]
    if not asked and loan.next is not None:
        asked = [loan.next]
    return Quote(
        loan_id=loan.id,
        on=on,
        amount_fen=sum(row.outstanding_fen for row in asked),
        lines=tuple(asked),
    )


def explain(row: InstalmentView) -> str:
    """Say in Chinese why an instalment is what it is, so that every fen can be checked."""
    parts = [f"本金 {yuan(row.principal_fen)} 元", f"利息 {yuan(row.interest_fen)} 元"]
    parts[1] += f"（{_why_interest(row)}）"
    parts += [f"费用 {yuan(row.fee_fen)} 元"] if row.fee_fen else []
    parts += [f"罚息 {yuan(row.penalty_fen)} 元（逾期本金按日计）"] if row.penalty_fen else []
    reason = f"第{row.n}期应还 {yuan(row.total_fen)} 元 = {' + '.join(parts)}"
    if row.waived_fen:
        reason += f"，已减免 {yuan(row.waived_fen)} 元"
    if row.paid_fen:
        reason += f"，已还 {yuan(row.paid_fen)} 元"
    if row.paid_fen or row.waived_fen:
        reason += f"，还需 {yuan(row.outstanding_fen)} 元"
    return reason


def _why_interest(row: InstalmentView) -> str:
    reason = row.interest_reason
    if reason.sentence:
        return reason.sentence
    if not any(piece.rate_annual for piece in reason.pieces):
        return "免息"
    return f"{' + '.join(_why_pieces(reason))}，四舍五入到分"


def _why_pieces(reason: InterestReason) -> Iterator[str]:
    for piece in reason.pieces:
        base = f"{reason.base} {yuan(piece.balance_fen)} 元 × 年利率 {_percent(piece.rate_annual)}"
        if reason.months == 1:
            yield f"{base} ÷ {MONTHS_A_YEAR}"
        elif reason.months:
            yield f"{base} × {reason.months} ÷ {MONTHS_A_YEAR}"
        else:
            yield f"{base} × {piece.days} 天 ÷ {reason.year_days}"


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """An instalment, wherever it was read."""

    n: int
    from_on: date
    due_on: date
    due: Parts
    paid: Parts
    waived: Parts


def _loan_view(session: Session, loan: Loan, stored: Sequence[_StoredRow], on: date) -> LoanView:
    rows = _rows(session, loan, stored, on)
    plan = _plan_view(loan, rows, on, _kinds_of(session, loan.id))
    late = [row for row in plan if row.state is InstalmentState.OVERDUE]
    days = max((row.days_past_due for row in late), default=0)
    overdue = sum(row.outstanding_fen for row in late)
    today = sum(row.outstanding_fen for row in plan if row.state is InstalmentState.DUE)
    bucket, five_class, ecl_stage = rules_on(on).names(days, loan.class_floor)
    return LoanView(
        id=loan.id,
        loan_no=loan.loan_no,
        customer_id=loan.customer_id,
        merchandise=loan.merchandise,
        merchant_name=loan.merchant_name,
        principal_fen=loan.principal_fen,
        undrawn_fen=loan.undrawn_fen,
        draw_until=loan.draw_until,
        rate_annual=_rates(loan, day_before(on), on)[-1],
        agreed_rate_annual=loan.rate_annual,
        funder=loan.funder,
        terms=sum(row.state is not InstalmentState.VOID for row in plan),
        agreed_terms=loan.terms,
        paid_terms=sum(row.state is InstalmentState.PAID for row in plan),
        disbursed_on=loan.disbursed_on,
        state=loan.state,
        status=status_of(loan),
        days_past_due=days,
        is_overdue=days > loan.grace_days,
        bucket=bucket,
        five_class=five_class,
        ecl_stage=ecl_stage,
        remaining_fen=sum(row.outstanding_fen for row in plan),
        outstanding_principal_fen=sum(
            (row.due - row.paid - row.waived).principal_fen for row in rows
        ),
        due_fen=overdue + today,
        overdue_fen=overdue,
        settles_early=loan.settles_early,
        credit_fen=loan.credit_fen,
        next=next((row for row in plan if row.outstanding_fen), None),
        plan=plan,
    )


def _rows(session: Session, loan: Loan, stored: Sequence[_StoredRow], on: date) -> list[_Row]:
    """Take the rows as stored, unless days that are not closed yet have cost something."""
    is_late = any(row.settled_on is None and row.due_on < on for row in stored)
    if not (loan.bears_penalty and is_late and loan.closed_to < on):
        return [_stored(row) for row in stored]
    events = read_events(session, loan_id=loan.id)
    seen = standing(terms_of(loan), events, closed_to=on)
    return [_replayed(row) for row in seen.state.rows]


def _stored(row: _StoredRow) -> _Row:
    return _Row(
        n=row.n,
        from_on=row.from_on,
        due_on=row.due_on,
        due=Parts(
            principal_fen=row.principal_fen,
            interest_fen=row.interest_fen,
            fee_fen=row.fee_fen,
            penalty_fen=row.penalty_fen,
        ),
        paid=Parts(
            principal_fen=row.paid_principal_fen,
            interest_fen=row.paid_interest_fen,
            fee_fen=row.paid_fee_fen,
            penalty_fen=row.paid_penalty_fen,
        ),
        waived=Parts(
            principal_fen=row.waived_principal_fen,
            interest_fen=row.waived_interest_fen,
            fee_fen=row.waived_fee_fen,
            penalty_fen=row.waived_penalty_fen,
        ),
    )


def _replayed(row: LoanRow) -> _Row:
    return _Row(
        n=row.n,
        from_on=row.from_on,
        due_on=row.due_on,
        due=row.due,
        paid=row.paid,
        waived=row.waived,
    )


def _kinds_of(session: Session, loan_id: int) -> Callable[[], frozenset[str]]:
    """Return who asks once, and only if somebody wants to know, what kinds of events there were."""

    @cache
    def kinds() -> frozenset[str]:
        asked = select(LoanEvent.kind).where(LoanEvent.loan_id == loan_id).distinct()
        return frozenset(session.scalars(asked))

    return kinds


def _plan_view(
    loan: Loan, rows: Sequence[_Row], on: date, kinds: Callable[[], frozenset[str]]
) -> tuple[InstalmentView, ...]:
    draws, repaid, views = _draws(loan), 0, []
    for row in rows:
        owed = (row.due - row.paid - row.waived).total_fen
        balance = sum(fen for day, fen in draws if day <= row.from_on) - repaid
        views.append(
            InstalmentView(
                n=row.n,
                from_on=row.from_on,
                due_on=row.due_on,
                principal_fen=row.due.principal_fen,
                interest_fen=row.due.interest_fen,
                fee_fen=row.due.fee_fen,
                penalty_fen=row.due.penalty_fen,
                total_fen=row.due.total_fen,
                paid_fen=row.paid.total_fen,
                waived_fen=row.waived.total_fen,
                outstanding_fen=owed,
                balance_before_fen=balance,
                interest_reason=reason_of(_bearing(loan, row, balance, draws), kinds),
                days_past_due=model.days_past_due(row.due_on, on) if owed else 0,
                state=model.instalment_state(
                    due_on=row.due_on,
                    due_fen=row.due.total_fen,
                    outstanding_fen=owed,
                    given_up_fen=row.waived.principal_fen,
                    on=on,
                ),
            )
        )
        repaid += row.due.principal_fen
    return tuple(views)


def _bearing(loan: Loan, row: _Row, balance_fen: int, draws: Sequence[tuple[date, int]]) -> Bearing:
    is_flat = loan.agreed["method"] in (Method.FLAT_FEE, Method.FLAT_INTEREST)
    changed = ((date.fromisoformat(since), Decimal(rate)) for since, rate in loan.rates or ())
    inside = [(day, fen) for day, fen in draws if row.from_on < day < row.due_on]
    return Bearing(
        from_on=row.from_on,
        due_on=row.due_on,
        interest_fen=row.due.interest_fen,
        paid_fen=row.paid.interest_fen,
        base_fen=sum(fen for _, fen in draws) if is_flat else balance_fen,
        draws=() if is_flat else inside,
        rates=((date.min, loan.rate_annual), *changed),
        year_days=loan.agreed["profile"]["day_count"]["year_days"] or _YEAR_DAYS,
        is_flat=is_flat,
    )


def _draws(loan: Loan) -> list[tuple[date, int]]:
    """Return day and amount of what was paid out."""
    if loan.draws is None:
        return [(loan.disbursed_on, loan.principal_fen)]
    return [(date.fromisoformat(on), fen) for on, fen in loan.draws]


def _rates(loan: Loan, from_on: date, to_on: date) -> tuple[Decimal, ...]:
    """Return the annual rates in force from one day to another, the first of them on the first."""
    found = [loan.rate_annual]
    for since, rate in loan.rates or ():
        day = date.fromisoformat(since)
        if day <= from_on:
            found = [Decimal(rate)]
        elif day < to_on:
            found.append(Decimal(rate))
    return tuple(found)
