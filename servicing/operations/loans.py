"""Booking: a loan is disbursed in full, on a confirmed cost table, within the cap and the line."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from kernel import idempotency, outbox
from kernel.clock import business_date
from kernel.ids import new_number
from servicing.archive import terms_to_json
from servicing.caps import portfolio_cap_of
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import Disbursement
from servicing.engine.terms import Terms
from servicing.events import LoanBooked
from servicing.lateness import rules_on
from servicing.model import ApplicationEvent, next_application_state
from servicing.operations.applications.submitting import lock_application
from servicing.operations.disclosures import assert_confirmed, cost_table
from servicing.operations.lines import LineNotFound, draw_held, find_line
from servicing.operations.posting import cause_of, record_event, write_standing
from servicing.products import STANDARD, Product
from servicing.queries.history import standing
from servicing.queries.portfolio import portfolio_cost
from servicing.queries.products import product_version
from servicing.tables import Loan

_LENDER = "lender"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanTerms:
    """What a loan is for and on which terms; principal in fen, rate a year.

    Attributes:
        principal_fen: In all; of a product with several tranches, one of them is drawn at once.
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
    product: Product = STANDARD

    @property
    def first_fen(self) -> int:
        """What is drawn at once."""
        return self.product.first_part_fen(self.principal_fen)

    def agreed(self) -> Terms:
        """Return the terms as the engine knows them."""
        return self.product.agree(
            principal_fen=self.principal_fen,
            rate_annual=self.rate_annual,
            terms=self.terms,
            start_on=self.disbursed_on,
        )


def book_loan(
    session: Session, *, terms: LoanTerms, disclosure_id: int, key: str, now: datetime
) -> int:
    """Disburse a loan or its first tranche, with plan and ledger entry; returns its id.

    Safe to repeat with the same key. Nothing is netted from the disbursement.

    Raises:
        CostNotConfirmed: The confirmed cost table is not this loan's.
        CostAboveCap: The all-in annual cost exceeds the cap, or lifts the average above its own.
        KeyReused: The key stands for another loan.
    """
    payload = {name: str(getattr(terms, name)) for name in terms.__slots__}
    claimed = idempotency.claim(session, action="book-loan", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["loan_id"])
    table = cost_table(
        principal_fen=terms.principal_fen,
        rate_annual=terms.rate_annual,
        terms=terms.terms,
        disbursed_on=terms.disbursed_on,
        product=terms.product,
    )
    assert_confirmed(
        session, disclosure_id=disclosure_id, customer_id=terms.customer_id, expected=table
    )
    _require_average(session, terms, Decimal(table["annual_cost_nominal"]))
    loan = Loan(**loan_row(terms, disclosure_id=disclosure_id))
    session.add(loan)
    session.flush()
    _disburse(session, loan, terms, now)
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

    What of it is for later tranches stays held.

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
        product=product_version(
            session, code=application.product_code, version=application.product_version
        ),
    )
    draw_held(session, line, amount_fen=terms.first_fen, on=business_date(now))
    booked_key = f"application/{application_id}"
    loan_id = book_loan(session, terms=terms, disclosure_id=disclosure_id, key=booked_key, now=now)
    claimed.keep({"loan_id": loan_id})
    return loan_id


def _disburse(session: Session, loan: Loan, terms: LoanTerms, now: datetime) -> None:
    """Let the first event happen: the principal, or the first part of it, is paid out."""
    event = Disbursement(id="1", on=terms.disbursed_on, amount_fen=terms.first_fen)
    key = str(loan.id)
    record_event(session, loan, event, key=key, actor=_LENDER, now=now)
    after = standing(terms.agreed(), (event,), closed_to=loan.closed_to)
    cause = cause_of(event, key, {})
    write_standing(session, loan, None, after, cause=cause, on=business_date(now), now=now)


def _require_average(session: Session, terms: LoanTerms, cost: Decimal) -> None:
    """Where the average of what is drawn has a cap too, keep to it with this loan."""
    lender_type = terms.product.lender_type
    cap = portfolio_cap_of(terms.disbursed_on, lender_type=lender_type)
    if cap is None or cost <= cap.rate_annual:
        return
    average = portfolio_cost(
        session,
        on=terms.disbursed_on,
        lender_type=lender_type,
        more_fen=terms.first_fen,
        more_cost=cost,
    )
    if average is not None and average > cap.rate_annual:
        raise CostAboveCap(f"the average of the quarter would be {average}")


def loan_row(terms: LoanTerms, *, disclosure_id: int) -> dict[str, Any]:
    """Return the column values of a new loan, before anything happened to it."""
    agreed = terms.agreed()
    return {name: getattr(terms, name) for name in terms.__slots__ if name != "product"} | {
        "principal_fen": terms.first_fen,
        "undrawn_fen": terms.principal_fen - terms.first_fen,
        "draw_until": agreed.draw_until,
        "draws": None,
        "rates": None,
        "is_subsidised": agreed.subsidy_rate_annual > 0,
        "loan_no": new_number("FQ", on=terms.disbursed_on),
        "disclosure_id": disclosure_id,
        "product_code": terms.product.code,
        "product_version": terms.product.version,
        "agreed": terms_to_json(agreed),
        "bears_penalty": agreed.penalty is not None,
        "settles_early": terms.product.settles_early,
        "plan_version": 0,
        "state": "active",
        "grace_days": agreed.grace_days,
        "late_since": None,
        **_named_on_time(terms.disbursed_on),
        "class_floor": None,
        "running": None,
        "closed_to": terms.disbursed_on,
    }


def _named_on_time(on: date) -> dict[str, Any]:
    bucket, five_class, ecl_stage = rules_on(on).names(0)
    return {
        "days_past_due": 0,
        "bucket": bucket,
        "five_class": five_class,
        "ecl_stage": ecl_stage,
    }
