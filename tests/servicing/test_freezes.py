"""Freezes of interest and penalty: inclusive days, overlaps, undo; and what each costs."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.clock import start_of_day
from kernel.database import Database
from servicing import operations, queries
from servicing.engine.terms import Method
from servicing.operations import FreezeRefused, ReversalRefused
from servicing.operations.freezes import most_saved_fen
from servicing.products import STANDARD

ON = date(2026, 2, 10)
LATE = date(2026, 4, 10)
PENALISED = replace(STANDARD, code="penalised", penalty_multiplier=Decimal("1.3"))


def place(session: Any, book: Any, loan_id: int, key: str = "f", **given: Any) -> int:
    values = {
        "what": "interest",
        "first_on": date(2026, 2, 15),
        "last_on": date(2026, 2, 20),
        "reason": "disaster",
        "loan_id": loan_id,
        "on": ON,
        "key": key,
        "actor": "lin",
        "now": book.now,
    }
    return operations.place_freeze(session, **values | given)


def undo(session: Any, book: Any, loan_id: int, seq: int) -> None:
    by = {"on": ON, "key": f"undo/{loan_id}/{seq}", "actor": "wang", "now": book.now}
    operations.reverse(session, loan_id=loan_id, seq=seq, **by)


def owed(session: Any, loan_id: int, on: date = ON) -> int:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on).remaining_fen


def penalty(session: Any, book: Any, loan_id: int, on: date) -> int:
    operations.age_loans(session, on=on, now=book.now)
    plan = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on).plan
    return sum(row.penalty_fen for row in plan)


class TestPlaceFreeze:
    def test_a_day_counts_when_it_is_the_first_and_the_last(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, product=PENALISED, terms=3)
            day = date(2026, 3, 5)
            place(session, book, loan_id, what="penalty", first_on=day, last_on=day)
            # due on 28 February: 38 days late less one; 985.37 principal at 23.4 % of 360
            frozen = penalty(session, book, loan_id, date(2026, 3, 28))
            other = book.loan(session, product=PENALISED, terms=3, customer_id=1)
            whole = penalty(session, book, other, date(2026, 3, 28))
            assert whole - frozen == pytest.approx(whole / 28, abs=1)

    def test_is_placed_once_a_key_seen_and_undone(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            before = owed(session, loan_id)
            seq = place(session, book, loan_id)
            assert place(session, book, loan_id) == seq
            assert owed(session, loan_id) < before
            (freeze,) = queries.freezes_of(session, loan_ids=[loan_id])
            assert (freeze.what, freeze.last_on, freeze.opened_by) == (
                "interest",
                date(2026, 2, 20),
                "lin",
            )
            undo(session, book, loan_id, seq)
            assert owed(session, loan_id) == before
            (freeze,) = queries.freezes_of(session, loan_ids=[loan_id])
            assert freeze.lifted_by == "wang"
            with pytest.raises(ReversalRefused):
                operations.reversal(session, loan_id=loan_id, seq=seq, on=ON)
            assert operations.prove_books(session) == []

    @pytest.mark.parametrize(
        "days",
        [
            {"first_on": date(2026, 2, 20), "last_on": date(2026, 2, 19)},
            {"first_on": date(2026, 1, 30), "last_on": None},
            {"what": "penalty"},
            {"what": "contact"},
        ],
    )
    def test_makes_sense(self, database: Database, book: Any, days: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            with pytest.raises(FreezeRefused):
                place(session, book, loan_id, **days)

    def test_of_interest_is_not_of_a_flat_product(self, database: Database, book: Any) -> None:
        flat = replace(
            STANDARD,
            code="flat",
            method=Method.FLAT_FEE,
            rate_annual=Decimal(0),
            fee_rate=Decimal("0.008"),
        )
        with database.write() as session:
            loan_id = book.loan(session, product=flat, rate_annual=Decimal(0))
            with pytest.raises(FreezeRefused):
                place(session, book, loan_id)

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        spans=st.lists(
            st.tuples(
                st.sampled_from(["interest", "penalty"]), st.integers(0, 60), st.integers(0, 40)
            ),
            min_size=1,
            max_size=4,
        ),
        order=st.randoms(use_true_random=False),
    )
    def test_overlaps_save_no_more_than_the_days_and_undo_restores(
        self, database: Database, book: Any, spans: Any, order: Any
    ) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            loan_id = book.loan(session, product=PENALISED, terms=6, customer_id=customer_id)

            def left() -> int:
                return queries.loan_of(
                    session, loan_id=loan_id, customer_id=customer_id, on=LATE
                ).remaining_fen

            operations.age_loans(session, on=LATE, now=book.now)
            before = left()
            placed = []
            for index, (what, after, length) in enumerate(spans):
                first_on = date.fromordinal(date(2026, 2, 1).toordinal() + after)
                last_on = date.fromordinal(first_on.toordinal() + length)
                least = left()
                seq = place(
                    session,
                    book,
                    loan_id,
                    key=f"{loan_id}/{index}",
                    what=what,
                    first_on=first_on,
                    last_on=last_on,
                    on=LATE,
                )
                assert left() <= least
                placed.append(seq)
            order.shuffle(placed)
            for seq in placed:
                undo(session, book, loan_id, seq)
            assert left() == before
            assert operations.prove_books(session) == []


class TestMostSaved:
    def test_is_nothing_where_no_penalty_is_borne(self, database: Database, book: Any) -> None:
        with database.write() as session:
            plain, penalised = (book.loan(session, product=p) for p in (STANDARD, PENALISED))
            most = [
                most_saved_fen(session, loan_id=loan_id, first_on=LATE, last_on=LATE)
                for loan_id in (plain, penalised)
            ]
        # 3,000.00 for a day at the cap of 23.22 %.
        assert most == [0, 194]


class TestInForce:
    """What a borrower is told: on which days, until when, and no longer once it is taken back."""

    @pytest.mark.parametrize(
        ("on", "until"),
        [
            (date(2026, 2, 14), None),
            (date(2026, 2, 15), date(2026, 2, 20)),
            (date(2026, 2, 18), date(2026, 2, 25)),
            (date(2026, 2, 25), date(2026, 2, 25)),
            (date(2026, 2, 26), None),
        ],
    )
    def test_from_the_first_day_to_the_last_of_those_that_overlap(
        self, database: Database, book: Any, on: date, until: date | None
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            place(session, book, loan_id)
            later = {"first_on": date(2026, 2, 18), "last_on": date(2026, 2, 25)}
            second = place(session, book, loan_id, "g", **later)
            found = in_force(session, book, on)
            assert [(one.what, one.until) for one in found] == ([("interest", until)] * bool(until))
            undo(session, book, loan_id, second)
            found = in_force(session, book, on)
            known = date(2026, 2, 15) <= on <= date(2026, 2, 20)
            assert [one.until for one in found] == [date(2026, 2, 20)] * known

    def test_a_bar_on_contact_and_a_line_name_their_last_day_if_there_is_one(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=500_000, now=book.now
            )
            days = {"first_on": date(2026, 3, 10), "last_on": date(2026, 3, 12)}
            operations.place_line_freeze(
                session, line_id=line_id, reason="requested", by="wang", now=book.now, **days
            )
            operations.place_hold(
                session,
                customer_id=customer_id,
                reason="hardship",
                scope="all",
                until=start_of_day(date(2026, 3, 20)),
                opened_by="wang",
                now=book.now,
            )
            operations.place_hold(
                session,
                customer_id=customer_id,
                reason="requested",
                scope="marketing",
                until=None,
                opened_by="wang",
                now=book.now,
            )
            found = in_force(session, book, date(2026, 3, 12))
            assert [(one.what, one.until) for one in found] == [
                ("contact", date(2026, 3, 19)),
                ("line", date(2026, 3, 12)),
            ]
            operations.freeze_line(session, line_id=line_id, reason="fraud", now=book.now)
            (_, line) = in_force(session, book, date(2026, 3, 12))
            assert (line.what, line.until) == ("line", None)


def in_force(session: Any, book: Any, on: date) -> tuple[queries.FreezeInForce, ...]:
    return queries.freezes_in_force(session, customer_id=1, on=on, at=book.now)
