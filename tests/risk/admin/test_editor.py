"""The editor in a browser: fields picked by keyboard, stages reordered, two editors at once."""

from collections.abc import Callable
from typing import Any

from patience import turns
from playwright.sync_api import Page, Route, expect
from workplace import Seat, log_in_by_browser, served

AT = "/admin/risk/strategies/house-credit"

Draft = Callable[[], dict[str, Any]]


def test_enter_takes_what_was_typed_though_its_answer_is_on_the_way(
    office: Any, analyst: Seat, desk_page: Page
) -> None:
    assert analyst
    held: list[Route] = []
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}/stages/fraud/rules/new")
        desk_page.get_by_role("button", name="加条件", exact=True).click()
        expect(desk_page.locator(".risk-picker-line.is-chosen")).to_be_visible()
        desk_page.route(
            lambda url: "q=%E6%9C%88" in url,
            lambda route: held.append(route),  # noqa: PLW0108 -- Playwright takes no built-in
        )
        desk_page.locator(".risk-picker input").fill("月收入 元")
        desk_page.keyboard.press("Enter")
        assert any(desk_page.title() and held for _ in turns())  # asking lets it be heard
        expect(desk_page.locator(".risk-picker-line.is-chosen")).to_be_visible()
        for route in held:
            route.continue_()
        expect(desk_page.locator(".risk-picker")).to_have_count(0)
        expect(desk_page.locator(".risk-statement")).to_contain_text("月收入")


def test_a_rule_is_built_by_keyboard(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}/stages/fraud/rules/new")
        desk_page.get_by_label("规则名称").fill("低收入高额")
        desk_page.get_by_role("button", name="加条件", exact=True).click()
        desk_page.keyboard.type("月收入 元")
        chosen = desk_page.locator(".risk-picker-line.is-chosen")
        expect(chosen).to_contain_text("income_monthly_fen")
        desk_page.keyboard.press("Enter")
        desk_page.get_by_label("值", exact=True).fill("3,000")
        desk_page.get_by_role("button", name="加条件组", exact=True).click()
        inner = desk_page.locator(".risk-group .risk-group")
        inner.get_by_role("button", name="加条件", exact=True).click()
        desk_page.keyboard.type("放款机构")
        expect(chosen).to_contain_text("lender_type")
        desk_page.keyboard.press("Enter")
        inner.get_by_label("比较方式").select_option("one_of")
        inner.get_by_role("button", name="银行").click()
        inner.get_by_role("button", name="小额贷款公司").click()
        desk_page.get_by_text("转人工").first.click()
        desk_page.get_by_text("忽略此规则").click()
        desk_page.get_by_label("原因", exact=True).select_option("value-shared")
        expect(desk_page.get_by_label("对客户的说明")).to_have_value("您的申请需要人工核实。")
        desk_page.get_by_role("button", name="保存草稿").click()
        desk_page.wait_for_url("**/rules/fraud.1")
        expect(desk_page.locator(".risk-clean")).to_be_visible()
    assert draft()["stages"][2]["rules"][-1]["when"] == {
        "all": [
            {"field": "income_monthly_fen", "is": "below", "value": 300_000},
            {"field": "lender_type", "is": "one_of", "value": ["bank", "small_loan"]},
        ]
    }


def test_stages_are_moved_and_switched_off(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}")
        desk_page.get_by_label("上移 反欺诈").click()
        desk_page.get_by_label("上移 反欺诈").click()  # the statutory stage stays first
        desk_page.get_by_label("启用 硬性规则").uncheck()
        desk_page.get_by_role("button", name="保存顺序").click()
        expect(desk_page.locator("[data-draft]")).to_have_text("已保存为草稿 v2")
    assert draft()["products"][0]["stages"][:3] == ["statutory", "fraud", "card"]


def test_two_editors_at_once_get_a_clear_conflict_and_lose_nothing(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    manager = office.house.seat("risk_manager")
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}/stages/hard/rules/hard.overdue")
        desk_page.get_by_label("值", exact=True).fill("45")
        saved = office.save(manager, "/stages/card/values", **{"value:base": "510"})
        assert saved.status_code == 200
        desk_page.get_by_role("button", name="保存草稿").click()
        said = desk_page.locator(".risk-said")
        expect(said).to_contain_text("risk_manager 已保存了 v2，您的修改还没有保存")
        expect(desk_page.get_by_label("值", exact=True)).to_have_value("45")
        assert draft()["stages"][1]["rules"][0]["when"]["value"] == 60
        said.get_by_role("button", name="在最新版本上保存我的修改").click()
        expect(desk_page.locator("[data-status]")).to_have_text("已保存为草稿 v3")
        expect(said).to_have_count(0)
    assert draft()["stages"][1]["rules"][0]["when"]["value"] == 45
    assert draft()["stages"][3]["base"] == 510


def test_a_session_that_ended_loses_nothing(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}/stages/hard/rules/hard.overdue")
        desk_page.get_by_label("值", exact=True).fill("45")
        desk_page.context.clear_cookies()
        desk_page.get_by_role("button", name="保存草稿").click()
        expect(desk_page.locator(".risk-said")).to_contain_text("登录已过期")
        log_in_by_browser(desk_page.context.new_page(), address, "risk_analyst")
        expect(desk_page.get_by_label("值", exact=True)).to_have_value("45")
        desk_page.get_by_role("button", name="保存草稿").click()
        expect(desk_page.locator("[data-status]")).to_have_text("已保存为草稿 v2")
    assert draft()["stages"][1]["rules"][0]["when"]["value"] == 45


def test_a_product_is_told_whom_to_ask_and_in_which_order(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}?product=standard")
        desk_page.get_by_text("本产品自行安排").click()
        desk_page.get_by_label("征信报告 批次").fill("2")
        desk_page.get_by_label("征信报告 每次超时（秒）").fill("8")
        desk_page.get_by_label("征信报告 无应答时").select_option("decline")
        desk_page.get_by_label("启用 外部名单", exact=True).uncheck()
        desk_page.get_by_role("button", name="保存外部查询").click()
        expect(desk_page.locator("[data-draft]")).to_contain_text("草稿 v2")
        expect(desk_page.get_by_text("只由子系统“外部名单”提供").first).to_be_visible()
    assert draft()["products"][1]["subsystems"] == [
        {"name": "identity", "step": 1, "timeout_s": 5, "attempts": 3, "fallback": "review"},
        {"name": "bureau", "step": 2, "timeout_s": 8, "attempts": 3, "fallback": "decline"},
    ]
