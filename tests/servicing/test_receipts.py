"""Money that came past WeChat Pay: settled as any other, each proof once, in its own account."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from kernel.database import Database
from kernel.idempotency import KeyReused
from servicing import operations, queries
from servicing.engine.payments import EventRefused
from servicing.engine.profile import Excess
from servicing.operations import EndingRefused, PaymentTooLarge
from servicing.operations.receipts import For, ProofUsed, Receipt, ReceiptRefused, receive
from servicing.tables import LoanReceipt

ON = date(2026, 3, 10)
PAID = Receipt(
    what_for=For.DUE,
    amount_fen=20_000,
    value_date=date(2026, 2, 28),
    channel="bank-transfer",
    reference="BK20260228-0017",
)
AHEAD = replace(PAID, what_for=For.AHEAD, amount_fen=200_000, value_date=ON)


def take(session: Any, book: Any, loan_id: int, receipt: Receipt = PAID, key: str = "k") -> int:
    by = {"loan_id": loan_id, "on": ON, "actor": "qian", "now": book.now}
    return receive(session, receipt=receipt, key=key, **by)


def loan(session: Any, loan_id: int) -> queries.LoanView:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON)


def undo(session: Any, book: Any, loan_id: int, seq: int) -> None:
    by = {"on": ON, "key": f"undo/{loan_id}/{seq}", "actor": "wang", "now": book.now}
    operations.reverse(session, loan_id=loan_id, seq=seq, **by)


class TestReceive:
    @pytest.mark.parametrize(
        ("channel", "account"), [("bank-transfer", "collection-bank"), ("cash-desk", "cash-desk")]
    )
    def test_settles_on_the_day_it_came_and_stands_in_its_own_account(
        self, database: Database, book: Any, channel: str, account: str
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            before = loan(session, loan_id).remaining_fen
            take(session, book, loan_id, replace(PAID, channel=channel))
            assert loan(session, loan_id).remaining_fen == before - 20_000
            (paid,) = queries.repayments_of(session, loan_id=loan_id)
            assert (paid.amount_fen, paid.value_date) == (20_000, PAID.value_date)
            entry = queries.entries_of(session, loan_id=loan_id)[-1]
            accounts = {leg.account: leg.amount_fen for leg in entry.postings}
            assert accounts[account] == 20_000
            assert "wechat-pay-clearing" not in accounts
            assert operations.prove_books(session) == []

    def test_happens_once_a_key(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            seq = take(session, book, loan_id)
            assert take(session, book, loan_id) == seq
            with pytest.raises(KeyReused):
                take(session, book, loan_id, replace(PAID, amount_fen=1))
            assert session.query(LoanReceipt).count() == 1

    def test_a_proof_counts_once_whatever_loan_it_is_shown_for(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            first, second = (book.loan(session, terms=12) for _ in range(2))
            seq = take(session, book, first)
            for loan_id in (first, second):
                with pytest.raises(ProofUsed), session.begin_nested():
                    take(session, book, loan_id, key="again")
            take(session, book, second, replace(PAID, channel="cash-desk"), key="other way")
            undo(session, book, first, seq)
            take(session, book, second, key="for another")
            assert operations.prove_books(session) == []

    @pytest.mark.parametrize(
        "off",
        [
            {"value_date": date(2026, 3, 11)},
            {"value_date": date(2026, 1, 30)},
            {"channel": "pigeon"},
        ],
    )
    def test_is_dated_within_the_loan_and_came_in_a_way_we_know(
        self, database: Database, book: Any, off: dict[str, Any]
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            with pytest.raises(ReceiptRefused):
                take(session, book, loan_id, replace(PAID, **off))

    def test_more_than_is_owed_is_not_booked(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            with pytest.raises(PaymentTooLarge):
                take(session, book, loan_id, replace(PAID, amount_fen=9_000_000))

    @pytest.mark.parametrize("effect", Excess)
    def test_money_ahead_plans_the_rest_anew(
        self, database: Database, book: Any, effect: Excess
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            before = loan(session, loan_id)
            seq = take(session, book, loan_id, replace(AHEAD, effect=effect))
            after = loan(session, loan_id)
            assert after.remaining_fen < before.remaining_fen - 200_000
            open_after = [row for row in after.plan if row.outstanding_fen]
            if effect is Excess.REDUCE_INSTALMENT:
                assert open_after[-1].due_on == before.plan[-1].due_on
            else:
                assert len(open_after) < len(before.plan)
            undo(session, book, loan_id, seq)
            assert loan(session, loan_id).remaining_fen == before.remaining_fen
            assert operations.prove_books(session) == []

    def test_the_sum_of_the_quote_settles_the_loan(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            quote = queries.settlement_quote(session, loan_id=loan_id, customer_id=1, on=ON)
            take(session, book, loan_id, replace(AHEAD, amount_fen=quote.amount_fen))
            assert loan(session, loan_id).state == "closed"

    def test_what_the_bank_takes_back_leaves_the_account_in_which_it_came(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            seq = take(session, book, loan_id)
            operations.charge_back(
                session,
                loan_id=loan_id,
                seq=seq,
                amount_fen=20_000,
                on=ON,
                key="cb",
                actor="qian",
                now=book.now,
            )
            entry = queries.entries_of(session, loan_id=loan_id)[-1]
            assert {leg.account: leg.amount_fen for leg in entry.postings} == {
                "loan-principal": 20_000,
                "collection-bank": -20_000,
            }


class TestRecover:
    GIVEN_UP = replace(PAID, what_for=For.GIVEN_UP, value_date=ON)

    def lost(self, session: Any, book: Any) -> int:
        loan_id = int(book.loan(session, terms=12))
        by = {"loan_id": loan_id, "on": ON, "key": "w", "actor": "qian", "now": book.now}
        operations.write_off(session, **by)
        return loan_id

    def test_is_income_shown_before_measured_and_taken_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = self.lost(session, book)
            details = {
                "amount_fen": 20_000,
                "value_date": ON.isoformat(),
                "channel": "bank-transfer",
                "reference": "BK-2",
            }
            asked: dict[str, Any] = {"loan_id": loan_id, "on": ON}
            done = {"act": "recover", "details": details} | asked
            outlook = operations.look_ahead(session, **done)
            assert outlook.preview.recovers_fen == outlook.amount_fen == 20_000
            seq = operations.do_act(session, key="k", actor="qian", now=book.now, **done)
            entry = queries.entries_of(session, loan_id=loan_id)[-1]
            assert {leg.account: leg.amount_fen for leg in entry.postings} == {
                "collection-bank": 20_000,
                "recoveries": -20_000,
            }
            assert loan(session, loan_id).remaining_fen == 0
            undone = {"act": "reverse", "details": {"seq": seq}} | asked
            assert operations.look_ahead(session, **undone).amount_fen == 20_000
            undo(session, book, loan_id, seq)
            assert operations.prove_books(session) == []

    def test_is_for_what_was_given_up_and_no_more_than_that(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            lost, running = self.lost(session, book), book.loan(session, terms=12)
            with pytest.raises(EventRefused), session.begin_nested():
                take(session, book, lost, replace(PAID, value_date=ON))
            for loan_id, fen in ((lost, 9_000_000), (running, 1)):
                with pytest.raises(EndingRefused), session.begin_nested():
                    take(session, book, loan_id, replace(self.GIVEN_UP, amount_fen=fen))
