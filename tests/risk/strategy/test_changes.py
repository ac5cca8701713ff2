from typing import Any

import pytest
from strategies import around, final, rule, strategy

from risk.strategy.changes import Change, helpful_changes
from risk.strategy.compiler import compile_strategy
from risk.strategy.language import Outcome

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
            (said("debt", "at_least", 0.5), {"debt": 0.7}, [("debt", 0.0)]),
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
