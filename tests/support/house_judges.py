"""The house strategy in force and the decision service behind servicing's `Decide`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from cli.risk import HOUSE_STRATEGY, load_list_file, publish_house_strategy
from kernel.runtime import Runtime
from risk.decisions.house import HouseDecide
from risk.decisions.strategies import Publication, prices_of, publish_strategy
from risk.features.catalogue import read_catalogue
from risk.operations import grade_accounts
from risk.ports import Fallback, Inquiry, Subsystem, Subsystems
from risk.strategy.lists import STATUTORY_LISTS
from risk.strategy.statutory import with_statutory
from servicing.ports import Decide, DeclinesAnyway, GradeAccounts

GOOD_FILE: Mapping[str, Any] = {
    "bureau_score": 705,
    "overdue_days_max_12m": 0,
    "bureau_queries_30d": 1,
    "exposure_fen": 2_000_000,
    "debt_service_monthly_fen": 80_000,
}


def answering(name: str, values: Mapping[str, Any], fallback: Fallback) -> Subsystem:
    """A sub-system that always answers the same."""

    def ask(_inquiry: Inquiry) -> Mapping[str, Any]:
        return values

    return Subsystem(
        name=name,
        label=name,
        fields=tuple(values),
        timeout_s=5,
        attempts=2,
        deadline_s=90,
        fallback=fallback,
        ask=ask,
    )


def good_subsystems(**report: Any) -> Subsystems:
    """Sub-systems to which everybody is real and has a good file, but for what is changed."""
    return Subsystems(
        each=(
            answering("identity", {"is_identity_verified": True}, Fallback.REVIEW),
            answering("bureau", {**GOOD_FILE, **report}, Fallback.REVIEW),
            answering("lists", {"outside_list_hits": 0}, Fallback.IGNORE),
        )
    )


def house_stages(product: str) -> tuple[str, ...]:
    """Name the stages of a product of the house strategy, the statutory one first."""
    document = with_statutory(json.loads(HOUSE_STRATEGY.read_text(encoding="utf-8")))
    return next(
        tuple(each["stages"]) for each in document["products"] if each["product"] == product
    )


def publish_house(runtime: Runtime, **changes: Mapping[str, Any]) -> Publication:
    """Put the house strategy in force with something else said of some of its products."""
    for name in STATUTORY_LISTS:
        load_list_file(runtime, name, None)
    document = with_statutory(json.loads(HOUSE_STRATEGY.read_text(encoding="utf-8")))
    document["products"] = [
        each | changes.get(each["product"], {}) for each in document["products"]
    ]
    with pytest.MonkeyPatch.context() as patched, runtime.database.write() as session:
        patched.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)
        return publish_strategy(
            session,
            document=document,
            catalogue=read_catalogue(),
            author="analyst",
            approver="manager",
            now=runtime.clock.now(),
            prices=prices_of(runtime),
        )


@contextmanager
def house_judges(runtime: Runtime) -> Iterator[None]:
    """Publish the house strategy and provide the house's judges."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)
        publish_house_strategy(runtime)
    decide = HouseDecide(runtime)
    runtime.provide(Decide, decide)
    runtime.provide(DeclinesAnyway, decide.declines_anyway)
    runtime.provide(GradeAccounts, grade_accounts)
    runtime.provide(Subsystems, good_subsystems())
    yield
    decide.close()
