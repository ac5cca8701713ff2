import re
from datetime import date, timedelta
from typing import Any

import pytest

from kernel.clock import business_date
from servicing import operations
from servicing.payments.tables import Payment, PaymentOrder, Refund


@pytest.fixture
def paid(workplace: Any, someone: Any) -> Any:
    """The late loan's first instalment was paid in WeChat, and one attempt failed."""
    now = workplace.runtime.clock.now()
    common = {
        "customer_id": someone.id,
        "loan_id": someone.late_loan_id,
        "channel": "wechat_jsapi",
        "appid": "wx1",
        "mchid": "16",
        "openid_enc": "sealed-openid",
        "quote": {},
        "description": "还款",
        "created_at": now,
        "expires_at": now + timedelta(minutes=30),
        "next_query_at": now,
    }
    with workplace.runtime.database.write() as session:
        order = PaymentOrder(
            out_trade_no="HK20260310AAAA",
            key="a",
            amount_fen=60_000,
            state="paid",
            transaction_id="4200001234202603105678901234",
            success_at=now,
            **common,
        )
        failed = PaymentOrder(
            out_trade_no="HK20260310BBBB",
            key="b",
            amount_fen=60_000,
            state="failed",
            refused_code="NOAUTH",
            **common,
        )
        session.add_all([order, failed])
        session.flush()
        payment = Payment(
            order_id=order.id,
            customer_id=someone.id,
            loan_id=someone.late_loan_id,
            transaction_id=order.transaction_id,
            amount_fen=60_000,
            posted_fen=50_000,
            excess_fen=10_000,
            value_date=business_date(now),
            success_at=now,
            recorded_at=now,
        )
        session.add(payment)
        session.flush()
        operations.post_repayment(
            session,
            loan_id=someone.late_loan_id,
            amount_fen=50_000,
            value_date=business_date(now),
            key=f"payment/{payment.id}",
            now=now,
        )
        session.add(
            Refund(
                payment_id=payment.id,
                out_refund_no="TK20260310CCCC",
                amount_fen=10_000,
                reason="该期账款已结清，款项原路退回",
                state="processing",
                next_try_at=now,
                created_at=now,
            )
        )
    return someone


def test_payments_show_money_attempts_and_refunds(workplace: Any, paid: Any) -> None:
    page = workplace.seat("finance").get(paid.at("/tabs/payments")).text
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    (posted,) = [row for row in rows if "¥500.00" in row]
    assert "4200001234202603105678901234" in posted
    assert "多付已转退款" in posted
    (failed,) = [row for row in rows if "HK20260310BBBB" in row]
    assert "下单失败" in failed
    assert "NOAUTH" in failed
    (back,) = [row for row in rows if "TK20260310CCCC" in row]
    assert "退款中" in back
    assert "4200001234202603105678901234" in back
    assert "sealed-openid" not in page


def test_a_repayment_that_was_reversed_is_crossed_out(
    workplace: Any, someone: Any, book: Any
) -> None:
    loan_id, on = someone.late_loan_id, date(2026, 3, 10)
    with workplace.runtime.database.write() as session:
        seq = book.repay(session, loan_id, 12_300, key="wrong", on=on)
        operations.reverse(
            session, loan_id=loan_id, seq=seq, on=on, key="undo", actor="lin", now=book.now
        )
        book.repay(session, loan_id, 45_600, key="right", on=on)
    page = workplace.seat("finance").get(someone.at("/tabs/payments")).text
    assert "2026-03-10 已冲正" in page
    assert re.search(r"<s>.*123\.00.*</s>", page)
    assert not re.search(r"<s>.*456\.00.*</s>", page)


def test_the_ledger_is_double_entry_and_balanced(workplace: Any, paid: Any) -> None:
    desk = workplace.seat("finance")
    assert "华为手机" in desk.get(paid.at("/tabs/ledger")).text
    page = desk.get(paid.at(f"/loans/{paid.late_loan_id}/entries")).text
    assert "借贷平衡" in page
    for words in ("放款", "还款入账", "贷款本金", "微信支付待清算"):
        assert words in page
    sums = re.findall(r"fw-medium\">([\d,.]+)<", page)
    assert len(sums) == 2
    assert sums[0] == sums[1]


def test_consents_show_the_last_word(workplace: Any, someone: Any) -> None:
    now = workplace.runtime.clock.now()
    given = {"customer_id": someone.id, "channel": "wechat_h5", "now": now}
    with workplace.runtime.database.write() as session:
        for purpose in ("marketing", "wechat_binding"):
            operations.record_consent(session, purpose=purpose, text="同意书", **given)
        operations.withdraw_consent(session, purpose="marketing", **given)
    page = workplace.seat("clerk").get(someone.at("/tabs/consents")).text
    (marketing,) = [row for row in page.split("<tr>") if "接收营销信息" in row]
    assert "已撤回" in marketing
    (binding,) = [row for row in page.split("<tr>") if "绑定微信" in row]
    assert "微信页面" in binding
    assert ">同意<" in binding
