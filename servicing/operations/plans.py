"""Changes of a loan's plan, each with the rule that says which loans may have it.

For each there is the event that it would be, for a preview, and the request that posts it. What
the new plan looks like is the engine's; nothing here makes a loan dearer than the cap, and what is
to the borrower's disadvantage needs the cost table that they confirmed (CostNotConfirmed).

    PlanRefused        409  any of these; it names the rule
    DueDayRefused      409  change of due day (还款日变更)
    ExtensionRefused   409  extra terms (展期)
    ReliefRefused      409  principal grace, payment holiday
    RepricingRefused   409  another rate
    RestructureRefused 409  re-age, re-amortise
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import ClassVar, Final, TypeVar, Unpack

from sqlalchemy.orm import Session

from kernel.errors import Conflict, GivesReason
from servicing.caps import room_fen
from servicing.engine.events import (
    ExtraTerms,
    MovedDueDate,
    PaymentHoliday,
    PrincipalGrace,
    RateChange,
    ReAge,
    ReAgeInterest,
    ReAmortisation,
)
from servicing.engine.periods import MONTHS_A_YEAR, month_after
from servicing.engine.terms import FeeEvent, Method
from servicing.operations.classing import mark_restructured
from servicing.operations.requests import Agreed, Look, look_at, post_request
from servicing.queries.history import terms_of, with_event
from servicing.settling import event_charges, up_to

# Every month has these days.
_DUE_DAYS: Final = range(1, 29)
_MOST_GRACE: Final = 6
_MOST_HOLIDAY: Final = 3
_MOST_TERMS: Final = 60
_FIRST_DUE_WITHIN_DAYS: Final = 62

_Charged = TypeVar("_Charged", ExtraTerms, MovedDueDate)


class PlanRefused(GivesReason, Conflict):
    """A rule of ours forbids a change of the plan; `why` names the rule."""

    code = "plan-refused"
    message_zh = "该分期暂不能变更还款计划"


class DueDayRefused(PlanRefused):
    """The due day changes once in twelve months, to 1–28, of a monthly loan that is not late."""

    code = "due-day-refused"
    message_zh = "该分期暂不能变更还款日"
    reasons: ClassVar[Mapping[str, str]] = {
        "out-of-range": "还款日须在每月 1 日至 28 日之间",
        "not-monthly": "该分期不是按月还款，没有每月还款日可变更",
        "late": "该分期有逾期未还，还清后才能变更还款日",
        "nothing-to-come": "该分期没有未到期的应还款，无需变更还款日",
        "again": "该分期十二个月内已变更过还款日",
        "same": "该分期已经是每月这一天还款",
    }


class ExtensionRefused(PlanRefused):
    """A loan is extended once, before it is late, by no more than it was first agreed for."""

    code = "extension-refused"
    message_zh = "该分期不符合展期条件"
    reasons: ClassVar[Mapping[str, str]] = {
        "again": "该分期已展期过一次，不能再次展期",
        "too-long": "展期的期数须为 1 期至原定期数",
        "late": "该分期有逾期未还，逾期后不能展期",
        "nothing-to-come": "该分期没有未到期的应还款，无需展期",
        "fixed": "该分期每期金额固定或已重新安排，不能再分成更多期",
    }


class ReliefRefused(PlanRefused):
    """Grace or a payment holiday is given once in twelve months, before a loan is late."""

    code = "relief-refused"
    message_zh = "该分期不符合延期还款条件"
    reasons: ClassVar[Mapping[str, str]] = {
        "again": "该分期十二个月内已办理过延期还款",
        "too-long": "延期还款的期数超出规定",
        "late": "该分期有逾期未还，逾期后不能延期还款",
        "nothing-to-come": "该分期没有未到期的应还款，无需延期还款",
    }


class RepricingRefused(PlanRefused):
    """A rate is never negative, and never rises for days that have passed; a flat fee has none."""

    code = "repricing-refused"
    message_zh = "该分期不能按此利率调整"
    reasons: ClassVar[Mapping[str, str]] = {
        "negative": "年利率不能低于 0",
        "nothing-owed": "该分期已没有应还款，无需调整利率",
        "same": "该分期已经是这一年利率，无需调整",
        "dearer-past": "已经过去的日子只能降低利率，不能提高",
        "flat-fee": "该分期按每期费率收费，没有可以调整的年利率；优惠请减免费用",
        "not-lower": "优惠利率须低于现行年利率",
    }


class RestructureRefused(PlanRefused):
    """Only what is late is restructured, over a time that is near and not endless."""

    code = "restructure-refused"
    message_zh = "该分期不符合重组条件"
    reasons: ClassVar[Mapping[str, str]] = {
        "not-late": "该分期没有逾期，不能重组",
        "nothing-to-come": "该分期没有未到期的分期可以分摊",
        "out-of-bounds": "重组的首个还款日须在 62 天内，期数须为 1 至 60 期",
    }


def due_day_change(session: Session, *, loan_id: int, due_day: int, on: date) -> MovedDueDate:
    """Return the event that lets a loan fall due on another day of the month from now on.

    The next instalment moves to the next such day, never to an earlier one; the days between cost
    interest, which a preview shows as `gap_interest_fen`. It may lie on that day already and only
    those after it move: a loan of the 31st falls due on 28 February.

    Args:
        session: A session.
        loan_id: The loan.
        due_day: Day of the month, 1–28.
        on: The business date.

    Raises:
        DueDayRefused: Another day than 1–28 or the present one; not monthly; changed within twelve
            months; late or nothing to pay.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    due_on = look.next_due_on
    if due_day not in _DUE_DAYS:
        raise DueDayRefused("out-of-range", f"day {due_day} is not in 1–28")
    if not terms_of(look.loan).frequency.months:
        raise DueDayRefused("not-monthly", f"loan {loan_id} does not fall due by months")
    if look.days_past_due:
        raise DueDayRefused("late", f"loan {loan_id} is late")
    if due_on is None:
        raise DueDayRefused("nothing-to-come", f"loan {loan_id} has nothing to pay")
    if _is_recent(look.last(MovedDueDate), on):
        raise DueDayRefused("again", f"loan {loan_id} had another day within twelve months")
    to = due_on.replace(day=due_day)
    if all(day.day == due_day for day in look.open_dates if day > on):
        raise DueDayRefused("same", f"loan {loan_id} falls due on that day already")
    moved = MovedDueDate(id="", on=on, due_on=due_on, to=to if to >= due_on else month_after(to, 1))
    return _charged(session, look, moved, FeeEvent.DUE_DAY_CHANGE)


def change_due_day(session: Session, *, due_day: int, **asked: Unpack[Agreed]) -> int:
    """Let a loan fall due on another day of the month; errors of `due_day_change` and requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="change-due-day",
        details={"due_day": due_day},
        rule=lambda: due_day_change(session, loan_id=loan_id, due_day=due_day, on=on),
        asks_consent=True,
        **asked,
    )


def extension(session: Session, *, loan_id: int, extra_terms: int, on: date) -> ExtraTerms:
    """Return the event that gives more instalments to what is not due yet (展期).

    What is due at maturity alone is due that many periods later. It is free unless the product says
    otherwise, and then costs no more than the cap leaves.

    Raises:
        ExtensionRefused: It was extended before, is late, is paid, or would more than double; or
            its instalments are fixed.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    if look.last(ExtraTerms) is not None:
        raise ExtensionRefused("again", f"loan {loan_id} was extended before")
    if not 1 <= extra_terms <= look.loan.terms:
        raise ExtensionRefused("too-long", f"loan {loan_id} cannot have {extra_terms} terms more")
    if look.days_past_due:
        raise ExtensionRefused("late", f"loan {loan_id} is late")
    if look.next_due_on is None:
        raise ExtensionRefused("nothing-to-come", f"loan {loan_id} has nothing to spread")
    if _is_fixed(look):
        raise ExtensionRefused("fixed", f"the instalments of loan {loan_id} are fixed")
    added = ExtraTerms(id="", on=on, from_due_on=look.next_due_on, extra=extra_terms)
    return _charged(session, look, added, FeeEvent.EXTENSION)


def extend(session: Session, *, extra_terms: int, **asked: Unpack[Agreed]) -> int:
    """Extend a loan whose borrower confirmed what it costs; errors of `extension` and requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="extend",
        details={"extra_terms": extra_terms},
        rule=lambda: extension(session, loan_id=loan_id, extra_terms=extra_terms, on=on),
        asks_consent=True,
        **asked,
    )


def grace(session: Session, *, loan_id: int, periods: int, on: date) -> PrincipalGrace:
    """Return the event after which the next instalments bear interest only.

    As many instalments are added at the end.

    Raises:
        ReliefRefused: More than 6 periods, relieved within twelve months, late or paid.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    due_on = _relievable(look, periods=periods, most=_MOST_GRACE)
    return PrincipalGrace(id="", on=on, from_due_on=due_on, periods=periods)


def give_grace(session: Session, *, periods: int, **asked: Unpack[Agreed]) -> int:
    """Ask for interest only for some instalments; errors of `grace` and of requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="give-grace",
        details={"periods": periods},
        rule=lambda: grace(session, loan_id=loan_id, periods=periods, on=on),
        asks_consent=True,
        **asked,
    )


def holiday(
    session: Session, *, loan_id: int, periods: int, on: date, bears_interest: bool = True
) -> PaymentHoliday:
    """Return the event after which nothing falls due for some periods.

    What the time costs, if it does, is spread over the instalments that follow.

    Raises:
        ReliefRefused: More than 3 periods, relieved within twelve months, late or paid.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    due_on = _relievable(look, periods=periods, most=_MOST_HOLIDAY)
    return PaymentHoliday(
        id="", on=on, from_due_on=due_on, periods=periods, bears_interest=bears_interest
    )


def give_holiday(
    session: Session, *, periods: int, bears_interest: bool = True, **asked: Unpack[Agreed]
) -> int:
    """Ask for nothing for some periods; errors of `holiday` and of requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="give-holiday",
        details={"periods": periods, "bears_interest": bears_interest},
        rule=lambda: holiday(
            session, loan_id=loan_id, periods=periods, on=on, bears_interest=bears_interest
        ),
        asks_consent=True,
        **asked,
    )


def _relievable(look: Look, *, periods: int, most: int) -> date:
    """Return the first due date that relief is for."""
    loan_id, due_on = look.loan.id, look.next_due_on
    if not 1 <= periods <= most:
        raise ReliefRefused("too-long", f"loan {loan_id} is not relieved for {periods} periods")
    if look.days_past_due:
        raise ReliefRefused("late", f"loan {loan_id} is late")
    if due_on is None:
        raise ReliefRefused("nothing-to-come", f"loan {loan_id} has nothing to pay")
    if _is_recent(look.last(PrincipalGrace, PaymentHoliday), look.on):
        raise ReliefRefused("again", f"loan {loan_id} was relieved within twelve months")
    return due_on


def repricing(
    session: Session, *, loan_id: int, rate_annual: Decimal, from_on: date, on: date
) -> RateChange:
    """Return the event that lets another annual rate hold from a day on.

    Raises:
        RepricingRefused: It is negative, or higher for days that have passed, or the one that
            holds already; or nothing is owed, or the loan costs a flat fee, which no rate changes.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    if terms_of(look.loan).method is Method.FLAT_FEE:
        raise RepricingRefused("flat-fee", f"loan {loan_id} costs a flat fee")
    if rate_annual < 0:
        raise RepricingRefused("negative", f"loan {loan_id} cannot cost {rate_annual} a year")
    if not look.open_dates:
        raise RepricingRefused("nothing-owed", f"loan {loan_id} owes nothing")
    if set(_rates_since(look, from_on)) == {rate_annual}:
        raise RepricingRefused("same", f"loan {loan_id} costs {rate_annual} a year already")
    if from_on < on and rate_annual > min(_rates_since(look, from_on, until=on)):
        raise RepricingRefused(
            "dearer-past", f"loan {loan_id} does not become dearer for days that have passed"
        )
    return RateChange(id="", on=on, from_on=from_on, rate_annual=rate_annual)


def retention(session: Session, *, loan_id: int, rate_annual: Decimal, on: date) -> RateChange:
    """Return the event of a lower rate from today on, to keep a customer.

    Raises:
        RepricingRefused: As in `repricing`, and where the rate is not lower than the present one.
    """
    event = repricing(session, loan_id=loan_id, rate_annual=rate_annual, from_on=on, on=on)
    if rate_annual >= _rates_since(look_at(session, loan_id=loan_id, on=on), on)[0]:
        raise RepricingRefused("not-lower", f"{rate_annual} is no lower rate of loan {loan_id}")
    return event


def _rates_since(look: Look, from_on: date, *, until: date = date.max) -> list[Decimal]:
    """List the rate that holds on a day, and those that begin after it and before another."""
    changes = [event for event in look.happened if isinstance(event, RateChange)]
    changes.sort(key=lambda event: event.from_on)
    earlier = [event.rate_annual for event in changes if event.from_on <= from_on]
    since = [event.rate_annual for event in changes if from_on < event.from_on < until]
    return [earlier[-1] if earlier else look.loan.rate_annual, *since]


def reprice(
    session: Session, *, rate_annual: Decimal, from_on: date, **asked: Unpack[Agreed]
) -> int:
    """Let another rate hold; errors of `repricing` and of requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="reprice",
        details={"rate_annual": str(rate_annual), "from_on": from_on.isoformat()},
        rule=lambda: repricing(
            session, loan_id=loan_id, rate_annual=rate_annual, from_on=from_on, on=on
        ),
        asks_consent=True,
        **asked,
    )


def re_amortisation(session: Session, *, loan_id: int, on: date) -> ReAmortisation:
    """Return the event that spreads principal that is late over the instalments to come.

    Raises:
        RestructureRefused: Nothing is late, or no instalment is to come.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    if not look.days_past_due:
        raise RestructureRefused("not-late", f"loan {loan_id} is not late")
    if look.next_due_on is None:
        raise RestructureRefused("nothing-to-come", f"loan {loan_id} has nothing to come")
    return ReAmortisation(id="", on=on)


def re_amortise(session: Session, **asked: Unpack[Agreed]) -> int:
    """Spread what is late over what is to come; errors of `re_amortisation` and of requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    seq = post_request(
        session,
        action="re-amortise",
        details={},
        rule=lambda: re_amortisation(session, loan_id=loan_id, on=on),
        asks_consent=True,
        **asked,
    )
    return _restructured(session, seq, asked)


def re_ageing(
    session: Session,
    *,
    loan_id: int,
    first_due_on: date,
    terms: int,
    on: date,
    interest: ReAgeInterest | None = None,
) -> ReAge:
    """Return the event that plans all that is owed anew: a restructuring, so the loan is marked.

    Args:
        session: A session.
        loan_id: The loan.
        first_due_on: When the new plan begins, within 62 days.
        terms: Its instalments, 1–60.
        on: The business date.
        interest: What becomes of interest; None lets nothing run after the day.

    Raises:
        RestructureRefused: Nothing is late, or the new plan is not within those bounds.
    """
    look = look_at(session, loan_id=loan_id, on=on)
    if not look.days_past_due:
        raise RestructureRefused("not-late", f"loan {loan_id} is not late")
    if not 1 <= terms <= _MOST_TERMS or not 0 < (first_due_on - on).days <= _FIRST_DUE_WITHIN_DAYS:
        raise RestructureRefused("out-of-bounds", f"{terms} terms from {first_due_on} on")
    return ReAge(id="", on=on, first_due_on=first_due_on, terms=terms, interest=interest)


def re_age(
    session: Session,
    *,
    first_due_on: date,
    terms: int,
    interest: ReAgeInterest | None = None,
    **asked: Unpack[Agreed],
) -> int:
    """Plan all that is owed anew; errors of `re_ageing` and of requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    seq = post_request(
        session,
        action="re-age",
        details={
            "first_due_on": first_due_on.isoformat(),
            "terms": terms,
            "interest": None if interest is None else interest.value,
        },
        rule=lambda: re_ageing(
            session,
            loan_id=loan_id,
            first_due_on=first_due_on,
            terms=terms,
            on=on,
            interest=interest,
        ),
        asks_consent=True,
        **asked,
    )
    return _restructured(session, seq, asked)


def _restructured(session: Session, seq: int, asked: Agreed) -> int:
    """Have a loan observed as restructured from its event on; returns the event's number."""
    mark_restructured(
        session,
        loan_id=asked["loan_id"],
        event_seq=seq,
        by=asked["actor"],
        on=asked["on"],
        now=asked["now"],
    )
    return seq


def _is_fixed(look: Look) -> bool:
    """Say whether its instalments cannot be spread: by method, or since it was planned anew."""
    terms = terms_of(look.loan)
    is_planned_anew = look.last(ReAge) is not None and not terms.is_flat
    return terms.method is Method.FIXED_INSTALMENT or is_planned_anew


def _charged(session: Session, look: Look, event: _Charged, fee: FeeEvent) -> _Charged:
    """Let a change cost what the product asks for it, as far as the cap leaves room."""
    loan_id = look.loan.id
    charges = event_charges(terms_of(look.loan), look.state, fee)
    if not charges:
        return event
    _, after = with_event(session, loan_id=loan_id, event=event)
    return replace(event, charges=up_to(charges, room_fen(after, event.on)))


def _is_recent(last: date | None, on: date) -> bool:
    """Say whether twelve months have not passed since a day."""
    return last is not None and month_after(last, MONTHS_A_YEAR) > on
