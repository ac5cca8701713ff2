"""What a loan owes its borrower, on the customer page: given back alone or by two, or by bank."""

import re
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
from servicing import operations
from servicing.payments import jobs
from servicing.payments.operations import open_payment_order
from servicing.payments.queries import refunds_of

WHY = {"why": "退货退款"}


@pytest.fixture
def stand(runtime: Runtime, clock: FixedClock, tmp_path: Path) -> Iterator[Stand]:
    with stand_in(runtime, clock, tmp_path) as started:
        yield started


@pytest.fixture
def credit_fen(stand: Stand, someone: Any) -> int:
    """Let the late loan be paid up by WeChat and its goods go back; returns what is then owed."""
    order = open_payment_order(
        stand.runtime, key="press-1", customer_id=someone.id, loan_id=someone.late_loan_id,
        openid="oPayer",
    )  # fmt: skip
    stand.pay(order.out_trade_no)
    stand.settle()
    with stand.runtime.database.write() as session:
        operations.cancel_purchase(
            session, loan_id=someone.late_loan_id, amount_fen=300_000, bears_cost=False,
            on=date(2026, 3, 10), key="goods-back", actor="lijing",
            now=stand.runtime.clock.now(),
        )  # fmt: skip
    return order.amount_fen


def refund(desk: Any, someone: Any, amount: str) -> Any:
    """Look where the money would go, then send what was shown."""
    path = someone.at(f"/loans/{someone.late_loan_id}/refund")
    seen = re.search(r'name="seen" value="(\w+)"', look(desk, someone, amount))
    return desk.fill(path, path, amount=amount, **WHY, seen=seen[1] if seen else "")


def look(desk: Any, someone: Any, amount: str) -> str:
    path = someone.at(f"/loans/{someone.late_loan_id}/refund")
    return str(desk.fill(path, path, amount=amount, **WHY).text)


def approve(seat: Any, approval_id: int = 1) -> Any:
    path = f"/admin/approvals/{approval_id}"
    return seat.post(f"{path}/decide", decision="approve", note="已核对")


class TestGiveBack:
    def test_finance_gives_a_part_back_alone(
        self, credit_fen: int, workplace: House, someone: Any, stand: Stand, clock: FixedClock,
        read: Any,
    ) -> None:  # fmt: skip
        desk = workplace.seat("lijing", "finance")
        assert "应退客户" in desk.get(someone.at(f"/loans/{someone.late_loan_id}/plan")).text
        page = look(desk, someone, "300.00")
        assert "原路退回微信支付（1 笔付款，元）" in page
        assert "在您的权限内" in page
        assert refund(desk, someone, "300.00").status_code == 204
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        (row,) = read(refunds_of, customer_id=someone.id)
        assert (row.state, row.amount_fen, row.asked_by) == ("succeeded", 30_000, "lijing")
        (done,) = workplace.acts(action="servicing.loan.refunded")
        assert done.details["refunds"] == [row.out_refund_no]
        assert credit_fen > 30_000

    def test_what_is_given_in_pieces_counts_together(
        self, credit_fen: int, workplace: House, someone: Any
    ) -> None:
        assert credit_fen
        desk = workplace.seat("wangwei", "risk_manager")
        assert "须由另一位同事" in look(desk, someone, "1.00")
        desk = workplace.seat("lijing", "finance")
        assert refund(desk, someone, "300.00").status_code == 204
        page = look(desk, someone, "200.00")
        assert "在您的权限内" in page

    def test_a_second_person_lets_a_clerk_give_it_back(
        self, credit_fen: int, workplace: House, someone: Any, read: Any
    ) -> None:
        amount = f"{credit_fen // 100}.{credit_fen % 100:02}"
        assert refund(workplace.seat("zhao", "clerk"), someone, amount).status_code == 204
        assert read(refunds_of, customer_id=someone.id) == ()
        lijing = workplace.seat("lijing", "finance")
        assert "原路退回微信支付" in lijing.get("/admin/approvals/1").text
        assert approve(lijing).status_code == 302
        (row,) = read(refunds_of, customer_id=someone.id)
        assert (row.amount_fen, row.asked_by) == (credit_fen, "zhao")

    def test_no_more_than_is_owed(self, credit_fen: int, workplace: House, someone: Any) -> None:
        desk = workplace.seat("lijing", "finance")
        assert "可退金额不足" in look(desk, someone, str(credit_fen))

    def test_an_auditor_looks_and_does_nothing(
        self, credit_fen: int, workplace: House, someone: Any
    ) -> None:
        assert credit_fen
        auditor = workplace.seat("shen", "auditor")
        at = someone.at(f"/loans/{someone.late_loan_id}")
        assert "应退客户" in auditor.get(f"{at}/plan").text
        assert auditor.get(f"{at}/refund").status_code == 403


class TestTransfer:
    @pytest.fixture
    def number(
        self, credit_fen: int, workplace: House, someone: Any, clock: FixedClock, read: Any
    ) -> str:
        """A refund that no payment can take any more."""
        assert credit_fen
        clock.advance(timedelta(days=365))
        desk = workplace.seat("lijing", "finance")
        assert "需人工转账（原付款已超过一年，元）" in look(desk, someone, "100.00")
        assert refund(desk, someone, "100.00").status_code == 204
        (row,) = read(refunds_of, customer_id=someone.id)
        return str(row.out_refund_no)

    def test_takes_two_people(self, number: str, workplace: House, someone: Any, read: Any) -> None:
        desk, path = workplace.log_in("lijing"), someone.at(f"/refunds/{number}/transfer")
        assert "登记转账" in desk.get(someone.at("?tab=payments")).text
        seat = workplace.seat("sunli", "finance")
        form = {"reference": "ICBC-20270310-7", **WHY}
        shown = seat.fill(path, path, **form)
        assert "<del>100.00</del>" in shown.text
        seen = re.search(r'name="seen" value="(\w+)"', shown.text)
        assert seen is not None
        assert seat.fill(path, path, **form, seen=seen[1]).status_code == 204
        assert seat.fill(path, path, **form, seen=seen[1]).status_code == 409
        assert approve(seat).status_code == 403
        assert approve(workplace.seat("wangwei", "risk_manager")).status_code == 302
        (row,) = read(refunds_of, customer_id=someone.id)
        assert (row.state, row.transfer_ref) == ("transferred", "ICBC-20270310-7")
        assert seat.get(path).status_code == 409
        assert "ICBC-20270310-7" in seat.get(someone.at("?tab=payments")).text

    def test_who_does_not_keep_the_bank_does_not_register_it(
        self, number: str, workplace: House, someone: Any
    ) -> None:
        path = someone.at(f"/refunds/{number}/transfer")
        assert workplace.seat("zhao", "clerk").get(path).status_code == 403


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_works_in_a_browser(
    credit_fen: int, workplace: House, someone: Any, desk_page: Any
) -> None:
    assert credit_fen
    workplace.hire("lijing", "finance")
    with served(workplace.app) as address:
        log_in_by_browser(desk_page, address, "lijing")
        desk_page.goto(f"{address}{someone.at()}")
        desk_page.get_by_text("华为手机").first.click()
        desk_page.get_by_role("button", name="退还").click()
        desk_page.get_by_label("金额（元）").fill("300.00")
        desk_page.get_by_label("理由").fill("退货退款")
        desk_page.get_by_role("button", name="查看结果").click()
        expect(desk_page.get_by_text("原路退回微信支付")).to_be_visible()
        desk_page.get_by_role("button", name="确认办理").click()
        desk_page.get_by_text("已发起退款").wait_for()
        expect(desk_page.get_by_text("待退款").first).to_be_visible()
