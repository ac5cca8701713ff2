"""Rules silenced for a subject or a merchant over some days, as rows: begun, ended, read for a day.

Only a rule that says it may be silenced is; the compiled strategy sees to that.

    SnoozeNotFound  404  no such snooze
    SnoozeOdd       422  the period is none, or longer than a year; or whom it is for is not said
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.operations import append_audit
from kernel.clock import business_date
from kernel.errors import Invalid, NotFound
from risk.strategy.decision import Snooze, snoozed_rules
from risk.tables import RuleSnooze

LONGEST: Final = timedelta(days=366)
_KEY: Final = re.compile(r"[a-z]+:\S.{0,110}")


class SnoozeNotFound(NotFound):
    """There is no snooze of that number."""

    code = "rule-snooze-not-found"
    message_zh = "没有找到该静默"


class SnoozeOdd(Invalid):
    """The period is none, or longer than a year; or whom it is for is not said."""

    code = "rule-snooze-odd"
    message_zh = "请写明对象（如 customer:17 或 merchant:商户名）与起止日期，最长一年"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeView:
    """A snooze with who began it, and why."""

    id: int
    snooze: Snooze
    reason: str
    started_by: str
    ended_by: str | None


def start_snooze(
    session: Session, *, strategy: str, snooze: Snooze, reason: str, by: str, now: datetime
) -> int:
    """Silence a rule for somebody; returns the number. The caller tells workers.

    Raises:
        SnoozeOdd: See the module.
    """
    assert_fit(snooze, on=business_date(now))
    row = RuleSnooze(
        strategy=strategy,
        rule=snooze.rule,
        key=snooze.key,
        since=snooze.since,
        until=snooze.until,
        reason=reason,
        started_by=by,
        started_at=now,
        ended_by=None,
        ended_at=None,
    )
    session.add(row)
    session.flush()
    _audit(session, row, "started", by=by, now=now)
    return row.id


def end_snooze(session: Session, *, strategy: str, snooze_id: int, by: str, now: datetime) -> None:
    """Have a rule count again from today on; safe to repeat. The caller tells workers.

    Raises:
        SnoozeNotFound: See the module.
    """
    row = session.get(RuleSnooze, snooze_id, with_for_update=True)
    if row is None or row.strategy != strategy:
        raise SnoozeNotFound(f"{strategy} has no snooze {snooze_id}")
    if row.ended_by is None:
        row.ended_by, row.ended_at = by, now
        _audit(session, row, "ended", by=by, now=now)


def assert_fit(snooze: Snooze, *, on: date) -> None:
    """Make sure that a snooze says for whom and for which days.

    Raises:
        SnoozeOdd: See the module.
    """
    is_period = on <= snooze.since < snooze.until <= snooze.since + LONGEST
    if not is_period or not _KEY.fullmatch(snooze.key):
        raise SnoozeOdd("for whom, or when, is not said")


def snoozes_of(session: Session, *, strategy: str, limit: int = 200) -> tuple[SnoozeView, ...]:
    """List the snoozes of a strategy, newest first."""
    rows = session.scalars(
        select(RuleSnooze)
        .where(RuleSnooze.strategy == strategy)
        .order_by(RuleSnooze.id.desc())
        .limit(limit)
    )
    return tuple(
        SnoozeView(
            id=row.id,
            snooze=_snooze(row),
            reason=row.reason,
            started_by=row.started_by,
            ended_by=row.ended_by,
        )
        for row in rows
    )


def snoozes_on(session: Session, *, on: date) -> Mapping[str, tuple[Snooze, ...]]:
    """Read what is silenced on a day, by strategy."""
    found: dict[str, tuple[Snooze, ...]] = {}
    for row in session.scalars(_on(on)):
        found[row.strategy] = (*found.get(row.strategy, ()), _snooze(row))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeThen:
    """A snooze with the instants between which it was known.

    Attributes:
        ended_at: When somebody had the rule count again before its last day.
    """

    snooze: Snooze
    started_at: datetime
    ended_at: datetime | None

    def silences(self, keys: AbstractSet[str], *, at: datetime) -> bool:
        """Say whether it silenced its rule for any of the keys at an instant."""
        is_known = self.started_at <= at and (self.ended_at is None or at < self.ended_at)
        return is_known and bool(snoozed_rules((self.snooze,), keys=keys, on=business_date(at)))


def snoozes_between(
    session: Session, *, strategy: str, since: date, until: date
) -> tuple[SnoozeThen, ...]:
    """List the snoozes of a strategy that reach into a half-open period, those ended early too."""
    row = RuleSnooze
    reaching = (row.strategy == strategy, row.since < until, row.until > since)
    return tuple(
        SnoozeThen(snooze=_snooze(each), started_at=each.started_at, ended_at=each.ended_at)
        for each in session.scalars(select(row).where(*reaching).order_by(row.id))
    )


def snoozes_signature(session: Session, *, on: date) -> tuple[int, ...]:
    """Name what is silenced on a day, so that a change shows."""
    return tuple(row.id for row in session.scalars(_on(on)))


def _on(on: date) -> Any:
    row = RuleSnooze
    counts = (row.ended_by.is_(None), row.since <= on, row.until > on)
    return select(row).where(*counts).order_by(row.id)


def _snooze(row: RuleSnooze) -> Snooze:
    return Snooze(rule=row.rule, key=row.key, since=row.since, until=row.until)


def _audit(session: Session, row: RuleSnooze, act: str, *, by: str, now: datetime) -> None:
    append_audit(
        session,
        actor=by,
        action=f"risk.snooze.{act}",
        subject=f"strategy:{row.strategy}",
        details={"snooze": row.id, "rule": row.rule, "until": row.until.isoformat()},
        now=now,
    )
