"""The SMS provider over HTTP, under /sandbox/sms/: one address, the action is in a header."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request

from sandbox.door import through
from sandbox.sms import messages
from sandbox.sms.messages import SmsRefused
from sandbox.sms.signing import authorization_parts, canonical_query, sign
from sandbox.world import World, this_world

blueprint = Blueprint("sms", __name__, url_prefix="/sandbox/sms")

_WINDOW_S = 900
_MUST_SIGN = frozenset({"host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce"})
_SENTENCES = {
    "isv.BUSINESS_LIMIT_CONTROL": "触发小时级流控Permits:5",
    "isv.OUT_OF_SERVICE": "业务停机",
    "isv.AMOUNT_NOT_ENOUGH": "账户余额不足",
    "isp.SYSTEM_ERROR": "系统出现错误，请重新调用",
}
ACTIONS: dict[str, tuple[str, Callable[[World, Mapping[str, str]], dict[str, Any]]]] = {
    "SendSms": ("sms.send", messages.send),
    "QuerySendDetails": ("sms.query", messages.query),
}


@blueprint.route("/", methods=["GET", "POST"])
def call() -> Response:
    """Answer an action."""
    world = this_world()
    action = request.headers.get("x-acs-action") or request.values.get("Action", "")
    if action not in ACTIONS:
        return _refuse(
            SmsRefused("InvalidAction.NotFound", "Specified api is not found", status=404)
        )
    feature, handler = ACTIONS[action]
    return through(world, feature, lambda: _answer(world, feature, handler))


def _answer(
    world: World, feature: str, handler: Callable[[World, Mapping[str, str]], dict[str, Any]]
) -> Response:
    try:
        with world.lock:
            _check_signature(world)
            if (code := world.knobs.take(feature, "error")) is not None:
                raise SmsRefused(str(code), _SENTENCES.get(str(code), ""))
            answer = handler(world, request.values.to_dict())
    except SmsRefused as refusal:
        return _refuse(refusal)
    return _json(answer, 200)


def _refuse(refusal: SmsRefused) -> Response:
    answer = {
        "Code": refusal.code,
        "Message": str(refusal),
        "RequestId": messages.request_id(),
    }
    return _json(answer, refusal.status)


def _json(answer: Mapping[str, Any], status: int) -> Response:
    return Response(
        json.dumps(answer, ensure_ascii=False),
        status,
        content_type="application/json;charset=utf-8",
    )


def _check_signature(world: World) -> None:
    """Let a request pass that was signed with our access key within fifteen minutes.

    Raises:
        SmsRefused: The provider's code for what is wrong, HTTP 400 or 404.
    """
    parts = authorization_parts(request.headers.get("Authorization", ""))
    if parts.get("Credential") != world.settings.sms_access_key_id:
        raise SmsRefused("InvalidAccessKeyId.NotFound", "No such access key", status=404)
    _check_time(world, request.headers.get("x-acs-date", ""))
    names = parts.get("SignedHeaders", "")
    payload_hash = hashlib.sha256(request.get_data(cache=True, parse_form_data=False)).hexdigest()
    is_complete = set(names.split(";")) >= _MUST_SIGN
    declared = request.headers.get("x-acs-content-sha256", payload_hash)
    given = parts.get("Signature", "")
    headers = {name.lower(): value for name, value in request.headers.items()}
    expected = [
        sign(
            world.settings.sms_access_key_secret,
            method=request.method,
            path=path,
            query=canonical_query(request.args.items(multi=True)),
            headers=headers,
            signed_headers=names,
            payload_hash=payload_hash,
        )
        for path in (request.path, "/")
    ]
    is_right = any(hmac.compare_digest(given, one) for one in expected)
    if not is_complete or not is_right or declared != payload_hash:
        raise SmsRefused(
            "SignatureDoesNotMatch",
            "Specified signature does not match our calculation",
            status=400,
        )
    _use_nonce(world, request.headers.get("x-acs-signature-nonce", ""))


def _check_time(world: World, text: str) -> None:
    try:
        timestamp = int(datetime.fromisoformat(text).timestamp())
    except ValueError as error:
        raise SmsRefused("InvalidTimeStamp.Format", text, status=400) from error
    if not world.is_recent(timestamp, window_s=_WINDOW_S):
        raise SmsRefused("InvalidTimeStamp.Expired", text, status=400)


def _use_nonce(world: World, nonce: str) -> None:
    if not nonce or nonce in world.carrier.nonces:
        raise SmsRefused("SignatureNonceUsed", "Specified signature nonce was used", status=400)
    world.carrier.nonces[nonce] = world.machine.now()
