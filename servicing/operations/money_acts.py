"""Acts of staff on a loan's money, by name: what each would do, how it is done and taken back.

One shape for all, so that a page can show any of them before it happens and a second person can
approve just what was shown. Who may do how much is servicing.authority's.

    ActUnknown  422  no act of that name
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Unpack

from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.errors import Invalid
from servicing.engine.book import Kind
from servicing.engine.events import (
    Event,
    Payment,
    ReAgeInterest,
    UndrawnLapse,
    Waiver,
    WriteOff,
)
from servicing.engine.parts import Component
from servicing.operations import changes, endings, freezes, plans, tranches
from servicing.operations.change_costs import change_table, require_within_cap
from servicing.operations.credits import give_goodwill
from servicing.operations.disclosures import confirm_cost
from servicing.operations.previews import Preview, preview_event
from servicing.operations.requests import Asked
from servicing.queries.history import find_loan, loan_events

Details = Mapping[str, Any]

# What is given away piece by piece counts together, by the kind of its event.
_GIFTS: Final = {"waive": "waiver", "goodwill": "goodwill-credit"}
_LATELY: Final = timedelta(days=30)


class ActUnknown(Invalid):
    """There is no act of that name."""

    code = "money-act-unknown"
    message_zh = "没有这项操作"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyAct:
    """One act.

    Attributes:
        event: Says what it comes to, by its rule: session, loan, day, details.
        post: Does it: session, details, and what every request says.
        is_of_whole_claim: It is measured by all that is owed, not by what it changes.
        is_priced: It may not make the loan dearer than the cap.
        can_undo: It can be taken back by reversing its event.
        most_fen: Says what it may come to later, beyond what a preview can see.
        measured_by: Says by what it is measured, where that is not what it changes.
        needs_table: The borrower confirms its cost table before it happens.
    """

    event: Callable[[Session, int, date, Details], Event]
    post: Callable[[Session, Details, Asked], int]
    is_of_whole_claim: bool = False
    is_priced: bool = False
    can_undo: bool = True
    most_fen: Callable[[Session, int, Details], int] | None = None
    measured_by: Callable[[Details], int] | None = None
    needs_table: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What an act would do, how much authority it takes, fen, and the cost table to confirm."""

    preview: Preview
    amount_fen: int
    cost_table: Mapping[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        """Write down what somebody is shown, JSON-able, to be compared with a later look."""
        table = {} if self.cost_table is None else {"cost_table": self.cost_table}
        return self.preview.shown() | table


def look_ahead(
    session: Session,
    *,
    act: str,
    loan_id: int,
    details: Details,
    on: date,
    closed_to: date | None = None,
    actor: str = "",
) -> Outlook:
    """Say what an act would do; nothing is written.

    Args:
        session: A session.
        act: Its name.
        loan_id: The loan.
        details: What it says, JSON-able.
        on: The business date from which it would count.
        closed_to: As of which day the loan is seen; None for that to which it is closed.
        actor: Who asks: what they gave on this loan within 30 days counts with it, so that no
            amount is split into small ones.

    Raises:
        ActUnknown: There is no such act.
        CostAboveCap: The loan would cost more a year than is allowed.
        EventRefused: It cannot happen; or the act's own rule forbids it.
    """
    known = _act(act)
    event = known.event(session, loan_id, on, details)
    if known.is_priced:
        require_within_cap(session, loan_id=loan_id, event=event)
    preview = preview_event(session, loan_id=loan_id, event=event, closed_to=closed_to)
    whole = known.is_of_whole_claim
    amount_fen = preview.remaining_before_fen if whole else abs(preview.extra_fen)
    if known.measured_by is not None:
        amount_fen = known.measured_by(details)
    if known.most_fen is not None:
        amount_fen = max(amount_fen, known.most_fen(session, loan_id, details))
    if act in _GIFTS:
        amount_fen += _given_fen(session, loan_id, actor, on)
    table = change_table(session, loan_id=loan_id, event=event) if known.needs_table else None
    return Outlook(preview=preview, amount_fen=amount_fen, cost_table=table)


def do_act(session: Session, *, act: str, details: Details, **asked: Unpack[Asked]) -> int:
    """Do it, once a key; returns the event's number. Errors are those of `look_ahead`."""
    return _act(act).post(session, details, asked)


def needs_table(act: str) -> bool:
    """Say whether the borrower confirms the cost table of an act before it happens."""
    return _act(act).needs_table


def can_undo(act: str) -> bool:
    """Say whether an act can be taken back."""
    return _act(act).can_undo


def undo_act(
    session: Session, *, loan_id: int, seq: int, on: date, key: str, actor: str, now: datetime
) -> None:
    """Take an act back as if it had never been done.

    Raises:
        EventRefused: The loan does not allow it any more.
    """
    changes.reverse(session, loan_id=loan_id, seq=seq, on=on, key=key, actor=actor, now=now)


def _given_fen(session: Session, loan_id: int, actor: str, on: date) -> int:
    """Return what somebody gave up on a loan lately, and was not taken back."""
    events = loan_events(session, loan_id=loan_id)
    gone = {event.payload["of"] for event in events if event.kind == "reversal"}
    return sum(
        event.payload["amount_fen"]
        for event in events
        if event.kind in _GIFTS.values()
        and event.actor == actor
        and event.value_date > on - _LATELY
        and str(event.seq) not in gone
    )


def _act(name: str) -> MoneyAct:
    if name not in ACTS:
        raise ActUnknown(f"no act {name}")
    return ACTS[name]


def _waiver(_session: Session, _loan_id: int, on: date, details: Details) -> Event:
    component = Component(details["component"])
    return Waiver(id="", on=on, component=component, amount_fen=details["amount_fen"])


def _waive(session: Session, details: Details, asked: Asked) -> int:
    component, fen = Component(details["component"]), details["amount_fen"]
    return changes.waive(session, component=component, amount_fen=fen, **asked)


def _goodwill(_session: Session, _loan_id: int, on: date, details: Details) -> Event:
    return Payment(id="", on=on, amount_fen=details["amount_fen"], kind=Kind.GOODWILL_CREDIT)


def _draw(session: Session, details: Details, asked: Asked) -> int:
    """Draw on the cost table that the borrower confirmed at the counter, where nobody counts."""
    loan_id, fen = asked["loan_id"], details["amount_fen"]
    claimed = idempotency.claim(
        session,
        action="draw-at-counter",
        key=asked["key"],
        payload={"loan_id": loan_id, "amount_fen": fen},
        now=asked["now"],
    )
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    event = tranches.drawing(session, loan_id=loan_id, amount_fen=fen, on=asked["on"])
    disclosure_id = confirm_cost(
        session,
        customer_id=find_loan(session, loan_id=loan_id).customer_id,
        content=change_table(session, loan_id=loan_id, event=event),
        seconds_shown=0,
        now=asked["now"],
    )
    seq = tranches.draw_tranche(session, amount_fen=fen, disclosure_id=disclosure_id, **asked)
    claimed.keep({"seq": seq})
    return seq


def _re_age_terms(details: Details) -> dict[str, Any]:
    return {
        "first_due_on": date.fromisoformat(details["first_due_on"]),
        "terms": details["terms"],
        "interest": ReAgeInterest(details["interest"]) if details.get("interest") else None,
    }


def _rate(details: Details) -> dict[str, Any]:
    return {
        "rate_annual": Decimal(details["rate_annual"]),
        "from_on": date.fromisoformat(details["from_on"]),
    }


def _days(details: Details) -> dict[str, Any]:
    last_on = details.get("last_on")
    return {
        "first_on": date.fromisoformat(details["first_on"]),
        "last_on": date.fromisoformat(last_on) if last_on else None,
    }


def _freezing(what: str) -> MoneyAct:
    return MoneyAct(
        event=lambda session, loan_id, on, details: freezes.freeze(
            session, loan_id=loan_id, what=what, on=on, **_days(details)
        ),
        post=lambda session, details, asked: freezes.place_freeze(
            session, what=what, reason=details["reason"], **_days(details), **asked
        ),
    )


ACTS: Final[Mapping[str, MoneyAct]] = {
    "waive": MoneyAct(event=_waiver, post=_waive),
    "goodwill": MoneyAct(
        event=_goodwill,
        post=lambda session, details, asked: give_goodwill(
            session, amount_fen=details["amount_fen"], **asked
        ),
    ),
    "charge-off": MoneyAct(
        event=lambda session, loan_id, on, _details: endings.charging_off(
            session, loan_id=loan_id, on=on
        ),
        post=lambda session, _details, asked: endings.charge_off(session, **asked),
        is_of_whole_claim=True,
    ),
    "write-off": MoneyAct(
        event=lambda _session, _loan_id, on, _details: WriteOff(id="", on=on),
        post=lambda session, _details, asked: endings.write_off(session, **asked),
        is_of_whole_claim=True,
    ),
    "re-age": MoneyAct(
        event=lambda session, loan_id, on, details: plans.re_ageing(
            session, loan_id=loan_id, on=on, **_re_age_terms(details)
        ),
        post=lambda session, details, asked: plans.re_age(
            session, **_re_age_terms(details), **asked
        ),
        is_of_whole_claim=True,
        is_priced=True,
    ),
    "re-price": MoneyAct(
        event=lambda session, loan_id, on, details: plans.repricing(
            session, loan_id=loan_id, on=on, **_rate(details)
        ),
        post=lambda session, details, asked: plans.reprice(session, **_rate(details), **asked),
        is_priced=True,
    ),
    "draw": MoneyAct(
        event=lambda session, loan_id, on, details: tranches.drawing(
            session, loan_id=loan_id, amount_fen=details["amount_fen"], on=on
        ),
        post=_draw,
        is_priced=True,
        measured_by=lambda details: int(details["amount_fen"]),
        needs_table=True,
    ),
    "end-drawing": MoneyAct(
        event=lambda _session, _loan_id, on, _details: UndrawnLapse(id="", on=on),
        post=lambda session, _details, asked: tranches.end_drawing(session, **asked),
    ),
    "reverse": MoneyAct(
        event=lambda session, loan_id, on, details: changes.reversal(
            session, loan_id=loan_id, seq=details["seq"], on=on
        ),
        post=lambda session, details, asked: changes.reverse(session, seq=details["seq"], **asked),
        can_undo=False,
    ),
    "freeze-interest": _freezing(freezes.INTEREST),
    "freeze-penalty": replace(
        _freezing(freezes.PENALTY),
        most_fen=lambda session, loan_id, details: freezes.most_saved_fen(
            session, loan_id=loan_id, **_days(details)
        ),
    ),
}
