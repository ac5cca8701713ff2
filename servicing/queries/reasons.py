"""Why an application was decided as it was, in sentences for the customer.

The judge's codes are put into words by its strategy; here stand those that people choose. What
staff read is not said here but in servicing.admin.words.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from risk import queries as risk

DECLINED_BY_PEOPLE: Final[Mapping[str, str]] = {
    "beyond-means": "申请金额超出您目前的还款能力，可降低金额后再申请",
    "unverified": "您提交的部分资料无法核实",
    "unsteady": "您近期的还款记录不够稳定",
    "inconsistent": "申请信息前后不一致",
    "not-eligible": "经人工审核，暂不符合办理条件",
}
"""What a customer is told whom a person declined, by the reason that the person chose."""


def customer_reasons(codes: Iterable[str]) -> tuple[str, ...]:
    """Say reason codes in sentences for a customer; one of unknown origin gets a general one."""
    return tuple(
        dict.fromkeys(
            DECLINED_BY_PEOPLE[code]
            if code in DECLINED_BY_PEOPLE
            else risk.customer_reasons([code])[0]
            for code in codes
        )
    )
