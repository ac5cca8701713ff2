"""Factories of the loan book with every default legal, and the ledger as text."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from agreeing import confirm_terms
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.money import plain_yuan
from servicing import operations, queries
from servicing.engine.events import Event
from servicing.operations import LoanTerms
from servicing.tables import CreditLine

NOW = datetime.fromisoformat("2026-03-10T02:00:00+00:00")


@dataclass
class Book:
    """Makes customers and loans in a write session."""

    cipher: FieldCipher
    now: datetime = NOW

    def __post_init__(self) -> None:
        self._serials = count(1)

    def customer(self, session: Session, **given: Any) -> int:
        serial = next(self._serials)
        values = {
            "name": "测试人",
            "phone": f"100{serial:08d}",
            "id_number": f"99000019900101{serial:03d}X",
        }
        return operations.create_customer(session, self.cipher, now=self.now, **values | given)

    def application(self, session: Session, **given: Any) -> int:
        """Submit an application of a new customer, or of the one that is given."""
        values: dict[str, Any] = {
            "merchant_name": "宏达手机卖场",
            "merchandise": "手机",
            "amount_fen": 300_000,
            "terms": 12,
            "channel": "h5",
            "attributes": {"device": "d1", "income_monthly_fen": 800_000},
            "now": self.now,
        }
        if "customer_id" not in given:
            given["customer_id"] = self.customer(session)
        if "key" not in given:
            given["key"] = f"application-{next(self._serials)}"
        return operations.submit_application(session, **values | given)

    def terms(self, session: Session, **given: Any) -> LoanTerms:
        values: dict[str, Any] = {
            "merchant_name": "宏达手机卖场",
            "merchandise": "手机",
            "principal_fen": 300_000,
            "rate_annual": Decimal("0.18"),
            "terms": 3,
            "disbursed_on": date(2026, 1, 31),
        }
        if "customer_id" not in given:
            given["customer_id"] = self.customer(session)
        return LoanTerms(**values | given)

    def confirmed(self, session: Session, terms: LoanTerms) -> int:
        return confirm_terms(session, terms, now=self.now)

    def extend(self, session: Session, loan_id: int, extra: int, **given: Any) -> int:
        """Confirm the cost table of an extension, and extend."""
        wanted = {"loan_id": loan_id, "extra_terms": extra}
        event = operations.extension(session, on=given["on"], **wanted)
        disclosure_id = self.confirmed_change(session, loan_id, event)
        return operations.extend(session, disclosure_id=disclosure_id, **wanted, **given)

    def draw(self, session: Session, loan_id: int, fen: int, **given: Any) -> int:
        """Confirm the cost table of a further tranche, and draw it."""
        wanted = {"loan_id": loan_id, "amount_fen": fen}
        event = operations.drawing(session, on=given["on"], **wanted)
        disclosure_id = self.confirmed_change(session, loan_id, event)
        return operations.draw_tranche(session, disclosure_id=disclosure_id, **wanted, **given)

    def confirmed_change(self, session: Session, loan_id: int, event: Event) -> int:
        """Confirm the cost table of a change."""
        return operations.confirm_cost(
            session,
            customer_id=operations.lock_loan(session, loan_id=loan_id).customer_id,
            content=operations.change_table(session, loan_id=loan_id, event=event),
            seconds_shown=9,
            now=self.now,
        )

    def loan_on_line(self, session: Session, **given: Any) -> tuple[int, int]:
        """Draw a loan on a line of its own, which holds what it leaves undrawn."""
        terms = self.terms(session, **given)
        line_id = operations.open_line(
            session,
            customer_id=terms.customer_id,
            funder="own",
            granted_fen=1_000_000,
            now=self.now,
        )
        line = session.get_one(CreditLine, line_id)
        line.utilised_fen = terms.first_fen
        line.held_fen = terms.principal_fen - terms.first_fen
        given |= {"customer_id": terms.customer_id, "line_id": line_id}
        return self.loan(session, **given), line_id

    def loan(self, session: Session, **given: Any) -> int:
        terms = self.terms(session, **given)
        disclosure_id = self.confirmed(session, terms)
        key = f"loan-{next(self._serials)}"
        return operations.book_loan(
            session, terms=terms, disclosure_id=disclosure_id, key=key, now=self.now
        )

    def repay(
        self, session: Session, loan_id: int, fen: int, *, key: str, on: date | None = None
    ) -> int:
        return operations.post_repayment(
            session,
            loan_id=loan_id,
            amount_fen=fen,
            value_date=on or business_date(self.now),
            key=key,
            now=self.now,
        )


@pytest.fixture
def book(cipher: FieldCipher) -> Book:
    """A maker of customers and loans."""
    return Book(cipher=cipher)


@pytest.fixture
def ledger() -> Callable[..., str]:
    """A function that writes a loan's ledger as text, one entry a line, legs in yuan."""

    def write(session: Session, loan_id: int) -> str:
        lines = []
        for entry in queries.entries_of(session, loan_id=loan_id):
            legs = "  ".join(_leg(leg) for leg in entry.postings)
            lines.append(f"{entry.effective_on} {entry.kind:<12} {legs}")
        return "\n".join(lines)

    return write


def _leg(leg: queries.PostingView) -> str:
    of = "" if leg.instalment_n is None else f"#{leg.instalment_n}"
    return f"{leg.account}{of} {plain_yuan(leg.amount_fen)}"
