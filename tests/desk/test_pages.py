"""The workplace in a real browser; DESK_SHOTS=folder keeps pictures of it for looking at."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from browsing import follow, measured, opened
from flask import render_template_string
from markupsafe import Markup
from playwright.sync_api import Browser, Page, expect
from workplace import PASSWORD, served

from desk import operations
from desk.ports import Panel, Site, Tile

SHOTS = os.environ.get("DESK_SHOTS", "")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


def drawn(template: str, **given: Any) -> Markup:
    head = '{% import "desk/macros.html" as ui %}'
    return Markup(render_template_string(head + template, **given))  # noqa: S704 -- our own template


def stat(key: str, order: int, *given: str) -> Tile:
    template = "{{ ui.stat(given[0], given[1], given[2], icon_name=given[3], colour=given[4]) }}"
    return Tile(
        key=key,
        permission="demo.view",
        order=order,
        render=lambda: drawn(template, given=given),
    )


def picture() -> Markup:
    options = {
        "legend": {},
        "xAxis": {"type": "category", "data": ["M0", "M1", "M2", "M3", "M4", "M5", "M6+"]},
        "yAxis": {"type": "value"},
        "series": [
            {"type": "bar", "name": "笔数", "data": [120, 46, 21, 12, 8, 5, 9]},
            {"type": "line", "name": "上月笔数", "data": [131, 41, 24, 10, 9, 4, 7]},
        ],
    }
    template = (
        '<div class="card"><div class="card-header"><h3 class="card-title">逾期账龄分布</h3></div>'
        '<div class="card-body">{{ ui.chart("aging", options, height=260) }}</div></div>'
    )
    return drawn(template, options=json.dumps(options, ensure_ascii=False))


def head(customer_id: int) -> Markup:
    template = """<div class="card"><div class="card-body">{% call ui.facts() %}
      {{ ui.fact("姓名", "张三"|mask_name) }}
      {{ ui.fact("手机号", ui.masked("customer.phone", id, "13800001234"|mask_phone)) }}
      {{ ui.fact("证件号", "11010519491231002X"|mask_id) }}
      {{ ui.fact("剩余应还", ui.money(423150)) }}
      {{ ui.fact("状态", ui.badge("逾期 12 天", "red")) }}{% endcall %}</div></div>"""
    return drawn(template, id=customer_id)


@pytest.fixture
def site(site: Site) -> Site:
    """The demo site with tiles and panels that look like the trade."""
    for registry in (site.tiles, site.customer_panels):
        registry._items.clear()
    site.tiles.add(
        stat("loans", 1, "在贷笔数", "1,284", "今日放款 23 笔", "card", "primary"),
        stat("due", 2, "今日应还", "¥86,420.00", "已还 61%", "calendar", "azure"),
        stat("overdue", 3, "逾期金额", "¥312,908.50", "30 天以上 6.2%", "alert", "red"),
        stat("repaid", 4, "今日还款", "¥52,716.00", "48 笔", "cash", "green"),
        Tile(key="aging", permission="demo.view", order=5, render=picture, width=12),
    )
    site.customer_panels.add(
        Panel(key="head", title="", permission="demo.view", order=1, render=head),
    )
    return site


@pytest.fixture
def address(house: Any) -> Iterator[str]:
    """Where the house is served, with something to see in it."""
    for login, name, *roles in (
        ("wangmin", "王敏", "clerk", "risk_manager", "auditor", "admin"),
        ("lijing", "李静", "risk_analyst"),
        ("chenjie", "陈杰", "collector"),
    ):
        house.hire(login, *roles, name=name)
    with house.runtime.database.write() as session:
        for number, subject in enumerate(("line:1042", "line:1108", "line:1187")):
            operations.propose(
                session,
                house.site,
                action="demo.limit.raise",
                subject=subject,
                payload={"limit": f"{8000 + number * 500:,}.00"},
                proposed_by="lijing",
                now=house.clock.now() - timedelta(hours=number),
                expires_in=timedelta(days=2),
                reason="连续 12 期按时还款，客户申请提高额度",
            )
    with served(house.app) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    faults: list[str] = []
    with opened(browser, width=1440, height=900, base_url=address) as made:
        made.on("pageerror", lambda error: faults.append(str(error)))
        made.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        yield made
    assert faults == []


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(900)  # until nothing moves any more
        page.screenshot(path=f"{SHOTS}/{name}.png")


def log_in(page: Page) -> None:
    page.goto("/admin/")
    shoot(page, "login")
    page.get_by_label("登录名").fill("wangmin")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="您好，王敏")).to_be_visible()


def test_a_day_at_the_workplace(page: Page) -> None:
    log_in(page)
    expect(page.locator("#aging canvas")).to_be_visible()
    shoot(page, "dashboard")
    follow(page.get_by_role("link", name="去审批"))
    shoot(page, "approvals")
    follow(page.get_by_role("link", name="审批", exact=True).first)
    expect(page.get_by_text("连续 12 期按时还款").first).to_be_visible()
    shoot(page, "approval")
    page.get_by_role("button", name="批准并执行").click()
    expect(page.get_by_text("已批准并执行")).to_be_visible()
    follow(page.get_by_role("link", name="审计日志"))
    page.get_by_role("button", name="校验完整性").click()
    expect(page.get_by_text("审计链完整")).to_be_visible()
    shoot(page, "audit")
    follow(page.get_by_role("link", name="员工账号"))
    shoot(page, "staff")


def test_a_masked_field_is_seen_for_a_minute_with_a_reason(page: Page) -> None:
    log_in(page)
    page.clock.install()
    page.goto("/admin/customers/17")
    expect(page.get_by_text("138****1234")).to_be_visible()
    page.get_by_role("button", name="查看").click()
    dialog = page.locator("#desk-dialog")
    expect(dialog).to_be_visible()
    page.clock.run_for(1000)
    dialog.get_by_label("补充说明").fill("来电")
    dialog.get_by_label("查看理由").select_option("核对还款")
    shoot(page, "unmask")
    dialog.get_by_role("button", name="查看").click()
    expect(page.get_by_text("13800001234")).to_be_visible()
    page.clock.run_for(2000)
    expect(dialog).to_be_hidden()
    shoot(page, "unmasked")
    page.clock.run_for(61_000)
    expect(page.get_by_text("13800001234")).to_have_count(0)
    expect(page.get_by_text("138****1234")).to_be_visible()
    page.get_by_role("button", name="查看").click()
    expect(dialog).to_be_visible()


def test_narrow_screens_keep_the_navigation_behind_a_button(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page)
    expect(page.get_by_role("link", name="审计日志")).to_be_hidden()
    page.get_by_role("button", name="菜单").click()
    expect(page.get_by_role("link", name="审计日志")).to_be_visible()
    shoot(page, "phone")
    assert measured(page, "document.documentElement.scrollWidth - window.innerWidth") <= 0
