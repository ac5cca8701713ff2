"""One decision from its inputs: the row, the models' scores, the verdict, and what is kept of it.

Pure: the same strategy, inputs and instant give the same bytes, which is what replay rests on. It
neither fetches nor stores.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kernel.clock import business_date
from risk.decisions.asking import Asked
from risk.decisions.vectors import Known, LinkCount
from risk.features.blob import BlobCodec, Picker
from risk.features.catalogue import Catalogue
from risk.models.card import Scorecard
from risk.models.generated import Scorer, scorer_of
from risk.models.trees import BoostedTrees
from risk.strategy.compiler import Compiled, compile_strategy
from risk.strategy.decision import Circumstances, Decision, HitKind, Lists
from risk.strategy.language import Model, Strategy
from risk.strategy.lists import RecordingLists
from risk.strategy.reasons import reasons_of
from risk.strategy.scoring import asking
from risk.strategy.statutory import bounded

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A version of a strategy with what it needs, as it was published.

    Attributes:
        key: Of the document, which is the strategy's id.
        hash: sha256 of the document.
        models: By name.
        model_hashes: sha256 of each model's document, by name.
    """

    key: str
    version: int
    hash: str
    strategy: Strategy
    models: Mapping[str, Scorecard | BoostedTrees]
    model_hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One product of a published strategy, ready to decide.

    Attributes:
        fresh: What is kept of an application: the inputs that are not in the vector.
        pick: Reads everything that strategy and models want out of a vector.
    """

    published: Published
    compiled: Compiled
    codec: BlobCodec
    pick: Picker
    inputs: tuple[str, ...]
    scorers: Mapping[str, tuple[tuple[str, ...], Scorer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came out: the decision, and the texts that are stored."""

    decision: Decision
    snapshot: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One decision to make.

    Attributes:
        known: What was stored about the subject and its links.
        shared: Hashes by kind of what the applicant shares, to be told once it is decided.
        lists: As they stand on the day.
        snoozed: Ids of rules that are silenced for the subject.
    """

    id: str
    asked: Asked
    known: Known
    lists: Lists
    now: datetime
    snoozed: frozenset[str] = frozenset()
    shared: Mapping[str, str] = field(default_factory=dict)


def models_called(strategy: Strategy) -> tuple[str, ...]:
    """Name the models that a strategy calls, in order."""
    stages = strategy.stages.values()
    return tuple(dict.fromkeys(stage.model for stage in stages if isinstance(stage, Model)))


def serve(published: Published, catalogue: Catalogue, *, product: str) -> Served:
    """Compile a product and prepare what it reads; takes tens of milliseconds."""
    scorers = {name: (model.features, scorer_of(model)) for name, model in published.models.items()}
    wanted = dict.fromkeys(published.strategy.inputs)
    wanted |= dict.fromkeys(name for features, _ in scorers.values() for name in features)
    codec = BlobCodec(catalogue)
    stored = set(codec.names)
    return Served(
        published=published,
        compiled=compile_strategy(published.strategy, product=product),
        codec=codec,
        pick=Picker(codec, [name for name in wanted if name in stored]),
        inputs=tuple(wanted),
        scorers=scorers,
    )


def decide(served: Served, case: Case) -> Verdict:
    """Decide a case, and write down what was seen and what is answered."""
    row = row_of(served, case)
    lists = RecordingLists(case.lists)
    around = circumstances(served, row, lists, on=case.now, snoozed=case.snoozed)
    compiled = served.compiled
    values = tuple(map(row.get, compiled.strategy.inputs))
    decision = bounded(compiled.strategy, compiled.decide_values(values, around), row)
    return Verdict(
        decision=decision,
        snapshot=_ENCODE(_snapshot(served, case, lists)),
        answer=_ENCODE(_answer(served, case, row, decision)),
    )


def row_of(served: Served, case: Case) -> dict[str, Any]:
    """Lay the values together; what an application states goes before what was stored.

    A vector of another catalogue is not read: all of it is missing then.
    """
    row: dict[str, Any] = {}
    vector = case.known.vector
    if vector is not None and served.codec.owns(vector.blob):
        row.update(zip(served.pick.names, served.pick(vector.blob), strict=True))
    row.update(case.asked.application)
    if case.asked.links:
        row.update(link_values(case.known.links))
    return row


def circumstances(
    served: Served,
    row: Mapping[str, Any],
    lists: Lists,
    *,
    on: datetime,
    snoozed: frozenset[str] = frozenset(),
) -> Circumstances:
    """Give the strategy its lists and models, and what is silenced, for a row."""
    score, firm_score = asking(served.published.strategy, row, served.scorers)
    return Circumstances(
        on=business_date(on), lists=lists, score=score, firm_score=firm_score, snoozed=snoozed
    )


def link_values(links: tuple[LinkCount, ...]) -> dict[str, int]:
    """Sum up shared values; exempt ones link nobody, and one that was never seen has no links."""
    counting = [link for link in links if not link.exempt]
    return {
        "bad_links_now": sum(link.bad for link in counting),
        "link_degree_max_now": max((link.degree for link in counting), default=0),
    }


def _snapshot(served: Served, case: Case, lists: RecordingLists) -> dict[str, Any]:
    """Write down what was seen: of an application only what strategy and models may read."""
    given, vector = case.asked.application, case.known.vector
    silenced = {"snoozed": sorted(case.snoozed)} if case.snoozed else {}
    shared = {"shared": dict(sorted(case.shared.items()))} if case.shared else {}
    return {
        "subject": case.asked.subject,
        "product": case.asked.product,
        "application": {name: given[name] for name in served.inputs if name in given},
        "vector": vector and {"known_at": vector.known_at.isoformat(), "digest": vector.digest},
        "links": sorted(case.asked.links),
        "link_counts": case.known.links,
        **shared,
        "lists": [[*question, found] for question, found in lists.answers.items()],
        **silenced,
        "strategy": _strategy_of(served),
        "models": dict(served.published.model_hashes),
        "at": case.now.isoformat(),
    }


def _strategy_of(served: Served) -> dict[str, Any]:
    published = served.published
    return {"id": published.key, "version": published.version, "hash": published.hash}


def _answer(
    served: Served, case: Case, row: Mapping[str, Any], decision: Decision
) -> dict[str, Any]:
    published = served.published
    gaps = dict.fromkeys(
        name
        for hit in decision.hits
        if hit.kind is HitKind.MISSING
        for name, value in hit.values.items()
        if value is None
    )
    odd = [name for name in gaps if row.get(name) is not None and row[name] == row[name]]
    return {
        "id": case.id,
        "outcome": decision.outcome.name.lower(),
        "subject": case.asked.subject,
        "product": case.asked.product,
        "strategy": _strategy_of(served),
        "decided_at": case.now.isoformat(),
        "reasons": [
            {"code": reason.code, "customer": reason.customer}
            for reason in reasons_of(published.strategy, decision)
        ],
        "missing": list(gaps),
        **({"odd": odd} if odd else {}),
        "outputs": decision.outputs,
        "points": decision.points,
        "evidence": [
            {
                "rule": hit.rule,
                "outcome": None if hit.outcome is None else hit.outcome.name.lower(),
                "reason": hit.reason,
                "kind": hit.kind,
                "values": hit.values,
            }
            for hit in decision.hits
        ],
    }
