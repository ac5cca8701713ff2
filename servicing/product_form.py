"""The typed form in which a product is written down: everything that the engine's terms can do.

It says what may be written and where a mistake stands; whether such a product may be sold is
`product_setup`'s question, and what it costs the engine's. Amounts are fen, rates are decimal text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from kernel.money import Rounding
from servicing.engine.book import Kind
from servicing.engine.parts import Component
from servicing.engine.periods import Anchor, MonthEnd
from servicing.engine.profile import (
    HOUSE,
    PROFILES,
    Draws,
    Excess,
    InterestBy,
    InterestRounding,
    LastRow,
    LevelBy,
    PartBy,
    Recalculation,
    Rest,
)
from servicing.engine.terms import MOST_TERMS, FeeBase, FeeEvent, Method, PenaltyBase
from servicing.engine.waterfall import DebtState, Direction, Future, Timing

MOST_FEES: Final = 20
MOST_TIERS: Final = 12
DAY_COUNTS: Final = (
    *("30/360", "30/365", "30/actual"),
    *("actual/360", "actual/364", "actual/365", "actual/actual"),
)
# The periods that have a name; any other is written as a number of days, weeks or months.
PERIODS: Final = ("weekly", "two-weekly", "15-day", "monthly")
NAMED_PERIODS: Final[Mapping[str, str]] = {
    "1-week": "weekly",
    "2-week": "two-weekly",
    "1-month": "monthly",
}
OWN_PERIOD: Final = re.compile(r"([1-9][0-9]{0,2})-(day|week|month)", re.ASCII)
MOST_OF: Final[Mapping[str, int]] = {"day": 366, "week": 52, "month": 12}
# What borrowers and others bring in, each of which may settle other instalments in advance.
PAYMENT_KINDS: Final = (
    *(Kind.REPAYMENT, Kind.GOODWILL_CREDIT, Kind.MERCHANT_REFUND, Kind.PAYOUT_REFUND),
    *(Kind.INTEREST_REFUND, Kind.CHARGE_ADJUSTMENT),
)
FEE_TIMES: Final = ("instalment", *(event.value for event in FeeEvent))

# Times of a charge that are known and refused, each with its reason.
REFUSED_TIMES: Final[Mapping[str, str]] = {
    "disbursement": "不得在放款时收取或从本金中预扣任何费用（砍头息）",
    "overdue": "逾期只能按日计收罚息，不得另收滞纳金、违约金或催收费",
}


def _decimal(value: object) -> object:
    """Take numbers as text only: JSON's own are binary."""
    if not isinstance(value, str):
        message = '请用文本书写小数，例如 "0.216"'
        raise ValueError(message)  # noqa: TRY004 -- pydantic collects value errors
    return value


def _positive_terms(terms: tuple[int, ...]) -> tuple[int, ...]:
    if sorted(set(terms)) != list(terms):
        message = "期数须从小到大且不重复"
        raise ValueError(message)
    return terms


def _fee_time(value: str) -> str:
    if value in REFUSED_TIMES:
        raise ValueError(REFUSED_TIMES[value])
    if value not in FEE_TIMES:
        message = "收费时点只能是：" + "、".join(FEE_TIMES)
        raise ValueError(message)
    return value


def _period(value: str) -> str:
    own = OWN_PERIOD.fullmatch(value)
    if value not in PERIODS and not (own and int(own[1]) <= MOST_OF[own[2]]):
        message = "只能是：" + "、".join(PERIODS) + '，或 "10-day"、"3-month" 这样的天、周、月数'
        raise ValueError(message)
    return NAMED_PERIODS.get(value, value)


def _clean(value: str) -> str:
    value = value.strip()
    if not value.isprintable():
        message = "不能有换行等控制字符"
        raise ValueError(message)
    return value


def _one_of(*known: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            message = "只能是：" + "、".join(known)
            raise ValueError(message)
        return value

    return AfterValidator(check)


Share = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, lt=1, max_digits=9)]
Multiple = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0, le=100, max_digits=6)]
Amount = Annotated[int, Field(ge=0, le=10**12, strict=True)]
Count = Annotated[int, Field(ge=0, le=MOST_TERMS, strict=True)]
Days = Annotated[int, Field(ge=0, le=3650, strict=True)]
Label = Annotated[str, AfterValidator(_clean), Field(min_length=1, max_length=60)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")]


class Form(BaseModel):
    """A part of the form; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AmountRange(Form):
    """How much may be financed, fen."""

    least_fen: Annotated[int, Field(gt=0, le=10**12, strict=True)]
    most_fen: Annotated[int, Field(gt=0, le=10**12, strict=True)]

    @model_validator(mode="after")
    def _ordered(self) -> "AmountRange":
        if self.least_fen > self.most_fen:
            message = "最低金额不能高于最高金额"
            raise ValueError(message)
        return self


class ProfileForm(Form):
    """How the product computes: a named profile, and where it computes in another way.

    Attributes:
        named: Whose rules hold for whatever is not said here; see `engine.profile`.
        first_day_late: What the day counter shows on the due date itself.
    """

    named: Annotated[str, _one_of(*PROFILES)] = HOUSE.name
    rounding: Rounding | None = None
    instalment_multiple_fen: Annotated[int, Field(ge=1, le=10_000, strict=True)] | None = None
    instalment_rounding: Rounding | None = None
    last_row: LastRow | None = None
    day_count: Annotated[str, _one_of(*DAY_COUNTS)] | None = None
    interest_by: InterestBy | None = None
    part_by: PartBy | None = None
    level_by: LevelBy | None = None
    interest_rounding: InterestRounding | None = None
    month_end: MonthEnd | None = None
    anchor: Anchor | None = None
    recalculation: Recalculation | None = None
    rest: Rest | None = None
    excess: Excess | None = None
    is_compounding: bool | None = None
    settles_at_due_date: bool | None = None
    draws: Draws | None = None
    first_day_late: Annotated[int, Field(ge=0, le=1, strict=True)] | None = None


class GraceForm(Form):
    """What the borrower need not pay yet.

    Attributes:
        principal_terms: First instalments without principal.
        interest_terms: First instalments whose interest comes with the one after them.
        interest_free_terms: First periods that bear none.
        late_days: Lateness without consequence; missed, the days count from the due date.
    """

    principal_terms: Count = 0
    interest_terms: Count = 0
    interest_free_terms: Count = 0
    late_days: Annotated[int, Field(ge=0, le=30, strict=True)] = 3


class TierForm(Form):
    """A fee on an event from so many paid instalments on."""

    from_paid: Count = 0
    amount_fen: Amount = 0
    share: Share = Decimal(0)


class FeeForm(Form):
    """A charge beside interest: what for, when, how much, to whom.

    Attributes:
        at: With every instalment, or on an event that the borrower asks for.
        base: What `share` is a share of, with every instalment.
        tiers: On an event; then amount and share stand there.
    """

    name: Label
    payee: Label
    at: Annotated[str, AfterValidator(_fee_time)]
    amount_fen: Amount = 0
    share: Share = Decimal(0)
    base: FeeBase = FeeBase.PRINCIPAL
    tiers: Annotated[tuple[TierForm, ...], Field(max_length=MOST_TIERS)] = ()

    @model_validator(mode="after")
    def _worth_something(self) -> "FeeForm":
        if self.at == "instalment" and self.tiers:
            message = "随每期收取的费用没有阶梯"
            raise ValueError(message)
        if self.tiers and (self.amount_fen or self.share):
            message = "有阶梯时，金额和比例写在阶梯里"
            raise ValueError(message)
        steps = self.tiers or (self,)
        if not any(step.amount_fen or step.share for step in steps):
            message = "费用须写明金额或比例"
            raise ValueError(message)
        return self


class PenaltyForm(Form):
    """What lateness costs: a multiple of the contract rate on what is overdue.

    Attributes:
        grace_days: Paid within them nothing is charged.
        year_days: A day costs the rate divided by this.
        stops_after_days: An instalment bears none for later days.
    """

    multiplier: Multiple
    base: PenaltyBase = PenaltyBase.PRINCIPAL
    grace_days: Annotated[int, Field(ge=0, le=30, strict=True)] = 3
    year_days: Annotated[int, Field(ge=360, le=365, strict=True)] = 360
    stops_after_days: Annotated[int, Field(ge=1, le=3650, strict=True)] | None = None


class AllocationForm(Form):
    """In which order money settles what is owed: by component, or by rules of timing as well.

    Attributes:
        direction: Instalment by instalment, or each rule over all instalments first.
        future: Which instalments take what is paid in advance; `future_by_kind` for payments of
            a kind that do otherwise.
        due_charges_first: In advance, fees and penalties whose own day has come go first.
    """

    order: tuple[Component, ...] = ()
    rules: tuple[tuple[Timing, Component], ...] = ()
    direction: Direction = Direction.HORIZONTAL
    future: Future = Future.NEXT
    future_by_kind: Mapping[Annotated[Kind, _one_of(*PAYMENT_KINDS)], Future] = {}
    due_charges_first: bool = False

    @model_validator(mode="after")
    def _complete(self) -> "AllocationForm":
        if bool(self.order) == bool(self.rules):
            message = "请只写 order 或 rules 之一"
            raise ValueError(message)
        named = {timing for timing, _ in self.rules} or set(Timing)
        given = len(self.rules or self.order)
        wanted = len(Component) * (len(Timing) if self.rules else 1)
        found = len(set(self.rules or self.order))
        if named != set(Timing) or not given == found == wanted:
            message = "罚息、费用、利息、本金须各出现一次"
            raise ValueError(message)
        return self


class ProductForm(Form):
    """A product as it is written down.

    Attributes:
        rate_annual: Contract interest; nothing for flat fees.
        rate_least: The lowest price that a strategy may set; without it the price is fixed.
        fee_rate: Share of the original principal that each instalment of a flat fee bears.
        instalment_fen: Of the method of that name.
        first_period_days: If the first period is shorter than the others.
        subsidy_rate_annual: What the merchant pays the lender in the borrower's place (贴息).
        tranches: In how many parts it may be drawn, the first of them at once.
        draw_within_days: After so many days what is left of them lapses.
        levels_whole_principal: Drawn in parts, the equal instalment is that of all that may be.
        closing_tolerance_fen: A remainder up to this is waived when the borrower settles.
        allocation: By the state of the debt; the house's order where a state is not named.
    """

    code: Code
    name: Label
    funder: Code
    method: Method = Method.EQUAL_INSTALMENT
    amount: AmountRange
    terms: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MOST_TERMS, strict=True)], ...],
        Field(min_length=1, max_length=24),
        AfterValidator(_positive_terms),
    ]
    period: Annotated[str, AfterValidator(_period)] = "monthly"
    rate_annual: Share = Decimal(0)
    rate_least: Share | None = None
    fee_rate: Share = Decimal(0)
    instalment_fen: Amount = 0
    first_period_days: Annotated[int, Field(ge=1, le=366, strict=True)] | None = None
    subsidy_rate_annual: Share = Decimal(0)
    down_payment: Share = Decimal(0)
    tranches: Annotated[int, Field(ge=1, le=12, strict=True)] = 1
    draw_within_days: Annotated[int, Field(ge=1, le=1095, strict=True)] = 180
    levels_whole_principal: bool = False
    closing_tolerance_fen: Annotated[int, Field(ge=0, le=10_000, strict=True)] = 0
    profile: ProfileForm = ProfileForm()
    grace: GraceForm = GraceForm()
    fees: Annotated[tuple[FeeForm, ...], Field(max_length=MOST_FEES)] = ()
    penalty: PenaltyForm | None = None
    allocation: dict[DebtState, AllocationForm] = {}
    settles_early: bool = True
    is_offered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake: where it stands in the form, such as `fees.0.at`, and what it is, in Chinese.

    Attributes:
        line: Of the text that the product was read from, counted from 1; 0 if there is none.
    """

    path: str
    message: str
    line: int = 0


def mistakes(error: ValidationError) -> Iterator[Problem]:
    """Tell in Chinese what is wrong with a form, and where."""
    for found in error.errors(include_url=False):
        path = ".".join(str(part) for part in found["loc"])
        yield Problem(path=path or "form", message=_said(found["type"], found))


_WORDS: Final[Mapping[str, str]] = {
    "missing": "缺少此项",
    "extra_forbidden": "不认识的项目",
    "int_type": "须为整数",
    "bool_type": "须为是或否",
    "bool_parsing": "须为是或否",
    "string_type": "须为文字",
    "string_too_short": "不能为空",
    "string_too_long": "文字太长",
    "string_pattern_mismatch": "只能用小写字母、数字和连字符，并以字母开头",
    "decimal_parsing": "须为小数",
    "decimal_max_digits": "小数位数太多",
    "model_type": "须为一组项目（花括号）",
    "dict_type": "须为一组项目（花括号）",
    "tuple_type": "须为列表（方括号）",
    "too_short": "至少要有一项",
    "too_long": "项目太多",
}


_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("须大于", "gt"),
    "greater_than_equal": ("须不小于", "ge"),
    "less_than": ("须小于", "lt"),
    "less_than_equal": ("须不大于", "le"),
    "enum": ("只能是：", "expected"),
}


def _said(kind: str, found: Mapping[str, Any]) -> str:
    limits = found.get("ctx", {})
    if kind == "value_error":
        return str(limits["error"])
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        return f"{words} {limits[name]}".replace(" or ", "、").replace("'", "")
    return _WORDS.get(kind, "填写有误")
