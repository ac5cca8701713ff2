"""What a partner may see: the customers whom it brought, and what came through it.

A loan or an application that a customer has otherwise is not the partner's business. Whoever sees
the whole book is said by the scope of a key, at the door.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, SQLColumnExpression, func, select, true
from sqlalchemy.orm import Session

from servicing.model import PARTNER, LoanStatus
from servicing.queries.customers import CustomerNotFound
from servicing.queries.history import LoanNotFound
from servicing.queries.loans import has_status
from servicing.tables import Application, Customer, Loan, PartnerAct, PartnerCustomer

_MOST_ID: Final = 2**53
_NUMBER: Final = re.compile(r"[0-9A-Z]{2,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How far a caller sees."""

    partner: str
    is_whole_book: bool

    @property
    def channel(self) -> str:
        """Through which channel the partner's applications come."""
        return f"{PARTNER}{self.partner}"

    def customers(self, column: SQLColumnExpression[int]) -> ColumnElement[bool]:
        """Say in SQL whether a customer is seen."""
        if self.is_whole_book:
            return true()
        return column.in_(
            select(PartnerCustomer.customer_id).where(PartnerCustomer.partner == self.partner)
        )

    def loans(self) -> ColumnElement[bool]:
        """Say in SQL whether a loan is seen."""
        if self.is_whole_book:
            return true()
        return Loan.application_id.in_(select(Application.id).where(self.applications()))

    def applications(self) -> ColumnElement[bool]:
        """Say in SQL whether an application is seen."""
        return true() if self.is_whole_book else Application.channel == self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A customer under a partner's own reference; None where another sees the whole book."""

    customer_id: int
    reference: str | None
    linked_at: datetime | None


def link_of(session: Session, *, sight: Sight, customer_id: int) -> LinkView:
    """Return under which reference a partner knows a customer.

    Raises:
        CustomerNotFound: There is none, or the partner did not bring them.
    """
    require_customer(session, sight=sight, customer_id=customer_id)
    link = session.get(PartnerCustomer, (sight.partner, customer_id))
    return LinkView(
        customer_id=customer_id,
        reference=link.reference if link else None,
        linked_at=link.linked_at if link else None,
    )


def links(
    session: Session, *, partner: str, reference: str | None, after: int, limit: int
) -> Sequence[LinkView]:
    """List the customers whom a partner brought, by customer id, after one."""
    query = select(PartnerCustomer).where(
        PartnerCustomer.partner == partner, PartnerCustomer.customer_id > after
    )
    if reference is not None:
        query = query.where(PartnerCustomer.reference == reference)
    rows = session.scalars(query.order_by(PartnerCustomer.customer_id).limit(limit))
    return tuple(
        LinkView(customer_id=row.customer_id, reference=row.reference, linked_at=row.linked_at)
        for row in rows
    )


def require_customer(session: Session, *, sight: Sight, customer_id: int) -> None:
    """Refuse to know a customer whom the caller may not see.

    Raises:
        CustomerNotFound: There is none, or the partner did not bring them.
    """
    asked = select(Customer.id).where(Customer.id == customer_id, sight.customers(Customer.id))
    if customer_id >= _MOST_ID or session.scalar(asked) is None:
        raise CustomerNotFound("no such customer")


def seen_loan(session: Session, *, sight: Sight, loan_no: str) -> Loan:
    """Return a loan by its number.

    Raises:
        LoanNotFound: There is none, or it did not come through the partner.
    """
    asked = select(Loan).where(Loan.loan_no == loan_no, sight.loans())
    loan = session.scalar(asked) if _NUMBER.fullmatch(loan_no) else None
    if loan is None:
        raise LoanNotFound("no such loan")
    return loan


def seen_application(session: Session, *, sight: Sight, application_no: str) -> Application | None:
    """Return an application by its number; None if there is none that came through the partner."""
    if not _NUMBER.fullmatch(application_no):
        return None
    return session.scalar(
        select(Application).where(
            Application.application_no == application_no, sight.applications()
        )
    )


def applications(
    session: Session, *, sight: Sight, customer_id: int | None, after: int, limit: int
) -> Sequence[Application]:
    """List the applications that a caller sees, by id, after one."""
    query = select(Application).where(Application.id > after, sight.applications())
    if customer_id is not None:
        query = query.where(Application.customer_id == customer_id)
    return session.scalars(query.order_by(Application.id).limit(limit)).all()


def loans(
    session: Session,
    *,
    sight: Sight,
    after: int,
    limit: int,
    customer_id: int | None = None,
    status: LoanStatus | None = None,
) -> Sequence[Loan]:
    """List the loans that a caller sees, by id, after one."""
    query = select(Loan).where(Loan.id > after, sight.loans())
    if customer_id is not None:
        query = query.where(Loan.customer_id == customer_id)
    if status is not None:
        query = query.where(has_status(status))
    return session.scalars(query.order_by(Loan.id).limit(limit)).all()


def references(session: Session, *, sight: Sight, loan_id: int) -> dict[int, str]:
    """Return the partner's own references of what it let happen to a loan, by event number."""
    rows = session.execute(
        select(PartnerAct.seq, PartnerAct.reference).where(
            PartnerAct.loan_id == loan_id,
            PartnerAct.partner == sight.partner,
            PartnerAct.reference.is_not(None),
        )
    )
    return {row.seq: row.reference for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActView:
    """Something that a partner let happen, with its own reference where money moved."""

    loan_no: str
    customer_id: int
    act: str
    seq: int
    amount_fen: int
    channel: str | None
    reference: str | None
    recorded_at: datetime


def acts_of(session: Session, *, partner: str, offset: int, limit: int) -> tuple[ActView, ...]:
    """List what a partner let happen, the latest first."""
    rows = session.execute(
        select(PartnerAct, Loan.loan_no, Loan.customer_id)
        .join(Loan, Loan.id == PartnerAct.loan_id)
        .where(PartnerAct.partner == partner)
        .order_by(PartnerAct.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return tuple(
        ActView(
            loan_no=loan_no,
            customer_id=customer_id,
            act=act.act,
            seq=act.seq,
            amount_fen=act.amount_fen,
            channel=act.channel,
            reference=act.reference,
            recorded_at=act.recorded_at,
        )
        for act, loan_no, customer_id in rows
    )


def count_acts(session: Session, *, partner: str) -> int:
    """Count what a partner let happen."""
    return (
        session.scalar(
            select(func.count()).select_from(PartnerAct).where(PartnerAct.partner == partner)
        )
        or 0
    )


def customers_by_partner(session: Session) -> dict[str, int]:
    """Count whom each partner brought."""
    rows = session.execute(
        select(PartnerCustomer.partner, func.count()).group_by(PartnerCustomer.partner)
    )
    return {partner: int(count) for partner, count in rows}


def loan_numbers(session: Session, *, loan_ids: Sequence[int]) -> dict[int, str]:
    """Return the numbers under which loans are known outside, by id."""
    rows = session.execute(select(Loan.id, Loan.loan_no).where(Loan.id.in_(loan_ids)))
    return {row.id: row.loan_no for row in rows}
