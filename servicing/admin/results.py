"""What came of an act that two people agreed to, in words for the page of its approval.

Results are kept as JSON for undoing and for the audit log; what has no word here stays there.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from flask_babel import lazy_gettext as _

from kernel.money import yuan


def told(result: Mapping[str, Any]) -> Mapping[str, str]:
    """Say what came of an act, label → text."""
    return dict(_told(result))


def _told(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in result.items():
        if name in _WORDS and value not in (None, "", []):
            label, write = _WORDS[name]
            yield str(label), write(value)


def _number(value: int) -> str:
    return f"#{value}"


def _list(values: list[str]) -> str:
    return " · ".join(values)


_WORDS: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "申请编号": (_("申请编号"), str),
    "event": (_("分期记录"), _number),
    "offer": (_("方案"), _number),
    "difference": (_("差错"), _number),
    "refund": (_("退款单号"), str),
    "refunds": (_("退款单号"), _list),
    "payout": (_("付款单号"), str),
    "month": (_("月份"), str),
    "on": (_("日期"), str),
    "amount_fen": (_("金额（元）"), yuan),
    "fen": (_("金额（元）"), yuan),
    "each_fen": (_("单笔限额（元）"), yuan),
    "day_fen": (_("单日限额（元）"), yuan),
}
