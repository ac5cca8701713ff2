"""Whether a product may be sold: what it costs at every corner, paid as planned, late and early.

It asks the engine and the table of caps, and answers with reasons that stand where the mistake is.
Nothing is stored here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from servicing.caps import CAPS, actual_cost, cap_of, plan_cost
from servicing.engine.cost import ROUNDING_TOLERANCE, CapRow, CostMeasure
from servicing.engine.events import Disbursement, Payment
from servicing.engine.periods import Anchor, month_after
from servicing.engine.plan import Plan, plan
from servicing.engine.profile import InterestBy, Profile, Recalculation
from servicing.engine.quote import QuoteKind, payment_of, quote
from servicing.engine.replay import replay
from servicing.engine.terms import Method, Terms, TermsRefused
from servicing.product_form import Problem
from servicing.products import Product
from servicing.settling import early_ending

_MONTHS: Final = 12
_LATE_DAYS: Final = (31, 93)
_EARLY_DAYS: Final = (1, 17)
# What they cost or how long they run hangs on what was drawn at first.
_NOT_IN_PARTS: Final = (Method.FLAT_FEE, Method.FLAT_INTEREST, Method.FIXED_INSTALMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """One extreme of what is on offer, and what it costs; fen, costs as shares a year.

    Attributes:
        first_fen: The first instalment.
        cost_fen: Everything beyond the principal.
        nominal: Paid as planned; `early` if it is settled soon; `late` if every instalment comes
            late, tried with the fewest terms, where lateness weighs most; 0 where it was not tried.
        is_allowed: None of them is above the cap.
    """

    terms: int
    amount_fen: int
    first_fen: int
    cost_fen: int
    nominal: Decimal
    effective: Decimal
    late: Decimal
    early: Decimal
    is_allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What comes of trying a product out as of a day.

    Attributes:
        cap: The row that it was held against.
        problems: Why it may not be sold; none if it may.
        ends_on: From when on a lower cap will not allow it any more, if that is known.
    """

    on: date
    cap: CapRow
    corners: tuple[Corner, ...]
    problems: tuple[Problem, ...]
    ends_on: date | None

    @property
    def worst(self) -> Corner | None:
        """The dearest corner."""
        return max(self.corners, key=_dearest, default=None)

    def report(self) -> dict[str, Any]:
        """Write it down for whoever approves."""
        worst = self.worst
        return {
            "on": self.on.isoformat(),
            "cap_annual": f"{self.cap.rate_annual:.4f}",
            "cap_measure": self.cap.measure.value,
            "corners": len(self.corners),
            "worst_terms": worst.terms if worst else None,
            "worst_amount_fen": worst.amount_fen if worst else None,
            "worst_cost": f"{_dearest(worst):.4f}" if worst else None,
            "ends_on": self.ends_on.isoformat() if self.ends_on else None,
        }


def set_up(product: Product, *, on: date) -> SetUp:
    """Try a product out as it would be drawn on a day.

    Raises:
        CostAboveCap: No cap is known on that day.
    """
    cap = cap_of(on, lender_type=product.lender_type)
    problems = list(_contradictions(product))
    corners: tuple[Corner, ...] = ()
    if not problems:
        try:
            corners = tuple(_corners(product, cap, on))
        except TermsRefused as error:
            problems.append(
                Problem(path="grace", message=f"期数不足以安排宽限：{error.message_zh}")
            )
    problems += [_too_dear(corner, cap) for corner in corners if not corner.is_allowed]
    problems += _balloons(product, on) if corners else []
    return SetUp(
        on=on,
        cap=cap,
        corners=corners,
        problems=tuple(problems),
        ends_on=_ends_on(corners, product.lender_type, on),
    )


def _dearest(corner: Corner) -> Decimal:
    return max(corner.nominal, corner.late, corner.early)


# --- what contradicts itself ---


def _contradictions(product: Product) -> Iterator[Problem]:
    is_flat = product.method is Method.FLAT_FEE
    if product.rate_least is not None and product.rate_least > product.rate_annual:
        yield Problem(path="rate_least", message="最低年利率不能高于年利率")
    if is_flat and product.rate_annual:
        yield Problem(path="rate_annual", message="等本等息按每期费率收费，年利率须为 0")
    if not is_flat and product.fee_rate:
        yield Problem(path="fee_rate", message="每期费率只用于等本等息")
    if product.method is Method.FIXED_INSTALMENT and not product.instalment_fen:
        yield Problem(path="instalment_fen", message="固定还款额的产品须写明每期金额")
    if product.method is not Method.FIXED_INSTALMENT and product.instalment_fen:
        yield Problem(path="instalment_fen", message="每期金额只用于固定还款额的产品")
    if product.subsidy_rate_annual and product.rate_annual >= product.subsidy_rate_annual:
        message = "商户贴息时，借款人的年利率须低于贴息利率"
        yield Problem(path="subsidy_rate_annual", message=message)
    if product.subsidy_rate_annual and is_flat:
        yield Problem(path="subsidy_rate_annual", message="等本等息的产品不支持商户贴息")
    if product.tranches > 1 and product.method in _NOT_IN_PARTS:
        message = "等本等息和固定还款额的产品不支持分次放款"
        yield Problem(path="tranches", message=message)
    if product.levels_whole_principal and product.tranches == 1:
        message = "每期金额按合同总额计算，只用于分次放款的产品"
        yield Problem(path="levels_whole_principal", message=message)
    yield from _profile_contradictions(product.profile)
    yield from _grace_contradictions(product)


def _profile_contradictions(profile: Profile) -> Iterator[Problem]:
    """What the rules of others do and a loan of ours may not."""
    if profile.recalculation is not Recalculation.NONE:
        message = "逾期部分只收罚息，不得再按实际余额计收合同利息，须为“不重算”"
        yield Problem(path="profile.recalculation", message=message)
    elif profile.is_compounding:
        message = "计划不重算，欠息不得计复利"
        yield Problem(path="profile.is_compounding", message=message)
    if profile.first_day_late:
        message = "逾期天数从到期日次日起算，到期日当天须为 0"
        yield Problem(path="profile.first_day_late", message=message)


def _grace_contradictions(product: Product) -> Iterator[Problem]:
    if product.method is Method.BULLET:
        yield from _graces_of_one(product)
    else:
        yield from _graces_too_long(product)
    longest = product.frequency.days or product.frequency.months * 30
    if product.first_period_days is not None and product.first_period_days > longest:
        yield Problem(path="first_period_days", message="首期只能比其他各期短")
    if product.penalty_multiplier and product.penalty_grace_days > product.grace_days:
        message = "免罚天数不能多于逾期宽限天数"
        yield Problem(path="penalty.grace_days", message=message)


def _graces_too_long(product: Product) -> Iterator[Problem]:
    shortest = min(product.terms)
    for name, periods in (
        ("principal_terms", product.grace_principal),
        ("interest_terms", product.grace_interest),
    ):
        if periods >= shortest:
            yield Problem(path=f"grace.{name}", message=f"须少于最短的 {shortest} 期")


def _graces_of_one(product: Product) -> Iterator[Problem]:
    """What falls due at maturity alone has no first instalments to be spared."""
    for name, periods in (
        ("principal_terms", product.grace_principal),
        ("interest_terms", product.grace_interest),
        ("interest_free_terms", product.interest_free),
    ):
        if periods:
            message = "到期一次还本付息的产品只有一期，没有可以宽限或免息的分期"
            yield Problem(path=f"grace.{name}", message=message)
    if product.first_period_days is not None:
        message = "到期一次还本付息的产品只有一期，没有首期"
        yield Problem(path="first_period_days", message=message)


def _balloons(product: Product, on: date) -> list[Problem]:
    """A fixed instalment must repay the loan within the terms that are offered."""
    if product.method is not Method.FIXED_INSTALMENT:
        return []
    agreed = _agree(product, product.maximum_fen, max(product.terms), on)
    last = plan(agreed).instalments[-1].due.total_fen
    if last <= product.instalment_fen:
        return []
    message = f"每期金额在 {max(product.terms)} 期内还不清最高金额"
    return [Problem(path="instalment_fen", message=message)]


# --- what it costs ---


def _agree(product: Product, amount_fen: int, terms: int, on: date) -> Terms:
    return product.agree(
        principal_fen=amount_fen, rate_annual=product.rate_annual, terms=terms, start_on=on
    )


def _corners(product: Product, cap: CapRow, on: date) -> Iterator[Corner]:
    for terms in product.terms:
        for amount in sorted({product.minimum_fen, product.maximum_fen}):
            starts = _starts(product, on)
            yield max((_corner(product, cap, terms, amount, day) for day in starts), key=_dearest)


def _starts(product: Product, on: date) -> list[date]:
    """Where days decide what a period bears, every month of a year is tried."""
    profile = product.profile
    is_plain = profile.interest_by is InterestBy.PERIODS and profile.anchor is Anchor.SAME_DAY
    if is_plain and not product.first_period_days:
        return [on]
    return [month_after(on, n) for n in range(_MONTHS)]


def _corner(product: Product, cap: CapRow, terms: int, amount_fen: int, on: date) -> Corner:
    agreed = _agree(product, amount_fen, terms, on)
    planned = plan(agreed)
    cost = plan_cost(agreed, planned)
    is_shortest = terms == product.terms[0]
    late = _cost_if_late(agreed, planned) if is_shortest else Decimal(0)
    early = _cost_if_early(agreed, planned)
    most = cap.rate_annual + ROUNDING_TOLERANCE
    return Corner(
        terms=terms,
        amount_fen=amount_fen,
        first_fen=planned.instalments[0].due.total_fen,
        cost_fen=planned.total.total_fen - amount_fen,
        nominal=cost.nominal,
        effective=cost.effective,
        late=late,
        early=early,
        is_allowed=max(cost.by(cap.measure), late, early) <= most,
    )


def _cost_if_late(agreed: Terms, planned: Plan) -> Decimal:
    """Pay every instalment late by the same days; return the dearest of a few such lives."""
    if agreed.penalty is None:
        return Decimal(0)
    return max(_late_by(agreed, planned, days) for days in _LATE_DAYS)


def _late_by(agreed: Terms, planned: Plan, days: int) -> Decimal:
    drawn = Disbursement(id="1", on=agreed.start_on, amount_fen=agreed.principal_fen)
    due = [row.due_on + timedelta(days=days) for row in planned.instalments]
    events: list[Any] = [drawn]
    for n, day in enumerate(due, 2):
        state = replay(agreed, events, day)
        row = next((row for row in state.rows if row.outstanding.total_fen), None)
        if row is not None:
            fen = row.outstanding.total_fen
            events.append(Payment(id=str(n), on=day, amount_fen=fen))
    return actual_cost(replay(agreed, events, due[-1])).nominal


def _cost_if_early(agreed: Terms, planned: Plan) -> Decimal:
    """Settle on a few early days, with the fee for it and what the cap takes off."""
    last = planned.instalments[-1].due_on
    days = [agreed.start_on + timedelta(days=days) for days in _EARLY_DAYS]
    return max((_settled_on(agreed, day) for day in days if day < last), default=Decimal(0))


def _settled_on(agreed: Terms, day: date) -> Decimal:
    drawn = Disbursement(id="1", on=agreed.start_on, amount_fen=agreed.principal_fen)
    events: list[Any] = [drawn, *early_ending(agreed, [drawn], day).before]
    asked = quote(agreed, events, day, QuoteKind.SETTLE)
    events.append(payment_of(asked, event_id=str(len(events) + 1)))
    return actual_cost(replay(agreed, events, day)).nominal


def _too_dear(corner: Corner, cap: CapRow) -> Problem:
    what = "综合年化成本" if corner.nominal >= corner.late else "逾期后的综合年化成本"
    message = (
        f"{corner.terms} 期、{corner.amount_fen / Decimal(100):,.0f} 元时{what}为"
        f" {_dearest(corner) * 100:.2f}%，超过上限 {cap.rate_annual * 100:.2f}%"
    )
    return Problem(path="terms", message=message)


def _ends_on(corners: tuple[Corner, ...], lender_type: str, on: date) -> date | None:
    """Find the first later cap that what is on offer would not keep to."""
    dearest = max((corner.nominal for corner in corners), default=Decimal(0))
    later = sorted(
        row.from_on
        for row in CAPS
        if row.lender_type == lender_type
        and row.is_active
        and row.measure is not CostMeasure.PORTFOLIO_AVERAGE
        and row.from_on > on
        and row.rate_annual + ROUNDING_TOLERANCE < dearest
    )
    return later[0] if later else None
