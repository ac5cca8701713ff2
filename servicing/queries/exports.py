"""Rows of the book in the order in which they were recorded, to be copied page by page.

Events and entries are only ever added, but what is added last may become readable before what was
added just earlier, by a transaction that takes longer. So a row shows once it is a minute old:
whoever keeps the cursor and comes back misses nothing. Loans are listed as they stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import literal, select, tuple_
from sqlalchemy.orm import Session

from kernel.database import Instant
from servicing.queries.partners import Sight
from servicing.tables import LedgerEntry, LedgerPosting, Loan, LoanEvent

SETTLED_AFTER: Final = timedelta(minutes=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event of one loan, with its place in the export."""

    loan_no: str
    seq: int
    kind: str
    value_date: date
    recorded_at: datetime
    actor: str
    details: dict[str, Any]
    place: tuple[int, int, int]


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


def events_after(
    session: Session, *, sight: Sight, after: tuple[int, ...], limit: int, now: datetime
) -> Sequence[EventRow]:
    """List events by the instant at which they were recorded, after a place."""
    micros, loan_id, seq = after
    place = tuple_(LoanEvent.recorded_at, LoanEvent.loan_id, LoanEvent.seq)
    rows = session.execute(
        select(LoanEvent, Loan.loan_no)
        .join(Loan, Loan.id == LoanEvent.loan_id)
        .where(
            place > tuple_(literal(_EPOCH + micros * _MICROSECOND, Instant()), loan_id, seq),
            LoanEvent.recorded_at <= now - SETTLED_AFTER,
            sight.loans(),
        )
        .order_by(LoanEvent.recorded_at, LoanEvent.loan_id, LoanEvent.seq)
        .limit(limit)
    ).all()
    return tuple(
        EventRow(
            loan_no=loan_no,
            seq=event.seq,
            kind=event.kind,
            value_date=event.value_date,
            recorded_at=event.recorded_at,
            actor=event.actor,
            details=event.payload,
            place=((event.recorded_at - _EPOCH) // _MICROSECOND, event.loan_id, event.seq),
        )
        for event, loan_no in rows
    )


def entries_after(
    session: Session, *, sight: Sight, after: int, limit: int, now: datetime
) -> Sequence[EntryRow]:
    """List the legs of some entries by number, after one; no entry is cut in two."""
    ids = session.scalars(
        select(LedgerEntry.id)
        .join(Loan, Loan.id == LedgerEntry.loan_id)
        .where(
            LedgerEntry.id > after,
            LedgerEntry.recorded_at <= now - SETTLED_AFTER,
            sight.loans(),
        )
        .order_by(LedgerEntry.id)
        .limit(limit)
    ).all()
    rows = session.execute(
        select(LedgerPosting, LedgerEntry, Loan.loan_no)
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .join(Loan, Loan.id == LedgerEntry.loan_id)
        .where(LedgerEntry.id.in_(ids))
        .order_by(LedgerPosting.entry_id, LedgerPosting.id)
    ).all()
    return tuple(
        EntryRow(
            entry_id=entry.id,
            loan_no=loan_no,
            kind=entry.kind,
            effective_on=entry.effective_on,
            recorded_at=entry.recorded_at,
            account=leg.account,
            instalment_n=leg.instalment_n,
            amount_fen=leg.amount_fen,
        )
        for leg, entry, loan_no in rows
    )
