"""Cases of our own for each kind of vector: what other accounts, clients and phones may send."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cli.conformance import run
from servicing.payments.crypto import sign

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
HEAD = (
    "<ToUserName>gh_1</ToUserName><FromUserName>o_1</FromUserName>"
    "<CreateTime>1460536575</CreateTime>"
)
KEY = (
    generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


def judged(tmp_path: Path, category: str, given: object, expected: object) -> str:
    vector = {"id": "x", "category": category, "input": given, "expected": expected}
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps([vector], ensure_ascii=False), encoding="utf-8")
    lines: list[str] = []
    run([path], lines.append)
    return lines[0]


def message(inner: str) -> str:
    return f"<xml>{HEAD}{inner}</xml>"


def text(content: str) -> str:
    return message(
        f"<MsgType>text</MsgType><Content><![CDATA[{content}]]></Content><MsgId>1</MsgId>"
    )


def event(inner: str) -> str:
    return message(f"<MsgType>event</MsgType>{inner}")


MESSAGES = {
    "emoji": text("😂👨‍👩‍👧还多少/::)"),
    "long": text("还款" * 2000),
    "empty": text(""),
    "blank": text("　 \n"),
    "pasted control signs": text("还多少\x08\x0b"),
    "markup": text("<a href='x'>1</a> & ]]]]><![CDATA[>"),
    "declared": '\n <?xml version="1.0" encoding="utf-8"?>\n' + text("1"),
    "commented": "<!-- x -->" + text("1") + "<!-- y -->",
    "byte order mark": "\ufeff" + text("1"),
    "menu tap": message(
        "<MsgType>text</MsgType><Content>x</Content><bizmsgmenuid>progress</bizmsgmenuid>"
        "<MsgId>2</MsgId>"
    ),
    "voice": message(
        "<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format>"
        "<Recognition><![CDATA[我还差多少钱。]]></Recognition><MsgId>3</MsgId>"
    ),
    "shortvideo": message(
        "<MsgType>shortvideo</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>"
        "<MsgId>4</MsgId>"
    ),
    "file": message("<MsgType>file</MsgType><Title>账单.pdf</Title><MsgId>5</MsgId>"),
    "mini program": message("<MsgType>miniprogrampage</MsgType><Title>t</Title><MsgId>6</MsgId>"),
    "subscribed by a scene": event(
        "<Event>subscribe</Event><EventKey>qrscene_123123</EventKey><Ticket>T</Ticket>"
    ),
    "closed talk": event("<Event>kf_close_session</Event><KfAccount>t@t</KfAccount>"),
    "popup": event(
        "<Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent><List>"
        "<TemplateId>a</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>"
        "<List><TemplateId>b</TemplateId><SubscribeStatusString>reject</SubscribeStatusString>"
        "</List></SubscribeMsgPopupEvent>"
    ),
    "result": event(
        "<Event>TEMPLATESENDJOBFINISH</Event><MsgID>9</MsgID><Status>failed:user block</Status>"
    ),
    "event without a name": event("<EventKey/>"),
    "mini program's view": event("<Event>view_miniprogram</Event><EventKey>p</EventKey>"),
    "names of our own": event("<Event>CLICK</Event><EventKey>no_such_key</EventKey>"),
    "json": json.dumps(
        {
            "ToUserName": "gh_1",
            "FromUserName": "o_1",
            "CreateTime": 1460536575,
            "MsgType": "text",
            "Content": "还多少😂",
            "MsgId": 12345678901234567,
        }
    ),
    "json event": json.dumps(
        {
            "ToUserName": "gh_1",
            "FromUserName": "o_1",
            "CreateTime": 1460536575,
            "MsgType": "event",
            "Event": "subscribe_msg_sent_event",
            "List": [{"TemplateId": "a", "ErrorCode": 0}],
        }
    ),
}


class TestMessages:
    @pytest.mark.parametrize("body", MESSAGES.values(), ids=MESSAGES)
    def test_is_read_and_answered_in_all_modes(self, tmp_path: Path, body: str) -> None:
        assert judged(tmp_path, "incoming_message", {"xml": body}, {}) == "PASS x"

    def test_fields_of_json_are_compared_whatever_their_type(self, tmp_path: Path) -> None:
        fields = json.loads(MESSAGES["json"])
        given = {"json": MESSAGES["json"]}
        assert judged(tmp_path, "incoming_message", given, {"fields": fields}) == "PASS x"
        wrong = {"fields": fields | {"CreateTime": 1}}
        assert judged(tmp_path, "incoming_message", given, wrong).startswith("FAIL x fields")


ATTACKS = {
    "laughs": '<!DOCTYPE l [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><xml><a>&b;</a></xml>',
    "page": "<!DOCTYPE html><html><body>x</body></html>",
    "unknown entity": "<xml><a>&nbsp;</a></xml>",
    "second root": "<xml><a>1</a></xml><xml><a>2</a></xml>",
    "not closed": "<xml><a>1</xml>",
    "other root": "<root><a>1</a></root>",
    "depth": "<xml>" + "<a>" * 5000 + "</a>" * 5000 + "</xml>",
    "width": "<xml>" + "<a>1</a>" * 5000 + "</xml>",
    "nothing inside": "<xml></xml>",
    "nothing": "",
    "no signs": "\x00\x01",
    "json list": "[1]",
    "json depth": '{"a":' + "[" * 9000 + "]" * 9000 + "}",
}


class TestAttacks:
    @pytest.mark.parametrize("body", ATTACKS.values(), ids=ATTACKS)
    def test_is_refused_and_never_a_fault(self, tmp_path: Path, body: str) -> None:
        assert judged(tmp_path, "xml_attack", {"xml": body}, {"accept": False}) == "PASS x"

    def test_a_fine_document_is_taken(self, tmp_path: Path) -> None:
        body = "<xml><a><![CDATA[<!DOCTYPE x>]]></a></xml>"
        assert judged(tmp_path, "xml_attack", {"xml": body}, {"accept": True}) == "PASS x"


def sealed(plain: bytes, receiver: str, *, pad: int | None = None) -> str:
    """Seal as the platform does, by other code than the product's."""
    key = base64.b64decode(AES_KEY + "=")
    content = b"r" * 16 + struct.pack(">I", len(plain)) + plain + receiver.encode()
    count = 32 - len(content) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    ended = content + bytes([count if pad is None else pad]) * count
    return base64.b64encode(encryptor.update(ended) + encryptor.finalize()).decode()


class TestEnvelopes:
    @pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 12, 13, 31, 32, 33, 60_000])
    def test_opens_every_size(self, tmp_path: Path, length: int) -> None:
        plain = "a" * length
        given = {
            "encoding_aes_key": AES_KEY,
            "appid": "wx1",
            "encrypt": sealed(plain.encode(), "wx1"),
        }
        expected = {"valid": True, "plaintext": plain, "random16": "r" * 16, "receive_id": "wx1"}
        assert judged(tmp_path, "encrypted_message", given, expected) == "PASS x"

    @pytest.mark.parametrize(
        "encrypt",
        [
            sealed(b"x", "wx1", pad=0),
            sealed(b"x", "wx1", pad=33),
            sealed(b"x", "wx1")[:-4],
            sealed(b"x", "wx1x"),
            sealed(b"x", ""),
            "",
            "AAAA",
            "not base 64!",
        ],
        ids=range(8),
    )
    def test_opens_nothing_else(self, tmp_path: Path, encrypt: str) -> None:
        given = {"encoding_aes_key": AES_KEY, "appid": "wx1", "encrypt": encrypt, "xml": "<xml/>"}
        line = judged(tmp_path, "encrypted_message", given, {"valid": False})
        assert line == "PASS x" or "MessageNotReadable" in line

    @pytest.mark.parametrize("plain", ["", "中文", "😂" * 700, "]]>"])
    def test_seals_as_others_do(self, tmp_path: Path, plain: str) -> None:
        given = {
            "encoding_aes_key": AES_KEY,
            "appid": "wx1",
            "random16": "r" * 16,
            "plaintext": plain,
            "token": "t",
            "timestamp": "9",
            "nonce": "10",
        }
        expected = {"Encrypt": sealed(plain.encode(), "wx1")}
        assert judged(tmp_path, "encrypted_reply", given, expected) == "PASS x"


class TestReplies:
    @pytest.mark.parametrize(
        ("given", "xml"),
        [
            (
                {"media_id": "m"},
                "<MsgType>voice</MsgType><Voice><MediaId>m</MediaId></Voice>",
            ),
            (
                {"title": "t", "description": "d", "music_url": "u", "hq_music_url": "h"},
                (
                    "<MsgType>music</MsgType><Music><Title>t</Title><Description>d</Description>"
                    "<MusicUrl>u</MusicUrl><HQMusicUrl>h</HQMusicUrl></Music>"
                ),
            ),
            (
                {"articles": [{"title": "a", "url": "1"}, {"title": "b", "image": "2"}]},
                (
                    "<MsgType>news</MsgType><ArticleCount>2</ArticleCount><Articles>"
                    "<item><Title>a</Title><Url>1</Url></item>"
                    "<item><Title>b</Title><PicUrl>2</PicUrl></item></Articles>"
                ),
            ),
            ({}, "<MsgType>transfer_customer_service</MsgType>"),
            ({"content": "a<b & c"}, "<MsgType>text</MsgType><Content>a&lt;b &amp; c</Content>"),
        ],
        ids=["voice", "music", "news", "person", "text"],
    )
    def test_is_written(self, tmp_path: Path, given: dict[str, Any], xml: str) -> None:
        head = "<ToUserName>o</ToUserName><FromUserName>g</FromUserName><CreateTime>5</CreateTime>"
        whole = {"to": "o", "from": "g", **given}
        assert judged(tmp_path, "reply_xml", whole, {"xml": f"<xml>{head}{xml}</xml>"}) == "PASS x"


class TestCalls:
    @pytest.mark.parametrize(
        ("endpoint", "body"),
        [
            ("GET /cgi-bin/menu/get", None),
            ("GET /cgi-bin/ticket/getticket?type=jsapi", None),
            (
                "POST /cgi-bin/message/custom/send",
                {
                    "touser": "O",
                    "msgtype": "text",
                    "text": {"content": "😂还款"},
                    "customservice": {"kf_account": "t@t"},
                },
            ),
            (
                "POST /cgi-bin/message/template/send",
                {
                    "touser": "O",
                    "template_id": "T",
                    "url": "https://a/b?c=d",
                    "client_msg_id": "1",
                    "data": {"thing1": {"value": "手机"}},
                },
            ),
            ("POST /cgi-bin/message/subscribe/bizsend", {"touser": "O", "data": {}}),
        ],
        ids=range(5),
    )
    def test_goes_out_as_it_should(
        self, tmp_path: Path, endpoint: str, body: dict[str, Any] | None
    ) -> None:
        expected = {} if body is None else {"body": body}
        assert judged(tmp_path, "api_request", {"endpoint": endpoint}, expected) == "PASS x"

    @pytest.mark.parametrize(
        ("endpoint", "answer"),
        [
            ("/cgi-bin/ticket/getticket", {"errcode": 0, "ticket": "T", "expires_in": 7200}),
            ("POST /cgi-bin/stable_token", {"access_token": "x" * 512, "expires_in": 7200}),
            ("/sns/oauth2/refresh_token", {"access_token": "A", "openid": "O", "scope": "s"}),
            ("/cgi-bin/user/info", {"errcode": 40003, "errmsg": "invalid openid rid: 1-2-3"}),
        ],
    )
    def test_an_answer_is_read(self, tmp_path: Path, endpoint: str, answer: dict[str, Any]) -> None:
        assert judged(tmp_path, "api_response", {"endpoint": endpoint}, answer) == "PASS x"

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, {"errcode": -1, "errmsg": "system error"}),
            (200, {"errcode": 40014, "errmsg": "invalid access_token"}),
            (200, {"errcode": 40029, "errmsg": "invalid code"}),
            (200, {"errcode": 40163, "errmsg": "code been used"}),
            (200, {"errcode": 45015, "errmsg": "response out of time limit"}),
            (400, {"code": "ORDER_CLOSED", "message": "订单已关闭"}),
            (403, {"code": "OUT_TRADE_NO_USED", "message": "商户订单号重复"}),
            (404, {"code": "ORDER_NOT_EXIST", "message": "订单不存在"}),
            (429, {"code": "FREQUENCY_LIMITED", "message": "频率超限"}),
            (502, "<html>Bad Gateway</html>"),
        ],
    )
    def test_an_error_is_told(self, tmp_path: Path, status: int, body: object) -> None:
        expected = {"http_status": status, "body": body}
        assert judged(tmp_path, "error_response", {}, expected) == "PASS x"


class TestPaySignatures:
    def test_a_request_is_signed_over_five_lines(self, tmp_path: Path) -> None:
        body = '{"description":"手机分期"}'
        lines = f"POST\n/v3/pay/transactions/jsapi?a=b\n1\nn\n{body}\n"
        given = {
            "private_key": KEY,
            "method": "POST",
            "path": "/v3/pay/transactions/jsapi?a=b",
            "timestamp": 1,
            "nonce": "n",
            "body": body,
        }
        signed = sign(message=lines, private_key=KEY)
        expected = {"message": lines, "signature": signed}
        assert judged(tmp_path, "pay_v3_request_sign", given, expected) == "PASS x"

    @pytest.mark.parametrize("is_published", [True, False])
    def test_a_page_is_signed_over_four_lines(self, tmp_path: Path, is_published: bool) -> None:
        lines = "wx8\n1414561699\nN\nprepay_id=p\n"
        given = {
            "appId": "wx8",
            "timeStamp": "1414561699",
            "nonceStr": "N",
            "prepay_id": "p",
        }
        if is_published:
            given["key"] = KEY
        signed = sign(message=lines, private_key=KEY)
        expected = {"message": lines, "paySign": signed}
        assert judged(tmp_path, "pay_v3_request_sign", given, expected) == "PASS x"
        wrong = {"message": "other\n", "paySign": signed[::-1]}
        assert judged(tmp_path, "pay_v3_request_sign", given, wrong).startswith("FAIL")
