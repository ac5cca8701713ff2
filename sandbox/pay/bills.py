"""The two bills of a day: trades and movements of funds, in the platform's own columns.

A bill is made when it is asked for, and downloaded by a token. Every value stands behind a
backtick, so that spreadsheets keep long numbers; a summary of two rows ends each file.
"""

import gzip
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from kernel.clock import SHANGHAI, shanghai
from kernel.money import plain_yuan
from sandbox.pay.errors import refusal
from sandbox.pay.state import Order, Refund
from sandbox.world import World, digits

_READY = time(10)
_KEPT = timedelta(days=90)
_RATE: Final = "0.60%"
_FEE_PER_MILLE: Final = 6
_NO_REFUND = ("0", "0", "0.00", "0.00", "", "")
_ON_BILL: Final = ("PROCESSING", "SUCCESS")

_TRADE_COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
_TRADE_SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
_FUND_COLUMNS = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,"
    "业务凭证号"
)
_FUND_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One row of the trade bill; `refund` None for a payment. Money in fen, fee as charged."""

    at: datetime
    order: Order
    amount_fen: int
    fee_fen: int
    refund: Refund | None = None


def trade_bill(world: World, asked: Mapping[str, str], *, base: str) -> dict[str, str]:
    """Answer GET /v3/bill/tradebill: where the file is, and its hash before compression."""
    on = _day(world, asked)
    kind = asked.get("bill_type", "ALL")
    if kind not in ("ALL", "SUCCESS", "REFUND"):
        raise refusal("PARAM_ERROR", "bill_type有误")
    if (fen := world.knobs.take("pay.bill", "extra_row")) is not None:
        _pay_unasked(world, on, int(fen))
    trades = _spoilt(world, _trades(world, on), on)
    kept = {"ALL": trades, "SUCCESS": [t for t in trades if t.refund is None]}
    rows = kept.get(kind, [t for t in trades if t.refund is not None])
    if not rows:
        raise refusal("NO_STATEMENT_EXIST")
    lines = [_TRADE_COLUMNS, *(_quoted(_trade_row(world, row)) for row in rows)]
    lines += [_TRADE_SUMMARY, _quoted(_trade_sums(rows))]
    return _offered(world, lines, asked, base=base)


def fund_flow_bill(world: World, asked: Mapping[str, str], *, base: str) -> dict[str, str]:
    """Answer GET /v3/bill/fundflowbill for the basic account, where all money of ours stands."""
    on = _day(world, asked)
    account = asked.get("account_type", "BASIC")
    if account not in ("BASIC", "OPERATION", "FEES"):
        raise refusal("PARAM_ERROR", "account_type有误")
    if (drawn := world.knobs.take("pay.bill", "payout")) is not None:
        world.merchant.payouts[on] = int(drawn)
    moves = _moves(_trades(world, on)) if account == "BASIC" else []
    payout_fen = world.merchant.payouts.get(on, 0) if account == "BASIC" else 0
    if not moves and not payout_fen:
        raise refusal("NO_STATEMENT_EXIST")
    balance = _balance_before(world, on)
    lines = [_FUND_COLUMNS]
    for at, trade, name, fen in moves:
        balance += fen
        lines.append(_quoted(_fund_row(at, trade, name, fen, balance)))
    if payout_fen:
        lines.append(_quoted(_payout_row(on, payout_fen, balance - payout_fen)))
    incomes = [fen for *_, fen in moves if fen > 0]
    outlays = [-fen for *_, fen in moves if fen < 0] + [payout_fen] * bool(payout_fen)
    sums = (
        len(incomes) + len(outlays),
        len(incomes),
        plain_yuan(sum(incomes)),
        len(outlays),
        plain_yuan(sum(outlays)),
    )
    lines += [_FUND_SUMMARY, _quoted([str(value) for value in sums])]
    return _offered(world, lines, asked, base=base)


def download(world: World, token: str) -> bytes:
    """Answer GET /v3/billdownload/file."""
    try:
        return world.merchant.bill_files[token]
    except KeyError:
        raise refusal("RESOURCE_NOT_EXISTS", "账单文件不存在或已过期") from None


def _day(world: World, asked: Mapping[str, str]) -> date:
    """Return the day of a bill that is out.

    Raises:
        PayRefused: The day is not over, too long ago, or its bill is still being made.
    """
    try:
        on = date.fromisoformat(asked.get("bill_date", ""))
    except ValueError:
        raise refusal("PARAM_ERROR", "bill_date格式有误") from None
    now = shanghai(world.now())
    if on >= now.date() or on < now.date() - _KEPT:
        raise refusal("INVALID_REQUEST", "账单日期有误，仅支持近三个月内、当日之前的账单")
    if now < datetime.combine(on + timedelta(days=1), _READY, SHANGHAI):
        raise refusal("STATEMENT_CREATING")
    if world.knobs.take("pay.bill", "late") is not None:
        raise refusal("STATEMENT_CREATING")
    return on


def _trades(world: World, on: date) -> list[Trade]:
    """List what happened on a day, by time."""
    merchant = world.merchant
    found = [
        Trade(at=order.success_at, order=order, amount_fen=order.total_fen,
              fee_fen=_fee(order.total_fen))
        for order in merchant.orders.values()
        if order.success_at is not None
        and _day_on_bill(world, order) == on
    ]  # fmt: skip
    found += [
        Trade(at=refund.created_at, order=refund.order, amount_fen=refund.amount_fen,
              fee_fen=-_fee(refund.amount_fen), refund=refund)
        for refund in merchant.refunds.values()
        if shanghai(refund.created_at).date() == on and refund.status in _ON_BILL
    ]  # fmt: skip
    found.sort(key=lambda trade: (trade.at, trade.order.number))
    return found


def _day_on_bill(world: World, order: Order) -> date | None:
    if order.success_at is None:
        return None
    late = world.merchant.late_on_bill.get(order.number)
    return late or shanghai(order.success_at).date()


def _spoilt(world: World, trades: list[Trade], on: date) -> list[Trade]:
    knobs = world.knobs
    if trades and knobs.take("pay.bill", "missing_row") is not None:
        trades = trades[1:]
    if trades and knobs.take("pay.bill", "double_row") is not None:
        trades = [trades[0], *trades]
    if trades and knobs.take("pay.bill", "late_row") is not None:
        world.merchant.late_on_bill[trades[0].order.number] = on + timedelta(days=1)
        trades = trades[1:]
    if trades and (more := knobs.take("pay.bill", "wrong_amount")) is not None:
        trades[0] = _changed(trades[0], amount_fen=trades[0].amount_fen + int(more))
    if trades and (more := knobs.take("pay.bill", "wrong_fee")) is not None:
        trades[0] = _changed(trades[0], fee_fen=trades[0].fee_fen + int(more))
    return trades


def _changed(trade: Trade, **values: int) -> Trade:
    given = {"amount_fen": trade.amount_fen, "fee_fen": trade.fee_fen} | values
    return Trade(at=trade.at, order=trade.order, refund=trade.refund, **given)


def _pay_unasked(world: World, on: date, fen: int) -> None:
    """Let somebody pay at the merchant's counter code, past our service."""
    at = datetime.combine(on, time(12, 34, 56), SHANGHAI)
    order = Order(
        number="QR" + digits(20),
        asked={},
        total_fen=fen,
        openid="oFenqiStranger00000000000001",
        notify_url="",
        description="扫码付款",
        expires_at=at,
        prepay_id="",
        prepay_expires_at=at,
        state="SUCCESS",
        transaction_id="4200" + digits(24),
        success_at=at,
    )
    world.merchant.orders[order.number] = order
    world.merchant.by_transaction_id[order.transaction_id] = order


def _moves(trades: Sequence[Trade]) -> list[tuple[datetime, Trade, str, int]]:
    moves = []
    for trade in trades:
        sign = 1 if trade.refund is None else -1
        name = "交易" if trade.refund is None else "退款"
        moves.append((trade.at, trade, name, sign * trade.amount_fen))
        if trade.fee_fen:
            moves.append((trade.at, trade, "扣除交易手续费", -trade.fee_fen))
    return moves


def _balance_before(world: World, on: date) -> int:
    """Return what stood on the account when a day began."""
    paid = [
        order.total_fen - _fee(order.total_fen)
        for order in world.merchant.orders.values()
        if (day := _day_on_bill(world, order)) is not None and day < on
    ]
    back = [
        refund.amount_fen - _fee(refund.amount_fen)
        for refund in world.merchant.refunds.values()
        if shanghai(refund.created_at).date() < on and refund.status in _ON_BILL
    ]
    drawn = [fen for day, fen in world.merchant.payouts.items() if day < on]
    return sum(paid) - sum(back) - sum(drawn)


def _trade_row(world: World, trade: Trade) -> list[str]:
    order, refund, settings = trade.order, trade.refund, world.settings
    amount = plain_yuan(trade.amount_fen)
    if refund is None:
        paid, back = (amount, amount), _NO_REFUND
        asked_back = "0.00"
    else:
        paid = ("0.00", plain_yuan(order.total_fen))
        back = (refund.refund_id, refund.number, amount, "0.00", "ORIGINAL", refund.status)
        asked_back = amount
    return [
        *(_wall_time(trade.at), settings.wechat_app_id, settings.pay_mch_id, "0", ""),
        *(order.transaction_id, order.number, order.openid, "JSAPI"),
        *("SUCCESS" if refund is None else "REFUND", "OTHERS", "CNY", paid[0], "0.00", *back),
        *(order.description, str(order.asked.get("attach", ""))),
        *(plain_yuan(trade.fee_fen), _RATE, paid[1], asked_back, ""),
    ]


def _trade_sums(trades: Sequence[Trade]) -> list[str]:
    paid = sum(trade.amount_fen for trade in trades if trade.refund is None)
    back = sum(trade.amount_fen for trade in trades if trade.refund is not None)
    ordered = sum(
        trade.amount_fen if trade.refund is None else trade.order.total_fen for trade in trades
    )
    fee = sum(trade.fee_fen for trade in trades)
    sums = (paid, back, 0, fee, ordered, back)
    return [str(len(trades)), *(plain_yuan(fen) for fen in sums)]


def _fund_row(at: datetime, trade: Trade, name: str, fen: int, balance: int) -> list[str]:
    order, refund = trade.order, trade.refund
    number = order.transaction_id if refund is None else refund.refund_id
    own = order.number if refund is None else refund.number
    direction = "收入" if fen > 0 else "支出"
    kind = name if name in ("交易", "退款") else "手续费"
    flow = hashlib.sha256(f"{number}{name}".encode()).hexdigest()[:28].upper()
    return [
        *(_wall_time(at), number, flow, name, kind, direction, plain_yuan(abs(fen))),
        *(plain_yuan(balance), "system", f"结算手续费率{_RATE}" if kind == "手续费" else "", own),
    ]


def _payout_row(on: date, fen: int, balance: int) -> list[str]:
    """Write what went to the merchant's bank account in the evening of a day."""
    number = f"TX{on:%Y%m%d}"
    flow = hashlib.sha256(number.encode()).hexdigest()[:28].upper()
    at = datetime.combine(on, time(23, 30), SHANGHAI)
    return [
        *(_wall_time(at), number, flow, "提现", "提现", "支出", plain_yuan(fen)),
        *(plain_yuan(balance), "system", "结算至银行账户", number),
    ]


def _offered(
    world: World, lines: Sequence[str], asked: Mapping[str, str], *, base: str
) -> dict[str, str]:
    text = "".join(line + "\r\n" for line in lines).encode("utf-8-sig")
    is_packed = asked.get("tar_type") == "GZIP"
    token = secrets.token_urlsafe(48)
    world.merchant.bill_files[token] = gzip.compress(text, mtime=0) if is_packed else text
    # Not a signature but a check of the file, named by the platform.
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    if world.knobs.take("pay.bill", "wrong_hash") is not None:
        digest = "0" * len(digest)
    url = f"{base}/v3/billdownload/file?token={token}"
    return {"download_url": url, "hash_type": "SHA1", "hash_value": digest}


def _fee(fen: int) -> int:
    return (fen * _FEE_PER_MILLE + 500) // 1000


def _quoted(values: Sequence[str]) -> str:
    return ",".join(f"`{value}" for value in values)


def _wall_time(at: datetime) -> str:
    return f"{shanghai(at):%Y-%m-%d %H:%M:%S}"
