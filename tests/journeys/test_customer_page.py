"""A clerk takes a call: find the customer, see who they are, leave them alone, say what it costs.

FENQI_SHOTS=folder keeps pictures of what the browser shows, for looking at.
"""

import os
from collections.abc import Iterator

import pytest
from browsing import arrived, follow, leading_on, measured
from playwright.sync_api import Page, expect
from workplace import PASSWORD, House, served

from contact.operations import load_rules, load_templates
from kernel.runtime import Runtime
from servicing.demo.book import seed_demo

SHOTS = os.environ.get("FENQI_SHOTS", "")
LATE = 2  # the third of the demo book's stories: five days late

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


@pytest.fixture
def people(runtime: Runtime) -> list[dict[str, str]]:
    """A small demo book; the people of its stories."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        load_rules(session, now=now)
        load_templates(session, now=now)
        return seed_demo(session, runtime.cipher, customers=20, seed=1, now=now).people


@pytest.fixture
def address(workplace: House) -> Iterator[str]:
    workplace.hire("wangmin", "clerk", name="王敏")
    workplace.hire("chenjie", "risk_manager", name="陈杰")
    with served(workplace.app) as address:
        yield address


@pytest.fixture
def page(desk_page: Page, address: str) -> Iterator[Page]:
    """A browser at the login page that reports faults of the pages' own."""
    faults: list[str] = []
    desk_page.on("pageerror", lambda error: faults.append(str(error)))
    desk_page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    desk_page.goto(f"{address}/admin/")
    yield desk_page
    assert [fault for fault in faults if "status of 422" not in fault] == []


def log_in(page: Page, login: str) -> None:
    page.get_by_label("登录名").fill(login)
    page.get_by_label("密码").fill(PASSWORD)
    follow(page.get_by_role("button", name="登录"))
    expect(page.get_by_role("heading", name="您好")).to_be_visible()


def log_out(page: Page) -> None:
    page.get_by_label("用户菜单").click()
    follow(page.get_by_role("button", name="退出登录"))


def find(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="搜索").fill(text)
    with leading_on(page):
        page.get_by_role("searchbox", name="搜索").press("Enter")
    follow(page.locator("#content .list-group-item").first)
    expect(page.locator("#panel-head")).to_be_visible()


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(900)  # until nothing moves any more
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def fits(page: Page) -> bool:
    """Say whether nothing stands out to the right."""
    return bool(measured(page, "document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_clerk_takes_a_call(page: Page, people: list[dict[str, str]]) -> None:
    someone = people[LATE]
    log_in(page, "wangmin")
    find(page, someone["phone"])
    expect(page.get_by_text("逾期 5 天 · M1")).to_be_visible()
    arrived(page)
    assert someone["phone"] not in page.content()
    assert someone["name"] not in page.content()
    shoot(page, "customer")

    page.locator("#panel-head").get_by_role("button", name="查看").nth(1).click()
    dialog = page.locator("#desk-dialog")
    dialog.get_by_label("查看理由").select_option("核实客户身份")
    dialog.get_by_role("button", name="查看").click()
    expect(page.get_by_text(someone["phone"])).to_be_visible()
    expect(dialog).to_be_hidden()

    page.locator("#panel-loans summary").first.click()
    overdue = page.locator("#panel-loans .desk-folds-inner summary", has_text="逾期 5 天")
    overdue.click()
    expect(page.get_by_text("四舍五入到分").filter(visible=True)).to_have_count(1)
    shoot(page, "plan")

    page.get_by_role("button", name="停催", exact=True).click()
    dialog.get_by_label("原因").select_option("hardship")
    dialog.get_by_label("停到哪天").fill("2026-03-01")
    dialog.get_by_label("停到哪天").evaluate("field => field.removeAttribute('min')")
    dialog.get_by_role("button", name="登记停催").click()
    expect(dialog.get_by_text("停催截止日不能早于今天")).to_be_visible()
    expect(dialog.get_by_label("原因")).to_have_value("hardship")
    dialog.get_by_label("停到哪天").fill("2026-03-31")
    shoot(page, "hold")
    dialog.get_by_role("button", name="登记停催").click()
    expect(page.get_by_text("已登记停催，即刻生效")).to_be_visible()
    expect(page.locator("#panel-care").get_by_text("经济困难")).to_be_visible()
    expect(page.locator("#panel-head").get_by_text("停催中")).to_be_visible()
    shoot(page, "held")

    page.get_by_role("button", name="录入申请").click()
    dialog.get_by_label("商品").fill("笔记本电脑")
    dialog.get_by_label("商户").fill("宏达手机卖场")
    dialog.get_by_label("分期金额").fill("4800")
    expect(dialog.get_by_text("¥448.33")).to_be_visible()
    dialog.get_by_role("button", name="提交申请").click()
    expect(page.locator("#panel-applications").get_by_text("机器处理中")).to_be_visible()


def test_two_people_unfreeze_a_line(page: Page, people: list[dict[str, str]]) -> None:
    log_in(page, "wangmin")
    find(page, people[LATE]["phone"])
    dialog, lines = page.locator("#desk-dialog"), page.locator("#panel-lines")
    page.get_by_role("button", name="冻结", exact=True).click()
    dialog.get_by_label("原因").select_option("requested")
    dialog.get_by_label("从哪天起（含当天）").fill("2026-03-20")
    dialog.get_by_label("冻到哪天（含当天）").fill("2026-03-31")
    expect(dialog.get_by_text("冻结期间可用额度")).to_be_visible()
    shoot(page, "freeze")
    dialog.get_by_role("button", name="冻结额度").click()
    expect(lines.get_by_text("未开始")).to_be_visible()
    page.get_by_role("button", name="冻结", exact=True).click()
    dialog.get_by_label("原因").select_option("stolen")
    dialog.get_by_role("button", name="冻结额度").click()
    expect(lines.get_by_text("疑似被他人冒用")).to_be_visible()
    page.get_by_role("button", name="申请解冻").nth(1).click()
    dialog.get_by_label("申请理由").fill("到店核验证件原件，确为本人")
    dialog.get_by_role("button", name="提交申请").click()
    expect(lines.get_by_text("解冻申请待审批")).to_be_visible()
    shoot(page, "frozen")
    log_out(page)
    log_in(page, "chenjie")
    follow(page.get_by_role("link", name="去审批"))
    follow(page.get_by_role("link", name="审批", exact=True).first)
    expect(page.get_by_text("到店核验证件原件")).to_be_visible()
    shoot(page, "unfreeze")
    follow(page.get_by_role("button", name="批准并执行"))
    find(page, people[LATE]["phone"])
    expect(lines.get_by_text("正常")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 1280, 390])
def test_every_tab_fits_the_screen(page: Page, people: list[dict[str, str]], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    log_in(page, "chenjie")
    find(page, people[4]["phone"])
    assert fits(page)
    shoot(page, f"both-{width}")
    for tab, words in (
        ("消息与提醒", "还没有发过消息"),
        ("停催与投诉", "没有停催和投诉"),
        ("申请记录", "已放款"),
        ("账务分录", "放款本金"),
        ("授权", "没有授权记录"),
    ):
        page.get_by_role("link", name=tab, exact=True).click()
        expect(page.locator("#customer-tabs").get_by_text(words).first).to_be_visible()
        assert fits(page), tab
    page.get_by_role("link", name="账务分录").click()
    page.locator("#panel-ledger summary").first.click()
    expect(page.get_by_text("借贷平衡")).to_be_visible()
    assert fits(page)
    shoot(page, f"ledger-{width}")
