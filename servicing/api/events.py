"""What happened to a loan, and what a partner lets happen to it, looked at first.

Money that was collected may be posted at once, for it is a fact. Everything else names the preview
that was looked at, so that nothing happens that nobody saw: if the loan changed since, it is
refused. What each act is, says servicing.api.acts.

    PreviewStale  409  the loan or the request is not what the preview showed
"""

import hashlib
import json
from datetime import date, datetime
from typing import Annotated, Any

from apiflask import APIBlueprint
from pydantic import Field

from kernel.clock import end_of_day
from kernel.errors import Conflict
from servicing import operations, queries
from servicing.api.acts import EXAMPLES, REFUSALS, Act, AskedEvent, Confirmed, Moved
from servicing.api.documented import get, post
from servicing.api.door import Call, serve
from servicing.api.loans import AsOfQuery, DayAhead, past_days, planned
from servicing.api.scopes import Scope
from servicing.api.shapes import Fen, PlannedAnswer, Rate, Shape, such
from servicing.archive import event_to_json, kind_of
from servicing.engine.events import Event
from servicing.model import PARTNER
from servicing.operations.partner_acts import (
    PartnerLimitExceeded,
    ReceiptKnown,
    count_against_limit,
    keep_act,
    require_within_limit,
)
from servicing.operations.repayments import BORROWER
from servicing.queries import partners
from servicing.queries.history import LoanNotFound
from servicing.tables import Loan

blueprint = APIBlueprint("api_events", __name__, tag="Events")

_LENDER = "lender"


class PreviewStale(Conflict):
    """The loan, the day or the request is not what the preview showed; look at it again."""

    code = "preview-stale"
    message_zh = "预览已失效，请重新预览后提交"


class EventAnswer(Shape):
    """One event: from which day it counts, and since when it is known.

    `by` is lender, borrower, or the partner that posted it, under its own `reference` where money
    moved; `details` depend on the kind.
    """

    seq: int
    kind: Annotated[str, such("repayment")]
    value_date: date
    recorded_at: datetime
    by: Annotated[str, such("shop")]
    reference: str | None
    details: dict[str, Any]


class EventsAnswer(Shape):
    """All events of a loan, in the order in which they became known."""

    events: tuple[EventAnswer, ...]


class PreviewAnswer(Shape):
    """What an event would do; fen, annual costs as the nominal IRR of the real flows.

    `credit_…` is what is owed to the borrower, `gap_interest_fen` what the first instalment that
    moves costs more for its other length.

    `preview` goes into the request that posts it. `cost_table` is what the borrower confirms before
    an extension or a drawing.
    """

    preview: Annotated[str, such("9f2c…")]
    kind: Annotated[str, such("repayment")]
    counts_fen: Annotated[int, Field(description="By how much it counts against your limit.")]
    plan_before: tuple[PlannedAnswer, ...]
    plan_after: tuple[PlannedAnswer, ...]
    remaining_before_fen: Fen
    remaining_after_fen: Fen
    extra_fen: Fen
    gap_interest_fen: Fen
    credit_before_fen: Fen
    credit_after_fen: Fen
    annual_cost_before: Rate
    annual_cost_after: Rate
    cost_table: dict[str, Any] | None = None


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/events",
        Scope.LOANS_READ,
        EventsAnswer,
        query=AsOfQuery,
        refuses=(LoanNotFound, DayAhead),
    ),
)
def list_events(call: Call, loan_no: str, query: AsOfQuery) -> EventsAnswer:
    """List what happened to a loan up to a day, as known on a day."""
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    on, known_on = past_days(call, query)
    named = partners.references(call.session, sight=call.sight, loan_id=loan.id)
    return EventsAnswer(
        events=tuple(
            answer(event, named.get(event.seq))
            for event in queries.loan_events(call.session, loan_id=loan.id)
            if event.value_date <= on and event.recorded_at <= end_of_day(known_on)
        )
    )


@serve(
    blueprint,
    post(
        "/loans/<string:loan_no>/events/preview",
        Scope.LOANS_READ,
        PreviewAnswer,
        body=AskedEvent,
        examples=EXAMPLES,
        refuses=(LoanNotFound, PartnerLimitExceeded, *REFUSALS),
        changes=False,
        is_once=False,
        status=200,
    ),
)
def preview(call: Call, loan_no: str, body: AskedEvent) -> PreviewAnswer:
    """Say what an event would do to a loan; nothing happens."""
    act = body.root
    call.require(act.scope)
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    event = act.event(call, loan)
    if act.is_priced:
        operations.require_within_cap(call.session, loan_id=loan.id, event=event)
    seen = operations.preview_event(call.session, loan_id=loan.id, event=event)
    counts_fen = act.counts_fen(call, loan, event)
    require_within_limit(
        call.session,
        partner=call.caller.partner,
        act=act.limit,
        amount_fen=counts_fen,
        on=call.on,
    )
    return PreviewAnswer(
        preview=_digest(call, loan, event),
        kind=act.kind,
        counts_fen=counts_fen,
        plan_before=planned(seen.plan_before),
        plan_after=planned(seen.plan_after),
        remaining_before_fen=seen.remaining_before_fen,
        remaining_after_fen=seen.remaining_after_fen,
        extra_fen=seen.extra_fen,
        gap_interest_fen=seen.gap_interest_fen,
        credit_before_fen=seen.credit_before_fen,
        credit_after_fen=seen.credit_after_fen,
        annual_cost_before=f"{seen.cost_before:.6f}",
        annual_cost_after=f"{seen.cost_after:.6f}",
        cost_table=operations.change_table(call.session, loan_id=loan.id, event=event)
        if isinstance(act, Confirmed)
        else None,
    )


@serve(
    blueprint,
    post(
        "/loans/<string:loan_no>/events",
        Scope.LOANS_READ,
        EventAnswer,
        body=AskedEvent,
        examples=EXAMPLES,
        refuses=(
            LoanNotFound,
            PreviewStale,
            PartnerLimitExceeded,
            ReceiptKnown,
            operations.CostNotConfirmed,
            *REFUSALS,
        ),
    ),
)
def post_event(call: Call, loan_no: str, body: AskedEvent) -> EventAnswer:
    """Let something happen to a loan; all but money needs the preview that was looked at."""
    act = body.root
    call.require(act.scope)
    seen = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    loan = operations.lock_loan(call.session, loan_id=seen.id)
    event = act.event(call, loan)
    _require_seen(call, loan, act, event)
    counted: dict[str, Any] = {
        "partner": call.caller.partner,
        "act": act.limit,
        "amount_fen": act.counts_fen(call, loan, event),
    }
    count_against_limit(call.session, on=call.on, **counted)
    seq = act.post(call, loan, event)
    if isinstance(act, Moved):
        counted |= {"channel": act.channel, "reference": act.reference}
    keep_act(call.session, loan_id=loan.id, seq=seq, now=call.now, **counted)
    events = queries.loan_events(call.session, loan_id=loan.id)
    return answer(next(each for each in events if each.seq == seq), counted.get("reference"))


def answer(event: queries.LoanEventView, reference: str | None) -> EventAnswer:
    """Return an event as partners read it: no name of our staff."""
    return EventAnswer(
        seq=event.seq,
        kind=event.kind,
        value_date=event.value_date,
        recorded_at=event.recorded_at,
        by=by_whom(event.actor),
        reference=reference,
        details=event.payload,
    )


def by_whom(actor: str) -> str:
    """Say who did something: the partner or the borrower, of our staff only that it was us."""
    is_said = actor == BORROWER or actor.startswith(PARTNER)
    return actor.removeprefix(PARTNER) if is_said else _LENDER


def _require_seen(call: Call, loan: Loan, act: Act, event: Event) -> None:
    """Let nothing happen that nobody looked at as it is now."""
    if act.preview is None and not act.is_fact:
        raise PreviewStale("this needs the preview that was looked at")
    if act.preview is not None and act.preview != _digest(call, loan, event):
        raise PreviewStale("the loan or the request is not what the preview showed")


def _digest(call: Call, loan: Loan, event: Event) -> str:
    """Name what a preview showed: this event, on this day, on this loan after these events."""
    count = len(queries.loan_events(call.session, loan_id=loan.id))
    shown = [loan.id, count, kind_of(event), event.on.isoformat(), event_to_json(event)]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
