"""The review queue: applications that the machine left to people, and what people decide of them.

A decision beyond one person's limit goes through desk's approvals. What a decision does to the
line is the business of servicing.operations; why the machine passed is the judge's.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy.orm import Session

from desk.operations import ReasonNeeded, append_audit, propose
from desk.ports import (
    Approvable,
    Change,
    NavItem,
    Site,
    Tile,
    current_site,
    current_staff,
    staff_page,
)
from desk.queries import waiting_approval
from kernel.errors import Conflict, FenqiError
from kernel.listing import page_of
from kernel.money import yuan
from kernel.web import now, runtime, today
from risk.queries import field_labels, field_value
from servicing import operations, queries
from servicing.admin import judgement, machine_days, results, words
from servicing.admin.application_facts import facts_of
from servicing.admin.shown import masked_names, percent, price, span
from servicing.model import ApplicationState, ApplicationStateRefused, needs_second_person
from servicing.operations import (
    ApplicationNotFound,
    LineExhausted,
    LineNotDrawable,
    OwnApplication,
)
from servicing.operations.applications.inhand import ENTERED_BY
from servicing.queries import ApplicationDetail

VIEW: Final = "servicing.applications.view"
REVIEW: Final = "servicing.applications.review"
SECOND: Final = "servicing.applications.approve"
ACT: Final = "servicing.application.approve"

_BOARD_DAYS: Final = 30
_RECENT: Final = 10
_MOST_ASKED: Final = 20
_MAX_NOTE: Final = 200
_PROPOSAL_STANDS: Final = timedelta(days=2)


class ReviewedAlready(Conflict):
    """The application does not wait for a person any more."""

    code = "application-reviewed-already"
    message_zh = "该申请已不在待审核状态，可能已由同事处理"


class LineBarsApproval(Conflict):
    """The customer's line is frozen or closed, so nothing can be approved on it."""

    code = "application-line-not-open"
    message_zh = "客户额度已冻结或关闭，不能通过；请先处理额度，或拒绝该申请"


class LineBelowAmount(Conflict):
    """The customer's line has less left than the application asks for."""

    code = "application-line-too-small"
    message_zh = "客户可用额度低于申请金额，不能通过；请先调整额度，或拒绝该申请"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/applications", "applications", applications)
    add("/admin/applications/<int:application_id>", "application", application)
    add("/admin/applications/<int:application_id>/review", "review", review, methods=["POST"])
    add("/admin/applications/<int:application_id>/take", "take", take, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the queue, its rights, its tile and the approval above the limit on a site."""
    site.permissions.declare(
        VIEW, "查看进件审核", roles=("risk_analyst", "risk_manager", "auditor")
    )
    site.permissions.declare(REVIEW, "审核进件", roles=("risk_analyst", "risk_manager"))
    site.permissions.declare(SECOND, "复核大额进件", roles=("risk_manager",))
    site.navigation.add(
        NavItem(
            label="进件审核",
            endpoint="servicing_admin.applications",
            permission=VIEW,
            group="业务",
            order=100,
            icon="file",
        )
    )
    site.tiles.add(Tile(key="servicing.applications", permission=VIEW, order=15, render=_tile))
    site.tiles.add(Tile(key="servicing.machine", permission=VIEW, order=16, render=_machine_tile))
    site.approvables.add(
        Approvable(
            action=ACT,
            label="通过大额进件",
            permission_propose=REVIEW,
            permission_decide=SECOND,
            describe=_describe,
            execute=_execute,
            told=results.told,
        )
    )


# --- pages ---


@staff_page(VIEW)
def applications() -> ResponseReturnValue:
    """Show the queue, the oldest first, and what became of the last thirty days."""
    with runtime().database.read() as session:
        page = page_of(queries.review_queue(session).waiting)
        waiting = queries.applications_in_review(session, offset=page.offset, limit=page.rows)
        recent = queries.decided_applications(session, limit=_RECENT)
        board = queries.decision_board(session, until=today(), days=_BOARD_DAYS)
        machine = queries.machine_share(session, until=today(), days=_BOARD_DAYS)
        by_day = queries.machine_days(session, until=today(), days=_BOARD_DAYS)
        asked = queries.reviews_of_terms(session, limit=_MOST_ASKED + 1)
        has_more, asked = len(asked) > _MOST_ASKED, asked[:_MOST_ASKED]
        shown = (*waiting, *asked)
        reviews = queries.reviews_of(session, application_ids=[one.id for one in shown])
        names = masked_names(session, [one.customer_id for one in (*shown, *recent)])
    return render_template(
        "servicing/admin/review_queue.html",
        waiting=[(one, at, span(now() - at)) for one, at in _waiting_since(waiting, reviews)],
        asked=asked,
        has_more_asked=has_more,
        recent=recent,
        names=names,
        reviews=reviews,
        now=now(),
        board=board,
        machine=machine,
        shares_picture=machine_days.shares(by_day),
        times_picture=machine_days.times(by_day),
        p50=words.duration(machine.p50_ms),
        p99=words.duration(machine.p99_ms),
        days=_BOARD_DAYS,
        share="—" if machine.alone is None else percent(machine.alone),
        words=words,
        needs_second_person=needs_second_person,
        page=page,
    )


def _waiting_since(
    waiting: Sequence[queries.ApplicationDetail], reviews: Mapping[int, queries.ReviewView]
) -> Iterator[tuple[queries.ApplicationDetail, datetime]]:
    """Say since when each waits for a person; an appeal may come long after the application."""
    for one in waiting:
        review = reviews.get(one.id)
        yield one, review.opened_at if review else one.submitted_at


@staff_page(VIEW)
def application(application_id: int) -> ResponseReturnValue:
    """Show one application with everything that a decision needs side by side."""
    return _page(_application(application_id))


@staff_page(REVIEW)
def review(application_id: int) -> ResponseReturnValue:
    """Decide an application, or ask a second person to; a repeat changes nothing.

    Raises:
        ApplicationNotFound: There is none.
    """
    found = _application(application_id)
    approve = request.form.get("decision") == "approve"
    outcome = ApplicationState.APPROVED if approve else ApplicationState.DECLINED
    if (found.state, found.decided_by) != (outcome, current_staff().login):
        try:
            proposal = _decide(found, approve=approve)
        except FenqiError as error:
            return _page(_application(application_id), error=error.message_zh), error.status
        if proposal is not None:
            flash(gettext("已提交，须由另一位同事复核后生效"), "success")
            return redirect(url_for("desk.approval", approval_id=proposal))
    flash(gettext("申请已通过") if approve else gettext("申请已拒绝"), "success")
    return redirect(url_for("servicing_admin.applications"))


@staff_page(REVIEW)
def take(application_id: int) -> ResponseReturnValue:
    """Take an application in hand for a while, or give it back.

    Raises:
        ApplicationNotFound: There is none.
    """
    found, login = _application(application_id), current_staff().login
    try:
        with runtime().database.write() as session:
            if request.form.get("give_back"):
                operations.release_review(session, application_id=found.id, by=login)
            else:
                operations.take_review(session, application_id=found.id, by=login, now=now())
    except FenqiError as error:
        return _page(found, error=error.message_zh), error.status
    return redirect(url_for("servicing_admin.application", application_id=found.id))


def _page(found: ApplicationDetail, *, error: str = "") -> str:
    with runtime().database.read() as session:
        facts = facts_of(session, found, on=today())
        others = queries.applications_of(session, customer_id=found.customer_id)
        waiting = waiting_approval(session, action=ACT, subject=_subject(found.id), now=now())
        grounds = judgement.grounds_of(session, decision_no=found.decision_no)
        evidence = queries.evidence_of(session, application_id=found.id)
        planned_by = queries.planned_by(session, application_id=found.id)
        review_ = queries.reviews_of(session, application_ids=[found.id]).get(found.id)
    return render_template(
        "servicing/admin/review.html",
        evidence=evidence,
        planned_by=planned_by,
        labels=field_labels(),
        field_value=field_value,
        review=review_,
        holder=review_.holder(now()) if review_ else None,
        is_overdue=review_ is not None and review_.due_at <= now(),
        application=found,
        facts=facts,
        rate=price(found.rate_annual),
        list_rate=price(facts.list_rate),
        others=[other for other in others if other.id != found.id][:_RECENT],
        waiting=waiting,
        since=span(now() - (review_.opened_at if review_ else found.submitted_at)),
        words=words,
        grounds=grounds,
        is_large=needs_second_person(found.amount_fen),
        max_note=_MAX_NOTE,
        error=gettext(error) if error else "",
    )


def _application(application_id: int) -> ApplicationDetail:
    with runtime().database.read() as session:
        found = queries.application_of(session, application_id=application_id)
    if found is None:
        raise ApplicationNotFound(f"no application {application_id}")
    return found


# --- decisions ---


def _decide(found: ApplicationDetail, *, approve: bool) -> int | None:
    """Do what the form asks for; returns the proposal's id if a second person is needed."""
    reasons = words.APPROVE_REASONS if approve else words.DECLINE_REASONS
    reason = _reason(reasons)
    payload = {
        "application_id": found.id,
        "application_no": found.application_no,
        "amount_fen": found.amount_fen,
        "terms": found.terms,
        "reason": reason,
        "note": request.form.get("note", "").strip()[:_MAX_NOTE],
        "reviewer": current_staff().login,
        "is_blocked": not approve and request.form.get("block") == "1",
    }
    with runtime().database.write() as session:
        if not approve or not needs_second_person(found.amount_fen):
            _review(session, payload, approve=approve, now=now())
            return None
        _assert_approvable(session, found)
        return propose(
            session,
            current_site(),
            action=ACT,
            subject=_subject(found.id),
            payload=payload,
            proposed_by=current_staff().login,
            now=now(),
            expires_in=_PROPOSAL_STANDS,
            reason=str(reasons[reason]),
        )


def _assert_approvable(session: Session, found: ApplicationDetail) -> None:
    """Keep a second person from being asked for what cannot be done at the moment."""
    if found.state != ApplicationState.IN_REVIEW:
        raise ReviewedAlready(f"application {found.id} is {found.state}")
    login = current_staff().login
    operations.take_review(session, application_id=found.id, by=login, now=now())
    for line in queries.lines_of(session, customer_id=found.customer_id):
        if line.funder == found.funder and line.state != "active":
            raise LineBarsApproval(f"line {line.id} is {line.state}")
        if line.funder == found.funder and line.available_fen < found.amount_fen:
            raise LineBelowAmount(f"line {line.id} has less than {found.amount_fen} fen")


def _reason(choices: Mapping[str, str]) -> str:
    reason = request.form.get("reason", "")
    if reason not in choices:
        raise ReasonNeeded("a decision needs one of its reasons")
    return reason


def _review(session: Session, payload: Mapping[str, Any], *, approve: bool, now: datetime) -> None:
    """Decide in the session's transaction, and note who did, why, and against what."""
    application_id = int(payload["application_id"])
    before = queries.application_of(session, application_id=application_id)
    try:
        operations.review_application(
            session,
            application_id=application_id,
            approve=approve,
            reasons=[payload["reason"]],
            decided_by=payload["reviewer"],
            is_blocked=bool(payload.get("is_blocked")),
            now=now,
        )
    except ApplicationStateRefused as error:
        raise ReviewedAlready(error.detail) from error
    except LineNotDrawable as error:
        raise LineBarsApproval(error.detail) from error
    except LineExhausted as error:
        raise LineBelowAmount(error.detail) from error
    append_audit(
        session,
        actor=payload["reviewer"],
        action=f"servicing.application.{'approved' if approve else 'declined'}",
        subject=_subject(application_id),
        details={
            "application_no": payload["application_no"],
            "amount_fen": payload["amount_fen"],
            "reason": payload["reason"],
            "note": payload["note"],
            "is_blocked": bool(payload.get("is_blocked")),
            "machine_reasons": before.reasons if before else (),
        },
        now=now,
    )


def _subject(application_id: int) -> str:
    return f"application:{application_id}"


def _describe(payload: Mapping[str, Any]) -> list[Change]:
    waiting, approved = (
        str(words.APPLICATION_STATES[state][0])
        for state in (ApplicationState.IN_REVIEW, ApplicationState.APPROVED)
    )
    return [
        Change(label="申请编号", before="", after=payload["application_no"]),
        Change(label="申请金额", before="", after=f"¥{yuan(payload['amount_fen'])}"),
        Change(label="期数", before="", after=str(payload["terms"])),
        Change(label="状态", before=waiting, after=approved),
        Change(label="备注", before="", after=payload["note"]),
    ]


def _execute(session: Session, payload: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    found = queries.application_of(session, application_id=int(payload["application_id"]))
    if found is not None and found.attributes.get(ENTERED_BY) == current_staff().login:
        raise OwnApplication("the second person entered the application")
    _review(session, payload, approve=True, now=now)
    approved = str(words.APPLICATION_STATES[ApplicationState.APPROVED][0])
    return {"申请编号": payload["application_no"], "状态": approved}


def _tile() -> Markup:
    with runtime().database.read() as session:
        queue = queries.review_queue(session)
        overdue = queries.overdue_reviews(session, now=now())
    oldest = "" if queue.oldest_at is None else span(now() - queue.oldest_at)
    return Markup(  # noqa: S704 -- our own template
        render_template(
            "servicing/admin/review_tile.html",
            waiting=queue.waiting,
            oldest=oldest,
            overdue=overdue,
        )
    )


def _machine_tile() -> Markup:
    with runtime().database.read() as session:
        machine = queries.machine_share(session, until=today(), days=_BOARD_DAYS)
    return Markup(  # noqa: S704 -- our own template
        render_template(
            "servicing/admin/machine_tile.html",
            machine=machine,
            share="—" if machine.alone is None else percent(machine.alone),
            days=_BOARD_DAYS,
            p50=words.duration(machine.p50_ms),
            p99=words.duration(machine.p99_ms),
        )
    )
