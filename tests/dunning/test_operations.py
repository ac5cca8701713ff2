"""Whom a day's planning reaches, with which words, and what takes a reminder back."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from contact.operations import retire_address
from contact.ports import Channel, Holds, StillDue
from dunning import operations
from dunning.book import house_strategy
from dunning.model import StrategyNotReadable, read_strategy
from servicing import operations as servicing

SILENT = {"due-soon": 0, "due-today": 0, "overdue": 0}
OVERDUE_DAYS = {1, 4, 7, 14, 21, 28, 45, 60, 75, 90}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


class TestPlan:
    @pytest.mark.parametrize(
        ("due_in", "step", "template"),
        [
            (3, "due-soon", "due_soon"),
            (0, "due-today", "due_today"),
            (-1, "overdue", "overdue"),
            (-7, "overdue", "overdue"),
            (-28, "overdue", "overdue"),
        ],
    )
    def test_finds_who_stands_on_a_step(
        self, town: Any, due_in: int, step: str, template: str
    ) -> None:
        customer_id = town.borrower(due_in)
        assert town.plan() == SILENT | {step: 1}
        assert town.contacts("template_code", "template_version", "state") == [
            (customer_id, template, 1, "ready")
        ]

    @pytest.mark.parametrize("due_in", [4, 2, 1, -2, -5, -40])
    def test_leaves_alone_who_stands_on_none(self, town: Any, due_in: int) -> None:
        town.borrower(due_in)
        assert town.plan() == SILENT

    def test_leaves_alone_who_owes_nothing(self, town: Any) -> None:
        town.borrower(3)
        town.borrower()
        town.pay(1)
        assert town.plan() == SILENT

    def test_chooses_one_step_for_everybody_however_their_debts_are_mixed(self, town: Any) -> None:
        days = (-40, -8, -7, -4, -2, -1, 0, 1, 2, 3, 4)
        mixes = [*combinations(days, 1), *combinations(days, 2)]
        wanted = {town.borrower(*mix): _step_by_hand(mix) for mix in mixes}
        town.plan()
        found = dict(town.contacts("template_code"))
        assert found == {customer: step for customer, step in wanted.items() if step}

    def test_never_calls_due_soon_what_comes_after_something_late(self, town: Any) -> None:
        late, patient = town.borrower(-40, 3), town.borrower(-2, 0)
        assert town.plan() == SILENT
        assert town.contacts() == []
        assert late != patient

    def test_bundles_all_debts_up_to_the_steps_day(self, town: Any) -> None:
        town.borrower(1, 3, 6)
        town.borrower(-4, -1, 3)
        town.plan()
        town.send()
        soon, late = (values for _, values in town.outbox.wechat)
        assert (soon["thing1"], soon["time3"], soon["phrase4"]) == (
            "2笔", "2026年3月11日", "即将到期"
        )  # fmt: skip
        assert (late["thing1"], late["time3"], late["phrase4"]) == (
            "2笔", "2026年3月6日", "待处理"
        )  # fmt: skip

    def test_reminds_again_by_the_next_instalment(self, town: Any) -> None:
        town.borrower(3)
        town.plan()
        town.send()
        town.clock.advance(timedelta(days=3))
        assert town.plan() == SILENT | {"due-today": 1}
        town.pay(1)
        town.clock.at = _at("2026-04-10T10:00")
        assert town.plan() == SILENT | {"due-soon": 1}

    def test_is_safe_to_repeat(self, town: Any) -> None:
        town.borrower(3)
        town.borrower(-4, wechat=False)
        first = town.plan()
        town.send()
        assert [town.plan(), town.plan()] == [SILENT, SILENT]
        assert first == SILENT | {"due-soon": 1, "overdue": 1}
        assert len(town.contacts()) == 2

    def test_does_not_plan_again_on_another_channel(self, town: Any) -> None:
        customer_id = town.borrower(3, wechat=False)
        town.plan()
        town.reach(customer_id, "wechat", "openid-new")
        assert town.plan() == SILENT
        assert town.contacts("channel") == [(customer_id, "sms")]

    def test_takes_the_first_channel_that_reaches_somebody(self, town: Any) -> None:
        both, phone = town.borrower(3), town.borrower(3, wechat=False)
        wechat = town.borrower(3, phone=False)
        town.borrower(3, wechat=False, phone=False)
        assert town.plan()["due-soon"] == 3
        assert town.contacts("channel") == [
            (both, "wechat_template"), (phone, "sms"), (wechat, "wechat_template")
        ]  # fmt: skip
        town.send()
        assert sorted(openid for openid, _ in town.outbox.wechat) == ["openid-1", "openid-3"]
        ((number, words),) = town.outbox.sms
        assert (number, words["due_on"]) == ("13900000002", "2026年3月13日")

    def test_follows_the_strategys_order_of_channels(self, town: Any) -> None:
        town.borrower(3)
        steps = house_strategy().steps
        by_phone = replace(steps[0], channels=(Channel.SMS,))
        town.plan(strategy=replace(house_strategy(), steps=(by_phone,)))
        assert town.contacts("channel") == [(1, "sms")]

    def test_may_remind_as_early_as_the_gate_looks_ahead(self, town: Any) -> None:
        town.borrower(7)
        early = {"name": "early", "days": [-7], "purpose": "service_reminder"} | {
            "template": "due_soon", "channels": ["sms"], "at": "09:00", "valid_hours": 13
        }  # fmt: skip
        assert town.plan(strategy=read_strategy({"step": [early]})) == {"early": 1}
        assert town.send().sent == 1

    def test_writes_to_no_number_that_is_wrong(self, town: Any) -> None:
        customer_id = town.borrower(3, wechat=False, phone=False)
        address_id = town.reach(customer_id, "phone", "13900000009")
        town.plan()
        with town.runtime.database.write() as session:
            retire_address(
                session, address_id=address_id, reason="wrong-number", now=town.clock.now()
            )
        counts = town.send()
        assert (counts.blocked, counts.sent) == (1, 0)
        assert town.contacts("state", "reason") == [(customer_id, "blocked", "address-retired")]
        town.clock.advance(timedelta(days=3))
        assert town.plan() == SILENT

    def test_leaves_holds_and_consent_to_the_gate(self, town: Any) -> None:
        held, unwilling = town.borrower(3), town.borrower(3)
        town.hold(held)
        with town.runtime.database.write() as session:
            servicing.withdraw_consent(
                session, customer_id=unwilling, purpose="marketing", channel="h5",
                now=town.clock.now(),
            )  # fmt: skip
        assert town.plan()["due-soon"] == 2
        town.send()
        assert town.contacts("state", "reason") == [
            (held, "blocked", "hold"), (unwilling, "sent", None)
        ]  # fmt: skip

    def test_speaks_of_the_other_debts_of_who_disputes_one(self, town: Any) -> None:
        customer_id = town.borrower(-7, 3)
        town.hold(customer_id, loan_id=1, reason="dispute")
        assert town.plan() == SILENT | {"due-soon": 1}
        town.send()
        ((_, words),) = town.outbox.wechat
        assert (words["thing1"], words["time3"]) == ("手机", "2026年3月13日")

    @pytest.mark.parametrize(
        ("at", "planned"),
        [
            ("2026-03-10T00:40", {"due-soon": 1, "due-today": 1, "overdue": 1}),
            ("2026-03-10T21:59", {"due-soon": 1, "due-today": 1, "overdue": 1}),
            ("2026-03-10T22:00", {"due-soon": 1, "due-today": 0, "overdue": 1}),
            ("2026-03-11T22:00", SILENT),
        ],
    )
    def test_leaves_out_what_is_over(self, town: Any, at: str, planned: dict[str, int]) -> None:
        on = town.today
        for due_in in (3, 0, -1):
            town.borrower(due_in)
        town.clock.at = _at(at)
        assert town.plan(on) == planned

    def test_goes_out_from_the_steps_hour_on(self, town: Any) -> None:
        town.borrower(0)
        town.clock.at = _at("2026-03-10T00:40")
        town.plan()
        for hour, sent in (("08:59", 0), ("09:00", 1)):
            town.clock.at = _at(f"2026-03-10T{hour}")
            assert town.send().sent == sent

    def test_waits_for_the_morning_and_says_nothing_that_is_over_by_then(self, town: Any) -> None:
        soon, today = town.borrower(3), town.borrower(0)
        town.plan()
        town.clock.at = _at("2026-03-10T23:00")
        assert (town.send().sent, town.outbox.wechat) == (0, [])
        town.clock.at = _at("2026-03-11T08:00")
        town.send()
        assert town.contacts("state") == [(soon, "sent"), (today, "expired")]

    def test_refuses_texts_that_are_not_in_force(self, town: Any) -> None:
        steps = house_strategy().steps
        odd = replace(steps[0], template="due_someday")
        with pytest.raises(StrategyNotReadable, match="step due-soon: no template due_someday on"):
            town.plan(strategy=replace(house_strategy(), steps=(odd,)))
        assert town.contacts() == []


def _step_by_hand(days_to_due: tuple[int, ...]) -> str | None:
    """Say what somebody should hear, as a person would work it out."""
    oldest = min(days_to_due)
    if oldest < 0:
        return "overdue" if -oldest in OVERDUE_DAYS else None
    if 0 in days_to_due:
        return "due_today"
    return "due_soon" if 3 in days_to_due else None


def _stop(town: Any, customer_id: int) -> int:
    with town.runtime.database.write() as session:
        return operations.stop_reminders(
            session,
            customer_id=customer_id,
            still_due=town.runtime.get(StillDue),
            holds=town.runtime.get(Holds),
            now=town.clock.now(),
        )


class TestStopReminders:
    @pytest.mark.parametrize("due_in", [3, 0, -7])
    def test_takes_back_what_was_paid_for_once(self, town: Any, due_in: int) -> None:
        payer, other = town.borrower(due_in), town.borrower(due_in)
        town.plan()
        town.pay(1)
        assert [_stop(town, payer), _stop(town, payer)] == [1, 0]
        assert town.contacts("state", "reason") == [
            (payer, "withdrawn", "paid"), (other, "ready", None)
        ]  # fmt: skip

    def test_leaves_what_is_still_owed(self, town: Any) -> None:
        customer_id = town.borrower(-4, -1)
        town.plan()
        town.pay(1)
        assert _stop(town, customer_id) == 0
        town.pay(2)
        assert _stop(town, customer_id) == 1

    def test_leaves_the_gate_to_stop_a_reminder_of_one_debt_of_several(self, town: Any) -> None:
        customer_id = town.borrower(3, 6)
        town.plan()
        town.pay(1)
        assert _stop(town, customer_id) == 0
        town.send()
        assert town.contacts("state", "reason") == [(customer_id, "blocked", "paid")]

    def test_does_no_harm_long_after_or_for_nobody(self, town: Any) -> None:
        customer_id = town.borrower(0)
        town.plan()
        town.send()
        town.pay(1)
        town.clock.advance(timedelta(days=60))
        assert [_stop(town, customer_id), _stop(town, 99)] == [0, 0]
        assert town.contacts("state") == [(customer_id, "sent")]

    @pytest.mark.parametrize(
        ("scope", "stopped"),
        [("all", 1), ("collection", 1), ("service_reminder", 0), ("sms", 0)],
    )
    def test_takes_back_what_a_hold_bars(self, town: Any, scope: str, stopped: int) -> None:
        customer_id = town.borrower(-7)
        town.plan()
        town.hold(customer_id, scope=scope)
        assert _stop(town, customer_id) == stopped

    def test_forgets_a_hold_that_is_over(self, town: Any) -> None:
        customer_id = town.borrower(-7)
        town.plan()
        hold_id = town.hold(customer_id)
        with town.runtime.database.write() as session:
            servicing.lift_hold(
                session, hold_id=hold_id, lifted_by="lin", reason="-", now=town.clock.now()
            )
        assert _stop(town, customer_id) == 0

    def test_takes_back_a_reminder_of_a_disputed_loan_only(self, town: Any) -> None:
        one, two = town.borrower(-7), town.borrower(-7, -4)
        town.plan()
        town.hold(one, loan_id=1, reason="dispute")
        town.hold(two, loan_id=2, reason="dispute")
        assert [_stop(town, one), _stop(town, two)] == [1, 0]
