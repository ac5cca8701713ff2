"""What may be offered, what becomes of an offer, and the words by which it is accepted.

    offered ── accept ──> accepted ── fulfil ──> fulfilled ── undo ──> withdrawn
       ├── lapse, withdraw ──┴──> lapsed, withdrawn        └─ unfulfil ─> accepted
       └── decline, replace ──> declined, replaced

What an offer does to a loan or a line is not decided here. Pure: no database, no clock.
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from kernel.errors import Conflict


class OfferKind(StrEnum):
    """What is offered.

    Attributes:
        EXTENSION: 展期, what is not due yet over more instalments.
        DUE_DAY: 变更还款日, another day of the month.
        RETENTION: A lower rate from now on.
        SETTLEMENT: 减免结清, a sum that settles the loan if it is paid by a day.
        LINE_RAISE: 提额, more to draw.
        NEXT_PART: 分次放款, a further part of a loan that is drawn bit by bit.
    """

    EXTENSION = "extension"
    DUE_DAY = "due-day"
    RETENTION = "retention"
    SETTLEMENT = "settlement"
    LINE_RAISE = "line-raise"
    NEXT_PART = "next-part"


class OfferState(StrEnum):
    """Where an offer stands.

    Attributes:
        DECLINED: The customer does not want it, and is not asked for the same again.
        REPLACED: It would not do any more what it showed; another one of the same kind says what it
            does now.
    """

    OFFERED = "offered"
    ACCEPTED = "accepted"
    FULFILLED = "fulfilled"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    REPLACED = "replaced"


class OfferEvent(StrEnum):
    """What can happen to an offer.

    Attributes:
        FULFIL: What was promised was done; of a settlement, the sum is here. Money that was paid in
            time and became known late fulfils an offer that had lapsed.
        UNFULFIL: The money was taken back.
    """

    ACCEPT = "accept"
    FULFIL = "fulfil"
    UNFULFIL = "unfulfil"
    LAPSE = "lapse"
    WITHDRAW = "withdraw"
    UNDO = "undo"
    DECLINE = "decline"
    REPLACE = "replace"


class OfferStateRefused(Conflict):
    """This cannot happen to the offer any more."""

    code = "offer-state-refused"
    message_zh = "该方案已处理、已失效或已撤回"


OPEN: Final = (OfferState.OFFERED, OfferState.ACCEPTED)
# What is over for good: nothing that happens to the loan brings it back.
GONE: Final = (OfferState.WITHDRAWN, OfferState.DECLINED, OfferState.REPLACED)
# For so long nobody is asked again for what they declined.
LEFT_ALONE: Final = timedelta(days=90)

# Words that a customer agrees to, by kind; the consent keeps their hash.
_CONSENTS: Final = {
    OfferKind.EXTENSION: "我已阅读展期后的还款计划和综合融资成本，同意按新的计划还款。",
    OfferKind.DUE_DAY: "我已阅读变更后的还款计划和间隔期利息，同意按新的还款日还款。",
    OfferKind.RETENTION: "我已阅读调整后的年利率和还款计划，同意按新的计划还款。",
    OfferKind.SETTLEMENT: (
        "我同意在约定日期前还清约定金额以结清本笔分期；到期未还清的，减免自动失效。"
    ),
    OfferKind.LINE_RAISE: "我同意将可用额度提高到上述金额；提额不产生费用，是否使用由我决定。",
    OfferKind.NEXT_PART: (
        "我已阅读本次放款金额、放款后的还款计划和综合融资成本，同意放款并按新的计划还款。"
    ),
}

_MOVES: Final = {
    (OfferState.OFFERED, OfferEvent.ACCEPT): OfferState.ACCEPTED,
    (OfferState.OFFERED, OfferEvent.LAPSE): OfferState.LAPSED,
    (OfferState.OFFERED, OfferEvent.WITHDRAW): OfferState.WITHDRAWN,
    (OfferState.OFFERED, OfferEvent.DECLINE): OfferState.DECLINED,
    (OfferState.OFFERED, OfferEvent.REPLACE): OfferState.REPLACED,
    (OfferState.ACCEPTED, OfferEvent.FULFIL): OfferState.FULFILLED,
    (OfferState.ACCEPTED, OfferEvent.LAPSE): OfferState.LAPSED,
    (OfferState.ACCEPTED, OfferEvent.WITHDRAW): OfferState.WITHDRAWN,
    (OfferState.LAPSED, OfferEvent.FULFIL): OfferState.FULFILLED,
    (OfferState.FULFILLED, OfferEvent.UNFULFIL): OfferState.ACCEPTED,
    (OfferState.FULFILLED, OfferEvent.UNDO): OfferState.WITHDRAWN,
}


def next_offer_state(state: str, event: OfferEvent) -> OfferState:
    """Say what an offer becomes.

    Raises:
        OfferStateRefused: The event does not happen in that state.
    """
    try:
        return _MOVES[OfferState(state), event]
    except KeyError:
        raise OfferStateRefused(f"{event} does not happen to an offer that is {state}") from None


def consent_text(kind: str) -> str:
    """Return what the customer agrees to by accepting."""
    return _CONSENTS[OfferKind(kind)]


def consent_purpose(kind: str) -> str:
    """Return under which purpose the consent is kept."""
    return f"offer.{kind}"


def is_alive(state: str, valid_until: date, on: date) -> bool:
    """Say whether an offer can still be taken, or paid, on a day."""
    return state in OPEN and on <= valid_until
