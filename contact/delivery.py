"""One message to one provider, and what its answer means for the contact.

It reads and writes no table, so that many threads may run it at once.
"""

from dataclasses import dataclass
from typing import Final

from contact.messages import Message
from contact.model import Channel, Step
from contact.ports import (
    OutcomeUnknown,
    ProviderNotReached,
    SmsError,
    SmsProvider,
    WeChatApi,
    WeChatError,
)
from kernel.logs import log

# Busy, daily quota, per minute, and a token that did not last: the same call may do better later.
_WECHAT_LATER: Final = frozenset({-1, 45009, 45011, 40001, 40014, 42001})
_SMS_LATER: Final = frozenset({"isv.BUSINESS_LIMIT_CONTROL", "isv.AMOUNT_NOT_ENOUGH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A message with its address, in the clear; it lives in memory only.

    Attributes:
        reference: What the provider gets to know the message again.
        link: Absolute address of the page that it opens, or empty.
    """

    contact_id: int
    channel: Channel
    address: str
    provider_template_id: str
    message: Message
    link: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a parcel.

    Attributes:
        step: ACCEPT, REFUSE, RETRY or LOSE.
        code: The provider's error code, or ours.
        delivery: `delivered` or `failed` if the provider knows already.
        attempt: Which attempt it is about, if it was found out later.
    """

    contact_id: int
    step: Step
    provider_id: str = ""
    code: str = ""
    delivery: str | None = None
    attempt: int | None = None


def deliver(parcel: Parcel, *, wechat: WeChatApi, sms: SmsProvider) -> Outcome:
    """Hand a parcel to its provider; never raises."""
    contact_id = parcel.contact_id
    try:
        provider_id = _call(parcel, wechat, sms)
    except WeChatError as error:
        step = Step.RETRY if error.errcode in _WECHAT_LATER else Step.REFUSE
        return Outcome(contact_id=contact_id, step=step, code=str(error.errcode))
    except SmsError as error:
        is_later = error.provider_code in _SMS_LATER or "Throttling" in error.provider_code
        step = Step.RETRY if is_later else Step.REFUSE
        return Outcome(contact_id=contact_id, step=step, code=error.provider_code)
    except ProviderNotReached:
        return Outcome(contact_id=contact_id, step=Step.RETRY, code="not-reached")
    except OutcomeUnknown:
        return Outcome(contact_id=contact_id, step=Step.LOSE, code="no-answer")
    except Exception as error:  # noqa: BLE001 -- whatever went wrong, the message may be out
        log.error("delivery broke", contact_id=contact_id, error=type(error).__name__)
        return Outcome(contact_id=contact_id, step=Step.LOSE, code=type(error).__name__)
    return Outcome(contact_id=contact_id, step=Step.ACCEPT, provider_id=provider_id)


def _call(parcel: Parcel, wechat: WeChatApi, sms: SmsProvider) -> str:
    values = parcel.message.values
    template_id = parcel.provider_template_id
    if parcel.channel is Channel.SMS:
        return sms.send(parcel.address, template_id, values, parcel.reference)
    if parcel.channel is Channel.WECHAT_TEMPLATE:
        return wechat.send_template(
            parcel.address, template_id, values, parcel.link, parcel.reference
        )
    wechat.send_text(parcel.address, parcel.message.body)
    return ""
