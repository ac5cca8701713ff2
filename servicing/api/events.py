"""What happened to a loan, and what a partner may let happen to it, looked at first.

Money that a partner collected may be posted at once, for it is a fact. Everything else names the
preview that was looked at, so that nothing happens that nobody saw: if the loan changed since, it
is refused.

    PreviewStale  409  the loan or the request is not what the preview showed
    ValueDateOff  422  money is dated before the loan, or after today
    NotTheirEvent 409  a partner reverses only what it posted itself
"""

import hashlib
import json
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field, RootModel, StrictInt

from kernel.errors import Conflict, Invalid
from servicing import operations, queries
from servicing.api.documented import get, post
from servicing.api.door import Call, serve
from servicing.api.loans import planned
from servicing.api.scopes import Scope
from servicing.api.shapes import AskedFen, Day, PlannedAnswer, Rate, Shape
from servicing.archive import event_to_json, kind_of
from servicing.engine.events import (
    Charge,
    Event,
    InterestPause,
    Payment,
    PenaltyPause,
    Prepayment,
    Reversal,
    Waiver,
)
from servicing.engine.parts import Component
from servicing.engine.profile import Excess
from servicing.model import PARTNER
from servicing.queries import partners
from servicing.tables import Loan

blueprint = APIBlueprint("api_events", __name__, tag="Events")

_LENDER: Final = "lender"
_BORROWER: Final = "borrower"


class PreviewStale(Conflict):
    """The loan, the day or the request is not what the preview showed; look at it again."""

    code = "preview-stale"
    message_zh = "预览已失效，请重新预览后提交"


class ValueDateOff(Invalid):
    """Money cannot count before the loan was disbursed, nor from a later day than today."""

    code = "value-date-off"
    message_zh = "入账日期不正确"


class NotTheirEvent(Conflict):
    """A partner reverses only what it posted itself."""

    code = "event-not-theirs"
    message_zh = "只能冲正本方提交的记录"


class _Previewed(Shape):
    preview: Annotated[
        str | None,
        Field(max_length=64, description="`preview` of the preview; needed to post."),
    ] = None


class Repayment(_Previewed):
    """Money that the partner collected; it settles the oldest instalment first."""

    kind: Literal["repayment"]
    amount_fen: AskedFen
    value_date: Day


class Prepaid(_Previewed):
    """Money that pays what is due, the cost to the day, then principal; the rest is re-planned."""

    kind: Literal["prepayment"]
    amount_fen: AskedFen
    value_date: Day
    effect: Excess = Excess.REDUCE_TERM


class Waived(_Previewed):
    """The lender gives up a part of what is owed, the oldest instalment first."""

    kind: Literal["waiver"]
    component: Literal["penalty", "fee", "interest"]
    amount_fen: AskedFen


class Charged(_Previewed):
    """A fee that falls due on a day."""

    kind: Literal["charge"]
    amount_fen: AskedFen
    due_on: Day


class Extended(_Previewed):
    """What is not due yet is spread over more instalments (展期)."""

    kind: Literal["extension"]
    extra_terms: Annotated[StrictInt, Field(ge=1, le=60)]
    seconds_shown: Annotated[
        StrictInt | None,
        Field(
            ge=1,
            le=86_400,
            description="How long the borrower had the preview's `cost_table` in view before "
            "confirming it; needed to post.",
        ),
    ] = None


class Paused(_Previewed):
    """No interest, or no penalty, from a first to a last day, both included."""

    kind: Literal["interest-pause", "penalty-pause"]
    first_on: Day
    last_on: Day | None = None


class Reversed(_Previewed):
    """An event of the partner never happened."""

    kind: Literal["reversal"]
    of_seq: Annotated[StrictInt, Field(ge=1, le=1_000_000)]


Asked = Repayment | Prepaid | Waived | Charged | Extended | Paused | Reversed


class AskedEvent(RootModel[Annotated[Asked, Field(discriminator="kind")]]):
    """Something that is to happen to a loan."""


class EventAnswer(Shape):
    """One event: from which day it counts, and since when it is known.

    `by` is lender, borrower, or the partner that posted it; `details` depend on the kind.
    """

    seq: int
    kind: str
    value_date: date
    recorded_at: datetime
    by: str
    details: dict[str, Any]


class EventsAnswer(Shape):
    """All events of a loan, in the order in which they became known."""

    events: tuple[EventAnswer, ...]


class PreviewAnswer(Shape):
    """What an event would do; fen, annual costs as the nominal IRR of the real flows.

    `preview` goes into the request that posts it. `cost_table` is what the borrower confirms before
    an extension.
    """

    preview: str
    kind: str
    plan_before: tuple[PlannedAnswer, ...]
    plan_after: tuple[PlannedAnswer, ...]
    remaining_before_fen: int
    remaining_after_fen: int
    extra_fen: int
    annual_cost_before: Rate
    annual_cost_after: Rate
    cost_table: dict[str, Any] | None = None


_SCOPES: Final = {
    "repayment": Scope.EVENTS_REPAYMENT,
    "prepayment": Scope.EVENTS_REPAYMENT,
    "waiver": Scope.EVENTS_WAIVER,
    "charge": Scope.EVENTS_CHARGE,
    "extension": Scope.EVENTS_EXTENSION,
    "interest-pause": Scope.EVENTS_PAUSE,
    "penalty-pause": Scope.EVENTS_PAUSE,
    "reversal": Scope.EVENTS_REVERSAL,
}
_FACTS: Final = ("repayment", "prepayment")


@serve(blueprint, get("/loans/<string:loan_no>/events", Scope.LOANS_READ, EventsAnswer))
def list_events(call: Call, loan_no: str) -> EventsAnswer:
    """List what happened to a loan."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    events = queries.loan_events(call.session, loan_id=loan.id)
    return EventsAnswer(events=tuple(answer(event) for event in events))


@serve(
    blueprint,
    post(
        "/loans/<string:loan_no>/events/preview",
        Scope.LOANS_READ,
        PreviewAnswer,
        body=AskedEvent,
        changes=False,
        is_once=False,
        status=200,
    ),
)
def preview(call: Call, loan_no: str, body: AskedEvent) -> PreviewAnswer:
    """Say what an event would do to a loan; nothing happens."""
    call.require(_SCOPES[body.root.kind])
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    event = _event(call, loan, body.root)
    seen = operations.preview_event(call.session, loan_id=loan.id, event=event)
    return PreviewAnswer(
        preview=_digest(call, loan, event),
        kind=body.root.kind,
        plan_before=planned(seen.plan_before),
        plan_after=planned(seen.plan_after),
        remaining_before_fen=seen.remaining_before_fen,
        remaining_after_fen=seen.remaining_after_fen,
        extra_fen=seen.extra_fen,
        annual_cost_before=f"{seen.cost_before:.6f}",
        annual_cost_after=f"{seen.cost_after:.6f}",
        cost_table=operations.change_table(call.session, loan_id=loan.id, event=event)
        if isinstance(body.root, Extended)
        else None,
    )


@serve(
    blueprint,
    post("/loans/<string:loan_no>/events", Scope.LOANS_READ, EventAnswer, body=AskedEvent),
)
def post_event(call: Call, loan_no: str, body: AskedEvent) -> EventAnswer:
    """Let something happen to a loan; all but money needs the preview that was looked at."""
    asked = body.root
    call.require(_SCOPES[asked.kind])
    seen = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    loan = operations.lock_loan(call.session, loan_id=seen.id)
    event = _event(call, loan, asked)
    if asked.kind not in _FACTS and asked.preview is None:
        raise PreviewStale("this needs the preview that was looked at")
    if asked.preview is not None and asked.preview != _digest(call, loan, event):
        raise PreviewStale("the loan or the request is not what the preview showed")
    seq = _posted(call, loan, asked, event)
    events = queries.loan_events(call.session, loan_id=loan.id)
    return answer(next(each for each in events if each.seq == seq))


def answer(event: queries.LoanEventView) -> EventAnswer:
    """Return an event as partners read it: no name of our staff."""
    return EventAnswer(
        seq=event.seq,
        kind=event.kind,
        value_date=event.value_date,
        recorded_at=event.recorded_at,
        by=by_whom(event.actor),
        details=event.payload,
    )


def by_whom(actor: str) -> str:
    """Say who did something: the partner or the borrower, of our staff only that it was us."""
    is_said = actor == _BORROWER or actor.startswith(PARTNER)
    return actor.removeprefix(PARTNER) if is_said else _LENDER


def _event(call: Call, loan: Loan, asked: Asked) -> Event:
    """Write down what is asked for as the engine knows it."""
    match asked:
        case Repayment() | Prepaid():
            if not loan.disbursed_on <= asked.value_date <= call.on:
                raise ValueDateOff("money counts from the disbursement on, up to today")
            return _money(asked)
        case Waived():
            component = Component(asked.component)
            return Waiver(id="", on=call.on, component=component, amount_fen=asked.amount_fen)
        case Charged():
            _require_ahead(call, asked.due_on)
            return Charge(id="", on=call.on, amount_fen=asked.amount_fen, due_on=asked.due_on)
        case Extended():
            return operations.extension(
                call.session, loan_id=loan.id, extra_terms=asked.extra_terms, on=call.on
            )
        case Paused():
            _require_ahead(call, asked.first_on)
            _require_ahead(call, asked.last_on or asked.first_on, since=asked.first_on)
            kind = InterestPause if asked.kind == "interest-pause" else PenaltyPause
            return kind(id="", on=call.on, first_on=asked.first_on, last_on=asked.last_on)
        case Reversed():
            _require_theirs(call, loan, asked.of_seq)
            return Reversal(id="", on=call.on, of=str(asked.of_seq))


def _money(asked: Repayment | Prepaid) -> Event:
    if isinstance(asked, Repayment):
        return Payment(id="", on=asked.value_date, amount_fen=asked.amount_fen)
    return Prepayment(id="", on=asked.value_date, amount_fen=asked.amount_fen, effect=asked.effect)


def _require_ahead(call: Call, on: date, *, since: date | None = None) -> None:
    if on < (since or call.on):
        raise ValueDateOff("this is for days from today on, the first before the last")


def _require_theirs(call: Call, loan: Loan, seq: int) -> None:
    events = queries.loan_events(call.session, loan_id=loan.id)
    actor = next((event.actor for event in events if event.seq == seq), "")
    if actor != _actor(call):
        raise NotTheirEvent(f"event {seq} was not posted by this partner")


def _posted(call: Call, loan: Loan, asked: Asked, event: Event) -> int:
    """Post by the operation that knows what is allowed; the loan is locked."""
    given: dict[str, Any] = {
        "loan_id": loan.id,
        "key": call.key,
        "actor": _actor(call),
        "now": call.now,
    }
    match asked:
        case Charged():
            amount_fen, due_on = asked.amount_fen, asked.due_on
            return operations.charge(
                call.session, amount_fen=amount_fen, due_on=due_on, on=call.on, **given
            )
        case Extended():
            extra, shown = asked.extra_terms, _confirmed(call, loan, asked, event)
            return operations.extend(
                call.session, extra_terms=extra, disclosure_id=shown, on=call.on, **given
            )
        case Reversed():
            return operations.reverse(call.session, seq=asked.of_seq, on=call.on, **given)
        case _:
            return operations.post_event(call.session, event=event, **given)


def _confirmed(call: Call, loan: Loan, asked: Extended, event: Event) -> int:
    """Record that the borrower confirmed the cost table of the preview."""
    if asked.seconds_shown is None:
        raise operations.CostNotConfirmed("the borrower confirms the preview's cost table first")
    return operations.confirm_cost(
        call.session,
        customer_id=loan.customer_id,
        content=operations.change_table(call.session, loan_id=loan.id, event=event),
        seconds_shown=asked.seconds_shown,
        now=call.now,
    )


def _actor(call: Call) -> str:
    return f"{PARTNER}{call.caller.partner}"


def _digest(call: Call, loan: Loan, event: Event) -> str:
    """Name what a preview showed: this event, on this day, on this loan after these events."""
    count = len(queries.loan_events(call.session, loan_id=loan.id))
    shown = [loan.id, count, kind_of(event), event.on.isoformat(), event_to_json(event)]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
