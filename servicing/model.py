"""The pure rules of a loan: what a payment settles, how late it is, what becomes of an application.

Money in fen, dates are business dates in Asia/Shanghai. Nothing here reads a clock or a database.
Plans and what they cost are the money engine's (`servicing.engine`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from kernel.errors import Conflict

# Contexts under which the texts of a complaint are encrypted.
COMPLAINT_TEXT = "complaint.text"
COMPLAINT_ANSWER = "complaint.answer"

_BUCKET_DAYS = 30
_LAST_BUCKET = 6


class InstalmentState(StrEnum):
    """Where an instalment stands on a day."""

    PAID = "paid"
    OVERDUE = "overdue"
    DUE = "due"
    UPCOMING = "upcoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What one instalment still asks for, fen."""

    n: int
    interest_fen: int
    principal_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated:
    """What a payment settles of one instalment, fen."""

    n: int
    interest_fen: int
    principal_fen: int


def allocate(amount_fen: int, owed: Sequence[Owed]) -> tuple[tuple[Allocated, ...], int]:
    """Split a payment over instalments, oldest first, interest before principal.

    Returns:
        The parts, and what is left over; together exactly the amount.
    """
    left = amount_fen
    parts = []
    for row in sorted(owed, key=lambda row: row.n):
        interest = min(left, row.interest_fen)
        principal = min(left - interest, row.principal_fen)
        left -= interest + principal
        if interest or principal:
            parts.append(Allocated(n=row.n, interest_fen=interest, principal_fen=principal))
    return tuple(parts), left


def days_past_due(due_on: date, on: date) -> int:
    """Count the days since the due date; 0 on it and before it."""
    return max(0, (on - due_on).days)


def bucket(days: int) -> str:
    """Name the lateness bucket: M0 current, M1 1–30 … M6 151–180, M6+."""
    months = -(-days // _BUCKET_DAYS)
    return f"M{months}" if months <= _LAST_BUCKET else f"M{_LAST_BUCKET}+"


def instalment_state(*, due_on: date, outstanding_fen: int, on: date) -> InstalmentState:
    """Say where an instalment stands on a day."""
    if outstanding_fen == 0:
        return InstalmentState.PAID
    if due_on < on:
        return InstalmentState.OVERDUE
    return InstalmentState.DUE if due_on == on else InstalmentState.UPCOMING


class ApplicationState(StrEnum):
    """Where an application stands."""

    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    BOOKED = "booked"


class ApplicationEvent(StrEnum):
    """What can happen to an application."""

    APPROVE = "approve"
    DECLINE = "decline"
    REVIEW = "review"
    CANCEL = "cancel"
    BOOK = "book"


class ApplicationStateRefused(Conflict):
    """This cannot happen to an application in its present state."""

    code = "application-state-refused"
    message_zh = "申请当前状态不支持此操作"


_APPLICATION_MOVES = {
    (ApplicationState.SUBMITTED, ApplicationEvent.APPROVE): ApplicationState.APPROVED,
    (ApplicationState.SUBMITTED, ApplicationEvent.DECLINE): ApplicationState.DECLINED,
    (ApplicationState.SUBMITTED, ApplicationEvent.REVIEW): ApplicationState.IN_REVIEW,
    (ApplicationState.SUBMITTED, ApplicationEvent.CANCEL): ApplicationState.CANCELLED,
    (ApplicationState.IN_REVIEW, ApplicationEvent.APPROVE): ApplicationState.APPROVED,
    (ApplicationState.IN_REVIEW, ApplicationEvent.DECLINE): ApplicationState.DECLINED,
    (ApplicationState.IN_REVIEW, ApplicationEvent.CANCEL): ApplicationState.CANCELLED,
    (ApplicationState.APPROVED, ApplicationEvent.CANCEL): ApplicationState.CANCELLED,
    (ApplicationState.APPROVED, ApplicationEvent.BOOK): ApplicationState.BOOKED,
}


def next_application_state(state: str, event: ApplicationEvent) -> ApplicationState:
    """Say what an application becomes.

    Raises:
        ApplicationStateRefused: The event does not happen in that state.
    """
    try:
        return _APPLICATION_MOVES[ApplicationState(state), event]
    except KeyError:
        raise ApplicationStateRefused(f"{event} does not happen to {state}") from None


def available_fen(*, state: str, granted_fen: int, held_fen: int, utilised_fen: int) -> int:
    """Return what may still be drawn on a line; never negative, 0 unless the line is active."""
    if state != "active":
        return 0
    return max(0, granted_fen - held_fen - utilised_fen)
