"""Money that came past WeChat Pay, by bank transfer or over the counter, each proof once.

What is owed is settled by the very operations that a payment in WeChat goes through. Who may say
that money came, and that a second person looked at the proof, is decided where the request comes
in.

    ProofUsed       409  the proof stands for money that we booked, or a partner reported
    ReceiptRefused  422  dated before the loan or after today, or by no such way
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, Unpack

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.errors import Conflict, Invalid
from servicing.engine.events import Event, Payment, Prepayment
from servicing.engine.profile import Excess
from servicing.operations.endings import recover, recovery
from servicing.operations.posting import RECEIVED, lock_loan
from servicing.operations.repayments import post_prepayment, post_repayment
from servicing.operations.requests import Asked
from servicing.queries.history import find_loan
from servicing.queries.receipts import BANK_TRANSFER, is_standing, is_transfer_of_partner
from servicing.tables import LoanReceipt

CHANNELS: Final = (BANK_TRANSFER, "cash-desk")


class ProofUsed(Conflict):
    """The transfer or slip stands for money that was booked and was not taken back."""

    code = "receipt-proof-used"
    message_zh = "这个凭证号已经入过账，请核对是否重复登记"


class ReceiptRefused(Invalid):
    """Money counts from the day on which it came: after the disbursement, and up to today."""

    code = "receipt-refused"
    message_zh = "收款日期须在放款日至今天之间，请按凭证上的日期填写"


class For(StrEnum):
    """What money is for.

    Attributes:
        DUE: The oldest instalment first.
        AHEAD: What is due and the cost to the day, then principal; the rest is planned anew.
        GIVEN_UP: A claim that was written off.
    """

    DUE = "due"
    AHEAD = "ahead"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Money that came, as its proof says.

    Attributes:
        amount_fen: How much, > 0.
        value_date: The day on which it came.
        channel: One of `CHANNELS`.
        reference: How the bank or the counter names it.
        effect: What becomes smaller, of money that is paid ahead.
    """

    what_for: For
    amount_fen: int
    value_date: date
    channel: str
    reference: str
    effect: Excess = Excess.REDUCE_TERM


def receiving(session: Session, *, loan_id: int, receipt: Receipt, on: date) -> Event:
    """Return the event that money is which came past WeChat Pay.

    Args:
        session: A session.
        loan_id: The loan it is for.
        receipt: What its proof says.
        on: The business date.

    Raises:
        EndingRefused: More came on a claim that was given up than that.
        ProofUsed, ReceiptRefused: Said above.
    """
    if receipt.channel not in CHANNELS:
        raise ReceiptRefused(f"no money comes by {receipt.channel}")
    if not find_loan(session, loan_id=loan_id).disbursed_on <= receipt.value_date <= on:
        raise ReceiptRefused(f"no money of loan {loan_id} came on {receipt.value_date}")
    _freed(session, receipt)
    amount_fen, value_date = receipt.amount_fen, receipt.value_date
    if receipt.what_for is For.DUE:
        return Payment(id="", amount_fen=amount_fen, on=value_date)
    if receipt.what_for is For.AHEAD:
        return Prepayment(id="", amount_fen=amount_fen, on=value_date, effect=receipt.effect)
    return recovery(session, loan_id=loan_id, amount_fen=amount_fen, on=value_date)


def receive(session: Session, *, receipt: Receipt, **asked: Unpack[Asked]) -> int:
    """Book money that came past WeChat Pay, once a key; returns the event's number.

    Raises:
        CostAboveCap: With money on a claim that was given up, the loan would cost too much.
        EndingRefused, ProofUsed, ReceiptRefused: As in `receiving`.
        EventRefused: The loan takes no such money as it stands.
        KeyReused: The key stands for other money.
        PaymentTooLarge: More than the loan still owes.
    """
    loan_id, now = asked["loan_id"], asked["now"]
    key = f"{RECEIVED}{receipt.channel}/{asked['key']}"
    said = {
        "loan_id": loan_id,
        "what_for": receipt.what_for,
        "amount_fen": receipt.amount_fen,
        "value_date": receipt.value_date.isoformat(),
        "reference": receipt.reference,
        "effect": receipt.effect,
    }
    claimed = idempotency.claim(session, action="receive", key=key, payload=said, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    lock_loan(session, loan_id=loan_id)
    receiving(session, loan_id=loan_id, receipt=receipt, on=asked["on"])
    freed = _freed(session, receipt)
    if freed is not None:
        freed.is_void = True
        session.flush()
    seq = _post(session, receipt, {**asked, "key": key})
    _keep(session, receipt, seq, asked)
    claimed.keep({"seq": seq})
    return seq


def _post(session: Session, receipt: Receipt, asked: Asked) -> int:
    if receipt.what_for is For.GIVEN_UP:
        by: Asked = {**asked, "on": receipt.value_date}
        return recover(session, amount_fen=receipt.amount_fen, **by)
    paid: dict[str, Any] = {
        "loan_id": asked["loan_id"],
        "amount_fen": receipt.amount_fen,
        "value_date": receipt.value_date,
        "key": asked["key"],
        "now": asked["now"],
        "actor": asked["actor"],
    }
    if receipt.what_for is For.AHEAD:
        return post_prepayment(session, effect=receipt.effect, **paid)
    return post_repayment(session, **paid)


def _keep(session: Session, receipt: Receipt, seq: int, asked: Asked) -> None:
    """Keep the proof; of two at the same time on two loans, one is refused."""
    try:
        with session.begin_nested():
            session.add(
                LoanReceipt(
                    loan_id=asked["loan_id"],
                    seq=seq,
                    channel=receipt.channel,
                    reference=receipt.reference,
                    amount_fen=receipt.amount_fen,
                    taken_by=asked["actor"],
                    recorded_at=asked["now"],
                )
            )
    except IntegrityError as error:
        raise ProofUsed(f"{receipt.channel} {receipt.reference} stands for other money") from error


def _freed(session: Session, receipt: Receipt) -> LoanReceipt | None:
    """Return what a proof stood for until its event was taken back, if it stood for anything.

    A transfer that a partner reported is booked already: borrowers show its slip to both.

    Raises:
        ProofUsed: Its event stands.
    """
    is_transfer = receipt.channel == BANK_TRANSFER
    if is_transfer and is_transfer_of_partner(session, reference=receipt.reference):
        raise ProofUsed(f"a partner reported the bank transfer {receipt.reference}")
    known = session.scalar(
        select(LoanReceipt).where(
            LoanReceipt.channel == receipt.channel,
            LoanReceipt.reference == receipt.reference,
            LoanReceipt.is_void.is_(False),
        )
    )
    if known is not None and is_standing(session, loan_id=known.loan_id, seq=known.seq):
        raise ProofUsed(f"{receipt.channel} {receipt.reference} stands for money of a loan")
    return known
