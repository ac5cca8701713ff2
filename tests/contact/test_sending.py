import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from contact import operations, queries
from contact.gate import Reason
from contact.model import Channel, Purpose
from contact.ports import Hold, SmsProvider
from contact.tables import Contact, ContactQuota, ContactRule, ContactTemplate


def at(desk: Any, wall: str, day: int = 10) -> None:
    desk.clock.at = datetime.fromisoformat(f"2026-03-{day}T{wall}+08:00")


def outcomes(desk: Any) -> Any:
    with desk.read() as session:
        rows = session.execute(select(Contact.state, Contact.reason).order_by(Contact.id))
        return [tuple(row) for row in rows]


def one_reminder(desk: Any, **options: Any) -> None:
    desk.customers(1, channel=options.get("channel", Channel.SMS))
    desk.plan([1], **options)


class TestSendBatch:
    def test_sends_each_contact_once(self, desk: Any) -> None:
        desk.customers(120)
        desk.plan(range(1, 121))
        assert desk.send().sent == 120
        assert desk.send().claimed == 0
        assert len({sent["PhoneNumbers"] for sent in desk.providers.sms}) == 120
        assert len(desk.providers.sms) == 120

    def test_asks_every_question_once_for_a_mini_batch(self, desk: Any) -> None:
        desk.customers(40)
        desk.plan(range(1, 41))
        desk.send()
        assert desk.servicing.asked == {"debts": 1, "holds": 1}

    def test_renders_amounts_at_sending(self, desk: Any) -> None:
        one_reminder(desk)
        desk.send()
        assert '"amount": "1,234.56"' in desk.providers.sms[0]["TemplateParam"]
        with desk.read() as session:
            (view,) = queries.contacts_of(session, customer_id=1, limit=9)
        assert view.text.startswith("您的账单1,234.56元今天到期")

    def test_sends_template_messages_with_link_and_reference(self, desk: Any) -> None:
        one_reminder(desk, channel=Channel.WECHAT_TEMPLATE)
        assert desk.send().sent == 1
        (message,) = desk.providers.wechat
        assert message["touser"] == "openid-000001"
        assert message["url"].endswith("/h5/repay")
        assert message["data"]["amount2"] == {"value": "¥1234.56"}
        assert message["client_msg_id"].startswith("1-")

    def test_takes_answers_first(self, desk: Any) -> None:
        desk.customers(3)
        desk.plan([1, 2, 3])
        desk.answer("otp:1")
        assert desk.send(limit=1).sent == 1
        assert [sent["TemplateCode"] for sent in desk.providers.sms] == ["SMS_300000001"]

    def test_sends_the_secret_and_hides_it_in_the_record(self, desk: Any) -> None:
        desk.answer("otp:1", customer_id=5)
        desk.send()
        assert '"code": "123456"' in desk.providers.sms[0]["TemplateParam"]
        with desk.read() as session:
            (view,) = queries.contacts_of(session, customer_id=5, limit=9)
        assert "123456" not in view.text

    def test_sends_nothing_that_is_not_yet_due(self, desk: Any) -> None:
        one_reminder(desk)
        with desk.write() as session:
            session.execute(update(Contact).values(not_before=desk.now + timedelta(hours=1)))
        assert desk.send().claimed == 0
        desk.clock.advance(timedelta(hours=1))
        assert desk.send().sent == 1

    def test_lets_what_is_too_late_expire(self, desk: Any) -> None:
        one_reminder(desk)
        desk.clock.advance(timedelta(hours=14))
        assert desk.send().expired == 1
        assert outcomes(desk) == [("expired", "expired")]


class TestGateAtSending:
    def test_at_23_a_receipt_and_a_code_go_out_and_no_reminder_does(self, desk: Any) -> None:
        desk.customers(1)
        desk.customers(1, channel=Channel.WECHAT_TEMPLATE)
        desk.plan([1], days=2)
        desk.plan([1], channel="wechat_template", purpose="collection", template="overdue", days=2)
        at(desk, "23:00:00")
        desk.answer("otp:1")
        desk.answer(
            "receipt:1",
            channel="wechat_message",
            template="receipt",
            customer_id=1,
            address="openid-000001",
            facts={
                "amount_fen": 50000,
                "label": "手机分期",
                "paid_on": "2026-03-10",
                "remaining_fen": 100,
            },
        )
        counts = desk.send()
        assert (counts.sent, counts.deferred) == (2, 2)
        assert len(desk.providers.sms) == 1
        assert desk.providers.texts[0]["text"]["content"].startswith("已收到您的付款 ¥500.00。")
        at(desk, "07:59:59", day=11)
        assert desk.send().claimed == 0
        at(desk, "08:00:00", day=11)
        assert desk.send().sent == 1

    def test_stops_a_batch_that_runs_into_the_night(self, desk: Any) -> None:
        desk.customers(100)
        desk.plan(range(1, 101), days=2)
        at(desk, "21:58:59")
        was_asked = desk.servicing.held

        def held_and_time_passes(*arguments: Any, **options: Any) -> Any:
            desk.clock.advance(timedelta(seconds=30))
            return was_asked(*arguments, **options)

        desk.servicing.held = held_and_time_passes
        counts = desk.send()
        assert counts.sent == 80
        assert counts.deferred == 20

    @pytest.mark.parametrize("purpose", [Purpose.SERVICE_REMINDER, Purpose.COLLECTION])
    def test_sends_no_reminder_after_payment(self, desk: Any, purpose: str) -> None:
        template = "overdue" if purpose is Purpose.COLLECTION else "due_soon"
        one_reminder(desk, purpose=purpose, template=template)
        desk.servicing.paid.add(1)
        assert desk.send().blocked == 1
        assert outcomes(desk) == [("blocked", Reason.PAID)]

    def test_sends_no_reminder_on_hold_or_to_a_wrong_number(self, desk: Any) -> None:
        desk.customers(2)
        desk.plan([1, 2])
        desk.servicing.holds[1] = (Hold(reason="dispute"),)
        with desk.write() as session:
            operations.retire_address(
                session, customer_id=2, channel_kind="phone", reason="wrong-number", now=desk.now
            )
        desk.send()
        assert outcomes(desk) == [
            ("blocked", Reason.HOLD),
            ("blocked", Reason.ADDRESS_RETIRED),
        ]
        assert desk.providers.sms == []

    def test_asks_again_when_a_hold_ends(self, desk: Any) -> None:
        one_reminder(desk)
        desk.servicing.holds[1] = (Hold(reason="x", until=desk.now + timedelta(hours=2)),)
        assert desk.send().deferred == 1
        desk.clock.advance(timedelta(hours=2))
        assert desk.send().sent == 1

    def test_speaks_only_of_debts_due_by_the_day_of_the_plan(self, desk: Any) -> None:
        one_reminder(desk, facts='{"due_on": "2026-03-09"}')
        desk.send()
        assert outcomes(desk) == [("blocked", Reason.PAID)]

    def test_blocks_an_unknown_purpose(self, desk: Any) -> None:
        one_reminder(desk, purpose="survey")
        desk.send()
        assert outcomes(desk) == [("blocked", Reason.NO_RULE)]

    def test_blocks_when_a_rule_row_is_missing(self, desk: Any) -> None:
        one_reminder(desk)
        with desk.write() as session:
            session.execute(delete(ContactRule).where(ContactRule.code == "service_reminder.hold"))
        desk.send()
        assert outcomes(desk) == [("blocked", Reason.NO_RULE)]

    def test_blocks_a_template_that_was_retired_after_planning(self, desk: Any) -> None:
        one_reminder(desk)
        with desk.write() as session:
            session.execute(update(ContactTemplate).values(state="retired"))
        desk.send()
        assert outcomes(desk) == [("blocked", Reason.TEMPLATE)]

    def test_blocks_a_template_of_another_purpose(self, desk: Any) -> None:
        one_reminder(desk, template="overdue")
        desk.send()
        assert outcomes(desk) == [("blocked", Reason.TEMPLATE)]

    def test_sends_marketing_only_to_those_who_want_it(self, desk: Any) -> None:
        desk.customers(3)
        with desk.write() as session:
            session.add(
                ContactTemplate(
                    code="offer",
                    version=1,
                    channel="sms",
                    purpose="marketing",
                    provider_template_id="SMS_300000009",
                    title="x",
                    body="x",
                    link="",
                    valid_s=60,
                    fields=[],
                    state="active",
                    loaded_at=desk.now,
                )
            )
        desk.plan([1, 2, 3], purpose="marketing", template="offer")
        desk.servicing.wanting = {1, 3}
        desk.servicing.barred = {3: "student"}
        desk.send()
        assert outcomes(desk) == [
            ("sent", None),
            ("blocked", Reason.NO_CONSENT),
            ("blocked", Reason.BARRED),
        ]


class TestQuota:
    def quota(self, desk: Any) -> Any:
        with desk.read() as session:
            rows = session.execute(select(ContactQuota.counter, ContactQuota.n))
            return {counter: n for counter, n in rows if n}

    def test_lets_one_reminder_a_day_through_over_all_channels_and_purposes(
        self, desk: Any
    ) -> None:
        desk.customers(1)
        desk.customers(1, channel=Channel.WECHAT_TEMPLATE)
        desk.plan([1], purpose="collection", template="overdue")
        desk.plan([1], channel="wechat_template")
        counts = desk.send()
        assert (counts.sent, counts.blocked) == (1, 1)
        assert self.quota(desk) == {"reminder": 1, "reminder:wechat_template": 1}

    def test_lets_three_reminders_a_week_through(self, desk: Any) -> None:
        desk.customers(1)
        sent = []
        for _ in range(9):
            desk.plan([1])
            sent.append(desk.send().sent)
            desk.clock.advance(timedelta(days=1))
        assert sent == [1, 1, 1, 0, 0, 0, 0, 1, 1]

    def test_gives_back_what_a_refused_message_had_taken(self, desk: Any) -> None:
        one_reminder(desk)
        desk.providers.script["SendSms"] = [{"Code": "isv.MOBILE_NUMBER_ILLEGAL"}]
        assert desk.send().failed == 1
        assert self.quota(desk) == {}

    def test_counts_a_repeated_message_once(self, desk: Any) -> None:
        one_reminder(desk)
        desk.providers.script["SendSms"] = [{"Code": "isv.BUSINESS_LIMIT_CONTROL"}]
        assert desk.send().retried == 1
        desk.clock.advance(timedelta(minutes=1))
        assert desk.send().sent == 1
        assert self.quota(desk) == {"reminder": 1, "reminder:sms": 1}

    def test_does_not_count_answers(self, desk: Any) -> None:
        for n in range(5):
            desk.answer(f"otp:{n}", customer_id=1)
        assert desk.send().sent == 5
        assert self.quota(desk) == {}


class TestRefusals:
    def test_fail_for_good_when_the_provider_says_so(self, desk: Any) -> None:
        one_reminder(desk, channel=Channel.WECHAT_TEMPLATE)
        desk.providers.script["template/send"] = [{"errcode": 43004, "errmsg": "x"}]
        assert desk.send().failed == 1
        assert outcomes(desk) == [("failed", "43004")]

    def test_are_tried_again_later_when_the_provider_is_busy(self, desk: Any) -> None:
        one_reminder(desk, channel=Channel.WECHAT_TEMPLATE)
        desk.providers.script["template/send"] = [{"errcode": 45011, "errmsg": "x"}]
        assert desk.send().retried == 1
        assert desk.send().claimed == 0
        desk.clock.advance(timedelta(seconds=30))
        assert desk.send().sent == 1

    def test_are_given_up_after_some_tries(self, desk: Any) -> None:
        one_reminder(desk)
        desk.providers.script["SendSms"] = [{"Code": "isv.BUSINESS_LIMIT_CONTROL"}] * 9
        tallies = []
        for _ in range(7):
            counts = desk.send()
            tallies.append((counts.retried, counts.failed))
            desk.clock.advance(timedelta(minutes=17))
        assert tallies == [(1, 0)] * 5 + [(0, 1), (0, 0)]
        assert desk.providers.calls["SendSms"] == 6

    def test_are_tried_again_when_nobody_could_be_reached(self, desk: Any) -> None:
        one_reminder(desk)
        sms = desk.runtime.get(SmsProvider)
        sms._transport.host = "127.0.0.1:9"
        assert desk.send().retried == 1
        assert outcomes(desk) == [("ready", "not-reached")]

    @pytest.mark.parametrize("errcode", [45015, 45047])
    def test_of_a_receipt_in_the_chat_fall_back_to_a_template_message(
        self, desk: Any, errcode: int
    ) -> None:
        facts = {
            "amount_fen": 50000,
            "label": "手机分期",
            "paid_on": "2026-03-10",
            "remaining_fen": 0,
        }
        desk.answer(
            "receipt:1", channel="wechat_message", template="receipt", facts=facts,
            customer_id=1, address="openid-1",
        )  # fmt: skip
        desk.providers.script["custom/send"] = [{"errcode": errcode, "errmsg": "x"}]
        assert desk.send().failed == 1
        assert desk.send().sent == 1
        assert outcomes(desk) == [("failed", str(errcode)), ("sent", None)]
        assert desk.providers.wechat[0]["data"]["amount4"] == {"value": "¥0.00"}

    def test_of_a_reply_without_a_template_end_there(self, desk: Any) -> None:
        desk.answer(
            "reply:1", channel="wechat_message", template="late_reply", facts={"text": "好"},
            address="openid-1",
        )  # fmt: skip
        desk.providers.script["custom/send"] = [{"errcode": 45015, "errmsg": "x"}]
        assert desk.send().failed == 1
        assert desk.send().claimed == 0


class TestRecoverLeases:
    def recover(self, desk: Any) -> Any:
        with desk.write() as session:
            return operations.recover_leases(session, now=desk.now)

    def leave(self, desk: Any, state: str) -> None:
        one_reminder(desk)
        with desk.write() as session:
            session.execute(
                update(Contact).values(
                    state=state,
                    lease_owner="dead",
                    lease_until=desk.now + timedelta(minutes=2),
                    sending_at=desk.now,
                )
            )

    def test_leaves_living_leases_alone(self, desk: Any) -> None:
        self.leave(desk, "claimed")
        assert self.recover(desk) == {"ready": 0, "unknown": 0, "expired": 0}

    def test_makes_a_claimed_contact_ready_again(self, desk: Any) -> None:
        self.leave(desk, "claimed")
        desk.clock.advance(timedelta(minutes=3))
        assert self.recover(desk) == {"ready": 1, "unknown": 0, "expired": 0}
        assert desk.send().sent == 1

    def test_never_makes_a_contact_ready_that_was_being_sent(self, desk: Any) -> None:
        self.leave(desk, "sending")
        desk.clock.advance(timedelta(minutes=3))
        assert self.recover(desk) == {"ready": 0, "unknown": 1, "expired": 0}
        assert desk.send().claimed == 0

    def test_lets_what_is_too_late_expire(self, desk: Any) -> None:
        one_reminder(desk)
        desk.clock.advance(timedelta(hours=14))
        assert self.recover(desk) == {"ready": 0, "unknown": 0, "expired": 1}

    def test_lets_a_slow_but_living_sender_have_the_last_word(self, desk: Any) -> None:
        one_reminder(desk)
        was_send = desk.runtime.get(SmsProvider).send

        def send_slowly(*arguments: Any) -> Any:
            provider_id = was_send(*arguments)
            desk.clock.advance(timedelta(minutes=5))
            self.recover(desk)
            return provider_id

        desk.runtime.get(SmsProvider).send = send_slowly
        assert desk.send().sent == 1
        assert desk.states() == {"sent": 1}


class TestRaces:
    def test_of_senders_send_nothing_twice_and_keep_the_quota(self, desk: Any) -> None:
        desk.customers(60)
        desk.customers(60, channel=Channel.WECHAT_TEMPLATE)
        desk.plan(range(1, 61))
        desk.plan(range(1, 61), channel="wechat_template", purpose="collection", template="overdue")
        errors = []

        def work() -> None:
            try:
                while desk.send(limit=10).claimed:
                    pass
            except Exception as error:  # noqa: BLE001 -- shown below
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        people = [sent["PhoneNumbers"][-4:] for sent in desk.providers.sms]
        people += [f"{int(sent['touser'][-6:]):04d}" for sent in desk.providers.wechat]
        assert len(people) == len(set(people)) == 60
        assert desk.states() == {"sent": 60, "blocked": 60}
