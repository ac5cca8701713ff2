"""What partners let happen: kept, within limits, and each payment of theirs once.

What an act does to a loan is decided beside the act itself; who may do it, at the API's door.

    PartnerLimitExceeded  403  more than the partner may, at once or in a day
    ReceiptKnown          409  the reference stands for another act of the partner, or for a bank
                               transfer that our staff booked
    LimitRefused          422  no such act, or less in a day than at once
    LimitChanged          409  it is not any more what a raise was asked for from
"""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.database import insert_ignore
from kernel.errors import Conflict, Forbidden, Invalid
from servicing.ceilings import acts
from servicing.queries.partner_limits import LimitView, limit_of
from servicing.queries.receipts import (
    BANK_TRANSFER,
    REPAYMENT,
    is_standing,
    is_transfer_of_staff,
)
from servicing.tables import PartnerAct, PartnerDay, PartnerLimit


class PartnerLimitExceeded(Forbidden):
    """It is more than the partner may, at once or in a day; `limit_fen` says how much is left."""

    code = "partner-limit-exceeded"
    message_zh = "金额超过合作方限额"


class ReceiptKnown(Conflict):
    """The reference stands for another act of the partner, or a transfer that our staff booked."""

    code = "reference-known"
    message_zh = "该流水号已入账，请勿重复提交"


class LimitRefused(Invalid):
    """There is no such act, or less may happen in a day than at once."""

    code = "partner-limit-refused"
    message_zh = "限额设置不正确：单日限额不能小于单笔限额"


class LimitChanged(Conflict):
    """The limit was changed since somebody asked for it to be raised."""

    code = "partner-limit-changed"
    message_zh = "限额在申请之后已被调整，请重新申请"


def require_within_limit(
    session: Session, *, partner: str, act: str, amount_fen: int, on: date
) -> None:
    """Say whether an act would be within the partner's limits; nothing is counted.

    Raises:
        PartnerLimitExceeded: It would not.
    """
    _refuse_beyond(limit_of(session, partner=partner, act=act, on=on), amount_fen)


def count_against_limit(
    session: Session, *, partner: str, act: str, amount_fen: int, on: date
) -> None:
    """Count an act against the partner's day; parallel ones of the same kind wait for each other.

    Raises:
        PartnerLimitExceeded: It is beyond what the partner may; nothing is counted.
    """
    fresh = {"partner": partner, "act": act, "day": on, "used_fen": 0}
    insert_ignore(session, PartnerDay, [fresh], conflict=["partner", "act", "day"])
    row = session.scalars(
        select(PartnerDay)
        .where(PartnerDay.partner == partner, PartnerDay.act == act, PartnerDay.day == on)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    _refuse_beyond(limit_of(session, partner=partner, act=act, on=on), amount_fen)
    row.used_fen += amount_fen


def keep_act(
    session: Session,
    *,
    partner: str,
    act: str,
    loan_id: int,
    seq: int,
    amount_fen: int,
    now: datetime,
    channel: str | None = None,
    reference: str | None = None,
) -> None:
    """Keep what a partner let happen to a locked loan.

    Args:
        session: The write session of the act itself.
        partner: Who did it.
        act: What it was, by the name of its limit.
        loan_id: The loan.
        seq: The number of its event.
        amount_fen: By which it counted against the limit.
        now: The instant.
        channel: How money moved, where it did.
        reference: How the partner's books name it; free again once the event was reversed.

    Raises:
        ReceiptKnown: The reference stands for another act.
    """
    if reference is not None:
        _free(session, partner, reference)
        if (act, channel) == (REPAYMENT, BANK_TRANSFER):
            _refuse_booked(session, reference)
    session.add(
        PartnerAct(
            partner=partner,
            act=act,
            loan_id=loan_id,
            seq=seq,
            amount_fen=amount_fen,
            channel=channel,
            reference=reference,
            recorded_at=now,
        )
    )
    session.flush()


def raises_limit(
    session: Session, *, partner: str, act: str, each_fen: int, day_fen: int, on: date
) -> bool:
    """Say whether a partner might do more of an act than now, which one person may not decide.

    Raises:
        LimitRefused: See there.
    """
    _refuse_unfit(act, each_fen, day_fen)
    now = limit_of(session, partner=partner, act=act, on=on)
    return each_fen > now.each_fen or day_fen > now.day_fen


def set_limit(
    session: Session,
    *,
    partner: str,
    act: str,
    each_fen: int,
    day_fen: int,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    """Say how much of an act a partner may from now on; that two agree to a raise is the caller's.

    Raises:
        LimitRefused: See there.
    """
    _refuse_unfit(act, each_fen, day_fen)
    session.add(
        PartnerLimit(
            partner=partner,
            act=act,
            each_fen=each_fen,
            day_fen=day_fen,
            set_by=by,
            reason=reason,
            set_at=now,
        )
    )


def raise_limit(
    session: Session,
    *,
    partner: str,
    act: str,
    before: tuple[int, int],
    after: tuple[int, int],
    by: str,
    reason: str,
    now: datetime,
) -> None:
    """Raise a limit from what it was when that was asked for: at once and in a day, fen.

    Raises:
        LimitChanged, LimitRefused: Said above.
    """
    found = limit_of(session, partner=partner, act=act, on=business_date(now))
    if (found.each_fen, found.day_fen) != before:
        raise LimitChanged(f"{act} of {partner} is {found.each_fen}, {found.day_fen} fen by now")
    each_fen, day_fen = after
    set_limit(
        session,
        partner=partner,
        act=act,
        each_fen=each_fen,
        day_fen=day_fen,
        by=by,
        reason=reason,
        now=now,
    )


def _refuse_unfit(act: str, each_fen: int, day_fen: int) -> None:
    if act not in acts() or not 0 <= each_fen <= day_fen:
        raise LimitRefused(f"{act}: {each_fen} fen at once, {day_fen} fen in a day")


def _refuse_beyond(limit: LimitView, amount_fen: int) -> None:
    most_fen = min(limit.each_fen, limit.left_fen)
    if amount_fen > most_fen:
        raise PartnerLimitExceeded(
            f"{amount_fen} fen of {limit.act} are more than the partner may now",
            act=limit.act,
            limit_fen=most_fen,
        )


def _free(session: Session, partner: str, reference: str) -> None:
    """Take a reference from an act whose event does not stand any more."""
    known = session.scalar(
        select(PartnerAct).where(
            PartnerAct.partner == partner,
            PartnerAct.reference == reference,
            PartnerAct.is_void.is_(False),
        )
    )
    if known is None:
        return
    if is_standing(session, loan_id=known.loan_id, seq=known.seq):
        raise ReceiptKnown(f"reference {reference} stands for an earlier act")
    known.is_void = True
    session.flush()


def _refuse_booked(session: Session, reference: str) -> None:
    if is_transfer_of_staff(session, reference=reference):
        raise ReceiptKnown(f"the bank transfer {reference} was booked by the lender")
