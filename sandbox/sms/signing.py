"""Signature ACS3-HMAC-SHA256 as the provider documents it, seen from its side. Pure."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


def authorization_parts(header: str) -> dict[str, str]:
    """Return Credential, SignedHeaders and Signature of a header, empty if it is not one."""
    scheme, _, rest = header.partition(" ")
    return dict(_PART.findall(rest)) if scheme == ALGORITHM else {}


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Write query parameters sorted and percent-encoded after RFC 3986."""
    encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs)
    return "&".join(f"{key}={value}" for key, value in encoded)


def sign(
    secret: str,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    signed_headers: str,
    payload_hash: str,
) -> str:
    """Return the hex signature over a request.

    Args:
        secret: Access key secret.
        method: HTTP method, upper case.
        path: Canonical path.
        query: Canonical query.
        headers: Header values by lower-case name.
        signed_headers: Their names, sorted, joined by semicolons.
        payload_hash: SHA-256 of the body, hex.
    """
    names = signed_headers.split(";")
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{signed_headers}\n{payload_hash}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{digest}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
