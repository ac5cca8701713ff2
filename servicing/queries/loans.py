"""Loans, plans and what is owed, as views of a business date, with the reason for each fen."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from kernel.money import yuan
from servicing import model
from servicing.model import InstalmentState
from servicing.tables import Instalment, Loan

# Every question in the chat reads a plan, so its statements are built once, and its rows are read
# as plain columns: both are several times cheaper than entities.
_Row = Row[int, int, date, int, int, int, int]
_PLAN_ROWS: Final = select(
    Instalment.loan_id,
    Instalment.n,
    Instalment.due_on,
    Instalment.principal_fen,
    Instalment.interest_fen,
    Instalment.paid_principal_fen,
    Instalment.paid_interest_fen,
).order_by(Instalment.loan_id, Instalment.n)
_LOANS_OF: Final = (
    select(Loan)
    .where(Loan.customer_id == bindparam("customer_id"))
    .order_by(Loan.state, Loan.disbursed_on.desc(), Loan.id)
)
_PLANS_OF: Final = _PLAN_ROWS.join(Loan, Loan.id == Instalment.loan_id).where(
    Loan.customer_id == bindparam("customer_id")
)


class LoanNotFound(NotFound):
    """No such loan, or not this customer's."""

    code = "loan-not-found"
    message_zh = "没有找到这笔分期"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalmentView:
    """One row of a plan as it stands on a day; money in fen.

    Attributes:
        balance_before_fen: Principal owed before this instalment, the base of its interest.
    """

    n: int
    due_on: date
    principal_fen: int
    interest_fen: int
    total_fen: int
    paid_fen: int
    outstanding_fen: int
    balance_before_fen: int
    days_past_due: int
    state: InstalmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanView:
    """A loan as it stands on a day; money in fen.

    Attributes:
        remaining_fen: Everything that is still to be paid by plan.
        due_fen: Overdue and due today.
        next: The first instalment that is not fully paid, or None.
    """

    id: int
    loan_no: str
    customer_id: int
    merchandise: str
    merchant_name: str
    principal_fen: int
    rate_annual: Decimal
    funder: str
    terms: int
    paid_terms: int
    disbursed_on: date
    state: str
    days_past_due: int
    bucket: str
    remaining_fen: int
    outstanding_principal_fen: int
    due_fen: int
    overdue_fen: int
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
    by_loan: dict[int, list[_Row]] = defaultdict(list)
    for row in session.execute(_PLANS_OF, {"customer_id": customer_id}):
        by_loan[row.loan_id].append(row)
    return tuple(_loan_view(loan, by_loan[loan.id], on) for loan in loans)


def loan_of(session: Session, *, loan_id: int, customer_id: int, on: date) -> LoanView:
    """Return one loan of a customer.

    Raises:
        LoanNotFound: There is none, or it is another's.
    """
    loan = session.get(Loan, loan_id)
    if loan is None or loan.customer_id != customer_id:
        raise LoanNotFound(f"no loan {loan_id} of this customer")
    rows = session.execute(_PLAN_ROWS.where(Instalment.loan_id == loan_id)).all()
    return _loan_view(loan, rows, on)


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


def explain(row: InstalmentView, *, rate_annual: Decimal) -> str:
    """Say in Chinese why an instalment is what it is, so that every fen can be checked."""
    reason = (
        f"第{row.n}期应还 {yuan(row.total_fen)} 元 = 本金 {yuan(row.principal_fen)} 元"
        f" + 利息 {yuan(row.interest_fen)} 元（剩余本金 {yuan(row.balance_before_fen)} 元"
        f" × 年利率 {_percent(rate_annual)} ÷ 12，四舍五入到分）"
    )
    if row.paid_fen:
        reason += f"，已还 {yuan(row.paid_fen)} 元，还需 {yuan(row.outstanding_fen)} 元"
    return reason


def _percent(rate: Decimal) -> str:
    return f"{(rate * 100).normalize():f}%"


def _loan_view(loan: Loan, rows: Sequence[_Row], on: date) -> LoanView:
    plan = _plan_view(loan.principal_fen, rows, on)
    late = [row for row in plan if row.state is InstalmentState.OVERDUE]
    days = max((row.days_past_due for row in late), default=0)
    overdue = sum(row.outstanding_fen for row in late)
    today = sum(row.outstanding_fen for row in plan if row.state is InstalmentState.DUE)
    return LoanView(
        id=loan.id,
        loan_no=loan.loan_no,
        customer_id=loan.customer_id,
        merchandise=loan.merchandise,
        merchant_name=loan.merchant_name,
        principal_fen=loan.principal_fen,
        rate_annual=loan.rate_annual,
        funder=loan.funder,
        terms=loan.terms,
        paid_terms=sum(row.state is InstalmentState.PAID for row in plan),
        disbursed_on=loan.disbursed_on,
        state=loan.state,
        days_past_due=days,
        bucket=model.bucket(days),
        remaining_fen=sum(row.outstanding_fen for row in plan),
        outstanding_principal_fen=sum(row.principal_fen - row.paid_principal_fen for row in rows),
        due_fen=overdue + today,
        overdue_fen=overdue,
        next=next((row for row in plan if row.outstanding_fen), None),
        plan=plan,
    )


def _plan_view(principal_fen: int, rows: Sequence[_Row], on: date) -> tuple[InstalmentView, ...]:
    balance = principal_fen
    views = []
    for row in rows:
        total = row.principal_fen + row.interest_fen
        paid = row.paid_principal_fen + row.paid_interest_fen
        late = model.days_past_due(row.due_on, on) if total > paid else 0
        views.append(
            InstalmentView(
                n=row.n,
                due_on=row.due_on,
                principal_fen=row.principal_fen,
                interest_fen=row.interest_fen,
                total_fen=total,
                paid_fen=paid,
                outstanding_fen=total - paid,
                balance_before_fen=balance,
                days_past_due=late,
                state=model.instalment_state(
                    due_on=row.due_on, outstanding_fen=total - paid, on=on
                ),
            )
        )
        balance -= row.principal_fen
    return tuple(views)
