"""Runs all forms of a strategy against each other; publishing asks for it.

It judges nothing but equality.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial

import numpy as np

from risk.features.catalogue import Kind
from risk.strategy.batch import BatchCircumstances, BatchDecision, decide_batch
from risk.strategy.compiler import FormsDiffer, compile_strategy
from risk.strategy.decision import Circumstances, Decision, HitKind, Lists, readable
from risk.strategy.interpreter import interpret
from risk.strategy.language import Strategy


def self_test(
    strategy: Strategy,
    rows: Sequence[Mapping[str, object]],
    *,
    on: date,
    lists: Lists,
    scores: Sequence[Mapping[str, float]] = (),
    firm_scores: Sequence[Mapping[str, float]] = (),
) -> int:
    """Decide on all rows for all products in all three forms.

    Args:
        strategy: Read and checked.
        rows: Raw values by name, as stored with decisions.
        on: The business date for all of them.
        lists: What every form looks values up in.
        scores: For each row, what models say by name; empty where the strategy calls none.
        firm_scores: The same as if supporting values were missing.

    Returns:
        How many decisions were compared.

    Raises:
        FormsDiffer: The first row that differs, by number, with both answers.
    """
    for product in strategy.products:
        compiled = compile_strategy(strategy, product=product)
        batch = _batch(strategy, product, rows, on, lists, scores, firm_scores)
        for n, row in enumerate(rows):
            score = (scores[n] if scores else {}).get
            firm = firm_scores[n].get if firm_scores else None
            around = Circumstances(on=on, lists=lists, score=score, firm_score=firm)
            plain = interpret(strategy, row, product=product, around=around).decision
            generated = compiled.decide(row, around)
            if generated != plain:
                raise FormsDiffer(f"{product}, row {n}: interpreter {plain}, generated {generated}")
            expected, found = _comparable(plain), row_of(strategy, batch, n)
            if found != expected:
                raise FormsDiffer(f"{product}, row {n}: interpreter {expected}, batch {found}")
    return len(rows) * len(strategy.products)


def row_of(strategy: Strategy, batch: BatchDecision, n: int) -> tuple[object, ...]:
    """Return what the batch form says of one row, in a form that compares."""
    raw = {name: column[n] for name, column in batch.outputs.items()}
    outputs = {
        name: value if strategy.kinds[name] is Kind.TEXT else float(value)
        for name, value in raw.items()
    }
    hits = {key for key, mask in batch.hits.items() if mask[n]}
    return int(batch.outcome[n]), readable(outputs, strategy.kinds), hits


def _comparable(decision: Decision) -> tuple[object, ...]:
    hits: set[tuple[str, HitKind]] = {(hit.rule, hit.kind) for hit in decision.hits}
    return int(decision.outcome), dict(decision.outputs), hits


def _batch(
    strategy: Strategy,
    product: str,
    rows: Sequence[Mapping[str, object]],
    on: date,
    lists: Lists,
    scores: Sequence[Mapping[str, float]],
    firm_scores: Sequence[Mapping[str, float]],
) -> BatchDecision:
    columns = {name: np.empty(len(rows), dtype=object) for name in strategy.inputs}
    for name, column in columns.items():
        column[:] = [row.get(name) for row in rows]

    def score(model: str, said: Sequence[Mapping[str, float]] = scores) -> np.ndarray:
        return np.array([each.get(model, np.nan) for each in said] or [np.nan] * len(rows))

    firm = partial(score, said=firm_scores) if firm_scores else None
    around = BatchCircumstances(on=on, lists=lists, score=score, firm_score=firm)
    return decide_batch(strategy, columns, product=product, rows=len(rows), around=around)
