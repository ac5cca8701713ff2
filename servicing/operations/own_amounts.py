"""A repayment of an amount that the borrower chose: how much it may be, and where it goes.

It is a repayment like any other, the oldest instalment first. What ends the loan today is no such
amount: that is the settlement's, which saves the interest to come.

    AmountRefused  422  nothing, or not less than what ends the loan
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from kernel.errors import Invalid
from servicing.engine.events import Payment
from servicing.engine.parts import NOTHING, Parts
from servicing.operations.together import booked_together
from servicing.queries import LoanView, planned_credit_fen, settlement_if_any
from servicing.queries.history import states_with


class AmountRefused(Invalid):
    """A repayment of one's own amount is more than nothing, and no more than the debt needs."""

    code = "repayment-amount-refused"
    message_zh = "还款金额须大于 0，且不超过今天还清所需的金额"


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """How much may be paid today, fen.

    Attributes:
        is_settlement: Just this ends the loan early, and is paid as a settlement.
    """

    fen: int
    is_settlement: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an instalment gets of an amount, and what is left of it, fen."""

    n: int
    due_on: date
    paid: Parts
    left_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAmount:
    """Where an amount goes, fen.

    Attributes:
        due_left_fen: What is overdue or due today and still open after it.
    """

    amount_fen: int
    shares: tuple[Share, ...]
    due_left_fen: int
    remaining_before_fen: int
    remaining_after_fen: int


def most_payable(session: Session, *, loan: LoanView, on: date) -> Most:
    """Say how much a loan can take today: what settles it, else what is left of its plan."""
    settling = settlement_if_any(session, loan=loan, on=on)
    if settling is not None:
        return Most(fen=settling.amount_fen, is_settlement=True)
    credit_fen = planned_credit_fen(session, loan_id=loan.id, on=on) if loan.remaining_fen else 0
    return Most(fen=loan.remaining_fen - credit_fen, is_settlement=False)


def require_payable(session: Session, *, loan: LoanView, amount_fen: int, on: date) -> None:
    """Refuse an amount that is nothing, that the debt does not need, or that settles it.

    Raises:
        AmountRefused: As said above.
    """
    if amount_fen <= 0:
        raise AmountRefused(f"{amount_fen} fen repay nothing")
    most = most_payable(session, loan=loan, on=on)
    if amount_fen > most.fen - most.is_settlement:
        raise AmountRefused(f"loan {loan.id} takes {most.fen} fen today")


def look_at_amount(session: Session, *, loan: LoanView, amount_fen: int, on: date) -> OwnAmount:
    """Say where an amount would go today, by the very replay that posting would store.

    Raises:
        AmountRefused: As said above.
    """
    require_payable(session, loan=loan, amount_fen=amount_fen, on=on)
    event = Payment(id="", on=on, amount_fen=amount_fen)
    events = booked_together(session, loan_id=loan.id, event=event)
    before, after = states_with(session, loan_id=loan.id, events=events, on=on)
    known = {row.n: row.paid for row in before.rows}
    shares = (
        Share(
            n=row.n,
            due_on=row.due_on,
            paid=row.paid - known.get(row.n, NOTHING),
            left_fen=row.outstanding.total_fen,
        )
        for row in after.rows
    )
    return OwnAmount(
        amount_fen=amount_fen,
        shares=tuple(share for share in shares if share.paid.total_fen),
        due_left_fen=after.due_now.total_fen,
        remaining_before_fen=before.outstanding.total_fen,
        remaining_after_fen=after.outstanding.total_fen,
    )
