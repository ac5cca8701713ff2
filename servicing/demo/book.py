"""Writes the demo book with a lived history, in bulk, by the rules that servicing itself uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from random import Random
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from contact.operations import record_address
from contact.ports import AddressKind
from kernel.clock import business_date, start_of_day
from kernel.crypto import FieldCipher
from servicing import model
from servicing.demo.people import Person, people, purchase
from servicing.operations import (
    CLEARING,
    FUNDING,
    INTEREST_DUE,
    INTEREST_INCOME,
    PRINCIPAL,
    LoanTerms,
    content_hash,
    cost_table,
    customer_row,
    instalment_rows,
    loan_row,
)
from servicing.tables import (
    CostDisclosure,
    Customer,
    Instalment,
    LedgerEntry,
    LedgerPosting,
    Loan,
)

_RATE = Decimal("0.216")
_MANY_LOANS = 0.05
_LOOK_BACK_DAYS = 720


class Habit(Enum):
    """How a made-up borrower pays; the shares are those of the trade."""

    PUNCTUAL = 0.80
    A_LITTLE_LATE = 0.12
    FIRST_PAYMENT_DEFAULT = 0.03
    STOPS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A borrower whom a newcomer should meet first: when the last instalment fell due, and why.

    Attributes:
        due_in: Days until the next unpaid instalment is due; negative when it is overdue.
    """

    note: str
    due_in: int
    paid_terms: int
    terms: int


STORIES = (
    Story(note="3 天后到还款日", due_in=3, paid_terms=4, terms=12),
    Story(note="今天到还款日", due_in=0, paid_terms=2, terms=6),
    Story(note="已过还款日 5 天", due_in=-5, paid_terms=3, terms=9),
    Story(note="只剩最后一期", due_in=12, paid_terms=11, terms=12),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What was written.

    Attributes:
        people: Borrowers to play in the sandbox, telling stories first.
    """

    customers: int
    loans: int
    people: tuple[dict[str, str], ...]


@dataclass(slots=True, kw_only=True)
class _Rows:
    """Rows to insert, by table."""

    customers: list[dict[str, Any]]
    disclosures: list[dict[str, Any]]
    loans: list[dict[str, Any]]
    instalments: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    postings: list[dict[str, Any]]


def seed_demo(
    session: Session, cipher: FieldCipher, *, customers: int, seed: int, now: datetime
) -> Seeded:
    """Write a demo book into an empty database; the same seed and date give the same book.

    Args:
        session: A write session.
        cipher: Encrypts the made-up personal fields like real ones.
        customers: How many borrowers.
        seed: Of all randomness.
        now: The present instant; history ends on its business date.
    """
    on = business_date(now)
    random = Random(seed)
    rows = _Rows(customers=[], disclosures=[], loans=[], instalments=[], entries=[], postings=[])
    cast = list(islice(people(random, on=on), customers))
    for customer_id, person in enumerate(cast, 1):
        _add_customer(rows, cipher, customer_id, person, now)
        story = STORIES[customer_id - 1] if customer_id <= len(STORIES) else None
        _add_loans(rows, random, customer_id, story, on)
    for table, batch in (
        (Customer, rows.customers),
        (CostDisclosure, rows.disclosures),
        (Loan, rows.loans),
        (Instalment, rows.instalments),
        (LedgerEntry, rows.entries),
        (LedgerPosting, rows.postings),
    ):
        session.execute(insert(table), batch)
    for customer_id, person in enumerate(cast, 1):
        record_address(
            session,
            customer_id=customer_id,
            channel_kind=AddressKind.WECHAT,
            address=person.openid,
            source="seed",
            cipher=cipher,
            now=now,
        )
    return Seeded(customers=len(cast), loans=len(rows.loans), people=tuple(_sandbox_people(cast)))


def _sandbox_people(cast: list[Person]) -> Iterator[dict[str, str]]:
    for position, person in enumerate(cast):
        note = STORIES[position].note if position < len(STORIES) else ""
        yield {
            "openid": person.openid,
            "name": person.name,
            "phone": person.phone,
            "note": note,
        }


def _add_customer(
    rows: _Rows, cipher: FieldCipher, customer_id: int, person: Person, now: datetime
) -> None:
    values = customer_row(
        cipher,
        name=person.name,
        phone=person.phone,
        id_number=person.id_number,
        is_student=False,
        now=now,
    )
    rows.customers.append({"id": customer_id, **values})


def _add_loans(
    rows: _Rows, random: Random, customer_id: int, story: Story | None, on: date
) -> None:
    if story is not None:
        next_due = on + timedelta(days=story.due_in)
        disbursed_on = model.month_after(next_due, -(story.paid_terms + 1))
        _add_loan(rows, random, customer_id, disbursed_on, story.terms, Habit.PUNCTUAL, story, on)
        return
    for _ in range(2 if random.random() < _MANY_LOANS else 1):
        disbursed_on = on - timedelta(days=random.randint(0, _LOOK_BACK_DAYS))
        habit = random.choices(list(Habit), [habit.value for habit in Habit])[0]
        _add_loan(rows, random, customer_id, disbursed_on, None, habit, None, on)


def _add_loan(
    rows: _Rows,
    random: Random,
    customer_id: int,
    disbursed_on: date,
    story_terms: int | None,
    habit: Habit,
    story: Story | None,
    on: date,
) -> None:
    bought = purchase(random)
    terms = LoanTerms(
        customer_id=customer_id,
        merchant_name=bought.shop,
        merchandise=bought.goods,
        principal_fen=bought.principal_fen,
        rate_annual=_RATE,
        terms=story_terms or bought.terms,
        disbursed_on=disbursed_on,
    )
    loan_id = len(rows.loans) + 1
    _add_disclosure(rows, terms, loan_id, random)
    plan = instalment_rows(terms, loan_id=loan_id)
    _enter(
        rows,
        loan_id,
        "disbursement",
        str(loan_id),
        disbursed_on,
        {PRINCIPAL: terms.principal_fen, FUNDING: -terms.principal_fen},
    )
    stop_after = story.paid_terms if story else _stop_after(random, habit, terms.terms)
    for row in plan:
        _live(rows, random, row, habit, stop_after, on)
    rows.instalments.extend(plan)
    rows.loans.append(_loan_state(loan_row(terms, disclosure_id=loan_id), loan_id, plan, on))


def _stop_after(random: Random, habit: Habit, terms: int) -> int:
    if habit is Habit.FIRST_PAYMENT_DEFAULT:
        return 0
    return random.randint(1, terms) if habit is Habit.STOPS else terms


def _live(
    rows: _Rows,
    random: Random,
    row: dict[str, Any],
    habit: Habit,
    stop_after: int,
    on: date,
) -> None:
    """Let an instalment's days pass: accrue its interest, and pay it if this borrower does."""
    late_days = random.randint(1, 12) if habit is Habit.A_LITTLE_LATE else -random.randint(0, 3)
    paid_on = row["due_on"] + timedelta(days=late_days)
    is_paid = row["n"] <= stop_after and paid_on <= on and row["due_on"] <= on + timedelta(days=3)
    is_accrued = row["due_on"] <= on or is_paid
    row |= {"is_accrued": is_accrued, "settled_on": paid_on if is_paid else None}
    row |= {
        "paid_principal_fen": row["principal_fen"] if is_paid else 0,
        "paid_interest_fen": row["interest_fen"] if is_paid else 0,
    }
    key = f"{row['loan_id']}/{row['n']}"
    interest, principal = row["interest_fen"], row["principal_fen"]
    if is_accrued and interest:
        accrued_on = min(row["due_on"], paid_on) if is_paid else row["due_on"]
        _enter(
            rows,
            row["loan_id"],
            "interest",
            key,
            accrued_on,
            {INTEREST_DUE: interest, INTEREST_INCOME: -interest},
        )
    if is_paid:
        _enter(
            rows,
            row["loan_id"],
            "repayment",
            f"demo/{key}",
            paid_on,
            {CLEARING: interest + principal, INTEREST_DUE: -interest, PRINCIPAL: -principal},
        )


def _add_disclosure(rows: _Rows, terms: LoanTerms, disclosure_id: int, random: Random) -> None:
    content = cost_table(
        principal_fen=terms.principal_fen,
        rate_annual=terms.rate_annual,
        terms=terms.terms,
        disbursed_on=terms.disbursed_on,
    )
    rows.disclosures.append(
        {
            "id": disclosure_id,
            "customer_id": terms.customer_id,
            "content": content,
            "content_hash": content_hash(content),
            "seconds_shown": random.randint(10, 60),
            "confirmed_at": start_of_day(terms.disbursed_on) + timedelta(hours=10),
        }
    )


def _enter(
    rows: _Rows, loan_id: int, kind: str, key: str, on: date, postings: dict[str, int]
) -> None:
    entry_id = len(rows.entries) + 1
    recorded_at = start_of_day(on) + timedelta(hours=12)
    rows.entries.append(
        {
            "id": entry_id,
            "loan_id": loan_id,
            "kind": kind,
            "key": key,
            "effective_on": on,
            "recorded_at": recorded_at,
        }
    )
    rows.postings.extend(
        {"entry_id": entry_id, "account": account, "amount_fen": amount}
        for account, amount in postings.items()
        if amount
    )


def _loan_state(
    values: dict[str, Any], loan_id: int, plan: list[dict[str, Any]], on: date
) -> dict[str, Any]:
    unpaid = [row for row in plan if row["settled_on"] is None]
    days = max((model.days_past_due(row["due_on"], on) for row in unpaid), default=0)
    return values | {
        "id": loan_id,
        "state": "active" if unpaid else "closed",
        "days_past_due": days,
        "bucket": model.bucket(days),
        "closed_to": on,
        "settled_on": None if unpaid else max(row["settled_on"] for row in plan),
    }
