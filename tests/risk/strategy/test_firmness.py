"""Nobody is declined on supporting values alone: found before publication, whatever the dress."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import (
    around,
    catalogue,
    document,
    documents,
    final,
    rule,
    strategy,
    strategy_of,
)

from risk.models.card import Characteristic, Scorecard
from risk.models.trees import BoostedTrees, Link
from risk.models.trees import Tree as BoostedTree
from risk.strategy.compiler import compile_strategy
from risk.strategy.firmness import declined_alone
from risk.strategy.language import Outcome, Strategy
from risk.strategy.problems import Code, Problems, StrategyInvalid
from risk.strategy.reading import read_strategy
from risk.strategy.safety import check_safety

FEW_LINKS = {"field": "bad_links", "is": "above", "value": 3}
YOUNG = {"field": "age", "is": "below", "value": 21}
UNLIKE = {"field": "face", "is": "below", "value": 0.5}


def said(name: str, word: str, value: Any = None) -> dict[str, Any]:
    return {"field": name, "is": word} | ({} if value is None else {"value": value})


def rules(*whens: dict[str, Any], **changes: Any) -> dict[str, Any]:
    made = [rule(f"s.{n}", when, **changes) for n, when in enumerate(whens)]
    return {"id": "s", "kind": "rules", "rules": made}


def found(*stages: dict[str, Any], **models: Any) -> list[str]:
    return places(strategy(*stages), **models)


def places(made: Strategy, **models: Any) -> list[str]:
    problems = declined_alone(made, models=models)
    assert {str(each.code) for each in problems} <= {"support-declines"}
    return [each.path.removeprefix("$.stages") for each in problems]


def characteristic(name: str, missing: int | None = 0) -> Characteristic:
    return Characteristic(name=name, edges=(1.0,), points=(0, 9), specials=(), missing=missing)


def card(*characteristics: Characteristic, missing_at_most: int = 0) -> Scorecard:
    return Scorecard(
        base=0, characteristics=tuple(characteristics), missing_at_most=missing_at_most
    )


MODEL = {"id": "m", "kind": "model", "model": "x", "output": "points", "missing": "review"}
LOW = rules(said("points", "below", 5))


class TestBeside:
    @pytest.mark.parametrize(
        "firm",
        [
            said("age", "at_least", 0),
            said("age", "between", [None, 121]),
            {"any": [said("age", "below", 50), said("age", "at_least", 50)]},
            {"any": [said("age", "above", 200), said("age", "at_most", 120)]},
        ],
    )
    def test_what_is_true_of_everybody_adds_nothing(self, firm: dict[str, Any]) -> None:
        assert found(rules({"all": [FEW_LINKS, firm]})) == ["[0].rules[0].outcome"]

    @pytest.mark.parametrize(
        "firm",
        [
            YOUNG,
            said("age", "above", 0),
            said("income", "at_least", 0),
            said("city", "equals", "北京"),
            said("is_student", "equals", value=True),
            {"any": [YOUNG, said("age", "above", 60)]},
            {"not": {"all": [said("age", "above", 18), said("age", "below", 60)]}},
            said("income", "below", {"field": "debt"}),
            {"field": "city", "is": "in_list", "list": "blocked", "match": "exact"},
        ],
    )
    def test_what_can_be_otherwise_is_firm(self, firm: dict[str, Any]) -> None:
        assert found(rules({"all": [FEW_LINKS, firm]})) == []


class TestRest:
    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ([[0, 5], [None, None]], ["[0].rows[1]"]),
            ([[None, 5], [None, None]], []),
            ([[None, 5], [0, None], [None, None]], []),
        ],
    )
    def test_of_a_table_is_come_to_past_the_rows_before(
        self, rows: list[Any], expected: list[str]
    ) -> None:
        made = [{"cells": row, "outcome": "review", "reason": "r1"} for row in rows[:-1]]
        table = {
            "id": "t",
            "kind": "table",
            "policy": "first",
            "columns": ["bad_links", "age"],
            "rows": [*made, {"cells": rows[-1], "outcome": "decline", "reason": "r1"}],
            "missing": "review",
        }
        assert found(table) == expected

    def test_of_a_tree_is_come_to_by_its_forks(self) -> None:
        root = {
            "when": {"all": [FEW_LINKS, YOUNG]},
            "then": {"id": "t.1", "set": {"band": "x"}},
            "else": {"id": "t.2", "outcome": "decline", "reason": "r1"},
        }
        tree = {"id": "t", "kind": "tree", "root": root, "missing": "review"}
        with pytest.raises(StrategyInvalid, match="support-declines"):
            found(tree)
        root["when"] = YOUNG
        assert found(tree) == []


class TestBranches:
    @pytest.mark.parametrize(
        ("inner", "expected"),
        [
            (rules(YOUNG), []),
            (rules(YOUNG, missing="decline"), ["[0].rules[0].missing"]),
            (rules(said("age", "at_least", 0)), ["[0].rules[0].outcome"]),
            (rules(said("age", "missing")), ["[0].rules[0].outcome"]),
        ],
    )
    def test_pass_on_what_they_are_taken_by(
        self, inner: dict[str, Any], expected: list[str]
    ) -> None:
        case = {"id": "b.1", "when": FEW_LINKS, "stages": ["s"]}
        branch = {"id": "b", "kind": "branch", "cases": [case], "missing": "review"}
        products = [{"product": "cash", "stages": ["b", "end"]}]
        made = document(inner, branch, final(), products=products)
        assert places(read_strategy(made, catalogue())) == expected


class TestScores:
    @pytest.mark.parametrize(
        ("model", "expected"),
        [
            (card(characteristic("bad_links"), characteristic("face")), ["[1].rules[0].outcome"]),
            (card(characteristic("bad_links"), characteristic("age")), []),
            (
                card(characteristic("bad_links"), characteristic("age"), missing_at_most=1),
                ["[1].rules[0].outcome"],
            ),
            (
                card(characteristic("bad_links"), characteristic("age", None), missing_at_most=1),
                [],
            ),
            (card(characteristic("age"), missing_at_most=1), []),
        ],
    )
    def test_that_links_alone_can_fill_decline_nobody(
        self, model: Scorecard, expected: list[str]
    ) -> None:
        assert found(MODEL, LOW, x=model) == expected

    @pytest.mark.parametrize(("most", "expected"), [(1, ["[1].rules[0].outcome"]), (0, [])])
    def test_of_trees_are_asked_too(self, most: int, expected: list[str]) -> None:
        leaf = BoostedTree(
            feature=(-1,),
            threshold=(0.0,),
            left=(0,),
            right=(0,),
            missing_left=(True,),
            value=(1.0,),
        )
        trees = BoostedTrees(
            features=("face", "age"),
            baseline=0.0,
            trees=(leaf,),
            link=Link.IDENTITY,
            missing_at_most=most,
        )
        assert found(MODEL, LOW, x=trees) == expected

    def test_that_are_missing_for_want_of_support_decline_nobody(self) -> None:
        model = card(characteristic("face"), characteristic("age"))
        assert found(MODEL | {"missing": "decline"}, x=model) == ["[0].missing"]
        assert found(MODEL | {"missing": "decline"}, x=card(characteristic("age"))) == []

    def test_of_cards_in_the_strategy_are_asked_too(self) -> None:
        bins = [{"below": 1, "points": 0}, {"points": 9}]
        stage = {
            "id": "c",
            "kind": "card",
            "base": 0,
            "characteristics": [
                {"field": "bad_links", "bins": bins, "missing": 0},
                {"field": "income", "bins": bins, "missing": 0},
            ],
            "missing_at_most": 1,
            "output": "points",
            "missing": "review",
        }
        assert found(stage, LOW) == ["[1].rules[0].outcome"]
        assert found(stage | {"missing_at_most": 0}, LOW) == []


def passes(made: Strategy) -> bool:
    problems = Problems()
    check_safety(made, catalogue(), problems)
    said = [*problems, *declined_alone(made, models={})]
    return Code.SUPPORT_DECLINES not in {each.code for each in said}


SUPPORT = st.fixed_dictionaries({"face": st.floats(0, 1), "bad_links": st.integers(0, 9)})
TEXTS = documents(("face", "bad_links", "face", "bad_links", "age"))


class TestFile:
    """A file with supporting values and nothing else comes out no worse than an empty one."""

    @settings(max_examples=80, suppress_health_check=[HealthCheck.filter_too_much])
    @given(TEXTS, SUPPORT)
    def test_is_never_declined_by_what_passes(self, text: Any, row: Any) -> None:
        assert _is_no_worse(text, row)

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @settings(max_examples=3000, suppress_health_check=[HealthCheck.filter_too_much])
    @given(TEXTS, SUPPORT)
    def test_is_never_declined_by_any_of_many(self, text: Any, row: Any) -> None:
        assert _is_no_worse(text, row)


def _is_no_worse(text: dict[str, Any], row: dict[str, Any]) -> bool:
    made = strategy_of(text)
    assume(made is not None and passes(made))
    unguarded = replace(made, support=frozenset())
    return all(
        compiled.decide(row, around(known=math.nan)).outcome is not Outcome.DECLINE
        or compiled.decide({}, around(known=math.nan)).outcome is Outcome.DECLINE
        for product in made.products
        for compiled in [compile_strategy(unguarded, product=product)]
    )
