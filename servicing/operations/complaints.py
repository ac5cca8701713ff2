"""Complaints: opened, answered in time, closed; until then, what is disputed is not collected."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.errors import Conflict, NotFound
from kernel.ids import new_number
from servicing.model import COMPLAINT_ANSWER, COMPLAINT_TEXT
from servicing.operations import holds
from servicing.operations.customers import lock_customer
from servicing.tables import Complaint, Hold

# Fifteen days for an ordinary complaint, as banks and consumer lenders commonly promise. How the
# supervisor's rule reads has to be checked by counsel before it is called a legal term.
ANSWER_WITHIN = timedelta(days=15)

# Signs of all that is said about one complaint; who says more is asked to talk to a person.
_LONGEST_TEXT = 8_000


class ComplaintNotFound(NotFound):
    """There is no such complaint."""

    code = "complaint-not-found"
    message_zh = "没有找到该投诉"


class ComplaintStateRefused(Conflict):
    """A complaint in this state cannot be answered or closed."""

    code = "complaint-state-refused"
    message_zh = "投诉当前状态不支持此操作"


def open_complaint(
    session: Session,
    cipher: FieldCipher,
    *,
    customer_id: int,
    loan_id: int | None,
    category: str,
    channel: str,
    text: str,
    opened_by: str,
    now: datetime,
) -> int:
    """Take a complaint and leave the customer alone about what it disputes; returns its id.

    While one about the same loan, or about everything, is open, what is said is added to that one:
    two complaints in one instant become one with both their words.

    Args:
        session: A write session.
        cipher: Encrypts the text.
        customer_id: Who complains.
        loan_id: The disputed loan; None disputes everything.
        category: What it is about, as a code.
        channel: How it came.
        text: What the customer said.
        opened_by: Who took it.
        now: The instant.
    """
    lock_customer(session, customer_id=customer_id)
    known = _open_one(session, customer_id, loan_id)
    if known is not None:
        _add_words(cipher, known, text)
        return known.id
    complaint = Complaint(
        complaint_no=new_number("TS", on=business_date(now)),
        customer_id=customer_id,
        loan_id=loan_id,
        category=category,
        channel=channel,
        text_enc=cipher.encrypt(text, context=COMPLAINT_TEXT),
        state="open",
        opened_at=now,
        answer_due_at=now + ANSWER_WITHIN,
    )
    session.add(complaint)
    session.flush()
    holds.place_hold(
        session,
        customer_id=customer_id,
        reason="dispute",
        scope=holds.ALL,
        until=None,
        opened_by=opened_by,
        now=now,
        loan_id=loan_id,
        complaint_id=complaint.id,
    )
    return complaint.id


def _open_one(session: Session, customer_id: int, loan_id: int | None) -> Complaint | None:
    return session.scalar(
        select(Complaint).where(
            Complaint.customer_id == customer_id,
            Complaint.loan_id.is_not_distinct_from(loan_id),
            Complaint.state == "open",
        )
    )


def _add_words(cipher: FieldCipher, complaint: Complaint, text: str) -> None:
    said = cipher.decrypt(complaint.text_enc, context=COMPLAINT_TEXT)
    if text in said.split("\n") or len(said) + len(text) > _LONGEST_TEXT:
        return
    complaint.text_enc = cipher.encrypt(f"{said}\n{text}", context=COMPLAINT_TEXT)


def answer_complaint(
    session: Session,
    cipher: FieldCipher,
    *,
    complaint_id: int,
    text: str,
    answered_by: str,
    now: datetime,
) -> None:
    """Answer an open complaint; the hold stays until it is closed.

    Raises:
        ComplaintNotFound: There is none.
        ComplaintStateRefused: It is not open.
    """
    complaint = _lock(session, complaint_id)
    if complaint.state != "open":
        raise ComplaintStateRefused(f"complaint {complaint_id} is {complaint.state}")
    complaint.state, complaint.answer_enc = (
        "answered",
        cipher.encrypt(text, context=COMPLAINT_ANSWER),
    )
    complaint.answered_at, complaint.answered_by = now, answered_by


def close_complaint(session: Session, *, complaint_id: int, closed_by: str, now: datetime) -> None:
    """Close an answered complaint and lift its holds.

    Raises:
        ComplaintNotFound: There is none.
        ComplaintStateRefused: It was not answered.
    """
    complaint = _lock(session, complaint_id)
    if complaint.state != "answered":
        raise ComplaintStateRefused(f"complaint {complaint_id} is {complaint.state}")
    complaint.state, complaint.closed_at, complaint.closed_by = "closed", now, closed_by
    for hold_id in session.scalars(select(Hold.id).where(Hold.complaint_id == complaint_id)):
        reason = "complaint closed"
        holds.lift_hold(session, hold_id=hold_id, lifted_by=closed_by, reason=reason, now=now)


def _lock(session: Session, complaint_id: int) -> Complaint:
    complaint = session.scalar(
        select(Complaint).where(Complaint.id == complaint_id).with_for_update()
    )
    if complaint is None:
        raise ComplaintNotFound(f"no complaint {complaint_id}")
    return complaint
