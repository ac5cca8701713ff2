"""The pure rules beside the money: lateness, and what may happen to an application."""

from datetime import date, timedelta

import pytest

from servicing import model
from servicing.model import ApplicationEvent, ApplicationState, ApplicationStateRefused


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
        for state in (ApplicationState.CANCELLED, ApplicationState.BOOKED):
            for event in ApplicationEvent:
                with pytest.raises(ApplicationStateRefused):
                    model.next_application_state(state, event)

    def test_lead_out_of_a_decline_by_appeal_only(self) -> None:
        for event in set(ApplicationEvent) - {ApplicationEvent.APPEAL}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state("declined", event)
        appealed = model.next_application_state("declined", ApplicationEvent.APPEAL)
        assert appealed is ApplicationState.IN_REVIEW

    def test_book_only_what_was_approved(self) -> None:
        for state in set(ApplicationState) - {ApplicationState.APPROVED}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state(state, ApplicationEvent.BOOK)
        booked = model.next_application_state("approved", ApplicationEvent.BOOK)
        assert booked is ApplicationState.BOOKED
