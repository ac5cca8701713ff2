"""Reconciliation differences on the staff pages: proposed by one person, done by another."""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pay_stand import Stand, stand_in
from playwright.sync_api import expect
from workplace import House, Seat, log_in_by_browser, served

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.payments import difference_queries, jobs
from servicing.payments.operations import open_payment_order
from servicing.payments.reconciling import reconcile

AT = "/admin/differences"


@pytest.fixture
def stand(runtime: Runtime, clock: FixedClock, tmp_path: Path) -> Iterator[Stand]:
    with stand_in(runtime, clock, tmp_path) as started:
        yield started


@pytest.fixture
def stranger(stand: Stand, someone: Any, clock: FixedClock) -> None:
    """Difference 1: 88.88 yuan of a stranger, on the bill of the day before."""
    number = open_payment_order(
        stand.runtime,
        key="press-1",
        customer_id=someone.id,
        loan_id=someone.late_loan_id,
        openid="oPayer",
    ).out_trade_no
    stand.pay(number)
    stand.settle()
    stand.knob("pay.bill", "extra_row")
    clock.advance(timedelta(days=1, minutes=1))
    assert reconcile(stand.runtime) == 1


@pytest.fixture
def finance(workplace: House) -> Seat:
    return workplace.seat("lijing", "finance")


def decide(seat: Seat, approval_id: int = 1) -> Any:
    path = f"/admin/approvals/{approval_id}"
    return seat.post(f"{path}/decide", decision="approve", note="已核对")


def propose(seat: Seat, what: str, *, number: int = 1, **form: str) -> Any:
    """Look at what it would do, then ask for just that."""
    path, form = f"{AT}/{number}/{what}", {"reason": "付款人来电确认"} | form
    shown = seat.fill(path, path, **form)
    seen = re.search(r'name="seen" value="(\w+)"', shown.text)
    return seat.fill(path, path, **form, seen=seen[1]) if seen else shown


@pytest.mark.usefixtures("stranger")
class TestDifferences:
    def test_are_listed_with_their_age_and_the_account_agrees(
        self, finance: Seat, workplace: House, clock: FixedClock
    ) -> None:
        page = finance.get(AT).text
        assert "微信有、我方无" in page
        assert "¥88.88" in page
        assert "不一致" not in page
        clock.advance(timedelta(days=1))
        later = workplace.log_in("lijing")
        assert "1 天 0 小时" in later.get(AT).text

    def test_are_shown_side_by_side(self, finance: Seat) -> None:
        page = finance.get(f"{AT}/1").text
        assert "账本中没有这一笔" in page
        assert "原路退回" in page
        assert finance.get(f"{AT}/9").status_code == 404

    def test_are_taken_up_with_a_note(self, finance: Seat, workplace: House) -> None:
        path = f"{AT}/1/take-up"
        assert finance.fill(path, path, note="联系付款人").status_code == 204
        page = finance.get(f"{AT}/1").text
        assert "联系付款人" in page
        assert "lijing" in page
        (entry,) = workplace.acts(action="servicing.difference.taken_up")
        assert entry.subject == "difference:1"

    def test_are_accepted_with_a_reason_so_that_a_month_may_close(
        self, finance: Seat, workplace: House
    ) -> None:
        assert "未处理完不能关账" in finance.get(f"{AT}/1").text
        path = f"{AT}/1/accept"
        assert finance.fill(path, path, reason="等银行回单").status_code == 204
        assert "lijing 已允许：等银行回单" in finance.get(f"{AT}/1").text
        (entry,) = workplace.acts(action="servicing.difference.accepted")
        assert entry.details == {"why": "等银行回单"}

    def test_a_second_person_lets_a_loan_take_the_money(
        self, finance: Seat, workplace: House, someone: Any, read: Any
    ) -> None:
        asked = propose(finance, "to-loan", loan_no=someone.late_loan_no, amount="80.00")
        assert asked.status_code == 204, asked.text
        assert "已有处理申请待审批" in finance.get(f"{AT}/1").text
        assert decide(finance).status_code == 403
        assert decide(workplace.seat("wangwei", "risk_manager")).status_code == 302
        row = read(difference_queries.difference_of, difference_id=1)
        assert (row.state, row.open_fen, row.loan_id) == ("open", 888, someone.late_loan_id)
        (entry,) = workplace.acts(action="servicing.difference.to_loan")
        assert json.loads(json.dumps(entry.details))["fen"] == 8_000

    def test_nothing_is_asked_for_before_it_was_seen(
        self, finance: Seat, workplace: House, someone: Any, read: Any
    ) -> None:
        path = f"{AT}/1/to-loan"
        form = {"reason": "付款人来电", "loan_no": someone.late_loan_no, "amount": "80.00"}
        shown = finance.fill(path, path, **form)
        assert (shown.status_code, "办理后的结果" in shown.text) == (200, True)
        assert all(said in shown.text for said in ("88.88", "8.88", "剩余应还（元）"))
        assert "已有处理申请待审批" not in finance.get(f"{AT}/1").text
        seen = re.search(r'name="seen" value="(\w+)"', shown.text)
        assert seen is not None
        other = finance.fill(path, path, **form | {"amount": "70.00"}, seen=seen[1])
        assert (other.status_code, "办理后的结果" in other.text) == (200, True)
        known = {"customer_id": someone.id, "on": date(2026, 3, 11)}
        before = read(queries.loan_of, loan_id=someone.late_loan_id, **known)
        assert finance.fill(path, path, **form, seen=seen[1]).status_code == 204
        assert decide(workplace.seat("wangwei", "risk_manager")).status_code == 302
        after = read(queries.loan_of, loan_id=someone.late_loan_id, **known)
        left = f"{after.remaining_fen // 100:,}.{after.remaining_fen % 100:02d}"
        assert before.remaining_fen - after.remaining_fen == 8_000
        assert f"<ins>{left}</ins>" in shown.text

    def test_more_than_the_loan_owes_is_refused_when_it_is_looked_at(
        self, finance: Seat, someone: Any, runtime: Runtime
    ) -> None:
        on, loan_id = date(2026, 3, 11), someone.late_loan_id
        with runtime.database.write() as session:
            owed = queries.loan_of(session, loan_id=loan_id, customer_id=someone.id, on=on)
            operations.post_repayment(
                session,
                loan_id=loan_id,
                amount_fen=owed.remaining_fen - 7_999,
                value_date=on,
                key="nearly-all",
                now=runtime.clock.now(),
            )
        refused = propose(finance, "to-loan", loan_no=someone.late_loan_no, amount="80.00")
        assert refused.status_code == 409
        assert "办理后的结果" not in refused.text

    def test_money_goes_back_to_its_source(
        self, finance: Seat, workplace: House, stand: Stand, clock: FixedClock, read: Any
    ) -> None:
        assert propose(finance, "refund").status_code == 204
        assert decide(workplace.seat("wangwei", "risk_manager")).status_code == 302
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        assert read(difference_queries.difference_of, difference_id=1).resolution == "refunded"
        page = finance.get(f"{AT}?state=resolved").text
        assert "原路退回" in page

    def test_is_written_down(self, finance: Seat, workplace: House, read: Any) -> None:
        assert propose(finance, "write-down").status_code == 204
        assert decide(workplace.seat("wangwei", "finance")).status_code == 302
        row = read(difference_queries.difference_of, difference_id=1)
        assert (row.state, row.resolution) == ("resolved", "written-down")

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ({"loan_no": "FQ0", "amount": "1"}, "没有找到"),
            ({"loan_no": "", "amount": "1"}, "请填写必填项"),
            ({"amount": "88.89"}, "金额已变化"),
            ({"amount": "0"}, "金额已变化"),
            ({"amount": "x"}, "金额格式不正确"),
        ],
    )
    def test_what_does_not_fit_is_said_in_the_dialog(
        self, form: dict[str, str], said: str, finance: Seat, someone: Any
    ) -> None:
        answer = propose(finance, "to-loan", **{"loan_no": someone.late_loan_no} | form)
        assert said in answer.text

    def test_a_payment_given_back_in_the_console_is_taken_off_its_loan(
        self,
        finance: Seat,
        workplace: House,
        stand: Stand,
        clock: FixedClock,
        someone: Any,
        read: Any,
    ) -> None:
        with stand.world.lock:
            (ours, *_) = stand.world.merchant.orders.values()
        stand.refund(ours.number, ours.total_fen)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        clock.advance(timedelta(days=1, minutes=1))
        assert reconcile(stand.runtime) == 1
        seat = workplace.seat("sunli", "finance")
        assert "冲回还款，欠款恢复" in seat.get(f"{AT}/2").text
        assert propose(seat, "take-back", number=2).status_code == 204
        assert decide(workplace.seat("wangwei", "risk_manager")).status_code == 302
        row = read(difference_queries.difference_of, difference_id=2)
        assert (row.state, row.resolution, row.loan_id) == (
            "resolved", "taken-back", someone.late_loan_id,
        )  # fmt: skip

    def test_what_is_not_for_its_kind_is_refused(self, finance: Seat) -> None:
        assert propose(finance, "take-back").status_code == 409

    def test_one_proposal_waits_at_a_time(self, finance: Seat) -> None:
        assert propose(finance, "write-down").status_code == 204
        assert propose(finance, "refund").status_code == 409

    def test_who_may_not_sees_nothing(self, workplace: House) -> None:
        assert workplace.seat("zhao", "collector").get(AT).status_code == 403
        auditor = workplace.seat("shen", "auditor")
        assert "转差错损益" not in auditor.get(f"{AT}/1").text.replace("转差错损益。", "")
        assert auditor.get(f"{AT}/1/refund").status_code == 403

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_works_in_a_browser(self, workplace: House, someone: Any, desk_page: Any) -> None:
        workplace.hire("lijing", "finance")
        with served(workplace.app) as address:
            log_in_by_browser(desk_page, address, "lijing")
            desk_page.goto(f"{address}{AT}")
            desk_page.get_by_role("link", name="#1").click()
            desk_page.get_by_role("button", name="入账到分期").click()
            desk_page.get_by_label("分期编号").fill(someone.late_loan_no)
            desk_page.get_by_label("申请理由").fill("付款人来电确认")
            desk_page.get_by_role("button", name="查看结果").click()
            expect(desk_page.locator("#ahead")).to_be_visible()
            desk_page.get_by_role("button", name="提交申请").click()
            desk_page.get_by_text("已提交，待另一位同事审批").wait_for()
            expect(desk_page.get_by_text("已有处理申请待审批")).to_be_visible()
            expect(desk_page.get_by_role("button", name="原路退回")).to_have_count(0)

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_a_part_given_back_in_the_console_is_booked_in_a_browser(
        self, workplace: House, stand: Stand, clock: FixedClock, desk_page: Any
    ) -> None:
        with stand.world.lock:
            (ours, *_) = stand.world.merchant.orders.values()
        stand.refund(ours.number, 5_000)
        clock.advance(timedelta(days=1))
        assert reconcile(stand.runtime) == 1
        workplace.hire("lijing", "finance")
        with served(workplace.app) as address:
            log_in_by_browser(desk_page, address, "lijing")
            desk_page.goto(f"{address}{AT}/2")
            expect(desk_page.get_by_text("冲回部分还款，相应欠款恢复 ¥50.00")).to_be_visible()
            desk_page.get_by_role("button", name="允许关账").click()
            desk_page.get_by_label("原因").fill("等客户确认")
            desk_page.get_by_role("button", name="确认").click()
            expect(desk_page.get_by_text("lijing 已允许：等客户确认")).to_be_visible()
            desk_page.get_by_role("button", name="按建议入账").click()
            desk_page.get_by_label("申请理由").fill("门店误退")
            desk_page.get_by_role("button", name="查看结果").click()
            expect(desk_page.locator("#ahead")).to_be_visible()
            desk_page.get_by_role("button", name="提交申请").click()
            expect(desk_page.get_by_text("已有处理申请待审批")).to_be_visible()
