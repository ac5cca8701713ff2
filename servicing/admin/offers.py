"""Offers to a customer in place: made after a look at what they do, withdrawn, undone, listed.

What an offer may be and becomes is decided in servicing.operations.offers.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy.orm import Session

from desk.ports import (
    Approvable,
    Change,
    Panel,
    Site,
    act_in_dialog,
    current_staff,
    staff_page,
)
from kernel.clock import business_date
from kernel.errors import Conflict
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import approval_facts, results, rights, words
from servicing.admin.forms import (
    amount,
    count,
    dialog,
    do_once,
    draw,
    needed_day,
    page_of,
    share,
    written,
)
from servicing.admin.previewed import (
    Ahead,
    ShownChanged,
    asked_for,
    do_or_propose,
    effects,
    is_within,
    previewed,
    require_authority,
)
from servicing.offering import OfferKind, OfferState
from servicing.operations.lines import LineNotFound
from servicing.queries import OfferNotFound, OfferView

_LONGEST_REASON: Final = 120


class OfferDone(Conflict):
    """What an offer did to a loan is taken back as any event is, measured by what it was."""

    code = "offer-done"
    message_zh = "方案已履行，请用“冲正一笔记录”撤回，并按涉及金额审批"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>/offers"
    add(f"{at}/new/<kind>/<int:subject_id>", "offer_form", offer_form)
    add(f"{at}/new/<kind>/<int:subject_id>", "make_offer", make, methods=["POST"])
    add(f"{at}/<int:offer_id>/end", "end_offer_form", end_form)
    add(f"{at}/<int:offer_id>/end", "end_offer", end, methods=["POST"])


def plug_in(site: Site) -> None:
    """Plug in the panel of offers, and the kinds that may need a second person."""
    site.customer_panels.add(
        Panel(key="offers", title="", permission=rights.VIEW, order=45, render=panel)
    )
    for kind, label in words.OFFERS.items():
        site.approvables.add(
            Approvable(
                action=_action(kind),
                label=label,
                permission_propose=rights.MAKE_OFFER,
                permission_decide=rights.DECIDE_OFFER,
                describe=_describe,
                execute=_carry_out,
                told=results.told,
                show=approval_facts.show,
                undo=_undo,
                is_within=is_within(kind),
            )
        )


def panel(customer_id: int) -> Markup:
    """Draw what is offered and what is frozen; nothing where there is neither."""
    with runtime().database.read() as session:
        loans = queries.loans_of(session, customer_id=customer_id, on=today())
        offers = queries.offers_of(session, customer_id=customer_id, on=today())
        freezes = queries.freezes_of(session, loan_ids=[loan.id for loan in loans])
    return draw(
        "offers.html",
        customer_id=customer_id,
        offers=offers,
        freezes=freezes,
        loans={loan.id: loan for loan in loans},
        today=today(),
    )


@staff_page(rights.MAKE_OFFER)
def offer_form(customer_id: int, kind: str, subject_id: int) -> ResponseReturnValue:
    """Ask what is offered and until when."""
    return _form(customer_id, kind, subject_id)


@staff_page(rights.MAKE_OFFER)
def make(customer_id: int, kind: str, subject_id: int) -> ResponseReturnValue:
    """Show what the offer would do, then make or propose it."""
    return previewed(
        form=partial(_form, customer_id, kind, subject_id),
        look=partial(_look, customer_id, kind, subject_id),
        act=partial(_make, customer_id, kind, subject_id),
        said=gettext("方案已发出，客户可在微信页面确认"),
        then=page_of(customer_id),
    )


@staff_page(rights.MAKE_OFFER)
def end_form(customer_id: int, offer_id: int) -> ResponseReturnValue:
    """Say what withdrawing or undoing means."""
    return _end_form(customer_id, offer_id)


@staff_page(rights.MAKE_OFFER)
def end(customer_id: int, offer_id: int) -> ResponseReturnValue:
    """Withdraw an open offer, or undo the raise of a line."""
    return act_in_dialog(
        form=partial(_end_form, customer_id, offer_id),
        act=partial(_end, customer_id, offer_id),
        said=gettext("方案已撤回"),
        then=page_of(customer_id),
    )


def _details(kind: OfferKind) -> dict[str, Any]:
    if kind is OfferKind.EXTENSION:
        return {"extra_terms": count("extra_terms")}
    if kind is OfferKind.DUE_DAY:
        return {"due_day": count("due_day")}
    if kind is OfferKind.RETENTION:
        return {"rate_annual": str(share("rate"))}
    if kind is OfferKind.SETTLEMENT:
        return {"sum_fen": amount("amount")}
    if kind is OfferKind.NEXT_PART:
        return {"amount_fen": amount("amount")}
    return {"granted_fen": amount("amount")}


def _look(customer_id: int, kind: str, subject_id: int) -> Ahead:
    known = _kind(kind)
    details = _details(known)
    valid_until, reason = needed_day("valid_until"), written("why", most=_LONGEST_REASON)
    if not today() <= valid_until:
        raise operations.OfferRefused("the offer would be over already")
    with runtime().database.read() as session:
        _require_subject(session, customer_id, known, subject_id)
        proposal = operations.propose_offer(
            session, kind=known, subject_id=subject_id, details=details, on=today()
        )
    payload = {
        "kind": kind,
        "customer_id": customer_id,
        "subject_id": subject_id,
        "loan_id": None if known is OfferKind.LINE_RAISE else subject_id,
        "details": details,
        "valid_until": valid_until.isoformat(),
        "reason": reason,
        "on": today().isoformat(),
        "amount_fen": proposal.waived_fen,
        "shown": dict(proposal.shown),
        "cost_table": proposal.cost_table,
        "by": current_staff().login,
        "is_asked_for": request.form.get("is_asked_for") == "1",
    }
    return Ahead(act=kind, shown=proposal.shown, amount_fen=proposal.waived_fen, payload=payload)


def _make(customer_id: int, kind: str, subject_id: int, ahead: Ahead) -> bool:
    return do_or_propose(
        ahead,
        action=_action(kind),
        done="offer.made",
        customer_id=customer_id,
        subject=f"customer:{customer_id}:{_noun(kind)}:{subject_id}",
        do=lambda session, payload: _carry_out(session, payload, now()),
    )


def _carry_out(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Make just the offer that was shown.

    Raises:
        ShownChanged: It would do something else by now.
    """
    kind, subject_id = OfferKind(payload["kind"]), payload["subject_id"]
    details, on = payload["details"], business_date(at)
    # A settlement costs a day's interest more each day; what was approved is its sum.
    as_of = date.fromisoformat(payload["on"]) if kind is OfferKind.SETTLEMENT else on
    proposal = operations.propose_offer(
        session, kind=kind, subject_id=subject_id, details=details, on=as_of
    )
    if dict(proposal.shown) != payload["shown"]:
        raise ShownChanged(f"the {kind} of {subject_id} would do something else by now")
    seal = Ahead(act=kind, shown={}, amount_fen=0, payload={**payload, "at": at.isoformat()}).seal
    offer_id = operations.make_offer(
        session,
        kind=kind,
        subject_id=subject_id,
        details=details,
        valid_until=date.fromisoformat(payload["valid_until"]),
        reason=payload["reason"],
        made_by=payload["by"],
        on=on,
        key=f"{kind}/{subject_id}/{seal}",
        now=at,
        is_asked_for=payload["is_asked_for"],
    )
    return {"offer": offer_id, "kind": str(kind), "amount_fen": payload["amount_fen"]}


def _undo(
    session: Session, _payload: Mapping[str, Any], result: Mapping[str, Any], at: datetime
) -> None:
    operations.end_offer(
        session, offer_id=result["offer"], by="approval", on=business_date(at), now=at
    )


def _end(customer_id: int, offer_id: int) -> bool:
    reason = written("why", most=_LONGEST_REASON)

    def do(session: Session) -> dict[str, Any] | None:
        offer = _offer(session, customer_id, offer_id)
        require_authority(offer.kind)
        if offer.state == OfferState.FULFILLED and offer.loan_id is not None:
            raise OfferDone(f"offer {offer_id} is fulfilled")
        is_ended = operations.end_offer(
            session, offer_id=offer_id, by=current_staff().login, on=today(), now=now()
        )
        return {"offer": offer_id, "reason": reason} if is_ended else None

    payload = {"offer": offer_id, "reason": reason}
    return do_once("offer.ended", customer_id=customer_id, payload=payload, do=do)


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    said = {**payload["details"], "valid_until": payload["valid_until"]}
    return (*asked_for(said), *effects(payload["shown"]))


def _form(
    customer_id: int, kind: str, subject_id: int, error: str = "", ahead: Ahead | None = None
) -> str:
    known = _kind(kind)
    with runtime().database.read() as session:
        subject = _require_subject(session, customer_id, known, subject_id)
    to = url_for(
        "servicing_admin.make_offer", customer_id=customer_id, kind=kind, subject_id=subject_id
    )
    return dialog(
        "offer_form.html",
        to=to,
        error=error,
        kind=kind,
        subject=subject,
        ahead=ahead,
        effects=effects(ahead.shown) if ahead else (),
        shown_at=int(now().timestamp()),
        today=today(),
    )


def _end_form(customer_id: int, offer_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        offer = _offer(session, customer_id, offer_id)
    to = url_for("servicing_admin.end_offer", customer_id=customer_id, offer_id=offer_id)
    return dialog("offer_end_form.html", to=to, error=error, offer=offer)


def _offer(session: Session, customer_id: int, offer_id: int) -> OfferView:
    return queries.offer_of(session, offer_id=offer_id, customer_id=customer_id, on=today())


def _require_subject(
    session: Session, customer_id: int, kind: OfferKind, subject_id: int
) -> queries.LoanView | queries.LineView:
    if kind is not OfferKind.LINE_RAISE:
        return queries.loan_of(session, loan_id=subject_id, customer_id=customer_id, on=today())
    lines = queries.lines_of(session, customer_id=customer_id)
    line = next((line for line in lines if line.id == subject_id), None)
    if line is None:
        raise LineNotFound(f"no line {subject_id} of this customer")
    return line


def _kind(kind: str) -> OfferKind:
    if kind not in words.OFFERS:
        raise OfferNotFound(f"nothing is offered as {kind}")
    return OfferKind(kind)


def _noun(kind: str) -> str:
    return "line" if kind == OfferKind.LINE_RAISE else "loan"


def _action(kind: str) -> str:
    return f"servicing.offer.{kind}"
