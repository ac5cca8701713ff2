"""The proof of the books finds every kind of tampering, and random lives keep them true."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kernel.crypto import FieldCipher
from kernel.database import Base, Database
from servicing import operations, queries
from servicing.operations import PaymentTooLarge
from servicing.tables import Loan

_TAMPERING = [
    ("UPDATE ledger_posting SET amount_fen = amount_fen + 1 WHERE id = 1", "entry 1 is off by 1"),
    (
        "UPDATE ledger_posting SET account = 'interest-receivable' WHERE id = 1",
        "loan-principal of loan 1",
    ),
    ("DELETE FROM ledger_posting WHERE entry_id = 1", "loan-principal of loan 1"),
    (
        "UPDATE instalment SET paid_interest_fen = paid_interest_fen + 1 WHERE n = 1",
        "interest-receivable of loan 1",
    ),
    (
        "UPDATE instalment SET earned_interest_fen = interest_fen WHERE n = 3",
        "interest-receivable of loan 1",
    ),
    ("UPDATE instalment SET principal_fen = principal_fen + 1 WHERE n = 3", "plan of loan 1"),
    ("UPDATE instalment SET settled_on = '2026-03-01' WHERE n = 3", "instalment 3 of loan 1"),
    ("UPDATE loan SET late_since = NULL", "loan 1 is late since None"),
    ("UPDATE loan SET late_since = '2026-02-27'", "loan 1 is late since 2026-02-27"),
    ("UPDATE credit_line SET utilised_fen = utilised_fen + 1", "line 1 has drawn"),
    ("UPDATE instalment SET due_on = '2026-03-30' WHERE n = 2", "events of loan 1, instalment 2"),
    ("DELETE FROM instalment WHERE n = 3", "loan 1 has 2 instalments"),
    ("DELETE FROM loan_event WHERE seq = 2", "events of loan 1"),
    ("UPDATE loan SET credit_fen = 5", "events of loan 1: credit is 5, not 0"),
    ("UPDATE ledger_posting SET account = 'waived' WHERE id = 2", "events of loan 1: funding"),
]


class TestProveBooks:
    @pytest.mark.parametrize(("statement", "finding"), _TAMPERING)
    def test_finds_what_was_tampered_with(
        self, database: Database, book: Any, statement: str, finding: str
    ) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=300_000, now=book.now
            )
            session.execute(text("UPDATE credit_line SET utilised_fen = 300000"))
            loan_id = book.loan(session, customer_id=customer_id, line_id=line_id)
            book.repay(session, loan_id, 3_000, key="p1")
            operations.age_loans(session, on=date(2026, 3, 10), now=book.now)
            assert operations.prove_books(session) == []
            _without_triggers(database, session)
            session.execute(text(statement))
            findings = operations.prove_books(session)
            session.rollback()
        assert any(found.startswith(finding) for found in findings)


def _without_triggers(database: Database, session: Any) -> None:
    """Do what only somebody with the run of the database can do; rolled back with the test."""
    if database.dialect == "postgresql":
        session.execute(text("SET LOCAL session_replication_role = replica"))
        return
    for table in ("ledger_posting", "loan_event"):
        for verb in ("update", "delete"):
            session.execute(text(f"DROP TRIGGER {table}_no_{verb}"))


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(1, 150_000)),
        st.tuples(st.just("close"), st.integers(1, 45)),
    ),
    max_size=14,
)


# Sixty lives take minutes where tests share the machine with much else.
PATIENT = pytest.mark.timeout(1_800)


class TestRandomLives:
    @PATIENT
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=_STEPS, terms=st.integers(1, 12))
    def test_keep_the_books_true(
        self, cipher: FieldCipher, steps: list[tuple[str, int]], terms: int, request: Any
    ) -> None:
        database = request.getfixturevalue("in_memory")
        make = request.getfixturevalue("book")
        on = date(2026, 1, 31)
        with database.write() as session:
            loan_id = make.loan(session, terms=terms)
            customer_id = _newest_customer(session)
            owed = sum(row.total_fen for row in _plan(session, customer_id, on))
            paid = 0
            for n, (step, size) in enumerate(steps):
                if step == "close":
                    on += timedelta(days=size)
                    operations.age_loans(session, on=on, now=make.now)
                    continue
                try:
                    with session.begin_nested():
                        make.repay(session, loan_id, size, key=f"{loan_id}/{n}", on=on)
                    paid += size
                except PaymentTooLarge:
                    assert size > owed - paid
                if session.get_one(Loan, loan_id).credit_fen:
                    # Paid beyond the cap so early: nothing more is owed, and some goes back.
                    owed = paid
            view = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
            assert operations.prove_books(session) == []
            assert view.remaining_fen == owed - paid
            assert (view.state == "closed") == (view.remaining_fen == 0)
            assert all(row.outstanding_fen >= 0 for row in view.plan)
            assert cipher is make.cipher


def _newest_customer(session: Any) -> int:
    return int(session.execute(text("SELECT MAX(id) FROM customer")).scalar_one())


def _plan(session: Any, customer_id: int, on: date) -> tuple[queries.InstalmentView, ...]:
    (loan,) = queries.loans_of(session, customer_id=customer_id, on=on)
    return loan.plan


@pytest.fixture
def in_memory() -> Any:
    """One SQLite database for all examples of a property."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
