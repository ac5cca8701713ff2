"""The proof of the books finds every kind of tampering, and random lives keep them true."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from agreeing import agree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kernel.crypto import FieldCipher
from kernel.database import Base, Database
from kernel.errors import FenqiError
from servicing import operations, queries
from servicing.engine.book import Status
from servicing.engine.events import ChargeOffEffect, ReAgeInterest, SubsidyPayment
from servicing.engine.parts import Component
from servicing.engine.terms import EventFee, FeeEvent, FeeRule, FeeTier
from servicing.operations import PaymentTooLarge
from servicing.products import STANDARD
from servicing.tables import Loan

STRICT = replace(STANDARD, penalty_multiplier=Decimal("1.5"))
_FEES = tuple(
    EventFee(
        name="变更服务费",
        event=event,
        tiers=(FeeTier(amount_fen=900), FeeTier(from_paid=2, share=Decimal("0.01"))),
        payee=payee,
    )
    for event, payee in product(FeeEvent, ("本公司", "平台服务商"))
)
# Drawn in parts, subsidised by the merchant, with fees of the lender's and of others.
PARTS = replace(
    STRICT,
    tranches=3,
    draw_within_days=100,
    subsidy_rate_annual=Decimal("0.06"),
    fees=(FeeRule(name="保险费", share=Decimal("0.001"), payee="安心保险"),),
    event_fees=_FEES,
)
# Free for the borrower: the merchant pays.
SUBSIDISED = replace(STANDARD, rate_annual=Decimal(0), subsidy_rate_annual=Decimal("0.12"))
PRODUCTS = {
    "standard": (STANDARD, Decimal("0.18")),
    "strict": (STRICT, Decimal("0.18")),
    "in parts": (PARTS, Decimal("0.15")),
    "subsidised": (SUBSIDISED, Decimal(0)),
}

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
    ("UPDATE credit_line SET utilised_fen = utilised_fen + 1", "line 1 has drawn"),
    ("UPDATE instalment SET due_on = '2026-03-30' WHERE n = 2", "events of loan 1, instalment 2"),
    ("DELETE FROM instalment WHERE n = 3", "loan 1 has 2 instalments"),
    ("DELETE FROM loan_event WHERE seq = 2", "events of loan 1"),
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


# What else can happen to a loan, with sizes that a number from 1 to 30 decides.
OPERATIONS: dict[str, Callable[[Any, int, dict[str, Any]], Any]] = {
    "due day": lambda session, n, by: agree(
        session, operations.due_day_change, operations.change_due_day, {"due_day": n}, by
    ),
    "grace": lambda session, n, by: agree(
        session, operations.grace, operations.give_grace, {"periods": n % 3}, by
    ),
    "holiday": lambda session, n, by: agree(
        session,
        operations.holiday,
        operations.give_holiday,
        {"periods": n % 3, "bears_interest": n % 2 == 0},
        by,
    ),
    "reprice": lambda session, n, by: agree(
        session,
        operations.repricing,
        operations.reprice,
        {"rate_annual": Decimal(n) / 120, "from_on": by["on"] + timedelta(days=n % 3 - 1)},
        by,
    ),
    "re-amortise": lambda session, _n, by: agree(
        session, operations.re_amortisation, operations.re_amortise, {}, by
    ),
    "re-age": lambda session, n, by: agree(
        session,
        operations.re_ageing,
        operations.re_age,
        {
            "first_due_on": by["on"] + timedelta(days=n),
            "terms": 1 + n % 4,
            "interest": [None, *ReAgeInterest][n % 4],
        },
        by,
    ),
    "terminate": lambda session, _n, by: operations.terminate(session, **by),
    "charge-off": lambda session, n, by: operations.charge_off(
        session, effect=list(ChargeOffEffect)[n % 3], **by
    ),
    "write-off": lambda session, _n, by: operations.write_off(session, **by),
    "recover": lambda session, n, by: operations.recover(session, amount_fen=n * 100, **by),
    "cancel": lambda session, n, by: operations.cancel_purchase(
        session, amount_fen=n * 10_000, bears_cost=n % 2 == 0, **by
    ),
    "goodwill": lambda session, n, by: operations.give_goodwill(
        session, amount_fen=n * 1_000, **by
    ),
    "charge-back": lambda session, n, by: operations.charge_back(
        session, seq=n % 8, amount_fen=n * 1_000, **by
    ),
    "refund": lambda session, n, by: operations.refund_credit(session, amount_fen=n * 500, **by),
    "pause": lambda session, n, by: operations.pause_interest(
        session, first_on=by["on"] - timedelta(days=n), last_on=by["on"] + timedelta(days=n), **by
    ),
    "due fee": lambda session, n, by: operations.charge(
        session, amount_fen=n * 30, due_on=by["on"], payee="平台服务商", name="服务费", **by
    ),
    "end drawing": lambda session, _n, by: operations.end_drawing(session, **by),
    "subsidy": lambda session, n, by: operations.post_event(
        session,
        loan_id=by["loan_id"],
        event=SubsidyPayment(id="", on=by["on"], amount_fen=n * 100 - 300),
        key=by["key"],
        actor=by["actor"],
        now=by["now"],
    ),
    "pause penalty": lambda session, n, by: operations.pause_penalty(
        session, first_on=by["on"] - timedelta(days=n), last_on=None, **by
    ),
}
_ANYTHING = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(1, 150_000)),
        st.tuples(st.just("prepay"), st.integers(1, 250_000)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.just("backdate"), st.integers(1, 60_000)),
        st.tuples(st.just("close"), st.integers(1, 45)),
        st.tuples(st.just("waive"), st.integers(1, 9_000)),
        st.tuples(st.just("charge"), st.integers(1, 2_000)),
        st.tuples(st.just("extend"), st.integers(1, 3)),
        st.tuples(st.just("draw"), st.integers(1, 120_000)),
        st.tuples(st.just("instalment fee"), st.integers(1, 90)),
        st.tuples(st.just("reverse"), st.integers(2, 9)),
        st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(1, 30)),
    ),
    max_size=10,
)


class TestAnyLife:
    @PATIENT
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=_ANYTHING, terms=st.integers(1, 8), sold=st.sampled_from(sorted(PRODUCTS)))
    def test_is_proven_after_every_step_and_undone_whole(
        self, steps: list[tuple[str, int]], terms: int, sold: str, request: Any
    ) -> None:
        database = request.getfixturevalue("in_memory")
        make = request.getfixturevalue("book")
        on = date(2026, 1, 31)
        with database.write() as session:
            product, rate = PRODUCTS[sold]
            loan_id, _ = make.loan_on_line(session, terms=terms, product=product, rate_annual=rate)
            told: list[tuple[dict[str, Any], Any]] = []
            for n, (step, size) in enumerate(steps):
                make.now += timedelta(minutes=1)
                if step == "close":
                    on += timedelta(days=size)
                    operations.age_loans(session, on=on, now=make.now)
                else:
                    _try(session, make, loan_id, step, size, on=on, key=f"{loan_id}/{n}")
                assert operations.prove_books(session) == [], (n, step, size)
                asked = {"loan_id": loan_id, "on": on, "known_at": make.now}
                told.append((asked, queries.loan_as_of(session, **asked)))
            for asked, answer in told:
                assert queries.loan_as_of(session, **asked) == answer
            session.rollback()


def _try(
    session: Any, make: Any, loan_id: int, step: str, size: int, *, on: date, key: str
) -> None:
    """Do a step unless the loan refuses it; undo what is undone to what was."""
    given: dict[str, Any] = {"key": key, "actor": "lin", "on": on, "now": make.now}
    money: dict[str, Any] = {"loan_id": loan_id, "key": key, "now": make.now}
    try:
        with session.begin_nested():
            if step in ("pay", "backdate"):
                day = on if step == "pay" else max(date(2026, 1, 31), on - timedelta(days=20))
                _undoing(session, make, loan_id, size, day, key)
            elif step == "prepay":
                operations.post_prepayment(session, amount_fen=size, value_date=on, **money)
            elif step == "settle":
                _settle(session, loan_id, on, money)
            elif step == "reverse":
                operations.reverse(session, loan_id=loan_id, seq=size, **given)
            elif step == "waive":
                operations.waive(
                    session,
                    loan_id=loan_id,
                    component=Component.INTEREST,
                    amount_fen=size,
                    **given,
                )
            elif step == "charge":
                operations.charge(session, loan_id=loan_id, amount_fen=size, due_on=on, **given)
            elif step in OPERATIONS:
                by = {"loan_id": loan_id, **given}
                _undone(session, step, size, by)
                OPERATIONS[step](session, size, by)
            else:
                CONFIRMED[step](session, make, loan_id, size, given)
    except FenqiError:
        return


def _charge_instalments(
    session: Any, make: Any, loan_id: int, fen: int, given: dict[str, Any]
) -> None:
    """Let every instalment to come bear a fee for somebody else."""
    fee: dict[str, Any] = {"name": "管理费", "payee": "平台服务商", "amount_fen": fen}
    event = operations.instalment_fee(on=given["on"], **fee)
    disclosure_id = make.confirmed_change(session, loan_id, event)
    operations.charge_instalments(
        session, loan_id=loan_id, disclosure_id=disclosure_id, **fee, **given
    )


# What happens only once its cost table is confirmed.
CONFIRMED: dict[str, Callable[[Any, Any, int, int, dict[str, Any]], Any]] = {
    "extend": lambda session, make, loan_id, size, given: make.extend(
        session, loan_id, size, **given
    ),
    "draw": lambda session, make, loan_id, size, given: make.draw(session, loan_id, size, **given),
    "instalment fee": _charge_instalments,
}


def _undoing(session: Any, make: Any, loan_id: int, fen: int, day: date, key: str) -> None:
    """Pay, take it back with what the cap took off for it, compare, and pay for good."""
    before = queries.loan_as_of(session, loan_id=loan_id, on=date(2030, 1, 1))
    seq = make.repay(session, loan_id, fen, key=f"{key}/first", on=day)
    undo: dict[str, Any] = {"actor": "lin", "on": day, "now": make.now}
    operations.reverse(session, loan_id=loan_id, seq=seq, key=f"{key}/undo", **undo)
    after = queries.loan_as_of(session, loan_id=loan_id, on=date(2030, 1, 1))
    assert (after.rows, after.overpaid_fen) == (before.rows, before.overpaid_fen)
    make.repay(session, loan_id, fen, key=key, on=day)


def _undone(session: Any, step: str, size: int, by: dict[str, Any]) -> None:
    """Do a step and take it back: what was owed, by whom, and every account is what it was."""
    before = _standing(session, by["loan_id"])
    with session.begin_nested() as savepoint:
        seq = OPERATIONS[step](session, size, by)
        undo = by | {"key": f"{by['key']}/undo"}
        if before[0].status is not Status.WRITTEN_OFF:
            operations.reverse(session, seq=seq, **undo)
            assert _standing(session, by["loan_id"]) == before, (step, size)
            assert operations.prove_books(session) == []
        savepoint.rollback()


def _standing(session: Any, loan_id: int) -> tuple[Any, ...]:
    state = queries.loan_as_of(session, loan_id=loan_id, on=date(2030, 1, 1))
    balances: Counter[str] = Counter()
    for entry in queries.entries_of(session, loan_id=loan_id):
        for leg in entry.postings:
            balances[leg.account] += leg.amount_fen
    return replace(state, records=()), {name: fen for name, fen in balances.items() if fen}


def _settle(session: Any, loan_id: int, on: date, money: dict[str, Any]) -> None:
    """What is quoted is what closes the loan."""
    customer_id = _newest_customer(session)
    quote = queries.settlement_quote(session, loan_id=loan_id, customer_id=customer_id, on=on)
    operations.post_prepayment(session, amount_fen=quote.amount_fen, value_date=on, **money)
    view = queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)
    assert (view.state, view.remaining_fen) == ("closed", 0)


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
