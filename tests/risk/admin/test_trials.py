"""Drafts against the past, on their pages."""

from typing import Any

from fixed_prices import FixedPrices
from life import work_on
from playwright.sync_api import Page, expect
from workplace import Seat, log_in_by_browser, served

from risk.admin.names import Names
from risk.admin.trials import rule_labels
from risk.features.catalogue import read_catalogue
from risk.lifecycle.tables import BacktestRun
from risk.ports import ProductPrices

AT = "/admin/risk/strategies/house-credit"
PERIOD = {"product": "instalment", "since": "2026-03-01", "until": "2026-03-10"}


def _stricter(office: Any, seat: Seat) -> None:
    office.save(seat, "/stages/card/values", **{"value:base": "300"})


def test_no_two_parts_of_a_report_are_called_the_same() -> None:
    body = {"stages": [{"id": "m", "title": "矩阵"}, {"id": "s", "title": "规则"}]}
    parts = [
        {"id": "s.a", "title": "逾期", "stage": "s", "kind": "hit"},
        {"id": "s.a", "title": "逾期", "stage": "s", "kind": "missing"},
        {"id": "s.b", "title": "逾期", "stage": "s", "kind": "hit"},
        {"id": "m.1.2", "title": "矩阵", "stage": "m", "kind": "taken"},
        {"id": "m.2.2", "title": "矩阵", "stage": "m", "kind": "taken"},
        {
            "id": "required.income_monthly_fen",
            "title": "income_monthly_fen",
            "stage": "",
            "kind": "missing",
        },
        {"id": "s.otherwise", "title": "规则", "stage": "s", "kind": "hit"},
    ]
    assert rule_labels(parts, body, Names(read_catalogue(), body)) == [
        "逾期（s.a）",
        "逾期：资料缺失",
        "逾期（s.b）",
        "矩阵 · 第 1 行第 2 列",
        "矩阵 · 第 2 行第 2 列",
        "月收入：资料缺失",
        "规则 · 其余情况",
    ]


class TestBacktest:
    def test_says_at_what_price_it_counts_interest_where_the_strategy_sets_none(
        self, office: Any, analyst: Seat
    ) -> None:
        office.house.runtime.provide(ProductPrices, FixedPrices())
        office.decide()
        _stricter(office, analyst)
        analyst.post(f"{AT}/backtests", **PERIOD)
        work_on(office.house.runtime)
        page = analyst.get(f"{AT}/backtests/1").text
        assert "策略没有定价的，按产品价格 21.60 % 计息" in page

    def test_compares_the_draft_with_what_is_in_force(self, office: Any, analyst: Seat) -> None:
        office.decide()
        office.decide("customer:99")
        _stricter(office, analyst)
        made = analyst.post(f"{AT}/backtests", **PERIOD)
        run = f"{AT}/backtests/runs/1"
        assert made.headers["Location"] == run
        assert "等待中" in analyst.get(f"{run}/progress").text
        assert run in analyst.get(f"{AT}/trials").text
        work_on(office.house.runtime)
        assert analyst.get(f"{run}/progress").headers["HX-Redirect"] == f"{AT}/backtests/1"
        assert analyst.get(run).headers["Location"] == f"{AT}/backtests/1"
        page = analyst.get(f"{AT}/backtests/1").text
        said_there = ("换入换出", "坏账率", "只有实际放款的客户才有", "¥6,000.00", "未沿用静默")
        for said in said_there:
            assert said in page, said
        assert 'title="instalment">合作方消费分期' in analyst.get(f"{AT}/trials").text

    def test_says_which_rules_were_silent_and_what_that_did(
        self, office: Any, analyst: Seat
    ) -> None:
        office.decide()
        analyst.post(f"{AT}/backtests", **PERIOD, with_snoozes="y")
        work_on(office.house.runtime)
        page = analyst.get(f"{AT}/backtests/1").text
        for said in ("沿用决策当时的静默", "草稿有 0 笔受静默影响", "该时间段内没有静默"):
            assert said in page, said

    def test_is_cancelled_before_its_turn_and_leaves_no_report(
        self, office: Any, analyst: Seat
    ) -> None:
        office.decide()
        run = analyst.post(f"{AT}/backtests", **PERIOD).headers["Location"]
        assert "取消回测" in analyst.get(run).text
        assert office.house.seat("auditor").post(f"{run}/cancel").status_code == 403
        assert analyst.post(f"{run}/cancel").status_code == 302
        work_on(office.house.runtime)
        assert "已取消" in analyst.get(run).text
        assert "还没有回测" in analyst.get(f"{AT}/trials").text

    def test_a_run_is_found_under_its_own_strategy_only(self, office: Any, analyst: Seat) -> None:
        office.decide()
        analyst.post(f"{AT}/backtests", **PERIOD)
        assert analyst.get(f"{AT}/backtests/runs/2").status_code == 404
        assert analyst.get(f"{AT}x/backtests/runs/1").status_code == 404

    def test_needs_decisions_and_a_period(self, office: Any, analyst: Seat) -> None:
        refused = analyst.post(f"{AT}/backtests", **PERIOD)
        assert (refused.status_code, "没有可回测的决策记录" in refused.text) == (409, True)
        for days in ({"since": "x"}, {"since": "2026-03-11"}, {"since": "2024-03-01"}):
            assert analyst.post(f"{AT}/backtests", **PERIOD | days).status_code == 422
        assert office.house.seat("auditor").post(f"{AT}/backtests", **PERIOD).status_code == 403


def test_in_a_browser_the_page_follows_the_run_to_its_report(office: Any, desk_page: Page) -> None:
    office.house.hire("analyst", "risk_analyst")
    office.decide()
    office.decide("customer:99")
    run_id = 1
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "analyst")
        desk_page.goto(f"{address}{AT}/trials")
        desk_page.get_by_label("从").fill("2026-03-01")
        desk_page.get_by_role("button", name="用已有决策回测").click()
        expect(desk_page.get_by_text("等待中")).to_be_visible()
        expect(desk_page.get_by_role("progressbar")).to_be_visible()
        with office.house.runtime.database.write() as session:
            run = session.get_one(BacktestRun, run_id)
            run.state, run.rows_done, run.rows_total = "running", 412_000, 1_000_000
        far = desk_page.get_by_text("412,000 / 1,000,000 笔")
        expect(far).to_be_visible()
        with office.house.runtime.database.write() as session:
            session.get_one(BacktestRun, run_id).state = "waiting"
        work_on(office.house.runtime)
        expect(desk_page.get_by_text("规则命中与独自起作用").first).to_be_visible()
