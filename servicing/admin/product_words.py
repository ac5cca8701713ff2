"""What the parts of a product are called on its pages; Chinese here, English by translation."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from flask_babel import gettext
from flask_babel import lazy_gettext as _

FUNDERS: Final[Mapping[str, str]] = {
    "own": _("自有资金"),
    "partner-bank": _("合作银行"),
}
METHODS: Final[Mapping[str, str]] = {
    "equal-instalment": _("等额本息"),
    "equal-principal": _("等额本金"),
    "flat-fee": _("等本等息（每期费率）"),
    "flat-interest": _("等本等息（年利率）"),
    "interest-first": _("先息后本"),
    "bullet": _("到期一次还本付息"),
    "fixed-instalment": _("固定每期金额"),
}
UNITS: Final[Mapping[str, str]] = {"month": _("个月"), "week": _("周"), "day": _("天")}
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
PARTS: Final[Mapping[str, str]] = {
    "penalty": _("罚息"),
    "fee": _("费用"),
    "interest": _("利息"),
    "principal": _("本金"),
}
TIMINGS: Final[Mapping[str, str]] = {
    "past-due": _("已逾期"),
    "due": _("当期到期"),
    "in-advance": _("未到期"),
}
ORDER_MODES: Final[Mapping[str, str]] = {
    "default": _("默认：罚息、费用、利息、本金"),
    "order": _("自定义款项顺序"),
    "rules": _("按到期状态和款项逐条排序"),
}
DIRECTIONS: Final[Mapping[str, str]] = {
    "horizontal": _("逐期：一期还清再还下一期"),
    "vertical": _("逐项：同一款项先还各期"),
}
FUTURES: Final[Mapping[str, str]] = {
    "next": _("最近一期"),
    "last": _("最后一期"),
    "re-amortise": _("平均分摊到以后各期"),
}
KINDS: Final[Mapping[str, str]] = {
    "repayment": _("还款"),
    "goodwill-credit": _("商誉减免"),
    "merchant-refund": _("商户退款"),
    "payout-refund": _("放款退回"),
    "interest-refund": _("利息退还"),
    "charge-adjustment": _("费用调整"),
}
PROFILES: Final[Mapping[str, str]] = {
    "house": _("本公司规则"),
    "fineract-cumulative": _("Fineract 累计法，按期计息"),
    "fineract-cumulative-daily": _("Fineract 累计法，按日计息"),
    "fineract-progressive": _("Fineract 递进法"),
    "frappe-2025": _("Frappe 2025，按日计息、整元"),
    "frappe-2024": _("Frappe 2024，按期计息、整元"),
}
ROUNDINGS: Final[Mapping[str, str]] = {
    "half-up": _("四舍五入到分"),
    "half-even": _("四舍六入五成双"),
    "up": _("向上取整到分"),
    "down": _("向下取整到分"),
}
INSTALMENT_ROUNDINGS: Final[Mapping[str, str]] = {
    "half-up": _("四舍五入"),
    "half-even": _("四舍六入五成双"),
    "up": _("向上取整"),
    "down": _("向下取整"),
}
LAST_ROWS: Final[Mapping[str, str]] = {
    "absorbs": _("最后一期承担全部尾差"),
    "levelled": _("尾差摊平到各期"),
}
DAY_COUNTS: Final[Mapping[str, str]] = {
    "actual/360": _("实际天数 / 360"),
    "actual/365": _("实际天数 / 365"),
    "actual/364": _("实际天数 / 364"),
    "actual/actual": _("实际天数 / 实际天数"),
    "30/360": _("每月 30 天 / 360"),
    "30/365": _("每月 30 天 / 365"),
    "30/actual": _("每月 30 天 / 实际天数"),
}
INTEREST_BY: Final[Mapping[str, str]] = {
    "periods": _("按期（年利率 ÷ 每年期数）"),
    "days": _("按实际天数"),
}
MONTH_ENDS: Final[Mapping[str, str]] = {
    "clamp": _("取当月最后一天"),
    "roll": _("顺延到次月 1 日"),
}
PART_BY: Final[Mapping[str, str]] = {
    "days": _("按天数"),
    "proportion": _("按占整期的比例"),
}
LEVEL_BY: Final[Mapping[str, str]] = {
    "periods": _("每期利率相同"),
    "months-of-30": _("每月按 30 天"),
    "factors": _("逐期利率"),
}
INTEREST_ROUNDINGS: Final[Mapping[str, str]] = {
    "once": _("每期取整一次"),
    "per-segment": _("每段余额各取整一次"),
}
ANCHORS: Final[Mapping[str, str]] = {
    "same-day": _("与放款日同日"),
    "month-start": _("每月 1 日"),
    "month-end": _("每月最后一天"),
}
RECALCULATIONS: Final[Mapping[str, str]] = {
    "none": _("不重算，计划不变"),
    "actual-balance": _("按实际余额计息"),
    "open-period": _("当期按实际余额，已结束的期不变"),
}
RESTS: Final[Mapping[str, str]] = {
    "daily": _("还款当日起"),
    "period": _("当期期末起"),
}
EXCESSES: Final[Mapping[str, str]] = {
    "reduce-instalment": _("减少每期金额"),
    "reduce-term": _("减少期数"),
    "reschedule-next": _("冲减下一期"),
}
DRAWS: Final[Mapping[str, str]] = {
    "added": _("平均加到以后各期"),
    "whole": _("各期按放款总额重算"),
    "rest": _("剩余金额重新分摊"),
}
DAYS_LATE: Final[Mapping[str, str]] = {"0": _("0（次日才算逾期 1 天）"), "1": "1"}
YES_NO: Final[Mapping[str, str]] = {"yes": _("是"), "no": _("否")}
# How the choices of a profile are said; each may be left to the named profile.
CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "named": PROFILES,
    "rounding": ROUNDINGS,
    "instalment_rounding": INSTALMENT_ROUNDINGS,
    "last_row": LAST_ROWS,
    "interest_rounding": INTEREST_ROUNDINGS,
    "day_count": DAY_COUNTS,
    "interest_by": INTEREST_BY,
    "part_by": PART_BY,
    "level_by": LEVEL_BY,
    "month_end": MONTH_ENDS,
    "anchor": ANCHORS,
    "recalculation": RECALCULATIONS,
    "rest": RESTS,
    "excess": EXCESSES,
    "is_compounding": YES_NO,
    "settles_at_due_date": YES_NO,
    "draws": DRAWS,
    "first_day_late": DAYS_LATE,
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
    "levels_whole_principal": _("每期金额按合同总额计算"),
    "closing_tolerance_fen": _("结清尾数免收"),
    "settles_early": _("可随时提前结清"),
    "is_offered": _("在售"),
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
    "period_every": _("还款周期"),
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
    "penalty_year_days": _("罚息：一年天数"),
    "tranches": _("放款次数"),
    "draw_within_days": _("放款期限（天）"),
    "levels_whole_principal": _("每期金额按合同总额计算"),
    "closing_tolerance": _("结清尾数免收"),
    "named": _("计算规则"),
    "rounding": _("尾数"),
    "instalment_multiple": _("每期金额取整到"),
    "instalment_rounding": _("每期金额取整方式"),
    "last_row": _("尾差"),
    "interest_rounding": _("利息取整"),
    "day_count": _("计息天数"),
    "interest_by": _("每期利息"),
    "part_by": _("不足一期的利息"),
    "level_by": _("等额的算法"),
    "month_end": _("月末还款日"),
    "anchor": _("还款日"),
    "recalculation": _("提前或逾期后重算利息"),
    "rest": _("还款何时影响计息"),
    "excess": _("部分提前还款"),
    "is_compounding": _("欠息计复利"),
    "settles_at_due_date": _("提前结清须付满当期利息"),
    "draws": _("等本等息再次放款"),
    "first_day_late": _("到期日当天的逾期天数"),
}


_EACH: Final[Mapping[str, str]] = {"month": _("每月"), "week": _("每周"), "day": _("每天")}
# What stands inside a group, as far as a mistake may be there.
_INNER: Final[Mapping[str, str]] = {
    **{name: FIELDS[name] for name in CHOICES},
    **{name: FIELDS[name] for name in ("principal_terms", "interest_terms", "late_days")},
    **KINDS,
    "interest_free_terms": FIELDS["interest_free_terms"],
    "instalment_multiple_fen": FIELDS["instalment_multiple"],
    "least_fen": FIELDS["least"],
    "most_fen": FIELDS["most"],
    "name": _("名称"),
    "payee": _("收取方"),
    "at": _("收取时点"),
    "base": _("基数"),
    "amount_fen": _("固定金额"),
    "share": _("比例"),
    "tiers": _("阶梯"),
    "from_paid": _("已还期数"),
    "multiplier": _("合同利率的倍数"),
    "grace_days": _("免罚天数"),
    "year_days": _("一年天数"),
    "stops_after_days": _("最多计算天数"),
    "order": _("款项顺序"),
    "rules": _("逐条顺序"),
    "direction": _("还款方向"),
    "future": _("提前还款冲抵"),
    "future_by_kind": _("按来源冲抵"),
    "due_charges_first": _("已到期费用先冲"),
}


def order_words() -> dict[str, str]:
    """Say the parts and timings of which an order is made."""
    return {code: str(label) for code, label in (*PARTS.items(), *TIMINGS.items())}


def said(text: str) -> str:
    """Translate a sentence that may hold figures."""
    return str(gettext(text))


def grouped(yuan: str) -> str:
    """Write an amount of a cost table with its thousands apart."""
    return f"{Decimal(yuan):,.2f}"


def place(path: str) -> str:
    """Name the place of a mistake: `fees.1.tiers.0.share` → 费用 2 · 阶梯 1 · 比例."""
    first, *rest = path.split(".")
    said_so_far = [str(PLACES.get(first, gettext("整体")))]
    for part in rest:
        if part.isdigit():
            said_so_far[-1] += f" {int(part) + 1}"
        else:
            known = STATES if first == "allocation" and part in STATES else _INNER
            said_so_far.append(str(known.get(part, part)))
    return " · ".join(said_so_far)


def period(every: str, unit: str) -> str:
    """Say how far due dates lie apart: 每月, 每 2 周."""
    if every == "1" and unit in _EACH:
        return str(_EACH[unit])
    return str(gettext("每 %(every)s %(unit)s", every=every, unit=UNITS.get(unit, unit)))
