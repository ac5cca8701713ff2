"""Closed months: nothing is booked into them, what comes late adjusts them from today."""

from datetime import date, timedelta
from threading import Thread
from typing import Any

import pytest
from patience import PATIENCE_S
from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import operations
from servicing.jobs import prove_books
from servicing.operations import periods
from servicing.queries import trial_balance as read
from servicing.tables import AccountingPeriod, LedgerEntry, LedgerPosting

FEBRUARY = {"first": date(2026, 2, 1), "last": date(2026, 2, 28), "creditor": "own"}
MARCH = {"first": date(2026, 3, 1), "last": date(2026, 3, 31), "creditor": "own"}


@pytest.fixture
def loan_id(runtime: Runtime, book: Any) -> int:
    """A loan of 3,000 yuan from 31 January, closed to 28 February, its books proven."""
    with runtime.database.write() as session:
        loan_id: int = book.loan(session)
        operations.age_loans(session, on=date(2026, 2, 28), now=runtime.clock.now())
    prove_books(runtime)
    return loan_id


def close(runtime: Runtime, month: str = "2026-02") -> None:
    with runtime.database.write() as session:
        operations.close_period(session, month=month, closed_by="wangwei", now=runtime.clock.now())


def balances(session: Session, span: dict[str, Any]) -> dict[str, tuple[int, int]]:
    rows = read.trial_balance(session, **span)
    assert sum(row.opening_fen for row in rows) == 0
    assert sum(row.closing_fen for row in rows) == 0
    return {row.account: (row.opening_fen, row.closing_fen) for row in rows}


class TestClosePeriod:
    def test_keeps_what_each_account_came_to(self, loan_id: int, runtime: Runtime) -> None:
        assert loan_id
        with runtime.database.read() as session:
            before = balances(session, FEBRUARY)
        close(runtime)
        with runtime.database.read() as session:
            assert balances(session, FEBRUARY) == before
            assert {
                account: opening for account, (opening, _) in balances(session, MARCH).items()
            } == {account: closing for account, (_, closing) in before.items()}
            assert [period.month for period in read.closed_periods(session)] == ["2026-02"]

    def test_late_money_adjusts_the_closed_month_from_today(
        self, loan_id: int, runtime: Runtime, book: Any
    ) -> None:
        """GaloyMoney/lana-bank#2473: no backdated payment could be taken."""
        close(runtime)
        with runtime.database.read() as session:
            before = balances(session, FEBRUARY)
        with runtime.database.write() as session:
            book.repay(session, loan_id, 50_000, key="late", on=date(2026, 2, 20))
        with runtime.database.read() as session:
            assert balances(session, FEBRUARY) == before
            entry = session.scalars(select(LedgerEntry).where(LedgerEntry.key == "late")).one()
            assert (entry.effective_on, entry.booked_on, entry.adjusts) == (
                date(2026, 2, 20), date(2026, 3, 10), "2026-02",
            )  # fmt: skip
            # The borrower's own account knows the day on which the money came.
            assert operations.prove_books(session) == []
            (line,) = read.account_lines(session, account="wechat-pay-clearing", **MARCH)
            assert (line.adjusts, line.amount_fen) == ("2026-02", 50_000)

    def test_what_is_of_an_open_month_is_booked_on_its_day(
        self, loan_id: int, runtime: Runtime, book: Any
    ) -> None:
        close(runtime)
        with runtime.database.write() as session:
            book.repay(session, loan_id, 50_000, key="march", on=date(2026, 3, 5))
        with runtime.database.read() as session:
            entry = session.scalars(select(LedgerEntry).where(LedgerEntry.key == "march")).one()
            assert (entry.booked_on, entry.adjusts) == (date(2026, 3, 5), None)

    def test_months_are_closed_in_order_and_once(self, loan_id: int, runtime: Runtime) -> None:
        assert loan_id
        close(runtime)
        for month in ("2026-02", "2026-01"):
            with pytest.raises(periods.PeriodNotClosable):
                close(runtime, month)

    def test_a_month_that_is_not_over_stays_open(self, loan_id: int, runtime: Runtime) -> None:
        assert loan_id
        with pytest.raises(periods.MonthNotOver):
            close(runtime, "2026-03")
        with pytest.raises(periods.MonthNotReadable):
            close(runtime, "2026-13")
        with runtime.database.read() as session:
            with pytest.raises(periods.MonthNotOver):
                periods.assert_closable(session, month="2026-02", on=date(2026, 2, 28))
            periods.assert_closable(session, month="2026-02", on=date(2026, 3, 1))

    def test_loans_must_be_closed_to_its_end(self, runtime: Runtime, book: Any) -> None:
        with runtime.database.write() as session:
            book.loan(session)
        with pytest.raises(periods.LoansBehind):
            close(runtime)

    def test_the_books_must_be_proven_since(self, runtime: Runtime, clock: FixedClock) -> None:
        with pytest.raises(periods.BooksNotProven):
            close(runtime)
        clock.advance(timedelta(days=-10))
        prove_books(runtime)
        clock.advance(timedelta(days=10))
        with pytest.raises(periods.BooksNotProven):
            close(runtime)

    def test_a_difference_keeps_it_open(self, loan_id: int, runtime: Runtime) -> None:
        assert loan_id
        with runtime.database.write() as session:
            operations.keep_proof(
                session,
                on=date(2026, 3, 10),
                differences=["entry 7 is off by 3 fen"],
                totals={},
                now=runtime.clock.now(),
            )
        with pytest.raises(periods.BooksNotProven):
            close(runtime)
        with runtime.database.read() as session:
            assert session.scalars(select(AccountingPeriod)).all() == []

    def test_a_correction_of_the_closed_month_goes_to_today_whole(
        self, loan_id: int, runtime: Runtime, book: Any
    ) -> None:
        with runtime.database.write() as session:
            book.repay(session, loan_id, 50_000, key="paid", on=date(2026, 2, 20))
            now = runtime.clock.now()
        prove_books(runtime)
        close(runtime)
        with runtime.database.write() as session:
            operations.reverse(
                session, loan_id=loan_id, seq=2, on=date(2026, 2, 25), key="undo",
                actor="lijing", now=now,
            )  # fmt: skip
        with runtime.database.read() as session:
            late = session.scalars(select(LedgerEntry).where(LedgerEntry.adjusts.is_not(None)))
            assert {entry.booked_on for entry in late} == {date(2026, 3, 10)}
            assert operations.prove_books(session) == []
            assert balances(session, MARCH)["wechat-pay-clearing"][1] == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_closing_waits_for_whoever_is_booking(loan_id: int, runtime: Runtime, book: Any) -> None:
    closing = Thread(target=close, args=(runtime,))
    with runtime.database.write() as session:
        book.repay(session, loan_id, 50_000, key="slow", on=date(2026, 2, 20))
        closing.start()
        closing.join(0.5)
        assert closing.is_alive()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    with runtime.database.read() as session:
        entry = session.scalars(select(LedgerEntry).where(LedgerEntry.key == "slow")).one()
        assert (entry.booked_on, entry.adjusts) == (date(2026, 2, 20), None)
        assert balances(session, MARCH)["wechat-pay-clearing"][0] == 50_000


def test_the_proof_finds_what_slipped_into_a_closed_month(
    loan_id: int, runtime: Runtime, book: Any
) -> None:
    close(runtime)
    with runtime.database.write() as session:
        book.repay(session, loan_id, 5_000, key="late", on=date(2026, 2, 27))
        assert operations.prove_books(session) == []
        session.add(
            entry := LedgerEntry(
                kind="x", key="x", effective_on=date(2026, 2, 20), recorded_at=runtime.clock.now()
            )
        )
        session.flush()
        for account, fen in (("waived", 700), ("interest-income", -700)):
            session.add(LedgerPosting(entry_id=entry.id, account=account, amount_fen=fen))
        assert operations.prove_books(session) == [
            "interest-income of own at the end of 2026-02: entries are -700 fen more",
            "waived of own at the end of 2026-02: entries are 700 fen more",
        ]
        session.rollback()


def test_the_proof_finds_an_entry_on_a_day_that_is_not_its_own(
    loan_id: int, runtime: Runtime
) -> None:
    with runtime.database.write() as session:
        session.add(
            LedgerEntry(
                loan_id=loan_id,
                kind="odd",
                key="odd",
                effective_on=date(2026, 2, 20),
                booked_on=date(2026, 3, 1),
                recorded_at=runtime.clock.now(),
            )
        )
    with runtime.database.read() as session:
        (difference,) = operations.prove_books(session)
    assert "booked on another day" in difference


class TestCreditors:
    def test_each_has_books_of_its_own(self, runtime: Runtime, book: Any) -> None:
        with runtime.database.write() as session:
            book.loan(session)
            book.loan(session, funder="bank-a", principal_fen=100_000)
        with runtime.database.read() as session:
            assert read.creditors(session) == ("own", "bank-a")
            january = {"first": date(2026, 1, 1), "last": date(2026, 1, 31)}
            ours, theirs = (
                balances(session, january | {"creditor": name})["loan-principal"]
                for name in ("own", "bank-a")
            )
            assert (ours, theirs) == ((0, 300_000), (0, 100_000))


def test_the_proof_keeps_three_equal_totals(loan_id: int, runtime: Runtime) -> None:
    assert loan_id
    with runtime.database.read() as session:
        proof = read.last_proof(session)
    assert proof is not None
    assert proof.differences == ()
    assert proof.totals["loan-principal"] == (300_000, 300_000, 300_000)
    assert len(set(proof.totals["interest-receivable"])) == 1
