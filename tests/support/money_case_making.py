"""Makes money cases of the first anchor system, and their answers by plain arithmetic.

It uses the engine through the command's own door only; no expected figure comes from it.
"""

import calendar
import json
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from cli.money_cases import run

CENT = Decimal("0.01")


def money(exact: Fraction | Decimal, rounding: str = ROUND_HALF_EVEN, to: Decimal = CENT):
    if isinstance(exact, Fraction):
        exact = Decimal(exact.numerator) / exact.denominator
    return (exact / to).quantize(Decimal(1), rounding=rounding) * to


def months_after(start: date, count: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last))


def verdict(tmp_path: Path, case: dict[str, Any]) -> str:
    path = tmp_path / "case.json"
    path.write_text(json.dumps([{"id": "own", **case}], default=str), encoding="utf-8")
    lines: list[str] = []
    run([path], lines.append)
    return lines[0]


def fineract(
    *steps: dict[str, Any], expected: dict[str, Any], config: dict[str, Any], **terms: Any
) -> dict[str, Any]:
    agreed = {
        "product": "any",
        "annual_rate_pct": "0",
        "interest_method": "DECLINING_BALANCE",
        "interest_calc_period": "DAILY",
        "amortization": "EQUAL_INSTALLMENTS",
        "repay_every": 1,
        "repay_unit": "MONTHS",
        "payment_strategy": "ADVANCED_PAYMENT_ALLOCATION",
        "rounding": "HALF_EVEN, 2 decimals",
        "product_config": {"decimals": 2, "currency": "EUR", **config},
        **terms,
    }
    agreed.setdefault("submitted_on", steps[0]["date"])
    return {
        "system": "apache/fineract",
        "terms": agreed,
        "events": list(steps),
        "expected": [{"after_event": len(steps), **expected}],
    }


def disburse(on: date | str, amount: object) -> dict[str, Any]:
    return {"op": "disburse", "date": str(on), "amount": str(amount)}


def repay(on: date | str, amount: object) -> dict[str, Any]:
    return {"op": "repay", "date": str(on), "amount": str(amount)}


def rows_of(dates: list[date], parts: list[tuple[Decimal, Decimal]], principal: Decimal):
    """Write the rows of a plan as a case does."""
    rows, balance = [], principal
    for n, (on, (repaid, interest)) in enumerate(zip(dates[1:], parts, strict=True), start=1):
        balance -= repaid
        rows.append(
            {
                "n": n,
                "due_date": on,
                "principal": str(repaid),
                "interest": str(interest),
                "due": str(repaid + interest),
                "balance": str(balance),
            }
        )
    return rows


def repay_level(principal: Decimal, level: Decimal, factors: list[Fraction], rounding: str):
    """Let equal instalments repay a balance; the last one takes what is left."""
    parts, left = [], principal
    for n, factor in enumerate(factors, start=1):
        interest = money(Fraction(left) * factor, rounding)
        repaid = left if n == len(factors) else min(left, level - interest)
        left -= repaid
        parts.append((repaid, interest))
    return parts


def annuity(principal: Decimal, factors: list[Fraction]) -> Decimal:
    """The instalment whose present value is the principal."""
    value, discount = Fraction(0), Fraction(1)
    for factor in factors:
        discount /= 1 + factor
        value += discount
    exact = Fraction(principal) / value
    return Decimal(exact.numerator) / exact.denominator


def by_days(dates: list[date], year: int | None) -> list[Fraction]:
    if year:
        return [Fraction((to - since).days, year) for since, to in pairwise(dates)]
    return [_actual(since, to) for since, to in pairwise(dates)]


def _actual(since: date, to: date) -> Fraction:
    """Days up to New Year's Eve are of one year's length, those after it of the next one's."""
    if since.year == to.year:
        return Fraction((to - since).days, 366 if calendar.isleap(to.year) else 365)
    eve = date(since.year, 12, 31)
    return _actual(since, eve) + Fraction((to - eve).days, 366 if calendar.isleap(to.year) else 365)


def levelled(principal: Decimal, factors: list[Fraction]) -> list[tuple[Decimal, Decimal]]:
    """The progressive schedule: a last row that differs much is spread over all."""
    count = len(factors)
    level = money(annuity(principal, factors))
    parts = repay_level(principal, level, factors, ROUND_HALF_EVEN)
    gap = sum(parts[-1]) - level
    if count > 1 and abs(gap) * 100 > count // 2:
        other = level + money(gap / count)
        tried = repay_level(principal, other, factors, ROUND_HALF_EVEN)
        if abs(sum(tried[-1]) - other) < abs(gap):
            return tried
    return parts
