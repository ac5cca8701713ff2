import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from contact.channels.tokens import TokenKeeper
from contact.channels.wechat import WeChatClient
from contact.ports import OutcomeUnknown, ProviderNotReached, WeChatError
from kernel.settings import Settings


@pytest.fixture
def make_client(settings: Settings, providers: Any, redis: Redis) -> Any:
    def make(**changes: Any) -> Any:
        own = replace(settings, wechat_api_base=f"{providers.url}/wechat", **changes)
        return WeChatClient(settings=own, redis=redis)

    return make


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class TestToken:
    def test_is_fetched_once_by_eight_workers_that_start_cold(
        self, make_client: Any, providers: Any
    ) -> None:
        providers.delay_s = 0.05
        clients = [make_client() for _ in range(8)]
        in_threads(8, lambda: clients.pop().send_text("openid", "hi"))
        assert providers.calls["custom/send"] == 8
        assert providers.calls["stable_token"] == 1

    def test_that_is_refused_once_is_fetched_again_and_the_call_repeated(
        self, make_client: Any, providers: Any
    ) -> None:
        client = make_client()
        client.send_text("openid", "hi")
        providers.bad_tokens, providers.token = {"token-1"}, "token-2"
        client.send_text("openid", "hi")
        assert providers.calls["stable_token"] == 2
        assert providers.calls["custom/send"] == 3
        assert len(providers.texts) == 2

    def test_that_is_refused_for_ever_makes_two_calls_and_no_more(
        self, make_client: Any, providers: Any
    ) -> None:
        client = make_client()
        client.send_text("openid", "hi")
        providers.calls.clear()
        providers.are_all_tokens_bad = True
        with pytest.raises(WeChatError) as caught:
            client.send_text("openid", "hi")
        assert caught.value.errcode == 40001
        assert providers.calls == {"custom/send": 2, "stable_token": 1}

    def test_of_another_process_is_not_dropped_for_the_one_used(self, redis: Redis) -> None:
        keeper = TokenKeeper(redis, "app", lambda: ("new", 7200))
        assert keeper.token() == "new"
        keeper.drop("old")
        assert redis.get("fenqi:wechat:token:app") == b"new"
        keeper.drop("new")
        assert redis.get("fenqi:wechat:token:app") is None

    def test_is_renewed_before_the_platform_forgets_it(self, redis: Redis) -> None:
        TokenKeeper(redis, "app", lambda: ("new", 7200)).token()
        assert 6800 < redis.ttl("fenqi:wechat:token:app") <= 6900

    def test_that_cannot_be_had_means_that_nothing_was_sent(
        self, make_client: Any, providers: Any
    ) -> None:
        providers.script["stable_token"] = [{"errcode": 40125, "errmsg": "x"}, "drop"]
        client = make_client()
        with pytest.raises(WeChatError):
            client.send_text("openid", "hi")
        with pytest.raises(ProviderNotReached):
            client.send_text("openid", "hi")
        assert providers.texts == []

    def test_cannot_be_had_without_redis(
        self, make_client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = make_client()
        gone = Redis(unix_socket_path="/nonexistent", retry=Retry(NoBackoff(), 0))
        monkeypatch.setattr(client._tokens, "_redis", gone)
        with pytest.raises(ProviderNotReached):
            client.send_text("openid", "hi")
        with pytest.raises(ProviderNotReached):
            client._tokens.drop("x")


class TestCalls:
    def test_are_tried_again_while_the_platform_is_busy(
        self, make_client: Any, providers: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pauses = []
        monkeypatch.setattr("contact.channels.wechat.time.sleep", pauses.append)
        busy = {"errcode": -1, "errmsg": "system error"}
        providers.script["custom/send"] = [busy, busy]
        make_client().send_text("openid", "hi")
        assert providers.calls["custom/send"] == 3
        assert 0 < pauses[0] < pauses[1] * 2

    def test_give_up_when_it_stays_busy(
        self, make_client: Any, providers: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("contact.channels.wechat.time.sleep", lambda _s: None)
        providers.script["custom/send"] = [{"errcode": -1, "errmsg": "x"}] * 5
        with pytest.raises(WeChatError) as caught:
            make_client().send_text("openid", "hi")
        assert caught.value.errcode == -1
        assert providers.calls["custom/send"] == 3

    def test_report_the_platforms_error_without_its_request_id(
        self, make_client: Any, providers: Any
    ) -> None:
        providers.script["custom/send"] = [{"errcode": 45015, "errmsg": "out of time rid: 1-2"}]
        with pytest.raises(WeChatError, match=r"errcode 45015: out of time$"):
            make_client().send_text("openid", "hi")

    def test_whose_answer_is_lost_are_unknown(self, make_client: Any, providers: Any) -> None:
        providers.script["custom/send"] = ["hang"]
        with pytest.raises(OutcomeUnknown):
            make_client().send_text("openid", "hi")

    def test_that_find_nobody_reach_nobody(self, settings: Settings, redis: Redis) -> None:
        own = replace(settings, wechat_api_base="http://127.0.0.1:9")
        with pytest.raises(ProviderNotReached):
            WeChatClient(settings=own, redis=redis).send_text("openid", "hi")

    def test_of_every_kind_arrive_as_the_platform_wants_them(
        self, make_client: Any, providers: Any
    ) -> None:
        client = make_client()
        client.send_menu_message("openid", "head", [("1", "one")], "tail")
        client.create_menu({"button": []})
        assert client.get_user("openid")["errcode"] == 0
        assert client.call("GET", "/cgi-bin/getcallbackip")["errmsg"] == "ok"
        assert providers.texts[0]["msgmenu"] == {
            "head_content": "head",
            "list": [{"id": "1", "content": "one"}],
            "tail_content": "tail",
        }

    def test_cut_a_text_to_what_the_platform_takes(self, make_client: Any, providers: Any) -> None:
        make_client().send_text("openid", "汉" * 1000)
        assert len(providers.texts[0]["text"]["content"].encode()) <= 2048

    def test_return_the_id_of_a_template_message(self, make_client: Any) -> None:
        client = make_client()
        ids = {client.send_template("openid", "T", {"thing1": "x"}, "", "id-1") for _ in range(2)}
        assert ids == {"9000"}
