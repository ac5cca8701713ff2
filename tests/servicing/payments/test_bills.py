"""Bills as the platform writes them are read by their columns' names, and nothing is guessed."""

from datetime import datetime
from decimal import Decimal

import pytest

from kernel.clock import SHANGHAI
from servicing.payments.bills import (
    BillLine,
    BillUnreadable,
    LineKind,
    expected_fee,
    net_of,
    read_funds,
    read_trades,
)

HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
PAID = (
    "`2026-03-10 09:15:07,`wx1,`1900000109,`0,`,`4200001,`PO1,`oPayer,`JSAPI,`SUCCESS,`OTHERS,`CNY,"
    '`220.04,`0.00,`0,`0,`0.00,`0.00,`,`,"`手机, 64G",`,`1.32000,`0.60%,`220.04,`0.00,`'
)
BACK = (
    "`2026-03-10 11:00:00,`wx1,`1900000109,`0,`,`4200001,`PO1,`oPayer,`JSAPI,`REFUND,`OTHERS,`CNY,"
    "`0.00,`0.00,`5030001,`RF1,`20.00,`0.00,`ORIGINAL,`SUCCESS,`手机,`,`-0.12000,`0.60%,"
    "`220.04,`20.00,`"
)
SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
SUMS = "`2,`220.04,`20.00,`0.00,`1.20000,`440.08,`20.00"

FUND_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUNDS = f"""{FUND_HEADER}
`2026-03-10 09:15:07,`4200001,`F1,`交易,`交易,`收入,`220.04,`220.04,`system,`,`PO1
`2026-03-10 09:15:07,`4200001,`F2,`扣手续费,`手续费,`支出,`1.32,`218.72,`system,`,`PO1
资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额
`2,`1,`220.04,`1,`1.32
"""


def bill(*rows: str, header: str = HEADER, sums: str = SUMS) -> str:
    return "\ufeff" + "\r\n".join((header, *rows, SUMMARY, sums)) + "\r\n"


class TestReadTrades:
    def test_reads_payments_and_refunds(self) -> None:
        paid, back = read_trades(bill(PAID, BACK))
        assert paid == BillLine(
            kind=LineKind.PAYMENT,
            at=datetime(2026, 3, 10, 9, 15, 7, tzinfo=SHANGHAI),
            transaction_id="4200001",
            out_trade_no="PO1",
            out_refund_no="",
            amount_fen=22_004,
            fee_fen=132,
        )
        assert (back.kind, back.out_refund_no, back.amount_fen, back.fee_fen) == (
            LineKind.REFUND, "RF1", 2_000, -12,
        )  # fmt: skip
        assert net_of((paid, back)) == 22_004 - 132 - 2_000 + 12

    def test_one_more_column_does_no_harm(self) -> None:
        text = bill(f"{PAID},`new", f"{BACK},`new", header=f"{HEADER},新列")
        assert len(read_trades(text)) == 2

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (bill(PAID), "summary"),
            (bill(PAID, BACK, sums=SUMS.replace("1.20000", "1.21000")), "summary"),
            (bill(PAID, BACK.replace("REFUND", "REVOKED")), "state"),
            (bill(PAID, BACK.replace("`20.00,`", "`20.001,`")), "amount"),
            (bill(PAID, BACK.replace("`2026-03-10", "`10.03.2026")), "time"),
            (bill(PAID, BACK.replace("`4200001", "`")), "missing"),
            (bill(PAID, BACK.replace("`CNY", "CNY")), "backticks"),
            (bill(PAID, BACK, header=HEADER.replace("微信订单号", "订单")), "微信订单号"),
            (bill(PAID, BACK, sums=SUMS.replace("`2,", "`two,")), "count"),
            ("", "summary"),
            (f"{HEADER}\r\n{PAID}\r\n{SUMMARY}", "summary"),
        ],
    )
    def test_what_is_not_a_bill_is_refused(self, text: str, why: str) -> None:
        with pytest.raises(BillUnreadable, match=why):
            read_trades(text)


class TestReadFunds:
    def test_adds_up(self) -> None:
        flow = read_funds(FUNDS)
        assert (flow.income_fen, flow.outlay_fen, flow.net_fen) == (22_004, 132, 21_872)

    @pytest.mark.parametrize(("old", "new"), [("`1,`1.32", "`1,`1.33"), ("支出,`1.32", "借,`1.32")])
    def test_what_does_not_add_up_is_refused(self, old: str, new: str) -> None:
        with pytest.raises(BillUnreadable):
            read_funds(FUNDS.replace(old, new))

    def test_tells_what_went_to_the_bank_apart(self) -> None:
        """It is no trade: what trades did is what the trade bill says, too."""
        paid_out = "`2026-03-10 23:30:00,`TX1,`F3,`提现,`提现,`支出,`200.00,`18.72,`system,`,`TX1"
        told = FUNDS.replace("资金流水总笔数", f"{paid_out}\n资金流水总笔数")
        flow = read_funds(told.replace("`2,`1,`220.04,`1,`1.32", "`3,`1,`220.04,`2,`201.32"))
        assert (flow.paid_out_fen, flow.net_fen) == (20_000, 21_872)

    def test_takes_off_what_came_back_from_the_bank(self) -> None:
        back = FUNDS.replace("`交易,`交易,`收入", "`提现退票,`提现退票,`收入")
        flow = read_funds(back)
        assert (flow.paid_out_fen, flow.net_fen) == (-22_004, -132)


@pytest.mark.parametrize(("fen", "fee"), [(22_004, 132), (1, 0), (83, 0), (84, 1), (0, 0)])
def test_the_fee_is_rounded_half_up(fen: int, fee: int) -> None:
    assert expected_fee(fen, rate=Decimal("0.006")) == fee
