"""Sends money back to where it came from, and hears whether it arrived.

One out_refund_no per refund, reused at every try, so that the platform never pays twice. Why
money goes back is decided by settlement, overpaid and differences. What the platform refuses for
good is closed; of a loan's credit, it then goes another way (overpaid), else a person sends it.
"""

from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import outbox
from kernel.clock import business_date
from kernel.errors import Conflict, FenqiError, NotFound
from kernel.logs import log
from kernel.runtime import Runtime
from servicing.payments import book, overpaid, watch
from servicing.payments.events import PaymentRefunded
from servicing.payments.model import (
    REFUND_IN_FLIGHT,
    RefundState,
    next_refund_try_at,
    refund_after,
)
from servicing.payments.ports import PayProblem, PayProvider, PayRefused, RefundFact
from servicing.payments.tables import PayDifference, Payment, Refund
from servicing.tables import Loan

_BATCH = 50
_CODE_SIGNS = 64
_PATIENCE = 5
# The platform will not send so much back to this payer, however often it is asked.
_NEVER = ("INVALID_REQUEST", "USER_ACCOUNT_ABNORMAL", "RESOURCE_NOT_EXISTS")

REFUNDS = Counter("fenqi_refunds_total", "Refunds that ended", ["state"])


class RefundNotFound(NotFound):
    """No such refund."""

    code = "refund-not-found"
    message_zh = "没有找到这笔退款"

    def __init__(self, detail: str, out_refund_no: str) -> None:
        super().__init__(detail)
        self.out_refund_no = out_refund_no


class RefundMismatch(Conflict):
    """The platform's fact is not about our refund."""

    code = "refund-mismatch"
    message_zh = "退款结果与退款单不一致"


def send_refunds(runtime: Runtime) -> int:
    """Send, or ask about, every refund whose next try is due.

    Returns:
        How many were tried; what went wrong with a single one is kept in its row.
    """
    now = runtime.clock.now()
    with runtime.database.write() as session:
        refunds = session.scalars(
            select(Refund)
            .where(Refund.state.in_(REFUND_IN_FLIGHT), Refund.next_try_at <= now)
            .order_by(Refund.next_try_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for refund in refunds:
            refund.next_try_at = next_refund_try_at(tried=refund.tries, now=now)
            refund.tries += 1
    for refund in refunds:
        try:
            send_refund(runtime, out_refund_no=refund.out_refund_no, now=now)
        except (PayProblem, FenqiError) as error:
            log.warning("refund not done", out_refund_no=refund.out_refund_no, refusal=error.code)
            _keep_code(runtime, refund.out_refund_no, error.code, now)
    return len(refunds)


def send_refund(runtime: Runtime, *, out_refund_no: str, now: datetime) -> RefundState:
    """Send one refund, or ask how it goes once it was taken; safe to repeat.

    Raises:
        PayRefused, PayUnknown: From the provider; the refund stays as it is, unless it was refused
            for good and the provider knows of none: then it is closed.
        RefundNotFound: We have no such refund.
    """
    with runtime.database.read() as session:
        refund = session.scalar(select(Refund).where(Refund.out_refund_no == out_refund_no))
        if refund is None:
            raise RefundNotFound("no such refund", out_refund_no)
        source = origin_of(session, refund)
    if refund.state not in REFUND_IN_FLIGHT:
        return RefundState(refund.state)
    provider = runtime.get(PayProvider)
    fact = _told(provider, refund, source) if source.is_owed else _unsent(provider, refund)
    with runtime.database.write() as session:
        return settle_refund(session, fact=fact, now=now)


def _told(provider: PayProvider, refund: Refund, source: "Origin") -> RefundFact:
    """Ask about a refund that was taken, else send it; one refused for good is a closed one."""
    number = refund.out_refund_no
    fact = None
    if refund.state == RefundState.PROCESSING:
        fact = provider.query_refund(out_refund_no=number)
    if fact is not None:
        return fact
    try:
        return provider.refund(
            out_refund_no=number,
            transaction_id=source.transaction_id,
            refund_fen=refund.amount_fen,
            total_fen=source.total_fen,
            reason=refund.reason,
        )
    except PayRefused as error:
        if error.code not in _NEVER:
            raise
        return _unsent(provider, refund)


def _unsent(provider: PayProvider, refund: Refund) -> RefundFact:
    """Say what became of a refund that is not to be sent (again): closed, if nobody knows it."""
    return provider.query_refund(out_refund_no=refund.out_refund_no) or RefundFact(
        out_refund_no=refund.out_refund_no,
        refund_id="",
        status="CLOSED",
        refund_fen=refund.amount_fen,
    )


def settle_refund(session: Session, *, fact: RefundFact, now: datetime) -> RefundState:
    """Make a fact about a refund true in the book, once, however often it comes.

    Raises:
        RefundNotFound: We have no such refund.
        RefundMismatch: The amount is not our refund's; nothing changes.
    """
    known = session.scalar(select(Refund).where(Refund.out_refund_no == fact.out_refund_no))
    if known is None:
        raise RefundNotFound("the platform names a refund that is not ours", fact.out_refund_no)
    source = origin_of(session, known)
    if source.loan_id is not None:
        book.lock(session, loan_id=source.loan_id)
    refund = session.scalars(
        select(Refund)
        .where(Refund.out_refund_no == fact.out_refund_no)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if fact.refund_fen != refund.amount_fen:
        raise RefundMismatch(f"refund {fact.out_refund_no}: amounts differ")
    before, refund.state = refund.state, refund_after(refund.state, fact.status)
    if before == RefundState.TRANSFERRED and fact.status == "SUCCESS":
        _alert(session, refund, source, "twice", now)
    if refund.state == before:
        return RefundState(before)
    refund.provider_refund_id = fact.refund_id or None
    if refund.state != RefundState.PROCESSING:
        _end(session, refund, source, fact, now)
    return RefundState(refund.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where money goes back to: a payment of ours, what a bill showed past our book, or no account.

    Attributes:
        transaction_id: The platform's number of the payment; empty where a person sends it.
        is_owed: Whether all that is on its way of a loan's credit is still owed; what made the loan
            overpaid may have been undone.
    """

    transaction_id: str
    total_fen: int
    customer_id: int | None
    loan_id: int | None
    payment: Payment | None = None
    is_owed: bool = True


def origin_of(session: Session, refund: Refund) -> Origin:
    """Say where a refund's money goes back to, and whose it is."""
    loan = refund.credit_loan_id and session.get_one(Loan, refund.credit_loan_id)
    is_owed = not loan or overpaid.pending_fen(session, loan_id=loan.id) <= loan.credit_fen
    if refund.payment_id is None and loan:
        return Origin(
            transaction_id="",
            total_fen=0,
            customer_id=loan.customer_id,
            loan_id=loan.id,
            is_owed=is_owed,
        )
    if refund.payment_id is None:
        found = session.get_one(PayDifference, refund.difference_id)
        return Origin(
            transaction_id=found.transaction_id,
            total_fen=found.there_fen or 0,
            customer_id=found.customer_id,
            loan_id=found.loan_id,
        )
    payment = session.get_one(Payment, refund.payment_id)
    return Origin(
        transaction_id=payment.transaction_id,
        total_fen=payment.amount_fen,
        customer_id=payment.customer_id,
        loan_id=payment.loan_id,
        payment=payment,
        is_owed=is_owed,
    )


def _end(session: Session, refund: Refund, source: Origin, fact: RefundFact, now: datetime) -> None:
    REFUNDS.labels(refund.state).inc()
    if refund.state == RefundState.CLOSED and refund.credit_loan_id is not None:
        overpaid.try_other_way(session, refund, loan_id=refund.credit_loan_id, now=now)
        return
    if refund.state != RefundState.SUCCEEDED:
        log.error("refund needs a person", out_refund_no=refund.out_refund_no, state=refund.state)
        _alert(session, refund, source, refund.state, now)
        return
    refund.settled_at = fact.success_at or now
    value_date = business_date(refund.settled_at)
    book.give_back(session, refund, value_date=value_date, by=overpaid.MACHINE, now=now)
    if source.payment is not None:
        tell(session, refund, source.payment.customer_id, source.payment.loan_id, now=now)


def tell(
    session: Session, refund: Refund, customer_id: int, loan_id: int, *, now: datetime
) -> None:
    """Record the news that a refund's money is with the borrower again."""
    outbox.record(
        session,
        PaymentRefunded(
            refund_id=refund.id,
            payment_id=refund.payment_id,
            loan_id=loan_id,
            customer_id=customer_id,
            amount_fen=refund.amount_fen,
            is_transfer=refund.state == RefundState.TRANSFERRED,
        ),
        now=now,
    )


def _keep_code(runtime: Runtime, out_refund_no: str, code: str, now: datetime) -> None:
    with runtime.database.write() as session:
        refund = session.scalars(
            select(Refund).where(Refund.out_refund_no == out_refund_no).with_for_update()
        ).one()
        refund.last_code = code[:_CODE_SIGNS]
        if refund.tries >= _PATIENCE:
            _alert(session, refund, origin_of(session, refund), "stuck", now)


def _alert(session: Session, refund: Refund, source: Origin, why: str, now: datetime) -> None:
    watch.alert_refund(session, refund, source.customer_id, source.loan_id, why, now=now)
