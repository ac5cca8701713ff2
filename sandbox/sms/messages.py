"""Short messages: accepted, delivered a little later, reported, found again by a query.

The provider knows no idempotency: two sends with one OutId are two messages on the phone.
"""

import json
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import requests

from kernel.clock import business_date, shanghai
from sandbox.outward import post
from sandbox.sms.state import Message
from sandbox.world import World, digits

RECEIPT_LADDER_S = (60, 300, 600)
_DELIVERED_AFTER = timedelta(seconds=1)
_TIMEOUT_S = 5
_PHONE = re.compile(r"1\d{10}")
_TEMPLATE = re.compile(r"SMS_\w{3,32}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_STATUS = {"waiting": 1, "failed": 2, "delivered": 3}
_TIME = "%Y-%m-%d %H:%M:%S"


class SmsRefused(Exception):
    """The provider answers a code other than OK.

    Args:
        code: Its stable code.
        message: Its sentence.
        status: HTTP status; business refusals are 200.
    """

    def __init__(self, code: str, message: str = "", *, status: int = 200) -> None:
        super().__init__(message or code)
        self.code = code
        self.status = status


def send(world: World, given: Mapping[str, str]) -> dict[str, Any]:
    """Answer SendSms for one phone number."""
    phone = given.get("PhoneNumbers", "").removeprefix("+86")
    if not _PHONE.fullmatch(phone):
        raise SmsRefused("isv.MOBILE_NUMBER_ILLEGAL", f"{phone}invalid mobile number")
    if given.get("SignName") != world.settings.sms_sign_name:
        raise SmsRefused("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
    if not _TEMPLATE.fullmatch(given.get("TemplateCode", "")):
        raise SmsRefused("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
    message = Message(
        biz_id=f"{digits(18)}^0",
        out_id=given.get("OutId", ""),
        phone=phone,
        sign_name=given["SignName"],
        template_code=given["TemplateCode"],
        text=_text(world, given),
        sent_at=world.now(),
    )
    world.carrier.by_phone.setdefault(phone, []).append(message)
    world.carrier.accepted += 1
    content = {
        "text": message.text,
        "template_code": message.template_code,
        "params": _params(given),
        "out_id": message.out_id,
        "biz_id": message.biz_id,
    }
    world.journal.add("sms", at=world.now(), phone=phone, content=content)
    world.schedule.after(
        _DELIVERED_AFTER, f"sms {message.biz_id}", lambda: _deliver(world, message)
    )
    return answer_ok({"BizId": message.biz_id})


def query(world: World, given: Mapping[str, str]) -> dict[str, Any]:
    """Answer QuerySendDetails: messages of a phone on a day in Shanghai, newest first."""
    phone, day = given.get("PhoneNumber", "").removeprefix("+86"), given.get("SendDate", "")
    if not phone or not re.fullmatch(r"\d{8}", day):
        raise SmsRefused("MissingParameter", "PhoneNumber and SendDate are mandatory", status=400)
    found = [
        message
        for message in reversed(world.carrier.by_phone.get(phone, []))
        if business_date(message.sent_at).strftime("%Y%m%d") == day
        and given.get("BizId", message.biz_id) in ("", message.biz_id)
    ]
    if world.knobs.take("sms.query", "empty") is not None:
        found = []
    size, page = int(given.get("PageSize", 10)), int(given.get("CurrentPage", 1))
    shown = [_detail(message) for message in found[(page - 1) * size : page * size]]
    return answer_ok({"TotalCount": len(found), "SmsSendDetailDTOs": {"SmsSendDetailDTO": shown}})


def answer_ok(more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a successful answer."""
    return {"Code": "OK", "Message": "OK", "RequestId": request_id()} | dict(more)


def request_id() -> str:
    """Return a fresh request id of the provider's shape."""
    text = secrets.token_hex(16).upper()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _params(given: Mapping[str, str]) -> dict[str, str]:
    try:
        params = json.loads(given.get("TemplateParam") or "{}")
    except ValueError as error:
        raise SmsRefused("isv.INVALID_JSON_PARAM", "参数格式错误") from error
    if not isinstance(params, dict):
        raise SmsRefused("isv.INVALID_JSON_PARAM", "参数格式错误")
    return {str(key): str(value) for key, value in params.items()}


def _text(world: World, given: Mapping[str, str]) -> str:
    """Return what stands on the phone: the known text filled in, or the bare parameters."""
    params = _params(given)
    template = world.book.templates().get(given["TemplateCode"], {}).get("content", "")
    if template:
        body = _VARIABLE.sub(lambda match: params.get(match[1], ""), template)
    else:
        body = "，".join(f"{key}：{value}" for key, value in params.items())
    return f"【{given['SignName']}】{body}"


def _detail(message: Message) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "PhoneNum": message.phone,
        "SendStatus": _STATUS[message.status],
        "ErrCode": message.error_code,
        "TemplateCode": message.template_code,
        "Content": message.text,
        "SendDate": shanghai(message.sent_at).strftime(_TIME),
        "OutId": message.out_id,
    }
    if message.received_at is not None:
        detail["ReceiveDate"] = shanghai(message.received_at).strftime(_TIME)
    return detail


def _deliver(world: World, message: Message) -> None:
    with world.lock:
        failed = world.knobs.take("sms.receipt", "failed")
        message.status = "failed" if failed is not None else "delivered"
        message.error_code = str(failed) if failed is not None else "DELIVERED"
        message.received_at = world.now()
    if world.knobs.take("sms.receipt", "lost") is not None:
        return
    repeats = int(world.knobs.take("sms.receipt", "duplicate") or 1)
    late = timedelta(seconds=float(world.knobs.take("sms.receipt", "late") or 0))
    for _ in range(repeats):
        world.schedule.after(late, "sms receipt", lambda: _report(world, message, 0))


def _report(world: World, message: Message, attempt: int) -> None:
    """Push a receipt; on failure plan the next try."""
    is_delivered = message.status == "delivered"
    received_at = message.received_at or message.sent_at
    receipt = {
        "phone_number": message.phone,
        "send_time": shanghai(message.sent_at).strftime(_TIME),
        "report_time": shanghai(received_at).strftime(_TIME),
        "success": is_delivered,
        "err_code": message.error_code,
        "err_msg": "用户接收成功" if is_delivered else "用户接收失败",
        "sms_size": "1",
        "biz_id": message.biz_id,
        "out_id": message.out_id,
    }
    url = f"{world.settings.public_base_url}/contact/sms-receipts"
    try:
        outcome: int | str = post(url, json=[receipt], timeout_s=_TIMEOUT_S).status_code
    except requests.RequestException as error:
        outcome = type(error).__name__
    content = {"biz_id": message.biz_id, "attempt": attempt + 1, "outcome": outcome}
    world.journal.add("receipt", at=world.now(), content=content)
    is_taken = isinstance(outcome, int) and 200 <= outcome < 300  # noqa: PLR2004 -- HTTP 2xx
    if not is_taken and attempt < len(RECEIPT_LADDER_S):
        delay = timedelta(seconds=RECEIPT_LADDER_S[attempt])
        world.schedule.after(delay, "sms receipt", lambda: _report(world, message, attempt + 1))
