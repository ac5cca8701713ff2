"""What ends a loan today, by the very code that posts it, with the reason for each part."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from kernel.errors import Conflict
from servicing.engine.payments import EventRefused
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.queries.history import LoanNotFound, find_loan, read_events, terms_of
from servicing.queries.loans import LoanView
from servicing.queries.offers import OfferView, open_settlement
from servicing.settling import early_ending, planned_ending


class NoEarlySettlement(Conflict):
    """The product does not let a borrower settle before the last due date."""

    code = "no-early-settlement"
    message_zh = "该分期不支持提前结清，如有疑问请联系人工客服"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementQuote:
    """What ends a loan if it is paid on a day, fen; it holds for that day only.

    Attributes:
        due_fen: Overdue and due today.
        later_principal_fen: Principal that is not due yet.
        cost_fen: What the running period has cost up to the day, less what was paid of it, with
            charges that are not due yet.
        cost_from: When the running period began; None if there is none.
        fee_fen: What the product asks for settling early, as far as the cap lets it.
        credit_fen: What was taken off so that the loan costs no more than the cap.
        back_fen: What comes back to the borrower after it, where more than could be taken off is
            beyond the cap.
        saved_fen: What the plan would have asked for beyond the amount.
        offer: The offer by which so much less than everything settles it; None if there is none.
    """

    loan_id: int
    on: date
    amount_fen: int
    due_fen: int
    later_principal_fen: int
    cost_fen: int
    cost_from: date | None
    saved_fen: int
    fee_fen: int = 0
    credit_fen: int = 0
    back_fen: int = 0
    offer: OfferView | None = None

    @property
    def waived_fen(self) -> int:
        """What the offer takes off; 0 without one."""
        plain_fen = self.due_fen + self.later_principal_fen + self.cost_fen
        return plain_fen + self.fee_fen - self.credit_fen - self.amount_fen

    @property
    def cost_days(self) -> int:
        """For how many days the running period has cost something."""
        return 0 if self.cost_from is None else (self.on - self.cost_from).days


def settlement_quote(
    session: Session, *, loan_id: int, customer_id: int, on: date
) -> SettlementQuote:
    """Say what ends a customer's loan on a day; posting just that closes it.

    While a settlement is offered it is what is left of its sum, unless the whole debt is less.

    Raises:
        LoanNotFound: There is none, or it is another's.
        NoEarlySettlement: The product does not have it.
    """
    loan = find_loan(session, loan_id=loan_id)
    if loan.customer_id != customer_id:
        raise LoanNotFound(f"no loan {loan_id} of this customer")
    offer = open_settlement(session, loan_id=loan_id, on=on)
    if offer is None and not loan.settles_early:
        raise NoEarlySettlement(f"loan {loan_id} is paid as planned")
    terms, events = terms_of(loan), read_events(session, loan_id=loan_id)
    ends = early_ending(terms, events, on)
    state = replay(terms, events, on)
    later = (state.outstanding - state.due_now).principal_fen
    amount_fen = ends.total_fen if offer is None else min(offer.left_fen, ends.total_fen)
    return SettlementQuote(
        loan_id=loan_id,
        on=on,
        amount_fen=amount_fen,
        due_fen=state.due_now.total_fen,
        later_principal_fen=later,
        cost_fen=ends.plain_fen - state.due_now.total_fen - later,
        cost_from=_began(state),
        saved_fen=state.outstanding.total_fen - amount_fen,
        offer=offer,
        fee_fen=ends.fee_fen,
        credit_fen=ends.credit_fen,
        back_fen=max(0, ends.back_fen - (ends.total_fen - amount_fen)),
    )


def settlement_if_any(session: Session, *, loan: LoanView, on: date) -> SettlementQuote | None:
    """Say what ends a loan on a day; None where nothing is owed, or only as planned."""
    if not loan.remaining_fen:
        return None
    with suppress(NoEarlySettlement, EventRefused):
        return settlement_quote(session, loan_id=loan.id, customer_id=loan.customer_id, on=on)
    return None


def planned_credit_fen(session: Session, *, loan_id: int, on: date) -> int:
    """Say how much less than the rest of its plan ends a loan on a day, for the cap's sake, fen."""
    loan = find_loan(session, loan_id=loan_id)
    return planned_ending(terms_of(loan), read_events(session, loan_id=loan_id), on).credit_fen


def _began(state: LoanState) -> date | None:
    running = (row.from_on for row in state.rows if row.from_on < state.on < row.due_on)
    return next(running, None)
