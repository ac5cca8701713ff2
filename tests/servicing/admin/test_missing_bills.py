"""The page of a month: days without a WeChat Pay bill, brought as a file or given up by two."""

import io
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pay_stand import Stand, stand_in
from playwright.sync_api import expect
from workplace import House, log_in_by_browser, served

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing.payments.bills import BillKind
from servicing.payments.difference_queries import missing_bills
from servicing.payments.month_end import days_not_matched
from servicing.payments.operations import open_payment_order
from servicing.payments.ports import PayProvider
from servicing.payments.reconciling import reconcile

ON = date(2026, 3, 10)
MARCH = {"first": date(2026, 3, 1), "last": ON}
PAGE = "/admin/trial-balance?month=2026-03"
BILLS = f"/admin/trial-balance/bills/{ON}"
APPROVE = {"decision": "approve", "note": "已核对"}


@pytest.fixture
def stand(runtime: Runtime, clock: FixedClock, tmp_path: Path, someone: Any) -> Iterator[Stand]:
    """Five days after a payment whose bill nobody has fetched."""
    with stand_in(runtime, clock, tmp_path) as started:
        order = open_payment_order(
            started.runtime, key="press-1", customer_id=someone.id, loan_id=someone.late_loan_id,
            openid="oPayer",
        )  # fmt: skip
        started.pay(order.out_trade_no)
        started.settle()
        clock.advance(timedelta(days=5))
        yield started


def send(seat: Any, stand: Stand, kind: BillKind, **given: Any) -> Any:
    text = given.get("text") or stand.runtime.get(PayProvider).bill(kind=kind, on=ON)
    file = (io.BytesIO(str(text).encode()), f"{kind}.csv")
    at = given.get("at", BILLS)
    return seat.fill(f"{at}/bring", f"{at}/bring", kind=kind.value, file=file)


class TestBringing:
    def test_is_checked_kept_and_matched(self, stand: Stand, workplace: House, read: Any) -> None:
        desk = workplace.seat("lijing", "finance")
        assert "上传账单" in desk.get(PAGE).text
        other = "/admin/trial-balance/bills/2026-03-11"
        assert send(desk, stand, BillKind.TRADES, at=other).status_code == 422
        assert send(desk, stand, BillKind.TRADES, text="no bill").status_code == 422
        assert desk.fill(f"{BILLS}/bring", f"{BILLS}/bring", kind="trades").status_code == 422
        for kind in BillKind:
            assert send(desk, stand, kind).status_code == 204
        assert send(desk, stand, BillKind.TRADES).status_code == 409
        reconcile(stand.runtime)
        assert read(days_not_matched, **MARCH) == []
        acts = workplace.acts(action="servicing.bill.brought")
        assert {act.details["kind"] for act in acts} == {"trades", "funds"}
        assert {act.details["file"] for act in acts} == {"trades.csv", "funds.csv"}

    def test_is_for_finance_alone(self, stand: Stand, workplace: House) -> None:
        desk = workplace.seat("shen", "auditor")
        assert "上传账单" not in desk.get(PAGE).text
        assert desk.get(f"{BILLS}/bring").status_code == 403
        assert workplace.seat("wu", "finance").get(
            "/admin/trial-balance/bills/soon/bring"
        ).status_code == 422  # fmt: skip
        assert stand


class TestGivingUp:
    def test_takes_two_and_shows_what_stays_open(
        self, stand: Stand, workplace: House, read: Any
    ) -> None:
        desk, path = workplace.seat("lijing", "finance"), f"{BILLS}/give-up"
        assert desk.fill(path, path, reason="平台已无法下载").status_code == 204
        assert "按缺失处理，待审批" in desk.get(PAGE).text
        assert desk.post("/admin/approvals/1/decide", **APPROVE).status_code == 403
        second = workplace.seat("sunli", "risk_manager")
        assert "暂收挂账，账单补到后自动转回" in second.get("/admin/approvals/1").text
        assert second.post("/admin/approvals/1/decide", **APPROVE).status_code == 302
        (row,) = read(missing_bills, **MARCH)
        assert (row.open_fen, row.accepted_by) == (-(row.here_fen or 0), "lijing")
        assert row.open_fen < 0
        assert read(days_not_matched, **MARCH) == []
        page = desk.get(PAGE).text
        for words in ("按缺失处理", "平台已无法下载"):
            assert words in page
        assert "账单缺失" in desk.get("/admin/differences").text
        assert desk.fill(path, path, reason="再来").status_code == 409
        (done,) = workplace.acts(action="servicing.bill.given_up")
        assert done.details["reason"] == "平台已无法下载"
        assert stand

    def test_waits_three_days(self, stand: Stand, workplace: House) -> None:
        desk, path = workplace.seat("lijing", "finance"), "/admin/trial-balance/bills/2026-03-13"
        path = f"{path}/give-up"
        assert desk.fill(path, path, reason="等不及").status_code == 409
        assert stand


@pytest.mark.browser
def test_an_accountant_uploads_a_bill_in_place(
    stand: Stand, workplace: House, desk_page: Any, tmp_path: Path
) -> None:
    text = stand.runtime.get(PayProvider).bill(kind=BillKind.TRADES, on=ON)
    file = tmp_path / "bill.csv"
    file.write_text(str(text), "utf-8")
    workplace.hire("lijing", "finance")
    with served(workplace.app) as base:
        log_in_by_browser(desk_page, base, "lijing")
        desk_page.goto(f"{base}{PAGE}")
        desk_page.locator("tr", has_text="2026-03-10").get_by_role(
            "button", name="上传账单"
        ).click()
        desk_page.get_by_label("账单文件（CSV）").set_input_files(file)
        desk_page.get_by_role("button", name="上传", exact=True).click()
        expect(desk_page.get_by_text("账单已保存")).to_be_visible()
