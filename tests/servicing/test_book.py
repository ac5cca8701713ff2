from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.idempotency import KeyReused
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.demo.book import seed_demo
from servicing.operations import (
    CostNotConfirmed,
    CustomerKnown,
    EntryUnbalanced,
    LoanTerms,
    PaymentTooLarge,
)
from servicing.queries import LoanNotFound
from servicing.tables import Customer, LedgerEntry, LedgerPosting, Loan

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
ON = date(2026, 3, 10)


def make_customer(session: Session, cipher: FieldCipher, number: int = 1) -> int:
    return operations.create_customer(
        session,
        cipher,
        name="测试甲",
        phone=f"100{number:08d}",
        id_number=f"99000019900101{number:03d}X",
        now=NOW,
    )


def make_terms(customer_id: int, **changes: object) -> LoanTerms:
    terms = LoanTerms(
        customer_id=customer_id,
        merchant_name="测试手机店",
        merchandise="手机",
        principal_fen=1_200_00,
        rate_annual=Decimal("0.18"),
        terms=3,
        disbursed_on=date(2026, 1, 10),
    )
    return replace(terms, **changes)


def confirm(session: Session, terms: LoanTerms) -> int:
    content = operations.cost_table(
        principal_fen=terms.principal_fen,
        rate_annual=terms.rate_annual,
        terms=terms.terms,
        disbursed_on=terms.disbursed_on,
    )
    return operations.confirm_cost(
        session, customer_id=terms.customer_id, content=content, seconds_shown=12, now=NOW
    )


def make_loan(session: Session, cipher: FieldCipher, **changes: object) -> tuple[int, int]:
    customer_id = make_customer(session, cipher)
    terms = make_terms(customer_id, **changes)
    loan_id = operations.book_loan(
        session, terms=terms, disclosure_id=confirm(session, terms), key="k1", now=NOW
    )
    return loan_id, customer_id


def ledger(session: Session) -> list[str]:
    rows = session.execute(
        select(LedgerEntry.kind, LedgerPosting.account, LedgerPosting.amount_fen)
        .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
        .order_by(LedgerEntry.id, LedgerPosting.amount_fen.desc(), LedgerPosting.account)
    ).all()
    return [f"{kind} {account} {amount}" for kind, account, amount in rows]


class TestCustomers:
    def test_stores_nothing_personal_in_clear(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            customer_id = make_customer(session, cipher)
        with database.read() as session:
            row = session.execute(select(Customer.__table__)).one()
            assert "测试甲" not in str(row)
            assert "10000000001" not in str(row)
            view = queries.customer_view(session, cipher, customer_id=customer_id)
            assert (view.name, view.phone) == ("测试甲", "10000000001")

    def test_refuses_a_known_phone(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            make_customer(session, cipher)
        with pytest.raises(CustomerKnown), database.write() as session:
            make_customer(session, cipher)

    def test_matches_identity_by_phone_and_last_four_signs(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            customer_id = make_customer(session, cipher)
        with database.read() as session:

            def match(phone: str, last4: str) -> int | None:
                return queries.match_identity(session, cipher, phone=phone, id_last4=last4)

            assert match("10000000001", "001x") == customer_id
            assert match("10000000001", "0010") is None
            assert match("10000000002", "001X") is None


class TestBookLoan:
    def test_disburses_in_full_and_in_balance(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            make_loan(session, cipher)
            assert ledger(session) == [
                "disbursement loan-principal 120000",
                "disbursement funding-bank -120000",
            ]
            assert operations.prove_books(session) == []

    def test_repeat_with_the_same_key_books_nothing_more(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            loan_id, customer_id = make_loan(session, cipher)
            terms = make_terms(customer_id)
            again = operations.book_loan(
                session, terms=terms, disclosure_id=confirm(session, terms), key="k1", now=NOW
            )
            assert again == loan_id
            assert len(ledger(session)) == 2

    def test_another_loan_under_the_key_is_a_conflict(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with pytest.raises(KeyReused), database.write() as session:
            _loan_id, customer_id = make_loan(session, cipher)
            terms = make_terms(customer_id, terms=6)
            operations.book_loan(
                session, terms=terms, disclosure_id=confirm(session, terms), key="k1", now=NOW
            )

    def test_needs_the_cost_table_of_exactly_this_loan(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with pytest.raises(CostNotConfirmed), database.write() as session:
            terms = make_terms(make_customer(session, cipher))
            operations.book_loan(
                session,
                terms=replace(terms, principal_fen=1_300_00),
                disclosure_id=confirm(session, terms),
                key="k1",
                now=NOW,
            )


class TestPostRepayment:
    def test_quote_equals_posting(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            loan_id, customer_id = make_loan(session, cipher)
            loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=ON)
            quote = queries.repayment_quote(loan, on=ON)
            operations.post_repayment(
                session,
                loan_id=loan_id,
                amount_fen=quote.amount_fen,
                value_date=ON,
                key="p1",
                now=NOW,
            )
            session.flush()
            after = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=ON)
            assert after.due_fen == 0
            assert after.remaining_fen == loan.remaining_fen - quote.amount_fen
            assert after.paid_terms == len(quote.lines) == 2
            assert operations.prove_books(session) == []

    def test_states_every_entry(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            loan_id, _customer_id = make_loan(session, cipher)
            operations.post_repayment(
                session, loan_id=loan_id, amount_fen=412_06, value_date=ON, key="p1", now=NOW
            )
            assert ledger(session)[2:] == [
                "interest interest-receivable 1800",
                "interest interest-income -1800",
                "repayment wechat-pay-clearing 41206",
                "repayment interest-receivable -1800",
                "repayment loan-principal -39406",
            ]

    def test_the_same_key_is_posted_once(self, database: Database, cipher: FieldCipher) -> None:
        for _ in range(2):
            with database.write() as session:
                if session.scalar(select(Loan.id)) is None:
                    make_loan(session, cipher)
                operations.post_repayment(
                    session, loan_id=1, amount_fen=100_00, value_date=ON, key="p1", now=NOW
                )
        with database.read() as session:
            kinds = session.scalars(select(LedgerEntry.kind)).all()
            assert kinds.count("repayment") == 1
            events = session.scalars(select(OutboxRow.event)).all()
            assert events.count("RepaymentPosted") == 1

    def test_more_than_is_owed_posts_nothing(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            make_loan(session, cipher)
        with pytest.raises(PaymentTooLarge), database.write() as session:
            operations.post_repayment(
                session, loan_id=1, amount_fen=9_999_00, value_date=ON, key="p1", now=NOW
            )
        with database.read() as session:
            assert len(ledger(session)) == 2

    def test_the_last_fen_closes_the_loan(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            loan_id, customer_id = make_loan(session, cipher)
            loan = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=ON)
            operations.post_repayment(
                session,
                loan_id=loan_id,
                amount_fen=loan.remaining_fen,
                value_date=ON,
                key="p1",
                now=NOW,
            )
            session.flush()
            after = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=ON)
            assert (after.state, after.remaining_fen, after.next) == ("closed", 0, None)
            assert queries.repayment_quote(after, on=ON).amount_fen == 0
            assert operations.prove_books(session) == []


class TestLedger:
    def test_refuses_an_unbalanced_entry(self, database: Database, cipher: FieldCipher) -> None:
        with pytest.raises(EntryUnbalanced), database.write() as session:
            loan_id, _customer_id = make_loan(session, cipher)
            operations.post_entry(
                session,
                loan_id=loan_id,
                kind="odd",
                key="x",
                effective_on=ON,
                postings={"a": 5, "b": -4},
                now=NOW,
            )

    @pytest.mark.parametrize(
        "statement", ["UPDATE ledger_posting SET amount_fen = 1", "DELETE FROM ledger_entry"]
    )
    def test_nobody_can_change_it(
        self, database: Database, cipher: FieldCipher, statement: str
    ) -> None:
        with database.write() as session:
            make_loan(session, cipher)
        with pytest.raises(DBAPIError, match="append-only"), database.write() as session:
            session.execute(text(statement))

    def test_proof_finds_a_tampered_schedule(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            make_loan(session, cipher)
            session.execute(text("UPDATE instalment SET paid_principal_fen = 1 WHERE n = 1"))
            differences = operations.prove_books(session)
            assert any("loan-principal" in difference for difference in differences)


class TestAgeLoans:
    def test_counts_lateness_and_accrues_once(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            make_loan(session, cipher)
            assert operations.age_loans(session, on=ON, now=NOW) == 1
            loan = session.scalars(select(Loan)).one()
            assert (loan.days_past_due, loan.bucket) == (28, "M1")
            entries = ledger(session)
            assert operations.age_loans(session, on=ON, now=NOW) == 0
            assert ledger(session) == entries
            assert operations.prove_books(session) == []


class TestOwnership:
    def test_another_customers_loan_is_not_found(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            loan_id, _customer_id = make_loan(session, cipher)
            other = make_customer(session, cipher, number=2)
            with pytest.raises(LoanNotFound):
                queries.loan_of(session, loan_id=loan_id, customer_id=other, on=ON)


class TestDemoBook:
    def test_books_agree_and_look_like_the_trade(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            seeded = seed_demo(session, cipher, customers=400, seed=7, now=NOW)
            session.flush()
            assert operations.prove_books(session) == []
            loans = session.scalars(select(Loan)).all()
        assert seeded.loans == len(loans)
        assert 0.02 <= (seeded.loans - 400) / 400 <= 0.09
        assert all(1_000_00 <= loan.principal_fen <= 10_000_00 for loan in loans)
        assert {loan.terms for loan in loans} <= {6, 9, 12, 15, 18, 24}
        active = [loan for loan in loans if loan.state == "active"]
        late = sum(loan.days_past_due > 30 for loan in active)
        assert 0.02 <= late / len(active) <= 0.14

    def test_first_people_have_the_stories_they_tell(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            seed_demo(session, cipher, customers=8, seed=1, now=NOW)
            session.flush()
            firsts = [
                queries.loans_of(session, customer_id=number, on=ON)[0].next
                for number in range(1, 5)
            ]
        assert [(row.due_on - ON).days for row in firsts if row] == [3, 0, -5, 12]

    def test_is_the_same_for_the_same_seed(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            seed_demo(session, cipher, customers=5, seed=3, now=NOW)
            first = session.execute(select(Loan.principal_fen, Loan.terms)).all()
            session.rollback()
        with database.write() as session:
            pass
        again = []
        with database.write() as session:
            seed_demo(session, cipher, customers=5, seed=3, now=NOW)
            again = session.execute(select(Loan.principal_fen, Loan.terms)).all()
        assert first == again
