"""Fees of others: theirs once collected, less what goes back, paid out by two people and proven."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, update

from kernel.database import Database
from servicing import operations, queries
from servicing.engine.parts import Component
from servicing.engine.shares import in_proportion, up_to, within
from servicing.engine.terms import FeeRule
from servicing.operations import payees
from servicing.operations.payees import BankReferenceUsed
from servicing.payouts import PayoutEvent, PayoutRefused, PayoutState, payout_after
from servicing.products import STANDARD
from servicing.queries import payees as read
from servicing.queries.payees import Payee
from servicing.queries.trial_balance import balances_at
from servicing.tables import LedgerEntry, LedgerPosting, LoanPayee

Ledger = Callable[..., str]
ON = date(2026, 3, 10)
INSURED = replace(
    STANDARD,
    fees=(
        FeeRule(name="保险费", amount_fen=200, payee="安心保险"),
        FeeRule(name="担保费", amount_fen=300, payee="诚信担保"),
        FeeRule(name="管理费", amount_fen=100, payee="贷款人"),
    ),
)
BOUGHT = {
    "product": INSURED,
    "disbursed_on": date(2026, 2, 20),
    "terms": 6,
    "rate_annual": Decimal("0.12"),
}
INSURER, GUARANTOR = Payee(creditor="own", name="安心保险"), Payee(creditor="own", name="诚信担保")


def _by(book: Any, key: str, **given: Any) -> dict[str, Any]:
    return {"key": key, "actor": "lin", "on": ON, "now": book.now} | given


def _balances(session: Any, loan_id: int) -> dict[str, int]:
    """Add up what a loan posted to the accounts of fees, and to losses, waivers and recoveries."""
    found: dict[str, int] = {}
    named = ("fee", "waived", "recoveries")
    for entry in queries.entries_of(session, loan_id=loan_id):
        for leg in entry.postings:
            if any(name in leg.account for name in named):
                account = f"{leg.account} {leg.payee}".strip()
                found[account] = found.get(account, 0) + leg.amount_fen
    return {account: fen for account, fen in found.items() if fen}


def _first_due(session: Any, loan_id: int) -> Any:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON).plan[0]


def _pay(session: Any, book: Any, loan_id: int, fen: int | None = None, key: str = "p1") -> None:
    due = _first_due(session, loan_id)
    book.repay(session, loan_id, due.total_fen if fen is None else fen, key=key, on=ON)


def _waive(session: Any, book: Any, loan_id: int, fen: int) -> None:
    wanted = {"component": Component.FEE, "amount_fen": fen}
    operations.waive(session, loan_id=loan_id, **wanted, **_by(book, "w1"))


def _approved(session: Any, book: Any, payee: Payee = INSURER, **given: Any) -> str:
    wanted = {"until_on": ON, "amount_fen": 200, "asked_by": "lin", "reason": "三月结算"}
    return payees.approve_payout(session, payee=payee, **wanted | given, now=book.now)


def _sent(session: Any, book: Any, number: str, **given: Any) -> None:
    wanted = {"bank_ref": "ICBC-1", "on": ON, "by": "lin"} | given
    payees.pay_out(session, number=number, **wanted, now=book.now)


def _payable(session: Any, payee: Payee = INSURER, until_on: date = ON) -> int:
    return read.payable_fen(session, payee=payee, until_on=until_on)


class TestShares:
    def test_serve_the_first_first_and_lose_no_fen(self) -> None:
        shares = (("甲", 100), ("乙", 50))
        assert up_to(shares, 120) == (("甲", 100), ("乙", 20))
        assert up_to(shares, 0) == ()
        assert within((("乙", 70), ("丙", 5)), shares) == (("乙", 50),)
        assert in_proportion((("甲", 1), ("乙", 1), ("丙", 1)), 2) == (("乙", 1), ("丙", 1))


class TestCollecting:
    def test_makes_a_fee_payable_to_its_payee(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            operations.age_loans(session, on=date(2026, 3, 20), now=book.now)
            assert _balances(session, loan_id) == {
                "fee-receivable": 600,
                "fee-income": -100,
                "fee-to-collect": -500,
            }
            assert read.payee_balances(session) == ()
            _pay(session, book, loan_id)
            assert _balances(session, loan_id) == {
                "fee-income": -100,
                "fee-payable 安心保险": -200,
                "fee-payable 诚信担保": -300,
            }
            assert (
                "2026-03-10 collected-for-others fee-to-collect#1 5.00  fee-payable#1 -2.00"
                "  fee-payable#1 -3.00" in ledger(session, loan_id)
            )
            found = [(one.name, one.loans, one.open_fen) for one in read.payee_balances(session)]
            assert found == [("诚信担保", 1, 300), ("安心保险", 1, 200)]
            assert operations.prove_books(session) == []

    def test_serves_others_first_of_a_part_payment(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _pay(session, book, loan_id, 250)
            assert (_payable(session), _payable(session, GUARANTOR)) == (200, 50)
            assert operations.prove_books(session) == []

    def test_is_undone_with_the_payment(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            seq = book.repay(session, loan_id, 600, key="p1", on=ON)
            operations.reverse(session, loan_id=loan_id, seq=seq, **_by(book, "r1"))
            assert _balances(session, loan_id) == {}
            statement = read.payee_statement(session, payee=INSURER, first=ON, last=ON)
            (line,) = statement.lines
            assert (line.collected_fen, line.reversed_fen, line.payable_fen) == (200, 200, 0)
            assert operations.prove_books(session) == []

    def test_leaves_a_waived_fee_to_nobody(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _waive(session, book, loan_id, 600)
            # What we give up of our own costs us; what was never ours does not.
            assert _balances(session, loan_id) == {"fee-income": -100, "waived": 100}
            assert operations.prove_books(session) == []

    def test_loses_only_what_was_ours_and_shares_what_is_recovered(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            late = date(2026, 6, 25)
            operations.age_loans(session, on=late, now=book.now)
            off = _by(book, "o1", on=late)
            operations.charge_off(session, loan_id=loan_id, **off)
            assert _balances(session, loan_id) == {"fee-income": -400, "fee-charged-off": 400}
            book.repay(session, loan_id, 60_000, key="p1", on=late + timedelta(days=1))
            found = _balances(session, loan_id)
            payable = sum(fen for name, fen in found.items() if name.startswith("fee-payable"))
            assert payable == -1_000  # of the two instalments that it settles first
            assert found["recoveries"] == -60_000 - payable
            assert operations.prove_books(session) == []

    def test_loses_nothing_of_others_and_of_ours_only_what_was_not_paid_yet(
        self, database: Database, book: Any
    ) -> None:
        """Of the first fee of 6.00 others had their 5.00, and we 0.50 of our 1.00."""
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _pay(session, book, loan_id, 550)
            late = date(2026, 6, 25)
            operations.age_loans(session, on=late, now=book.now)
            operations.charge_off(session, loan_id=loan_id, **_by(book, "o1", on=late))
            assert _balances(session, loan_id) == {
                "fee-payable 安心保险": -200,
                "fee-payable 诚信担保": -300,
                "fee-income": -400,
                "fee-charged-off": 350,
            }
            assert operations.prove_books(session) == []


class TestPayingOut:
    @pytest.fixture
    def paid(self, database: Database, book: Any) -> int:
        """A loan of which one instalment was paid."""
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _pay(session, book, loan_id)
        return int(loan_id)

    def test_is_booked_when_the_bank_sent_it(
        self, database: Database, book: Any, paid: int
    ) -> None:
        assert paid
        with database.write() as session:
            number = _approved(session, book)
            assert _payable(session) == 0
            assert operations.prove_books(session) == []
            _sent(session, book, number)
            (payout,) = read.payouts_of(session, payee=INSURER)
            assert (payout.state, payout.bank_ref, payout.paid_by) == ("paid", "ICBC-1", "lin")
            statement = read.payee_statement(session, payee=INSURER, first=ON, last=ON)
            assert (statement.opening_fen, statement.paid_fen, statement.closing_fen) == (0, 200, 0)
            later = read.payee_statement(
                session, payee=INSURER, first=ON + timedelta(days=1), last=ON + timedelta(days=9)
            )
            assert (later.opening_fen, later.lines) == (0, ())
            assert operations.prove_books(session) == []

    def test_pays_neither_too_much_nor_twice(
        self, database: Database, book: Any, paid: int
    ) -> None:
        assert paid
        with database.write() as session:
            for fen in (201, 199, 0):
                with pytest.raises(PayoutRefused):
                    _approved(session, book, amount_fen=fen)
            with pytest.raises(PayoutRefused):
                _approved(session, book, until_on=ON - timedelta(days=1))
            number = _approved(session, book)
            with pytest.raises(PayoutRefused):
                _approved(session, book)
            with pytest.raises(PayoutRefused):
                _sent(session, book, number, on=ON - timedelta(days=1))
            _sent(session, book, number)
            with pytest.raises(PayoutRefused):
                _sent(session, book, number)
            other = _approved(session, book, GUARANTOR, amount_fen=300)
            with pytest.raises(BankReferenceUsed):
                _sent(session, book, other)
            assert operations.prove_books(session) == []

    def test_that_comes_back_is_payable_again(
        self, database: Database, book: Any, paid: int
    ) -> None:
        assert paid
        with database.write() as session:
            number = _approved(session, book)
            _sent(session, book, number)
            later = {"on": ON + timedelta(days=2), "by": "lin", "now": book.now}
            payees.take_back_payout(session, number=number, why="账号有误", **later)
            assert _payable(session) == 200
            assert read.payouts_of(session, payee=INSURER)[0].ended_why == "账号有误"
            with pytest.raises(PayoutRefused):
                payees.take_back_payout(session, number=number, why="再来", **later)
            assert _approved(session, book) != number
            assert operations.prove_books(session) == []

    def test_that_was_called_off_leaves_nothing_behind(
        self, database: Database, book: Any, paid: int
    ) -> None:
        assert paid
        with database.write() as session:
            number = _approved(session, book)
            payees.cancel_payout(session, number=number, why="合同未签", by="lin", now=book.now)
            assert _payable(session) == 200
            with pytest.raises(PayoutRefused):
                _sent(session, book, number)

    def test_waits_for_no_money_that_went_back_since(
        self, database: Database, book: Any, paid: int
    ) -> None:
        with database.write() as session:
            number = _approved(session, book)
            operations.cancel_purchase(
                session, loan_id=paid, amount_fen=300_000, bears_cost=False, **_by(book, "c1")
            )
            with pytest.raises(PayoutRefused):
                _sent(session, book, number)

    def test_is_made_good_by_what_is_collected_next(
        self, database: Database, book: Any, paid: int
    ) -> None:
        with database.write() as session:
            _sent(session, book, _approved(session, book))
            operations.cancel_purchase(
                session, loan_id=paid, amount_fen=300_000, bears_cost=False, **_by(book, "c1")
            )
            balance = next(one for one in read.payee_balances(session) if one.name == "安心保险")
            assert (balance.refunded_fen, balance.payable_fen) == (200, -200)
            again = book.loan(session, **BOUGHT, customer_id=1)
            _pay(session, book, again, key="p2")
            assert _payable(session) == 0
            assert operations.prove_books(session) == []

    def test_is_from_the_books_of_who_lent(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT, funder="partner-bank")
            _pay(session, book, loan_id)
            theirs = Payee(creditor="partner-bank", name="安心保险")
            assert (_payable(session), _payable(session, theirs)) == (0, 200)
            _sent(session, book, _approved(session, book, theirs))
            assert operations.prove_books(session) == []
            assert balances_at(session, on=ON)["partner-bank", "fee-payable"] == -300


class TestProof:
    def test_finds_a_share_that_is_not_what_was_posted(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _pay(session, book, loan_id)
            session.execute(
                update(LoanPayee).where(LoanPayee.payee == "安心保险").values(collected_fen=150)
            )
            assert operations.prove_books(session) == [
                f"fee-payable of loan {loan_id} to 安心保险 is off by -50 fen",
                "fee-payable of own to 安心保险 is off by -50 fen",
                f"events of loan {loan_id}: the share of 安心保险 differs",
            ]

    def test_finds_a_fee_that_is_payable_to_nobody(self, database: Database, book: Any) -> None:
        with database.write() as session:
            entry = session.scalar(
                insert(LedgerEntry)
                .values(kind="odd", key="1", effective_on=ON, booked_on=ON, recorded_at=book.now)
                .returning(LedgerEntry.id)
            )
            legs = [("fee-payable", -5), ("funding-bank", 5)]
            session.execute(
                insert(LedgerPosting),
                [{"entry_id": entry, "account": name, "amount_fen": fen} for name, fen in legs],
            )
            assert operations.prove_books(session) == [
                f"entry {entry} makes a fee payable to nobody"
            ]


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (state, event)
        for state in PayoutState
        for event in PayoutEvent
        if (state, event)
        not in (
            (PayoutState.APPROVED, PayoutEvent.PAY),
            (PayoutState.APPROVED, PayoutEvent.CANCEL),
            (PayoutState.PAID, PayoutEvent.RETURN),
        )
    ],
)
def test_a_payout_goes_no_other_way(state: PayoutState, event: PayoutEvent) -> None:
    with pytest.raises(PayoutRefused):
        payout_after(state, event)
