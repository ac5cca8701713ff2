"""Lines are raised, cut, renewed, expire and are drawn on: the figures always add up."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from verdicts import Verdict

from kernel.clock import start_of_day
from kernel.database import Database
from kernel.errors import FenqiError
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.operations import LineChangeRefused, LineNotDrawable
from servicing.operations.line_days import is_drawable
from servicing.operations.line_freezes import LineFreezeNotFound, LineFreezeRefused
from servicing.operations.lines import raise_line
from servicing.products import STANDARD
from servicing.tables import Application, CreditLine, Instalment, Loan

ON = date(2026, 3, 10)


def a_line(session: Any, book: Any, granted_fen: int = 800_000) -> tuple[int, int]:
    customer_id = book.customer(session)
    line_id = operations.open_line(
        session, customer_id=customer_id, funder="own", granted_fen=granted_fen, now=book.now
    )
    return customer_id, line_id


def view(session: Any, customer_id: int) -> queries.LineView:
    (line,) = queries.lines_of(session, customer_id=customer_id)
    return line


def change(session: Any, book: Any, line_id: int, granted_fen: int) -> int:
    return operations.change_granted(
        session, line_id=line_id, granted_fen=granted_fen, actor="lin", now=book.now
    )


def renew(session: Any, book: Any, line_id: int, until: date, on: date = ON) -> int:
    return operations.renew_line(
        session, line_id=line_id, expires_on=until, actor="lin", on=on, now=book.now
    )


def undo(session: Any, book: Any, line_id: int, change_id: int) -> int:
    return operations.undo_line_change(
        session, change_id=change_id, line_id=line_id, actor="lin", now=book.now
    )


def freeze(session: Any, book: Any, line_id: int, **given: Any) -> int:
    values = {"reason": "fraud", "first_on": ON, "last_on": None, "by": "lin", "now": book.now}
    return operations.place_line_freeze(session, line_id=line_id, **values | given)


def lift(session: Any, book: Any, freeze_id: int) -> bool:
    return operations.lift_line_freeze(session, freeze_id=freeze_id, by="wang", now=book.now)


def turn(session: Any, book: Any, on: date) -> int:
    """Let a day come, and lines follow it."""
    book.now = start_of_day(on) + timedelta(minutes=10)
    return operations.turn_lines(session, now=book.now)


def buy(session: Any, book: Any, customer_id: int, fen: int, key: str) -> int:
    """Apply for a purchase and have it approved: the amount is held, if there is so much."""
    application_id = operations.submit_application(
        session,
        customer_id=customer_id,
        merchant_name="宏达手机卖场",
        merchandise="手机",
        amount_fen=fen,
        terms=6,
        channel="shop_qr",
        attributes={},
        key=key,
        now=book.now,
    )
    operations.decide_application(
        session, application_id=application_id, decision=Verdict(), now=book.now
    )
    return application_id


def draw(session: Any, book: Any, customer_id: int, application_id: int, fen: int) -> int:
    terms = book.terms(
        session,
        customer_id=customer_id,
        disbursed_on=ON,
        terms=6,
        principal_fen=fen,
        rate_annual=STANDARD.rate_annual,
    )
    return operations.book_application(
        session,
        application_id=application_id,
        disclosure_id=book.confirmed(session, terms),
        key=f"draw/{application_id}",
        disbursed_on=ON,
        now=book.now,
    )


class TestChangeGranted:
    def test_a_cut_below_what_is_used_leaves_nothing_available(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            draw(session, book, customer_id, buy(session, book, customer_id, 300_000, "a"), 300_000)
            change(session, book, line_id, 100_000)
            line = view(session, customer_id)
            assert (line.granted_fen, line.utilised_fen, line.available_fen) == (
                100_000,
                300_000,
                0,
            )
            undo(session, book, line_id, 1)
            assert view(session, customer_id).available_fen == 500_000
            assert operations.prove_books(session) == []

    def test_only_the_last_change_that_stands_is_undone(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            first = change(session, book, line_id, 700_000)
            second = change(session, book, line_id, 900_000)
            with pytest.raises(LineChangeRefused):
                undo(session, book, line_id, first)
            undo(session, book, line_id, second)
            with pytest.raises(LineChangeRefused):
                undo(session, book, line_id, second)
            undo(session, book, line_id, first)
            assert view(session, customer_id).granted_fen == 800_000
            kinds = [row.kind for row in queries.line_changes(session, line_id=line_id)]
            assert kinds == ["undo", "undo", "raise", "cut"]

    @pytest.mark.parametrize("granted_fen", [800_000, -1])
    def test_something_changes(self, database: Database, book: Any, granted_fen: int) -> None:
        with database.write() as session:
            _, line_id = a_line(session, book)
            with pytest.raises(LineChangeRefused):
                change(session, book, line_id, granted_fen)


class TestExpiry:
    def test_a_line_is_drawn_on_its_last_day_and_not_after_until_renewed(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            renew(session, book, line_id, ON)
            assert turn(session, book, ON) == 0
            after = ON + timedelta(days=1)
            assert turn(session, book, after) == 1
            assert turn(session, book, after) == 0
            line = view(session, customer_id)
            assert (line.state, line.available_fen) == ("closed", 0)
            with pytest.raises(LineChangeRefused):
                renew(session, book, line_id, ON, on=after)
            renewed = renew(session, book, line_id, date(2027, 3, 10), on=after)
            assert view(session, customer_id).available_fen == 800_000
            undo(session, book, line_id, renewed)
            assert view(session, customer_id).state == "closed"

    def test_a_frozen_line_stays_frozen(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            operations.freeze_line(session, line_id=line_id, reason="fraud", now=book.now)
            renew(session, book, line_id, date(2027, 3, 10))
            assert view(session, customer_id).state == "frozen"

    def test_a_hold_that_nobody_drew_ends(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id, _ = a_line(session, book)
            buy(session, book, customer_id, 300_000, "a")
            assert view(session, customer_id).available_fen == 500_000
            soon, later = (book.now + timedelta(days=days) for days in (30, 31))
            assert operations.expire_holds(session, now=soon) == 0
            assert operations.expire_holds(session, now=later) == 1
            assert view(session, customer_id).available_fen == 800_000


class TestFreezes:
    """Days on which nobody draws: inclusive, overlapping, each with its own end."""

    def test_hold_from_the_first_day_to_the_last(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            days = {"first_on": ON + timedelta(days=2), "last_on": ON + timedelta(days=4)}
            freeze(session, book, line_id, **days)
            states = []
            for after in range(1, 6):
                turn(session, book, ON + timedelta(days=after))
                states.append(view(session, customer_id).available_fen)
            assert states == [800_000, 0, 0, 0, 800_000]
            events = session.scalars(select(OutboxRow.event)).all()
            assert events.count("LineFrozen") == 1

    def test_that_overlap_end_in_any_order(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            placed = [
                freeze(session, book, line_id, reason=reason) for reason in ("fraud", "legal")
            ]
            operations.freeze_line(session, line_id=line_id, reason="grade", now=book.now)
            assert not operations.freeze_line(
                session, line_id=line_id, reason="grade", now=book.now
            )
            (*_, third) = [one.id for one in view(session, customer_id).freezes]
            seen = []
            for freeze_id in (placed[1], third, placed[0]):
                assert lift(session, book, freeze_id)
                line = view(session, customer_id)
                seen.append((line.state, line.frozen_reason, len(line.freezes)))
            assert seen == [("frozen", "fraud", 2), ("frozen", "fraud", 1), ("active", None, 0)]
            assert not lift(session, book, third)

    def test_of_a_line_that_is_over_leave_it_closed_and_renewed_frozen(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            renew(session, book, line_id, ON)
            fraud = freeze(session, book, line_id)
            after = ON + timedelta(days=1)
            turn(session, book, after)
            lift(session, book, fraud)
            assert view(session, customer_id).state == "closed"
            operations.freeze_line(session, line_id=line_id, reason="overdue", now=book.now)
            renew(session, book, line_id, date(2027, 3, 10), on=after)
            assert view(session, customer_id).state == "frozen"

    def test_keep_what_is_held_from_being_drawn_before_any_job_ran(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            application_id = buy(session, book, customer_id, 300_000, "a")
            freeze(session, book, line_id, first_on=ON + timedelta(days=1))
            line = session.get_one(CreditLine, line_id)
            assert is_drawable(session, line, on=ON)
            assert not is_drawable(session, line, on=ON + timedelta(days=1))
            turn(session, book, ON + timedelta(days=1))
            with pytest.raises(LineNotDrawable):
                draw(session, book, customer_id, application_id, 300_000)
            assert (view(session, customer_id).held_fen, line.state) == (300_000, "frozen")

    @pytest.mark.parametrize(("first", "last"), [(-1, None), (2, 1)])
    def test_make_sense(self, database: Database, book: Any, first: int, last: int | None) -> None:
        with database.write() as session:
            _, line_id = a_line(session, book)
            last_on = None if last is None else ON + timedelta(days=last)
            with pytest.raises(LineFreezeRefused):
                freeze(session, book, line_id, first_on=ON + timedelta(days=first), last_on=last_on)
            with pytest.raises(LineFreezeNotFound):
                lift(session, book, 404)


class TestMachineRaise:
    def test_is_a_change_so_that_an_earlier_one_is_not_undone_past_it(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            cut = change(session, book, line_id, 500_000)
            line = session.get_one(CreditLine, line_id)
            assert raise_line(session, line, granted_fen=900_000, now=book.now)
            with pytest.raises(LineChangeRefused):
                undo(session, book, line_id, cut)
            assert view(session, customer_id).granted_fen == 900_000
            (last, _) = queries.line_changes(session, line_id=line_id)
            assert (last.kind, last.granted_before_fen, last.actor) == ("raise", 500_000, "machine")


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["buy", "draw", "cancel", "repay", "reverse", "grant", "renew", "expire", "undo",
             "freeze", "unfreeze"]
        ),
        st.integers(100_000, 500_000),
    ),
    max_size=14,
)  # fmt: skip


class TestIdentity:
    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(steps=_STEPS)
    def test_holds_after_every_event_and_undo(
        self, database: Database, book: Any, steps: Any
    ) -> None:
        with database.write() as session:
            customer_id, line_id = a_line(session, book)
            line = Line(session, book, customer_id, line_id)
            for index, (step, fen) in enumerate(steps):
                with suppress(FenqiError), session.begin_nested():
                    getattr(line, step)(fen, f"{line_id}/{index}")
                check(session, customer_id, line_id)
            assert operations.prove_books(session) == []


@dataclass
class Line:
    """A line and what may happen to it; an amount in fen says how much, or how many days."""

    session: Any
    book: Any
    customer_id: int
    line_id: int

    def approved(self) -> Any:
        return self.session.scalars(
            select(Application).where(
                Application.customer_id == self.customer_id, Application.state == "approved"
            )
        ).first()

    def loan_id(self) -> int:
        query = select(func.max(Loan.id)).where(Loan.line_id == self.line_id)
        return self.session.scalar(query) or 0

    def buy(self, fen: int, key: str) -> None:
        buy(self.session, self.book, self.customer_id, fen, key)

    def draw(self, _fen: int, _key: str) -> None:
        if found := self.approved():
            draw(self.session, self.book, self.customer_id, found.id, found.amount_fen)

    def cancel(self, _fen: int, _key: str) -> None:
        if found := self.approved():
            operations.cancel_application(self.session, application_id=found.id, now=self.book.now)

    def repay(self, fen: int, key: str) -> None:
        self.book.repay(self.session, self.loan_id(), min(fen, 60_000), key=key, on=ON)

    def reverse(self, _fen: int, key: str) -> None:
        events = queries.loan_events(self.session, loan_id=self.loan_id())
        by = {"on": ON, "key": key, "actor": "lin", "now": self.book.now}
        operations.reverse(self.session, loan_id=self.loan_id(), seq=len(events), **by)

    def grant(self, fen: int, _key: str) -> None:
        change(self.session, self.book, self.line_id, fen)

    def renew(self, fen: int, _key: str) -> None:
        renew(self.session, self.book, self.line_id, ON + timedelta(days=fen % 30))

    def expire(self, fen: int, _key: str) -> None:
        later = self.book.now + timedelta(days=fen % 30)
        operations.turn_lines(self.session, now=later)

    def undo(self, _fen: int, _key: str) -> None:
        changes = queries.line_changes(self.session, line_id=self.line_id)
        for last in [row.id for row in changes if row.can_undo]:
            undo(self.session, self.book, self.line_id, last)

    def freeze(self, fen: int, _key: str) -> None:
        first_on = ON + timedelta(days=fen % 3)
        last_on = first_on + timedelta(days=fen % 5) if fen % 2 else None
        freeze(self.session, self.book, self.line_id, first_on=first_on, last_on=last_on)

    def unfreeze(self, fen: int, _key: str) -> None:
        placed = view(self.session, self.customer_id).freezes
        if placed:
            lift(self.session, self.book, placed[fen % len(placed)].id)


def check(session: Any, customer_id: int, line_id: int) -> None:
    """Granted, held, drawn and free are what applications, loans and changes say."""
    line = view(session, customer_id)
    row = session.get_one(CreditLine, line_id)
    held = session.scalar(
        select(func.sum(Application.amount_fen)).where(
            Application.customer_id == customer_id, Application.state == "approved"
        )
    )
    drawn = session.scalar(
        select(func.sum(Instalment.open_principal_fen))
        .join(Loan, Loan.id == Instalment.loan_id)
        .where(Loan.line_id == line_id)
    )
    changes = queries.line_changes(session, line_id=line_id)
    granted = changes[0].granted_after_fen if changes else 800_000
    assert (row.held_fen, row.utilised_fen, row.granted_fen) == (held or 0, drawn or 0, granted)
    free = max(0, line.granted_fen - line.held_fen - line.utilised_fen)
    assert line.available_fen == (free if line.state == "active" else 0)
