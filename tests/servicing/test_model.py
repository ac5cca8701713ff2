"""The pure rules beside the money: lateness, and what may happen to an application."""

from datetime import date, timedelta

import pytest

from servicing import model
from servicing.model import ApplicationEvent, ApplicationState, ApplicationStateRefused


class TestLateness:
    def test_counts_from_the_due_date_which_is_day_zero(self) -> None:
        due_on = date(2026, 3, 10)
        counted = [model.days_past_due(due_on, due_on + timedelta(days=n)) for n in (-3, 0, 1, 40)]
        assert counted == [0, 0, 1, 40]


class TestApplicationStates:
    def test_know_every_end(self) -> None:
        for state in (ApplicationState.CANCELLED, ApplicationState.BOOKED):
            for event in set(ApplicationEvent) - {ApplicationEvent.APPEAL}:
                with pytest.raises(ApplicationStateRefused):
                    model.next_application_state(state, event)

    def test_lead_out_of_a_decline_by_appeal_only(self) -> None:
        for event in set(ApplicationEvent) - {ApplicationEvent.APPEAL}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state("declined", event)
        with pytest.raises(ApplicationStateRefused):
            model.next_application_state("cancelled", ApplicationEvent.APPEAL)
        appealed = model.next_application_state("declined", ApplicationEvent.APPEAL)
        assert appealed is ApplicationState.IN_REVIEW

    def test_leave_an_approval_as_it_is_while_its_terms_are_looked_at(self) -> None:
        for state in (ApplicationState.APPROVED, ApplicationState.BOOKED):
            assert model.next_application_state(state, ApplicationEvent.APPEAL) is state

    def test_book_only_what_was_approved(self) -> None:
        for state in set(ApplicationState) - {ApplicationState.APPROVED}:
            with pytest.raises(ApplicationStateRefused):
                model.next_application_state(state, ApplicationEvent.BOOK)
        booked = model.next_application_state("approved", ApplicationEvent.BOOK)
        assert booked is ApplicationState.BOOKED
