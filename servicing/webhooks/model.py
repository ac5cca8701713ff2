"""The pure rules of webhooks: how a delivery is signed, when it is tried again, where it may go."""

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kernel.errors import Invalid

TIMESTAMP: Final = "Fenqi-Timestamp"
SIGNATURE: Final = "Fenqi-Signature"
EVENT: Final = "Fenqi-Event"
KEY: Final = "Fenqi-Key"

FIRST_SECRET: Final = 1
# So long a secret that was replaced signs beside the new one.
BOTH_SIGN: Final = timedelta(days=1)

# After this long without success an endpoint is disabled.
PATIENCE: Final = timedelta(days=3)

_AFTER_S: Final = (10, 60, 300, 1_800, 7_200, 21_600)
_SCHEME: Final = "v1"
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_SUCCESS: Final = range(200, 300)
_GONE: Final = 410

Address = IPv4Address | IPv6Address


class EndpointState(StrEnum):
    """Where an endpoint stands."""

    ACTIVE = "active"
    DISABLED = "disabled"
    REMOVED = "removed"


class AddressRefused(Invalid):
    """News is not sent to such an address: not https, or not a public one."""

    code = "webhook-address-refused"
    message_zh = "回调地址不符合要求"


def signature(secret: str, *, at: datetime, body: bytes) -> str:
    """Sign a body: HMAC-SHA256 over the instant in seconds, a dot, and the body, in hex."""
    signed = f"{int(at.timestamp())}.".encode() + body
    return f"{_SCHEME}={hmac.digest(secret.encode(), signed, 'sha256').hex()}"


def key_id(endpoint_id: int, number: int) -> str:
    """Name one of an endpoint's secrets, as receivers see it."""
    return f"{endpoint_id}.{number}"


def next_try_at(*, tries: int, now: datetime) -> datetime:
    """Say when to try again: after 10 s, 1, 5 and 30 min, 2 h, then every 6 h."""
    return now + timedelta(seconds=_AFTER_S[min(tries, len(_AFTER_S)) - 1])


def is_delivered(status: int | None) -> bool:
    """Say whether the receiver took it; None if it gave no answer."""
    return status in _SUCCESS


def is_gone(status: int | None) -> bool:
    """Say whether the receiver wants nothing more, ever."""
    return status == _GONE


def is_hopeless(first_tried_at: datetime, now: datetime) -> bool:
    """Say whether it was tried for long enough."""
    return now - first_tried_at >= PATIENCE


def checked_url(url: str, *, is_development: bool) -> SplitResult:
    """Return an address in its parts, if it may be one; whether it is public is asked apart.

    Raises:
        AddressRefused: It is no plain https address; in development http will do.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("the address cannot be read") from error
    schemes = ("https", "http") if is_development else ("https",)
    if parts.scheme not in schemes:
        raise AddressRefused(f"the address must begin with {' or '.join(schemes)}://")
    if parts.username is not None or parts.fragment or port == 0:
        raise AddressRefused("the address must have neither a name and password nor a fragment")
    if not _HOST.fullmatch(parts.hostname or "") or not url.isascii() or not url.isprintable():
        raise AddressRefused("the address has no plain host")
    return parts


def public_only(addresses: Iterable[str]) -> Sequence[str]:
    """Return the addresses of a host, if all of them are public.

    Raises:
        AddressRefused: One is of a private, local or reserved network, or there is none.
    """
    found = tuple(addresses)
    if not found or not all(_is_public(ip_address(each)) for each in found):
        raise AddressRefused("the address is not public")
    return found


def _is_public(address: Address) -> bool:
    """Look into addresses that carry another one, too."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
        if address.teredo is not None or address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast


class _Translated:
    """The prefix by which IPv6 hosts reach IPv4 ones (RFC 6052)."""

    def __contains__(self, address: IPv6Address) -> bool:
        return address.packed.startswith(bytes.fromhex("0064ff9b"))


_TRANSLATED: Final = _Translated()
