import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from werkzeug.serving import make_server

import sandbox.app
from contact.book import TEMPLATES_FILE
from contact.channels.sms import AliyunSms
from contact.channels.wechat import WeChatClient
from contact.messages import read_template, render
from contact.model import Channel
from contact.ports import SmsError, SmsProvider, SmsStatus, WeChatApi, WeChatError
from kernel.clock import FixedClock, business_date
from kernel.settings import Settings

OPENID = "openid-000001"
PHONE = "13800000001"


@pytest.fixture(params=["small stand-in", "sandbox"])
def base_settings(
    request: pytest.FixtureRequest, settings: Settings, clock: FixedClock, tmp_path: Path
) -> Any:
    """Settings whose providers are the stand-in of these tests, or the sandbox process's app."""
    if request.param == "small stand-in":
        url = request.getfixturevalue("providers").url
        yield replace(settings, wechat_api_base=f"{url}/wechat", sms_api_base=f"{url}/sms/")
        return
    app = sandbox.app.create_app(replace(settings, state_dir=str(tmp_path)), clock)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/sandbox"
    yield replace(settings, wechat_api_base=f"{url}/wechat", sms_api_base=f"{url}/sms/")
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["sandbox"].schedule.stop()


@pytest.fixture
def wechat(base_settings: Settings, redis: Redis) -> WeChatApi:
    return WeChatClient(settings=base_settings, redis=redis)


@pytest.fixture
def sms(base_settings: Settings, clock: FixedClock) -> SmsProvider:
    return AliyunSms(settings=base_settings, clock=clock)


class TestSmsProvider:
    def test_finds_what_was_sent_and_nothing_else(
        self, sms: SmsProvider, clock: FixedClock
    ) -> None:
        on = business_date(clock.now())
        assert sms.query(PHONE, "1-a", on) is SmsStatus.ABSENT
        assert sms.send(PHONE, "SMS_300000001", {"code": "123456", "minutes": "5"}, "1-a")
        assert sms.query(PHONE, "1-a", on) in (SmsStatus.WAITING, SmsStatus.DELIVERED)
        assert sms.query(PHONE, "1-b", on) is SmsStatus.ABSENT


class TestWeChatApi:
    def test_sends_one_template_message_for_one_client_msg_id(self, wechat: WeChatApi) -> None:
        data = {"thing1": "手机分期", "amount2": "¥1234.56", "time3": "2026年3月10日"}
        given = (OPENID, "TPL_BILL_0000000000000000000000000000000001", data, "http://x/h5/repay")
        first = wechat.send_template(*given, "1-a")
        assert first
        assert wechat.send_template(*given, "1-a") == first
        assert wechat.send_template(*given, "2-b") != first


@pytest.mark.parametrize("base_settings", ["sandbox"], indirect=True)
class TestSandbox:
    def test_accepts_every_template_of_ours(self, wechat: WeChatApi, sms: SmsProvider) -> None:
        facts = {
            "status": "已通过",
            "decided_on": "2026-03-10",
            "lapsed_on": "2026-03-10",
            "changed_on": "2026-03-10",
            "what": "已展期",
            "code": "123456",
            "minutes": 5,
            "text": "好",
            "amount_fen": 123456,
            "remaining_fen": 0,
            "label": "手机分期",
            "paid_on": "2026-03-10",
            "refunded_on": "2026-03-10",
            "due_on": "2026-03-10",
        }
        accepted = 0
        for row in tomllib.loads(TEMPLATES_FILE.read_text("utf-8"))["template"]:
            template = read_template(row)
            values = render(template, facts=facts, debts=[]).values
            number = template.provider_template_id
            if template.channel is Channel.WECHAT_TEMPLATE:
                assert wechat.send_template(OPENID, number, values, "", template.code)
                accepted += 1
            elif template.channel is Channel.SMS:
                assert sms.send(PHONE, number, values, template.code)
                accepted += 1
        assert accepted == 11

    def test_refuses_a_text_outside_the_window(self, wechat: WeChatApi) -> None:
        with pytest.raises(WeChatError) as caught:
            wechat.send_text(OPENID, "hi")
        assert caught.value.errcode == 45015

    def test_refuses_a_field_that_breaks_its_rule(self, wechat: WeChatApi) -> None:
        with pytest.raises(WeChatError) as caught:
            wechat.send_template(OPENID, "TPL_BILL_01", {"phrase4": "abc"}, "", "x")
        assert caught.value.errcode == 47003

    def test_refuses_a_wrong_number(self, sms: SmsProvider) -> None:
        with pytest.raises(SmsError) as caught:
            sms.send("12", "SMS_300000001", {}, "x")
        assert caught.value.provider_code == "isv.MOBILE_NUMBER_ILLEGAL"

    def test_refuses_a_signature_of_another_secret(
        self, base_settings: Settings, clock: FixedClock
    ) -> None:
        forged = replace(base_settings, sms_access_key_secret="other")
        with pytest.raises(SmsError) as caught:
            AliyunSms(settings=forged, clock=clock).send(PHONE, "SMS_300000001", {}, "x")
        assert caught.value.provider_code == "SignatureDoesNotMatch"
