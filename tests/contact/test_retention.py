"""Steps of contacts go when they are over their time, by retention alone; contacts stay."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import DBAPIError

from contact import jobs
from contact.tables import Contact, ContactEvent, ContactQuota
from kernel.append_only import letting_go

KEPT_DAYS = 3 * 366


@pytest.fixture(autouse=True)
def told(desk: Any) -> None:
    """Two customers were reminded, at a time when retention holds."""
    desk.clock.advance(timedelta(days=300))
    desk.customers(2)
    desk.plan([1, 2])
    desk.send()


def counts(desk: Any) -> dict[str, int]:
    with desk.read() as session:
        return {
            model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Contact, ContactEvent, ContactQuota)
        }


def test_steps_go_and_contacts_stay(desk: Any) -> None:
    before = counts(desk)
    assert before["contact_event"] > 0
    desk.clock.advance(timedelta(days=399))
    jobs.forget_old(desk.runtime)
    assert counts(desk) == before
    desk.clock.advance(timedelta(days=KEPT_DAYS - 398))
    jobs.forget_old(desk.runtime)
    assert counts(desk) == {"contact": 2, "contact_event": 0, "contact_quota": 0}


def test_nobody_else_deletes_them_before_or_after(desk: Any) -> None:
    with pytest.raises(DBAPIError, match="append-only"), desk.runtime.database.write() as session:
        session.execute(delete(ContactEvent))
    with desk.runtime.database.write() as session, letting_go(session, "contact_event"):
        first = select(func.min(ContactEvent.id)).scalar_subquery()
        session.execute(delete(ContactEvent).where(ContactEvent.id == first))
    with pytest.raises(DBAPIError, match="append-only"), desk.runtime.database.write() as session:
        session.execute(delete(ContactEvent))


def test_a_failure_on_the_way_leaves_them_guarded(desk: Any) -> None:
    before, message = counts(desk), "the night ends here"
    with (
        pytest.raises(RuntimeError, match=message),
        desk.runtime.database.write() as session,
        letting_go(session, "contact_event"),
    ):
        session.execute(delete(ContactEvent))
        raise RuntimeError(message)
    assert counts(desk) == before
    with pytest.raises(DBAPIError, match="append-only"), desk.runtime.database.write() as session:
        session.execute(delete(ContactEvent))
