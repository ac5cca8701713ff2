"""The pure rules beside the money: how late, and what may happen to an application.

Dates are business dates in Asia/Shanghai. What a loan owes is not decided here but in
servicing.engine.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum

from kernel.errors import Conflict

# A member of staff approves applications up to this amount alone, above it with a second person.
SECOND_PERSON_ABOVE_FEN = 800_000

# No line is larger: the statutory bound on one person's consumer credit (risk's pack cites it).
LINE_AT_MOST_FEN = 20_000_000

# How the events that a partner posts name their actor, and its applications their channel.
PARTNER = "partner:"

# Contexts under which the texts of a complaint are encrypted.
COMPLAINT_TEXT = "complaint.text"
COMPLAINT_ANSWER = "complaint.answer"


class InstalmentState(StrEnum):
    """Where an instalment stands on a day.

    Attributes:
        WAIVED: Nothing of it is owed, and some of its principal was given up.
        VOID: It asks for nothing: it has moved into a later plan, or bears no principal nor cost.
    """

    PAID = "paid"
    WAIVED = "waived"
    VOID = "void"
    OVERDUE = "overdue"
    DUE = "due"
    UPCOMING = "upcoming"


class LoanStatus(StrEnum):
    """Where a loan stands.

    Attributes:
        APPROVED: Nothing was paid out yet.
        ACTIVE: It is owed.
        CHARGED_OFF: It is owed, and off the books as lost.
        WRITTEN_OFF: The claim was given up; nothing is asked for any more.
        CANCELLED: The purchase was undone, and nothing is owed.
        SETTLED: Nothing is owed.
    """

    APPROVED = "approved"
    ACTIVE = "active"
    CHARGED_OFF = "charged_off"
    WRITTEN_OFF = "written_off"
    CANCELLED = "cancelled"
    SETTLED = "settled"


def loan_status(
    *, owes: bool, is_charged_off: bool, is_written_off: bool, is_cancelled: bool
) -> LoanStatus:
    """Say where a loan stands that was paid out; of one that is not owed, how that came."""
    if owes:
        is_off_books = is_charged_off or is_written_off
        return LoanStatus.CHARGED_OFF if is_off_books else LoanStatus.ACTIVE
    if is_written_off:
        return LoanStatus.WRITTEN_OFF
    return LoanStatus.CANCELLED if is_cancelled else LoanStatus.SETTLED


def days_past_due(due_on: date, on: date) -> int:
    """Count the days since the due date; 0 on it and before it."""
    return max(0, (on - due_on).days)


def instalment_state(
    *, due_on: date, due_fen: int, outstanding_fen: int, given_up_fen: int, on: date
) -> InstalmentState:
    """Say where an instalment stands on a day, of whose principal so much was given up."""
    if due_fen == 0:
        return InstalmentState.VOID
    if outstanding_fen == 0:
        return InstalmentState.WAIVED if given_up_fen else InstalmentState.PAID
    if due_on < on:
        return InstalmentState.OVERDUE
    return InstalmentState.DUE if due_on == on else InstalmentState.UPCOMING


MACHINE = "machine"
# Decided before this book was kept: by whom and why is not known here.
IMPORTED = "import"

# The book's own reasons, beside those of the judge and of people.
APPEALED = "appealed"
EVIDENCE_MISSING = "evidence-missing"
LINE_TOO_SMALL = "line-too-small"
# What the strategy asks for the money is outside of the product's prices.
PRICE_OUTSIDE = "price-outside"
# No strategy in force decides the product, so a person does.
NO_STRATEGY = "no-strategy"
# It was approved, and nobody came to sign within the time that its amount is held for.
HOLD_LAPSED = "hold-lapsed"

# What applicants are promised: an answer of the machine within five minutes.
DECIDE_WITHIN = timedelta(minutes=5)
# A person decides what came to people within a day, whoever sent it there.
REVIEW_WITHIN = timedelta(hours=24)
# How long a reviewer keeps an application to themselves.
REVIEW_TAKEN_FOR = timedelta(minutes=30)


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
    APPEAL = "appeal"


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
    (ApplicationState.DECLINED, ApplicationEvent.APPEAL): ApplicationState.IN_REVIEW,
    # What was approved stands while a person looks at its terms.
    (ApplicationState.APPROVED, ApplicationEvent.APPEAL): ApplicationState.APPROVED,
    (ApplicationState.BOOKED, ApplicationEvent.APPEAL): ApplicationState.BOOKED,
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


class ReviewKind(StrEnum):
    """What a person looks at: whether to approve, or the terms of what is approved."""

    DECISION = "decision"
    TERMS = "terms"


# Where an application stands while a review of a kind waits; elsewhere the review is moot.
REVIEWED_IN = {
    ReviewKind.DECISION: (ApplicationState.IN_REVIEW,),
    ReviewKind.TERMS: (ApplicationState.APPROVED, ApplicationState.BOOKED),
}


class CourseState(StrEnum):
    """How far the machine has come with an application."""

    SUBMITTED = "submitted"
    GATHERING = "gathering"
    DECIDED = "decided"


class CourseEvent(StrEnum):
    """What moves an application towards the machine's decision."""

    GATHER = "gather"
    DECIDE = "decide"


_COURSE_MOVES = {
    (CourseState.SUBMITTED, CourseEvent.GATHER): CourseState.GATHERING,
    (CourseState.SUBMITTED, CourseEvent.DECIDE): CourseState.DECIDED,
    (CourseState.GATHERING, CourseEvent.DECIDE): CourseState.DECIDED,
}


def next_course_state(state: str, event: CourseEvent) -> CourseState:
    """Say how far the machine has come after an event.

    Raises:
        ApplicationStateRefused: The event does not happen in that state.
    """
    try:
        return _COURSE_MOVES[CourseState(state), event]
    except KeyError:
        raise ApplicationStateRefused(f"{event} does not happen to {state}") from None


class EvidenceState(StrEnum):
    """What became of one inquiry; planned ones have yet to have their turn."""

    PLANNED = "planned"
    WAITING = "waiting"
    ANSWERED = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    NOT_ASKED = "not_asked"


# Why nobody was asked: the product does without, or the application was declined already.
SWITCHED_OFF = "switched-off"
DECLINED_ALREADY = "declined-already"

_STRICTNESS = ("approve", "review", "decline")


def strictest(outcomes: Iterable[str]) -> str:
    """Return the strictest of some outcomes."""
    return max(outcomes, key=_STRICTNESS.index)


def is_by_person(decided_by: str | None) -> bool:
    """Say whether a member of our staff decided, and no machine or former book."""
    return decided_by not in (None, MACHINE, IMPORTED)


def needs_second_person(amount_fen: int) -> bool:
    """Say whether one member of staff may not approve this amount alone."""
    return amount_fen > SECOND_PERSON_ABOVE_FEN


def available_fen(*, state: str, granted_fen: int, held_fen: int, utilised_fen: int) -> int:
    """Return what may still be drawn on a line; never negative, 0 unless the line is active."""
    if state != "active":
        return 0
    return max(0, granted_fen - held_fen - utilised_fen)
