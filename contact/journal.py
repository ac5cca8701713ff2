"""The append-only steps of contacts: who did what to which, and when.

It changes no contact; whoever changes one notes it here in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from contact.among import among
from contact.model import State, Step, state_after
from contact.tables import Contact, ContactEvent
from kernel.database import Instant

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
    if not contact_ids:
        return
    after = state or state_after(Step(step))
    columns = {
        "at": literal(at, Instant),
        "step": literal(str(step)),
        "state": literal(str(after)),
        "detail": literal(detail[:_DETAIL_SIGNS]),
        "actor": literal(actor),
    }
    rows = select(Contact.id, *columns.values()).where(among(session, Contact.id, contact_ids))
    session.execute(
        insert(ContactEvent).from_select(
            ["contact_id", *columns], rows.order_by(Contact.id), include_defaults=False
        )
    )
