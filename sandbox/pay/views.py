"""WeChat Pay API v3 over HTTP, under /sandbox/pay. Every answer is signed, also errors and 204."""

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from sandbox.door import through
from sandbox.pay import bills, orders, refunds
from sandbox.pay.errors import PayRefused, refusal
from sandbox.pay.signing import authorization_fields, signed_headers
from sandbox.world import World, this_world

PREFIX = "/sandbox/pay"
blueprint = Blueprint("pay", __name__, url_prefix=PREFIX)

_WINDOW_S = 300
_NONCE_KEPT = timedelta(minutes=10)
_NO_CERTIFICATE = (
    "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。可查看指引https://pay.weixin.qq.com"
    "/docs/merchant/products/platform-certificate/wxp-pub-key-guide.html"
)

Work = Callable[[World, dict[str, Any]], dict[str, Any] | None]


@blueprint.post("/v3/pay/transactions/jsapi")
def create_order() -> Response:
    """下单."""
    return _serve("pay.order", _create)


def _create(world: World, asked: dict[str, Any]) -> dict[str, Any]:
    answer = orders.create(world, asked)
    if (code := world.knobs.take("pay.order", "error_after")) is not None:
        raise refusal(str(code))
    return answer


@blueprint.get("/v3/pay/transactions/id/<transaction_id>")
def query_by_transaction_id(transaction_id: str) -> Response:
    """微信支付订单号查询订单."""

    def work(world: World, _asked: dict[str, Any]) -> dict[str, Any]:
        order = world.merchant.by_transaction_id.get(transaction_id)
        return orders.query(world, mchid=request.args.get("mchid", ""), order=order)

    return _serve("pay.query", work)


@blueprint.get("/v3/pay/transactions/out-trade-no/<number>")
def query_by_number(number: str) -> Response:
    """商户订单号查询订单."""

    def work(world: World, _asked: dict[str, Any]) -> dict[str, Any]:
        order = world.merchant.orders.get(number)
        return orders.query(world, mchid=request.args.get("mchid", ""), order=order)

    return _serve("pay.query", work)


@blueprint.post("/v3/pay/transactions/out-trade-no/<number>/close")
def close_order(number: str) -> Response:
    """关闭订单."""

    def work(world: World, asked: dict[str, Any]) -> None:
        orders.close(world, mchid=str(asked.get("mchid")), number=number)

    return _serve("pay.close", work)


@blueprint.post("/v3/refund/domestic/refunds")
def create_refund() -> Response:
    """申请退款."""
    return _serve("pay.refund", refunds.create)


@blueprint.get("/v3/refund/domestic/refunds/<number>")
def query_refund(number: str) -> Response:
    """查询单笔退款."""
    return _serve("pay.refund_query", lambda world, _asked: refunds.query(world, number))


@blueprint.get("/v3/bill/tradebill")
def trade_bill() -> Response:
    """申请交易账单."""
    return _serve("pay.bill", lambda world, _: bills.trade_bill(world, request.args, base=_base()))


@blueprint.get("/v3/bill/fundflowbill")
def fund_flow_bill() -> Response:
    """申请资金账单."""
    return _serve(
        "pay.bill", lambda world, _: bills.fund_flow_bill(world, request.args, base=_base())
    )


@blueprint.get("/v3/billdownload/file")
def download_bill() -> Response:
    """下载账单: the request is signed, the file is not; its hash is in the answer before it."""
    world = this_world()
    return through(world, "pay.bill_download", lambda: _file(world))


def _file(world: World) -> Response:
    try:
        with world.lock:
            _check_authorization(world)
            content = bills.download(world, request.args.get("token", ""))
    except PayRefused as error:
        return _signed(world, "pay.bill_download", error.status, error.answer())
    return Response(content, 200, content_type="application/octet-stream")


def _base() -> str:
    return request.host_url.rstrip("/") + PREFIX


@blueprint.get("/v3/certificates")
def certificates() -> Response:
    """下载平台证书: a merchant of public-key mode has none."""

    def work(_world: World, _asked: dict[str, Any]) -> dict[str, Any]:
        raise refusal("RESOURCE_NOT_EXISTS", _NO_CERTIFICATE)

    return _serve("pay.certificates", work)


def _serve(feature: str, work: Work) -> Response:
    world = this_world()
    response = through(world, feature, lambda: _answer(world, feature, work))
    if feature == "pay.order" and world.knobs.peek(feature, "notify_first"):
        _pay_before_answer(world, response)
    return response


def _answer(world: World, feature: str, work: Work) -> Response:
    try:
        with world.lock:
            _check_authorization(world)
            if (code := world.knobs.take(feature, "error")) is not None:
                raise refusal(str(code))
            answer = work(world, _body())
        status = 204 if answer is None else 200
    except PayRefused as error:
        status, answer = error.status, error.answer()
    return _signed(world, feature, status, answer)


def _signed(world: World, feature: str, status: int, answer: dict[str, Any] | None) -> Response:
    text = "" if answer is None else json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    response = Response(text, status, content_type="application/json; charset=utf-8")
    response.headers["Request-ID"] = "08" + secrets.token_hex(24).upper()
    if world.knobs.take(feature, "unsigned") is None:
        timestamp = int(world.now().timestamp())
        response.headers.extend(signed_headers(world.merchant.keys, text, timestamp=timestamp))
    return response


def _check_authorization(world: World) -> None:
    """Let a request that the merchant signed pass.

    The merchant signs the path it asks for. A library that is given our address as its gateway
    signs the path without our prefix, another signs all of it: both are right.

    Raises:
        PayRefused: SIGN_ERROR, 401.
    """
    given = authorization_fields(request.headers.get("Authorization", ""))
    if given.get("mchid") != world.settings.pay_mch_id:
        raise refusal("SIGN_ERROR", "Http头Authorization值格式错误或商户号有误")
    if given.get("serial_no") != world.merchant.keys.merchant_serial:
        raise refusal("SIGN_ERROR", "商户证书序列号有误。")
    timestamp, nonce = given.get("timestamp", ""), given.get("nonce_str", "")
    if not timestamp.isdigit() or not world.is_recent(int(timestamp), window_s=_WINDOW_S):
        raise refusal("SIGN_ERROR", "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")
    _use_nonce(world, nonce)
    raw_path = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI")
    full = str(raw_path or request.full_path.rstrip("?"))
    body = request.get_data(as_text=True)
    signature = given.get("signature", "")
    for path in (full.removeprefix(PREFIX), full):
        lines = (request.method, path, timestamp, nonce, body)
        if world.merchant.keys.is_by_merchant(signature, *lines):
            return
    raise refusal("SIGN_ERROR", "签名错误，请检查后再试")


def _use_nonce(world: World, nonce: str) -> None:
    now, nonces = world.machine.now(), world.merchant.nonces
    if not nonce or nonce in nonces:
        raise refusal("SIGN_ERROR", "Http头Authorization中的nonce_str重复")
    nonces[nonce] = now
    for old in [key for key, at in nonces.items() if now - at > _NONCE_KEPT][:100]:
        del nonces[old]


def _body() -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        body = json.loads(request.get_data())
    except ValueError as error:
        raise refusal("PARAM_ERROR", "请求体不是JSON") from error
    if not isinstance(body, dict):
        raise refusal("PARAM_ERROR", "请求体不是JSON对象")
    return body


def _pay_before_answer(world: World, response: Response) -> None:
    """Play the payer who is faster than the answer to the create call."""
    if response.status_code != 200:  # noqa: PLR2004 -- HTTP OK
        return
    if world.knobs.take("pay.order", "notify_first") is None:
        return
    with world.lock:
        order = world.merchant.by_prepay_id[json.loads(response.get_data())["prepay_id"]]
        orders.pay(world, order)
    world.schedule.settle(timeout_s=6)
