import math
from collections.abc import Mapping
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

from risk.strategy import selftest
from risk.strategy.batch import BatchCircumstances, decide_batch
from risk.strategy.compiler import FormsDiffer, compile_strategy
from risk.strategy.decision import HitKind
from risk.strategy.interpreter import interpret
from risk.strategy.language import Outcome
from risk.strategy.selftest import row_of, self_test

LISTS = FakeLists("北京", "138")


class TestForms:
    @settings(max_examples=150)
    @given(documents(), st.lists(rows(), min_size=1, max_size=12))
    def test_agree_on_random_strategies_and_rows(
        self, text: dict[str, Any], table: list[dict[str, Any]]
    ) -> None:
        assert _compared(text, table) == 2 * len(table)

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    @settings(max_examples=2000)
    @given(documents(), st.lists(rows(), min_size=1, max_size=12))
    def test_agree_on_many_random_strategies(
        self, text: dict[str, Any], table: list[dict[str, Any]]
    ) -> None:
        assert _compared(text, table) == 2 * len(table)

    @settings(max_examples=60)
    @given(documents(), rows(), st.sets(st.integers(0, 12)))
    def test_agree_on_snoozed_rules(
        self, text: dict[str, Any], row: dict[str, Any], snoozed: set[int]
    ) -> None:
        found = strategy_of(text)
        assume(found is not None)
        ids = tuple(f"x{n}" for n in snoozed)
        circumstances = around(blocked=("138",), snoozed=ids, known=5.0)
        plain = interpret(found, row, product="cash", around=circumstances).decision
        compiled = compile_strategy(found, product="cash")
        assert compiled.decide(row, circumstances) == plain
        columns = {name: np.array([row.get(name)], dtype=object) for name in found.inputs}
        batch = decide_batch(
            found,
            columns,
            product="cash",
            rows=1,
            around=BatchCircumstances(
                on=np.array([float(ON.toordinal())]),
                lists=FakeLists("138"),
                score=lambda name: np.array([5.0 if name == "known" else math.nan]),
                snoozed={each: np.array([True]) for each in ids},
            ),
        )
        assert row_of(found, batch, 0)[0] == plain.outcome
        assert row_of(found, batch, 0)[2] == {(hit.rule, hit.kind) for hit in plain.hits}

    @settings(max_examples=100)
    @given(documents(), rows())
    def test_an_approval_has_an_approving_rule_and_nothing_against_it(
        self, text: dict[str, Any], row: dict[str, Any]
    ) -> None:
        found = strategy_of(text)
        assume(found is not None)
        decision = compile_strategy(found, product="goods").decide(row, around(known=1.0))
        against = [hit for hit in decision.hits if hit.kind in ("hit", "missing") and hit.outcome]
        floored = [hit for hit in decision.hits if hit.kind is HitKind.FLOORED]
        if decision.outcome is Outcome.APPROVE:
            assert against == []
            assert any(hit.outcome is Outcome.APPROVE for hit in decision.hits)
        else:
            worst = max(hit.outcome for hit in against)
            assert decision.outcome is (Outcome.REVIEW if floored else worst)

    def test_what_users_write_never_becomes_code(self) -> None:
        evil = "'); import os; os.system('true') #\n\\"
        found = strategy(
            {
                "id": "s",
                "kind": "rules",
                "rules": [rule("s.1", {"field": "city", "is": "equals", "value": evil})],
            }
        )
        compiled = compile_strategy(found, product="cash")
        assert repr(evil) in compiled.source
        assert compiled.decide({"age": 20, "city": evil}, around()).outcome is Outcome.DECLINE
        assert compiled.decide({"age": 20, "city": "x"}, around()).outcome is Outcome.APPROVE

    def test_an_unknown_product_is_refused(self) -> None:
        found = strategy(final())
        for decide in (
            lambda: compile_strategy(found, product="boat"),
            lambda: interpret(found, {}, product="boat", around=around()),
        ):
            with pytest.raises(KeyError):
                decide()


class TestSelfTest:
    ROWS = ({"age": 20}, {"age": 10}, {})

    def test_counts_what_it_compared(self) -> None:
        assert self_test(strategy(final()), self.ROWS, on=ON, lists=LISTS) == 3

    def test_names_a_row_on_which_the_generated_form_differs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = compile_strategy(strategy(_stricter()), product="cash")
        monkeypatch.setattr(selftest, "compile_strategy", lambda *_, **__: other)
        with pytest.raises(FormsDiffer, match=r"cash, row 0: .*generated"):
            self_test(strategy(final()), self.ROWS, on=ON, lists=LISTS)

    def test_names_a_row_on_which_the_batch_form_differs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = strategy(_stricter())

        def stricter(_: Any, columns: Mapping[str, Any], **rest: Any) -> Any:
            return decide_batch(other, columns, **rest)

        monkeypatch.setattr(selftest, "decide_batch", stricter)
        with pytest.raises(FormsDiffer, match=r"cash, row 0: .*batch"):
            self_test(strategy(final()), self.ROWS, on=ON, lists=LISTS)


def _compared(text: dict[str, Any], table: list[dict[str, Any]]) -> int:
    found = strategy_of(text)
    assume(found is not None)
    scores = [{"known": float(n) if n % 3 else math.nan} for n in range(len(table))]
    firm = [{"known": float(n % 5)} for n in range(len(table))]
    return self_test(found, table, on=ON, lists=LISTS, scores=scores, firm_scores=firm)


def _stricter() -> dict[str, Any]:
    older = {"field": "age", "is": "at_least", "value": 21}
    return final(rules=[{"id": "end.adult", "when": older, "missing": "review"}])


def test_a_document_of_the_factory_is_legal() -> None:
    assert strategy_of(document()) is not None
