import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from pay_fake import FakePay

from bot import binding, login
from bot.h5 import KeyMissing
from kernel.clock import FixedClock, business_date
from kernel.jobs import DEFAULT_QUEUE, queue_of
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.offering import OfferKind
from servicing.operations import make_offer
from servicing.payments.ports import PayProvider

WECHAT = {"User-Agent": "Mozilla/5.0 MicroMessenger/8.0"}
NEW = "oNewAccount0000000000000001"


@pytest.fixture
def provider(runtime: Runtime, clock: FixedClock) -> FakePay:
    provider = FakePay(clock, is_paid=False)
    runtime.provide(PayProvider, provider)  # type: ignore[arg-type]
    return provider


@pytest.fixture
def sns() -> Iterator[tuple[str, dict[str, Any]]]:
    """WeChat's sign-in on a loopback port: its base address, and what it will answer."""
    answers: dict[str, Any] = {"body": {"openid": NEW}, "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers["asked"].append(urlsplit(self.path))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            body = answers["body"]
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(make_pusher: Callable[..., Any], sns: tuple[str, Any]) -> FlaskClient:
    client: FlaskClient = make_pusher(wechat_api_base=sns[0]).client
    client.environ_base["HTTP_USER_AGENT"] = WECHAT["User-Agent"]
    return client


def sign_in(client: FlaskClient, runtime: Runtime, openid: str) -> None:
    value = login._signer(runtime.settings, "session").dumps(openid)
    client.set_cookie("fenqi_h5", str(value), path="/h5")


@pytest.fixture
def signed_in(client: FlaskClient, runtime: Runtime, openid: str) -> FlaskClient:
    """The first demo borrower, who owns loan 1."""
    sign_in(client, runtime, openid)
    return client


def token_of(page: str) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    return found[1] if found else ""


def pay(client: FlaskClient, loan_id: int, path: str = "", **headers: str) -> Any:
    path = path or f"/h5/repay/{loan_id}"
    page = client.get(path).text
    found = re.search(r'data-key="([^"]+)"', page)
    given = {"Idempotency-Key": found[1] if found else "", "X-CSRFToken": token_of(page)}
    return client.post(path, headers=given | headers)


class TestGuard:
    @pytest.mark.parametrize("path", ["progress", "repay/1", "bind", "oauth", "result/x"])
    def test_outside_wechat_there_is_a_guard(self, signed_in: FlaskClient, path: str) -> None:
        response = signed_in.get(f"/h5/{path}", headers={"User-Agent": "Firefox"})
        assert response.status_code == 403
        assert "请在微信客户端打开链接" in response.text
        assert "¥" not in response.text

    def test_its_style_is_served_to_all(self, client: FlaskClient) -> None:
        response = client.get("/h5/static/h5.css", headers={"User-Agent": "Firefox"})
        assert response.status_code == 200

    def test_pages_are_not_kept_and_hold_no_inline_script(self, signed_in: FlaskClient) -> None:
        response = signed_in.get("/h5/progress")
        assert response.headers["Cache-Control"] == "no-store"
        assert re.findall(r"<script(?![^>]*\bsrc=)", response.text) == []
        assert re.findall(r'\s(on\w+|style)="', response.text) == []


class TestSignIn:
    def go(self, client: FlaskClient, path: str = "/h5/repay/1") -> dict[str, str]:
        response = client.get(path)
        assert response.status_code == 302
        query = parse_qs(urlsplit(response.location).query)
        return {name: values[0] for name, values in query.items()}

    def test_goes_to_wechat_silently_and_comes_back_to_the_page(
        self, client: FlaskClient, runtime: Runtime, openid: str, sns: tuple[str, Any]
    ) -> None:
        sns[1]["body"] = {"openid": openid}
        query = self.go(client)
        assert query["scope"] == "snsapi_base"
        assert query["redirect_uri"].endswith("/h5/oauth")
        assert len(query["state"]) <= 128
        back = client.get("/h5/oauth", query_string={"code": "c", "state": query["state"]})
        assert back.location == "/h5/repay/1"
        assert "下一期应还" in client.get("/h5/repay/1").text
        asked = parse_qs(sns[1]["asked"][0].query)
        assert asked["appid"] == [runtime.settings.wechat_app_id]

    def test_comes_back_to_the_settlement_that_the_chat_links_to(
        self, client: FlaskClient, openid: str, sns: tuple[str, Any]
    ) -> None:
        sns[1]["body"] = {"openid": openid}
        wanted = "/h5/repay/123456789012?for=settle"
        state = self.go(client, f"{wanted}&from=singlemessage")["state"]
        assert len(state) <= 128
        back = client.get("/h5/oauth", query_string={"code": "c", "state": state})
        assert back.location == wanted

    def test_the_cookie_is_for_these_pages_and_scripts_cannot_read_it(
        self, client: FlaskClient, openid: str, sns: tuple[str, Any]
    ) -> None:
        sns[1]["body"] = {"openid": openid}
        state = self.go(client)["state"]
        back = client.get("/h5/oauth", query_string={"code": "c", "state": state})
        (cookie,) = [
            line for line in back.headers.getlist("Set-Cookie") if line.startswith("fenqi_h5=")
        ]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/h5", "7200"))

    def test_two_pages_may_sign_in_at_once(self, client: FlaskClient) -> None:
        first = self.go(client, "/h5/bind")["state"]
        second = self.go(client, "/h5/progress")["state"]
        back = client.get("/h5/oauth", query_string={"code": "c", "state": first})
        assert back.location == "/h5/bind"
        back = client.get("/h5/oauth", query_string={"code": "c", "state": second})
        assert back.location == "/h5/progress"

    def test_anothers_sign_in_is_refused(
        self, client: FlaskClient, make_pusher: Callable[..., Any]
    ) -> None:
        state = self.go(client)["state"]
        victim = make_pusher().client
        query = {"code": "c", "state": state}
        response = victim.get("/h5/oauth", query_string=query, headers=WECHAT)
        assert response.status_code == 401
        assert "登录已失效" in response.text

    @pytest.mark.parametrize("state", ["", "x", "eyJhIjoxfQ.x.y"])
    def test_a_state_that_is_not_ours_is_refused(self, client: FlaskClient, state: str) -> None:
        response = client.get("/h5/oauth", query_string={"code": "c", "state": state})
        assert response.status_code == 401

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"errcode": 40029, "errmsg": "invalid code"}, 401),
            ({"errcode": 40163, "errmsg": "code been used"}, 401),
            ({}, 401),
            ([], 503),
            ("<html>", 503),
        ],
    )
    def test_a_bad_answer_signs_nobody_in(
        self, client: FlaskClient, sns: tuple[str, Any], body: Any, status: int
    ) -> None:
        state = self.go(client)["state"]
        sns[1]["body"] = body
        response = client.get("/h5/oauth", query_string={"code": "c", "state": state})
        assert response.status_code == status
        assert client.get("/h5/progress").status_code == 302

    def test_a_forged_cookie_is_nobody(self, client: FlaskClient, openid: str) -> None:
        client.set_cookie("fenqi_h5", openid, path="/h5")
        assert client.get("/h5/progress").status_code == 302

    def test_a_post_without_a_session_is_told_so(
        self, client: FlaskClient, runtime: Runtime, openid: str
    ) -> None:
        sign_in(client, runtime, openid)
        page = client.get("/h5/repay/1").text
        client.delete_cookie("fenqi_h5", path="/h5")
        response = client.post("/h5/repay/1", headers={"X-CSRFToken": token_of(page)})
        assert (response.status_code, response.get_json()["code"]) == (
            401,
            "wechat-login-refused",
        )

    def test_an_unbound_account_is_led_to_the_form(
        self, client: FlaskClient, runtime: Runtime
    ) -> None:
        sign_in(client, runtime, NEW)
        for path in ("/h5/progress", "/h5/repay", "/h5/repay/1", "/h5/"):
            assert client.get(path).location == "/h5/bind"
        page = client.get("/h5/bind").text
        response = client.post("/h5/repay/1", headers={"X-CSRFToken": token_of(page)})
        assert response.status_code == 403


class TestPages:
    def test_progress_shows_loans_and_plans(self, signed_in: FlaskClient) -> None:
        page = signed_in.get("/h5/progress").text
        assert "还需还" in page
        assert "<title>我的分期</title>" in page
        assert page.count("<tr class=") == 12

    def test_repay_gives_the_reason_of_every_fen(self, signed_in: FlaskClient) -> None:
        page = signed_in.get("/h5/repay/1").text
        amounts = [
            int(x.replace(",", "").replace(".", "")) for x in re.findall(r"¥([\d,.]+)", page)
        ]
        due, principal, interest = amounts[:3]
        assert due == principal + interest
        assert "÷ 12" in page

    def test_settling_names_a_sum_for_today_and_all_its_parts(self, signed_in: FlaskClient) -> None:
        assert "/h5/repay/1?for=settle" in signed_in.get("/h5/progress").text
        page = signed_in.get("/h5/repay/1?for=settle").text
        whole, principal, interest, total, saved = [
            int(x.replace(",", "").replace(".", "")) for x in re.findall(r"¥([\d,.]+)", page)
        ][:5]
        assert whole == principal + interest == total
        assert saved > 0
        assert "当天有效" in page

    def test_each_view_has_its_own_key(self, signed_in: FlaskClient) -> None:
        keys = [
            re.search(r'data-key="([^"]+)"', signed_in.get("/h5/repay/1").text) for _ in range(2)
        ]
        assert len({found[1] for found in keys if found}) == 2

    def test_repay_leads_to_the_one_loan(self, signed_in: FlaskClient) -> None:
        assert signed_in.get("/h5/repay").location == "/h5/repay/1"
        assert signed_in.get("/h5/").location == "/h5/progress"

    @pytest.mark.parametrize("path", ["/h5/repay/2", "/h5/repay/999", "/h5/result/none"])
    def test_anothers_thing_is_not_found(self, signed_in: FlaskClient, path: str) -> None:
        response = signed_in.get(path)
        assert (response.status_code, "¥" in response.text) == (404, False)

    def test_speaks_english_to_who_wants_it(self, signed_in: FlaskClient) -> None:
        signed_in.set_cookie("language", "en")
        assert '<html lang="en">' in signed_in.get("/h5/progress").text


class TestPay:
    def test_opens_an_order_for_what_is_shown(
        self, signed_in: FlaskClient, provider: FakePay, openid: str
    ) -> None:
        response = pay(signed_in, 1)
        answer = response.get_json()
        assert answer["params"]["package"] == "prepay_id=prepay-1"
        (order,) = provider.orders.values()
        assert (order.openid, order.out_trade_no) == (openid, answer["out_trade_no"])
        assert f"¥{order.amount_fen / 100:,.2f}" in signed_in.get("/h5/repay/1").text

    def test_opens_an_order_for_what_settles_the_loan(
        self, signed_in: FlaskClient, provider: FakePay
    ) -> None:
        response = pay(signed_in, 1, path="/h5/repay/1?for=settle")
        assert response.status_code == 200
        (order,) = provider.orders.values()
        page = signed_in.get("/h5/repay/1?for=settle").text
        assert f'<p class="head-sum">¥{order.amount_fen / 100:,.2f}' in page

    def test_the_same_key_is_the_same_order(
        self, signed_in: FlaskClient, provider: FakePay
    ) -> None:
        numbers = {
            pay(signed_in, 1, **{"Idempotency-Key": "k"}).get_json()["out_trade_no"]
            for _ in range(2)
        }
        assert len(numbers) == len(provider.orders) == 1

    def test_anothers_loan_is_not_found(self, signed_in: FlaskClient, provider: FakePay) -> None:
        page = signed_in.get("/h5/repay/1").text
        headers = {"Idempotency-Key": "k", "X-CSRFToken": token_of(page)}
        response = signed_in.post("/h5/repay/2", headers=headers)
        assert (response.status_code, response.get_json()["code"]) == (404, "loan-not-found")
        assert provider.orders == {}

    @pytest.mark.parametrize("token", ["", "x"])
    def test_needs_the_pages_own_token(
        self, signed_in: FlaskClient, provider: FakePay, token: str
    ) -> None:
        response = pay(signed_in, 1, **{"X-CSRFToken": token})
        assert (response.status_code, provider.orders) == (400, {})

    @pytest.mark.parametrize("key", ["", "k" * 65])
    def test_needs_a_key(self, signed_in: FlaskClient, provider: FakePay, key: str) -> None:
        response = pay(signed_in, 1, **{"Idempotency-Key": key})
        assert response.get_json()["code"] == KeyMissing.code
        assert provider.orders == {}

    def test_the_result_waits_until_the_platform_says(
        self, signed_in: FlaskClient, provider: FakePay
    ) -> None:
        assert provider
        number = pay(signed_in, 1).get_json()["out_trade_no"]
        assert signed_in.get(f"/h5/orders/{number}").get_json() == {"state": "open"}
        page = signed_in.get(f"/h5/result/{number}?hint=ok").text
        assert "正在确认付款结果" in page
        assert f'data-order="/h5/orders/{number}"' in page

    def test_anothers_order_is_not_found(
        self,
        signed_in: FlaskClient,
        provider: FakePay,
        runtime: Runtime,
        people: list[dict[str, str]],
    ) -> None:
        assert provider
        number = pay(signed_in, 1).get_json()["out_trade_no"]
        sign_in(signed_in, runtime, people[1]["openid"])
        assert signed_in.get(f"/h5/orders/{number}").status_code == 404
        assert signed_in.get(f"/h5/result/{number}").status_code == 404


class TestBindPage:
    @pytest.fixture
    def stranger(
        self, client: FlaskClient, runtime: Runtime, people: list[dict[str, str]]
    ) -> FlaskClient:
        assert people
        sign_in(client, runtime, NEW)
        return client

    def post(self, client: FlaskClient, path: str, **form: str) -> Any:
        token = token_of(client.get("/h5/bind").text)
        return client.post(path, data=form, headers={"X-CSRFToken": token})

    def test_known_and_unknown_phones_get_the_same_answer(
        self, stranger: FlaskClient, runtime: Runtime, people: list[dict[str, str]]
    ) -> None:
        answers = []
        for phone in (people[1]["phone"], "19900000000"):
            response = self.post(stranger, "/h5/bind/code", phone=phone)
            answers.append((response.status_code, response.data))
            for key in runtime.redis.keys("fenqi:bot:code-minute:*"):
                runtime.redis.delete(key)
        assert answers[0] == answers[1]
        assert answers[0][0] == 200
        assert len(queue_of(runtime, DEFAULT_QUEUE).jobs) == 2

    def test_too_many_codes_are_refused(
        self, stranger: FlaskClient, people: list[dict[str, str]]
    ) -> None:
        self.post(stranger, "/h5/bind/code", phone=people[1]["phone"])
        response = self.post(stranger, "/h5/bind/code", phone=people[1]["phone"])
        assert (response.status_code, response.get_json()["code"]) == (429, "binding-too-often")

    def test_binds_and_shows_it(
        self,
        stranger: FlaskClient,
        people: list[dict[str, str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(binding.secrets, "randbelow", lambda _most: 123456)
        person = people[1]
        self.post(stranger, "/h5/bind/code", phone=person["phone"])
        form = {"phone": person["phone"], "code": "123456", "id_last4": person["id_last4"]}
        assert self.post(stranger, "/h5/bind", **form).status_code == 422
        page = self.post(stranger, "/h5/bind", agree="1", **form)
        assert (page.status_code, "您的微信已绑定" in page.text) == (200, True)
        assert "还需还" in stranger.get("/h5/progress").text
        assert "您的微信已绑定" in stranger.get("/h5/bind").text

    def test_a_wrong_form_comes_back_without_the_code(
        self, stranger: FlaskClient, people: list[dict[str, str]]
    ) -> None:
        form = {"phone": people[1]["phone"], "code": "654321", "id_last4": "1234", "agree": "1"}
        response = self.post(stranger, "/h5/bind", **form)
        assert response.status_code == 422
        assert people[1]["phone"] in response.text
        assert "654321" not in response.text
        assert "信息不符" in response.text

    def test_needs_the_pages_own_token(self, stranger: FlaskClient) -> None:
        assert stranger.post("/h5/bind", data={"phone": "x"}).status_code == 400
        assert stranger.post("/h5/bind/code", data={"phone": "x"}).status_code == 400


class TestDocuments:
    @pytest.fixture(autouse=True)
    def _printer(self) -> None:
        try:
            import weasyprint  # noqa: PLC0415 -- what is looked for
        except OSError:
            pytest.skip("pango is not installed")
        assert weasyprint

    @pytest.mark.parametrize("name", ["plan", "statement"])
    def test_the_looker_gets_their_own(self, signed_in: FlaskClient, name: str) -> None:
        assert f"/h5/doc/1/{name}" in signed_in.get("/h5/progress").text
        answer = signed_in.get(f"/h5/doc/1/{name}")
        assert answer.mimetype == "application/pdf"
        assert answer.data.startswith(b"%PDF-")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_there_is_no_certificate_of_a_loan_that_is_owed(self, signed_in: FlaskClient) -> None:
        assert "/h5/doc/1/certificate" not in signed_in.get("/h5/progress").text
        answer = signed_in.get("/h5/doc/1/certificate")
        assert answer.status_code == 409
        assert "尚未结清" in answer.text

    def test_a_certificate_comes_with_the_last_payment(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        with runtime.database.write() as session:
            customer_id = operations.lock_loan(session, loan_id=1).customer_id
            on = business_date(runtime.clock.now())
            quote = queries.settlement_quote(session, loan_id=1, customer_id=customer_id, on=on)
            operations.post_prepayment(
                session,
                loan_id=1,
                amount_fen=quote.amount_fen,
                value_date=on,
                key="settle",
                now=runtime.clock.now(),
            )
        assert "/h5/doc/1/certificate" in signed_in.get("/h5/progress").text
        assert signed_in.get("/h5/doc/1/certificate").data.startswith(b"%PDF-")

    def test_anothers_loan_is_not_found(
        self, client: FlaskClient, runtime: Runtime, people: list[dict[str, str]]
    ) -> None:
        sign_in(client, runtime, people[1]["openid"])
        assert client.get("/h5/doc/1/plan").status_code == 404

    def test_a_link_asks_to_sign_in_first_and_leads_back(
        self, client: FlaskClient, openid: str, sns: tuple[str, Any]
    ) -> None:
        sns[1]["body"] = {"openid": openid}
        wanted = "/h5/doc/123456789012/certificate"
        asked = client.get(wanted)
        assert asked.status_code == 302
        (state,) = parse_qs(urlsplit(asked.location).query)["state"]
        assert len(state) <= 128
        back = client.get("/h5/oauth", query_string={"code": "c", "state": state})
        assert back.location == wanted


EXTENSION = (OfferKind.EXTENSION, {"extra_terms": 3})
RETENTION = (OfferKind.RETENTION, {"rate_annual": "0.06"})
SETTLEMENT = (OfferKind.SETTLEMENT, {"sum_fen": 100_000})


class TestOffers:
    def made(
        self, runtime: Runtime, loan_id: int = 1, what: Any = SETTLEMENT, days: int = 0
    ) -> int:
        now = runtime.clock.now()
        with runtime.database.write() as session:
            return make_offer(
                session,
                kind=what[0],
                subject_id=loan_id,
                details=what[1],
                valid_until=business_date(now) + timedelta(days=days),
                reason="hardship",
                made_by="lin",
                on=business_date(now),
                key="an-offer-000000001",
                now=now,
            )

    def take(self, client: FlaskClient, offer_id: int, act: str = "", **form: str) -> Any:
        """Send what the offer's page holds."""
        path = f"/h5/offers/{offer_id}"
        page = client.get(path).text
        shown = re.search(r'name="table_hash" value="(\w*)"', page)
        token = token_of(client.get("/h5/offers").text)
        given = {"csrf_token": token, "table_hash": shown[1] if shown else ""}
        return client.post(path + act, data=given | form)

    def test_is_taken_with_consent_only(self, signed_in: FlaskClient, runtime: Runtime) -> None:
        offer_id = self.made(runtime)
        refused = self.take(signed_in, offer_id)
        assert (refused.status_code, "请先阅读并勾选同意" in refused.text) == (422, True)
        for shown_at in ("-9999999999999", "x"):
            taken = self.take(signed_in, offer_id, agree="1", shown_at=shown_at)
            assert taken.status_code == 200
            assert "去结清" in taken.text
        assert "¥1,000.00" in signed_in.get("/h5/repay/1?for=settle").text

    def test_is_not_taken_by_a_page_that_showed_another_table(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        offer_id = self.made(runtime, what=EXTENSION)
        refused = self.take(signed_in, offer_id, agree="1", table_hash="0" * 64)
        assert (refused.status_code, "综合融资成本明示表" in refused.text) == (409, True)
        assert "已生效" in self.take(signed_in, offer_id, agree="1").text

    def test_that_would_do_something_else_by_now_is_shown_anew(
        self, signed_in: FlaskClient, runtime: Runtime, clock: FixedClock
    ) -> None:
        offer_id = self.made(runtime, what=RETENTION, days=9)
        clock.advance(timedelta(days=2))
        answer = self.take(signed_in, offer_id, agree="1")
        assert (answer.status_code, answer.location) == (303, f"/h5/offers/{offer_id + 1}")
        page = signed_in.get(answer.location).text
        assert "按今天情况更新的方案" in page
        assert "已更新为新方案" in signed_in.get(f"/h5/offers/{offer_id}").text
        assert "已生效" in self.take(signed_in, offer_id + 1, agree="1").text

    def test_is_not_taken_after_its_last_day(
        self, signed_in: FlaskClient, runtime: Runtime, clock: FixedClock
    ) -> None:
        offer_id = self.made(runtime)
        clock.advance(timedelta(days=1))
        late = self.take(signed_in, offer_id, agree="1")
        assert late.status_code == 409
        assert "已失效" in late.text
        assert "已过期" in signed_in.get("/h5/offers").text

    def test_is_declined_with_a_reason_or_without_and_not_shown_again(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        offer_id = self.made(runtime)
        assert "查看方案" in signed_in.get("/h5/progress").text
        declined = self.take(signed_in, offer_id, "/decline", reason="  再想想  ")
        assert (declined.status_code, "您已谢绝" in declined.text) == (200, True)
        assert "再想想" in declined.text
        assert "查看方案" not in signed_in.get("/h5/progress").text
        assert "以往的方案" in signed_in.get("/h5/offers").text
        late = self.take(signed_in, offer_id, agree="1")
        assert (late.status_code, "已处理" in late.text) == (409, True)

    def test_anothers_is_not_found(self, signed_in: FlaskClient, runtime: Runtime) -> None:
        offer_id = self.made(runtime, loan_id=2)
        assert signed_in.get(f"/h5/offers/{offer_id}").status_code == 404
        assert self.take(signed_in, offer_id, agree="1").status_code == 404
        assert self.take(signed_in, offer_id, "/decline").status_code == 404


class TestAskingForAChange:
    def ask(self, client: FlaskClient, what: str, loan_id: int = 1, **form: str) -> Any:
        token = token_of(client.get("/h5/progress").text)
        return client.post(f"/h5/change/{loan_id}/{what}", data={"csrf_token": token, **form})

    def test_another_due_day_is_an_offer_with_its_cost_table(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        assert "调整还款" in signed_in.get("/h5/progress").text
        assert "换一个还款日" in signed_in.get("/h5/change/1").text
        asked = self.ask(signed_in, "due-day", due_day="20")
        assert (asked.status_code, asked.location) == (303, "/h5/offers/1")
        assert "每月 20 日还款" in signed_in.get("/h5/offers/1").text
        # Another day in its place: the first request gives way.
        assert self.ask(signed_in, "due-day", due_day="22").location == "/h5/offers/2"
        assert "已撤回" in signed_in.get("/h5/offers/1").text
        taken = TestOffers().take(signed_in, 2, agree="1")
        assert "已生效" in taken.text
        refused = self.ask(signed_in, "due-day", due_day="9")
        assert (refused.status_code, "暂不能变更还款日" in refused.text) == (409, True)

    def test_an_extension_is_asked_of_staff(self, signed_in: FlaskClient, runtime: Runtime) -> None:
        for _ in range(2):
            assert "客服核实后" in self.ask(signed_in, "extension", extra_terms="3").text
        with runtime.database.read() as session:
            (alert,) = [one for one in queries.alerts(session) if one.kind == "extension-asked"]
        assert (alert.customer_id, alert.details["extra_terms"]) == (1, 3)
        refused = self.ask(signed_in, "extension", extra_terms="99")
        assert (refused.status_code, "不符合展期条件" in refused.text) == (409, True)

    def test_anothers_loan_is_not_found(self, signed_in: FlaskClient) -> None:
        assert signed_in.get("/h5/change/2").status_code == 404
        assert self.ask(signed_in, "due-day", loan_id=2, due_day="20").status_code == 404
        assert self.ask(signed_in, "extension", loan_id=2, extra_terms="1").status_code == 404


class TestFreezes:
    def test_are_shown_with_their_last_day(
        self, signed_in: FlaskClient, runtime: Runtime, openid: str, wechat: Any
    ) -> None:
        now = runtime.clock.now()
        on = business_date(now)
        with runtime.database.write() as session:
            for days in (5, 9):
                operations.place_freeze(
                    session,
                    what="interest",
                    first_on=on,
                    last_on=on + timedelta(days=days),
                    reason="disaster",
                    loan_id=1,
                    on=on,
                    key=f"f{days}",
                    actor="wang",
                    now=now,
                )
            (line,) = queries.lines_of(session, customer_id=1)
            operations.freeze_line(session, line_id=line.id, reason="fraud", now=now)
            for reason in ("hardship", "deceased"):
                operations.place_hold(
                    session,
                    customer_id=1,
                    reason=reason,
                    scope="all",
                    until=None if reason == "deceased" else now + timedelta(days=3),
                    opened_by="wang",
                    now=now,
                )
        page = signed_in.get("/h5/progress").text
        last = on + timedelta(days=9)
        assert page.count("利息已冻结") == 1
        assert f"至 {last.month}月{last.day}日（含当天）" in page
        assert "额度已冻结" in page
        assert "欺诈" not in page
        said = wechat.say(openid, "我还差多少没还")
        assert f"利息已冻结，至 {last.year}年{last.month}月{last.day}日（含当天）" in said
        contact = on + timedelta(days=3)
        assert f"已暂停催收与提醒，至 {contact.year}年{contact.month}月{contact.day}日" in said
