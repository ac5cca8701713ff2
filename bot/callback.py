"""From an HTTP push to a message, and from a reply to an HTTP body, in the mode that we are set to.

The server's setting decides between plain, compat and safe, never the request: what an attacker
sends must not choose how it is checked. In compat mode the sealed part counts, because it alone
is signed. It asks no clock and keeps nothing; bot.views does.
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bot import replies
from bot.crypto import MessageCipher, PushRefused, signature_matches
from bot.memory import ACCEPTED
from bot.messages import Message, MessageNotReadable, is_json, parse_fields, read_message
from kernel.settings import Settings

PLAIN: Final = "plain"
WINDOW_S: Final = 300

_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_LONGEST_NONCE: Final = 128


def check_echo(settings: Settings, query: Mapping[str, str], *, now: datetime) -> str:
    """Check WeChat's proof of address and return what to echo.

    Raises:
        PushRefused: The signature or the time is wrong.
    """
    _check_signed(settings, query, "signature", now)
    return query.get("echostr", "")


def open_push(
    settings: Settings, query: Mapping[str, str], body: bytes, *, now: datetime
) -> Message:
    """Verify a push and read it.

    Args:
        settings: Token, keys and mode.
        query: The address's parameters.
        body: As it arrived.
        now: The instant of its arrival.

    Raises:
        PushRefused: It is not WeChat's, not ours, or not fresh.
        MessageNotReadable: It is, and cannot be understood.
    """
    if settings.wechat_mode == PLAIN:
        _check_signed(settings, query, "signature", now)
        return read_message(body)
    try:
        sealed = parse_fields(body).get("Encrypt")
    except MessageNotReadable as error:
        raise PushRefused("no envelope, so nothing is signed") from error
    if not isinstance(sealed, str) or not sealed:
        raise PushRefused("nothing is sealed")
    sealed = sealed.strip()
    _check_signed(settings, query, "msg_signature", now, sealed)
    return read_message(_opened(settings, sealed).encode())


def _check_signed(
    settings: Settings, query: Mapping[str, str], name: str, now: datetime, *parts: str
) -> None:
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not _TIMESTAMP.fullmatch(timestamp) or len(nonce) > _LONGEST_NONCE:
        raise PushRefused("timestamp or nonce is odd")
    token = settings.wechat_token
    if not signature_matches(query.get(name, ""), token, timestamp, nonce, *parts):
        raise PushRefused(f"{name} does not match")
    if abs(int(timestamp) - now.timestamp()) > WINDOW_S:
        raise PushRefused("timestamp is outside the window")


def _opened(settings: Settings, sealed: str) -> str:
    """Open with the key in force, or during a rotation with the one before."""
    try:
        return cipher_of(settings).open(sealed).text
    except PushRefused:
        if not settings.wechat_previous_aes_key:
            raise
    previous = MessageCipher(
        aes_key=settings.wechat_previous_aes_key, receiver=settings.wechat_app_id
    )
    return previous.open(sealed).text


def cipher_of(settings: Settings) -> MessageCipher:
    """Make the cipher of the key in force."""
    return MessageCipher(aes_key=settings.wechat_aes_key, receiver=settings.wechat_app_id)


def seal_reply(settings: Settings, reply: str, *, now: datetime) -> str:
    """Write the body of an answer: sealed, but for `success` and in plain mode."""
    if settings.wechat_mode == PLAIN or reply == ACCEPTED:
        return reply
    return replies.envelope(
        cipher_of(settings).encrypt(reply, random16=os.urandom(16)),
        token=settings.wechat_token,
        timestamp=str(int(now.timestamp())),
        nonce=os.urandom(8).hex(),
        is_json=is_json(reply.encode()),
    )
