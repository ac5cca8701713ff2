"""The ledger as of any past day, as it was known on any other, is what the plan of that day says.

Random lives in which much comes late: money, charges and favours that count from a day weeks ago,
things taken back, months closed in between, days closed one by one or after a gap. For every day up
to which the loan was closed, all that was booked with a value date up to it is what replaying the
events up to it makes of the loan; and that holds for the book as it was known after every step.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from many import PATIENT, lives
from sqlalchemy import func, select

from kernel.database import Base, Database
from kernel.errors import FenqiError
from servicing import operations
from servicing.bookkeeping import changes, standing_of
from servicing.engine.events import ChargeOffEffect
from servicing.engine.parts import Component
from servicing.engine.replay import replay
from servicing.engine.terms import FeeRule
from servicing.products import STANDARD, Product
from servicing.queries.history import loan_as_of, read_events, terms_of
from servicing.tables import AccountingPeriod, Instalment, LedgerEntry, LedgerPosting, Loan

START = date(2026, 1, 31)
DAY = timedelta(days=1)
MID_MONTH = date(2026, 1, 10)
STRICT = replace(STANDARD, penalty_multiplier=Decimal("1.5"))
PRODUCTS: dict[str, tuple[Product, Decimal]] = {
    "standard": (STANDARD, Decimal("0.18")),
    "strict": (STRICT, Decimal("0.18")),
    "insured": (
        replace(STRICT, fees=(FeeRule(name="保险费", share=Decimal("0.001"), payee="安心保险"),)),
        Decimal("0.15"),
    ),
    "subsidised": (
        replace(STANDARD, rate_annual=Decimal(0), subsidy_rate_annual=Decimal("0.12")),
        Decimal(0),
    ),
}
Balances = dict[tuple[str, str], int]
Act = Callable[[Any, int, dict[str, Any]], Any]


def _money(by: dict[str, Any]) -> dict[str, Any]:
    return {key: by[key] for key in ("loan_id", "key", "now")} | {"value_date": by["on"]}


# What may happen, with a size from 1 to 100; each may count from a day long past.
ACTS: dict[str, Act] = {
    "pay": lambda session, n, by: operations.post_repayment(
        session, amount_fen=n * 1_500, **_money(by)
    ),
    "prepay": lambda session, n, by: operations.post_prepayment(
        session, amount_fen=n * 2_500, **_money(by)
    ),
    "waive": lambda session, n, by: operations.waive(
        session, component=list(Component)[n % 4], amount_fen=n * 90, **by
    ),
    "charge": lambda session, n, by: operations.charge(
        session, amount_fen=n * 20, due_on=by["on"], payee=("", "平台服务商")[n % 2], **by
    ),
    "goodwill": lambda session, n, by: operations.give_goodwill(session, amount_fen=n * 300, **by),
    "freeze penalty": lambda session, n, by: operations.place_freeze(
        session,
        what="penalty",
        first_on=max(START, by["on"] - timedelta(days=n)),
        last_on=None,
        reason="受灾",
        **by,
    ),
    "freeze interest": lambda session, n, by: operations.place_freeze(
        session,
        what="interest",
        first_on=by["on"],
        last_on=by["on"] + timedelta(days=n),
        reason="受灾",
        **by,
    ),
    "charge off": lambda session, n, by: operations.charge_off(
        session, effect=list(ChargeOffEffect)[n % 3], **by
    ),
    "write off": lambda session, _n, by: operations.write_off(session, **by),
    "recover": lambda session, n, by: operations.recover(session, amount_fen=n * 3_000, **by),
    "charge back": lambda session, n, by: operations.charge_back(
        session, seq=2 + n % 4, amount_fen=n * 300, **by
    ),
    "cancel": lambda session, n, by: operations.cancel_purchase(
        session, amount_fen=n * 3_000, bears_cost=n % 2 == 0, **by
    ),
    "terminate": lambda session, _n, by: operations.terminate(session, **by),
    "reverse": lambda session, n, by: operations.reverse(
        session, seq=2 + n % max(1, len(read_events(session, loan_id=by["loan_id"])) - 1), **by
    ),
}
LIKELY = ("pay", "prepay", "reverse", *6 * ["wait", "days"], "close month")
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*ACTS, *LIKELY]),
        st.integers(1, 100),
        st.sampled_from([0, 0, 1, 9, 40, 90]),
    ),
    max_size=14,
)


@dataclass
class Life:
    """One loan, and on which instants and up to which day it was known."""

    session: Any
    make: Any
    loan_id: int
    on: date = START
    known: list[tuple[datetime, date]] = field(default_factory=list)

    def live(self, n: int, step: str, size: int, late_days: int) -> None:
        """Let a step happen unless the loan refuses it, and remember what was known then."""
        self.make.now += timedelta(minutes=1)
        if step == "wait":
            self._pass(1 + size % 45, at_once=True)
        elif step == "days":
            self._pass(1 + size % 20, at_once=False)
        elif step == "close month":
            self._close_month()
        else:
            by = {"loan_id": self.loan_id, "key": f"{self.loan_id}/{n}", "now": self.make.now}
            by |= {"actor": "lin", "on": max(START, self.on - timedelta(days=late_days))}
            with suppress(FenqiError), self.session.begin_nested():
                ACTS[step](self.session, size, by)
        self.known.append((self.make.now, self.session.get_one(Loan, self.loan_id).closed_to))

    def _pass(self, days: int, *, at_once: bool) -> None:
        """Let days pass; the last one runs still, so that what happens on it is not closed yet."""
        for _ in range(1 if at_once else days):
            passed = timedelta(days=days) if at_once else DAY
            self.on += passed
            self.make.now += passed
            operations.age_loans(self.session, on=self.on - DAY, now=self.make.now)

    def _close_month(self) -> None:
        last = self.on.replace(day=1) - DAY
        if last < START or self.session.get(AccountingPeriod, f"{last:%Y-%m}"):
            return
        self.session.info.clear()
        closed = {"month": f"{last:%Y-%m}", "last_day": last, "closed_by": "wu"}
        self.session.add(AccountingPeriod(**closed, closed_at=self.make.now))
        self.session.flush()

    def differences(self, every: int) -> Iterator[str]:
        """Compare ledger and plan for every so many days, as known after each step."""
        rows = self.session.execute(
            select(LedgerEntry, LedgerPosting)
            .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
            .where(LedgerEntry.loan_id == self.loan_id)
        ).all()
        for n, (known_at, closed_to) in enumerate(self.known):
            booked = [row for row in rows if row[0].recorded_at <= known_at]
            day = START + timedelta(days=n % every)
            while day <= closed_to:
                ledger = _ledger(booked, day)
                plan = self._plan(known_at, day)
                if ledger != plan:
                    off = {
                        key: (ledger.get(key, 0), plan.get(key, 0)) for key in {**ledger, **plan}
                    }
                    apart = {key: both for key, both in off.items() if both[0] != both[1]}
                    yield f"as of {day} as known after step {n}: ledger, plan {apart}"
                day += timedelta(days=every)

    def _plan(self, known_at: datetime, day: date) -> Balances:
        """Say what the events up to a day, as known at an instant, make of the books."""
        terms = terms_of(self.session.get_one(Loan, self.loan_id))
        events = read_events(self.session, loan_id=self.loan_id, known_at=known_at)
        past = [event for event in events if event.counts_on <= day]
        stands = standing_of(terms, replay(terms, events, day), past, closed_to=day)
        found: Counter[tuple[str, str]] = Counter()
        for change in changes(None, stands, on=day):
            for side, fen in change.sides.items():
                found[side.account, side.payee] += fen
        return {key: fen for key, fen in found.items() if fen}


def _ledger(rows: list[Any], day: date) -> Balances:
    found: Counter[tuple[str, str]] = Counter()
    for entry, posting in rows:
        if entry.effective_on <= day:
            found[posting.account, posting.payee or ""] += posting.amount_fen
    return {key: fen for key, fen in found.items() if fen}


@pytest.fixture
def in_memory() -> Any:
    """One SQLite database for all examples of a property."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()


def _lived(
    session: Any, make: Any, steps: list[tuple[str, int, int]], sold: str, terms: int
) -> Life:
    make.now = datetime.combine(START, time(2), tzinfo=UTC)
    product, rate = PRODUCTS[sold]
    loan_id = make.loan(session, terms=terms, product=product, rate_annual=rate)
    life = Life(session, make, loan_id)
    for n, step in enumerate(steps):
        life.live(n, *step)
    return life


def _paid_late(session: Any, make: Any, product: Product, late: tuple[int, ...]) -> int:
    """Live a loan of two years whose days are closed, some instalments paid ten days late."""
    loan_id = make.loan(
        session, terms=24, product=product, rate_annual=STANDARD.rate_annual, disbursed_on=MID_MONTH
    )
    for row in session.scalars(select(Instalment).where(Instalment.loan_id == loan_id)).all():
        paid_on = row.due_on + timedelta(days=10 if row.n in late else 0)
        operations.age_loans(session, on=paid_on - DAY, now=make.now)
        session.expire_all()
        state = loan_as_of(session, loan_id=loan_id, on=paid_on)
        make.now = datetime.combine(paid_on, time(2), tzinfo=UTC)
        due = state.due_now.total_fen
        make.repay(session, loan_id, due, key=f"{loan_id}/{row.n}", on=paid_on)
    return int(loan_id)


def _count(session: Any, loan_id: int) -> int:
    of_loan = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.loan_id == loan_id)
    return int(session.scalar(of_loan))


class TestEntries:
    """A loan of two years holds 50 to 80 entries, paid in time or three times late."""

    @pytest.mark.parametrize("product", [STANDARD, STRICT], ids=["standard", "strict"])
    @pytest.mark.parametrize("late", [(), (3, 11, 20)], ids=["in time", "three times late"])
    def test_are_few(self, in_memory: Any, book: Any, product: Product, late: Any) -> None:
        with in_memory.write() as session:
            loan_id = _paid_late(session, book, product, late)
            assert session.get_one(Loan, loan_id).state == "closed"
            assert 50 <= _count(session, loan_id) <= 80
            assert operations.prove_books(session) == []

    def test_of_money_that_comes_late_are_on_the_days_that_it_changes(
        self, database: Database, book: Any, ledger: Callable[..., str]
    ) -> None:
        """Half of the second instalment was there on 10 March: it earned its interest then."""
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="first", on=date(2026, 2, 28))
            operations.age_loans(session, on=date(2026, 4, 10), now=book.now)
            book.repay(session, loan_id, 50_000, key="late", on=date(2026, 3, 10))
            assert operations.prove_books(session) == []
            assert ledger(session, loan_id) == _HALF_PAID_IN_ADVANCE

    def test_of_a_prepayment_of_a_day_off_the_books_are_of_the_day_that_took_it_back(
        self, database: Database, book: Any, ledger: Callable[..., str]
    ) -> None:
        """Charged off by mistake through June; money of June for the plan is heard of in July."""
        with database.write() as session:
            by = {"loan_id": book.loan(session, terms=6), "actor": "lin", "now": book.now}
            off_on, back_on, today = date(2026, 6, 1), date(2026, 7, 1), date(2026, 7, 10)
            operations.age_loans(session, on=off_on, now=book.now)
            seq = operations.charge_off(session, key="off", on=off_on, **by)
            operations.reverse(session, seq=seq, key="back", on=back_on, **by)
            operations.age_loans(session, on=today, now=book.now)
            paid = {"amount_fen": 250_000, "value_date": date(2026, 6, 10), "key": "paid"}
            operations.post_prepayment(session, loan_id=by["loan_id"], now=book.now, **paid)
            assert operations.prove_books(session) == []
            last = ledger(session, by["loan_id"]).splitlines()[-1]
            assert last.startswith("2026-07-01 prepayment   wechat-pay-clearing 2500.00  ")
            days = (date(2026, 6, 30), back_on)
            seen = [loan_as_of(session, loan_id=by["loan_id"], on=day).paid for day in days]
            assert [paid.total_fen for paid in seen] == [0, 250_000]

    def test_of_a_claim_that_was_given_up_and_settled_late_agree_every_day(
        self, database: Database, book: Any
    ) -> None:
        """Charged off in autumn; money that had come before, and money that came after it."""
        with database.write() as session:
            life = _lived(session, book, [], "strict", 3)
            for _ in range(8):
                life.live(0, "wait", 30, 0)
            life.live(1, "charge off", 3, 0)
            for n, (act, size, late_days) in enumerate(
                [("pay", 30, 0), ("days", 3, 0), ("pay", 20, 40), ("wait", 9, 0), ("pay", 100, 5)]
            ):
                life.live(2 + n, act, size, late_days)
                assert operations.prove_books(session) == []
            life.live(9, "write off", 1, 0)
            life.live(10, "wait", 9, 0)
            assert session.get_one(Loan, life.loan_id).written_off_on is not None
            assert operations.prove_books(session) == []
            assert list(life.differences(every=3)) == []


_HALF_PAID_IN_ADVANCE = """\
2026-01-31 disbursement loan-principal 3000.00  funding-bank -3000.00
2026-02-28 interest     interest-receivable#1 45.00  interest-income#1 -45.00
2026-02-28 repayment    wechat-pay-clearing 1030.15  interest-receivable#1 -45.00  \
loan-principal#1 -985.15
2026-03-10 interest     interest-receivable#2 30.22  interest-income#2 -30.22
2026-03-10 repayment    wechat-pay-clearing 500.00  interest-receivable#2 -30.22  \
loan-principal#2 -469.78
2026-03-31 interest     interest-receivable#2 30.22  interest-income#2 -30.22
2026-03-31 interest     interest-income#2 30.22  interest-receivable#2 -30.22"""


class TestTheLedgerAsOfADay:
    @PATIENT
    @lives(25)
    @given(steps=STEPS, terms=st.integers(1, 8), sold=st.sampled_from(sorted(PRODUCTS)))
    def test_is_the_plan_of_the_day_as_known_on_any_other(
        self, steps: list[tuple[str, int, int]], terms: int, sold: str, request: Any
    ) -> None:
        make = request.getfixturevalue("book")
        with request.getfixturevalue("in_memory").write() as session:
            life = _lived(session, make, steps, sold, terms)
            assert next(life.differences(every=5), None) is None
            assert operations.prove_books(session) == []
            session.rollback()
