"""Keys by which programs of others call us: made once, kept as a hash, checked at every request.

A key is 256 random bits, so its plain sha256 gives nothing away. It is used as it is, or exchanged
for a token that lives for minutes and can do less (OAuth 2.0 client credentials, RFC 6749 4.4).
What a scope allows, and what a partner may see, is said by the area that asks.
"""

import hashlib
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.clock import Clock
from kernel.database import Base, BigId, Database
from kernel.errors import Forbidden, Invalid, NotFound, Unauthorized
from kernel.tokens import Tokens

PARTNER_SIGNS: Final = 24
RATE_PER_MINUTE: Final = 600
TOKEN_LIFETIME: Final = timedelta(minutes=15)

_PREFIX: Final = "fq_"
_BEARER: Final = "bearer"
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


class TokenRefused(Invalid):
    """A token was not asked for as OAuth 2.0 does; `error` says why (RFC 6749 5.2)."""

    status = 400
    code = "token-refused"
    message_zh = "令牌请求有误，请对照接口文档检查"


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
    # Keys of one partner share what they see; a key that names none is a partner by itself.
    partner: Mapped[str | None] = mapped_column(String(PARTNER_SIGNS))
    rate_per_minute: Mapped[int | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose key it is.

    Attributes:
        partner: For whom the key was made; what a partner sees is the same with each of its keys.
        rate_per_minute: How many requests a minute are served.
    """

    id: int
    name: str
    scopes: frozenset[str]
    partner: str
    rate_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """A key as staff see it; the key itself is kept nowhere."""

    id: int
    name: str
    partner: str
    scopes: tuple[str, ...]
    rate_per_minute: int
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


def require_scope(caller: Caller, *, scope: str) -> None:
    """Refuse what a key may not do.

    Raises:
        ApiKeyLacksScope: The key is good, but not for `scope`.
    """
    if scope not in caller.scopes:
        raise ApiKeyLacksScope(f"the API key does not have the scope {scope}")


def create_api_key(
    session: Session,
    *,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    partner: str | None = None,
    rate_per_minute: int | None = None,
) -> tuple[int, str]:
    """Make a key.

    Args:
        session: A write session.
        name: What people call it.
        scopes: What it may do.
        now: The instant.
        partner: Whose it is, at most 24 signs; None makes it a partner by itself.
        rate_per_minute: How many requests a minute are served; None for the usual number.

    Returns:
        Its number, and the key itself, which is shown this once.
    """
    key = _PREFIX + secrets.token_urlsafe(32)
    row = ApiKeyRow(
        name=name,
        key_hash=_hash(key),
        scopes=sorted(set(scopes)),
        partner=partner or None,
        rate_per_minute=rate_per_minute,
        created_at=now,
    )
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
    """Checks keys and tokens of requests, asking the database once in five seconds for each.

    Args:
        database: Where the keys are.
        clock: By which tokens end.
        token_secret: Signs tokens; without it there are none.
    """

    def __init__(self, database: Database, clock: Clock, *, token_secret: str = "") -> None:
        self._database = database
        self._clock = clock
        self._tokens = Tokens(token_secret) if token_secret else None
        self._known: dict[str, tuple[Caller | None, float]] = {}

    def caller(self, authorization: str, *, scope: str) -> Caller:
        """Say who calls, by the header `Authorization: Bearer <key or token>`.

        Raises:
            ApiKeyRefused: There is none, or it is unknown, revoked or over.
            ApiKeyLacksScope: It is good, but not for `scope`.
        """
        known, until = self._known.get(authorization, (None, 0.0))
        if until <= time.monotonic():
            known = self._remembered(authorization)
        if known is None:
            raise ApiKeyRefused("the request carries no good API key")
        require_scope(known, scope=scope)
        return known

    def exchange(self, *, number: str, key: str, scopes: Sequence[str] = ()) -> tuple[str, Caller]:
        """Give a token for a key.

        Args:
            number: The key's number, as the client's id.
            key: The key itself, as the client's secret.
            scopes: What the token may do; none named means all that the key may.

        Returns:
            The token and what it stands for.

        Raises:
            ApiKeyRefused: The key is unknown, revoked, or not of that number.
            TokenRefused: The key may not do what is asked for.
        """
        found = self._looked_up(ApiKeyRow.key_hash == _hash(key))
        if found is None or str(found.id) != number or self._tokens is None:
            raise ApiKeyRefused("no such key", error="invalid_client")
        wanted = frozenset(scopes) or found.scopes
        if wanted - found.scopes:
            raise TokenRefused("the key may do less than is asked for", error="invalid_scope")
        until = self._clock.now() + TOKEN_LIFETIME
        return self._tokens.issue(found.id, wanted, until), replace(found, scopes=wanted)

    def _remembered(self, authorization: str) -> Caller | None:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != _BEARER:
            return None
        if given.startswith(_PREFIX):
            found = self._looked_up(ApiKeyRow.key_hash == _hash(given))
        else:
            found = self._behind_token(given)
        if len(self._known) >= _KNOWN_AT_MOST:
            self._known = {}
        self._known[authorization] = (found, time.monotonic() + _TRUSTED_S)
        return found

    def _behind_token(self, token: str) -> Caller | None:
        claims = self._tokens.read(token, self._clock.now()) if self._tokens else None
        found = self._looked_up(ApiKeyRow.id == claims.key_id) if claims else None
        if claims is None or found is None:
            return None
        return replace(found, scopes=found.scopes & claims.scopes)

    def _looked_up(self, condition: ColumnElement[bool]) -> Caller | None:
        with self._database.read() as session:
            row = session.scalar(select(ApiKeyRow).where(condition, ApiKeyRow.revoked_at.is_(None)))
        if row is None:
            return None
        now = self._clock.now()
        if row.last_used_at is None or now - row.last_used_at > _USE_NOTED_EACH:
            with self._database.write() as session:
                session.execute(
                    update(ApiKeyRow).where(ApiKeyRow.id == row.id).values(last_used_at=now)
                )
        return _caller(row)


def key_list(session: Session) -> tuple[KeyView, ...]:
    """List all keys by partner, those of one by age."""
    views = [
        KeyView(
            id=row.id,
            name=row.name,
            partner=_caller(row).partner,
            scopes=tuple(row.scopes),
            rate_per_minute=_caller(row).rate_per_minute,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )
        for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id))
    ]
    return tuple(sorted(views, key=lambda view: (view.partner, view.id)))


def partners_let_in(session: Session, *, scopes: Collection[str]) -> frozenset[str]:
    """Return the partners that have a key, not revoked, that may do all of this."""
    rows = session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None)))
    return frozenset(_caller(row).partner for row in rows if set(scopes) <= set(row.scopes))


def _caller(row: ApiKeyRow) -> Caller:
    return Caller(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes),
        partner=row.partner or f"key-{row.id}",
        rate_per_minute=row.rate_per_minute or RATE_PER_MINUTE,
    )


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
