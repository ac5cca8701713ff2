"""A loan over some days: what was owed before, what fell due, what was paid, what is owed after.

Every figure is replayed, so a statement of past days is the same for ever, as known on its day.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from servicing.engine.book import Kind, Record
from servicing.engine.parts import Parts, total
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.queries.history import find_loan, read_events, terms_of

_PAID = frozenset({Kind.REPAYMENT, Kind.PREPAYMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidView:
    """One payment: what was paid, and what of each component it settled; fen."""

    on: date
    kind: str
    amount_fen: int
    settled: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A loan from a first to a last day, both included.

    Attributes:
        owed_before: Due and not paid when the first day began.
        fell_due: What fell due on these days.
        paid: What came in on these days.
        owed_after: Due and not paid when the last day ended.
        remaining: All that the plan still asks for then.
    """

    first_on: date
    last_on: date
    owed_before: Parts
    fell_due: Parts
    paid: tuple[PaidView, ...]
    owed_after: Parts
    remaining: Parts

    @property
    def paid_fen(self) -> int:
        """All that came in."""
        return sum(each.amount_fen for each in self.paid)


def statement(
    session: Session,
    *,
    loan_id: int,
    first_on: date,
    last_on: date,
    known_at: datetime | None = None,
) -> Statement:
    """Return the statement of a loan.

    Args:
        session: A read session.
        loan_id: Whose.
        first_on: The first day.
        last_on: The last day.
        known_at: What was recorded after it is left out; None for all that is known.

    Raises:
        LoanNotFound: There is no such loan.
    """
    terms = terms_of(find_loan(session, loan_id=loan_id))
    events = read_events(session, loan_id=loan_id, known_at=known_at)
    before, after = (replay(terms, events, on) for on in (first_on - timedelta(days=1), last_on))
    return Statement(
        first_on=first_on,
        last_on=last_on,
        owed_before=before.due_now,
        fell_due=total(row.due for row in after.rows if first_on <= row.due_on <= last_on),
        paid=_paid(after, first_on, last_on),
        owed_after=after.due_now,
        remaining=after.outstanding,
    )


def _paid(state: LoanState, first_on: date, last_on: date) -> tuple[PaidView, ...]:
    return tuple(
        PaidView(
            on=record.on, kind=record.kind.value, amount_fen=record.amount_fen, settled=record.parts
        )
        for record in state.records
        if _is_payment(record) and first_on <= record.on <= last_on
    )


def _is_payment(record: Record) -> bool:
    return record.kind in _PAID and not record.is_reversed
