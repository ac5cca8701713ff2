"""What the assistant says by itself: receipts; they go through contact, like every message."""

from datetime import date

from contact import operations as contact
from contact.ports import AddressKind, Channel
from contact.queries import address_of
from kernel.clock import business_date
from kernel.jobs import job
from kernel.money import plain_yuan, yuan
from kernel.runtime import Runtime
from servicing import queries


@job()
def send_receipt(
    runtime: Runtime,
    *,
    loan_id: int,
    customer_id: int,
    amount_fen: int,
    value_date: str,
    key: str,
    remaining_fen: int,
    is_settled: bool,
) -> None:
    """Tell the borrower that a payment arrived and what remains; the same payment once."""
    now = runtime.clock.now()
    on = business_date(now)
    with runtime.database.write() as session:
        reached = address_of(
            session,
            customer_id=customer_id,
            channel_kind=AddressKind.WECHAT,
            cipher=runtime.cipher,
        )
        if reached is None:
            return
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
        label = f"{loan.merchandise} 已还{loan.paid_terms}/{loan.terms}期"
        contact.answer(
            session,
            key=f"receipt:{key}",
            channel=Channel.WECHAT_MESSAGE,
            template="receipt",
            facts={
                "amount": yuan(amount_fen),
                "amount_plain": plain_yuan(amount_fen),
                "label": "已全部结清" if is_settled else label,
                "paid_on": date.fromisoformat(value_date).isoformat(),
                "remaining": yuan(remaining_fen),
                "remaining_plain": plain_yuan(remaining_fen),
            },
            customer_id=customer_id,
            address=reached[1],
            cipher=runtime.cipher,
            now=now,
        )
