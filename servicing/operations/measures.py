"""How much of somebody's authority an act takes, fen: by what it changes, or by the whole claim.

Who may how much is servicing.authority's for staff, and a limit's for partners.
"""

from typing import Final

from sqlalchemy.orm import Session

from servicing.engine.events import PenaltyPause
from servicing.operations.freezes import most_saved_fen
from servicing.operations.previews import Preview, review_event
from servicing.queries.history import read_events

# What is measured by all that is owed, not by what it changes, by the kind of its event.
_OF_WHOLE_CLAIM: Final = ("charge-off", "write-off", "re-age", "termination", "cancellation")


def measure_fen(preview: Preview) -> int:
    """Measure what a preview shows."""
    if preview.kind not in _OF_WHOLE_CLAIM:
        return abs(preview.changes_fen) + abs(preview.recovers_fen)
    return max(preview.remaining_before_fen, preview.credit_after_fen - preview.credit_before_fen)


def reversal_fen(session: Session, *, loan_id: int, seq: int) -> int:
    """Measure what a reversal takes back as it was measured when it was done.

    Raises:
        EventNotFound: The loan has no event of that number, or it is the disbursement.
        LoanNotFound: There is no such loan.
    """
    fen = measure_fen(review_event(session, loan_id=loan_id, seq=seq))
    event = read_events(session, loan_id=loan_id)[seq - 1]
    if not isinstance(event, PenaltyPause):
        return fen
    later_fen = most_saved_fen(
        session, loan_id=loan_id, first_on=event.first_on, last_on=event.last_on
    )
    return max(fen, later_fen)
