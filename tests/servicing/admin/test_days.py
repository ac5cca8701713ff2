"""日终批处理 and the five classes: what staff see of them, and what some may do."""

from datetime import date
from typing import Any

import pytest
from workplace import House

from servicing import operations, queries

TODAY = date(2026, 3, 10)


@pytest.fixture
def failed(workplace: House, someone: Any) -> Any:
    """A day on which the late loan could not be closed: an entry of its was there already."""
    with workplace.runtime.database.write() as session:
        operations.post_entry(
            session,
            loan_id=None,
            kind="interest",
            key=f"{someone.late_loan_id}/{TODAY}/1",
            effective_on=TODAY,
            postings={},
            now=workplace.clock.now(),
        )
    operations.close_day(workplace.runtime, on=TODAY)
    return someone


class TestDays:
    def test_are_listed_with_their_failures(self, workplace: House, failed: Any) -> None:
        operations.close_day(workplace.runtime, on=date(2026, 1, 1))
        page = workplace.seat("auditor").get("/admin/days").text
        for words in ("2026-03-10", "有失败", "1 / 1", failed.late_loan_no, "IntegrityError"):
            assert words in page
        assert "没有需要处理的借款" in page
        assert failed.late_loan_no in page
        assert "/retry" not in page
        assert "1 笔借款处理失败" in workplace.seat("finance").get("/admin/alerts").text

    def test_are_tried_again_by_whoever_may(self, workplace: House, failed: Any) -> None:
        desk = workplace.seat("finance")
        assert "/admin/days/2026-03-10/retry" in desk.get("/admin/days").text
        answer = desk.post("/admin/days/2026-03-10/retry")
        assert answer.status_code == 302
        assert "仍未成功" in desk.get("/admin/days").text
        (act,) = workplace.acts(action="servicing.day.retried")
        assert (act.actor, act.subject, act.details) == ("finance", "day:2026-03-10", {"done": 0})
        with workplace.runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=9)
        assert run.failed[0].attempts == 2
        assert failed

    def test_are_not_tried_again_by_others(self, workplace: House, failed: Any) -> None:
        desk = workplace.seat("risk_manager")
        assert desk.post("/admin/days/2026-03-10/retry").status_code == 403
        assert workplace.seat("finance").post("/admin/days/soon/retry").status_code == 422
        assert workplace.seat("collector").get("/admin/days").status_code == 403
        assert failed

    def test_may_be_none(self, workplace: House) -> None:
        assert "还没有执行过日终" in workplace.seat("operator").get("/admin/days").text


class TestClasses:
    def form(self, someone: Any, **given: str) -> tuple[str, dict[str, str]]:
        fields = {"at_least": "doubtful", "until": "2026-04-01", "reason": "商户跑路，还款来源不足"}
        return someone.at(f"/loans/{someone.late_loan_id}/class"), fields | given

    def test_stand_where_the_loan_does(self, workplace: House, someone: Any) -> None:
        desk = workplace.seat("collector")
        page = desk.get(someone.at()).text
        assert "关注" in page
        assert "逾期 10 天 · M1" in page
        plan = desk.get(someone.at(f"/loans/{someone.late_loan_id}/plan")).text
        assert "ECL 阶段 1" in plan
        assert "下调分类" not in plan
        assert "关注" in desk.get("/admin/overdue").text
        sheet = workplace.seat("finance").post("/admin/overdue/export").text
        assert "五级分类,ECL 阶段,宽限期已过" in sheet
        assert "M1,关注,1,是" in sheet

    def test_are_lowered_with_reason_and_end_and_a_trace(
        self, workplace: House, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("risk_manager")
        at, fields = self.form(someone)
        assert desk.fill(at, at, **fields).status_code == 204
        (act,) = workplace.acts(action="servicing.loan.downgraded")
        assert (act.actor, act.subject) == ("risk_manager", f"customer:{someone.id}")
        assert act.details["at_least"] == "doubtful"
        plan_at = someone.at(f"/loans/{someone.late_loan_id}/plan")
        plan = desk.get(plan_at).text
        for words in ("可疑", "ECL 阶段 3", "人工下调", "至 2026-04-01"):
            assert words in plan
        assert "可疑" in desk.get(someone.at()).text
        end = f"{at}/1/end"
        assert desk.fill(end, end, reason=" ").status_code == 422
        assert desk.fill(end, end, reason="已核实").status_code == 204
        assert "人工下调" not in desk.get(plan_at).text
        seen = read(queries.loan_lateness, loan_id=someone.late_loan_id, on=TODAY)
        assert (seen.five_class, seen.ecl_stage) == ("special-mention", 1)
        assert len(workplace.acts(action="servicing.loan.downgrade_ended")) == 1

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ({"at_least": "normal"}, 422),
            ({"until": ""}, 422),
            ({"until": "2026-03-10"}, 422),
            ({"reason": ""}, 422),
        ],
    )
    def test_are_not_lowered_without_class_end_or_reason(
        self, workplace: House, someone: Any, given: dict[str, str], status: int
    ) -> None:
        at, fields = self.form(someone, **given)
        answer = workplace.seat("risk_manager").fill(at, at, **fields)
        assert answer.status_code == status
        assert "<form hx-post" in answer.text
        assert workplace.acts(action="servicing.loan.downgraded") == []

    def test_are_not_lowered_by_others(self, workplace: House, someone: Any) -> None:
        at, fields = self.form(someone)
        collector, manager = workplace.seat("collector"), workplace.seat("risk_manager")
        assert collector.get(at).status_code == 403
        assert collector.post(at, **fields).status_code == 403
        elsewhere = f"/admin/customers/{someone.id + 1}/loans/{someone.loan_id}/class"
        assert manager.get(elsewhere).status_code == 404
        assert manager.get(f"{at}/9/end").status_code == 404
