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


class TestLoanStatus:
    @pytest.mark.parametrize(
        ("owes", "charged_off", "written_off", "cancelled", "status"),
        [
            (True, False, False, False, "active"),
            (True, False, False, True, "active"),
            (True, True, False, False, "charged_off"),
            (True, False, True, False, "charged_off"),
            (False, True, True, False, "written_off"),
            (False, True, False, False, "settled"),
            (False, False, False, True, "cancelled"),
            (False, False, False, False, "settled"),
        ],
    )
    def test_says_what_is_owed_and_how_it_ended(
        self, *, owes: bool, charged_off: bool, written_off: bool, cancelled: bool, status: str
    ) -> None:
        found = model.loan_status(
            owes=owes,
            is_charged_off=charged_off,
            is_written_off=written_off,
            is_cancelled=cancelled,
        )
        assert found == status


class TestInstalmentState:
    @pytest.mark.parametrize(
        ("due", "owed", "given_up", "day", "state"),
        [
            (0, 0, 0, 10, "void"),
            (500, 0, 0, 10, "paid"),
            (500, 0, 200, 10, "waived"),
            (500, 300, 200, 10, "due"),
            (500, 300, 0, 11, "overdue"),
            (500, 500, 0, 9, "upcoming"),
        ],
    )
    def test_tells_what_was_paid_from_what_was_given_up(
        self, due: int, owed: int, given_up: int, day: int, state: str
    ) -> None:
        found = model.instalment_state(
            due_on=date(2026, 3, 10),
            due_fen=due,
            outstanding_fen=owed,
            given_up_fen=given_up,
            on=date(2026, 3, day),
        )
        assert found == state


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
