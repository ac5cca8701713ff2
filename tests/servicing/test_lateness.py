"""What lateness is called, on which day, on every level: data, marks and history."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import clock
from kernel.database import Database
from kernel.runtime import Runtime
from servicing import lateness, operations, queries
from servicing.demo.book import seed_demo
from servicing.lateness import Called, Floor, floor_on, passed, rules_on
from servicing.operations import ClassRefused, LoanNotClassed
from servicing.operations.classing import MarkNotFound, mark_restructured
from servicing.tables import Loan

ON = date(2026, 3, 10)
RULES = rules_on(ON)


class TestRules:
    @pytest.mark.parametrize(
        ("days", "name"),
        [(0, "M0"), (1, "M1"), (30, "M1"), (31, "M2"), (60, "M2"), (151, "M6"), (180, "M6"),
         (181, "M6+"), (900, "M6+")],
    )  # fmt: skip
    def test_name_the_bucket_of_a_day(self, days: int, name: str) -> None:
        assert RULES.bucket(days) == name

    @pytest.mark.parametrize(
        ("days", "name"),
        [(0, "normal"), (1, "special-mention"), (90, "special-mention"), (91, "substandard"),
         (270, "substandard"), (271, "doubtful"), (360, "doubtful"), (361, "loss")],
    )  # fmt: skip
    def test_class_by_days(self, days: int, name: str) -> None:
        assert RULES.five_class(days) == name

    @pytest.mark.parametrize(
        ("days", "floor", "name", "stage"),
        [
            (0, "special-mention", "special-mention", 2),
            (5, "loss", "loss", 3),
            (95, "special-mention", "substandard", 3),
            (30, None, "special-mention", 1),
            (31, None, "special-mention", 2),
            (91, None, "substandard", 3),
        ],
    )
    def test_let_the_worst_count(self, days: int, floor: str | None, name: str, stage: int) -> None:
        assert RULES.names(days, floor)[1:] == (name, stage)

    @pytest.mark.parametrize(
        ("bucket", "bounds"), [("M0", (0, 0)), ("M2", (31, 60)), ("M6+", (181, None))]
    )
    def test_know_the_bounds_of_a_bucket(self, bucket: str, bounds: tuple[int, int | None]) -> None:
        assert RULES.bounds(bucket) == bounds

    def test_are_those_of_their_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sooner = {
            "code": "classes",
            "value": {"normal": 0, "special-mention": 1, "loss": 61},
            "effective_from": date(2026, 6, 1),
        }
        rows = (*lateness._rows(), sooner)
        for kept in (lateness._starts, lateness._rules_since):
            kept.cache_clear()
        monkeypatch.setattr(lateness, "_rows", lambda: rows)
        try:
            named = [rules_on(date(2026, month, 1)).five_class(70) for month in (5, 6)]
        finally:
            for kept in (lateness._starts, lateness._rules_since):
                kept.cache_clear()
        assert named == ["special-mention", "loss"]

    def test_are_not_guessed_for_days_before_them(self) -> None:
        with pytest.raises(LookupError):
            rules_on(date(2001, 1, 1))

    def test_the_first_name_what_is_looked_at_of_days_before_them(self) -> None:
        assert lateness.rules_as_of(date(2001, 1, 1)) == rules_on(date(2015, 1, 1))
        assert lateness.rules_as_of(ON) == RULES

    def test_say_where_they_come_from(self) -> None:
        for row in lateness._rows():
            assert row["citation"]
            assert row["owner"]
            assert row["how_read"] in {"full", "press", "none"}


class TestBureauMarks:
    @pytest.mark.parametrize(
        ("days", "is_within_grace", "is_restructured", "marks"),
        [
            (0, False, False, ()),
            (3, True, False, ()),
            (4, False, False, ("overdue",)),
            (0, False, True, ("restructured",)),
            (4, False, True, ("overdue", "restructured")),
        ],
    )
    def test_tell_of_what_is_late_beyond_grace_and_of_what_was_restructured(
        self, days: int, *, is_within_grace: bool, is_restructured: bool, marks: tuple[str, ...]
    ) -> None:
        called = Called(
            late_since=ON - timedelta(days=days) if days else None,
            days_past_due=days,
            bucket=RULES.bucket(days),
            five_class=RULES.five_class(days),
            ecl_stage=1,
            reasons=(),
            is_within_grace=is_within_grace,
            is_restructured=is_restructured,
            observed_until=None,
        )
        assert called.bureau_marks == marks


class TestPassed:
    @given(
        open_before=st.integers(-400, 60),
        days=st.integers(1, 450),
        floor_from=st.integers(-30, 60),
        floor_days=st.integers(1, 60),
        stays=st.booleans(),
    )
    def test_tells_each_change_on_its_day(
        self, *, open_before: int, days: int, floor_from: int, floor_days: int, stays: bool
    ) -> None:
        first_open = ON + timedelta(days=open_before)
        start = ON + timedelta(days=floor_from)
        floor = Floor(
            at_least="substandard",
            from_on=start,
            until_on=start + timedelta(days=floor_days),
            kind=lateness.RESTRUCTURED if stays else lateness.STAFF,
        )

        def on_day(day: date) -> lateness.Standing:
            since = first_open if first_open < day else None
            floors = floor_on([floor], day, is_late=since is not None)
            return rules_on(day).standing(late_since=since, on=day, floor=floors)

        end = ON + timedelta(days=days)
        told = dict(passed(on_day(ON), first_open=first_open, floors=[floor], after=ON, on=end))
        assert max(told) == end
        seen = on_day(ON)
        for step in range(1, days + 1):
            day = ON + timedelta(days=step)
            if not on_day(day).is_as(seen):
                assert told[day] == on_day(day)
            elif day != end:
                assert day not in told
            seen = on_day(day)


@pytest.fixture
def loan_id(runtime: Runtime, book: Any) -> int:
    """A loan of 31 January whose first instalment falls due on 28 February."""
    book.now -= timedelta(days=38)
    with runtime.database.write() as session:
        made: int = book.loan(session)
    book.now += timedelta(days=38)
    return made


def named(database: Database, loan_id: int, on: date) -> tuple[int, str, str, int]:
    with database.read() as session:
        seen = queries.loan_lateness(session, loan_id=loan_id, on=on)
    return seen.days_past_due, seen.bucket, seen.five_class, seen.ecl_stage


class TestHistory:
    def test_is_a_row_a_change_and_reads_as_of_any_day(
        self, runtime: Runtime, loan_id: int
    ) -> None:
        for day in (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2), date(2026, 6, 30)):
            operations.close_day(runtime, on=day)
        with runtime.database.read() as session:
            history = queries.lateness_history(session, loan_id=loan_id)
        assert [(row.from_on.isoformat(), row.bucket, row.five_class) for row in history] == [
            ("2026-03-01", "M1", "special-mention"),
            ("2026-03-31", "M2", "special-mention"),
            ("2026-04-30", "M3", "special-mention"),
            ("2026-05-30", "M4", "substandard"),
            ("2026-06-29", "M5", "substandard"),
        ]
        seen = [named(runtime.database, loan_id, date(2026, 2, 28) + timedelta(days=n))
                for n in (0, 1, 30, 31, 92)]  # fmt: skip
        assert seen == [
            (0, "M0", "normal", 1),
            (1, "M1", "special-mention", 1),
            (30, "M1", "special-mention", 1),
            (31, "M2", "special-mention", 2),
            (92, "M4", "substandard", 3),
        ]

    def test_ends_when_the_loan_is_paid(self, runtime: Runtime, book: Any, loan_id: int) -> None:
        operations.close_day(runtime, on=ON)
        with runtime.database.write() as session:
            book.repay(session, loan_id, 103_015, key="p")
        assert named(runtime.database, loan_id, ON) == (0, "M0", "normal", 1)
        assert named(runtime.database, loan_id, ON - timedelta(days=1))[1] == "M1"

    def test_is_counted_for_instalments_and_customers_too(
        self, runtime: Runtime, book: Any, loan_id: int
    ) -> None:
        with runtime.database.write() as session:
            book.loan(session, customer_id=1, disbursed_on=date(2026, 1, 5))
        operations.close_day(runtime, on=date(2026, 4, 10))
        with runtime.database.read() as session:
            rows = queries.instalment_lateness(session, loan_id=loan_id, on=date(2026, 4, 10))
            worst = queries.customer_lateness(session, customer_id=1, on=date(2026, 4, 10))
            before = queries.customer_lateness(session, customer_id=1, on=date(2026, 2, 1))
        assert [(row.n, row.days_past_due, row.bucket, row.five_class) for row in rows] == [
            (1, 41, "M2", "special-mention"),
            (2, 10, "M1", "special-mention"),
            (3, 0, "M0", "normal"),
        ]
        assert (worst.late_since, worst.days_past_due) == (date(2026, 2, 5), 64)
        assert (worst.bucket, worst.five_class, worst.ecl_stage) == ("M3", "special-mention", 2)
        assert (before.late_since, before.bucket, before.five_class) == (None, "M0", "normal")

    def test_of_the_demo_book_is_what_the_loans_say_now(self, runtime: Runtime) -> None:
        with runtime.database.write() as session:
            seed_demo(session, runtime.cipher, customers=60, seed=3, now=runtime.clock.now())
        with runtime.database.read() as session:
            late = 0
            for loan in session.query(Loan):
                seen = queries.loan_lateness(session, loan_id=loan.id, on=loan.closed_to)
                assert (seen.late_since, seen.bucket) == (loan.late_since, loan.bucket)
                assert (seen.days_past_due, seen.five_class) == (
                    loan.days_past_due,
                    loan.five_class,
                )
                late += loan.late_since is not None
        assert late

    def test_is_what_each_day_looked_like_when_it_was_today(
        self, runtime: Runtime, book: Any, loan_id: int
    ) -> None:
        """What was kept day by day is what a replay as of that day, as known on it, comes to."""
        given = {"loan_id": loan_id, "actor": "lin"}
        today, seen = ON, {}
        for n in range(0, 100, 4):
            today = ON + timedelta(days=n)
            operations.close_day(runtime, on=today)
            by = given | {"on": today, "now": book.now}
            with runtime.database.write() as session:
                if n in (4, 40):
                    book.repay(session, loan_id, 110_000 if n == 4 else 20_000, key=f"p{n}")
                if n == 8:
                    operations.reverse(session, seq=2, key="undo", **by)
                if n in (20, 32):
                    operations.downgrade(
                        session, loan_id=loan_id, at_least="doubtful" if n == 20 else "loss",
                        until_on=today + timedelta(days=15), reason="失联", by="lin", on=today,
                        now=book.now,
                    )  # fmt: skip
                if n == 36:
                    operations.end_downgrade(session, mark_id=2, by="lin", on=today, now=book.now)
            with runtime.database.read() as session:
                state = queries.loan_as_of(session, loan_id=loan_id, on=today)
                seen[today] = queries.called_as_of(session, {loan_id: state})[loan_id]
            runtime.clock.advance(timedelta(days=4))
            book.now += timedelta(days=4)
        with runtime.database.read() as session:
            told = queries.lateness_days(
                session, loan_id=loan_id, first_on=ON, last_on=today, limit=100
            )
            spans = queries.lateness_spans(session, loan_id=loan_id, on=today)
            then = [
                queries.loan_as_of(session, loan_id=loan_id, on=day, known_at=clock.end_of_day(day))
                for day in seen
            ]
            again = [
                queries.called_as_of(
                    session, {loan_id: state}, known_at=clock.end_of_day(state.on)
                )[loan_id]
                for state in then
            ]
        days = [day for day in told if day.on in seen]
        for day, was in zip(days, seen.values(), strict=True):
            assert (day.late_since, day.bucket, day.five_class, day.ecl_stage) == (
                was.late_since,
                was.bucket,
                was.five_class,
                was.ecl_stage,
            ), day.on
            late = {row.due_on: row.days_past_due for row in day.instalments}
            assert max(late.values(), default=0) == day.days_past_due == was.days_past_due
        assert again == list(seen.values())
        by_day = {
            span.first_on + timedelta(days=n): span for span in spans for n in range(span.days)
        }
        assert all(by_day[day.on].five_class == day.five_class for day in told)
        assert len({day.five_class for day in days}) == 5


class TestGrace:
    @pytest.mark.parametrize(("day", "is_overdue"), [(1, False), (3, False), (4, True)])
    def test_keeps_only_the_word_back(
        self, runtime: Runtime, loan_id: int, day: int, is_overdue: bool
    ) -> None:
        on = date(2026, 2, 28) + timedelta(days=day)
        with runtime.database.read() as session:
            seen = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)
            (listed,) = queries.overdue_loans(session, on=on, offset=0, limit=9)
        assert (seen.days_past_due, seen.bucket, seen.is_overdue) == (day, "M1", is_overdue)
        assert (listed.days_past_due, listed.is_overdue) == (day, is_overdue)


def downgraded(runtime: Runtime, loan_id: int, **changed: Any) -> int:
    given = {
        "at_least": "doubtful",
        "until_on": date(2026, 3, 20),
        "reason": "抵押物灭失",
        "by": "risk_manager",
        "on": ON,
        "now": runtime.clock.now(),
    }
    with runtime.database.write() as session:
        return operations.downgrade(session, loan_id=loan_id, **given | changed)


class TestMarks:
    def test_a_downgrade_holds_until_its_end(self, runtime: Runtime, loan_id: int) -> None:
        operations.close_day(runtime, on=ON)
        downgraded(runtime, loan_id)
        assert named(runtime.database, loan_id, ON) == (10, "M1", "doubtful", 3)
        operations.close_day(runtime, on=date(2026, 3, 25))
        seen = [named(runtime.database, loan_id, date(2026, 3, day))[2] for day in (9, 19, 20)]
        assert seen == ["special-mention", "doubtful", "special-mention"]
        with runtime.database.read() as session:
            view = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=date(2026, 3, 25))
        assert (view.five_class, view.ecl_stage) == ("special-mention", 1)

    def test_a_downgrade_is_taken_back_once(self, runtime: Runtime, loan_id: int) -> None:
        mark_id = downgraded(runtime, loan_id)
        given = {"by": "risk_manager", "on": ON, "now": runtime.clock.now()}
        with runtime.database.write() as session:
            operations.end_downgrade(session, mark_id=mark_id, **given)
        assert named(runtime.database, loan_id, ON)[2] == "special-mention"
        with runtime.database.write() as session, pytest.raises(MarkNotFound):
            operations.end_downgrade(session, mark_id=mark_id, **given)

    def test_a_restructured_loan_is_observed_for_a_year_and_until_it_is_not_late(
        self, runtime: Runtime, book: Any, loan_id: int
    ) -> None:
        with runtime.database.write() as session:
            mark_restructured(
                session,
                loan_id=loan_id,
                event_seq=9,
                by="risk_manager",
                on=ON,
                now=runtime.clock.now(),
            )
            book.repay(session, loan_id, 206_030, key="p", on=ON)
        assert named(runtime.database, loan_id, ON) == (0, "M0", "special-mention", 2)
        operations.close_day(runtime, on=date(2027, 3, 12))
        assert named(runtime.database, loan_id, date(2027, 3, 12))[2] == "doubtful"
        with runtime.database.write() as session:
            assert session.get_one(Loan, loan_id).class_floor == "special-mention"
        book.now += timedelta(days=367)
        with runtime.database.write() as session:
            (left,) = queries.loans_of(session, customer_id=1, on=ON)
            book.repay(session, loan_id, left.remaining_fen - 100, key="q")
        operations.close_day(runtime, on=date(2027, 3, 13))
        assert named(runtime.database, loan_id, date(2027, 3, 13))[2] == "doubtful"
        with runtime.database.write() as session:
            book.repay(session, loan_id, 100, key="r")
        assert named(runtime.database, loan_id, date(2027, 3, 13))[2] == "normal"

    @pytest.mark.parametrize("changed", [{"at_least": "normal"}, {"until_on": ON}])
    def test_nobody_is_classed_better_or_without_an_end(
        self, runtime: Runtime, loan_id: int, changed: dict[str, Any]
    ) -> None:
        with pytest.raises(ClassRefused):
            downgraded(runtime, loan_id, **changed)

    def test_a_settled_loan_has_no_class_to_change(
        self, runtime: Runtime, book: Any, loan_id: int
    ) -> None:
        with runtime.database.write() as session:
            book.repay(session, loan_id, 309_044, key="all")
            left = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON).remaining_fen
        assert left == 0
        with pytest.raises(LoanNotClassed):
            downgraded(runtime, loan_id)
