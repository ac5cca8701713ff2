"""What servicing's boards and queues show alike: masked names, spans, shares.

It reads nothing but names and decides nothing.
"""

from collections.abc import Iterable
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


def masked_names(session: Session, customer_ids: Iterable[int | None]) -> dict[int, str]:
    """Return names that may be shown: 张三 → 张*; who is unknown is left out."""
    wanted = [customer_id for customer_id in customer_ids if customer_id is not None]
    names = queries.customer_names(session, runtime().cipher, customer_ids=wanted)
    return {customer_id: mask_name(name) for customer_id, name in names.items()}


def percent(share: Decimal) -> str:
    """Write a share for people: 0.0523 → 5.2%."""
    return f"{share * 100:.1f}%"


def price(rate_annual: Decimal) -> str:
    """Write a price a year in full: 0.1575 → 15.75%."""
    return f"{(rate_annual * 100).normalize():f}%"


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
