from datetime import timedelta
from typing import Any

from contact import operations, queries
from contact.model import Channel, Purpose
from contact.tables import ContactTemplate
from kernel.clock import business_date


class TestContactBoard:
    def test_counts_a_day(self, desk: Any) -> None:
        desk.customers(4)
        desk.plan([1, 2, 3])
        desk.servicing.paid = {2}
        desk.providers.script["SendSms"] = ["hang"]
        desk.send()
        desk.answer("otp:1")
        with desk.read() as session:
            board = queries.contact_board(session, on=business_date(desk.now))
            tomorrow = queries.contact_board(
                session, on=business_date(desk.now + timedelta(days=1))
            )
        assert (board.sent, board.failed, board.ready, board.unknown) == (1, 0, 1, 1)
        assert board.blocked == (("paid", 1),)
        assert (tomorrow.sent, tomorrow.blocked, tomorrow.unknown) == (0, (), 1)


class TestContactsOf:
    def test_shows_what_was_said_and_why_not_newest_first(self, desk: Any) -> None:
        desk.customers(1)
        desk.plan([1])
        desk.send()
        desk.plan([1], purpose="collection", template="overdue")
        desk.send()
        with desk.read() as session:
            blocked, sent = queries.contacts_of(session, customer_id=1, limit=9)
            assert queries.contacts_of(session, customer_id=1, limit=1) == (blocked,)
            assert queries.contacts_of(session, customer_id=2, limit=9) == ()
        assert (blocked.state, blocked.reason, blocked.text) == ("blocked", "quota", None)
        assert (sent.state, sent.title, sent.address_hint) == ("sent", "账单提醒", "尾号0001")
        assert sent.sent_at == desk.now


class TestWaitingContacts:
    def test_show_the_queue_in_its_order(self, desk: Any) -> None:
        desk.customers(2)
        desk.plan([1, 2])
        desk.answer("otp:1")
        with desk.read() as session:
            queue = queries.waiting_contacts(session, limit=9)
            rest = queries.waiting_contacts(session, limit=9, offset=1)
        assert [view.purpose for view in queue] == ["answer", *["service_reminder"] * 2]
        assert rest == queue[1:]


class TestBlockedContacts:
    def test_are_those_that_the_gate_stopped_on_a_day(self, desk: Any) -> None:
        desk.customers(3)
        desk.plan([1, 2, 3])
        desk.servicing.paid = {1, 3}
        desk.send()
        on = business_date(desk.now)
        with desk.read() as session:
            stopped = queries.blocked_contacts(session, on=on, limit=9)
            second = queries.blocked_contacts(session, on=on, limit=9, offset=1, reason="paid")
            assert queries.blocked_contacts(session, on=on, limit=9, reason="quota") == ()
            assert queries.blocked_contacts(session, on=on + timedelta(days=1), limit=9) == ()
            assert queries.contact_view(session, contact_id=stopped[0].id) == stopped[0]
            assert queries.contact_view(session, contact_id=99) is None
        assert [view.customer_id for view in stopped] == [3, 1]
        assert second == stopped[1:]


class TestAddressOf:
    def test_gives_the_active_address_in_the_clear(self, desk: Any) -> None:
        (address_id,) = desk.customers(1, channel=Channel.WECHAT_TEMPLATE)
        with desk.write() as session:
            given = {"customer_id": 1, "channel_kind": "wechat", "cipher": desk.runtime.cipher}
            assert queries.address_of(session, **given) == (address_id, "openid-000001")
            operations.retire_address(
                session, address_id=address_id, reason="unbound", now=desk.now
            )
            assert queries.address_of(session, **given) is None


class TestTemplateVersions:
    def test_takes_the_newest_in_force(self, desk: Any) -> None:
        with desk.write() as session:
            known = session.get_one(ContactTemplate, ("due_today", 1, "sms"))
            names = [column.name for column in ContactTemplate.__table__.columns]
            row = {name: getattr(known, name) for name in names}
            session.add(ContactTemplate(**row | {"version": 2}))
            session.add(ContactTemplate(**row | {"version": 3, "state": "retired"}))
        with desk.read() as session:
            versions = queries.template_versions(session)
        assert versions["due_today", "sms", "service_reminder"] == 2
        assert versions["due_today", "wechat_template", "service_reminder"] == 1


class TestPlannedSelect:
    def test_tells_who_was_planned_for_a_day_whatever_became_of_it(self, desk: Any) -> None:
        desk.customers(2)
        desk.plan([1, 2])
        desk.servicing.paid = {2}
        desk.send()
        desk.answer("otp:1", customer_id=1)
        on = business_date(desk.now)
        with desk.read() as session:
            found = [
                sorted(session.scalars(queries.planned_select(day=day, purposes=[purpose])))
                for day, purpose in (
                    (on, Purpose.SERVICE_REMINDER),
                    (on, Purpose.COLLECTION),
                    (on + timedelta(days=1), Purpose.SERVICE_REMINDER),
                )
            ]
        assert found == [[1, 2], [], []]
