"""From a message to an answer: one small handler for each intent and event.

Handlers read through servicing's queries and return a reply; sending it is bot.views' task.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from bot import phrases
from bot.model import Message
from bot.understanding import Intent, understand
from contact.operations import retire_address
from contact.ports import AddressKind
from contact.queries import customer_of
from kernel.crypto import FieldCipher
from servicing import queries
from servicing.queries import LoanView

MENU_KEYS = {
    "progress": Intent.PROGRESS,
    "next_due": Intent.NEXT_DUE,
    "repay": Intent.REPAY,
    "why_amount": Intent.WHY_AMOUNT,
    "human": Intent.HUMAN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks, and with what the answer is found.

    Attributes:
        customer_id: The customer to whom the sender is bound, or None.
        base_url: Our public address, no trailing slash.
    """

    session: Session
    cipher: FieldCipher
    message: Message
    customer_id: int | None
    base_url: str
    now: datetime
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer; `hands_over` passes the talk to a person."""

    text: str = ""
    hands_over: bool = False


_Handler = Callable[[Asked], Reply]
_handlers: dict[Intent, _Handler] = {}


def _answers(*intents: Intent) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        _handlers.update(dict.fromkeys(intents, handler))
        return handler

    return register


def writes(message: Message) -> bool:
    """Whether answering this message changes anything."""
    return _intent_of(message) is Intent.UNBIND


def answer(
    session: Session,
    cipher: FieldCipher,
    *,
    message: Message,
    base_url: str,
    now: datetime,
    on: date,
) -> Reply:
    """Answer a message or event; an event that asks for nothing gets an empty reply."""
    intent = _intent_of(message)
    if intent is None:
        return Reply()
    asked = Asked(
        session=session,
        cipher=cipher,
        message=message,
        customer_id=customer_of(
            session,
            channel_kind=AddressKind.WECHAT,
            address=message.openid,
            cipher=cipher,
        ),
        base_url=base_url,
        now=now,
        on=on,
    )
    return _handlers[intent](asked)


def _intent_of(message: Message) -> Intent | None:
    if message.kind == "event":
        if message.event in ("subscribe", "scan"):
            return Intent.GREETING
        if message.event == "click":
            return MENU_KEYS.get(message.fields.get("EventKey", ""), Intent.MENU)
        return None
    if message.kind == "text":
        return understand(message.fields.get("Content", "")).intent
    if message.kind == "voice" and message.fields.get("Recognition"):
        return understand(message.fields["Recognition"]).intent
    return Intent.UNKNOWN


def _open_loans(asked: Asked, customer_id: int) -> tuple[LoanView, ...]:
    loans = queries.loans_of(asked.session, customer_id=customer_id, on=asked.on)
    return tuple(loan for loan in loans if loan.remaining_fen)


def _about_loans(tell: Callable[[Asked, int, tuple[LoanView, ...]], str]) -> _Handler:
    """Make a handler of something that is told about a bound customer's open loans."""

    def handle(asked: Asked) -> Reply:
        if asked.customer_id is None:
            return Reply(text=phrases.BIND_FIRST)
        loans = _open_loans(asked, asked.customer_id)
        if loans:
            return Reply(text=tell(asked, asked.customer_id, loans))
        has_history = queries.loans_of(asked.session, customer_id=asked.customer_id, on=asked.on)
        return Reply(text=phrases.ALL_SETTLED if has_history else phrases.NO_LOANS)

    return handle


@_answers(Intent.PROGRESS)
@_about_loans
def _progress(asked: Asked, customer_id: int, loans: tuple[LoanView, ...]) -> str:
    customer = queries.customer_view(asked.session, asked.cipher, customer_id=customer_id)
    return phrases.progress(customer.name, loans)


@_answers(Intent.NEXT_DUE)
@_about_loans
def _next_due(_asked: Asked, _customer_id: int, loans: tuple[LoanView, ...]) -> str:
    return phrases.next_due(loans)


@_answers(Intent.WHY_AMOUNT, Intent.REPAY)
@_about_loans
def _why_amount(asked: Asked, _customer_id: int, loans: tuple[LoanView, ...]) -> str:
    lines = []
    for loan in loans:
        lines.append(phrases.why_amount(loan, queries.repayment_quote(loan, on=asked.on)))
        lines.append(phrases.repay_link(loan, asked.base_url))
    return "\n".join(lines)


@_answers(Intent.GREETING)
def _greeting(_asked: Asked) -> Reply:
    return Reply(text=phrases.WELCOME)


@_answers(Intent.MENU)
def _menu(_asked: Asked) -> Reply:
    return Reply(text=phrases.MENU)


@_answers(Intent.HUMAN, Intent.COMPLAINT)
def _human(_asked: Asked) -> Reply:
    return Reply(hands_over=True)


@_answers(Intent.BIND)
def _bind(_asked: Asked) -> Reply:
    return Reply(text=phrases.BIND_FIRST)


@_answers(Intent.UNBIND)
def _unbind(asked: Asked) -> Reply:
    if asked.customer_id is None:
        return Reply(text=phrases.NOT_BOUND)
    retire_address(
        asked.session,
        customer_id=asked.customer_id,
        channel_kind=AddressKind.WECHAT,
        reason="unbound",
        now=asked.now,
    )
    return Reply(text=phrases.UNBOUND)


@_answers(Intent.UNKNOWN)
def _unknown(asked: Asked) -> Reply:
    is_text = asked.message.kind in ("text", "voice")
    return Reply(text=phrases.FALLBACK if is_text else phrases.UNREADABLE)
