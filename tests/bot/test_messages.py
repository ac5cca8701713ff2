import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Message, MessageNotReadable, parse_fields, parse_xml, read_message


class TestParseXml:
    def test_keeps_nested_and_repeated_elements(self) -> None:
        body = b"<xml><a><![CDATA[10]]> </a><b><c>1</c><c>2</c><c>3</c></b><d></d></xml>"
        assert parse_xml(body) == {"a": "10 ", "b": {"c": ["1", "2", "3"]}, "d": ""}

    def test_joins_split_sections(self) -> None:
        assert parse_xml(b"<xml><a><![CDATA[x]]]]><![CDATA[>y]]></a></xml>") == {"a": "x]]>y"}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<xml></xml>",
            b"<foo><a>1</a></foo>",
            b"<xml><a>",
            b"<!DOCTYPE xml><xml><a>1</a></xml>",
            b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><a>&a;</a></xml>',
            b"<xml>" + b"<a>" * 17 + b"</a>" * 17 + b"</xml>",
            b"<xml>" + b"<a/>" * 3000 + b"</xml>",
            b"<xml><a>\xff\xfe</a></xml>",
        ],
        ids=range(9),
    )
    def test_refuses_all_else(self, body: bytes) -> None:
        with pytest.raises(MessageNotReadable):
            parse_xml(body)

    @given(st.binary(max_size=300))
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        try:
            fields = parse_fields(body)
        except MessageNotReadable:
            fields = {}
        assert isinstance(fields, dict)


class TestMessage:
    def test_repeats_of_a_message_are_known_by_number_time_and_sender(self) -> None:
        one = {"MsgId": "1", "CreateTime": "2", "FromUserName": "o", "Content": "x"}
        assert Message(fields=one).identity == Message(fields=one | {"Content": "y"}).identity
        for name in ("MsgId", "CreateTime", "FromUserName"):
            assert Message(fields=one).identity != Message(fields=one | {name: "9"}).identity

    def test_events_are_known_by_time_sender_event_and_key(self) -> None:
        one = {"CreateTime": "2", "FromUserName": "o", "Event": "CLICK", "EventKey": "a"}
        for name in (*one, "MsgID"):
            assert Message(fields=one).identity != Message(fields=one | {name: "9"}).identity

    @pytest.mark.parametrize("missing", ["FromUserName", "ToUserName", "MsgType"])
    def test_sender_account_and_type_must_be_there(self, missing: str) -> None:
        names = {"FromUserName", "ToUserName", "MsgType"} - {missing}
        body = "".join(f"<{name}>x</{name}>" for name in names)
        with pytest.raises(MessageNotReadable):
            read_message(f"<xml>{body}</xml>".encode())

    def test_reads_json_with_numbers_as_text(self) -> None:
        body = (
            b'{"ToUserName":"g","FromUserName":"o","MsgType":"text","MsgId":12345678901234567890}'
        )
        assert read_message(body).text("MsgId") == "12345678901234567890"
