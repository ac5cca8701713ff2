"""Pushes: the three modes read by the real wechatpy, and how replies are judged."""

import threading
from typing import Any

import pytest
from flask import Response, request
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import check_signature

from sandbox import driver

OPENID = "oFenqiTestPerson0000000000001"

TOO_LONG = (
    f"<xml><ToUserName>{OPENID}</ToUserName><FromUserName>{driver.ORIGINAL_ID}</FromUserName>"
    f"<CreateTime>1</CreateTime><MsgType>text</MsgType><Content>{'长' * 683}</Content></xml>"
)


def crypto(stand: Any) -> WeChatCrypto:
    settings = stand.settings
    return WeChatCrypto(settings.wechat_token, settings.wechat_aes_key, settings.wechat_app_id)


def read(stand: Any, at: int = -1) -> Any:
    """Read a callback as a careful service does."""
    query, body = stand.service.callbacks[at]
    token = stand.settings.wechat_token
    check_signature(token, query["signature"], query["timestamp"], query["nonce"])
    if query.get("encrypt_type") == "aes":
        sign = (query["msg_signature"], query["timestamp"], query["nonce"])
        body = crypto(stand).decrypt_message(body, *sign)
    return parse_message(body)


def answer_with(stand: Any, text: str, *, sealed: bool) -> None:
    def reply(body: bytes) -> Response:
        query = request.args
        if sealed:
            sign = (query["msg_signature"], query["timestamp"], query["nonce"])
            body = crypto(stand).decrypt_message(body, *sign)
        xml = create_reply(text, parse_message(body)).render()
        if sealed:
            xml = crypto(stand).encrypt_message(xml, query["nonce"], query["timestamp"])
        return Response(xml)

    stand.service.reply = reply


def push(stand: Any, **asked: Any) -> Any:
    return stand.api("push", {"openid": OPENID} | asked)


class TestModes:
    @pytest.mark.parametrize("mode", ["plain", "compat", "safe"])
    def test_wechatpy_reads_and_answers(self, stand: Any, mode: str) -> None:
        answer_with(stand, "您好 <好>", sealed=mode != "plain")
        outcome = push(stand, text="我还差多少没还", mode=mode)
        assert (outcome["result"], outcome["attempts"]) == ("accepted", 1)
        assert outcome["reply"]["ToUserName"] == OPENID
        message = read(stand)
        assert (message.type, message.content, message.source) == ("text", "我还差多少没还", OPENID)
        assert message.create_time.timestamp() == stand.clock.now().timestamp()

    def test_safe_mode_shows_nothing_in_the_clear(self, stand: Any) -> None:
        push(stand, text="秘密", mode="safe")
        push(stand, text="秘密", mode="compat")
        bodies = [body.decode() for _, body in stand.service.callbacks]
        assert ["秘密" in body for body in bodies] == [False, True]

    def test_default_is_the_setting(self, stand: Any) -> None:
        push(stand, text="你好")
        assert stand.service.callbacks[0][0]["encrypt_type"] == "aes"


class TestKinds:
    @pytest.mark.parametrize(
        ("asked", "kind", "attribute", "value"),
        [
            ({"kind": "click", "key": "progress"}, "event", "key", "progress"),
            ({"kind": "view", "url": "https://x.cn/h5"}, "event", "url", "https://x.cn/h5"),
            ({"kind": "scan", "scene": "shop1"}, "event", "scene_id", "shop1"),
            ({"kind": "follow"}, "event", "event", "subscribe"),
            ({"kind": "follow", "scene": "9"}, "event", "scene_id", "9"),
            ({"kind": "unfollow"}, "event", "event", "unsubscribe"),
            ({"kind": "image"}, "image", "type", "image"),
            ({"kind": "voice", "text": "还款"}, "voice", "recognition", "还款"),
            ({"kind": "location"}, "location", "label", "深圳市南山区"),
            ({"kind": "msgmenu", "text": "查账单", "id": "2"}, "text", "content", "查账单"),
        ],
    )
    def test_each_is_read_by_wechatpy(
        self, stand: Any, asked: dict[str, Any], kind: str, attribute: str, value: str
    ) -> None:
        push(stand, **asked)
        message = read(stand)
        assert (message.type, getattr(message, attribute)) == (kind, value)

    def test_raw_sends_odd_things(self, stand: Any) -> None:
        push(stand, kind="raw", fields={"MsgType": "event", "Event": "surprise"}, mode="plain")
        assert b"<Event><![CDATA[surprise]]></Event>" in stand.service.callbacks[0][1]

    @pytest.mark.parametrize("asked", [{"kind": "dance"}, {"kind": "text"}, {"kind": "click"}])
    def test_incomplete_is_refused(self, stand: Any, asked: dict[str, Any]) -> None:
        answer = stand.post("push", {"openid": OPENID} | asked)
        assert (answer.status_code, answer.json()["code"]) == (422, "push-invalid")

    def test_same_message_can_come_twice(self, stand: Any) -> None:
        for _ in range(2):
            push(stand, text="你好", msg_id=42)
        assert [read(stand, at).id for at in (0, 1)] == [42, 42]


class TestJudgement:
    def test_empty_and_success_are_no_reply(self, stand: Any) -> None:
        for text in ("", "success"):
            stand.service.reply = lambda _body, text=text: Response(text)
            outcome = push(stand, text="你好")
            assert (outcome["result"], outcome["reply"]) == ("accepted", None)

    @pytest.mark.parametrize(
        ("xml", "why"),
        [
            ("hello", "not XML"),
            ("<xml><MsgType>text</MsgType></xml>", "not swapped"),
            ("<xml><A>1</A><A>2</A></xml>", "repeated"),
            ("<!DOCTYPE x><xml></xml>", "document type"),
            (TOO_LONG, "2048"),
        ],
    )
    def test_malformed_shows_the_fault_notice(self, stand: Any, xml: str, why: str) -> None:
        stand.service.reply = lambda _body: Response(xml)
        outcome = push(stand, text="你好", mode="plain")
        assert (outcome["result"], outcome["attempts"]) == ("fault", 1)
        assert why in outcome["reason"]
        shown = stand.api(f"timeline?openid={OPENID}")["entries"][-1]
        assert "出现故障" in shown["content"]["text"]

    def test_text_that_breaks_out_of_cdata_is_caught(self, stand: Any) -> None:
        answer_with(stand, "您好 ]]> <好>", sealed=True)  # wechatpy does not split it
        assert push(stand, text="你好")["result"] == "fault"

    def test_plain_reply_in_safe_mode_and_a_wrong_key_are_faults(self, stand: Any) -> None:
        answer_with(stand, "您好", sealed=False)
        stand.service.reply = lambda _body: Response("<xml><MsgType>text</MsgType></xml>")
        assert push(stand, text="你好")["result"] == "fault"
        other = WeChatCrypto(stand.settings.wechat_token, "a" * 43, stand.settings.wechat_app_id)
        stand.service.reply = lambda _body: Response(other.encrypt_message("<xml/>", "n", "1"))
        assert "decrypted" in push(stand, text="你好")["reason"]

    def test_three_tries_each_signed_anew(self, stand: Any) -> None:
        stand.service.reply = lambda _body: Response(status=500)
        outcome = push(stand, text="你好")
        assert (outcome["result"], outcome["attempts"]) == ("failed", 3)
        assert len({query["nonce"] for query, _ in stand.service.callbacks}) == 3
        assert len({read(stand, at).id for at in range(3)}) == 1

    def test_too_slow_is_tried_again(self, stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(driver, "TIMEOUT_S", 0.2)
        slow = threading.Event()
        stand.service.reply = lambda _body: Response("" if slow.wait(60) else "success")
        outcome = push(stand, text="你好")
        slow.set()
        assert (outcome["result"], outcome["reason"]) == ("failed", "ReadTimeout")

    def test_transfer_to_staff_waits_for_one(self, stand: Any) -> None:
        def reply(body: bytes) -> Response:
            message = parse_message(body)
            xml = (
                f"<xml><ToUserName><![CDATA[{message.source}]]></ToUserName>"
                f"<FromUserName><![CDATA[{message.target}]]></FromUserName>"
                "<CreateTime>1</CreateTime>"
                "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
            )
            return Response(xml)

        stand.service.reply = reply
        push(stand, text="转人工", mode="plain")
        assert stand.api("state")["waiting_for_staff"] == [OPENID]
