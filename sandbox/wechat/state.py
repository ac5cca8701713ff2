"""What the platform remembers of one official account. Plain data; the rules are beside it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class Token:
    """An access token and until when it is good."""

    value: str
    expires_at: datetime
    is_stable: bool


@dataclass(slots=True, kw_only=True)
class OAuthCode:
    """A web authorisation code, good once and for five minutes."""

    openid: str
    scope: str
    expires_at: datetime
    is_used: bool = False


@dataclass(slots=True, kw_only=True)
class WebToken:
    """A web authorisation token or refresh token."""

    openid: str
    scope: str
    expires_at: datetime


@dataclass(slots=True, kw_only=True)
class Grant:
    """A right to send customer-service messages; `left` None means without limit."""

    kind: str
    expires_at: datetime
    left: int | None


@dataclass(slots=True)
class Account:
    """One official account."""

    tokens: dict[str, Token] = field(default_factory=dict)
    stable: Token | None = None
    plain: Token | None = None
    forced_at: list[datetime] = field(default_factory=list)
    plain_grants_at: list[datetime] = field(default_factory=list)
    ticket: Token | None = None
    codes: dict[str, OAuthCode] = field(default_factory=dict)
    web_tokens: dict[str, WebToken] = field(default_factory=dict)
    refresh_tokens: dict[str, WebToken] = field(default_factory=dict)
    grants: dict[str, dict[str, Grant]] = field(default_factory=dict)
    unfollowed: set[str] = field(default_factory=set)
    seen: dict[str, datetime] = field(default_factory=dict)
    client_msg_ids: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    next_msgid: int = 3_000_000_000_000_000_001
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: dict[str, datetime] = field(default_factory=dict)
