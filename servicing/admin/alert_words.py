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
    "payment-mismatch": "付款信息不符",
    "payment-refunded-elsewhere": "平台侧退款",
    "refund-failed": "退款未成功",
    "refund-unknown": "未知退款",
    "review-overdue": "人工复核超时",
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
_BILL_WHY: Final[Mapping[str, str]] = {
    "NO_STATEMENT_EXIST": "平台没有给出该日账单",
    "STATEMENT_CREATING": "平台还在生成该日账单",
    "pay-bill-unreadable": "账单文件无法识别",
    "payment-uncertain": "有付款还查不到结果",
}
_RAILS: Final[Mapping[str, str]] = {
    "approve_share_least": "通过率 %(found)s，低于下限 %(bound)s",
    "approve_share_most": "通过率 %(found)s，高于上限 %(bound)s",
    "approve_share_gap_most": "与冠军通过率之差 %(found)s，高于上限 %(bound)s",
    "review_share_most": "转人工率 %(found)s，高于上限 %(bound)s",
    "error_share_most": "出错率 %(found)s，高于上限 %(bound)s",
    "bad_share_most": "已知结果坏账率 %(found)s，高于上限 %(bound)s",
    "p99_ms_most": "决策耗时 p99 %(found)s，高于上限 %(bound)s",
}
_WEBHOOK_WHY: Final[Mapping[str, str]] = {"gone": "对方已下线", "failing": "连续三天失败"}
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
    why = str(details.get("why", ""))
    return Happened(sentence=sentence, grounds=(gettext(_BILL_WHY.get(why, why)),))


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
    # Alerts of old say why in words only.
    broken = details.get("broken") or ()
    grounds = tuple(map(_broken_rail, broken)) or (str(details.get("why", "")),)
    return Happened(sentence=sentence, grounds=grounds)


def _broken_rail(broken: Mapping[str, Any]) -> str:
    rail = str(broken.get("rail", ""))
    if rail not in _RAILS:
        return str(gettext("生效版本已更换"))
    unit, scale = (" ms", 1) if rail == "p99_ms_most" else ("%", 100)
    said = {name: f"{broken[name] * scale:.4g}{unit}" for name in ("found", "bound")}
    return str(gettext(_RAILS[rail], **said))


def _payment_mismatch(details: Details) -> Happened:
    sentence = gettext(
        "微信支付通知的金额或商户与付款单不符，通知金额 ¥%(told)s，付款单 ¥%(amount)s，未入账",
        told=yuan(int(details.get("told_fen") or 0)),
        amount=yuan(int(details.get("amount_fen", 0))),
    )
    return Happened(sentence=sentence, grounds=(str(details.get("out_trade_no", "")),))


def _refunded_elsewhere(details: Details) -> Happened:
    amount = yuan(int(details.get("amount_fen", 0)))
    sentence = gettext("付款单 ¥%(amount)s 在商户平台被退款，请核对", amount=amount)
    return Happened(sentence=sentence, grounds=(str(details.get("out_trade_no", "")),))


def _refund_unknown(details: Details) -> Happened:
    sentence = gettext("微信支付通知了一笔系统中没有的退款，请核对")
    return Happened(sentence=sentence, grounds=(str(details.get("out_refund_no", "")),))


def _webhook_disabled(details: Details) -> Happened:
    why = str(details.get("why", ""))
    sentence = gettext(
        "合作方 %(partner)s 的回调已停用：%(why)s",
        partner=details.get("partner", _NOTHING),
        why=gettext(_WEBHOOK_WHY.get(why, why or _NOTHING)),
    )
    return Happened(sentence=sentence)


def _strategy_ending(details: Details) -> Happened:
    named = {name: details.get(name, _NOTHING) for name in ("strategy", "version", "ends_on")}
    sentence = gettext(
        "策略 %(strategy)s 第 %(version)s 版到 %(ends_on)s 失效，尚无后续版本", **named
    )
    return Happened(sentence=sentence, grounds=(gettext("届时所有申请都无法决策，请尽快发布"),))


def _day_failures(details: Details) -> Happened:
    on, count = details.get("on", _NOTHING), details.get("loans", 0)
    return Happened(sentence=gettext("%(on)s 日终有 %(count)s 笔借款处理失败", on=on, count=count))


def _application_overdue(details: Details) -> Happened:
    number = details.get("application_no", _NOTHING)
    return Happened(sentence=gettext("申请 %(number)s 超过 5 分钟仍未决定", number=number))


def _review_overdue(details: Details) -> Happened:
    number = details.get("application_no", _NOTHING)
    if details.get("of") == "terms":
        said = gettext("申请 %(number)s 的价格与额度复核超过答应客户的时限", number=number)
    else:
        said = gettext("申请 %(number)s 的人工审核超过时限，仍未决定", number=number)
    return Happened(sentence=said)


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
    "payment-mismatch": _payment_mismatch,
    "payment-refunded-elsewhere": _refunded_elsewhere,
    "refund-failed": _refund_failed,
    "refund-unknown": _refund_unknown,
    "review-overdue": _review_overdue,
    "strategy-ending": _strategy_ending,
    "webhook-disabled": _webhook_disabled,
}
