"""Reminders as borrowers live them, over HTTP through everything that `make run` starts."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from cli.journey import Journey, Phone, running_service
from contact.tables import Contact
from kernel.database import Database

DUE_IN_3_DAYS, DUE_TODAY, TWO_LOANS = "3 天后到还款日", "今天到还款日", "两笔分期"
DAY = date(2027, 3, 10)
CUSTOMER_OF_PAYER = 1  # the demo book numbers its stories from 1 on

pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Journey]]:
    """Start everything with a fresh demo book at a wall time in Shanghai."""
    with contextlib.ExitStack() as stack:

        def start(at: str) -> Journey:
            service = running_service(
                tmp_path, at=datetime.fromisoformat(f"{at}+08:00"), log=tmp_path / "up.log"
            )
            journey = stack.enter_context(service)
            journey.wait_until_ready()
            return journey

        yield start


class Contacts:
    """A look at what is planned, which no borrower can see."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(f"sqlite:///{folder}/fenqi.db")

    def close(self) -> None:
        self._database.dispose()

    def due_soon(self) -> dict[int, str]:
        """Tell state and reason of the first day's contacts that say so, by customer."""
        columns = (Contact.customer_id, Contact.state, Contact.reason)
        chosen = select(*columns).where(Contact.template_code == "due_soon", Contact.day == DAY)
        with self._database.read() as session:
            return {
                row.customer_id: f"{row.state} {row.reason or ''}".strip()
                for row in session.execute(chosen)
            }


def _wait_for(journey: Journey, condition: Callable[[], bool], what: str) -> None:
    for _ in journey.patiently():
        if condition():
            return
    pytest.fail(f"{what} in vain")


def test_at_23_receipts_and_codes_arrive_and_reminders_wait_for_the_morning(
    start: Callable[[str], Journey], tmp_path: Path
) -> None:
    journey = start("2027-03-10T23:00")
    payer, phone = journey.person(DUE_IN_3_DAYS), Phone(openid="oNightOwl000000000000000001")
    with contextlib.closing(Contacts(tmp_path)) as contacts:
        _wait_for(
            journey, lambda: set(contacts.due_soon().values()) == {"ready silent-hours"}, "planning"
        )
        planned = contacts.due_soon()
        others = planned.keys() - {CUSTOMER_OF_PAYER}
        assert len(others) == len(planned) - 1 > 0

        journey.pay(payer)
        journey.wait_for_message(payer, "已收到您的付款")
        form = phone.get(f"{journey.base}/h5/bind")
        number = {"phone": journey.people[-1]["phone"]}
        phone.post(f"{journey.base}/h5/bind/code", form, number, {})
        journey.wait_for_message("", "验证码", kind="sms")
        assert journey.sent(kind="template") == []
        assert len(journey.sent(kind="sms")) == 1

        journey.call("clock", {"to": "2027-03-11T08:00:30+08:00"})
        expected = dict.fromkeys(others, "sent") | {CUSTOMER_OF_PAYER: "withdrawn paid"}
        _wait_for(journey, lambda: contacts.due_soon() == expected, "sending")
    told = journey.sent(kind="template") + journey.sent(kind="sms")[1:]
    assert len(told) == len(others)
    assert payer not in [entry["openid"] for entry in told]


def test_a_newcomer_sees_todays_reminder_and_in_three_days_the_next_unless_paid(
    start: Callable[[str], Journey],
) -> None:
    journey = start("2027-03-10T10:00")
    soon, today = journey.person(DUE_IN_3_DAYS), journey.person(DUE_TODAY)
    journey.wait_for_message(soon, "即将到期", kind="template")
    journey.wait_for_message(today, "今天到期", kind="template")

    journey.call("clock", {"days": 3})
    journey.wait_for_message(soon, "今天到期", kind="template")
    journey.wait_for_message(journey.person(TWO_LOANS), "即将到期", kind="template")
    journey.pay(soon)
    journey.wait_for_message(soon, "已收到您的付款")

    journey.call("clock", {"days": 1})
    journey.wait_for_message(today, "待处理", kind="template")
    told = [entry["content"]["fields"]["phrase4"] for entry in journey.sent(soon, kind="template")]
    assert told == ["即将到期", "今天到期"]
