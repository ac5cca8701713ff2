"""The five-second rule: what is ready within three seconds is the reply, the rest follows later.

A push is worked on in a thread of a small pool. When its time is over, WeChat gets `success`, and
what the thread finds out goes through contact as a customer-service message. Both sides agree
under a lock who answers, so that nothing is said twice or not at all.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Final

from redis.exceptions import RedisError

import bot.answers  # noqa: F401 -- fills the table of handlers
from bot import dialogue, phrases, replies
from bot.dialogue import Reply
from bot.memory import ACCEPTED, Memory
from bot.messages import Message
from contact.operations import answer as answer_by_contact
from contact.ports import AddressKind, Channel
from contact.queries import customer_of
from kernel.errors import FenqiError
from kernel.logs import log
from kernel.runtime import Runtime

IN_TIME_S: Final = 3.0

_THREADS: Final = 16
_LATE_TEMPLATE: Final = "late_reply"
# WeChat lets us send five messages for one of the borrower's; we stay well below.
_MOST_PARTS: Final = 3


class _Slot:
    """Where the worker leaves its answer, as long as somebody waits for it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._answer: str | None = None
        self._is_over = False

    def leave(self, answer: str) -> bool:
        """Leave the answer; False if nobody waits any more."""
        with self._condition:
            if self._is_over:
                return False
            self._answer = answer
            self._condition.notify()
            return True

    def take(self, *, within_s: float) -> str | None:
        """Wait for the answer; None when the time is over, and then it is too late for good."""
        with self._condition:
            self._condition.wait_for(lambda: self._answer is not None, timeout=within_s)
            self._is_over = True
            return self._answer


@cache
def _pool() -> ThreadPoolExecutor:
    """Make the pool in the process that uses it, never before a fork."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="bot")


def answer_in_time(
    runtime: Runtime,
    memory: Memory,
    message: Message,
    *,
    awaiting: str,
    now: datetime,
    within_s: float = IN_TIME_S,
) -> str:
    """Return the rendered reply, or `success` when it will come later.

    Args:
        runtime: Handed to the handlers.
        memory: Keeps the answer for repeats of the push.
        message: What came.
        awaiting: What the assistant asked the sender last.
        now: The instant of the request.
        within_s: How long WeChat may wait.
    """
    slot = _Slot()
    _pool().submit(_work, runtime, memory, message, awaiting, now, slot)
    taken = slot.take(within_s=within_s)
    if taken is None:
        log.warning("reply is late")
    return ACCEPTED if taken is None else taken


def _work(
    runtime: Runtime, memory: Memory, message: Message, awaiting: str, now: datetime, slot: _Slot
) -> None:
    try:
        reply = _found(runtime, message, awaiting, now)
        first, *others = replies.split_text(reply.text)[:_MOST_PARTS] or [""]
        rendered = _rendered(reply, first, message, now)
        _remember(memory, message, reply, rendered, awaiting)
        if not slot.leave(rendered):
            _remember(memory, message, reply, ACCEPTED, awaiting)
            late = [phrases.HAND_OVER_LATE] if reply.hands_over else []
            _send(runtime, message, [*late, first, *others], now)
        else:
            _send(runtime, message, [first, *others] if reply.hands_over else others, now)
    except Exception as error:  # noqa: BLE001 -- nobody above sees what a thread raises
        log.error("reply failed", exc_info=error)
        slot.leave(ACCEPTED)


def _found(runtime: Runtime, message: Message, awaiting: str, now: datetime) -> Reply:
    try:
        return dialogue.answer(runtime, message, awaiting=awaiting, now=now)
    except FenqiError as error:
        log.info("reply is a refusal", error=error.code)
        return Reply(text=error.message_zh)
    except Exception as error:  # noqa: BLE001 -- the borrower hears of it, WeChat does not
        log.error("handler failed", exc_info=error)
        return Reply(text=phrases.BUSY)


def _rendered(reply: Reply, first: str, message: Message, now: datetime) -> str:
    created = int(now.timestamp())
    if reply.hands_over:
        return replies.render(replies.hand_over(), message=message, created=created)
    if not first:
        return ACCEPTED
    return replies.render(replies.text(first), message=message, created=created)


def _remember(memory: Memory, message: Message, reply: Reply, rendered: str, awaiting: str) -> None:
    """Keep the answer for repeats, and what is asked now; without Redis it is still given."""
    try:
        memory.keep(message.identity, rendered)
        if reply.awaits:
            memory.expect(message.openid, reply.awaits)
        elif awaiting:
            memory.forget(message.openid)
    except RedisError as error:
        log.error("reply not kept", error=type(error).__name__)


def _send(runtime: Runtime, message: Message, texts: list[str], now: datetime) -> None:
    """Leave texts to contact, which sends them whatever becomes of this process."""
    if not any(texts):
        return
    key = sha256(message.identity.encode()).hexdigest()[:32]
    with runtime.database.write() as session:
        customer_id = customer_of(
            session, channel_kind=AddressKind.WECHAT, address=message.openid, cipher=runtime.cipher
        )
        for number, text in enumerate(texts):
            if text:
                answer_by_contact(
                    session,
                    key=f"late:{key}:{number}",
                    channel=Channel.WECHAT_MESSAGE,
                    template=_LATE_TEMPLATE,
                    facts={"text": text},
                    customer_id=customer_id,
                    address=message.openid,
                    cipher=runtime.cipher,
                    now=now,
                )
