"""What the SMS provider remembers. Plain data; the rules are beside it."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True, kw_only=True)
class Message:
    """One accepted message; status is waiting, delivered or failed."""

    biz_id: str
    out_id: str
    phone: str
    sign_name: str
    template_code: str
    text: str
    sent_at: datetime
    status: str = "waiting"
    error_code: str = ""
    received_at: datetime | None = None


@dataclass(slots=True)
class Carrier:
    """All accepted messages and the nonces that were used."""

    by_phone: dict[str, list[Message]] = field(default_factory=dict)
    nonces: dict[str, datetime] = field(default_factory=dict)
    accepted: int = 0
