"""The pure rules: allocation, lateness, application states."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicing import model
from servicing.model import (
    ApplicationEvent,
    ApplicationState,
    ApplicationStateRefused,
    Owed,
)

DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))

OWED = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 100_000)), max_size=24)


class TestAllocate:
    @given(amount=st.integers(0, 3_000_000), owed=OWED)
    def test_spends_every_fen_oldest_first_and_never_too_much(
        self, amount: int, owed: list[tuple[int, int]]
    ) -> None:
        rows = [Owed(n=n, interest_fen=i, principal_fen=p) for n, (i, p) in enumerate(owed, 1)]
        parts, left = model.allocate(amount, rows)
        spent = {part.n: part for part in parts}
        assert sum(part.interest_fen + part.principal_fen for part in parts) + left == amount
        is_short = False
        for row in rows:
            part = spent.get(row.n)
            interest, principal = (part.interest_fen, part.principal_fen) if part else (0, 0)
            assert interest <= row.interest_fen
            assert principal <= row.principal_fen
            assert principal == 0 or interest == row.interest_fen
            assert not (is_short and (interest or principal))
            is_short = is_short or interest + principal < row.interest_fen + row.principal_fen
        assert left == 0 or not is_short


class TestLateness:
    @pytest.mark.parametrize(
        ("days", "name"),
        [(0, "M0"), (1, "M1"), (30, "M1"), (31, "M2"), (60, "M2"), (151, "M6"), (180, "M6"),
         (181, "M6+"), (900, "M6+")],
    )  # fmt: skip
    def test_names_the_bucket_of_a_day(self, days: int, name: str) -> None:
        assert model.bucket(days) == name

    def test_counts_from_the_due_date_which_is_day_zero(self) -> None:
        due_on = date(2026, 3, 10)
        counted = [model.days_past_due(due_on, due_on + timedelta(days=n)) for n in (-3, 0, 1, 40)]
        assert counted == [0, 0, 1, 40]


class TestApplicationStates:
    def test_know_every_end(self) -> None:
        ends = {ApplicationState.DECLINED, ApplicationState.CANCELLED, ApplicationState.BOOKED}
        for state in ends:
            for event in ApplicationEvent:
                with pytest.raises(ApplicationStateRefused):
                    model.next_application_state(state, event)

    def test_book_only_what_was_approved(self) -> None:
        for state in set(ApplicationState) - {ApplicationState.APPROVED}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state(state, ApplicationEvent.BOOK)
        booked = model.next_application_state("approved", ApplicationEvent.BOOK)
        assert booked is ApplicationState.BOOKED
