"""What is on record about a customer: entries, lines, applications, holds and more."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.crypto import FieldCipher
from servicing import model
from servicing.chart import BY_CODE
from servicing.model import COMPLAINT_ANSWER, COMPLAINT_TEXT
from servicing.tables import (
    Application,
    Complaint,
    Consent,
    CreditLine,
    Hold,
    LedgerEntry,
    LedgerPosting,
    LineFreeze,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingView:
    """One leg of an entry; debits positive, in fen."""

    account: str
    account_name: str
    instalment_n: int | None
    amount_fen: int
    payee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One ledger entry with its legs."""

    id: int
    kind: str
    key: str
    effective_on: date
    booked_on: date
    adjusts: str | None
    recorded_at: datetime
    postings: tuple[PostingView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFreezeView:
    """Days on which nobody draws on a line, the last one included; None if no end is known."""

    id: int
    first_on: date
    last_on: date | None
    reason: str
    opened_by: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """One credit line; amounts in fen.

    Attributes:
        frozen_reason: That of the oldest freeze in force.
        freezes: Those that nobody lifted, the oldest first; also such as have ended by themselves.
    """

    id: int
    funder: str
    granted_fen: int
    held_fen: int
    utilised_fen: int
    available_fen: int
    state: str
    frozen_reason: str | None
    frozen_at: datetime | None
    grade: str | None
    opened_at: datetime
    expires_on: date | None
    freezes: tuple[LineFreezeView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationView:
    """One application."""

    id: int
    application_no: str
    merchandise: str
    merchant_name: str
    amount_fen: int
    terms: int
    state: str
    decision_no: str | None
    reasons: tuple[str, ...]
    strategy_version: str | None
    submitted_at: datetime
    decided_at: datetime | None
    decided_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """One hold; `is_in_force` as of the instant asked for, `complaint_id` if one asked for it."""

    id: int
    reason: str
    scope: str
    loan_id: int | None
    complaint_id: int | None
    opened_at: datetime
    opened_by: str
    until: datetime | None
    lifted_at: datetime | None
    lifted_by: str | None
    lift_reason: str | None
    is_in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintView:
    """One complaint in clear."""

    id: int
    complaint_no: str
    loan_id: int | None
    category: str
    channel: str
    text: str
    answer: str | None
    state: str
    opened_at: datetime
    answer_due_at: datetime
    answered_at: datetime | None
    answered_by: str | None
    closed_at: datetime | None
    closed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentView:
    """The last word of a customer on one purpose."""

    purpose: str
    channel: str
    text_hash: str
    at: datetime
    is_withdrawn: bool


def entries_of(session: Session, *, loan_id: int) -> tuple[EntryView, ...]:
    """List a loan's ledger entries in the order of their business dates."""
    entries = session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.loan_id == loan_id)
        .order_by(LedgerEntry.effective_on, LedgerEntry.id)
    ).all()
    legs = _postings(session, [entry.id for entry in entries])
    return tuple(
        EntryView(
            id=entry.id,
            kind=entry.kind,
            key=entry.key,
            effective_on=entry.effective_on,
            booked_on=entry.booked_on,
            adjusts=entry.adjusts,
            recorded_at=entry.recorded_at,
            postings=tuple(legs[entry.id]),
        )
        for entry in entries
    )


def _postings(session: Session, entry_ids: Sequence[int]) -> dict[int, list[PostingView]]:
    legs: dict[int, list[PostingView]] = defaultdict(list)
    rows = session.scalars(
        select(LedgerPosting)
        .where(LedgerPosting.entry_id.in_(entry_ids))
        .order_by(LedgerPosting.id)
    )
    for row in rows:
        legs[row.entry_id].append(
            PostingView(
                account=row.account,
                account_name=BY_CODE[row.account].name_zh,
                instalment_n=row.instalment_n,
                amount_fen=row.amount_fen,
                payee=row.payee or "",
            )
        )
    return legs


def lines_of(session: Session, *, customer_id: int) -> tuple[LineView, ...]:
    """List a customer's credit lines."""
    rows = session.scalars(
        select(CreditLine).where(CreditLine.customer_id == customer_id).order_by(CreditLine.id)
    )
    return tuple(
        LineView(
            id=row.id,
            funder=row.funder,
            granted_fen=row.granted_fen,
            held_fen=row.held_fen,
            utilised_fen=row.utilised_fen,
            available_fen=model.available_fen(
                state=row.state,
                granted_fen=row.granted_fen,
                held_fen=row.held_fen,
                utilised_fen=row.utilised_fen,
            ),
            state=row.state,
            frozen_reason=row.frozen_reason,
            frozen_at=row.frozen_at,
            grade=row.grade,
            opened_at=row.opened_at,
            expires_on=row.expires_on,
            freezes=_freezes(session, row.id),
        )
        for row in rows
    )


def _freezes(session: Session, line_id: int) -> tuple[LineFreezeView, ...]:
    """List the freezes of a line that nobody lifted."""
    rows = session.scalars(
        select(LineFreeze)
        .where(LineFreeze.line_id == line_id, LineFreeze.lifted_at.is_(None))
        .order_by(LineFreeze.id)
    )
    names = LineFreezeView.__slots__
    return tuple(LineFreezeView(**{name: getattr(row, name) for name in names}) for row in rows)


def applications_of(session: Session, *, customer_id: int) -> tuple[ApplicationView, ...]:
    """List a customer's applications, the newest first."""
    rows = session.scalars(
        select(Application)
        .where(Application.customer_id == customer_id)
        .order_by(Application.submitted_at.desc(), Application.id.desc())
    )
    return tuple(
        ApplicationView(
            id=row.id,
            application_no=row.application_no,
            merchandise=row.merchandise,
            merchant_name=row.merchant_name,
            amount_fen=row.amount_fen,
            terms=row.terms,
            state=row.state,
            decision_no=row.decision_no,
            reasons=tuple(row.reasons),
            strategy_version=row.strategy_version,
            submitted_at=row.submitted_at,
            decided_at=row.decided_at,
            decided_by=row.decided_by,
        )
        for row in rows
    )


def holds_of(session: Session, *, customer_id: int, at: datetime) -> tuple[HoldView, ...]:
    """List a customer's holds, the newest first."""
    rows = session.scalars(
        select(Hold).where(Hold.customer_id == customer_id).order_by(Hold.id.desc())
    )
    return tuple(
        HoldView(
            id=row.id,
            reason=row.reason,
            scope=row.scope,
            loan_id=row.loan_id,
            complaint_id=row.complaint_id,
            opened_at=row.opened_at,
            opened_by=row.opened_by,
            until=row.until,
            lifted_at=row.lifted_at,
            lifted_by=row.lifted_by,
            lift_reason=row.lift_reason,
            is_in_force=row.lifted_at is None and (row.until is None or row.until > at),
        )
        for row in rows
    )


def complaints_of(
    session: Session, cipher: FieldCipher, *, customer_id: int
) -> tuple[ComplaintView, ...]:
    """List a customer's complaints in clear, the newest first."""
    rows = session.scalars(
        select(Complaint).where(Complaint.customer_id == customer_id).order_by(Complaint.id.desc())
    )
    return tuple(
        ComplaintView(
            id=row.id,
            complaint_no=row.complaint_no,
            loan_id=row.loan_id,
            category=row.category,
            channel=row.channel,
            text=cipher.decrypt(row.text_enc, context=COMPLAINT_TEXT),
            answer=cipher.decrypt(row.answer_enc, context=COMPLAINT_ANSWER)
            if row.answer_enc
            else None,
            state=row.state,
            opened_at=row.opened_at,
            answer_due_at=row.answer_due_at,
            answered_at=row.answered_at,
            answered_by=row.answered_by,
            closed_at=row.closed_at,
            closed_by=row.closed_by,
        )
        for row in rows
    )


def consents_of(session: Session, *, customer_id: int) -> tuple[ConsentView, ...]:
    """Return a customer's last word on each purpose, by purpose."""
    rows = session.scalars(
        select(Consent).where(Consent.customer_id == customer_id).order_by(Consent.id)
    )
    last = {row.purpose: row for row in rows}
    return tuple(
        ConsentView(
            purpose=purpose,
            channel=row.channel,
            text_hash=row.text_hash,
            at=row.at,
            is_withdrawn=row.is_withdrawal,
        )
        for purpose, row in sorted(last.items())
    )
