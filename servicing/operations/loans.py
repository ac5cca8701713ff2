"""Booking: a loan is disbursed in full, on a confirmed cost table, within the cap and the line."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel import idempotency, outbox
from kernel.ids import new_number
from servicing import model
from servicing.chart import FUNDING, PRINCIPAL
from servicing.engine.plan import plan
from servicing.events import LoanBooked
from servicing.model import ApplicationEvent, next_application_state
from servicing.operations.applications import lock_application
from servicing.operations.disclosures import assert_confirmed, cost_table
from servicing.operations.ledger import Posting, post_entry
from servicing.operations.lines import LineNotFound, draw_held, find_line
from servicing.products import STANDARD, agreed_terms
from servicing.queries import LoanNotFound
from servicing.tables import Instalment, Loan


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanTerms:
    """What a loan is for and on which terms; principal in fen, rate a year.

    Attributes:
        line_id: The line it draws on; None for a purchase outside any line.
        application_id: The application that it fulfils, if one.
    """

    customer_id: int
    merchant_name: str
    merchandise: str
    principal_fen: int
    rate_annual: Decimal
    terms: int
    disbursed_on: date
    funder: str = STANDARD.funder
    line_id: int | None = None
    application_id: int | None = None


def book_loan(
    session: Session, *, terms: LoanTerms, disclosure_id: int, key: str, now: datetime
) -> int:
    """Disburse a loan in full, with its plan and its first ledger entry; returns its id.

    Safe to repeat with the same key. The disbursement is the principal: nothing is netted from it.

    Raises:
        CostNotConfirmed: The confirmed cost table is not this loan's.
        CostAboveCap: The all-in annual cost exceeds the cap.
        KeyReused: The key stands for another loan.
    """
    payload = {name: str(getattr(terms, name)) for name in terms.__slots__}
    claimed = idempotency.claim(session, action="book-loan", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["loan_id"])
    assert_confirmed(
        session,
        disclosure_id=disclosure_id,
        customer_id=terms.customer_id,
        expected=cost_table(
            principal_fen=terms.principal_fen,
            rate_annual=terms.rate_annual,
            terms=terms.terms,
            disbursed_on=terms.disbursed_on,
        ),
    )
    loan = Loan(**loan_row(terms, disclosure_id=disclosure_id))
    session.add(loan)
    session.flush()
    session.add_all(Instalment(**row) for row in instalment_rows(terms, loan_id=loan.id))
    post_entry(
        session,
        loan_id=loan.id,
        kind="disbursement",
        key=str(loan.id),
        effective_on=terms.disbursed_on,
        postings=(
            Posting(account=PRINCIPAL, amount_fen=terms.principal_fen),
            Posting(account=FUNDING, amount_fen=-terms.principal_fen),
        ),
        now=now,
    )
    outbox.record(session, LoanBooked(loan_id=loan.id, customer_id=loan.customer_id), now=now)
    claimed.keep({"loan_id": loan.id})
    return loan.id


def book_application(
    session: Session,
    *,
    application_id: int,
    disclosure_id: int,
    key: str,
    disbursed_on: date,
    now: datetime,
) -> int:
    """Draw the approved amount on the customer's line and book the loan; returns its id.

    Safe to repeat with the same key.

    Raises:
        ApplicationStateRefused: The application is not approved, or was booked with another key.
        LineNotDrawable: The line was frozen since the approval.
        CostNotConfirmed: The confirmed cost table is not this loan's.
    """
    payload = {"application_id": application_id, "disclosure_id": disclosure_id}
    action = "book-application"
    claimed = idempotency.claim(session, action=action, key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["loan_id"])
    application = lock_application(session, application_id=application_id)
    application.state = next_application_state(application.state, ApplicationEvent.BOOK)
    line = find_line(session, customer_id=application.customer_id, funder=application.funder)
    if line is None:
        raise LineNotFound(f"customer {application.customer_id} has no line")
    draw_held(line, amount_fen=application.amount_fen)
    terms = LoanTerms(
        customer_id=application.customer_id,
        merchant_name=application.merchant_name,
        merchandise=application.merchandise,
        principal_fen=application.amount_fen,
        rate_annual=application.rate_annual,
        terms=application.terms,
        disbursed_on=disbursed_on,
        funder=application.funder,
        line_id=line.id,
        application_id=application_id,
    )
    booked_key = f"application/{application_id}"
    loan_id = book_loan(session, terms=terms, disclosure_id=disclosure_id, key=booked_key, now=now)
    claimed.keep({"loan_id": loan_id})
    return loan_id


def loan_row(terms: LoanTerms, *, disclosure_id: int) -> dict[str, Any]:
    """Return the column values of a new loan."""
    return {name: getattr(terms, name) for name in terms.__slots__} | {
        "loan_no": new_number("FQ", on=terms.disbursed_on),
        "disclosure_id": disclosure_id,
        "state": "active",
        "days_past_due": 0,
        "bucket": model.bucket(0),
        "closed_to": terms.disbursed_on,
    }


def instalment_rows(terms: LoanTerms, *, loan_id: int) -> list[dict[str, Any]]:
    """Return the column values of a new loan's plan."""
    agreed = agreed_terms(
        principal_fen=terms.principal_fen,
        rate_annual=terms.rate_annual,
        terms=terms.terms,
        disbursed_on=terms.disbursed_on,
    )
    return [
        {
            "loan_id": loan_id,
            "n": row.n,
            "due_on": row.due_on,
            "principal_fen": row.due.principal_fen,
            "interest_fen": row.due.interest_fen,
            "paid_principal_fen": 0,
            "paid_interest_fen": 0,
            "is_accrued": False,
        }
        for row in plan(agreed).instalments
    ]


def lock_loan(session: Session, *, loan_id: int) -> Loan:
    """Lock a loan for writing; every writer of a loan comes through here first.

    Raises:
        LoanNotFound: There is none.
    """
    loan = session.scalar(
        select(Loan)
        .where(Loan.id == loan_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if loan is None:
        raise LoanNotFound(f"no loan {loan_id}")
    return loan
