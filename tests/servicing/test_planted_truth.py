"""Newcomers of the made-up world against the house strategy: what it approves pays better."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

import risk
from risk.features.catalogue import read_catalogue
from risk.strategy.compiler import Compiled, compile_strategy
from risk.strategy.decision import Circumstances
from risk.strategy.lists import ListBook
from risk.strategy.reading import read_strategy
from risk.strategy.statutory import with_statutory
from servicing.demo.credit import Credit, credit_of
from servicing.demo.goods import Purchase, purchase
from servicing.demo.lives import Habit, habit
from servicing.demo.people import Person, people

ON = date(2026, 3, 10)
_NEWCOMERS = 2_000
_HOUSE = Path(risk.__file__).parent / "strategies" / "house-credit.json"


@dataclass(frozen=True)
class Applicant:
    """Somebody without any history here, and what outsiders know of them."""

    person: Person
    credit: Credit
    bought: Purchase

    def row(self) -> dict[str, Any]:
        report = self.credit.report
        return {
            "product": "standard",
            "lender_type": "small_loan",
            "identity_key": self.person.id_number,
            "age_years": ON.year - int(self.person.id_number[6:10]) - 1,
            "is_student": self.person.is_student,
            "is_identity_verified": True,
            "income_monthly_fen": self.credit.income_monthly_fen,
            "requested_fen": self.bought.principal_fen,
            "requested_terms": self.bought.terms,
            "days_past_due_now": 0,
            "own_overdue_days_max_12m": 0,
            "months_on_book": 0,
            "loans_settled": 0,
            "line_granted_fen": 0,
            "line_used_fen": 0,
            "applications_30d": 1,
            "outside_list_hits": self.credit.hits,
            "bureau_score": report["score"],
            "overdue_days_max_12m": report["overdue_days_max_12m"],
            "bureau_queries_30d": report["queries_30d"],
            "exposure_fen": report["balance_fen"],
            "debt_service_monthly_fen": report["service_monthly_fen"],
        }


@cache
def newcomers(seed: int = 5, count: int = _NEWCOMERS) -> tuple[Applicant, ...]:
    def made() -> Iterator[Applicant]:
        random = Random(seed)  # noqa: S311 -- made-up people are no secret
        for person in people(random, on=ON):
            credit = credit_of(person.id_number, habit(random))
            yield Applicant(person=person, credit=credit, bought=purchase(random))

    return tuple(islice(made(), count))


@cache
def strategy() -> Compiled:
    document = with_statutory(json.loads(_HOUSE.read_text(encoding="utf-8")))
    return compile_strategy(read_strategy(document, read_catalogue()), product="standard")


def outcomes(applicants: tuple[Applicant, ...]) -> list[str]:
    lists = ListBook(names=("own-blocked", "prevention"), entries=(), on=ON)
    around = Circumstances(on=ON, lists=lists, score=lambda _name: None)
    return [strategy().decide(each.row(), around).outcome.name.lower() for each in applicants]


def bad_rate(applicants: list[Applicant]) -> float:
    return sum(one.credit.is_bad for one in applicants) / len(applicants)


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("count", [200, 1_000, 3_000])
def test_the_strategy_decides_nine_of_ten_and_approves_the_better(seed: int, count: int) -> None:
    applicants = newcomers(seed, count)
    decided = outcomes(applicants)
    approved = [one for one, said in zip(applicants, decided, strict=True) if said == "approve"]
    assert decided.count("review") / count <= 0.1
    assert 0.5 <= len(approved) / count <= 0.75  # the aim is 40 to 80 in a hundred
    assert bad_rate(approved) <= 0.6 * bad_rate(list(applicants))


def test_a_file_tells_something_of_the_truth_and_never_all() -> None:
    good, bad = (
        sorted(one.credit.report["score"] for one in newcomers() if one.credit.is_bad is is_bad)
        for is_bad in (False, True)
    )
    assert good[len(good) // 2] > bad[len(bad) // 2] + 20
    assert good[len(good) // 10] < bad[len(bad) // 2]


def test_the_same_number_always_has_the_same_file() -> None:
    number = newcomers()[0].person.id_number
    assert credit_of(number, Habit.PUNCTUAL) == credit_of(number, Habit.PUNCTUAL)
    assert not credit_of(number, Habit.SLIPPING).is_bad
    assert credit_of(number, Habit.STOPPING).is_bad
