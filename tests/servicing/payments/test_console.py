"""Refunds made in the console: noted when heard of, booked as proposed, whole or in part."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from kernel.clock import FixedClock
from kernel.outbox import OutboxRow
from servicing import operations
from servicing.payments import console, jobs, overpaid
from servicing.payments.console import Back
from servicing.payments.difference_queries import clearing_proof
from servicing.payments.differences import ActNotFitting, DifferenceClosed
from servicing.payments.operations import open_payment_order
from servicing.payments.reconciling import reconcile
from servicing.payments.tables import PayDifference, Refund
from servicing.queries import loan_of
from servicing.tables import Alert, Loan

TWO_TERMS_FEN = 22_004


@pytest.fixture
def paid(stand: Any, book: Any) -> str:
    """Pay what is due; returns the order's number."""
    return pay(stand, book, "press-1")


def pay(stand: Any, book: Any, key: str) -> str:
    number = open_payment_order(
        stand.runtime, key=key, customer_id=book.customer_id, loan_id=book.loan_id, openid="oPayer"
    ).out_trade_no
    stand.pay(number)
    stand.settle()
    return number


@pytest.fixture
def given_back(stand: Any, book: Any, clock: FixedClock, paid: str) -> Callable[..., Any]:
    """Give money back in the console, and let the bill of that day bring it to light."""

    def do(fen: int, *, is_notified: bool = False, number: str = paid) -> PayDifference:
        url = f"{stand.runtime.settings.public_base_url}/pay/refund-notify"
        stand.refund(number, fen, **({"notify_url": url} if is_notified else {}))
        clock.advance(timedelta(seconds=5))
        stand.settle()
        if not is_notified:
            clock.advance(timedelta(days=1, minutes=1))
            reconcile(stand.runtime)
        return book.rows(PayDifference)[-1]  # type: ignore[no-any-return]

    return do


def proposal(stand: Any, row: PayDifference) -> tuple[console.Booking, ...]:
    with stand.runtime.database.read() as session:
        return console.proposal_for(session, difference_id=row.id)


def book_it(stand: Any, row: PayDifference, bookings: tuple[console.Booking, ...]) -> None:
    now = stand.runtime.clock.now()
    with stand.runtime.database.write() as session:
        console.book_proposal(
            session, difference_id=row.id, bookings=bookings, by="lijing", now=now
        )


def due(stand: Any, book: Any, on: date = date(2026, 3, 10)) -> int:
    with stand.runtime.database.read() as session:
        loan = loan_of(session, loan_id=book.loan_id, customer_id=book.customer_id, on=on)
    return int(loan.due_fen)


def unexplained(stand: Any) -> int:
    with stand.runtime.database.read() as session:
        proof = clearing_proof(session)
    assert proof is not None
    return proof.off_fen


class TestBookProposal:
    def test_a_part_of_the_repayment_is_owed_again_and_the_rest_stays_paid(
        self, given_back: Any, stand: Any, book: Any
    ) -> None:
        row = given_back(5_000)
        (booking,) = found = proposal(stand, row)
        assert (booking.kind, booking.fen, booking.is_whole) == (Back.REPAYMENT, 5_000, False)
        book_it(stand, row, found)
        assert due(stand, book) == 5_000
        (row,) = book.rows(PayDifference)
        assert (row.state, row.resolution, row.open_fen) == ("resolved", "taken-back", 0)
        assert unexplained(stand) == 0
        assert book.differences() == []
        receipts = [row for row in book.rows(OutboxRow) if row.event == "RepaymentPosted"]
        assert len(receipts) == 1

    def test_a_second_part_is_taken_off_what_was_left_of_it(
        self, given_back: Any, stand: Any, book: Any
    ) -> None:
        for fen in (5_000, 7_000):
            row = given_back(fen)
            book_it(stand, row, proposal(stand, row))
        assert due(stand, book) == 12_000
        row = given_back(TWO_TERMS_FEN - 12_000)
        (booking,) = found = proposal(stand, row)
        assert booking.is_whole
        book_it(stand, row, found)
        assert due(stand, book) == TWO_TERMS_FEN
        assert unexplained(stand) == 0
        assert book.differences() == []

    def test_all_of_it_leaves_the_loan_as_if_nothing_had_been_paid(
        self, given_back: Any, stand: Any, book: Any
    ) -> None:
        row = given_back(TWO_TERMS_FEN)
        book_it(stand, row, proposal(stand, row))
        assert due(stand, book) == TWO_TERMS_FEN
        assert book.differences() == []

    def test_what_the_loan_owed_its_borrower_comes_before_the_repayment(
        self, given_back: Any, stand: Any, book: Any
    ) -> None:
        with stand.runtime.database.write() as session:
            operations.cancel_purchase(
                session, loan_id=book.loan_id, amount_fen=120_000, bears_cost=False,
                on=date(2026, 3, 10), key="goods-back", actor="lijing",
                now=stand.runtime.clock.now(),
            )  # fmt: skip
        row = given_back(3_000)
        (booking,) = found = proposal(stand, row)
        assert (booking.kind, booking.fen) == (Back.CREDIT, 3_000)
        book_it(stand, row, found)
        (loan,) = book.rows(Loan)
        assert loan.credit_fen == TWO_TERMS_FEN - 3_000
        assert book.differences() == []
        assert unexplained(stand) == 0

    def test_a_refund_of_ours_that_is_stuck_is_what_the_console_sent(
        self, given_back: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        with stand.runtime.database.write() as session:
            operations.cancel_purchase(
                session, loan_id=book.loan_id, amount_fen=120_000, bears_cost=False,
                on=date(2026, 3, 10), key="goods-back", actor="lijing",
                now=stand.runtime.clock.now(),
            )  # fmt: skip
            overpaid.send_back(
                session, loan_id=book.loan_id, fen=TWO_TERMS_FEN, by="lijing",
                now=stand.runtime.clock.now(),
            )  # fmt: skip
        stand.knob("pay.refund", "result", value="ABNORMAL")
        jobs.send_refunds(stand.runtime)
        clock.advance(timedelta(seconds=5))
        stand.settle()
        row = given_back(TWO_TERMS_FEN)
        (booking,) = found = proposal(stand, row)
        assert booking.kind is Back.OWN_REFUND
        book_it(stand, row, found)
        (refund,) = book.rows(Refund)
        assert (refund.state, refund.transfer_ref) == ("transferred", row.out_refund_no)
        (loan,) = book.rows(Loan)
        assert loan.credit_fen == 0
        assert unexplained(stand) == 0
        assert book.differences() == []

    def test_what_changed_since_the_proposal_is_not_booked(
        self, given_back: Any, stand: Any, book: Any
    ) -> None:
        row = given_back(5_000)
        found = proposal(stand, row)
        with pytest.raises(ActNotFitting):
            book_it(stand, row, ())
        with stand.runtime.database.write() as session:
            operations.reverse(
                session, loan_id=book.loan_id, seq=2, on=date(2026, 3, 11), key="undo",
                actor="lijing", now=stand.runtime.clock.now(),
            )  # fmt: skip
        with pytest.raises(ActNotFitting):
            book_it(stand, row, found)
        assert proposal(stand, row) == ()
        assert book.rows(PayDifference)[0].state == "open"

    def test_it_is_booked_once(self, given_back: Any, stand: Any) -> None:
        row = given_back(5_000)
        found = proposal(stand, row)
        book_it(stand, row, found)
        with pytest.raises(DifferenceClosed):
            book_it(stand, row, found)


class TestSettleOrNote:
    def test_a_notify_brings_it_to_light_before_the_bill_and_the_bill_adds_nothing(
        self, given_back: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        row = given_back(5_000, is_notified=True)
        assert (row.kind, row.open_fen, row.loan_id) == ("refunded-there", -5_000, book.loan_id)
        assert stand.outcomes()[-1] == 204
        book_it(stand, row, proposal(stand, row))
        clock.advance(timedelta(days=1, minutes=1))
        assert reconcile(stand.runtime) == 1
        assert len(book.rows(PayDifference)) == 1
        assert unexplained(stand) == 0
        assert [alert.kind for alert in book.rows(Alert)] == []

    def test_one_over_midnight_is_in_transit_on_the_first_day(
        self, given_back: Any, stand: Any, clock: FixedClock
    ) -> None:
        clock.advance(timedelta(hours=13, minutes=59, seconds=58))
        given_back(5_000, is_notified=True)
        clock.advance(timedelta(hours=10, minutes=1))
        assert reconcile(stand.runtime) == 1
        assert unexplained(stand) == 0
