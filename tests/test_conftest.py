"""The ground that all tests stand on holds."""

import socket

import pytest
from playwright.sync_api import Page
from redis import Redis
from sqlalchemy import func, select

from kernel.clock import FixedClock, business_date, shanghai
from kernel.database import Database, insert_ignore
from kernel.jobs import JobRun
from kernel.runtime import Runtime


class TestSockets:
    @pytest.mark.parametrize("name", ["connect", "connect_ex"])
    def test_refuses_to_leave_this_machine(self, name: str) -> None:
        with socket.socket() as held, pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"):
            getattr(held, name)(("192.0.2.1", 80))

    def test_lets_loopback_through(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            with socket.create_connection(address) as held:
                assert held.getpeername() == address


class TestStores:
    @pytest.mark.parametrize("turn", [1, 2])
    def test_database_is_empty_at_each_start(
        self, database: Database, clock: FixedClock, turn: int
    ) -> None:
        with database.write() as session:
            assert session.scalar(select(func.count()).select_from(JobRun)) == 0, turn
            row = {"job": "a", "slot": "b", "queued_at": clock.now()}
            insert_ignore(session, JobRun, [row], conflict=["job"])

    @pytest.mark.parametrize("turn", [1, 2])
    def test_redis_is_empty_at_each_start(self, redis: "Redis", turn: int) -> None:
        assert redis.dbsize() == 0, turn
        redis.set("a", "b")

    def test_runtime_holds_the_other_fixtures(
        self, runtime: Runtime, database: Database, clock: FixedClock
    ) -> None:
        assert runtime.database is database
        assert runtime.clock is clock


class TestClock:
    def test_stands_at_ten_in_shanghai(self, clock: FixedClock) -> None:
        assert shanghai(clock.now()).isoformat() == "2026-03-10T10:00:00+08:00"
        assert business_date(clock.now()).isoformat() == "2026-03-10"


@pytest.mark.browser
class TestBrowser:
    def test_phone_page_is_narrow_and_touched(self, phone_page: Page) -> None:
        phone_page.set_content('<meta name="viewport" content="width=device-width">')
        assert phone_page.evaluate("[innerWidth, navigator.maxTouchPoints > 0]") == [390, True]

    def test_desk_page_is_wide_and_speaks_chinese(self, desk_page: Page) -> None:
        assert desk_page.evaluate("[innerWidth, navigator.language]") == [1440, "zh-CN"]
