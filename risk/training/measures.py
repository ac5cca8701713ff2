"""How well scores tell bad from good. Pure.

Scores rise with the chance of going bad throughout.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BINS: Final = 10
_LEAST_SHARE: Final = 1e-4


def auc(y: Floats, score: Floats) -> float:
    """Return the area under the ROC curve: the chance that a bad one scores above a good one."""
    values, place = np.unique(score, return_inverse=True)
    counts = np.bincount(place, minlength=len(values))
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    bad = int(y.sum())
    good = len(y) - bad
    return float((ranks[y == 1].sum() - bad * (bad + 1) / 2) / (bad * good))


def ks(y: Floats, score: Floats) -> float:
    """Return the greatest distance between the two cumulated shares (Kolmogorov-Smirnov)."""
    values, place = np.unique(score, return_inverse=True)
    bad = np.bincount(place, weights=y, minlength=len(values)).cumsum() / y.sum()
    good = np.bincount(place, weights=1 - y, minlength=len(values)).cumsum() / (1 - y).sum()
    return float(np.abs(bad - good).max())


def brier(y: Floats, probability: Floats) -> float:
    """Return the mean squared error of probabilities."""
    return float(np.mean((probability - y) ** 2))


def psi(expected: Floats, found: Floats) -> float:
    """Return the population stability index over tenths of the expected scores."""
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = []
    for scores in (expected, found):
        places = np.searchsorted(edges, scores, side="right")
        counts = np.bincount(places, minlength=len(edges) + 1)
        shares.append(np.maximum(counts / len(scores), _LEAST_SHARE))
    old, new = shares
    return float(((new - old) * np.log(new / old)).sum())
