"""The official account's callback: verify, open, de-duplicate, answer.

WeChat repeats a push that is not answered within five seconds, so an answer is remembered and
given again. Nothing that a stranger sends makes this fail with a 5xx.
"""

import os
from datetime import datetime
from typing import cast

from apiflask import APIBlueprint
from flask import Response, request

from bot import dialogue, model
from bot.model import Message, MessageCipher, MessageNotReadable, SignatureWrong
from kernel.clock import business_date
from kernel.errors import FenqiError
from kernel.logs import log
from kernel.runtime import Runtime
from kernel.settings import Settings
from kernel.web import now, runtime

blueprint = APIBlueprint("bot", __name__, enable_openapi=False)

ACCEPTED = "success"

_MAX_BODY = 64 * 1024
_WINDOW_S = 300
_REMEMBERED_S = 90


@blueprint.get("/wechat")
def echo() -> Response:
    """Prove to WeChat that this address is ours."""
    _check_signature(runtime().settings)
    return Response(request.args.get("echostr", ""), mimetype="text/plain")


@blueprint.post("/wechat")
def receive() -> Response:
    """Take a push and answer it."""
    given = runtime()
    try:
        message = _open(given.settings)
    except MessageNotReadable as error:
        log.warning("push not readable", reason=error.detail)
        return Response(ACCEPTED, mimetype="text/plain")
    _refuse_replay(given, message)
    return Response(_answer_once(given, message, now()), mimetype="application/xml")


@blueprint.errorhandler(SignatureWrong)
def refuse(error: SignatureWrong) -> Response:
    """Turn a stranger away without saying what was wrong."""
    log.warning("push refused", reason=error.detail)
    return Response("", status=403)


def _check_signature(settings: Settings) -> None:
    args = request.args
    timestamp, nonce = args.get("timestamp", ""), args.get("nonce", "")
    if not model.signature_matches(
        args.get("signature", ""), settings.wechat_token, timestamp, nonce
    ):
        raise SignatureWrong("signature does not match")
    _check_window(timestamp)


def _check_window(timestamp: str) -> None:
    if not timestamp.isascii() or not timestamp.isdigit():
        raise SignatureWrong("timestamp is no number")
    if abs(int(timestamp) - runtime().clock.now().timestamp()) > _WINDOW_S:
        raise SignatureWrong("timestamp is outside the window")


def _open(settings: Settings) -> Message:
    if (request.content_length or 0) > _MAX_BODY:
        raise SignatureWrong("body is too large")
    body = request.get_data(cache=False)
    if settings.wechat_mode != "safe":
        _check_signature(settings)
        return model.read_message(body)
    args = request.args
    timestamp, nonce = args.get("timestamp", ""), args.get("nonce", "")
    sealed = _envelope(body).get("Encrypt", "")
    if not model.signature_matches(
        args.get("msg_signature", ""), settings.wechat_token, timestamp, nonce, sealed
    ):
        raise SignatureWrong("message signature does not match")
    _check_window(timestamp)
    return model.read_message(_decrypt(settings, sealed))


def _envelope(body: bytes) -> dict[str, str]:
    try:
        return model.parse_fields(body)
    except MessageNotReadable as error:
        raise SignatureWrong("no envelope, so nothing is signed") from error


def _decrypt(settings: Settings, sealed: str) -> str:
    keys = [key for key in (settings.wechat_aes_key, settings.wechat_previous_aes_key) if key]
    for position, key in enumerate(keys, 1):
        try:
            cipher = MessageCipher(aes_key=key, receiver=settings.wechat_app_id)
            return cipher.decrypt(sealed)
        except SignatureWrong:
            if position == len(keys):
                raise
    raise SignatureWrong("no key is set")


def _refuse_replay(given: Runtime, message: Message) -> None:
    """Let one signed address carry one message only: the signature does not cover the body."""
    args = request.args
    key = f"fenqi:nonce:{args.get('timestamp', '')}:{args.get('nonce', '')}"
    if given.redis.set(key, message.identity, nx=True, ex=2 * _WINDOW_S):
        return
    first = _remembered(given, key)
    if first and first != message.identity:
        raise SignatureWrong("the nonce was used for another message")


def _answer_once(given: Runtime, message: Message, at: datetime) -> str:
    key = f"fenqi:push:{message.identity}"
    if not given.redis.set(key, ACCEPTED, nx=True, ex=_REMEMBERED_S):
        return _sealed(given.settings, _remembered(given, key) or ACCEPTED, at)
    plain = _answer(given, message, at)
    given.redis.set(key, plain, ex=_REMEMBERED_S)
    return _sealed(given.settings, plain, at)


def _remembered(given: Runtime, key: str) -> str:
    value = cast("bytes | None", given.redis.get(key))
    return value.decode() if value else ""


def _answer(given: Runtime, message: Message, at: datetime) -> str:
    open_session = given.database.write if dialogue.writes(message) else given.database.read
    try:
        with open_session() as session:
            reply = dialogue.answer(
                session,
                given.cipher,
                message=message,
                base_url=given.settings.public_base_url,
                now=at,
                on=business_date(at),
            )
    except FenqiError as error:
        reply = dialogue.Reply(text=error.message_zh)
    created = int(at.timestamp())
    if reply.hands_over:
        return model.hand_over_reply(message, created=created)
    return model.text_reply(message, reply.text, created=created) if reply.text else ACCEPTED


def _sealed(settings: Settings, plain: str, at: datetime) -> str:
    if settings.wechat_mode != "safe" or plain == ACCEPTED:
        return plain
    cipher = MessageCipher(aes_key=settings.wechat_aes_key, receiver=settings.wechat_app_id)
    return model.sealed_reply(
        cipher.encrypt(plain, random16=os.urandom(16)),
        token=settings.wechat_token,
        timestamp=str(int(at.timestamp())),
        nonce=os.urandom(8).hex(),
    )
