"""Words of the strategy language for staff: Chinese here, English by translation.

A code that is not listed is shown as it is; what a code means is decided in risk.strategy.
"""

import re
from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from risk.evidence.house import DECLARED

Word = tuple[str, str]
"""What a badge says, and its colour."""

STAGE_KINDS: Final[Mapping[str, Word]] = {
    "rules": (_("规则集"), "blue"),
    "table": (_("决策表"), "purple"),
    "matrix": (_("矩阵"), "purple"),
    "card": (_("评分卡"), "teal"),
    "model": (_("模型"), "teal"),
    "tree": (_("决策树"), "purple"),
    "branch": (_("分流"), "orange"),
    "compute": (_("额度与定价"), "yellow"),
    "final": (_("终审"), "green"),
}
STAGE_ICONS: Final[Mapping[str, str]] = {
    "rules": "checklist",
    "table": "file",
    "matrix": "adjustments",
    "card": "chart",
    "model": "chart",
    "tree": "versions",
    "branch": "versions",
    "compute": "cash",
    "final": "flag",
}
OUTCOMES: Final[Mapping[str, Word]] = {
    "approve": (_("通过"), "green"),
    "review": (_("转人工"), "orange"),
    "decline": (_("拒绝"), "red"),
}
MISSING: Final[Mapping[str, str]] = {
    "ignore": _("忽略此规则"),
    "review": _("转人工"),
    "decline": _("拒绝"),
}
SILENCE: Final[Mapping[str, str]] = {
    "ignore": _("由规则判断"),
    "review": _("转人工"),
    "decline": _("拒绝"),
}
POLICIES: Final[Mapping[str, str]] = {
    "first": _("首个命中的行"),
    "unique": _("唯一命中的行"),
    "collect": _("全部命中的行"),
}
USES: Final[Mapping[str, str]] = {
    "credit": _("授信"),
    "price": _("定价"),
    "fraud": _("反欺诈"),
    "monitoring": _("贷中监测"),
    "collection": _("催收"),
    "marketing": _("营销"),
}
KINDS: Final[Mapping[str, str]] = {
    "number": _("数值"),
    "text": _("文本"),
    "truth": _("是否"),
    "day": _("日期"),
}
SOURCES: Final[Mapping[str, str]] = {
    "application": _("申请资料"),
    "own": _("自有数据"),
    "bureau": _("征信"),
    "device": _("设备"),
    "identity": _("实名核验"),
    "face": _("人脸比对"),
    "lists": _("外部名单"),
    "links": _("关联网络"),
    "derived": _("策略内计算"),
    "output": _("策略输出"),
    "counter": _("时间窗口计数"),
}
OPERATORS: Final[Mapping[str, str]] = {
    "below": _("小于"),
    "at_most": _("小于等于"),
    "above": _("大于"),
    "at_least": _("大于等于"),
    "between": _("介于"),
    "equals": _("等于"),
    "differs": _("不等于"),
    "one_of": _("属于"),
    "none_of": _("不属于"),
    "starts_with": _("开头是"),
    "ends_with": _("结尾是"),
    "contains": _("包含"),
    "in_list": _("在名单中"),
    "not_in_list": _("不在名单中"),
    "missing": _("缺失"),
    "present": _("有值"),
}
_ORDER: Final = ("below", "at_most", "above", "at_least", "between")
_EVERY: Final = ("equals", "differs", "one_of", "none_of")
_LAST: Final = ("missing", "present")
_TEXTUAL: Final = ("starts_with", "ends_with", "contains", "in_list", "not_in_list")
OPERATORS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "number": (*_ORDER, *_EVERY, *_LAST),
    "day": (*_ORDER, *_EVERY, *_LAST),
    "truth": ("equals", *_LAST),
    "text": (*_EVERY, *_TEXTUAL, *_LAST),
}
TRUTHS: Final[Mapping[str, str]] = {"是": _("是"), "否": _("否")}
"""As values.kept reads them, with the words to show."""

MATCHES: Final[Mapping[str, str]] = {
    "exact": _("完全一致"),
    "cidr": _("网段"),
    "fuzzy": _("近似"),
}
UNITS: Final[Mapping[str, str]] = {
    "fen": _("元"),
    "days": _("天"),
    "months": _("个月"),
    "years": _("年"),
    "age": _("岁"),
    "minutes": _("分钟"),
    "points": _("分"),
}
_WINDOW: Final = re.compile(r"([0-9]+)(min|h|d|m)")
WINDOW_UNITS: Final[Mapping[str, str]] = {
    "min": _("分钟"),
    "h": _("小时"),
    "d": _("天"),
    "m": _("个月"),
}
EVENTS: Final[Mapping[str, str]] = {"application": _("申请")}
LIST_KINDS: Final[Mapping[str, str]] = {
    "identity": _("证件号"),
    "phone": _("手机号"),
    "network": _("网段或IP地址"),
    "text": _("文字"),
}
LIST_HINTS: Final[Mapping[str, str]] = {
    "identity": _("18位证件号；只存摘要，保存后看不到原号码"),
    "phone": _("11位手机号；只存摘要，保存后看不到原号码"),
    "network": _("如 10.0.0.0/8"),
    "text": _("设备、单位名称等；比较时不计大小写、空格和标点"),
}
APPEALS: Final[Mapping[str, Word]] = {
    "none": (_("未申诉"), "secondary"),
    "open": (_("申诉中"), "orange"),
    "rejected": (_("申诉未成立"), "secondary"),
    "upheld": (_("申诉成立，不再起作用"), "green"),
}
HIT_KINDS: Final[Mapping[str, Word]] = {
    "hit": (_("命中"), "blue"),
    "missing": (_("资料缺失"), "orange"),
    "snoozed": (_("已静默"), "secondary"),
    "floored": (_("转人工"), "yellow"),
    "taken": (_("采用"), "azure"),
}
PRODUCTS: Final[Mapping[str, str]] = {
    "standard": _("自营消费分期"),
    "instalment": _("合作方消费分期"),
}
"""Products of the house; one that a strategy names itself is shown by its code."""

CHOICES: Final[Mapping[str, str]] = {
    "bank": _("银行"),
    "consumer_finance": _("消费金融公司"),
    "small_loan": _("小额贷款公司"),
}
"""What texts of the catalogue may hold; they are told apart by their codes."""


KEYS: Final[Mapping[str, str]] = {
    "title": _("名称"),
    "when": _("条件"),
    "field": _("字段"),
    "is": _("比较方式"),
    "value": _("值"),
    "outcome": _("结论"),
    "reason": _("原因码"),
    "missing": _("资料缺失时"),
    "code": _("原因码"),
    "internal": _("内部原因"),
    "customer": _("对客户的说明"),
    "effective_from": _("生效日期"),
    "policy": _("命中方式"),
}
"""What an analyst can leave blank."""


def word(words: Mapping[str, Word], code: object) -> Word:
    """Say a code and name its colour."""
    return words.get(str(code), (str(code), "secondary"))


def said(words: Mapping[str, str], code: object) -> str:
    """Say a code."""
    return str(words.get(str(code), code))


def subsystem(name: str) -> str:
    """Say what people call a sub-system."""
    found = next((each.label for each in DECLARED if each.name == name), None)
    return name if found is None else str(gettext(found))


def unit(code: str) -> str:
    """Say a unit; nothing for counts, shares and plain numbers."""
    return str(UNITS.get(code, ""))


def window(code: str) -> str:
    """Say how far a dimension looks back, as 近30天; nothing for a state."""
    match = _WINDOW.fullmatch(code)
    if match is None:
        return ""
    return str(gettext("近%(count)s", count=f"{match[1]}{WINDOW_UNITS[match[2]]}"))
