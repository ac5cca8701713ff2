"""Binding a WeChat account to a customer: a one-time code to the phone, and the id's last signs.

Codes are kept as keyed hashes in Redis for five minutes and three tries; how often anybody may
ask is limited by account and by phone. A phone that we know and one that we do not look the same
from outside, in words and in time: whether a code really goes out is found out in a job.
"""

import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from bot import phrases
from bot.jobs import CODE_MINUTES, send_code
from bot.memory import Memory, key_of
from contact import operations as contact
from contact.ports import AddressKind, Channel
from contact.queries import address_of
from kernel.errors import Invalid, TooMany
from kernel.ids import new_token
from kernel.jobs import enqueue
from kernel.runtime import Runtime
from servicing.operations import record_consent
from servicing.queries import customer_view, match_identity

RESEND_S: Final = 60
CONSENT: Final = (
    "我同意将本微信与我的分期账户绑定，用于查询账单、还款和接收服务通知；"
    "可随时在公众号回复“解绑”撤回。"
)

_TRIES: Final = 3
_CODES_A_DAY: Final = 5
_FAILURES_A_DAY: Final = 9
_DAY_S: Final = 86_400
_PHONE: Final = re.compile(r"1[0-9]{10}", re.ASCII)
_LAST4: Final = re.compile(r"[0-9]{3}[0-9X]", re.ASCII)
_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


class BindingInputInvalid(Invalid):
    """A field of the form cannot be right."""

    code = "binding-input-invalid"
    message_zh = "请检查手机号、验证码和证件号后四位"


class BindingRefused(Invalid):
    """Code, phone and id do not belong together; it is not said which is wrong."""

    code = "binding-refused"
    message_zh = "信息不符，请核对手机号、验证码和证件号后四位"


class BindingTooOften(TooMany):
    """Too many codes or too many failures."""

    code = "binding-too-often"
    message_zh = "操作过于频繁，请稍后再试；多次不成功请在公众号回复“人工”"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What somebody says to prove who they are."""

    phone: str
    code: str
    id_last4: str


def request_code(runtime: Runtime, *, openid: str, phone: str) -> None:
    """Send a code if the phone is a customer's; the caller cannot tell.

    Raises:
        BindingInputInvalid: It is no mobile phone number.
        BindingTooOften: Within a minute of the last one, or the sixth within a day.
    """
    if not _PHONE.fullmatch(phone):
        raise BindingInputInvalid("not a mobile phone number")
    memory = Memory(runtime.redis, runtime.cipher)
    for subject in (f"openid|{openid}", f"phone|{phone}"):
        is_soon = memory.attempts("code-minute", subject, within_s=RESEND_S) > 1
        if is_soon or memory.attempts("code-day", subject, within_s=_DAY_S) > _CODES_A_DAY:
            raise BindingTooOften("too many codes")
    code = f"{secrets.randbelow(10**6):06d}"
    ticket = new_token()
    sealed = runtime.cipher.encrypt(
        json.dumps({"phone": phone, "code": code}), context="bot.ticket"
    )
    pipe = runtime.redis.pipeline()
    pipe.set(key_of("code", openid), _hash(runtime, openid, phone, code), ex=CODE_MINUTES * 60)
    pipe.delete(key_of("code-tries", openid))
    pipe.set(key_of("ticket", ticket), sealed, ex=CODE_MINUTES * 60)
    pipe.execute()
    enqueue(runtime, send_code, ticket=ticket)


def bind(runtime: Runtime, *, openid: str, claimed: Claimed, now: datetime) -> int:
    """Bind an account to the customer whom code, phone and id prove; returns the customer's id.

    An account that the customer had bound before is told and gets nothing any more.

    Raises:
        BindingInputInvalid: A field cannot be right.
        BindingRefused: They do not belong together, or the code is over.
        BindingTooOften: Nine failures within a day, for the account or for the phone.
        AddressTaken: The account is another customer's.
    """
    claimed = _cleaned(claimed)
    _let_try(runtime, openid, claimed.phone)
    is_right = _code_matches(runtime, openid, claimed)
    with runtime.database.write() as session:
        cipher = runtime.cipher
        customer_id = match_identity(
            session, cipher, phone=claimed.phone, id_last4=claimed.id_last4
        )
        if not is_right or customer_id is None:
            raise BindingRefused("code, phone and id do not belong together")
        before = address_of(
            session, customer_id=customer_id, channel_kind=AddressKind.WECHAT, cipher=cipher
        )
        address_id = contact.record_address(
            session, customer_id=customer_id, channel_kind=AddressKind.WECHAT,
            address=openid, source="binding", cipher=cipher, now=now,
        )  # fmt: skip
        record_consent(
            session, customer_id=customer_id, purpose="wechat_binding", text=CONSENT,
            channel="wechat_h5", now=now,
        )  # fmt: skip
        name = customer_view(session, cipher, customer_id=customer_id).name
        told: list[tuple[str, str, int | None]] = [(openid, phrases.bound(name), customer_id)]
        if before is not None and before[1] != openid:
            told.append((before[1], phrases.moved_away(), None))
        for number, (address, text, concerned) in enumerate(told):
            contact.answer(
                session, key=f"bound:{address_id}:{int(now.timestamp())}:{number}",
                channel=Channel.WECHAT_MESSAGE, template="late_reply", facts={"text": text},
                customer_id=concerned, address=address, cipher=cipher, now=now,
            )  # fmt: skip
    runtime.redis.delete(key_of("code", openid), key_of("code-tries", openid))
    return customer_id


def _cleaned(claimed: Claimed) -> Claimed:
    cleaned = Claimed(
        phone=claimed.phone.strip(),
        code=claimed.code.strip(),
        id_last4=claimed.id_last4.strip().upper(),
    )
    if not (
        _PHONE.fullmatch(cleaned.phone)
        and _CODE.fullmatch(cleaned.code)
        and _LAST4.fullmatch(cleaned.id_last4)
    ):
        raise BindingInputInvalid("a field cannot be right")
    return cleaned


def _let_try(runtime: Runtime, openid: str, phone: str) -> None:
    memory = Memory(runtime.redis, runtime.cipher)
    for subject in (f"openid|{openid}", f"phone|{phone}"):
        if memory.attempts("bind-day", subject, within_s=_DAY_S) > _FAILURES_A_DAY:
            raise BindingTooOften("too many attempts")


def _code_matches(runtime: Runtime, openid: str, claimed: Claimed) -> bool:
    """Compare the code; the try is counted before, so that parallel guesses win nothing."""
    pipe = runtime.redis.pipeline()
    pipe.incr(key_of("code-tries", openid))
    pipe.expire(key_of("code-tries", openid), CODE_MINUTES * 60)
    pipe.get(key_of("code", openid))
    tries, _, stored = pipe.execute()
    if tries > _TRIES or not stored:
        return False
    given = _hash(runtime, openid, claimed.phone, claimed.code)
    return hmac.compare_digest(cast("bytes", stored), given.encode())


def _hash(runtime: Runtime, openid: str, phone: str, code: str) -> str:
    return runtime.cipher.blind_index(f"{openid}|{phone}|{code}", context="bot.code")
