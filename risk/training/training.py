"""Trains a card and a challenger on one part of a table, and judges them on the other.

What comes out are documents: both models, and a small strategy that approves by the card alone or
by both. The cut is chosen on the training part, so that figures of the test part are honest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from risk.features.catalogue import Catalogue, Kind, Use
from risk.models.arrays import scores
from risk.models.card import Scorecard
from risk.models.reading import written_model
from risk.models.trees import BoostedTrees
from risk.training.fitting import fit_card, fit_trees
from risk.training.measures import Floats, auc, brier, ks, psi
from risk.training.table import Table, TableInvalid, target_of

CARD: Final = "card"
TREES: Final = "trees"
PRODUCT: Final = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is trained.

    Attributes:
        catalogue: Names what may be read: `source` is the column of the table.
        target: The column that says who went bad.
        test_share: Of the rows, by the hash of each; they are not fitted on.
        approve_share: Of the training rows that the strategy is to approve.
    """

    catalogue: Catalogue
    target: str
    positive: str | None = None
    test_share: float = 0.3
    approve_share: float = 0.6
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Documents of both models and the strategy, and what the test part says of the models."""

    models: Mapping[str, dict[str, Any]]
    strategy: dict[str, Any]
    report: dict[str, Any]


def train(table: Table, recipe: Recipe) -> Trained:
    """Fit, write, judge.

    Raises:
        TableInvalid: The table lacks the target or what the catalogue names.
    """
    y = target_of(table, recipe.target, recipe.positive)
    columns = numbers_of(table, recipe.catalogue)
    test = table.chance < recipe.test_share
    fitted = {name: column[~test] for name, column in columns.items()}
    card = fit_card(fitted, y[~test])
    directions = {name: card.bins[name].direction for name in card.weights}
    trees = fit_trees(fitted, y[~test], directions=directions, seed=recipe.seed)
    served: dict[str, Scorecard | BoostedTrees] = {CARD: card.card(), TREES: trees.trees()}
    said = {name: _worse(model, columns) for name, model in served.items()}
    chances = {CARD: card.probability(columns), TREES: trees.probability(columns)}
    report = {name: _judged(y, said[name], chances[name], test) for name in served}
    cut = float(np.quantile(said[TREES][~test], recipe.approve_share))
    return Trained(
        models={name: written_model(model) for name, model in served.items()},
        strategy=_strategy(recipe, tuple(card.weights), round(cut, 4)),
        report=report | {"train_rows": int((~test).sum()), "test_rows": int(test.sum())},
    )


def numbers_of(table: Table, catalogue: Catalogue) -> dict[str, Floats]:
    """Read the numbers that a catalogue names and that may be used for credit.

    Raises:
        TableInvalid: There are none, or a column is not there or holds texts.
    """
    found = {}
    for each in catalogue.dimensions:
        if each.kind is Kind.NUMBER and Use.CREDIT in each.allowed_uses:
            found[each.name] = table.column(each.source)
            if found[each.name].dtype == object:
                raise TableInvalid(f"the column {each.source} holds texts")
    if not found:
        raise TableInvalid("the catalogue names no number that may be used for credit")
    return found


def _worse(model: Scorecard | BoostedTrees, columns: Mapping[str, Floats]) -> Floats:
    """Score all rows by the served form, rising with the chance of going bad."""
    found = scores(model, np.column_stack([columns[name] for name in model.features]))
    return -found if isinstance(model, Scorecard) else found


def _judged(y: Floats, said: Floats, chance: Floats, test: Any) -> dict[str, float]:
    told = y[test]
    return {
        "auc": round(auc(told, said[test]), 4),
        "ks": round(ks(told, said[test]), 4),
        "brier": round(brier(told, chance[test]), 4),
        "psi": round(psi(said[~test], said[test]), 4),
    }


def _strategy(recipe: Recipe, required: tuple[str, ...], cut: float) -> dict[str, Any]:
    """Write a strategy that approves below a chance of going bad, and scores by the card beside.

    Nobody is approved without all that the card reads.
    """
    calls = [
        {"id": "card", "kind": "model", "model": CARD, "output": "points", "missing": "review"},
        {"id": "trees", "kind": "model", "model": TREES, "output": "chance", "missing": "review"},
    ]
    safe = {"field": "chance", "is": "below", "value": cut}
    final = {
        "id": "final",
        "kind": "final",
        "rules": [
            {"id": "final.approve", "title": "违约概率低", "when": safe, "missing": "review"}
        ],
        "otherwise": {"outcome": "decline", "reason": "chance-high"},
    }
    return {
        "id": "trained",
        "title": "由数据训练的策略",
        "use": "credit",
        "catalogue": recipe.catalogue.version,
        "effective_from": "2026-01-01",
        "required": [{"field": name, "missing": "review"} for name in required],
        "reasons": [
            {
                "code": "chance-high",
                "internal": "违约概率高于准入线",
                "customer": "根据综合评估，暂时不能为您提供这项服务。",
            }
        ],
        "outputs": [{"name": "points", "kind": "number"}, {"name": "chance", "kind": "number"}],
        "stages": [*calls, final],
        "products": [{"product": PRODUCT, "stages": ["card", "trees", "final"]}],
    }
