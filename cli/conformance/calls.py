"""Vectors about calls: what we send, what we make of answers, and what of errors.

The product's own clients speak to a loopback platform that answers what the vector says.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from bot.login import LoginRefused, ask_sns
from cli.conformance.case import Case, Check, differs
from cli.conformance.stage import TOKEN, Stage
from contact.ports import WeChatError
from servicing.payments.ports import NewOrder, PayProblem, PayRefused

_ANY_CALL: Final = "/cgi-bin/getcallbackip"
_SENDS: Final = "/cgi-bin/message/custom/send"
_SENDS_TEMPLATE: Final = "/cgi-bin/message/template/send"
_CODE_ERRORS: Final = frozenset({40029, 40163})
_TOKEN_ERRORS: Final = frozenset({40001, 40014, 42001})
_TOKEN_TRIES: Final = 2
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_OUR_TEMPLATE_PARTS: Final = {"touser", "template_id", "url", "client_msg_id", "data"}


def _split(endpoint: str, otherwise: str) -> tuple[str, str]:
    method, _, path = endpoint.rpartition(" ")
    return method or otherwise, path


def _request(case: Case, stage: Stage) -> str:
    method, path = _split(str(case.given["endpoint"]), "POST")
    body: Mapping[str, Any] | None = case.expected.get("body")
    stage.redis.flushdb()
    stage.platform.prepare({"errcode": 0, "errmsg": "ok", "msgid": 1})
    _send(stage, method, path, body)
    (call,) = stage.platform.calls
    why = differs("request", call[:2], (method, path.partition("?")[0]))
    why = why or differs("access_token", call[2].get("access_token"), TOKEN)
    return why or differs("body", call[3], body)


def _send(stage: Stage, method: str, path: str, body: Mapping[str, Any] | None) -> None:
    """Send by the client's method for this kind of message where there is one."""
    client = stage.wechat
    if body is None:
        client.call(method, path)
        return
    kind = body.get("msgtype")
    if path == _SENDS and kind == "text" and len(body) == len(("touser", "msgtype", "text")):
        client.send_text(body["touser"], body["text"]["content"])
    elif path == _SENDS and kind == "msgmenu":
        menu = body["msgmenu"]
        items = [(item["id"], item["content"]) for item in menu["list"]]
        head, tail = menu.get("head_content", ""), menu.get("tail_content", "")
        client.send_menu_message(body["touser"], head, items, tail)
    elif path == _SENDS_TEMPLATE and _is_our_template(body):
        data = {name: field["value"] for name, field in body["data"].items()}
        named = (body["touser"], body["template_id"], data, body["url"], body["client_msg_id"])
        client.send_template(*named)
    else:
        client.call(method, path, body)


def _is_our_template(body: Mapping[str, Any]) -> bool:
    return set(body) == _OUR_TEMPLATE_PARTS and all(
        set(field) == {"value"} for field in body["data"].values()
    )


def _response(case: Case, stage: Stage) -> str:
    method, path = _split(str(case.given["endpoint"]), "GET")
    expected = dict(case.expected)
    stage.redis.flushdb()
    if path in ("/cgi-bin/token", "/cgi-bin/stable_token"):
        stage.platform.prepare({"ip_list": []}, token=expected)
        stage.wechat.call("GET", _ANY_CALL)
        used = stage.platform.calls[0][2].get("access_token")
        return differs("access_token", used, expected["access_token"])
    if expected.get("errcode"):
        return _wechat_error(stage, int(expected["errcode"]), str(expected.get("errmsg", "")))
    stage.platform.prepare(expected)
    if path.startswith("/sns/"):
        got = ask_sns(stage.settings, path, {"code": "CODE", "grant_type": "authorization_code"})
    elif path == "/cgi-bin/user/info":
        got = stage.wechat.get_user("OPENID")
    else:
        got = stage.wechat.call(method, path)
    return differs("answer", got, expected)


def _error(case: Case, stage: Stage) -> str:
    body, status = case.expected["body"], int(case.expected.get("http_status") or 200)
    stage.redis.flushdb()
    stage.platform.prepare(body, status=status)
    if isinstance(body, Mapping) and "errcode" in body:
        return _wechat_error(stage, int(body["errcode"]), str(body.get("errmsg", "")))
    code = body.get("code") if isinstance(body, Mapping) else None
    return _pay_error(stage, None if code is None else str(code), status)


def _wechat_error(stage: Stage, errcode: int, errmsg: str) -> str:
    stage.platform.prepare({"errcode": errcode, "errmsg": errmsg})
    if errcode in _CODE_ERRORS:
        try:
            ask_sns(stage.settings, "/sns/oauth2/access_token", {"code": "CODE"})
        except LoginRefused as error:
            return differs("errcode", error.extras.get("errcode"), errcode)
        return "no error was raised"
    try:
        stage.wechat.call("POST", _SENDS, {"touser": "OPENID"})
    except WeChatError as error:
        why = differs("errcode", error.errcode, errcode)
        said, _, _request_id = errmsg.partition(" rid:")
        why = why or ("" if said in error.detail else f"the reason is lost: {error.detail}")
    else:
        return "no error was raised"
    tries = len(stage.platform.calls)
    is_patient = tries == _TOKEN_TRIES or errcode not in _TOKEN_ERRORS
    return why or ("" if is_patient else f"{tries} calls")


def _pay_error(stage: Stage, code: str | None, status: int) -> str:
    """Let an order be refused; a 4xx is the platform's no, all else leaves the outcome open."""
    order = NewOrder(
        out_trade_no="PO20260310CONFORMANCE",
        openid="OPENID",
        amount_fen=1,
        description="conformance",
        expires_at=stage.now() + timedelta(hours=1),
    )
    try:
        stage.pay.create_jsapi_order(order)
    except PayProblem as problem:
        is_no = code is not None and status < _SERVER_ERROR and status != _TOO_MANY
        why = differs("refused", isinstance(problem, PayRefused), is_no)
        return why or ("" if code is None else differs("code", problem.code, code))
    return "no error was raised"


CALL_CHECKS: Final[Mapping[str, Check]] = {
    "api_request": _request,
    "api_response": _response,
    "error_response": _error,
}
