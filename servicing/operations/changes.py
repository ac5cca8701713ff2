"""What staff may do to a running loan beside its plan: waive, reverse, charge.

Who may, and whether a second person must agree, is decided where the request comes in; what may
happen to the loan, in the engine.
"""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Unpack

from sqlalchemy import update
from sqlalchemy.orm import Session

from kernel import idempotency
from kernel.errors import Conflict, Invalid
from servicing.engine.events import (
    Charge,
    InstalmentFee,
    Reversal,
    Waiver,
)
from servicing.engine.parts import Component
from servicing.engine.replay import taken_back
from servicing.operations.classing import end_restructuring
from servicing.operations.posting import lock_loan, post_event
from servicing.operations.repayments import reversed_with
from servicing.operations.requests import Agreed, Asked, post_request
from servicing.operations.settlements import follow_loan, refuse_after_settlement
from servicing.queries.history import loan_as_of, loan_events, read_events
from servicing.tables import LoanFreeze

_FIRST_DRAW: Final = 1


class ReversalRefused(Invalid):
    """The disbursement cannot be reversed, nor what never happened or was taken back before."""

    code = "reversal-refused"
    message_zh = "这笔记录不能冲正：放款不能冲正，已冲正的不能再次冲正"


class WaiverTooLarge(Conflict):
    """No more is given up than is owed; the rest would swallow what comes to be owed later."""

    code = "waiver-too-large"
    message_zh = "减免金额超过该项目前所欠的金额，请减少金额或换一个减免项目"


class FeeRefused(Invalid):
    """A fee that is nothing, or would have been due before anybody knew of it."""

    code = "fee-refused"
    message_zh = "费用须大于 0，到期日不能早于今天"


def waiver(
    session: Session, *, loan_id: int, component: Component, amount_fen: int, on: date
) -> Waiver:
    """Return the event that gives up a part of what is owed, the oldest instalment first.

    Raises:
        WaiverTooLarge: So much of the component is not owed on that day.
    """
    owed_fen = loan_as_of(session, loan_id=loan_id, on=on).outstanding.of(component)
    if amount_fen > owed_fen:
        raise WaiverTooLarge(f"loan {loan_id} owes {owed_fen} fen of {component.value}")
    return Waiver(id="", on=on, component=component, amount_fen=amount_fen)


def waive(
    session: Session, *, component: Component, amount_fen: int, **asked: Unpack[Asked]
) -> int:
    """Give up a part of what is owed; errors of `waiver` and of requests."""
    loan_id, on = asked["loan_id"], asked["on"]
    return post_request(
        session,
        action="waive",
        details={"component": component.value, "amount_fen": amount_fen},
        rule=lambda: waiver(
            session, loan_id=loan_id, component=component, amount_fen=amount_fen, on=on
        ),
        is_priced=False,
        **asked,
    )


def reversal(session: Session, *, loan_id: int, seq: int, on: date) -> Reversal:
    """Return the event that takes another back.

    Raises:
        ReversalRefused: It is the first disbursement, or there is no such event, or not any more.
        SettlementStands: It is no money, and a settlement ended the loan since.
    """
    known = read_events(session, loan_id=loan_id)
    standing = {event.id for event in known} - taken_back(known)
    if seq == _FIRST_DRAW or str(seq) not in standing:
        raise ReversalRefused(f"event {seq} of loan {loan_id} cannot be reversed")
    refuse_after_settlement(session, loan_id=loan_id, event=known[seq - 1])
    return Reversal(id="", on=on, of=str(seq))


def reverse(
    session: Session, *, loan_id: int, seq: int, on: date, key: str, actor: str, now: datetime
) -> int:
    """Take back an event as if it had never happened, once a key; what came after is told anew.

    The entries that it made are booked back, and those that change are corrected. A freeze that it
    was is lifted, a restructuring is observed no more, and what the cap had booked with it and an
    offer that it came from follow.
    Returns the number of its reversal.

    Errors are those of `reversal`, and

    Raises:
        EventRefused: It cannot be taken back as the loan stands.
    """
    asked = {"loan_id": loan_id, "seq": seq}
    claimed = idempotency.claim(session, action="reverse", key=key, payload=asked, now=now)
    if claimed.answer is not None:
        return int(claimed.answer["seq"])
    lock_loan(session, loan_id=loan_id)
    event = reversal(session, loan_id=loan_id, seq=seq, on=on)
    made: dict[int, int] = {}
    for each in reversed_with(loan_events(session, loan_id=loan_id), seq):
        made[each] = post_event(
            session,
            loan_id=loan_id,
            event=replace(event, of=str(each)),
            key=key if each == seq else f"{key}/{each}",
            actor=actor,
            now=now,
        )
    session.execute(
        update(LoanFreeze)
        .where(
            LoanFreeze.loan_id == loan_id,
            LoanFreeze.event_seq == seq,
            LoanFreeze.lifted_at.is_(None),
        )
        .values(lifted_by=actor, lifted_at=now)
    )
    end_restructuring(session, loan_id=loan_id, event_seq=seq, by=actor, on=on, now=now)
    follow_loan(session, loan_id=loan_id, on=on, now=now)
    claimed.keep({"seq": made[seq]})
    return made[seq]


def charging(*, amount_fen: int, due_on: date, on: date, name: str = "", payee: str = "") -> Charge:
    """Return the event that is a fee which falls due on a day, for the lender or another.

    Raises:
        FeeRefused: It is nothing, or would have been due before anybody knew of it.
    """
    if amount_fen <= 0 or due_on < on:
        raise FeeRefused(f"no fee of {amount_fen} fen falls due on {due_on}")
    return Charge(id="", on=on, amount_fen=amount_fen, due_on=due_on, name=name, payee=payee)


def charge(
    session: Session,
    *,
    amount_fen: int,
    due_on: date,
    name: str = "",
    payee: str = "",
    asks_consent: bool = False,
    **asked: Unpack[Agreed],
) -> int:
    """Charge a fee that falls due on a day; returns the event's number.

    Arguments and errors are those of `charging` and of requests; `asks_consent` says whether the
    borrower must have confirmed its cost table, or a contract of theirs names it already.
    """
    details = {
        "amount_fen": amount_fen,
        "due_on": due_on.isoformat(),
        **({"name": name, "payee": payee} if name or payee else {}),
    }
    return post_request(
        session,
        action="charge",
        details=details,
        rule=lambda: charging(
            amount_fen=amount_fen, due_on=due_on, on=asked["on"], name=name, payee=payee
        ),
        asks_consent=asks_consent,
        **asked,
    )


def instalment_fee(
    *, name: str, payee: str, on: date, amount_fen: int = 0, share: Decimal = Decimal(0)
) -> InstalmentFee:
    """Return the event after which each instalment to come bears a fee.

    Args:
        name: What it is for, as the borrower reads it.
        payee: Who gets it; collected for somebody else, it is no income of ours.
        on: The business date.
        amount_fen: A fixed amount, or 0.
        share: Of principal and interest of the instalment, or 0.

    Raises:
        FeeRefused: It is nothing, or less.
    """
    if amount_fen < 0 or share < 0 or not (amount_fen or share):
        raise FeeRefused("a fee on instalments is an amount or a share")
    return InstalmentFee(id="", on=on, amount_fen=amount_fen, share=share, name=name, payee=payee)


def charge_instalments(
    session: Session,
    *,
    name: str,
    payee: str,
    amount_fen: int = 0,
    share: Decimal = Decimal(0),
    **asked: Unpack[Agreed],
) -> int:
    """Charge each instalment to come a fee whose cost table the borrower confirmed.

    Arguments and errors are those of `instalment_fee` and of requests; returns the event's number.
    """
    details = {"name": name, "payee": payee, "amount_fen": amount_fen, "share": str(share)}
    return post_request(
        session,
        action="charge-instalments",
        details=details,
        rule=lambda: instalment_fee(
            name=name, payee=payee, on=asked["on"], amount_fen=amount_fen, share=share
        ),
        asks_consent=True,
        **asked,
    )
