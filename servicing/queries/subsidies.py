"""What merchants owe of their subsidies: by merchant and by loan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, case, cast, func, select
from sqlalchemy.orm import Session

from servicing.tables import Instalment, Loan

_MOST_MERCHANTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsidyView:
    """What a loan's merchant pays in the borrower's place, fen.

    Attributes:
        agreed_fen: By the plan as it stands, if the borrower goes on as planned.
        earned_fen: What of it is recognised by now.
        paid_fen: What the merchant paid, less what went back.
    """

    loan_id: int
    loan_no: str
    customer_id: int
    merchant_name: str
    merchandise: str
    disbursed_on: date
    agreed_fen: int
    earned_fen: int
    paid_fen: int

    @property
    def open_fen(self) -> int:
        """What the merchant owes now; below 0, what it has to get back."""
        return self.earned_fen - self.paid_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantSubsidy:
    """What a merchant owes over all its loans, fen.

    Attributes:
        owed_fen: Recognised and not paid.
        to_give_back_fen: Paid too much of purchases that were undone.
        to_come_fen: Not recognised yet.
    """

    merchant_name: str
    loans: int
    owed_fen: int
    to_give_back_fen: int
    to_come_fen: int


def subsidy_of(session: Session, *, loan_id: int) -> SubsidyView | None:
    """Return a loan's subsidy; None if the borrower pays for all."""
    row = session.execute(_views().where(Loan.id == loan_id)).one_or_none()
    return None if row is None else _view(row)


def subsidies_of(session: Session, merchant_name: str) -> Sequence[SubsidyView]:
    """List the loans of a merchant with something open, the oldest first."""
    rows = session.execute(
        _views()
        .where(Loan.merchant_name == merchant_name)
        .having(_sum(Instalment.earned_subsidy_fen) != _sum(Instalment.paid_subsidy_fen))
        .order_by(Loan.disbursed_on, Loan.id)
    )
    return tuple(_view(row) for row in rows)


def merchant_subsidies(session: Session) -> Sequence[MerchantSubsidy]:
    """List the merchants that subsidise, those that owe most first."""
    views = _views().subquery()
    open_fen = views.c.earned_fen - views.c.paid_fen
    owed, back = func.sum(_at_least_0(open_fen)), func.sum(_at_least_0(-open_fen))
    rows = session.execute(
        select(
            views.c.merchant_name,
            func.count(),
            owed,
            back,
            func.sum(views.c.agreed_fen - views.c.earned_fen),
        )
        .group_by(views.c.merchant_name)
        .order_by(owed.desc(), views.c.merchant_name)
        .limit(_MOST_MERCHANTS)
    )
    return tuple(
        MerchantSubsidy(
            merchant_name=name,
            loans=count,
            owed_fen=int(owed_fen),
            to_give_back_fen=int(back_fen),
            to_come_fen=int(to_come_fen),
        )
        for name, count, owed_fen, back_fen, to_come_fen in rows
    )


def _views() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Loan.id.label("loan_id"),
            Loan.loan_no,
            Loan.customer_id,
            Loan.merchant_name,
            Loan.merchandise,
            Loan.disbursed_on,
            _sum(Instalment.subsidy_fen).label("agreed_fen"),
            _sum(Instalment.earned_subsidy_fen).label("earned_fen"),
            _sum(Instalment.paid_subsidy_fen).label("paid_fen"),
        )
        .join(Instalment, Instalment.loan_id == Loan.id)
        .where(Loan.is_subsidised)
        .group_by(
            Loan.id,
            Loan.loan_no,
            Loan.customer_id,
            Loan.merchant_name,
            Loan.merchandise,
            Loan.disbursed_on,
        )
    )


def _sum(column: Any) -> ColumnElement[int]:
    return cast(func.sum(column), BigInteger)


def _at_least_0(fen: ColumnElement[int]) -> ColumnElement[int]:
    return case((fen > 0, fen), else_=0)


def _view(row: Row[*tuple[Any, ...]]) -> SubsidyView:
    return SubsidyView(**row._asdict())
