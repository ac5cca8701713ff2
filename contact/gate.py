"""The gate that every contact passes, and the dated rules that it reads.

It is pure: facts come in as values, a verdict goes out. It neither loads anything nor sends.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from contact.model import ABOUT_DEBT, Channel, Hold, Purpose
from kernel.errors import Invalid

_SHANGHAI: Final = ZoneInfo("Asia/Shanghai")

# One mini-batch of messages has left within this time, so the hours must hold at its end too.
SENDING_TAKES: Final = timedelta(minutes=1)


class RuleNotReadable(Invalid):
    """A rule row's value does not say what its kind needs."""

    code = "contact-rule-not-readable"


class RuleKind(StrEnum):
    """What a rule row speaks of; each purpose needs a row of every kind."""

    HOURS = "hours"
    QUOTA = "quota"
    HOLD = "hold"
    CONSENT = "consent"


ALL_CHANNELS: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One dated row.

    Attributes:
        code: Names the rule over its versions; the latest version in force counts.
        value: As its kind needs: `{"silent": "none"}` or `{"silent_from", "silent_until"}`;
            `{"group", "channel", "days", "at_most"}` or `{"channel": "all", "unlimited": true}`;
            `{"stops": bool}`; `{"needs_opt_in": bool}`.
    """

    code: str
    purpose: str
    kind: str
    value: Mapping[str, Any]
    effective_from: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Wall time in Shanghai without contacts, over midnight too; `until` is exclusive."""

    since: time
    until: time

    def covers(self, at: datetime) -> bool:
        """Say whether an instant falls into the silence."""
        wall = at.astimezone(_SHANGHAI).time()
        if self.since <= self.until:
            return self.since <= wall < self.until
        return wall >= self.since or wall < self.until

    def ends_after(self, at: datetime) -> datetime:
        """Return the first end of the silence after an instant."""
        local = at.astimezone(_SHANGHAI)
        end = datetime.combine(local.date(), self.until, _SHANGHAI)
        return end if end > local else end + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """At most so many contacts within so many days, the day of sending included.

    Attributes:
        group: Purposes of one group share the count.
        channel: A channel, or `all`.
        at_most: None for no limit.
    """

    group: str
    channel: str
    days: int
    at_most: int | None

    @property
    def counter(self) -> str:
        """The counter that the quota reads."""
        return self.group if self.channel == ALL_CHANNELS else f"{self.group}:{self.channel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeRules:
    """All rules of one purpose in force on a day."""

    silences: tuple[Silence, ...]
    quotas: tuple[Quota, ...]
    is_stopped_by_hold: bool
    needs_opt_in: bool

    def quotas_of(self, channel: str) -> tuple[Quota, ...] | None:
        """Return the limits that count for a channel, or None if no row speaks of it."""
        named = [quota for quota in self.quotas if quota.channel in (ALL_CHANNELS, channel)]
        is_free = any(quota.at_most is None and quota.channel == ALL_CHANNELS for quota in named)
        if not is_free and not {ALL_CHANNELS, channel} <= {quota.channel for quota in named}:
            return None
        return tuple(quota for quota in named if quota.at_most is not None)


@dataclass(slots=True)
class _Draft:
    silences: list[Silence] = field(default_factory=list)
    quotas: list[Quota] = field(default_factory=list)
    stops: list[bool] = field(default_factory=list)
    opt_ins: list[bool] = field(default_factory=list)
    kinds: set[RuleKind] = field(default_factory=set)


def rules_in_force(rules: Iterable[Rule], *, on: date) -> dict[Purpose, PurposeRules]:
    """Put together what counts on a day; the strictest of several rows wins.

    A purpose that lacks a row of any kind, or has one that cannot be read, is left out, so that
    the gate blocks it.
    """
    latest: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda rule: rule.effective_from):
        if rule.effective_from <= on:
            latest[rule.code] = rule
    drafts = {purpose: _Draft() for purpose in Purpose}
    broken: set[str] = set()
    for rule in latest.values():
        try:
            _read_rule(drafts[Purpose(rule.purpose)], rule)
        except (RuleNotReadable, ValueError):
            broken.add(rule.purpose)
    return {
        purpose: PurposeRules(
            silences=tuple(draft.silences),
            quotas=tuple(draft.quotas),
            is_stopped_by_hold=any(draft.stops),
            needs_opt_in=any(draft.opt_ins),
        )
        for purpose, draft in drafts.items()
        if draft.kinds == set(RuleKind) and purpose not in broken
    }


def check_rule(rule: Rule) -> None:
    """Read a rule as the gate would.

    Raises:
        RuleNotReadable: Its purpose, kind or value cannot be understood.
    """
    try:
        Purpose(rule.purpose)
        _read_rule(_Draft(), rule)
    except ValueError as error:
        raise RuleNotReadable(f"rule {rule.code}: {error}") from error


def _read_rule(draft: _Draft, rule: Rule) -> None:
    kind, value = RuleKind(rule.kind), rule.value
    try:
        if kind is RuleKind.HOURS:
            draft.silences += _silence(value)
        elif kind is RuleKind.QUOTA:
            draft.quotas.append(_quota(value))
        elif kind is RuleKind.HOLD:
            draft.stops.append(_claim(value["stops"]))
        else:
            draft.opt_ins.append(_claim(value["needs_opt_in"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RuleNotReadable(f"rule {rule.code} cannot be read") from error
    draft.kinds.add(kind)


def _claim(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _silence(value: Mapping[str, Any]) -> list[Silence]:
    if value == {"silent": "none"}:
        return []
    since, until = (time.fromisoformat(value[key]) for key in ("silent_from", "silent_until"))
    if since == until:
        raise ValueError("a silence has a length")
    return [Silence(since=since, until=until)]


def _quota(value: Mapping[str, Any]) -> Quota:
    if value == {"channel": ALL_CHANNELS, "unlimited": True}:
        return Quota(group="", channel=ALL_CHANNELS, days=1, at_most=None)
    quota = Quota(
        group=value["group"],
        channel=value["channel"],
        days=int(value["days"]),
        at_most=int(value["at_most"]),
    )
    if quota.days < 1 or quota.at_most is None or quota.at_most < 0 or not quota.group:
        raise ValueError("a quota counts days and contacts of a group")
    if quota.channel not in (ALL_CHANNELS, *Channel):
        raise ValueError("a quota names a channel")
    return quota


class Reason(StrEnum):
    """Why the gate says no."""

    NO_RULE = "no-rule"
    EXPIRED = "expired"
    PAID = "paid"
    HOLD = "hold"
    ADDRESS_RETIRED = "address-retired"
    NO_CONSENT = "no-consent"
    BARRED = "barred"
    SILENT_HOURS = "silent-hours"
    QUOTA = "quota"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that the gate looks at for one contact, read in the transaction that reserves its quota.

    Attributes:
        owes: Whether anything that the contact is about is still owed now.
        address_retired: Whether the address was given up (wrong number, unbound).
        has_opted_in: Whether an opt-in of its own for marketing stands.
        barred: Why the person may get no marketing (overdue, student), or None.
        used: Counter → day → contacts so far.
        is_template_in_force: Whether the bound template version may be used.
        is_reserved: Whether its quota was taken before (a repeat of the same contact).
    """

    purpose: str
    channel: str
    owes: bool
    holds: tuple[Hold, ...]
    address_retired: bool
    has_opted_in: bool
    barred: str | None
    used: Mapping[str, Mapping[date, int]]
    is_template_in_force: bool
    is_reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The contact may go out now; `counters` are what it uses up."""

    counters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The contact may not go out now.

    Attributes:
        next_allowed_at: When to ask again, or None for never.
    """

    reason: Reason
    next_allowed_at: datetime | None = None
    detail: str = ""


Verdict = Allow | Block


def decide(situation: Situation, *, rules: Mapping[Purpose, PurposeRules], at: datetime) -> Verdict:
    """Decide whether a contact may go out at an instant.

    The order is: paid, hold, address, consent, hours, quota, template. What no rule row allows is
    blocked, and an unknown purpose has none.
    """
    if situation.purpose not in rules:
        return Block(reason=Reason.NO_RULE)
    purpose = Purpose(situation.purpose)
    own = rules[purpose]
    quotas = own.quotas_of(situation.channel)
    if quotas is None or situation.channel not in set(Channel):
        return Block(reason=Reason.NO_RULE)
    return (
        _paid(situation, purpose)
        or _held(situation, own, at)
        or _unreachable(situation, purpose)
        or _unwanted(situation, own, purpose)
        or _silent(own, at)
        or _used_up(situation, quotas, at)
        or _untitled(situation)
        or Allow(counters=tuple(dict.fromkeys(quota.counter for quota in quotas)))
    )


def _paid(situation: Situation, purpose: Purpose) -> Block | None:
    is_moot = purpose in ABOUT_DEBT and not situation.owes
    return Block(reason=Reason.PAID) if is_moot else None


def _held(situation: Situation, own: PurposeRules, at: datetime) -> Block | None:
    if not own.is_stopped_by_hold:
        return None
    scopes = (ALL_CHANNELS, situation.channel, situation.purpose)
    holds = [
        hold
        for hold in situation.holds
        if hold.scope in scopes and (hold.until is None or at < hold.until)
    ]
    if not holds:
        return None
    ends = [hold.until for hold in holds if hold.until is not None]
    is_open = len(ends) < len(holds)
    return Block(
        reason=Reason.HOLD,
        next_allowed_at=None if is_open else max(ends),
        detail=holds[0].reason,
    )


def _unreachable(situation: Situation, purpose: Purpose) -> Block | None:
    is_gone = situation.address_retired and purpose is not Purpose.ANSWER
    return Block(reason=Reason.ADDRESS_RETIRED) if is_gone else None


def _unwanted(situation: Situation, own: PurposeRules, purpose: Purpose) -> Block | None:
    if purpose is Purpose.MARKETING and situation.barred is not None:
        return Block(reason=Reason.BARRED, detail=situation.barred)
    if (own.needs_opt_in or purpose is Purpose.MARKETING) and not situation.has_opted_in:
        return Block(reason=Reason.NO_CONSENT)
    return None


def _silent(own: PurposeRules, at: datetime) -> Block | None:
    end = at + SENDING_TAKES
    for silence in own.silences:
        if silence.covers(at) or silence.covers(end):
            until = silence.ends_after(at if silence.covers(at) else end)
            return Block(reason=Reason.SILENT_HOURS, next_allowed_at=until)
    return None


def _used_up(situation: Situation, quotas: tuple[Quota, ...], at: datetime) -> Block | None:
    if situation.is_reserved:
        return None
    on = at.astimezone(_SHANGHAI).date()
    for quota in quotas:
        days = situation.used.get(quota.counter, {})
        first = on - timedelta(days=quota.days - 1)
        used = sum(n for day, n in days.items() if first <= day <= on)
        if quota.at_most is not None and used >= quota.at_most:
            tomorrow = datetime.combine(on + timedelta(days=1), time(), _SHANGHAI)
            detail = f"{quota.counter} {used}/{quota.at_most} in {quota.days}d"
            later = tomorrow if quota.at_most > 0 else None
            return Block(reason=Reason.QUOTA, next_allowed_at=later, detail=detail)
    return None


def _untitled(situation: Situation) -> Block | None:
    return None if situation.is_template_in_force else Block(reason=Reason.TEMPLATE)
