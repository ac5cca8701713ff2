import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from agreeing import confirm_terms
from flask.testing import FlaskClient
from pay_fake import FakePay
from phone import NEW, WECHAT, sign_in, token_of
from sqlalchemy import select
from verdicts import Verdict

from bot import binding
from bot.h5 import KeyMissing
from kernel.clock import FixedClock, business_date
from kernel.jobs import DEFAULT_QUEUE, queue_of
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.engine.waterfall import NON_ACCRUAL_ORDER, Direction, Waterfall, every_timing
from servicing.payments.ports import PayProvider
from servicing.payments.tables import PaymentOrder
from servicing.products import STANDARD


@pytest.fixture
def provider(runtime: Runtime, clock: FixedClock) -> FakePay:
    provider = FakePay(clock, is_paid=False)
    runtime.provide(PayProvider, provider)  # type: ignore[arg-type]
    return provider


def beyond_the_cap(runtime: Runtime) -> int:
    """Book the first looker a loan whose principal is paid back in a day, a fee still open."""
    order = Waterfall(rules=every_timing(*NON_ACCRUAL_ORDER), direction=Direction.VERTICAL)
    now = runtime.clock.now()
    on = business_date(now)
    terms = operations.LoanTerms(
        customer_id=1,
        merchant_name="宏达手机卖场",
        merchandise="手机",
        principal_fen=300_000,
        rate_annual=Decimal("0.216"),
        terms=3,
        disbursed_on=on - timedelta(days=1),
        product=replace(STANDARD, code="principal-first", waterfalls={"current": order}),
    )
    with runtime.database.write() as session:
        shown = confirm_terms(session, terms, now=now)
        loan_id = operations.book_loan(
            session, terms=terms, disclosure_id=shown, key="loan", now=now
        )
        operations.charge(
            session,
            loan_id=loan_id,
            amount_fen=300,
            due_on=on + timedelta(days=20),
            on=on,
            key="fee",
            actor="lin",
            now=now,
        )
        operations.post_repayment(
            session, loan_id=loan_id, amount_fen=300_000, value_date=on, key="all", now=now
        )
    return loan_id


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

    def test_what_comes_back_beyond_the_cap_is_told_before_it_is_paid(
        self, signed_in: FlaskClient, runtime: Runtime, wechat: Any, openid: str
    ) -> None:
        loan_id = beyond_the_cap(runtime)
        on = business_date(runtime.clock.now())
        with runtime.database.read() as session:
            quote = queries.settlement_quote(session, loan_id=loan_id, customer_id=1, on=on)
        assert quote.back_fen > 0
        back = f"{quote.back_fen / 100:.2f}"
        page = signed_in.get(f"/h5/repay/{loan_id}?for=settle").text
        assert "付清后退还您" in page
        assert f"¥{back}" in page
        assert f"付清后另退还您 ¥{back}" in wechat.say(openid, "提前结清要多少钱")

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

    def test_an_amount_of_one_s_own_is_shown_then_paid_just_so(
        self, signed_in: FlaskClient, provider: FakePay, runtime: Runtime
    ) -> None:
        page = signed_in.get("/h5/repay/1?yuan=123.45").text
        assert "¥123.45 会这样还" in page
        answer = pay(signed_in, 1, path="/h5/repay/1?yuan=123.45").get_json()
        (order,) = provider.orders.values()
        assert (order.out_trade_no, order.amount_fen) == (answer["out_trade_no"], 12_345)
        on = business_date(runtime.clock.now())
        with runtime.database.read() as session:
            loan = queries.loan_of(session, loan_id=1, customer_id=1, on=on)
            seen = operations.look_at_amount(session, loan=loan, amount_fen=12_345, on=on)
        provider.is_paid = True
        assert signed_in.get(f"/h5/orders/{order.out_trade_no}").get_json() == {"state": "paid"}
        with runtime.database.read() as session:
            after = queries.loan_of(session, loan_id=1, customer_id=1, on=on)
            assert operations.prove_books(session) == []
        assert after.remaining_fen == seen.remaining_after_fen == loan.remaining_fen - 12_345
        open_fen = {row.n: row.outstanding_fen for row in after.plan}
        assert [share.left_fen for share in seen.shares] == [open_fen[s.n] for s in seen.shares]
        assert sum(share.paid.total_fen for share in seen.shares) == 12_345

    def test_more_than_is_asked_for_goes_to_the_instalments_after(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        on = business_date(runtime.clock.now())
        with runtime.database.read() as session:
            loan = queries.loan_of(session, loan_id=1, customer_id=1, on=on)
            fen = queries.repayment_quote(loan, on=on).amount_fen + 1_000
            seen = operations.look_at_amount(session, loan=loan, amount_fen=fen, on=on)
        first, second = seen.shares
        assert (first.left_fen, second.paid.total_fen) == (0, 1_000)
        page = signed_in.get(f"/h5/repay/1?yuan={fen / 100:.2f}").text
        assert page.count("这期还清") == page.count("这期还差") == 1

    @pytest.mark.parametrize(
        ("written", "problem"),
        [
            ("0", "金额须大于 0"),
            ("-5", "金额须大于 0"),
            ("1.234", "最多两位小数"),
            ("五百", "请输入数字"),
            ("1e3", "请输入数字"),
            ("9" * 17, "请输入数字"),
            ("100000", "就能全部还清"),
        ],
    )
    def test_a_wrong_amount_is_told_and_never_paid(
        self, signed_in: FlaskClient, provider: FakePay, written: str, problem: str
    ) -> None:
        path = f"/h5/repay/1?yuan={written}"
        shown = signed_in.get(path)
        assert shown.status_code == 422
        assert problem in shown.text
        assert 'id="pay"' not in shown.text
        headers = {"Idempotency-Key": "k", "X-CSRFToken": token_of(shown.text)}
        refused = signed_in.post(path, headers=headers)
        assert refused.status_code == 422
        assert refused.get_json()["code"] in ("repayment-amount-refused", "money-not-readable")
        assert provider.orders == {}

    def test_what_ends_the_loan_is_paid_as_a_settlement(
        self, signed_in: FlaskClient, provider: FakePay, runtime: Runtime
    ) -> None:
        on = business_date(runtime.clock.now())
        with runtime.database.read() as session:
            quote = queries.settlement_quote(session, loan_id=1, customer_id=1, on=on)
        path = f"/h5/repay/1?yuan={quote.amount_fen / 100:.2f}"
        assert signed_in.get(path).location == "/h5/repay/1?for=settle"
        headers = {"Idempotency-Key": "k"} | {
            "X-CSRFToken": token_of(signed_in.get("/h5/repay/1").text)
        }
        assert signed_in.post(path, headers=headers).status_code == 422
        assert provider.orders == {}

    def test_one_attempt_is_in_flight_whatever_its_amount(
        self, signed_in: FlaskClient, provider: FakePay, runtime: Runtime
    ) -> None:
        pay(signed_in, 1, path="/h5/repay/1?yuan=100")
        pay(signed_in, 1, path="/h5/repay/1?yuan=200")
        assert len(provider.orders) == 2
        with runtime.database.read() as session:
            states = session.scalars(select(PaymentOrder.state).order_by(PaymentOrder.id)).all()
        assert states == ["closed", "open"]

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


def test_an_approval_is_put_before_a_person_with_a_deadline(
    signed_in: FlaskClient, runtime: Runtime
) -> None:
    """The page says by when a person answers, and what was approved stands."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        application_id = operations.submit_application(
            session,
            customer_id=1,
            merchant_name="宏达手机卖场",
            merchandise="平板电脑",
            amount_fen=100_000,
            terms=6,
            channel="counter",
            attributes={},
            key="wish",
            now=now + timedelta(seconds=1),
        )
        operations.decide_application(
            session,
            application_id=application_id,
            decision=Verdict("approve", line_fen=900_000),
            now=now,
        )
    page = signed_in.get("/h5/application").text
    assert "申请人工复核" in page
    for _ in range(2):
        asked = signed_in.post("/h5/application", data={"csrf_token": token_of(page)}).text
        assert "3月11日 10:00前告诉您结果" in asked
        assert "已通过" in asked
        assert "申请人工复核" not in asked
