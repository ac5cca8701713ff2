import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.models import equality
from risk.models.arrays import scores
from risk.models.card import Characteristic, Scorecard
from risk.models.equality import ModelFormsDiffer, assert_forms_agree, probing_rows
from risk.models.generated import card_function, scorer_of, trees_function
from risk.models.reading import ModelInvalid, digest_of, read_model, written_model
from risk.models.trees import LEAF, BoostedTrees, Link, Tree, linked

CARD = Scorecard(
    base=600,
    characteristics=(
        Characteristic(
            name="age", edges=(25.0, 40.0), points=(-20, 5, 10), specials=(), missing=None
        ),
        Characteristic(
            name="debt", edges=(0.7,), points=(7, -7), specials=((-9.0, 3),), missing=-30
        ),
    ),
    missing_at_most=1,
)
STUMP = Tree(
    feature=(0, LEAF, LEAF),
    threshold=(0.5, 0.0, 0.0),
    left=(1, 0, 0),
    right=(2, 0, 0),
    missing_left=(True, False, False),
    value=(0.0, -1.5, 2.5),
)
TREES = BoostedTrees(
    features=("x", "y"), baseline=0.25, trees=(STUMP,), link=Link.IDENTITY, missing_at_most=1
)


def grown(rng: np.random.Generator, *, features: int, leaves: int) -> Tree:
    """Grow a random tree by splitting a random leaf until there are enough."""
    nodes: list[dict[str, Any]] = [{"feature": LEAF, "value": float(rng.normal())}]
    while len(nodes) < 2 * leaves - 1:
        n = int(rng.choice([n for n, node in enumerate(nodes) if node["feature"] == LEAF]))
        nodes[n] = {
            "feature": int(rng.integers(features)),
            "threshold": float(rng.normal()),
            "left": len(nodes),
            "right": len(nodes) + 1,
            "missing_left": bool(rng.integers(2)),
        }
        nodes += [{"feature": LEAF, "value": float(rng.normal())} for _ in range(2)]
    plain = {"threshold": 0.0, "left": 0, "right": 0, "missing_left": False, "value": 0.0}
    full = [plain | node for node in nodes]
    return Tree(**{key: tuple(node[key] for node in full) for key in full[0]})


def forest(seed: int, *, features: int = 20, trees: int = 30, leaves: int = 31) -> BoostedTrees:
    rng = np.random.default_rng(seed)
    return BoostedTrees(
        features=tuple(f"x{n}" for n in range(features)),
        baseline=float(rng.normal()),
        trees=tuple(grown(rng, features=features, leaves=leaves) for _ in range(trees)),
        link=Link.LOGISTIC,
        missing_at_most=features // 4,
    )


@st.composite
def cards(draw: Callable[..., Any]) -> Scorecard:
    points = st.integers(-99, 99)

    def characteristic(n: int) -> Characteristic:
        edges = sorted(draw(st.sets(st.floats(-100, 100), max_size=6)))
        return Characteristic(
            name=f"x{n}",
            edges=tuple(edges),
            points=tuple(draw(points) for _ in range(len(edges) + 1)),
            specials=tuple(draw(st.lists(st.tuples(st.floats(-9, 9), points), max_size=2))),
            missing=draw(st.none() | points),
        )

    return Scorecard(
        base=draw(points),
        characteristics=tuple(characteristic(n) for n in range(draw(st.integers(1, 4)))),
        missing_at_most=draw(st.integers(0, 4)),
    )


class TestCard:
    @pytest.mark.parametrize(
        ("row", "score"),
        [
            ((24.9, 0.6), 587.0),
            ((25.0, 0.7), 598.0),
            ((40.0, -9.0), 613.0),
            ((40.0, math.nan), 580.0),
            ((math.nan, 0.6), None),
            ((40.0, "0.6"), 580.0),
            ((40.0, 1e30), 580.0),
        ],
    )
    def test_adds_points(self, row: tuple, score: float | None) -> None:
        found = scorer_of(CARD)(row)
        assert math.isnan(found) if score is None else found == score

    @settings(max_examples=60)
    @given(cards(), st.integers(0, 2**32))
    def test_forms_agree(self, card: Scorecard, seed: int) -> None:
        assert assert_forms_agree(card, probing_rows(card, seed=seed, rows=50)) == 50


class TestTrees:
    @pytest.mark.parametrize(
        ("row", "score"),
        [
            ((0.5, 1.0), -1.25),
            ((0.6, math.nan), 2.75),
            ((math.nan, 1.0), -1.25),
            ((None, "x"), None),
        ],
    )
    def test_add_what_their_leaves_hold(self, row: tuple, score: float | None) -> None:
        found = scorer_of(TREES)(row)
        assert math.isnan(found) if score is None else found == score

    def test_send_the_missing_where_the_node_says(self) -> None:
        right = replace(TREES, trees=(replace(STUMP, missing_left=(False, False, False)),))
        assert scorer_of(right)((math.nan, 1.0)) == 2.75

    @pytest.mark.parametrize("seed", range(5))
    def test_forms_agree(self, seed: int) -> None:
        model = forest(seed)
        rows = probing_rows(model, seed=seed, rows=400)
        assert assert_forms_agree(model, rows) == 400
        found = scores(model, rows)
        assert np.isnan(found).any()
        assert ((found > 0) & (found < 1)).any()

    @pytest.mark.slow
    def test_forms_of_two_hundred_trees_agree_on_ten_thousand_rows(self) -> None:
        model = forest(7, features=100, trees=200)
        assert assert_forms_agree(model, probing_rows(model, seed=7)) == 10_000

    @pytest.mark.parametrize("total", [-1e9, -5.0, 0.0, 5.0, 1e9])
    def test_the_logistic_link_never_overflows(self, total: float) -> None:
        assert 0 <= linked(Link.LOGISTIC, total) <= 1
        assert linked(Link.LOGISTIC, total) == pytest.approx(
            1 - linked(Link.LOGISTIC, -total), abs=1e-12
        )

    def test_a_difference_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        other = replace(TREES, baseline=0.5)
        monkeypatch.setattr(equality, "scorer_of", lambda _: scorer_of(other))
        with pytest.raises(ModelFormsDiffer, match=r"row 0: generated 3.0, arrays 2.75"):
            assert_forms_agree(TREES, np.array([[0.6, 1.0]]))


class TestFunctions:
    def test_take_clean_floats(self) -> None:
        assert card_function(CARD)((30.0, 0.0)) == 612.0
        assert trees_function(TREES)((0.6, 0.0)) == 2.75


class TestDocuments:
    @pytest.mark.parametrize("model", [CARD, TREES, forest(1, trees=3)], ids=["card", "stump", "3"])
    def test_come_back_as_they_went(self, model: Scorecard | BoostedTrees) -> None:
        again = read_model(written_model(model))
        assert again == model
        assert digest_of(again) == digest_of(model)

    def test_another_model_has_another_digest(self) -> None:
        assert digest_of(replace(CARD, base=601)) != digest_of(CARD)

    @pytest.mark.parametrize(
        ("model", "changes", "problem"),
        [
            (CARD, {"form": "net"}, "form 'net' is none of card, trees"),
            (CARD, {"base": "600"}, "base: Input should be a valid integer"),
            (CARD, {"missing_at_most": -1}, "missing_at_most is negative"),
            (CARD, {"characteristics": []}, "features are empty or named twice"),
            (TREES, {"features": ["x", "x"]}, "features are empty or named twice"),
            (TREES, {"link": "odd"}, "link: Input should be 'identity' or 'logistic'"),
            (TREES, {"baseline": True}, "baseline: Input should be a valid number"),
        ],
    )
    def test_are_refused(self, model: Any, changes: dict, problem: str) -> None:
        with pytest.raises(ModelInvalid) as caught:
            read_model(written_model(model) | changes)
        assert problem in caught.value.extras["problems"]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"edges": (25.0,)}, "age: a card has points for one bin more than it has edges"),
            ({"edges": (40.0, 25.0)}, "age: edges do not rise or are not finite"),
            ({"edges": (25.0, math.inf)}, "age: edges do not rise or are not finite"),
        ],
    )
    def test_of_cards_are_checked(self, changes: dict, problem: str) -> None:
        first = replace(CARD.characteristics[0], **changes)
        card = replace(CARD, characteristics=(first, CARD.characteristics[1]))
        with pytest.raises(ModelInvalid) as caught:
            read_model(written_model(card))
        assert caught.value.extras["problems"] == [problem]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"value": (0.0,)}, "the columns are empty or differ in length"),
            ({"value": (0.0, math.nan, 0.0)}, "leaf 1 adds no finite number"),
            ({"feature": (5, LEAF, LEAF)}, "node 0 asks no known feature"),
            ({"threshold": (math.inf, 0.0, 0.0)}, "node 0 asks no known feature"),
            ({"left": (0, 0, 0)}, "node 0 leads to 0, which does not stand behind it"),
            ({"right": (3, 0, 0)}, "node 0 leads to 3, which does not stand behind it"),
        ],
    )
    def test_of_trees_are_checked(self, changes: dict, problem: str) -> None:
        model = replace(TREES, trees=(replace(STUMP, **changes),))
        with pytest.raises(ModelInvalid, match=problem):
            read_model(written_model(model))

    def test_of_trees_have_a_depth(self) -> None:
        size = 141
        chain = Tree(
            feature=tuple(0 if n % 2 == 0 and n < size - 1 else LEAF for n in range(size)),
            threshold=(0.0,) * size,
            left=tuple(n + 1 for n in range(size)),
            right=tuple(n + 2 for n in range(size)),
            missing_left=(True,) * size,
            value=(1.0,) * size,
        )
        with pytest.raises(ModelInvalid, match="deeper than 60"):
            read_model(written_model(replace(TREES, trees=(chain,))))
