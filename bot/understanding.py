"""What a borrower's text asks for: plain rules, the same answer every time.

A text is normalised, then the rules of intents.toml are tried in order of urgency, so that a
complaint that also names a repayment stays a complaint. Amounts, dates and counts are read out as
slots. It answers nothing; bot.dialogue does.
"""

import re
import time
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from bot import slots as reading


class Intent(StrEnum):
    """Stable names of what may be asked."""

    CRISIS = "crisis"
    COMPLAINT = "complaint"
    WRONG_NUMBER = "wrong_number"
    HARDSHIP = "hardship"
    PROMISE = "promise"
    HUMAN = "human"
    UNBIND = "unbind"
    BIND = "bind"
    EXTENSION = "extension"
    APPEAL = "appeal"
    STATUS = "status"
    STOP_CONTACT = "stop_contact"
    SERVICE = "service"
    OFFERS = "offers"
    OTHERS = "others"
    ABUSE = "abuse"
    PAYOFF = "payoff"
    PAID = "paid"
    WHY_TERMS = "why_terms"
    WHY_AMOUNT = "why_amount"
    NEXT_DUE = "next_due"
    REPAY = "repay"
    PROGRESS = "progress"
    THANKS = "thanks"
    MENU = "menu"
    GREETING = "greeting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """What a text was taken for.

    Attributes:
        confidence: 0 to 1; 1 for a menu number or a whole-text command, 0 for unknown.
        slots: amount (yuan, as text), date (ISO if it can be told, else as said), count (digits).
        matched: The words that decided, "" if none did.
        is_urgent: Whether a person must take over at once, whatever is answered.
        ms: How long it took.
    """

    intent: Intent
    confidence: float
    slots: Mapping[str, str]
    matched: str
    is_urgent: bool
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    intent: Intent
    confidence: float
    is_urgent: bool
    pattern: re.Pattern[str]


_CHOICES: Final = (
    ("0零〇", Intent.MENU),
    ("1一", Intent.PROGRESS),
    ("2二", Intent.NEXT_DUE),
    ("3三", Intent.REPAY),
    ("4四", Intent.WHY_AMOUNT),
    ("5五", Intent.HUMAN),
)
_NUMBERS: Final = {sign: intent for signs, intent in _CHOICES for sign in signs}

_STRONG: Final = 0.9
_WHOLE: Final = 1.0

_RULES_FILE: Final = Path(__file__).with_name("intents.toml")


def _load_rules() -> tuple[_Rule, ...]:
    rows = tomllib.loads(_RULES_FILE.read_text(encoding="utf-8"))["rule"]
    return tuple(
        _Rule(
            intent=Intent(row["intent"]),
            confidence=float(row.get("confidence", _STRONG)),
            is_urgent=bool(row.get("urgent", False)),
            pattern=re.compile("|".join(row["patterns"])),
        )
        for row in rows
    )


_COMPILED: Final = _load_rules()

# What people type instead of the usual signs: traditional forms and common slips.
_SIGNS: Final = str.maketrans(
    "還錢帳賬戶綁號碼這個為麼問題幾時間點開關單費額總當後來給對嗎請幫裡餘計算結業險學習難證認識電話聯係絡轉",
    "还钱账账户绑号码这个为么问题几时间点开关单费额总当后来给对吗请帮里余计算结业险学习难证认识电话联系络转",
)
_SLIPS: Final = (("帐", "账"), ("分欺", "分期"), ("还宽", "还款"), ("逾其", "逾期"))


def normalise(text: str) -> str:
    """Fold width, case and traditional signs, and drop spaces and the punctuation at the ends."""
    folded = unicodedata.normalize("NFKC", text).lower().translate(_SIGNS)
    for slip, meant in _SLIPS:
        folded = folded.replace(slip, meant)
    return re.sub(r"[\s\u200b\ufeff]+", "", folded).strip("。.!！?？,，~、…;；:：'\"“”()（）[]【】")


def understand(text: str, *, on: date | None = None) -> Understanding:
    """Say what a text asks for.

    Args:
        text: As the borrower wrote it; only its first 500 signs are read.
        on: The business date from which words like 明天 count; without it they stay as said.
    """
    started = time.perf_counter()
    clean = normalise(text[:500])
    intent, confidence, matched, is_urgent = _decide(clean)
    return Understanding(
        intent=intent,
        confidence=confidence,
        is_urgent=is_urgent,
        slots=reading.read_slots(clean, on=on),
        matched=matched,
        ms=round((time.perf_counter() - started) * 1000, 3),
    )


def _decide(clean: str) -> tuple[Intent, float, str, bool]:
    if clean in _NUMBERS:
        return _NUMBERS[clean], _WHOLE, clean, False
    for rule in _COMPILED:
        found = rule.pattern.search(clean)
        if found:
            is_whole = found[0] == clean and rule.confidence == _STRONG
            confidence = _WHOLE if is_whole else rule.confidence
            return rule.intent, confidence, found[0], rule.is_urgent
    return Intent.UNKNOWN, 0.0, "", False
