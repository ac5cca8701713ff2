"""One customer in the book who owes on two loans."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from contact.operations import record_address
from kernel.runtime import Runtime
from servicing import operations

NAME, PHONE, ID_NUMBER = "欧阳建国", "10087654321", "990000199203041237"


@dataclass(frozen=True, kw_only=True)
class Someone:
    """The customer of these tests: one loan is on its way, the other ten days late."""

    id: int
    line_id: int
    loan_id: int
    late_loan_id: int
    late_loan_no: str
    name: str = NAME
    phone: str = PHONE
    id_number: str = ID_NUMBER

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not stand on a page that nobody gave a reason for."""
        return (self.name, self.name[1:], self.phone, self.id_number, self.id_number[6:14])

    def at(self, path: str = "") -> str:
        return f"/admin/customers/{self.id}{path}"


@pytest.fixture
def someone(runtime: Runtime, book: Any) -> Someone:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        customer_id = book.customer(
            session, name=NAME, phone=PHONE, id_number=ID_NUMBER, employer="富昌电子厂"
        )
        line_id = operations.open_line(
            session, customer_id=customer_id, funder="own", granted_fen=800_000, now=now
        )
        terms = {"customer_id": customer_id, "terms": 6}
        fresh = book.loan(session, merchandise="平板电脑", disbursed_on=date(2026, 2, 20), **terms)
        late = book.loan(session, merchandise="华为手机", disbursed_on=date(2026, 1, 31), **terms)
        record_address(
            session,
            customer_id=customer_id,
            channel_kind="phone",
            address=PHONE,
            source="application",
            cipher=runtime.cipher,
            now=now,
        )
        number = operations.lock_loan(session, loan_id=late).loan_no
    return Someone(
        id=customer_id, line_id=line_id, loan_id=fresh, late_loan_id=late, late_loan_no=number
    )


@pytest.fixture
def read(runtime: Runtime) -> Callable[..., Any]:
    """Ask a query."""

    def ask(query: Callable[..., Any], **given: Any) -> Any:
        with runtime.database.read() as session:
            return query(session, **given)

    return ask
