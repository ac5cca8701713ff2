"""What the close of day needs of a loan that is late and bears penalty: how far it has run.

It is taken once, when the last event is posted, and is enough to say the penalty of any later day
as a replay would, to the fen and without one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from servicing.engine.book import Book, Row
from servicing.engine.charges import penalise
from servicing.engine.parts import Parts
from servicing.engine.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRow:
    """One instalment on which penalty may still run.

    Attributes:
        n: Its number in the plan.
        owed: What is owed of it, penalty and all.
        due_penalty_fen: The penalty that it asks for in all.
        exact: What lateness has cost before rounding; `penalised_fen` of it is due already.
    """

    n: int
    due_on: date
    owed: Parts
    due_penalty_fen: int
    exact: Decimal
    penalised_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPenalty:
    """How far penalty has run, the day up to which, and when it stands still."""

    to: date
    rows: tuple[RunningRow, ...]
    pauses: tuple[tuple[date, date | None], ...] = ()
    rates: tuple[tuple[date, Decimal], ...] = ()


def running_penalty(book: Book) -> RunningPenalty | None:
    """Take down how far penalty has run; None where the loan bears none any more."""
    if book.terms.penalty is None or book.charged_off_on or book.written_off_on:
        return None
    return RunningPenalty(
        to=book.penalised_to,
        rows=tuple(_taken(n, row) for n, row in enumerate(book.rows, 1) if row.owed_fen > 0),
        pauses=tuple(book.penalty_pauses),
        rates=tuple(book.rates),
    )


def penalty_by(terms: Terms, running: RunningPenalty, on: date) -> Mapping[int, int]:
    """Return the penalty that each open instalment asks for in all, by its number, fen.

    Args:
        terms: What was agreed.
        running: How far it had run after the last event.
        on: A day on or after that.
    """
    rows = {row.n: _resumed(row) for row in running.rows}
    book = Book(
        terms=terms,
        rows=list(rows.values()),
        penalty_pauses=list(running.pauses),
        rates=list(running.rates),
        penalised_to=running.to,
    )
    penalise(book, on)
    return {n: row.due.penalty_fen for n, row in rows.items()}


def _taken(n: int, row: Row) -> RunningRow:
    return RunningRow(
        n=n,
        due_on=row.due_on,
        owed=row.outstanding,
        due_penalty_fen=row.due.penalty_fen,
        exact=row.penalty_exact,
        penalised_fen=row.penalised_fen,
    )


def _resumed(row: RunningRow) -> Row:
    settled = Parts(penalty_fen=row.due_penalty_fen - row.owed.penalty_fen)
    return Row(
        from_on=row.due_on,
        due_on=row.due_on,
        due=row.owed + settled,
        paid=settled,
        penalty_exact=row.exact,
        penalised_fen=row.penalised_fen,
    )
