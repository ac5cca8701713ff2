"""Pure judgement: a strategy decides an application, a points card grades an account.

Both are data, read from TOML and checked as a whole; the hash of the text is part of the version,
so a version says exactly which rules it stands for. It knows no loan, database or clock.
"""

import hashlib
import json
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

MISSING: Final = "missing-value"
ODD: Final = "odd-value"
OTHER: Final = "other"

_RATIO: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "count": lambda raw: type(raw) is int,
    "flag": lambda raw: isinstance(raw, bool),
    "ratio": lambda raw: isinstance(raw, str) and _RATIO.fullmatch(raw) is not None,
}
_TESTS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, "=": operator.eq}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Part):
    """A field that rules may read: a JSON integer, true or false, or a ratio as text.

    Values outside `least` and `most` are odd. A link tells of others and never declines alone.
    """

    label: str
    kind: Literal["count", "flag", "ratio"]
    least: Decimal
    most: Decimal
    is_link: bool = False

    def read(self, raw: object) -> Decimal | None:
        """Return the value, flags as 0 or 1; None for whatever it should not be."""
        value = Decimal(raw) if _KINDS[self.kind](raw) else None  # type: ignore[arg-type]
        return value if value is not None and self.least <= value <= self.most else None


class Rule(_Part):
    """Decides `outcome` where all conditions (field, test, bound) hold; no rule approves.

    `missing` counts where a value is missing and the known conditions do not settle the matter;
    `law` cites what it is taken from, how that was read, since when it counts and who minds it.
    """

    code: str
    when: tuple[tuple[str, Literal["<", "<=", ">", "="], Decimal], ...] = Field(min_length=1)
    outcome: Literal["review", "decline"]
    missing: Literal["ignore", "review", "decline"]
    internal: str
    customer_zh: str
    law: Mapping[str, str] = Field(default={})


class Strategy(_Part):
    """What rules may read, the rules, and what customers are told of reasons that are no rule."""

    version: str
    content: str
    required: tuple[str, ...] = Field(min_length=1)
    sentences: Mapping[str, str]
    fact: Mapping[str, Fact]
    rule: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if {*self.required} - {*self.fact} or not {MISSING, ODD, OTHER} <= {*self.sentences}:
            raise ValueError("a required field or a sentence is unknown")
        for rule in self.rule:
            links = [self.fact[name].is_link for name, _, _ in rule.when]
            if "decline" in (rule.outcome, rule.missing) and all(links):
                raise ValueError(f"{rule.code} would decline for links alone")
        return self


class Characteristic(_Part):
    """One fact of the card: points of the values below each end, of the rest, of a missing one."""

    label: str
    format: str
    below: tuple[tuple[Decimal, int], ...]
    rest: int
    missing: int


class Card(_Part):
    """A points card: the best letter whose least points are reached, else the worst one."""

    version: str
    content: str
    characteristic: Mapping[str, Characteristic]
    letters: Mapping[str, int]
    worst: str


Policy = TypeVar("Policy", Strategy, Card)


def read_policy(kind: type[Policy], text: str) -> Policy:
    """Read a strategy or a card; raises ValueError or KeyError if its parts do not fit together."""
    given = tomllib.loads(text, parse_float=Decimal)
    version = f"{given['version']}@{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return kind.model_validate({**given, "version": version, "content": text})


def canonical(value: object) -> str:
    """Write JSON in the one form that is stored and compared; what JSON lacks becomes text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def judge(strategy: Strategy, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outcome and its findings, the weightiest first, each with the values read.

    Every rule is asked and the strictest outcome wins. Whatever the rules make of it, a person
    looks at a value that is there and odd, and at an application without a required value.
    """
    values = {name: fact.read(snapshot.get(name)) for name, fact in strategy.fact.items()}
    findings: list[dict[str, Any]] = []

    def find(code: str, outcome: str, note: str, names: Iterable[str]) -> None:
        read = {name: snapshot.get(name) for name in names}
        findings.append({"code": code, "outcome": outcome, "note": note, "values": read})

    for name, value in values.items():
        if value is None and snapshot.get(name) is not None:
            find(ODD, "review", f"数值异常：{strategy.fact[name].label}", [name])
        elif value is None and name in strategy.required:
            find(MISSING, "review", f"缺少：{strategy.fact[name].label}", [name])
    for rule in strategy.rule:
        answers = [
            None if (value := values[name]) is None else _TESTS[test](value, bound)
            for name, test, bound in rule.when
        ]
        names = [name for name, _, _ in rule.when]
        if all(answers):
            find(rule.code, rule.outcome, rule.internal, names)
        elif False not in answers and rule.missing != "ignore":
            lacking = "、".join(strategy.fact[name].label for name in names if values[name] is None)
            find(MISSING, rule.missing, f"{rule.internal}：无法判断，缺少{lacking}", names)
    findings.sort(key=lambda found: str(found["outcome"]))  # "decline" stands before "review"
    return {"outcome": findings[0]["outcome"] if findings else "approve", "findings": findings}


def grade(card: Card, facts: Mapping[str, Any]) -> tuple[str, int, list[str]]:
    """Return the letter, the points, and what cost points, the most costly first."""
    total, costs = 0, []
    for name, item in card.characteristic.items():
        value, points = facts[name], item.missing
        if value is not None:
            points = next((some for end, some in sorted(item.below) if value < end), item.rest)
        best = max(item.rest, *(some for _, some in item.below))
        shown = "暂无" if value is None else item.format.format(value)
        total += points
        costs.append((points - best, f"{item.label} {shown}（{points}/{best} 分）"))
    reached = [(least, letter) for letter, least in card.letters.items() if total >= least]
    letter = max(reached)[1] if reached else card.worst
    return letter, total, [told for lost, told in sorted(costs) if lost]
