"""What providers answered, written beside the contact: sent, failed, again later, or unknown.

A late answer counts as long as nobody else took the contact over. It calls no provider.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from contact.among import among
from contact.book import TemplateNotInForce, template_in_force
from contact.checkpoint import give_back_quota
from contact.delivery import Outcome
from contact.events import ContactReady
from contact.journal import note
from contact.model import Channel, Purpose, State, Step, states_before
from contact.tables import Contact
from kernel.database import insert_ignore
from kernel.outbox import record

_MAX_ATTEMPTS: Final = 6
_NAMES: Final = {
    Step.ACCEPT: "sent",
    Step.REFUSE: "failed",
    Step.RETRY: "retried",
    Step.LOSE: "unknown",
}
_FALLBACK_CODES: Final = frozenset({"45015", "45047"})
_SOON: Final = timedelta(seconds=2)
_LATER: Final = timedelta(seconds=30)


def write_outcomes(
    session: Session,
    outcomes: Sequence[Outcome],
    owner: str | None,
    now: datetime,
    tally: Counter[str],
) -> None:
    """Write what came of contacts.

    Args:
        session: An open write session.
        outcomes: One for each contact at most.
        owner: Whose lease they are under, or None for what was found out about lost ones later.
        now: The instant of writing.
        tally: Counts `sent`, `failed`, `retried` and `unknown`.
    """
    ours = _lock_ours(session, outcomes, owner)
    known = [outcome for outcome in outcomes if outcome.contact_id in ours]
    noted: dict[tuple[Step, str], list[int]] = {}
    accepted = [outcome for outcome in known if outcome.step is Step.ACCEPT]
    _write_accepted(session, accepted, now)
    for outcome in accepted:
        noted.setdefault((Step.ACCEPT, outcome.code), []).append(outcome.contact_id)
    rest = [outcome for outcome in known if outcome.step is not Step.ACCEPT]
    # Quota rows are locked in the order of customers, here as in the gate.
    for outcome in sorted(rest, key=lambda outcome: ours[outcome.contact_id]):
        step = _write_other(session, outcome, now)
        noted.setdefault((step, outcome.code), []).append(outcome.contact_id)
    session.flush()
    for (step, code), ids in noted.items():
        note(session, ids, step=step, at=now, detail=code)
        tally[_NAMES[step]] += len(ids)


def _lock_ours(session: Session, outcomes: Sequence[Outcome], owner: str | None) -> dict[int, int]:
    """Lock the contacts that the outcomes may still be written to; return id → customer (or 0)."""
    states = (State.UNKNOWN,) if owner is None else states_before(Step.ACCEPT)
    attempts = {outcome.contact_id: outcome.attempt for outcome in outcomes}
    query = (
        select(Contact.id, Contact.customer_id, Contact.attempts)
        .where(among(session, Contact.id, attempts), Contact.state.in_(states))
        .order_by(Contact.id)
        .with_for_update()
    )
    if owner is not None:
        query = query.where(Contact.lease_owner == owner)
    return {
        row.id: row.customer_id or 0
        for row in session.execute(query)
        if attempts[row.id] in (None, row.attempts)
    }


def _write_accepted(session: Session, outcomes: Sequence[Outcome], now: datetime) -> None:
    if not outcomes:
        return
    session.connection().execute(
        update(Contact)
        .where(Contact.id == bindparam("contact_id"))
        .values(
            state=State.SENT,
            sent_at=Contact.sending_at,
            provider_id=bindparam("given_id"),
            delivery=bindparam("known"),
            delivered_at=bindparam("known_at"),
            lease_until=None,
            reason=None,
        ),
        [
            {
                "contact_id": outcome.contact_id,
                "given_id": outcome.provider_id or None,
                "known": outcome.delivery,
                "known_at": now if outcome.delivery else None,
            }
            for outcome in outcomes
        ],
    )


def _write_other(session: Session, outcome: Outcome, now: datetime) -> Step:
    contact = session.get_one(Contact, outcome.contact_id)
    step = outcome.step
    if step is Step.RETRY and contact.attempts >= _MAX_ATTEMPTS:
        step = Step.REFUSE
    contact.lease_until = None
    contact.reason = outcome.code or None
    if step is Step.LOSE:
        contact.state = State.UNKNOWN
        return step
    give_back_quota(session, contact)
    contact.lease_owner = None
    contact.delivery = outcome.delivery
    if step is Step.RETRY:
        contact.state = State.READY
        contact.not_before = now + _backoff(contact)
    else:
        contact.state = State.FAILED
        if outcome.code in _FALLBACK_CODES:
            _fall_back(session, contact, now)
    return step


def _backoff(contact: Contact) -> timedelta:
    first = _SOON if contact.purpose == Purpose.ANSWER else _LATER
    return first * int(2 ** (contact.attempts - 1))


def _fall_back(session: Session, contact: Contact, now: datetime) -> None:
    """Say by template what could not be said as a customer-service message."""
    try:
        template = template_in_force(
            session, code=contact.template_code, channel=Channel.WECHAT_TEMPLATE
        )
    except TemplateNotInForce:
        return
    key = f"{contact.key}:template"
    row = {
        name: getattr(contact, name)
        for name in ("customer_id", "address_id", "recipient", "purpose", "day", "facts")
    }
    row |= {
        "channel": Channel.WECHAT_TEMPLATE,
        "template_code": template.code,
        "template_version": template.version,
        "key": key,
        "created_at": now,
        "not_before": now,
        "expires_at": now + timedelta(seconds=template.valid_s),
        "priority": contact.priority,
        "state": State.READY,
        "attempts": 0,
    }
    if insert_ignore(session, Contact, [row], conflict=["key"]):
        contact_id = session.scalars(select(Contact.id).where(Contact.key == key)).one()
        record(session, ContactReady(contact_id=contact_id), now=now)
