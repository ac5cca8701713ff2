"""`fenqi bench backtest`: a draft of thirty rules on a million stored vectors, with its report.

Stored vectors are columns in memory, as a nightly partition file has them; what it takes to read
them out of blobs is measured on a part and told beside. The yardstick is the generated function,
one row at a time, on a sample.
"""

import time
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import numpy as np

from cli.bench.credit import CreditWorld
from cli.bench.figures import ROUNDS, Asked, Figure, WrongAnswer, middle, surroundings
from risk.features.blob import BlobCodec
from risk.features.catalogue import Store
from risk.lifecycle.backtest import backtest
from risk.lifecycle.history import History, Judge, decided_on
from risk.strategy.compiler import compile_strategy
from risk.strategy.decision import Circumstances
from risk.strategy.language import Strategy
from risk.strategy.lists import ListBook
from risk.strategy.reading import read_strategy

BUDGET_S: Final = 5.0

_VECTORS: Final = 1_000_000
_RULES: Final = 30
_BLOBS: Final = 2_000
_SAMPLE: Final = 20_000
_BAD_SHARE: Final = 0.1
_KNOWN_SHARE: Final = 0.6
_MISSING_SHARE: Final = 0.05
_ON: Final = date(2026, 11, 26)


def measure(asked: Asked) -> Figure:
    """Measure a draft against what is in force, whole, and the draft's decisions alone."""
    rows = asked.scale or _VECTORS
    world = CreditWorld()
    draft, against = (_judge(world, rules) for rules in (_RULES, _RULES - 1))
    history = _history(draft.strategy, rows)
    product = next(iter(draft.strategy.products))
    taken: dict[str, list[float]] = {"decide": [], "report": []}
    report: dict[str, Any] = {}
    for _ in range(ROUNDS):
        started = time.perf_counter()
        decided_on(history, draft, product=product)
        taken["decide"].append(time.perf_counter() - started)
        started = time.perf_counter()
        report = backtest(draft, against, history, product=product)
        taken["report"].append(time.perf_counter() - started)
    singly = _singly(draft.strategy, history, product)
    _check(report, rows)
    whole = middle(taken["report"])
    details = {
        "vectors": rows,
        "rules": _RULES,
        "decide_s": middle(taken["decide"]),
        "rounds": {name: [round(each, 2) for each in times] for name, times in taken.items()},
        "one_by_one_s": round(singly * rows, 1),
        "read_blobs_us_each": _reading_blobs(world, draft),
        "budget_s": BUDGET_S,
        "is_within_budget": whole <= BUDGET_S * rows / _VECTORS,
        "told": "decisions of draft and of what is in force, swap set, money, exact marginal hits",
    }
    return Figure(
        name="backtest",
        figure=whole,
        unit="s",
        yardstick="the draft's generated function, one row at a time",
        ratio=round(singly * rows / whole, 4),
        p99_ms=None,
        details=details | surroundings(),
    )


def _judge(world: CreditWorld, rules: int) -> Judge:
    return Judge(strategy=read_strategy(world.own_rules(rules), world.catalogue), models={})


def _history(strategy: Strategy, rows: int) -> History:
    chance = np.random.default_rng(1)

    def column() -> np.ndarray:
        found = chance.random(rows)
        found[chance.random(rows) < _MISSING_SHARE] = np.nan
        return found

    columns: Mapping[str, np.ndarray] = {name: column() for name in strategy.inputs}
    is_bad = (chance.random(rows) < _BAD_SHARE).astype(np.float64)
    is_bad[chance.random(rows) > _KNOWN_SHARE] = np.nan
    return History(
        rows=rows,
        columns={**columns, "age_years": np.full(rows, 30.0)},
        on=_ON,
        lists=ListBook(names=(), entries=(), on=_ON),
        is_bad=is_bad,
        amount_fen=chance.integers(100_000, 900_000, rows).astype(np.float64),
    )


def _singly(strategy: Strategy, history: History, product: str) -> float:
    """Return the seconds a row takes one by one, and compare what comes out.

    Raises:
        WrongAnswer: Both forms decide differently.
    """
    count = min(_SAMPLE, history.rows)
    compiled = compile_strategy(strategy, product=product)
    table = [history.columns[name][:count].tolist() for name in strategy.inputs]
    around = Circumstances(on=_ON, lists=history.lists, score=lambda _: None)
    values = list(zip(*table, strict=True))
    today, function = _ON.toordinal(), compiled.function
    holds, nobody = history.lists.holds, around.snoozed
    started = time.perf_counter()
    outcomes = [function(row, today, nobody, holds, around.score)[0] for row in values]
    seconds = (time.perf_counter() - started) / count
    batch = decided_on(
        history, Judge(strategy=strategy, models={}), product=product, some=np.arange(count)
    )
    if batch.outcome.tolist() != outcomes:
        raise WrongAnswer("the two forms decide differently")
    return seconds


def _reading_blobs(world: CreditWorld, draft: Judge) -> float:
    """Return the microseconds that it takes to read the draft's columns out of one blob."""
    codec = BlobCodec(world.catalogue)
    stored = world.catalogue.stored(Store.EXACT)
    chance = np.random.default_rng(2)
    exact = chance.random((_BLOBS, len(codec.exact)))
    coarse = chance.random((_BLOBS, len(codec.coarse))).astype(np.float32)
    blobs = list(codec.encode_table(exact, coarse))
    names = [name for name in draft.strategy.inputs if name in stored]
    started = time.perf_counter()
    codec.columns(blobs, names)
    return round((time.perf_counter() - started) / _BLOBS * 1e6, 2)


def _check(report: dict[str, Any], rows: int) -> None:
    """Make sure that every row stands in the report, and that rules hit.

    Raises:
        WrongAnswer: They do not.
    """
    swapped = sum(cell["count"] for cell in report["swap_set"])
    hits = [line for line in report["rules"] if line["kind"] == "hit" and line["marginal"]]
    if swapped != rows or not hits or not 0 < report["draft"]["approved"] < rows:
        raise WrongAnswer(f"{swapped} of {rows} rows, {len(hits)} rules with marginal hits")
