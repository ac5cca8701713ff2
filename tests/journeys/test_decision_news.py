"""A borrower is declined by machine, learns why, asks for a person, and a person approves.

Over HTTP through everything that `make run` starts; staff click as a browser does.
"""

import re
from datetime import datetime
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from cli.journey import HTTP_TIMEOUT_S, Journey, running_service
from cli.up import DEMO_PASSWORD

LATE, CUSTOMER = "已过还款日 5 天", 3  # the demo book numbers its stories from 1 on
GOODS = "平板电脑"
WHY = "您有逾期未还的分期，请先还清逾期款项再申请"

pytestmark = pytest.mark.slow


class Staff:
    """A member of staff at a browser."""

    def __init__(self, base: str, login: str) -> None:
        self.base = base
        self._open = build_opener(HTTPCookieProcessor(CookieJar())).open
        self.post("/admin/login", "/admin/login", login=login, password=DEMO_PASSWORD)

    def get(self, path: str) -> str:
        with self._open(f"{self.base}{path}", timeout=HTTP_TIMEOUT_S) as response:
            return str(response.read(), "utf-8")

    def post(self, page: str, path: str, **form: str) -> None:
        """Open a page or dialog and send a form of it, with its hidden fields."""
        drawn = self.get(page)
        hidden = dict(re.findall(r'name="(csrf_token|key)" value="([^"]+)"', drawn))
        request = Request(  # noqa: S310 -- loopback
            f"{self.base}{path}",
            data=urlencode(hidden | form).encode(),
            headers={"Referer": f"{self.base}{page}", "HX-Request": "true"},
        )
        self._open(request, timeout=HTTP_TIMEOUT_S).close()

    def await_row(self, journey: Journey, path: str, *words: str) -> str:
        """Return the row of a table that says all of this, once there is one."""
        for _ in journey.patiently():
            for row in self.get(path).split("<tr"):
                if all(word in row for word in words):
                    return row
        pytest.fail(f"no row on {path} says {words}")


def test_who_is_declined_learns_why_and_is_heard_by_a_person(tmp_path: Path) -> None:
    at = datetime.fromisoformat("2027-03-10T10:00+08:00")
    with running_service(tmp_path, at=at, log=tmp_path / "up.log") as journey:
        journey.wait_until_ready()
        borrower = journey.person(LATE)
        journey.say(borrower, "你好")
        _enter_application(Staff(journey.base, "admin"))

        news = journey.wait_for_message(borrower, "您的分期申请未通过")
        assert GOODS in news
        assert WHY in news
        assert WHY in journey.say(borrower, "为什么")
        assert "已为您申请人工复核" in journey.say(borrower, "人工复核")

        analyst = Staff(journey.base, "analyst")
        whose = f'/admin/customers/{CUSTOMER}"'
        row = analyst.await_row(journey, "/admin/applications", whose, GOODS, "客户申请人工复核")
        path = re.search(r"/admin/applications/\d+", row)
        assert path is not None
        review = analyst.get(path[0])
        assert "回放一致" in review
        assert "当前逾期天数" in review
        analyst.post(path[0], f"{path[0]}/review", decision="approve", reason="good-record")

        assert GOODS in journey.wait_for_message(borrower, "您的分期申请已通过")
        told = [entry["content"] for entry in journey.sent(borrower, kind="custom")]
        assert len(told) == 2


def _enter_application(clerk: Staff) -> None:
    at = f"/admin/customers/{CUSTOMER}/applications"
    wanted = {"merchandise": GOODS, "merchant_name": "宏达手机卖场", "amount": "1000", "terms": "6"}
    clerk.post(f"{at}/new", at, **wanted)
