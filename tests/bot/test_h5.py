from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from bot.h5 import _COOKIE, _signer
from kernel.runtime import Runtime
from servicing.demo.book import seed_demo
from wsgi import create_app

WECHAT = {"User-Agent": "Mozilla/5.0 MicroMessenger/8.0"}


@pytest.fixture
def openids(runtime: Runtime) -> list[str]:
    """Four demo borrowers; the first owns loan 1, the second loan 2."""
    with runtime.database.write() as session:
        seeded = seed_demo(session, runtime.cipher, customers=4, seed=1, now=runtime.clock.now())
    return [person["openid"] for person in seeded.people]


@pytest.fixture
def client(runtime: Runtime) -> Iterator[FlaskClient]:
    app = create_app(runtime)
    app.config["WTF_CSRF_CHECK_DEFAULT"] = True
    with app.test_client() as client:
        yield client


def sign_in(client: FlaskClient, openid: str) -> None:
    with client.application.app_context():
        client.set_cookie(_COOKIE, _signer(_COOKIE).dumps(openid), path="/h5")


class TestPages:
    def test_outside_wechat_there_is_a_guard(self, client: FlaskClient, openids: list[str]) -> None:
        sign_in(client, openids[0])
        response = client.get("/h5/progress")
        assert response.status_code == 403
        assert "请在微信客户端打开链接" in response.text

    def test_who_is_not_known_goes_to_wechat(self, client: FlaskClient) -> None:
        response = client.get("/h5/repay/1", headers=WECHAT)
        assert response.status_code == 302
        assert "/connect/oauth2/authorize?" in response.location
        assert "scope=snsapi_base" in response.location

    def test_a_forged_cookie_is_nobody(self, client: FlaskClient, openids: list[str]) -> None:
        client.set_cookie(_COOKIE, openids[0], path="/h5")
        assert client.get("/h5/progress", headers=WECHAT).status_code == 302

    def test_a_sign_in_that_nobody_began_is_refused(self, client: FlaskClient) -> None:
        response = client.get("/h5/oauth?code=x&state=y", headers=WECHAT)
        assert response.status_code == 401
        assert "登录已失效" in response.text

    def test_an_unbound_account_sees_no_debt(self, client: FlaskClient) -> None:
        sign_in(client, "oStranger")
        response = client.get("/h5/progress", headers=WECHAT)
        assert (response.status_code, "¥" in response.text) == (403, False)

    def test_shows_the_owners_loan_with_reasons(
        self, client: FlaskClient, openids: list[str]
    ) -> None:
        sign_in(client, openids[0])
        assert "去还款" in client.get("/h5/progress", headers=WECHAT).text
        page = client.get("/h5/repay/1", headers=WECHAT).text
        assert "本次应还" in page
        assert "× 21.6% ÷ 12" in page

    @pytest.mark.parametrize("path", ["/h5/repay/2", "/h5/repay/999", "/h5/result/none"])
    def test_anothers_thing_is_not_found(
        self, client: FlaskClient, openids: list[str], path: str
    ) -> None:
        sign_in(client, openids[0])
        assert client.get(path, headers=WECHAT).status_code == 404

    def test_paying_needs_the_pages_own_token(
        self, client: FlaskClient, openids: list[str]
    ) -> None:
        sign_in(client, openids[0])
        assert client.post("/h5/repay/1", headers=WECHAT).status_code == 400
