"""Guard rails and shares in words and pictures. Shares are typed and shown in per cent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from risk.lifecycle.challenging import MACHINE, OTHER_CHAMPION, REPLACED
from risk.lifecycle.queries import ChallengePoint, ChallengeView
from risk.lifecycle.splitting import Arm, Breach, is_share, rails_from

RAILS: Final[Mapping[str, str]] = {
    "least_decisions": _("最少样本"),
    "approve_share_least": _("通过率下限"),
    "approve_share_most": _("通过率上限"),
    "approve_share_gap_most": _("与冠军通过率之差上限"),
    "decline_share_most": _("拒绝率上限"),
    "review_share_most": _("转人工率上限"),
    "error_share_most": _("出错率上限"),
    "p99_ms_most": _("决策耗时 p99 上限"),
    "least_granted": _("看早期坏账的最少通过笔数"),
    "early_bad_share_most": _("早期坏账率上限"),
    "early_bad_gap_most": _("早期坏账率高于冠军的上限"),
    "least_outcomes": _("最少已知结果"),
    "bad_share_most": _("已知结果坏账率上限"),
}
_COUNTS: Final = ("least_decisions", "least_granted", "least_outcomes")
_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_COUNTS, _("笔")),
    "p99_ms_most": _("毫秒"),
}
_NEAR: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class RailLine:
    """A guard rail beside its figure.

    Attributes:
        found: What it is now; empty while it cannot be told.
        state: ok, near or broken; empty while nothing is said.
    """

    label: str
    bound: str
    found: str
    state: str


def label_of(rail: str) -> str:
    """Say what a guard rail bounds."""
    return str(RAILS[rail])


def is_count(rail: str) -> bool:
    """Say whether a rail is a least number, below which nothing is said."""
    return rail in _COUNTS


def unit_of(rail: str) -> str:
    """Say in what a rail is typed."""
    return str(_UNITS.get(rail, "%"))


def say(rail: str, value: float) -> str:
    """Say a bound or a figure with its unit."""
    return f"{value:.1%}" if is_share(rail) else f"{value:g} {unit_of(rail)}"


def typed_bound(rail: str, value: float) -> str:
    """Write a bound as it would be typed."""
    return f"{value * 100:g}" if is_share(rail) else f"{value:g}"


def bound_of(rail: str, text: str) -> float:
    """Read a bound as it was typed.

    Raises:
        ValueError: It is no number.
    """
    if is_count(rail):
        return int(text)
    return float(text) / 100 if is_share(rail) else float(text)


def percent(permille: int) -> str:
    """Say a share of subjects."""
    return f"{permille / 10:g}%"


def rails(challenge: ChallengeView) -> list[RailLine]:
    """Lay out what bounds a challenger, with what it does now."""
    agreed = rails_from(challenge.rails)
    reading = challenge.readings.get(Arm.CHALLENGER)
    champion = challenge.readings.get(Arm.CHAMPION)
    found: dict[str, float] = {}
    judged = False
    if reading is not None and champion is not None:
        found = agreed.figures(reading, champion)
        found["least_decisions"] = reading.decisions + reading.errors
        found["least_granted"] = reading.approved
        found["least_outcomes"] = reading.known
        judged = agreed.is_enough(reading)
    broken = {
        breach.rail
        for breach in (agreed.breaches(reading, champion) if reading and champion else ())
    }
    return [
        RailLine(
            label=label_of(rail),
            bound=str(gettext("不设限"))
            if agreed.is_open(rail)
            else say(rail, getattr(agreed, rail)),
            found=say(rail, found[rail]) if rail in found else "",
            state=_state(rail, found.get(rail), getattr(agreed, rail), broken, judged=judged),
        )
        for rail in RAILS
    ]


def why_ended(challenge: ChallengeView) -> str:
    """Say why a challenge ended; what a person wrote as it was written."""
    if challenge.ended_by != MACHINE:
        return challenge.ended_why or ""
    if challenge.ended_for is not None:
        return "；".join(map(_ended_for, challenge.ended_for))
    said = []
    if (challenge.ended_why or "").startswith(OTHER_CHAMPION):
        said.append(_replaced())
    agreed = rails_from(challenge.rails)
    reading, champion = (challenge.readings.get(arm) for arm in (Arm.CHALLENGER, Arm.CHAMPION))
    if reading and champion:
        said += map(_breach, agreed.breaches(reading, champion))
    return "；".join(said) or (challenge.ended_why or "")


def _ended_for(why: Mapping[str, Any]) -> str:
    return _replaced() if why["rail"] == REPLACED else _breach(Breach(**why))


def _replaced() -> str:
    return str(gettext("生效版本已更换，挑战自动停止"))


def _breach(breach: Breach) -> str:
    return str(
        gettext(
            "%(rail)s为 %(bound)s，实际 %(found)s",
            rail=label_of(breach.rail),
            bound=say(breach.rail, breach.bound),
            found=say(breach.rail, breach.found),
        )
    )


def shares_over_time(history: Sequence[ChallengePoint]) -> dict[str, Any]:
    """Draw the approve shares of both arms, as they went."""
    names = {Arm.CHAMPION: gettext("冠军"), Arm.CHALLENGER: gettext("挑战者")}
    colours = {Arm.CHAMPION: "#667382", Arm.CHALLENGER: "#066fd1"}
    return {
        "tooltip": {"trigger": "axis"},
        "grid": {"left": 48, "right": 16, "top": 32, "bottom": 28},
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "max": 100, "axisLabel": {"formatter": "{value}%"}},
        "series": [
            {
                "name": str(names[arm]),
                "type": "line",
                "showSymbol": False,
                "color": colours[arm],
                "data": [
                    [point.read_at.isoformat(), round(point.share * 100, 1)]
                    for point in history
                    if point.arm == arm
                ],
            }
            for arm in Arm
        ],
    }


def _state(rail: str, found: float | None, bound: float, broken: set[str], *, judged: bool) -> str:
    if found is None:
        return ""
    if is_count(rail):
        return "ok" if found >= bound else ""
    if rail in broken:
        return "broken"
    if not judged:
        return ""
    room = bound if rail.endswith("_most") else found
    used = found if rail.endswith("_most") else bound
    return "near" if room and used > _NEAR * room else "ok"
