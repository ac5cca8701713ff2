"""The failures that can be switched on, per feature, a number of times or until switched off.

A knob only says what shall go wrong; the features ask for it and misbehave themselves.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid

TRANSPORT: dict[str, str] = {
    "slow": "answers after `value` seconds (3)",
    "hang": "never answers; the connection is cut after `value` seconds (30)",
    "cut": "cuts the connection before doing anything",
    "lost_answer": "does what was asked, then cuts the connection",
    "http_500": "answers HTTP 500",
    "html": "answers an HTML page instead of JSON",
    "error": "answers the platform's error `value` (an errcode or code) and does nothing",
}
_RECEIVER = {"unfollow": "the user stops following just before this call"}
_NOTIFY = {
    "lost": "never delivered, no retry either; a query still tells the truth",
    "duplicate": "delivered `value` times (2), one after the other",
    "parallel": "delivered `value` times (2) at the same instant",
    "out_of_order": "held back until the next notification was delivered",
    "stale": "time stamp `value` seconds in the past (600)",
    "future": "time stamp `value` seconds ahead (600)",
    "bad_signature": "signed over another body",
    "signtest": "signature starts with WECHATPAY/SIGNTEST/, as the platform probes",
    "unknown_serial": "names a key nobody knows",
    "wrong_amount": "amount is `value` fen more (1)",
    "wrong_appid": "names another appid",
    "wrong_mchid": "names another merchant",
    "broken_tag": "AES-GCM tag of the resource is broken",
}
_EVIDENCE = TRANSPORT | {
    "unsigned": "the answer is not signed by the sub-system",
    "answer": "the answer's data is `value`, an object",
}
_PAY = TRANSPORT | {"unsigned": "the answer carries no signature headers"}

CATALOGUE: dict[str, dict[str, str]] = {
    "token.plain": TRANSPORT | {"strict": "the previous token dies at once, no overlap"},
    "token.stable": TRANSPORT | {"strict": "the previous token dies at once, no overlap"},
    "wechat.ticket": TRANSPORT,
    "wechat.custom": TRANSPORT | _RECEIVER,
    "wechat.typing": TRANSPORT,
    "wechat.template": TRANSPORT
    | _RECEIVER
    | {"result": "TEMPLATESENDJOBFINISH says `value`", "no_result": "that push never comes"},
    "wechat.menu": TRANSPORT,
    "wechat.user": TRANSPORT,
    "wechat.customservice": TRANSPORT,
    "wechat.misc": TRANSPORT,
    "oauth.token": TRANSPORT | {"code_reused": "40163 although the code is fresh"},
    "oauth.userinfo": TRANSPORT,
    "pay.order": _PAY
    | {
        "error_after": "the order is created, yet the answer is the error `value` (SYSTEM_ERROR)",
        "notify_first": "paid and notified before the answer to the create call",
        "number_used": "a changed repeat is OUT_TRADE_NO_USED instead of INVALID_REQUEST",
    },
    "pay.query": _PAY,
    "pay.close": _PAY | {"paid_meanwhile": "the payer wins the race: ORDERPAID and a notification"},
    "pay.refund": _PAY | {"result": "ends as `value`: SUCCESS, ABNORMAL, CLOSED or PROCESSING"},
    "pay.refund_query": _PAY,
    "pay.certificates": _PAY,
    "pay.bill": _PAY
    | {
        "late": "still being made although it is past ten",
        "missing_row": "the first row is left out",
        "double_row": "the first row is listed twice",
        "late_row": "the first row comes in the next day's bill",
        "extra_row": "somebody paid `value` fen (8888) past our service",
        "wrong_amount": "the first row's amount is `value` fen more (1)",
        "wrong_fee": "the first row's fee is `value` fen more (1)",
        "wrong_hash": "the hash is not the file's",
        "payout": "`value` fen (5000) went to the merchant's bank account that evening",
    },
    "pay.bill_download": TRANSPORT,
    "notify.payment": _NOTIFY,
    "notify.refund": _NOTIFY,
    "evidence.identity": _EVIDENCE,
    "evidence.bureau": _EVIDENCE,
    "evidence.lists": _EVIDENCE,
    "sms.send": TRANSPORT,
    "sms.query": TRANSPORT | {"empty": "the query finds nothing yet"},
    "sms.receipt": {
        "lost": "the receipt is never pushed",
        "late": "the receipt comes after `value` seconds (3600)",
        "duplicate": "the receipt is pushed `value` times (2)",
        "failed": "the message is not delivered, with error code `value` (MOBILE_NOT_ON_SERVICE)",
    },
}

DEFAULT_VALUES: dict[str, Any] = {
    "slow": 3,
    "hang": 30,
    "duplicate": 2,
    "parallel": 2,
    "stale": 600,
    "future": 600,
    "wrong_amount": 1,
    "wrong_fee": 1,
    "extra_row": 8_888,
    "late": 3600,
    "failed": "MOBILE_NOT_ON_SERVICE",
    "result": "failed: system failed",
    "error_after": "SYSTEM_ERROR",
}


class KnobUnknown(Invalid):
    """No such feature, or it cannot fail in that way."""

    code = "knob-unknown"


@dataclass(slots=True, kw_only=True)
class Knob:
    """One failure that is switched on; `times` None means until switched off."""

    feature: str
    fault: str
    value: Any
    times: int | None


class Knobs:
    """All that are switched on; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._knobs: dict[tuple[str, str], Knob] = {}

    def turn(
        self, feature: str, fault: str, *, value: object = None, times: int | None = None
    ) -> None:
        """Switch a failure on, replacing an earlier setting of the same one.

        Args:
            feature: A key of the catalogue, or its first part to mean all of them.
            fault: What goes wrong.
            value: Its parameter; the default is in the catalogue.
            times: How often, 0 to switch it off, None for always.

        Raises:
            KnobUnknown: The catalogue has no such pair.
        """
        if not any(fault in CATALOGUE[known] for known in _features(feature)):
            message = f"no knob {feature!r} with fault {fault!r}"
            raise KnobUnknown(message)
        chosen = DEFAULT_VALUES.get(fault, True) if value is None else value
        with self._lock:
            self._knobs[feature, fault] = Knob(
                feature=feature, fault=fault, value=chosen, times=times
            )
            if times == 0:
                del self._knobs[feature, fault]

    def take(self, feature: str, fault: str) -> Any:
        """Return the value of a failure that shall happen now, else None; counts it down."""
        group = feature.split(".", 1)[0]
        with self._lock:
            knob = self._knobs.get((feature, fault)) or self._knobs.get((group, fault))
            if knob is None:
                return None
            if knob.times is not None:
                knob.times -= 1
                if knob.times <= 0:
                    del self._knobs[knob.feature, knob.fault]
            return knob.value

    def peek(self, feature: str, fault: str) -> bool:
        """Tell whether a failure is switched on, without counting it down."""
        with self._lock:
            return (feature, fault) in self._knobs or (
                feature.split(".", maxsplit=1)[0],
                fault,
            ) in self._knobs

    def clear(self, feature: str | None = None) -> None:
        """Switch off all failures, or those of one feature."""
        with self._lock:
            for key in [key for key in self._knobs if feature in (None, key[0])]:
                del self._knobs[key]

    def active(self) -> list[dict[str, Any]]:
        """Return what is switched on, for the control API."""
        with self._lock:
            return [
                {"feature": k.feature, "fault": k.fault, "value": k.value, "times": k.times}
                for k in self._knobs.values()
            ]


def _features(name: str) -> Iterable[str]:
    return [known for known in CATALOGUE if known == name or known.split(".", 1)[0] == name]
