"""The list of loans that could not be brought to the end of a day, each with its last cause."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from kernel.errors import FenqiError
from servicing.tables import DayFailure, Loan

_LONGEST_CAUSE = 200


def cause_of(error: Exception) -> str:
    """Say in a line why a loan failed; values of the statement are left out.

    Raises:
        DBAPIError: The connection broke, which is no loan's fault.
    """
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            raise error
        said = str(error.orig).partition("\n")[0]
        return f"{type(error).__name__}: {said}"[:_LONGEST_CAUSE]
    said = error.code if isinstance(error, FenqiError) else str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said}"[:_LONGEST_CAUSE]


def note_failures(session: Session, *, on: date, causes: Mapping[int, str], now: datetime) -> None:
    """Put loans on the list of a day, or note that they failed once more."""
    for loan_id, cause in causes.items():
        known = session.get(DayFailure, (on, loan_id), populate_existing=True)
        if known is None:
            session.add(DayFailure(on=on, loan_id=loan_id, cause=cause, failed_at=now))
            continue
        known.cause, known.failed_at, known.resolved_at = cause, now, None
        known.attempts += 1


def resolve_failures(session: Session, *, first_id: int, last_id: int, now: datetime) -> None:
    """Take loans of a range off the list that have reached the end of the day since."""
    reached = select(Loan.id).where(Loan.id == DayFailure.loan_id, Loan.closed_to >= DayFailure.on)
    session.execute(
        update(DayFailure)
        .where(
            DayFailure.resolved_at.is_(None),
            DayFailure.loan_id.between(first_id, last_id),
            reached.exists(),
        )
        .values(resolved_at=now)
        .execution_options(synchronize_session=False)
    )
