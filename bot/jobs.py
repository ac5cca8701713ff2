"""What the assistant does in the background: receipts, codes, the menu.

Messages leave through contact, so that each goes out once, whatever becomes of a job.
"""

import json
from contextlib import suppress
from datetime import date

from bot import phrases
from bot.memory import key_of
from bot.menu import publish_menu
from contact import operations as contact
from contact.ports import AddressKind, Channel
from contact.queries import address_of
from kernel.clock import business_date
from kernel.idempotency import KeyReused
from kernel.jobs import job
from kernel.logs import log
from kernel.runtime import Runtime
from servicing import queries

CODE_MINUTES = 5


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
    **_more: object,
) -> None:
    """Tell the borrower that a payment arrived, what remains and what comes next.

    The same payment is told once, however often its event arrives; who has bound no WeChat account
    is not told.
    """
    now = runtime.clock.now()
    with runtime.database.write() as session:
        reached = address_of(
            session,
            customer_id=customer_id,
            channel_kind=AddressKind.WECHAT,
            cipher=runtime.cipher,
        )
        if reached is None:
            return
        loan = queries.loan_of(
            session, loan_id=loan_id, customer_id=customer_id, on=business_date(now)
        )
        facts = {
            "amount_fen": amount_fen,
            "label": phrases.receipt_label(loan),
            "paid_on": date.fromisoformat(value_date).isoformat(),
            "remaining_fen": remaining_fen,
        }
        # A repeat of the event may find the loan changed; what was said the first time stands.
        with suppress(KeyReused):
            contact.answer(
                session,
                key=f"receipt:{key}",
                channel=Channel.WECHAT_MESSAGE,
                template="receipt",
                facts=facts,
                customer_id=customer_id,
                address=reached[1],
                cipher=runtime.cipher,
                now=now,
            )


@job()
def send_code(runtime: Runtime, *, ticket: str) -> None:
    """Send a one-time code to the phone that a ticket in Redis holds, if it is a customer's."""
    sealed = runtime.redis.get(key_of("ticket", ticket))
    if not isinstance(sealed, bytes):
        return
    held = json.loads(runtime.cipher.decrypt(sealed.decode(), context="bot.ticket"))
    with runtime.database.write() as session:
        found = queries.find_customers(session, runtime.cipher, text=held["phone"], limit=1)
        if not found:
            log.info("code for an unknown phone not sent")
            return
        contact.answer(
            session,
            key=f"otp:{ticket}",
            channel=Channel.SMS,
            template="otp",
            facts={"code": held["code"], "minutes": str(CODE_MINUTES)},
            customer_id=found[0].id,
            address=held["phone"],
            cipher=runtime.cipher,
            now=runtime.clock.now(),
        )


@job()
def create_menu(runtime: Runtime) -> None:
    """Replace the account's menu by ours."""
    publish_menu(runtime)
