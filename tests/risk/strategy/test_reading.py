import pytest
from strategies import ON, catalogue, document, final, problems_of, rule, strategy

from risk.features.catalogue import Kind
from risk.strategy.language import AllOf, Between, Compare, OneOf, Policy, Relation, Table
from risk.strategy.problems import SENTENCES, Code, StrategyInvalid
from risk.strategy.reading import digest_of, read_strategy

ADULT = {"field": "age", "is": "at_least", "value": 18}


def rules(*given: dict) -> dict:
    return {"id": "s", "kind": "rules", "rules": list(given)}


def table(rows: list, policy: str = "first", columns: tuple = ("age", "city")) -> dict:
    return {
        "id": "t",
        "kind": "table",
        "policy": policy,
        "columns": list(columns),
        "rows": rows,
        "missing": "review",
    }


def row(*cells: object, **effect: object) -> dict:
    return {"cells": list(cells)} | (effect or {"outcome": "review", "reason": "r1"})


def card(**changes: object) -> dict:
    bins = [{"below": 25, "points": -20}, {"below": 40, "points": 5}, {"points": 10}]
    plain = {
        "id": "c",
        "kind": "card",
        "base": 600,
        "characteristics": [{"field": "age", "bins": bins, "missing": -30}],
        "missing_at_most": 0,
        "output": "points",
        "missing": "review",
    }
    return plain | changes


class TestStrategy:
    def test_reads_what_is_said(self) -> None:
        minor = {"field": "age", "is": "below", "value": 18}
        found = strategy(rules(rule("s.1", minor)), effective_to="2027-01-01")
        assert (found.id, found.use, found.catalogue) == ("test", "credit", "2026.11")
        assert found.reasons["r1"].customer == "对客一"
        assert found.outputs == {"points": Kind.NUMBER, "band": Kind.TEXT, "line": Kind.NUMBER}
        assert found.products == {"cash": ("s", "end")}
        assert set(found.inputs) == {"age", "debt", "income"}
        assert found.is_in_effect(ON)
        assert not found.is_in_effect(ON.replace(year=2027))

    def test_the_digest_ignores_the_order_of_keys_only(self) -> None:
        text = document()
        shuffled = dict(reversed(text.items()))
        assert digest_of(shuffled) == digest_of(text) == strategy().digest
        assert digest_of(text | {"title": "另一个"}) != digest_of(text)

    def test_derived_values_come_in_the_order_in_which_they_need_each_other(self) -> None:
        derived = [
            {"name": "last", "value": {"add": ["middle", "first"]}},
            {"name": "middle", "value": {"multiply": ["first", 2]}},
            {"name": "first", "value": {"add": ["debt", 1]}},
        ]
        names = [name for name, _ in strategy(derived=derived).derived]
        assert names == ["first", "middle", "last"]

    def test_a_matrix_is_a_table_of_two_columns(self) -> None:
        matrix = {
            "id": "m",
            "kind": "matrix",
            "rows": {"field": "age", "bands": [{"below": 30}, {"from": 30}]},
            "columns": {"field": "city", "bands": ["北京", ["上海", "广州"]]},
            "cells": [[{"set": {"band": "a"}}] * 2, [{"set": {"band": "b"}}] * 2],
            "missing": "review",
        }
        found = strategy(matrix).stages["m"]
        assert isinstance(found, Table)
        assert found.policy is Policy.UNIQUE
        assert [each.id for each in found.rows] == ["m.1.1", "m.1.2", "m.2.1", "m.2.2"]
        assert found.rows[1].when == AllOf(
            (
                AllOf((Between("age", None, 30.0),)),
                AllOf((OneOf("city", ("上海", "广州")),)),
            )
        )

    def test_cells_have_short_forms(self) -> None:
        cells = [18, {"from": 18, "below": 20}, [1, 2], {"is": "above", "value": 60}, None]
        stage = table([row(cell, columns) for cell, columns in zip(cells, "abcde", strict=True)])
        found = strategy(stage).stages["t"]
        assert isinstance(found, Table)
        assert [each.cells[0] for each in found.rows] == [
            Compare("age", Relation.EQUALS, 18.0),
            Between("age", 18.0, 20.0),
            OneOf("age", (1.0, 2.0)),
            Compare("age", Relation.ABOVE, 60.0),
            None,
        ]

    def test_the_refusal_carries_path_code_and_a_sentence(self) -> None:
        with pytest.raises(StrategyInvalid) as caught:
            read_strategy(document(rules(rule("s.1", ADULT, reason="r9"))), catalogue())
        assert caught.value.extras["problems"] == [
            {
                "path": "$.stages[0].rules[0].reason",
                "code": "reason-unknown",
                "message_zh": "没有声明原因码“r9”",
            }
        ]

    def test_every_code_has_its_sentence(self) -> None:
        assert set(SENTENCES) == set(Code)


class TestDocumentProblems:
    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"catalogue": "2025.1"}, ("$.catalogue", "catalogue-differs")),
            ({"effective_from": "2026-02-30"}, ("$.effective_from", "not-a-day")),
            ({"effective_from": None}, ("$.effective_from", "not-a-day")),
            ({"effective_to": "2026-01-01"}, ("$", "period-empty")),
            ({"use": "love"}, ("$.use", "word-unknown")),
            ({"title": " "}, ("$.title", "not-a-text")),
            ({"id": "Ünder"}, ("$.id", "name-malformed")),
            ({"author": "me"}, ("$", "key-unknown")),
            ({"stages": {}}, ("$.stages", "not-a-list")),
            ({"stages": []}, ("$.stages", "empty")),
            ({"stages": [5]}, ("$.stages[0]", "not-an-object")),
            ({"stages": [{"id": "x"}]}, ("$.stages[0]", "key-missing")),
            ({"required": []}, ("$.required", "empty")),
            (
                {"required": [{"field": "age", "missing": "ignore"}]},
                ("$.required[0].missing", "word-unknown"),
            ),
            (
                {"reasons": [{"code": "r1", "internal": "x", "customer": "好"}] * 2},
                ("$.reasons[1].code", "name-taken"),
            ),
            (
                {"reasons": [{"code": "data-missing", "internal": "x", "customer": "好"}]},
                ("$.reasons[0].code", "name-taken"),
            ),
            (
                {"reasons": [{"code": "r1", "internal": "x", "customer": "Sorry"}]},
                ("$.reasons[0].customer", "not-chinese"),
            ),
            ({"outputs": [{"name": "age", "kind": "number"}]}, ("$.outputs[0].name", "name-taken")),
            ({"derived": 5}, ("$.derived", "not-a-list")),
            (
                {
                    "derived": [
                        {"name": f"x{n}", "value": {"add": [f"x{n + 1}" if n < 60 else "debt", 1]}}
                        for n in range(61)
                    ]
                },
                ("$.derived[0]", "too-deep"),
            ),
            ({"derived": [{"name": "x"}]}, ("$.derived[0]", "key-missing")),
            (
                {"derived": [{"name": "x", "value": "x"}]},
                ("$.derived[0]", "cycle"),
            ),
            (
                {"derived": [{"name": "x", "value": "points"}]},
                ("$.derived[0].value", "field-unknown"),
            ),
            (
                {"counters": [{"name": "x", "event": "e", "by": "phone", "window": "soon"}]},
                ("$.counters[0].window", "name-malformed"),
            ),
            (
                {"counters": [{"name": "x", "event": "e", "by": "age", "window": "1h"}]},
                ("$.counters[0].by", "kind-differs"),
            ),
            (
                {"products": [{"product": "cash", "stages": ["nowhere"]}]},
                ("$.products[0].stages[0]", "stage-unknown"),
            ),
            (
                {"products": [{"product": "cash", "stages": ["end"]}] * 2},
                ("$.products[1]", "id-taken"),
            ),
        ],
    )
    def test_are_named_with_their_path(self, changes: dict, problem: tuple[str, str]) -> None:
        assert problem in problems_of(document(**changes))

    def test_a_document_is_an_object(self) -> None:
        assert problems_of([]) == [("$", "not-an-object")]  # type: ignore[arg-type] # the point

    def test_all_problems_are_named_at_once(self) -> None:
        found = problems_of(
            document(
                rules(rule("s.1", {"field": "agee", "is": "present"}), rule("s.1", ADULT)),
                final(rules=[{"id": "x", "when": ADULT}]),
                use="credit",
            )
        )
        assert found == [
            ("$.stages[0].rules[0].when.field", "field-unknown"),
            ("$.stages[0].rules[1].id", "id-taken"),
            ("$.stages[1].rules[0]", "key-missing"),
        ]


class TestConditionProblems:
    @pytest.mark.parametrize(
        ("when", "problem"),
        [
            (5, ("", "not-an-object")),
            ({"all": []}, (".all", "empty")),
            ({"any": [ADULT], "x": 1}, ("", "key-unknown")),
            ({"not": {"not": 5}}, (".not.not", "not-an-object")),
            ({"field": "age"}, ("", "key-missing")),
            ({"field": "age", "is": "near", "value": 1}, (".is", "word-unknown")),
            ({"field": "age", "is": "above"}, ("", "key-missing")),
            ({"field": "age", "is": "above", "value": 1, "list": "x"}, ("", "key-unknown")),
            ({"field": "age", "is": "above", "value": "18"}, (".value", "not-a-number")),
            ({"field": "age", "is": "above", "value": True}, (".value", "not-a-number")),
            ({"field": "age", "is": "above", "value": 1e30}, (".value", "not-a-number")),
            ({"field": "age", "is": "above", "value": float("nan")}, (".value", "not-a-number")),
            ({"field": "is_student", "is": "equals", "value": 1}, (".value", "not-a-truth")),
            ({"field": "is_student", "is": "above", "value": True}, ("", "kind-differs")),
            ({"field": "joined_on", "is": "above", "value": 5}, (".value", "not-a-day")),
            ({"field": "joined_on", "is": "above", "value": "soon"}, (".value", "not-a-day")),
            ({"field": "city", "is": "equals", "value": ""}, (".value", "not-a-text")),
            ({"field": "city", "is": "below", "value": "b"}, ("", "kind-differs")),
            ({"field": "lender", "is": "equals", "value": "shop"}, (".value", "choice-unknown")),
            ({"field": "age", "is": "contains", "value": "1"}, ("", "kind-differs")),
            (
                {"field": "age", "is": "in_list", "list": "x", "match": "exact"},
                ("", "kind-differs"),
            ),
            (
                {"field": "city", "is": "in_list", "list": "x", "match": "near"},
                (".match", "word-unknown"),
            ),
            ({"field": "age", "is": "between", "value": [1]}, (".value", "row-width")),
            ({"field": "age", "is": "between", "value": [None, None]}, ("", "empty")),
            ({"field": "age", "is": "between", "value": [2, 1]}, ("", "contradiction")),
            ({"field": "city", "is": "between", "value": [1, 2]}, ("", "kind-differs")),
            ({"field": "age", "is": "one_of", "value": []}, (".value", "empty")),
            ({"field": "taste", "is": "above", "value": 1}, (".field", "use-not-allowed")),
            ({"field": "night_share", "is": "above", "value": 1}, (".field", "field-not-exact")),
            (
                {"field": "age", "is": "above", "value": {"field": "city"}},
                (".value.field", "kind-differs"),
            ),
        ],
    )
    def test_are_named_with_their_path(self, when: object, problem: tuple[str, str]) -> None:
        path, code = problem
        found = problems_of(document(rules(rule("s.1", when))))  # type: ignore[arg-type]
        assert found == [(f"$.stages[0].rules[0].when{path}", code)]

    def test_nesting_has_an_end(self) -> None:
        when: dict = ADULT
        value: object = "debt"
        for _ in range(30):
            when, value = {"not": when}, {"add": [value]}
        assert problems_of(document(rules(rule("s.1", when))))[0][1] == "too-deep"
        assert problems_of(document(derived=[{"name": "x", "value": value}]))[0][1] == "too-deep"


class TestExpressionProblems:
    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            ("city", ("", "kind-differs")),
            (True, ("", "not-a-number")),
            ({}, ("", "empty")),
            ({"add": ["debt"], "divide": ["debt", 1]}, ("", "empty")),
            ({"power": ["debt", 2]}, ("", "word-unknown")),
            ({"divide": ["debt"]}, (".divide", "row-width")),
            ({"round_down": ["debt", 0]}, (".round_down[1]", "not-a-number")),
            ({"round_down": ["debt", "debt"]}, (".round_down[1]", "not-a-number")),
            ({"days_since": "debt"}, (".days_since", "kind-differs")),
        ],
    )
    def test_are_named_with_their_path(self, value: object, problem: tuple[str, str]) -> None:
        path, code = problem
        found = problems_of(document(derived=[{"name": "x", "value": value}]))
        assert found == [(f"$.derived[0].value{path}", code)]

    def test_a_circle_is_named_once_with_its_way(self) -> None:
        derived = [{"name": "x", "value": {"add": ["y"]}}, {"name": "y", "value": {"add": ["x"]}}]
        with pytest.raises(StrategyInvalid) as caught:
            read_strategy(document(derived=derived), catalogue())
        assert {each.message_zh for each in caught.value.problems} == {
            "循环引用：x → y → x",
            "循环引用：y → x → y",
        } or [each.code for each in caught.value.problems] == ["cycle"]


class TestStageProblems:
    @pytest.mark.parametrize(
        ("stage", "problem"),
        [
            (rules(rule("s.1", ADULT, missing="maybe")), (".rules[0].missing", "word-unknown")),
            (rules({"id": "s.1", "when": ADULT}), (".rules[0]", "key-missing")),
            (rules(rule("s.1", ADULT, outcome="approve")), (".rules[0].outcome", "word-unknown")),
            (rules(rule("s.1", ADULT, may_snooze=1)), (".rules[0].may_snooze", "not-a-truth")),
            (
                rules(rule("s.1", ADULT, effective_from="2026-02-01", effective_to="2026-01-01")),
                (".rules[0]", "period-empty"),
            ),
            (table([row(1)]), (".rows[0].cells", "row-width")),
            (table([{"cells": [1, "x"]}]), (".rows[0]", "effect-empty")),
            (table([row(1, "x", reason="r1")]), (".rows[0]", "key-missing")),
            (table([row(1, "x", set=5)]), (".rows[0].set", "not-an-object")),
            (table([row(1, "x", set={"colour": 1})]), (".rows[0].set.colour", "output-unknown")),
            (table([row(1, "x", set={"band": 1})]), (".rows[0].set.band", "not-a-text")),
            (table([row({"from": 2, "below": 1}, "x")]), (".rows[0].cells[0]", "contradiction")),
            (table([row({}, "x")]), (".rows[0].cells[0]", "empty")),
            (table([row(1, "x", set={"band": "a"})], "collect"), (".policy", "collect-sets")),
            (card(output="band"), (".output", "kind-differs")),
            (card(base=0.5), (".base", "not-a-number")),
            (
                card(characteristics=[{"field": "city", "bins": [{"points": 1}]}]),
                (".characteristics[0].field", "kind-differs"),
            ),
            (
                card(characteristics=[{"field": "age", "bins": [{"below": 5, "points": 1}]}]),
                (".characteristics[0].bins", "edges-not-rising"),
            ),
            (
                card(
                    characteristics=[
                        {
                            "field": "age",
                            "bins": [
                                {"below": 5, "points": 1},
                                {"below": 5, "points": 1},
                                {"points": 1},
                            ],
                        }
                    ]
                ),
                (".characteristics[0].bins", "edges-not-rising"),
            ),
            (
                {"id": "m", "kind": "model", "model": "m", "output": "band", "missing": "review"},
                (".output", "kind-differs"),
            ),
            (
                {
                    "id": "l",
                    "kind": "compute",
                    "set": [{"output": "band", "value": 1}],
                    "missing": "review",
                },
                (".set[0].output", "kind-differs"),
            ),
        ],
    )
    def test_are_named_with_their_path(self, stage: dict, problem: tuple[str, str]) -> None:
        path, code = problem
        assert (f"$.stages[0]{path}", code) in problems_of(document(stage))

    @pytest.mark.parametrize(
        ("cells", "path"),
        [
            ([[{"set": {"band": "a"}}]], ".cells"),
            ([[{"set": {"band": "a"}}], [{"set": {"band": "a"}}] * 2], ".cells[1]"),
        ],
    )
    def test_a_matrix_has_a_cell_for_every_pair(self, cells: list, path: str) -> None:
        matrix = {
            "id": "m",
            "kind": "matrix",
            "rows": {"field": "age", "bands": [{"below": 30}, {"from": 30}]},
            "columns": {"field": "city", "bands": [None]},
            "cells": cells,
            "missing": "review",
        }
        assert problems_of(document(matrix)) == [(f"$.stages[0]{path}", "row-width")]

    def test_a_tree_has_an_end(self) -> None:
        node: dict = {"id": "leaf", "set": {"band": "x"}}
        for n in range(25):
            node = {"when": ADULT, "then": node, "else": {"id": f"l{n}", "set": {"band": "x"}}}
        tree = {"id": "t", "kind": "tree", "root": node, "missing": "review"}
        assert ("too-deep") in [code for _, code in problems_of(document(tree))]
