"""What somebody asks for happens once, and only if the rules allow it to the loan as it stands.

The rules themselves are beside each kind of request; how a loan stands is said here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NotRequired, TypedDict, Unpack

from sqlalchemy.orm import Session

from kernel import idempotency
from servicing import model
from servicing.engine.events import Event
from servicing.engine.replay import in_force
from servicing.engine.state import LoanState
from servicing.operations.change_costs import require_consent, require_within_cap
from servicing.operations.posting import lock_loan, post_event
from servicing.queries.history import find_loan, read_events, standing, terms_of
from servicing.tables import Loan


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A loan as rules look at it on a day.

    Attributes:
        happened: What happened to it and was not taken back.
    """

    loan: Loan
    on: date
    state: LoanState
    happened: tuple[Event, ...]

    @property
    def open_dates(self) -> list[date]:
        """The due dates of what is owed, oldest first."""
        return [row.due_on for row in self.state.rows if row.outstanding.total_fen]

    @property
    def days_past_due(self) -> int:
        """Days since the oldest due date of what is owed; 0 if nothing is late."""
        return max((model.days_past_due(day, self.on) for day in self.open_dates), default=0)

    @property
    def next_due_on(self) -> date | None:
        """The first due date after the day on which something is owed."""
        return next((day for day in self.open_dates if day > self.on), None)

    def last(self, *kinds: type[Event]) -> date | None:
        """Return the last value date of events of some kinds, None if there was none."""
        return max((event.on for event in self.happened if isinstance(event, kinds)), default=None)


def look_at(session: Session, *, loan_id: int, on: date) -> Look:
    """Say how a loan stands.

    Raises:
        LoanNotFound: There is none.
    """
    loan = find_loan(session, loan_id=loan_id)
    events = read_events(session, loan_id=loan_id)
    state = standing(terms_of(loan), events, closed_to=loan.closed_to).state
    return Look(loan=loan, on=on, state=state, happened=tuple(in_force(events)))


class Asked(TypedDict):
    """What every request says: of which loan, and from which business date on it counts.

    `key` is the caller's, one for each intention; `actor` is who asks, as the audit trail will name
    them; `now` is the instant of posting.
    """

    loan_id: int
    on: date
    key: str
    actor: str
    now: datetime


class Agreed(Asked):
    """What a request says whose cost the borrower may have to confirm.

    `disclosure_id` names the cost table of just this that they confirmed, where one is needed;
    `closed_to` as of which day the loan was seen then.
    """

    disclosure_id: NotRequired[int | None]
    closed_to: NotRequired[date | None]


def post_request(
    session: Session,
    *,
    action: str,
    details: Mapping[str, Any],
    rule: Callable[[], Event],
    is_priced: bool = True,
    asks_consent: bool = False,
    **asked: Unpack[Agreed],
) -> int:
    """Let a request happen to a loan, once; returns the event's number.

    Args:
        session: A write session; the loan's row is locked before its rule is asked.
        action: What is asked for; a key is used once for each.
        details: What is asked for in detail, JSON-able; other details under the same key are a
            conflict.
        rule: Returns the event that it comes to, or raises why it may not happen.
        is_priced: Whether it may not make the loan dearer than the cap.
        asks_consent: Whether the borrower confirms what it costs if it is in anything to their
            disadvantage.
        **asked: As in `Agreed`.

    Raises:
        CostAboveCap: It would make the loan dearer than the cap.
        CostNotConfirmed: A cost table is needed and none was confirmed, or another's.
        EventRefused: The engine says that it cannot happen to the loan as it stands.
        KeyReused: The key stands for another request.
        LoanNotFound: There is no such loan.
    """
    loan_id, key, now = asked["loan_id"], asked["key"], asked["now"]
    payload = {"loan_id": loan_id, **details}
    claimed = idempotency.claim(session, action=action, key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    loan = lock_loan(session, loan_id=loan_id)
    event = rule()
    if is_priced:
        require_within_cap(session, loan_id=loan_id, event=event)
    if asks_consent:
        require_consent(
            session,
            loan=loan,
            event=event,
            disclosure_id=asked.get("disclosure_id"),
            closed_to=asked.get("closed_to"),
        )
    actor = asked["actor"]
    seq = post_event(session, loan_id=loan_id, event=event, key=key, actor=actor, now=now)
    claimed.keep({"seq": seq})
    return seq
