"""Payment orders: made once, paid once, closed or expired. Rules as API v3 documents them."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from kernel.clock import shanghai
from sandbox.pay import notify
from sandbox.pay.errors import refusal
from sandbox.pay.state import Order
from sandbox.wechat import quota
from sandbox.world import World, digits

_NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
_PREPAY_LASTS = timedelta(hours=2)
_ORDER_LASTS = timedelta(days=7)
_DESCRIPTION_CHARS = 127
_URL_CHARS = 255
_STATE_WORDS = {"SUCCESS": "支付成功", "REFUND": "转入退款", "NOTPAY": "订单未支付"}
_STATE_WORDS |= {"CLOSED": "订单已关闭", "PAYERROR": "支付失败"}


def rfc3339(at: datetime) -> str:
    """Write an instant as the platform does, in Shanghai time to the second."""
    return shanghai(at).isoformat(timespec="seconds")


def create(world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /v3/pay/transactions/jsapi; the same request again is the same order."""
    _check_request(world, asked)
    number = asked["out_trade_no"]
    held = world.merchant.orders.get(number)
    if held is None:
        held = _new_order(world, asked)
    else:
        _check_repeat(world, held, asked)
    if held.prepay_expires_at <= world.now():
        _renew_prepay(world, held)
    return {"prepay_id": held.prepay_id}


def query(world: World, *, mchid: str, order: Order | None) -> dict[str, Any]:
    """Answer a query by either number."""
    if mchid != world.settings.pay_mch_id:
        raise refusal("PARAM_ERROR", "商户号有误")
    if order is None:
        raise refusal("ORDER_NOT_EXIST")
    expire(world, order)
    return facts(world, order)


def close(world: World, *, mchid: str, number: str) -> None:
    """Answer POST …/close; only an unpaid order can be closed, and only once."""
    if mchid != world.settings.pay_mch_id:
        raise refusal("PARAM_ERROR", "商户号有误")
    order = world.merchant.orders.get(number)
    if order is None:
        raise refusal("ORDER_NOT_EXIST")
    if world.knobs.take("pay.close", "paid_meanwhile") is not None:
        pay(world, order)
    expire(world, order)
    if order.state in ("SUCCESS", "REFUND"):
        raise refusal("ORDERPAID")
    if order.state == "CLOSED":
        raise refusal("ORDER_CLOSED")
    order.state = "CLOSED"


def pay(world: World, order: Order) -> bool:
    """Let the payer pay, and start the notifications; tell whether the order could be paid."""
    expire(world, order)
    now = world.now()
    if order.state != "NOTPAY" or order.prepay_expires_at <= now:
        return False
    order.state = "SUCCESS"
    order.success_at = now
    order.transaction_id = "4200" + digits(24)
    world.merchant.by_transaction_id[order.transaction_id] = order
    quota.earn(world.account, order.openid, "payment", now=now)
    content = {
        "out_trade_no": order.number,
        "transaction_id": order.transaction_id,
        "total_fen": order.total_fen,
        "description": order.description,
    }
    world.journal.add("payment", at=now, openid=order.openid, content=content)
    notify.announce_payment(world, order, facts(world, order))
    return True


def expire(world: World, order: Order) -> None:
    """Close an unpaid order whose time is over."""
    if order.state == "NOTPAY" and order.expires_at <= world.now():
        order.state = "CLOSED"


def facts(world: World, order: Order) -> dict[str, Any]:
    """Return the order as queries and notifications show it."""
    shown: dict[str, Any] = {
        "appid": world.settings.wechat_app_id,
        "mchid": world.settings.pay_mch_id,
        "out_trade_no": order.number,
        "trade_state": order.state,
        "trade_state_desc": _STATE_WORDS[order.state],
        "attach": order.asked.get("attach", ""),
        "payer": {"openid": order.openid},
        "amount": {"total": order.total_fen, "currency": "CNY"},
    }
    if order.success_at is not None:
        shown |= {
            "transaction_id": order.transaction_id,
            "trade_type": "JSAPI",
            "bank_type": "OTHERS",
            "success_time": rfc3339(order.success_at),
            "promotion_detail": [],
        }
        shown["amount"] |= {"payer_total": order.total_fen, "payer_currency": "CNY"}
    return shown


def _check_request(world: World, asked: Mapping[str, Any]) -> None:
    settings = world.settings
    if asked.get("mchid") != settings.pay_mch_id or asked.get("appid") != settings.wechat_app_id:
        raise refusal("APPID_MCHID_NOT_MATCH")
    amount, payer = asked.get("amount"), asked.get("payer")
    total = amount.get("total") if isinstance(amount, Mapping) else None
    description = asked.get("description")
    faults = {
        "out_trade_no": not _NUMBER.fullmatch(str(asked.get("out_trade_no"))),
        "amount.total": not isinstance(total, int) or isinstance(total, bool) or total < 1,
        "payer.openid": not isinstance(payer, Mapping) or not payer.get("openid"),
        "description": not isinstance(description, str)
        or not 1 <= len(description) <= _DESCRIPTION_CHARS,
        "notify_url": not _is_notify_url(asked.get("notify_url")),
        "time_expire": _expiry(asked, world.now()) <= world.now(),
    }
    for name, is_fault in faults.items():
        if is_fault:
            raise refusal("PARAM_ERROR", f"输入源“/body/{name}”映射到字段“{name}”校验失败")


def _is_notify_url(url: object) -> bool:
    if not isinstance(url, str) or len(url) > _URL_CHARS:
        return False
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query


def _expiry(asked: Mapping[str, Any], now: datetime) -> datetime:
    try:
        given = asked.get("time_expire")
        return datetime.fromisoformat(given).astimezone(UTC) if given else now + _ORDER_LASTS
    except (TypeError, ValueError):
        return now


def _check_repeat(world: World, held: Order, asked: Mapping[str, Any]) -> None:
    expire(world, held)
    if held.state == "CLOSED":
        raise refusal("ORDER_CLOSED")
    if held.state != "NOTPAY":
        raise refusal("INVALID_REQUEST", "该订单已支付")
    if held.asked != dict(asked):
        is_used = world.knobs.take("pay.order", "number_used") is not None
        raise refusal("OUT_TRADE_NO_USED" if is_used else "INVALID_REQUEST")


def _new_order(world: World, asked: Mapping[str, Any]) -> Order:
    now = world.now()
    order = Order(
        number=asked["out_trade_no"],
        asked=dict(asked),
        total_fen=asked["amount"]["total"],
        openid=asked["payer"]["openid"],
        notify_url=asked["notify_url"],
        description=asked["description"],
        expires_at=_expiry(asked, now),
        prepay_id="",
        prepay_expires_at=now,
    )
    world.merchant.orders[order.number] = order
    return order


def _renew_prepay(world: World, order: Order) -> None:
    now = world.now()
    order.prepay_id = "wx" + shanghai(now).strftime("%d%H%M%S") + secrets.token_hex(13)
    order.prepay_expires_at = now + _PREPAY_LASTS
    world.merchant.by_prepay_id[order.prepay_id] = order
