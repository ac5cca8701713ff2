"""Reads the platform's two bills of a day, as their files are: backticks, wide rows, a summary.

    BillUnreadable   422  a column is missing, a value is none, or the summary says otherwise

Columns are found by their names, so that one more does no harm. Nothing is matched here, and no
payer is read: their number is of no use to the books.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from kernel.clock import SHANGHAI
from kernel.errors import Invalid
from kernel.money import MoneyNotReadable, Rounding, fen_from_yuan, round_fen

_TRADE: Final = "SUCCESS"
_REFUND: Final = "REFUND"
_INCOME: Final = "收入"
_OUTLAY: Final = "支出"
_TO_BANK: Final = "提现"


class BillUnreadable(Invalid):
    """The file is not a bill as the platform writes them."""

    code = "pay-bill-unreadable"
    message_zh = "账单文件无法识别"


class BillKind(StrEnum):
    """Which of a day's bills: what was traded, or what moved on our account."""

    TRADES = "trades"
    FUNDS = "funds"


class LineKind(StrEnum):
    """What a row of the trade bill is about."""

    PAYMENT = "payment"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One row of the trade bill; money in fen.

    Attributes:
        amount_fen: What was paid, or went back.
        fee_fen: What the platform kept; negative where it gives a fee back.
        out_refund_no: Empty for a payment.
        refund_status: The platform's word when the bill was made; empty for a payment.
    """

    kind: LineKind
    at: datetime
    transaction_id: str
    out_trade_no: str
    out_refund_no: str
    amount_fen: int
    fee_fen: int
    refund_status: str = ""

    @property
    def number(self) -> str:
        """What names it: our number of a refund, the platform's of a payment."""
        return self.out_refund_no or self.transaction_id

    @property
    def net_fen(self) -> int:
        """What it did to our account at the platform."""
        sign = 1 if self.kind is LineKind.PAYMENT else -1
        return sign * self.amount_fen - self.fee_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class FundFlow:
    """What the fund bill says of a day: how much came in, how much went out, fen.

    Attributes:
        paid_out_fen: What of it went to our bank account (提现), less what came back from there.
    """

    income_fen: int
    outlay_fen: int
    paid_out_fen: int = 0

    @property
    def net_fen(self) -> int:
        """What the day's trades did to our account."""
        return self.income_fen - self.outlay_fen + self.paid_out_fen


NO_FUNDS: Final = FundFlow(income_fen=0, outlay_fen=0)


def read_trades(text: str) -> tuple[BillLine, ...]:
    """Read a trade bill of all trades.

    Raises:
        BillUnreadable: Said above.
    """
    rows, summary = _parts(text, summary="总交易单数")
    lines = tuple(_line(row) for row in rows)
    told = (
        _whole(summary, "总交易单数"),
        _fen(summary, "退款总金额"),
        _fen(summary, "手续费总金额"),
    )
    back = sum(line.amount_fen for line in lines if line.kind is LineKind.REFUND)
    found = (len(lines), back, sum(line.fee_fen for line in lines))
    if told != found:
        raise BillUnreadable(f"the summary says {told}, the rows {found}")
    return lines


def read_funds(text: str) -> FundFlow:
    """Read a fund bill of the basic account.

    Raises:
        BillUnreadable: Said above.
    """
    rows, summary = _parts(text, summary="资金流水总笔数")
    sums, to_bank = {_INCOME: 0, _OUTLAY: 0}, {_INCOME: 0, _OUTLAY: 0}
    for row in rows:
        amount = next((name for name in row if name.startswith("收支金额")), "收支金额")
        direction = _text(row, "收支类型")
        if direction not in sums:
            raise BillUnreadable(f"{direction} is no direction")
        sums[direction] += _fen(row, amount)
        if _text(row, "业务类型").startswith(_TO_BANK):
            to_bank[direction] += _fen(row, amount)
    told = (_fen(summary, "收入金额"), _fen(summary, "支出金额"))
    if told != (sums[_INCOME], sums[_OUTLAY]):
        raise BillUnreadable(f"the summary says {told}, the rows {tuple(sums.values())}")
    return FundFlow(
        income_fen=sums[_INCOME],
        outlay_fen=sums[_OUTLAY],
        paid_out_fen=to_bank[_OUTLAY] - to_bank[_INCOME],
    )


def expected_fee(amount_fen: int, *, rate: Decimal) -> int:
    """Return what the platform should keep of a trade, half-up to the fen as it rounds."""
    return round_fen(amount_fen * rate, rounding=Rounding.HALF_UP)


def _parts(text: str, *, summary: str) -> tuple[list[Mapping[str, str]], Mapping[str, str]]:
    """Split a file into its rows and its summary, each by column name."""
    table = list(csv.reader(text.removeprefix("\ufeff").splitlines()))
    at = next((i for i, row in enumerate(table) if row and row[0].strip() == summary), None)
    if at is None or at == 0 or at + 1 >= len(table):
        raise BillUnreadable("the file has no header or no summary")
    rows = [_by_name(table[0], row) for row in table[1:at]]
    return rows, _by_name(table[at], table[at + 1])


def _by_name(names: Sequence[str], values: Sequence[str]) -> Mapping[str, str]:
    if len(values) != len(names) or not all(value.startswith("`") for value in values):
        raise BillUnreadable("a row is not of the header's width, or has no backticks")
    return {name.strip(): value[1:].strip() for name, value in zip(names, values, strict=True)}


def _line(row: Mapping[str, str]) -> BillLine:
    state = _text(row, "交易状态")
    if state not in (_TRADE, _REFUND):
        raise BillUnreadable(f"{state} is no state of a trade")
    is_refund = state == _REFUND
    return BillLine(
        kind=LineKind.REFUND if is_refund else LineKind.PAYMENT,
        at=_instant(row, "交易时间"),
        transaction_id=_text(row, "微信订单号"),
        out_trade_no=_text(row, "商户订单号"),
        out_refund_no=_text(row, "商户退款单号") if is_refund else "",
        amount_fen=_fen(row, "申请退款金额" if is_refund else "订单金额"),
        fee_fen=_fen(row, "手续费"),
        refund_status=_text(row, "退款状态") if is_refund else "",
    )


def _text(row: Mapping[str, str], name: str) -> str:
    value = row.get(name, "")
    if not value:
        raise BillUnreadable(f"{name} is missing")
    return value


def _fen(row: Mapping[str, str], name: str) -> int:
    try:
        return fen_from_yuan(_cents(_text(row, name)))
    except (MoneyNotReadable, InvalidOperation) as error:
        raise BillUnreadable(f"{name} is no amount") from error


def _cents(text: str) -> str:
    """Write "0.35000" and "0.0" alike: the platform gives fees with five decimals."""
    return f"{Decimal(text):.2f}" if Decimal(text) == round(Decimal(text), 2) else text


def _whole(row: Mapping[str, str], name: str) -> int:
    value = _text(row, name)
    if not value.isdecimal():
        raise BillUnreadable(f"{name} is no count")
    return int(value)


def _instant(row: Mapping[str, str], name: str) -> datetime:
    try:
        wall = datetime.fromisoformat(_text(row, name))
    except ValueError as error:
        raise BillUnreadable(f"{name} is no time") from error
    return wall.replace(tzinfo=SHANGHAI)


def net_of(lines: Sequence[BillLine]) -> int:
    """Return what trades did to our account at the platform, fen."""
    return sum(line.net_fen for line in lines)
