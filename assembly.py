"""Builds a process's runtime out of its settings, for the three composition roots.

It starts nothing: no thread, no server, no connection.
"""

from redis import Redis

from kernel.clock import Clock, MovableClock, SystemClock
from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.runtime import Runtime
from kernel.settings import Settings

_REDIS_TIMEOUT_S = 5


def build_cipher(settings: Settings) -> FieldCipher:
    """Make the cipher of personal fields."""
    return FieldCipher(
        settings.field_key_bytes(),
        current=settings.field_key_current,
        index_key=settings.index_key.encode(),
    )


def build_runtime(settings: Settings) -> Runtime:
    """Make a process's runtime; `redis_url` must be set by now."""
    database = Database(settings.database_url)
    clock: Clock = MovableClock(database) if settings.is_development else SystemClock()
    redis = Redis.from_url(
        settings.redis_url, socket_connect_timeout=_REDIS_TIMEOUT_S, health_check_interval=30
    )
    return Runtime(
        settings=settings,
        database=database,
        redis=redis,
        clock=clock,
        cipher=build_cipher(settings),
    )
