"""The two bills of a day, asked for by the real wechatpayv3 as a merchant would."""

import gzip
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType

OPENID = "oFenqiTestPerson0000000000001"
DAY = "2026-03-10"


@pytest.fixture
def client(stand: Any) -> WeChatPay:
    settings = stand.settings
    made = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=settings.pay_mch_id,
        private_key=settings.pay_mch_private_key,
        cert_serial_no=settings.pay_mch_serial,
        appid=settings.wechat_app_id,
        apiv3_key=settings.pay_api_v3_key,
        notify_url=f"{settings.public_base_url}/pay/notify",
        public_key=settings.pay_public_key,
        public_key_id=settings.pay_public_key_id,
        timeout=(5, 10),
    )
    made._core._gate_way = f"{stand.base}/sandbox/pay"
    return made


@pytest.fixture
def traded(stand: Any, client: WeChatPay) -> None:
    """Two payments on 10 March, part of the second given back in the console."""
    for number, fen in (("FQ0000000001", 10_000), ("FQ0000000002", 5_050)):
        client.pay(
            description="分期还款",
            out_trade_no=number,
            amount={"total": fen},
            payer={"openid": OPENID},
        )
        stand.api("pay", {"out_trade_no": number, "wait": True})
    stand.api("refund", {"out_trade_no": "FQ0000000002", "fen": 1_000})
    stand.clock.advance(timedelta(seconds=5))
    stand.settle()


def next_morning(stand: Any) -> None:
    stand.clock.advance(timedelta(days=1, minutes=1))


def offer(answer: tuple[int, str]) -> dict[str, str]:
    code, text = answer
    assert code == 200, text
    told: dict[str, str] = json.loads(text)
    return told


def lines(content: bytes) -> list[str]:
    return content.decode("utf-8-sig").splitlines()


@pytest.mark.usefixtures("traded")
class TestTradeBill:
    def test_has_the_rows_of_the_day_and_a_summary(self, stand: Any, client: WeChatPay) -> None:
        next_morning(stand)
        told = offer(client.trade_bill(DAY, tar_type="GZIP"))
        content = gzip.decompress(client.download_bill(told["download_url"])[1])
        assert hashlib.sha1(content).hexdigest() == told["hash_value"]  # noqa: S324 -- the platform's
        header, first, second, back, summary, sums = lines(content)
        assert header.startswith(
            "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号"
        )
        assert len(header.split(",")) == len(first.split(",")) == 27
        assert first.startswith("`2026-03-10 10:00:00,`wx")
        assert first.split(",")[9] == "`SUCCESS"
        assert (first.split(",")[22], second.split(",")[22]) == ("`0.60", "`0.30")
        assert back.split(",")[9] == "`REFUND"
        assert (back.split(",")[16], back.split(",")[22]) == ("`10.00", "`-0.06")
        assert summary.startswith("总交易单数,应结订单总金额,退款总金额")
        assert sums == "`3,`150.50,`10.00,`0.00,`0.84,`201.00,`10.00"

    def test_is_plain_when_it_is_asked_for_so(self, stand: Any, client: WeChatPay) -> None:
        next_morning(stand)
        told = offer(client.trade_bill(DAY, tar_type=""))
        assert len(lines(client.download_bill(told["download_url"])[1])) == 6

    def test_is_not_out_before_ten(self, stand: Any, client: WeChatPay) -> None:
        stand.clock.advance(timedelta(hours=23, minutes=59))
        assert json.loads(client.trade_bill(DAY)[1])["code"] == "STATEMENT_CREATING"
        assert json.loads(client.trade_bill("2026-03-11")[1])["code"] == "INVALID_REQUEST"
        stand.clock.advance(timedelta(minutes=1))
        assert client.trade_bill(DAY)[0] == 200

    def test_a_day_without_trade_has_none(self, stand: Any, client: WeChatPay) -> None:
        next_morning(stand)
        for ask in (client.trade_bill, client.fundflow_bill):
            code, text = ask("2026-03-09")
            assert (code, json.loads(text)["code"]) == (400, "NO_STATEMENT_EXIST")

    def test_is_downloaded_by_the_merchant_alone(self, stand: Any, client: WeChatPay) -> None:
        next_morning(stand)
        url = offer(client.trade_bill(DAY))["download_url"]
        client._core._cert_serial_no = "0" * 40
        code, text = client.download_bill(url)
        assert (code, json.loads(text)["code"]) == (401, "SIGN_ERROR")

    @pytest.mark.parametrize(
        ("fault", "rows", "paid", "fee"),
        [
            ("missing_row", "2", "50.50", "0.24"),
            ("extra_row", "4", "239.38", "1.37"),
            ("wrong_amount", "3", "150.51", "0.84"),
            ("wrong_fee", "3", "150.50", "0.85"),
        ],
    )
    def test_lies_when_told_to(
        self, stand: Any, client: WeChatPay, fault: str, rows: str, paid: str, fee: str
    ) -> None:
        next_morning(stand)
        stand.knob("pay.bill", fault, times=1)
        told = offer(client.trade_bill(DAY, tar_type=""))
        sums = lines(client.download_bill(told["download_url"])[1])[-1].split(",")
        assert (sums[0], sums[1], sums[4]) == (f"`{rows}", f"`{paid}", f"`{fee}")

    def test_a_late_row_comes_a_day_later(self, stand: Any, client: WeChatPay) -> None:
        next_morning(stand)
        stand.knob("pay.bill", "late_row", times=1)
        told = offer(client.trade_bill(DAY, tar_type=""))
        assert len(lines(client.download_bill(told["download_url"])[1])) == 5
        next_morning(stand)
        told = offer(client.trade_bill("2026-03-11", tar_type=""))
        (row,) = lines(client.download_bill(told["download_url"])[1])[1:-2]
        assert "`FQ0000000001," in row


@pytest.mark.usefixtures("traded")
class TestFundFlowBill:
    def test_tells_what_moved_and_what_is_left(self, stand: Any, client: WeChatPay) -> None:
        next_morning(stand)
        told = offer(client.fundflow_bill(DAY))
        table = lines(gzip.decompress(client.download_bill(told["download_url"])[1]))
        assert table[0].startswith(
            "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型"
        )
        kinds = [row.split(",")[4:8] for row in table[1:-2]]
        assert kinds[0] == ["`交易", "`收入", "`100.00", "`100.00"]
        assert kinds[1] == ["`手续费", "`支出", "`0.60", "`99.40"]
        assert kinds[-1][-1] == "`139.66"
        assert table[-1] == "`6,`3,`150.56,`3,`10.90"
