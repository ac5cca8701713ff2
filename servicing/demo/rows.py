"""Turns made-up lives into rows of the book, by the rules that servicing itself uses.

Plans, cost tables and postings come from servicing's own functions; what depends on nothing but
amount and terms is computed once. Rows are collected here and written by servicing.demo.book.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Any

from kernel.clock import start_of_day
from kernel.database import Base
from kernel.ids import new_number
from servicing import model
from servicing.chart import FUNDING, PRINCIPAL
from servicing.engine.periods import month_after
from servicing.engine.plan import plan
from servicing.model import Allocated
from servicing.operations import Posting, content_hash, cost_table
from servicing.operations.repayments import accrual_postings, repayment_postings
from servicing.products import STANDARD, agreed_terms
from servicing.tables import (
    Application,
    CostDisclosure,
    CreditLine,
    Customer,
    Instalment,
    LedgerEntry,
    LedgerPosting,
    Loan,
)

TABLES: tuple[type[Base], ...] = (
    Customer,
    Application,
    CreditLine,
    CostDisclosure,
    Loan,
    Instalment,
    LedgerEntry,
    LedgerPosting,
)

_ANY_DAY = date(2026, 1, 1)
_OPENED_BY = timedelta(hours=11)
_PAID_BY = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """One loan to be written: what, from when on, and how it was paid.

    Attributes:
        paid_on: For each instalment the day on which it was paid, or None.
    """

    shop: str
    goods: str
    principal_fen: int
    terms: int
    disbursed_on: date
    paid_on: tuple[date | None, ...]


@dataclass(slots=True, kw_only=True)
class Rows:
    """Collects rows by table, with ids that go on from chunk to chunk."""

    on: date
    random: Random
    rows: dict[type[Base], list[dict[str, Any]]] = field(
        default_factory=lambda: {t: [] for t in TABLES}
    )
    last: dict[type[Base], int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))

    def add(self, table: type[Base], values: Mapping[str, Any]) -> int:
        """Add a row under the next id, and return that."""
        self.last[table] += 1
        self.rows[table].append({"id": self.last[table], **values})
        return self.last[table]

    def add_application(
        self, customer_id: int, bought: Bought, attributes: Mapping[str, Any], state: str
    ) -> int:
        """Add an application as it was decided on the day of the purchase."""
        at = start_of_day(bought.disbursed_on) + timedelta(hours=10)
        is_waiting = state == "in_review"
        return self.add(
            Application,
            {
                "application_no": self.number("SQ", bought.disbursed_on),
                "customer_id": customer_id,
                "funder": STANDARD.funder,
                "merchandise": bought.goods,
                "merchant_name": bought.shop,
                "amount_fen": bought.principal_fen,
                "rate_annual": STANDARD.rate_annual,
                "terms": bought.terms,
                "channel": "shop_qr",
                "attributes": dict(attributes),
                "state": state,
                "decision_id": None,
                "strategy_version": "demo",
                "reasons": [] if state == "booked" else ["demo"],
                "submitted_at": at,
                "decided_at": at + timedelta(seconds=40),
                "decided_by": None if is_waiting else "machine",
            },
        )

    def add_loan(self, customer_id: int, line_id: int, application_id: int, bought: Bought) -> int:
        """Add a loan with plan, cost table and ledger; returns the principal that is still open."""
        disclosure_id = self._add_disclosure(customer_id, bought)
        plan = self._plan(bought)
        open_due = [due for (due, _, _), day in zip(plan, bought.paid_on, strict=True) if not day]
        late = model.days_past_due(open_due[0], self.on) if open_due else 0
        loan_id = self.add(
            Loan,
            {
                "loan_no": self.number("FQ", bought.disbursed_on),
                "customer_id": customer_id,
                "line_id": line_id,
                "application_id": application_id,
                "disclosure_id": disclosure_id,
                "funder": STANDARD.funder,
                "merchandise": bought.goods,
                "merchant_name": bought.shop,
                "principal_fen": bought.principal_fen,
                "rate_annual": STANDARD.rate_annual,
                "terms": bought.terms,
                "disbursed_on": bought.disbursed_on,
                "state": "active" if open_due else "closed",
                "days_past_due": late,
                "bucket": model.bucket(late),
                "closed_to": self.on,
                "settled_on": None if open_due else bought.paid_on[-1],
            },
        )
        self._enter(loan_id, "disbursement", str(loan_id), bought.disbursed_on, _disbursed(bought))
        for n, ((due_on, principal, interest), paid_on) in enumerate(
            zip(plan, bought.paid_on, strict=True), 1
        ):
            self._live(loan_id, Allocated(n=n, interest_fen=interest, principal_fen=principal),
                       due_on, paid_on)  # fmt: skip
        return sum(p for (_, p, _), day in zip(plan, bought.paid_on, strict=True) if not day)

    def number(self, prefix: str, on: date) -> str:
        """Make a number like the book's own, but the same for the same seed."""
        shape = new_number(prefix, on=on)
        drawn = "".join(self.random.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=12))
        return shape[: -len(drawn)] + drawn

    def _plan(self, bought: Bought) -> list[tuple[date, int, int]]:
        amounts = _amounts(bought.principal_fen, bought.terms)
        return [
            (month_after(bought.disbursed_on, n), principal, interest)
            for n, (principal, interest) in enumerate(amounts, 1)
        ]

    def _live(self, loan_id: int, part: Allocated, due_on: date, paid_on: date | None) -> None:
        """Let an instalment's days pass: its interest accrues, and it is paid or not."""
        is_accrued = due_on <= self.on or paid_on is not None
        is_paid = paid_on is not None
        self.rows[Instalment].append(
            {
                "loan_id": loan_id,
                "n": part.n,
                "due_on": due_on,
                "principal_fen": part.principal_fen,
                "interest_fen": part.interest_fen,
                "paid_principal_fen": part.principal_fen if is_paid else 0,
                "paid_interest_fen": part.interest_fen if is_paid else 0,
                "is_accrued": is_accrued,
                "settled_on": paid_on,
            }
        )
        key = f"{loan_id}/{part.n}"
        if is_accrued and part.interest_fen:
            accrued_on = due_on if paid_on is None else min(due_on, paid_on)
            legs = accrual_postings(part.n, part.interest_fen)
            self._enter(loan_id, "interest", key, accrued_on, legs)
        if paid_on is not None:
            legs = repayment_postings(part.principal_fen + part.interest_fen, (part,))
            self._enter(loan_id, "repayment", f"demo/{key}", paid_on, legs)

    def _enter(self, loan_id: int, kind: str, key: str, on: date, legs: Sequence[Posting]) -> None:
        entry_id = self.add(
            LedgerEntry,
            {
                "loan_id": loan_id,
                "kind": kind,
                "key": key,
                "effective_on": on,
                "recorded_at": _instant(on),
            },
        )
        postings = self.rows[LedgerPosting]
        for leg in legs:
            if leg.amount_fen:
                self.last[LedgerPosting] += 1
                postings.append(
                    {
                        "id": self.last[LedgerPosting],
                        "entry_id": entry_id,
                        "account": leg.account,
                        "instalment_n": leg.instalment_n,
                        "amount_fen": leg.amount_fen,
                    }
                )

    def _add_disclosure(self, customer_id: int, bought: Bought) -> int:
        content = disclosed(bought.principal_fen, bought.terms, bought.disbursed_on)
        return self.add(
            CostDisclosure,
            {
                "customer_id": customer_id,
                "content": content,
                "content_hash": content_hash(content),
                "seconds_shown": self.random.randint(10, 60),
                "confirmed_at": start_of_day(bought.disbursed_on) + _OPENED_BY,
            },
        )


def disclosed(principal_fen: int, terms: int, disbursed_on: date) -> dict[str, Any]:
    """Return the cost table of a purchase; no amount in it depends on the day."""
    return _cost(principal_fen, terms) | {"disbursed_on": disbursed_on.isoformat()}


@lru_cache(maxsize=4096)
def _cost(principal_fen: int, terms: int) -> dict[str, Any]:
    return cost_table(
        principal_fen=principal_fen,
        rate_annual=Decimal(STANDARD.rate_annual),
        terms=terms,
        disbursed_on=_ANY_DAY,
    )


@lru_cache(maxsize=4096)
def _amounts(principal_fen: int, terms: int) -> tuple[tuple[int, int], ...]:
    agreed = agreed_terms(
        principal_fen=principal_fen,
        rate_annual=STANDARD.rate_annual,
        terms=terms,
        disbursed_on=_ANY_DAY,
    )
    due = [row.due for row in plan(agreed).instalments]
    return tuple((parts.principal_fen, parts.interest_fen) for parts in due)


@lru_cache(maxsize=4096)
def _instant(on: date) -> datetime:
    return start_of_day(on) + _PAID_BY


def _disbursed(bought: Bought) -> tuple[Posting, ...]:
    return (
        Posting(account=PRINCIPAL, amount_fen=bought.principal_fen),
        Posting(account=FUNDING, amount_fen=-bought.principal_fen),
    )
