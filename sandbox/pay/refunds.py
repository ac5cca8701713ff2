"""Refunds to source: repeatable by number, never more than was paid, with a result of their own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sandbox.pay import notify
from sandbox.pay.errors import refusal
from sandbox.pay.orders import rfc3339
from sandbox.pay.state import Order, Refund
from sandbox.world import World, digits

_TAKES = timedelta(seconds=3)
_PARTS = 50


def create(world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /v3/refund/domestic/refunds; the same request again is the same refund."""
    number = str(asked.get("out_refund_no") or "")
    amount = asked.get("amount")
    if not number or not isinstance(amount, Mapping):
        raise refusal("PARAM_ERROR")
    held = world.merchant.refunds.get(number)
    if held is not None:
        if held.asked != dict(asked):
            raise refusal("INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
        return facts(world, held)
    order = _order_of(world, asked)
    fen = amount.get("refund")
    if amount.get("total") != order.total_fen or not isinstance(fen, int) or fen < 1:
        raise refusal("PARAM_ERROR", "订单总金额与原交易不一致，或退款金额有误")
    parts = sum(refund.order is order for refund in world.merchant.refunds.values())
    if order.refunded_fen + fen > order.total_fen or parts >= _PARTS:
        raise refusal("INVALID_REQUEST", "申请退款金额超过订单可退金额")
    refund = _new_refund(world, asked, order, fen)
    return facts(world, refund)


def query(world: World, number: str) -> dict[str, Any]:
    """Answer GET /v3/refund/domestic/refunds/{out_refund_no}."""
    refund = world.merchant.refunds.get(number)
    if refund is None:
        raise refusal("RESOURCE_NOT_EXISTS", "退款单不存在")
    return facts(world, refund)


def facts(world: World, refund: Refund) -> dict[str, Any]:
    """Return the refund as the API shows it."""
    order = refund.order
    shown: dict[str, Any] = {
        "refund_id": refund.refund_id,
        "out_refund_no": refund.number,
        "transaction_id": order.transaction_id,
        "out_trade_no": order.number,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(refund.created_at),
        "status": refund.status,
        "funds_account": "AVAILABLE",
        "amount": _amount(refund) | {"currency": "CNY"},
    }
    if refund.success_at is not None:
        shown["success_time"] = rfc3339(refund.success_at)
    _ = world
    return shown


def notified_facts(world: World, refund: Refund) -> dict[str, Any]:
    """Return the refund as its notification shows it."""
    shown: dict[str, Any] = {
        "mchid": world.settings.pay_mch_id,
        "transaction_id": refund.order.transaction_id,
        "out_trade_no": refund.order.number,
        "refund_id": refund.refund_id,
        "out_refund_no": refund.number,
        "refund_status": refund.status,
        "user_received_account": "支付用户零钱",
        "amount": _amount(refund),
    }
    if refund.success_at is not None:
        shown["success_time"] = rfc3339(refund.success_at)
    return shown


def _amount(refund: Refund) -> dict[str, Any]:
    total, fen = refund.order.total_fen, refund.amount_fen
    return {"total": total, "refund": fen, "payer_total": total, "payer_refund": fen}


def _order_of(world: World, asked: Mapping[str, Any]) -> Order:
    merchant = world.merchant
    order = merchant.by_transaction_id.get(str(asked.get("transaction_id")))
    order = order or merchant.orders.get(str(asked.get("out_trade_no")))
    if order is None:
        raise refusal("RESOURCE_NOT_EXISTS", "订单不存在")
    if order.state not in ("SUCCESS", "REFUND"):
        raise refusal("INVALID_REQUEST", "订单未支付，不能退款")
    return order


def _new_refund(world: World, asked: Mapping[str, Any], order: Order, fen: int) -> Refund:
    refund = Refund(
        number=str(asked["out_refund_no"]),
        refund_id="5030" + digits(25),
        asked=dict(asked),
        order=order,
        amount_fen=fen,
        notify_url=str(asked.get("notify_url") or ""),
        created_at=world.now(),
    )
    world.merchant.refunds[refund.number] = refund
    order.refunded_fen += fen
    order.state = "REFUND"
    status = str(world.knobs.take("pay.refund", "result") or "SUCCESS")
    if status != "PROCESSING":
        world.schedule.after(
            _TAKES, f"refund {refund.number}", lambda: _finish(world, refund, status)
        )
    return refund


def _finish(world: World, refund: Refund, status: str) -> None:
    with world.lock:
        refund.status = status
        order, now = refund.order, world.now()
        if status == "SUCCESS":
            refund.success_at = now
            content = {"out_trade_no": order.number, "refund_fen": refund.amount_fen}
            world.journal.add("refund", at=now, openid=order.openid, content=content)
        else:
            order.refunded_fen -= refund.amount_fen
        notify.announce_refund(world, refund, notified_facts(world, refund))
