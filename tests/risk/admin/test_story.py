"""An analyst's story in a browser, without a deploy.

A threshold is changed, tried, tested, backtested and run in the shadow; another person puts it in
force, the share of approvals moves, and it is rolled back.
"""

from datetime import timedelta
from typing import Any

from life import work_on
from playwright.sync_api import Page, expect
from workplace import log_in_by_browser, served

from kernel.runtime import Runtime
from risk.jobs import follow_shadows

AT = "/admin/risk/strategies/house-credit"


def _change_the_threshold(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/risk/strategies")
    page.get_by_role("link", name="消费分期授信（首版）").click()
    page.get_by_role("link", name="硬性规则").click()
    page.get_by_role("link", name="近期严重逾期").click()
    value = page.get_by_label("值", exact=True)
    expect(value).to_have_value("60")
    value.fill("一个月")
    page.get_by_role("button", name="保存草稿").click()
    expect(page.locator("[data-builder] .risk-mark")).to_contain_text("此处应为数值")
    value.fill("20")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-status]")).to_have_text("已保存为草稿 v3")
    expect(page.locator(".risk-clean")).to_be_visible()


def _cannot_publish_it(page: Page, address: str) -> None:
    """Without passing tests the button is dead and says why; test_publishing asks the server."""
    page.goto(f"{address}{AT}/changes")
    expect(page.get_by_text("还不能提交发布：有测试用例未通过，不能发布")).to_be_visible()
    expect(page.get_by_role("button", name="提交发布")).to_be_disabled()
    expect(page.locator("#ready-cases")).to_contain_text("1 个未通过")


def _try_it(page: Page, address: str, decision_id: str) -> None:
    page.goto(f"{address}{AT}/try?decision={decision_id}")
    expect(page.locator("#try-overdue_days_max_12m")).to_have_value("30")
    page.get_by_role("button", name="试算").click()
    expect(page.locator(".risk-verdict")).to_contain_text("拒绝")
    expect(page.locator(".risk-verdict")).to_contain_text("近12个月逾期超过60天")
    expect(page.locator(".risk-way-line.is-decline")).to_contain_text(
        "近12个月最长逾期天数 大于 20 天"
    )


def _test_it(page: Page) -> None:
    page.get_by_label("存为测试用例").fill("逾期30天，拒绝")
    page.get_by_role("button", name="存为用例").click()
    row = page.get_by_role("row", name="逾期30天，拒绝")
    expect(row).to_contain_text("通过测试")
    wrong = page.get_by_role("row", name="逾期恰为60天，不命中")
    expect(wrong).to_contain_text("不符")
    expect(page.get_by_role("button", name="标记为已测试")).to_be_disabled()
    wrong.get_by_role("button").click()
    expect(wrong).to_have_count(0)
    page.get_by_role("button", name="标记为已测试").click()
    expect(page.get_by_text("已测试，可以提交发布")).to_be_visible()


def _backtest(page: Page, address: str, runtime: Runtime) -> None:
    page.goto(f"{address}{AT}/trials")
    page.get_by_role("button", name="用已有决策回测").click()
    expect(page.get_by_text("等待中")).to_be_visible()
    work_on(runtime)
    expect(page.locator(".risk-matrix").first).to_be_visible()


def _run_in_the_shadow(page: Page, address: str) -> None:
    page.goto(f"{address}{AT}/beside")
    page.get_by_role("button", name="开始影子运行").click()
    dialog = page.locator("#desk-dialog")
    expect(dialog.get_by_label("版本")).to_have_value("3")
    dialog.get_by_label("运行天数").fill("7")
    dialog.get_by_role("button", name="开始", exact=True).click()
    expect(page.get_by_text("影子运行已开始，不影响任何申请")).to_be_visible()


def _read_the_shadow(page: Page, address: str, decision_id: str) -> None:
    page.goto(f"{address}{AT}/beside")
    page.get_by_role("link", name="v3", exact=True).click()
    expect(page.get_by_text("已比较 3 笔 · 一致 0.0%")).to_be_visible()
    page.locator(".is-differing a").click()
    page.get_by_role("link", name=decision_id).click()
    expect(page.locator(".page-title")).to_contain_text("通过")


def _share_of(page: Page, address: str, version: int) -> Any:
    """The cell that says what share a version approved within the last day."""
    page.goto(f"{address}{AT}/history")
    link = page.get_by_role("link", name=f"v{version}", exact=True)
    return page.locator("tr", has=link).locator("td").nth(5)


def _propose(page: Page, address: str) -> None:
    page.goto(f"{address}{AT}/changes")
    expect(page.locator("#ready-cases")).to_contain_text("44 个全部通过")
    expect(page.locator("#ready-cases")).to_contain_text("逾期30天，拒绝")
    expect(page.locator(".desk-diff")).to_contain_text("近12个月最长逾期天数 大于 20 天")
    page.get_by_role("button", name="提交发布").click()
    page.get_by_label("为什么要改").fill("逾期客户坏账上升")
    page.get_by_role("button", name="提交", exact=True).click()
    expect(page.get_by_text("等待另一位同事审批")).to_be_visible()


def _approve(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/approvals")
    page.get_by_role("link", name="审批", exact=True).click()
    expect(page.get_by_text("逾期客户坏账上升")).to_be_visible()
    cases = page.locator("#ready-cases")
    expect(cases).to_contain_text("1 个用例的结论与生效版本不同")
    expect(cases).to_contain_text("生效版本测试之后删除的用例：逾期恰为60天，不命中")
    expect(page.locator("#ready-coverage")).to_contain_text("近期严重逾期")
    expect(page.locator("[data-backtest]").first).to_contain_text("针对本版")
    expect(page.locator("[data-backtest]").first).to_contain_text("换入换出")
    expect(page.locator("#ready-shadows")).to_contain_text("一致 0.0%，多通过 0 笔，多拒绝 3 笔")
    page.get_by_role("button", name="批准并执行").click()
    expect(page.get_by_text("已批准并执行")).to_be_visible()


def _roll_back(page: Page, address: str) -> None:
    page.goto(f"{address}{AT}/history")
    page.get_by_role("button", name="回滚到上一版").click()
    dialog = page.locator("#desk-dialog")
    expect(dialog).to_contain_text("近12个月最长逾期天数 大于 60 天")
    dialog.get_by_label("理由").fill("通过率下降过多")
    dialog.get_by_role("button", name="立即回滚").click()
    expect(page.get_by_text("已回滚")).to_be_visible()


def test_an_analyst_changes_a_threshold_and_a_manager_takes_it_back(
    office: Any, desk_page: Page
) -> None:
    office.house.hire("analyst", "risk_analyst")
    office.house.hire("manager", "risk_manager")
    before = office.decide()
    assert before["outcome"] == "approve"
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "analyst")
        _change_the_threshold(desk_page, address)
        _cannot_publish_it(desk_page, address)
        _try_it(desk_page, address, before["id"])
        _test_it(desk_page)
        _backtest(desk_page, address, office.house.runtime)
        office.house.clock.advance(timedelta(minutes=1))
        _run_in_the_shadow(desk_page, address)
        beside = [office.decide() for _ in range(3)][-1]
        assert beside["outcome"] == "approve"
        office.house.clock.advance(timedelta(minutes=1))
        follow_shadows(office.house.runtime)
        _read_the_shadow(desk_page, address, beside["id"])
        _propose(desk_page, address)
        assert office.decide()["outcome"] == "approve"
        expect(_share_of(desk_page, address, 1)).to_have_text("100.0%")
        log_in_by_browser(desk_page, address, "manager")
        office.house.clock.advance(timedelta(minutes=1))
        _approve(desk_page, address)
        after = office.decide_by(version=3)
        assert (after["outcome"], after["reasons"][0]["code"]) == ("decline", "overdue-recently")
        expect(_share_of(desk_page, address, 3)).to_have_text("0.0%")
        office.house.clock.advance(timedelta(minutes=1))
        _roll_back(desk_page, address)
        office.house.clock.advance(timedelta(minutes=1))
        assert office.decide_by(version=4)["outcome"] == "approve"
        expect(_share_of(desk_page, address, 4)).to_have_text("100.0%")
        desk_page.goto(f"{address}/admin/risk/decisions/{after['id']}")
        desk_page.get_by_role("button", name="重放").click()
        expect(desk_page.get_by_text("逐字节一致")).to_be_visible()
        expect(desk_page.locator("#replayed")).to_contain_text("近12个月最长逾期天数")
    done = [act.action for act in office.house.acts(subject="strategy:house-credit")]
    assert done == [
        "risk.strategy.cases_changed",
        "risk.strategy.cases_changed",
        "risk.strategy.shadow_begun",
        "risk.strategy.publication_proposed",
        "risk.strategy.rolled_back",
    ]
    versions = office.house.acts(subject="risk.strategy:house-credit")
    assert [act.actor for act in versions if act.action == "desk.document.approved"] == [
        "manager",
        "manager",
    ]
