"""The one way in which something happens to a loan: an event, with all that follows from it.

Lock the loan, replay it before and after, then write the event, the projection, the entries that
lead from one to the other, and the news, in one transaction. What may happen is the engine's
decision; who may ask for it is the caller's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, TypeGuard

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from kernel import idempotency, outbox
from kernel.clock import business_date
from kernel.errors import Conflict
from servicing.archive import event_to_json, kind_of
from servicing.bookkeeping import Change, Sides, Standing, changes
from servicing.chart import BANK, CASH, CLEARING, PARTNER_CLEARING
from servicing.engine.book import Kind
from servicing.engine.events import ChargeBack, Event, Payment, Prepayment
from servicing.engine.retelling import Retold
from servicing.engine.state import LoanState
from servicing.events import LoanChanged, RepaymentPosted
from servicing.model import PARTNER
from servicing.operations import lines
from servicing.operations.ageing import catch_up
from servicing.operations.ledger import NewEntry, Posting, post_entries
from servicing.operations.projection import keep_plan, keep_shares, project
from servicing.queries.history import (
    LoanEventView,
    LoanNotFound,
    loan_events,
    standings,
    terms_of,
    told,
)
from servicing.tables import Loan, LoanEvent

# Entries of money carry the key of the event itself, by which everybody knows a payment.
_KEYED = ("disbursement", "repayment", "prepayment")
# In the key of what is left of a payment after a part of it was taken off: no news to its payer.
REPOSTED: Final = "/rest/"
# Begins the key of money that came past WeChat Pay; its channel follows.
RECEIVED: Final = "received/"
_CHANNELS: Final = {f"{RECEIVED}bank-transfer/": BANK, f"{RECEIVED}cash-desk/": CASH}
_GIVEN_BACK = (Kind.INTEREST_REFUND, Kind.CHARGE_ADJUSTMENT)
_CHARGE_BACK: Final = "charge-back"


class PaymentTooLarge(Conflict):
    """More was to be posted than the loan still owes."""

    code = "payment-too-large"
    message_zh = "金额超过全部剩余应还，多出的部分不能入账"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why entries are made: by which event, under which key.

    Attributes:
        name: Unique in the loan's life, such as "e3".
        event_id: The event's own id.
        stands_at: In which account money of an event stands, by the event's id; all other waits
            for WeChat Pay's bill.
    """

    name: str
    on: date
    event_id: str
    key: str
    stands_at: Mapping[str, str]


def post_event(
    session: Session, *, loan_id: int, event: Event, key: str, actor: str, now: datetime
) -> int:
    """Let something happen to a loan; returns the event's number in its life.

    Safe to repeat with the same key.

    Args:
        session: A write session.
        loan_id: The loan; its row is locked.
        event: What happens, with its value date; its id is set here.
        key: The caller's, one for each intention.
        actor: Who did it, as the audit trail will name them.
        now: The instant of posting.

    Raises:
        EventRefused: The engine says that this cannot happen to the loan as it stands.
        PaymentTooLarge: Money beyond what is owed; nothing is posted.
        EventNotBookable: The book does not take events of this kind.
        KeyReused: The key stands for another event.
        LoanNotFound: There is no such loan.
    """
    kind = kind_of(event)
    payload = event_to_json(event)
    claimed = idempotency.claim(
        session, action=f"post-{kind}", key=key, payload={"loan_id": loan_id} | payload, now=now
    )
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    catch_up(session, loan_id=loan_id, now=now)
    loan = lock_loan(session, loan_id=loan_id)
    views = loan_events(session, loan_id=loan_id)
    seq = len(views) + 1
    event = replace(event, id=str(seq))
    terms, known = terms_of(loan), told(views)
    before, after, days = standings(terms, known, event, closed_to=loan.closed_to)
    refuse_excess(event, before.state, after.state)
    record_event(session, loan, event, key=key, actor=actor, now=now)
    cause = cause_of(event, key, _stands_at(views, event, key, actor))
    write_standing(
        session, loan, before, after, days=days, cause=cause, on=business_date(now), now=now
    )
    _follow_on_line(session, loan, before, after)
    outbox.record(session, _news(loan, event, after, key), now=now)
    claimed.keep({"seq": seq})
    return seq


def lock_loan(session: Session, *, loan_id: int) -> Loan:
    """Lock a loan for writing; every writer of a loan comes through here first.

    Raises:
        LoanNotFound: There is none.
    """
    loan = session.scalar(
        select(Loan)
        .where(Loan.id == loan_id)
        .with_for_update()
        .options(undefer(Loan.agreed))  # who locks a loan asks for its terms next
        .execution_options(populate_existing=True)
    )
    if loan is None:
        raise LoanNotFound(f"no loan {loan_id}")
    return loan


def record_event(
    session: Session, loan: Loan, event: Event, *, key: str, actor: str, now: datetime
) -> None:
    """Append an event to a locked loan's life."""
    session.add(
        LoanEvent(
            loan_id=loan.id,
            seq=int(event.id),
            kind=kind_of(event),
            value_date=event.on,
            payload=event_to_json(event),
            key=key,
            actor=actor,
            recorded_at=now,
        )
    )


def cause_of(event: Event, key: str, stands_at: Mapping[str, str]) -> Cause:
    """Name an event as the cause of entries; `stands_at` as in `Cause`."""
    return Cause(name=f"e{event.id}", on=event.on, event_id=event.id, key=key, stands_at=stands_at)


def _stands_at(
    views: Sequence[LoanEventView], event: Event, key: str, actor: str
) -> dict[str, str]:
    """Say where money of the loan's events stands, and that of the one that is posted.

    What a bank takes back leaves the account in which it came.
    """
    found = {str(view.seq): _account_of(view.key, view.actor) for view in views}
    found[event.id] = _account_of(key, actor)
    taken_back = {str(view.seq): view.payload["of"] for view in views if view.kind == _CHARGE_BACK}
    if isinstance(event, ChargeBack):
        taken_back[event.id] = event.of
    return found | {seq: found[of] for seq, of in taken_back.items()}


def _account_of(key: str, actor: str) -> str:
    """Say in which account the money of an event stands: by who collected it, and how."""
    if actor.startswith(PARTNER):
        return PARTNER_CLEARING
    received = (account for begins, account in _CHANNELS.items() if key.startswith(begins))
    return next(received, CLEARING)


def write_standing(
    session: Session,
    loan: Loan,
    before: Standing | None,
    after: Standing,
    *,
    days: Sequence[Retold] = (),
    cause: Cause,
    on: date,
    now: datetime,
) -> None:
    """Write what a locked loan has come to: instalments and state, plan version, entries.

    Args:
        session: The write session that holds the loan's lock.
        loan: The loan.
        before: How the books have it; None for a loan that is new.
        after: How they are to have it.
        days: How the two differ day by day, since the event counts.
        cause: Why.
        on: The business date whose lateness is kept.
        now: The instant at which it is recorded.
    """
    project(session, loan, after, on=on, now=now)
    state = None if before is None else before.state
    keep_plan(session, loan, state, after.state, seq=int(cause.event_id), now=now)
    keep_shares(session, loan, before, after)
    numbers = {row.due_on: row.n for row in reversed(after.state.rows)}
    entries = [
        NewEntry(
            kind=change.kind,
            key=cause.key
            if change.of == cause.event_id and change.kind in _KEYED
            else f"{loan.id}/{cause.name}/{index}",
            effective_on=change.on,
            postings=_postings(_by_channel(change, cause.stands_at), numbers),
        )
        for index, change in enumerate(changes(before, after, on=cause.on, days=days))
    ]
    post_entries(session, loan=loan, entries=entries, now=now)


def _by_channel(change: Change, stands_at: Mapping[str, str]) -> Sides:
    """Let only money that WeChat Pay has wait for its bill."""
    account = stands_at.get(change.of, CLEARING)
    if account == CLEARING:
        return change.sides
    return {
        side._replace(account=account) if side.account == CLEARING else side: fen
        for side, fen in change.sides.items()
    }


def _postings(sides: Sides, numbers: Mapping[date, int]) -> tuple[Posting, ...]:
    return tuple(
        Posting(
            account=side.account,
            amount_fen=fen,
            instalment_n=None if side.due_on is None else numbers.get(side.due_on),
            payee=side.payee,
        )
        for side, fen in sides.items()
    )


def refuse_excess(event: Event, before: LoanState, after: LoanState) -> None:
    """Only what we give back of what was paid may leave a loan overpaid.

    Raises:
        PaymentTooLarge: Money beyond what is owed.
    """
    excess = after.overpaid_fen - before.overpaid_fen
    if isinstance(event, Payment) and event.kind in _GIVEN_BACK:
        return
    if excess > 0 and isinstance(event, (Payment, Prepayment)):
        raise PaymentTooLarge(f"{excess} fen more than the loan owes")


def _follow_on_line(session: Session, loan: Loan, before: Standing, after: Standing) -> None:
    """Let a line use what its loan owes, and hold what may still be drawn of it."""
    if loan.line_id is None:
        return
    repaid = (before.state.outstanding - after.state.outstanding).principal_fen
    released = before.state.undrawn_fen - after.state.undrawn_fen
    if repaid or released:
        lines.restore(session, line_id=loan.line_id, principal_fen=repaid, undrawn_fen=released)


def is_paid_in(event: Event) -> TypeGuard[Payment | Prepayment]:
    """Say whether the borrower paid, so that they get a receipt; a credit is not a payment."""
    if isinstance(event, Payment):
        return event.kind is Kind.REPAYMENT
    return isinstance(event, Prepayment)


def _news(loan: Loan, event: Event, after: Standing, key: str) -> outbox.Event:
    if not is_paid_in(event) or REPOSTED in key:
        return LoanChanged(
            loan_id=loan.id, customer_id=loan.customer_id, kind=kind_of(event), seq=int(event.id)
        )
    return RepaymentPosted(
        loan_id=loan.id,
        customer_id=loan.customer_id,
        amount_fen=event.amount_fen,
        value_date=event.on,
        key=key,
        remaining_fen=after.state.outstanding.total_fen,
        is_settled=loan.state == "closed",
    )
