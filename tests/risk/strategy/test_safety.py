import pytest
from strategies import document, final, problems_of, rule, strategy

from risk.models.card import Characteristic, Scorecard
from risk.strategy.safety import approved_by_absence

FEW_LINKS = {"field": "bad_links", "is": "above", "value": 3}
FACE = {"field": "face", "is": "below", "value": 0.5}
YOUNG = {"field": "age", "is": "below", "value": 21}


def rules(*given: dict) -> dict:
    return {"id": "s", "kind": "rules", "rules": list(given)}


def approving(when: dict, **changes: object) -> dict:
    return final(rules=[{"id": "end.ok", "when": when, "missing": "ignore"}], **changes)


class TestSupport:
    @pytest.mark.parametrize(
        "when",
        [
            FEW_LINKS,
            {"all": [FEW_LINKS, FACE]},
            {"any": [FEW_LINKS, YOUNG]},
            {"not": {"all": [{"not": FACE}, {"not": YOUNG}]}},
            {"all": [FEW_LINKS, {"field": "age", "is": "present"}]},
            {"field": "bad_links", "is": "above", "value": {"field": "face"}},
            {"field": "both", "is": "above", "value": 1},
        ],
    )
    def test_alone_never_declines(self, when: dict) -> None:
        derived = [{"name": "both", "value": {"add": ["bad_links", "face"]}}]
        found = problems_of(document(rules(rule("s.1", when)), derived=derived))
        assert found == [("$.stages[0].rules[0].outcome", "support-declines")]
        review = rules(rule("s.1", when, outcome="review"))
        assert problems_of(document(review, derived=derived)) == []

    @pytest.mark.parametrize(
        "when",
        [
            {"all": [FEW_LINKS, YOUNG]},
            {"any": [{"all": [FEW_LINKS, YOUNG]}, YOUNG]},
            {"field": "mixed", "is": "above", "value": 1},
        ],
    )
    def test_may_add_to_something_firm(self, when: dict) -> None:
        derived = [{"name": "mixed", "value": {"add": ["bad_links", "age"]}}]
        assert problems_of(document(rules(rule("s.1", when)), derived=derived)) == []

    def test_missing_never_declines_either(self) -> None:
        stage = rules(rule("s.1", {"all": [FEW_LINKS, YOUNG]}, missing="decline"))
        required = [{"field": "face", "missing": "decline"}]
        assert problems_of(document(stage, required=required)) == [
            ("$.required[0]", "support-declines"),
            ("$.stages[0].rules[0].missing", "support-declines"),
        ]

    def test_the_rest_is_not_declined_where_support_decides(self) -> None:
        otherwise = {"outcome": "decline", "reason": "r2"}
        good = {"field": "face", "is": "above", "value": 0.7}
        found = problems_of(document(approving(good, otherwise=otherwise)))
        assert found == [("$.stages[0].otherwise", "support-declines")]
        assert problems_of(document(approving(good))) == []

    @pytest.mark.parametrize(
        ("rows", "missing", "expected"),
        [
            ([[0, None]], "review", [".rows[0]"]),
            ([[0, 1]], "review", []),
            ([[None, None]], "review", []),
            ([[None, 1]], "decline", [".missing"]),
        ],
    )
    def test_rows_are_judged_too(self, rows: list, missing: str, expected: list[str]) -> None:
        table = {
            "id": "t",
            "kind": "table",
            "policy": "first",
            "columns": ["bad_links", "age"],
            "rows": [{"cells": row, "outcome": "decline", "reason": "r1"} for row in rows],
            "missing": missing,
        }
        found = problems_of(document(table))
        assert found == [(f"$.stages[0]{path}", "support-declines") for path in expected]

    def test_a_row_for_the_rest_rests_on_the_whole_table(self) -> None:
        table = {
            "id": "t",
            "kind": "table",
            "policy": "first",
            "columns": ["bad_links"],
            "rows": [
                {"cells": [0], "set": {"band": "a"}},
                {"cells": [None], "outcome": "decline", "reason": "r1"},
            ],
            "missing": "review",
        }
        assert problems_of(document(table)) == [("$.stages[0].rows[1]", "support-declines")]

    def test_outputs_carry_it_on(self) -> None:
        tree = {
            "id": "t",
            "kind": "tree",
            "missing": "review",
            "root": {
                "when": FEW_LINKS,
                "then": {"id": "t.bad", "set": {"band": "bad"}},
                "else": {"id": "t.good", "set": {"band": "good"}},
            },
        }
        bad = {"field": "band", "is": "equals", "value": "bad"}
        found = problems_of(document(tree, rules(rule("s.1", bad))))
        assert found == [("$.stages[1].rules[0].outcome", "support-declines")]

    def test_a_model_is_firm(self) -> None:
        model = {"id": "m", "kind": "model", "model": "x", "output": "points", "missing": "review"}
        low = {"field": "points", "is": "below", "value": 5}
        assert problems_of(document(model, rules(rule("s.1", low)))) == []

    def test_a_missing_card_does_not_decline_for_a_link(self) -> None:
        bins = {"field": "bad_links", "bins": [{"points": 1}]}
        card = {
            "id": "c",
            "kind": "card",
            "base": 0,
            "characteristics": [bins],
            "missing_at_most": 0,
            "output": "points",
            "missing": "decline",
        }
        assert problems_of(document(card)) == [("$.stages[0].missing", "support-declines")]


class TestApprovals:
    @pytest.mark.parametrize(
        "when",
        [
            {"field": "debt", "is": "missing"},
            {"not": {"field": "debt", "is": "present"}},
            {
                "any": [
                    {"field": "age", "is": "above", "value": 5},
                    {"field": "debt", "is": "missing"},
                ]
            },
            {"field": "debt_or_none", "is": "below", "value": 5},
            {"field": "double", "is": "below", "value": 5},
            {"field": "age", "is": "above", "value": {"field": "debt_or_none"}},
        ],
    )
    def test_do_not_rest_on_absence(self, when: dict) -> None:
        derived = [
            {"name": "debt_or_none", "value": {"first_of": ["debt", 0]}},
            {"name": "double", "value": {"multiply": [2, "debt_or_none"]}},
        ]
        found = problems_of(document(approving(when), derived=derived))
        assert found == [("$.stages[0].rules[0].when", "approves-by-absence")]

    @pytest.mark.parametrize(
        "stage",
        [
            {"kind": "compute", "set": [{"output": "line", "value": {"first_of": ["debt", 0]}}]},
            {
                "kind": "compute",
                "set": [{"output": "line", "value": {"add": [1, {"first_of": [1, "debt"]}]}}],
            },
            {
                "kind": "card",
                "base": 0,
                "characteristics": [{"field": "debt", "bins": [{"points": 1}], "missing": 5}],
                "missing_at_most": 1,
                "output": "line",
            },
            {
                "kind": "table",
                "policy": "first",
                "columns": ["debt"],
                "rows": [{"cells": [{"is": "missing"}], "set": {"line": 5}}],
            },
            {
                "kind": "tree",
                "root": {
                    "when": {"field": "debt", "is": "present"},
                    "then": {"id": "t.1", "outcome": "review", "reason": "r1"},
                    "else": {"id": "t.2", "set": {"line": 5}},
                },
            },
        ],
    )
    def test_do_not_rest_on_an_output_that_absence_sets(self, stage: dict) -> None:
        stage = {"id": "x", "missing": "review"} | stage
        when = {"field": "line", "is": "above", "value": 1}
        found = problems_of(document(stage, approving(when)))
        assert found == [("$.stages[1].rules[0].when", "approves-by-absence")]

    @pytest.mark.parametrize(
        ("column", "expected"),
        [([{"is": "present"}, {"from": 5}], True), ([None, {"from": 5}], False)],
    )
    def test_do_not_rest_on_a_row_that_absence_lets_through(
        self, column: list, expected: bool
    ) -> None:
        table = {
            "id": "t",
            "kind": "table",
            "policy": "first",
            "columns": ["debt", "debt"],
            "rows": [
                {"cells": column, "outcome": "review", "reason": "r1"},
                {"cells": [None, None], "set": {"line": 5}},
            ],
            "missing": "ignore",
        }
        when = {"field": "line", "is": "above", "value": 1}
        found = problems_of(document(table, approving(when)))
        refusal = ("$.stages[1].rules[0].when", "approves-by-absence")
        assert found == ([refusal] if expected else [])

    @pytest.mark.parametrize("word", ["missing", "present"])
    def test_do_not_rest_on_a_branch_that_absence_takes(self, word: str) -> None:
        compute = {"id": "l", "kind": "compute", "missing": "review"}
        compute |= {"set": [{"output": "line", "value": "income"}]}
        case = {"id": "b.1", "when": {"field": "debt", "is": word}, "stages": ["l"]}
        branch = {"id": "b", "kind": "branch", "cases": [case], "missing": "review"}
        branch |= {"otherwise": ["l"]} if word == "present" else {}
        products = [{"product": "cash", "stages": ["b", "end"]}]
        when = {"field": "line", "is": "above", "value": 1}
        found = problems_of(document(branch, compute, approving(when), products=products))
        assert found == [("$.stages[2].rules[0].when", "approves-by-absence")]

    def test_may_choose_between_two_sources(self) -> None:
        derived = [{"name": "best", "value": {"first_of": ["income", "debt"]}}]
        when = {"field": "best", "is": "above", "value": 1}
        assert problems_of(document(approving(when), derived=derived)) == []

    @pytest.mark.parametrize(("most", "expected"), [(0, []), (1, ["$.stages[1].rules[0].when"])])
    def test_do_not_rest_on_a_model_that_needs_nothing(
        self, most: int, expected: list[str]
    ) -> None:
        each = Characteristic(name="debt", edges=(), points=(1,), specials=(), missing=5)
        model = Scorecard(base=0, characteristics=(each,), missing_at_most=most)
        stage = {"id": "m", "kind": "model", "model": "x", "output": "points", "missing": "review"}
        made = strategy(stage, approving({"field": "points", "is": "above", "value": 1}))
        assert approved_by_absence(made, models={}) == ()
        found = approved_by_absence(made, models={"x": model})
        assert [problem.path for problem in found] == expected
