"""The official account's access token: one in Redis for all processes, fetched under a lock.

Eight workers that start cold fetch one token between them. It does not know what a token is for.
"""

from collections.abc import Callable
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from contact.ports import ProviderNotReached

_LOCK_S: Final = 30
_WAIT_S: Final = 20
_RENEW_BEFORE_S: Final = 300
_SHORTEST_S: Final = 30
_DROP_IF_USED: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class TokenKeeper:
    """Keeps one token.

    Args:
        redis: Shared by all processes.
        app_id: Whose token it is.
        fetch: Gets a token and its life in seconds from the platform.
    """

    def __init__(self, redis: "Redis", app_id: str, fetch: Callable[[], tuple[str, int]]) -> None:
        self._redis = redis
        self._key = f"fenqi:wechat:token:{app_id}"
        self._fetch = fetch

    def token(self) -> str:
        """Return the stored token, or fetch one as the only process that does.

        Raises:
            ProviderNotReached: Redis does not answer, or another process holds the lock for long.
            WeChatError: The platform refuses to give a token.
        """
        try:
            return self._stored() or self._fetched()
        except RedisError as error:
            raise ProviderNotReached(f"no token: {type(error).__name__}") from error

    def drop(self, used: str) -> None:
        """Forget a token that was refused, unless another one took its place already."""
        try:
            self._redis.eval(_DROP_IF_USED, 1, self._key, used)
        except RedisError as error:
            raise ProviderNotReached(f"no token: {type(error).__name__}") from error

    def _stored(self) -> str | None:
        value = self._redis.get(self._key)
        return value.decode() if isinstance(value, bytes) else value  # type: ignore[return-value]

    def _fetched(self) -> str:
        lock = self._redis.lock(f"{self._key}:lock", timeout=_LOCK_S, blocking_timeout=_WAIT_S)
        with lock:
            stored = self._stored()
            if stored:
                return stored
            token, life_s = self._fetch()
            self._redis.set(self._key, token, ex=max(life_s - _RENEW_BEFORE_S, _SHORTEST_S))
            return token
