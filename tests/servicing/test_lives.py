"""Whatever happens to a loan in whatever order, the book stays true after every step.

Random lives of loans on a line: money early, late, too late, backdated and taken back; every change
of plan; freezes, charge-off, write-off, return of goods, closed months. After each step the books
are proven, and a second look at any day gives the first answer. What the pure engine promises by
itself is in engine/test_properties.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from agreeing import agree
from hypothesis import given
from hypothesis import strategies as st
from many import PATIENT, lives
from sqlalchemy import select

from kernel.database import Base, Database
from kernel.errors import FenqiError
from servicing import operations, queries, tables
from servicing.archive import kind_of
from servicing.caps import FUNDERS, OWN, actual_cost, cap_of
from servicing.engine.book import Kind, Record, RowKind, Status
from servicing.engine.cost import ROUNDING_TOLERANCE
from servicing.engine.events import (
    ChargeOffEffect,
    Event,
    ExtraTerms,
    PrincipalGrace,
    ReAgeInterest,
    SubsidyPayment,
)
from servicing.engine.parts import Component
from servicing.engine.payments import EventRefused
from servicing.engine.periods import Frequency, Unit
from servicing.engine.profile import Excess
from servicing.engine.quote import QuoteKind, quote
from servicing.engine.replay import in_force
from servicing.engine.state import LoanState
from servicing.engine.terms import EventFee, FeeEvent, FeeRule, FeeTier, Method
from servicing.products import STANDARD
from servicing.queries.history import read_events, terms_of
from servicing.queries.trial_balance import balances_at
from servicing.tables import AccountingPeriod, CreditLine, Instalment, Loan, PeriodBalance

START = date(2026, 1, 31)
FAR = date(2030, 1, 1)
CAP = cap_of(START, lender_type=FUNDERS[OWN]).rate_annual
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
# As dear as the cap lets a loan be, with a penalty on top.
DEAR = replace(STRICT, event_fees=_FEES)
FLAT = replace(STRICT, method=Method.FLAT_FEE, fee_rate=Decimal("0.011"))
WEEKLY = replace(DEAR, frequency=Frequency(unit=Unit.WEEKS), method=Method.EQUAL_PRINCIPAL)
PRODUCTS = {
    "standard": (STANDARD, Decimal("0.18")),
    "strict": (STRICT, Decimal("0.18")),
    "in parts": (PARTS, Decimal("0.15")),
    "level of the whole": (replace(PARTS, levels_whole_principal=True), Decimal("0.15")),
    "subsidised": (SUBSIDISED, Decimal(0)),
    "at the cap": (DEAR, CAP),
    "flat": (FLAT, Decimal(0)),
    "weekly": (WEEKLY, CAP),
    "interest first": (replace(STRICT, method=Method.INTEREST_FIRST), CAP),
    "bullet": (replace(STRICT, method=Method.BULLET), CAP),
}

# An act: session, maker, size and what every request says; it returns the number of its event.
Act = Callable[[Any, Any, int, dict[str, Any]], int]


def _by_loan(do: Callable[[Any, int, dict[str, Any]], Any]) -> Act:
    """Make an act of what needs no maker."""
    return lambda session, _make, n, by: int(do(session, n, by))


def _charge_instalments(session: Any, make: Any, fen: int, by: dict[str, Any]) -> int:
    """Let every instalment to come bear a fee for somebody else."""
    fee: dict[str, Any] = {"name": "管理费", "payee": "平台服务商", "amount_fen": fen}
    event = operations.instalment_fee(on=by["on"], **fee)
    disclosure_id = make.confirmed_change(session, by["loan_id"], event)
    return operations.charge_instalments(session, disclosure_id=disclosure_id, **fee, **by)


def _freeze(session: Any, n: int, by: dict[str, Any]) -> int:
    return operations.place_freeze(
        session,
        what=("interest", "penalty")[n % 2],
        first_on=by["on"] - timedelta(days=n),
        last_on=None if n % 3 == 0 else by["on"] + timedelta(days=n),
        reason="受灾",
        **by,
    )


def _money(by: dict[str, Any]) -> dict[str, Any]:
    """Say the same of money: its value date, and nobody who asked for it."""
    given = {key: by[key] for key in ("loan_id", "key", "now")}
    return given | {"value_date": by["on"]}


def _backdated(by: dict[str, Any], days: int) -> dict[str, Any]:
    return by | {"on": max(START, by["on"] - timedelta(days=days))}


# What can happen to a loan, with sizes that a number decides: small ones from 1 to 30, ...
SMALL: dict[str, Act] = {
    "due day": _by_loan(
        lambda session, n, by: agree(
            session, operations.due_day_change, operations.change_due_day, {"due_day": n}, by
        )
    ),
    "grace": _by_loan(
        lambda session, n, by: agree(
            session, operations.grace, operations.give_grace, {"periods": n % 3}, by
        )
    ),
    "holiday": _by_loan(
        lambda session, n, by: agree(
            session,
            operations.holiday,
            operations.give_holiday,
            {"periods": n % 3, "bears_interest": n % 2 == 0},
            by,
        )
    ),
    "reprice": _by_loan(
        lambda session, n, by: agree(
            session,
            operations.repricing,
            operations.reprice,
            {"rate_annual": Decimal(n) / 120, "from_on": by["on"] + timedelta(days=n % 3 - 1)},
            by,
        )
    ),
    "re-amortise": _by_loan(
        lambda session, _n, by: agree(
            session, operations.re_amortisation, operations.re_amortise, {}, by
        )
    ),
    "re-age": _by_loan(
        lambda session, n, by: agree(
            session,
            operations.re_ageing,
            operations.re_age,
            {
                "first_due_on": by["on"] + timedelta(days=n),
                "terms": 1 + n % 4,
                "interest": [None, *ReAgeInterest][n % 4],
            },
            by,
        )
    ),
    "extend": lambda session, make, n, by: make.extend(
        session, by["loan_id"], 1 + n % 3, **{key: by[key] for key in ("on", "key", "actor", "now")}
    ),
    "terminate": _by_loan(lambda session, _n, by: operations.terminate(session, **by)),
    "charge-off": _by_loan(
        lambda session, n, by: operations.charge_off(
            session, effect=list(ChargeOffEffect)[n % 3], **by
        )
    ),
    "write-off": _by_loan(lambda session, _n, by: operations.write_off(session, **by)),
    "recover": _by_loan(
        lambda session, n, by: operations.recover(session, amount_fen=n * 10_000, **by)
    ),
    "cancel": _by_loan(
        lambda session, n, by: operations.cancel_purchase(
            session, amount_fen=n * 10_000, bears_cost=n % 2 == 0, **by
        )
    ),
    "goodwill": _by_loan(
        lambda session, n, by: operations.give_goodwill(session, amount_fen=n * 1_000, **by)
    ),
    "charge-back": _by_loan(
        lambda session, n, by: operations.charge_back(
            session, seq=2 + n % 6, amount_fen=n * 1_000, **by
        )
    ),
    "refund": _by_loan(
        lambda session, n, by: operations.refund_credit(session, amount_fen=n * 500, **by)
    ),
    "freeze": _by_loan(_freeze),
    "due fee": _by_loan(
        lambda session, n, by: operations.charge(
            session, amount_fen=n * 30, due_on=by["on"], payee="平台服务商", name="服务费", **by
        )
    ),
    "late fee": _by_loan(
        lambda session, n, by: operations.charge(
            session, amount_fen=n * 10, due_on=max(START, by["on"] - timedelta(days=n)), **by
        )
    ),
    "instalment fee": _charge_instalments,
    "end drawing": _by_loan(lambda session, _n, by: operations.end_drawing(session, **by)),
    "subsidy": _by_loan(
        lambda session, n, by: operations.post_event(
            session,
            loan_id=by["loan_id"],
            event=SubsidyPayment(id="", on=by["on"], amount_fen=n * 100 - 300),
            key=by["key"],
            actor=by["actor"],
            now=by["now"],
        )
    ),
}
# ... and amounts in fen.
MONEY: dict[str, tuple[int, Act]] = {
    "pay": (
        150_000,
        _by_loan(
            lambda session, fen, by: operations.post_repayment(
                session, amount_fen=fen, **_money(by)
            )
        ),
    ),
    "backdate": (
        60_000,
        _by_loan(
            lambda session, fen, by: operations.post_repayment(
                session, amount_fen=fen, **_money(_backdated(by, 20))
            )
        ),
    ),
    "prepay": (
        250_000,
        _by_loan(
            lambda session, fen, by: operations.post_prepayment(
                session, amount_fen=fen, effect=list(Excess)[fen % 3], **_money(by)
            )
        ),
    ),
    "waive": (
        9_000,
        _by_loan(
            lambda session, fen, by: operations.waive(
                session, component=list(Component)[fen % 4], amount_fen=fen, **by
            )
        ),
    ),
    "charge": (
        2_000,
        _by_loan(
            lambda session, fen, by: operations.charge(
                session, amount_fen=fen, due_on=by["on"], **by
            )
        ),
    ),
    "draw": (
        120_000,
        lambda session, make, fen, by: make.draw(
            session, by["loan_id"], fen, **{key: by[key] for key in ("on", "key", "actor", "now")}
        ),
    ),
}
REVERSE = "reverse"
WAITS = {"wait": 45, "wait long": 130}
QUOTED = ("pay what is due", "settle")
LINE = ("raise", "cut", "freeze line", "unfreeze line")

# How large each step can be; what is likelier than others is there more than once.
SIZES: dict[str, int] = {
    **{name: most for name, (most, _) in MONEY.items()},
    **dict.fromkeys(SMALL, 30),
    **dict.fromkeys(LINE, 400_000),
    **dict.fromkeys((*QUOTED, REVERSE, "close month"), 100),
    **WAITS,
}
_LIKELY = ("pay", "backdate", "prepay", REVERSE, *4 * [*WAITS])
STEPS = st.lists(
    st.sampled_from([*SIZES, *_LIKELY]).flatmap(
        lambda name: st.tuples(st.just(name), st.integers(1, SIZES[name]))
    ),
    max_size=14,
)
_KEEP_TERM = (
    *("disbursement", "repayment", "waiver", "charge", "rate-change", "interest-pause"),
    *("penalty-pause", "instalment-fee", "moved-due-date", "goodwill-credit", "undrawn-lapse"),
    *("subsidy-payment", "extra-terms", "principal-grace"),
)


_BROUGHT = (Kind.REPAYMENT, Kind.PREPAYMENT, Kind.MERCHANT_REFUND, Kind.RECOVERY)
_TAKEN_BACK = (Kind.CREDIT_BALANCE_REFUND, Kind.CHARGE_BACK)


def _recognised(penalty_fen: int) -> dict[str, int]:
    return {"penalty-receivable": penalty_fen, "penalty-income": -penalty_fen}


def _added_terms(event: Event) -> int:
    if isinstance(event, ExtraTerms):
        return event.extra
    return event.periods if isinstance(event, PrincipalGrace) else 0


def _from_borrower(record: Record) -> int:
    """Say what came from the borrower, or from the seller in their place; less than 0 went back."""
    if record.is_reversed:
        return 0
    if record.kind in _BROUGHT:
        return record.amount_fen
    return -record.amount_fen if record.kind in _TAKEN_BACK else 0


@dataclass
class Life:
    """One loan that lives on a line, and what was seen of it."""

    session: Any
    make: Any
    loan_id: int
    line_id: int
    on: date = START
    told: list[tuple[dict[str, Any], LoanState]] = field(default_factory=list)
    closed: dict[date, dict[tuple[str, str], int]] = field(default_factory=dict)

    def live(self, n: int, step: str, size: int) -> None:
        """Let a step happen unless the loan refuses it."""
        self.make.now += timedelta(minutes=1)
        key = f"{self.loan_id}/{n}"
        with suppress(FenqiError), self.session.begin_nested():
            self._do(step, size, key)

    def _do(self, step: str, size: int, key: str) -> None:
        by = {"loan_id": self.loan_id, "key": key, "actor": "lin", "on": self.on}
        by["now"] = self.make.now
        if step in WAITS:
            self.on += timedelta(days=size)
            self.make.now += timedelta(days=size)
            operations.age_loans(self.session, on=self.on, now=self.make.now)
        elif step == "settle":
            self._settle(key)
        elif step == "pay what is due":
            self._pay_what_is_due(by)
        elif step == "close month":
            self._close_month()
        elif step in LINE:
            self._change_line(step, size)
        elif step == REVERSE:
            count = len(read_events(self.session, loan_id=self.loan_id))
            operations.reverse(self.session, seq=1 + size % count, **by)
        else:
            act = SMALL[step] if step in SMALL else MONEY[step][1]
            self._undone(step, size, act, by)
            act(self.session, self.make, size, by)

    def _undone(self, step: str, size: int, act: Act, by: dict[str, Any]) -> None:
        """Do a step and take it back: what was owed, by whom, and every account is what it was.

        Only what penalty ran until then is recognised by any event, and stays so.
        """
        before = self._standing()
        if before[0].status is Status.WRITTEN_OFF:
            return
        with self.session.begin_nested() as savepoint:
            seq = act(self.session, self.make, size, by)
            operations.reverse(self.session, seq=seq, **by | {"key": f"{by['key']}/undo"})
            state, accounts, line = self._standing()
            assert (state, line) == (before[0], before[2]), (step, size)
            grown = Counter(accounts)
            grown.subtract(before[1])
            ran = {name: fen for name, fen in grown.items() if fen}
            assert ran in ({}, _recognised(grown["penalty-receivable"])), (step, size, ran)
            assert operations.prove_books(self.session) == []
            savepoint.rollback()

    def _standing(self) -> tuple[Any, ...]:
        balances: Counter[str] = Counter()
        for entry in queries.entries_of(self.session, loan_id=self.loan_id):
            for leg in entry.postings:
                balances[leg.account] += leg.amount_fen
        line = self.session.get_one(CreditLine, self.line_id)
        return (
            replace(self.state(FAR), records=()),
            {name: fen for name, fen in balances.items() if fen},
            (line.granted_fen, line.utilised_fen, line.held_fen),
        )

    def state(self, on: date | None = None) -> LoanState:
        """Return the loan as of a day, today by default."""
        return queries.loan_as_of(self.session, loan_id=self.loan_id, on=on or self.on)

    def _settle(self, key: str) -> None:
        """What is quoted is what closes the loan, to the fen and within the cap."""
        owner = self.session.get_one(Loan, self.loan_id).customer_id
        asked = {"loan_id": self.loan_id, "customer_id": owner, "on": self.on}
        amount_fen = queries.settlement_quote(self.session, **asked).amount_fen
        assert amount_fen >= 0
        if not amount_fen:
            return
        paid = {"loan_id": self.loan_id, "amount_fen": amount_fen, "value_date": self.on}
        paid |= {"key": key, "now": self.make.now}
        try:
            try:
                with self.session.begin_nested():
                    operations.post_prepayment(self.session, **paid)
            except EventRefused:
                operations.post_repayment(self.session, **paid)
        except FenqiError as error:
            pytest.fail(f"what was quoted is refused: {error!r}")
        view = queries.loan_of(self.session, **asked)
        assert (view.state, view.remaining_fen) == ("closed", 0)

    def _pay_what_is_due(self, by: dict[str, Any]) -> None:
        """What is asked for by a day leaves nothing due."""
        loan = self.session.get_one(Loan, self.loan_id)
        events = read_events(self.session, loan_id=self.loan_id)
        due_fen = quote(terms_of(loan), events, self.on, QuoteKind.DUE).total_fen
        assert due_fen == self.state().due_now.total_fen
        if due_fen:
            operations.post_repayment(self.session, amount_fen=due_fen, **_money(by))
            assert self.state().due_now.total_fen == 0

    def _close_month(self) -> None:
        """Close the month before: whether the world is ready for it is tested elsewhere."""
        last = self.on.replace(day=1) - timedelta(days=1)
        if last <= max(self.closed, default=START):
            return
        self.session.info.clear()
        month = f"{last:%Y-%m}"
        found = balances_at(self.session, on=last)
        self.session.add(
            AccountingPeriod(month=month, last_day=last, closed_at=self.make.now, closed_by="wu")
        )
        self.session.flush()
        self.session.add_all(
            PeriodBalance(month=month, creditor=creditor, account=account, balance_fen=fen)
            for (creditor, account), fen in found.items()
        )
        self.closed[last] = found

    def _change_line(self, step: str, size: int) -> None:
        by = {"line_id": self.line_id, "now": self.make.now}
        if step == "freeze line":
            operations.freeze_line(self.session, reason="overdue", **by)
        elif step == "unfreeze line":
            for each in self.session.scalars(select(tables.LineFreeze.id)).all():
                operations.lift_line_freeze(self.session, freeze_id=each, by="lin", now=by["now"])
        else:
            granted = self.session.get_one(CreditLine, self.line_id).granted_fen
            change = size if step == "raise" else -size
            operations.change_granted(self.session, granted_fen=granted + change, actor="lin", **by)

    def check(self) -> None:
        """Hold everything that must be true of a loan at any time against the book."""
        assert operations.prove_books(self.session) == []
        state = self.state()
        self._check_dues()
        self._check_line(state)
        self._check_term(state)
        for last, found in self.closed.items():
            assert balances_at(self.session, on=last) == found
        self._check_cost(state)
        self.told += self._asked(state)

    def _check_cost(self, state: LoanState) -> None:
        """However it was paid, a loan that owes nothing cost no more than the cap."""
        if state.outstanding.total_fen:
            return
        kinds = {record.kind for record in state.records if not record.is_reversed}
        if not state.overpaid_fen and not kinds.intersection(_TAKEN_BACK):
            assert actual_cost(state).nominal <= CAP + ROUNDING_TOLERANCE
            return
        # While we keep what was paid too much, flows have no rate.
        moved = sum(_from_borrower(record) for record in state.records)
        lent = sum(fen for _, fen in state.disbursed)
        days = (self.on - START).days
        assert moved - state.overpaid_fen - lent <= lent * (CAP + ROUNDING_TOLERANCE) * days / 360

    def _check_dues(self) -> None:
        rows = self.session.scalars(select(Instalment).where(Instalment.loan_id == self.loan_id))
        for row in rows.all():
            for part in (component.value for component in Component):
                paid, waived = (getattr(row, f"{verb}_{part}_fen") for verb in ("paid", "waived"))
                assert min(paid, waived) >= 0
                assert paid + waived <= getattr(row, f"{part}_fen")
            assert 0 <= row.to_others_fen <= row.fee_fen
        assert self.session.get_one(Loan, self.loan_id).credit_fen >= 0

    def _check_line(self, state: LoanState) -> None:
        """What is granted is what is used, what is held, and what is left."""
        line = self.session.get_one(CreditLine, self.line_id)
        assert line.utilised_fen == state.outstanding.principal_fen
        assert line.held_fen == state.undrawn_fen
        (view,) = queries.lines_of(self.session, customer_id=line.customer_id)
        left = line.granted_fen - line.utilised_fen - line.held_fen
        assert view.available_fen == (max(0, left) if line.state == "active" else 0)

    def _check_term(self, state: LoanState) -> None:
        """The term is what was promised, and longer only by what was agreed."""
        loan = self.session.get_one(Loan, self.loan_id)
        events = in_force(read_events(self.session, loan_id=self.loan_id))
        if not all(kind_of(event) in _KEEP_TERM for event in events):
            return
        rows = [row for row in state.rows if row.kind is RowKind.NORMAL]
        added = sum(_added_terms(event) for event in events)
        # An extension moves the one due date of a bullet loan.
        is_bullet = terms_of(loan).method is Method.BULLET
        assert len(rows) in (range(1, 2 + added) if is_bullet else [loan.terms + added])

    def _asked(self, state: LoanState) -> Iterator[tuple[dict[str, Any], LoanState]]:
        """Ask what is owed today, and what was owed on an earlier day, as it is known now."""
        known = {"loan_id": self.loan_id, "known_at": self.make.now}
        yield {**known, "on": self.on}, state
        for asked in ({**known, "on": self.on - timedelta(days=days)} for days in (17, 40)):
            if asked["on"] >= START:
                yield asked, queries.loan_as_of(self.session, **asked)


class TestAnyLife:
    @PATIENT
    @lives(60)
    @given(steps=STEPS, terms=st.integers(1, 8), sold=st.sampled_from(sorted(PRODUCTS)))
    def test_is_true_after_every_step_and_undone_whole(
        self, steps: list[tuple[str, int]], terms: int, sold: str, request: Any
    ) -> None:
        assert live(request.getfixturevalue("in_memory"), request, steps, terms, sold)

    @PATIENT
    @pytest.mark.parametrize("database", ["postgresql"], indirect=True)
    @lives(6)
    @given(steps=STEPS, terms=st.integers(1, 8), sold=st.sampled_from(sorted(PRODUCTS)))
    def test_is_as_true_in_production_s_database(
        self, database: Database, steps: list[tuple[str, int]], terms: int, sold: str, request: Any
    ) -> None:
        assert live(database, request, steps, terms, sold)


def live(
    database: Database, request: Any, steps: list[tuple[str, int]], terms: int, sold: str
) -> int:
    """Live a life, check it after every step, and at the end all that was said of it before.

    Returns how many answers held.
    """
    make = request.getfixturevalue("book")
    make.now = datetime.combine(START, time(2), tzinfo=UTC)
    offered, rate = PRODUCTS[sold]
    with database.write() as session:
        loan_id, line_id = make.loan_on_line(
            session, terms=terms, product=offered, rate_annual=rate
        )
        life = Life(session, make, loan_id, line_id)
        for n, (step, size) in enumerate(steps):
            life.live(n, step, size)
            life.check()
        life.live(len(steps), "settle", 0)
        life.check()
        for asked, answer in life.told:
            assert queries.loan_as_of(session, **asked) == answer
        session.rollback()
    return len(life.told)


@pytest.fixture
def in_memory() -> Any:
    """One SQLite database for all examples of a property."""
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
