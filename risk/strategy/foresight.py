"""Whether a decline is certain before everything is known, so that nobody need be asked for more.

Certain is what a plain rule of the product says of values that are there, firm, and not to change
any more. Scores, tables and branches are not looked into: they may come out otherwise.
"""

from collections.abc import Collection, Iterator

from risk.strategy.decision import Decision, HitKind
from risk.strategy.language import Outcome, Rule, RuleSet, Strategy
from risk.strategy.walking import names_in, with_sources


def is_certain(
    strategy: Strategy, product: str, decision: Decision, *, settled: Collection[str]
) -> bool:
    """Say whether what is still to come cannot turn a decline into anything better.

    Args:
        strategy: What decided.
        product: Of the strategy.
        decision: On what is known by now.
        settled: Dimensions that are known and that nobody will say anything else of.
    """
    if decision.outcome is not Outcome.DECLINE:
        return False
    declined = {
        hit.rule
        for hit in decision.hits
        if hit.kind is HitKind.HIT and hit.outcome is Outcome.DECLINE
    }
    return any(
        rule.id in declined and _sources(rule, strategy) <= set(settled) - strategy.support
        for rule in _rules(strategy, product)
    )


def _rules(strategy: Strategy, product: str) -> Iterator[Rule]:
    for stage_id in strategy.products[product]:
        stage = strategy.stages[stage_id]
        if isinstance(stage, RuleSet):
            yield from stage.rules


def _sources(rule: Rule, strategy: Strategy) -> set[str]:
    derived = dict(strategy.derived)
    return set(with_sources(names_in(rule.when), derived)) - derived.keys()
