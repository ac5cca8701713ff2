"""The SMS provider: signatures, sends that are never idempotent, receipts, queries."""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests

PHONE = "13800000001"


def call(stand: Any, action: str, params: dict[str, str], **changed: Any) -> requests.Response:
    """Sign and send a request as the provider's documents say, with no code of ours."""
    url = f"{stand.base}/sandbox/sms/"
    parts = urlsplit(url)
    date = changed.get("date", stand.clock.now()).astimezone(UTC)
    headers = {
        "host": parts.netloc,
        "x-acs-action": action,
        "x-acs-version": "2017-05-25",
        "x-acs-date": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": changed.get("nonce", uuid.uuid4().hex),
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
    }
    query = "&".join(
        f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}"
        for key, value in sorted(params.items())
    )
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    path = changed.get("path", parts.path)
    canonical = f"POST\n{path}\n{query}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    secret = changed.get("secret", stand.settings.sms_access_key_secret)
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    key = changed.get("key", stand.settings.sms_access_key_id)
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={signature}"
    )
    return requests.post(f"{url}?{query}", headers=headers, timeout=60)


def send(stand: Any, *, out_id: str = "o1", **changed: Any) -> dict[str, Any]:
    params = {
        "PhoneNumbers": PHONE,
        "SignName": stand.settings.sms_sign_name,
        "TemplateCode": "SMS_300000001",
        "TemplateParam": json.dumps({"code": "123456"}),
        "OutId": out_id,
    }
    answer: dict[str, Any] = call(stand, "SendSms", params | changed).json()
    return answer


def query(stand: Any, **more: str) -> dict[str, Any]:
    params = {"PhoneNumber": PHONE, "SendDate": "20260310", "PageSize": "50", "CurrentPage": "1"}
    answer: dict[str, Any] = call(stand, "QuerySendDetails", params | more).json()
    return answer


class TestSendSms:
    def test_is_accepted_delivered_and_reported(self, stand: Any) -> None:
        answer = send(stand)
        assert answer["Code"] == "OK"
        assert query(stand)["SmsSendDetailDTOs"]["SmsSendDetailDTO"][0]["SendStatus"] == 1
        stand.clock.advance(timedelta(seconds=2))
        stand.settle()
        stand.settle()
        receipt = stand.service.receipts[0]
        assert (receipt["biz_id"], receipt["out_id"]) == (answer["BizId"], "o1")
        assert (receipt["success"], receipt["phone_number"]) == (True, PHONE)
        detail = query(stand)["SmsSendDetailDTOs"]["SmsSendDetailDTO"][0]
        assert (detail["SendStatus"], detail["OutId"]) == (3, "o1")

    def test_same_out_id_twice_is_two_messages(self, stand: Any) -> None:
        assert send(stand)["BizId"] != send(stand)["BizId"]
        assert query(stand)["TotalCount"] == 2
        assert len(stand.api(f"sent?phone={PHONE}")["sent"]) == 2

    def test_shows_the_known_text(self, stand: Any) -> None:
        template = {"template_id": "SMS_300000001", "content": "验证码${code}，请勿告诉他人。"}
        stand.api("templates", [template])
        send(stand)
        text = stand.api("sent")["sent"][0]["content"]["text"]
        assert text == "【分期小助手】验证码123456，请勿告诉他人。"

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("PhoneNumbers", "12345", "isv.MOBILE_NUMBER_ILLEGAL"),
            ("SignName", "别人", "isv.SMS_SIGNATURE_ILLEGAL"),
            ("TemplateCode", "x", "isv.SMS_TEMPLATE_ILLEGAL"),
            ("TemplateParam", "{", "isv.INVALID_JSON_PARAM"),
        ],
    )
    def test_refuses_by_code(self, stand: Any, name: str, value: str, code: str) -> None:
        assert send(stand, **{name: value})["Code"] == code

    def test_knobs(self, stand: Any) -> None:
        stand.knob("sms.send", "error", value="isv.BUSINESS_LIMIT_CONTROL", times=1)
        assert send(stand)["Code"] == "isv.BUSINESS_LIMIT_CONTROL"
        stand.knob("sms.send", "lost_answer", times=1)
        with pytest.raises(requests.ConnectionError):
            send(stand)
        assert query(stand)["TotalCount"] == 1
        stand.knob("sms.query", "empty", times=1)
        assert query(stand)["TotalCount"] == 0

    def test_receipt_can_be_lost_or_a_failure(self, stand: Any) -> None:
        stand.knob("sms.receipt", "lost", times=1)
        send(stand)
        stand.clock.advance(timedelta(seconds=2))
        stand.settle()
        assert stand.service.receipts == []
        stand.knob("sms.receipt", "failed", times=1)
        send(stand)
        stand.clock.advance(timedelta(seconds=2))
        stand.settle()
        stand.settle()
        assert [receipt["success"] for receipt in stand.service.receipts] == [False]


class TestQuerySendDetails:
    def test_is_by_phone_day_and_biz_id(self, stand: Any) -> None:
        biz_id = send(stand)["BizId"]
        send(stand, out_id="o2")
        assert query(stand, BizId=biz_id)["TotalCount"] == 1
        assert query(stand, SendDate="20260311")["TotalCount"] == 0
        assert query(stand, PhoneNumber="13900000000")["TotalCount"] == 0
        page = query(stand, PageSize="1", CurrentPage="2")["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
        assert page[0]["OutId"] == "o1"


class TestSignature:
    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"secret": "wrong"}, "SignatureDoesNotMatch"),
            ({"key": "wrong"}, "InvalidAccessKeyId.NotFound"),
            ({"path": "/other"}, "SignatureDoesNotMatch"),
            ({"date": datetime(2020, 1, 1, tzinfo=UTC)}, "InvalidTimeStamp.Expired"),
        ],
    )
    def test_wrong_is_refused(self, stand: Any, changed: dict[str, Any], code: str) -> None:
        answer = call(stand, "QuerySendDetails", {}, **changed)
        assert (answer.status_code >= 400, answer.json()["Code"]) == (True, code)

    def test_path_may_be_signed_as_root(self, stand: Any) -> None:
        params = {"PhoneNumber": PHONE, "SendDate": "20260310"}
        answer = call(stand, "QuerySendDetails", params, path="/")
        assert answer.json()["Code"] == "OK"

    def test_a_nonce_is_good_once(self, stand: Any) -> None:
        params = {"PhoneNumber": PHONE, "SendDate": "20260310"}
        codes = [
            call(stand, "QuerySendDetails", params, nonce="n").json()["Code"] for _ in range(2)
        ]
        assert codes == ["OK", "SignatureNonceUsed"]
