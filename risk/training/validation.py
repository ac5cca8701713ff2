"""Cross-validation of card and challenger on any table: every figure is out of sample.

Bins, codes and models are fitted inside each fold. Rows go to folds by chance within each outcome,
by groups that stay together, or by a condition that says which rows are the test.
"""

import json
import operator
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from risk.training.fitting import fit_card, fit_encoding, fit_trees
from risk.training.measures import Floats, auc, brier, ks, psi
from risk.training.table import Table, TableInvalid, target_of

Mask = NDArray[np.bool_]

_WHERE: Final = re.compile(r"\s*(\S+)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")
_TESTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "least": np.minimum,
    "greatest": np.maximum,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to judge.

    Attributes:
        drop: Columns that are not read, such as numbers of people.
        specials: Codes with bins of their own.
        groups: Rows with the same value here stay together.
        test_where: Such as `month >= 7`: those rows are the test, all others are fitted on.
    """

    target: str
    positive: str | None = None
    drop: tuple[str, ...] = ()
    specials: tuple[float, ...] = ()
    groups: str | None = None
    test_where: str | None = None
    folds: int = 5
    seed: int = 0


def validate(table: Table, plan: Plan) -> dict[str, Any]:
    """Judge both models; returns auc, ks and brier as means over folds, and the card's psi.

    Raises:
        TableInvalid: A column that the plan names is not there, or a fold has only one outcome.
    """
    started = time.perf_counter()
    y = target_of(table, plan.target, plan.positive)
    for name in plan.drop:
        table.column(name)
    apart = {plan.target, *plan.drop, *([plan.groups] if plan.groups else [])}
    columns = {name: column for name, column in table.columns.items() if name not in apart}
    if not columns:
        raise TableInvalid("no column is left to read")
    found: dict[str, list[dict[str, float]]] = {"card": [], "challenger": []}
    shifts = []
    for test in _folds(table, y, plan):
        for name, (train_score, score) in _scores(columns, y, test, plan).items():
            told = y[test]
            measures = {"auc": auc(told, score), "ks": ks(told, score)}
            found[name].append(measures | {"brier": brier(told, score)})
            if name == "card":
                shifts.append(psi(train_score, score))
    report: dict[str, Any] = {name: _means(each) for name, each in found.items()}
    return report | {
        "psi": round(fmean(shifts), 4),
        "rows": table.rows,
        "folds": len(shifts),
        "seconds": round(time.perf_counter() - started, 2),
    }


def derived(table: Table, expressions: Mapping[str, Any]) -> Table:
    """Add columns: `{"name": {"divide": ["a", "b"]}}`, as in the strategy language.

    Raises:
        TableInvalid: An expression names an unknown operator or column.
    """
    columns = dict(table.columns)
    for name, expression in expressions.items():
        columns[name] = np.broadcast_to(_amount(columns, expression), table.rows).astype(np.float64)
    return Table(columns=columns, chance=table.chance, digest=table.digest)


def _amount(columns: Mapping[str, Any], expression: Any) -> Any:
    if isinstance(expression, str) and expression in columns:
        return columns[expression]
    if isinstance(expression, int | float):
        return float(expression)
    if isinstance(expression, dict) and len(expression) == 1:
        ((word, operands),) = expression.items()
        if word in _ARITHMETIC and isinstance(operands, list) and operands:
            values = [_amount(columns, each) for each in operands]
            total = values[0]
            with np.errstate(all="ignore"):
                for value in values[1:]:
                    total = _ARITHMETIC[word](total, value)
                return np.where(np.isfinite(total), total, np.nan)
    raise TableInvalid(f"cannot derive {json.dumps(expression)[:80]}")


def _scores(
    columns: Mapping[str, NDArray[Any]], y: Floats, test: Mask, plan: Plan
) -> dict[str, tuple[Floats, Floats]]:
    """Fit on all but the test; returns what each model says of both."""
    train = ~test
    encoding = fit_encoding({name: each[train] for name, each in columns.items()}, y[train])
    numbers = encoding.columns(columns)
    fitted = {name: column[train] for name, column in numbers.items()}
    card = fit_card(fitted, y[train], specials=plan.specials)
    bound = {} if plan.specials else card.weights  # a code such as -9 is no small number
    directions = {name: card.bins[name].direction for name in bound}
    trees = fit_trees(fitted, y[train], directions=directions, seed=plan.seed)
    asked = {name: column[test] for name, column in numbers.items()}
    return {
        name: (model.probability(fitted), model.probability(asked))
        for name, model in (("card", card), ("challenger", trees))
    }


def _folds(table: Table, y: Floats, plan: Plan) -> Iterator[Mask]:
    if plan.test_where is not None:
        masks: Sequence[Mask] = [_where(table, plan.test_where)]
    else:
        places = _places(table, y, plan)
        masks = [places == fold for fold in range(plan.folds)]
    for mask in masks:
        for part in (y[mask], y[~mask]):
            if not 0 < part.sum() < len(part):
                raise TableInvalid("a fold has only one outcome")
        yield mask


def _places(table: Table, y: Floats, plan: Plan) -> NDArray[np.int64]:
    """Deal rows, or groups, to folds: shuffled, and evenly over both outcomes."""
    chance = np.random.default_rng(plan.seed)
    if plan.groups is None:
        places = np.empty(len(y), dtype=np.int64)
        for outcome in (0, 1):
            rows = np.flatnonzero(y == outcome)
            places[chance.permutation(rows)] = np.arange(len(rows)) % plan.folds
        return places
    groups = table.column(plan.groups)
    _, group = np.unique(groups.astype(str), return_inverse=True)
    dealt = chance.permutation(np.arange(int(group.max()) + 1)) % plan.folds
    found: NDArray[np.int64] = dealt[group]
    return found


def _where(table: Table, condition: str) -> Mask:
    match = _WHERE.fullmatch(condition)
    if match is None:
        raise TableInvalid(f"{condition} is not like `column >= value`")
    name, word, value = match.groups()
    column = table.column(name)
    bound = value if column.dtype == object else float(value)
    if column.dtype == object:
        column = np.array(["" if each is None else each for each in column])
    found: Mask = np.asarray(_TESTS[word](column, bound), dtype=np.bool_)
    return found


def _means(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(fmean(each[name] for each in folds), 4) for name in folds[0]}
