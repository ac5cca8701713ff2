"""Rows of the workplace: staff, the audit chain, approvals, document versions.

Triggers keep the audit chain append-only and a document's body unchanged, whoever connects. They
come with `metadata.create_all`; a migration runs the statements of kernel.append_only itself,
again after a batch that rebuilds such a table on SQLite. Nothing here decides anything.
"""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from desk.model import ApprovalState
from kernel.append_only import keep_append_only
from kernel.database import Base, BigId

HEAD_ROW: Final = 1


class Staff(Base):
    """A person who works here; never deleted, only disabled."""

    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    login: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    password_hash: Mapped[str] = mapped_column(String(255))
    roles: Mapped[list[Any]]
    is_active: Mapped[bool]
    must_change_password: Mapped[bool]
    session_version: Mapped[int]
    failures: Mapped[int]
    locked_until: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class AuditHead(Base):
    """The end of the audit chain; its one row is the lock that puts appends in order."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))


class AuditEntry(Base):
    """One act; `details` is canonical JSON text, so that what is hashed is what is stored."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "actor", "id"),
        Index(None, "action", "id"),
        Index(None, "subject", "id"),
        Index(None, "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(120))
    details: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


_IS_WAITING = text(f"state = '{ApprovalState.WAITING}'")


class Approval(Base):
    """One proposal and what became of it; one may wait per action and subject."""

    __tablename__ = "approval"
    __table_args__ = (
        Index(
            "uq_approval_waiting",
            "action",
            "subject",
            unique=True,
            postgresql_where=_IS_WAITING,
            sqlite_where=_IS_WAITING,
        ),
        Index(None, "state", "expires_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    action: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(120))
    payload: Mapped[dict[str, Any]]
    diff: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    proposed_by: Mapped[str] = mapped_column(String(64))
    proposed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(String(64))
    decided_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None]
    undone_by: Mapped[str | None] = mapped_column(String(64))
    undone_at: Mapped[datetime | None]
    undo_reason: Mapped[str] = mapped_column(Text)


class DocumentVersion(Base):
    """One version of a document; the body is canonical JSON text and never changes."""

    __tablename__ = "document_version"
    __table_args__ = (
        UniqueConstraint("kind", "key", "version"),
        Index(None, "kind", "key", "effective_on"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    version: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    body_hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    author: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text)
    restores: Mapped[int | None]
    created_at: Mapped[datetime]
    tested_by: Mapped[str | None] = mapped_column(String(64))
    tested_at: Mapped[datetime | None]
    test_report: Mapped[dict[str, Any] | None]
    approved_by: Mapped[str | None] = mapped_column(String(64))
    approved_at: Mapped[datetime | None]
    effective_on: Mapped[date | None]


# --- append-only, by the database itself ---

# What may still change of a document version is its standing, never what it says.
DOCUMENT_FIXED: Final = ("kind", "key", "version", "body", "body_hash", "author", "created_at")

keep_append_only(AuditEntry)
keep_append_only(DocumentVersion, fixed=DOCUMENT_FIXED)
