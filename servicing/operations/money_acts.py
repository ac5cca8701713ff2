"""Acts of staff on a loan, by name: what each would do, how it is done and taken back.

One shape for all, so that a page can show any of them before it happens, the borrower can confirm
what it costs them, and a second person can approve just what was shown. Who may do how much is
servicing.authority's.

    ActUnknown  422  no act of that name
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Unpack

from sqlalchemy.orm import Session

from kernel.errors import Invalid
from servicing.engine.book import Kind
from servicing.engine.events import (
    Event,
    Payment,
    ReAgeInterest,
    UndrawnLapse,
    WriteOff,
)
from servicing.engine.parts import Component
from servicing.engine.profile import Excess
from servicing.operations import changes, endings, freezes, plans, tranches
from servicing.operations.change_costs import consent_table, require_within_cap
from servicing.operations.credits import charge_back, charging_back, give_goodwill
from servicing.operations.measures import measure_fen, reversal_fen
from servicing.operations.previews import Preview, preview_event
from servicing.operations.receipts import For, Receipt, receive, receiving
from servicing.operations.requests import Agreed, Asked
from servicing.queries.history import loan_events

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
        is_priced: It may not make the loan dearer than the cap.
        asks_consent: The borrower confirms what it costs if it is to their disadvantage.
        can_undo: It can be taken back by reversing its event.
        most_fen: Says what it may come to beyond what a preview can see.
        measured_by: Says by what it is measured, where that is not what it changes.
    """

    event: Callable[[Session, int, date, Details], Event]
    post: Callable[[Session, Details, Agreed], int]
    is_priced: bool = False
    asks_consent: bool = False
    can_undo: bool = True
    most_fen: Callable[[Session, int, Details], int] | None = None
    measured_by: Callable[[Details], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What an act would do, and how much authority it takes, fen.

    Attributes:
        cost_table: What the borrower must confirm before it; None where nothing is to their
            disadvantage.
    """

    preview: Preview
    amount_fen: int
    cost_table: Mapping[str, Any] | None = None


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
    amount_fen = measure_fen(preview)
    if known.measured_by is not None:
        amount_fen = known.measured_by(details)
    if known.most_fen is not None:
        amount_fen = max(amount_fen, known.most_fen(session, loan_id, details))
    if act in _GIFTS:
        amount_fen += _given_fen(session, loan_id, actor, on)
    table = None
    if known.asks_consent:
        table = consent_table(session, loan_id=loan_id, event=event, closed_to=closed_to)
    return Outlook(preview=preview, amount_fen=amount_fen, cost_table=table)


def do_act(session: Session, *, act: str, details: Details, **asked: Unpack[Agreed]) -> int:
    """Do it, once a key; returns the event's number.

    Errors are those of `look_ahead`, and

    Raises:
        CostNotConfirmed: The borrower has not confirmed what it costs, and must.
    """
    return _act(act).post(session, details, asked)


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


def _waiver(session: Session, loan_id: int, on: date, details: Details) -> Event:
    component, fen = Component(details["component"]), details["amount_fen"]
    return changes.waiver(session, loan_id=loan_id, component=component, amount_fen=fen, on=on)


def _waive(session: Session, details: Details, asked: Agreed) -> int:
    component, fen = Component(details["component"]), details["amount_fen"]
    return changes.waive(session, component=component, amount_fen=fen, **_plain(asked))


def _plain(asked: Agreed) -> Asked:
    """Leave out what only changes of a plan want to know."""
    return {
        "loan_id": asked["loan_id"],
        "on": asked["on"],
        "key": asked["key"],
        "actor": asked["actor"],
        "now": asked["now"],
    }


def _goodwill(_session: Session, _loan_id: int, on: date, details: Details) -> Event:
    return Payment(id="", on=on, amount_fen=details["amount_fen"], kind=Kind.GOODWILL_CREDIT)


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
            session, what=what, reason=details["reason"], **_days(details), **_plain(asked)
        ),
    )


def _receipt(what_for: For, details: Details) -> Receipt:
    return Receipt(
        what_for=what_for,
        amount_fen=details["amount_fen"],
        value_date=date.fromisoformat(details["value_date"]),
        channel=details["channel"],
        reference=details["reference"],
        effect=Excess(details.get("effect", Excess.REDUCE_TERM)),
    )


def _receiving(what_for: For, *, is_priced: bool = False) -> MoneyAct:
    """Make the act of booking money that came past WeChat Pay; it is measured by its amount."""
    return MoneyAct(
        event=lambda session, loan_id, on, details: receiving(
            session, loan_id=loan_id, receipt=_receipt(what_for, details), on=on
        ),
        post=lambda session, details, asked: receive(
            session, receipt=_receipt(what_for, details), **_plain(asked)
        ),
        is_priced=is_priced,
        measured_by=lambda details: int(details["amount_fen"]),
    )


def _fee(details: Details) -> dict[str, Any]:
    return {
        "name": details["name"],
        "payee": details["payee"],
        "amount_fen": details["amount_fen"],
    }


def _planning(rule: Callable[..., Event], request: Callable[..., int], *names: str) -> MoneyAct:
    """Make the act of a change of the plan, whose details have just these names."""

    def said(details: Details) -> dict[str, Any]:
        return {name: details[name] for name in names}

    return MoneyAct(
        event=lambda session, loan_id, on, details: rule(
            session, loan_id=loan_id, on=on, **said(details)
        ),
        post=lambda session, details, asked: request(session, **said(details), **asked),
        is_priced=True,
        asks_consent=True,
    )


ACTS: Final[Mapping[str, MoneyAct]] = {
    "repay": _receiving(For.DUE),
    "prepay": _receiving(For.AHEAD),
    "recover": _receiving(For.GIVEN_UP, is_priced=True),
    "charge": MoneyAct(
        event=lambda _session, _loan_id, on, details: changes.charging(
            on=on, due_on=date.fromisoformat(details["due_on"]), **_fee(details)
        ),
        post=lambda session, details, asked: changes.charge(
            session,
            due_on=date.fromisoformat(details["due_on"]),
            asks_consent=True,
            **_fee(details),
            **asked,
        ),
        is_priced=True,
        asks_consent=True,
    ),
    "charge-instalments": MoneyAct(
        event=lambda _session, _loan_id, on, details: changes.instalment_fee(
            on=on, **_fee(details)
        ),
        post=lambda session, details, asked: changes.charge_instalments(
            session, **_fee(details), **asked
        ),
        is_priced=True,
        asks_consent=True,
    ),
    "waive": MoneyAct(event=_waiver, post=_waive),
    "goodwill": MoneyAct(
        event=_goodwill,
        post=lambda session, details, asked: give_goodwill(
            session, amount_fen=details["amount_fen"], **_plain(asked)
        ),
    ),
    "charge-off": MoneyAct(
        event=lambda session, loan_id, on, _details: endings.charging_off(
            session, loan_id=loan_id, on=on
        ),
        post=lambda session, _details, asked: endings.charge_off(session, **_plain(asked)),
    ),
    "write-off": MoneyAct(
        event=lambda _session, _loan_id, on, _details: WriteOff(id="", on=on),
        post=lambda session, _details, asked: endings.write_off(session, **_plain(asked)),
    ),
    "re-age": MoneyAct(
        event=lambda session, loan_id, on, details: plans.re_ageing(
            session, loan_id=loan_id, on=on, **_re_age_terms(details)
        ),
        post=lambda session, details, asked: plans.re_age(
            session, **_re_age_terms(details), **asked
        ),
        is_priced=True,
        asks_consent=True,
    ),
    "re-price": MoneyAct(
        event=lambda session, loan_id, on, details: plans.repricing(
            session, loan_id=loan_id, on=on, **_rate(details)
        ),
        post=lambda session, details, asked: plans.reprice(session, **_rate(details), **asked),
        is_priced=True,
        asks_consent=True,
    ),
    "extension": _planning(plans.extension, plans.extend, "extra_terms"),
    "due-day": _planning(plans.due_day_change, plans.change_due_day, "due_day"),
    "grace": _planning(plans.grace, plans.give_grace, "periods"),
    "holiday": _planning(plans.holiday, plans.give_holiday, "periods", "bears_interest"),
    "re-amortise": _planning(plans.re_amortisation, plans.re_amortise),
    "terminate": MoneyAct(
        event=lambda session, loan_id, on, _details: endings.termination(
            session, loan_id=loan_id, on=on
        ),
        post=lambda session, _details, asked: endings.terminate(session, **_plain(asked)),
        is_priced=True,
    ),
    "cancel-purchase": MoneyAct(
        event=lambda session, loan_id, on, details: endings.cancellation(
            session, loan_id=loan_id, on=on, **details
        ),
        post=lambda session, details, asked: endings.cancel_purchase(
            session, **details, **_plain(asked)
        ),
    ),
    "charge-back": MoneyAct(
        event=lambda session, loan_id, on, details: charging_back(
            session, loan_id=loan_id, on=on, **details
        ),
        post=lambda session, details, asked: charge_back(session, **details, **_plain(asked)),
    ),
    "draw": MoneyAct(
        event=lambda session, loan_id, on, details: tranches.drawing(
            session, loan_id=loan_id, amount_fen=details["amount_fen"], on=on
        ),
        post=lambda session, details, asked: tranches.draw_tranche(
            session, amount_fen=details["amount_fen"], **asked
        ),
        is_priced=True,
        asks_consent=True,
        measured_by=lambda details: int(details["amount_fen"]),
    ),
    "end-drawing": MoneyAct(
        event=lambda _session, _loan_id, on, _details: UndrawnLapse(id="", on=on),
        post=lambda session, _details, asked: tranches.end_drawing(session, **_plain(asked)),
    ),
    "reverse": MoneyAct(
        event=lambda session, loan_id, on, details: changes.reversal(
            session, loan_id=loan_id, seq=details["seq"], on=on
        ),
        post=lambda session, details, asked: changes.reverse(
            session, seq=details["seq"], **_plain(asked)
        ),
        can_undo=False,
        most_fen=lambda session, loan_id, details: reversal_fen(
            session, loan_id=loan_id, seq=details["seq"]
        ),
    ),
    "freeze-interest": _freezing(freezes.INTEREST),
    "freeze-penalty": replace(
        _freezing(freezes.PENALTY),
        most_fen=lambda session, loan_id, details: freezes.most_saved_fen(
            session, loan_id=loan_id, **_days(details)
        ),
    ),
}
