"""A link to bad customers or a face score alone never declines, whatever it is dressed in."""

import math
from typing import Any

import pytest
from strategies import ON, FakeLists, around, final, rule, strategy

from risk.models.card import Characteristic, Scorecard
from risk.models.generated import scorer_of
from risk.strategy.compiler import compile_strategy
from risk.strategy.decision import Circumstances, Decision, HitKind
from risk.strategy.interpreter import interpret
from risk.strategy.language import SUPPORT_ALONE, Outcome, Strategy
from risk.strategy.reasons import reasons_of
from risk.strategy.scoring import asking
from risk.strategy.selftest import self_test

LINKED = {"field": "bad_links", "is": "at_least", "value": 1}
UNLIKE = {"field": "face", "is": "below", "value": 0.6}
ROW = {"age": 30, "income": 500, "bad_links": 3, "face": 0.2}


def said(field: str, word: str, value: Any) -> dict[str, Any]:
    return {"field": field, "is": word, "value": value}


def rules(*conditions: dict[str, Any]) -> dict[str, Any]:
    made = [rule(f"s.{n}", when) for n, when in enumerate(conditions)]
    return {"id": "s", "kind": "rules", "rules": made}


def by_points(**card: Any) -> tuple[dict[str, Any], ...]:
    bins = [{"below": 1, "points": 0}, {"points": -1000}]
    characteristics = [{"field": "bad_links", "bins": bins, "missing": 0}]
    other = {"field": "income", "bins": [{"below": 100, "points": -2000}, {"points": 10}]}
    return (
        {
            "id": "card",
            "kind": "card",
            "base": 500,
            "characteristics": [*characteristics, other],
            "missing_at_most": 1,
            "output": "points",
            "missing": "review",
        }
        | card,
        rules(said("points", "below", 0)),
    )


def decided(found: Strategy, row: dict[str, Any], circumstances: Circumstances) -> Decision:
    plain = interpret(found, row, product="cash", around=circumstances).decision
    assert compile_strategy(found, product="cash").decide(row, circumstances) == plain
    return plain


@pytest.mark.parametrize(
    "stages",
    [
        (rules({"all": [LINKED, said("income", "above", 0)]}),),
        (rules({"all": [UNLIKE, said("income", "above", 0)]}),),
        (rules({"all": [LINKED, said("age", "at_least", 18)]}),),
        by_points(),
    ],
)
class TestAlone:
    def test_is_looked_at_by_a_person(self, stages: tuple[dict[str, Any], ...]) -> None:
        found = strategy(*stages)
        decision = decided(found, ROW, around())
        assert decision.outcome is Outcome.REVIEW
        last = decision.hits[-1]
        assert (last.rule, last.kind, last.outcome) == (
            SUPPORT_ALONE,
            HitKind.FLOORED,
            Outcome.REVIEW,
        )
        assert set(last.values) <= {"bad_links", "face"}
        assert all(last.values.values())
        assert SUPPORT_ALONE in [reason.code for reason in reasons_of(found, decision)]

    def test_is_the_same_in_all_forms(self, stages: tuple[dict[str, Any], ...]) -> None:
        rows = [ROW, ROW | {"income": 50}, {"age": 30}, ROW | {"bad_links": "3", "face": 92}]
        assert self_test(strategy(*stages), rows, on=ON, lists=FakeLists()) == len(rows)


def test_what_is_firm_declines_still() -> None:
    stages = by_points()
    decision = decided(strategy(*stages), ROW | {"income": 50}, around())
    assert decision.outcome is Outcome.DECLINE
    assert all(hit.kind is not HitKind.FLOORED for hit in decision.hits)


@pytest.mark.parametrize(
    ("features", "outcome"), [(("bad_links",), "REVIEW"), (("age",), "DECLINE")]
)
def test_a_model_is_asked_again_without_support(features: tuple[str, ...], outcome: str) -> None:
    each = Characteristic(name=features[0], edges=(1.0,), points=(0, 900), specials=(), missing=0)
    model = Scorecard(base=0, characteristics=(each,), missing_at_most=1)
    stage = {"id": "m", "kind": "model", "model": "m1", "output": "points", "missing": "review"}
    found = strategy(stage, rules(said("points", "above", 500)))
    score, firm = asking(found, ROW, {"m1": (features, scorer_of(model))})
    circumstances = Circumstances(on=ON, lists=FakeLists(), score=score, firm_score=firm)
    assert decided(found, ROW, circumstances).outcome.name == outcome
    assert firm is not None
    scores = ([{"m1": score("m1") or math.nan}], [{"m1": firm("m1") or math.nan}])
    assert self_test(
        found, [ROW], on=ON, lists=FakeLists(), scores=scores[0], firm_scores=scores[1]
    )


def test_a_strategy_that_declines_nobody_is_looked_at_once() -> None:
    found = strategy(final())
    assert decided(found, {"age": 30}, around()).outcome is Outcome.APPROVE
