"""What may be bought by instalments: a product as it is read from its document.

A loan keeps the terms that it was drawn on, so a new version changes no loan that runs. Which
version is in force is a query's answer; what a product costs, the engine's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from kernel.errors import Invalid
from servicing.caps import FUNDERS, penalty_cap
from servicing.engine.periods import MONTHLY, Frequency, Unit
from servicing.engine.profile import (
    ACTUAL_360,
    ACTUAL_364,
    ACTUAL_365,
    ACTUAL_ACTUAL,
    HOUSE,
    PROFILES,
    THIRTY_360,
    DayCount,
    Profile,
)
from servicing.engine.terms import (
    EventFee,
    FeeEvent,
    FeeRule,
    FeeTier,
    Method,
    PenaltyBase,
    PenaltyRule,
    Terms,
)
from servicing.engine.waterfall import Waterfall, every_timing
from servicing.product_form import (
    OWN_PERIOD,
    AllocationForm,
    FeeForm,
    Problem,
    ProductForm,
    mistakes,
)

HOUSE_FILE: Final = Path(__file__).with_name("products.json")
FIRST_VERSION: Final = 1

# 罚息: at most half as much again as the contract rate (PBOC 银发〔2003〕251号, by a reprint).
MOST_PENALTY: Final = Decimal("1.5")

_FREQUENCIES: Final[Mapping[str, Frequency]] = {
    "weekly": Frequency(unit=Unit.WEEKS),
    "two-weekly": Frequency(unit=Unit.WEEKS, every=2),
    "15-day": Frequency(unit=Unit.DAYS, every=15),
    "monthly": MONTHLY,
}
_UNITS: Final = {"day": Unit.DAYS, "week": Unit.WEEKS, "month": Unit.MONTHS}
_DAY_COUNTS: Final = {
    "30/360": THIRTY_360,
    "30/365": DayCount(month_days=30, year_days=365),
    "30/actual": DayCount(month_days=30),
    "actual/360": ACTUAL_360,
    "actual/364": ACTUAL_364,
    "actual/365": ACTUAL_365,
    "actual/actual": ACTUAL_ACTUAL,
}


class OutsideProduct(Invalid):
    """The amount or the number of terms is not offered."""

    code = "outside-product"
    message_zh = "申请金额或期数不在可选范围内"


class ProductRefused(Invalid):
    """No product may be set up like this; `problems` say why, and where."""

    code = "product-refused"
    message_zh = "产品设置不符合规定"

    def __init__(self, detail: str, problems: tuple[Problem, ...] = ()) -> None:
        told = [{"path": problem.path, "message": problem.message} for problem in problems]
        super().__init__(detail, problems=told)
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An instalment product; amounts in fen, rates a year.

    Attributes:
        version: Of its document.
        rate_annual: The highest price a year, which applicants are shown.
        rate_least: The lowest that a strategy may set; None where the price is fixed.
        fee_rate: Share of the original principal that each instalment of a flat fee bears.
        first_period_days: If the first period is shorter than the others.
        subsidy_rate_annual: What the merchant pays the lender in the borrower's place.
        tranches: In how many parts it may be drawn, the first of them at once.
        draw_within_days: After so many days what is left of them lapses.
        levels_whole_principal: The equal instalment is that of all that may be drawn.
        tolerance_fen: A remainder up to this is waived when the borrower settles.
        fees: With every instalment; `event_fees` on what the borrower asks for.
        penalty_multiplier: Penalty on what is overdue as a multiple of the contract rate, never
            above the cap; None for no penalty at all.
        penalty_grace_days: Paid within them, lateness costs nothing.
        penalty_year_days: A day of it costs the rate divided by this.
        grace_days: Lateness that has no consequence yet; missed, the days count from the due date.
        waterfalls: Orders of allocation by the state of the debt.
        settles_early: Whether a borrower may settle at any time for the cost to the day.
        is_offered: Whether it is sold at present.
    """

    code: str
    version: int
    name_zh: str
    rate_annual: Decimal
    minimum_fen: int
    maximum_fen: int
    terms: tuple[int, ...]
    funder: str
    method: Method = Method.EQUAL_INSTALMENT
    frequency: Frequency = MONTHLY
    profile: Profile = HOUSE
    rate_least: Decimal | None = None
    fee_rate: Decimal = Decimal(0)
    instalment_fen: int = 0
    first_period_days: int | None = None
    subsidy_rate_annual: Decimal = Decimal(0)
    down_payment: Decimal = Decimal(0)
    tranches: int = 1
    draw_within_days: int = 180
    levels_whole_principal: bool = False
    tolerance_fen: int = 0
    grace_principal: int = 0
    grace_interest: int = 0
    interest_free: int = 0
    fees: tuple[FeeRule, ...] = ()
    event_fees: tuple[EventFee, ...] = ()
    penalty_multiplier: Decimal | None = None
    penalty_base: PenaltyBase = PenaltyBase.PRINCIPAL
    penalty_grace_days: int = 3
    penalty_year_days: int = 360
    penalty_stops_after_days: int | None = None
    grace_days: int = 3
    waterfalls: Mapping[str, Waterfall] = field(default_factory=lambda: MappingProxyType({}))
    settles_early: bool = True
    is_offered: bool = True

    def __post_init__(self) -> None:
        if self.funder not in FUNDERS:
            problem = Problem(path="funder", message="该资金方未登记，不知道适用哪种成本上限")
            raise ProductRefused(f"no lender type is known of {self.funder}", (problem,))
        multiplier = self.penalty_multiplier
        if multiplier is not None and not 0 < multiplier <= MOST_PENALTY:
            said = f"罚息不得超过合同利率的 {MOST_PENALTY} 倍"
            problem = Problem(path="penalty.multiplier", message=said)
            raise ProductRefused(f"penalty of {multiplier} × the contract rate", (problem,))

    @property
    def lender_type(self) -> str:
        """Whose caps on the cost of credit hold for its loans."""
        return FUNDERS[self.funder]

    def check(self, *, amount_fen: int, terms: int) -> None:
        """Refuse what the product does not offer.

        Raises:
            OutsideProduct: Amount or terms are not on offer.
        """
        is_within = self.minimum_fen <= amount_fen <= self.maximum_fen and terms in self.terms
        if not (is_within and self.is_offered):
            raise OutsideProduct(f"{self.code} offers neither {amount_fen} fen nor {terms} terms")

    @property
    def price_range(self) -> tuple[Decimal, Decimal]:
        """Between what a strategy may set its price: never above the one that is shown."""
        least = self.rate_annual if self.rate_least is None else self.rate_least
        return least, self.rate_annual

    def agree(
        self, *, principal_fen: int, rate_annual: Decimal, terms: int, start_on: date
    ) -> Terms:
        """Return the terms of one loan of this product, as the engine knows them.

        Raises:
            TermsRefused: Principal, rate or number of instalments out of range.
            CostAboveCap: No cap is known on that day, so no penalty has a limit.
        """
        days, until = self.first_period_days, start_on + timedelta(days=self.draw_within_days)
        return Terms(
            principal_fen=principal_fen,
            rate_annual=rate_annual,
            terms=terms,
            method=self.method,
            frequency=self.frequency,
            profile=self.profile,
            start_on=start_on,
            first_due_on=None if days is None else start_on + timedelta(days=days),
            fee_rate=self.fee_rate,
            instalment_fen=self.instalment_fen,
            grace_principal=self.grace_principal,
            grace_interest=self.grace_interest,
            interest_free=self.interest_free,
            down_payment=self.down_payment,
            fees=self.fees,
            event_fees=self.event_fees,
            penalty=self._penalty(rate_annual, start_on),
            waterfalls=dict(self.waterfalls),
            grace_days=self.grace_days,
            tolerance_fen=self.tolerance_fen,
            has_tranches=self.levels_whole_principal,
            tranches=self.tranches,
            draw_until=until if self.tranches > 1 else None,
            subsidy_rate_annual=self.subsidy_rate_annual,
            lender_type=self.lender_type,
        )

    def first_part_fen(self, principal_fen: int) -> int:
        """Return what of a loan is drawn at once, fen: one of equal parts, with what is left over.

        Each later part is planned over the instalments that are left then.
        """
        return principal_fen - principal_fen // self.tranches * (self.tranches - 1)

    def _penalty(self, rate_annual: Decimal, start_on: date) -> PenaltyRule | None:
        contract = rate_annual or self.fee_rate * self.frequency.periods_a_year
        if self.penalty_multiplier is None or contract == 0:
            return None
        return PenaltyRule(
            rate_annual=contract * self.penalty_multiplier,
            base=self.penalty_base,
            cap_annual=penalty_cap(self.frequency, start_on, lender_type=self.lender_type),
            grace_days=self.penalty_grace_days,
            year_days=self.penalty_year_days,
            stops_after_days=self.penalty_stops_after_days,
        )


def day_count_of(given: DayCount) -> str:
    """Name a day count as documents do."""
    return next(name for name, known in _DAY_COUNTS.items() if known == given)


# --- reading ---


def read_form(document: Mapping[str, Any]) -> ProductForm:
    """Read a product document.

    Raises:
        ProductRefused: `problems` hold every mistake with its place.
    """
    try:
        return ProductForm.model_validate(dict(document))
    except ValidationError as error:
        problems = tuple(mistakes(error))
        raise ProductRefused(f"{len(problems)} mistakes in the product", problems) from error


def read_product(document: Mapping[str, Any], *, version: int) -> Product:
    """Read a product document as a product of that version.

    Raises:
        ProductRefused: `problems` hold every mistake with its place.
    """
    form = read_form(document)
    return Product(
        code=form.code,
        version=version,
        name_zh=form.name,
        rate_annual=form.rate_annual,
        minimum_fen=form.amount.least_fen,
        maximum_fen=form.amount.most_fen,
        terms=form.terms,
        funder=form.funder,
        method=form.method,
        frequency=_frequency(form.period),
        profile=_profile(form),
        rate_least=form.rate_least,
        fee_rate=form.fee_rate,
        instalment_fen=form.instalment_fen,
        first_period_days=form.first_period_days,
        subsidy_rate_annual=form.subsidy_rate_annual,
        down_payment=form.down_payment,
        tranches=form.tranches,
        draw_within_days=form.draw_within_days,
        levels_whole_principal=form.levels_whole_principal,
        tolerance_fen=form.closing_tolerance_fen,
        grace_principal=form.grace.principal_terms,
        grace_interest=form.grace.interest_terms,
        interest_free=form.grace.interest_free_terms,
        grace_days=form.grace.late_days,
        fees=tuple(_instalment_fee(fee) for fee in form.fees if fee.at == "instalment"),
        event_fees=tuple(_event_fee(fee) for fee in form.fees if fee.at != "instalment"),
        waterfalls=MappingProxyType(
            {state.value: _waterfall(order) for state, order in form.allocation.items()}
        ),
        settles_early=form.settles_early,
        is_offered=form.is_offered,
        **_penalty_of(form),
    )


def _frequency(period: str) -> Frequency:
    own = OWN_PERIOD.fullmatch(period)
    if period in _FREQUENCIES or own is None:
        return _FREQUENCIES[period]
    return Frequency(unit=_UNITS[own[2]], every=int(own[1]))


def _profile(form: ProductForm) -> Profile:
    """Return the named profile with what the product does in another way."""
    given = {name: value for name, value in form.profile if value is not None}
    named = PROFILES[given.pop("named")]
    if "day_count" in given:
        given["day_count"] = _DAY_COUNTS[given["day_count"]]
    return replace(named, **given)


def _penalty_of(form: ProductForm) -> dict[str, Any]:
    given = form.penalty
    if given is None:
        return {}
    return {
        "penalty_multiplier": given.multiplier,
        "penalty_base": given.base,
        "penalty_grace_days": given.grace_days,
        "penalty_year_days": given.year_days,
        "penalty_stops_after_days": given.stops_after_days,
    }


def _instalment_fee(fee: FeeForm) -> FeeRule:
    return FeeRule(
        name=fee.name,
        payee=fee.payee,
        amount_fen=fee.amount_fen,
        share=fee.share,
        base=fee.base,
    )


def _event_fee(fee: FeeForm) -> EventFee:
    tiers = fee.tiers or (fee,)
    return EventFee(
        name=fee.name,
        payee=fee.payee,
        event=FeeEvent(fee.at),
        tiers=tuple(
            FeeTier(
                from_paid=getattr(tier, "from_paid", 0),
                amount_fen=tier.amount_fen,
                share=tier.share,
            )
            for tier in tiers
        ),
    )


def _waterfall(given: AllocationForm) -> Waterfall:
    return Waterfall(
        rules=given.rules or every_timing(*given.order),
        direction=given.direction,
        future=given.future,
        future_by_kind={kind.value: future for kind, future in given.future_by_kind.items()},
        has_due_charges_first=given.due_charges_first,
    )


# --- what the house sells until somebody publishes another version ---


def house_documents() -> Mapping[str, tuple[dict[str, Any], ...]]:
    """Return the documents of the house's own products by code, their versions in order."""
    found: dict[str, tuple[dict[str, Any], ...]] = {}
    for document in json.loads(HOUSE_FILE.read_text(encoding="utf-8")):
        code = document["code"]
        found[code] = (*found.get(code, ()), document)
    return found


# Before the house's products are published, the first version of each is what is sold.
HOUSE_PRODUCTS: Final[Mapping[str, Product]] = MappingProxyType(
    {
        code: read_product(documents[0], version=FIRST_VERSION)
        for code, documents in house_documents().items()
    }
)
STANDARD: Final = HOUSE_PRODUCTS["standard"]
