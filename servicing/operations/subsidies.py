"""What merchants pay in their borrowers' place (贴息): collected from them, and given back.

What a merchant owes is what was recognised of its loans and not paid; a purchase that is undone
can make that less than nothing. Each payment is an event of every loan that it is for.

    SubsidyRefused  409  more than the merchant owes, or than it has to get back
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.errors import Conflict
from servicing.engine.events import SubsidyPayment
from servicing.operations.posting import lock_loan, post_event
from servicing.queries.subsidies import SubsidyView, subsidies_of


class SubsidyRefused(Conflict):
    """A merchant pays no more than it owes, and gets back no more than it paid too much."""

    code = "subsidy-refused"
    message_zh = "金额超过该商户的应付贴息，或超过应退给商户的金额"


def collect_subsidy(
    session: Session,
    *,
    merchant_name: str,
    amount_fen: int,
    on: date,
    key: str,
    actor: str,
    now: datetime,
) -> tuple[int, ...]:
    """Take in what a merchant paid, for its oldest loans first; returns the loans that it settled.

    Safe to repeat with the same key.

    Args:
        session: A write session.
        merchant_name: Who paid.
        amount_fen: How much; below 0, what was paid too much goes back to the merchant.
        on: The day on which the money moved.
        key: The caller's, one for each payment.
        actor: Who entered it.
        now: The instant.

    Raises:
        SubsidyRefused: As said above, or nothing.
        KeyReused: The key stands for another payment.
    """
    payload = {"merchant_name": merchant_name, "amount_fen": amount_fen, "on": on.isoformat()}
    claimed = idempotency.claim(
        session, action="collect-subsidy", key=key, payload=payload, now=now
    )
    if claimed.answer is not None:
        return tuple(claimed.answer["loans"])
    parts = _shared(_locked(session, merchant_name), amount_fen)
    for loan_id, fen in parts:
        post_event(
            session,
            loan_id=loan_id,
            event=SubsidyPayment(id="", on=on, amount_fen=fen),
            key=f"{key}/{loan_id}",
            actor=actor,
            now=now,
        )
    loans = [loan_id for loan_id, _ in parts]
    claimed.keep({"loans": loans})
    return tuple(loans)


def share_subsidy(
    session: Session, *, merchant_name: str, amount_fen: int
) -> list[tuple[SubsidyView, int]]:
    """Say which loans a payment would be for, and how much of it is each one's; nothing is written.

    Raises:
        SubsidyRefused: More than the merchant owes, or than it has to get back, or nothing.
    """
    owing = subsidies_of(session, merchant_name)
    by_id = {view.loan_id: view for view in owing}
    return [(by_id[loan_id], fen) for loan_id, fen in _shared(owing, amount_fen)]


def _locked(session: Session, merchant_name: str) -> Sequence[SubsidyView]:
    """Lock the merchant's loans with something open, in the order of their ids as everywhere."""
    for loan_id in sorted(view.loan_id for view in subsidies_of(session, merchant_name)):
        lock_loan(session, loan_id=loan_id)
    return subsidies_of(session, merchant_name)


def _shared(owing: Sequence[SubsidyView], amount_fen: int) -> list[tuple[int, int]]:
    """Share a payment out over loans that owe, or what goes back over those that are owed."""
    nearer = min if amount_fen > 0 else max
    left, parts = amount_fen, []
    for view in owing:
        if left and (view.open_fen > 0) == (amount_fen > 0) and view.open_fen:
            part = nearer(left, view.open_fen)
            parts.append((view.loan_id, part))
            left -= part
    if left or not parts:
        raise SubsidyRefused(f"{amount_fen} fen are not what is open; {left} are left")
    return parts
