"""What servicing answers to contact: who still owes, who must be left alone, who may get marketing.

Each answer is for a batch of customers and is read at the moment of sending, in the transaction
that reserves the quota. Whether a contact goes out is not decided here but at contact's gate.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import ColumnElement, Select, false, func, select, true
from sqlalchemy.orm import Session

from contact.ports import Debt, Hold, Purpose
from kernel.clock import start_of_day
from servicing import model
from servicing.queries.dues import held_loans, hold_in_force
from servicing.queries.products import products_in_force
from servicing.tables import Application, Consent, Customer, Instalment, Loan
from servicing.tables import Hold as HoldRow

MARKETING_CONSENT: Final = "marketing"

# A service reminder speaks of what is due within a week; strategies plan inside that window.
_SOON_DAYS: Final = 7


class DebtBook:
    """Implements contact.ports.StillDue."""

    def debts(
        self, session: Session, *, customer_ids: Sequence[int], purpose: Purpose, on: date
    ) -> Mapping[int, tuple[Debt, ...]]:
        """Return each customer's unpaid debts, a loan each, the oldest first.

        A collection counts what is overdue; a service reminder also what is due within a week; a
        statutory notice what is overdue or due today; nothing else is about debts. A loan on
        hold, such as a disputed one, is left out of the first two.
        """
        condition = _counts(purpose, on)
        first = func.min(Instalment.due_on)
        rows = session.execute(
            select(
                Loan.customer_id,
                Loan.loan_no,
                Loan.merchandise,
                func.sum(Instalment.open_fen),
                first,
            )
            .join(Instalment, Instalment.loan_id == Loan.id)
            .where(
                Loan.customer_id.in_(customer_ids),
                Loan.id.not_in(_held_loans(customer_ids, purpose, on)),
                Instalment.settled_on.is_(None),
                condition,
            )
            .group_by(Loan.id, Loan.customer_id, Loan.loan_no, Loan.merchandise)
            .order_by(first, Loan.id)
        )
        found: dict[int, list[Debt]] = defaultdict(list)
        for customer_id, loan_no, merchandise, amount_fen, due_on in rows:
            debt = Debt(
                ref=loan_no,
                label=merchandise,
                amount_fen=int(amount_fen),
                due_on=due_on,
                days_past_due=model.days_past_due(due_on, on),
            )
            found[customer_id].append(debt)
        return {customer_id: tuple(debts) for customer_id, debts in found.items()}


class HoldBook:
    """Implements contact.ports.Holds."""

    def held(
        self, session: Session, *, customer_ids: Sequence[int], at: datetime
    ) -> Mapping[int, tuple[Hold, ...]]:
        """Return the holds in force on each customer.

        A hold on one loan is not in the answer: it takes the loan out of the debts, and what the
        customer owes besides may still be spoken of.
        """
        found: dict[int, list[Hold]] = defaultdict(list)
        rows = session.scalars(
            select(HoldRow)
            .where(
                HoldRow.customer_id.in_(customer_ids), HoldRow.loan_id.is_(None), hold_in_force(at)
            )
            .order_by(HoldRow.id)
        )
        for row in rows:
            found[row.customer_id].append(Hold(reason=row.reason, scope=row.scope, until=row.until))
        return {customer_id: tuple(holds) for customer_id, holds in found.items()}


class StandingBook:
    """Implements contact.ports.Standing."""

    def opted_in(
        self, session: Session, *, customer_ids: Sequence[int], at: datetime
    ) -> frozenset[int]:
        """Return those whose last word on marketing, up to the instant, is yes."""
        last = (
            select(func.max(Consent.id))
            .where(
                Consent.customer_id.in_(customer_ids),
                Consent.purpose == MARKETING_CONSENT,
                Consent.at <= at,
            )
            .group_by(Consent.customer_id)
        )
        rows = session.scalars(
            select(Consent.customer_id).where(Consent.id.in_(last), ~Consent.is_withdrawal)
        )
        return frozenset(rows)

    def marketing_barred(
        self, session: Session, *, customer_ids: Sequence[int], on: date
    ) -> Mapping[int, str]:
        """Return why a customer may get no marketing: student, overdue or on hold."""
        day_end = start_of_day(on + timedelta(days=1))
        asked = Customer.id.in_(customer_ids)
        late = select(Loan.customer_id).join(Instalment, Instalment.loan_id == Loan.id)
        late = late.where(
            Loan.customer_id.in_(customer_ids),
            Instalment.settled_on.is_(None),
            Instalment.due_on < on,
        )
        held = select(HoldRow.customer_id).where(
            HoldRow.customer_id.in_(customer_ids),
            HoldRow.opened_at < day_end,
            hold_in_force(start_of_day(on)),
        )
        barred: dict[int, str] = {}
        for reason, condition in (
            ("on_hold", Customer.id.in_(held)),
            ("overdue", Customer.id.in_(late)),
            ("student", Customer.is_student),
        ):
            for customer_id in session.scalars(select(Customer.id).where(asked, condition)):
                barred[customer_id] = reason
        return barred


def _counts(purpose: Purpose, on: date) -> ColumnElement[bool]:
    if purpose is Purpose.COLLECTION:
        return Instalment.due_on < on
    if purpose is Purpose.STATUTORY_NOTICE:
        return Instalment.due_on <= on
    if purpose is Purpose.SERVICE_REMINDER:
        return Instalment.due_on <= on + timedelta(days=_SOON_DAYS)
    return false()


def _held_loans(customer_ids: Sequence[int], purpose: Purpose, on: date) -> Select[int | None]:
    """Select the loans of which a purpose may not speak; a notice that law asks for always may."""
    return held_loans(purpose=purpose, at=start_of_day(on)).where(
        HoldRow.customer_id.in_(customer_ids),
        false() if purpose is Purpose.STATUTORY_NOTICE else true(),
    )


class PriceBook:
    """Implements risk.ports.ProductPrices."""

    def ranges(self, session: Session, *, on: date) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Return the least and the most price a year of each product that is sold on a day."""
        sold = products_in_force(session, on=on)
        return {product.code: product.price_range for product in sold}


class ApplicationBook:
    """Implements risk.ports.Applications."""

    def decision_no(self, session: Session, *, application_no: str) -> str | None:
        """Return the number of an application's decision, None if there is none."""
        return session.scalar(
            select(Application.decision_no).where(Application.application_no == application_no)
        )
