"""The official account's API over HTTP, under /sandbox/wechat. Errors are HTTP 200 with errcode."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from sandbox import driver
from sandbox.door import through
from sandbox.wechat import messages, oauth, tokens, users
from sandbox.wechat.errors import Refused
from sandbox.wechat.rules import check_menu
from sandbox.world import World, this_world

blueprint = Blueprint("wechat", __name__, url_prefix="/sandbox/wechat")

Given = Mapping[str, Any]
Handler = Callable[[World, Given], dict[str, Any]]


def _endpoint(path: str, method: str, feature: str, handler: Handler, *, guard: str) -> None:
    """Register an endpoint; `guard` is token (access_token wanted) or open."""

    def view() -> Response:
        world = this_world()
        return through(world, feature, lambda: _answer(world, feature, handler, guard))

    blueprint.add_url_rule(path, f"{method} {path}", view, methods=[method])


def _answer(world: World, feature: str, handler: Handler, guard: str) -> Response:
    try:
        with world.lock:
            if (errcode := world.knobs.take(feature, "error")) is not None:
                raise Refused(int(errcode))
            if guard == "token":
                tokens.check_token(world, request.args.get("access_token"))
            given: Given = request.args if request.method == "GET" else _body()
            answer = handler(world, given)
    except Refused as refusal:
        answer = refusal.answer()
    is_sns = "/sns/" in request.path
    mimetype = "text/plain" if is_sns else "application/json; encoding=utf-8"
    return Response(json.dumps(answer, ensure_ascii=False), 200, content_type=mimetype)


def _body() -> dict[str, Any]:
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise Refused(47001) from error
    if not isinstance(body, dict):
        raise Refused(47001)
    return body


def _send_template(world: World, body: Given) -> dict[str, Any]:
    def push(openid: str, msgid: int, status: str) -> object:
        return driver.push_template_result(world, openid, msgid=msgid, status=status)

    return messages.send_template(world, body, push)


def _create_menu(world: World, body: Given) -> dict[str, Any]:
    check_menu(body)
    world.book.put_menu({"button": body["button"]})
    return {"errcode": 0, "errmsg": "ok"}


def _get_menu(world: World, _query: Given) -> dict[str, Any]:
    menu = world.book.menu()
    if menu is None:
        raise Refused(46003)
    return {"menu": menu}


def _delete_menu(world: World, _query: Given) -> dict[str, Any]:
    world.book.put_menu(None)
    return {"errcode": 0, "errmsg": "ok"}


def _callback_ips(_world: World, _query: Given) -> dict[str, Any]:
    return {"ip_list": ["127.0.0.1"]}


def _clear_quota(world: World, body: Given) -> dict[str, Any]:
    if body.get("appid") != world.settings.wechat_app_id:
        raise Refused(40013)
    world.account.plain_grants_at.clear()
    world.account.forced_at.clear()
    return {"errcode": 0, "errmsg": "ok"}


@blueprint.get("/connect/oauth2/authorize")
def authorise() -> BaseResponse:
    """Send the person back to the page with a code, as WeChat's browser does silently."""
    world = this_world()
    world.journal.count("oauth.authorize")
    openid = request.cookies.get("sandbox_openid", "")
    if not openid:
        return _sorry("请在微信客户端打开链接")
    try:
        with world.lock:
            return redirect(oauth.authorise(world, request.args, openid))
    except oauth.NotAuthorised as error:
        return _sorry(str(error))


def _sorry(text: str) -> Response:
    page = (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width,initial-scale=1"><title>抱歉，出错了</title>'
        '<body style="font:16px sans-serif;text-align:center;padding-top:96px;color:#333">'
        f"<p style='font-size:48px;margin:0'>ⓘ</p><p>{text}</p></body></html>"
    )
    return Response(page, 200, mimetype="text/html")


_TOKEN, _OPEN = "token", "open"

_endpoint("/cgi-bin/token", "GET", "token.plain", tokens.grant_plain, guard=_OPEN)
_endpoint("/cgi-bin/stable_token", "POST", "token.stable", tokens.grant_stable, guard=_OPEN)
_endpoint("/sns/oauth2/access_token", "GET", "oauth.token", oauth.exchange, guard=_OPEN)
_endpoint("/sns/oauth2/refresh_token", "GET", "oauth.token", oauth.refresh, guard=_OPEN)
_endpoint("/sns/userinfo", "GET", "oauth.userinfo", oauth.person_info, guard=_OPEN)
_endpoint("/sns/auth", "GET", "oauth.userinfo", oauth.check, guard=_OPEN)

_CALLS: tuple[tuple[str, str, str, Handler], ...] = (
    ("/cgi-bin/ticket/getticket", "GET", "wechat.ticket", tokens.page_ticket),
    ("/cgi-bin/message/custom/send", "POST", "wechat.custom", messages.send_custom),
    ("/cgi-bin/message/custom/typing", "POST", "wechat.typing", messages.show_typing),
    ("/cgi-bin/message/template/send", "POST", "wechat.template", _send_template),
    ("/cgi-bin/menu/create", "POST", "wechat.menu", _create_menu),
    ("/cgi-bin/menu/get", "GET", "wechat.menu", _get_menu),
    ("/cgi-bin/menu/delete", "GET", "wechat.menu", _delete_menu),
    ("/cgi-bin/user/info", "GET", "wechat.user", users.user_info),
    ("/cgi-bin/user/get", "GET", "wechat.user", users.user_list),
    ("/cgi-bin/customservice/getkflist", "GET", "wechat.customservice", users.staff_list),
    ("/cgi-bin/customservice/getonlinekflist", "GET", "wechat.customservice", users.staff_online),
    ("/customservice/kfsession/create", "POST", "wechat.customservice", users.open_session),
    ("/customservice/kfsession/close", "POST", "wechat.customservice", users.close_session),
    ("/customservice/kfsession/getsession", "GET", "wechat.customservice", users.session_of),
    ("/customservice/kfsession/getwaitcase", "GET", "wechat.customservice", users.waiting_cases),
    ("/cgi-bin/getcallbackip", "GET", "wechat.misc", _callback_ips),
    ("/cgi-bin/clear_quota", "POST", "wechat.misc", _clear_quota),
)
for _path, _method, _feature, _handler in _CALLS:
    _endpoint(_path, _method, _feature, _handler, guard=_TOKEN)
