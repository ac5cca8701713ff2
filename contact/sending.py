"""The sender: claim a batch, let each through the gate, call the providers, write what came of it.

A contact goes ready → claimed → sending → sent | failed | unknown. The gate runs in the
transaction that reserves the quota and writes `sending`, so that a process killed at any point
leaves either a contact that certainly was not sent or one whose outcome is unknown, and never a
second message. What an unknown outcome was is found out in `contact.resolving`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from contact.among import among
from contact.checkpoint import Books, ContactRow, Gate, read_books, select_contacts
from contact.delivery import Parcel, deliver
from contact.gate import Allow, Block, Reason
from contact.journal import note
from contact.model import State, Step
from contact.outcomes import write_outcomes
from contact.ports import SmsProvider, WeChatApi
from contact.tables import Contact
from kernel.clock import business_date
from kernel.ids import new_token
from kernel.runtime import Runtime

CLAIM_LEASE: Final = timedelta(minutes=2)
SENDING_LEASE: Final = timedelta(minutes=2)

# Five rounds of the threads, each within the time-outs: done within gate.SENDING_TAKES.
_MINI_BATCH: Final = 80
_CLAIM: Final = 200
_THREADS: Final = 16
_RECOVER_CHUNK: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCounts:
    """What became of the contacts that were claimed."""

    claimed: int
    sent: int
    failed: int
    retried: int
    unknown: int
    blocked: int
    deferred: int
    expired: int


def send_batch(runtime: Runtime, *, limit: int) -> SendCounts:
    """Claim up to `limit` contacts that are ready, and send those that the gate lets through.

    Any number of senders may run at the same time. Nothing is sent twice, also if this process
    dies at any point; what it held is recovered when its lease ends.
    """
    owner = new_token(12)
    with runtime.database.write() as session:
        ids = _claim(session, owner=owner, limit=limit, now=runtime.clock.now())
    tally: Counter[str] = Counter(claimed=len(ids))
    if not ids:
        return _counts(tally)
    with runtime.database.read() as session:
        books = read_books(runtime, session)
    with ThreadPoolExecutor(min(_THREADS, len(ids)), "deliver") as pool:
        running: Callable[[], None] | None = None
        for start in range(0, len(ids), _MINI_BATCH):
            parcels = _pass_gate(runtime, books, ids[start : start + _MINI_BATCH], owner, tally)
            # While the providers answer this mini-batch, the next one passes the gate.
            if running is not None:
                running()
            running = _hand_over(runtime, pool, parcels, owner, tally)
        if running is not None:
            running()
    return _counts(tally)


def send_ready(runtime: Runtime, *, at_most_s: float) -> SendCounts:
    """Send batch after batch until nothing is ready, or so many seconds have passed.

    A claim is small, so that an answer that arrives meanwhile is among the next ones.
    """
    started = time.monotonic()
    tally: Counter[str] = Counter()
    while time.monotonic() - started < at_most_s:
        counts = asdict(send_batch(runtime, limit=_CLAIM))
        tally.update(counts)
        if counts["claimed"] < _CLAIM:
            break
    return _counts(tally)


def _hand_over(
    runtime: Runtime,
    pool: ThreadPoolExecutor,
    parcels: Sequence[Parcel],
    owner: str,
    tally: Counter[str],
) -> Callable[[], None]:
    wechat, sms = runtime.get(WeChatApi), runtime.get(SmsProvider)
    calls = [pool.submit(deliver, parcel, wechat=wechat, sms=sms) for parcel in parcels]

    def finish() -> None:
        outcomes = [call.result() for call in calls]
        if outcomes:
            with runtime.database.write() as session:
                write_outcomes(session, outcomes, owner, runtime.clock.now(), tally)

    return finish


def _counts(tally: Counter[str]) -> SendCounts:
    return SendCounts(**{name: tally[name] for name in SendCounts.__dataclass_fields__})


def _claim(session: Session, *, owner: str, limit: int, now: datetime) -> list[int]:
    ids = session.scalars(
        select(Contact.id)
        .where(Contact.state == State.READY, Contact.not_before <= now)
        .order_by(Contact.priority, Contact.not_before, Contact.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if ids:
        session.execute(
            update(Contact)
            .where(among(session, Contact.id, ids))
            .values(state=State.CLAIMED, lease_owner=owner, lease_until=now + CLAIM_LEASE)
            .execution_options(synchronize_session=False)
        )
    return list(ids)


def _pass_gate(
    runtime: Runtime, books: Books, ids: Sequence[int], owner: str, tally: Counter[str]
) -> list[Parcel]:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        rows = select_contacts(session, ids, state=State.CLAIMED, owner=owner)
        gate = Gate.open(runtime, session, books, rows, now)
        allowed: list[tuple[ContactRow, Allow, Parcel]] = []
        blocked: list[tuple[ContactRow, Block]] = []
        for row in rows:
            verdict = gate.try_one(row)
            if isinstance(verdict, Block):
                blocked.append((row, verdict))
            else:
                allowed.append((row, *verdict))
        gate.write_quota(session)
        _write_allowed(session, allowed, now)
        _write_blocked(session, blocked, now, tally)
    return [parcel for _row, _verdict, parcel in allowed]


def _write_allowed(
    session: Session, allowed: Sequence[tuple[ContactRow, Allow, Parcel]], now: datetime
) -> None:
    if not allowed:
        return
    session.connection().execute(
        update(Contact)
        .where(Contact.id == bindparam("contact_id"))
        .values(
            state=State.SENDING,
            lease_until=now + SENDING_LEASE,
            sending_at=now,
            attempts=Contact.attempts + 1,
            text=bindparam("record"),
            reserved_on=bindparam("on"),
            reserved=bindparam("counters"),
            reason=None,
        ),
        [
            {
                "contact_id": row.id,
                "record": parcel.message.record,
                "on": business_date(now) if verdict.counters else None,
                "counters": " ".join(verdict.counters) or None,
            }
            for row, verdict, parcel in allowed
        ],
    )
    note(session, [row.id for row, _verdict, _parcel in allowed], step=Step.ALLOW, at=now)


def _write_blocked(
    session: Session,
    blocked: Sequence[tuple[ContactRow, Block]],
    now: datetime,
    tally: Counter[str],
) -> None:
    groups: dict[tuple[Step, str, str, datetime | None], list[int]] = {}
    for row, block in blocked:
        later = block.next_allowed_at
        is_later = later is not None and later < row.expires_at
        step = Step.RELEASE if is_later else Step.BLOCK
        if block.reason is Reason.EXPIRED:
            step = Step.EXPIRE
        key = (step, str(block.reason), block.detail, later if is_later else None)
        groups.setdefault(key, []).append(row.id)
    names = {Step.RELEASE: "deferred", Step.BLOCK: "blocked", Step.EXPIRE: "expired"}
    states = {
        Step.RELEASE: State.READY, Step.BLOCK: State.BLOCKED, Step.EXPIRE: State.EXPIRED
    }  # fmt: skip
    for (step, reason, detail, later), ids in groups.items():
        values: dict[str, Any] = {"state": states[step], "reason": reason}
        values |= {"lease_owner": None, "lease_until": None}
        values |= {"not_before": later} if later is not None else {}
        _update(session, ids, values)
        note(session, ids, step=step, at=now, detail=f"{reason} {detail}".strip())
        tally[names[step]] += len(ids)


def _update(session: Session, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    session.execute(
        update(Contact)
        .where(among(session, Contact.id, ids))
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def recover_leases(session: Session, *, now: datetime) -> Mapping[str, int]:
    """Take back what dead senders held, and let go of what is too late to be sent.

    A contact that was claimed was certainly not sent and is ready again; one that was being sent
    has an unknown outcome. Safe to repeat, and beside running senders.

    Returns:
        How many became `ready`, `unknown` and `expired`.
    """
    is_over = Contact.lease_until < now
    late = (Contact.state == State.READY) & (Contact.expires_at <= now)
    plan = (
        ("ready", (Contact.state == State.CLAIMED) & is_over, State.READY, Step.RELEASE),
        ("unknown", (Contact.state == State.SENDING) & is_over, State.UNKNOWN, Step.LOSE),
        ("expired", late, State.EXPIRED, Step.EXPIRE),
    )
    counts = {}
    for name, chosen, state, step in plan:
        ids = session.scalars(
            select(Contact.id)
            .where(chosen)
            .order_by(Contact.id)
            .limit(_RECOVER_CHUNK)
            .with_for_update(skip_locked=True)
        ).all()
        values: dict[str, Any] = {"state": state, "lease_until": None}
        # A lost contact keeps its owner: if that one is alive after all, its answer still counts.
        values |= {} if state is State.UNKNOWN else {"lease_owner": None}
        if ids:
            _update(session, ids, values)
            note(
                session, ids, step=step, at=now, detail="lease ended" if chosen is not late else ""
            )
        counts[name] = len(ids)
    return counts
