"""Rows as they were once known, and strategies that decide on them in their NumPy form.

Pure. Where rows come from is not known here: stored decisions, or a file that somebody gave.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from risk.models.arrays import scores
from risk.models.card import Scorecard
from risk.models.trees import BoostedTrees
from risk.strategy.batch import (
    BatchCircumstances,
    BatchDecision,
    Column,
    Floats,
    Mask,
    decide_batch,
    within,
)
from risk.strategy.decision import Lists, Snooze
from risk.strategy.language import Strategy

_NUMBERS: Final = frozenset({int, float})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A strategy with the models that it calls, by name."""

    strategy: Strategy
    models: Mapping[str, Scorecard | BoostedTrees]

    @property
    def names(self) -> tuple[str, ...]:
        """All that it reads of a row, that of its models too."""
        features = (name for model in self.models.values() for name in model.features)
        return tuple(dict.fromkeys((*self.strategy.inputs, *features)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """Which rules were silenced when rows were decided.

    Attributes:
        are_used: Whether decisions go by them; if not, nothing is silenced.
        by_rule: For whom a rule was silenced: a mask of shape (n_rows,).
        in_force: The snoozes of the period: rule, key and days.
    """

    are_used: bool
    by_rule: Mapping[str, Mask]
    in_force: tuple[Snooze, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Rows as they were known when they were decided, and what became of them.

    Attributes:
        columns: By name, of shape (n_rows,), as `decide_batch` takes them.
        on: The business date, or one ordinal per row.
        is_bad: 1 or 0, NaN where the outcome is not known.
        amount_fen: What was asked for, whole fen as float64; NaN where not known.
        segments: Columns to cut a report by.
        not_kept: Names that no row holds although a judge reads them.
        silences: None where nothing can be silenced, as of a table.
    """

    rows: int
    columns: Mapping[str, Column]
    on: date | Floats
    lists: Lists
    is_bad: Floats
    amount_fen: Floats
    segments: Mapping[str, Column] = field(default_factory=dict)
    not_kept: tuple[str, ...] = ()
    silences: Silences | None = None


def decided_on(
    history: History,
    judge: Judge,
    *,
    product: str,
    strategy: Strategy | None = None,
    some: NDArray[np.intp] | None = None,
    is_silenced: bool = True,
) -> BatchDecision:
    """Decide on all rows.

    Args:
        history: See there.
        judge: Its strategy and models.
        product: Of its strategy.
        strategy: Another strategy that calls the same models.
        some: Decide only on the rows in these places.
        is_silenced: Whether rules that were silenced then are silent again.

    Raises:
        KeyError: The strategy has no such product.
    """

    def cut(column: Column) -> Column:
        return column if some is None else column[some]

    rows = history.rows if some is None else len(some)
    columns = {name: cut(column) for name, column in history.columns.items()}
    silenced = history.silences.by_rule if history.silences and is_silenced else {}
    around = BatchCircumstances(
        on=history.on if isinstance(history.on, date) else cut(history.on),
        lists=history.lists,
        score=_scorer(judge, columns, rows),
        snoozed={rule: cut(where) for rule, where in silenced.items()},
        firm_score=_scorer(judge, _firm(judge, columns), rows) if judge.models else None,
    )
    return decide_batch(
        strategy or judge.strategy, columns, product=product, rows=rows, around=around
    )


def _firm(judge: Judge, columns: Mapping[str, Column]) -> dict[str, Column]:
    """Take the supporting columns out, so that models score as if they were missing."""
    support = judge.strategy.support
    return {name: column for name, column in columns.items() if name not in support}


def _scorer(judge: Judge, columns: Mapping[str, Column], rows: int) -> Callable[[str], Floats]:
    nothing = np.full(rows, np.nan)

    def score(name: str) -> Floats:
        model = judge.models[name]
        table = [
            within(floats_of(columns.get(each, nothing)), judge.strategy.domains.get(each))
            for each in model.features
        ]
        return scores(model, np.column_stack(table))

    return score


def floats_of(column: Column) -> NDArray[Any]:
    """Turn a column into float64; what is no number becomes NaN."""
    if column.dtype != object:
        return column.astype(np.float64, copy=False)
    found = (value if type(value) in _NUMBERS else np.nan for value in column)
    return np.fromiter(found, np.float64, len(column))
