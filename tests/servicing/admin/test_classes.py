"""The five classes: what staff see of them on every level, and how two people lower one."""

from datetime import date, timedelta
from typing import Any

import pytest
from workplace import House, Seat

from desk.operations import undo
from servicing import operations, queries
from wsgi import create_site

TODAY = date(2026, 3, 10)
FIELDS = {"at_least": "doubtful", "until": "2026-04-01", "reason": "商户跑路，还款来源不足"}


def at(someone: Any) -> str:
    return str(someone.at(f"/loans/{someone.late_loan_id}/class"))


def approves(second: Seat, number: int) -> None:
    decided = second.post(f"/admin/approvals/{number}/decide", decision="approve")
    assert decided.status_code == 302


def named(read: Any, someone: Any) -> tuple[str, int]:
    seen = read(queries.loan_lateness, loan_id=someone.late_loan_id, on=TODAY)
    return seen.five_class, seen.ecl_stage


class TestClasses:
    def test_stand_where_the_loan_does(self, workplace: House, someone: Any) -> None:
        desk = workplace.seat("collector")
        page = desk.get(someone.at()).text
        assert "关注" in page
        assert "逾期 10 天 · M1" in page
        plan = desk.get(someone.at(f"/loans/{someone.late_loan_id}/plan")).text
        assert "ECL 阶段 1" in plan
        assert "下调分类" not in plan
        assert "逾期与分类" in plan
        assert "关注" in desk.get("/admin/overdue").text
        sheet = workplace.seat("finance").post("/admin/overdue/export").text
        assert "五级分类,ECL 阶段,宽限期已过" in sheet
        assert "M1,关注,1,是" in sheet

    def test_are_shown_on_every_level_and_day_by_day(self, workplace: House, someone: Any) -> None:
        operations.close_day(workplace.runtime, on=date(2026, 4, 10))
        workplace.runtime.clock.advance(timedelta(days=31))
        page = workplace.seat("auditor").get(f"{at(someone)}es").text
        for words in (
            "2026-02-28 还款日起",
            "逾期天数",
            "名下最差 41 天",
            "2026-03-10 – 2026-03-30",
            "M2",
        ):
            assert words in page
        assert "下调分类" not in page
        assert "没有重组，也没有人工下调" in page

    def test_of_a_settled_loan_are_none(self, workplace: House, someone: Any, book: Any) -> None:
        asked = {"loan_id": someone.late_loan_id, "customer_id": someone.id, "on": TODAY}
        with workplace.runtime.database.write() as session:
            quote = queries.settlement_quote(session, **asked)
            operations.post_prepayment(
                session,
                loan_id=someone.late_loan_id,
                amount_fen=quote.amount_fen,
                value_date=TODAY,
                key="settle",
                now=book.now,
            )
        page = workplace.seat("risk_manager").get(f"{at(someone)}es").text
        assert "已结清" in page
        assert "没有未还的期次" in page
        assert "下调分类" not in page


class TestDowngrades:
    def test_need_a_second_person_and_so_does_their_end(
        self, workplace: House, someone: Any, read: Any
    ) -> None:
        desk, second = workplace.seat("risk_manager"), workplace.seat("finance")
        assert desk.fill(at(someone), at(someone), **FIELDS).status_code == 204
        assert named(read, someone) == ("special-mention", 1)
        assert "分类调整待审批" in desk.get(f"{at(someone)}es").text
        shown = second.get("/admin/approvals/1").text
        for words in (someone.late_loan_no, "不优于 可疑", "2026-04-01", FIELDS["reason"]):
            assert words in shown
        assert desk.post("/admin/approvals/1/decide", decision="approve").status_code == 403
        approves(second, 1)
        assert named(read, someone) == ("doubtful", 3)
        plan_at = someone.at(f"/loans/{someone.late_loan_id}/plan")
        for words in ("可疑", "ECL 阶段 3", "人工下调", "至 2026-04-01"):
            assert words in desk.get(plan_at).text
        assert "可疑" in desk.get(someone.at()).text

        end = f"{at(someone)}/1/end"
        assert desk.fill(end, end, reason=" ").status_code == 422
        assert desk.fill(end, end, reason="已核实").status_code == 204
        approves(second, 2)
        assert "人工下调" not in desk.get(plan_at).text
        assert "已撤销" in desk.get(f"{at(someone)}es").text
        assert named(read, someone) == ("special-mention", 1)
        trace = workplace.acts(subject=f"customer:{someone.id}")
        assert [(act.actor, act.action) for act in trace] == [
            ("risk_manager", "servicing.loan.downgrade_proposed"),
            ("machine:approval", "servicing.loan.downgraded"),
            ("risk_manager", "servicing.loan.downgrade_end_proposed"),
            ("machine:approval", "servicing.loan.downgrade_ended"),
        ]
        assert trace[1].details["at_least"] == "doubtful"
        gone = desk.post(end, reason="再次", key="k" * 22)
        assert gone.status_code == 404

    def test_are_undone_where_the_approval_is(
        self, workplace: House, someone: Any, read: Any
    ) -> None:
        workplace.seat("risk_manager").fill(at(someone), at(someone), **FIELDS)
        approves(workplace.seat("finance"), 1)
        with workplace.runtime.database.write() as session:
            undo(
                session,
                create_site(),
                approval_id=1,
                undone_by="finance",
                reason="误批",
                now=workplace.runtime.clock.now(),
            )
        assert named(read, someone) == ("special-mention", 1)

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ({"at_least": "normal"}, 422),
            ({"until": ""}, 422),
            ({"until": "2026-03-10"}, 422),
            ({"reason": ""}, 422),
        ],
    )
    def test_need_a_class_an_end_and_a_reason(
        self, workplace: House, someone: Any, given: dict[str, str], status: int
    ) -> None:
        answer = workplace.seat("risk_manager").fill(at(someone), at(someone), **FIELDS | given)
        assert answer.status_code == status
        assert "<form hx-post" in answer.text
        assert workplace.seat("finance").get("/admin/approvals/1").status_code == 404

    def test_are_not_asked_for_by_others(self, workplace: House, someone: Any) -> None:
        collector, manager = workplace.seat("collector"), workplace.seat("risk_manager")
        assert collector.get(at(someone)).status_code == 403
        assert collector.post(at(someone), **FIELDS).status_code == 403
        elsewhere = f"/admin/customers/{someone.id + 1}/loans/{someone.loan_id}/class"
        assert manager.get(elsewhere).status_code == 404
        assert manager.get(f"{elsewhere}es").status_code == 404
        assert manager.get(f"{at(someone)}/9/end").status_code == 404
