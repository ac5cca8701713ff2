"""Tells a loan with and without one thing that happened to it, side by side, day by day.

What comes late into a loan changes what the loan was on each day since its value date. The two
lives are told once each, what lies before the event once for both, and on every day on which they
may begin to differ in another way it is noted how they differ. What a ledger makes of it is not
decided here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from servicing.engine.book import Book, Record, Row
from servicing.engine.events import CloseOfDay, Disbursement, Event, Reversal
from servicing.engine.payments import EventRefused
from servicing.engine.replay import (
    counted,
    in_order,
    opened,
    recognised,
    replay,
    state_of,
    tell,
    told_before,
)
from servicing.engine.running import penalty_by, running_penalty
from servicing.engine.shares import Shares
from servicing.engine.state import (
    LoanRow,
    LoanState,
    fees_of_others,
    frozen_rows,
    with_penalty,
)
from servicing.engine.terms import Terms

# With these, what counts before them is told otherwise.
_CHANGES_THE_PAST: Final = (Reversal, CloseOfDay, Disbursement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """A loan as of a day, as far as it is not the same in another life of it.

    Attributes:
        rows: Instalments that differ, with the penalty that had run by the last event or stop.
        records: All that happened, events that were reversed left out.
        to_others: What of all its fees is collected for whom else.
    """

    rows: tuple[LoanRow, ...]
    records: tuple[Record, ...]
    to_others: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Retold:
    """How a loan differs as of a day, without and with the event."""

    on: date
    before: Glimpse
    after: Glimpse


@dataclass(frozen=True, slots=True, kw_only=True)
class Retelling:
    """A loan without and with an event: at the end, and since the event's value date."""

    before: LoanState
    after: LoanState
    days: tuple[Retold, ...]


def retell(
    terms: Terms,
    happened: Sequence[Event],
    event: Event,
    *,
    before_on: date,
    after_on: date,
    stops: Sequence[date] = (),
) -> Retelling:
    """Return the loan as of a day, and as of another with one thing more that happens to it.

    Both are what two replays return. Between the event and the later day it is said how they
    differ on each day on which something happens or falls due, and on the stops.

    Args:
        terms: What was agreed.
        happened: All events in the order in which they became known, none of a later value date
            than the days.
        event: What happens too.
        before_on: The day of the loan without it.
        after_on: The day of the loan with it, not before the event.
        stops: Further days, to which penalty runs.

    Raises:
        EventRefused: An event cannot happen to the loan as it stands then.
    """
    before = _Teller(terms, happened, stops)
    after = _Teller(terms, [*happened, event], stops)
    changes_past = isinstance(event, _CHANGES_THE_PAST)
    before.gone = after.gone = told_before(terms, happened)
    before.tell(event.counts_on)
    if changes_past:
        after.gone = told_before(terms, after.happened)
    if changes_past or before.book is None:
        after.tell(event.counts_on)
    else:
        after.follow(before.book, event)
    days = tuple(_days(before, after, max(before_on, after_on)))
    return Retelling(before=before.state(before_on), after=after.state(after_on), days=days)


def replay_back(terms: Terms, happened: Sequence[Event], as_of: date) -> LoanState:
    """Return the loan as of a day that may be past, as `replay` does where it can.

    What became known later can have a value date on which the loan, since restored, took nothing.
    It is in the books from the day that restored it, so as of a day before it is left out.

    Raises:
        EventRefused: An event cannot happen to the loan, and nothing comes after the day.
    """
    known = list(happened)
    is_past = any(event.counts_on > as_of for event in happened)
    while True:
        try:
            return replay(terms, known, as_of)
        except EventRefused:
            if not is_past:
                raise
            known.remove(counted(known, as_of)[-1])


class _Teller:
    """One life of a loan, told up to a day and further.

    Attributes:
        gone: What reversed events had done, and income that was recognised before and stays so.
        ran_to: The last day on which something happened, or stop, so far.
    """

    def __init__(self, terms: Terms, happened: Sequence[Event], stops: Sequence[date]) -> None:
        self.terms = terms
        self.happened = happened
        self.taken_back = {event.of for event in happened if isinstance(event, Reversal)}
        self.stops = stops
        self.gone: tuple[list[Record], list[Record]] = ([], [])
        self.book: Book | None = None
        self.to = self.ran_to = date.min

    def follow(self, book: Book, event: Event) -> None:
        """Go the way of another life so far, then let an event happen."""
        self.book = book.copied()
        self.to = self.ran_to = event.counts_on
        self._go_on([event])

    def tell(self, on: date) -> None:
        """Tell what happens up to a day."""
        new = [event for event in self.happened if self.to < event.counts_on <= on]
        days = [self.ran_to, *(event.counts_on for event in new)]
        self.ran_to = max([*days, *(stop for stop in self.stops if stop <= on)])
        self.to = on
        self._go_on(new)

    def _go_on(self, new: Sequence[Event]) -> None:
        """Let things happen; what is refused as of their day waits for what follows.

        As of a day before its reversal an event is in force, and what is known by now of other
        days may not go with it. What the whole life refuses is refused.
        """
        try:
            if self.book is None or any(map(self._is_told_anew, new)):
                self.book = self._opened()
            else:
                tell(self.book, in_order(new))
        except EventRefused:
            if not any(self._coming()):
                raise
            self.book = None

    def _is_told_anew(self, event: Event) -> bool:
        return isinstance(event, _CHANGES_THE_PAST) or event.id in self.taken_back

    def _opened(self) -> Book:
        known = counted(self.happened, self.to)
        return opened(self.terms, recognised(known), self.gone[1])

    def _coming(self) -> Iterator[Event]:
        return (event for event in self.happened if event.counts_on > self.to)

    def next_day(self) -> date | None:
        """Return the next day on which something happens or falls due, or that is a stop."""
        rows = self.book.rows if self.book else ()
        days = [event.counts_on for event in self._coming()]
        days += [row.due_on for row in rows if row.due_on > self.to]
        days += [stop for stop in self.stops if stop > self.to]
        return min(days, default=None)

    def state(self, on: date) -> LoanState:
        """Return the loan as of a day, all told."""
        self.tell(max(on, self.to))
        book = self.book or self._opened()
        return state_of(book, self.happened, [*self.gone[0], *self.gone[1]], on)


def _days(before: _Teller, after: _Teller, until: date) -> Iterator[Retold]:
    on: date | None = before.to
    while on is not None and on <= until:
        before.tell(on)
        after.tell(on)
        if before.book is not None and after.book is not None:
            apart = _apart(before, after, before.book, after.book)
            lives = ((before, before.book), (after, after.book))
            one, other = (_glimpse(teller, book, apart) for teller, book in lives)
            yield Retold(on=on, before=one, after=other)
        coming = (before.next_day(), after.next_day())
        on = min((day for day in coming if day is not None), default=None)


def _apart(before: _Teller, after: _Teller, one: Book, other: Book) -> Callable[[int], bool]:
    """Say which instalments may differ, by their place."""
    terms = before.terms
    if terms.subsidy_rate_annual or (terms.penalty and before.ran_to != after.ran_to):
        return lambda _n: True
    pairs = enumerate(zip(one.rows, other.rows, strict=False))
    same = {n for n, (row, its_like) in pairs if _said(row) == _said(its_like)}
    return lambda n: n not in same


def _said(row: Row) -> tuple[object, ...]:
    return row.due_on, row.from_on, row.due, row.paid, row.waived, row.left, row.to_others


def _glimpse(teller: _Teller, book: Book, is_apart: Callable[[int], bool]) -> Glimpse:
    rows = frozen_rows(book, is_apart)
    running = running_penalty(book) if rows else None
    if running is not None and teller.ran_to > running.to:
        rows = with_penalty(rows, penalty_by(teller.terms, running, teller.ran_to))
    return Glimpse(rows=rows, records=tuple(book.records), to_others=fees_of_others(book))
