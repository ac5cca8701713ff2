"""Money that was given back in the merchant's console, past us: what it should be booked as.

It comes to light by a notify or on the bill, and is a difference until two people have agreed to
the booking that is proposed here. Money that we owed and could not send comes first: a refund of
ours that is stuck, then what the loan owes its borrower; the rest was of the repayment, which is
then taken off the loan by that part, as if only what is left of it had been paid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from servicing.chart import CLEARING
from servicing.payments import book, overpaid, refunds
from servicing.payments.differences import (
    OPEN,
    ActNotFitting,
    DifferenceClosed,
    clear,
    lock_difference,
    open_difference,
)
from servicing.payments.matching import Finding, Whose
from servicing.payments.model import NEEDS_PERSON, DifferenceKind, RefundState, Resolution
from servicing.payments.ports import RefundFact
from servicing.payments.tables import PayDifference, Payment, Refund

_SUCCESS: Final = "SUCCESS"
NOTED: Final = "noted"


class Back(StrEnum):
    """What of a loan a refund past us is."""

    OWN_REFUND = "own-refund"
    CREDIT = "credit"
    REPAYMENT = "repayment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One proposed booking, fen > 0.

    Attributes:
        of: The refund of ours, or the event of the loan; the loan itself for its credit.
        is_whole: Whether all of that is booked back.
    """

    kind: Back
    fen: int
    of: int
    is_whole: bool = True

    def as_json(self) -> dict[str, Any]:
        """Write it down."""
        return {**asdict(self), "kind": self.kind.value}


def bookings_of(written: Sequence[Mapping[str, Any]]) -> tuple[Booking, ...]:
    """Read what was written down."""
    return tuple(Booking(**{**each, "kind": Back(each["kind"])}) for each in written)


def settle_or_note(session: Session, *, fact: RefundFact, now: datetime) -> str:
    """Settle a refund of ours that a notify tells of, or note one that we never asked for.

    Returns:
        The state of our refund, or "noted".

    Raises:
        RefundNotFound: It is of no payment of ours, either.
        RefundMismatch: The amount is not our refund's; nothing changes.
    """
    is_ours = select(Refund.id).where(Refund.out_refund_no == fact.out_refund_no)
    payment = session.scalar(select(Payment).where(Payment.transaction_id == fact.transaction_id))
    if session.scalar(is_ours) is not None or payment is None:
        return refunds.settle_refund(session, fact=fact, now=now)
    if fact.status == _SUCCESS:
        at = fact.success_at or now
        finding = Finding(
            kind=DifferenceKind.REFUNDED_THERE,
            at=at,
            transaction_id=fact.transaction_id,
            out_trade_no=fact.out_trade_no,
            out_refund_no=fact.out_refund_no,
            there_fen=fact.refund_fen,
            here_fen=None,
            suspense_fen=-fact.refund_fen,
            whose=Whose(customer_id=payment.customer_id, loan_id=payment.loan_id),
        )
        open_difference(session, finding, bill_on=business_date(at), now=now)
    return NOTED


def proposal_for(session: Session, *, difference_id: int) -> tuple[Booking, ...]:
    """Say how a refund past us should be booked; nothing where no booking fits all of it."""
    row = session.get(PayDifference, difference_id)
    if row is None or row.state != OPEN or row.kind != DifferenceKind.REFUNDED_THERE:
        return ()
    payment = session.scalar(select(Payment).where(Payment.transaction_id == row.transaction_id))
    if payment is None:
        return ()
    bookings, left = [], -row.open_fen
    for booking in _possible(session, payment):
        fen = min(left, booking.fen)
        is_whole = fen == booking.fen
        if fen and (is_whole or booking.kind is not Back.OWN_REFUND):
            bookings.append(Booking(kind=booking.kind, fen=fen, of=booking.of, is_whole=is_whole))
            left -= fen
    return () if left else tuple(bookings)


def _possible(session: Session, payment: Payment) -> Iterator[Booking]:
    """List what money of a payment may have been given back, in the order in which it counts."""
    stuck = session.scalars(
        select(Refund)
        .where(Refund.payment_id == payment.id, Refund.state.in_(NEEDS_PERSON))
        .order_by(Refund.id)
    )
    for refund in stuck:
        if refund.state != RefundState.CLOSED or refund.credit_loan_id is None:
            yield Booking(kind=Back.OWN_REFUND, fen=refund.amount_fen, of=refund.id)
    credit_fen = overpaid.open_credit_of(session, loan_id=payment.loan_id)
    yield Booking(kind=Back.CREDIT, fen=credit_fen, of=payment.loan_id)
    event = book.standing_payment(session, loan_id=payment.loan_id, payment_id=payment.id)
    if event is not None:
        fen = event.payload["amount_fen"]
        yield Booking(kind=Back.REPAYMENT, fen=fen, of=event.seq)


def book_proposal(
    session: Session,
    *,
    difference_id: int,
    bookings: tuple[Booking, ...],
    by: str,
    now: datetime,
) -> None:
    """Book a refund past us as it was proposed, and clear its difference.

    Args:
        session: A write session.
        difference_id: The refund that was made past our book.
        bookings: What was proposed and agreed to.
        by: Who asked for it.
        now: The instant of the act.

    Raises:
        DifferenceNotFound: There is none.
        DifferenceClosed: It has ended.
        ActNotFitting: Another booking fits by now, or none.
        EventRefused: The loan cannot do without the repayment as it stands.
    """
    known = lock_difference(session, difference_id=difference_id)
    if known.loan_id is not None:
        book.lock(session, loan_id=known.loan_id)
    row = lock_difference(session, difference_id=difference_id)
    if row.state != OPEN:
        raise DifferenceClosed(f"difference {difference_id} has ended")
    if not bookings or bookings != proposal_for(session, difference_id=difference_id):
        raise ActNotFitting(f"difference {difference_id} is not what was proposed")
    on, fen = business_date(row.happened_at), row.open_fen
    book.leave_suspense(
        session, name=f"{row.id}/{Resolution.TAKEN_BACK}", to=CLEARING, fen=fen, on=on, now=now
    )
    for booking in bookings:
        _book(session, row, booking, by, now)
    clear(row, fen, Resolution.TAKEN_BACK, by=by, now=now)


def _book(session: Session, row: PayDifference, booking: Booking, by: str, now: datetime) -> None:
    on = business_date(row.happened_at)
    payment = session.scalars(
        select(Payment).where(Payment.transaction_id == row.transaction_id)
    ).one()
    if booking.kind is Back.OWN_REFUND:
        refund = session.get_one(Refund, booking.of, with_for_update=True)
        refund.state, refund.transfer_ref = RefundState.TRANSFERRED, row.out_refund_no
        refund.settled_at = row.happened_at
        book.give_back(session, refund, value_date=on, by=by, now=now)
    elif booking.kind is Back.CREDIT:
        book.give_credit_back(
            session,
            loan_id=booking.of,
            fen=booking.fen,
            key=f"pay-difference/{row.id}/credit",
            value_date=on,
            by=by,
            now=now,
        )
    else:
        book.take_off(
            session,
            loan_id=payment.loan_id,
            payment_id=payment.id,
            fen=booking.fen,
            key=f"pay-difference/{row.id}",
            on=on,
            by=by,
            now=now,
        )
