"""Keys by which programs of others call us: made once, kept as a hash, checked at every request.

A key is 256 random bits, so its plain sha256 gives nothing away. What a scope allows is said by
the area that asks for it.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.clock import Clock
from kernel.database import Base, BigId, Database
from kernel.errors import Forbidden, NotFound, Unauthorized

_PREFIX: Final = "fq_"
_BEARER: Final = "Bearer "
_TRUSTED_S: Final = 5.0
_KNOWN_AT_MOST: Final = 1_000
_USE_NOTED_EACH: Final = timedelta(minutes=1)


class ApiKeyRefused(Unauthorized):
    """The request carries no API key, or one that is unknown or revoked."""

    code = "api-key-refused"
    message_zh = "接口密钥缺失、无效或已停用"


class ApiKeyLacksScope(Forbidden):
    """The API key is good, but not for this."""

    code = "api-key-lacks-scope"
    message_zh = "该接口密钥没有此项权限"


class ApiKeyNotFound(NotFound):
    """There is no API key of that number."""

    code = "api-key-not-found"
    message_zh = "没有找到该接口密钥"


class ApiKeyRow(Base):
    """One key; never deleted, only revoked."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose key it is."""

    id: int
    name: str
    scopes: frozenset[str]


def create_api_key(
    session: Session, *, name: str, scopes: Sequence[str], now: datetime
) -> tuple[int, str]:
    """Make a key.

    Returns:
        Its number, and the key itself, which is shown this once.
    """
    key = _PREFIX + secrets.token_urlsafe(32)
    row = ApiKeyRow(name=name, key_hash=_hash(key), scopes=sorted(set(scopes)), created_at=now)
    session.add(row)
    session.flush()
    return row.id, key


def revoke_api_key(session: Session, *, key_id: int, now: datetime) -> None:
    """Stop a key; processes notice within seconds. Safe to repeat.

    Raises:
        ApiKeyNotFound: No such key.
    """
    row = session.get(ApiKeyRow, key_id)
    if row is None:
        raise ApiKeyNotFound(f"no API key {key_id}")
    row.revoked_at = row.revoked_at or now


class ApiKeys:
    """Checks the keys of requests, asking the database once in five seconds for each."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[Caller | None, float]] = {}

    def caller(self, authorization: str, *, scope: str) -> Caller:
        """Say who calls, by the header `Authorization: Bearer <key>`.

        Raises:
            ApiKeyRefused: There is no key, or it is unknown or revoked.
            ApiKeyLacksScope: It is good, but not for `scope`.
        """
        known, until = self._known.get(authorization, (None, 0.0))
        if until <= time.monotonic():
            known = self._remembered(authorization)
        if known is None:
            raise ApiKeyRefused("the request carries no good API key")
        if scope not in known.scopes:
            raise ApiKeyLacksScope(f"the API key does not have the scope {scope}")
        return known

    def _remembered(self, authorization: str) -> Caller | None:
        if not authorization.startswith(_BEARER + _PREFIX):
            return None
        found = self._looked_up(_hash(authorization.removeprefix(_BEARER)))
        if len(self._known) >= _KNOWN_AT_MOST:
            self._known = {}
        self._known[authorization] = (found, time.monotonic() + _TRUSTED_S)
        return found

    def _looked_up(self, key_hash: str) -> Caller | None:
        with self._database.read() as session:
            row = session.scalar(
                select(ApiKeyRow).where(
                    ApiKeyRow.key_hash == key_hash, ApiKeyRow.revoked_at.is_(None)
                )
            )
        if row is None:
            return None
        now = self._clock.now()
        if row.last_used_at is None or now - row.last_used_at > _USE_NOTED_EACH:
            with self._database.write() as session:
                session.execute(
                    update(ApiKeyRow).where(ApiKeyRow.id == row.id).values(last_used_at=now)
                )
        return Caller(id=row.id, name=row.name, scopes=frozenset(row.scopes))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
