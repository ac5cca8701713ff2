"""Translates the steps of a case of the first anchor system into events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from cli.money_cases.fineract_terms import UNITS, credit_order
from cli.money_cases.reading import (
    Json,
    NotCovered,
    day,
    fen,
    first_of,
    letters,
    one_of,
    percent,
    whole,
)
from cli.money_cases.words import op_of, span_of
from servicing.engine import events
from servicing.engine.book import Kind
from servicing.engine.events import ChargeOffEffect, Event, ReAgeInterest
from servicing.engine.parts import Component
from servicing.engine.payments import EventRefused
from servicing.engine.periods import Frequency
from servicing.engine.replay import replay
from servicing.engine.terms import Terms

# What the system's tables call what happened.
SPOKEN: Final = {
    Kind.DISBURSEMENT: "Disbursement",
    Kind.DOWN_PAYMENT: "Down Payment",
    Kind.REPAYMENT: "Repayment",
    Kind.REPAYMENT_AT_DISBURSEMENT: "Repayment (at time of disbursement)",
    Kind.GOODWILL_CREDIT: "Goodwill Credit",
    Kind.MERCHANT_REFUND: "Merchant Issued Refund",
    Kind.PAYOUT_REFUND: "Payout Refund",
    Kind.INTEREST_REFUND: "Interest Refund",
    Kind.CHARGE_ADJUSTMENT: "Charge Adjustment",
    Kind.CHARGE_BACK: "Chargeback",
    Kind.CREDIT_BALANCE_REFUND: "Credit Balance Refund",
    Kind.INTEREST_WAIVER: "Waive interest",
    Kind.CHARGE_WAIVER: "Waive loan charges",
    Kind.ACCRUAL: "Accrual",
    Kind.RE_AGE: "Re-age",
    Kind.RE_AMORTISE: "Re-amortize",
    Kind.TERMINATION: "Contract Termination",
    Kind.CHARGE_OFF: "Charge-off",
    Kind.WRITE_OFF: "Close (as written-off)",
    Kind.RECOVERY: "Recovery Repayment",
}
_PAYMENTS: Final = {
    "repay": Kind.REPAYMENT,
    "goodwill_credit": Kind.GOODWILL_CREDIT,
    "merchant_issued_refund": Kind.MERCHANT_REFUND,
    "payout_refund": Kind.PAYOUT_REFUND,
    "interest_refund": Kind.INTEREST_REFUND,
    "charge_adjustment": Kind.CHARGE_ADJUSTMENT,
    "down_payment": Kind.DOWN_PAYMENT,
    "interest_payment_waiver": Kind.INTEREST_WAIVER,
}
_COUNTED: Final = {"of_payment": (Kind.REPAYMENT,), "of_down_payment": (Kind.DOWN_PAYMENT,)}
_RE_AGE_INTEREST: Final = {
    "EQUAL_AMORTIZATION_PAYABLE_INTEREST": ReAgeInterest.PAYABLE,
    "EQUAL_AMORTIZATION_FULL_INTEREST": ReAgeInterest.OUTSTANDING,
    "DEFAULT": ReAgeInterest.NEW_PLAN,
}
_EFFECTS: Final = {
    "ZERO_INTEREST": ChargeOffEffect.ZERO_INTEREST,
    "ACCELERATE_MATURITY": ChargeOffEffect.ACCELERATE,
}
# Steps that only set the stage: `terms_of` reads them. A loan keeps what it was made with.
_SILENT: Final = {"approve", "submit", "configure_product", "first_due"}
_CHARGES: Final = {"penalty": Component.PENALTY, "fee": Component.FEE}


@dataclass(slots=True)
class Story:
    """The events of a case so far.

    Attributes:
        today: The business date of the case.
        known_on: The last day on which something was processed; interest stands as of it.
        processed: How many events there were, and on which day, whenever something was processed.
        repayments: The ids of what borrowers paid, in the order in which it was entered.
        counts_repayments: A step undid the nth repayment of the loan, not of a day; so do others.
        approved_on: When the lender said yes, and for when if that is another day.
        approved_fen: What it said yes to; 0 for all.
        is_fraud: What is charged off now is lost by fraud.
        frauds: The charge-offs that were.
        fee_share, fee_fen: What is to be paid beside the disbursement.
    """

    terms: Terms
    config: Json
    today: date = date.min
    known_on: date = date.min
    events: list[Event] = field(default_factory=list)
    processed: list[tuple[int, date]] = field(default_factory=list)
    repayments: list[str] = field(default_factory=list)
    counts_repayments: bool = False
    approved_on: date | None = None
    approved_fen: int = 0
    is_fraud: bool = False
    frauds: set[str] = field(default_factory=set)
    fee_share: Decimal = Decimal(0)
    fee_fen: int = 0

    def add(self, event: Event) -> None:
        """Let something happen."""
        self.events.append(event)
        self.known_on = max(self.known_on, self.today, event.on)
        self.processed.append((len(self.events), self.known_on))

    def standing(self) -> list[Event]:
        """Return the events that were not undone."""
        gone = {event.of for event in self.events if isinstance(event, events.Reversal)}
        return [event for event in self.events if event.id not in gone]

    def last(self, kind: type[Event]) -> Event:
        """Return the last event of a kind that still stands."""
        for event in reversed(self.standing()):
            if isinstance(event, kind):
                return event
        raise NotCovered(f"there is no {kind.__name__} to undo")


def tell(story: Story, step: Json, number: int) -> None:
    """Let one step of a case happen."""
    op, name = op_of(step), f"e{number}"
    if op == "business_date":
        story.today = day(step["date"])
        return
    if op in _SILENT:
        if op == "approve":
            _approve(story, step)
        elif op != "submit":
            dict(step)
        return
    if op in _PAYMENTS:
        _pay(story, step, name)
        return
    teller = _TELLERS.get(op)
    if teller is None:
        raise NotCovered(f"the step {op}")
    teller(story, step, name)


def _approve(story: Story, step: Json) -> None:
    """Money is expected on the day of approval, unless another day is named."""
    on = first_of(step, "expected_disbursement_date", "expected_disbursement", "date")
    story.approved_on = day(on) if on else max(story.today, story.terms.start_on)
    story.approved_fen = fen(step.get("amount", 0))
    dict(step)


def _on(story: Story, step: Json) -> date:
    return day(step["date"]) if step.get("date") else story.today


def _pay(story: Story, step: Json, name: str) -> None:
    kind, on = _PAYMENTS[op_of(step)], _on(story, step)
    amount = fen(step["amount"])
    if kind is Kind.CHARGE_ADJUSTMENT:
        dict(step)  # for which charge it is changes no figure: the credit follows the waterfall
    if any(isinstance(event, events.WriteOff) for event in story.standing()):
        raise EventRefused("written-off", "a loan that is written off takes no payment")
    story.add(events.Payment(id=name, on=on, amount_fen=amount, kind=kind))
    if kind is Kind.REPAYMENT:
        story.repayments.append(name)


def _disburse(story: Story, step: Json, name: str) -> None:
    on, amount = _on(story, step), fen(step["amount"])
    story.today = max(story.today, on)
    overpaid = _overpaid(story)
    fee = story.terms.profile.fen(amount * story.fee_share) + story.fee_fen
    story.add(events.Disbursement(id=name, on=on, amount_fen=amount, fee_fen=fee))
    down = story.terms.profile.instalment(amount * story.terms.down_payment)
    down = max(0, down - overpaid)
    if down and story.config.get("auto_down_payment", True):
        payment = events.Payment(id=f"{name}/down", on=on, amount_fen=down, kind=Kind.DOWN_PAYMENT)
        story.add(payment)


def _overpaid(story: Story) -> int:
    """What was overpaid until now, which settles a part of the next down payment."""
    return replay(story.terms, story.events, max(story.known_on, story.today)).overpaid_fen


def _charge(story: Story, step: Json, name: str) -> None:
    component = one_of(_CHARGES, step.get("kind") or "fee", "a charge that is a")
    name_of_charge = str(step.get("charge", ""))
    if "DISBURSEMENT" in name_of_charge:
        story.fee_share += percent(step.get("percent", 0))
        story.fee_fen += fen(step.get("amount", 0))
        return
    if "INSTALLMENT" in name_of_charge:
        fee = events.InstalmentFee(
            id=name,
            on=story.today,
            amount_fen=fen(step.get("amount", 0)),
            share=percent(step.get("percent", 0)),
            component=component,
        )
        story.add(fee)
        return
    amount = fen(step["amount"]) if "amount" in step else _percentage(story, step)
    due_on = day(step["due_date"]) if "due_date" in step else story.today
    charge = events.Charge(
        id=name, on=story.today, amount_fen=amount, due_on=due_on, component=component
    )
    story.add(charge)


def _percentage(story: Story, step: Json) -> int:
    """A charge that is a share of the amount lent, of its interest, or of both."""
    due = replay(story.terms, story.events, max(story.known_on, story.today)).due
    bases = {
        "percent_of_amount_plus_interest": due.principal_fen + due.interest_fen,
        "percent_of_interest": due.interest_fen,
        "percent_of_amount": due.principal_fen,
        "percent": due.principal_fen,
    }
    found = next((key for key in bases if key in step), None)
    if found is None:
        raise NotCovered("how this charge is computed")
    return story.terms.profile.fen(bases[found] * percent(step[found]))


def _undo(story: Story, step: Json, name: str) -> None:
    of = _target(story, step)
    if any(isinstance(event, events.WriteOff) for event in story.events if event.id == of):
        raise EventRefused("only-write-off", "a write-off is not undone like a payment")
    story.add(events.Reversal(id=name, on=story.today, of=of))


def _target(story: Story, step: Json) -> str:
    """Find what is undone: the last repayment, the nth of a loan, or the nth event of a day.

    A step without a type may count a loan's repayments or what happened on a day. It counts
    repayments if one of the day is meant by it, or if nothing else can be.
    """
    on, wanted = day(step["txn_date"]), letters(step.get("type", ""))
    if "nth" not in step and wanted == "repayment":
        return _nth(story.repayments, len(story.repayments))
    nth = whole(step.get("nth"), 1)
    found = [event for event in story.events if event.on == on and _moves_money(event)]
    if wanted:
        return _nth([event.id for event in found if wanted in _spoken(event)], nth)
    by_date = {event.id: event.on for event in story.events}
    repaid = sorted(story.repayments, key=by_date.__getitem__)
    is_of_day = nth <= len(found)
    if 0 < nth <= len(repaid) and (story.counts_repayments or not is_of_day):
        story.counts_repayments = True
        return repaid[nth - 1]
    if 0 < nth <= len(repaid) and by_date[repaid[nth - 1]] == on:
        return repaid[nth - 1]
    return _nth([event.id for event in found], nth)


def _nth(ids: list[str], nth: int) -> str:
    if not 0 < nth <= len(ids):
        raise NotCovered(f"which transaction is undone as number {nth}")
    return ids[nth - 1]


def _moves_money(event: Event) -> bool:
    return not isinstance(event, events.CloseOfDay | events.Reversal | events.Charge)


def _spoken(event: Event) -> str:
    """Name an event as the system's tables and as its type do."""
    if isinstance(event, events.Payment):
        return f"{letters(SPOKEN.get(event.kind))} {letters(event.kind)}"
    return letters(type(event).__name__)


def _undo_disbursal(story: Story, step: Json, name: str) -> None:  # noqa: ARG001 -- as all tellers
    """Nothing was ever lent: what happened since then leaves no trace."""
    story.events.clear()
    story.processed.clear()
    story.repayments.clear()


def _undo_last_disbursal(story: Story, step: Json, name: str) -> None:  # noqa: ARG001 -- as above
    """The last disbursement and what money did since then leave no trace."""
    last = story.events.index(story.last(events.Disbursement))
    story.events[last:] = [event for event in story.events[last:] if not _moves_money(event)]
    story.processed[:] = [mark for mark in story.processed if mark[0] <= last]
    if story.events:
        story.processed.append((len(story.events), story.known_on))
    left = {event.id for event in story.events}
    story.repayments = [of for of in story.repayments if of in left]


def _undo_last(kind: type[Event]) -> Callable[[Story, Json, str], None]:
    def undo(story: Story, step: Json, name: str) -> None:  # noqa: ARG001 -- as all tellers
        story.add(events.Reversal(id=name, on=story.today, of=story.last(kind).id))

    return undo


def _charge_back(story: Story, step: Json, name: str) -> None:
    """Take back a repayment or a down payment, counted from the first; else what was paid last."""
    counted = next((key for key in ("of_down_payment", "of_payment") if key in step), "")
    kinds = _COUNTED.get(counted, tuple(_PAYMENTS.values()))
    paid = [
        event.id
        for event in story.events
        if isinstance(event, events.Payment) and event.kind in kinds
    ]
    nth, on = whole(step.get(counted), len(paid)), _on(story, step)
    order = credit_order(story.config, "CHARGEBACK")
    of, amount = _nth(paid, nth), fen(step["amount"])
    story.add(events.ChargeBack(id=name, on=on, of=of, amount_fen=amount, order=order))


def _refund_credit(story: Story, step: Json, name: str) -> None:
    amount = fen(step["amount"])
    story.add(events.CreditBalanceRefund(id=name, on=_on(story, step), amount_fen=amount))


def _waive(story: Story, step: Json, name: str) -> None:
    """Waive a charge as of its own day, if that has come."""
    charge = _charge_meant(story, step)
    on = min(_on(story, step), charge.due_on)
    story.add(events.Waiver(id=name, on=on, charge_id=charge.id))


def _charge_meant(story: Story, step: Json) -> events.Charge:
    """Find the charge of a day if one is said, or else the last one."""
    charges = [event for event in story.standing() if isinstance(event, events.Charge)]
    if step.get("due_date"):
        due_on = day(step["due_date"])
        charges = [charge for charge in charges if charge.due_on == due_on][:1]
    if not charges:
        raise NotCovered("which charge is waived")
    return charges[-1]


def _waive_interest(story: Story, step: Json, name: str) -> None:
    waiver = events.Waiver(
        id=name,
        on=_on(story, step),
        component=Component.INTEREST,
        amount_fen=fen(step["amount"]),
    )
    story.add(waiver)


def _reschedule(story: Story, step: Json, name: str) -> None:
    since = day(step["rescheduleFromDate"])
    on = day(step.get("submittedOnDate", story.today))
    made: list[Event] = []
    if "newInterestRate" in step:
        rate = percent(step["newInterestRate"])
        made.append(events.RateChange(id=f"{name}/rate", on=on, from_on=since, rate_annual=rate))
    if "adjustedDueDate" in step:
        to = day(step["adjustedDueDate"])
        made.append(events.MovedDueDate(id=f"{name}/move", on=on, due_on=since, to=to))
        since = to
    if "graceOnPrincipal" in step:
        periods = whole(step["graceOnPrincipal"])
        grace = events.PrincipalGrace(id=f"{name}/grace", on=on, from_due_on=since, periods=periods)
        made.append(grace)
    if "extraTerms" in step:
        extra = whole(step["extraTerms"])
        made.append(events.ExtraTerms(id=f"{name}/extra", on=on, from_due_on=since, extra=extra))
    if not made:
        raise NotCovered("this kind of reschedule")
    for event in made:
        story.add(event)


def _change_rate(story: Story, step: Json, name: str) -> None:
    value = step["annual_rate_pct"] if "annual_rate_pct" in step else step["rate"]
    since = _on(story, step)
    on = max(story.today, story.known_on)
    rate = percent(value)
    story.add(events.RateChange(id=name, on=min(on, since), from_on=since, rate_annual=rate))


def _re_age(story: Story, step: Json, name: str) -> None:
    frequency = Frequency(
        unit=one_of(UNITS, step["frequencyType"], "the unit"), every=whole(step["frequencyNumber"])
    )
    handling = step.get("reAgeInterestHandling")
    event = events.ReAge(
        id=name,
        on=_on(story, step),
        first_due_on=day(step["startDate"]),
        terms=whole(step["numberOfInstallments"]),
        frequency=frequency,
        interest=one_of(_RE_AGE_INTEREST, handling, "re-aged interest") if handling else None,
    )
    story.add(event)


def _re_amortise(story: Story, step: Json, name: str) -> None:
    story.add(events.ReAmortisation(id=name, on=_on(story, step)))


def _charge_off(story: Story, step: Json, name: str) -> None:
    effect = _EFFECTS.get(str(story.config.get("charge_off_behaviour")), ChargeOffEffect.NONE)
    story.add(events.ChargeOff(id=name, on=_on(story, step), effect=effect))
    if story.is_fraud or step.get("fraud"):
        story.frauds.add(name)


def _suspect(story: Story, step: Json, name: str) -> None:  # noqa: ARG001 -- as all tellers
    story.is_fraud = not str(step["op"]).startswith("un")


def _write_off(story: Story, step: Json, name: str) -> None:
    story.add(events.WriteOff(id=name, on=_on(story, step)))


def _recover(story: Story, step: Json, name: str) -> None:
    story.add(events.Recovery(id=name, on=_on(story, step), amount_fen=fen(step["amount"])))


def _terminate(story: Story, step: Json, name: str) -> None:
    story.add(events.Termination(id=name, on=_on(story, step)))


def _close_day(story: Story, step: Json, name: str) -> None:
    """The day before is closed: what was earned to its end is recognised."""
    on = _on(story, step)
    story.add(events.CloseOfDay(id=name, on=on, earned_to=on - timedelta(days=1)))


def _pause_lateness(story: Story, step: Json, name: str) -> None:
    first, last = span_of(step)
    pause = events.LatenessPause(id=name, on=story.today, first_on=first, last_on=last)
    story.add(pause)


def _resume_lateness(story: Story, step: Json, name: str) -> None:
    value = step.get("start") or step.get("startDate") or step.get("date")
    story.add(events.LatenessResume(id=name, on=day(value) if value else story.today))


def _pause_interest(story: Story, step: Json, name: str) -> None:
    """Pause interest from its first day on, however late that is entered."""
    first, last = span_of(step)
    on = min(story.today, first)
    story.add(events.InterestPause(id=name, on=on, first_on=first, last_on=last))


_TELLERS: Final[dict[str, Callable[[Story, Json, str], Any]]] = {
    "disburse": _disburse,
    "charge": _charge,
    "waive_charge": _waive,
    "waive_interest": _waive_interest,
    "undo": _undo,
    "undo_waive_charge": _undo_last(events.Waiver),
    "undo_re_age": _undo_last(events.ReAge),
    "undo_re_amortize": _undo_last(events.ReAmortisation),
    "undo_charge_off": _undo_last(events.ChargeOff),
    "set_fraud": _suspect,
    "unset_fraud": _suspect,
    "undo_write_off": _undo_last(events.WriteOff),
    "undo_disbursal": _undo_disbursal,
    "undo_last_disbursal": _undo_last_disbursal,
    "change_interest_rate": _change_rate,
    "undo_contract_termination": _undo_last(events.Termination),
    "chargeback": _charge_back,
    "credit_balance_refund": _refund_credit,
    "reschedule": _reschedule,
    "re_age": _re_age,
    "re_amortize": _re_amortise,
    "charge_off": _charge_off,
    "write_off": _write_off,
    "recovery": _recover,
    "terminate_contract": _terminate,
    "run_cob": _close_day,
    "delinquency_pause": _pause_lateness,
    "delinquency_resume": _resume_lateness,
    "interest_pause": _pause_interest,
}
