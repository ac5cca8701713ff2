"""A loan that lags and is caught up by whoever writes on it has the books of one closed each day.

Random lives are lived twice: once every day is closed in time, once days are only begun and each
loan is left behind until something happens to it.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from many import PATIENT, lives
from sqlalchemy import func, select

from kernel.database import Base, Database
from kernel.errors import FenqiError
from servicing import operations, queries
from servicing.engine.parts import Component
from servicing.operations.closing import open_day
from servicing.products import STANDARD
from servicing.queries.history import read_events
from servicing.tables import (
    DayFailure,
    Instalment,
    LatenessChange,
    LedgerEntry,
    LedgerPosting,
    Loan,
)

START = date(2026, 1, 31)
STRICT = replace(STANDARD, penalty_multiplier=Decimal("1.5"))

SIZES = {
    "wait": 45,
    "wait long": 130,
    "pay": 150_000,
    "backdate": 60_000,
    "settle": 1,
    "reverse": 100,
    "waive": 9_000,
    "charge": 2_000,
    "freeze": 30,
    "charge-off": 1,
}
STEPS = st.lists(
    st.sampled_from([*SIZES, "wait", "wait long", "pay", "settle", "reverse"]).flatmap(
        lambda name: st.tuples(st.just(name), st.integers(1, SIZES[name]))
    ),
    max_size=12,
)


@dataclass
class Life:
    """One loan, and whether its days are closed in time."""

    session: Any
    make: Any
    loan_id: int
    is_lagging: bool
    on: date = START

    def live(self, n: int, step: str, size: int) -> None:
        """Let a step happen unless the loan refuses it."""
        self.make.now += timedelta(minutes=1)
        if step.startswith("wait"):
            self._wait(size)
            return
        by = {"loan_id": self.loan_id, "key": f"{self.loan_id}/{n}", "now": self.make.now}
        with suppress(FenqiError), self.session.begin_nested():
            self._act(step, size, by)

    def _wait(self, days: int) -> None:
        self.on += timedelta(days=days)
        self.make.now += timedelta(days=days)
        open_day(self.session, on=self.on, now=self.make.now)
        if not self.is_lagging:
            operations.age_loans(self.session, on=self.on, now=self.make.now)

    def _act(self, step: str, size: int, by: dict[str, Any]) -> None:
        asked = by | {"on": self.on, "actor": "lin"}
        if step in ("pay", "backdate"):
            back = timedelta(days=20 if step == "backdate" else 0)
            paid_on = max(START, self.on - back)
            operations.post_repayment(self.session, amount_fen=size, value_date=paid_on, **by)
        elif step == "settle":
            owner = self.session.get_one(Loan, self.loan_id).customer_id
            asked_for = {"loan_id": self.loan_id, "customer_id": owner, "on": self.on}
            owed_fen = queries.settlement_quote(self.session, **asked_for).amount_fen
            operations.post_prepayment(self.session, amount_fen=owed_fen, value_date=self.on, **by)
        elif step == "reverse":
            count = len(read_events(self.session, loan_id=self.loan_id))
            operations.reverse(self.session, seq=1 + size % count, **asked)
        elif step == "waive":
            component = list(Component)[size % 4]
            operations.waive(self.session, component=component, amount_fen=size, **asked)
        elif step == "charge":
            operations.charge(self.session, amount_fen=size, due_on=self.on, **asked)
        elif step == "freeze":
            first_on = max(START, self.on - timedelta(days=size))
            last_on = None if size % 3 == 0 else self.on + timedelta(days=size)
            what = ("interest", "penalty")[size % 2]
            days: dict[str, Any] = {"first_on": first_on, "last_on": last_on, "reason": "受灾"}
            operations.place_freeze(self.session, what=what, **days, **asked)
        else:
            operations.charge_off(self.session, **asked)

    def books(self) -> dict[str, Any]:
        """Close the last day, and return what the loan came to, day by day."""
        open_day(self.session, on=self.on, now=self.make.now)
        operations.age_loans(self.session, on=self.on, now=self.make.now)
        assert operations.prove_books(self.session) == []
        assert self.session.scalar(select(func.count()).select_from(DayFailure)) == 0
        days = (LedgerEntry.effective_on, LedgerEntry.booked_on, LedgerPosting.account)
        posted = self.session.execute(
            select(*days, func.sum(LedgerPosting.amount_fen))
            .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
            .where(LedgerEntry.loan_id == self.loan_id)
            .group_by(*days)
            .having(func.sum(LedgerPosting.amount_fen) != 0)
            .order_by(*days)
        )
        change = LatenessChange
        called = self.session.execute(
            select(change.from_on, change.late_since, change.bucket, change.five_class)
            .where(change.loan_id == self.loan_id)
            .order_by(change.id)
        )
        loan = self.session.get_one(Loan, self.loan_id)
        rows = self.session.scalars(
            select(Instalment).where(Instalment.loan_id == self.loan_id).order_by(Instalment.n)
        )
        owned = [column.name for column in Instalment.__table__.columns if column.name != "loan_id"]
        return {
            "loan": (loan.state, loan.late_since, loan.days_past_due, loan.bucket),
            "posted": [tuple(row) for row in posted],
            "called": [tuple(row) for row in called],
            "rows": [tuple(getattr(row, name) for name in owned) for row in rows],
        }


def lived(
    database: Database, make: Any, steps: list[tuple[str, int]], terms: int, *, is_lagging: bool
) -> dict[str, Any]:
    """Live a life in a database, and leave nothing behind."""
    make.now = datetime.combine(START, time(2), tzinfo=UTC)
    with database.write() as session:
        open_day(session, on=START, now=make.now)
        loan_id = make.loan(session, terms=terms, product=STRICT, disbursed_on=START)
        life = Life(session, make, loan_id, is_lagging)
        for n, (step, size) in enumerate(steps):
            life.live(n, step, size)
        books = life.books()
        session.rollback()
    return books


@PATIENT
@lives(40)
@given(steps=STEPS, terms=st.integers(1, 8))
@example(steps=[("settle", 1), ("wait long", 60), ("reverse", 1)], terms=1)
@example(
    steps=[("pay", 150_000), ("wait", 45), ("settle", 1), ("wait", 31), ("reverse", 2)], terms=2
)
def test_a_loan_that_lags_ends_with_the_books_of_one_that_does_not(
    steps: list[tuple[str, int]], terms: int, request: Any
) -> None:
    database, make = (request.getfixturevalue(name) for name in ("in_memory", "book"))
    in_time = lived(database, make, steps, terms, is_lagging=False)
    assert lived(database, make, steps, terms, is_lagging=True) == in_time


@pytest.fixture
def in_memory() -> Any:
    """One SQLite database for all lives."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
