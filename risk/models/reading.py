"""Models as JSON documents: what is published, hashed and loaded.

It loads data, never code.

    ModelInvalid  422  the document is no model; `problems` names every mistake
"""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from kernel.errors import Invalid
from risk.models.card import Characteristic, Scorecard
from risk.models.trees import BoostedTrees, mistakes_in

_FORMS: Final[Mapping[str, type[Scorecard] | type[BoostedTrees]]] = MappingProxyType(
    {"card": Scorecard, "trees": BoostedTrees}
)
_ADAPTERS: Final = {form: TypeAdapter(model) for form, model in _FORMS.items()}


class ModelInvalid(Invalid):
    """The document is no model; `problems` names every mistake."""

    code = "model-invalid"
    message_zh = "模型文件有误，不能使用"


def read_model(document: Mapping[str, Any]) -> Scorecard | BoostedTrees:
    """Read and check a model.

    Args:
        document: `form` is `card` or `trees`; the other keys are the fields of that dataclass.

    Raises:
        ModelInvalid: See `problems`.
    """
    parts = dict(document)
    form = parts.pop("form", None)
    if form not in _FORMS:
        raise _refused([f"form {form!r} is none of {', '.join(_FORMS)}"])
    try:
        model = _ADAPTERS[form].validate_json(json.dumps(parts), strict=True)
    except ValidationError as error:
        raise _refused([_sentence(each) for each in error.errors()]) from error
    found = _mistakes_in_card(model) if isinstance(model, Scorecard) else mistakes_in(model)
    problems = [*found, *_mistakes_in_features(model)]
    if problems:
        raise _refused(problems)
    return model


def written_model(model: Scorecard | BoostedTrees) -> dict[str, Any]:
    """Write a model as its document."""
    form = "card" if isinstance(model, Scorecard) else "trees"
    return {"form": form, **asdict(model)}


def digest_of(model: Scorecard | BoostedTrees) -> str:
    """Return the sha256 of a model's document."""
    text = json.dumps(written_model(model), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _mistakes_in_features(model: Scorecard | BoostedTrees) -> Iterator[str]:
    if not model.features or len(set(model.features)) < len(model.features):
        yield "features are empty or named twice"
    if model.missing_at_most < 0:
        yield "missing_at_most is negative"


def _mistakes_in_card(card: Scorecard) -> Iterator[str]:
    for each in card.characteristics:
        yield from (f"{each.name}: {text}" for text in _mistakes_in_bins(each))


def _mistakes_in_bins(each: Characteristic) -> Iterator[str]:
    if len(each.points) != len(each.edges) + 1:
        yield "a card has points for one bin more than it has edges"
    is_rising = all(low < high for low, high in itertools.pairwise(each.edges))
    if not is_rising or not all(map(math.isfinite, each.edges)):
        yield "edges do not rise or are not finite"


def _sentence(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    return f"{place}: {error['msg']}"


def _refused(problems: list[str]) -> ModelInvalid:
    return ModelInvalid("; ".join(problems), problems=problems)
