"""代收应付: a payee's month by loan, and the payout from the proposal to the bank and back."""

import csv
import io
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import expect
from workplace import House, log_in_by_browser, served

from servicing import queries
from servicing.engine.terms import FeeRule
from servicing.operations import prove_books
from servicing.products import STANDARD
from servicing.queries.payees import Payee, payable_fen, payouts_of

ON = date(2026, 3, 10)
AT = "/admin/payees"
WHOSE = {"creditor": "own", "name": "安心保险"}
INSURER = Payee(**WHOSE)
APPROVE = {"decision": "approve", "note": "已核对"}


@pytest.fixture
def loan_no(workplace: House, book: Any) -> str:
    """A loan of which two yuan were collected for an insurer."""
    rule = FeeRule(name="保险费", amount_fen=200, payee="安心保险")
    with workplace.runtime.database.write() as session:
        product = replace(STANDARD, fees=(rule,))
        loan_id = book.loan(session, product=product, disbursed_on=date(2026, 2, 20), terms=6)
        plan = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON)
        book.repay(session, loan_id, plan.plan[0].total_fen, key="p1", on=ON)
    return str(plan.loan_no)


def propose(seat: Any) -> Any:
    query = "?creditor=own&name=安心保险&month=2026-03"
    return seat.fill(f"{AT}/payout{query}", f"{AT}/payout{query}", reason="三月结算")


def step(seat: Any, number: str, what: str, **form: str) -> Any:
    path = f"{AT}/payouts/{number}/{what}"
    return seat.fill(path, path, **form)


@pytest.fixture
def number(loan_no: str, workplace: House, read: Any) -> str:
    """A payout that lijing proposed and sunli approved."""
    assert loan_no
    assert propose(workplace.seat("lijing", "finance")).status_code == 204
    assert workplace.seat("sunli", "finance").post(
        "/admin/approvals/1/decide", **APPROVE
    ).status_code == 302  # fmt: skip
    (payout,) = read(payouts_of, payee=INSURER)
    return str(payout.number)


class TestStatement:
    def test_lists_what_each_loan_brought(self, loan_no: str, workplace: House) -> None:
        desk = workplace.seat("shen", "auditor")
        page = desk.get(AT).text
        assert "安心保险" in page
        assert "2.00" in page
        page = desk.get(f"{AT}/payee", query_string=WHOSE | {"month": "2026-03"}).text
        assert loan_no in page
        assert "申请付款" not in page
        before = desk.get(f"{AT}/payee", query_string=WHOSE | {"month": "2026-02"}).text
        assert loan_no not in before

    def test_is_a_file_too(self, loan_no: str, workplace: House) -> None:
        desk = workplace.seat("shen", "auditor")
        found = desk.get(f"{AT}/payee.csv", query_string=WHOSE | {"month": "2026-03"})
        rows = list(csv.reader(io.StringIO(found.text.removeprefix("\ufeff"))))
        assert rows[1:] == [
            ["期初应付", "", "", "", "", "0.00"],
            [loan_no, "2.00", "0.00", "0.00", "0.00", "2.00"],
            ["本期合计", "2.00", "0.00", "0.00", "0.00", "2.00"],
            ["期末应付", "", "", "", "", "2.00"],
        ]

    def test_is_not_for_everybody(self, loan_no: str, workplace: House) -> None:
        assert loan_no
        assert workplace.seat("zhao", "collector").get(AT).status_code == 403
        auditor = workplace.seat("shen", "auditor")
        assert auditor.get(f"{AT}/payout", query_string=WHOSE).status_code == 403


class TestPayout:
    def test_takes_two_people_and_the_bank(self, loan_no: str, workplace: House, read: Any) -> None:
        assert loan_no
        desk = workplace.seat("lijing", "finance")
        assert propose(desk).status_code == 204
        assert propose(desk).status_code == 409
        assert desk.post("/admin/approvals/1/decide", **APPROVE).status_code == 403
        second = workplace.seat("sunli", "risk_manager")
        page = second.get("/admin/approvals/1").text
        for words in ("安心保险", "2026-03-10", "2.00", "三月结算"):
            assert words in page
        assert second.post("/admin/approvals/1/decide", **APPROVE).status_code == 302
        (payout,) = read(payouts_of, payee=INSURER)
        assert (payout.state, payout.asked_by) == ("approved", "lijing")
        assert second.get(f"{AT}/payouts/{payout.number}/pay").status_code == 403
        sent = {"reference": "ICBC-9", "on": "2026-03-10"}
        assert step(desk, payout.number, "pay", **sent | {"on": "2026-03-11"}).status_code == 422
        assert step(desk, payout.number, "pay", **sent).status_code == 204
        assert step(desk, payout.number, "pay", **sent).status_code == 409
        (payout,) = read(payouts_of, payee=INSURER)
        assert (payout.state, payout.bank_ref) == ("paid", "ICBC-9")
        (done,) = workplace.acts(action="servicing.payee.payout_paid")
        assert (done.details["payout"], done.details["fen"]) == (payout.number, 200)
        assert read(prove_books) == []

    def test_that_came_back_can_be_paid_again(
        self, number: str, workplace: House, read: Any
    ) -> None:
        desk = workplace.seat("wu", "finance")
        assert step(desk, number, "back", why="户名不符", on="2026-03-10").status_code == 409
        step(desk, number, "pay", reference="ICBC-9", on="2026-03-10")
        assert step(desk, number, "back", why="户名不符", on="2026-03-10").status_code == 204
        page = desk.get(f"{AT}/payee", query_string=WHOSE).text
        for words in ("已退回", "户名不符", "申请付款"):
            assert words in page
        assert read(payable_fen, payee=INSURER, until_on=ON) == 200
        assert read(prove_books) == []

    def test_is_called_off_by_hand_or_by_undoing_the_approval(
        self, number: str, workplace: House, read: Any
    ) -> None:
        desk = workplace.seat("wu", "finance")
        assert step(desk, number, "cancel", why="合同未签").status_code == 204
        assert propose(desk).status_code == 204
        second = workplace.log_in("sunli")
        assert second.last.status_code == 302
        other = workplace.seat("qian", "risk_manager")
        assert other.post("/admin/approvals/2/decide", **APPROVE).status_code == 302
        undone = other.post("/admin/approvals/2/undo", reason="金额待核")
        assert undone.status_code == 302
        states = [one.state for one in read(payouts_of, payee=INSURER)]
        assert states == ["cancelled", "cancelled"]

    def test_of_a_number_that_is_unknown_is_not_found(self, workplace: House) -> None:
        desk = workplace.seat("wu", "finance")
        assert desk.get(f"{AT}/payouts/PO1/pay").status_code == 404


@pytest.mark.browser
def test_finance_proposes_a_payout_in_place(workplace: House, loan_no: str, desk_page: Any) -> None:
    workplace.hire("lijing", "finance")
    with served(workplace.app) as base:
        log_in_by_browser(desk_page, base, "lijing")
        desk_page.goto(f"{base}{AT}")
        desk_page.get_by_role("link", name="安心保险").click()
        expect(desk_page.get_by_role("link", name=loan_no)).to_be_visible()
        desk_page.get_by_role("button", name="申请付款").click()
        desk_page.get_by_label("理由").fill("三月结算")
        desk_page.get_by_role("button", name="提交申请").click()
        desk_page.get_by_text("付款申请待审批").wait_for()
