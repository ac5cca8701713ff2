"""Money that only the payment platform's bill knows: differences of some age on suspense.

The bills are files as the platform writes them, read and matched like any other.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy.orm import Session

from kernel.money import plain_yuan
from servicing.payments.bill_days import keep_bill
from servicing.payments.bills import BillKind, expected_fee
from servicing.payments.reconciling import match_bill

_TRADES: Final = (
    "交易时间,微信订单号,商户订单号,交易状态,应结订单金额,微信退款单号,商户退款单号,退款金额,"
    "退款状态,手续费,订单金额"
)
_TRADES_SUM: Final = "总交易单数,应结订单总金额,退款总金额,手续费总金额"
_FUNDS: Final = "记账时间,业务类型,收支类型,收支金额(元)"
_FUNDS_SUM: Final = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
# Days ago, and what came on them that nobody here had asked for, fen.
_UNKNOWN: Final = ((9, 45_210), (3, 12_800))


def bring_bills(session: Session, *, on: date, fee_rate: Decimal, now: datetime) -> None:
    """Keep and match the bills of some days."""
    for days, fen in _UNKNOWN:
        day = on - timedelta(days=days)
        fee_fen = expected_fee(fen, rate=fee_rate)
        at = now - timedelta(days=days - 1)
        keep_bill(session, kind=BillKind.TRADES, on=day, text=_trades(day, fen, fee_fen), now=at)
        keep_bill(session, kind=BillKind.FUNDS, on=day, text=_funds(day, fen, fee_fen), now=at)
        match_bill(session, on=day, fee_rate=fee_rate, now=at)


def _trades(day: date, fen: int, fee_fen: int) -> str:
    paid, fee, number = plain_yuan(fen), plain_yuan(fee_fen), f"42000{day:%Y%m%d}00017"
    row = (f"{day} 15:32:10", number, f"PO{day:%Y%m%d}OLD", "SUCCESS", paid, "0", "0", "0.00")
    lines = (_TRADES, _row((*row, "", fee, paid)), _TRADES_SUM, _row(("1", paid, "0.00", fee)))
    return "\r\n".join(lines) + "\r\n"


def _funds(day: date, fen: int, fee_fen: int) -> str:
    paid, fee, at = plain_yuan(fen), plain_yuan(fee_fen), f"{day} 15:32:10"
    rows = (_row((at, "交易", "收入", paid)), _row((at, "手续费", "支出", fee)))
    lines = (_FUNDS, *rows, _FUNDS_SUM, _row(("2", "1", paid, "1", fee)))
    return "\r\n".join(lines) + "\r\n"


def _row(values: Sequence[str]) -> str:
    return ",".join(f"`{value}" for value in values)
