"""A key is used once: the first answer is kept and repeated, another payload is refused.

The row is written in the transaction of the work itself, so that either both stand or neither.
A parallel repeat waits on the unique key until the first commits, or is turned away by `alone`.
This module does not decide which keys callers choose.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redis import Redis
from redis.exceptions import LockError
from sqlalchemy import String, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.database import Base, insert_ignore
from kernel.errors import Conflict, Invalid

_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}")
_ALONE_S: Final = 60


class KeyReused(Conflict):
    """The key was used before, for something else."""

    code = "idempotency-key-reused"
    message_zh = "请勿重复提交不同的内容，请刷新页面后重试"


class KeyInProgress(Conflict):
    """The first request with this key is still at work."""

    code = "idempotency-key-in-progress"
    message_zh = "上一次相同的请求正在处理中，请稍后再试"
    retry_after_s = 1


class IdempotencyKeyMissing(Invalid):
    """The header Idempotency-Key is missing, or is not 1 to 128 printable ASCII signs."""

    code = "idempotency-key-missing"
    message_zh = "缺少幂等键，或幂等键格式有误"


def checked_key(key: str) -> str:
    """Return a caller's key if it can be used.

    Raises:
        IdempotencyKeyMissing: It cannot.
    """
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyMissing("Idempotency-Key must be 1 to 128 printable ASCII signs")
    return key


@contextmanager
def alone(redis: Redis, name: str) -> Iterator[None]:
    """Turn away whoever comes with the same name meanwhile, instead of letting them wait.

    A process that dies leaves the name taken for a minute at most; that a key is used once is the
    database's word, not this one's.

    Raises:
        KeyInProgress: Somebody is at work under the name.
    """
    lock = redis.lock(f"fenqi:in-progress:{name}", timeout=_ALONE_S)
    if not lock.acquire(blocking=False):
        raise KeyInProgress("the first request with this key is still at work")
    try:
        yield
    finally:
        with suppress(LockError):
            lock.release()


class IdempotencyKey(Base):
    """One use of one key."""

    __tablename__ = "idempotency_key"

    action: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    payload_hash: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any] | None]
    recorded_at: Mapped[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to do the work once, or the answer of the first time.

    Attributes:
        answer: The stored answer if the work is already done, else None.
    """

    session: Session
    action: str
    key: str
    answer: dict[str, Any] | None

    def keep(self, answer: dict[str, Any]) -> None:
        """Store the answer that repeats will get."""
        self.session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.action == self.action, IdempotencyKey.key == self.key)
            .values(answer=answer)
        )


def claim(
    session: Session, *, action: str, key: str, payload: Mapping[str, Any], now: datetime
) -> Claim:
    """Take a key, or find what its first use answered.

    Args:
        session: The write session of the work itself.
        action: What is done; keys of different actions do not meet.
        key: The caller's key, at most 128 signs.
        payload: What the key stands for, JSON-able.
        now: The instant of the request.

    Raises:
        KeyReused: The key stands for another payload.
    """
    payload_hash = _hash(payload)
    row = {
        "action": action,
        "key": key,
        "payload_hash": payload_hash,
        "answer": None,
        "recorded_at": now,
    }
    if insert_ignore(session, IdempotencyKey, [row], conflict=["action", "key"]):
        return Claim(session=session, action=action, key=key, answer=None)
    known = session.get_one(IdempotencyKey, (action, key))
    if known.payload_hash != payload_hash:
        raise KeyReused(f"key of {action} was used with another payload")
    return Claim(session=session, action=action, key=key, answer=known.answer or {})


def _hash(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
