"""Rows of the book in the order in which they were recorded, to be copied page by page.

A page is a list of places, from which rows are then read some at a time, so that no export is held
in memory. Loans, events and entries are only ever added, but what is added last may become readable
before what was added just earlier, by a transaction that takes longer. So a row shows once it is a
minute old: whoever keeps the cursor and comes back misses nothing. Loans are told as of a day, as
known on a day, by the replay that everybody else asks.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, literal, select, tuple_
from sqlalchemy.orm import Session, undefer

from kernel.database import Instant
from servicing.archive import event_from_json
from servicing.engine.events import Event
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.lateness import Called, called
from servicing.queries.history import terms_of
from servicing.queries.lateness import floors_of
from servicing.queries.partners import Sight
from servicing.tables import LedgerEntry, LedgerPosting, Loan, LoanEvent

SETTLED_AFTER: Final = timedelta(minutes=1)

_FIRST: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event of one loan."""

    loan_no: str
    seq: int
    kind: str
    value_date: date
    recorded_at: datetime
    actor: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One leg of one entry: debits positive, fen."""

    entry_id: int
    loan_no: str
    kind: str
    effective_on: date
    recorded_at: datetime
    account: str
    instalment_n: int | None
    amount_fen: int
    payee: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayableRow:
    """What a loan's entry made payable to a payee, fen; below 0, what it took back."""

    entry_id: int
    loan_no: str
    payee: str
    kind: str
    effective_on: date
    booked_on: date
    recorded_at: datetime
    amount_fen: int


def loan_places(
    session: Session, *, sight: Sight, after: Place, limit: int, now: datetime
) -> list[Place]:
    """List where the next loans are, by id."""
    ids = session.scalars(
        select(Loan.id)
        .join(LoanEvent, (LoanEvent.loan_id == Loan.id) & (LoanEvent.seq == _FIRST))
        .where(
            Loan.id > after[0],
            LoanEvent.recorded_at <= now - SETTLED_AFTER,
            sight.loans(),
        )
        .order_by(Loan.id)
        .limit(limit)
    )
    return [(loan_id,) for loan_id in ids]


def event_places(
    session: Session, *, sight: Sight, after: Place, limit: int, now: datetime
) -> list[Place]:
    """List where the next events are: instant of recording, loan, number."""
    micros, loan_id, seq = after
    place = LoanEvent.recorded_at, LoanEvent.loan_id, LoanEvent.seq
    known = tuple_(literal(_EPOCH + micros * _MICROSECOND, Instant()), loan_id, seq)
    rows = session.execute(
        select(*place)
        .join(Loan, Loan.id == LoanEvent.loan_id)
        .where(
            tuple_(*place) > known,
            LoanEvent.recorded_at <= now - SETTLED_AFTER,
            sight.loans(),
        )
        .order_by(*place)
        .limit(limit)
    )
    return [((row.recorded_at - _EPOCH) // _MICROSECOND, row.loan_id, row.seq) for row in rows]


def entry_places(
    session: Session, *, sight: Sight, after: Place, limit: int, now: datetime
) -> list[Place]:
    """List where the next entries are, by number."""
    ids = session.scalars(_entry_ids(sight, after, now).limit(limit))
    return [(entry_id,) for entry_id in ids]


def payable_places(
    session: Session, *, sight: Sight, after: Place, limit: int, now: datetime
) -> list[Place]:
    """List where the next entries are that are about money of a payee, by number."""
    of_a_payee = (
        select(LedgerPosting.entry_id)
        .where(LedgerPosting.entry_id > after[0], LedgerPosting.payee.is_not(None))
        .distinct()
    )
    chosen = _entry_ids(sight, after, now).where(LedgerEntry.id.in_(of_a_payee))
    return [(entry_id,) for entry_id in session.scalars(chosen.limit(limit))]


def _entry_ids(sight: Sight, after: Place, now: datetime) -> Select[int]:
    return (
        select(LedgerEntry.id)
        .join(Loan, Loan.id == LedgerEntry.loan_id)
        .where(
            LedgerEntry.id > after[0],
            LedgerEntry.recorded_at <= now - SETTLED_AFTER,
            sight.loans(),
        )
        .order_by(LedgerEntry.id)
    )


def loans_at(
    session: Session, places: Sequence[Place], *, on: date, known_at: datetime
) -> Iterator[tuple[Loan, LoanState, Called]]:
    """Yield loans as of a day, as known at an instant; none that was not there or not known then.

    Reads all of their events and marks at once, whatever their number.
    """
    ids = [loan_id for (loan_id,) in places]
    happened = _events_of(session, ids, known_at)
    floors = floors_of(session, loan_ids=ids, known_at=known_at)
    found = select(Loan).where(Loan.id.in_(ids)).order_by(Loan.id).options(undefer(Loan.agreed))
    for loan in session.scalars(found):
        if happened[loan.id] and loan.disbursed_on <= on:
            state = replay(terms_of(loan), happened[loan.id], on)
            yield loan, state, called(state, floors.get(loan.id, ()))


def events_at(session: Session, places: Sequence[Place]) -> Iterator[EventRow]:
    """Yield the events of some places."""
    named = tuple_(LoanEvent.loan_id, LoanEvent.seq)
    rows = session.execute(
        select(LoanEvent, Loan.loan_no)
        .join(Loan, Loan.id == LoanEvent.loan_id)
        .where(named.in_([(loan_id, seq) for _, loan_id, seq in places]))
        .order_by(LoanEvent.recorded_at, LoanEvent.loan_id, LoanEvent.seq)
    )
    return (_event(event, loan_no) for event, loan_no in rows)


def entries_at(session: Session, places: Sequence[Place]) -> Iterator[EntryRow]:
    """Yield the legs of the entries of some places."""
    rows = session.execute(
        select(LedgerPosting, LedgerEntry, Loan.loan_no)
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .join(Loan, Loan.id == LedgerEntry.loan_id)
        .where(LedgerEntry.id.in_([entry_id for (entry_id,) in places]))
        .order_by(LedgerPosting.entry_id, LedgerPosting.id)
    )
    return (_entry(*row) for row in rows)


def payables_at(session: Session, places: Sequence[Place]) -> Iterator[PayableRow]:
    """Yield what the entries of some places made payable, payee by payee."""
    rows = session.execute(
        select(LedgerPosting, LedgerEntry, Loan.loan_no)
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .join(Loan, Loan.id == LedgerEntry.loan_id)
        .where(
            LedgerEntry.id.in_([entry_id for (entry_id,) in places]),
            LedgerPosting.payee.is_not(None),
        )
        .order_by(LedgerPosting.entry_id, LedgerPosting.id)
    )
    return (_payable(*row) for row in rows)


def _events_of(
    session: Session, loan_ids: Sequence[int], known_at: datetime
) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = defaultdict(list)
    rows = session.scalars(
        select(LoanEvent)
        .where(LoanEvent.loan_id.in_(loan_ids), LoanEvent.recorded_at <= known_at)
        .order_by(LoanEvent.loan_id, LoanEvent.seq)
    )
    for row in rows:
        event = event_from_json(row.kind, row.payload, event_id=str(row.seq), on=row.value_date)
        found[row.loan_id].append(event)
    return found


def _event(event: LoanEvent, loan_no: str) -> EventRow:
    return EventRow(
        loan_no=loan_no,
        seq=event.seq,
        kind=event.kind,
        value_date=event.value_date,
        recorded_at=event.recorded_at,
        actor=event.actor,
        details=event.payload,
    )


def _entry(leg: LedgerPosting, entry: LedgerEntry, loan_no: str) -> EntryRow:
    return EntryRow(
        entry_id=entry.id,
        loan_no=loan_no,
        kind=entry.kind,
        effective_on=entry.effective_on,
        recorded_at=entry.recorded_at,
        account=leg.account,
        instalment_n=leg.instalment_n,
        amount_fen=leg.amount_fen,
        payee=leg.payee,
    )


def _payable(leg: LedgerPosting, entry: LedgerEntry, loan_no: str) -> PayableRow:
    return PayableRow(
        entry_id=entry.id,
        loan_no=loan_no,
        payee=leg.payee or "",
        kind=entry.kind,
        effective_on=entry.effective_on,
        booked_on=entry.booked_on,
        recorded_at=entry.recorded_at,
        amount_fen=-leg.amount_fen,
    )
