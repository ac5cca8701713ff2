"""A payment provider in memory, for tests that do not need WeChat Pay's own protocol."""

from typing import Any

from kernel.clock import FixedClock
from servicing.payments.ports import NewOrder, PaymentFact, PayParams, PayUnknown


class FakePay:
    """Takes every order; `is_paid` says how each went, `is_silent` that it does not answer."""

    appid, mchid = "wx", "1"

    def __init__(self, clock: FixedClock, *, is_paid: bool) -> None:
        self.clock = clock
        self.orders: dict[str, NewOrder] = {}
        self.is_paid = is_paid
        self.is_silent = False

    def create_jsapi_order(self, order: NewOrder) -> str:
        if self.is_silent:
            raise PayUnknown("timeout")
        self.orders[order.out_trade_no] = order
        return f"prepay-{len(self.orders)}"

    def query(self, *, out_trade_no: str) -> PaymentFact | None:
        if self.is_silent or out_trade_no not in self.orders:
            return None
        return PaymentFact(
            out_trade_no=out_trade_no,
            trade_state="SUCCESS" if self.is_paid else "NOTPAY",
            appid=self.appid,
            mchid=self.mchid,
            transaction_id=f"42{out_trade_no[-20:]}" if self.is_paid else "",
            success_at=self.clock.now() if self.is_paid else None,
            total_fen=self.orders[out_trade_no].amount_fen if self.is_paid else None,
        )

    def close(self, *, out_trade_no: str) -> bool:
        return out_trade_no in self.orders

    def build_jsapi_params(self, *, prepay_id: str, **given: Any) -> PayParams:
        return PayParams(
            app_id=self.appid,
            timestamp="1",
            nonce="n",
            package=f"prepay_id={prepay_id}",
            sign_type="RSA",
            pay_sign="s",
            out_trade_no=given["out_trade_no"],
            amount_fen=given["amount_fen"],
        )
