"""What the parts of a product are called on its pages; Chinese here, English by translation."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from flask_babel import gettext
from flask_babel import lazy_gettext as _

METHODS: Final[Mapping[str, str]] = {
    "equal-instalment": _("等额本息"),
    "equal-principal": _("等额本金"),
    "flat-fee": _("等本等息（每期费率）"),
    "flat-interest": _("等本等息（年利率）"),
    "interest-first": _("先息后本"),
    "bullet": _("到期一次还本付息"),
    "fixed-instalment": _("固定每期金额"),
}
PERIODS: Final[Mapping[str, str]] = {
    "monthly": _("每月"),
    "15-day": _("每 15 天"),
    "two-weekly": _("每两周"),
    "weekly": _("每周"),
}
FEE_TIMES: Final[Mapping[str, str]] = {
    "instalment": _("随每期"),
    "early-settlement": _("提前结清时"),
    "extension": _("展期时"),
    "due-day-change": _("变更还款日时"),
}
FEE_BASES: Final[Mapping[str, str]] = {
    "principal": _("当期本金"),
    "interest": _("当期利息"),
    "principal-and-interest": _("当期本息"),
}
PENALTY_BASES: Final[Mapping[str, str]] = {
    "principal": _("逾期本金"),
    "instalment": _("逾期本金和利息"),
}
STATES: Final[Mapping[str, str]] = {
    "current": _("正常"),
    "late": _("逾期 90 天内"),
    "non-accrual": _("逾期超过 90 天"),
    "settlement": _("提前还款"),
    "written-off": _("已核销"),
}
ORDERS: Final[Mapping[str, str]] = {
    "default": _("默认（罚息、费用、利息、本金）"),
    "cost-first": _("罚息、费用、利息、本金"),
    "interest-first": _("利息、罚息、费用、本金"),
    "principal-first": _("本金、利息、费用、罚息"),
    "kept": _("自定义（保持不变）"),
}
ROUNDINGS: Final[Mapping[str, str]] = {
    "half-up": _("四舍五入到分"),
    "half-even": _("四舍六入五成双"),
    "up": _("向上取整到分"),
}
DAY_COUNTS: Final[Mapping[str, str]] = {
    "actual/360": _("实际天数 / 360"),
    "actual/365": _("实际天数 / 365"),
    "actual/364": _("实际天数 / 364"),
    "actual/actual": _("实际天数 / 实际天数"),
    "30/360": _("每月 30 天 / 360"),
}
INTEREST_BY: Final[Mapping[str, str]] = {
    "periods": _("按期（年利率 ÷ 每年期数）"),
    "days": _("按实际天数"),
}
MONTH_ENDS: Final[Mapping[str, str]] = {
    "clamp": _("取当月最后一天"),
    "roll": _("顺延到次月 1 日"),
}
MEASURES: Final[Mapping[str, str]] = {
    "nominal-irr": _("名义 IRR"),
    "effective-irr": _("实际 IRR"),
    "portfolio-average": _("组合平均"),
}
PLACES: Final[Mapping[str, str]] = {
    "code": _("产品代码"),
    "name": _("产品名称"),
    "funder": _("资金方"),
    "method": _("还款方式"),
    "amount": _("金额范围"),
    "terms": _("期数"),
    "period": _("还款周期"),
    "rate_annual": _("年利率"),
    "rate_least": _("最低年利率"),
    "fee_rate": _("每期费率"),
    "instalment_fen": _("每期金额"),
    "first_period_days": _("首期天数"),
    "subsidy_rate_annual": _("商户贴息利率"),
    "down_payment": _("首付比例"),
    "tranches": _("放款次数"),
    "draw_within_days": _("放款期限（天）"),
    "profile": _("计算口径"),
    "grace": _("宽限"),
    "fees": _("费用"),
    "penalty": _("罚息"),
    "allocation": _("冲账顺序"),
}


FIELDS: Final[Mapping[str, str]] = {
    "name": _("产品名称"),
    "funder": _("资金方"),
    "method": _("还款方式"),
    "period": _("还款周期"),
    "terms": _("期数"),
    "least": _("最低金额"),
    "most": _("最高金额"),
    "down_payment": _("首付比例"),
    "is_offered": _("在售"),
    "settles_early": _("可随时提前结清"),
    "rate_annual": _("年利率"),
    "rate_least": _("最低年利率"),
    "fee_rate": _("每期费率"),
    "instalment": _("每期金额"),
    "subsidy_rate_annual": _("商户贴息利率"),
    "interest_free_terms": _("免息期数"),
    "first_period_days": _("首期天数"),
    "principal_terms": _("前几期不还本金"),
    "interest_terms": _("前几期利息顺延"),
    "late_days": _("逾期宽限天数"),
    "multiplier": _("罚息：合同利率的倍数"),
    "penalty_base": _("罚息：计算基数"),
    "penalty_grace_days": _("罚息：免罚天数"),
    "stops_after_days": _("罚息：最多计算天数"),
    "order_current": _("冲账顺序：正常"),
    "order_late": _("冲账顺序：逾期 90 天内"),
    "order_non-accrual": _("冲账顺序：逾期超过 90 天"),
    "order_settlement": _("冲账顺序：提前还款"),
    "order_written-off": _("冲账顺序：已核销"),
    "rounding": _("尾数"),
    "day_count": _("计息天数"),
    "interest_by": _("每期利息"),
    "month_end": _("月末还款日"),
}


def said(text: str) -> str:
    """Translate a sentence that may hold figures."""
    return str(gettext(text))


def grouped(yuan: str) -> str:
    """Write an amount of a cost table with its thousands apart."""
    return f"{Decimal(yuan):,.2f}"


def place(path: str) -> str:
    """Name the place of a mistake: `fees.1.at` → 费用 2."""
    first, *rest = path.split(".")
    number = next((f" {int(part) + 1}" for part in rest[:1] if part.isdigit()), "")
    return f"{PLACES.get(first, gettext('整体'))}{number}"
