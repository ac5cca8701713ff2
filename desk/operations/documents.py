"""One versioned document: draft → tested → approved by another person → in force → retired.

A strategy, a price list, a text: each is a `kind` and a `key`. A body never changes; another body
is another version. From its effective date on the newest approved version is in force, whether or
not `activate_due` has run. What a body means is its area's business.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.model import DocumentState, canonical, next_document_state, sha256_of
from desk.operations.audit import append_audit
from desk.queries import DocumentNotFound, version_in_force
from desk.tables import DocumentVersion
from kernel.clock import business_date
from kernel.errors import Conflict, Forbidden, Invalid


class AuthorApproves(Forbidden):
    """Whoever wrote a version cannot approve it."""

    code = "document-author-approves"
    message_zh = "作者不能批准自己起草的版本，须由另一位同事批准"


class EffectiveInThePast(Invalid):
    """A version cannot come into force before today: what was in force then is history."""

    code = "document-effective-in-the-past"
    message_zh = "生效日期不能早于今天"


class NothingToRestore(Conflict):
    """There is no earlier version that was in force."""

    code = "document-nothing-to-restore"
    message_zh = "没有可以回滚到的历史版本"


def save_draft(
    session: Session,
    *,
    kind: str,
    key: str,
    body: Mapping[str, Any],
    author: str,
    now: datetime,
    note: str = "",
) -> int:
    """Store a body as the next version.

    Saving the body of the newest version again while it is a draft gives that version.

    Args:
        session: An open write session.
        kind: Such as `strategy`.
        key: Which one, such as `admission`.
        body: JSON-able, without NaN.
        author: A staff login, or `machine:` and the name of a job.
        now: The instant of the request.
        note: What changed and why, for whoever approves.

    Returns:
        The version's number, 1 for the first.
    """
    _lock(session, kind=kind, key=key)
    newest = _newest(session, kind=kind, key=key)
    if newest and newest.state == DocumentState.DRAFT and newest.body_hash == sha256_of(body):
        return newest.version
    version = (newest.version if newest else 0) + 1
    row = _add(session, kind, key, version, canonical(body), author=author, now=now, note=note)
    _note(session, row, "drafted", by=author, now=now, hash=row.body_hash)
    return version


def mark_tested(
    session: Session,
    *,
    kind: str,
    key: str,
    version: int,
    report: Mapping[str, Any],
    by: str,
    now: datetime,
) -> None:
    """Record that a version was tried out, and what came of it; may be repeated.

    Raises:
        DocumentNotFound: No such version.
        DocumentStepRefused: It is past testing.
    """
    row = _locked(session, kind=kind, key=key, version=version)
    row.state = next_document_state(row.state, "test")
    row.tested_by = by
    row.tested_at = now
    row.test_report = dict(report)
    _note(session, row, "tested", by=by, now=now, report=dict(report))


def approve(
    session: Session,
    *,
    kind: str,
    key: str,
    version: int,
    by: str,
    effective_on: date,
    now: datetime,
) -> None:
    """Approve a tested version from a business date on, today at the earliest.

    Raises:
        DocumentNotFound: No such version.
        DocumentStepRefused: It is not tested, or past approval.
        AuthorApproves: The author tries.
        EffectiveInThePast: The date is before today.
    """
    row = _locked(session, kind=kind, key=key, version=version)
    state = next_document_state(row.state, "approve")
    if by == row.author:
        raise AuthorApproves("the author cannot approve")
    if effective_on < business_date(now):
        raise EffectiveInThePast("the effective date is before today")
    row.state = state
    row.approved_by = by
    row.approved_at = now
    row.effective_on = effective_on
    session.flush()
    _note(session, row, "approved", by=by, now=now, effective_on=effective_on)
    _activate(session, kind=kind, key=key, on=business_date(now), now=now)


def discard(session: Session, *, kind: str, key: str, version: int, by: str, now: datetime) -> None:
    """Drop a version that never came into force.

    Raises:
        DocumentNotFound: No such version.
        DocumentStepRefused: It is or was in force.
    """
    row = _locked(session, kind=kind, key=key, version=version)
    _activate(session, kind=kind, key=key, on=business_date(now), now=now)
    row.state = next_document_state(row.state, "discard")
    _note(session, row, "discarded", by=by, now=now)


def rollback(session: Session, *, kind: str, key: str, by: str, reason: str, now: datetime) -> int:
    """Put the body that was in force before back in force, at once, as a new version.

    It was approved when it was new, so one person may do this in an emergency. Versions that are
    approved for a later date stay planned.

    Returns:
        The number of the new version.

    Raises:
        DocumentNotFound: Nothing is in force.
        NothingToRestore: Nothing was in force before.
    """
    _lock(session, kind=kind, key=key)
    on = business_date(now)
    newest = _newest(session, kind=kind, key=key)
    current = version_in_force(session, kind=kind, key=key, on=on)
    if newest is None or current is None:
        raise DocumentNotFound("nothing is in force")
    previous = _before(session, current)
    row = _add(
        session, kind, key, newest.version + 1, previous.body, author=by, now=now, note=reason
    )
    row.state = DocumentState.APPROVED
    row.restores = previous.version
    row.approved_by = previous.approved_by
    row.approved_at = now
    row.effective_on = on
    session.flush()
    details = {"restores": previous.version, "replaces": current.version, "reason": reason}
    _note(session, row, "rolled_back", by=by, now=now, **details)
    _activate(session, kind=kind, key=key, on=on, now=now)
    return row.version


def activate_due(session: Session, *, on: date, now: datetime) -> int:
    """Mark the versions that the date has brought into force, and retire those before them.

    Safe to repeat. Reading by date does not depend on it; lists and the audit log do.

    Returns:
        How many versions came into force.
    """
    due = session.execute(
        select(DocumentVersion.kind, DocumentVersion.key)
        .where(DocumentVersion.state == DocumentState.APPROVED, DocumentVersion.effective_on <= on)
        .distinct()
        .order_by(DocumentVersion.kind, DocumentVersion.key)
    ).all()
    for kind, key in due:
        _lock(session, kind=kind, key=key)
    return sum(_activate(session, kind=kind, key=key, on=on, now=now) for kind, key in due)


def _activate(session: Session, *, kind: str, key: str, on: date, now: datetime) -> int:
    current = version_in_force(session, kind=kind, key=key, on=on)
    superseded = session.scalars(
        select(DocumentVersion)
        .where(
            DocumentVersion.kind == kind,
            DocumentVersion.key == key,
            DocumentVersion.state.in_((DocumentState.APPROVED, DocumentState.IN_FORCE)),
            DocumentVersion.effective_on <= on,
        )
        .order_by(DocumentVersion.version)
    ).all()
    for row in superseded:
        if current is not None and row.id != current.id:
            row.state = next_document_state(row.state, "retire")
    if current is None or current.state != DocumentState.APPROVED:
        return 0
    current.state = next_document_state(current.state, "activate")
    _note(session, current, "in_force", by="machine:calendar", now=now, on=on)
    return 1


def _before(session: Session, current: DocumentVersion) -> DocumentVersion:
    """Find the newest earlier version with another body that was in force."""
    versions = DocumentVersion
    row = session.scalar(
        select(versions)
        .where(
            versions.kind == current.kind,
            versions.key == current.key,
            versions.state == DocumentState.RETIRED,
            versions.body_hash != current.body_hash,
            versions.version < (current.restores or current.version),
        )
        .order_by(versions.effective_on.desc(), versions.version.desc())
        .limit(1)
    )
    if row is None:
        raise NothingToRestore("nothing was in force before")
    return row


def _lock(session: Session, *, kind: str, key: str) -> None:
    """Put writers of one document in order; its first version, which never goes, is the lock."""
    session.execute(
        select(DocumentVersion.id).filter_by(kind=kind, key=key, version=1).with_for_update()
    )


def _newest(session: Session, *, kind: str, key: str) -> DocumentVersion | None:
    return session.scalar(
        select(DocumentVersion)
        .filter_by(kind=kind, key=key)
        .order_by(DocumentVersion.version.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def _locked(session: Session, *, kind: str, key: str, version: int) -> DocumentVersion:
    _lock(session, kind=kind, key=key)
    row = session.scalar(
        select(DocumentVersion)
        .filter_by(kind=kind, key=key, version=version)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise DocumentNotFound(f"no version {version} of {kind} {key}")
    return row


def _add(
    session: Session,
    kind: str,
    key: str,
    version: int,
    body: str,
    *,
    author: str,
    now: datetime,
    note: str,
) -> DocumentVersion:
    row = DocumentVersion(
        kind=kind,
        key=key,
        version=version,
        body=body,
        body_hash=sha256_of(json.loads(body)),
        state=DocumentState.DRAFT,
        author=author,
        note=note,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def _note(
    session: Session,
    row: DocumentVersion,
    what: str,
    *,
    by: str,
    now: datetime,
    **details: object,
) -> None:
    append_audit(
        session,
        actor=by,
        action=f"desk.document.{what}",
        subject=f"{row.kind}:{row.key}:{row.version}",
        details=details,
        now=now,
    )
