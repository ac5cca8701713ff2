"""Identifiers that leave the house. Rows inside it are numbered by the database."""

import secrets
from datetime import date

# Crockford's base 32 in upper case: every sign is allowed in a WeChat Pay out_trade_no.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_SIGNS = 12


def new_token(nbytes: int = 16) -> str:
    """Make an unguessable URL-safe token of `nbytes` random bytes."""
    return secrets.token_urlsafe(nbytes)


def new_number(prefix: str, *, on: date) -> str:
    """Make a readable, unguessable number: prefix, business date, 60 random bits."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_SIGNS))
    return f"{prefix}{on:%Y%m%d}{tail}"
