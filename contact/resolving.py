"""What became of messages whose outcome nobody here saw.

A short message is asked of the provider by its reference. A WeChat template message is posted
again under the same client_msg_id while the platform still drops repeats, and only if the gate
would let it out now. All else waits for a receipt, a result push, or a member of staff: nothing is
ever blindly sent again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from contact.addresses import context_of
from contact.checkpoint import ContactRow, Gate, read_books, select_contacts
from contact.delivery import Outcome, Parcel, deliver
from contact.gate import Allow, Block
from contact.model import AddressKind, Channel, State, Step
from contact.outcomes import write_outcomes
from contact.ports import (
    OutcomeUnknown,
    ProviderNotReached,
    SmsError,
    SmsProvider,
    SmsStatus,
    WeChatApi,
)
from contact.references import reference_of
from contact.tables import Contact
from kernel.clock import business_date
from kernel.runtime import Runtime

_CHUNK: Final = 500

# Later than any request of ours can still be under way: lease, time-outs and a margin.
_ABSENCE_IS_SURE: Final = timedelta(minutes=4)
# The platform drops repeats for 10 minutes; we stop a minute earlier.
_REPEATS_DROPPED: Final = timedelta(minutes=9)
_STEPS: Final = {
    SmsStatus.DELIVERED: Step.ACCEPT,
    SmsStatus.WAITING: Step.ACCEPT,
    SmsStatus.FAILED: Step.REFUSE,
    SmsStatus.ABSENT: Step.RETRY,
}


def resolve_unknown(runtime: Runtime) -> dict[str, int]:
    """Find out what became of lost messages; safe to repeat.

    Returns:
        How many turned out `sent`, `failed`, to be sent again (`retried`), or still `unknown`.
    """
    now = runtime.clock.now()
    tally: Counter[str] = Counter()
    for channel, ask in ((Channel.SMS, _ask_sms), (Channel.WECHAT_TEMPLATE, _repeat_templates)):
        with runtime.database.read() as session:
            ids = session.scalars(
                select(Contact.id)
                .where(Contact.state == State.UNKNOWN, Contact.channel == channel)
                .order_by(Contact.id.desc())
                .limit(_CHUNK)
            ).all()
        outcomes = list(ask(runtime, ids, now)) if ids else []
        if outcomes:
            with runtime.database.write() as session:
                write_outcomes(session, outcomes, None, now, tally)
    return dict(tally)


def _ask_sms(runtime: Runtime, ids: Sequence[int], now: datetime) -> Iterable[Outcome]:
    sms = runtime.get(SmsProvider)
    with runtime.database.read() as session:
        rows = select_contacts(session, ids, state=State.UNKNOWN, owner=None)
    for row in rows:
        phone = runtime.cipher.decrypt(row.address_enc, context=context_of(AddressKind.PHONE))
        reference = reference_of(runtime.cipher, row.id)
        try:
            status = _status(sms, phone, reference, _days(row.sending_at))
        except (SmsError, ProviderNotReached, OutcomeUnknown):
            continue
        if status is SmsStatus.ABSENT and now - row.sending_at < _ABSENCE_IS_SURE:
            continue
        is_over = status in (SmsStatus.DELIVERED, SmsStatus.FAILED)
        yield Outcome(
            contact_id=row.id,
            attempt=row.attempts,
            step=_STEPS[status],
            code=f"query-{status}",
            delivery=str(status) if is_over else None,
        )


def _status(sms: SmsProvider, phone: str, reference: str, days: Iterable[date]) -> SmsStatus:
    for on in days:
        status = sms.query(phone, reference, on)
        if status is not SmsStatus.ABSENT:
            return status
    return SmsStatus.ABSENT


def _days(sending_at: datetime) -> tuple[date, ...]:
    """Return the days on which the provider may have booked it: one, or two around midnight."""
    return tuple(
        sorted({business_date(sending_at + lag) for lag in (timedelta(), _ABSENCE_IS_SURE)})
    )


def _repeat_templates(runtime: Runtime, ids: Sequence[int], now: datetime) -> Iterable[Outcome]:
    with runtime.database.write() as session:
        rows = [
            row
            for row in select_contacts(session, ids, state=State.UNKNOWN, owner=None)
            if now - row.sending_at < _REPEATS_DROPPED
        ]
        verdicts = _gate(runtime, session, rows, now)
    wechat, sms = runtime.get(WeChatApi), runtime.get(SmsProvider)
    for row, verdict in zip(rows, verdicts, strict=True):
        if not isinstance(verdict, Block):
            outcome = deliver(verdict[1], wechat=wechat, sms=sms)
            # A refused repeat does not say what became of the first.
            if outcome.step is Step.ACCEPT:
                yield replace(outcome, attempt=row.attempts)


def _gate(
    runtime: Runtime, session: Session, rows: Sequence[ContactRow], now: datetime
) -> list[tuple[Allow, Parcel] | Block]:
    if not rows:
        return []
    gate = Gate.open(runtime, session, read_books(runtime, session), rows, now)
    return [gate.try_one(row) for row in rows]
