"""Paying out what was collected for others: agreed to by two, sent by bank, booked, and undone.

A payout is of all that was collected for a payee up to a day and not paid yet. It is booked when
the bank has sent it, once; what comes back is payable again.

    PayoutRefused      409  as servicing.payouts says
    BankReferenceUsed  409  the bank's number stands for another payout
"""

from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import Conflict
from kernel.ids import new_number
from servicing.chart import FEE_PAYABLE, FUNDING
from servicing.operations.ledger import NewEntry, Posting, post_all
from servicing.payouts import PayoutEvent, PayoutRefused, PayoutState, payout_after
from servicing.queries.payees import Payee, payable_fen
from servicing.tables import PayeePayout

PAYOUT: Final = "payee-payout"
PAYOUT_BACK: Final = "payee-payout-returned"


class BankReferenceUsed(Conflict):
    """The bank's number of the transfer stands for another payout."""

    code = "payout-reference-used"
    message_zh = "该银行流水号已登记在另一笔付款上"


def assert_payable(session: Session, *, payee: Payee, until_on: date, amount_fen: int) -> None:
    """Say whether so much may be paid to a payee now.

    Raises:
        PayoutRefused: Another amount is payable by now, or nothing.
    """
    found_fen = payable_fen(session, payee=payee, until_on=until_on)
    if amount_fen <= 0 or found_fen != amount_fen:
        raise PayoutRefused(f"{found_fen} fen are payable to {payee.name}, not {amount_fen}")


def approve_payout(
    session: Session,
    *,
    payee: Payee,
    until_on: date,
    amount_fen: int,
    asked_by: str,
    reason: str,
    now: datetime,
) -> str:
    """Let a payout be sent that two people agreed to; returns its number.

    Args:
        session: A write session.
        payee: Who gets it, and from whose books.
        until_on: The last day whose collections are in it.
        amount_fen: All that is payable of them.
        asked_by: Who proposed it.
        reason: Why, in their words.
        now: The instant.

    Raises:
        PayoutRefused: Another amount is payable by now.
    """
    assert_payable(session, payee=payee, until_on=until_on, amount_fen=amount_fen)
    number = new_number("FP", on=business_date(now))
    session.add(
        PayeePayout(
            number=number,
            creditor=payee.creditor,
            payee=payee.name,
            until_on=until_on,
            amount_fen=amount_fen,
            state=PayoutState.APPROVED,
            asked_by=asked_by,
            reason=reason,
            approved_at=now,
        )
    )
    session.flush()
    return number


def pay_out(
    session: Session, *, number: str, bank_ref: str, on: date, by: str, now: datetime
) -> None:
    """Keep that the bank sent a payout, and book it.

    Args:
        session: A write session.
        number: Of an approved payout.
        bank_ref: The bank's number of the transfer.
        on: The day on which the money left.
        by: Who entered it.
        now: The instant.

    Raises:
        PayoutRefused: It is not to be sent, or not so much is payable any more: call it off.
        BankReferenceUsed: Said above.
    """
    row = _locked(session, number)
    state = payout_after(row.state, PayoutEvent.PAY)
    if on < business_date(row.approved_at):
        raise PayoutRefused(f"payout {number} was not approved on {on}")
    payee = Payee(creditor=row.creditor, name=row.payee)
    if payable_fen(session, payee=payee, until_on=row.until_on) < 0:
        raise PayoutRefused(f"less than {row.amount_fen} fen are payable by now")
    used = select(PayeePayout.id).where(PayeePayout.bank_ref == bank_ref)
    if session.scalar(used) is not None:
        raise BankReferenceUsed(f"{bank_ref} stands for another payout")
    row.state, row.bank_ref, row.paid_on, row.paid_by = state, bank_ref, on, by
    _post(session, row, PAYOUT, row.amount_fen, on, now)


def take_back_payout(
    session: Session, *, number: str, why: str, on: date, by: str, now: datetime
) -> None:
    """Keep that a payout came back, or never left, and make it payable again.

    Raises:
        PayoutRefused: It was not paid.
    """
    row = _locked(session, number)
    row.state = payout_after(row.state, PayoutEvent.RETURN)
    row.ended_on, row.ended_by, row.ended_why = on, by, why
    _post(session, row, PAYOUT_BACK, -row.amount_fen, on, now)


def cancel_payout(session: Session, *, number: str, why: str, by: str, now: datetime) -> None:
    """Call a payout off that was not sent.

    Raises:
        PayoutRefused: It was sent, or called off already.
    """
    row = _locked(session, number)
    row.state = payout_after(row.state, PayoutEvent.CANCEL)
    row.ended_on, row.ended_by, row.ended_why = business_date(now), by, why


def _locked(session: Session, number: str) -> PayeePayout:
    row = session.scalar(
        select(PayeePayout)
        .where(PayeePayout.number == number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise PayoutRefused(f"no payout {number}")
    return row


def _post(session: Session, row: PayeePayout, kind: str, fen: int, on: date, now: datetime) -> None:
    entry = NewEntry(
        kind=kind,
        key=row.number,
        effective_on=on,
        creditor=row.creditor,
        postings=(
            Posting(account=FEE_PAYABLE, amount_fen=fen, payee=row.payee),
            Posting(account=FUNDING, amount_fen=-fen),
        ),
    )
    post_all(session, entries=[(None, entry)], now=now)
