"""Where made-up people act: each of their acts is the same operation that the real one would be.

Every write happens in the caller's session, with the instant that it is said to have happened at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date, start_of_day
from kernel.crypto import FieldCipher
from risk.ports import Subsystem, Subsystems
from risk.queries import evidence_plan
from servicing import operations, queries
from servicing.demo.credit import Credit
from servicing.demo.judging import REVIEWER, Desk
from servicing.model import ApplicationState
from servicing.offering import OfferKind
from servicing.operations.applications.submitting import lock_application
from servicing.operations.requests import Agreed
from servicing.queries.products import product_in_force
from servicing.tables import Application, CreditLine, Loan, Offer

BORROWER: Final = "borrower"
CHANNEL: Final = "h5"
_SECONDS_SHOWN: Final = 18
_NOON: Final = timedelta(hours=12)
_FOR_DAYS: Final = timedelta(days=7)
_INSIDE: Final = "主动沟通后的方案"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The present day of a made-up house, with what its people may do.

    Attributes:
        desk: Whoever decides.
        credit: What is true of each customer, by id.
    """

    session: Session
    cipher: FieldCipher
    desk: Desk
    credit: Mapping[int, Credit]
    now: datetime

    @property
    def on(self) -> date:
        """The business date."""
        return business_date(self.now)

    def loan(self, customer_id: int) -> Loan:
        """Return a customer's first loan."""
        found = select(Loan).where(Loan.customer_id == customer_id).order_by(Loan.id).limit(1)
        return self.session.scalars(found).one()

    def line(self, customer_id: int) -> CreditLine:
        """Return a customer's line."""
        found = select(CreditLine).where(CreditLine.customer_id == customer_id)
        return self.session.scalars(found).one()

    def at(self, days: int) -> datetime:
        """Return noon of a day so long ago; now, for today."""
        return start_of_day(self.on - timedelta(days=days)) + _NOON if days else self.now

    def act(self, loan: Loan, act: str, *, days: int = 0, **details: Any) -> int:
        """Let staff act on a loan; the borrower confirms what it costs where that is asked."""
        now = self.at(days)
        asked: dict[str, Any] = {"act": act, "loan_id": loan.id, "on": business_date(now)}
        outlook = operations.look_ahead(self.session, **asked, details=details)
        by: Agreed = {
            "loan_id": loan.id,
            "on": business_date(now),
            "key": f"demo/{loan.id}/{act}",
            "actor": REVIEWER,
            "now": now,
        }
        if outlook.cost_table is not None:
            by["disclosure_id"] = self.confirm(loan.customer_id, outlook.cost_table, now)
        return operations.do_act(self.session, act=act, details=details, **by)

    def confirm(self, customer_id: int, table: Mapping[str, Any], now: datetime) -> int:
        """Let a customer confirm a cost table."""
        return operations.confirm_cost(
            self.session,
            customer_id=customer_id,
            content=table,
            seconds_shown=_SECONDS_SHOWN,
            now=now,
        )

    def offer(self, kind: OfferKind, subject_id: int, *, days: int = 0, **details: Any) -> Offer:
        """Make an offer that holds for a week."""
        now = self.at(days)
        offer_id = operations.make_offer(
            self.session,
            kind=kind,
            subject_id=subject_id,
            details=details,
            valid_until=business_date(now) + _FOR_DAYS,
            reason=_INSIDE,
            made_by=REVIEWER,
            on=business_date(now),
            key=f"demo/{kind}/{subject_id}",
            now=now,
        )
        return self.session.get_one(Offer, offer_id)

    def accept(self, offer: Offer, *, days: int = 0) -> None:
        """Let the customer take an offer."""
        now = self.at(days)
        operations.accept_offer(
            self.session,
            offer_id=offer.id,
            customer_id=offer.customer_id,
            channel=CHANNEL,
            table_hash=offer.cost_table_hash,
            seconds_shown=_SECONDS_SHOWN,
            on=business_date(now),
            now=now,
        )

    def pay(self, loan: Loan, amount_fen: int, *, days: int = 0) -> int:
        """Let a borrower pay on a day so long ago; returns the event's number."""
        return operations.post_repayment(
            self.session,
            loan_id=loan.id,
            amount_fen=amount_fen,
            value_date=self.on - timedelta(days=days),
            key=f"demo/pay/{loan.id}/{days}",
            now=self.at(days),
        )

    def pay_on_time(self, loan: Loan) -> None:
        """Let a borrower pay every instalment that was due until yesterday, on its day."""
        view = queries.loan_of(
            self.session, loan_id=loan.id, customer_id=loan.customer_id, on=self.on
        )
        for row in view.plan:
            if row.due_on < self.on:
                self.pay(loan, row.total_fen, days=(self.on - row.due_on).days)

    def apply(
        self,
        customer_id: int,
        *,
        amount_fen: int,
        days: int = 0,
        product: str = "standard",
        terms: int = 6,
        goods: str = "手机",
        silent: frozenset[str] = frozenset(),
    ) -> Application:
        """Let a customer apply, sub-systems answer, and the machine decide.

        Args:
            customer_id: Who.
            amount_fen: For how much.
            days: How long ago.
            product: Its code.
            terms: How many instalments.
            goods: What for.
            silent: Sub-systems that answer nothing.
        """
        now = self.at(days)
        application_id = operations.submit_application(
            self.session,
            customer_id=customer_id,
            merchant_name="宏达手机卖场",
            merchandise=goods,
            amount_fen=amount_fen,
            terms=terms,
            channel=CHANNEL,
            attributes={"income_monthly_fen": self.credit[customer_id].income_monthly_fen},
            key=f"demo/apply/{customer_id}/{days}",
            now=now,
            product=product_in_force(self.session, code=product, on=business_date(now)),
        )
        decided_at = now + timedelta(seconds=4)
        self.have_decided(application_id, asked_at=now, decided_at=decided_at, silent=silent)
        return lock_application(self.session, application_id=application_id)

    def review(self, application: Application, *, approve: bool, reason: str, at: datetime) -> None:
        """Let a person decide."""
        asked: dict[str, Any] = {"application_id": application.id, "now": at}
        operations.take_review(self.session, **asked, by=REVIEWER)
        operations.review_application(
            self.session, **asked, approve=approve, reasons=[reason], decided_by=REVIEWER
        )

    def buy(self, application: Application, *, at: datetime) -> Loan:
        """Let a customer confirm what it costs and buy."""
        product = queries.product_version(
            self.session, code=application.product_code, version=application.product_version
        )
        on = business_date(at)
        table = operations.cost_table(
            principal_fen=application.amount_fen,
            rate_annual=application.rate_annual,
            terms=application.terms,
            disbursed_on=on,
            product=product,
        )
        loan_id = operations.book_application(
            self.session,
            application_id=application.id,
            disclosure_id=self.confirm(application.customer_id, table, at),
            key=f"demo/buy/{application.id}",
            disbursed_on=on,
            now=at,
        )
        return self.session.get_one(Loan, loan_id)

    def bought(self, customer_id: int, *, days: int, **what: Any) -> Loan:
        """Let a customer apply and buy; where the machine did not approve, a person does.

        Who was declined asks for that person; the loan that they paid off speaks for them.
        """
        application = self.apply(customer_id, days=days, **what)
        at = self.at(days) + timedelta(hours=1)
        if application.state == ApplicationState.DECLINED:
            operations.appeal_application(self.session, application_id=application.id, now=at)
        if application.state == ApplicationState.IN_REVIEW:
            at += timedelta(hours=1)
            self.review(application, approve=True, reason="good-record", at=at)
        return self.buy(application, at=at + timedelta(minutes=10))

    def have_decided(
        self,
        application_id: int,
        *,
        asked_at: datetime,
        decided_at: datetime,
        silent: frozenset[str] = frozenset(),
    ) -> None:
        """Let sub-systems answer within a second, and the machine decide."""
        self._gather(application_id, silent, asked_at)
        question = queries.question_of(
            self.session, self.cipher, application_id=application_id, now=decided_at
        )
        assert question is not None  # noqa: S101 -- everything asked has ended by now
        decision = self.desk.machine(
            key=question.key,
            subject=question.subject,
            product=question.product,
            values=question.values,
            at=decided_at,
        )
        operations.decide_application(
            self.session, application_id=application_id, decision=decision, now=decided_at
        )

    def _gather(self, application_id: int, silent: frozenset[str], now: datetime) -> None:
        subsystems = Subsystems(each=tuple(self.desk.subsystems))
        product, subject = queries.applied_for(self.session, application_id=application_id)
        plan = evidence_plan(
            self.session,
            product=product,
            subject=subject,
            subsystems=subsystems,
            on=business_date(now),
        )
        named: dict[str, Any] = {"application_id": application_id}
        waiting = operations.start_gathering(self.session, plan=plan, now=now, **named)
        while waiting:
            for name in waiting:
                operations.begin_inquiry(
                    self.session, self.cipher, subsystem=name, now=now, **named
                )
                self._settle(application_id, subsystems.find(name), now, is_silent=name in silent)
            operations.start_step(self.session, is_declined=False, now=now, **named)
            waiting = operations.waiting_inquiries(self.session, **named)

    def _settle(
        self, application_id: int, subsystem: Subsystem, now: datetime, *, is_silent: bool
    ) -> None:
        application = lock_application(self.session, application_id=application_id)
        answers = self.credit[application.customer_id].answers()
        operations.settle_inquiry(
            self.session,
            application_id=application_id,
            subsystem=subsystem.name,
            attempts=subsystem.attempts if is_silent else 1,
            values=None if is_silent else answers[subsystem.name],
            failure="TimeoutError" if is_silent else "",
            now=now + timedelta(seconds=1),
        )
