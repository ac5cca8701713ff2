"""Freezes of what a loan costs: no interest, or no penalty, from a first to a last day.

A freeze is an entity that staff place, and lift by reversing its event; what it does to the loan is
the engine's pause. Bars on contact are holds, and a line is frozen in lines.

    FreezeRefused   422  the days make no sense, or there is nothing to freeze
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import ClassVar, Final, Unpack

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import GivesReason, Invalid
from kernel.money import Rounding, round_fen
from servicing.engine.events import Event, InterestPause, PenaltyPause
from servicing.operations.requests import Asked, post_request
from servicing.queries.history import find_loan, loan_as_of, terms_of
from servicing.tables import LoanFreeze

INTEREST: Final = "interest"
PENALTY: Final = "penalty"

_A_YEAR_DAYS: Final = 365

_PAUSES: Final[dict[str, Callable[..., Event]]] = {INTEREST: InterestPause, PENALTY: PenaltyPause}


class FreezeRefused(GivesReason, Invalid):
    """The days make no sense, or the loan bears no penalty, or no interest by the day."""

    code = "freeze-refused"
    message_zh = "该冻结不能办理"
    reasons: ClassVar[Mapping[str, str]] = {
        "nothing-to-freeze": "该分期不按日计息或不收罚息，没有可冻结的费用",
        "days": "冻结的首日不能早于放款日，末日不能早于首日",
    }


def freeze(
    session: Session, *, loan_id: int, what: str, first_on: date, last_on: date | None, on: date
) -> Event:
    """Return the event that lets no interest or no penalty run on some days.

    Args:
        session: A session.
        loan_id: The loan.
        what: INTEREST or PENALTY.
        first_on: The first day that costs nothing.
        last_on: The last one; None for no end.
        on: The business date.

    Raises:
        FreezeRefused: As said above.
    """
    loan = find_loan(session, loan_id=loan_id)
    is_none = terms_of(loan).is_flat if what == INTEREST else not loan.bears_penalty
    if what not in _PAUSES or is_none:
        raise FreezeRefused("nothing-to-freeze", f"loan {loan_id} has no {what} to freeze")
    if first_on < loan.disbursed_on or (last_on is not None and last_on < first_on):
        raise FreezeRefused("days", f"no freeze from {first_on} to {last_on}")
    return _PAUSES[what](id="", on=on, first_on=first_on, last_on=last_on)


def most_saved_fen(session: Session, *, loan_id: int, first_on: date, last_on: date | None) -> int:
    """Return the most that a freeze of penalty can save, fen: all principal late on each day.

    What is to come cannot be seen in a preview. A freeze without an end is taken for a year.
    """
    terms = terms_of(find_loan(session, loan_id=loan_id))
    if terms.penalty is None:
        return 0
    state = loan_as_of(session, loan_id=loan_id, on=first_on)
    days = _A_YEAR_DAYS if last_on is None else (last_on - first_on).days + 1
    exact = state.outstanding.principal_fen * terms.penalty.rate_a_day * days
    return round_fen(exact, rounding=Rounding.HALF_UP)


def place_freeze(
    session: Session,
    *,
    what: str,
    first_on: date,
    last_on: date | None,
    reason: str,
    **asked: Unpack[Asked],
) -> int:
    """Freeze what a loan costs on some days, overlapping others or not; returns the event's number.

    Errors are those of `freeze` and of requests.
    """
    loan_id, on = asked["loan_id"], asked["on"]
    seq = post_request(
        session,
        action=f"freeze-{what}",
        details={
            "first_on": first_on.isoformat(),
            "last_on": last_on.isoformat() if last_on else None,
        },
        rule=lambda: freeze(
            session, loan_id=loan_id, what=what, first_on=first_on, last_on=last_on, on=on
        ),
        **asked,
    )
    known = select(LoanFreeze.id).where(LoanFreeze.loan_id == loan_id, LoanFreeze.event_seq == seq)
    if session.scalar(known) is None:
        session.add(
            LoanFreeze(
                loan_id=loan_id,
                what=what,
                first_on=first_on,
                last_on=last_on,
                reason=reason,
                event_seq=seq,
                opened_by=asked["actor"],
                opened_at=asked["now"],
            )
        )
        session.flush()
    return seq
