"""A backtest counts what the interpreter decides, one row at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import (
    ON,
    FakeLists,
    around,
    document,
    documents,
    final,
    rows,
    rule,
    strategy,
    strategy_of,
)

from risk.lifecycle.backtest import Assumptions, backtest
from risk.lifecycle.history import History, Judge
from risk.strategy.decision import Decision, HitKind
from risk.strategy.interpreter import interpret
from risk.strategy.language import Outcome, Strategy
from risk.strategy.parts import parts_of, without

NAN = float("nan")


def history(found: Strategy, table: list[dict[str, Any]], **more: Any) -> History:
    columns = {name: np.empty(len(table), dtype=object) for name in found.inputs}
    for name, column in columns.items():
        column[:] = [row.get(name) for row in table]
    nothing = np.full(len(table), NAN)
    given_ = {"is_bad": nothing, "amount_fen": nothing} | more
    return History(
        rows=len(table), columns=columns, on=ON, lists=FakeLists("138", "北京"), **given_
    )


def judge(found: Strategy) -> Judge:
    return Judge(strategy=found, models={})


def by_hand(found: Strategy, row: dict[str, Any]) -> Any:
    circumstances = around(blocked=("138", "北京"))
    return interpret(found, row, product="cash", around=circumstances).decision


def limited(field: str, above: float, **changes: Any) -> Strategy:
    """A strategy with one rule of its own."""
    said = {"field": field, "is": "above", "value": above}
    return strategy({"id": "s", "kind": "rules", "rules": [rule("s.1", said, **changes)]})


class TestRandomStrategies:
    @settings(max_examples=60, deadline=None)
    @given(
        documents(),
        st.lists(st.tuples(rows(), st.sampled_from([0.0, 1.0, NAN])), min_size=1, max_size=15),
    )
    def test_counts_rates_and_marginal_hits_are_those_of_the_interpreter(
        self, text: dict[str, Any], told: list[tuple[dict[str, Any], float]]
    ) -> None:
        found = strategy_of(without_models(text))
        assume(found is not None)
        table, bad = [row for row, _ in told], np.array([each for _, each in told])
        report = backtest(judge(found), None, history(found, table, is_bad=bad), product="cash")
        decisions = [by_hand(found, row) for row in table]
        approved = [n for n, each in enumerate(decisions) if each.outcome is Outcome.APPROVE]
        known = [bad[n] for n in approved if not np.isnan(bad[n])]
        draft = report["draft"]
        assert (draft["approved"], draft["known"], draft["bad"]) == (
            len(approved),
            len(known),
            sum(known),
        )
        titles = {(line["id"], line["kind"]): line for line in report["rules"]}
        for part in parts_of(found, product="cash"):
            for kind, asked in ((HitKind.HIT, part.outcome), (HitKind.MISSING, part.missing)):
                hit = [
                    n
                    for n, each in enumerate(decisions)
                    if any((h.rule, h.kind) == (part.id, kind) for h in each.hits)
                ]
                if asked is None or not hit:
                    assert (part.id, str(kind)) not in titles
                    continue
                line = titles[part.id, str(kind)]
                assert line["count"] == len(hit)
                other = without(found, part.id)
                if line["marginal"] is not None and kind is HitKind.HIT:
                    better = [
                        n
                        for n in hit
                        if decisions[n].outcome == asked
                        and heavy(decisions[n], asked) == {(part.id, kind)}
                        and by_hand(other, table[n]).outcome < asked
                    ]
                    assert line["marginal"] == len(better)
            taken = [n for n, each in enumerate(decisions) if took(each, part.id)]
            line = titles.get((part.id, "taken"), {"count": 0})
            assert line["count"] == (len(taken) if part.outcome is None else 0)


def took(decision: Decision, part: str) -> bool:
    """Say whether a row, leaf or case was taken that sets or leads and decides nothing."""
    return any((hit.rule, hit.kind) == (part, HitKind.TAKEN) for hit in decision.hits)


def heavy(decision: Decision, asked: Outcome) -> set[tuple[str, HitKind]]:
    """Name the evidence that asks for at least an outcome."""
    return {
        (hit.rule, hit.kind)
        for hit in decision.hits
        if hit.kind in {HitKind.HIT, HitKind.MISSING} and (hit.outcome or 0) >= asked
    }


def without_models(text: dict[str, Any]) -> dict[str, Any]:
    """Let a field stand for what a model would say: these tests fit none."""
    for stage in text["stages"]:
        if stage["kind"] == "model":
            sets = [{"output": stage["output"], "value": "debt"}]
            del stage["model"], stage["output"]
            stage.update({"kind": "compute", "set": sets})
    return text


TABLE = [{"age": 30, "debt": debt, "income": 1_000} for debt in (10, 30, 50, 70, 90)]
BAD = np.array([0.0, 1.0, 1.0, NAN, NAN])
ASKED = np.array([100.0, 200.0, 300.0, 400.0, 500.0])


class TestSwapSet:
    def report(self, draft_above: float, against_above: float, **how: Any) -> dict[str, Any]:
        new, old = limited("debt", draft_above), limited("debt", against_above)
        seen = history(new, TABLE, is_bad=BAD, amount_fen=ASKED)
        return backtest(judge(new), judge(old), seen, product="cash", **how)

    def test_says_who_comes_in_and_who_goes_out_with_counts_and_bad_rates(self) -> None:
        report = self.report(40, 60)
        cells = {(cell["against"], cell["draft"]): cell for cell in report["swap_set"]}
        assert len(cells) == 9
        assert sum(cell["count"] for cell in cells.values()) == 5
        out = cells["approve", "decline"]
        assert (out["count"], out["bad"], out["bad_rate"], out["amount_fen"]) == (1, 1, 1.0, 300)
        assert cells["decline", "approve"]["count"] == 0
        assert cells["approve", "approve"]["bad_rate"] == 0.5

    def test_rates_say_over_how_many_known_outcomes_and_relate_to_the_base(self) -> None:
        report = self.report(40, 60)
        assert report["base"] == {"count": 5, "known": 3, "bad": 2, "bad_rate": 0.666667}
        draft = report["draft"]
        assert (draft["approve_share"], draft["decline_share"]) == (0.4, 0.6)
        assert (draft["bad_rate"], draft["bad_rate_to_base"]) == (0.5, 0.75)

    def test_money_is_what_was_asked_where_no_line_is_set(self) -> None:
        money = self.report(40, 60)["money"]
        assert money["draft"]["granted_fen"] == 300
        assert money["change"] == {
            "granted_fen": -300,
            "interest_year_fen": None,
            "known_loss_fen": -180,
        }

    def test_money_costs_its_product_s_price_where_the_strategy_sets_none(self) -> None:
        money = self.report(40, 60, assumptions=Assumptions(rate_unset=0.2))["money"]
        assert (money["draft"]["interest_year_fen"], money["change"]["interest_year_fen"]) == (
            60,
            -60,
        )

    def test_reject_bias_is_stated_and_bounded(self) -> None:
        report = self.report(80, 60, assumptions=Assumptions(unknown_factor=1.5))
        draft, bias = report["draft"], report["reject_bias"]
        assert (bias["is_free_of_it"], bias["known_share"]) == (False, 0.6)
        assert bias["known_share_by_against"] == {"approve": 1.0, "review": None, "decline": 0.0}
        assert "1.5倍" in bias["treatment"]
        assert (draft["approved"], draft["known"]) == (4, 3)
        assert (draft["bad_rate_least"], draft["bad_rate_most"]) == (0.5, 0.75)
        assert draft["bad_rate_estimate"] == 0.75
        assert draft["bad_rate_least"] <= draft["bad_rate"] <= draft["bad_rate_most"]

    def test_nothing_is_said_of_bias_where_all_is_known(self) -> None:
        seen = history(limited("debt", 40), TABLE, is_bad=np.zeros(5))
        report = backtest(judge(limited("debt", 40)), None, seen, product="cash")
        assert report["reject_bias"]["is_free_of_it"]
        assert (report["against"], report["swap_set"], report["money"]) == (None, None, None)


class TestRules:
    def test_a_marginal_hit_is_one_that_nothing_else_declines(self) -> None:
        debt = rule("s.debt", {"field": "debt", "is": "above", "value": 40})
        poor = rule("s.poor", {"field": "income", "is": "below", "value": 500})
        found = strategy({"id": "s", "kind": "rules", "rules": [debt, poor]})
        table = [
            {"age": 30, "debt": 50, "income": 400},
            {"age": 30, "debt": 50, "income": 900},
            {"age": 30, "debt": 50, "income": 900},
            {"age": 10, "debt": 50, "income": 900},
            {"age": 30, "debt": 10, "income": 900},
        ]
        bad = np.array([1.0, 1.0, 0.0, NAN, 0.0])
        report = backtest(judge(found), None, history(found, table, is_bad=bad), product="cash")
        lines = {line["id"]: line for line in report["rules"]}
        assert (lines["s.debt"]["count"], lines["s.debt"]["marginal"]) == (4, 3)
        assert lines["s.debt"]["marginal_bad_rate"] == 0.5
        assert (lines["s.poor"]["count"], lines["s.poor"]["marginal"]) == (1, 0)
        assert lines["end.adult"]["marginal"] is None

    def test_a_required_field_has_hits_too(self) -> None:
        found = strategy(final(), required=[{"field": "debt", "missing": "decline"}])
        table = [{"age": 30, "debt": None}, {"age": 30, "debt": 1}]
        report = backtest(judge(found), None, history(found, table), product="cash")
        (line,) = [each for each in report["rules"] if each["id"] == "required.debt"]
        assert (line["kind"], line["count"], line["marginal"]) == ("missing", 1, 1)


class TestSegments:
    def test_texts_are_cut_by_value_and_numbers_into_fifths(self) -> None:
        found = limited("debt", 40)
        table = [{"age": 30, "debt": 10 * n, "income": 1} for n in range(10)]
        city = np.array(["甲", "乙"] * 4 + [None, "甲"], dtype=object)
        debt = np.array([*map(float, range(9)), NAN])
        seen = history(found, table, segments={"city": city, "debt": debt})
        report = backtest(judge(found), judge(found), seen, product="cash")
        by_city = {line["value"]: line for line in report["segments"]["city"]}
        assert {name: line["rows"] for name, line in by_city.items()} == {
            "甲": 5,
            "乙": 4,
            "缺失": 1,
        }
        assert by_city["甲"]["approve_share"] == by_city["甲"]["against_approve_share"] == 0.6
        fifths = report["segments"]["debt"]
        assert sum(line["rows"] for line in fifths) == 10
        assert [line["value"] for line in fifths][-1] == "缺失"

    @pytest.mark.parametrize("same", [3.0, NAN])
    def test_a_column_of_one_value_is_one_segment(self, same: float) -> None:
        found = limited("debt", 40)
        seen = history(found, [{"age": 30}] * 3, segments={"x": np.full(3, same)})
        (line,) = backtest(judge(found), None, seen, product="cash")["segments"]["x"]
        assert line["rows"] == 3


def test_the_document_is_named_by_its_hash() -> None:
    found = strategy(final())
    report = backtest(judge(found), None, history(found, [{"age": 30}]), product="cash")
    assert report["draft"]["hash"] == found.digest
    assert document()["id"] == found.id
