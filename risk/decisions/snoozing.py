"""Rules that are silenced for somebody over some days: asked for by a person, with a reason.

A rule says itself whether it may be silenced; those of the law may not. What a silenced rule would
have said stays in the evidence of each decision.

    SnoozeRefused  422  no such rule that may be silenced, or not a period of at most 90 days
    SnoozeNotFound 404  no such snooze
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk.operations.audit import append_audit
from desk.queries import document_in_force
from kernel.errors import Invalid, NotFound
from risk.decisions.asking import Asked
from risk.decisions.strategies import STRATEGY
from risk.tables import RuleSnooze

Snoozes: TypeAlias = Mapping[tuple[str, str], frozenset[str]]
"""Rules by strategy and by whom they are silenced for."""

_NOTHING: Final = frozenset[str]()
_LONGEST: Final = timedelta(days=90)


class SnoozeRefused(Invalid):
    """There is no such rule that may be silenced, or the period is none of at most 90 days."""

    code = "snooze-refused"
    message_zh = "该规则不允许静默，或期限不在90天以内"


class SnoozeNotFound(NotFound):
    """There is no such snooze."""

    code = "snooze-not-found"
    message_zh = "没有找到该静默"


def snooze_rule(
    session: Session,
    *,
    strategy: str,
    rule: str,
    key: str,
    since: date,
    until: date,
    reason: str,
    by: str,
    on: date,
    now: datetime,
) -> int:
    """Silence a rule for somebody; returns the number of the snooze. The caller tells workers.

    Args:
        session: A write session.
        strategy: A strategy in force.
        rule: One of its rules with `may_snooze`.
        key: For whom: a subject, as `customer:17`, or `merchant:` and the name of one.
        since: First day.
        until: First day no longer, at most 90 days later.
        reason: In words.
        by: A staff login.
        on: The business date.
        now: The present instant.

    Raises:
        SnoozeRefused: See there.
    """
    found = document_in_force(session, kind=STRATEGY, key=strategy, on=on)
    if found is None or rule not in _silenceable(found.body):
        raise SnoozeRefused(f"{strategy} has no rule {rule} that may be silenced")
    if not timedelta() < until - max(since, on) <= until - since <= _LONGEST:
        raise SnoozeRefused(f"{since} to {until} is no period")
    row = RuleSnooze(
        strategy=strategy,
        rule=rule,
        key=key,
        since=since,
        until=until,
        reason=reason,
        made_by=by,
        made_at=now,
        ended_by=None,
        ended_at=None,
    )
    session.add(row)
    session.flush()
    _audit(session, row, "rule_snoozed", by=by, now=now)
    return row.id


def end_snooze(session: Session, *, snooze_id: int, by: str, now: datetime) -> None:
    """Let a rule speak again before its time; safe to repeat. The caller tells workers.

    Raises:
        SnoozeNotFound: See there.
    """
    row = session.get(RuleSnooze, snooze_id, with_for_update=True)
    if row is None:
        raise SnoozeNotFound(f"no snooze {snooze_id}")
    if row.ended_at is None:
        row.ended_by, row.ended_at = by, now
        _audit(session, row, "snooze_ended", by=by, now=now)


def snoozes_on(session: Session, *, on: date) -> Snoozes:
    """Read what is silenced on a day."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in session.scalars(
        select(RuleSnooze).where(
            RuleSnooze.since <= on, RuleSnooze.until > on, RuleSnooze.ended_at.is_(None)
        )
    ):
        found[row.strategy, row.key].add(row.rule)
    return {whom: frozenset(rules) for whom, rules in found.items()}


def silenced(snoozes: Snoozes, *, strategy: str, asked: Asked) -> frozenset[str]:
    """Name the rules of a strategy that are silenced for a subject or for the merchant it names."""
    if not snoozes:
        return _NOTHING
    keys = (asked.subject, f"merchant:{asked.application.get('merchant_name')}")
    return _NOTHING.union(*(snoozes.get((strategy, key), _NOTHING) for key in keys))


def snoozes_signature(session: Session) -> tuple[Any, ...]:
    """Say in what state the snoozes are, so that a change shows."""
    return tuple(session.execute(select(func.count(), func.count(RuleSnooze.ended_at))).one())


def _silenceable(body: Mapping[str, Any]) -> set[str]:
    return {
        rule["id"]
        for stage in body["stages"]
        for rule in stage.get("rules", ())
        if rule.get("may_snooze")
    }


def _audit(session: Session, row: RuleSnooze, act: str, *, by: str, now: datetime) -> None:
    append_audit(
        session,
        actor=by,
        action=f"risk.strategy.{act}",
        subject=f"{STRATEGY}:{row.strategy}",
        details={
            "snooze": row.id,
            "rule": row.rule,
            "key": row.key,
            "until": row.until.isoformat(),
            "reason": row.reason,
        },
        now=now,
    )
