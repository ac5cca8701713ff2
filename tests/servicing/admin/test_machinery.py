"""What the dashboard says of the close of day and of background jobs."""

from datetime import date
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisGone
from rq.job import Job as RqJob
from workplace import House

from contact.events import ContactReady
from kernel.jobs import SEND_QUEUE, failed_jobs, queue_of
from kernel.outbox import record
from servicing import operations
from servicing.admin import machinery


def dashboard(house: House, *roles: str) -> str:
    return str(house.member(roles[0].replace("_", ""), *roles).get("/admin/").text)


class TestCloseOfDay:
    @pytest.mark.parametrize(
        ("closed", "words"),
        [
            (None, "日终尚未执行"),
            (date(2026, 3, 10), "今日日终已完成"),
            (date(2026, 3, 9), "今日日终待执行"),
            (date(2026, 3, 6), "日终落后 4 天"),
        ],
    )
    def test_says_how_far_it_has_come(
        self, workplace: House, closed: date | None, words: str
    ) -> None:
        if closed is not None:
            operations.close_day(workplace.runtime, on=closed)
        assert words in dashboard(workplace, "finance")

    def test_says_that_books_differ(self, workplace: House, book: Any) -> None:
        operations.close_day(workplace.runtime, on=date(2026, 3, 10))
        with workplace.runtime.database.write() as session:
            operations.raise_alert(
                session,
                key="b",
                kind="books-differ",
                severity="high",
                customer_id=None,
                details={"differences": ["x"]},
                now=book.now,
            )
        assert "/admin/alerts?kind=books-differ" in dashboard(workplace, "finance")
        page = dashboard(workplace, "operator")
        assert "账务有差异" in page
        assert "/admin/alerts" not in page


class TestJobs:
    def test_are_counted_for_the_operator_alone(self, workplace: House, book: Any) -> None:
        queue = queue_of(workplace.runtime, SEND_QUEUE)
        failed = RqJob.create("kernel.jobs.perform", connection=queue.connection)
        failed.save()
        queue.failed_job_registry.add(failed)
        with workplace.runtime.database.write() as session:
            record(session, ContactReady(contact_id=1), now=book.now)
        assert failed_jobs(workplace.runtime) == 1
        assert "失败任务" in dashboard(workplace, "operator")
        assert "失败任务" not in dashboard(workplace, "finance")

    def test_say_so_when_redis_is_gone(
        self, workplace: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(_runtime: object) -> int:
            raise RedisGone

        monkeypatch.setattr(machinery, "failed_jobs", gone)
        assert "Redis 无响应" in dashboard(workplace, "operator")
