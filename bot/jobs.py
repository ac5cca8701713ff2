"""What the assistant does in the background: receipts, news of decisions, codes, the menu.

Messages leave through contact, so that each goes out once, whatever becomes of a job.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal

from sqlalchemy.orm import Session

from bot import phrases
from bot.dialogue import DECISION
from bot.memory import Memory, key_of
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
from servicing.operations import review_event
from servicing.queries import APPEALED, ApplicationDetail, ApplicationState

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

    The same payment is told once, however often its event arrives, and not once it was reversed;
    who has bound no WeChat account is not told.
    """
    on = business_date(runtime.clock.now())
    with runtime.database.write() as session:
        if queries.is_reversed(session, loan_id=loan_id, key=key):
            return
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
        _tell(
            runtime,
            session,
            customer_id=customer_id,
            key=f"receipt:{key}",
            template="receipt",
            facts={
                "amount_fen": amount_fen,
                "label": phrases.receipt_label(loan),
                "paid_on": date.fromisoformat(value_date).isoformat(),
                # A settlement may have waived the rest in the payment's own transaction.
                "remaining_fen": min(remaining_fen, loan.remaining_fen),
            },
        )


@job()
def send_refund_receipt(
    runtime: Runtime,
    *,
    refund_id: int,
    loan_id: int,
    customer_id: int,
    amount_fen: int,
    is_transfer: bool = False,
    **_more: object,
) -> None:
    """Tell the borrower that money which they were owed is back, and which way it came.

    The same refund is told once; who has bound no WeChat account is not told.
    """
    now = runtime.clock.now()
    on = business_date(now)
    with runtime.database.write() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
        _tell(
            runtime,
            session,
            customer_id=customer_id,
            key=f"refund:{refund_id}",
            template="refund_transfer" if is_transfer else "refund",
            facts={
                "amount_fen": amount_fen,
                "label": phrases.title(loan),
                "refunded_on": on.isoformat(),
            },
        )


@job()
def tell_decision(
    runtime: Runtime, *, application_id: int, customer_id: int, outcome: str, **_more: object
) -> None:
    """Tell the applicant what was decided, why, and how to reach a person.

    An outcome is told once, and a person's again after the machine's; what is overtaken by the
    next decision is left to that one's event. Who has bound no WeChat account is not told.
    """
    with runtime.database.write() as session:
        found = queries.application_of(session, application_id=application_id)
        if found is None or found.state != outcome or _is_told_already(found):
            return
        by = "person" if found.is_by_person else "machine"
        openid = _tell(
            runtime,
            session,
            customer_id=customer_id,
            key=f"decision:{application_id}:{outcome}:{by}",
            template="decision",
            facts={
                "text": phrases.application(
                    found, queries.customer_reasons(found.reasons, found.told)
                ),
                "label": phrases.goods(found.merchandise),
                "status": phrases.APPLICATION_STATUS[ApplicationState(outcome)],
                "decided_on": business_date(found.decided_at or found.submitted_at).isoformat(),
            },
        )
    if openid is not None:
        Memory(runtime.redis, runtime.cipher).expect(openid, DECISION, yields=True)


@job()
def tell_review(
    runtime: Runtime,
    *,
    application_id: int,
    customer_id: int,
    was_fen: int,
    amount_fen: int,
    was_rate_annual: str = "",
    **_more: object,
) -> None:
    """Tell the borrower what a person made of the terms that they were approved on; once."""
    with runtime.database.write() as session:
        found = queries.application_of(session, application_id=application_id)
        if found is None:
            return
        _tell(
            runtime,
            session,
            customer_id=customer_id,
            key=f"terms:{application_id}",
            template="decision",
            facts={
                "text": phrases.reviewed(
                    found,
                    was_fen=was_fen,
                    amount_fen=amount_fen,
                    was_rate=Decimal(was_rate_annual or found.rate_annual),
                ),
                "label": phrases.goods(found.merchandise),
                "status": phrases.REVIEWED_STATUS,
                "decided_on": business_date(runtime.clock.now()).isoformat(),
            },
        )


@job()
def tell_lapse(runtime: Runtime, *, application_id: int, customer_id: int, **_more: object) -> None:
    """Tell the applicant that an approval was not used in time; once."""
    with runtime.database.write() as session:
        found = queries.application_of(session, application_id=application_id)
        if found is None or found.state != ApplicationState.CANCELLED:
            return
        _tell(
            runtime,
            session,
            customer_id=customer_id,
            key=f"lapse:{application_id}",
            template="hold_lapsed",
            facts={
                "text": phrases.application(found, ()),
                "label": phrases.goods(found.merchandise),
                "lapsed_on": business_date(runtime.clock.now()).isoformat(),
            },
            make=contact.notify,
        )


@job()
def tell_change(
    runtime: Runtime, *, loan_id: int, customer_id: int, kind: str, seq: int, **_more: object
) -> None:
    """Tell the borrower what a change did to what they owe, whether they asked for it or not.

    The same change is told once; who has bound no WeChat account is not told.
    """
    if kind not in phrases.CHANGES:
        return
    on = business_date(runtime.clock.now())
    with runtime.database.write() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
        events = queries.loan_events(session, loan_id=loan_id)
        change = review_event(session, loan_id=loan_id, seq=seq)
        changed_on = next(event.value_date for event in events if event.seq == seq)
        _tell(
            runtime,
            session,
            customer_id=customer_id,
            key=f"change:{loan_id}:{seq}",
            template="plan_changed",
            facts={
                "text": phrases.change(loan, change, changed_on),
                "label": phrases.title(loan),
                "what": phrases.CHANGES[kind],
                "changed_on": changed_on.isoformat(),
            },
            make=contact.notify,
        )


def _is_told_already(found: ApplicationDetail) -> bool:
    """Whoever asks for a person is answered where they ask."""
    return found.state == ApplicationState.IN_REVIEW and APPEALED in found.reasons


def _tell(
    runtime: Runtime,
    session: Session,
    *,
    customer_id: int,
    key: str,
    template: str,
    facts: Mapping[str, object],
    make: Callable[..., int] = contact.answer,
) -> str | None:
    """Tell a customer in the WeChat account that they bound, and return it; None if they did not.

    Outside the platform's 48 hours or after its fifth message, contact says it by template, where
    there is one.
    """
    reached = address_of(
        session,
        customer_id=customer_id,
        channel_kind=AddressKind.WECHAT,
        cipher=runtime.cipher,
    )
    if reached is None:
        return None
    # A repeat of the event may find the loan changed; what was said the first time stands.
    with suppress(KeyReused):
        make(
            session,
            key=key,
            channel=Channel.WECHAT_MESSAGE,
            template=template,
            facts=facts,
            customer_id=customer_id,
            address=reached[1],
            cipher=runtime.cipher,
            now=runtime.clock.now(),
        )
    return reached[1]


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
