"""Whose instalments are open and due by a day, as one statement for whoever plans reminders."""

from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from kernel.clock import start_of_day
from servicing.tables import Hold, Instalment, Loan


def due_select(*, on: date, until: date, purpose: str) -> Select[int, date, date]:
    """Select the customers who have open instalments that fall due by a day, one row each.

    What is late counts as well, however old. A loan on hold, such as a disputed one, is left out,
    because a contact of the purpose may not speak of it.

    Args:
        on: The business date of the look.
        until: The last due date that counts; it may lie before or after `on`.
        purpose: Of the contact that is to be planned.

    Returns:
        Columns customer_id, first_due_on and last_due_on.
    """
    held = held_loans(purpose=purpose, at=start_of_day(on))
    return (
        select(
            Loan.customer_id.label("customer_id"),
            func.min(Instalment.due_on).label("first_due_on"),
            func.max(Instalment.due_on).label("last_due_on"),
        )
        .join(Loan, Loan.id == Instalment.loan_id)
        .where(
            Instalment.settled_on.is_(None),
            Instalment.due_on <= until,
            ~held.where(Hold.loan_id == Loan.id).exists(),
        )
        .group_by(Loan.customer_id)
    )


def held_loans(*, purpose: str, at: datetime) -> Select[int | None]:
    """Select the loans of which a purpose may not speak at an instant."""
    return select(Hold.loan_id).where(
        Hold.loan_id.is_not(None), Hold.scope.in_(("all", purpose)), hold_in_force(at)
    )


def hold_in_force(at: datetime) -> ColumnElement[bool]:
    """Say in SQL whether a hold bars contacts at an instant."""
    return and_(Hold.lifted_at.is_(None), or_(Hold.until.is_(None), Hold.until > at))
