"""What lateness is called: buckets, the five classes, ECL stages, by rules that are dated data.

Days past due count from the due date, which is 0. Days of grace change none of it: they only keep
a penalty, a report to the bureau and the word 逾期 back. What is owed is not decided here.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from servicing.engine.periods import month_after
from servicing.engine.state import LoanState
from servicing.model import days_past_due

RULES_FILE: Final = Path(__file__).with_name("lateness.toml")

NORMAL: Final = "normal"
CLASSES: Final = (NORMAL, "special-mention", "substandard", "doubtful", "loss")
"""The five classes from the best to the worst: 正常 关注 次级 可疑 损失."""

RESTRUCTURED: Final = "restructured"
STAFF: Final = "staff"
"""Why a loan is classed worse than its days alone would have it."""

DAYS: Final = "days"
OVERDUE: Final = "overdue"

Steps = tuple[tuple[str, int], ...]
"""Names with the first day of each, the latest last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A class that a loan is not better than, for a while.

    Attributes:
        kind: Why; a restructuring also stays for as long as the loan is late.
        until_on: The first day on which it is in force no more; None if open.
        ended_on: The day on which it was taken back, late or not.
    """

    kind: str
    at_least: str
    from_on: date
    until_on: date | None
    ended_on: date | None = None

    def is_in_force(self, on: date, *, is_late: bool) -> bool:
        """Say whether it holds on a day."""
        if on < self.from_on or (self.ended_on is not None and self.ended_on <= on):
            return False
        is_over = self.until_on is not None and self.until_on <= on
        return not is_over or (self.kind == RESTRUCTURED and is_late)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How late a loan is and what that is called.

    Attributes:
        late_since: The oldest due date of what is owed and late; None if nothing is.
        floor: The worst class that something other than days asks for, or None.
    """

    late_since: date | None
    days_past_due: int
    bucket: str
    five_class: str
    ecl_stage: int
    floor: str | None

    @property
    def names(self) -> tuple[str, str, int]:
        """What it is called: bucket, class and stage."""
        return self.bucket, self.five_class, self.ecl_stage

    def is_as(self, other: "Standing") -> bool:
        """Say whether the history needs no new row: days alone change nothing."""
        return (self.late_since, self.names) == (other.late_since, other.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What a loan is called as of a day, and why.

    Attributes:
        five_class: None, like the stage, where nothing is owed: there is no claim to class.
        reasons: What makes the class, each enough by itself: its days, a mark of a kind.
        is_within_grace: Late, and not called 逾期 yet.
        observed_until: Until when a restructured loan is observed; longer while it is late.
    """

    late_since: date | None
    days_past_due: int
    bucket: str
    five_class: str | None
    ecl_stage: int | None
    reasons: tuple[str, ...]
    is_within_grace: bool
    is_restructured: bool
    observed_until: date | None

    @property
    def bureau_marks(self) -> tuple[str, ...]:
        """What of it is reported to the credit bureau beside what is owed."""
        is_overdue = self.days_past_due > 0 and not self.is_within_grace
        marks = ((OVERDUE, is_overdue), (RESTRUCTURED, self.is_restructured))
        return tuple(mark for mark, holds in marks if holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one day.

    Attributes:
        stage_days: First day of stages 1, 2 and 3.
        stage_classes: The class by another reason than days that makes each.
    """

    buckets: Steps
    classes: Steps
    stage_days: tuple[int, ...]
    stage_classes: tuple[str, ...]
    restructured_at_least: str
    observation_months: int

    def bucket(self, days: int) -> str:
        """Name the bucket of a number of days past due."""
        return _step(self.buckets, days)

    def five_class(self, days: int, floor: str | None = None) -> str:
        """Class a loan by its days and what else is known: the worst counts."""
        return worst([_step(self.classes, days), floor or NORMAL])

    def stage(self, days: int, floor: str | None = None) -> int:
        """Return the stage of expected credit loss, 1 to 3, by days and what else is known."""
        by_days = sum(days >= first for first in self.stage_days)
        by_floor = sum(_rank(floor or NORMAL) >= _rank(name) for name in self.stage_classes)
        return max(by_days, by_floor)

    def names(self, days: int, floor: str | None = None) -> tuple[str, str, int]:
        """Name bucket, class and stage of a number of days past due."""
        return self.bucket(days), self.five_class(days, floor), self.stage(days, floor)

    def standing(self, *, late_since: date | None, on: date, floor: str | None = None) -> Standing:
        """Name how late a loan is on a day."""
        days = 0 if late_since is None else days_past_due(late_since, on)
        bucket, five_class, ecl_stage = self.names(days, floor)
        return Standing(
            late_since=late_since,
            days_past_due=days,
            bucket=bucket,
            five_class=five_class,
            ecl_stage=ecl_stage,
            floor=floor,
        )

    def bounds(self, bucket: str) -> tuple[int, int | None]:
        """Return the first and last day of a bucket; the last of the latest is None.

        Raises:
            KeyError: There is no such bucket.
        """
        firsts = dict(self.buckets)
        later = [first for first in firsts.values() if first > firsts[bucket]]
        return firsts[bucket], min(later) - 1 if later else None

    @property
    def firsts(self) -> tuple[int, ...]:
        """The days past due on which some name changes."""
        steps = [first for _, first in (*self.buckets, *self.classes)]
        return tuple(sorted({*steps, *self.stage_days} - {0}))


def rules_on(on: date) -> Rules:
    """Return the rules that are in force on a day.

    Raises:
        LookupError: There are none for that day yet.
    """
    return _rules_since(max((since for since in _starts() if since <= on), default=date.min))


def rules_as_of(on: date) -> Rules:
    """Return the rules that a past day is looked at with; the first ones for all days before."""
    return rules_on(max(on, _starts()[0]))


def worst(classes: Iterable[str]) -> str:
    """Return the worst of some classes; 正常 if there are none."""
    return max(classes, key=_rank, default=NORMAL)


def floor_on(floors: Sequence[Floor], on: date, *, is_late: bool) -> str | None:
    """Return the worst floor that holds on a day, or None."""
    held = [floor.at_least for floor in floors if floor.is_in_force(on, is_late=is_late)]
    return worst(held) if held else None


def called(state: LoanState, floors: Sequence[Floor]) -> Called:
    """Say what a loan is called as of the day to which it was replayed.

    Args:
        state: The loan.
        floors: What else than days asks for a class, on any day.
    """
    late = [row.due_on for row in state.rows if row.outstanding.total_fen and row.due_on < state.on]
    is_owed = state.outstanding.total_fen > 0
    held = [each for each in floors if is_owed and each.is_in_force(state.on, is_late=bool(late))]
    floor = worst(each.at_least for each in held) if held else None
    rules = rules_as_of(state.on)
    named = rules.standing(late_since=min(late, default=None), on=state.on, floor=floor)
    observed = [each.until_on for each in held if each.kind == RESTRUCTURED and each.until_on]
    return Called(
        late_since=named.late_since,
        days_past_due=named.days_past_due,
        bucket=named.bucket,
        five_class=named.five_class if is_owed else None,
        ecl_stage=named.ecl_stage if is_owed else None,
        reasons=_reasons(named, held, rules.five_class(named.days_past_due)) if is_owed else (),
        is_within_grace=0 < named.days_past_due <= state.grace_days,
        is_restructured=any(each.kind == RESTRUCTURED for each in held),
        observed_until=max(observed, default=None),
    )


def _reasons(named: Standing, held: Sequence[Floor], by_days: str) -> tuple[str, ...]:
    """Say what would make the class by itself, the days first."""
    marks = {each.kind for each in held if each.at_least == named.five_class}
    return (*([DAYS] if by_days == named.five_class else []), *sorted(marks))


def observed_until(on: date) -> date:
    """Return until when a loan that is restructured on a day is observed."""
    return month_after(on, rules_on(on).observation_months)


def passed(
    before: Standing, *, first_open: date | None, floors: Sequence[Floor], after: date, on: date
) -> Iterator[tuple[date, Standing]]:
    """Tell how a loan's standing changes while nothing happens to it, the last day always.

    Args:
        before: As it was named on `after`.
        first_open: The oldest due date of what is owed, late or not.
        floors: What else asks for a class.
        after: The day from which on.
        on: The last day.

    Yields:
        The first day of each new standing, and the standing of the last day.
    """
    for day in _turns(first_open, floors, after, on):
        since = first_open if first_open is not None and first_open < day else None
        floor = floor_on(floors, day, is_late=since is not None)
        found = rules_on(day).standing(late_since=since, on=day, floor=floor)
        if not found.is_as(before) or day == on:
            yield day, found
        before = found


def named_now(loan: Any) -> Standing:
    """Read a loan's standing from its columns."""
    return Standing(
        late_since=loan.late_since,
        days_past_due=loan.days_past_due,
        bucket=loan.bucket,
        five_class=loan.five_class,
        ecl_stage=loan.ecl_stage,
        floor=loan.class_floor,
    )


def change_row(loan_id: int, named: Standing, *, from_on: date) -> dict[str, Any]:
    """Return the columns of a change in what a loan's lateness is called, but for the instant."""
    return {
        "loan_id": loan_id,
        "from_on": from_on,
        "late_since": named.late_since,
        "bucket": named.bucket,
        "five_class": named.five_class,
        "ecl_stage": named.ecl_stage,
    }


def _turns(first_open: date | None, floors: Sequence[Floor], after: date, on: date) -> list[date]:
    """List the days on which something can change, and the last one."""
    days = {on, *(day for day in _starts() if after < day)}
    if first_open is not None:
        days |= {first_open + timedelta(days=first) for first in rules_on(on).firsts}
    days |= {floor.from_on for floor in floors}
    for floor in floors:
        days |= {end for end in (floor.until_on, floor.ended_on) if end is not None}
    return sorted(day for day in days if after < day <= on)


def _step(steps: Steps, days: int) -> str:
    return next(name for name, first in reversed(steps) if days >= first)


def _rank(five_class: str) -> int:
    return CLASSES.index(five_class)


@cache
def _rows() -> tuple[Mapping[str, Any], ...]:
    return tuple(tomllib.loads(RULES_FILE.read_text("utf-8"))["rule"])


@cache
def _starts() -> tuple[date, ...]:
    return tuple(sorted({row["effective_from"] for row in _rows()}))


@cache
def _rules_since(since: date) -> Rules:
    """Read the rules as they are from one of the days on which some of them start."""
    rows = sorted(_rows(), key=lambda row: row["effective_from"])
    found = {row["code"]: row["value"] for row in rows if row["effective_from"] <= since}
    if not found:
        message = "no rules of lateness are that old"
        raise LookupError(message)
    stages, restructured = found["stages"], found["restructured"]
    return Rules(
        buckets=tuple(found["buckets"].items()),
        classes=tuple(found["classes"].items()),
        stage_days=tuple(stages["days"]),
        stage_classes=tuple(stages["classes"]),
        restructured_at_least=restructured["at_least"],
        observation_months=restructured["observation_months"],
    )
