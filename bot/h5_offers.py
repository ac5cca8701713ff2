"""The borrower's pages about changes of what they owe: offers to say yes or no to, and requests.

Another day to pay, or a further part of a loan, is shown as an offer at once and counts when it is
agreed to; whether a loan is extended is for staff to say. Who looks is known by bot.h5. Nothing is
computed here.
"""

from collections.abc import Callable
from typing import Any, Final

from apiflask import APIBlueprint
from flask import g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from bot.h5_amount import read_fen
from kernel.errors import Conflict, Invalid
from kernel.web import now, runtime, today
from servicing import queries
from servicing.operations import accept_offer, ask_for_extension, ask_for_offer, decline_offer
from servicing.queries import LoanView, OfferKind, OfferState

CHANNEL: Final = "wechat_h5"

_A_DAY_S: Final = 86_400
_LONGEST_REASON: Final = 60
_DUE_DAYS: Final = range(1, 29)


def add_to(blueprint: APIBlueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/offers", "offers", offers)
    add("/offers/<int:offer_id>", "offer", offer)
    add("/offers/<int:offer_id>", "accept", accept, methods=["POST"])
    add("/offers/<int:offer_id>/decline", "decline", decline, methods=["POST"])
    add("/change/<int:loan_id>", "change", change)
    add("/change/<int:loan_id>/due-day", "ask_due_day", ask_due_day, methods=["POST"])
    add("/change/<int:loan_id>/part", "ask_part", ask_part, methods=["POST"])
    add("/change/<int:loan_id>/extension", "ask_extension", ask_extension, methods=["POST"])


def offers() -> str:
    """List what is offered to the looker, and what became of it."""
    with runtime().database.read() as session:
        found = queries.offers_of(session, customer_id=g.customer_id, on=today())
        loans = queries.loans_of(session, customer_id=g.customer_id, on=today())
    return _page(
        "offers",
        alive=[one for one in found if one.is_alive],
        over=[one for one in found if not one.is_alive],
        loans={loan.id: loan for loan in loans},
    )


def offer(offer_id: int) -> str:
    """Show an offer: what it does, what it costs, until when, and the words of consent."""
    return _offer_page(offer_id)


def accept(offer_id: int) -> str | tuple[str, int] | BaseResponse:
    """Take an offer, or show it again with one sentence; one that is out of date is shown anew."""
    if not request.form.get("agree"):
        return _offer_page(offer_id, _("请先阅读并勾选同意")), 422
    shown_at = request.form.get("shown_at", type=int, default=int(now().timestamp()))
    try:
        with runtime().database.write() as session:
            state = accept_offer(
                session,
                offer_id=offer_id,
                customer_id=g.customer_id,
                channel=CHANNEL,
                table_hash=request.form.get("table_hash") or None,
                seconds_shown=max(0, min(int(now().timestamp()) - shown_at, _A_DAY_S)),
                on=today(),
                now=now(),
            )
    except (Conflict, Invalid) as error:
        return _offer_page(offer_id, error.message_zh), error.status
    if state is OfferState.REPLACED:
        return redirect(_newer(offer_id), 303)
    return _offer_page(offer_id)


def decline(offer_id: int) -> str | tuple[str, int]:
    """Say no, with a reason or without."""
    try:
        with runtime().database.write() as session:
            decline_offer(
                session,
                offer_id=offer_id,
                customer_id=g.customer_id,
                channel=CHANNEL,
                reason=request.form.get("reason", "").strip()[:_LONGEST_REASON],
                now=now(),
            )
    except Conflict as error:
        return _offer_page(offer_id, error.message_zh), error.status
    return _offer_page(offer_id)


def change(loan_id: int) -> str:
    """Let the looker ask for another day to pay, or for more time."""
    return _change_page(loan_id)


def ask_due_day(loan_id: int) -> str | tuple[str, int] | BaseResponse:
    """Show what another day to pay would cost, as an offer to agree to."""
    return _ask(loan_id, OfferKind.DUE_DAY, _due_day)


def ask_part(loan_id: int) -> str | tuple[str, int] | BaseResponse:
    """Show what a further part of the loan would cost, as an offer to agree to."""
    return _ask(loan_id, OfferKind.NEXT_PART, _part)


def _due_day() -> dict[str, Any]:
    return {"due_day": request.form.get("due_day", type=int, default=0)}


def _part() -> dict[str, Any]:
    return {"amount_fen": read_fen(request.form)}


def _ask(
    loan_id: int, kind: OfferKind, details: Callable[[], dict[str, Any]]
) -> str | tuple[str, int] | BaseResponse:
    try:
        with runtime().database.write() as session:
            offer_id = ask_for_offer(
                session,
                kind=kind,
                loan_id=loan_id,
                customer_id=g.customer_id,
                details=details(),
                on=today(),
                now=now(),
            )
    except (Conflict, Invalid) as error:
        return _change_page(loan_id, error.message_zh), error.status
    return redirect(url_for("h5.offer", offer_id=offer_id), 303)


def ask_extension(loan_id: int) -> str | tuple[str, int]:
    """Ask staff for more instalments; they answer by an offer, or by telling why not."""
    try:
        with runtime().database.write() as session:
            ask_for_extension(
                session,
                loan_id=loan_id,
                customer_id=g.customer_id,
                extra_terms=request.form.get("extra_terms", type=int, default=0),
                on=today(),
                now=now(),
            )
    except (Conflict, Invalid) as error:
        return _change_page(loan_id, error.message_zh), error.status
    return _change_page(loan_id, asked=True)


def _newer(offer_id: int) -> str:
    """Return the address of what an offer was replaced by."""
    with runtime().database.read() as session:
        found = queries.offer_of(session, offer_id=offer_id, customer_id=g.customer_id, on=today())
    return url_for("h5.offer", offer_id=found.replaced_by_id)


def _offer_page(offer_id: int, problem: str = "") -> str:
    with runtime().database.read() as session:
        found = queries.offer_of(session, offer_id=offer_id, customer_id=g.customer_id, on=today())
    return _page(
        "offer",
        offer=found,
        loan=None if found.loan_id is None else _loan(found.loan_id),
        problem=problem,
        consent=queries.consent_text(found.kind),
        shown_at=int(now().timestamp()),
    )


def _change_page(loan_id: int, problem: str = "", *, asked: bool = False) -> str:
    loan = _loan(loan_id)
    return _page(
        "change",
        loan=loan,
        problem=problem,
        asked=asked,
        days=[day for day in _DUE_DAYS if loan.next is None or day != loan.next.due_on.day],
        chosen=request.form,
    )


def _loan(loan_id: int) -> LoanView:
    with runtime().database.read() as session:
        return queries.loan_of(session, loan_id=loan_id, customer_id=g.customer_id, on=today())


def _page(template: str, **values: Any) -> str:
    return render_template(f"bot/{template}.html", **values)
