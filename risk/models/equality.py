"""Compares the two forms of a model; publishing asks for it.

ModelFormsDiffer  500  the generated function and the arrays score a row differently
"""

import numpy as np
from numpy.typing import NDArray

from kernel.errors import FenqiError
from risk.models.arrays import scores
from risk.models.card import Scorecard
from risk.models.generated import scorer_of
from risk.models.trees import BoostedTrees

ROWS = 10_000
_MISSING_SHARE = 0.15


class ModelFormsDiffer(FenqiError):
    """The two forms of a model score a row differently: never publish it."""

    code = "model-forms-differ"
    message_zh = "模型的两种执行形式结果不一致，不能发布"


def assert_forms_agree(
    model: Scorecard | BoostedTrees,
    X: NDArray[np.float64],  # noqa: N803 - as everywhere
) -> int:
    """Make sure that both forms give the same scores to the bit.

    Returns:
        How many rows were compared.

    Raises:
        ModelFormsDiffer: The first row that differs, by number, with both scores.
    """
    scorer, expected = scorer_of(model), scores(model, X)
    for n, row in enumerate(X.tolist()):
        found = scorer(row)
        if not np.array_equal([found], expected[n : n + 1], equal_nan=True):
            raise ModelFormsDiffer(f"row {n}: generated {found!r}, arrays {float(expected[n])!r}")
    return len(X)


def probing_rows(
    model: Scorecard | BoostedTrees, *, seed: int, rows: int = ROWS
) -> NDArray[np.float64]:
    """Make rows that stand on, just below and just above every edge, a share of them missing.

    Returns:
        A float64 array of shape (rows, n_features).
    """
    rng = np.random.default_rng(seed)
    table = np.empty((rows, len(model.features)))
    for n in range(len(model.features)):
        edges = np.array(_edges(model, n) or [0.0])
        near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
        far = rng.normal(edges.mean(), np.ptp(edges) + 1, size=len(near))
        table[:, n] = rng.choice(np.concatenate([near, far]), size=rows)
    table[rng.random(table.shape) < _MISSING_SHARE] = np.nan
    return table


def _edges(model: Scorecard | BoostedTrees, n: int) -> list[float]:
    if isinstance(model, Scorecard):
        each = model.characteristics[n]
        return [*each.edges, *(value for value, _ in each.specials)]
    return [
        threshold
        for tree in model.trees
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True)
        if feature == n
    ]
