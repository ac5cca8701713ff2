"""What each kind of alert tells: its name, and a sentence made of what it was raised with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from flask_babel import gettext

from kernel.money import yuan
from servicing.admin import words
from servicing.queries import AlertView

KINDS: Final[Mapping[str, str]] = {
    "application-overdue": "进件超时",
    "bill-late": "账单未到",
    "books-differ": "账务差异",
    "challenge-stopped": "策略挑战中止",
    "credit-waits": "应退款待办",
    "day-failures": "日终失败",
    "evidence-late": "核验迟到",
    "extension-asked": "客户申请展期",
    "line-frozen": "额度冻结",
    "pay-difference": "对账差错",
    "refund-failed": "退款未成功",
    "strategy-ending": "策略即将失效",
    "webhook-disabled": "合作方回调已停用",
}
_REFUND_WHY: Final[Mapping[str, str]] = {
    "stuck": "多次提交仍无结果",
    "closed": "退款已被关闭",
    "abnormal": "收款账户异常",
    "manual": "无法原路退回，须人工转账",
    "twice": "已人工转账，微信支付又退了一次",
}
_NOTHING: Final = "—"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What an alert tells: one sentence, and what it rests on."""

    sentence: str
    grounds: tuple[str, ...] = ()


Details: TypeAlias = Mapping[str, Any]


def happened(alert: AlertView) -> Happened:
    """Say in a sentence what an alert is about; an unknown kind shows what it was raised with."""
    return _SENTENCES.get(alert.kind, _unknown)(alert.details)


def _line_frozen(details: Details) -> Happened:
    sentence = gettext("评级为 %(grade)s，额度已自动冻结", grade=details.get("grade", _NOTHING))
    return Happened(sentence=sentence, grounds=tuple(words.reasons(details.get("reasons", ()))))


def _extension_asked(details: Details) -> Happened:
    sentence = gettext(
        "客户在微信页面申请展期 %(count)s 期，请核实后发出展期方案，或告知原因",
        count=details.get("extra_terms", _NOTHING),
    )
    return Happened(sentence=sentence, grounds=(str(details.get("loan_no", "")),))


def _refund_failed(details: Details) -> Happened:
    why = str(details.get("why", ""))
    sentence = gettext(
        "退款 ¥%(amount)s 未成功：%(why)s",
        amount=yuan(int(details.get("amount_fen", 0))),
        why=gettext(_REFUND_WHY.get(why, why or _NOTHING)),
    )
    numbers = (details.get("out_refund_no"), details.get("last_code"))
    return Happened(sentence=sentence, grounds=tuple(str(number) for number in numbers if number))


def _credit_waits(details: Details) -> Happened:
    amount = yuan(int(details.get("amount_fen", 0)))
    sentence = gettext("分期多付 ¥%(amount)s，超出自动退款限额，请办理退还", amount=amount)
    return Happened(sentence=sentence, grounds=(str(details.get("loan_no", "")),))


def _books_differ(details: Details) -> Happened:
    found = details.get("differences", ())
    sentence = gettext("夜间对账发现 %(count)s 处差异", count=len(found))
    return Happened(sentence=sentence, grounds=tuple(found))


def _bill_late(details: Details) -> Happened:
    sentence = gettext("%(on)s 的微信支付账单迟迟未能对上", on=details.get("on", _NOTHING))
    return Happened(sentence=sentence, grounds=(str(details.get("why", "")),))


def _difference_old(details: Details) -> Happened:
    kind, _colour = words.word(words.DIFFERENCE_KINDS, str(details.get("kind", "")))
    sentence = gettext(
        "对账差错超过一天未处理：%(kind)s，¥%(amount)s",
        kind=kind,
        amount=yuan(abs(int(details.get("open_fen", 0)))),
    )
    number = gettext("差错 #%(id)s", id=details.get("difference_id", _NOTHING))
    return Happened(sentence=sentence, grounds=(number, str(details.get("bill_on", ""))))


def _challenge_stopped(details: Details) -> Happened:
    named = {name: details.get(name, _NOTHING) for name in ("strategy", "version")}
    sentence = gettext("策略 %(strategy)s 第 %(version)s 版的挑战已自动中止", **named)
    return Happened(sentence=sentence, grounds=(str(details.get("why", "")),))


def _strategy_ending(details: Details) -> Happened:
    named = {name: details.get(name, _NOTHING) for name in ("strategy", "version", "ends_on")}
    sentence = gettext(
        "策略 %(strategy)s 第 %(version)s 版到 %(ends_on)s 失效，之后没有已发布的版本："
        "届时所有申请都无法决策，请尽快发布后续版本",
        **named,
    )
    return Happened(sentence=sentence)


def _day_failures(details: Details) -> Happened:
    on, count = details.get("on", _NOTHING), details.get("loans", 0)
    return Happened(sentence=gettext("%(on)s 日终有 %(count)s 笔借款处理失败", on=on, count=count))


def _application_overdue(details: Details) -> Happened:
    number = details.get("application_no", _NOTHING)
    return Happened(sentence=gettext("申请 %(number)s 超过 5 分钟仍未决定", number=number))


def _evidence_late(details: Details) -> Happened:
    number = details.get("application_no", _NOTHING)
    label = gettext(str(details.get("subsystem", _NOTHING)))
    sentence = gettext(
        "申请 %(number)s 通过后才收到%(label)s的答复，请核对", number=number, label=label
    )
    return Happened(sentence=sentence)


def _unknown(details: Details) -> Happened:
    grounds = tuple(f"{name} {value}" for name, value in details.items())
    return Happened(sentence=gettext("系统发出预警，请查看明细"), grounds=grounds)


_SENTENCES: Final[Mapping[str, Callable[[Details], Happened]]] = {
    "application-overdue": _application_overdue,
    "bill-late": _bill_late,
    "books-differ": _books_differ,
    "challenge-stopped": _challenge_stopped,
    "credit-waits": _credit_waits,
    "day-failures": _day_failures,
    "evidence-late": _evidence_late,
    "extension-asked": _extension_asked,
    "line-frozen": _line_frozen,
    "pay-difference": _difference_old,
    "refund-failed": _refund_failed,
    "strategy-ending": _strategy_ending,
}
