"""The facts that a judgement starts from. What they mean is risk's business.

A fact that is not known is an absent key or None, never a guess; sex, birth and whatever else an
id number tells are left out on purpose.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from servicing import model
from servicing.outcomes import months_on_book
from servicing.ports import AccountFacts
from servicing.tables import Application, CreditLine, Customer, Instalment, Loan

_YEAR_DAYS = 365
_RECENT_DAYS = 30


def application_snapshot(session: Session, *, application_id: int, on: date) -> dict[str, Any]:
    """Collect what is known about an application and its customer, JSON-able."""
    application = session.get_one(Application, application_id)
    customer = session.get_one(Customer, application.customer_id)
    since = start_of_day(on - timedelta(days=_RECENT_DAYS))
    recent = session.scalar(
        select(func.count())
        .select_from(Application)
        .where(
            Application.customer_id == customer.id,
            Application.submitted_at >= since,
        )
    )
    (facts,) = account_facts(session, customer_ids=[customer.id], on=on)
    snapshot = {
        "amount_fen": application.amount_fen,
        "terms": application.terms,
        "channel": application.channel,
        "merchant_name": application.merchant_name,
        "merchandise": application.merchandise,
        "is_student": customer.is_student,
        "applications_30d": recent,
        "days_past_due": facts.days_past_due,
        "worst_dpd_12m": facts.worst_dpd_12m,
        "months_on_book": facts.months_on_book,
        "on_time_ratio": _text(facts.on_time_ratio),
        "utilisation": _text(facts.utilisation),
        **_line_facts(session, application),
        "device_others_30d": _others(session, application, "device", since),
        "wifi_others_30d": _others(session, application, "wifi", since),
        "attributes": dict(application.attributes),
    }
    return {name: value for name, value in snapshot.items() if value is not None}


def _line_facts(session: Session, application: Application) -> dict[str, int]:
    """Return what is granted and taken; nothing where the line is frozen or closed."""
    line = session.scalar(
        select(CreditLine).where(
            CreditLine.customer_id == application.customer_id,
            CreditLine.funder == application.funder,
        )
    )
    if line is None:
        return {"line_granted_fen": 0, "line_used_fen": 0}
    if line.state != "active":
        return {}
    return {
        "line_granted_fen": line.granted_fen,
        "line_used_fen": line.held_fen + line.utilised_fen,
    }


def _others(session: Session, application: Application, name: str, since: datetime) -> int | None:
    """Count the other customers who applied lately with the same device or wifi."""
    value = application.attributes.get(name)
    if not isinstance(value, str) or not value:
        return None
    return session.scalar(
        select(func.count(Application.customer_id.distinct())).where(
            Application.submitted_at >= since,
            Application.customer_id != application.customer_id,
            Application.attributes[name].as_string() == value,
        )
    )


def account_facts(
    session: Session, *, customer_ids: Sequence[int], on: date
) -> tuple[AccountFacts, ...]:
    """Return how each customer pays as of a business date, in the order asked for."""
    due: dict[int, list[Instalment]] = defaultdict(list)
    rows = session.execute(
        select(Loan.customer_id, Instalment)
        .join(Instalment, Instalment.loan_id == Loan.id)
        .where(Loan.customer_id.in_(customer_ids), Instalment.due_on <= on)
    )
    for customer_id, row in rows:
        due[customer_id].append(row)
    since = _first_disbursed(session, customer_ids)
    drawn = _utilisation(session, customer_ids)
    return tuple(
        AccountFacts(
            customer_id=customer_id,
            days_past_due=_late_now(due[customer_id], on),
            worst_dpd_12m=_worst(due[customer_id], on),
            on_time_ratio=_on_time(due[customer_id], on),
            utilisation=drawn.get(customer_id),
            months_on_book=months_on_book(since[customer_id], on) if customer_id in since else 0,
        )
        for customer_id in customer_ids
    )


def _late_now(rows: Sequence[Instalment], on: date) -> int:
    return max((_late(row, on) for row in rows if row.settled_on is None), default=0)


def _worst(rows: Sequence[Instalment], on: date) -> int:
    year_ago = on - timedelta(days=_YEAR_DAYS)
    recent = (row for row in rows if (row.settled_on or on) > year_ago)
    return max((_late(row, on) for row in recent), default=0)


def _on_time(rows: Sequence[Instalment], on: date) -> Decimal | None:
    decided = [row for row in rows if row.settled_on is not None or row.due_on < on]
    if not decided:
        return None
    return Decimal(sum(_late(row, on) == 0 for row in decided)) / len(decided)


def _late(row: Instalment, on: date) -> int:
    return model.days_past_due(row.due_on, min(row.settled_on or on, on))


def _first_disbursed(session: Session, customer_ids: Sequence[int]) -> dict[int, date]:
    rows = session.execute(
        select(Loan.customer_id, func.min(Loan.disbursed_on))
        .where(Loan.customer_id.in_(customer_ids))
        .group_by(Loan.customer_id)
    )
    return {customer_id: first for customer_id, first in rows if first is not None}


def _utilisation(session: Session, customer_ids: Sequence[int]) -> dict[int, Decimal]:
    rows = session.execute(
        select(
            CreditLine.customer_id,
            func.sum(CreditLine.utilised_fen),
            func.sum(CreditLine.granted_fen),
        )
        .where(CreditLine.customer_id.in_(customer_ids))
        .group_by(CreditLine.customer_id)
    )
    return {
        customer_id: Decimal(int(utilised)) / int(granted)
        for customer_id, utilised, granted in rows
        if granted
    }


def _text(ratio: Decimal | None) -> str | None:
    return None if ratio is None else f"{ratio:.4f}"
