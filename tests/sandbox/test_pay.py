"""WeChat Pay v3, called by the real wechatpayv3 over a socket, unchanged but for its gateway."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import build_authorization

OPENID = "oFenqiTestPerson0000000000001"
NUMBER = "FQ20260310000001"
ORDER = "/v3/pay/transactions/jsapi"


@pytest.fixture
def client(stand: Any) -> WeChatPay:
    settings = stand.settings
    made = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=settings.pay_mch_id,
        private_key=settings.pay_mch_private_key,
        cert_serial_no=settings.pay_mch_serial,
        appid=settings.wechat_app_id,
        apiv3_key=settings.pay_api_v3_key,
        notify_url=f"{settings.public_base_url}/pay/notify",
        public_key=settings.pay_public_key,
        public_key_id=settings.pay_public_key_id,
        timeout=(5, 10),
    )
    made._core._gate_way = f"{stand.base}/sandbox/pay"
    return made


def order(client: WeChatPay, number: str = NUMBER, total: int = 12_345) -> tuple[int, Any]:
    code, text = client.pay(
        description="分期还款",
        out_trade_no=number,
        amount={"total": total},
        payer={"openid": OPENID},
    )
    return code, json.loads(text)


def read(answer: tuple[int, str]) -> tuple[int, Any]:
    return answer[0], json.loads(answer[1]) if answer[1] else None


def pay(stand: Any, number: str = NUMBER, **more: Any) -> Any:
    return stand.api("pay", {"out_trade_no": number, "wait": True} | more)


def opened(stand: Any, at: int = -1) -> dict[str, Any]:
    """Open a notification without any library."""
    resource = json.loads(stand.service.notifies[at][1])["resource"]
    clear = AESGCM(stand.settings.pay_api_v3_key.encode()).decrypt(
        resource["nonce"].encode(),
        base64.b64decode(resource["ciphertext"]),
        resource["associated_data"].encode(),
    )
    facts: dict[str, Any] = json.loads(clear)
    return facts


class TestOrders:
    def test_made_paid_and_found(self, stand: Any, client: WeChatPay) -> None:
        code, answer = order(client)
        assert (code, answer["prepay_id"][:2]) == (200, "wx")
        paid = pay(stand)
        assert paid["err_msg"] == "get_brand_wcpay_request:ok"
        code, facts = read(client.query(out_trade_no=NUMBER))
        assert (code, facts["trade_state"], facts["amount"]["total"]) == (200, "SUCCESS", 12_345)
        assert facts["success_time"] == "2026-03-10T10:00:00+08:00"
        again = read(client.query(transaction_id=facts["transaction_id"]))[1]
        assert again == facts

    def test_unpaid_has_no_transaction(self, client: WeChatPay) -> None:
        order(client)
        facts = read(client.query(out_trade_no=NUMBER))[1]
        assert (facts["trade_state"], "transaction_id" in facts) == ("NOTPAY", False)

    def test_same_again_is_the_same_order_and_changed_is_refused(
        self, stand: Any, client: WeChatPay
    ) -> None:
        first = order(client)[1]
        assert order(client)[1] == first
        code, answer = order(client, total=1)
        assert (code, answer["code"], answer["message"]) == (
            400,
            "INVALID_REQUEST",
            "201 商户订单号重复",
        )
        stand.knob("pay.order", "number_used", times=1)
        code, answer = order(client, total=1)
        assert (code, answer["code"]) == (403, "OUT_TRADE_NO_USED")

    def test_closing(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        assert client.close(NUMBER) == (204, "")
        assert read(client.close(NUMBER))[1]["code"] == "ORDER_CLOSED"
        assert order(client)[1]["code"] == "ORDER_CLOSED"
        assert pay(stand)["err_msg"] == "get_brand_wcpay_request:fail"
        order(client, "FQ20260310000002")
        pay(stand, "FQ20260310000002")
        assert read(client.close("FQ20260310000002")) == (
            400,
            {"code": "ORDERPAID", "message": "该订单已支付"},
        )

    def test_payer_can_win_the_race_with_closing(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        stand.knob("pay.close", "paid_meanwhile", times=1)
        assert read(client.close(NUMBER))[1]["code"] == "ORDERPAID"
        stand.settle()
        assert opened(stand)["trade_state"] == "SUCCESS"

    def test_unknown_is_not_found(self, client: WeChatPay) -> None:
        assert read(client.query(out_trade_no="FQ00000000"))[1]["code"] == "ORDER_NOT_EXIST"
        assert client.close("FQ00000000")[0] == 404

    @pytest.mark.parametrize(
        "wrong",
        [
            {"out_trade_no": "short"},
            {"amount": {"total": 0}},
            {"amount": {"total": 1.5}},
            {"description": "长" * 128},
            {"notify_url": "https://x.cn/n?a=1"},
            {"time_expire": "2026-03-10T09:00:00+08:00"},
        ],
    )
    def test_parameters_are_checked(self, client: WeChatPay, wrong: dict[str, Any]) -> None:
        asked = {"description": "还款", "out_trade_no": NUMBER, "amount": {"total": 1}} | wrong
        code, answer = read(client.pay(payer={"openid": OPENID}, **asked))
        assert (code, answer["code"]) == (400, "PARAM_ERROR")

    def test_another_appid_is_refused(self, client: WeChatPay) -> None:
        client._appid = "wxffffffffffffffff"
        assert order(client)[1]["code"] == "APPID_MCHID_NOT_MATCH"

    def test_prepay_id_dies_after_two_hours_and_the_order_after_seven_days(
        self, stand: Any, client: WeChatPay
    ) -> None:
        first = order(client)[1]["prepay_id"]
        stand.clock.advance(timedelta(hours=2))
        assert pay(stand)["err_msg"].endswith(":fail")
        assert order(client)[1]["prepay_id"] != first
        stand.clock.advance(timedelta(days=7))
        assert read(client.query(out_trade_no=NUMBER))[1]["trade_state"] == "CLOSED"

    def test_another_person_cannot_pay(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        assert pay(stand, openid="oSomebodyElse")["err_msg"].endswith(":fail")

    def test_page_signature_is_checked(self, stand: Any, client: WeChatPay) -> None:
        package = "prepay_id=" + order(client)[1]["prepay_id"]
        lines = [stand.settings.wechat_app_id, "1", "n", package]
        params = {"appId": lines[0], "timeStamp": "1", "nonceStr": "n", "package": package}
        params |= {"signType": "RSA", "paySign": client.sign(lines)}
        wrong = params | {"nonceStr": "other"}
        assert pay(stand, params=wrong)["err_msg"].endswith(":fail")
        assert pay(stand, params=params)["err_msg"].endswith(":ok")

    def test_no_certificates_for_public_key_merchants(self, client: WeChatPay) -> None:
        code, text = client._core.request("/v3/certificates")
        assert (code, json.loads(text)["code"]) == (404, "RESOURCE_NOT_EXISTS")


class TestSignatures:
    def call(self, stand: Any, *, path: str = "", **changed: Any) -> requests.Response:
        settings = stand.settings
        key = load_pem_private_key(settings.pay_mch_private_key.encode(), password=None)
        target = f"/v3/pay/transactions/out-trade-no/{NUMBER}?mchid={settings.pay_mch_id}"
        given = {"mchid": settings.pay_mch_id, "serial_no": settings.pay_mch_serial} | changed
        header = build_authorization(path + target, "GET", private_key=key, **given)
        url = f"{stand.base}/sandbox/pay{target}"
        return requests.get(url, headers={"Authorization": header}, timeout=60)

    @pytest.mark.parametrize("path", ["", "/sandbox/pay"])
    def test_path_may_be_signed_with_or_without_our_prefix(self, stand: Any, path: str) -> None:
        assert self.call(stand, path=path).json()["code"] == "ORDER_NOT_EXIST"

    def test_other_path_merchant_or_serial_is_refused(self, stand: Any) -> None:
        for answer in (
            self.call(stand, path="/other"),
            self.call(stand, mchid="1999999999"),
            self.call(stand, serial_no="00"),
            requests.get(f"{stand.base}/sandbox/pay/v3/certificates", timeout=60),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
            assert "Wechatpay-Signature" in answer.headers

    def test_a_nonce_is_good_once(self, stand: Any) -> None:
        assert self.call(stand, nonce_str="N" * 32).status_code == 404
        assert self.call(stand, nonce_str="N" * 32).status_code == 401

    def test_a_stale_request_is_refused(self, stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        real = time.time  # noqa: TID251 -- the library stamps with it
        monkeypatch.setattr("wechatpayv3.utils.time.time", lambda: real() - 400)
        assert self.call(stand).status_code == 401

    def test_unsigned_answer_is_noticed_by_the_library(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("pay.order", "unsigned", times=1)
        with pytest.raises(Exception, match="does not support this algorithm"):
            order(client)


class TestNotifications:
    def test_library_opens_it(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        pay(stand)
        headers, body = stand.service.notifies[0]
        told = client.callback(headers, body)
        assert told["event_type"] == "TRANSACTION.SUCCESS"
        assert told["resource"]["out_trade_no"] == NUMBER
        assert int(headers["Wechatpay-Timestamp"]) == int(stand.clock.now().timestamp())

    def test_ladder_on_the_development_clock(self, stand: Any, client: WeChatPay) -> None:
        stand.service.notify_statuses = [500] * 15
        order(client)
        pay(stand)
        waits = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600]
        waits += [10_800, 10_800, 10_800, 21_600, 21_600]
        for count, wait in enumerate(waits, start=1):
            assert len(stand.service.notifies) == count
            stand.clock.advance(timedelta(seconds=wait - 1))
            stand.settle()
            assert len(stand.service.notifies) == count
            stand.clock.advance(timedelta(seconds=1))
            stand.settle()
        assert len(stand.service.notifies) == 16
        assert sum(waits) == 24 * 3600 + 4 * 60
        stand.clock.advance(timedelta(days=2))
        stand.settle()
        assert len(stand.service.notifies) == 16

    def test_received_is_not_repeated(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        pay(stand)
        stand.clock.advance(timedelta(days=1))
        stand.settle()
        assert len(stand.service.notifies) == 1

    @pytest.mark.parametrize(("fault", "count"), [("lost", 0), ("duplicate", 5), ("parallel", 5)])
    def test_how_often(self, stand: Any, client: WeChatPay, fault: str, count: int) -> None:
        stand.knob("notify.payment", fault, value=count or None, times=1)
        order(client)
        pay(stand)
        assert len(stand.service.notifies) == count
        assert read(client.query(out_trade_no=NUMBER))[1]["trade_state"] == "SUCCESS"

    def test_out_of_order(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("notify.payment", "out_of_order", times=1)
        for number in ("FQ20260310000001", "FQ20260310000002"):
            order(client, number)
            pay(stand, number)
        numbers = [opened(stand, at)["out_trade_no"] for at in (0, 1)]
        assert numbers == ["FQ20260310000002", "FQ20260310000001"]

    def test_again_a_day_later(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        pay(stand)
        stand.clock.advance(timedelta(days=1))
        stand.post("notify", {"out_trade_no": NUMBER, "times": 2})
        assert len(stand.service.notifies) == 3

    def test_before_the_answer_to_the_create_call(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("pay.order", "notify_first", times=1)
        assert order(client)[0] == 200
        assert len(stand.service.notifies) == 1

    @pytest.mark.parametrize(
        ("fault", "member", "expected"),
        [
            ("wrong_amount", "amount", 12_346),
            ("wrong_appid", "appid", "wxffffffffffffffff"),
            ("wrong_mchid", "mchid", "1999999999"),
        ],
    )
    def test_wrong_facts(
        self, stand: Any, client: WeChatPay, fault: str, member: str, expected: Any
    ) -> None:
        stand.knob("notify.payment", fault, times=1)
        order(client)
        pay(stand)
        found = opened(stand)[member]
        assert (found["total"] if member == "amount" else found) == expected

    @pytest.mark.parametrize("fault", ["bad_signature", "signtest"])
    def test_wrong_signatures_are_noticed_by_the_library(
        self, stand: Any, client: WeChatPay, fault: str
    ) -> None:
        stand.knob("notify.payment", fault, times=1)
        order(client)
        pay(stand)
        headers, body = stand.service.notifies[0]
        assert not client.callback(headers, body)
        assert headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/") == (
            fault == "signtest"
        )

    def test_broken_tag_cannot_be_opened(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("notify.payment", "broken_tag", times=1)
        order(client)
        pay(stand)
        assert client.callback(*stand.service.notifies[0]) is None

    @pytest.mark.parametrize(("fault", "seconds"), [("stale", -600), ("future", 600)])
    def test_time_stamps_can_be_off(
        self, stand: Any, client: WeChatPay, fault: str, seconds: int
    ) -> None:
        stand.knob("notify.payment", fault, times=1)
        order(client)
        pay(stand)
        timestamp = int(stand.service.notifies[0][0]["Wechatpay-Timestamp"])
        assert timestamp == stand.clock.now().timestamp() + seconds

    def test_unknown_serial(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("notify.payment", "unknown_serial", times=1)
        order(client)
        pay(stand)
        serial = stand.service.notifies[0][0]["Wechatpay-Serial"]
        assert serial != stand.settings.pay_public_key_id


class TestRefunds:
    def refund(self, client: WeChatPay, number: str = "R1", fen: int = 345) -> tuple[int, Any]:
        amount = {"refund": fen, "total": 12_345, "currency": "CNY"}
        return read(client.refund(out_refund_no=number, amount=amount, out_trade_no=NUMBER))

    def test_in_parts_with_a_notification_each(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        pay(stand)
        code, answer = self.refund(client)
        assert (code, answer["status"]) == (200, "PROCESSING")
        stand.clock.advance(timedelta(seconds=3))
        stand.settle()
        assert self.refund(client)[1]["status"] == "SUCCESS"
        told = client.callback(*stand.service.notifies[-1])
        assert told["event_type"] == "REFUND.SUCCESS"
        assert told["resource"]["amount"]["refund"] == 345
        assert read(client.query_refund("R1"))[1]["status"] == "SUCCESS"
        assert read(client.query(out_trade_no=NUMBER))[1]["trade_state"] == "REFUND"
        assert self.refund(client, "R2", 12_001)[1]["code"] == "INVALID_REQUEST"
        assert self.refund(client, "R2", 12_000)[0] == 200

    def test_changed_repeat_is_refused(self, stand: Any, client: WeChatPay) -> None:
        order(client)
        assert self.refund(client)[1]["code"] == "INVALID_REQUEST"
        pay(stand)
        self.refund(client)
        assert self.refund(client, fen=1)[1]["code"] == "INVALID_REQUEST"

    def test_can_end_badly(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("pay.refund", "result", value="ABNORMAL", times=1)
        order(client)
        pay(stand)
        self.refund(client)
        stand.clock.advance(timedelta(seconds=3))
        stand.settle()
        assert client.callback(*stand.service.notifies[-1])["event_type"] == "REFUND.ABNORMAL"


class TestKnobs:
    def test_error_codes(self, stand: Any, client: WeChatPay) -> None:
        for code, status in (("FREQUENCY_LIMITED", 429), ("ORDER_CLOSED", 400)):
            stand.knob("pay.order", "error", value=code, times=1)
            assert order(client) == (status, {"code": code, "message": order_text(code)})
        assert order(client)[0] == 200

    def test_system_error_with_the_order_created(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("pay.order", "error_after", times=1)
        assert order(client)[1]["code"] == "SYSTEM_ERROR"
        assert read(client.query(out_trade_no=NUMBER))[1]["trade_state"] == "NOTPAY"
        assert order(client)[0] == 200

    def test_lost_answer(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("pay.order", "lost_answer", times=1)
        with pytest.raises(requests.ConnectionError):
            order(client)
        assert read(client.query(out_trade_no=NUMBER))[0] == 200

    def test_cut_connection_does_nothing(self, stand: Any, client: WeChatPay) -> None:
        stand.knob("pay", "cut", times=1)
        with pytest.raises(requests.ConnectionError):
            order(client)
        assert read(client.query(out_trade_no=NUMBER))[0] == 404

    def test_parallel_orders_of_one_number_are_one(self, client: WeChatPay) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: order(client), range(8)))
        assert len({answer["prepay_id"] for _, answer in answers}) == 1


def order_text(code: str) -> str:
    texts = {"FREQUENCY_LIMITED": "频率超限，请降低请求频率", "ORDER_CLOSED": "订单已关闭"}
    return texts[code]
