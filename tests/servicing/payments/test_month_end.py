"""A month closes once its bills agree; what comes late of it, refunds too, adjusts it today."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from kernel.clock import FixedClock
from servicing import operations
from servicing.jobs import prove_books
from servicing.operations import periods
from servicing.payments import bill_days, console, differences, jobs, overpaid
from servicing.payments.bills import BillKind, BillUnreadable
from servicing.payments.difference_queries import clearing_proof
from servicing.payments.operations import open_payment_order
from servicing.payments.ports import PayProvider, PayRefused
from servicing.payments.reconciling import reconcile
from servicing.payments.tables import PayBill, PayDifference, Payment, Refund
from servicing.queries import trial_balance
from servicing.tables import LedgerEntry, Loan

MARCH = {"first": date(2026, 3, 1), "last": date(2026, 3, 31), "creditor": "own"}
APRIL = {"first": date(2026, 4, 1), "last": date(2026, 4, 30), "creditor": "own"}


@pytest.fixture
def paid(stand: Any, book: Any) -> str:
    """Pay what is due on 10 March; returns the order's number."""
    number = open_payment_order(
        stand.runtime, key="press-1", customer_id=book.customer_id, loan_id=book.loan_id,
        openid="oPayer",
    ).out_trade_no  # fmt: skip
    stand.pay(number)
    stand.settle()
    return number


@pytest.fixture
def in_april(stand: Any, clock: FixedClock) -> Callable[..., None]:
    """Let March end: its loans closed, its books proven, its bills fetched and matched."""

    def do(*, reconciles: bool = True) -> None:
        clock.advance(timedelta(days=22))
        with stand.runtime.database.write() as session:
            operations.age_loans(session, on=date(2026, 3, 31), now=clock.now())
        prove_books(stand.runtime)
        clock.advance(timedelta(minutes=1))
        if reconciles:
            reconcile(stand.runtime)

    return do


def close(stand: Any) -> None:
    now = stand.runtime.clock.now()
    with stand.runtime.database.write() as session:
        operations.close_period(session, month="2026-03", closed_by="wangwei", now=now)


def balances(stand: Any, span: dict[str, Any]) -> dict[str, int]:
    with stand.runtime.database.read() as session:
        rows = trial_balance.trial_balance(session, **span)
    return {row.account: row.closing_fen for row in rows}


def adjustments(stand: Any) -> set[tuple[str, str | None, date]]:
    with stand.runtime.database.read() as session:
        rows = session.scalars(select(LedgerEntry).where(LedgerEntry.adjusts.is_not(None)))
        return {(row.kind, row.adjusts, row.booked_on) for row in rows}


def is_explained(stand: Any) -> bool:
    with stand.runtime.database.read() as session:
        proof = clearing_proof(session)
    return proof is not None and proof.off_fen == 0


class TestClosePeriod:
    def test_waits_for_every_bill_of_the_month(self, paid: str, in_april: Any, stand: Any) -> None:
        assert paid
        in_april(reconciles=False)
        with pytest.raises(periods.BillsNotMatched):
            close(stand)
        assert reconcile(stand.runtime) == 22
        close(stand)

    def test_waits_for_the_last_bill_that_is_late(
        self, paid: str, in_april: Any, stand: Any, clock: FixedClock
    ) -> None:
        assert paid
        in_april(reconciles=False)
        clock.advance(timedelta(hours=-3))
        assert reconcile(stand.runtime) == 21
        with pytest.raises(periods.BillsNotMatched):
            close(stand)
        clock.advance(timedelta(hours=3))
        assert reconcile(stand.runtime) == 1
        close(stand)

    def test_waits_for_each_difference_until_it_ends_or_is_accepted(
        self, paid: str, in_april: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        stand.refund(paid, 5_000)
        clock.advance(timedelta(seconds=5))
        in_april()
        with pytest.raises(periods.DifferencesOpen):
            close(stand)
        (row,) = book.rows(PayDifference)
        with stand.runtime.database.write() as session:
            given = {"difference_id": row.id, "why": "等客户确认", "by": "lijing"}
            assert differences.accept(session, **given, now=clock.now())
            assert not differences.accept(session, **given, now=clock.now())
        close(stand)

    def test_a_difference_of_the_month_that_runs_does_not_matter(
        self, paid: str, in_april: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        in_april()
        stand.refund(paid, 5_000)
        clock.advance(timedelta(days=1))
        reconcile(stand.runtime)
        assert [row.state for row in book.rows(PayDifference)] == ["open"]
        close(stand)

    def test_nothing_is_asked_of_a_house_without_orders(
        self, in_april: Any, stand: Any, book: Any
    ) -> None:
        assert book.loan_id
        in_april()
        close(stand)


class TestLateMoney:
    def test_a_console_refund_booked_late_adjusts_the_closed_month(
        self, paid: str, in_april: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        stand.refund(paid, 5_000)
        clock.advance(timedelta(seconds=5))
        in_april()
        (row,) = book.rows(PayDifference)
        with stand.runtime.database.write() as session:
            differences.accept(
                session, difference_id=row.id, why="等客户确认", by="lijing", now=clock.now()
            )
        close(stand)
        before = balances(stand, MARCH)
        assert before["suspense"] == 5_000
        with stand.runtime.database.write() as session:
            bookings = console.proposal_for(session, difference_id=row.id)
            console.book_proposal(
                session, difference_id=row.id, bookings=bookings, by="lijing", now=clock.now()
            )
        assert balances(stand, MARCH) == before
        assert balances(stand, APRIL)["suspense"] == 0
        assert {(adjusts, on) for _, adjusts, on in adjustments(stand)} == {
            ("2026-03", date(2026, 4, 1))
        }
        assert is_explained(stand)
        assert book.differences() == []

    def test_a_refund_that_is_heard_of_late_adjusts_the_closed_month(
        self, paid: str, in_april: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        assert paid
        clock.advance(timedelta(days=1))
        with stand.runtime.database.write() as session:
            operations.cancel_purchase(
                session, loan_id=book.loan_id, amount_fen=120_000, bears_cost=False,
                on=date(2026, 3, 11), key="goods-back", actor="lijing", now=clock.now(),
            )  # fmt: skip
            overpaid.send_back(
                session, loan_id=book.loan_id, fen=22_004, by="lijing", now=clock.now()
            )
        stand.knob("notify.refund", "lost", times=9)
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        assert [row.state for row in book.rows(Refund)] == ["processing"]
        clock.advance(timedelta(days=-1))
        # The bill has it, so the day cannot be matched before the platform was asked.
        stand.knob("pay.refund_query", "http_500", times=9)
        in_april()
        with pytest.raises(periods.BillsNotMatched):
            close(stand)
        stand.knob("pay.refund_query", "http_500", times=0)
        before = balances(stand, MARCH)
        assert before["refund-payable"] == -22_004
        assert reconcile(stand.runtime) > 0
        close(stand)
        assert balances(stand, MARCH)["refund-payable"] == 0
        (loan,) = book.rows(Loan)
        assert loan.credit_fen == 0
        assert is_explained(stand)

    def test_goods_returned_into_a_closed_month_adjust_it(
        self, paid: str, in_april: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        assert paid
        in_april()
        close(stand)
        before = balances(stand, MARCH)
        with stand.runtime.database.write() as session:
            operations.cancel_purchase(
                session, loan_id=book.loan_id, amount_fen=120_000, bears_cost=False,
                on=date(2026, 3, 20), key="goods-back", actor="lijing", now=clock.now(),
            )  # fmt: skip
            overpaid.send_back(
                session, loan_id=book.loan_id, fen=22_004, by="lijing", now=clock.now()
            )
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        assert balances(stand, MARCH) == before
        assert balances(stand, APRIL)["refund-payable"] == 0
        kinds = {kind for kind, _, _ in adjustments(stand)}
        # The refund itself is of April: the money went back then.
        assert "merchant-refund" in kinds
        assert "credit-balance-refund" not in kinds
        assert book.differences() == []


PAID_ON = date(2026, 3, 10)


def bill_of(stand: Any, kind: BillKind, on: date = PAID_ON) -> str:
    return str(stand.runtime.get(PayProvider).bill(kind=kind, on=on))


def bring(stand: Any, kind: BillKind, text: str, on: date = PAID_ON) -> None:
    given = {"kind": kind, "on": on, "text": text, "by": "lijing"}
    with stand.runtime.database.write() as session:
        bill_days.bring_bill(session, **given, now=stand.runtime.clock.now())


def give_up(stand: Any, on: date = PAID_ON) -> int:
    given = {"on": on, "why": "平台已无法下载", "by": "lijing"}
    with stand.runtime.database.write() as session:
        return bill_days.give_bill_up(session, **given, now=stand.runtime.clock.now())


class TestMissingBill:
    """A day whose bill the platform never gives out."""

    @pytest.fixture
    def unfetched(self, paid: str, in_april: Any, stand: Any, monkeypatch: Any) -> dict[Any, str]:
        """April, with no bill of 10 March to be had; returns what its bills would be."""
        assert paid
        in_april(reconciles=False)
        texts = {kind: bill_of(stand, kind) for kind in BillKind}
        provider = stand.runtime.get(PayProvider)
        fetch = provider.bill

        def bill(*, kind: BillKind, on: date) -> str | None:
            if on == PAID_ON:
                raise PayRefused("NO_STATEMENT_EXIST")
            return fetch(kind=kind, on=on)

        monkeypatch.setattr(provider, "bill", bill)
        return texts

    def test_is_brought_as_a_file_and_matched_like_any_other(
        self, unfetched: dict[Any, str], stand: Any, book: Any
    ) -> None:
        reconcile(stand.runtime)
        with pytest.raises(periods.BillsNotMatched):
            close(stand)
        for kind, text in unfetched.items():
            bring(stand, kind, text)
            with pytest.raises(bill_days.BillKnown):
                bring(stand, kind, text)
        assert reconcile(stand.runtime) == 22
        close(stand)
        assert is_explained(stand)
        with stand.runtime.database.read() as session:
            brought = session.scalars(select(PayBill.brought_by).where(PayBill.on == PAID_ON)).all()
        assert set(brought) == {"lijing"}
        assert [row.state for row in book.rows(PayDifference)] == []

    def test_is_refused_if_it_is_of_another_day_or_no_bill(
        self, unfetched: dict[Any, str], stand: Any
    ) -> None:
        with pytest.raises(bill_days.BillOfOtherDay):
            bring(stand, BillKind.TRADES, unfetched[BillKind.TRADES], on=date(2026, 3, 11))
        with pytest.raises(BillUnreadable):
            bring(stand, BillKind.TRADES, "交易时间,微信订单号\n")

    def test_is_given_up_with_its_money_on_the_suspense_account(
        self, unfetched: dict[Any, str], stand: Any, book: Any
    ) -> None:
        assert unfetched
        payment = book.rows(Payment)[0]
        number = give_up(stand)
        (row,) = book.rows(PayDifference)
        assert (row.id, row.kind, row.here_fen) == (number, "bill-missing", payment.amount_fen)
        assert (row.open_fen, row.accepted_by) == (-payment.amount_fen, "lijing")
        with pytest.raises(bill_days.BillNotMissing):
            give_up(stand)
        assert reconcile(stand.runtime) == 21
        close(stand)
        assert balances(stand, MARCH)["suspense"] == payment.amount_fen
        assert is_explained(stand)

    def test_takes_its_money_back_when_it_comes_after_all(
        self, unfetched: dict[Any, str], stand: Any, book: Any
    ) -> None:
        give_up(stand)
        reconcile(stand.runtime)
        close(stand)
        for kind, text in unfetched.items():
            bring(stand, kind, text)
        assert reconcile(stand.runtime) == 1
        (row,) = book.rows(PayDifference)
        assert (row.state, row.resolution) == ("resolved", "came-later")
        assert balances(stand, APRIL)["suspense"] == 0
        assert ("suspense-cleared", "2026-03", date(2026, 4, 1)) in adjustments(stand)
        assert is_explained(stand)

    def test_may_not_come_any_more_once_its_money_was_written_down(
        self, unfetched: dict[Any, str], stand: Any, book: Any
    ) -> None:
        number = give_up(stand)
        (row,) = book.rows(PayDifference)
        given = {"difference_id": number, "fen": row.open_fen, "by": "lijing"}
        with stand.runtime.database.write() as session:
            differences.write_down(session, **given, now=stand.runtime.clock.now())
        with pytest.raises(bill_days.BillNotMissing):
            bring(stand, BillKind.TRADES, unfetched[BillKind.TRADES])

    def test_is_not_given_up_while_it_may_come(self, paid: str, in_april: Any, stand: Any) -> None:
        assert paid
        for on in (PAID_ON, date(2026, 3, 1)):
            with pytest.raises(bill_days.BillNotMissing):
                give_up(stand, on)
        in_april()
        with pytest.raises(bill_days.BillNotMissing):
            give_up(stand)

    def test_leaves_nothing_open_of_a_day_without_money(
        self, unfetched: dict[Any, str], stand: Any, book: Any
    ) -> None:
        assert unfetched
        give_up(stand, date(2026, 3, 12))
        (row,) = book.rows(PayDifference)
        assert (row.state, row.resolution, row.open_fen) == ("resolved", "nothing-booked", 0)
