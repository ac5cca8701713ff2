"""What servicing's boards and queues show alike: masked names, spans, shares, reasons.

It reads nothing but names and decides nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import mask_name
from kernel.web import runtime
from servicing import queries

_HOUR_S: Final = 3600
_DAY_HOURS: Final = 24

REASONS: Final[Mapping[str, str]] = {
    "appealed": "客户申请人工复核",
    "beyond-line": "申请金额超出可用额度",
    "device-shared": "同一设备近期有多人申请",
    "large-for-new": "还款记录尚短，申请金额较大",
    "late-lately": "近 12 个月内曾长期逾期",
    "line-too-small": "可用额度不足或额度已冻结",
    "many-applications": "近 30 天内申请次数过多",
    "missing-value": "评估所需的信息不完整",
    "odd-value": "部分申请信息数值异常",
    "overdue-now": "当前有逾期",
    "poor-record": "按时还款率偏低",
    "several-applications": "近 30 天内多次申请",
    "slips": "近 12 个月还款不稳定",
    "stretched": "额度大部分已用，且还款不稳定",
    "student": "在校学生",
    "wifi-shared": "同一无线网络近期有多人申请",
}
"""Codes that servicing and the judge give as reasons; an unknown one is shown as it is."""


def masked_names(session: Session, customer_ids: Iterable[int | None]) -> dict[int, str]:
    """Return names that may be shown: 张三 → 张*; who is unknown is left out."""
    wanted = [customer_id for customer_id in customer_ids if customer_id is not None]
    names = queries.customer_names(session, runtime().cipher, customer_ids=wanted)
    return {customer_id: mask_name(name) for customer_id, name in names.items()}


def percent(share: Decimal) -> str:
    """Write a share for people: 0.0523 → 5.2%."""
    return f"{share * 100:.1f}%"


def span(time: timedelta) -> str:
    """Write a length of time in its two leading units, minutes at the finest."""
    hours, seconds = divmod(max(0, int(time.total_seconds())), _HOUR_S)
    minutes = seconds // 60
    days, rest = divmod(hours, _DAY_HOURS)
    if days:
        words = gettext("%(days)s 天 %(hours)s 小时", days=days, hours=rest)
    elif hours:
        words = gettext("%(hours)s 小时 %(minutes)s 分", hours=hours, minutes=minutes)
    else:
        words = gettext("%(minutes)s 分钟", minutes=minutes)
    return str(words)


def reason_words(reasons: Iterable[str]) -> list[str]:
    """Say reasons in the reader's language; what is a sentence already stays as it is."""
    return [gettext(REASONS.get(reason, reason) or "—") for reason in reasons]
