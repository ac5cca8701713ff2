"""Why an application was decided as it was, in sentences for the customer.

The machine's sentences were kept with its decision; here stand those of the book and of what people
choose. What staff read is not said here but in servicing.admin.words.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from servicing.model import (
    APPEALED,
    EVIDENCE_MISSING,
    HOLD_LAPSED,
    LINE_TOO_SMALL,
    NO_STRATEGY,
    PRICE_OUTSIDE,
)

DECLINED_BY_PEOPLE: Final[Mapping[str, str]] = {
    "beyond-means": "申请金额超出您目前的还款能力，可降低金额后再申请",
    "unverified": "您提交的部分资料无法核实",
    "unsteady": "您近期的还款记录不够稳定",
    "inconsistent": "申请信息前后不一致",
    "not-eligible": "经人工审核，暂不符合办理条件",
}
"""What a customer is told whom a person declined, by the reason that the person chose."""

_OURS: Final[Mapping[str, str]] = {
    **DECLINED_BY_PEOPLE,
    APPEALED: "您已申请人工复核",
    EVIDENCE_MISSING: "部分资料暂时无法核实，需要进一步确认",
    HOLD_LAPSED: "批准后 30 天内没有办理",
    LINE_TOO_SMALL: "您的可用额度暂时无法用于本次购买",
    NO_STRATEGY: "您的申请需要人工审核",
    PRICE_OUTSIDE: "您的申请需要人工审核",
}
_OTHER: Final = "本次申请未通过综合评估"


def customer_reasons(
    codes: Iterable[str], told: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Say reason codes in sentences for a customer; one of unknown origin gets a general one.

    Args:
        codes: Of an application.
        told: The machine's sentences by code, as they were kept with the application.
    """
    sentences = {**(told or {}), **_OURS}
    return tuple(dict.fromkeys(sentences.get(code, _OTHER).rstrip("。") for code in codes))
