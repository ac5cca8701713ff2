"""The borrower's pages inside WeChat: what is owed, paying it, and how the payment went.

Who looks is known by WeChat's OAuth2 (snsapi_base) and kept in a signed cookie of these pages
alone. A page shows nobody's debt but the looker's own; another's loan is simply not found.
"""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from apiflask import APIBlueprint
from flask import Response, g, jsonify, make_response, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from contact.ports import AddressKind
from contact.queries import customer_of
from kernel.errors import FenqiError, Unauthorized, Unavailable
from kernel.ids import new_token
from kernel.money import yuan
from kernel.settings import Settings
from kernel.web import runtime, today
from servicing import queries
from servicing.payments.operations import open_payment_order, query_order

blueprint = APIBlueprint(
    "h5",
    __name__,
    url_prefix="/h5",
    template_folder="templates",
    static_folder="static",
    enable_openapi=False,
)

_COOKIE, _STATE_COOKIE = "fenqi_h5", "fenqi_h5_state"
_SESSION_S, _STATE_S = 2 * 3600, 600
_TIMEOUT_S = 5
_OPEN_TO_ALL = ("h5.static", "h5.oauth")


class LoginRefused(Unauthorized):
    """WeChat's sign-in did not come back as it left."""

    code = "wechat-login-refused"
    message_zh = "登录已失效，请返回公众号重新打开页面"


class WeChatNotReached(Unavailable):
    """WeChat did not answer the sign-in."""

    code = "wechat-login-unavailable"
    message_zh = "暂时无法连接微信，请稍后再试"


@blueprint.before_request
def know_the_looker() -> BaseResponse | None:
    """Let in who is known; send others to WeChat, and outsiders to the guard page."""
    if request.endpoint in _OPEN_TO_ALL:
        return None
    if "MicroMessenger" not in request.headers.get("User-Agent", ""):
        return make_response(render_template("h5/guard.html"), 403)
    openid = _read(_COOKIE, request.cookies.get(_COOKIE, ""), _SESSION_S)
    if openid is None:
        if request.method != "GET":
            raise LoginRefused("no session")
        return _to_wechat()
    given = runtime()
    with given.database.read() as session:
        customer_id = customer_of(
            session, channel_kind=AddressKind.WECHAT, address=openid, cipher=given.cipher
        )
    if customer_id is None:
        return make_response(render_template("h5/unbound.html"), 403)
    g.openid, g.customer_id = openid, customer_id
    return None


@blueprint.errorhandler(FenqiError)
def refuse(error: FenqiError) -> tuple[BaseResponse, int]:
    """Tell the borrower in a sentence what is wrong."""
    if request.method == "POST" or request.path.startswith("/h5/orders/"):
        return jsonify(code=error.code, message=error.message_zh), error.status
    page = render_template("h5/message.html", title="提示", message=error.message_zh)
    return make_response(page), error.status


@blueprint.get("/oauth")
def oauth() -> BaseResponse:
    """Take WeChat's answer, remember the looker, and go where they wanted to."""
    state = request.args.get("state", "")
    wanted = _read(_STATE_COOKIE, request.cookies.get(_STATE_COOKIE, ""), _STATE_S)
    if wanted is None or not hmac.compare_digest(wanted["state"].encode(), state.encode()):
        raise LoginRefused("state does not match")
    openid = _openid_of(runtime().settings, request.args.get("code", ""))
    response = redirect(wanted["next"])
    _keep(response, _COOKIE, openid, _SESSION_S)
    response.delete_cookie(_STATE_COOKIE, path="/h5")
    return response


@blueprint.get("/progress")
def progress() -> str:
    """Show the looker's loans and plans."""
    with runtime().database.read() as session:
        loans = queries.loans_of(session, customer_id=g.customer_id, on=today())
    return render_template("h5/progress.html", loans=loans, yuan=yuan, on=today())


@blueprint.get("/repay/<int:loan_id>")
def repay(loan_id: int) -> str:
    """Show what is to pay now, with its reasons, and the button."""
    with runtime().database.read() as session:
        loan = queries.loan_of(session, loan_id=loan_id, customer_id=g.customer_id, on=today())
    quote = queries.repayment_quote(loan, on=today())
    rate = f"{loan.rate_annual * 100:.2f}".rstrip("0").rstrip(".")
    return render_template(
        "h5/repay.html", loan=loan, quote=quote, rate=rate, yuan=yuan, key=new_token()
    )


@blueprint.post("/repay/<int:loan_id>")
def pay(loan_id: int) -> Response:
    """Open a payment order and hand its parameters to WeChat's payment sheet."""
    params = open_payment_order(
        runtime(),
        key=f"h5:{request.headers.get('Idempotency-Key', '')[:100]}",
        customer_id=g.customer_id,
        loan_id=loan_id,
        openid=g.openid,
    )
    return jsonify(params=params.bridge(), out_trade_no=params.out_trade_no)


@blueprint.get("/orders/<out_trade_no>")
def order_state(out_trade_no: str) -> Response:
    """Tell how a payment went; we ask WeChat Pay, the page's own word proves nothing."""
    order = query_order(runtime(), out_trade_no=out_trade_no, customer_id=g.customer_id)
    return jsonify(state=order.state)


@blueprint.get("/result/<out_trade_no>")
def result(out_trade_no: str) -> str:
    """Show a payment and wait for its end."""
    order = query_order(runtime(), out_trade_no=out_trade_no, customer_id=g.customer_id)
    return render_template("h5/result.html", order=order, yuan=yuan)


def _to_wechat() -> BaseResponse:
    settings = runtime().settings
    state = secrets.token_urlsafe(16)
    query = {
        "appid": settings.wechat_app_id,
        "redirect_uri": settings.public_base_url + url_for("h5.oauth"),
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
    }
    base = f"{settings.wechat_oauth_base}/connect/oauth2/authorize"
    response = redirect(f"{base}?{urlencode(query)}#wechat_redirect")
    path = urlsplit(request.full_path)
    _keep(response, _STATE_COOKIE, {"state": state, "next": path.path}, _STATE_S)
    return response


def _openid_of(settings: Settings, code: str) -> str:
    query = {
        "appid": settings.wechat_app_id,
        "secret": settings.wechat_app_secret,
        "code": code,
        "grant_type": "authorization_code",
    }
    url = f"{settings.wechat_api_base}/sns/oauth2/access_token"
    try:
        answer: Mapping[str, Any] = requests.get(url, params=query, timeout=_TIMEOUT_S).json()
    except requests.RequestException as error:
        raise WeChatNotReached("oauth2/access_token gave no answer") from error
    if "openid" not in answer:
        raise LoginRefused(f"oauth2/access_token answered {answer.get('errcode')}")
    return str(answer["openid"])


def _signer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(runtime().settings.secret_key, salt=purpose)


def _keep(response: BaseResponse, name: str, value: object, max_age: int) -> None:
    response.set_cookie(
        name,
        _signer(name).dumps(value),
        max_age=max_age,
        path="/h5",
        httponly=True,
        samesite="Lax",
        secure=not runtime().settings.is_development,
    )


def _read(name: str, value: str, max_age: int) -> Any:
    try:
        return _signer(name).loads(value, max_age=max_age)
    except BadSignature:
        return None
