"""The whole book at a glance: who is late, and with how much."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Date,
    Integer,
    Row,
    Select,
    Subquery,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from kernel.errors import Invalid
from servicing.lateness import rules_on
from servicing.tables import Instalment, Loan

_LATE_FROM_DAYS = 31
_BATCH = 1_000


class BucketUnknown(Invalid):
    """There is no such bucket."""

    code = "bucket-unknown"
    message_zh = "没有这个逾期阶段"


class days_between(FunctionElement[int]):  # noqa: N801 -- reads like the SQL function that it is
    """Whole days from the second date to the first; the two databases say it differently."""

    type = Integer()
    inherit_cache = True


@compiles(days_between, "postgresql")
def _on_postgresql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({later} - {earlier})"


@compiles(days_between, "sqlite")
def _on_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST(julianday({later}) - julianday({earlier}) AS INTEGER)"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketLine:
    """One bucket of the board, from how many days past due on; amounts in fen."""

    bucket: str
    from_days: int
    loans: int
    customers: int
    overdue_fen: int
    principal_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueBoard:
    """The active book by lateness.

    Attributes:
        buckets: M0 to M6+, empty ones too.
        late_share: Share of active loans that are more than 30 days late, 0 for an empty book.
    """

    on: date
    active_loans: int
    overdue_loans: int
    overdue_fen: int
    principal_fen: int
    late_share: Decimal
    buckets: tuple[BucketLine, ...]

    @property
    def late_principal_share(self) -> Decimal:
        """Share of the open principal that is more than 30 days late, 0 for an empty book."""
        late = sum(line.principal_fen for line in self.buckets if line.from_days >= _LATE_FROM_DAYS)
        return Decimal(late) / self.principal_fen if self.principal_fen else Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueLoan:
    """One late loan; amounts in fen.

    Attributes:
        is_overdue: Its days of grace are over: it is called 逾期, and reported to the bureau.
    """

    loan_id: int
    loan_no: str
    customer_id: int
    merchandise: str
    days_past_due: int
    is_overdue: bool
    bucket: str
    five_class: str
    ecl_stage: int
    overdue_fen: int
    principal_fen: int


def overdue_board(session: Session, *, on: date) -> OverdueBoard:
    """Return the active book by lateness, counted now rather than at the last close of day."""
    late = _late_loans(on)
    days = func.coalesce(late.c.days, 0)
    buckets = list(enumerate(rules_on(on).buckets))
    band = case(*((days >= first, n) for n, (_, first) in reversed(buckets)))
    rows = session.execute(
        select(
            band,
            func.count(),
            func.count(Loan.customer_id.distinct()),
            func.sum(func.coalesce(late.c.overdue_fen, 0)),
            func.sum(func.coalesce(late.c.principal_fen, 0)),
        )
        .join(late, late.c.loan_id == Loan.id)
        .where(Loan.state == "active")
        .group_by(band)
    ).all()
    found = {int(row[0]): [int(value) for value in row[1:]] for row in rows}
    lines = tuple(
        _bucket_line(name, first, found.get(n, [0, 0, 0, 0])) for n, (name, first) in buckets
    )
    active = sum(line.loans for line in lines)
    late_loans = sum(line.loans for line in lines if line.from_days >= _LATE_FROM_DAYS)
    return OverdueBoard(
        on=on,
        active_loans=active,
        overdue_loans=active - lines[0].loans,
        overdue_fen=sum(line.overdue_fen for line in lines),
        principal_fen=sum(line.principal_fen for line in lines),
        late_share=Decimal(late_loans) / active if active else Decimal(0),
        buckets=lines,
    )


def overdue_loans(
    session: Session, *, on: date, offset: int, limit: int, bucket: str | None = None
) -> tuple[OverdueLoan, ...]:
    """List late loans, the latest and then the largest first.

    Args:
        session: A read session.
        on: The business date.
        offset: How many to skip.
        limit: How many to return.
        bucket: Only those of this bucket; None for all.

    Raises:
        BucketUnknown: There is no such bucket.
    """
    rows = session.execute(_overdue_select(on, bucket).offset(offset).limit(limit)).all()
    return tuple(_overdue_loan(row, on) for row in rows)


def each_overdue_loan(
    session: Session, *, on: date, bucket: str | None = None
) -> Iterator[OverdueLoan]:
    """Go through all late loans in the order of `overdue_loans`, holding a thousand at a time.

    Raises:
        BucketUnknown: There is no such bucket.
    """
    chosen = _overdue_select(on, bucket).execution_options(yield_per=_BATCH)
    return (_overdue_loan(row, on) for row in session.execute(chosen))


def _overdue_select(on: date, bucket: str | None) -> Select[*tuple[Any, ...]]:
    late = _late_loans(on)
    query = select(Loan, late).join(late, late.c.loan_id == Loan.id).where(late.c.days > 0)
    if bucket is not None:
        first, last = _bounds(bucket, on)
        query = query.where(late.c.days >= first)
        query = query if last is None else query.where(late.c.days <= last)
    return query.order_by(late.c.days.desc(), late.c.overdue_fen.desc(), Loan.id)


def _overdue_loan(row: Row[*tuple[Any, ...]], on: date) -> OverdueLoan:
    bucket, five_class, ecl_stage = rules_on(on).names(row.days, row.Loan.class_floor)
    return OverdueLoan(
        loan_id=row.Loan.id,
        loan_no=row.Loan.loan_no,
        customer_id=row.Loan.customer_id,
        merchandise=row.Loan.merchandise,
        days_past_due=row.days,
        is_overdue=row.days > row.Loan.grace_days,
        bucket=bucket,
        five_class=five_class,
        ecl_stage=ecl_stage,
        overdue_fen=int(row.overdue_fen),
        principal_fen=int(row.principal_fen),
    )


def _late_loans(on: date) -> Subquery:
    """Per loan with open instalments: days past due, overdue amount, open principal."""
    first_late = func.min(case((Instalment.due_on < on, Instalment.due_on)))
    days = func.coalesce(days_between(literal(on, Date), first_late), 0)
    return (
        select(
            Instalment.loan_id.label("loan_id"),
            days.label("days"),
            func.sum(case((Instalment.due_on < on, Instalment.open_fen), else_=0)).label(
                "overdue_fen"
            ),
            func.sum(Instalment.open_principal_fen).label("principal_fen"),
        )
        .where(Instalment.settled_on.is_(None))
        .group_by(Instalment.loan_id)
        .subquery()
    )


def _bounds(bucket: str, on: date) -> tuple[int, int | None]:
    try:
        return rules_on(on).bounds(bucket)
    except KeyError:
        raise BucketUnknown(f"no bucket {bucket!r}") from None


def _bucket_line(name: str, from_days: int, values: list[int]) -> BucketLine:
    loans, customers, overdue_fen, principal_fen = values
    return BucketLine(
        bucket=name,
        from_days=from_days,
        loans=loans,
        customers=customers,
        overdue_fen=overdue_fen,
        principal_fen=principal_fen,
    )
