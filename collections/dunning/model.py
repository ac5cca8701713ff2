"""The reminder strategy: its words, its rules, and how it is read. Pure.

Who stands where is asked of servicing, and whether a contact may go out is contact's gate's word.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final

from contact.ports import Channel, Purpose
from kernel.clock import SHANGHAI
from kernel.errors import Invalid

REMINDERS: Final = (Purpose.SERVICE_REMINDER, Purpose.COLLECTION)

_KEYS: Final = frozenset({"name", "days", "purpose", "template", "channels", "at", "valid_hours"})
# What is due later than in a week the gate takes for paid, see servicing.answers.
_DAYS: Final = range(-7, 366)
_SHORTEST: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(hours=72)
_DAY: Final = timedelta(days=1)


class StrategyNotReadable(Invalid):
    """The reminder strategy says something that cannot be, or does not say what it must."""

    code = "dunning-strategy-not-readable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kind of reminder.

    Attributes:
        days: Days from the due date on which it is made; negative before it.
        channels: The first for which a customer has an address is taken.
        at: Wall time in Shanghai before which it does not go out.
        valid: From then on; afterwards it is given up.
    """

    name: str
    days: tuple[int, ...]
    purpose: Purpose
    template: str
    channels: tuple[Channel, ...]
    at: time
    valid: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A step's work on a business date: to remind those who stand on just that day."""

    step: Step
    day: int
    on: date

    @property
    def due_on(self) -> date:
        """The due date from which they stand `day` days away."""
        return self.on - timedelta(days=self.day)

    @property
    def spared_before(self) -> date:
        """Who has an open instalment that fell due before this date is not meant.

        What is late comes before what is to come, and of what is late the oldest counts.
        """
        return min(self.on, self.due_on)

    @property
    def not_before(self) -> datetime:
        """The first instant at which the contacts may go out."""
        return datetime.combine(self.on, self.step.at, SHANGHAI)

    @property
    def expires_at(self) -> datetime:
        """The instant from which they may not any more."""
        return self.not_before + self.step.valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """All steps."""

    steps: tuple[Step, ...]

    def tasks(self, on: date) -> tuple[Task, ...]:
        """Say what is to be done on a business date, the most pressing first."""
        days = reversed(_by_day(self.steps))
        return tuple(Task(step=step, day=day, on=on) for day, step in days)


def read_strategy(given: Mapping[str, Any]) -> Strategy:
    """Read a strategy as its file gives it.

    Raises:
        StrategyNotReadable: A key is unknown or missing, a value is not what its key needs, a
            purpose does not suit a day, or a step's contacts could meet those of another.
    """
    if set(given) != {"step"} or not isinstance(given["step"], list) or not given["step"]:
        raise StrategyNotReadable("a strategy is a list of steps and nothing else")
    steps = tuple(_read_step(n, row) for n, row in enumerate(given["step"], 1))
    _check_names(steps)
    _check_days(steps)
    return Strategy(steps=steps)


def check_templates(strategy: Strategy, known: Collection[tuple[str, str, str]]) -> None:
    """Let a strategy pass whose every text exists.

    Args:
        strategy: What was read.
        known: Code, channel and purpose of each template in force.

    Raises:
        StrategyNotReadable: A channel of a step has no such template for the step's purpose.
    """
    for step in strategy.steps:
        for channel in step.channels:
            if (step.template, channel, step.purpose) not in known:
                raise StrategyNotReadable(
                    f"step {step.name}: no template {step.template} on {channel}"
                    f" for {step.purpose} is in force"
                )


def _read_step(n: int, row: object) -> Step:
    if not isinstance(row, Mapping):
        raise StrategyNotReadable(f"step number {n}: it is no table")
    name = row.get("name") or f"number {n}"
    if odd := sorted(set(row) ^ _KEYS):
        word = "unknown" if odd[0] in row else "missing"
        raise StrategyNotReadable(f"step {name}: {word} key {odd[0]}")
    try:
        step = Step(
            name=_text(row, "name"),
            days=tuple(_whole(day) for day in _list(row, "days")),
            purpose=Purpose(row["purpose"]),
            template=_text(row, "template"),
            channels=tuple(Channel(channel) for channel in _list(row, "channels")),
            at=_wall_time(row["at"]),
            valid=timedelta(hours=_whole(row["valid_hours"])),
        )
    except (OverflowError, TypeError, ValueError) as error:
        raise StrategyNotReadable(f"step {name}: {error}") from error
    _check_step(step)
    return step


def _text(row: Mapping[str, Any], key: str) -> str:
    if not isinstance(row[key], str) or not row[key]:
        raise TypeError(f"{key} is no text")
    return str(row[key])


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(row[key], list):
        raise TypeError(f"{key} is no list")
    return list(row[key])


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _wall_time(value: object) -> time:
    at = time.fromisoformat(value) if isinstance(value, str) else time()
    if f"{at:%H:%M}" != value:
        raise ValueError("at is a wall time such as 09:00")
    return at


def _check_step(step: Step) -> None:
    if not step.days or not step.channels:
        raise StrategyNotReadable(f"step {step.name}: days and channels may not be empty")
    if len(set(step.channels)) < len(step.channels):
        raise StrategyNotReadable(f"step {step.name}: a channel is named twice")
    if not _SHORTEST <= step.valid <= _LONGEST:
        raise StrategyNotReadable(f"step {step.name}: valid_hours is from 1 to 72")
    for day in step.days:
        if day not in _DAYS:
            raise StrategyNotReadable(f"step {step.name}: day {day} is not from -7 to 365")
        meant = Purpose.COLLECTION if day > 0 else Purpose.SERVICE_REMINDER
        if step.purpose is not meant:
            raise StrategyNotReadable(f"step {step.name}: day {day} is for {meant}")
        if day <= 0 and _end(day, step) > _DAY:
            raise StrategyNotReadable(f"step {step.name}: it would outlive the due date")


def _check_names(steps: Sequence[Step]) -> None:
    names = sorted(step.name for step in steps)
    for name, after in pairwise(names):
        if name == after:
            raise StrategyNotReadable(f"step {name}: there are two of that name")


def _check_days(steps: Sequence[Step]) -> None:
    for (day, step), (next_day, following) in pairwise(_by_day(steps)):
        if _end(day, step) > _start(next_day, following):
            raise StrategyNotReadable(
                f"step {following.name}: on day {next_day} step {step.name} is not over yet"
            )


def _start(day: int, step: Step) -> timedelta:
    """Tell when a step begins, from the midnight at which the due date begins."""
    return timedelta(days=day, hours=step.at.hour, minutes=step.at.minute)


def _end(day: int, step: Step) -> timedelta:
    return _start(day, step) + step.valid


def _by_day(steps: Sequence[Step]) -> list[tuple[int, Step]]:
    days = [(day, step) for step in steps for day in step.days]
    return sorted(days, key=lambda pair: pair[0])
