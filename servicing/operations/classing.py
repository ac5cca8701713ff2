"""Marks that class a loan worse than its days do: a restructuring, or a person's judgement.

A mark never makes a class better. Who may judge is decided where the request comes in.
"""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import Conflict, Invalid, NotFound
from servicing import lateness
from servicing.operations.ageing import catch_up
from servicing.operations.posting import lock_loan
from servicing.operations.projection import name_lateness
from servicing.queries.history import find_loan
from servicing.queries.lateness import floors_of
from servicing.tables import ClassMark, Loan


class ClassRefused(Invalid):
    """No such class to go down to, or no end to it."""

    code = "class-refused"
    message_zh = "请选择低于正常的分类，并填写晚于今天的截止日"


class LoanNotClassed(Conflict):
    """A loan that is settled has no class to change."""

    code = "loan-not-classed"
    message_zh = "该笔分期已结清，无需调整分类"


class MarkNotFound(NotFound):
    """There is no such mark that a person made, or it was taken back."""

    code = "class-mark-not-found"
    message_zh = "没有找到该分类调整，或已撤销"


def require_downgradable(
    session: Session, *, loan_id: int, at_least: str, until_on: date, on: date
) -> None:
    """Refuse what would be no downgrade.

    Raises:
        ClassRefused: It is not one of the lower classes, or ends before it begins.
        LoanNotClassed: The loan is settled.
        LoanNotFound: There is none.
    """
    if at_least not in lateness.CLASSES[1:] or until_on <= on:
        raise ClassRefused(f"{at_least} until {until_on}")
    _require_open(find_loan(session, loan_id=loan_id))


def downgrade(
    session: Session,
    *,
    loan_id: int,
    at_least: str,
    until_on: date,
    reason: str,
    by: str,
    on: date,
    now: datetime,
) -> int:
    """Class a loan no better than so until a day, by a person's judgement; returns the mark's id.

    Raises what `require_downgradable` does.
    """
    require_downgradable(session, loan_id=loan_id, at_least=at_least, until_on=until_on, on=on)
    mark = ClassMark(
        loan_id=loan_id,
        kind=lateness.STAFF,
        at_least=at_least,
        from_on=on,
        until_on=until_on,
        reason=reason,
        marked_by=by,
        marked_at=now,
    )
    return _mark(session, mark, on, now)


def mark_restructured(
    session: Session, *, loan_id: int, event_seq: int, by: str, on: date, now: datetime
) -> None:
    """Note that an event restructured a loan: at least 关注 while it is observed; safe to repeat.

    Raises:
        LoanNotFound: There is none.
    """
    if _restructuring(session, loan_id, event_seq) is not None:
        return
    mark = ClassMark(
        loan_id=loan_id,
        kind=lateness.RESTRUCTURED,
        at_least=lateness.rules_on(on).restructured_at_least,
        from_on=on,
        until_on=lateness.observed_until(on),
        reason="",
        event_seq=event_seq,
        marked_by=by,
        marked_at=now,
    )
    _mark(session, mark, on, now)


def end_restructuring(
    session: Session, *, loan_id: int, event_seq: int, by: str, on: date, now: datetime
) -> None:
    """Observe a loan no more whose restructuring was taken back; does nothing where none was."""
    mark = _restructuring(session, loan_id, event_seq)
    if mark is not None and mark.ended_at is None:
        _end(session, mark, by, on, now)


def end_downgrade(session: Session, *, mark_id: int, by: str, on: date, now: datetime) -> int:
    """Take back what a person judged; returns the loan's id.

    Raises:
        MarkNotFound: There is no such mark that counts, or nobody of the staff made it.
    """
    mark = session.scalar(
        select(ClassMark).where(
            ClassMark.id == mark_id,
            ClassMark.kind == lateness.STAFF,
            ClassMark.ended_at.is_(None),
        )
    )
    if mark is None:
        raise MarkNotFound(f"no mark {mark_id}")
    _end(session, mark, by, on, now)
    return mark.loan_id


def _restructuring(session: Session, loan_id: int, event_seq: int) -> ClassMark | None:
    return session.scalar(
        select(ClassMark).where(ClassMark.loan_id == loan_id, ClassMark.event_seq == event_seq)
    )


def _end(session: Session, mark: ClassMark, by: str, on: date, now: datetime) -> None:
    catch_up(session, loan_id=mark.loan_id, now=now)
    loan = lock_loan(session, loan_id=mark.loan_id)
    mark.ended_at, mark.ended_by = now, by
    _reclass(session, loan, on, now)


def _mark(session: Session, mark: ClassMark, on: date, now: datetime) -> int:
    catch_up(session, loan_id=mark.loan_id, now=now)
    loan = lock_loan(session, loan_id=mark.loan_id)
    _require_open(loan)
    session.add(mark)
    _reclass(session, loan, on, now)
    return mark.id


def _require_open(loan: Loan) -> None:
    if loan.state != "active":
        raise LoanNotClassed(f"loan {loan.id} is {loan.state}")


def _reclass(session: Session, loan: Loan, on: date, now: datetime) -> None:
    session.flush()
    floors = floors_of(session, loan_ids=[loan.id]).get(loan.id, ())
    is_late = loan.late_since is not None
    loan.class_floor = lateness.floor_on(floors, on, is_late=is_late)
    name_lateness(session, loan, loan.late_since, on=on, now=now)
