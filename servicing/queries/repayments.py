"""What came in on a loan, what each payment settled, and what of it stands.

It is replayed, as all figures of a loan are: a payment that became known late, or was reversed,
changes what those after it settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from servicing.engine.book import Kind, Record
from servicing.queries.history import (
    LoanEventView,
    find_loan,
    loan_events,
    standing,
    terms_of,
    told,
)

PAID: Final = frozenset({Kind.REPAYMENT, Kind.PREPAYMENT, Kind.RECOVERY})
_CREDITED: Final = frozenset(
    {
        Kind.GOODWILL_CREDIT,
        Kind.MERCHANT_REFUND,
        Kind.PAYOUT_REFUND,
        Kind.INTEREST_REFUND,
        Kind.CHARGE_ADJUSTMENT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepaymentView:
    """One payment or credit and what it settled; amounts in fen.

    Attributes:
        seq: The number of its event.
        kind: What it is: a repayment, a refund by the merchant …
        excess_fen: What of it the loan did not owe.
        reversed_on: From when it counts no more; the figures are those before that.
        taken_back_fen: What the payer's bank took back of it, which is owed again.
    """

    seq: int
    key: str
    kind: str
    value_date: date
    recorded_at: datetime
    amount_fen: int
    principal_fen: int
    interest_fen: int
    fee_fen: int
    penalty_fen: int
    excess_fen: int
    instalments: tuple[int, ...]
    reversed_on: date | None
    taken_back_fen: int

    @property
    def stands(self) -> bool:
        """Whether it counts."""
        return self.reversed_on is None


def repayments_of(session: Session, *, loan_id: int) -> tuple[RepaymentView, ...]:
    """List what was paid and credited on a loan, the newest first, what was reversed among it.

    Raises:
        LoanNotFound: There is none.
    """
    loan = find_loan(session, loan_id=loan_id)
    views = loan_events(session, loan_id=loan_id)
    state = standing(terms_of(loan), told(views), closed_to=loan.closed_to).state
    numbers = {row.due_on: row.n for row in reversed(state.rows)}
    events = {str(view.seq): view for view in views}
    gone = {str(view.payload["of"]): view for view in views if view.kind == "reversal"}
    taken_back = _taken_back(views, gone)
    found = [
        _repayment(record, events[record.event_id], numbers, gone, taken_back)
        for record in state.records
        if record.kind in PAID | _CREDITED
    ]
    return tuple(sorted(found, key=lambda one: (one.value_date, one.seq), reverse=True))


def is_reversed(session: Session, *, loan_id: int, key: str) -> bool:
    """Say whether a payment counts no more."""
    views = loan_events(session, loan_id=loan_id)
    seqs = {str(view.seq) for view in views if view.key == key}
    return any(view.kind == "reversal" and str(view.payload["of"]) in seqs for view in views)


def _repayment(
    record: Record,
    event: LoanEventView,
    numbers: Mapping[date, int],
    gone: Mapping[str, LoanEventView],
    taken_back: Mapping[str, int],
) -> RepaymentView:
    settled = {numbers.get(each.due_on) for each in record.allocations if each.parts.total_fen}
    reversal = gone.get(record.event_id) if record.is_reversed else None
    return RepaymentView(
        seq=event.seq,
        key=event.key,
        kind=record.kind.value,
        value_date=record.on,
        recorded_at=event.recorded_at,
        amount_fen=record.amount_fen,
        principal_fen=record.parts.principal_fen,
        interest_fen=record.parts.interest_fen,
        fee_fen=record.parts.fee_fen,
        penalty_fen=record.parts.penalty_fen,
        excess_fen=record.overpaid_fen,
        instalments=tuple(sorted(n for n in settled if n is not None)),
        reversed_on=None if reversal is None else reversal.value_date,
        taken_back_fen=taken_back.get(record.event_id, 0),
    )


def _taken_back(
    views: tuple[LoanEventView, ...], gone: Mapping[str, LoanEventView]
) -> Mapping[str, int]:
    """Sum what banks took back of payments, by the number of the payment's event."""
    found: dict[str, int] = {}
    for view in views:
        if view.kind == "charge-back" and str(view.seq) not in gone:
            of = str(view.payload["of"])
            found[of] = found.get(of, 0) + view.payload["amount_fen"]
    return found
