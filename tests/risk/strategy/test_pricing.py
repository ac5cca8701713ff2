"""What a strategy may set as a price is bounded before it is published."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from strategies import around, expressions, final, rows, strategy

from risk.strategy.interpreter import interpret
from risk.strategy.pricing import _Reach, mispriced

OUTPUTS = [{"name": "rate_annual", "kind": "number"}, {"name": "points", "kind": "number"}]
SOLD = {"cash": (Decimal("0.12"), Decimal("0.216"))}


def found(*stages: dict[str, Any], **changes: Any) -> list[tuple[str, dict[str, str]]]:
    made = strategy(*stages, outputs=OUTPUTS, **changes)
    return [(each.path, dict(each.words)) for each in mispriced(made, sold=SOLD)]


def computed(value: Any, output: str = "rate_annual") -> dict[str, Any]:
    return {
        "id": f"c.{output}",
        "kind": "compute",
        "set": [{"output": output, "value": value}],
        "missing": "review",
    }


def tabled(*rates: float) -> dict[str, Any]:
    rows = [
        {"cells": [{"below": n}], "set": {"rate_annual": rate}} for n, rate in enumerate(rates, 1)
    ]
    return {
        "id": "t",
        "kind": "table",
        "policy": "first",
        "columns": ["age"],
        "rows": rows,
        "missing": "review",
    }


class TestConstants:
    def test_within_are_fine(self) -> None:
        assert found(tabled(0.12, 0.18, 0.216)) == []

    def test_outside_are_named_with_their_row(self) -> None:
        assert found(tabled(0.18, 0.1199, 0.24)) == [
            (
                "$.stages[0].rows[1]",
                {"product": "cash", "found": "11.9900%", "allowed": "12.0000%～21.6000%"},
            ),
            (
                "$.stages[0].rows[2]",
                {"product": "cash", "found": "24.0000%", "allowed": "12.0000%～21.6000%"},
            ),
        ]

    def test_of_products_that_nobody_sells_may_be_anything(self) -> None:
        made = strategy(tabled(0.5), outputs=OUTPUTS)
        assert mispriced(made, sold={"other": SOLD["cash"]}) == ()

    def test_of_stages_that_are_switched_off_do_not_count(self) -> None:
        assert found(tabled(0.5), products=[{"product": "cash", "stages": ["end"]}]) == []

    def test_in_branches_count(self) -> None:
        when = {"field": "age", "is": "above", "value": 30}
        case = {"id": "b.1", "when": when, "stages": ["t"]}
        branch = {"id": "b", "kind": "branch", "cases": [case], "missing": "review"}
        products = [{"product": "cash", "stages": ["b", "end"]}]
        ((path, _),) = found(tabled(0.5), branch, final(), products=products)
        assert path == "$.stages[0].rows[0]"


class TestFormulas:
    @pytest.mark.parametrize(
        "value",
        [
            0.15,
            {"least": [{"greatest": ["income", 0.12]}, 0.216]},
            {"greatest": [0.12, {"least": [{"divide": ["debt", "income"]}, 0.2]}]},
            {"add": [0.12, {"multiply": ["face", 0.09]}]},
            {"subtract": [0.216, {"multiply": ["face", 0.096]}]},
            {"add": [0.12, {"divide": ["age", 2000]}]},
            {"round_down": [{"add": [0.13, {"multiply": ["face", 0.05]}]}, 0.005]},
            {"first_of": [{"add": [0.12, {"divide": ["age", 2000]}]}, 0.2]},
        ],
    )
    def test_that_are_bounded_are_fine(self, value: Any) -> None:
        assert found(computed(value)) == []

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            ("income", "-∞～∞"),
            ({"days_since": "joined_on"}, "-∞～∞"),
            ({"least": ["income", 0.2]}, "-∞～20.0000%"),
            ({"add": [0.15, {"multiply": ["face", 0.1]}]}, "15.0000%～25.0000%"),
            ({"divide": [0.2, "face"]}, "-∞～∞"),
            ({"first_of": ["income", 0.2]}, "-∞～∞"),
            ({"multiply": [{"greatest": ["income", 0.1]}, 2]}, "20.0000%～∞"),
        ],
    )
    def test_that_are_not_are_refused(self, value: Any, said: str) -> None:
        assert found(computed(value))[0][1]["found"] == said

    def test_follow_outputs_and_derived_values(self) -> None:
        derived = [{"name": "share", "value": {"divide": ["age", 2000]}}]
        price = computed({"add": [0.12, "points"]})
        points = computed("share", output="points")
        assert found(points, price, derived=derived) == []
        dearer = computed({"multiply": ["share", 10]}, output="points")
        assert found(dearer, price, derived=derived)[0][1]["found"] == "12.0000%～72.0000%"

    def test_made_of_themselves_are_unbounded(self) -> None:
        first = computed(0.15)
        again = computed({"add": ["rate_annual", 0]}) | {"id": "again"}
        assert found(first, again)[0][0] == "$.stages[1].set[0].value"


@given(expressions(("age", "face", "ratio", "score_a")), rows())
def test_what_comes_out_lies_within_what_was_bounded(value: Any, row: dict[str, Any]) -> None:
    made = strategy(computed(value, output="points"), outputs=OUTPUTS)
    low, high = _Reach(made, "cash").of(made.stages["c.points"].sets[0][1])  # type: ignore[union-attr]
    said = interpret(made, row, product="cash", around=around()).decision.outputs["points"]
    assume(said is not None)
    slack = 1e-9 * max(1.0, abs(said))
    assert low - slack <= said <= high + slack
    assert not math.isnan(said)
