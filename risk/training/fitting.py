"""A points card and its challenger, fitted on a table and written as served models.

The card: monotone bins, weights of evidence, a logistic regression over them, whole points. The
challenger: small boosted trees, bound to the directions that the card found. Texts become codes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from risk.features.values import LIMIT
from risk.models.card import Characteristic, Scorecard
from risk.models.trees import LEAF, BoostedTrees, Link, Tree
from risk.training.binning import Bins, Codes, fit_bins, fit_codes
from risk.training.measures import Floats

# So many points double the odds, and so many stand for even odds.
DOUBLING: Final = 20
EVEN: Final = 500
_FACTOR: Final = DOUBLING / math.log(2)
_LEAST_VALUE: Final = 0.005
_TREES: Final = 300
_RATE: Final = 0.05
_LEAVES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How columns become numbers: texts by codes, the rest as they are."""

    codes: Mapping[str, Codes]

    def columns(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
        """Turn columns into numbers."""
        return {
            name: self.codes[name].column(column) if name in self.codes else column
            for name, column in columns.items()
        }


def fit_encoding(columns: Mapping[str, NDArray[Any]], y: Floats) -> Encoding:
    """Number the texts of a table by their bad rates."""
    texts = {name: column for name, column in columns.items() if column.dtype == object}
    return Encoding(codes={name: fit_codes(column, y) for name, column in texts.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCard:
    """A card before its points are rounded.

    Attributes:
        bins: Of the characteristics that it kept, by name.
        weights: Of each, all positive: more evidence of bad is more bad.
    """

    bins: Mapping[str, Bins]
    weights: Mapping[str, float]
    intercept: float

    def probability(self, columns: Mapping[str, Floats]) -> Floats:
        """Return the chance of going bad."""
        first = next(iter(columns.values()))
        total = np.full(len(first), self.intercept)
        for name, weight in self.weights.items():
            total += weight * self.bins[name].weights(columns[name])
        found: Floats = 1 / (1 + np.exp(-total))
        return found

    def card(self) -> Scorecard:
        """Write it in whole points: more is better, `DOUBLING` points double the odds."""
        return Scorecard(
            base=round(EVEN - _FACTOR * self.intercept),
            characteristics=tuple(self._characteristic(name) for name in self.weights),
            missing_at_most=len(self.weights) // 2,
        )

    def _characteristic(self, name: str) -> Characteristic:
        bins, by = self.bins[name], -_FACTOR * self.weights[name]
        return Characteristic(
            name=name,
            edges=bins.edges,
            points=tuple(round(by * woe) for woe in bins.woe),
            specials=tuple((code, round(by * woe)) for code, woe in bins.specials.items()),
            missing=round(by * bins.missing),
        )


def fit_card(
    columns: Mapping[str, Floats], y: Floats, *, specials: Sequence[float] = ()
) -> FittedCard:
    """Fit a card; what tells nothing, or pulls against its own evidence, is left out.

    Args:
        columns: By name, NaN = missing.
        y: 1 where bad, 0 where good.
        specials: Codes with bins of their own.
    """
    bins = {name: fit_bins(column, y, specials=specials) for name, column in columns.items()}
    names = [name for name, each in bins.items() if each.value >= _LEAST_VALUE]
    while True:
        table = np.column_stack([bins[name].weights(columns[name]) for name in names])
        model = LogisticRegression(C=1.0, max_iter=1_000).fit(table, y)
        weights = dict(zip(names, model.coef_[0].tolist(), strict=True))
        against = [name for name, weight in weights.items() if weight <= 0]
        if not against or len(names) == 1:
            break
        names.remove(min(against, key=weights.__getitem__))
    return FittedCard(bins=bins, weights=weights, intercept=float(model.intercept_[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTrees:
    """Boosted trees as scikit-learn fitted them."""

    features: tuple[str, ...]
    model: HistGradientBoostingClassifier

    def probability(self, columns: Mapping[str, Floats]) -> Floats:
        """Return the chance of going bad."""
        table = np.column_stack([columns[name] for name in self.features])
        with threadpool_limits(limits=1):
            found: Floats = self.model.predict_proba(table)[:, 1]
        return found

    def trees(self) -> BoostedTrees:
        """Write them as served trees, which add up to the same."""
        return BoostedTrees(
            features=self.features,
            baseline=float(np.ravel(self.model._baseline_prediction)[0]),  # noqa: SLF001 -- nothing public tells it
            trees=tuple(_tree(each[0].nodes) for each in self.model._predictors),  # noqa: SLF001 -- likewise
            link=Link.LOGISTIC,
            missing_at_most=len(self.features) // 2,
        )


def fit_trees(
    columns: Mapping[str, Floats], y: Floats, *, directions: Mapping[str, int], seed: int
) -> FittedTrees:
    """Fit small trees, bound to rise or fall where a direction is given."""
    features = tuple(columns)
    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        learning_rate=_RATE,
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=50,
        l2_regularization=1.0,
        early_stopping=False,
        monotonic_cst=[directions.get(name, 0) for name in features],
        random_state=seed,
    )
    # On busy cores its threads wait for each other longer than they work.
    with threadpool_limits(limits=1):
        model.fit(np.column_stack([columns[name] for name in features]), y)
    return FittedTrees(features=features, model=model)


def _tree(nodes: Any) -> Tree:
    """Read one tree; where only missing values part, everything else goes left."""
    is_leaf = nodes["is_leaf"].astype(bool)
    threshold = np.clip(nodes["num_threshold"], -LIMIT, LIMIT)
    return Tree(
        feature=tuple(np.where(is_leaf, LEAF, nodes["feature_idx"]).tolist()),
        threshold=tuple(np.where(is_leaf, 0.0, threshold).tolist()),
        left=tuple(np.where(is_leaf, 0, nodes["left"]).tolist()),
        right=tuple(np.where(is_leaf, 0, nodes["right"]).tolist()),
        missing_left=tuple(nodes["missing_go_to_left"].astype(bool).tolist()),
        value=tuple(np.where(is_leaf, nodes["value"], 0.0).tolist()),
    )
