"""What others may read of the workplace: the audit chain, approvals, documents, staff.

Views are frozen. A query never changes anything.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from desk.model import (
    EVER_APPROVED,
    GENESIS,
    ApprovalState,
    Change,
    Role,
    differences,
    entry_hash,
    sha256_of,
)
from desk.tables import Approval, AuditEntry, AuditHead, DocumentVersion, Staff
from kernel.clock import start_of_day
from kernel.errors import FenqiError, NotFound

_BATCH: Final = 1000


class DocumentNotFound(NotFound):
    """No such document or version, or none in force on that date."""

    code = "document-not-found"
    message_zh = "没有找到该文档版本"


class DocumentTampered(FenqiError):
    """A stored body does not match its hash: somebody changed it behind the house's back."""

    code = "document-tampered"


# --- audit ---


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """One act as the audit page shows it."""

    number: int
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]
    at: datetime
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What to look for; empty means any.

    Attributes:
        actor: The whole login.
        action: Whole, or its first parts: `desk.approval` finds `desk.approval.proposed`.
        subject: Whole, or its first parts: `customer` finds `customer:17`.
        since: First business date.
        until: Last business date, included.
    """

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: date | None = None
    until: date | None = None


def audit_entries(
    session: Session, *, wanted: AuditFilter, limit: int, offset: int = 0
) -> tuple[AuditView, ...]:
    """List acts, newest first."""
    rows = session.scalars(
        _filtered(wanted).order_by(AuditEntry.id.desc()).limit(limit).offset(offset)
    )
    return tuple(_audit_view(row) for row in rows)


def count_audit_entries(session: Session, *, wanted: AuditFilter) -> int:
    """Count the acts that a filter finds."""
    found = _filtered(wanted).with_only_columns(func.count(), maintain_column_froms=True)
    return session.scalar(found) or 0


def each_audit_entry(session: Session, *, wanted: AuditFilter) -> Iterator[AuditView]:
    """Go through all acts that a filter finds, oldest first, holding a thousand at a time."""
    last = 0
    while True:
        found = _filtered(wanted).where(AuditEntry.id > last).order_by(AuditEntry.id)
        rows = session.scalars(found.limit(_BATCH)).all()
        yield from (_audit_view(row) for row in rows)
        session.expunge_all()
        if len(rows) < _BATCH:
            return
        last = rows[-1].id


def audit_actions(session: Session) -> tuple[str, ...]:
    """List the actions that occur, for the filter."""
    return tuple(session.scalars(select(AuditEntry.action).distinct().order_by(AuditEntry.action)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """The last entry's number and hash; written down elsewhere, it proves the whole chain."""

    number: int
    hash: str


def audit_chain_end(session: Session) -> ChainEnd:
    """Read where the chain ends; number 0 for an empty one."""
    head = session.execute(select(AuditHead.number, AuditHead.hash)).one_or_none()
    return (
        ChainEnd(number=head.number, hash=head.hash) if head else ChainEnd(number=0, hash=GENESIS)
    )


def verify_audit_chain(session: Session) -> int | None:
    """Recompute the chain from its beginning.

    Returns:
        The number of the first entry that is changed, missing or out of place, or None if all
        are as they were written. An entry lost at the end is found by the head.
    """
    previous, number = GENESIS, 0
    for row in _chain(session):
        number += 1
        if row.id != number or row.previous_hash != previous or row.hash != _hash_of(row):
            return number
        previous = row.hash
    end = audit_chain_end(session)
    return None if (end.number, end.hash) == (number, previous) else number + 1


def _chain(session: Session) -> Iterator[AuditEntry]:
    last = 0
    while True:
        after = select(AuditEntry).where(AuditEntry.id > last).order_by(AuditEntry.id)
        rows = session.scalars(after.limit(_BATCH)).all()
        yield from rows
        session.expunge_all()
        if len(rows) < _BATCH:
            return
        last = rows[-1].id


def _hash_of(row: AuditEntry) -> str:
    return entry_hash(
        number=row.id,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        details=row.details,
        at=row.at,
        previous=row.previous_hash,
    )


def _filtered(wanted: AuditFilter) -> Select[AuditEntry]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor:
        conditions.append(AuditEntry.actor == wanted.actor)
    if wanted.action:
        conditions.append(_at_or_below(AuditEntry.action, wanted.action, "."))
    if wanted.subject:
        conditions.append(_at_or_below(AuditEntry.subject, wanted.subject, ":"))
    if wanted.since:
        conditions.append(AuditEntry.at >= start_of_day(wanted.since))
    if wanted.until:
        conditions.append(AuditEntry.at < start_of_day(wanted.until + timedelta(days=1)))
    return select(AuditEntry).where(*conditions)


def _at_or_below(
    column: InstrumentedAttribute[str], name: str, separator: str
) -> ColumnElement[bool]:
    stem = name.rstrip(separator)
    return (column == stem) | column.startswith(f"{stem}{separator}", autoescape=True)


def _audit_view(row: AuditEntry) -> AuditView:
    return AuditView(
        number=row.id,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        details=json.loads(row.details),
        at=row.at,
        hash=row.hash,
    )


# --- approvals ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A proposal as staff see it; `state` says expired as soon as it is."""

    id: int
    action: str
    subject: str
    payload: Mapping[str, Any]
    diff: tuple[Change, ...]
    state: ApprovalState
    reason: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str
    result: Mapping[str, Any] | None
    undone_by: str | None
    undone_at: datetime | None
    undo_reason: str


def approvals(
    session: Session, *, now: datetime, is_waiting: bool, limit: int, offset: int = 0
) -> tuple[ApprovalView, ...]:
    """List proposals: the waiting ones, soonest to expire first, or the others, newest first."""
    found = select(Approval).where(_waits(now) if is_waiting else ~_waits(now))
    order = Approval.expires_at.asc() if is_waiting else Approval.id.desc()
    rows = session.scalars(found.order_by(order, Approval.id).limit(limit).offset(offset))
    return tuple(_approval_view(row, now) for row in rows)


def count_approvals(session: Session, *, now: datetime, is_waiting: bool) -> int:
    """Count proposals that wait, or those that do not any more."""
    condition = _waits(now) if is_waiting else ~_waits(now)
    return session.scalar(select(func.count()).select_from(Approval).where(condition)) or 0


def count_decidable(session: Session, *, now: datetime, actions: Collection[str], by: str) -> int:
    """Count waiting proposals of some acts that somebody else made."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Approval)
            .where(_waits(now), Approval.action.in_(actions), Approval.proposed_by != by)
        )
        or 0
    )


def approval(session: Session, *, approval_id: int, now: datetime) -> ApprovalView | None:
    """Return one proposal, or None."""
    row = session.get(Approval, approval_id)
    return _approval_view(row, now) if row else None


def waiting_approval(
    session: Session, *, action: str, subject: str, now: datetime
) -> ApprovalView | None:
    """Return the proposal that waits for an act on a subject, or None."""
    row = session.scalar(
        select(Approval).where(Approval.action == action, Approval.subject == subject, _waits(now))
    )
    return _approval_view(row, now) if row else None


def _waits(now: datetime) -> ColumnElement[bool]:
    return (Approval.state == ApprovalState.WAITING) & (Approval.expires_at > now)


def _approval_view(row: Approval, now: datetime) -> ApprovalView:
    state = ApprovalState(row.state)
    if state is ApprovalState.WAITING and row.expires_at <= now:
        state = ApprovalState.EXPIRED
    return ApprovalView(
        id=row.id,
        action=row.action,
        subject=row.subject,
        payload=row.payload,
        diff=tuple(Change(**line) for line in row.diff),
        state=state,
        reason=row.reason,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        expires_at=row.expires_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        note=row.note,
        result=row.result,
        undone_by=row.undone_by,
        undone_at=row.undone_at,
        undo_reason=row.undo_reason,
    )


# --- documents ---


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """One version of a document."""

    kind: str
    key: str
    version: int
    body: Mapping[str, Any]
    body_hash: str
    state: str
    author: str
    note: str
    restores: int | None
    created_at: datetime
    tested_by: str | None
    tested_at: datetime | None
    test_report: Mapping[str, Any] | None
    approved_by: str | None
    approved_at: datetime | None
    effective_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLine:
    """A document in the list of all."""

    kind: str
    key: str
    versions: int
    newest_state: str
    in_force: int | None
    effective_on: date | None


def document(session: Session, *, kind: str, key: str, on: date) -> dict[str, Any]:
    """Return the body of the version in force on a business date.

    Raises:
        DocumentNotFound: None is.
        DocumentTampered: The body does not match its hash.
    """
    found = document_in_force(session, kind=kind, key=key, on=on)
    if found is None:
        raise DocumentNotFound(f"no {kind} {key} is in force on {on}")
    return dict(found.body)


def document_in_force(session: Session, *, kind: str, key: str, on: date) -> DocumentView | None:
    """Return the whole version in force on a business date, or None.

    Raises:
        DocumentTampered: The body does not match its hash.
    """
    row = version_in_force(session, kind=kind, key=key, on=on)
    return _document_view(row) if row else None


def document_version(session: Session, *, kind: str, key: str, version: int) -> DocumentView:
    """Return one version, whatever its state.

    Raises:
        DocumentNotFound: No such version.
        DocumentTampered: The body does not match its hash.
    """
    row = session.scalar(select(DocumentVersion).filter_by(kind=kind, key=key, version=version))
    if row is None:
        raise DocumentNotFound(f"no version {version} of {kind} {key}")
    return _document_view(row)


def document_versions(session: Session, *, kind: str, key: str) -> tuple[DocumentView, ...]:
    """List all versions, newest first.

    Raises:
        DocumentNotFound: There is none.
    """
    rows = session.scalars(
        select(DocumentVersion)
        .filter_by(kind=kind, key=key)
        .order_by(DocumentVersion.version.desc())
    )
    views = tuple(_document_view(row) for row in rows)
    if not views:
        raise DocumentNotFound(f"no document {kind} {key}")
    return views


def documents(session: Session, *, on: date) -> tuple[DocumentLine, ...]:
    """List every document with what is in force on a business date."""
    grouped = (
        select(DocumentVersion.kind, DocumentVersion.key, func.max(DocumentVersion.version))
        .group_by(DocumentVersion.kind, DocumentVersion.key)
        .order_by(DocumentVersion.kind, DocumentVersion.key)
    )
    return tuple(
        _document_line(session, kind=kind, key=key, newest=newest, on=on)
        for kind, key, newest in session.execute(grouped)
    )


def changes_between(before: DocumentView | None, after: DocumentView) -> Sequence[Change]:
    """Compare two versions leaf by leaf."""
    return differences(before.body if before else {}, after.body)


def version_in_force(session: Session, *, kind: str, key: str, on: date) -> DocumentVersion | None:
    """Find the row that a business date falls to: latest effective date, then newest version."""
    return session.scalar(
        select(DocumentVersion)
        .where(
            DocumentVersion.kind == kind,
            DocumentVersion.key == key,
            DocumentVersion.state.in_(EVER_APPROVED),
            DocumentVersion.effective_on <= on,
        )
        .order_by(DocumentVersion.effective_on.desc(), DocumentVersion.version.desc())
        .limit(1)
    )


def _document_line(session: Session, *, kind: str, key: str, newest: int, on: date) -> DocumentLine:
    current = version_in_force(session, kind=kind, key=key, on=on)
    state = session.scalar(
        select(DocumentVersion.state).filter_by(kind=kind, key=key, version=newest)
    )
    return DocumentLine(
        kind=kind,
        key=key,
        versions=newest,
        newest_state=state or "",
        in_force=current.version if current else None,
        effective_on=current.effective_on if current else None,
    )


def _document_view(row: DocumentVersion) -> DocumentView:
    body = json.loads(row.body)
    if sha256_of(body) != row.body_hash:
        raise DocumentTampered(f"version {row.version} of {row.kind} {row.key}")
    return DocumentView(
        kind=row.kind,
        key=row.key,
        version=row.version,
        body=body,
        body_hash=row.body_hash,
        state=row.state,
        author=row.author,
        note=row.note,
        restores=row.restores,
        created_at=row.created_at,
        tested_by=row.tested_by,
        tested_at=row.tested_at,
        test_report=row.test_report,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        effective_on=row.effective_on,
    )


# --- staff ---


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffView:
    """A member of staff; nothing of the password."""

    id: int
    login: str
    name: str
    roles: frozenset[Role]
    is_active: bool
    must_change_password: bool
    session_version: int
    locked_until: datetime | None
    last_login_at: datetime | None


def staff_view(session: Session, *, staff_id: int) -> StaffView | None:
    """Return one member of staff, or None."""
    row = session.get(Staff, staff_id)
    return _staff_view(row) if row else None


def staff_list(session: Session) -> tuple[StaffView, ...]:
    """List all staff, those who work here first."""
    rows = session.scalars(select(Staff).order_by(Staff.is_active.desc(), Staff.login))
    return tuple(_staff_view(row) for row in rows)


def _staff_view(row: Staff) -> StaffView:
    return StaffView(
        id=row.id,
        login=row.login,
        name=row.name,
        roles=frozenset(Role(role) for role in row.roles),
        is_active=row.is_active,
        must_change_password=row.must_change_password,
        session_version=row.session_version,
        locked_until=row.locked_until,
        last_login_at=row.last_login_at,
    )
