"""The official account's callback /wechat: verify, take each push once, answer in time.

Whoever is not WeChat gets 403 and learns nothing; WeChat itself never gets a 5xx, because it
would show the borrower its fault notice and push again. What is answered is bot.dialogue's task.
"""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from bot import phrases, replies
from bot.callback import check_echo, open_push, seal_reply
from bot.crypto import PushRefused
from bot.memory import ACCEPTED, Memory
from bot.messages import Message, MessageNotReadable
from bot.timing import answer_in_time
from kernel.logs import log
from kernel.web import now, runtime

blueprint = APIBlueprint("bot", __name__, enable_openapi=False)

_MAX_BODY = 64 * 1024


@blueprint.get("/wechat")
def echo() -> Response:
    """Prove to WeChat that this address is ours."""
    return _plain(check_echo(runtime().settings, request.args, now=now()))


@blueprint.post("/wechat")
def receive() -> Response:
    """Take a push and answer it."""
    request.max_content_length = _MAX_BODY
    given, at = runtime(), now()
    message = open_push(given.settings, request.args, request.get_data(cache=False), now=at)
    body = seal_reply(given.settings, _answer_once(message), now=at)
    if body == ACCEPTED:
        return _plain(body)
    return Response(body, mimetype="application/json" if message.is_json else "application/xml")


def _answer_once(message: Message) -> str:
    """Answer a message the first time, and say the same again to its repeats."""
    given, at = runtime(), now()
    memory = Memory(given.redis, given.cipher)
    created = int(at.timestamp())
    try:
        admission = memory.admit(
            timestamp=request.args.get("timestamp", ""),
            nonce=request.args.get("nonce", ""),
            identity=message.identity,
            openid=message.openid,
        )
    except RedisError as error:
        log.error("push not taken", error=type(error).__name__)
        return replies.render(replies.text(phrases.BUSY), message=message, created=created)
    if admission.is_replay:
        raise PushRefused("the nonce was used for another message")
    if not admission.is_first:
        return admission.answer
    return answer_in_time(given, memory, message, awaiting=admission.awaiting, now=at)


def _plain(text: str) -> Response:
    return Response(text, mimetype="text/plain")


@blueprint.record
def _exempt_from_csrf(state: Any) -> None:
    """WeChat signs its requests; it has no form and no session."""
    if "csrf" in state.app.extensions:
        state.app.extensions["csrf"].exempt(blueprint)


@blueprint.errorhandler(PushRefused)
def _refuse(error: PushRefused) -> Response:
    log.warning("push refused", reason=error.detail)
    return Response("", status=error.status, mimetype="text/plain")


@blueprint.errorhandler(MessageNotReadable)
def _accept_unread(error: MessageNotReadable) -> Response:
    log.warning("push not readable", reason=error.detail)
    return _plain(ACCEPTED)


@blueprint.errorhandler(Exception)
def _never_fail(error: Exception) -> Response:
    """Keep our faults from the platform; a body that is too large or cut off is the sender's."""
    if isinstance(error, HTTPException):
        return Response("", status=error.code or 400, mimetype="text/plain")
    log.error("push failed", exc_info=error)
    return _plain(ACCEPTED)
