"""Models on many rows at once, in NumPy.

Columns are as in the model's features: X is a float64 array of shape (n_rows, n_features), NaN =
missing. The scores equal those of the generated functions to the bit.
"""

import numpy as np
from numpy.typing import NDArray

from risk.features.values import LIMIT
from risk.models.card import Characteristic, Scorecard
from risk.models.trees import LEAF, BoostedTrees, Tree, linked

Floats = NDArray[np.float64]


def scores(model: Scorecard | BoostedTrees, X: Floats) -> Floats:  # noqa: N803 - as everywhere
    """Score rows; NaN where there is no score.

    Args:
        model: Checked.
        X: Raw; what is beyond the range of values counts as missing.

    Returns:
        A float64 array of shape (n_rows,).
    """
    with np.errstate(invalid="ignore"):
        table = np.where(np.abs(X) < LIMIT, X, np.nan)
    if isinstance(model, Scorecard):
        return card_scores(model, [table[:, n] for n in range(table.shape[1])])
    return _trees_scores(model, table)


def card_scores(card: Scorecard, columns: list[Floats]) -> Floats:
    """Score columns that are clean, one per characteristic."""
    total = np.full(len(columns[0]), float(card.base))
    missing = np.zeros(len(columns[0]), dtype=np.int64)
    for each, column in zip(card.characteristics, columns, strict=True):
        total = total + _points(each, column)
        missing += np.isnan(column)
    total[missing > card.missing_at_most] = np.nan
    return total


def _points(each: Characteristic, column: Floats) -> Floats:
    places = np.searchsorted(np.array(each.edges), column, side="right")
    found = np.array(each.points, dtype=np.float64)[np.minimum(places, len(each.edges))]
    for special, points in reversed(each.specials):
        found[column == special] = points
    found[np.isnan(column)] = np.nan if each.missing is None else each.missing
    return found


def _trees_scores(model: BoostedTrees, table: Floats) -> Floats:
    total = np.full(len(table), model.baseline)
    for tree in model.trees:
        total = total + _leaf_values(tree, table)
    total[np.isnan(table).sum(axis=1) > model.missing_at_most] = np.nan
    return np.fromiter(
        (linked(model.link, each) for each in total.tolist()), np.float64, len(total)
    )


def _leaf_values(tree: Tree, table: Floats) -> Floats:
    """Let all rows go down together until each has come to a leaf."""
    feature, threshold = np.array(tree.feature), np.array(tree.threshold)
    left, right = np.array(tree.left), np.array(tree.right)
    missing_left = np.array(tree.missing_left)
    nodes = np.zeros(len(table), dtype=np.int64)
    going = np.flatnonzero(feature[nodes] != LEAF)
    while len(going):
        at = nodes[going]
        found = table[going, feature[at]]
        goes_left = (found <= threshold[at]) | (np.isnan(found) & missing_left[at])
        nodes[going] = np.where(goes_left, left[at], right[at])
        going = going[feature[nodes[going]] != LEAF]
    return np.array(tree.value)[nodes]
