"""Models as generated Python functions: what serves one row in microseconds.

A function takes the features as floats in the model's order, NaN = missing, and returns the score,
NaN if there is none. It trusts its floats; `Scorer` takes anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from risk.features.values import NAN, number
from risk.models.card import Characteristic, Scorecard
from risk.models.trees import LEAF, BoostedTrees, Tree, linked
from risk.models.writing import Text, loaded, quoted

Function: TypeAlias = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model that cleans what it is given.

    Attributes:
        function: Takes clean floats.
    """

    function: Function

    def __call__(self, values: Sequence[object]) -> float:
        """Score raw values in the model's order; what is no number is missing."""
        return self.function(tuple(map(number, values)))


def scorer_of(model: Scorecard | BoostedTrees) -> Scorer:
    """Generate the function of a model."""
    return Scorer(card_function(model) if isinstance(model, Scorecard) else trees_function(model))


def card_function(card: Scorecard) -> Function:
    """Generate the function of a scorecard; its score is in points."""
    text = Text()
    names = [f"f{n}" for n in range(len(card.characteristics))]
    with text.block("def card(values):"):
        text.line(f"({', '.join(names)},) = values")
        pairs = list(zip(names, card.characteristics, strict=True))
        points = [f"({points_text(name, each)})" for name, each in pairs]
        lost = [f"{name} != {name}" for name, each in pairs if each.missing is None]
        with text.block(f"if {too_much_missing(names, card.missing_at_most, lost)}:"):
            text.line("return NAN")
        text.line(f"return float({' + '.join([quoted(card.base), *points])})")
    function: Function = loaded(str(text), name="card", world={"NAN": NAN, "float": float})
    return function


def too_much_missing(names: Sequence[str], at_most: int, lost: Sequence[str]) -> str:
    """Write when a score is missing: too many values are, or one that must not be."""
    count = " + ".join(f"({name} != {name})" for name in names)
    return " or ".join([f"{count} > {at_most}", *lost])


def points_text(variable: str, each: Characteristic) -> str:
    """Write the points of a characteristic as one expression."""
    text = _binned(variable, each.edges, each.points)
    for value, points in reversed(each.specials):
        text = f"{quoted(points)} if {variable} == {quoted(value)} else {text}"
    missing = "None" if each.missing is None else quoted(each.missing)
    return f"{missing} if {variable} != {variable} else {text}"


def _binned(variable: str, edges: tuple[float, ...], points: tuple[int, ...]) -> str:
    """Write a search over bins as nested conditions, halving each time."""
    if not edges:
        return quoted(points[0])
    middle = len(edges) // 2
    low = _binned(variable, edges[:middle], points[: middle + 1])
    high = _binned(variable, edges[middle + 1 :], points[middle + 1 :])
    return f"({low} if {variable} < {quoted(edges[middle])} else {high})"


def trees_function(model: BoostedTrees) -> Function:
    """Generate the function of boosted trees: nested conditions, one addition per tree."""
    text = Text()
    names: Final = [f"f{n}" for n in range(len(model.features))]
    with text.block("def trees(values):"):
        text.line(f"({', '.join(names)},) = values")
        with text.block(f"if {too_much_missing(names, model.missing_at_most, ())}:"):
            text.line("return NAN")
        text.line(f"total = {quoted(model.baseline)}")
        for tree in model.trees:
            _write_node(text, tree, 0)
        text.line("return linked(link, total)")
    world = {"NAN": NAN, "linked": linked, "link": model.link}
    function: Function = loaded(str(text), name="trees", world=world)
    return function


def _write_node(text: Text, tree: Tree, node: int) -> None:
    feature = tree.feature[node]
    if feature == LEAF:
        text.line(f"total += {quoted(tree.value[node])}")
        return
    threshold = quoted(tree.threshold[node])
    # Nothing compares with NaN, so the wording of the test decides where the missing goes.
    is_left = (
        f"not f{feature} > {threshold}"
        if tree.missing_left[node]
        else (f"f{feature} <= {threshold}")
    )
    with text.block(f"if {is_left}:"):
        _write_node(text, tree, tree.left[node])
    with text.block("else:"):
        _write_node(text, tree, tree.right[node])
