"""The official account's platform, called by the real wechatpy over a socket."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from wechatpy import WeChatClient, WeChatOAuth
from wechatpy.exceptions import WeChatClientException, WeChatOAuthException

OPENID = "oFenqiTestPerson0000000000001"


class ToStand(HTTPAdapter):
    """Sends what is meant for WeChat to the stand-in, as our own tests of wechatpy do."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(request.url)
        request.url = f"{self._base}/sandbox/wechat{parts.path}?{parts.query}"
        return super().send(request, *args, **kwargs)


@pytest.fixture
def client(stand: Any) -> WeChatClient:
    settings = stand.settings
    made = WeChatClient(
        settings.wechat_app_id, settings.wechat_app_secret, timeout=60, auto_retry=False
    )
    for host in ("https://api.weixin.qq.com", "https://mp.weixin.qq.com"):
        made._http.mount(host, ToStand(stand.base))
    return made


@pytest.fixture
def errcode() -> Callable[[Callable[[], object]], int]:
    def call(action: Callable[[], object]) -> int:
        with pytest.raises(WeChatClientException) as caught:
            action()
        assert " rid: " in caught.value.errmsg
        return int(caught.value.errcode)

    return call


def stable(stand: Any, **more: Any) -> dict[str, Any]:
    body = {
        "grant_type": "client_credential",
        "appid": stand.settings.wechat_app_id,
        "secret": stand.settings.wechat_app_secret,
    }
    url = f"{stand.base}/sandbox/wechat/cgi-bin/stable_token"
    answer: dict[str, Any] = requests.post(url, json=body | more, timeout=60).json()
    return answer


class TestTokens:
    def test_wechatpy_fetches_one_and_uses_it(self, stand: Any, client: WeChatClient) -> None:
        assert client.user.get(OPENID)["subscribe"] == 0
        assert client.user.get(OPENID)["openid"] == OPENID
        assert stand.api("sent")["calls"]["token.plain"] == 1

    def test_stable_token_stays_the_same_until_five_minutes_before_its_end(
        self, stand: Any
    ) -> None:
        first = stable(stand)
        stand.clock.advance(timedelta(minutes=114))
        assert stable(stand)["access_token"] == first["access_token"]
        stand.clock.advance(timedelta(minutes=2))
        assert stable(stand)["access_token"] != first["access_token"]

    def test_forced_refresh_kills_the_previous_and_is_limited(self, stand: Any) -> None:
        old = stable(stand)["access_token"]
        new = stable(stand, force_refresh=True)["access_token"]
        url = f"{stand.base}/sandbox/wechat/cgi-bin/getcallbackip"
        codes = [
            requests.get(url, params={"access_token": token}, timeout=60).json().get("errcode")
            for token in (old, new)
        ]
        assert codes == [40001, None]
        assert stable(stand, force_refresh=True)["errcode"] == 45011

    @pytest.mark.parametrize(("times", "expected"), [(0, None), (None, 40001)])
    def test_previous_plain_token_lives_five_minutes_unless_strict(
        self, stand: Any, client: WeChatClient, times: int | None, expected: int | None
    ) -> None:
        stand.knob("token.plain", "strict", times=times)
        old = client.access_token
        client.fetch_access_token()
        url = f"{stand.base}/sandbox/wechat/cgi-bin/getcallbackip"
        answer = requests.get(url, params={"access_token": old}, timeout=60).json()
        assert answer.get("errcode") == expected

    def test_names_what_is_wrong(self, stand: Any) -> None:
        assert stable(stand, secret="wrong")["errcode"] == 40125
        assert stable(stand, appid="wx0")["errcode"] == 40013
        url = f"{stand.base}/sandbox/wechat/cgi-bin/getcallbackip"
        assert requests.get(url, timeout=60).json()["errcode"] == 41001
        token = stable(stand)["access_token"]
        stand.clock.advance(timedelta(hours=3))
        answer = requests.get(url, params={"access_token": token}, timeout=60).json()
        assert answer["errcode"] == 42001

    def test_ticket(self, client: WeChatClient) -> None:
        assert len(client.jsapi.get_ticket()["ticket"]) > 40


class TestCustomMessages:
    def test_without_a_word_from_the_person_none_goes_out(
        self, client: WeChatClient, errcode: Any
    ) -> None:
        assert errcode(lambda: client.message.send_text(OPENID, "您好")) == 45015

    def test_five_after_a_message_then_none(
        self, stand: Any, client: WeChatClient, errcode: Any
    ) -> None:
        stand.api("push", {"openid": OPENID, "text": "你好"})
        for _ in range(5):
            client.message.send_text(OPENID, "您好")
        assert errcode(lambda: client.message.send_text(OPENID, "您好")) == 45047
        assert len(stand.api(f"sent?openid={OPENID}&kind=custom")["sent"]) == 5

    def test_three_within_a_minute_after_a_tap(
        self, stand: Any, client: WeChatClient, errcode: Any
    ) -> None:
        stand.api("push", {"openid": OPENID, "kind": "click", "key": "mine"})
        client.message.send_text(OPENID, "您好")
        stand.clock.advance(timedelta(seconds=61))
        assert errcode(lambda: client.message.send_text(OPENID, "您好")) == 45015

    def test_unfollowing_ends_it(self, stand: Any, client: WeChatClient, errcode: Any) -> None:
        stand.api("push", {"openid": OPENID, "text": "你好"})
        stand.knob("wechat.custom", "unfollow", times=1)
        assert errcode(lambda: client.message.send_text(OPENID, "您好")) == 45015

    def test_menu_message_is_recorded(self, stand: Any, client: WeChatClient) -> None:
        stand.api("push", {"openid": OPENID, "text": "你好"})
        menu = {"head_content": "请选择", "list": [{"id": "1", "content": "查账单"}]}
        client.post(
            "message/custom/send",
            data={"touser": OPENID, "msgtype": "msgmenu", "msgmenu": menu},
        )
        sent = stand.api("sent")["sent"]
        assert sent[-1]["content"]["msgmenu"] == menu

    def test_refuses_an_odd_openid(self, client: WeChatClient, errcode: Any) -> None:
        assert errcode(lambda: client.message.send_text("张三", "您好")) == 40003


TEMPLATE = "TPL_BILL_0000000000000000000000000000000001"
FIELDS = {
    "thing1": {"value": "手机分期"},
    "amount2": {"value": "¥1234.56"},
    "time3": {"value": "2026年3月13日"},
    "phrase4": {"value": "即将到期"},
}


class TestTemplates:
    def send(self, client: WeChatClient, fields: dict[str, Any], **more: Any) -> Any:
        data = {"touser": OPENID, "template_id": TEMPLATE, "data": fields} | more
        return client.post("message/template/send", data=data)

    def test_wechatpy_sends_and_the_result_is_pushed(
        self, stand: Any, client: WeChatClient
    ) -> None:
        msgid = client.message.send_template(OPENID, TEMPLATE, FIELDS, url="https://x.cn/h5")[
            "msgid"
        ]
        stand.clock.advance(timedelta(seconds=2))
        stand.settle()
        assert len(stand.service.callbacks) == 1
        content = stand.api("sent")["sent"][0]["content"]
        assert (content["msgid"], content["fields"]["thing1"]) == (msgid, "手机分期")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("thing1", "一" * 21),
            ("character_string1", "中文"),
            ("character_string1", "x" * 33),
            ("phone_number1", "1" * 18),
            ("car_number1", "粤A8Z888挂9"),
            ("phrase1", "一二三四五六"),
            ("amount1", "很多钱"),
            ("time1", "明天"),
            ("thing1", ""),
            ("surprise1", "x"),
        ],
    )
    def test_names_the_field_that_breaks_its_rule(
        self, client: WeChatClient, name: str, value: str
    ) -> None:
        with pytest.raises(WeChatClientException) as caught:
            self.send(client, {name: {"value": value}})
        assert caught.value.errcode == 47003
        assert f"data.{name}.value invalid" in caught.value.errmsg

    def test_one_client_msg_id_is_one_message_for_ten_minutes(
        self, stand: Any, client: WeChatClient
    ) -> None:
        first = self.send(client, FIELDS, client_msg_id="c1")["msgid"]
        assert self.send(client, FIELDS, client_msg_id="c1")["msgid"] == first
        stand.clock.advance(timedelta(minutes=11))
        assert self.send(client, FIELDS, client_msg_id="c1")["msgid"] != first
        assert len(stand.api("sent?kind=template")["sent"]) == 2

    def test_not_a_follower(self, stand: Any, client: WeChatClient, errcode: Any) -> None:
        stand.api("push", {"openid": OPENID, "kind": "unfollow"})
        assert errcode(lambda: self.send(client, FIELDS)) == 43004

    def test_unknown_template(self, client: WeChatClient, errcode: Any) -> None:
        assert errcode(lambda: self.send(client, FIELDS, template_id="x")) == 40037

    def test_result_can_be_a_block(self, stand: Any, client: WeChatClient) -> None:
        stand.knob("wechat.template", "result", value="failed:user block", times=1)
        self.send(client, FIELDS)
        assert stand.api("sent")["sent"][0]["content"]["status"] == "failed:user block"


class TestMenuUsersStaff:
    def test_menu_is_kept(self, client: WeChatClient) -> None:
        assert client.menu.get() is None  # wechatpy's word for 46003
        menu = {"button": [{"type": "click", "name": "我的分期", "key": "progress"}]}
        client.menu.create(menu)
        assert client.menu.get()["menu"] == menu
        client.menu.delete()
        assert client.menu.get() is None

    @pytest.mark.parametrize(
        ("button", "expected"),
        [
            ({"type": "click", "name": "一二三四五六", "key": "k"}, 40018),
            ({"type": "click", "name": "好", "key": "k" * 129}, 40019),
            ({"type": "view", "name": "好", "url": ""}, 40020),
            ({"type": "dance", "name": "好"}, 40015),
            ({"name": "好", "sub_button": [{"type": "view", "name": "x", "url": "u"}] * 6}, 40023),
            ({"name": "好", "sub_button": [{"type": "view", "name": "x" * 41, "url": "u"}]}, 40025),
        ],
    )
    def test_menu_limits(
        self, client: WeChatClient, errcode: Any, button: dict[str, Any], expected: int
    ) -> None:
        assert errcode(lambda: client.menu.create({"button": [button]})) == expected

    def test_followers_are_the_people_of_the_book(self, stand: Any, client: WeChatClient) -> None:
        stand.api("people", [{"openid": OPENID, "name": "王小明", "phone": "13800000001"}])
        assert client.user.get_followers()["data"]["openid"] == [OPENID]
        assert client.user.get(OPENID)["subscribe"] == 1

    def test_a_session_with_staff(self, stand: Any, client: WeChatClient) -> None:
        accounts = client.customservice.get_accounts()
        client.customservice.create_session(OPENID, accounts[0]["kf_account"])
        assert client.customservice.get_session(OPENID)["kf_account"] == accounts[0]["kf_account"]
        client.customservice.close_session(OPENID, accounts[0]["kf_account"])
        assert client.customservice.get_wait_case()["count"] == 0
        assert len(client.customservice.get_online_accounts()) == 2
        assert stand.api("sent")["calls"]["wechat.customservice"] == 6


class TestOAuth:
    @pytest.fixture
    def oauth(self, stand: Any) -> WeChatOAuth:
        settings = stand.settings
        made = WeChatOAuth(
            settings.wechat_app_id,
            settings.wechat_app_secret,
            f"{settings.public_base_url}/h5/progress?from=chat",
            state="s1",
        )
        made.API_BASE_URL = f"{stand.base}/sandbox/wechat/"
        made.OAUTH_BASE_URL = f"{stand.base}/sandbox/wechat/connect/"
        return made

    def code(self, oauth: WeChatOAuth) -> str:
        cookies = {"sandbox_openid": OPENID}
        answer = requests.get(
            oauth.authorize_url, cookies=cookies, allow_redirects=False, timeout=60
        )
        assert answer.status_code == 302
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert (query["state"], query["from"]) == (["s1"], ["chat"])
        return query["code"][0]

    def test_gives_the_person_of_the_chat_window_once(self, oauth: WeChatOAuth) -> None:
        code = self.code(oauth)
        assert oauth.fetch_access_token(code)["openid"] == OPENID
        assert oauth.check_access_token()
        oauth.refresh_access_token(oauth.refresh_token)
        with pytest.raises(WeChatOAuthException) as caught:
            oauth.fetch_access_token(code)
        assert caught.value.errcode == 40163

    def test_a_code_lives_five_minutes(self, stand: Any, oauth: WeChatOAuth) -> None:
        code = self.code(oauth)
        stand.clock.advance(timedelta(minutes=6))
        with pytest.raises(WeChatOAuthException) as caught:
            oauth.fetch_access_token(code)
        assert caught.value.errcode == 40029

    def test_silent_scope_knows_no_name(self, oauth: WeChatOAuth) -> None:
        oauth.fetch_access_token(self.code(oauth))
        with pytest.raises(WeChatOAuthException) as caught:
            oauth.get_user_info()
        assert caught.value.errcode == 48001

    def test_answers_are_text_plain(self, stand: Any) -> None:
        answer = requests.get(f"{stand.base}/sandbox/wechat/sns/auth", timeout=60)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.json()["errcode"] == 40001

    def test_outside_wechat_there_is_a_guard_page(self, oauth: WeChatOAuth) -> None:
        answer = requests.get(oauth.authorize_url, timeout=60)
        assert "请在微信客户端打开链接" in answer.text

    def test_a_foreign_address_is_refused(self, oauth: WeChatOAuth) -> None:
        oauth.redirect_uri = "https://evil.example/h5"
        answer = requests.get(
            oauth.authorize_url,
            cookies={"sandbox_openid": OPENID},
            allow_redirects=False,
            timeout=60,
        )
        assert (answer.status_code, "10003" in answer.text) == (200, True)
