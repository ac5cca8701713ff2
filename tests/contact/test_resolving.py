from datetime import timedelta
from typing import Any

import pytest

from contact import operations
from contact.model import Channel
from contact.ports import Hold


@pytest.fixture
def lose(desk: Any) -> Any:
    """Plan one reminder and lose its outcome; say whether the provider got it."""

    def lose_one(*, channel: str = Channel.SMS, is_taken: bool = True, days: int = 1) -> None:
        desk.customers(1, channel=channel)
        desk.plan([1], channel=channel, days=days)
        name = "SendSms" if channel is Channel.SMS else "template/send"
        desk.providers.script[name] = ["hang" if is_taken else "drop"]
        assert desk.send().unknown == 1

    return lose_one


def resolve(desk: Any) -> Any:
    return operations.resolve_unknown(desk.runtime)


class TestShortMessages:
    def test_that_the_provider_has_are_sent(self, desk: Any, lose: Any) -> None:
        lose()
        assert resolve(desk) == {"sent": 1}
        assert desk.states() == {"sent": 1}
        assert len(desk.providers.sms) == 1

    def test_that_the_provider_does_not_have_are_sent_once_its_absence_is_sure(
        self, desk: Any, lose: Any
    ) -> None:
        lose(is_taken=False)
        assert resolve(desk) == {}
        desk.clock.advance(timedelta(minutes=4))
        assert resolve(desk) == {"retried": 1}
        desk.clock.advance(timedelta(minutes=1))
        assert desk.send().sent == 1
        assert len(desk.providers.sms) == 1

    def test_pass_the_gate_again_before_they_are_sent_again(self, desk: Any, lose: Any) -> None:
        lose(is_taken=False)
        desk.clock.advance(timedelta(minutes=5))
        resolve(desk)
        desk.servicing.paid.add(1)
        desk.clock.advance(timedelta(minutes=1))
        assert desk.send().blocked == 1
        assert desk.providers.sms == []

    def test_stay_unknown_while_the_provider_does_not_answer(self, desk: Any, lose: Any) -> None:
        lose(is_taken=False)
        desk.clock.advance(timedelta(minutes=5))
        desk.providers.script["QuerySendDetails"] = ["drop", {"Code": "isp.SYSTEM_ERROR"}]
        assert [resolve(desk), resolve(desk)] == [{}, {}]
        assert desk.states() == {"unknown": 1}

    def test_that_could_not_be_delivered_fail(self, desk: Any, lose: Any) -> None:
        lose()
        detail = {"OutId": desk.providers.sms[0]["OutId"], "SendStatus": 2}
        desk.providers.script["QuerySendDetails"] = [
            {"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": [detail]}}
        ]
        assert resolve(desk) == {"failed": 1}


class TestTemplateMessages:
    @pytest.mark.parametrize("is_taken", [True, False])
    def test_are_posted_again_under_the_same_id_within_ten_minutes(
        self, desk: Any, lose: Any, is_taken: bool
    ) -> None:
        lose(channel=Channel.WECHAT_TEMPLATE, is_taken=is_taken)
        assert resolve(desk) == {"sent": 1}
        assert desk.providers.calls["template/send"] == 2
        assert len(desk.providers.wechat) == 1

    def test_are_not_posted_again_later(self, desk: Any, lose: Any) -> None:
        lose(channel=Channel.WECHAT_TEMPLATE)
        desk.clock.advance(timedelta(minutes=9))
        assert resolve(desk) == {}
        assert desk.providers.calls["template/send"] == 1
        assert desk.states() == {"unknown": 1}

    def test_are_not_posted_again_at_night(self, desk: Any, lose: Any) -> None:
        desk.clock.advance(timedelta(hours=11, minutes=58))
        lose(channel=Channel.WECHAT_TEMPLATE, is_taken=False, days=2)
        desk.clock.advance(timedelta(minutes=4))
        assert resolve(desk) == {}
        assert desk.providers.wechat == []

    def test_are_not_posted_again_after_payment_or_hold(self, desk: Any, lose: Any) -> None:
        lose(channel=Channel.WECHAT_TEMPLATE, is_taken=False)
        desk.servicing.holds[1] = (Hold(reason="dispute"),)
        assert resolve(desk) == {}
        desk.servicing.holds.clear()
        desk.servicing.paid.add(1)
        assert resolve(desk) == {}
        assert desk.providers.wechat == []

    def test_stay_unknown_when_the_repeat_is_refused(self, desk: Any, lose: Any) -> None:
        lose(channel=Channel.WECHAT_TEMPLATE)
        desk.providers.script["template/send"] = [{"errcode": 45011, "errmsg": "x"}]
        assert resolve(desk) == {}
        assert desk.states() == {"unknown": 1}


class TestChatMessages:
    def test_are_left_to_people(self, desk: Any) -> None:
        desk.answer(
            "reply:1", channel="wechat_message", template="late_reply", facts={"text": "好"},
            address="openid-1",
        )  # fmt: skip
        desk.providers.script["custom/send"] = ["hang"]
        assert desk.send().unknown == 1
        assert resolve(desk) == {}
        assert desk.providers.calls["custom/send"] == 1
