import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bot import model
from bot.model import MessageCipher
from contact.operations import AddressTaken, record_address
from contact.ports import AddressKind
from contact.queries import customer_of
from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing.demo.book import seed_demo
from wsgi import create_app

Push = Callable[..., TestResponse]


@pytest.fixture
def client(runtime: Runtime) -> Iterator[FlaskClient]:
    with create_app(runtime).test_client() as client:
        yield client


@pytest.fixture
def openid(runtime: Runtime) -> str:
    """A demo borrower whose instalment is due in three days."""
    with runtime.database.write() as session:
        seeded = seed_demo(session, runtime.cipher, customers=4, seed=1, now=runtime.clock.now())
    return seeded.people[0]["openid"]


@pytest.fixture
def push(client: FlaskClient, runtime: Runtime) -> Push:
    """Push a message as WeChat does in safe mode."""
    settings = runtime.settings
    cipher = MessageCipher(aes_key=settings.wechat_aes_key, receiver=settings.wechat_app_id)

    def push(
        openid: str,
        text: str,
        *,
        msg_id: str = "1",
        nonce: str | None = None,
        tampered: bool = False,
    ) -> TestResponse:
        body = (
            f"<xml><ToUserName>gh</ToUserName><FromUserName>{openid}</FromUserName>"
            f"<CreateTime>1</CreateTime><MsgType>text</MsgType>"
            f"<Content>{model.cdata(text)}</Content><MsgId>{msg_id}</MsgId></xml>"
        )
        sealed = cipher.encrypt(body, random16=os.urandom(16))
        timestamp = str(int(runtime.clock.now().timestamp()))
        nonce = nonce or os.urandom(4).hex()
        signed = model.signature(settings.wechat_token, timestamp, nonce, sealed)
        return client.post(
            "/wechat",
            query_string={
                "timestamp": timestamp,
                "nonce": nonce,
                "msg_signature": signed[::-1] if tampered else signed,
            },
            data=f"<xml><Encrypt>{sealed}</Encrypt></xml>",
        )

    return push


def said(runtime: Runtime, response: TestResponse) -> str:
    """Open an encrypted reply and return its text."""
    settings = runtime.settings
    cipher = MessageCipher(aes_key=settings.wechat_aes_key, receiver=settings.wechat_app_id)
    fields = model.parse_fields(response.data)
    assert model.signature_matches(
        fields["MsgSignature"],
        settings.wechat_token,
        fields["TimeStamp"],
        fields["Nonce"],
        fields["Encrypt"],
    )
    return model.parse_fields(cipher.decrypt(fields["Encrypt"])).get("Content", "")


class TestEcho:
    def test_answers_the_proof_of_address(self, client: FlaskClient, runtime: Runtime) -> None:
        timestamp = str(int(runtime.clock.now().timestamp()))
        signed = model.signature(runtime.settings.wechat_token, timestamp, "n")
        query = {"signature": signed, "timestamp": timestamp, "nonce": "n", "echostr": "42"}
        assert client.get("/wechat", query_string=query).data == b"42"
        assert client.get("/wechat", query_string=query | {"nonce": "m"}).status_code == 403


class TestReceive:
    def test_tells_progress_to_the_borrower(
        self, push: Push, runtime: Runtime, openid: str
    ) -> None:
        reply = said(runtime, push(openid, "我还差多少没还"))
        assert "您还需还 ¥" in reply
        assert "已还 4/12 期" in reply

    @pytest.mark.parametrize(
        "text", ["下一期", "为什么是这个金额", "还款", "0", "你好", "乱七八糟"]
    )
    def test_answers_every_question(
        self, push: Push, runtime: Runtime, openid: str, text: str
    ) -> None:
        assert said(runtime, push(openid, text))

    def test_a_stranger_learns_nothing(self, push: Push, runtime: Runtime, openid: str) -> None:
        assert "¥" in said(runtime, push(openid, "我的分期"))
        assert "¥" not in said(runtime, push("oStranger", "我的分期", msg_id="2"))

    def test_hands_over_to_a_person(self, push: Push, runtime: Runtime, openid: str) -> None:
        assert said(runtime, push(openid, "转人工")) == ""

    def test_unbinding_ends_the_answers(self, push: Push, runtime: Runtime, openid: str) -> None:
        assert "解除绑定" in said(runtime, push(openid, "解绑"))
        assert "¥" not in said(runtime, push(openid, "我的分期", msg_id="2"))

    def test_refuses_a_wrong_signature(self, push: Push, openid: str) -> None:
        assert push(openid, "我的分期", tampered=True).status_code == 403

    def test_refuses_an_old_push(
        self, client: FlaskClient, push: Push, runtime: Runtime, clock: FixedClock, openid: str
    ) -> None:
        clock.advance(timedelta(seconds=-301))
        timestamp = str(int(clock.now().timestamp()))
        signed = model.signature(runtime.settings.wechat_token, timestamp, "n", "x")
        clock.advance(timedelta(seconds=301))
        query = {"timestamp": timestamp, "nonce": "n", "msg_signature": signed}
        response = client.post(
            "/wechat", query_string=query, data="<xml><Encrypt>x</Encrypt></xml>"
        )
        assert response.status_code == 403
        assert push(openid, "0").status_code == 200

    def test_one_signed_address_carries_one_message(self, push: Push, openid: str) -> None:
        assert push(openid, "0", nonce="same").status_code == 200
        assert push(openid, "0", nonce="same").status_code == 200
        assert push(openid, "我的分期", msg_id="2", nonce="same").status_code == 403

    @pytest.mark.parametrize("body", ["", "<xml/>", "not xml", "<xml><Encrypt>%%</Encrypt></xml>"])
    def test_odd_bodies_are_refused_without_failing(self, client: FlaskClient, body: str) -> None:
        assert client.post("/wechat?timestamp=1&nonce=2", data=body).status_code == 403

    def test_a_plain_push_is_refused_in_safe_mode(
        self, client: FlaskClient, runtime: Runtime
    ) -> None:
        timestamp = str(int(runtime.clock.now().timestamp()))
        signed = model.signature(runtime.settings.wechat_token, timestamp, "n")
        body = "<xml><FromUserName>o</FromUserName><MsgType>text</MsgType></xml>"
        query = {"signature": signed, "timestamp": timestamp, "nonce": "n"}
        assert client.post("/wechat", query_string=query, data=body).status_code == 403

    def test_a_body_over_the_limit_is_refused(self, client: FlaskClient) -> None:
        assert client.post("/wechat", data=b"x" * 70_000).status_code == 403

    def test_signed_but_unreadable_is_accepted_in_silence(self, runtime: Runtime) -> None:
        plain = replace(runtime, settings=replace(runtime.settings, wechat_mode="plain"))
        timestamp = str(int(runtime.clock.now().timestamp()))
        signed = model.signature(runtime.settings.wechat_token, timestamp, "n")
        query = {"signature": signed, "timestamp": timestamp, "nonce": "n"}
        with create_app(plain).test_client() as client:
            response = client.post("/wechat", query_string=query, data="<xml></xml>")
        assert (response.status_code, response.data) == (200, b"success")

    def test_repeats_get_the_same_answer(self, push: Push, runtime: Runtime, openid: str) -> None:
        first = said(runtime, push(openid, "解绑"))
        assert said(runtime, push(openid, "解绑")) == first


class TestBinding:
    def test_an_account_belongs_to_one_customer(self, runtime: Runtime, openid: str) -> None:
        with pytest.raises(AddressTaken), runtime.database.write() as session:
            record_address(
                session,
                customer_id=2,
                channel_kind=AddressKind.WECHAT,
                address=openid,
                source="test",
                cipher=runtime.cipher,
                now=runtime.clock.now(),
            )

    def test_recording_it_again_changes_nothing(self, runtime: Runtime, openid: str) -> None:
        def record() -> int:
            with runtime.database.write() as session:
                return record_address(
                    session,
                    customer_id=1,
                    channel_kind=AddressKind.WECHAT,
                    address=openid,
                    source="test",
                    cipher=runtime.cipher,
                    now=runtime.clock.now(),
                )

        with ThreadPoolExecutor(4) as pool:
            ids = set(pool.map(lambda _: record(), range(8)))
        assert len(ids) == 1
        with runtime.database.read() as session:
            found = customer_of(
                session,
                channel_kind=AddressKind.WECHAT,
                address=openid,
                cipher=runtime.cipher,
            )
            assert found == 1
