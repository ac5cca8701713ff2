"""Codes of the book in words for staff, each state with the colour of its badge.

Chinese here, English by translation. A code that is not listed is shown as it is; what a code
means is decided where it is made.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from flask import g
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from kernel.clock import business_date
from kernel.money import fen_from_yuan, yuan
from kernel.web import runtime, today
from risk.queries import staff_reasons
from servicing.lateness import CLASSES
from servicing.model import (
    APPEALED,
    DECLINED_ALREADY,
    EVIDENCE_MISSING,
    HOLD_LAPSED,
    IMPORTED,
    LINE_TOO_SMALL,
    MACHINE,
    NO_STRATEGY,
    PRICE_OUTSIDE,
    SWITCHED_OFF,
)

_LONG_NUMBER: Final = re.compile(r"\d[\d -]{5,}[\dXx]")
_SHOWN_SIGNS: Final = 3

Word = tuple[str, str]
"""What a badge says, and its colour."""

LINE_STATES: Final[Mapping[str, Word]] = {
    "active": (_("正常"), "green"),
    "frozen": (_("已冻结"), "red"),
    "closed": (_("已关闭"), "secondary"),
}
FREEZE_REASONS: Final[Mapping[str, str]] = {
    "fraud": _("疑似欺诈或套现"),
    "stolen": _("疑似被他人冒用"),
    "overdue": _("逾期严重"),
    "requested": _("客户本人要求"),
    "legal": _("司法或监管要求"),
    "grade": _("日终评级为最差一档"),
}
FREEZE_CHOICES: Final = tuple(code for code in FREEZE_REASONS if code != "grade")

LOAN_STATES: Final[Mapping[str, Word]] = {
    "active": (_("还款中"), "azure"),
    "charged_off": (_("已核销（在追）"), "purple"),
    "written_off": (_("债权已放弃"), "secondary"),
    "cancelled": (_("退货已取消"), "secondary"),
    "settled": (_("已结清"), "green"),
}
INSTALMENT_STATES: Final[Mapping[str, Word]] = {
    "paid": (_("已还清"), "green"),
    "waived": (_("已减免"), "secondary"),
    "void": (_("无需还款"), "secondary"),
    "overdue": (_("已逾期"), "red"),
    "due": (_("今日到期"), "orange"),
    "upcoming": (_("未到期"), "secondary"),
}
FIVE_CLASSES: Final[Mapping[str, Word]] = {
    "normal": (_("正常"), "green"),
    "special-mention": (_("关注"), "yellow"),
    "substandard": (_("次级"), "orange"),
    "doubtful": (_("可疑"), "red"),
    "loss": (_("损失"), "red"),
}
LOWER_CLASSES: Final = CLASSES[1:]
CLASS_MARKS: Final[Mapping[str, str]] = {
    "restructured": _("重组观察期"),
    "staff": _("人工下调"),
}
CLASS_REASONS: Final[Mapping[str, str]] = {"days": _("逾期天数"), **CLASS_MARKS}
BUREAU_MARKS: Final[Mapping[str, str]] = {
    "overdue": _("逾期"),
    "restructured": _("重组"),
}
APPLICATION_STATES: Final[Mapping[str, Word]] = {
    "submitted": (_("机器处理中"), "azure"),
    "in_review": (_("待人工审核"), "orange"),
    "approved": (_("已通过"), "green"),
    "declined": (_("已拒绝"), "red"),
    "cancelled": (_("已取消"), "secondary"),
    "booked": (_("已放款"), "green"),
}
OUTCOMES: Final[Mapping[str, Word]] = {
    "approve": (_("通过"), "green"),
    "review": (_("转人工"), "orange"),
    "decline": (_("拒绝"), "red"),
}
EVIDENCE_STATES: Final[Mapping[str, Word]] = {
    "waiting": (_("等待答复"), "azure"),
    "answered": (_("已答复"), "green"),
    "failed": (_("未能取得"), "red"),
    "timed_out": (_("超时"), "orange"),
    "planned": (_("尚未轮到"), "secondary"),
    "not_asked": (_("未查询"), "secondary"),
}
NOT_ASKED: Final[Mapping[str, str]] = {
    SWITCHED_OFF: _("该产品的策略不使用这个子系统"),
    DECLINED_ALREADY: _("此前已确定拒绝，不必再查"),
}
APPROVE_REASONS: Final[Mapping[str, str]] = {
    "confirmed-by-phone": _("已电话核实本人与用途"),
    "documents-verified": _("补充资料核实通过"),
    "good-record": _("历史还款良好"),
    "purchase-confirmed": _("已向门店核实交易真实"),
}
DECLINE_REASONS: Final[Mapping[str, str]] = {
    "beyond-means": _("还款能力与申请金额不匹配"),
    "unverified": _("申请资料无法核实"),
    "unsteady": _("近期还款表现不稳定"),
    "inconsistent": _("申请信息前后不一致"),
    "not-eligible": _("暂不符合办理条件"),
}
"""What people choose from; servicing.queries.reasons says what the customer reads of it."""

APPLICATION_REASONS: Final[Mapping[str, str]] = {
    **APPROVE_REASONS,
    **DECLINE_REASONS,
    APPEALED: _("客户申请人工复核"),
    EVIDENCE_MISSING: _("外部核验未在时限内答复"),
    HOLD_LAPSED: _("批准后 30 天未办理，已自动取消并通知客户"),
    LINE_TOO_SMALL: _("可用额度不足或额度已冻结"),
    NO_STRATEGY: _("没有策略决定该产品，须人工审核"),
    PRICE_OUTSIDE: _("策略定价不在产品的价格范围内"),
}
"""The book's own codes; the judge's are in the words of its strategy."""

ORDER_STATES: Final[Mapping[str, Word]] = {
    "created": (_("下单中"), "azure"),
    "open": (_("待支付"), "azure"),
    "paid": (_("已支付"), "green"),
    "closed": (_("已关闭"), "secondary"),
    "failed": (_("下单失败"), "red"),
}
REFUND_STATES: Final[Mapping[str, Word]] = {
    "ready": (_("待退款"), "azure"),
    "processing": (_("退款中"), "azure"),
    "succeeded": (_("已退款"), "green"),
    "closed": (_("退款关闭"), "red"),
    "abnormal": (_("退款异常"), "red"),
    "manual": (_("待人工转账"), "orange"),
    "transferred": (_("已人工转账"), "green"),
}
REFUND_WHY: Final[Mapping[str, str]] = {
    "source-too-old": _("原付款已超过一年"),
    "source-used-up": _("原付款已退完或退不了"),
    "no-source": _("没有微信付款可退"),
    "closed": _("微信支付已关闭退款"),
    "abnormal": _("收款账户异常"),
}
PAY_CHANNELS: Final[Mapping[str, str]] = {"jsapi": _("微信支付"), "wechat": _("微信支付")}
ENTRY_KINDS: Final[Mapping[str, str]] = {
    "disbursement": _("放款"),
    "interest": _("计提利息"),
    "subsidy": _("计提商户贴息"),
    "subsidy-payment": _("商户支付贴息"),
    "repayment": _("还款入账"),
    "overpayment": _("多付款项"),
    "refund": _("退款"),
    "refund-by-bank": _("银行转账退款"),
    "fee": _("计提费用"),
    "penalty": _("计提罚息"),
    "prepayment": _("提前还款入账"),
    "interest-waiver": _("减免利息"),
    "charge-waiver": _("减免费用"),
    "reversal": _("冲正"),
    "correction": _("更正"),
    "goodwill-credit": _("客户关怀补偿"),
    "merchant-refund": _("商户退货款"),
    "interest-refund": _("退回利息"),
    "charge-adjustment": _("退回费用"),
    "charge-back": _("付款被撤回"),
    "payout-refund": _("放款退回"),
    "credit-balance-refund": _("退还多付款"),
    "charge-off": _("核销"),
    "write-off": _("放弃债权"),
    "recovery": _("核销后收回"),
    "suspense": _("对账差错挂账"),
    "suspense-cleared": _("差错款转出"),
    "payment-fee": _("支付手续费"),
    "platform-payout": _("微信支付结算到银行"),
    "collected-for-others": _("代收费用到账"),
    "payee-payout": _("支付代收费用"),
    "payee-payout-returned": _("代收费用付款退回"),
}

PAYOUT_STATES: Final[Mapping[str, Word]] = {
    "approved": (_("已批准，待付款"), "yellow"),
    "paid": (_("已付款"), "green"),
    "returned": (_("已退回"), "red"),
    "cancelled": (_("已取消"), "secondary"),
}

CONSOLE_BOOKINGS: Final[Mapping[str, str]] = {
    "own-refund": _("我方未成功的退款，记为已退"),
    "credit": _("退还多付款"),
    "repayment": _("冲回还款，欠款恢复"),
}

DIFFERENCE_KINDS: Final[Mapping[str, Word]] = {
    "unknown-here": (_("微信有、我方无"), "orange"),
    "lost-notice": (_("通知丢失"), "azure"),
    "missing-there": (_("我方有、账单无"), "red"),
    "amount-differs": (_("金额不一致"), "orange"),
    "refunded-there": (_("商户平台退款"), "purple"),
    "fee-differs": (_("手续费不符"), "secondary"),
    "billed-twice": (_("账单重复列示"), "orange"),
    "bill-missing": (_("账单缺失"), "red"),
}
RESOLUTIONS: Final[Mapping[str, str]] = {
    "settled-by-query": _("查单后自动入账"),
    "came-later": _("次日账单已补上"),
    "offset": _("收退相抵"),
    "nothing-booked": _("当日我方无往来"),
    "to-loan": _("入账到分期"),
    "refunded": _("原路退回"),
    "taken-back": _("冲回还款"),
    "written-down": _("转对账差错损益"),
}
ACCOUNT_KINDS: Final[Mapping[str, str]] = {
    "asset": _("资产"),
    "liability": _("负债"),
    "income": _("收入"),
    "expense": _("支出"),
    "memorandum": _("表外"),
}
CREDITORS: Final[Mapping[str, str]] = {"own": _("自营")}

HOLD_REASONS: Final[Mapping[str, str]] = {
    "dispute": _("有争议"),
    "hardship": _("经济困难"),
    "illness": _("本人或家人重病"),
    "disaster": _("受灾"),
    "not_debtor": _("接听人不是客户本人"),
    "deceased": _("客户身故"),
    "legal": _("司法或监管要求"),
    "requested": _("客户要求暂停联系"),
}
HOLD_SCOPES: Final[Mapping[str, str]] = {
    "all": _("催收、提醒与营销"),
    "collection": _("只停催收"),
    "service_reminder": _("只停账单提醒"),
    "marketing": _("只停营销"),
    "sms": _("只停短信"),
}
LOAN_SCOPES: Final = ("all", "collection", "service_reminder")
"""Scopes that mean something for a single loan."""

COMPLAINT_STATES: Final[Mapping[str, Word]] = {
    "open": (_("待答复"), "orange"),
    "answered": (_("已答复，待结案"), "azure"),
    "closed": (_("已结案"), "green"),
}
COMPLAINT_CATEGORIES: Final[Mapping[str, str]] = {
    "amount": _("金额有异议"),
    "payment": _("已还款未入账"),
    "contact": _("联系方式或频次"),
    "merchant": _("商品或商户问题"),
    "identity": _("非本人办理"),
    "privacy": _("个人信息"),
    "chat": _("微信对话中提出"),
    "other": _("其他"),
}
COMPLAINT_CHOICES: Final = tuple(code for code in COMPLAINT_CATEGORIES if code != "chat")
COMPLAINT_CHANNELS: Final[Mapping[str, str]] = {
    "phone": _("电话"),
    "counter": _("柜台"),
    "wechat": _("微信"),
    "letter": _("信函"),
    "regulator": _("监管转办"),
}
CONSENT_PURPOSES: Final[Mapping[str, str]] = {
    "wechat_binding": _("绑定微信"),
    "marketing": _("接收营销信息"),
    "credit_inquiry": _("查询征信"),
    "offer.extension": _("同意展期"),
    "offer.due-day": _("同意变更还款日"),
    "offer.retention": _("同意降息方案"),
    "offer.settlement": _("同意减免结清"),
    "offer.line-raise": _("同意提额"),
    "offer.next-part": _("同意再次放款"),
}
COMPONENTS: Final[Mapping[str, str]] = {
    "penalty": _("罚息"),
    "fee": _("费用"),
    "interest": _("利息"),
    "principal": _("本金"),
}
MONEY_ACTS: Final[Mapping[str, str]] = {
    "repay": "登记线下还款",
    "prepay": "登记线下提前还款",
    "recover": "登记核销后收回",
    "charge": "记一笔费用",
    "charge-instalments": "每期加收费用",
    "waive": "减免欠款",
    "goodwill": "客户关怀补偿",
    "freeze-interest": "冻结利息",
    "freeze-penalty": "冻结罚息",
    "extension": "展期",
    "due-day": "变更还款日",
    "grace": "只还利息",
    "holiday": "暂停还款",
    "re-price": "调整利率",
    "re-age": "重组还款计划",
    "re-amortise": "分摊逾期本金",
    "terminate": "提前到期",
    "cancel-purchase": "退货取消",
    "charge-back": "还款被银行撤回",
    "draw": "放下一笔款",
    "end-drawing": "放弃未放款项",
    "reverse": "冲正一笔记录",
    "charge-off": "核销",
    "write-off": "放弃债权",
}
"""What staff do to a loan's money, as registered with desk; said by `act`."""

ACT_GROUPS: Final = (
    ("repay", "prepay", "recover"),
    ("charge", "charge-instalments"),
    ("waive", "goodwill", "freeze-interest", "freeze-penalty"),
    ("extension", "due-day", "grace", "holiday", "re-price"),
    ("re-age", "re-amortise"),
    ("terminate", "charge-off", "write-off"),
    ("cancel-purchase", "charge-back", "reverse"),
)
DRAW_ACTS: Final = ("draw", "end-drawing")
# What may still be done to a loan that is not running any more; recovering is for these alone.
_AFTER_END: Final[Mapping[str, tuple[str, ...]]] = {
    "settled": ("cancel-purchase", "charge-back", "reverse"),
    "cancelled": ("charge-back", "reverse"),
    "written_off": ("recover", "reverse"),
}
FREEZE_ACTS: Final = ("freeze-interest", "freeze-penalty")
OFFERS: Final[Mapping[str, str]] = {
    "extension": "展期方案",
    "due-day": "变更还款日方案",
    "retention": "降息挽留方案",
    "settlement": "减免结清方案",
    "line-raise": "提额邀请",
    "next-part": "再次放款方案",
}
OFFER_STATES: Final[Mapping[str, Word]] = {
    "offered": (_("待客户确认"), "orange"),
    "accepted": (_("客户已同意，待履行"), "azure"),
    "fulfilled": (_("已履行"), "green"),
    "lapsed": (_("已失效"), "secondary"),
    "withdrawn": (_("已撤回"), "secondary"),
    "declined": (_("客户已谢绝"), "secondary"),
    "replaced": (_("已更新为新方案"), "secondary"),
}
CONFIRMED: Final[Mapping[str, str]] = {
    "counter": _("当面阅读"),
    "phone": _("电话逐项告知"),
}
FREEZES: Final[Mapping[str, str]] = {"interest": _("利息"), "penalty": _("罚息")}
LINE_CHANGES: Final[Mapping[str, str]] = {
    "raise": _("提额"),
    "cut": _("降额"),
    "renew": _("续期"),
    "expire": _("到期"),
    "undo": _("撤销变更"),
}
RECEIPT_CHANNELS: Final[Mapping[str, str]] = {
    "bank-transfer": _("银行转账"),
    "cash-desk": _("柜台现金"),
}
PREPAYMENT_EFFECTS: Final[Mapping[str, str]] = {
    "reduce-term": _("每期金额不变，缩短期数"),
    "reduce-instalment": _("期数不变，减少每期金额"),
    "reschedule-next": _("先抵下一期，其余不变"),
}
DETAILS: Final[Mapping[str, str]] = {
    "value_date": _("收款日期"),
    "channel": _("收款方式"),
    "reference": _("凭证号"),
    "effect": _("还款后的计划"),
    "name": _("费用名称"),
    "payee": _("收取方"),
    "due_on": _("费用到期日"),
    "component": _("减免项目"),
    "amount_fen": _("金额（元）"),
    "first_due_on": _("首个还款日"),
    "terms": _("期数"),
    "rate_annual": _("年利率"),
    "from_on": _("自哪天起"),
    "seq": _("记录序号"),
    "first_on": _("首日（含）"),
    "last_on": _("末日（含）"),
    "reason": _("理由"),
    "extra_terms": _("增加期数"),
    "due_day": _("还款日（每月几号）"),
    "sum_fen": _("结清金额（元）"),
    "granted_fen": _("授信额度（元）"),
    "periods": _("期数"),
    "bears_interest": _("期间计息"),
    "bears_cost": _("利息由客户承担"),
    "valid_until": _("有效期至"),
}
_CODED: Final[Mapping[str, Mapping[str, str]]] = {
    "component": COMPONENTS,
    "channel": RECEIPT_CHANNELS,
    "effect": PREPAYMENT_EFFECTS,
}
LOAN_EVENTS: Final[Mapping[str, str]] = {
    "interest-refund": _("退回利息"),
    "charge-adjustment": _("退回费用"),
    "credit-balance-refund": _("退还多付款"),
    "repayment": _("还款入账"),
    "prepayment": _("提前还款入账"),
    "goodwill-credit": _("客户关怀补偿"),
    "waiver": _("减免欠款"),
    "extra-terms": _("展期"),
    "moved-due-date": _("变更还款日"),
    "rate-change": _("调整利率"),
    "disbursement": _("放款"),
    "undrawn-lapse": _("未放款项失效"),
    "subsidy-payment": _("商户支付贴息"),
    "charge": _("收取费用"),
    "instalment-fee": _("每期加收费用"),
    "interest-pause": _("冻结利息"),
    "penalty-pause": _("冻结罚息"),
    "re-age": _("重组还款计划"),
    "principal-grace": _("只还利息"),
    "payment-holiday": _("暂停还款"),
    "re-amortisation": _("分摊逾期本金"),
    "termination": _("提前到期"),
    "cancellation": _("退货取消"),
    "charge-back": _("还款被银行撤回"),
    "recovery": _("核销后收回"),
    "reversal": _("冲正"),
    "charge-off": _("核销"),
    "write-off": _("放弃债权"),
}
CHANNELS: Final[Mapping[str, str]] = {
    "wechat": _("微信"),
    "wechat_h5": _("微信页面"),
    "h5": _("微信页面"),
    "counter": _("柜台"),
    "payment": _("以付款方式同意"),
    "shop_qr": _("门店扫码"),
    "api": _("合作方接口"),
}


def word(words: Mapping[str, Word], code: str) -> Word:
    """Say a state and name its colour."""
    return words.get(code, (code, "secondary"))


def said(words: Mapping[str, str], code: str | None) -> str:
    """Say a code."""
    return words.get(code, code) if code else "—"


def act(code: str) -> str:
    """Say what is done to a loan's money."""
    return str(gettext(MONEY_ACTS[code]))


def offer(code: str) -> str:
    """Say what is offered."""
    return str(gettext(OFFERS[code]))


def acts(*, is_drawable: bool, status: str) -> list[list[tuple[str, str]]]:
    """List what may be done to a loan's money, to choose from, like beside like."""
    groups = (DRAW_ACTS, *ACT_GROUPS) if is_drawable else ACT_GROUPS
    found = [[code for code in group if _is_for(code, status)] for group in groups]
    return [[(code, act(code)) for code in group] for group in found if group]


def _is_for(code: str, status: str) -> bool:
    return code in _AFTER_END[status] if status in _AFTER_END else code != "recover"


def offers_of_loans(*, is_drawable: bool) -> list[tuple[str, str]]:
    """List what may be offered of a loan, to choose from."""
    others = ("line-raise",) if is_drawable else ("line-raise", "next-part")
    return [(code, offer(code)) for code in OFFERS if code not in others]


def amount(written: str) -> str:
    """Write an amount of a cost table for people, such as 1,234.50."""
    return yuan(fen_from_yuan(written))


def detail(name: str, value: Any) -> str:
    """Say what somebody asked for, by the name of the field."""
    if name.endswith("_fen"):
        return yuan(int(value))
    if name == "rate_annual":
        return f"{Decimal(value) * 100:.2f}%"
    if isinstance(value, bool):
        return str(_("是"))
    if name in _CODED:
        return str(said(_CODED[name], value))
    return str(value)


def reasons(codes: Iterable[str]) -> list[str]:
    """Say reasons of a decision or an alert; what is a sentence already stays as it is."""
    judges = _judges()
    return [
        str(APPLICATION_REASONS[code])
        if code in APPLICATION_REASONS
        else gettext(judges.get(code, code) or "—")
        for code in codes
    ]


def _judges() -> Mapping[str, str]:
    """Return the words of the strategies in force, read once a request."""
    if "staff_reasons" not in g:
        with runtime().database.read() as session:
            g.staff_reasons = staff_reasons(session, on=today())
    found: Mapping[str, str] = g.staff_reasons
    return found


def decider(decided_by: str | None) -> str:
    """Say who decided: a member of staff by login, our machine, or the former book."""
    known = {None: "—", MACHINE: gettext("机器"), IMPORTED: gettext("历史导入")}
    return str(known.get(decided_by, decided_by))


def value(read: object) -> str:
    """Say what a rule read."""
    if read is None:
        return str(gettext("无数据"))
    if isinstance(read, bool):
        return str(gettext("是") if read else gettext("否"))
    return str(read)


def duration(ms: int | None) -> str:
    """Say how long something took, in seconds."""
    if ms is None:
        return "—"
    return str(gettext("%(seconds)s 秒", seconds=f"{ms // 1000}.{ms % 1000 // 100}"))


def listed(words: Mapping[str, str], codes: Iterable[str]) -> list[tuple[str, str]]:
    """Pair some codes with their words, to choose from."""
    return [(code, words[code]) for code in codes]


def listed_words(words: Mapping[str, Word], codes: Iterable[str]) -> list[tuple[str, str]]:
    """Pair some codes with what their badges say, to choose from."""
    return [(code, words[code][0]) for code in codes]


def last_day(until: datetime) -> date:
    """Return the last business date that a half-open period covers."""
    return business_date(until - timedelta(microseconds=1))


def hide_numbers(text: str) -> str:
    """Star the middle of phones, id and card numbers that somebody wrote into a text."""
    return _LONG_NUMBER.sub(_starred, text)


def _starred(match: re.Match[str]) -> str:
    found = match[0]
    hidden = "*" * (len(found) - 2 * _SHOWN_SIGNS)
    return f"{found[:_SHOWN_SIGNS]}{hidden}{found[-_SHOWN_SIGNS:]}"
