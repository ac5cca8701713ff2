"""Borrowers who stand on chosen days, and providers that only note what they are given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from contact.operations import SendCounts, load_rules, load_templates, record_address, send_ready
from contact.ports import Holds, SmsProvider, Standing, StillDue, WeChatApi
from contact.tables import Contact
from dunning import operations
from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from servicing import operations as servicing
from servicing.answers import DebtBook, HoldBook, StandingBook
from servicing.engine.periods import month_after
from servicing.engine.plan import plan
from servicing.operations import LoanTerms
from servicing.products import STANDARD

PRINCIPAL_FEN = 600_000
TERMS = 12


@dataclass
class Outbox:
    """Plays both providers: whatever it is given arrives."""

    wechat: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    sms: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def send_template(
        self, openid: str, template_id: str, data: Mapping[str, str], url: str, client_msg_id: str
    ) -> str:
        self.wechat.append((openid, data))
        return f"msg{len(self.wechat)}"

    def send(self, phone: str, template_id: str, params: Mapping[str, str], out_id: str) -> str:
        self.sms.append((phone, params))
        return f"biz{len(self.sms)}"


@dataclass
class Town:
    """A loan book whose borrowers can be reached."""

    runtime: Runtime
    clock: FixedClock
    outbox: Outbox

    def __post_init__(self) -> None:
        self._serials = count(1)

    @property
    def today(self) -> date:
        return business_date(self.clock.now())

    def borrower(self, *due_in: int, wechat: bool = True, phone: bool = True) -> int:
        """Enter somebody with a loan each whose first instalment is due in so many days."""
        serial = next(self._serials)
        with self.runtime.database.write() as session:
            customer_id = servicing.create_customer(
                session,
                self.runtime.cipher,
                name="测试人",
                phone=f"100{serial:08d}",
                id_number=f"99000019900101{serial:03d}X",
                now=self.clock.now(),
            )
            for days in due_in:
                self._lend(session, customer_id, self.today + timedelta(days=days))
        if wechat:
            self.reach(customer_id, "wechat", f"openid-{customer_id}")
        if phone:
            self.reach(customer_id, "phone", f"139{customer_id:08d}")
        return customer_id

    def reach(self, customer_id: int, kind: str, address: str) -> int:
        with self.runtime.database.write() as session:
            return record_address(
                session,
                customer_id=customer_id,
                channel_kind=kind,
                address=address,
                source="test",
                cipher=self.runtime.cipher,
                now=self.clock.now(),
            )

    def _lend(self, session: Session, customer_id: int, due_on: date) -> None:
        disbursed_on = month_after(due_on, -1)
        assert month_after(disbursed_on, 1) == due_on
        terms: dict[str, Any] = {
            "principal_fen": PRINCIPAL_FEN,
            "rate_annual": STANDARD.rate_annual,
            "terms": TERMS,
            "disbursed_on": disbursed_on,
        }
        disclosure_id = servicing.confirm_cost(
            session,
            customer_id=customer_id,
            content=servicing.cost_table(**terms),
            seconds_shown=12,
            now=self.clock.now(),
        )
        servicing.book_loan(
            session,
            terms=LoanTerms(
                customer_id=customer_id, merchant_name="宏达", merchandise="手机", **terms
            ),
            disclosure_id=disclosure_id,
            key=f"loan-{next(self._serials)}",
            now=self.clock.now(),
        )

    def pay(self, loan_id: int, *, instalments: int = 1) -> None:
        """Pay a loan's next instalments to the fen."""
        agreed = STANDARD.agree(
            principal_fen=PRINCIPAL_FEN,
            rate_annual=STANDARD.rate_annual,
            terms=TERMS,
            start_on=self.today,
        )
        rows = plan(agreed).instalments[:instalments]
        with self.runtime.database.write() as session:
            servicing.post_repayment(
                session,
                loan_id=loan_id,
                amount_fen=sum(row.due.total_fen for row in rows),
                value_date=self.today,
                key=f"payment-{next(self._serials)}",
                now=self.clock.now(),
            )

    def hold(self, customer_id: int, **given: Any) -> int:
        values = {"reason": "hardship", "scope": "all", "until": None, "opened_by": "lin"}
        with self.runtime.database.write() as session:
            return servicing.place_hold(
                session, customer_id=customer_id, now=self.clock.now(), **values | given
            )

    def plan(self, on: date | None = None, **given: Any) -> dict[str, int]:
        with self.runtime.database.write() as session:
            return operations.plan(session, on=on or self.today, now=self.clock.now(), **given)

    def send(self) -> SendCounts:
        return send_ready(self.runtime, at_most_s=30)

    def contacts(self, *names: str) -> list[tuple[Any, ...]]:
        """List the contacts by customer: customer, then the named columns."""
        columns = [getattr(Contact, name) for name in ("customer_id", *names)]
        with self.runtime.database.read() as session:
            rows = session.execute(select(*columns).order_by(Contact.customer_id, Contact.id))
            return [tuple(row) for row in rows]


@pytest.fixture
def town(runtime: Runtime, clock: FixedClock) -> Town:
    """An empty town at ten in the morning."""
    outbox: Any = Outbox()
    runtime.provide(StillDue, DebtBook())
    runtime.provide(Holds, HoldBook())
    runtime.provide(Standing, StandingBook())
    runtime.provide(WeChatApi, outbox)
    runtime.provide(SmsProvider, outbox)
    with runtime.database.write() as session:
        load_rules(session, now=clock.now())
        load_templates(session, now=clock.now())
    return Town(runtime=runtime, clock=clock, outbox=outbox)
