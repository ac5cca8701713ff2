"""日终批处理: what staff see of it, and what some may do."""

from datetime import date, timedelta
from typing import Any

import pytest
from workplace import House

from servicing import operations, queries
from servicing.queries import closing

TODAY = date(2026, 3, 31)  # three weeks on, when the late loan earns interest


@pytest.fixture
def failed(workplace: House, someone: Any) -> Any:
    """A day on which the late loan could not be closed: an entry of its was there already."""
    workplace.clock.advance(timedelta(days=21))
    with workplace.runtime.database.write() as session:
        operations.post_entry(
            session,
            loan_id=None,
            kind="interest",
            key=f"{someone.late_loan_id}/{TODAY}/2",
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
        for words in ("2026-03-31", "有失败", "1 / 1", failed.late_loan_no, "IntegrityError"):
            assert words in page
        assert "没有需要处理的借款" in page
        assert failed.late_loan_no in page
        assert "/retry" not in page
        assert "1 笔借款处理失败" in workplace.seat("finance").get("/admin/alerts").text

    def test_are_counted_where_they_are_too_many_to_show(
        self, workplace: House, failed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """fineract#3018: a day on which all loans fail."""
        monkeypatch.setattr(closing, "_SHOWN", 0)
        page = workplace.seat("finance").get("/admin/days").text
        assert "另有 1 笔待处理" in page
        assert "/admin/days/2026-03-31/retry" in page
        assert failed.late_loan_no not in page

    def test_are_tried_again_by_whoever_may(self, workplace: House, failed: Any) -> None:
        desk = workplace.seat("finance")
        assert "/admin/days/2026-03-31/retry" in desk.get("/admin/days").text
        answer = desk.post("/admin/days/2026-03-31/retry")
        assert answer.status_code == 302
        assert "仍未成功" in desk.get("/admin/days").text
        (act,) = workplace.acts(action="servicing.day.retried")
        assert (act.actor, act.subject, act.details) == ("finance", "day:2026-03-31", {"done": 0})
        with workplace.runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=9)
        assert run.failed[0].attempts == 2
        assert failed

    def test_are_not_tried_again_by_others(self, workplace: House, failed: Any) -> None:
        desk = workplace.seat("risk_manager")
        assert desk.post("/admin/days/2026-03-31/retry").status_code == 403
        assert workplace.seat("finance").post("/admin/days/soon/retry").status_code == 422
        assert workplace.seat("collector").get("/admin/days").status_code == 403
        assert failed

    def test_may_be_none(self, workplace: House) -> None:
        assert "还没有执行过日终" in workplace.seat("operator").get("/admin/days").text
