from typing import Any

import pytest
from hypothesis import assume, given, settings
from strategies import around, documents, final, rows, rule, strategy, strategy_of

from risk.models.generated import scorer_of
from risk.models.trees import LEAF, BoostedTrees, Link, Tree
from risk.strategy.changes import Called, Change, helpful_changes, helpful_removals, why_not
from risk.strategy.compiler import compile_strategy
from risk.strategy.interpreter import interpret
from risk.strategy.language import Outcome
from risk.strategy.parts import without

GOOD = {
    "age": 30,
    "debt": 100,
    "income": 1000,
    "city": "北京",
    "is_student": False,
    "joined_on": "2020-01-01",
}


def said(field: str, word: str, value: object) -> dict:
    return {"field": field, "is": word, "value": value}


def changes(when: dict, **changed: Any) -> tuple[Change, ...]:
    found = strategy({"id": "s", "kind": "rules", "rules": [rule("s.1", when)]})
    return helpful_changes(compile_strategy(found, product="cash"), GOOD | changed, around())


def approved(name: str, value: object) -> Change:
    return Change(name=name, value=value, outcome=Outcome.APPROVE)  # type: ignore[arg-type]


class TestHelpfulChanges:
    def test_an_approval_needs_none(self) -> None:
        assert changes(said("debt", "above", 500)) == ()

    @pytest.mark.parametrize(
        ("when", "changed", "expected"),
        [
            (said("debt", "above", 500), {"debt": 900}, [("debt", 500.0)]),
            (said("debt", "at_least", 0.5), {"debt": 0.7}, [("debt", 0.49)]),
            (said("debt", "below", 0.6), {"debt": 0.0}, [("debt", 0.6)]),
            # Nothing but a narrow window helps; steps alone would jump over it.
            ({"not": said("debt", "between", [500.25, 500.5])}, {"debt": 900}, [("debt", 500.4)]),
            (said("debt", "one_of", [100]), {}, [("debt", 101.0), ("debt", 99.0)]),
            (
                said("ratio", "above", 0.5),
                {"debt": 800},
                [("debt", 500.0), ("income", 1600.0)],
            ),
            (said("debt", "at_most", 0), {"debt": 0}, [("debt", 1.0)]),
            (said("debt", "below", 500), {"debt": None}, [("debt", 500.0)]),
            (said("debt", "above", -5), {"debt": -1}, [("debt", -5.0)]),
            (said("is_student", "equals", True), {"is_student": True}, [("is_student", False)]),
            (said("is_student", "equals", True), {"is_student": None}, [("is_student", False)]),
            (said("city", "differs", "上海"), {}, [("city", "上海")]),
            (said("city", "none_of", ["上海", "广州"]), {}, [("city", "上海")]),
            (
                said("joined_on", "above", "2026-01-01"),
                {"joined_on": "2026-03-01"},
                [("joined_on", "2026-01-01")],
            ),
            (said("debt", "above", 500), {"debt": None}, [("debt", 0.0)]),
        ],
    )
    def test_are_the_nearest_that_help(self, when: dict, changed: dict, expected: list) -> None:
        found = changes(when, **changed)
        assert list(found) == [approved(name, value) for name, value in expected]

    def test_the_better_outcome_comes_first(self) -> None:
        poor = rule("s.1", said("income", "below", 500), outcome="review")
        late = rule("s.2", said("debt", "above", 500))
        found = strategy({"id": "s", "kind": "rules", "rules": [poor, late]}, final())
        compiled = compile_strategy(found, product="cash")
        both = helpful_changes(compiled, GOOD | {"income": 1, "debt": 900}, around())
        assert [(each.name, each.outcome) for each in both] == [("debt", Outcome.REVIEW)]


CARD = {
    "id": "c",
    "kind": "card",
    "base": 500,
    "characteristics": [
        {"field": "debt", "bins": [{"below": 200, "points": 30}, {"points": 0}], "missing": 0},
    ],
    "missing_at_most": 1,
    "output": "points",
    "missing": "review",
}
TABLE = {
    "id": "t",
    "kind": "table",
    "policy": "first",
    "columns": ["points", "income"],
    "rows": [
        {"cells": [{"from": 520}, {"from": 700, "below": 900}], "set": {"band": "A"}},
        {"cells": [None, None], "outcome": "decline", "reason": "r1"},
    ],
    "missing": "review",
}


class TestWhyNot:
    def test_says_how_many_points_and_which_values_were_lacking(self) -> None:
        compiled = compile_strategy(strategy(CARD, TABLE), product="cash")
        found = why_not(compiled, GOOD | {"debt": 300, "income": 800}, around())
        assert [(each.name, each.value) for each in found.fields] == [("debt", 199.0)]
        (score,) = found.scores
        assert (score.stage, score.was, score.value) == ("c", 500.0, 520.0)
        # Without the row that declines nothing sets a band, and the final rule approves.
        assert [each.rule for each in found.rules] == ["t.2"]

    def test_finds_the_band_of_a_table_that_lies_between(self) -> None:
        compiled = compile_strategy(strategy(CARD, TABLE), product="cash")
        found = why_not(compiled, GOOD | {"debt": 100, "income": 5e6}, around())
        assert [(each.name, each.value) for each in found.fields] == [("income", 899.0)]
        assert found.scores == ()

    def test_lets_a_model_score_the_changed_value(self) -> None:
        tree = Tree(
            feature=(0, LEAF, LEAF),
            threshold=(0.25, 0.0, 0.0),
            left=(1, 0, 0),
            right=(2, 0, 0),
            missing_left=(False, False, False),
            value=(0.0, -2.0, 2.0),
        )
        trees = BoostedTrees(
            features=("night_share",),
            baseline=0.0,
            trees=(tree,),
            link=Link.IDENTITY,
            missing_at_most=0,
        )
        stage = {"id": "m", "kind": "model", "model": "mine", "output": "points"}
        poor = rule("s.1", said("points", "above", 1.5))
        found = strategy(
            stage | {"missing": "review"}, {"id": "s", "kind": "rules", "rules": [poor]}
        )
        compiled = compile_strategy(found, product="cash")
        calls = {"mine": Called(model=trees, scorer=scorer_of(trees))}
        row = GOOD | {"night_share": 0.5}
        answer = why_not(compiled, row, around(mine=2.0), calls=calls)
        assert [(each.name, each.value) for each in answer.fields] == [("night_share", 0.25)]
        assert [(each.was, each.value) for each in answer.scores] == [(2.0, 1.5)]
        assert [each.rule for each in answer.rules] == ["s.1"]

    @settings(max_examples=40, deadline=None)
    @given(documents(), rows())
    def test_every_answer_is_true(self, text: dict[str, Any], row: dict[str, Any]) -> None:
        found = strategy_of(text)
        assume(found is not None)
        compiled = compile_strategy(found, product="cash")
        seen = around(known=5.0)
        decided = compiled.decide(row, seen).outcome
        for change in helpful_changes(compiled, row, seen):
            with_it = row | {change.name: change.value}
            assert compiled.decide(with_it, seen).outcome == change.outcome < decided
        for removal in helpful_removals(compiled, row, seen):
            other = without(found, removal.rule)
            again = interpret(other, row, product="cash", around=seen).decision
            assert again.outcome == removal.outcome < decided
