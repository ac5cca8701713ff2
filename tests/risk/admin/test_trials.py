"""Drafts against the past, on their pages."""

from typing import Any

from workplace import Seat

AT = "/admin/risk/strategies/house-credit"
PERIOD = {"product": "instalment", "since": "2026-03-01", "until": "2026-03-10"}


def _stricter(office: Any, seat: Seat) -> None:
    office.save(seat, "/stages/card/values", **{"value:base": "300"})


class TestBacktest:
    def test_compares_the_draft_with_what_is_in_force(self, office: Any, analyst: Seat) -> None:
        office.decide()
        office.decide("customer:99")
        _stricter(office, analyst)
        made = analyst.post(f"{AT}/backtests", **PERIOD)
        assert made.headers["Location"] == f"{AT}/backtests/1"
        page = analyst.get(f"{AT}/backtests/1").text
        for said in ("换入换出", "坏账率", "只有实际放款的客户才有还款结果", "¥6,000.00"):
            assert said in page, said
        assert "#1 instalment" in analyst.get(f"{AT}/trials").text

    def test_needs_decisions_and_a_period(self, office: Any, analyst: Seat) -> None:
        refused = analyst.post(f"{AT}/backtests", **PERIOD)
        assert (refused.status_code, "没有可回测的决策记录" in refused.text) == (409, True)
        for days in ({"since": "x"}, {"since": "2026-03-11"}, {"since": "2025-01-01"}):
            assert analyst.post(f"{AT}/backtests", **PERIOD | days).status_code == 422
        assert office.house.seat("auditor").post(f"{AT}/backtests", **PERIOD).status_code == 403
