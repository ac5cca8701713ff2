import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from strategies import FakeLists

from risk.features.catalogue import read_catalogue
from risk.strategy.compiler import Compiled, compile_strategy
from risk.strategy.decision import Circumstances, Decision
from risk.strategy.language import Outcome, Strategy
from risk.strategy.problems import SENTENCES
from risk.strategy.reading import read_strategy
from risk.strategy.reading_conditions import Is
from risk.strategy.reading_stages import StageKind
from risk.strategy.selftest import self_test
from risk.strategy.statutory import assert_publishable, with_statutory

PAGE = Path(__file__).parents[3] / "docs" / "strategy-language.md"
ON = date(2026, 12, 1)
APPLICANT = {
    "age_years": 30,
    "is_student": False,
    "lender_type": "consumer_finance",
    "exposure_fen": 1_000_000,
    "requested_fen": 600_000,
    "income_monthly_fen": 800_000,
    "debt_service_monthly_fen": 120_000,
    "is_identity_verified": True,
    "identity_key": "k",
    "overdue_days_max_12m": 0,
    "bureau_queries_30d": 2,
    "loans_settled": 1,
    "device_applications_24h": 1,
    "bad_links": 0,
    "face_similarity": 0.9,
    "bureau_score": 690,
    "employed_on": "2023-12-01",
}


class NoLists(FakeLists):
    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        return False


@pytest.fixture(scope="module")
def example() -> Strategy:
    text = PAGE.read_text(encoding="utf-8")
    document = json.loads(text.partition("```json\n")[2].partition("```")[0])
    return read_strategy(with_statutory(document), read_catalogue())


def decide(compiled: Compiled, probability: float = 0.05, **changes: Any) -> Decision:
    around = Circumstances(on=ON, lists=NoLists(), score=lambda _: probability)
    return compiled.decide(APPLICANT | changes, around)


class TestExample:
    def test_may_be_published(self, example: Strategy) -> None:
        assert_publishable(example, read_catalogue(), on=ON)
        assert example.is_in_effect(ON)

    def test_decides_as_the_page_tells(self, example: Strategy) -> None:
        decision = decide(compile_strategy(example, product="phone"))
        assert decision.outcome is Outcome.APPROVE
        assert decision.points == {"card": (80, 30, 30)}
        assert decision.outputs == {
            "score": 640.0,
            "default_probability": None,
            "band": "A",
            "multiple": 4.0,
            "line_fen": 600_000.0,
            "rate_annual": 0.15,
        }
        lost = decide(compile_strategy(example, product="phone"), income_monthly_fen=None)
        assert lost.outcome is Outcome.REVIEW
        assert lost.hits[0].rule == "required.income_monthly_fen"

    @pytest.mark.parametrize(
        ("changes", "rule", "outcome"),
        [
            ({"overdue_days_max_12m": 61}, "hard.overdue", Outcome.DECLINE),
            ({"bad_links": 9, "face_similarity": 0.1}, "fraud.links", Outcome.REVIEW),
            ({"bureau_score": 500, "employed_on": None}, "matrix.1.2", Outcome.DECLINE),
            ({"bureau_score": -9, "employed_on": None}, "final.otherwise", Outcome.REVIEW),
            ({"bureau_score": None, "employed_on": None}, "card", Outcome.REVIEW),
            ({"bureau_score": 600, "employed_on": "2026-11-01"}, "final.approve", Outcome.APPROVE),
        ],
    )
    def test_declines_and_reviews(
        self, example: Strategy, changes: dict[str, Any], rule: str, outcome: Outcome
    ) -> None:
        decision = decide(compile_strategy(example, product="phone"), **changes)
        assert (decision.outcome, rule in [hit.rule for hit in decision.hits]) == (outcome, True)

    def test_products_differ(self, example: Strategy) -> None:
        phone, cash = (compile_strategy(example, product=name) for name in ("phone", "cash"))
        assert decide(phone, 0.5).outcome is Outcome.APPROVE
        assert decide(cash, 0.5).outcome is Outcome.DECLINE
        assert decide(cash).outputs["default_probability"] == 0.05

    def test_all_forms_agree_with_each_field_missing_or_odd(self, example: Strategy) -> None:
        odd = [None, "x", True, 1e30, float("nan")]
        rows = [APPLICANT, *(APPLICANT | {name: each} for name in APPLICANT for each in odd)]
        scores = [{"trees-2026-11": 0.1}] * len(rows)
        assert self_test(example, rows, on=ON, lists=NoLists(), scores=scores) == 2 * len(rows)

    @pytest.mark.parametrize("name", APPLICANT)
    def test_a_missing_field_never_turns_to_approval(self, example: Strategy, name: str) -> None:
        compiled = compile_strategy(example, product="phone")
        decision = decide(compiled, **{name: None})
        # Declared as ignored or worth points, or decided by another field: no student, one settled.
        declared = {"device_applications_24h", "bad_links", "bureau_score", "employed_on"}
        needless = {"lender_type", "bureau_queries_30d"}
        assert (decision.outcome is Outcome.APPROVE) == (name in declared | needless)
        if name not in declared | needless:
            read = [hit.values for hit in decision.hits if hit.kind == "missing"]
            assert any(values.get(name, "") is None for values in read)


class TestPage:
    def test_lists_every_word_and_every_code(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        assert [word for word in [*Is, *StageKind] if f"`{word}`" not in text] == []
        told = text.partition("What the checker says")[2]
        table = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", told, re.MULTILINE))
        assert table == {str(code): sentence for code, sentence in SENTENCES.items()}
