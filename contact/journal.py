"""The append-only steps of contacts: who did what to which, and when.

It changes no contact; whoever changes one notes it here in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from contact.model import State, Step, state_after
from contact.tables import ContactEvent

_DETAIL_SIGNS = 120


def note(
    session: Session,
    contact_ids: Sequence[int],
    *,
    step: Step | str,
    at: datetime,
    detail: str = "",
    actor: str = "system",
    state: State | None = None,
) -> None:
    """Note one step of several contacts.

    A step is one of the state machine, or a delivery report; then the state after it is named.
    """
    after = state or state_after(Step(step))
    rows = [
        {
            "contact_id": contact_id,
            "at": at,
            "step": str(step),
            "state": str(after),
            "detail": detail[:_DETAIL_SIGNS],
            "actor": actor,
        }
        for contact_id in contact_ids
    ]
    if rows:
        session.connection().execute(insert(ContactEvent), rows)
