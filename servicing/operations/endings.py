"""How a loan ends without being paid as agreed, each with the rule that allows it.

What is charged off (核销) leaves the books as a loss and is still owed, so it is still asked for
and reminded of. What is written off is given up: nothing is owed any more, and reminders end with
the debt. Either freezes the line, whose figures follow what is owed.

    EndingRefused        409  termination, charge-off, recovery
    CancellationRefused  409  a purchase that cannot be undone
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any, ClassVar, Final, Unpack

from sqlalchemy.orm import Session

from kernel.errors import Conflict, GivesReason
from servicing.engine.book import Kind
from servicing.engine.events import (
    Cancellation,
    ChargeOff,
    ChargeOffEffect,
    Event,
    Recovery,
    Termination,
    WriteOff,
)
from servicing.operations.line_freezes import freeze_line
from servicing.operations.repayments import give_back_beyond_cap
from servicing.operations.requests import Asked, look_at, post_request
from servicing.queries.history import find_loan

# A contract is ended early after one month, a claim is charged off after three.
_TERMINATED_AFTER_DAYS: Final = 30
_CHARGED_OFF_AFTER_DAYS: Final = 90
_FROZEN_BY_LATENESS: Final = "overdue"


class EndingRefused(GivesReason, Conflict):
    """The loan is not late enough, or it has not ended in the way that this asks for."""

    code = "ending-refused"
    message_zh = "该分期不符合提前到期或核销条件"
    reasons: ClassVar[Mapping[str, str]] = {
        "too-early-to-end": "逾期超过 30 天的分期才能提前到期",
        "too-early-to-charge-off": "逾期超过 90 天的分期才能核销",
        "nothing-given-up": "债权未放弃，没有核销后收回；收到的钱请登记还款",
        "beyond-given-up": "收回金额不能超过放弃的债权减去已收回的部分",
    }


class CancellationRefused(GivesReason, Conflict):
    """The seller gives back no more than the price, from the day of the purchase on."""

    code = "cancellation-refused"
    message_zh = "退货金额或日期与该分期不符"
    reasons: ClassVar[Mapping[str, str]] = {
        "beyond-price": "商户退回的货款须大于 0，且不超过已放款的本金",
        "before-purchase": "退货日期不能早于放款日",
    }


def termination(session: Session, *, loan_id: int, on: date) -> Termination:
    """Return the event that makes all principal due now (提前到期), with interest to the day.

    Raises:
        EndingRefused: It is not more than 30 days late.
    """
    if _days_late(session, loan_id, on) <= _TERMINATED_AFTER_DAYS:
        raise EndingRefused("too-early-to-end", f"loan {loan_id} is not late enough to end")
    return Termination(id="", on=on)


def terminate(session: Session, **asked: Unpack[Asked]) -> int:
    """End a contract early and freeze its line; errors of `termination` and of requests."""
    rule = partial(termination, session, loan_id=asked["loan_id"], on=asked["on"])
    return _end(session, action="terminate", details={}, rule=rule, is_priced=True, **asked)


def charging_off(
    session: Session, *, loan_id: int, on: date, effect: ChargeOffEffect = ChargeOffEffect.NONE
) -> ChargeOff:
    """Return the event that takes a claim off the books as lost (核销) although it is owed.

    Args:
        session: A session.
        loan_id: The loan.
        on: The business date.
        effect: What it does to the plan: nothing, no more interest, or all due now.

    Raises:
        EndingRefused: It is not more than 90 days late.
    """
    if _days_late(session, loan_id, on) <= _CHARGED_OFF_AFTER_DAYS:
        raise EndingRefused("too-early-to-charge-off", f"loan {loan_id} is not late enough")
    return ChargeOff(id="", on=on, effect=effect)


def charge_off(
    session: Session,
    *,
    effect: ChargeOffEffect = ChargeOffEffect.NONE,
    **asked: Unpack[Asked],
) -> int:
    """Charge a claim off and freeze its line; errors of `charging_off` and of requests."""
    rule = partial(charging_off, session, loan_id=asked["loan_id"], on=asked["on"], effect=effect)
    return _end(session, action="charge-off", details={"effect": effect.value}, rule=rule, **asked)


def write_off(session: Session, **asked: Unpack[Asked]) -> int:
    """Give a claim up for good and freeze its line; what is paid on it later is a recovery.

    Raises:
        EventRefused: The loan is not running.
    """
    event = WriteOff(id="", on=asked["on"])
    return _end(session, action="write-off", details={}, rule=lambda: event, **asked)


def recovery(session: Session, *, loan_id: int, amount_fen: int, on: date) -> Recovery:
    """Return the event by which money comes in on a claim that was given up; it settles nothing.

    Raises:
        EndingRefused: It is more than was given up and not recovered yet.
    """
    records = [
        record
        for record in look_at(session, loan_id=loan_id, on=on).state.records
        if not record.is_reversed
    ]
    given_up, recovered = (
        sum(record.amount_fen for record in records if record.kind is kind)
        for kind in (Kind.WRITE_OFF, Kind.RECOVERY)
    )
    left_fen = given_up - recovered
    if amount_fen > left_fen:
        why = "beyond-given-up" if given_up else "nothing-given-up"
        raise EndingRefused(why, f"{left_fen} fen of loan {loan_id} can still be recovered")
    return Recovery(id="", on=on, amount_fen=amount_fen)


def recover(session: Session, *, amount_fen: int, **asked: Unpack[Asked]) -> int:
    """Take money in on a claim that was given up; errors of `recovery` and of requests.

    Raises:
        CostAboveCap: With it, the loan would cost more a year than is allowed.
    """
    return post_request(
        session,
        action="recover",
        details={"amount_fen": amount_fen},
        rule=partial(
            recovery, session, loan_id=asked["loan_id"], amount_fen=amount_fen, on=asked["on"]
        ),
        **asked,
    )


def cancellation(
    session: Session, *, loan_id: int, amount_fen: int, bears_cost: bool, on: date
) -> Cancellation:
    """Return the event that undoes a purchase: the seller gives back its price.

    What is then paid too much is owed to the borrower until it is refunded.

    Args:
        session: A session.
        loan_id: The loan.
        amount_fen: What the seller gives back, > 0; principal beyond it stays owed.
        bears_cost: Whether the borrower bears the cost until then.
        on: The business date.

    Raises:
        CancellationRefused: More than the price, or before the purchase.
    """
    loan = find_loan(session, loan_id=loan_id)
    if not 0 < amount_fen <= loan.principal_fen:
        raise CancellationRefused("beyond-price", f"{amount_fen} fen are not given back")
    if on < loan.disbursed_on:
        raise CancellationRefused("before-purchase", f"loan {loan_id} was not there on {on}")
    return Cancellation(id="", on=on, amount_fen=amount_fen, bears_cost=bears_cost)


def cancel_purchase(
    session: Session, *, amount_fen: int, bears_cost: bool, **asked: Unpack[Asked]
) -> int:
    """Undo a purchase whose goods went back; errors of `cancellation` and of requests.

    A return makes what was paid before it dearer. It is not refused for that: what is beyond the
    cap is owed to the borrower.
    """
    done = post_request(
        session,
        action="cancel-purchase",
        details={"amount_fen": amount_fen, "bears_cost": bears_cost},
        rule=partial(
            cancellation,
            session,
            loan_id=asked["loan_id"],
            amount_fen=amount_fen,
            bears_cost=bears_cost,
            on=asked["on"],
        ),
        is_priced=False,
        **asked,
    )
    loan_id, key, now = asked["loan_id"], asked["key"], asked["now"]
    give_back_beyond_cap(session, loan_id=loan_id, key=key, now=now)
    return done


def _days_late(session: Session, loan_id: int, on: date) -> int:
    return look_at(session, loan_id=loan_id, on=on).days_past_due


def _end(
    session: Session,
    *,
    action: str,
    details: Mapping[str, Any],
    rule: Callable[[], Event],
    is_priced: bool = False,
    **asked: Unpack[Asked],
) -> int:
    """Post what ends a loan; nobody draws on a line whose loan was lost."""

    def freezing() -> Event:
        event, loan = rule(), find_loan(session, loan_id=asked["loan_id"])
        if loan.line_id is not None:
            freeze_line(session, line_id=loan.line_id, reason=_FROZEN_BY_LATENESS, now=asked["now"])
        return event

    return post_request(
        session, action=action, details=details, rule=freezing, is_priced=is_priced, **asked
    )
