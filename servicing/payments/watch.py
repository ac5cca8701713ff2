"""Calls staff when the platform tells of money what our book cannot hold.

An alert is raised once for an order or refund, in a transaction of its own where the news itself
was refused and rolled back. It settles nothing and asks nobody.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.runtime import Runtime
from servicing.operations import raise_alert
from servicing.payments.settlement import PaymentMismatch
from servicing.payments.tables import PaymentOrder, Refund


def alert_mismatch(runtime: Runtime, mismatch: PaymentMismatch, *, now: datetime) -> None:
    """Say that a fact about an order names another amount, merchant or transaction."""
    told = {"wrong": list(mismatch.wrong), "told_fen": mismatch.told_fen}
    with runtime.database.write() as session:
        _alert(session, mismatch.out_trade_no, kind="payment-mismatch", told=told, now=now)


def alert_refunded_elsewhere(session: Session, *, out_trade_no: str, now: datetime) -> None:
    """Say that an order's money was given back in the merchant's console, past our book."""
    _alert(session, out_trade_no, kind="payment-refunded-elsewhere", told={}, now=now)


def alert_unknown_refund(runtime: Runtime, *, out_refund_no: str, now: datetime) -> None:
    """Say that a refund was made which is not in our book."""
    with runtime.database.write() as session:
        raise_alert(
            session,
            key=f"refund-unknown/{out_refund_no}",
            kind="refund-unknown",
            severity="high",
            customer_id=None,
            details={"out_refund_no": out_refund_no},
            now=now,
        )


def alert_refund(
    session: Session,
    refund: Refund,
    customer_id: int | None,
    loan_id: int | None,
    why: str,
    *,
    now: datetime,
) -> None:
    """Say that a refund needs a person, and why."""
    raise_alert(
        session,
        key=f"refund/{refund.out_refund_no}/{why}",
        kind="refund-failed",
        severity="high",
        customer_id=customer_id,
        loan_id=loan_id,
        details={
            "out_refund_no": refund.out_refund_no,
            "amount_fen": refund.amount_fen,
            "why": why,
            "last_code": refund.last_code,
        },
        now=now,
    )


def _alert(
    session: Session, out_trade_no: str, *, kind: str, told: Mapping[str, object], now: datetime
) -> None:
    order = session.scalars(
        select(PaymentOrder).where(PaymentOrder.out_trade_no == out_trade_no)
    ).one()
    raise_alert(
        session,
        key=f"{kind}/{out_trade_no}",
        kind=kind,
        severity="high",
        customer_id=order.customer_id,
        loan_id=order.loan_id,
        details={"out_trade_no": out_trade_no, "amount_fen": order.amount_fen, **told},
        now=now,
    )
