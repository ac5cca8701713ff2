"""What is frozen for a customer on a day: interest, penalty, contact, a line; each until when.

Only what the customer may read of it: not why, and nothing about somebody else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from servicing.tables import CreditLine, Hold, LineFreeze, Loan, LoanFreeze

# Whoever reads the page may not be the customer any more.
_NOT_TOLD: Final = ("not_debtor", "deceased")
_SCOPES: Final = ("all", "collection")
_AN_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeInForce:
    """Something that is frozen.

    Attributes:
        what: `interest`, `penalty`, `contact` or `line`.
        loan_id: Of which loan; None for all, and for a line.
        until: The last day, included; None if no end is known.
    """

    what: str
    loan_id: int | None
    until: date | None


def freezes_in_force(
    session: Session, *, customer_id: int, on: date, at: datetime
) -> tuple[FreezeInForce, ...]:
    """List what is frozen for a customer on a day; of several of one kind the longest.

    Args:
        session: A session.
        customer_id: Whose.
        on: The business date.
        at: The instant, since a bar on contact begins and ends within a day.
    """
    longest: dict[tuple[str, int | None], FreezeInForce] = {}
    for found in _all(session, customer_id, on, at):
        known = longest.get((found.what, found.loan_id))
        if known is None or _ends(found) > _ends(known):
            longest[found.what, found.loan_id] = found
    return tuple(longest.values())


def _in_force(
    freeze: type[LoanFreeze] | type[LineFreeze], on: date
) -> tuple[ColumnElement[bool], ...]:
    is_on = or_(freeze.last_on.is_(None), freeze.last_on >= on)
    return freeze.lifted_at.is_(None), freeze.first_on <= on, is_on


def _ends(freeze: FreezeInForce) -> date:
    return freeze.until or date.max


def _all(session: Session, customer_id: int, on: date, at: datetime) -> Iterator[FreezeInForce]:
    of_loans = session.scalars(
        select(LoanFreeze)
        .join(Loan, Loan.id == LoanFreeze.loan_id)
        .where(
            Loan.customer_id == customer_id,
            Loan.state == "active",
            *_in_force(LoanFreeze, on),
        )
        .order_by(LoanFreeze.id)
    )
    for freeze in of_loans:
        yield FreezeInForce(what=freeze.what, loan_id=freeze.loan_id, until=freeze.last_on)
    of_contact = session.scalars(
        select(Hold)
        .where(
            Hold.customer_id == customer_id,
            Hold.lifted_at.is_(None),
            Hold.opened_at <= at,
            or_(Hold.until.is_(None), Hold.until > at),
            Hold.scope.in_(_SCOPES),
            Hold.reason.not_in(_NOT_TOLD),
        )
        .order_by(Hold.id)
    )
    for hold in of_contact:
        until = None if hold.until is None else business_date(hold.until - _AN_INSTANT)
        yield FreezeInForce(what="contact", loan_id=hold.loan_id, until=until)
    of_lines = session.scalars(
        select(LineFreeze)
        .join(CreditLine, CreditLine.id == LineFreeze.line_id)
        .where(CreditLine.customer_id == customer_id, *_in_force(LineFreeze, on))
        .order_by(LineFreeze.id)
    )
    for frozen in of_lines:
        yield FreezeInForce(what="line", loan_id=None, until=frozen.last_on)
