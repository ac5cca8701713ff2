"""Money that goes back while something else happens to the loan: it goes once, and books agree."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from racing import together
from sqlalchemy import func, select

from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from servicing import operations
from servicing.payments import jobs, overpaid, transfers
from servicing.payments.operations import open_payment_order, settle_fact
from servicing.payments.refunds import settle_refund
from servicing.payments.tables import Refund
from servicing.queries import loan_events, loan_of
from servicing.tables import LedgerEntry, LedgerPosting, Loan

TERM_FEN = 11_002
PRICE_FEN = 120_000
CLERKS = ("lijing", "wangwei", "zhaomin", "sunli")


@pytest.fixture
def opened(runtime: Runtime, book: Any) -> Callable[[str], str]:
    """A function that opens an order for one instalment and returns its number."""
    return lambda key: (
        open_payment_order(
            runtime,
            key=key,
            customer_id=book.customer_id,
            loan_id=book.loan_id,
            openid="oA",
            terms=1,
        ).out_trade_no
    )


@pytest.fixture
def returned(opened: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock) -> int:
    """Pay an instalment, then let the goods go back: what was paid is owed to the borrower."""
    settle_fact(runtime, pay.pay(opened("first")), now=clock.now())
    with runtime.database.write() as session:
        operations.cancel_purchase(
            session, loan_id=book.loan_id, amount_fen=PRICE_FEN, bears_cost=False,
            on=business_date(clock.now()), key="goods-back", actor="lijing", now=clock.now(),
        )  # fmt: skip
    assert credit(book) == TERM_FEN
    return TERM_FEN


def credit(book: Any) -> int:
    (loan,) = book.rows(Loan)
    return int(loan.credit_fen)


def balance(runtime: Runtime, account: str) -> int:
    with runtime.database.read() as session:
        found = select(func.sum(LedgerPosting.amount_fen)).where(LedgerPosting.account == account)
        return int(session.scalar(found) or 0)


def send_back(runtime: Runtime, loan_id: int, fen: int, by: str) -> tuple[str, ...]:
    with runtime.database.write() as session:
        return overpaid.send_back(session, loan_id=loan_id, fen=fen, by=by, now=runtime.clock.now())


def undo_the_return(runtime: Runtime, loan_id: int) -> int:
    with runtime.database.write() as session:
        events = loan_events(session, loan_id=loan_id)
        seq = next(event.seq for event in events if event.kind == "cancellation")
        now = runtime.clock.now()
        return operations.reverse(
            session, loan_id=loan_id, seq=seq, on=business_date(now), key="undo", actor="wangwei",
            now=now,
        )  # fmt: skip


def arrive(runtime: Runtime, pay: Any, clock: FixedClock) -> None:
    """Send what waits; the platform finishes what it took, and tells when it is asked again."""
    for _ in range(2):
        jobs.send_refunds(runtime)
        for number, fact in pay.refunds.items():
            if fact.status == "PROCESSING":
                pay.finish_refund(number)
        clock.advance(timedelta(minutes=10))


class TestTwoClerks:
    def test_who_refund_the_same_credit_at_once_send_it_back_once(
        self, returned: int, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        sent, refused = together(
            [partial(send_back, runtime, book.loan_id, returned, by) for by in CLERKS]
        )
        assert len(sent) == 1
        assert [type(error) for error in refused] == [overpaid.CreditTooSmall] * 3
        arrive(runtime, pay, clock)
        assert [row.amount_fen for row in book.rows(Refund)] == [returned]
        assert sum(fact.refund_fen for fact in pay.refunds.values()) == returned
        assert credit(book) == balance(runtime, "refund-payable") == 0
        assert book.differences() == []

    def test_who_each_refund_a_part_never_send_back_more_than_is_owed(
        self, returned: int, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        part = returned // 3
        sent, refused = together(
            [partial(send_back, runtime, book.loan_id, part, by) for by in CLERKS]
        )
        assert (len(sent), len(refused)) == (3, 1)
        assert sum(row.amount_fen for row in book.rows(Refund)) == 3 * part
        arrive(runtime, pay, clock)
        # What little they left goes back by itself.
        assert sum(fact.refund_fen for fact in pay.refunds.values()) == returned
        assert credit(book) == balance(runtime, "refund-payable") == 0
        assert book.differences() == []

    def test_who_send_the_same_refund_by_bank_book_it_once(
        self, returned: int, book: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        clock.advance(timedelta(days=365))
        (number,) = send_back(runtime, book.loan_id, returned, "lijing")

        def transfer(by: str) -> None:
            with runtime.database.write() as session:
                transfers.transfer(
                    session, out_refund_no=number, transfer_ref=f"ICBC-{by}", by=by, now=clock.now()
                )

        done, refused = together([partial(transfer, by) for by in CLERKS])
        assert len(done) == 1
        assert [type(error) for error in refused] == [transfers.TransferRefused] * 3
        with runtime.database.read() as session:
            kept = select(func.count()).where(LedgerEntry.kind == "refund-by-bank")
            assert session.scalar(kept) == 1
        assert credit(book) == balance(runtime, "refund-payable") == 0
        assert book.differences() == []


class TestRefund:
    def test_that_several_workers_send_and_several_notifies_tell_of_is_booked_once(
        self, returned: int, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        (number,) = send_back(runtime, book.loan_id, returned, "lijing")
        together([partial(jobs.send_refunds, runtime)] * 4)
        assert list(pay.refunds) == [number]
        fact = pay.finish_refund(number)

        def tell() -> str:
            with runtime.database.write() as session:
                return settle_refund(session, fact=fact, now=clock.now())

        told, errors = together([tell] * 5)
        assert (told, errors) == (["succeeded"] * 5, [])
        with runtime.database.read() as session:
            events = [event.kind for event in loan_events(session, loan_id=book.loan_id)]
        assert events.count("credit-balance-refund") == 1
        assert credit(book) == balance(runtime, "refund-payable") == 0
        assert book.differences() == []

    def test_beside_a_payment_that_comes_late_lets_both_go_back_once(
        self, opened: Any, book: Any, pay: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        """The second instalment was being paid while the goods went back."""
        settle_fact(runtime, pay.pay(opened("first")), now=clock.now())
        late = opened("second")
        with runtime.database.write() as session:
            operations.cancel_purchase(
                session, loan_id=book.loan_id, amount_fen=PRICE_FEN, bears_cost=False,
                on=business_date(clock.now()), key="goods-back", actor="lijing", now=clock.now(),
            )  # fmt: skip
        fact = pay.pay(late)
        _, errors = together(
            [
                lambda: send_back(runtime, book.loan_id, TERM_FEN, "lijing"),
                lambda: settle_fact(runtime, fact, now=clock.now()),
                lambda: settle_fact(runtime, fact, now=clock.now()),
                lambda: jobs.send_refunds(runtime),
            ]
        )
        # The worker sends small credits back by itself: the clerk may find it on its way.
        assert {type(error) for error in errors} <= {overpaid.CreditTooSmall}
        arrive(runtime, pay, clock)
        assert sorted(row.amount_fen for row in book.rows(Refund)) == [TERM_FEN, TERM_FEN]
        assert {row.state for row in book.rows(Refund)} == {"succeeded"}
        assert credit(book) == balance(runtime, "refund-payable") == 0
        assert book.differences() == []

    @pytest.mark.parametrize("is_asked_before", [True, False])
    def test_beside_the_reversal_of_what_made_it_due_is_owed_again_or_never_sent(
        self,
        is_asked_before: bool,
        returned: int,
        book: Any,
        pay: Any,
        runtime: Runtime,
        clock: FixedClock,
    ) -> None:
        def owed() -> int:
            asked = {"loan_id": book.loan_id, "customer_id": book.customer_id}
            with runtime.database.read() as session:
                on = business_date(clock.now())
                return loan_of(session, on=on, **asked).outstanding_principal_fen

        calls: list[Callable[[], Any]] = [
            lambda: undo_the_return(runtime, book.loan_id),
            lambda: jobs.send_refunds(runtime),
        ]
        ask = partial(send_back, runtime, book.loan_id, returned, "lijing")
        if is_asked_before:
            ask()
        else:
            calls.append(ask)
        _, errors = together(calls)
        assert {type(error) for error in errors} <= {overpaid.CreditTooSmall}
        arrive(runtime, pay, clock)
        left = {row.state for row in book.rows(Refund)}
        assert left <= {"succeeded", "closed"}
        gone = sum(row.amount_fen for row in book.rows(Refund) if row.state == "succeeded")
        assert gone == sum(fact.refund_fen for fact in pay.refunds.values())
        # 10,186 fen of the first instalment were principal.
        principal_paid = PRICE_FEN - owed() + gone
        assert gone in (0, returned)
        assert 0 < principal_paid < TERM_FEN
        assert credit(book) == 0
        assert book.differences() == []
