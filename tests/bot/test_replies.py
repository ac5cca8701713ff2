from hypothesis import given
from hypothesis import strategies as st

from bot import replies
from bot.messages import Message, parse_xml

MESSAGE = Message(fields={"FromUserName": "o", "ToUserName": "g", "MsgType": "text"})


class TestRender:
    def test_swaps_the_addresses(self) -> None:
        fields = parse_xml(replies.render(replies.text("aa"), message=MESSAGE, created=5).encode())
        assert fields == {
            "ToUserName": "o",
            "FromUserName": "g",
            "CreateTime": "5",
            "MsgType": "text",
            "Content": "aa",
        }

    @given(st.text())
    def test_no_text_breaks_out(self, content: str) -> None:
        xml = replies.render(replies.text(content), message=MESSAGE, created=5)
        fields = parse_xml(xml.encode())
        assert list(fields) == ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"]
        said = replies._NOT_IN_XML.sub("", content)
        assert fields["Content"] == said.replace("\r\n", "\n").replace("\r", "\n")

    def test_an_injected_second_type_stays_text(self) -> None:
        evil = "]]></Content><MsgType><![CDATA[image]]></MsgType><Content><![CDATA["
        xml = replies.render(replies.text(evil), message=MESSAGE, created=5)
        fields = parse_xml(xml.encode())
        assert (fields["MsgType"], fields["Content"]) == ("text", evil)

    def test_hands_over_to_a_named_person(self) -> None:
        built = replies.to_xml(replies.hand_over("test1@test"))
        assert "<TransInfo><KfAccount><![CDATA[test1@test]]></KfAccount></TransInfo>" in built
        assert "TransInfo" not in replies.to_xml(replies.hand_over())

    def test_several_articles_are_items(self) -> None:
        built = replies.to_xml(replies.news([{"title": "a"}, {"title": "b"}]))
        articles = parse_xml(built.encode())["Articles"]
        assert [item["Title"] for item in articles["item"]] == ["a", "b"]  # type: ignore[index]


class TestSplitText:
    @given(st.text(), st.integers(min_value=8, max_value=60))
    def test_parts_fit_and_lose_nothing_but_line_ends(self, content: str, limit: int) -> None:
        parts = replies.split_text(content, limit=limit)
        assert all(len(part.encode(errors="replace")) <= limit for part in parts)
        assert "".join(parts).replace("\n", "") == content.replace("\n", "")

    def test_breaks_at_line_ends(self) -> None:
        assert replies.split_text("一二\n三四\n五六", limit=14) == ["一二\n三四", "五六"]
