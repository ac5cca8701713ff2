"""Notifications to the merchant: sealed, signed, repeated on the documented ladder, and spoilt.

What is notified was decided before; this module only carries it.
"""

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import requests

from kernel.clock import shanghai
from sandbox.outward import post
from sandbox.pay.signing import signed_headers
from sandbox.pay.state import Order, Refund
from sandbox.world import World

_LADDER_M = (3, 10, 20, 30, 30, 30, 60, 180, 180, 180, 360, 360)
LADDER_S = (15, 15, 30, *(60 * minutes for minutes in _LADDER_M))
_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification; every delivery of it has the same id, time stamp and nonce anew."""

    feature: str
    notice_id: str
    url: str
    event_type: str
    summary: str
    original_type: str
    resource: dict[str, Any]
    created: str
    openid: str


def announce_payment(world: World, order: Order, facts: Mapping[str, Any]) -> None:
    """Start to notify a payment."""
    notice = _notice(world, "payment", order.notify_url, order.openid, facts)
    _start(world, notice)


def announce_refund(world: World, refund: Refund, facts: Mapping[str, Any]) -> None:
    """Start to notify the end of a refund, if the request named an address."""
    if refund.notify_url:
        _start(world, _notice(world, "refund", refund.notify_url, refund.order.openid, facts))


def renotify(world: World, order: Order, facts: Mapping[str, Any], *, times: int) -> None:
    """Deliver a payment's notification again, as the platform sometimes does a day later."""
    notice = _notice(world, "payment", order.notify_url, order.openid, facts)
    for _ in range(times):
        world.schedule.soon("notify again", lambda: _deliver(world, notice, 0))


def _notice(world: World, kind: str, url: str, openid: str, facts: Mapping[str, Any]) -> Notice:
    is_payment = kind == "payment"
    status = "SUCCESS" if is_payment else facts["refund_status"]
    words = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}
    return Notice(
        feature=f"notify.{kind}",
        notice_id=str(uuid.uuid4()),
        url=url,
        event_type="TRANSACTION.SUCCESS" if is_payment else f"REFUND.{status}",
        summary="支付成功" if is_payment else words[status],
        original_type="transaction" if is_payment else "refund",
        resource=dict(facts),
        created=shanghai(world.now()).isoformat(timespec="seconds"),
        openid=openid,
    )


def _start(world: World, notice: Notice) -> None:
    knobs, merchant = world.knobs, world.merchant
    if knobs.take(notice.feature, "lost") is not None:
        world.journal.add(
            "notify", at=world.now(), content={"id": notice.notice_id, "outcome": "lost"}
        )
        return
    if knobs.take(notice.feature, "out_of_order") is not None:
        merchant.held_back.append(notice)
        return
    copies = int(knobs.take(notice.feature, "parallel") or 1)
    repeats = int(knobs.take(notice.feature, "duplicate") or 1)
    for _ in range(copies):
        world.schedule.soon("notify", lambda: _deliver_all(world, notice, repeats))


def _deliver_all(world: World, notice: Notice, repeats: int) -> None:
    for _ in range(repeats):
        _deliver(world, notice, 0)
    with world.lock:
        held_back, world.merchant.held_back = world.merchant.held_back, []
    for earlier in held_back:
        _deliver(world, earlier, 0)


def _deliver(world: World, notice: Notice, attempt: int) -> None:
    """Deliver once; on failure plan the next try of the ladder."""
    body, headers = _dressed(world, notice)
    try:
        answer = post(notice.url, data=body.encode(), headers=headers, timeout_s=_TIMEOUT_S)
        outcome: int | str = answer.status_code
        is_received = outcome in (200, 204)
    except requests.RequestException as error:
        outcome, is_received = type(error).__name__, False
    content = {
        "id": notice.notice_id,
        "event_type": notice.event_type,
        "out_trade_no": notice.resource["out_trade_no"],
        "attempt": attempt + 1,
        "outcome": outcome,
    }
    world.journal.add("notify", at=world.now(), openid=notice.openid, content=content)
    if not is_received and attempt < len(LADDER_S):
        world.schedule.after(
            timedelta(seconds=LADDER_S[attempt]),
            f"notify {notice.resource['out_trade_no']} try {attempt + 2}",
            lambda: _deliver(world, notice, attempt + 1),
        )


def _dressed(world: World, notice: Notice) -> tuple[str, dict[str, str]]:
    """Return body and headers of one delivery, spoilt as the knobs say."""
    knobs, keys = world.knobs, world.merchant.keys
    resource = _spoilt(world, notice)
    sealed: dict[str, str] = {"original_type": notice.original_type}
    sealed |= keys.seal(
        json.dumps(resource, ensure_ascii=False), associated_data=notice.original_type
    )
    if knobs.take(notice.feature, "broken_tag") is not None:
        tail = "AAAA" if sealed["ciphertext"][-8:-4] != "AAAA" else "BBBB"
        sealed["ciphertext"] = sealed["ciphertext"][:-8] + tail + sealed["ciphertext"][-4:]
    body = json.dumps(
        {
            "id": notice.notice_id,
            "create_time": notice.created,
            "resource_type": "encrypt-resource",
            "event_type": notice.event_type,
            "summary": notice.summary,
            "resource": sealed,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
    shift = int(knobs.take(notice.feature, "future") or 0)
    shift -= int(knobs.take(notice.feature, "stale") or 0)
    timestamp = int(world.now().timestamp()) + shift
    signed = body + " " if knobs.take(notice.feature, "bad_signature") is not None else body
    headers = signed_headers(keys, signed, timestamp=timestamp)
    if knobs.take(notice.feature, "signtest") is not None:
        headers["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"]
    if knobs.take(notice.feature, "unknown_serial") is not None:
        headers["Wechatpay-Serial"] = secrets.token_hex(20).upper()
    return body, headers | {"Content-Type": "application/json", "User-Agent": "Mozilla/4.0"}


def _spoilt(world: World, notice: Notice) -> dict[str, Any]:
    knobs, resource = world.knobs, dict(notice.resource)
    if (more := knobs.take(notice.feature, "wrong_amount")) is not None:
        amount = {
            key: v + more if isinstance(v, int) else v for key, v in resource["amount"].items()
        }
        resource["amount"] = amount
    if knobs.take(notice.feature, "wrong_appid") is not None:
        resource["appid"] = "wxffffffffffffffff"
    if knobs.take(notice.feature, "wrong_mchid") is not None:
        resource["mchid"] = "1999999999"
    return resource
