from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from contact import operations, queries
from contact.book import TemplateNotInForce
from contact.model import TransitionRefused
from contact.operations import AddressTaken, ContactNotFound, NotAnAnswer
from contact.references import reference_of
from contact.tables import Contact, ContactAddress
from kernel.idempotency import KeyReused
from kernel.outbox import OutboxRow


@pytest.fixture
def record(desk: Any) -> Any:
    def record_address(
        customer_id: int = 1, channel_kind: str = "wechat", address: str = "openid-1"
    ) -> Any:
        with desk.write() as session:
            return operations.record_address(
                session,
                customer_id=customer_id,
                channel_kind=channel_kind,
                address=address,
                source="test",
                cipher=desk.runtime.cipher,
                now=desk.now,
            )

    return record_address


@pytest.fixture
def owner_of(desk: Any) -> Any:
    def customer_of(address: str, channel_kind: str = "wechat") -> Any:
        with desk.read() as session:
            return queries.customer_of(
                session, channel_kind=channel_kind, address=address, cipher=desk.runtime.cipher
            )

    return customer_of


def states(desk: Any, *columns: Any) -> Any:
    with desk.read() as session:
        return session.execute(select(*columns).order_by(Contact.id)).all()


class TestRecordAddress:
    def test_is_safe_to_repeat(self, record: Any, owner_of: Any) -> None:
        assert record() == record()
        assert owner_of("openid-1") == 1

    def test_replaces_the_customers_older_address(self, record: Any, owner_of: Any) -> None:
        assert record() != record(address="openid-2")
        assert owner_of("openid-1") is None
        assert owner_of("openid-2") == 1

    def test_binds_a_wechat_account_to_one_customer_at_a_time(
        self, desk: Any, record: Any, owner_of: Any
    ) -> None:
        record()
        with pytest.raises(AddressTaken):
            record(customer_id=2)
        with desk.write() as session:
            operations.retire_address(
                session, customer_id=1, channel_kind="wechat", reason="unbound", now=desk.now
            )
        record(customer_id=2)
        assert owner_of("openid-1") == 2

    def test_lets_two_customers_share_a_phone(self, record: Any, owner_of: Any) -> None:
        record(channel_kind="phone", address="13800000001")
        record(channel_kind="phone", address="13800000001", customer_id=2)
        assert owner_of("13800000001", "phone") == 2

    def test_stores_no_address_in_the_clear(self, desk: Any, record: Any) -> None:
        record(channel_kind="phone", address="13812345678")
        with desk.read() as session:
            row = session.execute(select(ContactAddress.__table__)).one()
        assert "13812345678" not in str(row)
        assert row.address_hint == "尾号5678"


class TestRetireAddress:
    def test_keeps_the_row_and_says_how_many_were_active(self, desk: Any, record: Any) -> None:
        address_id = record()
        with desk.write() as session:
            counts = [
                operations.retire_address(
                    session, address_id=address_id, reason="wrong-number", now=desk.now
                )
                for _ in range(2)
            ]
            (view,) = queries.addresses_of(session, customer_id=1)
        assert counts == [1, 0]
        assert view.retired_reason == "wrong-number"


class TestAnswer:
    def test_wakes_a_sender_once(self, desk: Any) -> None:
        first = desk.answer("otp:1")
        assert desk.answer("otp:1") == first
        with desk.read() as session:
            (event,) = session.scalars(select(OutboxRow)).all()
            assert event.event == "ContactReady"
            assert event.payload == {"contact_id": first}

    def test_encrypts_secrets_and_keeps_the_rest_readable(self, desk: Any) -> None:
        desk.answer("otp:1")
        ((facts,),) = states(desk, Contact.facts)
        assert facts["minutes"] == 5
        assert "123456" not in str(facts)

    def test_refuses_the_key_for_something_else(self, desk: Any) -> None:
        desk.answer("otp:1")
        with pytest.raises(KeyReused):
            desk.answer("otp:1", facts={"code": "123456", "minutes": 9})

    def test_refuses_a_template_that_is_no_answer(self, desk: Any) -> None:
        with pytest.raises(NotAnAnswer):
            desk.answer("x", template="overdue")

    def test_refuses_a_template_that_the_channel_does_not_have(self, desk: Any) -> None:
        with pytest.raises(TemplateNotInForce):
            desk.answer("x", channel="wechat_template")

    def test_binds_no_customer_to_an_address_it_answers_to(self, desk: Any, owner_of: Any) -> None:
        desk.answer("otp:1", customer_id=7)
        assert owner_of("13900000000", "phone") is None

    def test_reuses_the_address_row_of_the_same_person(self, desk: Any, record: Any) -> None:
        address_id = record(customer_id=7, channel_kind="phone", address="13900000000")
        desk.answer("otp:1", customer_id=7)
        desk.answer("otp:2", customer_id=None)
        desk.answer("otp:3", customer_id=None)
        rows = [row.address_id for row in states(desk, Contact.address_id)]
        assert rows[0] == address_id
        assert rows[1] == rows[2] != address_id


class TestPlanContacts:
    def test_plans_one_for_each_customer_purpose_day_and_channel(self, desk: Any) -> None:
        desk.customers(3)
        assert desk.plan([1, 2, 3]) == 3
        assert desk.plan([1, 2, 3]) == 0
        assert desk.plan([1, 2, 3], purpose="collection", template="overdue") == 3
        desk.clock.advance(timedelta(days=1))
        assert desk.plan([1, 2, 3]) == 3

    def test_binds_facts_version_and_priority(self, desk: Any) -> None:
        desk.customers(1)
        desk.plan([1], facts='{"due_on": "2026-03-10"}')
        (row,) = states(
            desk, Contact.facts, Contact.template_version, Contact.priority, Contact.key
        )
        assert row.facts == {"due_on": "2026-03-10"}
        assert (row.template_version, row.priority) == (1, 20)
        assert row.key == "plan:service_reminder:1:2026-03-10:sms:"


class TestWithdraw:
    def withdraw(self, desk: Any, **changes: Any) -> Any:
        given = {"customer_id": 1, "purposes": ["service_reminder"], "reason": "paid"}
        with desk.write() as session:
            return operations.withdraw(session, **given | changes, now=desk.now)

    def test_takes_back_what_waits(self, desk: Any) -> None:
        desk.customers(2)
        desk.plan([1, 2])
        assert self.withdraw(desk) == 1
        assert [tuple(row) for row in states(desk, Contact.state, Contact.reason)] == [
            ("withdrawn", "paid"),
            ("ready", None),
        ]
        assert desk.send().sent == 1

    def test_leaves_other_purposes_and_what_is_out(self, desk: Any) -> None:
        desk.customers(1)
        desk.plan([1])
        assert self.withdraw(desk, purposes=["collection"]) == 0
        desk.send()
        assert self.withdraw(desk) == 0


class TestRecordDelivery:
    def report(self, desk: Any, contact_id: int, **changes: Any) -> Any:
        given = {
            "provider": "sms",
            "provider_id": "biz1",
            "status": "delivered",
            "reference": reference_of(desk.runtime.cipher, contact_id),
        }
        with desk.write() as session:
            return operations.record_delivery(
                session, at=desk.now, cipher=desk.runtime.cipher, **given | changes
            )

    def delivery(self, desk: Any) -> Any:
        return [
            tuple(row) for row in states(desk, Contact.state, Contact.delivery, Contact.provider_id)
        ]

    def test_notes_a_receipt_once(self, desk: Any) -> None:
        contact_id = desk.answer("otp:1")
        desk.send()
        assert self.report(desk, contact_id) == contact_id
        assert self.report(desk, contact_id) == contact_id
        with desk.read() as session:
            steps = [event.step for event in queries.events_of(session, contact_id=contact_id)]
        assert steps == ["allow", "accept", "delivered"]
        assert self.delivery(desk) == [("sent", "delivered", "biz1")]

    def test_notes_that_a_message_did_not_arrive(self, desk: Any) -> None:
        contact_id = desk.answer("otp:1")
        desk.send()
        self.report(desk, contact_id, status="failed")
        assert self.delivery(desk) == [("sent", "failed", "biz1")]

    @pytest.mark.parametrize("reference", ["", "1", "1-", "1-0000000000000000", "x-1", "²-1"])
    def test_believes_no_receipt_without_our_signature(self, desk: Any, reference: str) -> None:
        desk.answer("otp:1")
        desk.send()
        assert self.report(desk, 1, reference=reference) is None
        assert self.delivery(desk) == [("sent", None, "biz1")]

    def test_believes_no_receipt_for_another_message_of_the_provider(self, desk: Any) -> None:
        contact_id = desk.answer("otp:1")
        desk.send()
        assert self.report(desk, contact_id, provider_id="other") is None

    def test_settles_a_contact_whose_outcome_was_unknown(self, desk: Any) -> None:
        contact_id = desk.answer("otp:1")
        desk.providers.script["SendSms"] = ["hang"]
        assert desk.send().unknown == 1
        self.report(desk, contact_id)
        assert self.delivery(desk) == [("sent", "delivered", "biz1")]

    def test_finds_a_wechat_message_by_its_msgid(self, desk: Any) -> None:
        desk.customers(1, channel="wechat_template")
        desk.plan([1], channel="wechat_template")
        desk.send()
        found = self.report(desk, 0, provider="wechat", provider_id="9000", status="success")
        assert found is not None
        assert self.delivery(desk) == [("sent", "delivered", "9000")]

    def test_finds_a_lost_wechat_message_by_its_openid_if_it_is_the_only_one(
        self, desk: Any
    ) -> None:
        desk.customers(1, channel="wechat_template")
        desk.plan([1], channel="wechat_template")
        desk.providers.script["template/send"] = ["hang"]
        assert desk.send().unknown == 1
        push = {"provider": "wechat", "provider_id": "9000", "status": "failed:user block"}
        assert self.report(desk, 0, **push, address="somebody-else") is None
        assert self.report(desk, 0, **push, address="openid-000001") is not None
        assert self.delivery(desk) == [("sent", "failed", "9000")]


class TestSettleUnknown:
    def settle(self, desk: Any, contact_id: int, was_delivered: bool = True) -> None:
        with desk.write() as session:
            operations.settle_unknown(
                session,
                contact_id=contact_id,
                was_delivered=was_delivered,
                actor="clerk",
                now=desk.now,
            )

    @pytest.mark.parametrize(("was_delivered", "state"), [(True, "sent"), (False, "failed")])
    def test_takes_the_word_of_staff_and_sends_nothing(
        self, desk: Any, was_delivered: bool, state: str
    ) -> None:
        contact_id = desk.answer(
            "reply:1",
            channel="wechat_message",
            template="late_reply",
            facts={"text": "好"},
            address="openid-1",
        )
        desk.providers.script["custom/send"] = ["drop"]
        assert desk.send().unknown == 1
        with desk.read() as session:
            assert [view.id for view in queries.unknown_contacts(session, limit=9)] == [contact_id]
        self.settle(desk, contact_id, was_delivered)
        assert desk.states() == {state: 1}
        assert desk.send().claimed == 0
        with desk.read() as session:
            assert queries.events_of(session, contact_id=contact_id)[-1].actor == "clerk"

    def test_refuses_a_contact_whose_outcome_is_known(self, desk: Any) -> None:
        contact_id = desk.answer("otp:1")
        with pytest.raises(TransitionRefused):
            self.settle(desk, contact_id)

    def test_refuses_a_contact_that_is_not_there(self, desk: Any) -> None:
        with pytest.raises(ContactNotFound):
            self.settle(desk, 404)
