import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from contact.channels.sms import AliyunSms, canonical_query, sign
from contact.ports import OutcomeUnknown, ProviderNotReached, SmsError, SmsProvider, SmsStatus
from kernel.clock import FixedClock
from kernel.settings import Settings

ON = date(2026, 3, 10)


@pytest.fixture
def sms(settings: Settings, providers: Any, clock: FixedClock) -> Any:
    own = replace(settings, sms_api_base=f"{providers.url}/sms/")
    return AliyunSms(settings=own, clock=clock)


class TestSend:
    def test_returns_the_providers_id_and_gives_ours_along(
        self, sms: SmsProvider, providers: Any
    ) -> None:
        assert sms.send("13800000001", "SMS_1", {"code": "1"}, "7-abc") == "biz1"
        (sent,) = providers.sms
        assert sent["PhoneNumbers"] == "13800000001"
        assert sent["OutId"] == "7-abc"
        assert json.loads(sent["TemplateParam"]) == {"code": "1"}

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"Code": "isv.MOBILE_NUMBER_ILLEGAL"}, SmsError),
            ({"Code": "isp.SYSTEM_ERROR"}, OutcomeUnknown),
            ({}, OutcomeUnknown),
            ("hang", OutcomeUnknown),
            ("drop", OutcomeUnknown),
        ],
    )
    def test_tells_refusals_from_what_nobody_knows(
        self, sms: SmsProvider, providers: Any, answer: Any, error: type[Exception]
    ) -> None:
        providers.script["SendSms"] = [answer]
        with pytest.raises(error):
            sms.send("13800000001", "SMS_1", {}, "x")

    def test_reaches_nobody_at_a_closed_port(self, settings: Settings, clock: FixedClock) -> None:
        own = replace(settings, sms_api_base="http://127.0.0.1:9/")
        with pytest.raises(ProviderNotReached):
            AliyunSms(settings=own, clock=clock).send("13800000001", "SMS_1", {}, "x")


class TestQuery:
    @pytest.mark.parametrize(
        ("status", "expected"),
        [(1, SmsStatus.WAITING), (2, SmsStatus.FAILED), (3, SmsStatus.DELIVERED)],
    )
    def test_finds_our_message_among_the_days(
        self, sms: SmsProvider, providers: Any, status: int, expected: SmsStatus
    ) -> None:
        details = [{"OutId": "other", "SendStatus": 3}, {"OutId": "x", "SendStatus": status}]
        answer = {"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": details}}
        providers.script["QuerySendDetails"] = [answer]
        assert sms.query("13800000001", "x", ON) is expected

    def test_says_absent_only_after_the_last_page(self, sms: SmsProvider, providers: Any) -> None:
        full = {"SmsSendDetailDTO": [{"OutId": "other", "SendStatus": 3}] * 50}
        providers.script["QuerySendDetails"] = [{"Code": "OK", "SmsSendDetailDTOs": full}] * 4
        assert sms.query("13800000001", "x", ON) is SmsStatus.WAITING
        assert sms.query("13800000001", "x", ON) is SmsStatus.ABSENT


class TestSignature:
    def test_is_the_documented_one(self) -> None:
        # The request of the provider's page "V3 request body and signature", changed to POST.
        headers = {
            "host": "dysmsapi.aliyuncs.com",
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": (
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            ),
            "x-acs-date": "2026-03-10T02:00:00Z",
            "x-acs-signature-nonce": "n",
            "x-acs-version": "2017-05-25",
        }
        query = canonical_query({"b": "x y*~/", "a": "汉"})
        assert query == "a=%E6%B1%89&b=x%20y%2A~%2F"
        once = sign("secret", path="/", query=query, headers=headers)
        assert len(once) == 64
        assert once != sign("secret", path="/x", query=query, headers=headers)
        assert once != sign("other", path="/", query=query, headers=headers)
        assert once != sign("secret", path="/", query=query, headers=headers | {"host": "x"})
