"""The control API, the knob catalogue, what survives a restart, and where it refuses to run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from kernel.clock import FixedClock, SystemClock, clock_offset
from kernel.database import Base, Database
from sandbox.app import SandboxRefused, create_app, serve
from sandbox.knobs import CATALOGUE, Knobs

OPENID = "oFenqiTestPerson0000000000001"


class TestApp:
    def test_refuses_production(self, stand: Any) -> None:
        with pytest.raises(SandboxRefused):
            create_app(replace(stand.settings, env="production"), stand.clock)

    def test_is_served_with_the_clock_of_the_database(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/clock.db")
        monkeypatch.setenv("FENQI_STATE_DIR", str(tmp_path))
        database = Database(f"sqlite:///{tmp_path}/clock.db")
        Base.metadata.create_all(database.engine)
        app = serve()
        moved = app.test_client().post("/sandbox/api/clock", json={"days": 3}).get_json()
        app.extensions["sandbox"].schedule.stop()
        assert moved["offset_s"] == 3 * 24 * 3600
        with database.read() as session:
            assert clock_offset(session) == timedelta(days=3)
        database.dispose()

    def test_people_and_menu_survive_a_restart(self, stand: Any) -> None:
        person = {"openid": OPENID, "name": "王小明", "phone": "13800000001", "note": "逾期 3 天"}
        stand.api("people", [person])
        stand.world.book.put_menu({"button": []})
        again = create_app(stand.settings, stand.clock).extensions["sandbox"]
        again.schedule.stop()
        assert (again.book.people(), again.book.menu()) == ([person], {"button": []})

    def test_errors_are_json(self, stand: Any) -> None:
        answer = stand.post("pay", {"out_trade_no": "nope"})
        assert (answer.status_code, answer.json()["code"]) == (404, "order-unknown")
        assert requests.get(f"{stand.base}/sandbox/api/nope", timeout=60).status_code == 404


class TestPeople:
    def test_are_changed_by_openid_or_replaced(self, stand: Any) -> None:
        stand.api("people", [{"openid": "a", "name": "甲"}, {"openid": "b", "name": "乙"}])
        stand.api("people", [{"openid": "a", "name": "丙"}])
        assert [person["name"] for person in stand.api("people")["people"]] == ["丙", "乙"]
        stand.api("people", {"people": [{"openid": "c"}], "replace": True})
        assert [person["openid"] for person in stand.api("people")["people"]] == ["c"]


class TestClock:
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"days": 3}, "2026-03-13T10:00:00+08:00"),
            ({"hours": 1, "minutes": 30}, "2026-03-10T11:30:00+08:00"),
            ({"next_morning": True}, "2026-03-11T10:00:00+08:00"),
            ({"to": "2026-03-10T23:00:00+08:00"}, "2026-03-10T23:00:00+08:00"),
            ({"to": "2026-03-10T23:00:00"}, "2026-03-10T23:00:00+08:00"),
        ],
    )
    def test_moves(self, stand: Any, asked: dict[str, Any], expected: str) -> None:
        assert stand.api("clock", asked)["shanghai"] == expected
        assert stand.api("clock")["shanghai"] == expected

    def test_morning_of_the_same_day_if_it_is_night(self, stand: Any) -> None:
        stand.clock.at = datetime(2026, 3, 9, 18, 0, tzinfo=UTC)
        moved = stand.api("clock", {"next_morning": True})
        assert moved["shanghai"] == "2026-03-10T10:00:00+08:00"

    def test_a_clock_that_cannot_be_moved_says_so(self, stand: Any) -> None:
        app = create_app(stand.settings, SystemClock())
        answer = app.test_client().post("/sandbox/api/clock", json={"days": 1})
        app.extensions["sandbox"].schedule.stop()
        assert answer.status_code == 422

    def test_nonsense_is_refused(self, stand: Any) -> None:
        for asked in ({}, {"to": "soon"}, []):
            assert stand.post("clock", asked).status_code == 422


class TestKnobs:
    def test_counts_down_and_can_last(self) -> None:
        knobs = Knobs()
        knobs.turn("pay.order", "error", value="SYSTEM_ERROR", times=2)
        taken = [knobs.take("pay.order", "error") for _ in range(3)]
        assert taken == ["SYSTEM_ERROR", "SYSTEM_ERROR", None]
        knobs.turn("wechat", "error", value=40001)
        assert [knobs.take("wechat.user", "error") for _ in range(3)] == [40001] * 3
        assert knobs.take("token.plain", "error") is None

    def test_can_be_switched_off_one_by_one_or_all(self, stand: Any) -> None:
        stand.knob("wechat", "error", value=-1)
        stand.knob("pay", "slow")
        stand.knob("pay", "slow", times=0)
        assert [knob["feature"] for knob in stand.api("knobs")["active"]] == ["wechat"]
        assert stand.api("knobs", {"clear": True})["active"] == []

    def test_unknown_is_refused(self, stand: Any) -> None:
        for knob in ({"feature": "x", "fault": "error"}, {"feature": "pay", "fault": "x"}, "x"):
            assert stand.post("knobs", knob).status_code == 422

    def test_catalogue_describes_every_pair(self, stand: Any) -> None:
        catalogue = stand.api("knobs")["catalogue"]
        assert catalogue == CATALOGUE
        assert all(text for faults in catalogue.values() for text in faults.values())

    @pytest.mark.parametrize(
        ("fault", "status", "is_json"), [("http_500", 500, False), ("html", 200, False)]
    )
    def test_transport_faults(self, stand: Any, fault: str, status: int, is_json: bool) -> None:
        stand.knob("token", fault, times=1)
        answer = requests.get(f"{stand.base}/sandbox/wechat/cgi-bin/token", timeout=60)
        assert answer.status_code == status
        assert ("json" in answer.headers["Content-Type"]) is is_json

    def test_slow_and_hanging(self, stand: Any) -> None:
        url = f"{stand.base}/sandbox/wechat/cgi-bin/token"
        stand.knob("token", "slow", value=0.3, times=1)
        assert requests.get(url, timeout=60).elapsed.total_seconds() > 0.3
        stand.knob("token", "hang", value=0.3, times=1)
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=60)


class TestSent:
    def test_filters_and_goes_on_from_a_cursor(self, stand: Any) -> None:
        world, now = stand.world, stand.clock.now()
        world.journal.add("custom", at=now, openid="a", content={})
        world.journal.add("person", at=now, openid="a", content={})
        cursor = stand.api("sent")["cursor"]
        world.journal.add("sms", at=now, phone="13800000001", content={})
        assert len(stand.api("sent")["sent"]) == 2
        assert len(stand.api("sent?openid=a")["sent"]) == 1
        assert len(stand.api("sent?phone=13800000001")["sent"]) == 1
        assert [e["kind"] for e in stand.api(f"sent?since={cursor}")["sent"]] == ["sms"]
        assert len(stand.api("timeline?openid=a&phone=13800000001")["entries"]) == 3

    def test_reset_forgets_but_cursors_go_on(self, stand: Any) -> None:
        stand.world.journal.add("custom", at=stand.clock.now(), openid="a", content={})
        stand.knob("pay", "slow")
        cursor = stand.api("sent")["cursor"]
        stand.api("reset", {})
        assert stand.api("sent") == {"sent": [], "calls": {}, "cursor": cursor}
        assert stand.api("knobs")["active"] == []

    def test_odd_cursor_is_refused(self, stand: Any) -> None:
        answer = requests.get(f"{stand.base}/sandbox/api/sent?since=x", timeout=60)
        assert answer.status_code == 422


class TestSchedule:
    def test_runs_in_order_when_the_clock_moves(self, stand: Any) -> None:
        ran: list[str] = []
        schedule = stand.world.schedule
        schedule.after(timedelta(minutes=2), "b", lambda: ran.append("b"))
        schedule.after(timedelta(minutes=1), "a", lambda: ran.append("a"))
        assert [task["what"] for task in schedule.waiting()] == ["a", "b"]
        stand.clock.advance(timedelta(minutes=1))
        stand.settle()
        assert ran == ["a"]
        stand.clock.advance(timedelta(minutes=1))
        stand.settle()
        assert ran == ["a", "b"]

    def test_a_failing_task_stops_nothing(self, stand: Any) -> None:
        ran: list[str] = []
        stand.world.schedule.soon("bad", lambda: 1 / 0)
        stand.world.schedule.soon("good", lambda: ran.append("good"))
        stand.settle()
        assert ran == ["good"]


def test_fixed_clock_is_moved_by_default(stand: Any) -> None:
    assert isinstance(stand.world.clock, FixedClock)
    assert stand.world.move is not None
