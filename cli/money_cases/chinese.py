"""Runs cases of Chinese products: plans, costs and caps, early settlement, prepayment, lateness.

A case gives its figures under names of its own; rates come out with as many decimals as the case
writes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, Final

from cli.money_cases.chinese_terms import lookup, penalty_of, terms_of
from cli.money_cases.reading import (
    Json,
    NotCovered,
    day,
    decimal,
    fen,
    first_of,
    letters,
    money,
    one_of,
    percent,
    whole,
)
from servicing.engine import events
from servicing.engine.cost import AnnualCost, annual_cost, highest_flat_fee
from servicing.engine.parts import Parts
from servicing.engine.periods import MONTHS_A_YEAR
from servicing.engine.plan import Instalment, Plan, plan
from servicing.engine.profile import Excess
from servicing.engine.quote import QuoteKind, quote
from servicing.engine.replay import replay
from servicing.engine.state import LoanRow, LoanState
from servicing.engine.terms import Terms
from servicing.lateness import Rules, rules_as_of

_MONTHS: Final = Decimal(MONTHS_A_YEAR)
_CAP: Final = Decimal("0.24")
_UPFRONT: Final = ("upfront_fee", "upfront_charge")
_UPFRONT_RATES: Final = ("upfront_fee_rate", "upfront_rate")
_DAYS_LATE: Final = (
    "overdue_days",
    "days_overdue",
    "days_late",
    "days_past_due",
    "dpd",
    "days",
)
_SETTLES_ON: Final = (
    "settle_on",
    "payoff_date",
    "payoff_on",
    "settlement_date",
    "prepay_on",
    "prepayment_date",
    "on",
    "date",
)
_PAID: Final = r"(?<!pre)paid|(after|elapsed|completed|settled).*(installment|instalment|period)"
_DAYS: Final = r"^(\w+_)?days(_(after|since|into|in_period)\w*)?$"
_EFFECTS: Final = {
    "reduceinstalment": Excess.REDUCE_INSTALMENT,
    "reduceinstallment": Excess.REDUCE_INSTALMENT,
    "reduceemi": Excess.REDUCE_INSTALMENT,
    "减少月供": Excess.REDUCE_INSTALMENT,
    "reduceterm": Excess.REDUCE_TERM,
    "缩短期限": Excess.REDUCE_TERM,
}
_CLASSES: Final = {
    "normal": "正常",
    "special-mention": "关注",
    "substandard": "次级",
    "doubtful": "可疑",
    "loss": "损失",
}
_COLUMNS: Final[Mapping[str, Callable[[Instalment], object]]] = {
    "n": lambda row: row.n,
    "period": lambda row: row.n,
    "dueon": lambda row: row.due_on.isoformat(),
    "duedate": lambda row: row.due_on.isoformat(),
    "date": lambda row: row.due_on.isoformat(),
    "days": lambda row: row.days,
    "principal": lambda row: money(row.due.principal_fen),
    "interest": lambda row: money(row.due.interest_fen),
    "fee": lambda row: money(row.due.fee_fen),
    "fees": lambda row: money(row.due.fee_fen),
    "payment": lambda row: money(row.due.total_fen),
    "instalment": lambda row: money(row.due.total_fen),
    "total": lambda row: money(row.due.total_fen),
    "due": lambda row: money(row.due.total_fen),
    "balance": lambda row: money(row.balance_fen),
    "remaining": lambda row: money(row.balance_fen),
}


def compute(case: Json) -> dict[str, Any]:
    """Return what comes out under each name that a case expects."""
    given, expected = case["input"], case["expected"]
    name = str(case.get("name", ""))
    if expected and all(str(key).isdigit() for key in expected):
        return _highest_fees(given, expected)
    told = _Told(given, name)
    return {key: _figure(told, key, wanted) for key, wanted in expected.items()}


def _highest_fees(given: Json, expected: Json) -> dict[str, Any]:
    """The fee that stays at a cap, for each number of instalments."""
    cap = decimal(given.get("cap", _CAP))
    return {
        count: _decimals(
            highest_flat_fee(terms=int(count), cap_annual=cap, periods_a_year=_MONTHS), wanted
        )
        for count, wanted in expected.items()
    }


class _Told:
    """A product of a case, with its plan, its cost and what happens to it."""

    def __init__(self, given: Json, name: str) -> None:
        self.given = given
        self.name = name

    @cached_property
    def terms(self) -> Terms:
        """What was agreed."""
        return terms_of(self.given, self.name)

    @cached_property
    def plan(self) -> Plan:
        """The plan as agreed."""
        return plan(self.terms)

    @cached_property
    def cost(self) -> AnnualCost:
        """The cost of the plan; fees that are paid at the start make what is received smaller."""
        lent = self.terms.principal_fen
        upfront = fen(first_of(self.given, *_UPFRONT, default=0))
        upfront += self.terms.profile.fen(
            lent * decimal(first_of(self.given, *_UPFRONT_RATES, default=0))
        )
        payments = [row.due.total_fen for row in self.plan.instalments]
        periods = self.terms.frequency.periods_a_year
        return annual_cost(lent - upfront, payments, periods_a_year=periods)

    @property
    def draw(self) -> events.Disbursement:
        """The money being lent."""
        terms = self.terms
        return events.Disbursement(id="draw", on=terms.start_on, amount_fen=terms.principal_fen)

    @cached_property
    def acts_on(self) -> date:
        """The day on which the loan is settled or prepaid."""
        value = first_of(self.given, *_SETTLES_ON)
        if value is not None:
            return day(value)
        paid, days = lookup(self.given, _PAID), lookup(self.given, _DAYS)
        if days is None and paid is None:
            raise NotCovered("an early settlement without its day")
        rows = self.plan.instalments
        if not 0 <= whole(paid) <= len(rows):
            raise NotCovered(f"{paid} paid instalments of {len(rows)}")
        since = rows[whole(paid) - 1].due_on if whole(paid) else self.terms.start_on
        return since + timedelta(days=whole(days))

    @property
    def happened(self) -> list[events.Event]:
        """The loan until that day, all that was due being paid in time."""
        paid = [
            events.Payment(id=f"paid-{row.n}", on=row.due_on, amount_fen=row.due.total_fen)
            for row in self.plan.instalments
            if row.due_on <= self.acts_on
        ]
        return [self.draw, *paid]

    @cached_property
    def settlement(self) -> Parts:
        """What ends the loan on its day."""
        return quote(self.terms, self.happened, self.acts_on, QuoteKind.SETTLE).parts

    @cached_property
    def prepaid(self) -> LoanState:
        """The loan after a part of it was prepaid."""
        said = first_of(self.given, "effect", "prepayment_effect", default="reduce_instalment")
        amount = first_of(self.given, "prepay_amount", "prepayment", "prepayment_amount", "extra")
        if amount is None:
            raise NotCovered("a prepayment without its amount")
        paid = events.Prepayment(
            id="prepaid",
            on=self.acts_on,
            amount_fen=fen(amount),
            effect=one_of(_EFFECTS, letters(said), "a prepayment that does"),
        )
        return replay(self.terms, [*self.happened, paid], self.acts_on)

    @property
    def rest(self) -> list[LoanRow]:
        """What is planned after a prepayment."""
        return [row for row in self.prepaid.rows if row.due_on > self.acts_on]

    @cached_property
    def late(self) -> LoanRow:
        """The first instalment some days after it was due, nothing having been paid."""
        days = first_of(self.given, *_DAYS_LATE)
        if days is None:
            raise NotCovered("a penalty without its days")
        terms = replace(self.terms, penalty=penalty_of(self.given, self.terms))
        on = self.plan.instalments[0].due_on + timedelta(days=whole(days))
        return replay(terms, [self.draw], on).rows[0]

    @property
    def lateness(self) -> tuple[Rules, int]:
        """The rules by which lateness is named, and the days of it."""
        days = first_of(self.given, *_DAYS_LATE)
        if days is None:
            raise NotCovered("lateness without its days")
        on = first_of(self.given, "as_of", default=None)
        return rules_as_of(day(on) if on else date.max), whole(days)


def _figure(told: _Told, key: str, wanted: Any) -> Any:
    name = key.split("(", maxsplit=1)[0].strip().lower()
    if name in ("rows", "schedule", "plan"):
        return _rows(told, key, wanted)
    cap = re.fullmatch(r"(above|within)_(\d+)pct_cap", name)
    if cap:
        is_above = _is_above(told, percent(cap[2]))
        return is_above if cap[1] == "above" else not is_above
    maker = _FIGURES.get(name)
    if maker is None:
        raise NotCovered(f"the figure {key}")
    return maker(told, wanted)


def _rows(told: _Told, key: str, wanted: Any) -> list[Any]:
    """Write the plan with the columns that a case names, as lists or by name."""
    if wanted and isinstance(wanted[0], Mapping):
        return [
            {column: _cell(row, column) for column in line}
            for line, row in zip(wanted, told.plan.instalments, strict=False)
        ] + [{}] * (len(told.plan.instalments) - len(wanted))
    columns = ["principal", "interest", "payment", "balance"]
    if "(" in key:
        columns = [column.strip() for column in key[key.index("(") + 1 : -1].split(",")]
    return [[_cell(row, column) for column in columns] for row in told.plan.instalments]


def _cell(row: Instalment, column: str) -> Any:
    return one_of(_COLUMNS, letters(column), "the column")(row)


def _decimals(exact: Decimal, wanted: Any) -> str:
    """Write a rate with as many decimals as a case does, and as a percentage where it does so."""
    said = str(wanted)
    sign = "%" if said.endswith("%") else ""
    places = len(said.removesuffix("%").partition(".")[2])
    exact = exact * 100 if sign else exact
    return str(exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)) + sign


def _payment(index: int) -> Callable[[_Told, Any], str]:
    return lambda told, _: money(told.plan.instalments[index].due.total_fen)


def _interest(index: int) -> Callable[[_Told, Any], str]:
    return lambda told, _: money(told.plan.instalments[index].due.interest_fen)


def _nominal_fee(told: _Told, wanted: Any) -> str:
    terms = told.terms
    return _decimals(terms.fee_rate * terms.frequency.periods_a_year or terms.rate_annual, wanted)


def _is_above(told: _Told, cap: Decimal) -> bool:
    return told.cost.nominal.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN) > cap


def _own_cap(told: _Told) -> Decimal:
    return decimal(first_of(told.given, "cap", "cap_annual", default=_CAP))


def _settled_part(of: Callable[[Parts], int]) -> Callable[[_Told, Any], str]:
    """What ends the loan on the day of a case, or a part of it; what was due before is paid."""
    return lambda told, _: money(of(told.settlement))


def _saved(told: _Told, _: Any) -> str:
    """What a loan costs less by being settled or prepaid early."""
    planned = sum(row.due.interest_fen + row.due.fee_fen for row in told.plan.instalments)
    if lookup(told.given, r"^prepay|^extra$") is not None:
        due = [row.due for row in told.prepaid.rows]
        return money(planned - sum(part.interest_fen + part.fee_fen for part in due))
    paid = [row.due for row in told.plan.instalments if row.due_on <= told.acts_on]
    spent = sum(part.interest_fen + part.fee_fen for part in paid)
    settled = told.settlement
    return money(planned - spent - settled.interest_fen - settled.fee_fen)


def _new_payment(told: _Told, _: Any) -> str:
    if not told.rest:
        raise NotCovered("the instalment of a loan that is paid")
    return money(told.rest[0].due.total_fen)


def _penalty_rate(told: _Told, wanted: Any) -> str:
    rule = penalty_of(told.given, told.terms)
    return _decimals(rule.rate_a_day * rule.year_days, wanted)


def _daily_penalty(told: _Told, _: Any) -> str:
    rule, terms = penalty_of(told.given, told.terms), told.terms
    overdue = told.plan.instalments[0].due.principal_fen
    return money(terms.profile.fen(overdue * rule.rate_a_day))


def _bucket(told: _Told, _: Any) -> str:
    rules, days = told.lateness
    return rules.bucket(days)


def _class(told: _Told, wanted: Any) -> str:
    """Name a class in Chinese, or by our word if the case uses no Chinese."""
    rules, days = told.lateness
    name = rules.five_class(days)
    return _CLASSES[name] if any(word in str(wanted) for word in _CLASSES.values()) else name


_SETTLES: Final = _settled_part(lambda parts: parts.total_fen)
_SETTLED_PRINCIPAL: Final = _settled_part(lambda parts: parts.principal_fen)
_SETTLED_COST: Final = _settled_part(lambda parts: parts.interest_fen + parts.fee_fen)
_FIGURES: Final[Mapping[str, Callable[[_Told, Any], Any]]] = {
    **dict.fromkeys(
        ("monthly_payment", "first_payment", "instalment", "instalment_amount", "payment"),
        _payment(0),
    ),
    "last_payment": _payment(-1),
    "last_instalment": _payment(-1),
    "first_interest": _interest(0),
    "monthly_interest": _interest(0),
    "last_interest": _interest(-1),
    "monthly_fee": lambda told, _: money(told.plan.instalments[0].due.fee_fen),
    "monthly_principal": lambda told, _: money(told.plan.instalments[0].due.principal_fen),
    "number_of_instalments": lambda told, _: len(told.plan.instalments),
    "maturity_date": lambda told, _: told.plan.instalments[-1].due_on.isoformat(),
    "due_dates": lambda told, _: [row.due_on.isoformat() for row in told.plan.instalments],
    **dict.fromkeys(("nominal_annual", "simple_annual", "simple_rate"), _nominal_fee),
    **dict.fromkeys(
        ("irr_nominal_annual", "irr_nominal", "nominal_irr", "apr", "irr_annual"),
        lambda told, wanted: _decimals(told.cost.nominal, wanted),
    ),
    **dict.fromkeys(
        ("irr_effective_annual", "irr_effective", "effective_irr", "effective_annual", "ear"),
        lambda told, wanted: _decimals(told.cost.effective, wanted),
    ),
    **dict.fromkeys(
        ("irr_monthly", "monthly_irr", "periodic_irr"),
        lambda told, wanted: _decimals(
            told.cost.nominal / told.terms.frequency.periods_a_year, wanted
        ),
    ),
    **dict.fromkeys(("above_cap", "exceeds_cap"), lambda told, _: _is_above(told, _own_cap(told))),
    "within_cap": lambda told, _: not _is_above(told, _own_cap(told)),
    "total_interest": lambda told, _: money(told.plan.total.interest_fen),
    "total_fee": lambda told, _: money(told.plan.total.fee_fen),
    "total_fees": lambda told, _: money(told.plan.total.fee_fen),
    "total_cost": lambda told, _: money(told.plan.total.total_fen - told.plan.total.principal_fen),
    "total_payment": lambda told, _: money(told.plan.total.total_fen),
    "total_payments": lambda told, _: money(told.plan.total.total_fen),
    "total_repayment": lambda told, _: money(told.plan.total.total_fen),
    **dict.fromkeys(
        (
            "settlement",
            "settlement_amount",
            "early_settlement",
            "early_settlement_amount",
            "payoff",
            "payoff_amount",
            "pay_off_amount",
            "amount_to_settle",
            "settlement_total",
            "payoff_total",
            "total_payoff",
            "total_to_pay",
            "amount_to_pay",
            "total",
        ),
        _SETTLES,
    ),
    **dict.fromkeys(
        ("remaining_principal", "outstanding_principal", "principal_outstanding", "principal"),
        _SETTLED_PRINCIPAL,
    ),
    **dict.fromkeys(
        (
            "interest_to_date",
            "accrued_interest",
            "interest_to_day",
            "interest_due",
            "interest",
            "accrued",
        ),
        _SETTLED_COST,
    ),
    **dict.fromkeys(("interest_saved", "saved_interest", "saving"), _saved),
    **dict.fromkeys(("new_payment", "new_instalment", "new_monthly_payment"), _new_payment),
    **dict.fromkeys(
        ("remaining_instalments", "remaining_terms", "new_terms"),
        lambda told, _: len(told.rest),
    ),
    **dict.fromkeys(
        ("penalty", "penalty_interest", "penalty_amount", "late_interest"),
        lambda told, _: money(told.late.due.penalty_fen),
    ),
    "penalty_rate_annual": _penalty_rate,
    "penalty_rate": _penalty_rate,
    **dict.fromkeys(("daily_penalty", "penalty_per_day", "penalty_a_day"), _daily_penalty),
    **dict.fromkeys(
        ("total_due", "total_overdue", "amount_due"),
        lambda told, _: money(told.late.outstanding.total_fen),
    ),
    **dict.fromkeys(("bucket", "m_bucket"), _bucket),
    **dict.fromkeys(("class", "five_class", "risk_class"), _class),
}
