import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.crypto import (
    MessageCipher,
    PushRefused,
    jssdk_signature,
    signature,
    signature_matches,
)

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CIPHER = MessageCipher(aes_key=KEY, receiver="wxb11529c136998cb6")


class TestSignature:
    def test_agrees_with_the_platforms_example(self) -> None:
        given = "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"
        assert signature_matches(given, "test", "1410685589", "test")
        assert not signature_matches(given[:-1] + "e", "test", "1410685589", "test")

    def test_an_empty_token_matches_nothing(self) -> None:
        assert not signature_matches(signature("", "1", "2"), "", "1", "2")

    @given(st.text(), st.text(max_size=5))
    def test_odd_text_is_just_wrong(self, given_signature: str, part: str) -> None:
        assert signature_matches(given_signature, "token", part) == (
            given_signature == signature("token", part)
        )

    def test_signs_a_page_without_its_fragment(self) -> None:
        named = {"ticket": "mock-ticket", "nonce": "mock-nonce", "timestamp": "1601234567"}
        wanted = "22772d2fb393ab9f7f6a5a54168a566fbf1ab767"
        assert jssdk_signature(url="https://www.easywechat.com/", **named) == wanted
        assert jssdk_signature(url="https://www.easywechat.com/#top", **named) == wanted


class TestMessageCipher:
    def test_agrees_with_a_published_envelope(self) -> None:
        sealed = CIPHER.encrypt("我是中文abcd123", random16=b"aaaabbbbccccdddd")
        assert sealed == (
            "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="
        )

    @given(st.text())
    def test_opens_what_it_sealed(self, text: str) -> None:
        assume_text = text.encode(errors="ignore").decode()
        opened = CIPHER.open(CIPHER.encrypt(assume_text, random16=b"0123456789abcdef"))
        assert (opened.text, opened.random16) == (assume_text, b"0123456789abcdef")

    def test_refuses_what_was_sealed_for_another(self) -> None:
        sealed = CIPHER.encrypt("x", random16=os.urandom(16))
        with pytest.raises(PushRefused):
            MessageCipher(aes_key=KEY, receiver="another").open(sealed)
        with pytest.raises(PushRefused):
            MessageCipher(aes_key="b" * 43, receiver=CIPHER.receiver).open(sealed)

    @given(st.binary(max_size=200))
    def test_garbage_is_refused_and_never_an_accident(self, raw: bytes) -> None:
        with pytest.raises(PushRefused):
            CIPHER.open(base64.b64encode(raw).decode())

    @given(st.text(max_size=60))
    def test_text_that_is_no_envelope_is_refused(self, text: str) -> None:
        with pytest.raises(PushRefused):
            CIPHER.open(text)
