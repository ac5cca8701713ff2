"""One approval service: somebody proposes, another person decides, and what was done can be undone.

What is done is registered by areas as an `Approvable`; it runs in the decision's own transaction,
so that a decision and its effect stand or fall together. Every step is in the audit chain.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from desk.model import ApprovalState, Role, next_approval_state
from desk.operations.audit import append_audit
from desk.ports import Approvable, Site
from desk.tables import Approval, Staff
from kernel.errors import Conflict, Forbidden, Invalid, NotFound

MACHINE: Final = "machine:"
"""Begins the names of proposers that are jobs, not people."""


class ApprovalNotFound(NotFound):
    """No such proposal."""

    code = "approval-not-found"
    message_zh = "没有找到该审批"


class ApprovalWaiting(Conflict):
    """The same act on the same subject waits for a decision already."""

    code = "approval-waiting"
    message_zh = "同一事项已有待审批的申请"


class ActionUnknown(Invalid):
    """No area registered such an act."""

    code = "approval-action-unknown"
    message_zh = "未知的审批事项"


class SecondPersonNeeded(Forbidden):
    """Whoever proposed cannot decide."""

    code = "approval-second-person"
    message_zh = "申请人不能审批自己的申请，须由另一位同事审批"


class NotPermitted(Forbidden):
    """The person's roles do not hold the permission that this step needs."""

    code = "approval-not-permitted"


class BeyondAuthority(Forbidden):
    """The person may decide such acts, but not of this size."""

    code = "approval-beyond-authority"
    message_zh = "金额超出您的审批权限，请由更高权限的同事审批"


class NotUndoable(Conflict):
    """The act cannot be taken back."""

    code = "approval-not-undoable"
    message_zh = "该事项不支持撤销"


class ReasonNeeded(Invalid):
    """A refusal, or taking something back, needs words."""

    code = "approval-reason-needed"
    message_zh = "请填写理由"


def propose(
    session: Session,
    site: Site,
    *,
    action: str,
    subject: str,
    payload: Mapping[str, Any],
    proposed_by: str,
    now: datetime,
    expires_in: timedelta,
    reason: str = "",
) -> int:
    """Ask a second person for an act.

    Args:
        session: An open write session.
        site: Where areas registered their acts.
        action: A registered act.
        subject: To what, such as `line:17`; one proposal may wait per action and subject.
        payload: What `execute` will get, JSON-able.
        proposed_by: A staff login, or `machine:` and the name of a job.
        now: The instant of the request.
        expires_in: Afterwards nobody can decide any more.
        reason: Why, in the proposer's words.

    Returns:
        The proposal's id.

    Raises:
        ActionUnknown: The act is not registered.
        NotPermitted: The proposer may not propose it.
        ApprovalWaiting: The same is waiting already.
    """
    approvable = _approvable(site, action)
    if not proposed_by.startswith(MACHINE):
        _require(session, site, login=proposed_by, permission=approvable.permission_propose)
    _expire(session, now=now, action=action, subject=subject)
    diff = [asdict(change) for change in approvable.describe(payload)]
    approval = Approval(
        action=action,
        subject=subject,
        payload=dict(payload),
        diff=diff,
        state=ApprovalState.WAITING,
        reason=reason,
        proposed_by=proposed_by,
        proposed_at=now,
        expires_at=now + expires_in,
        note="",
        undo_reason="",
    )
    try:
        with session.begin_nested():
            session.add(approval)
    except IntegrityError as error:
        raise ApprovalWaiting(f"{action} of {subject} is waiting already") from error
    _note(session, approval, "proposed", by=proposed_by, now=now, diff=diff, reason=reason)
    return approval.id


def decide(
    session: Session,
    site: Site,
    *,
    approval_id: int,
    decided_by: str,
    approve: bool,
    note: str,
    now: datetime,
) -> dict[str, Any]:
    """Approve and execute, or refuse; the first decision wins, a later one is a conflict.

    Returns:
        What `execute` answered; empty after a refusal.

    Raises:
        ApprovalNotFound: No such proposal.
        ApprovalNotOpen: It was decided or has expired.
        SecondPersonNeeded: The proposer tries to decide.
        NotPermitted: The person may not decide this act.
        BeyondAuthority: They may not approve so much.
        ReasonNeeded: A refusal without a note.
    """
    approval = _locked(session, approval_id)
    state = next_approval_state(_state_at(approval, now), "approve" if approve else "refuse")
    approvable = _approvable(site, approval.action)
    if decided_by == approval.proposed_by:
        raise SecondPersonNeeded("the proposer cannot decide")
    roles = _require(session, site, login=decided_by, permission=approvable.permission_decide)
    if approve and approvable.is_within and not approvable.is_within(approval.payload, roles, now):
        raise BeyondAuthority(f"{decided_by} may not approve so much")
    if not approve and not note.strip():
        raise ReasonNeeded("a refusal needs a note")
    result = approvable.execute(session, approval.payload, now) if approve else {}
    approval.state = state
    approval.decided_by = decided_by
    approval.decided_at = now
    approval.note = note.strip()
    approval.result = result if approve else None
    what = "executed" if approve else "refused"
    _note(session, approval, what, by=decided_by, now=now, note=note.strip(), result=result)
    return result


def withdraw(session: Session, *, approval_id: int, by: str, now: datetime) -> None:
    """Let the proposer take a waiting proposal back.

    Raises:
        NotPermitted: Somebody else's proposal.
        ApprovalNotOpen: It is not waiting any more.
    """
    approval = _locked(session, approval_id)
    state = next_approval_state(_state_at(approval, now), "withdraw")
    if by != approval.proposed_by:
        raise NotPermitted("only the proposer withdraws")
    approval.state = state
    _note(session, approval, "withdrawn", by=by, now=now)


def undo(
    session: Session, site: Site, *, approval_id: int, undone_by: str, reason: str, now: datetime
) -> None:
    """Take back what an approval executed, once.

    Raises:
        NotUndoable: The act has no way back.
        ApprovalNotOpen: It was not executed, or is undone already.
        NotPermitted: The person may not decide this act.
        ReasonNeeded: No reason was given.
    """
    approval = _locked(session, approval_id)
    state = next_approval_state(approval.state, "undo")
    approvable = _approvable(site, approval.action)
    _require(session, site, login=undone_by, permission=approvable.permission_decide)
    if approvable.undo is None:
        raise NotUndoable("the act cannot be undone")
    if not reason.strip():
        raise ReasonNeeded("undoing needs a reason")
    approvable.undo(session, approval.payload, approval.result or {}, now)
    approval.state = state
    approval.undone_by = undone_by
    approval.undone_at = now
    approval.undo_reason = reason.strip()
    _note(session, approval, "undone", by=undone_by, now=now, reason=reason.strip())


def expire_due(session: Session, *, now: datetime) -> int:
    """Close proposals whose time has passed; safe to repeat.

    Returns:
        How many were closed.
    """
    return _expire(session, now=now)


def _expire(session: Session, *, now: datetime, **only: str) -> int:
    due = session.execute(
        select(Approval.id, Approval.action, Approval.subject)
        .where(Approval.state == ApprovalState.WAITING, Approval.expires_at <= now)
        .filter_by(**only)
        .order_by(Approval.id)
        .with_for_update()
    ).all()
    for approval in due:
        session.execute(
            update(Approval)
            .where(Approval.id == approval.id)
            .values(state=ApprovalState.EXPIRED, decided_at=now)
        )
        append_audit(
            session,
            actor=f"{MACHINE}expiry",
            action="desk.approval.expired",
            subject=f"approval:{approval.id}",
            details={"action": approval.action, "subject": approval.subject},
            now=now,
        )
    return len(due)


def _state_at(approval: Approval, now: datetime) -> str:
    is_late = approval.state == ApprovalState.WAITING and approval.expires_at <= now
    return ApprovalState.EXPIRED if is_late else approval.state


def _approvable(site: Site, action: str) -> Approvable:
    approvable = site.approvables.get(action)
    if approvable is None:
        raise ActionUnknown(f"no act is called {action}")
    return approvable


def _locked(session: Session, approval_id: int) -> Approval:
    statement = select(Approval).where(Approval.id == approval_id)
    approval = session.scalar(
        statement.with_for_update(), execution_options={"populate_existing": True}
    )
    if approval is None:
        raise ApprovalNotFound("no such proposal")
    return approval


def _require(session: Session, site: Site, *, login: str, permission: str) -> list[Role]:
    """Return the roles of somebody who holds a permission."""
    known = session.scalar(select(Staff.roles).where(Staff.login == login, Staff.is_active))
    roles = [Role(role) for role in known or ()]
    if not site.permissions.allows(roles, permission):
        raise NotPermitted(f"{permission} is needed")
    return roles


def _note(
    session: Session, approval: Approval, what: str, *, by: str, now: datetime, **details: object
) -> None:
    append_audit(
        session,
        actor=by,
        action=f"desk.approval.{what}",
        subject=f"approval:{approval.id}",
        details={"action": approval.action, "subject": approval.subject} | details,
        now=now,
    )
