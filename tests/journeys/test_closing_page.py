"""Closing days and classing a loan in a real browser; DESK_SHOTS=folder keeps pictures."""

import os
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from browsing import follow
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session
from workplace import House, log_in_by_browser, served

from servicing import operations
from servicing.demo.book import seed_demo
from servicing.operations.closing import claim_partition, open_day
from servicing.tables import Instalment, Loan

SHOTS = os.environ.get("DESK_SHOTS", "")
TODAY = date(2026, 3, 10)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


@pytest.fixture
def house(workplace: House) -> House:
    """A demo book: one day is closed, the next had a failure, today's is running."""
    runtime, now = workplace.runtime, workplace.clock.now()
    workplace.hire("wangmin", "finance", "risk_manager", name="王敏")
    workplace.hire("chenjie", "risk_manager", name="陈杰")
    yesterday = TODAY - timedelta(days=1)
    with runtime.database.write() as session:
        seed_demo(session, runtime.cipher, customers=200, seed=1, now=now - timedelta(days=3))
    operations.close_day(runtime, on=yesterday - timedelta(days=1))
    with runtime.database.write() as session:
        _poison(session, workplace, yesterday)
    operations.close_day(runtime, on=yesterday, partition=20)
    with runtime.database.write() as session:
        open_day(session, on=TODAY, partition=20, now=now)
        claim_partition(session, on=TODAY, now=now)
    return workplace


def _poison(session: Session, house: House, on: date) -> None:
    """Let what a loan will earn that day stand in the ledger already."""
    due = select(Instalment).where(Instalment.due_on == on, Instalment.settled_on.is_(None))
    row = session.scalars(due.order_by(Instalment.loan_id)).first()
    assert row is not None
    operations.post_entry(
        session,
        loan_id=None,
        kind="interest",
        key=f"{row.loan_id}/{on}/{row.n}",
        effective_on=on,
        postings={},
        now=house.clock.now(),
    )


@pytest.fixture
def page(desk_page: Page, house: House) -> Iterator[Page]:
    faults: list[str] = []
    desk_page.on("pageerror", lambda error: faults.append(str(error)))
    desk_page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    with served(house.app) as base:
        log_in_by_browser(desk_page, base, "wangmin")
        yield desk_page
    assert faults == []


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(900)  # until nothing moves any more
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_a_failed_loan_is_seen_and_tried_again(page: Page) -> None:
    page.get_by_role("link", name="日终批处理").click()
    expect(page.get_by_text("有失败")).to_be_visible()
    expect(page.get_by_text("进行中")).to_be_visible()
    shoot(page, "days")
    page.get_by_role("button", name="重试").click()
    expect(page.get_by_text("已重试，仍未成功")).to_be_visible()
    expect(page.get_by_text("第 2 次")).to_be_visible()
    shoot(page, "days-retried")


def test_two_people_class_a_loan_worse_than_its_days(page: Page, house: House) -> None:
    with house.runtime.database.read() as session:
        loan = session.scalars(select(Loan).where(Loan.days_past_due > 40)).first()
        assert loan is not None
    base = page.url.partition("/admin")[0]
    page.goto(f"{base}/admin/customers/{loan.customer_id}")
    page.locator("details.desk-fold", has_text=loan.loan_no).locator("summary").first.click()
    expect(page.get_by_text("ECL 阶段").first).to_be_visible()
    shoot(page, "class-plan")
    page.get_by_role("button", name="下调分类").click()
    page.get_by_label("至少分为").select_option("doubtful")
    page.get_by_label("到哪天为止").fill("2026-04-01")
    page.get_by_label("原因").fill("商户停业，还款来源不足")
    shoot(page, "class-form")
    page.locator(".modal-footer .btn-primary").click()
    expect(page.get_by_text("已提交申请，待另一位同事审批")).to_be_visible()
    log_in_by_browser(page, base, "chenjie")
    page.goto(f"{base}/admin/approvals")
    follow(page.get_by_role("link", name="审批", exact=True).last)
    expect(page.get_by_text("商户停业，还款来源不足").first).to_be_visible()
    shoot(page, "class-approval")
    follow(page.get_by_role("button", name="批准并执行"))
    page.goto(f"{base}/admin/customers/{loan.customer_id}")
    page.locator("details.desk-fold", has_text=loan.loan_no).locator("summary").first.click()
    expect(page.get_by_text("人工下调")).to_be_visible()
    shoot(page, "class-done")
