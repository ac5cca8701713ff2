"""A repayment is allocated oldest first, posted balanced, and closes the loan it settles."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import func, select

from kernel.database import Database
from kernel.idempotency import KeyReused
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.caps import actual_cost
from servicing.engine.cost import ROUNDING_TOLERANCE
from servicing.engine.events import Prepayment
from servicing.engine.terms import Method
from servicing.operations import EntryUnbalanced, PaymentTooLarge, Posting
from servicing.operations.ledger import AccountUnknown
from servicing.products import STANDARD
from servicing.queries.history import loan_as_of
from servicing.tables import Instalment, LedgerEntry, Loan

Ledger = Callable[..., str]


def _text(block: str) -> str:
    return dedent(block).strip()


class TestPostRepayment:
    def test_writes_the_whole_life_of_a_loan_into_the_ledger(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="p1", on=date(2026, 2, 28))
            book.repay(session, loan_id, 103_015, key="p2", on=date(2026, 3, 10))
            book.repay(session, loan_id, 103_014, key="p3", on=date(2026, 3, 10))
        with database.read() as session:
            assert ledger(session, loan_id) == _text("""
                2026-01-31 disbursement loan-principal 3000.00  funding-bank -3000.00
                2026-02-28 interest     interest-receivable#1 45.00  interest-income#1 -45.00
                2026-02-28 repayment    wechat-pay-clearing 1030.15  interest-receivable#1 -45.00  loan-principal#1 -985.15
                2026-03-10 interest     interest-receivable#2 30.22  interest-income#2 -30.22
                2026-03-10 repayment    wechat-pay-clearing 1030.15  interest-receivable#2 -30.22  loan-principal#2 -999.93
                2026-03-10 interest     interest-receivable#3 15.22  interest-income#3 -15.22
                2026-03-10 repayment    wechat-pay-clearing 1030.14  interest-receivable#3 -15.22  loan-principal#3 -1014.92
                2026-03-10 interest-refund interest-income 16.91  refund-payable -16.91
            """)  # noqa: E501 -- a ledger line is a ledger line
            loan = session.get_one(Loan, loan_id)
            assert (loan.state, loan.settled_on) == ("closed", date(2026, 3, 10))
            assert operations.prove_books(session) == []

    def test_allocates_to_the_oldest_instalment_first_and_interest_before_principal(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 104_000, key="p1")
            rows = session.scalars(select(Instalment).order_by(Instalment.n)).all()
            paid = [(row.paid_interest_fen, row.paid_principal_fen) for row in rows]
        assert paid == [(4_500, 98_515), (985, 0), (0, 0)]

    def test_changes_nothing_when_the_same_key_comes_again(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
        for _ in range(3):
            with database.write() as session:
                book.repay(session, loan_id, 50_000, key="p1")
        with database.read() as session:
            (repayment,) = queries.repayments_of(session, loan_id=loan_id)
        assert repayment.amount_fen == 50_000

    def test_a_whole_plan_paid_on_its_second_day_gives_back_what_is_beyond_the_cap(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 309_044, key="p1", on=date(2026, 2, 1))
            loan = session.get_one(Loan, loan_id)
            # 24 % a year on 3,000.00 for a day is 2.00; 90.44 were paid.
            assert (loan.state, loan.credit_fen) == ("closed", 8_844)
            kinds = [event.kind for event in queries.loan_events(session, loan_id=loan_id)]
            assert kinds == ["disbursement", "repayment", "interest-refund"]
            assert operations.prove_books(session) == []
        for _ in range(2):
            with database.write() as session:
                book.repay(session, loan_id, 309_044, key="p1", on=date(2026, 2, 1))
        with database.write() as session:
            assert session.get_one(Loan, loan_id).credit_fen == 8_844
            operations.reverse(
                session, loan_id=loan_id, seq=2, on=date(2026, 2, 2), key="u", actor="lin",
                now=book.now,
            )  # fmt: skip
            loan = session.get_one(Loan, loan_id, populate_existing=True)
            assert (loan.state, loan.credit_fen) == ("active", 0)
            assert operations.prove_books(session) == []

    def test_interest_paid_before_is_given_back_when_goods_are_returned_at_their_price(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 206_030, key="p1", on=date(2026, 2, 1))
            operations.cancel_purchase(
                session, loan_id=loan_id, amount_fen=300_000, bears_cost=True,
                on=date(2026, 2, 2), key="back", actor="lijing", now=book.now,
            )  # fmt: skip
            loan = session.get_one(Loan, loan_id)
            # The borrower paid 2,060.30, the seller 3,000.00: two days cost 2.00 and 0.65 at most.
            assert loan.state == "closed"
            assert 206_030 - 300 < loan.credit_fen <= 206_030
            assert operations.prove_books(session) == []

    @pytest.mark.parametrize(
        ("actor", "key", "account"),
        [
            ("borrower", "p1", "wechat-pay-clearing"),
            ("partner:shop", "p1", "partner-clearing"),
            ("lin", "received/bank-transfer/BK-1", "collection-bank"),
            ("lin", "received/cash-desk/7", "cash-desk"),
        ],
    )
    def test_waits_where_the_money_is_and_leaves_it_when_it_is_taken_back(
        self, database: Database, book: Any, ledger: Ledger, actor: str, key: str, account: str
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            by = {"loan_id": loan_id, "now": book.now}
            paid_on, taken_on = date(2026, 2, 28), date(2026, 3, 5)
            seq = operations.post_repayment(
                session, amount_fen=4_500, value_date=paid_on, key=key, actor=actor, **by
            )
            operations.charge_back(
                session, seq=seq, amount_fen=4_500, on=taken_on, key="b", actor="lin", **by
            )
            text = ledger(session, loan_id)
            assert f"2026-02-28 repayment    {account} 45.00  interest-receivable#1 -45.00" in text
            assert f"{account} -45.00" in text.split("2026-03-05 charge-back", 1)[1]
            assert operations.prove_books(session) == []

    def test_books_a_loan_once_under_one_key(self, database: Database, book: Any) -> None:
        with database.write() as session:
            terms = book.terms(session)
            given = {"terms": terms, "disclosure_id": book.confirmed(session, terms)}
            given |= {"key": "one", "now": book.now}
            first, again = (operations.book_loan(session, **given) for _ in range(2))
            assert first == again
            assert session.scalar(select(func.count()).select_from(Loan)) == 1
            other = replace(terms, principal_fen=300_001)
            with pytest.raises(KeyReused), session.begin_nested():
                operations.book_loan(session, **given | {"terms": other})

    def test_refuses_the_key_for_another_amount(self, database: Database, book: Any) -> None:
        """LabsCrypt/remitlend#1337: a key without the amount collided."""
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 50_000, key="p1")
            with pytest.raises(KeyReused):
                book.repay(session, loan_id, 50_001, key="p1")

    def test_posts_once_when_eight_threads_bring_the_same_payment(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)

        def bring(_: int) -> None:
            with database.write() as session:
                book.repay(session, loan_id, 50_000, key="p1")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(bring, range(8)))
        with database.read() as session:
            kind = LedgerEntry.kind == "repayment"
            posted = session.scalar(select(func.count()).select_from(LedgerEntry).where(kind))
            assert posted == 1
            assert operations.prove_books(session) == []

    def test_never_pays_an_instalment_twice_when_two_payments_race(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)

        def bring(n: int) -> None:
            with database.write() as session:
                book.repay(session, loan_id, 30_000, key=f"p{n}")

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(bring, range(6)))
        with database.read() as session:
            (loan,) = queries.loans_of(session, customer_id=1, on=date(2026, 3, 10))
            assert loan.remaining_fen == 309_044 - 180_000
            assert operations.prove_books(session) == []

    def test_refuses_more_than_is_owed_and_posts_nothing(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
        with pytest.raises(PaymentTooLarge), database.write() as session:
            book.repay(session, loan_id, 400_000, key="p1")
        with database.read() as session:
            assert queries.repayments_of(session, loan_id=loan_id) == ()
            assert operations.prove_books(session) == []

    def test_tells_what_remains(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="p1")
        with database.read() as session:
            event = session.scalars(
                select(OutboxRow).where(OutboxRow.event == "RepaymentPosted")
            ).one()
            (loan,) = queries.loans_of(session, customer_id=1, on=date(2026, 3, 10))
            assert event.payload["remaining_fen"] == loan.remaining_fen
            assert event.payload["key"] == "p1"
            assert event.payload["is_settled"] is False

    def test_posts_what_the_quote_asked_for_and_leaves_none_of_it(
        self, database: Database, book: Any
    ) -> None:
        on = date(2026, 3, 10)
        with database.write() as session:
            loan_id = book.loan(session)
            (loan,) = queries.loans_of(session, customer_id=1, on=on)
            quote = queries.repayment_quote(loan, on=on)
            book.repay(session, loan_id, quote.amount_fen, key="p1")
            (after,) = queries.loans_of(session, customer_id=1, on=on)
        asked = {line.n for line in quote.lines}
        assert asked == {1}
        assert all(row.outstanding_fen == 0 for row in after.plan if row.n in asked)
        assert after.due_fen == 0
        assert after.days_past_due == 0


class TestPrepayFlat:
    """Most of a loan with flat fees is prepaid: what is left would cost 59 % a year."""

    ON = date(2026, 2, 20)

    def test_gives_up_at_once_what_is_above_the_cap_as_it_was_shown(
        self, database: Database, book: Any
    ) -> None:
        flat = replace(STANDARD, method=Method.FLAT_FEE, fee_rate=Decimal("0.008"))
        given = {"principal_fen": 1_200_000, "terms": 12, "rate_annual": Decimal(0)}
        with database.write() as session:
            loan_id = book.loan(session, product=flat, **given)
            event = Prepayment(id="", on=self.ON, amount_fen=1_000_000)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            seq = operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=1_000_000,
                value_date=self.ON,
                key="p",
                now=book.now,
                effect=event.effect,
            )
            state = loan_as_of(session, loan_id=loan_id, on=self.ON)
            assert actual_cost(state).nominal == seen.cost_after
            assert seen.cost_after <= Decimal("0.24") + ROUNDING_TOLERANCE
            assert state.outstanding.total_fen == seen.remaining_after_fen
            kinds = [event.kind for event in queries.loan_events(session, loan_id=loan_id)]
            assert kinds == ["disbursement", "prepayment", "waiver"]
            assert operations.prove_books(session) == []

            by = {"on": self.ON, "key": "u", "actor": "lin", "now": book.now}
            operations.reverse(session, loan_id=loan_id, seq=seq, **by)
            state = loan_as_of(session, loan_id=loan_id, on=self.ON)
            assert state.outstanding.fee_fen == 12 * 9_600
            assert operations.prove_books(session) == []


class TestPostEntry:
    def test_refuses_an_entry_that_does_not_balance(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            with pytest.raises(EntryUnbalanced):
                operations.post_entry(
                    session,
                    loan_id=loan_id,
                    kind="repayment",
                    key="x",
                    effective_on=date(2026, 3, 10),
                    postings={"loan-principal": 1},
                    now=book.now,
                )

    def test_refuses_an_account_that_the_chart_does_not_have(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            with pytest.raises(AccountUnknown):
                operations.post_entry(
                    session,
                    loan_id=loan_id,
                    kind="repayment",
                    key="x",
                    effective_on=date(2026, 3, 10),
                    postings=(
                        Posting(account="pocket", amount_fen=1),
                        Posting(account="loan-principal", amount_fen=-1),
                    ),
                    now=book.now,
                )
