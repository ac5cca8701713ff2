"""What a borrower's text asks for: plain rules, the same answer every time.

Rules stand in order of urgency, so that a complaint that also names a repayment stays a complaint.
It answers nothing; bot.dialogue does.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Intent(StrEnum):
    """Stable names of what may be asked."""

    COMPLAINT = "complaint"
    HUMAN = "human"
    UNBIND = "unbind"
    BIND = "bind"
    WHY_AMOUNT = "why_amount"
    REPAY = "repay"
    NEXT_DUE = "next_due"
    PROGRESS = "progress"
    GREETING = "greeting"
    MENU = "menu"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """What a text was taken for.

    Attributes:
        confidence: 0 to 1; 1 for a menu number or key.
        matched: The words that decided, "" if none did.
    """

    intent: Intent
    confidence: float
    matched: str


_NUMBERS = {
    "0": Intent.MENU,
    "1": Intent.PROGRESS,
    "2": Intent.NEXT_DUE,
    "3": Intent.REPAY,
    "4": Intent.WHY_AMOUNT,
    "5": Intent.HUMAN,
}

_RULES: tuple[tuple[Intent, str], ...] = (
    (Intent.COMPLAINT, r"投诉|举报|12378|黑猫|银保监|金融监管"),
    (Intent.HUMAN, r"人工|真人|转?客服|找个?人|接线员"),
    (Intent.UNBIND, r"解绑|解除绑定|取消绑定"),
    (Intent.BIND, r"绑定|认证|绑卡|登录"),
    (
        Intent.WHY_AMOUNT,
        r"为什么|为啥|怎么算|怎么.{0,4}这么多|凭什么|明细|利息.{0,4}(多少|怎么)|构成",
    ),
    (Intent.REPAY, r"[要想]还款|去还款|怎么还|如何还|还款链接|在线还款|付款|支付|还钱|^还款$"),
    (Intent.NEXT_DUE, r"下一?期|下次|下个月|本期|这期|这个月|几号还|什么时候还|哪天还|还款日|到期"),
    (
        Intent.PROGRESS,
        r"我的分期|进度|还[差剩欠]|[差剩欠]多少|还完了?吗|还了(多少|几期)|几期|余额|账单|分期|还要还|一共.{0,4}还",
    ),
    (Intent.MENU, r"菜单|帮助|功能|help|怎么用"),
    (Intent.GREETING, r"^(你好|您好|在吗|在么|哈喽|嗨|hi|hello|早上好|下午好|晚上好)"),
)
_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in _RULES)
_SURE = 1.0
_BY_RULE = 0.9


def normalise(text: str) -> str:
    """Fold width and case, and drop spaces and the punctuation at the ends."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return re.sub(r"\s+", "", folded).strip("。.!！?？,，~、…")


def understand(text: str) -> Understanding:
    """Say what a text asks for."""
    clean = normalise(text)
    if clean in _NUMBERS:
        return Understanding(intent=_NUMBERS[clean], confidence=_SURE, matched=clean)
    for intent, pattern in _COMPILED:
        found = pattern.search(clean)
        if found:
            return Understanding(intent=intent, confidence=_BY_RULE, matched=found[0])
    return Understanding(intent=Intent.UNKNOWN, confidence=0.0, matched="")
