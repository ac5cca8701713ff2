from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from patience import turns
from redis.exceptions import ConnectionError as RedisGone
from sqlalchemy import func, select, update

import bot.views
from bot import phrases
from bot.crypto import signature
from bot.memory import Memory
from contact.ports import AddressKind
from contact.queries import customer_of
from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing.queries import alerts, complaints_of, holds_of
from servicing.tables import Alert, Complaint, Loan

MODES = ("plain", "compat", "safe")


def words_of(told: Callable[[str], list[dict[str, Any]]], count: int) -> list[str]:
    """Wait for what the assistant says after its reply."""
    for _ in turns():
        words = [facts["text"] for facts in told("late_reply")]
        if len(words) >= count:
            break
    return words


class TestEcho:
    def signed(self, runtime: Runtime, token: str) -> dict[str, str]:
        timestamp = str(int(runtime.clock.now().timestamp()))
        signed = signature(token, timestamp, "n")
        return {"signature": signed, "timestamp": timestamp, "nonce": "n", "echostr": "42"}

    @pytest.mark.parametrize("mode", MODES)
    def test_answers_the_proof_of_address_bare(
        self, make_pusher: Callable[..., Any], runtime: Runtime, mode: str
    ) -> None:
        query = self.signed(runtime, runtime.settings.wechat_token)
        response = make_pusher(wechat_mode=mode).client.get("/wechat", query_string=query)
        assert (response.status_code, response.data) == (200, b"42")

    @pytest.mark.parametrize(
        "change", [{"nonce": "m"}, {"timestamp": "1"}, {"timestamp": "x"}, {"signature": "é"}]
    )
    def test_refuses_what_is_not_signed_so(
        self, wechat: Any, runtime: Runtime, change: dict[str, str]
    ) -> None:
        query = self.signed(runtime, runtime.settings.wechat_token) | change
        assert wechat.client.get("/wechat", query_string=query).status_code == 403

    def test_an_empty_token_signs_nothing(
        self, make_pusher: Callable[..., Any], runtime: Runtime
    ) -> None:
        pusher = make_pusher(wechat_token="")
        query = self.signed(runtime, "")
        assert pusher.client.get("/wechat", query_string=query).status_code == 403


class TestReceive:
    @pytest.mark.parametrize("mode", MODES)
    def test_tells_progress_to_the_borrower(
        self, make_pusher: Callable[..., Any], openid: str, mode: str
    ) -> None:
        reply = make_pusher(wechat_mode=mode).say(openid, "我还差多少没还")
        assert "您还需还 ¥" in reply
        assert "已还 4/12 期" in reply

    @pytest.mark.parametrize("mode", MODES)
    def test_the_reply_goes_back_to_the_sender(
        self, make_pusher: Callable[..., Any], openid: str, mode: str
    ) -> None:
        pusher = make_pusher(wechat_mode=mode)
        fields = pusher.opened(pusher.text(openid, "菜单"))
        assert (fields["ToUserName"], fields["FromUserName"]) == (openid, "gh_test")

    def test_json_accounts_get_json(self, make_pusher: Callable[..., Any], openid: str) -> None:
        body = f'{{"ToUserName":"gh_test","FromUserName":"{openid}","CreateTime":1,"MsgId":7'
        pusher = make_pusher(wechat_mode="plain")
        response = pusher.push_raw(body + ',"MsgType":"text","Content":"菜单"}')
        assert response.get_json(force=True)["Content"] == phrases.MENU

    @pytest.mark.parametrize("mode", ["compat", "safe"])
    def test_the_setting_decides_and_not_the_request(
        self, make_pusher: Callable[..., Any], openid: str, mode: str
    ) -> None:
        pusher = make_pusher(wechat_mode=mode)
        assert pusher.text(openid, "菜单", mode="plain").status_code == 403
        query = {"encrypt_type": "raw"}
        assert pusher.text(openid, "菜单", mode="plain", query=query).status_code == 403

    def test_the_sealed_part_counts_in_compat_mode(
        self, make_pusher: Callable[..., Any], openid: str
    ) -> None:
        pusher = make_pusher(wechat_mode="compat")
        response = pusher.push(
            {"FromUserName": openid, "MsgType": "text", "Content": "菜单", "MsgId": "9"}
        )
        assert pusher.opened(response)["Content"] == phrases.MENU

    def test_the_key_before_still_opens_during_a_rotation(
        self, make_pusher: Callable[..., Any], runtime: Runtime, openid: str
    ) -> None:
        old, new = runtime.settings.wechat_aes_key, "a" * 43
        sender = make_pusher()
        rotated = make_pusher(wechat_aes_key=new, wechat_previous_aes_key=old)
        sender.client = rotated.client
        response = sender.text(openid, "菜单")
        assert rotated.opened(response)["Content"] == phrases.MENU

    def test_refuses_a_wrong_token(self, wechat: Any, openid: str) -> None:
        assert wechat.text(openid, "菜单", token="another").status_code == 403

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_refuses_what_is_not_fresh(
        self, wechat: Any, clock: FixedClock, openid: str, seconds: int
    ) -> None:
        stale = clock.now() + timedelta(seconds=seconds)
        wechat.now = stale.timestamp
        assert wechat.text(openid, "菜单").status_code == 403

    def test_one_signed_address_carries_one_message(self, wechat: Any, openid: str) -> None:
        assert wechat.text(openid, "菜单", msg_id="1", nonce="same").status_code == 200
        assert wechat.text(openid, "菜单", msg_id="1", nonce="same").status_code == 200
        assert wechat.text(openid, "我的分期", msg_id="2", nonce="same").status_code == 403
        assert wechat.text(openid, "我的分期", msg_id="2").status_code == 200

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        "body",
        ["", "<xml/>", "not xml", "<xml><Encrypt>%%</Encrypt></xml>", "{", "[]", "\0", "{}" * 9],
    )
    def test_unsigned_odd_bodies_are_refused_without_failing(
        self, make_pusher: Callable[..., Any], mode: str, body: str
    ) -> None:
        client = make_pusher(wechat_mode=mode).client
        assert client.post("/wechat?timestamp=1&nonce=2", data=body.encode()).status_code == 403

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        "body",
        [
            "",
            "<xml></xml>",
            "<xml>",
            "plain words",
            "<foo><MsgType>text</MsgType></foo>",
            "<xml><MsgType>text</MsgType></xml>",
            "<xml><FromUserName>o</FromUserName><ToUserName>g</ToUserName></xml>",
            "<xml><FromUserName>o</FromUserName><FromUserName>o</FromUserName></xml>",
            "<xml>" + "<a>" * 2_500 + "</a>" * 2_500 + "</xml>",
            '<!DOCTYPE x [<!ENTITY a "b">]><xml><Content>&a;</Content></xml>',
            '<?xml version="1.0" encoding="utf-7"?><xml><a>+</a></xml>',
            '{"FromUserName": "\\ud800", "MsgType": "text"}',
            '{"FromUserName": 1, "MsgType": [] }',
        ],
        ids=range(13),
    )
    def test_signed_but_unreadable_is_taken_in_silence(
        self, make_pusher: Callable[..., Any], mode: str, body: str
    ) -> None:
        response = make_pusher(wechat_mode=mode).push_raw(body)
        assert (response.status_code, response.data) in [(200, b"success"), (403, b"")]

    @pytest.mark.parametrize(
        "fields",
        [
            {"CreateTime": "soon"},
            {"MsgId": "9" * 500},
            {"Content": ""},
            {"MsgType": "notsure"},
            {"MsgType": "event", "Event": "no_such_event"},
            {"MsgType": "event"},
            {"MsgType": "event", "Event": "TEMPLATESENDJOBFINISH", "CreateTime": "9" * 30},
            {"MsgType": "event", "Event": "CLICK"},
            {"Content": {"nested": "x"}},
        ],
    )
    def test_odd_fields_never_fail(self, wechat: Any, openid: str, fields: dict[str, Any]) -> None:
        whole = {"FromUserName": openid, "MsgType": "text", "Content": "x", "MsgId": "1"} | fields
        response = wechat.push(whole)
        assert response.status_code == 200
        assert wechat.opened(response).get("ToUserName", openid) == openid

    def test_a_body_over_the_limit_is_refused(self, wechat: Any) -> None:
        assert wechat.client.post("/wechat", data=b"x" * 70_000).status_code == 413

    def test_without_redis_the_borrower_hears_an_apology(
        self, wechat: Any, openid: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(*_args: object, **_kwargs: object) -> None:
            raise RedisGone

        monkeypatch.setattr(Memory, "admit", gone)
        assert wechat.say(openid, "我的分期") == phrases.BUSY

    def test_our_own_fault_is_taken_in_silence(
        self, wechat: Any, openid: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object, **_kwargs: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(bot.views, "open_push", fail)
        response = wechat.text(openid, "菜单")
        assert (response.status_code, response.data) == (200, b"success")


class TestDeduplication:
    def test_a_repeat_gets_the_same_answer(self, wechat: Any, openid: str) -> None:
        first = wechat.say(openid, "投诉", msg_id="5")
        assert "编号" in first
        assert wechat.say(openid, "投诉", msg_id="5") == first

    def test_the_number_of_another_sender_is_no_repeat(
        self, wechat: Any, people: list[dict[str, str]]
    ) -> None:
        mine = wechat.say(people[0]["openid"], "我的分期", msg_id="5")
        theirs = wechat.say(people[1]["openid"], "我的分期", msg_id="5")
        assert mine != theirs

    def test_events_of_one_second_differ_by_their_key(self, wechat: Any, openid: str) -> None:
        click = {"FromUserName": openid, "MsgType": "event", "Event": "CLICK", "CreateTime": 5}
        first = wechat.opened(wechat.push(click | {"EventKey": "progress"}))["Content"]
        second = wechat.opened(wechat.push(click | {"EventKey": "next_due"}))["Content"]
        assert first != second

    def test_parallel_retries_act_once(self, wechat: Any, runtime: Runtime, openid: str) -> None:
        with ThreadPoolExecutor(6) as pool:
            told = list(pool.map(lambda _: wechat.text(openid, "投诉", msg_id="6"), range(12)))
        with runtime.database.read() as session:
            opened = session.scalar(select(func.count()).select_from(Complaint))
        assert opened == 1
        assert {response.status_code for response in told} == {200}

    def test_stored_answers_are_encrypted(self, wechat: Any, runtime: Runtime, openid: str) -> None:
        wechat.say(openid, "我的分期")
        values = [runtime.redis.get(key) for key in runtime.redis.keys("fenqi:bot:push:*")]
        assert values
        assert all(openid.encode() not in value for value in values)
        assert all(b"\xc2\xa5" not in value for value in values)


class TestDialogue:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("下一期", "应还 ¥"),
            ("为什么是这个金额", "× 年利率"),
            ("我要还款", "/h5/repay/1"),
            ("提前结清", "/h5/repay/1?for=settle"),
            ("失业了还不上", "别着急"),
            ("能不能晚几天还", "客服核实"),
            ("我明天还", "已了解"),
            ("打错了", "打扰"),
            ("还款到账了吗", "还款"),
            ("绑定", "已经绑定"),
            ("0", "回复数字"),
            ("你好", "分期小助手"),
            ("谢谢", "不客气"),
            ("天上有几朵云", "没太明白"),
        ],
    )
    def test_answers_every_question(self, wechat: Any, openid: str, text: str, words: str) -> None:
        assert words in wechat.say(openid, text)

    @pytest.mark.parametrize("text", ["我的分期", "下一期", "还款", "投诉", "还款成功了吗"])
    def test_a_stranger_learns_nothing_and_is_led_to_bind(
        self, wechat: Any, openid: str, text: str
    ) -> None:
        told = wechat.say("oStranger", text)
        assert "¥" not in told
        assert "/h5/bind" in told

    @pytest.mark.parametrize("text", ["转人工", "5"])
    def test_hands_over_to_a_person(self, wechat: Any, openid: str, text: str) -> None:
        fields = wechat.opened(wechat.text(openid, text))
        assert fields["MsgType"] == "transfer_customer_service"

    def test_an_offered_person_comes_on_yes(self, wechat: Any, openid: str) -> None:
        wechat.say(openid, "失业了")
        assert wechat.opened(wechat.text(openid, "好的"))["MsgType"] != "text"

    def test_a_question_is_asked_only_once(self, wechat: Any, openid: str) -> None:
        wechat.say(openid, "失业了")
        wechat.say(openid, "我的分期")
        assert wechat.say(openid, "好的") == phrases.THANKS

    def test_unbinding_needs_a_word_more(self, wechat: Any, runtime: Runtime, openid: str) -> None:
        assert "确认解绑" in wechat.say(openid, "解绑")
        assert wechat.say(openid, "取消") == phrases.KEPT
        assert "¥" in wechat.say(openid, "我的分期")
        wechat.say(openid, "解绑")
        assert wechat.say(openid, "确认解绑") == phrases.UNBOUND
        with runtime.database.read() as session:
            left = customer_of(
                session, channel_kind=AddressKind.WECHAT, address=openid, cipher=runtime.cipher
            )
        assert left is None
        assert wechat.say(openid, "解绑") == phrases.NOT_BOUND

    def test_a_complaint_is_kept_in_the_borrowers_words(
        self, wechat: Any, runtime: Runtime, openid: str
    ) -> None:
        told = wechat.say(openid, "我要投诉你们乱收费")
        with runtime.database.read() as session:
            (kept,) = complaints_of(session, runtime.cipher, customer_id=1)
        assert kept.text == "我要投诉你们乱收费"
        assert kept.complaint_no in told
        assert kept.complaint_no in wechat.say(openid, "还是要投诉")
        with runtime.database.read() as session:
            (kept,) = complaints_of(session, runtime.cipher, customer_id=1)
        assert kept.text == "我要投诉你们乱收费\n还是要投诉"

    def test_who_may_harm_themselves_gets_a_person_at_once_and_is_left_alone(
        self, wechat: Any, runtime: Runtime, openid: str, told: Callable[..., Any]
    ) -> None:
        for text in ("再逼我我就跳楼", "我不想活了"):
            reply = wechat.opened(wechat.text(openid, text))
            assert reply["MsgType"] == "transfer_customer_service"
        assert words_of(told, 2) == [phrases.CRISIS] * 2
        at = runtime.clock.now()
        with runtime.database.read() as session:
            (alert,) = alerts(session)
            (hold,) = holds_of(session, customer_id=1, at=at)
        assert (alert.kind, alert.severity, alert.customer_id) == ("borrower-at-risk", "high", 1)
        assert (hold.scope, hold.until) == ("all", at + timedelta(days=3))

    def test_a_stranger_who_may_harm_themselves_gets_a_person_too(
        self, wechat: Any, runtime: Runtime
    ) -> None:
        reply = wechat.opened(wechat.text("oStranger", "不想活了"))
        assert reply["MsgType"] == "transfer_customer_service"
        with runtime.database.read() as session:
            (alert,) = alerts(session)
            assert "oStranger" not in str(session.scalar(select(Alert.key)))
        assert alert.customer_id is None

    def test_who_names_the_supervisor_gets_a_person_and_a_number(
        self, wechat: Any, runtime: Runtime, openid: str, told: Callable[..., Any]
    ) -> None:
        reply = wechat.opened(wechat.text(openid, "我要打12378告你们"))
        assert reply["MsgType"] == "transfer_customer_service"
        with runtime.database.read() as session:
            (kept,) = complaints_of(session, runtime.cipher, customer_id=1)
        assert kept.complaint_no in words_of(told, 1)[0]
        stranger = wechat.opened(wechat.text("oStranger", "找消协"))
        assert stranger["MsgType"] == "transfer_customer_service"

    def test_who_is_not_understood_twice_is_offered_a_person(
        self, wechat: Any, openid: str
    ) -> None:
        assert wechat.say(openid, "天上有几朵云") == phrases.FALLBACK
        assert wechat.say(openid, "😂") == phrases.FALLBACK_AGAIN
        reply = wechat.opened(wechat.text(openid, "好"))
        assert reply["MsgType"] == "transfer_customer_service"

    @pytest.mark.parametrize("text", ["我老公办的还多少", "帮我查下13800138000的欠款"])
    def test_nobody_hears_of_others(self, wechat: Any, openid: str, text: str) -> None:
        assert wechat.say(openid, text) == phrases.OTHERS

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("我想退货", phrases.SERVICE),
            ("别再打电话了", phrases.STOP_CONTACT),
            ("傻逼", phrases.ABUSE),
        ],
    )
    def test_what_needs_a_person_says_so(
        self, wechat: Any, openid: str, text: str, told: str
    ) -> None:
        assert wechat.say(openid, text) == told

    def test_voice_is_understood_by_its_words(self, wechat: Any, openid: str) -> None:
        voice = {"FromUserName": openid, "MsgType": "voice", "Recognition": "我的分期。"}
        assert "¥" in wechat.opened(wechat.push(voice | {"MsgId": "1"}))["Content"]

    @pytest.mark.parametrize("kind", ["image", "location", "link", "video"])
    def test_other_media_get_the_menu(self, wechat: Any, openid: str, kind: str) -> None:
        fields = {"FromUserName": openid, "MsgType": kind, "MsgId": "1"}
        assert wechat.opened(wechat.push(fields))["Content"] == phrases.UNREADABLE

    def test_a_menu_key_is_an_intent(self, wechat: Any, openid: str) -> None:
        told = wechat.opened(wechat.event(openid, "CLICK", EventKey="next_due"))["Content"]
        assert "应还 ¥" in told
        other = wechat.opened(wechat.event(openid, "CLICK", EventKey="gone"))["Content"]
        assert other == phrases.MENU

    def test_a_chosen_line_of_a_menu_message_counts_more_than_its_words(
        self, wechat: Any, openid: str
    ) -> None:
        fields = {"FromUserName": openid, "MsgType": "text", "Content": "还款", "MsgId": "1"}
        told = wechat.opened(wechat.push(fields | {"bizmsgmenuid": "next_due"}))["Content"]
        assert "第 5/12 期" in told

    @pytest.mark.parametrize("event", ["subscribe", "SCAN"])
    def test_greets_followers(self, wechat: Any, openid: str, event: str) -> None:
        assert "分期小助手" in wechat.opened(wechat.event(openid, event))["Content"]
        assert "/h5/bind" in wechat.opened(wechat.event("oNew", event))["Content"]

    @pytest.mark.parametrize(
        "event", ["unsubscribe", "VIEW", "LOCATION", "kf_create_session", "whatever"]
    )
    def test_other_events_are_taken_in_silence(self, wechat: Any, openid: str, event: str) -> None:
        assert wechat.event(openid, event).data == b"success"

    def test_a_template_result_about_none_of_ours_is_taken(self, wechat: Any, openid: str) -> None:
        response = wechat.event(openid, "TEMPLATESENDJOBFINISH", MsgID=1, Status="success")
        assert response.data == b"success"

    @pytest.mark.parametrize(
        ("person", "text", "words"),
        [
            (1, "下一期", "就是今天"),
            (2, "我的分期", "已过还款日 5 天，待还 ¥"),
            (2, "下一期", "已过 5 天"),
            (2, "还款", "第 4 期 ¥"),
            (3, "下一期", "第 12/12 期"),
        ],
    )
    def test_each_borrower_hears_their_own_state(
        self, wechat: Any, people: list[dict[str, str]], person: int, text: str, words: str
    ) -> None:
        assert words in wechat.say(people[person]["openid"], text)

    def test_goods_cannot_hold_a_link(self, wechat: Any, runtime: Runtime, openid: str) -> None:
        with runtime.database.write() as session:
            session.execute(update(Loan).values(merchandise='<a href="x">手机</a>'))
        assert "＜a" in wechat.say(openid, "我的分期")

    def test_a_settled_borrower_is_thanked(
        self, wechat: Any, runtime: Runtime, openid: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.answers.queries.loans_of", lambda *_args, **_kwargs: ())
        assert wechat.say(openid, "我的分期") == phrases.NO_LOANS
