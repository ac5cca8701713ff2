"""Boosted decision trees as flat arrays, the way fitted ones are exported.

It walks no tree; `risk.models.generated` and `risk.models.arrays` do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Python's parser refuses text that is indented a hundred times.
MAX_DEPTH: Final = 60
LEAF: Final = -1


class Link(StrEnum):
    """What becomes of the sum over all trees."""

    IDENTITY = "identity"
    LOGISTIC = "logistic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree; node 0 is the root, and children stand behind their parent.

    Attributes:
        feature: Position of the feature that a node asks, `LEAF` at a leaf.
        threshold: A value at most this goes left.
        missing_left: Where a missing value goes.
        value: What a leaf adds.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    missing_left: tuple[bool, ...]
    value: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedTrees:
    """The sum of a baseline and all trees, in order.

    Attributes:
        features: Names, in the order in which values are given.
        missing_at_most: With more features missing than this the score is missing.
    """

    features: tuple[str, ...]
    baseline: float
    trees: tuple[Tree, ...]
    link: Link
    missing_at_most: int


def linked(link: Link, total: float) -> float:
    """Turn the sum over all trees into the score; no sum overflows."""
    if link is Link.IDENTITY or total != total:  # noqa: PLR0124 - only NaN differs from itself
        return total
    if total >= 0:
        return 1 / (1 + math.exp(-total))
    odds = math.exp(total)
    return odds / (1 + odds)


def mistakes_in(model: BoostedTrees) -> Iterator[str]:
    """Say what would keep a model from being walked: strange indices, circles, numbers, depth."""
    for n, tree in enumerate(model.trees):
        nodes = len(tree.feature)
        columns = (tree.threshold, tree.left, tree.right, tree.missing_left, tree.value)
        if not nodes or any(len(column) != nodes for column in columns):
            yield f"trees[{n}]: the columns are empty or differ in length"
        else:
            yield from (f"trees[{n}]: {text}" for text in _mistakes_in_tree(tree, model))


def _mistakes_in_tree(tree: Tree, model: BoostedTrees) -> Iterator[str]:
    depths = [0] * len(tree.feature)
    for node, feature in enumerate(tree.feature):
        if feature == LEAF:
            if not math.isfinite(tree.value[node]):
                yield f"leaf {node} adds no finite number"
            continue
        if not 0 <= feature < len(model.features) or not math.isfinite(tree.threshold[node]):
            yield f"node {node} asks no known feature or has no finite threshold"
        for child in (tree.left[node], tree.right[node]):
            if not node < child < len(tree.feature):
                yield f"node {node} leads to {child}, which does not stand behind it"
            else:
                depths[child] = depths[node] + 1
    if max(depths) > MAX_DEPTH:
        yield f"it is deeper than {MAX_DEPTH}"
