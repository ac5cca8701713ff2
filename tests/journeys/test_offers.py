"""A collector settles with a late customer, and a second person approves what is beyond one's word.

FENQI_SHOTS=folder keeps pictures of what the browser shows, for looking at.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from browsing import follow
from playwright.sync_api import Page, expect
from workplace import House, log_in_by_browser, served

from kernel.runtime import Runtime
from servicing import operations
from servicing.demo.book import seed_demo

SHOTS = os.environ.get("FENQI_SHOTS", "")
IN_TIME = 1
LATE = 3  # the third of the demo book's stories: five days late

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


@pytest.fixture
def address(workplace: House, runtime: Runtime) -> Iterator[str]:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        seed_demo(session, runtime.cipher, customers=20, seed=1, now=now)
    workplace.hire("wangmin", "collector", name="王敏")
    workplace.hire("chenjie", "risk_manager", name="陈杰")
    with served(workplace.app) as address:
        yield address


@pytest.fixture
def page(desk_page: Page) -> Iterator[Page]:
    faults: list[str] = []
    desk_page.on("pageerror", lambda error: faults.append(str(error)))
    yield desk_page
    assert faults == []


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(900)  # until nothing moves any more
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def choose(page: Page, menu: str, item: str) -> None:
    page.get_by_role("button", name=menu).click()
    page.get_by_role("link", name=item, exact=True).click()


def test_a_settlement_is_seen_approved_and_listed(
    page: Page, address: str, runtime: Runtime
) -> None:
    log_in_by_browser(page, address, "wangmin")
    page.goto(f"{address}/admin/customers/{LATE}")
    page.locator("details.desk-fold").first.click()
    shoot(page, "loan")
    choose(page, "发方案", "减免结清方案")
    until = (runtime.clock.now() + timedelta(days=9)).date().isoformat()
    page.get_by_label("结清金额").fill("1000")
    page.get_by_label("有效期至").fill(until)
    page.get_by_label("理由").fill("客户失业，家人愿一次付清")
    page.get_by_role("button", name="查看结果").click()
    expect(page.get_by_text("今天结清需还")).to_be_visible()
    shoot(page, "offer-dialog")
    page.get_by_role("button", name="提交申请").click()
    expect(page.get_by_text("已提交申请，待另一位同事审批")).to_be_visible()
    log_in_by_browser(page, address, "chenjie")
    page.goto(f"{address}/admin/approvals/1")
    shoot(page, "offer-approval")
    follow(page.get_by_role("button", name="批准并执行"))
    page.goto(f"{address}/admin/customers/{LATE}")
    expect(page.get_by_text("待客户确认")).to_be_visible()
    shoot(page, "offers-panel")


def test_a_holiday_is_confirmed_at_the_counter_and_found_in_the_history(
    page: Page, address: str, runtime: Runtime
) -> None:
    log_in_by_browser(page, address, "chenjie")
    page.goto(f"{address}/admin/customers/{IN_TIME}")
    page.locator("details.desk-fold").first.click()
    page.get_by_role("button", name="账务操作").click()
    shoot(page, "acts-menu")
    page.get_by_role("link", name="暂停还款").click()
    page.get_by_label("暂停的期数").fill("1")
    page.get_by_label("理由").fill("客户住院，当面申请")
    page.get_by_role("button", name="查看结果").click()
    expect(page.get_by_text("综合融资成本明示表")).to_be_visible()
    shoot(page, "holiday-dialog")
    page.get_by_label("客户已阅读并同意上表").select_option("counter")
    page.get_by_role("button", name="确认办理").click()
    expect(page.get_by_text("已办理：暂停还款")).to_be_visible()
    page.locator("details.desk-fold").first.click()
    follow(page.get_by_role("link", name="历史与还原"))
    page.locator("details.desk-fold").first.click()
    expect(page.get_by_text("原还款计划")).to_be_visible()
    shoot(page, "loan-history")
    with runtime.database.read() as session:
        assert operations.prove_books(session) == []


@pytest.mark.parametrize(
    "act",
    ["展期", "变更还款日", "只还利息", "重组还款计划", "分摊逾期本金", "退货取消", "冲正一笔记录"],
)
def test_each_dialog_says_what_is_missing(page: Page, address: str, act: str) -> None:
    log_in_by_browser(page, address, "chenjie")
    page.goto(f"{address}/admin/customers/{LATE}")
    page.locator("details.desk-fold").first.click()
    choose(page, "账务操作", act)
    dialog = page.locator("#desk-dialog-content")
    expect(dialog.get_by_role("button", name="查看结果")).to_be_visible()
    shoot(page, f"dialog-{act}")
    expect(dialog.locator(":invalid").first).to_be_attached()


def test_a_freeze_a_waiver_and_a_cut_in_place(page: Page, address: str, runtime: Runtime) -> None:
    log_in_by_browser(page, address, "chenjie")
    page.goto(f"{address}/admin/customers/{LATE}")
    page.locator("details.desk-fold").first.click()
    choose(page, "账务操作", "冻结利息")
    page.get_by_label("末日").fill((runtime.clock.now() + timedelta(days=5)).date().isoformat())
    page.get_by_label("理由").fill("受灾")
    page.get_by_role("button", name="查看结果").click()
    expect(page.get_by_text("在您的权限内")).to_be_visible()
    shoot(page, "freeze-dialog")
    page.get_by_role("button", name="确认办理").click()
    expect(page.get_by_text("冻结中")).to_be_visible()
    page.get_by_role("button", name="调整额度").click()
    page.get_by_label("理由").fill("收入下降")
    page.get_by_label("调低到").fill("1000")
    page.get_by_role("button", name="调低", exact=True).click()
    expect(page.get_by_text("额度已调低")).to_be_visible()
    page.get_by_role("button", name="调整额度").click()
    expect(page.get_by_text("降额")).to_be_visible()
    shoot(page, "line-dialog")
    with runtime.database.read() as session:
        assert operations.prove_books(session) == []
