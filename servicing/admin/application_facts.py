"""What is known about an application, in words and behind masks, in the order people read it.

The facts are the ones that the machine was shown (servicing.queries.application_snapshot), as of
today; it judges nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import mask_name, mask_phone
from kernel.money import yuan
from kernel.web import runtime
from servicing import queries
from servicing.admin import words
from servicing.admin.shown import percent
from servicing.engine.plan import plan
from servicing.queries import ApplicationDetail, LineView

INCOME: Final = "income_monthly_fen"
ATTRIBUTES: Final[Mapping[str, str]] = {
    "address": "地址",
    "device": "设备",
    "employer": "单位",
    "entered_by": "录入人",
    INCOME: "月收入（自报，元）",
    "wifi": "无线网络",
}

_SHOWN_SIGNS: Final = 2
_OURS: Final = ("entered_by",)  # says something of our staff and nothing of the customer


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationFacts:
    """One application as its page shows it; pairs are label and text.

    Attributes:
        line: The customer's line of the funder; None before the first approval.
        list_rate: What the product costs a year if no strategy sets its price.
        least_rate: The lowest price that it may have.
        behaviour: How the customer has paid so far.
        around: Device, wifi, address …, all but their ends hidden, and who else used them.
    """

    name: str
    phone: str
    is_student: bool
    monthly_fen: int
    interest_fen: int
    channel: str
    list_rate: Decimal
    least_rate: Decimal
    line: LineView | None
    behaviour: tuple[tuple[str, str], ...]
    around: tuple[tuple[str, str], ...]


def facts_of(session: Session, application: ApplicationDetail, *, on: date) -> ApplicationFacts:
    """Collect what a person needs to decide an application, as of a business date."""
    customer = queries.customer_view(session, runtime().cipher, customer_id=application.customer_id)
    lines = queries.lines_of(session, customer_id=application.customer_id)
    snapshot = queries.application_snapshot(session, application_id=application.id, on=on)
    product = queries.product_version(
        session, code=application.product_code, version=application.product_version
    )
    agreed = product.agree(
        principal_fen=application.amount_fen,
        rate_annual=application.rate_annual,
        terms=application.terms,
        start_on=on,
    )
    planned = plan(agreed)
    return ApplicationFacts(
        name=mask_name(customer.name),
        phone=mask_phone(customer.phone),
        is_student=customer.is_student,
        monthly_fen=planned.instalments[0].due.total_fen,
        interest_fen=planned.total.interest_fen,
        list_rate=product.rate_annual,
        least_rate=product.price_range[0],
        channel=str(words.said(words.CHANNELS, application.channel)),
        line=next((line for line in lines if line.funder == application.funder), None),
        behaviour=_behaviour(snapshot),
        around=(*_around(application.attributes), *_linked(snapshot)),
    )


def _behaviour(snapshot: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    shown: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
        (gettext("当前逾期"), "days_past_due", lambda n: gettext("%(n)s 天", n=n)),
        (gettext("近 12 个月最长逾期"), "worst_dpd_12m", lambda n: gettext("%(n)s 天", n=n)),
        (gettext("按时还款率"), "on_time_ratio", lambda share: percent(Decimal(share))),
        (gettext("额度使用率"), "utilisation", lambda share: percent(Decimal(share))),
        (gettext("首笔借款至今"), "months_on_book", lambda n: gettext("%(n)s 个月", n=n)),
        (gettext("近 30 天申请"), "applications_30d", lambda n: gettext("%(n)s 次", n=n)),
    )
    return tuple(
        (label, say(snapshot[name]) if name in snapshot else gettext("无数据"))
        for label, name, say in shown
    )


def _around(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (gettext(ATTRIBUTES.get(name, name)), _said(name, value))
        for name, value in sorted(attributes.items())
        if value not in (None, "")
    )


def _said(name: str, value: Any) -> str:
    if name == INCOME and isinstance(value, int):
        return yuan(value)
    return str(value) if name in _OURS else _ends(str(value))


def _linked(snapshot: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Say how many others applied with the same things, where that was counted."""
    counted = (
        (gettext("30 天内同设备的其他申请人"), "device_others_30d"),
        (gettext("30 天内同网络的其他申请人"), "wifi_others_30d"),
    )
    return tuple(
        (label, gettext("%(n)s 人", n=snapshot[name]))
        for label, name in counted
        if name in snapshot
    )


def _ends(text: str) -> str:
    """Keep the ends of a text: enough to see that two are the same, too little to use it."""
    if len(text) <= 2 * _SHOWN_SIGNS:
        return "*" * len(text)
    return f"{text[:_SHOWN_SIGNS]}****{text[-_SHOWN_SIGNS:]}"
