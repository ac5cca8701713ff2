"""The house strategy as its life is tested: with changes, and with its cases."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from cli.risk import HOUSE_CASES, HOUSE_STRATEGY
from kernel import jobs
from kernel.runtime import Runtime
from risk.decisions.strategies import Publication, rollback_strategy
from risk.features.catalogue import read_catalogue
from risk.strategy.statutory import with_statutory

KEY = "house-credit"
Saved = Callable[..., int]


def house(change: Callable[[dict[str, Any]], None] = lambda _: None) -> dict[str, Any]:
    """The house strategy with the statutory rules, changed."""
    found: dict[str, Any] = with_statutory(json.loads(HOUSE_STRATEGY.read_text("utf-8")))
    change(found)
    return found


def cases() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(HOUSE_CASES.read_text("utf-8"))
    return found


def rule_of(document: dict[str, Any], wanted: str) -> dict[str, Any]:
    return next(
        rule
        for stage in document["stages"]
        for rule in stage.get("rules", ())
        if isinstance(rule, dict) and rule.get("id") == wanted
    )


def stricter(document: dict[str, Any]) -> None:
    """Decline from 30 days late on, not from 60."""
    rule_of(document, "hard.overdue")["when"]["value"] = 30


def roll_back_to_before(runtime: Runtime, session: Session) -> Publication:
    """Put back what was in force before."""
    return rollback_strategy(
        session,
        key=KEY,
        by="manager",
        reason="x",
        catalogue=read_catalogue(),
        now=runtime.clock.now(),
    )


def work_on(runtime: Runtime) -> None:
    """Run what waits on the analysis queue."""
    jobs.bind(runtime)
    queue = jobs.queue_of(runtime, jobs.ANALYSIS_QUEUE)
    for waiting in queue.jobs:
        queue.remove(waiting)
        jobs.perform(**waiting.kwargs)
