import math
from datetime import date
from typing import Any

import numpy as np
import pytest
from strategies import ON, FakeLists, around, final, rule, strategy

from risk.strategy.batch import BatchCircumstances, decide_batch
from risk.strategy.compiler import compile_strategy
from risk.strategy.decision import Circumstances, Decision, HitKind
from risk.strategy.interpreter import interpret
from risk.strategy.language import Compare, Outcome, Relation, Strategy
from risk.strategy.selftest import self_test

APPROVE, REVIEW, DECLINE = Outcome
ROW = {"age": 30, "income": 7, "debt": 2, "joined_on": "2026-11-20"}
OLD = {"field": "age", "is": "above", "value": 60}


def decide(
    found: Strategy, row: dict[str, Any], circumstances: Circumstances | None = None
) -> Decision:
    """Decide in two forms, and make sure that they say the same."""
    circumstances = circumstances or around(blocked=("138",), known=5.0)
    plain = interpret(found, row, product="cash", around=circumstances).decision
    assert compile_strategy(found, product="cash").decide(row, circumstances) == plain
    return plain


def rules(*given: dict) -> dict:
    return {"id": "s", "kind": "rules", "rules": list(given)}


def compute(value: Any, **changes: Any) -> dict:
    sets = [{"output": "line", "value": value}]
    return {"id": "l", "kind": "compute", "set": sets, "missing": "review"} | changes


def said(field: str, word: str, value: object = None) -> dict:
    found = {"field": field, "is": word}
    return found if value is None else found | {"value": value}


class TestRules:
    def test_every_hit_is_kept_with_what_was_read(self) -> None:
        first = rule("s.1", OLD, outcome="review")
        second = rule("s.2", {"all": [OLD, said("city", "starts_with", "北")]}, outcome="review")
        decision = decide(strategy(rules(first, second)), {"age": 61, "city": "北京"})
        assert decision.outcome is REVIEW
        assert [(hit.rule, hit.reason, hit.values) for hit in decision.hits] == [
            ("s.1", "r1", {"age": 61.0}),
            ("s.2", "r1", {"age": 61.0, "city": "北京"}),
            ("end.adult", None, {"age": 61.0}),
        ]

    def test_a_decline_ends_the_way(self) -> None:
        later = rules(rule("t.1", OLD)) | {"id": "t"}
        decision = decide(strategy(rules(rule("s.1", OLD)), later), {"age": 61})
        assert [hit.rule for hit in decision.hits] == ["s.1"]

    @pytest.mark.parametrize(
        ("policy", "outcome"), [("ignore", APPROVE), ("review", REVIEW), ("decline", DECLINE)]
    )
    @pytest.mark.parametrize(
        "odd", [None, "600", True, math.nan, math.inf, -math.inf, 1e30, 10**400, [], {}], ids=repr
    )
    def test_an_odd_value_means_what_the_rule_declares(
        self, odd: object, policy: str, outcome: Outcome
    ) -> None:
        low = said("score_a", "below", 500)
        found = strategy(rules(rule("s.1", low, missing=policy)))
        decision = decide(found, {"age": 30, "score_a": odd})
        assert decision.outcome is outcome
        if outcome is not APPROVE:
            assert decision.hits[0] == (
                "s.1",
                outcome,
                "data-missing",
                HitKind.MISSING,
                {"score_a": None},
            )

    @pytest.mark.parametrize(
        ("when", "row", "expected"),
        [
            (said("score_a", "at_least", 0.7), {"score_a": 0.7}, True),
            (said("score_a", "between", [1, 2]), {"score_a": 2}, False),
            (said("score_a", "between", [1, 2]), {"score_a": 1}, True),
            (said("score_a", "between", [-2, None]), {"score_a": -1}, True),
            (said("score_a", "one_of", [1, 2]), {"score_a": 2}, True),
            (said("score_a", "none_of", [1, 2]), {"score_a": 2}, False),
            (said("income", "below", {"field": "debt"}), {"income": 1, "debt": 2}, True),
            (said("income", "below", {"field": "debt"}), {"income": 1}, None),
            (said("joined_on", "below", "2026-01-01"), {"joined_on": "2025-12-31"}, True),
            (said("joined_on", "below", "2026-01-01"), {"joined_on": date(2026, 1, 1)}, False),
            (said("is_student", "equals", True), {"is_student": 1}, True),
            (said("is_student", "differs", True), {"is_student": False}, True),
            (said("city", "equals", {"field": "phone"}), {"city": "x", "phone": "x"}, True),
            (said("city", "differs", {"field": "phone"}), {"city": "x"}, None),
            (said("city", "contains", "海"), {"city": "上海市"}, True),
            (said("city", "ends_with", "市"), {"city": "上海"}, False),
            (said("city", "missing"), {"city": " "}, True),
            (said("city", "present"), {}, False),
            ({"field": "phone", "is": "in_list", "list": "blocked", "match": "exact"}, {}, None),
            (
                {"field": "phone", "is": "in_list", "list": "blocked", "match": "exact"},
                {"phone": "138"},
                True,
            ),
            (
                {"field": "phone", "is": "not_in_list", "list": "blocked", "match": "exact"},
                {"phone": "139"},
                True,
            ),
            (
                {"field": "phone", "is": "in_list", "list": "elsewhere", "match": "exact"},
                {"phone": "139"},
                None,
            ),
            ({"all": [said("city", "present"), said("debt", "above", 5)]}, {}, False),
            ({"any": [said("city", "missing"), said("debt", "above", 5)]}, {}, True),
            ({"not": said("debt", "above", 5)}, {}, None),
        ],
    )
    def test_conditions_are_true_false_or_unknown(
        self, when: dict, row: dict, expected: bool | None
    ) -> None:
        decision = decide(strategy(rules(rule("s.1", when))), {"age": 30} | row)
        kinds = {hit.rule: hit.kind for hit in decision.hits}
        told = {HitKind.HIT: True, HitKind.MISSING: None}
        assert told.get(kinds.get("s.1"), False) is expected

    @pytest.mark.parametrize(
        ("changes", "counts"),
        [
            ({"effective_from": "2026-11-26"}, True),
            ({"effective_from": "2026-11-27"}, False),
            ({"effective_to": "2026-11-26"}, False),
            ({"effective_to": "2026-11-27"}, True),
        ],
    )
    def test_count_in_their_period(self, changes: dict, counts: bool) -> None:
        decision = decide(strategy(rules(rule("s.1", OLD, **changes))), {"age": 61})
        assert (decision.outcome is DECLINE) is counts

    def test_can_be_snoozed_where_that_is_allowed(self) -> None:
        may = rule("s.1", OLD, may_snooze=True)
        lost = rule("s.2", said("debt", "above", 5), missing="decline", may_snooze=True)
        found = strategy(rules(may, lost))
        snoozed = decide(found, {"age": 61}, around(snoozed=("s.1", "s.2")))
        assert snoozed.outcome is APPROVE
        assert [(hit.rule, hit.outcome, hit.kind) for hit in snoozed.hits[:2]] == [
            ("s.1", DECLINE, "snoozed"),
            ("s.2", DECLINE, "snoozed"),
        ]
        assert decide(found, {"age": 61}, around(snoozed=("s.9",))).outcome is DECLINE
        firm = strategy(rules(rule("s.1", OLD)))
        assert decide(firm, {"age": 61}, around(snoozed=("s.1",))).outcome is DECLINE


class TestRequired:
    def test_is_asked_first(self) -> None:
        found = strategy(
            rules(rule("s.1", said("debt", "above", 5))),
            required=[
                {"field": "city", "missing": "review"},
                {"field": "income", "missing": "decline"},
            ],
        )
        decision = decide(found, {"age": 30, "debt": 6})
        assert decision.outcome is DECLINE
        assert [hit.rule for hit in decision.hits] == ["required.city", "required.income"]


class TestArithmetic:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"add": ["income", "debt", 0.5]}, 9.5),
            ({"subtract": ["income", "debt"]}, 5.0),
            ({"multiply": ["income", -2]}, -14.0),
            ({"divide": ["income", "debt"]}, 3.5),
            ({"divide": ["income", {"subtract": ["debt", 2]}]}, None),
            ({"least": ["income", "debt", 5]}, 2.0),
            ({"greatest": ["income", "debt", 5]}, 7.0),
            ({"round_down": ["income", 5]}, 5.0),
            ({"round_down": [{"multiply": ["income", -1]}, 5]}, -10.0),
            ({"days_since": "joined_on"}, 6.0),
            ({"first_of": ["score_a", "income"]}, 7.0),
            ({"first_of": ["score_a"]}, None),
            ({"add": ["income", "score_a"]}, None),
            ({"least": ["income", "score_a"]}, None),
            ({"multiply": ["income", 9e14, 9e14]}, None),
        ],
    )
    def test_gives(self, value: object, expected: float | None) -> None:
        decision = decide(strategy(compute(value)), ROW)
        assert decision.outputs["line"] == expected
        assert decision.outcome is (APPROVE if expected is not None else REVIEW)

    def test_a_missing_result_names_the_fields_behind_it(self) -> None:
        late = rule("s.1", said("ratio", "above", 0.5))
        decision = decide(strategy(rules(late)), {"age": 30, "debt": 5, "income": 0})
        assert decision.hits[0].values == {"ratio": None, "debt": 5.0, "income": 0.0}


class TestTables:
    def table(self, policy: str, *rows: dict, missing: str = "review") -> Strategy:
        return strategy(
            {
                "id": "t",
                "kind": "table",
                "policy": policy,
                "columns": ["debt", "city"],
                "rows": list(rows),
                "missing": missing,
            }
        )

    def test_first_takes_the_first_row_that_holds(self) -> None:
        found = self.table(
            "first",
            {"cells": [{"below": 5}, "a"], "set": {"band": "low"}},
            {"cells": [{"below": 50}, None], "outcome": "review", "reason": "r1"},
            {"id": "rest", "cells": [None, None], "set": {"band": "rest"}},
        )
        assert decide(found, {"age": 30, "debt": 1, "city": "a"}).outputs["band"] == "low"
        assert decide(found, {"age": 30, "debt": 99, "city": "a"}).outputs["band"] == "rest"
        middle = decide(found, {"age": 30, "debt": 9, "city": "a"})
        assert (middle.outcome, middle.outputs["band"]) == (REVIEW, None)
        assert [hit.rule for hit in middle.hits] == ["t.2", "end.adult"]

    @pytest.mark.parametrize("missing", ["ignore", "review"])
    def test_first_never_goes_past_a_row_that_cannot_be_told(self, missing: str) -> None:
        found = self.table(
            "first",
            {"cells": [{"below": 5}, None], "set": {"band": "low"}},
            {"cells": [None, None], "set": {"band": "rest"}},
            missing=missing,
        )
        decision = decide(found, {"age": 30, "city": "a"})
        assert decision.outputs["band"] is None
        assert decision.outcome is (APPROVE if missing == "ignore" else REVIEW)

    def test_unique_tells_what_it_can(self) -> None:
        found = self.table(
            "unique",
            {"cells": [{"below": 5}, "a"], "set": {"band": "low"}},
            {"cells": [{"from": 5}, "a"], "set": {"band": "high"}},
            {"cells": [None, "b"], "set": {"band": "b"}},
        )
        assert decide(found, {"age": 30, "city": "b"}).outputs["band"] == "b"
        lost = decide(found, {"age": 30, "city": "a"})
        assert lost.hits[0][:4] == ("t", REVIEW, "data-missing", "missing")
        assert lost.hits[0].values == {"debt": None, "city": "a"}

    def test_unique_may_set_what_it_reads(self) -> None:
        bands = [{"below": 5}, {"from": 5, "below": 50}, {"from": 50}]
        matrix = {
            "id": "m",
            "kind": "matrix",
            "rows": {"field": "line", "bands": bands},
            "columns": {"field": "city", "bands": [None]},
            "cells": [[{"set": {"line": 9}}], [{"set": {"line": 99}}], [{"set": {"line": 1}}]],
            "missing": "review",
        }
        found = strategy(compute("debt"), matrix)
        rows = [{"age": 30, "debt": debt} for debt in (1, 10, 60, None)]
        assert self_test(found, rows, on=ON, lists=FakeLists()) == 4
        assert decide(found, rows[0]).outputs["line"] == 9.0

    def test_collect_keeps_every_row(self) -> None:
        harm = {"outcome": "review", "reason": "r1"}
        found = self.table(
            "collect",
            {"cells": [{"below": 5}, None]} | harm,
            {"cells": [None, "a"]} | harm,
            {"cells": [None, "b"]} | harm,
        )
        decision = decide(found, {"age": 30, "city": "a"})
        assert [(hit.rule, hit.kind) for hit in decision.hits[:2]] == [
            ("t.1", "missing"),
            ("t.2", "hit"),
        ]


class TestCards:
    def card(self, **changes: Any) -> Strategy:
        bins = [{"below": 25, "points": -20}, {"below": 40, "points": 5}, {"points": 10}]
        special = [{"value": -9, "points": 3}]
        return strategy(
            {
                "id": "c",
                "kind": "card",
                "base": 600,
                "characteristics": [
                    {"field": "age", "bins": bins},
                    {"field": "debt", "bins": bins, "specials": special, "missing": -30},
                    {"field": "income", "bins": [{"points": 1}], "missing": -1},
                ],
                "missing_at_most": 1,
                "output": "points",
                "missing": "review",
            }
            | changes
        )

    @pytest.mark.parametrize(
        ("row", "score", "points"),
        [
            ({"age": 24.9, "debt": 25, "income": 1}, 586.0, (-20, 5, 1)),
            ({"age": 40, "debt": -9, "income": 1}, 614.0, (10, 3, 1)),
            ({"age": 40, "income": 1}, 581.0, (10, -30, 1)),
            ({"age": 40}, None, (10, -30, -1)),
            ({"debt": 1, "income": 1}, None, (None, -20, 1)),
        ],
    )
    def test_add_points(self, row: dict, score: float | None, points: tuple) -> None:
        decision = decide(self.card(), {"city": "x"} | row)
        assert decision.outputs["points"] == score
        assert decision.points == {"c": points}
        assert (decision.outcome is REVIEW) is (score is None)

    def test_read_outputs_too(self) -> None:
        stages = [
            compute("debt", missing="ignore"),
            {
                "id": "c",
                "kind": "card",
                "base": 0,
                "characteristics": [{"field": "line", "bins": [{"points": 1}]}],
                "missing_at_most": 0,
                "output": "points",
                "missing": "review",
            },
        ]
        assert decide(strategy(*stages), {"age": 30, "income": 1}).outcome is REVIEW


class TestModels:
    def test_are_called_by_name(self) -> None:
        def found(model: str) -> Strategy:
            stage = {"id": "m", "kind": "model", "model": model, "output": "points"}
            return strategy(stage | {"missing": "review"})

        assert decide(found("known"), {"age": 30}).outputs["points"] == 5.0
        lost = decide(found("unknown"), {"age": 30})
        assert lost.hits[0].values == {"points": None}
        assert lost.outcome is REVIEW


class TestTreesAndBranches:
    def tree(self) -> dict:
        return {
            "id": "t",
            "kind": "tree",
            "missing": "review",
            "root": {
                "when": said("debt", "above", 5),
                "then": {
                    "when": said("city", "equals", "a"),
                    "then": {"id": "t.bad", "outcome": "decline", "reason": "r1"},
                    "else": {"id": "t.odd", "outcome": "review", "reason": "r1"},
                },
                "else": {"id": "t.good", "set": {"band": "good"}},
            },
        }

    @pytest.mark.parametrize(
        ("row", "rule_id", "kind"),
        [
            ({"debt": 6, "city": "a"}, "t.bad", "hit"),
            ({"debt": 6, "city": "b"}, "t.odd", "hit"),
            ({"debt": 5}, "t.good", "taken"),
            ({"debt": 6}, "t", "missing"),
            ({"city": "a"}, "t", "missing"),
        ],
    )
    def test_a_tree_ends_in_one_leaf(self, row: dict, rule_id: str, kind: str) -> None:
        hit = decide(strategy(self.tree()), {"age": 30} | row).hits[0]
        assert (hit.rule, hit.kind) == (rule_id, kind)
        assert hit.values["debt"] == row.get("debt")

    @pytest.mark.parametrize(
        ("row", "path"),
        [
            ({"debt": 6}, ("b", "l", "end")),
            ({"debt": 5, "city": "a"}, ("b", "s", "end")),
            ({"debt": 5, "city": "b"}, ("b", "end")),
            ({"city": "a"}, ("b", "end")),
        ],
    )
    @pytest.mark.parametrize("missing", ["ignore", "review"])
    def test_a_branch_runs_the_first_case_that_holds(
        self, row: dict, path: tuple, missing: str
    ) -> None:
        branch = {
            "id": "b",
            "kind": "branch",
            "cases": [
                {"id": "b.1", "when": said("debt", "above", 5), "stages": ["l"]},
                {"id": "b.2", "when": said("city", "equals", "a"), "stages": ["s"]},
            ],
            "missing": missing,
        }
        stages = [branch, compute(5), rules(rule("s.1", OLD)), final()]
        products = [{"product": "cash", "stages": ["b", "end"]}]
        found = strategy(*stages, products=products)
        circumstances = around()
        told = interpret(found, {"age": 30} | row, product="cash", around=circumstances)
        assert told.path == path
        decision = decide(found, {"age": 30} | row, circumstances)
        unknown = "debt" not in row and missing == "review"
        assert decision.outcome is (REVIEW if unknown else APPROVE)


class TestFinal:
    def test_what_no_rule_approves_goes_where_it_says(self) -> None:
        decision = decide(strategy(final()), {"age": 17})
        assert decision.outcome is REVIEW
        assert decision.hits == (("end.otherwise", REVIEW, "r2", HitKind.HIT, {"age": 17.0}),)

    def test_an_approving_rule_that_cannot_be_told_does_not_approve(self) -> None:
        when = said("debt", "below", 5)
        for policy, outcome in (("ignore", REVIEW), ("review", REVIEW), ("decline", DECLINE)):
            stage = final(rules=[{"id": "end.1", "when": when, "missing": policy}])
            assert decide(strategy(stage), {"age": 30}).outcome is outcome


class TestWhyNot:
    def test_tells_what_each_rule_read(self) -> None:
        when = {"any": [OLD, {"all": [said("debt", "above", 5), said("city", "equals", "a")]}]}
        found = strategy(rules(rule("s.1", when)))
        told = interpret(found, {"age": 30, "debt": 6}, product="cash", around=around())
        check = told.checks[0]
        assert (check.rule, check.holds) == ("s.1", None)
        assert [(each.holds, each.values) for each in check.statements] == [
            (False, {"age": 30.0}),
            (True, {"debt": 6.0}),
            (None, {"city": None}),
        ]
        assert check.statements[0].atom == Compare("age", Relation.ABOVE, 60.0)
        assert told.path == ("s", "end")


class TestColumns:
    def test_may_be_floats_with_odd_values(self) -> None:
        student = rule("s.1", said("is_student", "equals", True))
        joined = rule("s.2", said("joined_on", "below", "2020-01-01"))
        found = strategy(rules(student, joined, rule("s.3", said("score_a", "below", 5))))
        good = float(ON.toordinal())
        columns = {
            "age": np.array([30.0] * 5),
            "is_student": np.array([0.0, 0.5, 0.0, 1.0, 0.0]),
            "joined_on": np.array([good, good, 0.5, good, good]),
            "score_a": np.array([9.0, 9.0, 9.0, 9.0, 1e30]),
        }
        circumstances = BatchCircumstances(
            on=ON, lists=FakeLists(), score=lambda _: np.full(5, np.nan)
        )
        batch = decide_batch(found, columns, product="cash", rows=5, around=circumstances)
        assert batch.outcome.tolist() == [APPROVE, REVIEW, REVIEW, DECLINE, REVIEW]
        assert batch.hits["s.2", HitKind.MISSING].tolist() == [False, False, True, False, False]
