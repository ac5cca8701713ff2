import pytest

from contact.model import (
    ABOUT_DEBT,
    ADDRESS_KIND,
    PRIORITY,
    Channel,
    Purpose,
    State,
    Step,
    TransitionRefused,
    next_state,
    state_after,
    states_before,
)

FINAL = (State.SENT, State.FAILED, State.BLOCKED, State.WITHDRAWN, State.EXPIRED)


class TestNextState:
    @pytest.mark.parametrize("state", FINAL)
    @pytest.mark.parametrize("step", Step)
    def test_leads_nowhere_from_a_final_state(self, state: State, step: Step) -> None:
        with pytest.raises(TransitionRefused):
            next_state(state, step)

    def test_never_leads_from_unknown_back_to_sending(self) -> None:
        reached = {next_state(State.UNKNOWN, s) for s in Step if State.UNKNOWN in states_before(s)}
        assert reached == {State.SENT, State.FAILED, State.READY, State.UNKNOWN}

    def test_reaches_sending_through_the_gate_alone(self) -> None:
        assert states_before(Step.ALLOW) == (State.CLAIMED,)
        assert [s for s in Step if states_before(s) and state_after(s) is State.SENDING] == [
            Step.ALLOW
        ]

    def test_lets_nobody_withdraw_what_is_being_sent(self) -> None:
        with pytest.raises(TransitionRefused):
            next_state(State.SENDING, Step.WITHDRAW)

    def test_reaches_every_state(self) -> None:
        assert {state_after(step) for step in Step} | {State.CLAIMED} == set(State)


class TestWords:
    def test_give_every_purpose_a_priority_with_answers_first(self) -> None:
        assert set(PRIORITY) == set(Purpose)
        assert min(PRIORITY, key=PRIORITY.__getitem__) is Purpose.ANSWER

    def test_give_every_channel_a_kind_of_address(self) -> None:
        assert set(ADDRESS_KIND) == set(Channel)

    def test_call_only_reminders_about_debt(self) -> None:
        assert {Purpose.SERVICE_REMINDER, Purpose.COLLECTION} == ABOUT_DEBT
