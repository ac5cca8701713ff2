"""A day at the boards in a real browser; DESK_SHOTS=folder keeps pictures of it for looking at."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from browsing import follow, measured
from playwright.sync_api import Page, expect
from verdicts import Verdict
from workplace import House, log_in_by_browser, served

from servicing import operations
from servicing.demo.book import seed_demo
from servicing.operations import open_line

SHOTS = os.environ.get("DESK_SHOTS", "")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


@pytest.fixture
def address(workplace: House) -> Iterator[str]:
    """Where the app is served: a demo book, an alert, a large application, three people."""
    for login, name, *roles in (
        ("lijing", "李静", "risk_analyst"),
        ("wangmin", "王敏", "risk_manager"),
    ):
        workplace.hire(login, *roles, name=name)
    now = workplace.clock.now()
    with workplace.runtime.database.write() as session:
        seed_demo(session, workplace.runtime.cipher, customers=200, seed=1, now=now)
        operations.raise_alert(
            session,
            key="line-frozen/1",
            kind="line-frozen",
            severity="high",
            customer_id=6,
            details={"grade": "E", "reasons": ["近 12 个月最长逾期 64 天"]},
            now=now,
        )
        _apply(session, workplace, now - timedelta(days=9))
    with served(workplace.app) as base:
        yield base


def _apply(session: Any, workplace: House, at: Any) -> None:
    customer_id = operations.create_customer(
        session,
        workplace.runtime.cipher,
        name="郭小川",
        phone="10000009999",
        id_number="99000019900101999X",
        now=at,
    )
    open_line(session, customer_id=customer_id, funder="own", granted_fen=1_000_000, now=at)
    application_id = operations.submit_application(
        session,
        customer_id=customer_id,
        merchant_name="宏达手机卖场",
        merchandise="折叠屏手机",
        amount_fen=899_900,
        terms=18,
        channel="shop_qr",
        attributes={"device": "imei-8675309", "wifi": "SHOP-5G"},
        key="journey",
        now=at,
    )
    operations.decide_application(
        session,
        application_id=application_id,
        decision=Verdict("review", "large-for-new", "device-shared"),
        now=at,
    )


@pytest.fixture
def page(desk_page: Page) -> Iterator[Page]:
    faults: list[str] = []
    desk_page.on("pageerror", lambda error: faults.append(str(error)))
    desk_page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    yield desk_page
    assert faults == []


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(1200)  # until nothing moves any more
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_a_click_on_a_bucket_lists_its_loans(page: Page, address: str) -> None:
    log_in_by_browser(page, address, "lijing")
    expect(page.locator("#aging canvas")).to_be_visible()
    shoot(page, "boards-dashboard")
    follow(page.get_by_role("link", name="逾期看板"))
    tab = page.locator("#loans .nav-link", has_text=re.compile(r"^M2\s"))
    count = tab.locator(".badge").inner_text()
    shoot(page, "boards-overdue")
    # The second of seven bars of the left half stands at a sixth of the picture's width.
    expect(page.locator("#aging[data-finished] canvas")).to_be_visible()
    box = measured(page, "document.querySelector('#aging canvas').getBoundingClientRect()")
    left, right = 4 + 22, box["width"] * 0.4
    page.mouse.click(box["x"] + left + (right - left) * 1.5 / 7, box["y"] + box["height"] - 34)
    page.wait_for_url(re.compile(r"bucket=M2"))
    expect(page.locator("#loans .nav-link.active")).to_contain_text("M2")
    expect(page.locator("#loans tbody tr")).to_have_count(int(count))
    shoot(page, "boards-overdue-m2")


def test_an_alert_is_closed_with_a_note(page: Page, address: str) -> None:
    log_in_by_browser(page, address, "lijing")
    alerts = page.get_by_role("link", name="待处理预警")
    follow(alerts.or_(page.get_by_role("link", name="风险预警")).first)
    expect(page.get_by_text("评级为 E，额度已自动冻结")).to_be_visible()
    shoot(page, "boards-alerts")
    page.get_by_role("button", name="处理").click()
    dialog = page.locator("#desk-dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("处理结论").fill("已联系客户，本周还款，额度保持冻结")
    shoot(page, "boards-alert-form")
    dialog.get_by_role("button", name="处理完毕").click()
    expect(page.get_by_text("预警已处理")).to_be_visible()
    expect(page.get_by_text("没有待处理的预警")).to_be_visible()
    follow(page.get_by_role("link", name="已处理"))
    expect(page.get_by_text("本周还款")).to_be_visible()


def test_a_large_application_takes_two_people(page: Page, address: str) -> None:
    log_in_by_browser(page, address, "lijing")
    follow(page.get_by_role("link", name="进件审核"))
    shoot(page, "boards-queue")
    follow(page.get_by_role("row", name="折叠屏手机").get_by_role("link", name="审核"))
    shoot(page, "boards-review")
    page.get_by_label("通过 理由").select_option("已电话核实本人与用途")
    page.get_by_role("button", name="提交复核").click()
    expect(page.get_by_text("须由另一位同事复核后生效")).to_be_visible()
    log_in_by_browser(page, address, "wangmin")
    follow(page.get_by_role("link", name="去审批"))
    follow(page.get_by_role("link", name="审批", exact=True))
    expect(page.get_by_text("¥8,999.00")).to_be_visible()
    shoot(page, "boards-approval")
    page.get_by_role("button", name="批准并执行").click()
    expect(page.get_by_text("已批准并执行")).to_be_visible()
    page.goto(f"{address}/admin/applications")
    decided = page.get_by_role("row", name="¥8,999.00")
    expect(decided).to_contain_text("已通过")
    expect(decided).to_contain_text("lijing")
    shoot(page, "boards-decided")
