"""What the callback and the dialogue remember for a while, in Redis.

Nonces and pushes that were seen, the answers to them, and what the assistant waits for a person
to say. Keys hold hashes, values that could name a person are encrypted, and everything ends by
itself.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, cast

from redis import Redis

from kernel.crypto import FieldCipher, FieldNotReadable

ACCEPTED: Final = "success"

_NONCE_S: Final = 600
_PUSH_S: Final = 90
_AWAITING_S: Final = 600
_PREFIX: Final = "fenqi:bot"
_CONTEXT: Final = "bot.reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """How a push that was verified stands.

    Attributes:
        is_replay: The signed address was used for another message before.
        is_first: Nobody works or worked on this message yet; we do now.
        answer: What a finished first one answered, else `success`.
        awaiting: What the assistant asked of the sender last, or "".
    """

    is_replay: bool
    is_first: bool
    answer: str
    awaiting: str


class Memory:
    """Remembers in Redis.

    Args:
        redis: Shared by all processes.
        cipher: Encrypts stored answers.
    """

    def __init__(self, redis: "Redis", cipher: FieldCipher) -> None:
        self._redis = redis
        self._cipher = cipher

    def admit(self, *, timestamp: str, nonce: str, identity: str, openid: str) -> Admission:
        """Take a push if it is new; all processes agree on which one is.

        The signature covers the address and not always the body, so one signed address carries
        one message only; its repeats are welcome.
        """
        digest = _digest(identity)
        nonce_key, push_key = key_of("nonce", f"{timestamp}|{nonce}"), f"{_PREFIX}:push:{digest}"
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(nonce_key, digest, nx=True, ex=_NONCE_S)
        pipe.get(nonce_key)
        pipe.set(push_key, "", nx=True, ex=_PUSH_S)
        pipe.get(push_key)
        pipe.get(key_of("awaiting", openid))
        _, bound, is_new, answer, awaiting = pipe.execute()
        is_replay = bound is not None and bound.decode() != digest
        if is_replay and is_new:
            self._redis.delete(push_key)
        return Admission(
            is_replay=is_replay,
            is_first=bool(is_new),
            answer=self._opened(answer),
            awaiting=awaiting.decode() if awaiting else "",
        )

    def keep(self, identity: str, answer: str) -> None:
        """Store what repeats of a push get answered."""
        sealed = self._cipher.encrypt(answer, context=_CONTEXT)
        self._redis.set(f"{_PREFIX}:push:{_digest(identity)}", sealed, ex=_PUSH_S)

    def expect(self, openid: str, what: str, *, yields: bool = False) -> None:
        """Remember for ten minutes what a person was asked; one that yields leaves an older one."""
        self._redis.set(key_of("awaiting", openid), what, ex=_AWAITING_S, nx=yields)

    def forget(self, openid: str) -> None:
        """Wait for nothing any more."""
        self._redis.delete(key_of("awaiting", openid))

    def _opened(self, sealed: bytes | None) -> str:
        if not sealed:
            return ACCEPTED
        try:
            return self._cipher.decrypt(sealed.decode(), context=_CONTEXT)
        except FieldNotReadable:
            return ACCEPTED

    def attempts(self, scope: str, subject: str, *, within_s: int) -> int:
        """Count one more attempt of a subject, and return how many there are in the period."""
        key = key_of(scope, subject)
        pipe = self._redis.pipeline()
        pipe.set(key, 0, nx=True, ex=within_s)
        pipe.incr(key)
        return cast("int", pipe.execute()[1])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def key_of(kind: str, subject: str) -> str:
    """Name what is remembered about a subject, without naming the subject."""
    return f"{_PREFIX}:{kind}:{_digest(subject)}"
