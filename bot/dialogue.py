"""Which small handler answers a message: a table of events, menu keys and intents.

A handler gets what was asked and returns a reply; it reads or writes through servicing and
contact in the session that was opened for it. Sending the reply is bot.views' task, what is said
is in bot.phrases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from bot.messages import Message
from bot.understanding import Intent, normalise, understand
from contact.ports import AddressKind
from contact.queries import customer_of
from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.runtime import Runtime

# Menu keys and choices of menu messages; an intent's own name is a key too.
MENU_KEYS = {intent.value: intent for intent in Intent}

# What news of a decision leaves open for ten minutes: a bare 为什么 asks about it.
DECISION = "decision"

# What a person sends; the rest comes from the platform, or from a time after ours.
_TALK = ("text", "image", "voice", "video", "shortvideo", "location", "link", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks what, and with what the answer is found.

    Attributes:
        text: What was written or spoken, "" for other messages.
        customer_id: The customer to whom the sender is bound, or None.
        awaiting: What the assistant asked the sender last, or "".
        base_url: Our public address, no trailing slash.
    """

    session: Session
    cipher: FieldCipher
    message: Message
    text: str
    customer_id: int | None
    awaiting: str
    base_url: str
    now: datetime
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer; an empty one answers nothing.

    Attributes:
        hands_over: Pass the talk to a person; the text, if any, follows as a message of its own.
        awaits: What the assistant now waits for, or "".
    """

    text: str = ""
    hands_over: bool = False
    awaits: str = ""


Handler = Callable[[Asked], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A handler, and whether it needs a session that may write."""

    handle: Handler
    writes: bool


_intents: dict[Intent, Route] = {}
_events: dict[str, Route] = {}
_follow_ups: dict[tuple[str, str], Route] = {}


def answers(*intents: Intent, writes: bool = False) -> Callable[[Handler], Handler]:
    """Declare the handler of intents."""

    def register(handler: Handler) -> Handler:
        _intents.update(dict.fromkeys(intents, Route(handle=handler, writes=writes)))
        return handler

    return register


def on_event(*events: str, writes: bool = False) -> Callable[[Handler], Handler]:
    """Declare the handler of events, named in lower case."""

    def register(handler: Handler) -> Handler:
        _events.update(dict.fromkeys(events, Route(handle=handler, writes=writes)))
        return handler

    return register


def follows(awaiting: str, *words: str, writes: bool = False) -> Callable[[Handler], Handler]:
    """Declare the handler of words that answer a question which the assistant asked.

    Other words than these are heard as if nothing had been asked.
    """

    def register(handler: Handler) -> Handler:
        route = Route(handle=handler, writes=writes)
        _follow_ups.update({(awaiting, word): route for word in words})
        return handler

    return register


def route_of(message: Message, text: str, awaiting: str) -> Route | None:
    """Find the handler of a message; None for what asks for nothing."""
    if message.kind == "event":
        if message.event == "click":
            return _intents[MENU_KEYS.get(message.text("EventKey"), Intent.MENU)]
        return _events.get(message.event)
    if text:
        chosen = MENU_KEYS.get(message.text("bizmsgmenuid"))
        follow_up = _follow_ups.get((awaiting, normalise(text)))
        return follow_up or _intents[chosen or understand(text).intent]
    return _intents[Intent.UNKNOWN] if message.kind in _TALK else None


def text_of(message: Message) -> str:
    """Return what was written, or what WeChat heard."""
    if message.kind == "text":
        return message.text("Content")
    return message.text("Recognition") if message.kind == "voice" else ""


def answer(runtime: Runtime, message: Message, *, awaiting: str, now: datetime) -> Reply:
    """Answer a message or event.

    Args:
        runtime: Database, cipher and settings.
        message: What came, verified and new.
        awaiting: What the assistant asked the sender last, or "".
        now: The instant of the request.

    Raises:
        FenqiError: As the operations behind the handlers do.
    """
    text = text_of(message)
    route = route_of(message, text, awaiting)
    if route is None:
        return Reply()
    door = runtime.database.write if route.writes else runtime.database.peek
    with door() as session:
        customer_id = customer_of(
            session,
            channel_kind=AddressKind.WECHAT,
            address=message.openid,
            cipher=runtime.cipher,
        )
        asked = Asked(
            session=session,
            cipher=runtime.cipher,
            message=message,
            text=text,
            customer_id=customer_id,
            awaiting=awaiting,
            base_url=runtime.settings.public_base_url,
            now=now,
            on=business_date(now),
        )
        return route.handle(asked)
