"""The rules that no strategy can drop, and the question whether a strategy may be published.

It publishes nothing. Each rule carries its citation and how the text was read.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from risk.features.catalogue import Catalogue, Use
from risk.features.values import is_missing, number
from risk.strategy.checking import placed
from risk.strategy.decision import Decision, Hit, HitKind
from risk.strategy.language import Expression, Rule, RuleSet, Strategy
from risk.strategy.problems import Code, Problem, Problems, StrategyInvalid
from risk.strategy.reading import read_strategy
from risk.strategy.walking import names_in, with_sources

PACK_FILE: Final = Path(__file__).with_name("statutory.toml")
STAGE: Final = "statutory"
HOW_READ: Final = frozenset({"full", "press", "none"})

_LEGAL: Final = ("citation", "how_read", "since", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statute:
    """Where a rule of the pack comes from.

    Attributes:
        how_read: `full`, `press` or `none`; counsel checks whatever is not full.
        since: First day from which no strategy may do without.
    """

    rule: str
    citation: str
    how_read: str
    since: date
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most that an output may come to, less what a dimension holds.

    Attributes:
        less: A dimension in fen; while it is missing the output is missing.
        most_fen: fen.
    """

    id: str
    output: str
    less: str
    most_fen: int
    citation: str
    how_read: str
    since: date
    owner: str


@cache
def bounds() -> tuple[Bound, ...]:
    """List the bounds of the pack; no strategy names them, so none can drop them."""
    return tuple(Bound(**entry) for entry in _pack()["bound"])


def bounded(strategy: Strategy, decision: Decision, row: Mapping[str, Any]) -> Decision:
    """Hold what a strategy decided within the bounds, and keep in evidence what was cut."""
    for bound in bounds():
        decided = decision.outputs.get(bound.output)
        if decided is None:
            continue
        domain = strategy.domains.get(bound.less)
        held = number(row.get(bound.less))
        is_known = not is_missing(held) and (domain is None or domain.admits(held))
        most = max(bound.most_fen - held, 0.0) if is_known else None
        if most is not None and decided <= most:
            continue
        values = {bound.output: decided, bound.less: held if is_known else None}
        hit = Hit(bound.id, None, None, HitKind.TAKEN, values)
        outputs = {**decision.outputs, bound.output: most}
        decision = decision._replace(outputs=outputs, hits=(*decision.hits, hit))
    return decision


@cache
def statutes() -> tuple[Statute, ...]:
    """List the rules of the pack with their citations.

    Raises:
        ValueError: A rule lacks its citation or owner, or does not say how the text was read.
    """
    found = tuple(
        Statute(rule=entry["id"], **{key: entry[key] for key in _LEGAL})
        for entry in _pack()["rule"]
    )
    for statute in found:
        if statute.how_read not in HOW_READ or not statute.citation or not statute.owner:
            raise ValueError(f"{statute.rule} lacks its citation, owner or how it was read")
    return found


def with_statutory(document: Mapping[str, Any]) -> dict[str, Any]:
    """Put the pack into a strategy document: its stage first in every product.

    A document that has a stage of that id already is returned as it is.
    """
    if any(stage["id"] == STAGE for stage in document["stages"]):
        return dict(document)
    pack = _pack()
    rules = [
        {key: value for key, value in entry.items() if key not in _LEGAL} for entry in pack["rule"]
    ]
    stage = {"id": STAGE, "kind": "rules", "title": "法定规则", "rules": rules}
    return dict(document) | {
        "derived": [*pack["derived"], *document.get("derived", ())],
        "reasons": [*pack["reason"], *document["reasons"]],
        "stages": [stage, *document["stages"]],
        "products": [
            {**product, "stages": [STAGE, *product["stages"]]} for product in document["products"]
        ],
    }


def unpublishable(strategy: Strategy, catalogue: Catalogue, *, on: date) -> tuple[Problem, ...]:
    """Say why a strategy may not be published; empty if it may.

    Every product has to run every rule of the pack that counts on the day, word for word, outside
    of branches. Whatever has products can approve, so nothing but a strategy for credit may.

    Args:
        strategy: Read and checked.
        catalogue: The version that it names.
        on: The day of publishing.
    """
    problems = Problems()
    if strategy.use is not Use.CREDIT:
        problems.add("$.use", Code.USE_CANNOT_DECIDE, use=strategy.use)
        return tuple(problems)
    pack = _pack_strategy(catalogue)
    rules = dict(_rules(pack))
    for statute in statutes():
        if statute.since <= on:
            _check_statute(strategy, pack, rules[statute.rule], problems)
    return tuple(problems)


def assert_publishable(strategy: Strategy, catalogue: Catalogue, *, on: date) -> None:
    """Make sure that a strategy may be published.

    Raises:
        StrategyInvalid: `problems` says what is missing or changed.
    """
    problems = unpublishable(strategy, catalogue, on=on)
    if problems:
        raise StrategyInvalid(problems)


def _check_statute(strategy: Strategy, pack: Strategy, rule: Rule, problems: Problems) -> None:
    found = dict(_rules(strategy)).get(rule.id)
    if found is None:
        problems.add("$.stages", Code.STATUTORY_MISSING, name=rule.id)
        return
    stage = next(
        (path, stage)
        for path, stage in placed(strategy)
        if isinstance(stage, RuleSet) and found in stage.rules
    )
    path = f"{stage[0]}.rules[{stage[1].rules.index(found)}]"
    if _meaning(found, strategy) != _meaning(rule, pack):
        problems.add(path, Code.STATUTORY_CHANGED, name=rule.id)
    for n, (product, stages) in enumerate(strategy.products.items()):
        if stage[1].id not in stages:
            where = f"$.products[{n}].stages"
            problems.add(where, Code.STATUTORY_AVOIDED, product=product, name=rule.id)


def _meaning(rule: Rule, strategy: Strategy) -> tuple[object, ...]:
    """What counts of a rule: all but its title, and what its derived names are made of."""
    derived = dict(strategy.derived)
    made: dict[str, Expression] = {
        name: derived[name]
        for name in with_sources(names_in(rule.when), derived)
        if name in derived
    }
    period = (rule.effective_from, rule.effective_to)
    return rule.when, rule.effect, rule.missing, period, rule.may_snooze, made


def _rules(strategy: Strategy) -> Iterator[tuple[str, Rule]]:
    for stage in strategy.stages.values():
        if isinstance(stage, RuleSet):
            yield from ((rule.id, rule) for rule in stage.rules)


@cache
def _pack() -> Mapping[str, Any]:
    return tomllib.loads(PACK_FILE.read_text(encoding="utf-8"))


def _pack_strategy(catalogue: Catalogue) -> Strategy:
    """Read the pack as a strategy of its own that sends everyone else to review."""
    otherwise = {"outcome": "review", "reason": "capacity-doubtful"}
    adult = {"field": "age_years", "is": "at_least", "value": 18}
    approval = {"id": "pack.approve", "when": adult, "missing": "review"}
    document = {
        "id": "pack",
        "title": "法定规则",
        "use": "credit",
        "catalogue": catalogue.version,
        "effective_from": "2020-01-01",
        "required": [{"field": "age_years", "missing": "review"}],
        "reasons": [],
        "stages": [
            {"id": "pack.final", "kind": "final", "rules": [approval], "otherwise": otherwise}
        ],
        "products": [{"product": "any", "stages": ["pack.final"]}],
    }
    return read_strategy(with_statutory(document), catalogue)
