"""The trial balance on the staff pages, down to the entries, and closing a month by two people."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from workplace import House, Seat

from kernel.runtime import Runtime
from servicing import operations
from servicing.jobs import prove_books

AT = "/admin/trial-balance"


@pytest.fixture
def finance(workplace: House) -> Seat:
    return workplace.seat("lijing", "finance")


@pytest.fixture
def proven(runtime: Runtime, someone: Any) -> None:
    """Close all loans to the end of February and prove the books."""
    assert someone
    with runtime.database.write() as session:
        operations.age_loans(session, on=date(2026, 2, 28), now=runtime.clock.now())
    prove_books(runtime)


def table(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))


def fen(text: str) -> int:
    return int(text.replace(".", ""))


@pytest.mark.usefixtures("proven")
class TestTrialBalance:
    def test_balances_and_shows_the_proof(self, finance: Seat) -> None:
        page = finance.get(f"{AT}?month=2026-02").text
        assert "借贷平衡" in page
        assert "核对一致" in page
        assert "未关账" in page
        assert page.count("不一致") == 0

    def test_is_sent_as_a_file_that_balances(self, finance: Seat) -> None:
        rows = table(finance.get(f"{AT}.csv?month=2026-02"))[1:]
        for debit, credit in ((2, 3), (4, 5), (6, 7)):
            assert sum(fen(row[debit]) for row in rows) == sum(fen(row[credit]) for row in rows)
        (principal,) = (row for row in rows if row[0] == "loan-principal")
        assert principal[2:] == ["3000.00", "0.00", "3000.00", "0.00", "6000.00", "0.00"]

    def test_leads_down_to_the_entries(self, finance: Seat, someone: Any) -> None:
        path = f"{AT}/accounts/loan-principal"
        page = finance.get(f"{path}?month=2026-01").text
        assert someone.late_loan_no in page
        assert "放款" in page
        (row,) = table(finance.get(f"{path}.csv?month=2026-01"))[1:]
        assert (row[6], row[7], row[8]) == (str(someone.late_loan_id), "3000.00", "0.00")
        assert finance.get(f"{AT}/accounts/no-such").status_code == 404

    def test_a_month_that_is_none_is_refused(self, finance: Seat) -> None:
        assert finance.get(f"{AT}?month=2026-13").status_code == 422

    def test_a_month_is_closed_by_two_people(self, finance: Seat, workplace: House) -> None:
        path = f"{AT}/close/2026-02"
        assert "申请关账" in finance.get(f"{AT}?month=2026-02").text
        assert finance.fill(path, path, reason="二月账务已核对").status_code == 204
        assert "关账申请待审批" in finance.get(f"{AT}?month=2026-02").text
        form = {"decision": "approve", "note": "同意"}
        assert finance.post("/admin/approvals/1/decide", **form).status_code == 403
        second = workplace.seat("wangwei", "risk_manager")
        assert second.post("/admin/approvals/1/decide", **form).status_code == 302
        page = finance.get(f"{AT}?month=2026-02").text
        assert "已关账" in page
        assert "申请关账" not in page
        (entry,) = workplace.acts(action="servicing.period.closed")
        assert entry.subject == "period:2026-02"

    def test_what_comes_late_says_which_month_it_adjusts(
        self, finance: Seat, runtime: Runtime, someone: Any, book: Any
    ) -> None:
        with runtime.database.write() as session:
            operations.close_period(
                session, month="2026-02", closed_by="wangwei", now=runtime.clock.now()
            )
            book.repay(session, someone.late_loan_id, 10_000, key="late", on=date(2026, 2, 28))
        page = finance.get(f"{AT}/accounts/wechat-pay-clearing?month=2026-03").text
        assert "调整 2026-02" in page
        (row,) = table(finance.get(f"{AT}/accounts/wechat-pay-clearing.csv?month=2026-03"))[1:]
        assert row[1:4] == ["2026-03-10", "2026-02-28", "2026-02"]

    def test_a_month_that_is_not_over_is_refused_in_the_dialog(self, finance: Seat) -> None:
        path = f"{AT}/close/2026-03"
        answer = finance.fill(path, path, reason="提前关账")
        assert answer.status_code == 409
        assert "当月尚未结束" in answer.text

    def test_auditors_look_and_collectors_do_not(self, workplace: House) -> None:
        auditor = workplace.seat("shen", "auditor")
        assert auditor.get(AT).status_code == 200
        assert auditor.get(f"{AT}/close/2026-02").status_code == 403
        assert workplace.seat("zhao", "collector").get(AT).status_code == 403
