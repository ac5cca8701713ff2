"""The control API under /sandbox/api: what scripts, tests and the chat window drive.

It plays people and turns knobs. It is JSON both ways; README.md beside this file documents it.
"""

from dataclasses import asdict
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

from flask import Blueprint, Response, jsonify, request

from kernel.clock import SHANGHAI, shanghai
from kernel.errors import Invalid, NotFound
from sandbox import driver
from sandbox.journal import OUTGOING
from sandbox.knobs import CATALOGUE
from sandbox.pay import notify, orders, refunds
from sandbox.pay.state import Order
from sandbox.wechat import users
from sandbox.world import World, digits, this_world

blueprint = Blueprint("control", __name__, url_prefix="/sandbox/api")

_MORNING = time_of_day(10)
_SHOWN_ORDERS = 200


class RequestInvalid(Invalid):
    """The request cannot be understood."""

    code = "request-invalid"


class OrderUnknown(NotFound):
    """No payment order has that number."""

    code = "order-unknown"


@blueprint.post("/push")
def push() -> Response:
    """Do something in a person's name: write, tap, follow."""
    return jsonify(asdict(driver.act(this_world(), _body())))


@blueprint.post("/pay")
def pay() -> Response:
    """Let the payer pay, cancel or fail; answers what the page would be told."""
    world, asked = this_world(), _body()
    with world.lock:
        order = _order(world, asked)
        outcome, why = _paid(world, order, asked)
        state, transaction_id = order.state, order.transaction_id
    if asked.get("wait"):
        world.schedule.settle(timeout_s=6)
    return jsonify(
        err_msg=f"get_brand_wcpay_request:{outcome}",
        reason=why,
        out_trade_no=order.number,
        trade_state=state,
        transaction_id=transaction_id,
    )


@blueprint.get("/orders/<number>")
def show_order(number: str) -> Response:
    """Show an order, as the payment sheet does before the payer confirms."""
    world = this_world()
    with world.lock:
        order = _order(world, {"prepay_id": number, "out_trade_no": number})
        return jsonify(_order_view(order))


@blueprint.post("/notify")
def notify_again() -> Response:
    """Deliver a paid order's notification again, as the platform does at odd times."""
    world, asked = this_world(), _body()
    with world.lock:
        order = _order(world, asked)
        if order.success_at is None:
            raise RequestInvalid("the order is not paid")
        notify.renotify(world, order, orders.facts(world, order), times=_number(asked, "times", 1))
    world.schedule.settle(timeout_s=6)
    return jsonify(ok=True)


@blueprint.post("/refund")
def refund_by_hand() -> Response:
    """Give money back in the merchant's console, past our service."""
    world, asked = this_world(), _body()
    with world.lock:
        order = _order(world, asked)
        fen = _number(asked, "fen", order.total_fen)
        given = {
            "out_refund_no": "MP" + digits(20),
            "out_trade_no": order.number,
            "amount": {"refund": fen, "total": order.total_fen},
            "notify_url": str(asked.get("notify_url") or ""),
        }
        return jsonify(refunds.create(world, given))


@blueprint.get("/knobs")
def show_knobs() -> Response:
    """Show what is switched on, and all that could be."""
    return jsonify(active=this_world().knobs.active(), catalogue=CATALOGUE)


@blueprint.post("/knobs")
def turn_knobs() -> Response:
    """Switch failures on or off: one knob, a list of them, or {"clear": true}."""
    knobs, asked = this_world().knobs, request.get_json(silent=True)
    for one in asked if isinstance(asked, list) else [asked]:
        if not isinstance(one, dict):
            raise RequestInvalid("a knob is an object with feature and fault")
        if one.get("clear"):
            knobs.clear(one.get("feature"))
            continue
        times = one.get("times")
        knobs.turn(
            str(one.get("feature")),
            str(one.get("fault")),
            value=one.get("value"),
            times=None if times is None else _number(one, "times", 1),
        )
    return jsonify(active=knobs.active())


@blueprint.get("/sent")
def sent() -> Response:
    """Show what our service sent: custom, template, reply, sms; and how often it called what."""
    world, args = this_world(), request.args
    kinds = {args["kind"]} if "kind" in args else OUTGOING
    cursor = world.journal.last()
    found = [
        entry
        for entry in world.journal.since(_cursor())
        if entry["kind"] in kinds
        and args.get("openid", entry["openid"]) == entry["openid"]
        and args.get("phone", entry["phone"]) == entry["phone"]
    ]
    return jsonify(sent=found, calls=world.journal.calls(), cursor=cursor)


@blueprint.get("/timeline")
def timeline() -> Response:
    """Show everything of one person in order, for the chat window."""
    world, args = this_world(), request.args
    openid, phone = args.get("openid", ""), args.get("phone", "")
    cursor = world.journal.last()
    found = [
        entry
        for entry in world.journal.since(_cursor())
        if (openid and entry["openid"] == openid) or (phone and entry["phone"] == phone)
    ]
    return jsonify(
        entries=found,
        cursor=cursor,
        now=shanghai(world.now()).isoformat(timespec="seconds"),
        menu=world.book.menu(),
        follows=openid not in world.account.unfollowed,
    )


@blueprint.get("/journal")
def journal() -> Response:
    """Show everything, of everybody."""
    return jsonify(entries=this_world().journal.since(_cursor()))


@blueprint.get("/clock")
def show_clock() -> Response:
    """Show the development clock."""
    return _clock(this_world())


@blueprint.post("/clock")
def move() -> Response:
    """Move the development clock: days, hours, minutes, seconds, next_morning, or to an instant."""
    world, asked = this_world(), _body()
    if world.move is None:
        raise RequestInvalid("this clock cannot be moved")
    world.move(_distance(world, asked))
    if asked.get("wait"):
        world.schedule.settle(timeout_s=6)
    return _clock(world)


@blueprint.get("/state")
def state() -> Response:
    """Show what the platforms remember."""
    world = this_world()
    with world.lock:
        newest = list(world.merchant.orders.values())[-_SHOWN_ORDERS:]
        return jsonify(
            now=world.now().isoformat(),
            followers=len(users.followers(world)),
            unfollowed=sorted(world.account.unfollowed),
            waiting_for_staff=sorted(world.account.waiting),
            sessions=world.account.sessions,
            menu=world.book.menu(),
            orders=[_order_view(order) for order in newest],
            refunds=[_refund_view(refund) for refund in world.merchant.refunds.values()],
            sms_accepted=world.carrier.accepted,
            scheduled=world.schedule.waiting(),
            calls=world.journal.calls(),
            knobs=world.knobs.active(),
        )


@blueprint.post("/reset")
def reset() -> Response:
    """Forget all but people, menu and templates; the clock stays where it is."""
    this_world().reset()
    return jsonify(ok=True)


@blueprint.post("/settle")
def settle() -> Response:
    """Wait until everything that is due was done."""
    world = this_world()
    return jsonify(settled=world.schedule.settle(timeout_s=_number(_body(), "timeout_s", 10)))


@blueprint.get("/people")
def people() -> Response:
    """Show the demo people."""
    return jsonify(people=this_world().book.people())


@blueprint.post("/people")
def put_people() -> Response:
    """Add demo people: a list, or {"people": […], "replace": true}."""
    given: Any = request.get_json(silent=True) or {}
    is_list = isinstance(given, list)
    rows = given if is_list else given.get("people")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RequestInvalid("people is a list of objects")
    replace = not is_list and bool(given.get("replace"))
    return jsonify(count=this_world().book.put_people(rows, replace=replace))


@blueprint.post("/files")
def put_files() -> Response:
    """Give the sub-systems files of people: an object of name, report and hits by id number."""
    files = request.get_json(silent=True)
    if not isinstance(files, dict) or not all(isinstance(file, dict) for file in files.values()):
        raise RequestInvalid("files is an object of objects by id number")
    return jsonify(count=this_world().book.put_files(files))


@blueprint.post("/templates")
def put_templates() -> Response:
    """Tell what templates are called and how they read, as the console of the account knows."""
    rows = request.get_json(silent=True)
    if not isinstance(rows, list) or not all("template_id" in row for row in rows):
        raise RequestInvalid("templates is a list of objects with template_id")
    return jsonify(count=this_world().book.put_templates(rows))


@blueprint.get("/templates")
def templates() -> Response:
    """Show what is known about templates."""
    return jsonify(templates=this_world().book.templates())


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True, force=True)
    if not isinstance(body, dict):
        raise RequestInvalid("the body is a JSON object")
    return body


def _number(asked: dict[str, Any], name: str, default: int) -> int:
    try:
        return int(asked.get(name, default))
    except (TypeError, ValueError) as error:
        raise RequestInvalid(f"{name} is a number") from error


def _cursor() -> int:
    given = request.args.get("since") or request.args.get("after") or "0"
    if not given.isdigit():
        raise RequestInvalid("since is the number of an entry")
    return int(given)


def _order(world: World, asked: dict[str, Any]) -> Order:
    merchant = world.merchant
    prepay_id = str(asked.get("prepay_id") or "").removeprefix("prepay_id=")
    found = merchant.by_prepay_id.get(prepay_id)
    found = found or merchant.orders.get(str(asked.get("out_trade_no")))
    if found is None:
        raise OrderUnknown("no such payment order")
    return found


def _paid(world: World, order: Order, asked: dict[str, Any]) -> tuple[str, str]:
    """Return ok, cancel or fail, and why it failed."""
    if (params := asked.get("params")) is not None and not _is_signed(world, params):
        return "fail", "paySign does not match the page's parameters"
    if asked.get("openid", order.openid) != order.openid:
        return "fail", "下单账号与支付账号不一致"
    outcome = str(asked.get("outcome") or "success")
    if outcome in ("cancel", "fail"):
        return outcome, ""
    if outcome != "success":
        raise RequestInvalid("outcome is success, cancel or fail")
    if orders.pay(world, order):
        return "ok", ""
    return "fail", {"SUCCESS": "该订单已支付", "CLOSED": "订单已关闭"}.get(
        order.state, "订单已过期"
    )


def _is_signed(world: World, params: dict[str, Any]) -> bool:
    """Check what the page hands to the bridge, as WeChat's own client does."""
    if params.get("appId") != world.settings.wechat_app_id or params.get("signType") != "RSA":
        return False
    names = ("appId", "timeStamp", "nonceStr", "package")
    lines = [str(params.get(name, "")) for name in names]
    return world.merchant.keys.is_by_merchant(str(params.get("paySign", "")), *lines)


def _order_view(order: Order) -> dict[str, Any]:
    return {
        "out_trade_no": order.number,
        "prepay_id": order.prepay_id,
        "openid": order.openid,
        "total_fen": order.total_fen,
        "description": order.description,
        "state": order.state,
        "transaction_id": order.transaction_id,
        "refunded_fen": order.refunded_fen,
        "merchant": "分期小助手",
    }


def _refund_view(refund: Any) -> dict[str, Any]:
    return {
        "out_refund_no": refund.number,
        "out_trade_no": refund.order.number,
        "refund_fen": refund.amount_fen,
        "status": refund.status,
    }


def _clock(world: World) -> Response:
    now = world.now()
    return jsonify(
        now=now.isoformat(),
        shanghai=shanghai(now).isoformat(timespec="seconds"),
        offset_s=round((now - world.machine.now()).total_seconds()),
    )


def _distance(world: World, asked: dict[str, Any]) -> timedelta:
    now = world.now()
    if asked.get("next_morning"):
        return _next_morning(now) - now
    if "to" in asked:
        try:
            to = datetime.fromisoformat(str(asked["to"]))
        except ValueError as error:
            raise RequestInvalid("to is an ISO instant") from error
        return (to if to.tzinfo else to.replace(tzinfo=SHANGHAI)) - now
    units = {name: asked[name] for name in ("days", "hours", "minutes", "seconds") if name in asked}
    if not units:
        raise RequestInvalid("say days, hours, minutes, seconds, next_morning or to")
    return timedelta(**{name: float(value) for name, value in units.items()})


def _next_morning(now: datetime) -> datetime:
    local = shanghai(now)
    morning = datetime.combine(date(local.year, local.month, local.day), _MORNING, SHANGHAI)
    return morning if morning > now else morning + timedelta(days=1)
