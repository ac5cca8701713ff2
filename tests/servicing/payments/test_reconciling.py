"""Bills of the stand-in over real HTTP: fetched once, matched, and what is done with the rest."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from kernel.clock import FixedClock
from servicing import operations
from servicing.payments import differences, jobs
from servicing.payments.difference_queries import bill_days, clearing_proof
from servicing.payments.operations import open_payment_order
from servicing.payments.ports import Purpose
from servicing.payments.reconciling import reconcile
from servicing.payments.tables import PayBill, PayBillLine, PayDifference, Payment, Refund
from servicing.tables import Alert, LedgerEntry, LedgerPosting

DAY = date(2026, 3, 10)
TWO_TERMS_FEN = 22_004


@pytest.fixture
def paid(stand: Any, book: Any) -> Callable[..., str]:
    """Open an order for what is due and let the borrower pay it; returns its number."""

    def pay(key: str = "press-1", **given: Any) -> str:
        number = open_payment_order(
            stand.runtime,
            key=key,
            customer_id=book.customer_id,
            loan_id=book.loan_id,
            openid="oPayer",
            **given,
        ).out_trade_no
        stand.pay(number)
        stand.settle()
        return number

    return pay


def next_day(stand: Any, clock: FixedClock) -> int:
    """Let a day pass, to after ten, and reconcile."""
    clock.advance(timedelta(days=1, minutes=1))
    return reconcile(stand.runtime)


def balances(stand: Any) -> dict[str, int]:
    """What the accounts around money came to."""
    with stand.runtime.database.read() as session:
        rows = session.execute(
            select(LedgerPosting.account, func.sum(LedgerPosting.amount_fen))
            .where(
                LedgerPosting.account.in_(
                    ("wechat-pay-clearing", "suspense", "payment-fee",
                     "reconciliation-differences", "refund-payable")
                )
            )
            .group_by(LedgerPosting.account)
        )  # fmt: skip
        return {account: int(fen) for account, fen in rows if fen}


def billed(stand: Any) -> int:
    with stand.runtime.database.read() as session:
        kind = PayBill.kind == "trades"
        return int(session.scalar(select(func.sum(PayBill.net_fen)).where(kind)) or 0)


def act(stand: Any, do: Callable[..., Any], **given: Any) -> Any:
    now = stand.runtime.clock.now()
    with stand.runtime.database.write() as session:
        return do(session, by="lijing", now=now, **given)


class TestReconcile:
    def test_a_day_that_agrees_leaves_the_clearing_account_as_the_bill_has_it(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        assert next_day(stand, clock) == 1
        assert book.rows(PayDifference) == []
        (line,) = book.rows(PayBillLine)
        assert (line.amount_fen, line.fee_fen, line.bill_on) == (TWO_TERMS_FEN, 132, DAY)
        assert balances(stand) == {
            "wechat-pay-clearing": TWO_TERMS_FEN - 132,
            "payment-fee": 132,
        }
        assert billed(stand) == TWO_TERMS_FEN - 132
        assert book.differences() == []

    def test_what_the_platform_paid_out_drains_the_clearing_account(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        net_fen = TWO_TERMS_FEN - 132
        stand.knob("pay.bill", "payout", value=net_fen)
        assert next_day(stand, clock) == 1
        assert balances(stand) == {"payment-fee": 132}
        assert reconcile(stand.runtime) == 0
        with stand.runtime.database.read() as session:
            (day,) = bill_days(session)
            proof = clearing_proof(session)
            (entry,) = session.scalars(
                select(LedgerEntry).where(LedgerEntry.kind == "platform-payout")
            )
            bank = select(func.sum(LedgerPosting.amount_fen)).where(
                LedgerPosting.entry_id == entry.id, LedgerPosting.account == "funding-bank"
            )
            assert (entry.effective_on, session.scalar(bank)) == (DAY, net_fen)
        assert day.trades_fen == day.funds_fen == net_fen
        assert proof is not None
        assert proof.ledger_fen == proof.bills_fen == net_fen
        assert book.rows(PayDifference) == []

    def test_a_day_is_fetched_and_matched_once(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        next_day(stand, clock)
        calls = stand.world.journal.calls()["pay.bill"]
        assert reconcile(stand.runtime) == 0
        assert stand.world.journal.calls()["pay.bill"] == calls == 2
        assert len(book.rows(PayBillLine)) == 1

    def test_nothing_is_asked_before_ten_or_before_the_first_order(
        self, paid: Any, stand: Any, clock: FixedClock
    ) -> None:
        assert reconcile(stand.runtime) == 0
        paid()
        clock.advance(timedelta(hours=23))
        assert reconcile(stand.runtime) == 0
        assert "pay.bill" not in stand.world.journal.calls()

    def test_a_day_without_trade_is_done(self, paid: Any, stand: Any, clock: FixedClock) -> None:
        paid()
        clock.advance(timedelta(days=3, minutes=1))
        assert reconcile(stand.runtime) == 3
        with stand.runtime.database.read() as session:
            kept = session.scalars(select(PayBill).where(PayBill.on == date(2026, 3, 12))).all()
            assert [bill.lines for bill in kept] == [0, 0]

    def test_a_late_bill_is_waited_for_and_staff_hear_of_it(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob("pay.bill", "late", times=2)
        assert next_day(stand, clock) == 0
        assert book.rows(Alert) == []
        clock.advance(timedelta(hours=7))
        assert reconcile(stand.runtime) == 0
        assert [alert.kind for alert in book.rows(Alert)] == ["bill-late"]
        assert reconcile(stand.runtime) == 1

    @pytest.mark.parametrize(
        ("feature", "fault"),
        [("pay.bill", "wrong_hash"), ("pay.bill", "cut"), ("pay.bill", "unsigned"),
         ("pay.bill_download", "html"), ("pay.bill_download", "http_500")],
    )  # fmt: skip
    def test_a_bill_that_cannot_be_believed_is_fetched_again(
        self, feature: str, fault: str, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob(feature, fault)
        assert next_day(stand, clock) == 0
        assert book.rows(PayBillLine) == []
        assert reconcile(stand.runtime) == 1

    def test_a_payment_whose_notify_was_lost_is_settled_by_query(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        stand.knob("notify.payment", "lost")
        paid()
        assert book.rows(Payment) == []
        next_day(stand, clock)
        (payment,) = book.rows(Payment)
        assert payment.value_date == DAY
        (row,) = book.rows(PayDifference)
        assert (row.kind, row.resolution, row.state) == (
            "lost-notice", "settled-by-query", "resolved",
        )  # fmt: skip
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)

    @pytest.mark.parametrize(
        ("fault", "kind", "suspense"),
        [
            ("missing_row", "missing-there", -TWO_TERMS_FEN),
            ("extra_row", "unknown-here", 8_888),
            ("double_row", "billed-twice", TWO_TERMS_FEN - 132),
            ("wrong_amount", "amount-differs", 1),
            ("wrong_fee", "fee-differs", -1),
        ],
    )
    def test_each_difference_sits_on_the_suspense_account(
        self,
        fault: str,
        kind: str,
        suspense: int,
        paid: Any,
        stand: Any,
        book: Any,
        clock: FixedClock,
    ) -> None:
        paid()
        stand.knob("pay.bill", fault)
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        assert (row.kind, row.open_fen, row.state) == (kind, suspense, "open")
        assert balances(stand)["suspense"] == -suspense
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)
        assert book.differences() == []

    def test_a_row_that_is_listed_twice_brings_no_loan_any_money(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob("pay.bill", "double_row", times=1)
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        assert balances(stand)["payment-fee"] == 132
        given = {"difference_id": row.id, "fen": row.open_fen}
        with pytest.raises(differences.ActNotFitting):
            act(stand, differences.settle_to_loan, loan_id=book.loan_id, **given)
        with pytest.raises(differences.ActNotFitting):
            act(stand, differences.refund_to_source, **given)
        act(stand, differences.write_down, **given)
        assert balances(stand) == {
            "wechat-pay-clearing": 2 * (TWO_TERMS_FEN - 132),
            "payment-fee": 132,
            "reconciliation-differences": -(TWO_TERMS_FEN - 132),
        }

    def test_a_row_that_comes_a_day_later_closes_its_difference(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob("pay.bill", "late_row")
        next_day(stand, clock)
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        assert (row.state, row.resolution, row.there_fen) == (
            "resolved", "came-later", TWO_TERMS_FEN,
        )  # fmt: skip
        assert "suspense" not in balances(stand)
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)

    def test_money_given_back_in_the_console_is_missed(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        number = paid()
        stand.refund(number, 5_000)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        assert (row.kind, row.open_fen, row.loan_id) == ("refunded-there", -5_000, book.loan_id)
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)

    def test_a_payment_of_an_earlier_bill_is_not_missing_from_that_of_its_refund(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        number = paid()
        next_day(stand, clock)
        stand.refund(number, 5_000)
        clock.advance(timedelta(seconds=5))
        next_day(stand, clock)
        assert [row.kind for row in book.rows(PayDifference)] == ["refunded-there"]
        assert balances(stand)["wechat-pay-clearing"] == billed(stand)

    def test_unknown_money_that_went_back_in_the_console_closes_itself(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob("pay.bill", "extra_row", value=700)
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        stand.refund(row.out_trade_no, 700)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        next_day(stand, clock)
        assert {(one.kind, one.resolution) for one in book.rows(PayDifference)} == {
            ("unknown-here", "offset"), ("refunded-there", "offset"),
        }  # fmt: skip
        assert "suspense" not in balances(stand)

    def test_our_own_refund_agrees(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid("phone-1")
        paid("phone-2", purpose=Purpose.SETTLE)
        with stand.world.lock:
            orders = list(stand.world.merchant.orders.values())
        assert len(orders) == 2
        jobs.send_refunds(stand.runtime)
        next_day(stand, clock)
        assert [row.kind for row in book.rows(PayDifference)] == []
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)

    def test_what_is_older_than_a_day_calls_staff_once(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob("pay.bill", "extra_row")
        next_day(stand, clock)
        assert book.rows(Alert) == []
        next_day(stand, clock)
        next_day(stand, clock)
        (alert,) = book.rows(Alert)
        assert (alert.kind, alert.details["open_fen"]) == ("pay-difference", 8_888)


class TestActs:
    @pytest.fixture
    def unknown(self, paid: Any, stand: Any, book: Any, clock: FixedClock) -> PayDifference:
        """Money of a stranger, 88.88 yuan."""
        paid()
        stand.knob("pay.bill", "extra_row")
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        return row  # type: ignore[no-any-return]

    def test_a_loan_takes_it_as_paid_on_the_day_it_came(
        self, unknown: PayDifference, stand: Any, book: Any
    ) -> None:
        given = {"difference_id": unknown.id, "loan_id": book.loan_id}
        act(stand, differences.settle_to_loan, fen=8_000, **given)
        act(stand, differences.settle_to_loan, fen=888, **given)
        (row,) = book.rows(PayDifference)
        assert (row.state, row.resolution, row.loan_id) == ("resolved", "to-loan", book.loan_id)
        assert "2026-03-10 repayment +8000" in book.ledger()
        assert "suspense" not in balances(stand)
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)
        assert book.differences() == []

    def test_it_goes_back_to_its_source(
        self, unknown: PayDifference, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        act(stand, differences.refund_to_source, difference_id=unknown.id, fen=8_888)
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        (refund,) = book.rows(Refund)
        assert (refund.state, refund.payment_id) == ("succeeded", None)
        next_day(stand, clock)
        assert [row.resolution for row in book.rows(PayDifference)] == ["refunded"]
        assert "suspense" not in balances(stand)
        assert "refund-payable" not in balances(stand)
        assert balances(stand).get("wechat-pay-clearing", 0) == billed(stand)

    def test_a_refund_over_midnight_is_in_transit_on_the_first_day(
        self, unknown: PayDifference, stand: Any, clock: FixedClock
    ) -> None:
        act(stand, differences.refund_to_source, difference_id=unknown.id, fen=8_888)
        clock.advance(timedelta(hours=13, minutes=58, seconds=58))
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        clock.advance(timedelta(hours=10, minutes=1))
        assert reconcile(stand.runtime) == 1
        with stand.runtime.database.read() as session:
            proof = clearing_proof(session)
        assert proof is not None
        assert (proof.on, proof.in_transit_fen, proof.off_fen) == (date(2026, 3, 11), 8_888, 0)

    def test_it_is_written_down(self, unknown: PayDifference, stand: Any, book: Any) -> None:
        act(stand, differences.write_down, difference_id=unknown.id, fen=8_888)
        assert balances(stand)["reconciliation-differences"] == -8_888
        assert [row.resolution for row in book.rows(PayDifference)] == ["written-down"]

    def test_nothing_is_done_twice_or_beyond_what_is_open(
        self, unknown: PayDifference, stand: Any, book: Any
    ) -> None:
        given = {"difference_id": unknown.id, "loan_id": book.loan_id}
        with pytest.raises(differences.DifferenceClosed):
            act(stand, differences.settle_to_loan, fen=8_889, **given)
        with pytest.raises(differences.DifferenceClosed):
            act(stand, differences.write_down, difference_id=unknown.id, fen=8_887)
        act(stand, differences.write_down, difference_id=unknown.id, fen=8_888)
        with pytest.raises(differences.DifferenceClosed):
            act(stand, differences.settle_to_loan, fen=1, **given)
        with pytest.raises(differences.DifferenceNotFound):
            act(stand, differences.write_down, difference_id=unknown.id + 1, fen=1)

    def test_more_than_a_loan_owes_stays_where_it_is(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        paid()
        stand.knob("pay.bill", "extra_row", value=900_000)
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        given = {"difference_id": row.id, "loan_id": book.loan_id}
        with pytest.raises(operations.PaymentTooLarge):
            act(stand, differences.settle_to_loan, fen=900_000, **given)
        assert book.rows(PayDifference)[0].open_fen == 900_000
        assert book.rows(LedgerEntry)[-1].kind != "suspense-cleared"

    def test_a_missed_sum_does_not_go_back(
        self, paid: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        number = paid()
        stand.refund(number, 500)
        clock.advance(timedelta(seconds=5))
        next_day(stand, clock)
        (row,) = book.rows(PayDifference)
        with pytest.raises(differences.DifferenceClosed):
            act(stand, differences.refund_to_source, difference_id=row.id, fen=500)
        act(stand, differences.write_down, difference_id=row.id, fen=-500)
        assert balances(stand)["reconciliation-differences"] == 500
