import pytest
from strategies import (
    NUMBERS,
    ON,
    FakeLists,
    around,
    document,
    final,
    problems_of,
    rule,
    strategy,
)

from risk.features.catalogue import Kind
from risk.strategy.compiler import compile_strategy
from risk.strategy.language import (
    AllOf,
    Between,
    Compare,
    HasText,
    IsMissing,
    Not,
    OneOf,
    Part,
    Relation,
)
from risk.strategy.regions import box_of
from risk.strategy.selftest import self_test

NOT_A = {"is": "none_of", "value": ["a"]}
KINDS = {"n": Kind.NUMBER, "b": Kind.TRUTH, "s": Kind.TEXT, "m": Kind.NUMBER}


def said(field: str, word: str, value: object = None) -> dict:
    found = {"field": field, "is": word}
    return found if value is None else found | {"value": value}


def rules(*given: dict) -> dict:
    return {"id": "s", "kind": "rules", "rules": list(given)}


def table(policy: str, *rows: list) -> dict:
    return {
        "id": "t",
        "kind": "table",
        "policy": policy,
        "columns": ["income", "city"],
        "rows": [{"cells": row, "outcome": "review", "reason": "r1"} for row in rows],
        "missing": "review",
    }


class TestContradictions:
    @pytest.mark.parametrize(
        "when",
        [
            {"all": [said("age", "below", 18), said("age", "at_least", 18)]},
            {"all": [said("age", "equals", 18), said("age", "differs", 18)]},
            {"all": [said("age", "between", [1, 5]), said("age", "one_of", [5, 6])]},
            {"all": [said("age", "missing"), said("age", "above", 5)]},
            {"all": [said("city", "equals", "a"), said("city", "none_of", ["a", "b"])]},
            {"all": [said("city", "one_of", ["a"]), said("city", "one_of", ["b"])]},
            {"all": [said("is_student", "equals", True), said("is_student", "differs", True)]},
            {"all": [said("city", "contains", "a"), {"not": said("city", "contains", "a")}]},
            {"not": {"any": [said("age", "below", 18), said("age", "at_least", 18)]}},
            {"all": [said("age", "above", 5), {"any": [said("age", "below", 5)]}]},
            {"all": [said("age", "above", 5), {"all": [said("age", "at_most", 5)]}]},
        ],
    )
    def test_are_found(self, when: dict) -> None:
        found = problems_of(document(rules(rule("s.1", when))))
        assert found == [("$.stages[0].rules[0].when", "contradiction")]

    @pytest.mark.parametrize(
        "when",
        [
            {"all": [said("age", "at_most", 18), said("age", "at_least", 18)]},
            {"any": [said("age", "below", 18), said("age", "at_least", 18)]},
            {"all": [said("city", "starts_with", "a"), said("city", "ends_with", "a")]},
            {"all": [said("city", "differs", "a"), said("city", "differs", "b")]},
            {"all": [said("city", "one_of", ["a", "b"]), said("city", "one_of", ["b"])]},
            {"all": [said("city", "missing"), said("age", "present")]},
            {"all": [said("age", "above", {"field": "debt"}), said("age", "below", 5)]},
        ],
    )
    def test_are_not_seen_where_there_are_none(self, when: dict) -> None:
        assert problems_of(document(rules(rule("s.1", when)))) == []

    def test_equal_conditions_with_different_outcomes(self) -> None:
        first = rule("s.1", {"not": {"not": said("age", "below", 18)}})
        second = rule("s.2", said("age", "below", 18), outcome="review")
        third = second | {"id": "s.3", "effective_from": "2027-01-01"}
        found = problems_of(document(rules(first, second, third)))
        assert found == [("$.stages[0].rules[1]", "outcomes-contradict")]

    def test_a_fork_that_is_decided_above_it(self) -> None:
        leaf = {"set": {"band": "x"}}
        tree = {
            "id": "t",
            "kind": "tree",
            "missing": "review",
            "root": {
                "when": said("age", "below", 18),
                "then": {
                    "when": said("age", "below", 20),
                    "then": {"id": "a"} | leaf,
                    "else": {"id": "b"} | leaf,
                },
                "else": {"id": "c"} | leaf,
            },
        }
        assert problems_of(document(tree)) == [("$.stages[0].root.then.else", "contradiction")]


class TestTables:
    @pytest.mark.parametrize(
        "rows",
        [
            [[{"from": 0, "below": 10}, None], [{"from": 2, "below": 5}, "a"]],
            [[None, None], [5, "a"]],
            [[None, ["a", "b"]], [1, "b"]],
            [
                [None, {"is": "none_of", "value": ["a"]}],
                [1, {"is": "none_of", "value": ["a", "b"]}],
            ],
            [[None, {"is": "none_of", "value": ["a"]}], [1, "b"]],
            [[None, {"is": "starts_with", "value": "a"}], [1, {"is": "starts_with", "value": "a"}]],
            [[{"is": "present"}, None], [7, None]],
        ],
    )
    def test_a_row_behind_one_that_covers_it_is_dead(self, rows: list) -> None:
        found = problems_of(document(table("first", *rows)))
        assert found == [("$.stages[0].rows[1]", "row-unreachable")]

    @pytest.mark.parametrize(
        "rows",
        [
            [[{"from": 0, "below": 10}, None], [{"from": 2, "below": 12}, "a"]],
            [[{"is": "present"}, None], [{"is": "missing"}, None]],
            [[None, "a"], [None, None]],
            [[None, ["a"]], [None, {"is": "none_of", "value": ["b"]}]],
            [[None, NOT_A], [None, {"is": "missing"}]],
            [[None, {"is": "starts_with", "value": "a"}], [1, {"is": "starts_with", "value": "b"}]],
        ],
    )
    def test_a_row_that_can_be_reached_is_alive(self, rows: list) -> None:
        assert problems_of(document(table("first", *rows))) == []

    def test_rows_of_a_unique_table_never_meet(self) -> None:
        apart = [[{"below": 5}, None], [{"from": 5}, "a"], [{"from": 5}, "b"]]
        assert problems_of(document(table("unique", *apart))) == []
        found = problems_of(document(table("unique", *apart, [7, "b"])))
        assert found == [("$.stages[0].rows[3]", "rows-overlap")]

    def test_rows_of_a_collecting_table_may_meet(self) -> None:
        assert problems_of(document(table("collect", [None, None], [7, "b"]))) == []


class TestSize:
    @pytest.mark.parametrize("policy", ["first", "unique"])
    def test_three_hundred_rows_by_thirty_columns_are_no_trouble(self, policy: str) -> None:
        names = (*NUMBERS, *(f"n{n}" for n in range(30 - len(NUMBERS))))
        span = [{"from": 0}, {"below": 1e6}, {"is": "differs", "value": -1}]
        stage = {
            "id": "t",
            "kind": "table",
            "policy": policy,
            "columns": list(names),
            "rows": [
                {
                    "cells": [{"from": n, "below": n + 1}, *(span[m % 3] for m in range(29))],
                    "set": {"line": n},
                }
                for n in range(300)
            ],
            "missing": "review",
        }
        derived = [{"name": name, "value": {"add": ["debt", 1]}} for name in names[4:]]
        found = strategy(stage, derived=derived)
        rows = [{"age": n + 0.5, "income": 5, "debt": 6, "score_a": 7} for n in (-1, 18, 299, 300)]
        assert self_test(found, [*rows, {"age": 20}], on=ON, lists=FakeLists()) == 5
        told = compile_strategy(found, product="cash").decide(rows[1], around())
        assert told.outputs["line"] == 18.0


class TestRegions:
    @pytest.mark.parametrize(
        ("wide", "narrow"),
        [
            (Compare("n", Relation.BELOW, 5.0), Between("n", 1.0, 5.0)),
            (Not(OneOf("n", (1.0, 2.0))), Between("n", 1.5, 2.0)),
            (Not(OneOf("n", (1.0,))), Not(OneOf("n", (1.0, 2.0)))),
            (Not(Compare("b", Relation.EQUALS, 1.0)), Compare("b", Relation.EQUALS, 0.0)),
            (Not(IsMissing("n")), Compare("n", Relation.ABOVE, 5.0)),
            (Not(IsMissing("s")), HasText("s", Part.CONTAINS, "x")),
        ],
    )
    def test_cover(self, wide: object, narrow: object) -> None:
        boxes = [box_of((each,), KINDS) for each in (wide, narrow)]  # type: ignore[arg-type]
        is_opaque = isinstance(narrow, HasText)
        assert boxes[0].covers(boxes[1]) is not is_opaque
        assert boxes[0].may_meet(boxes[1])
        assert boxes[1].covers(boxes[0]) is (boxes[0] == boxes[1])

    def test_opposite_statements_never_meet(self) -> None:
        text = HasText("s", Part.CONTAINS, "x")
        one, other = box_of((text,), KINDS), box_of((AllOf((Not(text),)),), KINDS)
        assert not one.may_meet(other)
        assert one.meet(other).contradiction() == "s"


class TestFlow:
    def branch(self, *stages: str, name: str = "b", otherwise: tuple[str, ...] = ()) -> dict:
        case = {"id": f"{name}.1", "when": said("age", "above", 5), "stages": list(stages)}
        found = {"id": name, "kind": "branch", "cases": [case], "missing": "review"}
        return found | ({"otherwise": list(otherwise)} if otherwise else {})

    def products(self, *stages: str) -> list:
        return [{"product": "cash", "stages": list(stages)}]

    def test_ends_in_the_only_final_stage(self) -> None:
        for stages in (["s"], ["end", "s"], ["end", "end"]):
            products = self.products(*stages)
            found = problems_of(
                document(rules(rule("s.1", said("age", "above", 5))), final(), products=products)
            )
            assert ("$.products[0].stages", "final-misplaced") in found

    def test_a_branch_holds_no_final_stage(self) -> None:
        found = problems_of(
            document(self.branch("end"), final(), products=self.products("b", "end"))
        )
        assert ("$.stages[0]", "final-misplaced") in found

    def test_no_stage_runs_twice(self) -> None:
        stage = rules(rule("s.1", said("age", "above", 5)))
        twice = self.products("s", "b", "end")
        found = problems_of(document(stage, self.branch("s"), final(), products=twice))
        assert found == [("$.products[0].stages", "stage-twice")]

    def test_ways_that_exclude_each_other_may_share_a_stage(self) -> None:
        stage = rules(rule("s.1", said("age", "above", 5)))
        products = self.products("b", "end")
        shared = self.branch("s", otherwise=("s",))
        assert problems_of(document(stage, shared, final(), products=products)) == []

    def test_branches_do_not_go_in_circles(self) -> None:
        products = self.products("b", "end")
        pair = (self.branch("c"), self.branch("b", name="c"))
        assert problems_of(document(*pair, final(), products=products)) == [
            ("$.stages[1]", "cycle")
        ]

    def test_branches_do_not_go_too_deep(self) -> None:
        chain = [self.branch(f"b{n + 1}", name=f"b{n}") for n in range(12)]
        stage = rules(rule("s.1", said("age", "above", 5))) | {"id": "b12"}
        found = problems_of(document(*chain, stage, final(), products=self.products("b0", "end")))
        assert [code for _, code in found] == ["too-deep"]

    def test_branches_do_not_multiply_without_end(self) -> None:
        def branch(n: int) -> dict:
            cases = [
                {"id": f"b{n}.{m}", "when": said("age", "above", m), "stages": [f"b{n + 1}"]}
                for m in range(5)
            ]
            return {"id": f"b{n}", "kind": "branch", "cases": cases, "missing": "review"}

        stage = rules(rule("s.1", said("age", "above", 5))) | {"id": "b6"}
        products = self.products("b0", "end")
        stages = [*map(branch, range(6)), stage, final()]
        assert problems_of(document(*stages, products=products)) == [
            ("$.products[0].stages", "too-large")
        ]

    def test_derived_values_that_share_their_sources_are_read_once(self) -> None:
        derived = [
            {"name": f"x{n}", "value": {"add": [f"x{n - 1}" if n else "debt"] * 2}}
            for n in range(40)
        ]
        stage = rules(rule("s.1", said("x39", "above", 5)))
        told = compile_strategy(strategy(stage, derived=derived), product="cash")
        hit = told.decide({"age": 20}, around()).hits[0]
        assert list(hit.values) == [*(f"x{n}" for n in reversed(range(40))), "debt"]

    def test_an_output_is_set_before_it_is_read(self) -> None:
        reads = rules(rule("s.1", said("line", "above", 5)))
        sets = {
            "id": "l",
            "kind": "compute",
            "set": [{"output": "line", "value": "income"}],
            "missing": "review",
        }
        assert problems_of(document(sets, reads)) == []
        assert problems_of(document(reads, sets)) == [("$.stages[0]", "output-not-set")]
        maybe = self.branch("l")
        products = self.products("b", "s", "end")
        assert problems_of(document(sets, maybe, reads, final(), products=products)) == []
