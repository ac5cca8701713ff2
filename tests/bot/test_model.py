import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import model
from bot.model import MessageCipher, MessageNotReadable, SignatureWrong

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CIPHER = MessageCipher(aes_key=KEY, receiver="wxb11529c136998cb6")


def push(content: str = "hello") -> model.Message:
    return model.Message(
        fields={
            "ToUserName": "gh_1",
            "FromUserName": "o1",
            "CreateTime": "1",
            "MsgType": "text",
            "Content": content,
            "MsgId": "7",
        }
    )


class TestSignature:
    def test_matches_a_published_example(self) -> None:
        given_signature = "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff"
        assert model.signature_matches(given_signature, "test", "1410685589", "test")

    def test_an_empty_token_matches_nothing(self) -> None:
        assert not model.signature_matches(model.signature("", "1", "2"), "", "1", "2")


class TestMessageCipher:
    @given(st.text(max_size=300))
    def test_opens_what_it_sealed(self, text: str) -> None:
        assert CIPHER.decrypt(CIPHER.encrypt(text, random16=b"0123456789abcdef")) == text

    def test_seals_like_a_published_example(self) -> None:
        sealed = CIPHER.encrypt("我是中文abcd123", random16=b"aaaabbbbccccdddd")
        assert sealed == (
            "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg=="
        )

    def test_refuses_another_receiver(self) -> None:
        other = MessageCipher(aes_key=KEY, receiver="wx000")
        with pytest.raises(SignatureWrong):
            other.decrypt(CIPHER.encrypt("hi", random16=b"0123456789abcdef"))

    @given(st.binary(max_size=200))
    def test_garbage_is_refused_and_never_crashes(self, garbage: bytes) -> None:
        with pytest.raises(SignatureWrong):
            CIPHER.decrypt(garbage.hex())
        with pytest.raises(SignatureWrong):
            CIPHER.decrypt(garbage.decode("latin-1"))


class TestReadMessage:
    @pytest.mark.parametrize(
        "body",
        [
            "",
            "no xml",
            "<xml>",
            "<xml></xml>",
            "<other/>",
            "<xml>text</xml>",
            "<xml><MsgType>text</MsgType></xml>",
            "<xml><FromUserName>o</FromUserName></xml>",
            '<!DOCTYPE x [<!ENTITY e "boom">]><xml><MsgType>&e;</MsgType></xml>',
            "\x00",
        ],
    )
    def test_refuses_what_is_no_message(self, body: str) -> None:
        with pytest.raises(MessageNotReadable):
            model.read_message(body)

    @pytest.mark.parametrize(
        "extra",
        [
            "<A><B>1</B></A>",
            "<MsgId>1</MsgId><MsgId>2</MsgId>",
            "<C/>",
            "<CreateTime>x</CreateTime>",
        ],
    )
    def test_reads_odd_but_honest_messages(self, extra: str) -> None:
        body = f"<xml><FromUserName>o</FromUserName><MsgType>TEXT</MsgType>{extra}</xml>"
        message = model.read_message(body)
        assert (message.openid, message.kind) == ("o", "text")

    def test_identity_tells_users_and_events_apart(self) -> None:
        event = {"CreateTime": "1", "FromUserName": "o1", "Event": "CLICK", "EventKey": "a"}
        first = model.Message(fields=event).identity
        assert first != model.Message(fields=event | {"EventKey": "b"}).identity
        assert first != model.Message(fields=event | {"FromUserName": "o2"}).identity
        assert first == model.Message(fields=dict(event)).identity


class TestReplies:
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
    def test_no_text_breaks_out(self, text: str) -> None:
        reply = model.text_reply(push(), text + "]]></Content><MsgType>news</MsgType>", created=1)
        fields = model.parse_fields(reply)
        assert fields["MsgType"] == "text"
        assert set(fields) == {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"}

    def test_goes_back_to_the_sender(self) -> None:
        fields = model.parse_fields(model.text_reply(push(), "好", created=1))
        assert (fields["ToUserName"], fields["FromUserName"]) == ("o1", "gh_1")

    def test_is_cut_at_the_platforms_limit_between_signs(self) -> None:
        fields = model.parse_fields(model.text_reply(push(), "期" * 3000, created=1))
        assert len(fields["Content"].encode()) <= 2048
        assert set(fields["Content"]) == {"期"}
