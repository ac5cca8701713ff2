"""What a loan owes its borrower goes back through the stand-in: newest payment first, once each."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from kernel.clock import FixedClock
from kernel.outbox import OutboxRow
from servicing import operations
from servicing.engine.book import Kind
from servicing.engine.events import Payment as Money
from servicing.payments import jobs, overpaid, transfers
from servicing.payments.model import Part, Source, WhyManual, spread
from servicing.payments.operations import open_payment_order
from servicing.payments.queries import refunds_of
from servicing.payments.reconciling import reconcile
from servicing.payments.tables import PayDifference, Payment, Refund
from servicing.queries import loan_events, loan_of
from servicing.tables import Alert, LedgerEntry, LedgerPosting, Loan

TERM_FEN = 11_002
PRICE_FEN = 120_000
NOW = datetime.fromisoformat("2026-03-10T02:00:00+00:00")


class TestSpread:
    @staticmethod
    def source(payment_id: int, days: int, left_fen: int, **more: Any) -> Source:
        at = NOW - timedelta(days=days)
        return Source(payment_id=payment_id, success_at=at, left_fen=left_fen, **more)

    def test_goes_to_the_newest_payment_first(self) -> None:
        sources = [self.source(1, 60, 500), self.source(2, 30, 500), self.source(3, 1, 300)]
        assert list(spread(900, sources, now=NOW)) == [
            Part(fen=300, payment_id=3), Part(fen=500, payment_id=2), Part(fen=100, payment_id=1),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("days", "more", "why"),
        [
            (365, {}, WhyManual.TOO_OLD),
            (364, {"is_barred": True}, WhyManual.USED_UP),
            (364, {"parts": 50}, WhyManual.USED_UP),
        ],
    )
    def test_leaves_what_a_payment_cannot_take_to_a_person(
        self, days: int, more: dict[str, Any], why: WhyManual
    ) -> None:
        sources = [self.source(1, days, 500, **more)]
        assert list(spread(400, sources, now=NOW)) == [Part(fen=400, why=why)]

    def test_a_payment_takes_no_more_than_is_left_of_it(self) -> None:
        parts = list(spread(700, [self.source(1, 1, 500)], now=NOW))
        assert parts == [Part(fen=500, payment_id=1), Part(fen=200, why=WhyManual.USED_UP)]

    def test_what_came_by_no_payment_of_ours_has_no_source(self) -> None:
        assert list(spread(1, [], now=NOW)) == [Part(fen=1, why=WhyManual.NO_SOURCE)]


@pytest.fixture
def paid(stand: Any, book: Any, clock: FixedClock) -> tuple[str, str]:
    """Pay one instalment, and a day later the next; returns the numbers of the orders."""

    def pay(key: str) -> str:
        number = open_payment_order(
            stand.runtime, key=key, customer_id=book.customer_id, loan_id=book.loan_id,
            openid="oPayer", terms=1,
        ).out_trade_no  # fmt: skip
        stand.pay(number)
        stand.settle()
        return number

    first = pay("first")
    clock.advance(timedelta(days=1))
    return first, pay("second")


@pytest.fixture
def returned(paid: Any, stand: Any, book: Any) -> int:
    """Let the seller take the goods back for their price: what was paid is owed to the borrower."""
    assert paid
    with stand.runtime.database.write() as session:
        operations.cancel_purchase(
            session, loan_id=book.loan_id, amount_fen=PRICE_FEN, bears_cost=False,
            on=date(2026, 3, 11), key="goods-back", actor="lijing",
            now=stand.runtime.clock.now(),
        )  # fmt: skip
    return 2 * TERM_FEN


def send_back(stand: Any, loan_id: int, fen: int, by: str = "lijing") -> tuple[str, ...]:
    now = stand.runtime.clock.now()
    with stand.runtime.database.write() as session:
        return overpaid.send_back(session, loan_id=loan_id, fen=fen, by=by, now=now)


def arrive(stand: Any, clock: FixedClock) -> None:
    """Send what waits, and let the platform finish it."""
    jobs.send_refunds(stand.runtime)
    clock.advance(timedelta(seconds=5))
    stand.settle()


def credit(book: Any) -> int:
    (loan,) = book.rows(Loan)
    return int(loan.credit_fen)


def balance(stand: Any, account: str) -> int:
    with stand.runtime.database.read() as session:
        found = select(func.sum(LedgerPosting.amount_fen)).where(LedgerPosting.account == account)
        return int(session.scalar(found) or 0)


class TestSendBack:
    def test_goods_returned_reach_both_payments_and_the_loan_owes_nothing(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        assert credit(book) == returned
        assert len(send_back(stand, book.loan_id, returned)) == 2
        arrive(stand, clock)
        payments = {row.id: row.success_at for row in book.rows(Payment)}
        refunds = book.rows(Refund)
        assert [(row.state, row.amount_fen) for row in refunds] == [("succeeded", TERM_FEN)] * 2
        assert payments[refunds[0].payment_id] > payments[refunds[1].payment_id]
        assert credit(book) == balance(stand, "refund-payable") == 0
        assert book.differences() == []
        news = [row.payload["amount_fen"] for row in book.rows(OutboxRow)
                if row.event == "PaymentRefunded"]  # fmt: skip
        assert news == [TERM_FEN, TERM_FEN]

    def test_the_bill_has_both_and_finds_no_difference(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        send_back(stand, book.loan_id, returned)
        arrive(stand, clock)
        clock.advance(timedelta(days=1, minutes=1))
        assert reconcile(stand.runtime) == 2
        assert book.rows(PayDifference) == []
        assert balance(stand, "suspense") == 0

    def test_a_part_goes_back_first_and_the_rest_later(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        send_back(stand, book.loan_id, 1_000)
        with pytest.raises(overpaid.CreditTooSmall):
            send_back(stand, book.loan_id, returned)
        arrive(stand, clock)
        assert credit(book) == returned - 1_000
        send_back(stand, book.loan_id, returned - 1_000)
        arrive(stand, clock)
        assert [row.amount_fen for row in book.rows(Refund)] == [1_000, TERM_FEN - 1_000, TERM_FEN]
        assert credit(book) == 0

    @pytest.mark.parametrize(
        ("feature", "fault", "value"),
        [("pay.refund", "http_500", None), ("pay.refund", "unsigned", None),
         ("pay.refund", "error", "SYSTEM_ERROR"), ("notify.refund", "lost", None)],
    )  # fmt: skip
    def test_one_number_and_one_refund_whatever_the_platform_answers(
        self,
        feature: str,
        fault: str,
        value: str | None,
        returned: int,
        stand: Any,
        book: Any,
        clock: FixedClock,
    ) -> None:
        send_back(stand, book.loan_id, returned)
        stand.knob(feature, fault, times=2, **({} if value is None else {"value": value}))
        for _ in range(4):
            arrive(stand, clock)
            clock.advance(timedelta(minutes=5))
        assert [row.state for row in book.rows(Refund)] == ["succeeded"] * 2
        assert len(stand.world.merchant.refunds) == 2
        assert credit(book) == 0
        assert book.differences() == []

    def test_what_the_platform_closes_goes_to_the_other_payment_then_to_a_person(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        stand.knob("pay.refund", "result", value="CLOSED")
        send_back(stand, book.loan_id, TERM_FEN)
        arrive(stand, clock)
        assert [row.state for row in book.rows(Refund)] == ["closed", "ready"]
        stand.knob("pay.refund", "result", value="CLOSED")
        arrive(stand, clock)
        closed, again, manual = book.rows(Refund)
        assert [closed.state, again.state, manual.state] == ["closed", "closed", "manual"]
        assert (manual.last_code, manual.payment_id) == ("source-used-up", None)
        failed = [row.details["why"] for row in book.rows(Alert) if row.kind == "refund-failed"]
        assert failed == ["manual"]
        assert credit(book) == returned

    def test_a_payment_that_was_given_back_in_the_console_is_no_source_any_more(
        self, paid: tuple[str, str], returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        stand.refund(paid[1], TERM_FEN)
        send_back(stand, book.loan_id, returned)
        arrive(stand, clock)
        # The newest had nothing left: refused for good, so its part found no other way.
        states = sorted((row.state, row.last_code or "") for row in book.rows(Refund))
        assert states == [("closed", ""), ("manual", "source-used-up"), ("succeeded", "")]

    def test_a_payment_older_than_a_year_is_left_to_a_person(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        clock.advance(timedelta(days=365))
        send_back(stand, book.loan_id, returned)
        (row,) = book.rows(Refund)
        assert (row.state, row.last_code) == ("manual", "source-too-old")

    def test_what_is_not_owed_any_more_is_not_sent(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        send_back(stand, book.loan_id, returned)
        with stand.runtime.database.write() as session:
            seq = loan_events(session, loan_id=book.loan_id)[-1].seq
            operations.reverse(
                session, loan_id=book.loan_id, seq=seq, on=date(2026, 3, 11), key="undo",
                actor="lijing", now=stand.runtime.clock.now(),
            )  # fmt: skip
        arrive(stand, clock)
        assert [row.state for row in book.rows(Refund)] == ["closed"] * 2
        assert stand.world.merchant.refunds == {}

    def test_money_on_its_way_when_the_return_is_undone_is_owed_again(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        send_back(stand, book.loan_id, returned)
        jobs.send_refunds(stand.runtime)
        with stand.runtime.database.write() as session:
            seq = loan_events(session, loan_id=book.loan_id)[-1].seq
            operations.reverse(
                session, loan_id=book.loan_id, seq=seq, on=date(2026, 3, 11), key="undo",
                actor="lijing", now=stand.runtime.clock.now(),
            )  # fmt: skip
            before = loan_of(
                session, loan_id=book.loan_id, customer_id=book.customer_id, on=date(2026, 3, 11)
            )
        clock.advance(timedelta(seconds=5))
        stand.settle()
        with stand.runtime.database.read() as session:
            after = loan_of(
                session, loan_id=book.loan_id, customer_id=book.customer_id, on=date(2026, 3, 11)
            )
        more = after.outstanding_principal_fen - before.outstanding_principal_fen
        assert more == returned
        assert book.differences() == []


class TestReturnSmallCredits:
    @pytest.fixture
    def give(self, stand: Any, book: Any) -> Callable[[int], None]:
        """Owe the borrower an amount beyond all that is owed, as interest given back."""

        def do(fen: int) -> None:
            with stand.runtime.database.write() as session:
                loan = operations.lock_loan(session, loan_id=book.loan_id)
                owed = loan_of(
                    session, loan_id=loan.id, customer_id=book.customer_id, on=date(2026, 3, 11)
                ).remaining_fen
                event = Money(
                    id="", on=date(2026, 3, 11), amount_fen=owed + fen, kind=Kind.INTEREST_REFUND
                )
                operations.post_event(
                    session, loan_id=loan.id, event=event, key="given", actor="machine:test",
                    now=stand.runtime.clock.now(),
                )  # fmt: skip

        return do

    def test_the_machine_returns_a_small_credit_by_itself(
        self, paid: Any, give: Any, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        assert paid
        give(5_000)
        arrive(stand, clock)
        (row,) = book.rows(Refund)
        assert (row.state, row.amount_fen, row.asked_by) == ("succeeded", 5_000, overpaid.MACHINE)
        arrive(stand, clock)
        assert len(book.rows(Refund)) == 1
        assert credit(book) == 0

    def test_a_larger_one_waits_for_staff_who_are_told_once_a_day(
        self, returned: int, stand: Any, book: Any, clock: FixedClock
    ) -> None:
        for _ in range(3):
            arrive(stand, clock)
        assert book.rows(Refund) == []
        (alert,) = book.rows(Alert)
        assert (alert.kind, alert.details["amount_fen"]) == ("credit-waits", returned)


class TestTransfer:
    @pytest.fixture
    def manual(self, returned: int, stand: Any, book: Any, clock: FixedClock) -> Refund:
        """A refund whose payments are too old."""
        clock.advance(timedelta(days=365))
        send_back(stand, book.loan_id, returned)
        (row,) = book.rows(Refund)
        return row  # type: ignore[no-any-return]

    def transfer(self, stand: Any, number: str) -> None:
        now = stand.runtime.clock.now()
        with stand.runtime.database.write() as session:
            transfers.transfer(
                session, out_refund_no=number, transfer_ref="ICBC-1", by="lijing", now=now
            )

    def test_leaves_our_bank_and_the_borrower_is_told(
        self, manual: Refund, stand: Any, book: Any
    ) -> None:
        funding, clearing = balance(stand, "funding-bank"), balance(stand, "wechat-pay-clearing")
        self.transfer(stand, manual.out_refund_no)
        (row,) = book.rows(Refund)
        assert (row.state, row.transfer_ref) == ("transferred", "ICBC-1")
        assert credit(book) == 0
        assert balance(stand, "funding-bank") == funding - 2 * TERM_FEN
        assert balance(stand, "wechat-pay-clearing") == clearing
        assert book.differences() == []
        (news,) = [row for row in book.rows(OutboxRow) if row.event == "PaymentRefunded"]
        assert (news.payload["is_transfer"], news.payload["payment_id"]) == (True, None)

    def test_happens_once(self, manual: Refund, stand: Any, book: Any) -> None:
        self.transfer(stand, manual.out_refund_no)
        with pytest.raises(transfers.TransferRefused):
            self.transfer(stand, manual.out_refund_no)
        with stand.runtime.database.read() as session:
            kept = select(func.count()).where(LedgerEntry.kind == "refund-by-bank")
            assert session.scalar(kept) == 1

    def test_what_was_undone_is_not_sent(self, manual: Refund, stand: Any, book: Any) -> None:
        with stand.runtime.database.write() as session:
            seq = loan_events(session, loan_id=book.loan_id)[-1].seq
            operations.reverse(
                session, loan_id=book.loan_id, seq=seq, on=date(2027, 3, 11), key="undo",
                actor="lijing", now=stand.runtime.clock.now(),
            )  # fmt: skip
        with pytest.raises(transfers.TransferRefused):
            self.transfer(stand, manual.out_refund_no)

    def test_the_customer_page_shows_it(self, manual: Refund, stand: Any, book: Any) -> None:
        with stand.runtime.database.read() as session:
            (shown,) = refunds_of(session, customer_id=book.customer_id)
        assert (shown.out_refund_no, shown.state) == (manual.out_refund_no, "manual")
        assert shown.may_be_transferred
