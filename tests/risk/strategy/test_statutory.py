from datetime import date
from typing import Any

import pytest
from strategies import FakeLists

from risk.features.catalogue import Use, read_catalogue
from risk.strategy.compiler import compile_strategy
from risk.strategy.decision import Circumstances, Decision
from risk.strategy.language import Outcome, Strategy
from risk.strategy.problems import StrategyInvalid
from risk.strategy.reading import read_strategy
from risk.strategy.statutory import (
    _pack,
    assert_publishable,
    bounded,
    bounds,
    statutes,
    unpublishable,
    with_statutory,
)

ON = date(2026, 11, 26)
CATALOGUE = read_catalogue()
GOOD = {
    "age_years": 30,
    "is_student": False,
    "lender_type": "consumer_finance",
    "exposure_fen": 1_000_000,
    "requested_fen": 500_000,
    "income_monthly_fen": 1_000_000,
    "debt_service_monthly_fen": 100_000,
    "is_identity_verified": True,
    "identity_key": "key",
}


class AllLists(FakeLists):
    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        return value in self.values


def document() -> dict[str, Any]:
    scored = {"field": "bureau_score", "is": "at_least", "value": 600}
    return {
        "id": "own",
        "title": "自有策略",
        "use": "credit",
        "catalogue": CATALOGUE.version,
        "effective_from": "2026-01-01",
        "required": [{"field": "age_years", "missing": "review"}],
        "reasons": [{"code": "not-clear", "internal": "x", "customer": "好"}],
        "stages": [
            {
                "id": "end",
                "kind": "final",
                "rules": [{"id": "end.ok", "when": scored, "missing": "review"}],
                "otherwise": {"outcome": "review", "reason": "not-clear"},
            }
        ],
        "products": [{"product": "phone", "stages": ["end"]}],
    }


def read(text: dict[str, Any]) -> Strategy:
    return read_strategy(text, CATALOGUE)


def codes(text: dict[str, Any], on: date = ON) -> list[str]:
    return [each.code for each in unpublishable(read(text), CATALOGUE, on=on)]


class TestPublishing:
    def test_needs_every_rule_of_the_pack(self) -> None:
        assert codes(document()) == ["statutory-missing"] * len(statutes())
        with pytest.raises(StrategyInvalid):
            assert_publishable(read(document()), CATALOGUE, on=ON)

    def test_passes_with_the_pack(self) -> None:
        assert codes(with_statutory(document())) == []
        assert_publishable(read(with_statutory(document())), CATALOGUE, on=ON)

    @pytest.mark.parametrize("use", sorted(set(Use) - {Use.CREDIT}))
    def test_nothing_but_credit_may_decide_a_product(self, use: str) -> None:
        asked = {"field": "bad_links", "is": "at_least", "value": 0}
        approves = {"id": "end.ok", "when": asked, "missing": "review"}
        text = document() | {"use": use, "required": [{"field": "bad_links", "missing": "review"}]}
        if use in CATALOGUE.by_name["bad_links"].allowed_uses:
            text["stages"][0]["rules"] = [approves]
            assert codes(text) == ["use-cannot-decide"]
        else:
            with pytest.raises(StrategyInvalid, match="use-not-allowed"):
                codes(text)

    def test_the_pack_is_put_in_once(self) -> None:
        once = with_statutory(document())
        assert with_statutory(once) == once

    def test_asks_for_a_rule_from_its_day_on(self) -> None:
        assert codes(document(), on=date(2019, 1, 1)) == []
        assert codes(document(), on=date(2020, 1, 1)) == ["statutory-missing"]

    @pytest.mark.parametrize(
        "change",
        [
            {"outcome": "review"},
            {"missing": "ignore"},
            {"when": {"field": "age_years", "is": "below", "value": 17}},
            {"may_snooze": True},
            {"effective_to": "2030-01-01"},
            {"reason": "not-clear"},
        ],
    )
    def test_refuses_other_words(self, change: dict[str, Any]) -> None:
        text = with_statutory(document())
        text["stages"][0]["rules"][0] |= change
        assert codes(text) == ["statutory-changed"]

    def test_allows_another_title(self) -> None:
        text = with_statutory(document())
        text["stages"][0]["rules"][0]["title"] = "年龄"
        assert codes(text) == []

    def test_refuses_another_meaning_of_a_derived_name(self) -> None:
        text = with_statutory(document())
        text["derived"][0] = {"name": "exposure_after_fen", "value": "exposure_fen"}
        assert codes(text) == ["statutory-changed"]

    def test_refuses_a_product_that_goes_round_it(self) -> None:
        text = with_statutory(document())
        adult = {"field": "age_years", "is": "above", "value": 20}
        case = {"id": "b.1", "when": adult, "stages": ["statutory"]}
        text["stages"].append({"id": "b", "kind": "branch", "cases": [case], "missing": "review"})
        text["products"].append({"product": "cash", "stages": ["b", "end"]})
        found = unpublishable(read(text), CATALOGUE, on=ON)
        assert {(each.path, each.code) for each in found} == {
            ("$.products[1].stages", "statutory-avoided")
        }
        assert len(found) == len(statutes())


class TestBounds:
    @pytest.mark.parametrize(
        ("exposure", "line"),
        [(1_000_000, 19_000_000.0), (19_950_000, 50_000.0), (30_000_000, 0.0), (None, None)],
    )
    def test_hold_a_line_whatever_a_strategy_computes(
        self, exposure: int | None, line: float | None
    ) -> None:
        strategy = read(with_statutory(document()))
        decided = Decision(Outcome.APPROVE, (), {"line_fen": 90_000_000.0}, {})
        found = bounded(strategy, decided, {"exposure_fen": exposure})
        assert found.outputs == {"line_fen": line}
        (hit,) = found.hits
        assert (hit.rule, hit.values["line_fen"]) == ("statutory.line", 90_000_000.0)

    def test_leave_a_smaller_line_be(self) -> None:
        strategy = read(with_statutory(document()))
        decided = Decision(Outcome.APPROVE, (), {"line_fen": 500_000.0, "score": 1.0}, {})
        assert bounded(strategy, decided, {"exposure_fen": 1_000_000}) is decided

    def test_are_cited(self) -> None:
        assert all(each.citation and each.owner and each.how_read for each in bounds())


class TestPack:
    def test_every_rule_says_where_it_comes_from(self) -> None:
        assert all(each.citation and each.owner for each in statutes())

    def test_a_rule_without_its_citation_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bare = {
            "rule": [{"id": "x", "citation": "", "how_read": "full", "since": ON, "owner": "y"}]
        }
        monkeypatch.setattr("risk.strategy.statutory._pack", lambda: bare)
        with pytest.raises(ValueError, match="x lacks its citation"):
            statutes.__wrapped__()
        assert _pack()["rule"]

    @pytest.mark.parametrize(
        ("changes", "outcome", "rule"),
        [
            ({}, Outcome.APPROVE, "end.ok"),
            ({"age_years": 17}, Outcome.DECLINE, "statutory.age"),
            (
                {"is_student": True, "lender_type": "small_loan"},
                Outcome.DECLINE,
                "statutory.student.small-loan",
            ),
            ({"is_student": True}, Outcome.REVIEW, "statutory.student.other"),
            ({"exposure_fen": 19_600_000}, Outcome.DECLINE, "statutory.exposure"),
            ({"debt_service_monthly_fen": 600_000}, Outcome.REVIEW, "statutory.capacity"),
            ({"income_monthly_fen": 0}, Outcome.REVIEW, "statutory.capacity"),
            ({"is_identity_verified": False}, Outcome.DECLINE, "statutory.real-name"),
            ({"identity_key": "bad"}, Outcome.DECLINE, "statutory.list.own"),
            ({"identity_key": None}, Outcome.REVIEW, "statutory.list.prevention"),
            ({"age_years": None}, Outcome.REVIEW, "required.age_years"),
            ({"age_years": 200}, Outcome.REVIEW, "statutory.age"),
            ({"age_years": -1}, Outcome.REVIEW, "statutory.age"),
            ({"exposure_fen": -1}, Outcome.REVIEW, "statutory.exposure"),
            *(
                (
                    {"is_student": True, "lender_type": odd},
                    Outcome.REVIEW,
                    "statutory.student.small-loan",
                )
                for odd in ("SMALL_LOAN", "small-loan", "小额贷款", "guarantee", "xx")
            ),
        ],
    )
    def test_decides(self, changes: dict[str, Any], outcome: Outcome, rule: str) -> None:
        compiled = compile_strategy(read(with_statutory(document())), product="phone")
        around = Circumstances(on=ON, lists=AllLists("bad"), score=lambda _: None)
        decision = compiled.decide(GOOD | {"bureau_score": 700} | changes, around)
        assert decision.outcome is outcome
        assert rule in [hit.rule for hit in decision.hits]

    def test_zero_income_names_the_field(self) -> None:
        compiled = compile_strategy(read(with_statutory(document())), product="phone")
        around = Circumstances(on=ON, lists=AllLists(), score=lambda _: None)
        row = GOOD | {"bureau_score": 700, "income_monthly_fen": 0}
        hit = next(each for each in compiled.decide(row, around).hits if each.outcome)
        assert hit.values == {
            "debt_to_income": None,
            "debt_service_monthly_fen": 100_000.0,
            "income_monthly_fen": 0.0,
        }
