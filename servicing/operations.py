"""What changes the book: customers, consents, loans, repayments: load, decide, persist.

Every money operation takes a key and runs in the caller's transaction. How a payment reached us is
not decided here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel import idempotency, outbox
from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.errors import Conflict, Invalid
from kernel.ids import new_number
from kernel.money import plain_yuan
from servicing import model
from servicing.events import LoanBooked, RepaymentPosted
from servicing.model import Owed
from servicing.queries import LoanNotFound
from servicing.tables import (
    Consent,
    CostDisclosure,
    Customer,
    Instalment,
    LedgerEntry,
    LedgerPosting,
    Loan,
)

PRINCIPAL = "loan-principal"
INTEREST_DUE = "interest-receivable"
INTEREST_INCOME = "interest-income"
FUNDING = "funding-bank"
CLEARING = "wechat-pay-clearing"

OWN_FUNDER = "own"


class CustomerKnown(Conflict):
    """The phone or id number belongs to a customer already."""

    code = "customer-known"
    message_zh = "该手机号或证件号已登记"


class CostNotConfirmed(Conflict):
    """The borrower has not confirmed the cost table of exactly this loan."""

    code = "cost-not-confirmed"
    message_zh = "请先阅读并确认综合融资成本明示表"


class EntryUnbalanced(Invalid):
    """The postings of an entry do not sum to zero."""

    code = "ledger-entry-unbalanced"


class PaymentTooLarge(Conflict):
    """More was to be posted than the loan still owes."""

    code = "payment-too-large"
    message_zh = "付款金额超过应还金额"


def customer_row(
    cipher: FieldCipher, *, name: str, phone: str, id_number: str, is_student: bool, now: datetime
) -> dict[str, Any]:
    """Return the column values of a customer, personal fields encrypted and indexed."""
    identity = f"{phone}/{id_number[-4:].upper()}"
    return {
        "name_enc": cipher.encrypt(name, context="customer.name"),
        "phone_enc": cipher.encrypt(phone, context="customer.phone"),
        "phone_index": cipher.blind_index(phone, context="customer.phone"),
        "id_number_enc": cipher.encrypt(id_number, context="customer.id_number"),
        "id_number_index": cipher.blind_index(id_number, context="customer.id_number"),
        "identity_index": cipher.blind_index(identity, context="customer.identity"),
        "is_student": is_student,
        "created_at": now,
    }


def create_customer(
    session: Session,
    cipher: FieldCipher,
    *,
    name: str,
    phone: str,
    id_number: str,
    now: datetime,
    is_student: bool = False,
) -> int:
    """Enter a customer and return their id.

    Raises:
        CustomerKnown: Phone or id number is in the book already.
    """
    values = customer_row(
        cipher, name=name, phone=phone, id_number=id_number, is_student=is_student, now=now
    )
    known = session.scalar(
        select(func.count())
        .select_from(Customer)
        .where(
            (Customer.phone_index == values["phone_index"])
            | (Customer.id_number_index == values["id_number_index"])
        )
    )
    if known:
        raise CustomerKnown("phone or id number is known")
    customer = Customer(**values)
    session.add(customer)
    session.flush()
    return customer.id


def record_consent(
    session: Session, *, customer_id: int, purpose: str, text: str, channel: str, now: datetime
) -> int:
    """Record that a customer agreed to a text, kept by its hash."""
    consent = Consent(
        customer_id=customer_id,
        purpose=purpose,
        text_hash=hashlib.sha256(text.encode()).hexdigest(),
        channel=channel,
        is_withdrawal=False,
        at=now,
    )
    session.add(consent)
    session.flush()
    return consent.id


def cost_table(
    *, principal_fen: int, rate_annual: Decimal, terms: int, disbursed_on: date
) -> dict[str, Any]:
    """Render the cost table (综合融资成本明示表) of a loan from its own plan.

    Raises:
        CostAboveCap: The all-in annual cost exceeds the cap.
    """
    plan = model.equal_instalment_plan(
        principal_fen=principal_fen, rate_annual=rate_annual, terms=terms, disbursed_on=disbursed_on
    )
    payments = [row.total_fen for row in plan]
    cost = model.assert_within_cap(principal_fen=principal_fen, payments=payments)
    interest = sum(row.interest_fen for row in plan)
    return {
        "principal": plain_yuan(principal_fen),
        "disbursed": plain_yuan(principal_fen),
        "terms": terms,
        "disbursed_on": disbursed_on.isoformat(),
        "charges": [
            {
                "name": "利息",
                "payee": "贷款人",
                "rate_annual": str(rate_annual.normalize()),
                "amount": plain_yuan(interest),
            }
        ],
        "default_charges": [],
        "annual_cost_nominal": f"{cost:.4f}",
        "total_payable": plain_yuan(sum(payments)),
    }


def confirm_cost(
    session: Session,
    *,
    customer_id: int,
    content: Mapping[str, Any],
    seconds_shown: int,
    now: datetime,
) -> int:
    """Record that the borrower confirmed a cost table, and return the record's id."""
    disclosure = CostDisclosure(
        customer_id=customer_id,
        content=dict(content),
        content_hash=content_hash(content),
        seconds_shown=seconds_shown,
        confirmed_at=now,
    )
    session.add(disclosure)
    session.flush()
    return disclosure.id


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the sha256 of a cost table, in hex."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanTerms:
    """What a loan is for and on which terms; principal in fen, rate a year."""

    customer_id: int
    merchant_name: str
    merchandise: str
    principal_fen: int
    rate_annual: Decimal
    terms: int
    disbursed_on: date


def book_loan(
    session: Session, *, terms: LoanTerms, disclosure_id: int, key: str, now: datetime
) -> int:
    """Disburse a loan in full, with its plan and its first ledger entry; returns its id.

    Safe to repeat with the same key.

    Raises:
        CostNotConfirmed: The confirmed cost table is not this loan's.
        CostAboveCap: The all-in annual cost exceeds the cap.
        KeyReused: The key stands for another loan.
    """
    payload = {name: str(getattr(terms, name)) for name in terms.__slots__}
    claimed = idempotency.claim(session, action="book-loan", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["loan_id"])
    _check_disclosure(session, terms, disclosure_id)
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
        postings={PRINCIPAL: terms.principal_fen, FUNDING: -terms.principal_fen},
        now=now,
    )
    outbox.record(session, LoanBooked(loan_id=loan.id, customer_id=loan.customer_id), now=now)
    claimed.keep({"loan_id": loan.id})
    return loan.id


def _check_disclosure(session: Session, terms: LoanTerms, disclosure_id: int) -> None:
    shown = session.get(CostDisclosure, disclosure_id)
    expected = cost_table(
        principal_fen=terms.principal_fen,
        rate_annual=terms.rate_annual,
        terms=terms.terms,
        disbursed_on=terms.disbursed_on,
    )
    if (
        shown is None
        or shown.customer_id != terms.customer_id
        or shown.content_hash != content_hash(expected)
    ):
        raise CostNotConfirmed("the confirmed cost table is not this loan's")


def loan_row(terms: LoanTerms, *, disclosure_id: int) -> dict[str, Any]:
    """Return the column values of a new loan."""
    return {name: getattr(terms, name) for name in terms.__slots__} | {
        "loan_no": new_number("FQ", on=terms.disbursed_on),
        "disclosure_id": disclosure_id,
        "funder": OWN_FUNDER,
        "state": "active",
        "days_past_due": 0,
        "bucket": model.bucket(0),
        "closed_to": terms.disbursed_on,
    }


def instalment_rows(terms: LoanTerms, *, loan_id: int) -> list[dict[str, Any]]:
    """Return the column values of a new loan's plan."""
    plan = model.equal_instalment_plan(
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
            "principal_fen": row.principal_fen,
            "interest_fen": row.interest_fen,
            "paid_principal_fen": 0,
            "paid_interest_fen": 0,
            "is_accrued": False,
        }
        for row in plan
    ]


def post_entry(
    session: Session,
    *,
    loan_id: int,
    kind: str,
    key: str,
    effective_on: date,
    postings: Mapping[str, int],
    now: datetime,
) -> int:
    """Append a balanced entry to the ledger; debits positive, credits negative, zeros left out.

    Raises:
        EntryUnbalanced: The postings do not sum to zero.
    """
    if sum(postings.values()):
        raise EntryUnbalanced(f"{kind} {key} is off by {sum(postings.values())} fen")
    entry = LedgerEntry(
        loan_id=loan_id, kind=kind, key=key, effective_on=effective_on, recorded_at=now
    )
    session.add(entry)
    session.flush()
    session.add_all(
        LedgerPosting(entry_id=entry.id, account=account, amount_fen=amount)
        for account, amount in postings.items()
        if amount
    )
    return entry.id


def lock_loan(session: Session, *, loan_id: int) -> Loan:
    """Lock a loan for writing; every writer of a loan comes through here first.

    Raises:
        LoanNotFound: There is none.
    """
    loan = session.scalar(select(Loan).where(Loan.id == loan_id).with_for_update())
    if loan is None:
        raise LoanNotFound(f"no loan {loan_id}")
    return loan


def post_repayment(
    session: Session, *, loan_id: int, amount_fen: int, value_date: date, key: str, now: datetime
) -> None:
    """Allocate a payment, enter it in the ledger and tell who listens.

    Safe to repeat with the same key.

    Raises:
        PaymentTooLarge: More than the loan still owes; nothing is posted.
        KeyReused: The key stands for another payment.
    """
    payload = {"loan_id": loan_id, "amount_fen": amount_fen}
    claimed = idempotency.claim(session, action="post-repayment", key=key, payload=payload, now=now)
    if claimed.answer is not None:
        return
    loan = lock_loan(session, loan_id=loan_id)
    rows = _open_instalments(session, loan_id)
    owed = [
        Owed(
            n=row.n,
            interest_fen=row.interest_fen - row.paid_interest_fen,
            principal_fen=row.principal_fen - row.paid_principal_fen,
        )
        for row in rows
    ]
    parts, left = model.allocate(amount_fen, owed)
    if left:
        raise PaymentTooLarge(f"{left} fen more than loan {loan_id} owes")
    touched = {part.n: part for part in parts}
    for row in (row for row in rows if row.n in touched):
        accrue_interest(session, loan=loan, row=row, on=value_date, now=now)
        row.paid_interest_fen += touched[row.n].interest_fen
        row.paid_principal_fen += touched[row.n].principal_fen
        if row.paid_principal_fen == row.principal_fen:
            row.settled_on = value_date
    post_entry(
        session,
        loan_id=loan_id,
        kind="repayment",
        key=key,
        effective_on=value_date,
        postings={
            CLEARING: amount_fen,
            INTEREST_DUE: -sum(part.interest_fen for part in parts),
            PRINCIPAL: -sum(part.principal_fen for part in parts),
        },
        now=now,
    )
    _refresh_state(loan, rows, on=business_date(now), settled_on=value_date)
    outbox.record(
        session,
        RepaymentPosted(
            loan_id=loan_id,
            customer_id=loan.customer_id,
            amount_fen=amount_fen,
            value_date=value_date,
            key=key,
        ),
        now=now,
    )
    claimed.keep({})


def accrue_interest(
    session: Session, *, loan: Loan, row: Instalment, on: date, now: datetime
) -> None:
    """Recognise an instalment's interest once: on its due date, or when it is paid if earlier."""
    if row.is_accrued:
        return
    row.is_accrued = True
    if row.interest_fen:
        post_entry(
            session,
            loan_id=loan.id,
            kind="interest",
            key=f"{loan.id}/{row.n}",
            effective_on=min(on, row.due_on),
            postings={INTEREST_DUE: row.interest_fen, INTEREST_INCOME: -row.interest_fen},
            now=now,
        )


def _open_instalments(session: Session, loan_id: int) -> Sequence[Instalment]:
    return session.scalars(
        select(Instalment)
        .where(Instalment.loan_id == loan_id, Instalment.settled_on.is_(None))
        .order_by(Instalment.n)
    ).all()


def _refresh_state(loan: Loan, rows: Sequence[Instalment], *, on: date, settled_on: date) -> None:
    open_rows = [row for row in rows if row.settled_on is None]
    days = max((model.days_past_due(row.due_on, on) for row in open_rows), default=0)
    loan.days_past_due = days
    loan.bucket = model.bucket(days)
    if not open_rows:
        loan.state = "closed"
        loan.settled_on = settled_on


def age_loans(session: Session, *, on: date, now: datetime) -> int:
    """Bring every active loan to the end of a business date; the same date twice changes nothing.

    Returns:
        How many loans were moved.
    """
    loans = session.scalars(
        select(Loan)
        .where(Loan.state == "active", Loan.closed_to < on)
        .order_by(Loan.id)
        .with_for_update()
    ).all()
    for loan in loans:
        rows = _open_instalments(session, loan.id)
        for row in (row for row in rows if row.due_on <= on):
            accrue_interest(session, loan=loan, row=row, on=on, now=now)
        _refresh_state(loan, rows, on=on, settled_on=on)
        loan.closed_to = on
    return len(loans)


def prove_books(session: Session) -> list[str]:
    """Compare general ledger, sub-ledger and schedule; an empty list means that they agree."""
    balances: dict[str, int] = {
        account: int(amount)
        for account, amount in session.execute(
            select(LedgerPosting.account, func.sum(LedgerPosting.amount_fen)).group_by(
                LedgerPosting.account
            )
        ).all()
    }
    principal = session.scalar(
        select(func.sum(Instalment.principal_fen - Instalment.paid_principal_fen))
    )
    interest = session.scalar(
        select(func.sum(Instalment.interest_fen - Instalment.paid_interest_fen)).where(
            Instalment.is_accrued
        )
    )
    expected = {PRINCIPAL: int(principal or 0), INTEREST_DUE: int(interest or 0)}
    differences = [
        f"{account}: ledger {balances.get(account, 0)}, schedule {amount}"
        for account, amount in expected.items()
        if balances.get(account, 0) != amount
    ]
    trial = sum(balances.values())
    return differences + ([f"trial balance is off by {trial}"] if trial else [])
