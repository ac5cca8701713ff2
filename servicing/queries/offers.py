"""Offers and freezes as they stand, and what is still to be paid of a settlement that was offered.

What may happen to an offer is decided in servicing.operations.offers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeGuard

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.errors import NotFound
from servicing.engine.book import Kind
from servicing.engine.events import ChargeBack, Event, Payment, Prepayment
from servicing.engine.replay import in_force
from servicing.offering import OPEN, OfferKind, OfferState, is_alive
from servicing.queries.history import read_events
from servicing.tables import LineChange, LoanFreeze, Offer


class OfferNotFound(NotFound):
    """There is no such offer, or it is another's."""

    code = "offer-not-found"
    message_zh = "没有找到该方案"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """An offer; amounts in fen.

    Attributes:
        details: What is offered, by kind: extra_terms, due_day, rate_annual, sum_fen, granted_fen,
            amount_fen.
        preview: What was shown when it was made, as `Preview.shown` writes it; a line's figures.
        cost_table: The table as it was and is shown; `cost_table_hash` names its version.
        paid_fen: What was paid towards a settlement.
        is_alive: It can still be taken, or paid.
        replaced_by_id: The offer that was made in its place.
        effects: What it did when it was fulfilled: numbers of the loan's events, of a line's
            changes.
    """

    id: int
    kind: str
    customer_id: int
    loan_id: int | None
    line_id: int | None
    details: Mapping[str, Any]
    preview: Mapping[str, Any]
    cost_table: Mapping[str, Any] | None
    cost_table_hash: str | None
    waived_fen: int
    paid_fen: int
    valid_until: date
    state: str
    is_alive: bool
    reason: str
    made_by: str
    made_at: datetime
    accepted_at: datetime | None
    fulfilled_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    declined_in: str | None
    decline_reason: str | None
    replaces_id: int | None
    replaced_by_id: int | None
    effects: Sequence[int]

    @property
    def is_open(self) -> bool:
        """Whether the customer has yet to say yes or no."""
        return self.is_alive and self.state == OfferState.OFFERED

    @property
    def left_fen(self) -> int:
        """What is still to be paid of a settlement."""
        return max(0, int(self.details.get("sum_fen", 0)) - self.paid_fen)

    @property
    def cost_before(self) -> Decimal | None:
        """What the loan cost a year before; None for a line."""
        return _share(self.preview.get("cost_before"))

    @property
    def cost_after(self) -> Decimal | None:
        """What it would cost afterwards."""
        return _share(self.preview.get("cost_after"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeView:
    """Days on which a loan bears no interest or no penalty, the first and last included."""

    id: int
    loan_id: int
    what: str
    first_on: date
    last_on: date | None
    reason: str
    event_seq: int
    opened_by: str
    opened_at: datetime
    lifted_by: str | None
    lifted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChangeView:
    """What somebody changed of a line; `can_undo` says that it is the last and still stands."""

    id: int
    line_id: int
    kind: str
    granted_before_fen: int
    granted_after_fen: int
    expires_before: date | None
    expires_after: date | None
    actor: str
    recorded_at: datetime
    can_undo: bool


def offers_of(session: Session, *, customer_id: int, on: date) -> tuple[OfferView, ...]:
    """List a customer's offers, the newest first."""
    rows = session.scalars(
        select(Offer).where(Offer.customer_id == customer_id).order_by(Offer.id.desc())
    )
    return tuple(_view(session, row, on) for row in rows)


def offer_of(session: Session, *, offer_id: int, customer_id: int, on: date) -> OfferView:
    """Return one offer of a customer.

    Raises:
        OfferNotFound: There is none, or it is another's.
    """
    row = session.get(Offer, offer_id)
    if row is None or row.customer_id != customer_id:
        raise OfferNotFound(f"no offer {offer_id} of this customer")
    return _view(session, row, on)


def open_settlement(session: Session, *, loan_id: int, on: date) -> OfferView | None:
    """Return the offer by which a sum would settle a loan on a day, or None."""
    row = session.scalar(
        select(Offer)
        .where(
            Offer.loan_id == loan_id,
            Offer.kind == OfferKind.SETTLEMENT,
            Offer.state.in_(OPEN),
            Offer.valid_until >= on,
        )
        .order_by(Offer.id.desc())
        .limit(1)
    )
    return None if row is None else _view(session, row, on)


def counted_payments(
    events: Sequence[Event], *, after_seq: int, valid_until: date
) -> list[Payment | Prepayment]:
    """Return what was paid after an event and by a day, and was not taken back since."""
    standing = in_force(events)
    gone = {event.of for event in standing if isinstance(event, ChargeBack)}
    return [
        event
        for event in standing
        if _is_money(event)
        and int(event.id) > after_seq
        and event.on <= valid_until
        and event.id not in gone
    ]


def freezes_of(session: Session, *, loan_ids: Sequence[int]) -> tuple[FreezeView, ...]:
    """List the freezes of loans, the newest first."""
    rows = session.scalars(
        select(LoanFreeze).where(LoanFreeze.loan_id.in_(loan_ids)).order_by(LoanFreeze.id.desc())
    )
    names = FreezeView.__slots__
    return tuple(FreezeView(**{name: getattr(row, name) for name in names}) for row in rows)


def line_changes(session: Session, *, line_id: int) -> tuple[LineChangeView, ...]:
    """List the changes of a line, the newest first."""
    rows = session.scalars(
        select(LineChange).where(LineChange.line_id == line_id).order_by(LineChange.id.desc())
    ).all()
    gone = {row.undoes_id for row in rows}
    standing = [
        row.id
        for row in rows
        if row.undoes_id is None and row.id not in gone and row.kind != "expire"
    ]
    names = [name for name in LineChangeView.__slots__ if name != "can_undo"]
    return tuple(
        LineChangeView(
            **{name: getattr(row, name) for name in names}, can_undo=row.id in standing[:1]
        )
        for row in rows
    )


def _view(session: Session, row: Offer, on: date) -> OfferView:
    apart = ("paid_fen", "is_alive", "replaced_by_id")
    return OfferView(
        **{name: getattr(row, name) for name in OfferView.__slots__ if name not in apart},
        paid_fen=_paid_fen(session, row),
        is_alive=is_alive(row.state, row.valid_until, on),
        replaced_by_id=session.scalar(select(Offer.id).where(Offer.replaces_id == row.id)),
    )


def _paid_fen(session: Session, row: Offer) -> int:
    if row.kind != OfferKind.SETTLEMENT or row.loan_id is None:
        return 0
    events = read_events(session, loan_id=row.loan_id)
    paid = counted_payments(events, after_seq=row.after_seq, valid_until=row.valid_until)
    return sum(event.amount_fen for event in paid)


def _is_money(event: Event) -> TypeGuard[Payment | Prepayment]:
    if isinstance(event, Payment):
        return event.kind is Kind.REPAYMENT
    return isinstance(event, Prepayment)


def _share(written: str | None) -> Decimal | None:
    return None if written is None else Decimal(written)
