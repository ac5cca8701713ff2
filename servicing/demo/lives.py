"""How made-up borrowers pay: for each instalment the day on which it is paid, or not at all.

Pure but for the given source of chance. Shares are set so that the book shows what the trade
shows: 2–4 % first-payment default, 4–8 % of active loans more than 30 days late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random
from typing import Final

_RECOVERY_DAYS: Final = (60, 150)
_LOST: Final = 0.5
_SLIPS: Final = 0.2
_NEVER: Final = date.max


class Habit(StrEnum):
    """How a borrower pays."""

    PUNCTUAL = "punctual"
    SLIPPING = "slipping"
    FIRST_PAYMENT_DEFAULT = "first-payment-default"
    STOPPING = "stopping"


_SHARES: Final = {
    Habit.PUNCTUAL: 0.79,
    Habit.SLIPPING: 0.13,
    Habit.FIRST_PAYMENT_DEFAULT: 0.03,
    Habit.STOPPING: 0.05,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time of no payments: from which instalment on, and when all of it is caught up."""

    first: int
    until: date


def habit(random: Random) -> Habit:
    """Draw a habit."""
    return random.choices(list(_SHARES), list(_SHARES.values()))[0]


def paid_dates(
    random: Random, *, due: Sequence[date], habit: Habit, on: date
) -> tuple[date | None, ...]:
    """Say when each instalment is paid, in the order of the plan; None if not by `on`."""
    gap = _gap(random, due, habit)
    days: list[date | None] = []
    last = date.min
    for n, due_on in enumerate(due, 1):
        day = due_on + timedelta(days=_offset(random, habit))
        if gap is not None and n >= gap.first:
            day = max(day, gap.until)
        last = max(day, last)
        days.append(last if last <= on else None)
    return tuple(days)


def paid_until(due: Sequence[date], *, paid: int) -> tuple[date | None, ...]:
    """Say that the first instalments were paid on their due dates and the rest not."""
    return tuple(day if n < paid else None for n, day in enumerate(due))


def _gap(random: Random, due: Sequence[date], habit: Habit) -> Gap | None:
    if habit is Habit.FIRST_PAYMENT_DEFAULT:
        first = 1
    elif habit is Habit.STOPPING:
        first = random.randint(2, len(due))
    else:
        return None
    if random.random() < _LOST:
        return Gap(first=first, until=_NEVER)
    return Gap(first=first, until=due[first - 1] + timedelta(days=random.randint(*_RECOVERY_DAYS)))


def _offset(random: Random, habit: Habit) -> int:
    if habit is Habit.SLIPPING and random.random() < _SLIPS:
        return random.randint(1, 12)
    return -random.randint(0, 2)
