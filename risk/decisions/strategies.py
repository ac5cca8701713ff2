"""Strategies and models as documents of two people: published, in force, rolled back.

A document's hash is its identity in every decision. Workers are told through a counter in Redis;
the database says what is in force, whether or not they were told.

    CounterUnserved        422  it counts what nobody tells of; see risk.decisions.counting
    StrategyProductTaken   409  another strategy in force decides that product
    ModelNotPublished      422  it calls a model that was never published
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from redis import Redis, RedisError
from sqlalchemy.orm import Session

from desk.operations import documents
from desk.queries import DocumentView, document_in_force, document_version, document_versions
from desk.queries import documents as document_lines
from kernel.clock import business_date
from kernel.errors import Conflict, Invalid
from kernel.logs import log
from kernel.runtime import Runtime
from risk.decisions.counting import assert_served
from risk.decisions.engine import Published, models_called
from risk.decisions.listed import list_names, lists_on
from risk.decisions.recalling import stored_rows
from risk.decisions.trying import trial_rows, trial_scores
from risk.evidence.house import SUPPLIES
from risk.features.catalogue import Catalogue
from risk.models.reading import read_model
from risk.ports import ProductPrices
from risk.strategy.firmness import Models, declined_alone
from risk.strategy.language import Strategy
from risk.strategy.pricing import PriceRange, mispriced
from risk.strategy.problems import Code, Problem, Problems, StrategyInvalid
from risk.strategy.reading import read_strategy
from risk.strategy.safety import approved_by_absence
from risk.strategy.statutory import assert_publishable
from risk.strategy.supplying import unsupplied
from risk.strategy.walking import lists_of

STRATEGY: Final = "risk.strategy"
MODEL: Final = "risk.model"
NEWS: Final = "risk:strategies"
TRIAL_ROWS: Final = 1_000
STORED_ROWS: Final = 1_000


class StrategyProductTaken(Conflict):
    """Another strategy in force decides one of the products already."""

    code = "strategy-product-taken"
    message_zh = "该产品已由另一个生效中的策略决定"


class ListsAbsent(Invalid):
    """The strategy asks lists that were not made; the sentence names them."""

    code = "strategy-list-absent"
    message_zh = "策略引用的名单不存在，请先新建名单"

    def __init__(self, names: Collection[str]) -> None:
        listed = sorted(names)
        super().__init__(f"no list {', '.join(listed)}", lists=listed)
        self.message_zh = f"策略引用的名单不存在，请先新建名单：{'、'.join(listed)}"


class ModelNotPublished(Invalid):
    """The strategy calls a model that is not in force."""

    code = "model-not-published"
    message_zh = "策略调用的模型尚未发布"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What was published.

    Attributes:
        compared: How many decisions the forms of the strategy agreed on.
        stored: How many rows of these were stored decisions; the others are made up.
        effective_on: From which day on it decides; until then what was in force goes on.
    """

    key: str
    version: int
    hash: str
    compared: int
    stored: int = 0
    effective_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """On what a strategy was tried.

    Attributes:
        compared: How many decisions its forms agreed on.
        stored: How many of its rows were stored decisions.
    """

    compared: int
    stored: int

    def report(self) -> dict[str, int]:
        """Say it for the test report of a version."""
        return {"forms_compared": self.compared, "stored_rows": self.stored}


def publish_strategy(
    session: Session,
    *,
    document: Mapping[str, Any],
    catalogue: Catalogue,
    author: str,
    approver: str,
    now: datetime,
    prices: ProductPrices | None = None,
) -> Publication:
    """Check a strategy, try all its forms against each other, and put it in force.

    It asks for no cases, so it serves benches, which bring strategies of their own making. People
        publish by `risk.lifecycle.publishing`, where nothing comes into force untested.

    It decides from today on, or from its own first day if that is to come: until then the one
    before decides. The caller tells workers after the commit: `tell_workers`.

    Raises:
        StrategyInvalid: It cannot be read, lacks a statutory rule, or is over by then.
        CounterUnserved: See there; likewise StrategyProductTaken, ListsAbsent, ModelNotPublished.
        FormsDiffer: Two forms decide differently.
        AuthorApproves: Author and approver are one.
    """
    strategy = read_strategy(document, catalogue)
    effective_on = max(business_date(now), strategy.effective_from)
    tried = check_for_publication(session, document, catalogue, on=effective_on, prices=prices)
    return _put_in_force(
        session,
        kind=STRATEGY,
        key=str(document["id"]),
        body=document,
        author=author,
        approver=approver,
        report=tried.report(),
        effective_on=effective_on,
        now=now,
    )


def check_for_publication(
    session: Session,
    document: Mapping[str, Any],
    catalogue: Catalogue,
    *,
    on: date,
    prices: ProductPrices | None = None,
) -> Tried:
    """Make sure that a strategy can come into force on a day; returns on what it was tried.

    Args:
        session: An open session.
        document: The strategy.
        catalogue: The version that it names.
        on: The first day.
        prices: Who knows what products may cost; without, whoever acts on a decision holds it to
            that alone.

    Raises: As `publish_strategy` does.
    """
    strategy = read_strategy(document, catalogue)
    models = _assert_may_decide(session, strategy, catalogue, on=on, prices=prices)
    return _tried(session, strategy, document, models, catalogue, on=on)


def _assert_may_decide(
    session: Session,
    strategy: Strategy,
    catalogue: Catalogue,
    *,
    on: date,
    prices: ProductPrices | None,
) -> dict[str, DocumentView]:
    """Make sure that a strategy may decide on a day; returns the models that it calls then."""
    assert_publishable(strategy, catalogue, on=on)
    _assert_in_effect(strategy, on)
    assert_served(strategy.counters)
    assert_lists_made(session, strategy)
    _refuse_taken_products(session, strategy, on=on)
    models = models_of(session, strategy, on=on)
    called = {name: read_model(view.body) for name, view in models.items()}
    sold = prices.ranges(session, on=on) if prices else {}
    found = misfits(strategy, models=called, sold=sold)
    if found:
        raise StrategyInvalid(found)
    return models


def misfits(
    strategy: Strategy,
    *,
    models: Models,
    sold: Mapping[str, PriceRange],
) -> tuple[Problem, ...]:
    """Say what keeps a strategy that can be read from deciding in this house.

    Its sub-systems, what its products cost, and whether supporting values alone could decline or
    nothing at all could approve.

    Args:
        strategy: Read and checked.
        models: What it calls, by name; of one that is not there the best is thought.
        sold: The least and the most that products may cost a year.
    """
    features = {name: model.features for name, model in models.items()}
    return (
        *unsupplied(strategy, supplies=SUPPLIES, features=features),
        *mispriced(strategy, sold=sold),
        *declined_alone(strategy, models=models),
        *approved_by_absence(strategy, models=models),
    )


def _assert_in_effect(strategy: Strategy, on: date) -> None:
    """Refuse what would replace a strategy that decides by one that does not."""
    problems = Problems()
    if on < strategy.effective_from:
        problems.add("$.effective_from", Code.PERIOD_AHEAD, day=strategy.effective_from)
    elif not strategy.is_in_effect(on):
        problems.add("$.effective_to", Code.PERIOD_OVER, day=strategy.effective_to)
    if problems:
        raise StrategyInvalid(tuple(problems))


def assert_lists_made(session: Session, strategy: Strategy) -> None:
    """Make sure that every list that a strategy asks can be read.

    Raises:
        ListsAbsent: See there. A list that cannot be read sends everybody to review.
    """
    absent = lists_of(strategy) - {*list_names(session)}
    if absent:
        raise ListsAbsent(absent)


def publish_model(
    session: Session,
    *,
    name: str,
    document: Mapping[str, Any],
    author: str,
    approver: str,
    now: datetime,
) -> Publication:
    """Check a model, compare its two forms on rows at every edge, and put it in force today.

    Raises:
        ModelInvalid: It cannot be read.
        ModelFormsDiffer: Its forms score differently.
        AuthorApproves: Author and approver are one.
    """
    from risk.models.equality import (  # noqa: PLC0415 -- NumPy, for publishers only
        assert_forms_agree,
        probing_rows,
    )

    model = read_model(document)
    compared = assert_forms_agree(model, probing_rows(model, seed=1))
    return _put_in_force(
        session,
        kind=MODEL,
        key=name,
        body=document,
        author=author,
        approver=approver,
        report={"forms_compared": compared},
        effective_on=business_date(now),
        now=now,
    )


def prices_of(runtime: Runtime) -> ProductPrices | None:
    """Return who knows what products may cost, or None where the root names nobody."""
    try:
        return runtime.get(ProductPrices)
    except LookupError:
        return None


def rollback_strategy(
    session: Session,
    *,
    key: str,
    by: str,
    reason: str,
    catalogue: Catalogue,
    now: datetime,
    prices: ProductPrices | None = None,
) -> Publication:
    """Put the strategy that was in force before back; the caller tells workers after the commit.

    It may be older than a statutory rule, or over: then it is refused, and what is in force stays.

    Raises:
        DocumentNotFound: Nothing is in force.
        NothingToRestore: Nothing was in force before.
        StrategyInvalid: It may no longer decide; likewise as `publish_strategy` does.
    """
    on = business_date(now)
    version = documents.rollback(session, kind=STRATEGY, key=key, by=by, reason=reason, now=now)
    found = document_version(session, kind=STRATEGY, key=key, version=version)
    strategy = read_strategy(found.body, catalogue)
    _assert_may_decide(session, strategy, catalogue, on=on, prices=prices)
    digest = found.body_hash
    return Publication(key=key, version=version, hash=digest, compared=0, effective_on=on)


def tell_workers(redis: "Redis") -> None:
    """Tell all processes that something was published; they look within about a second."""
    try:
        redis.incr(NEWS)
    except RedisError as error:
        # They look at the database by themselves too, only less often.
        log.warning("workers not told of a strategy", error=type(error).__name__)


def strategies_in_force(session: Session, *, on: date) -> tuple[DocumentView, ...]:
    """Return the strategy documents that a business date falls to, by key."""
    keys = [line.key for line in document_lines(session, on=on) if line.kind == STRATEGY]
    found = (document_in_force(session, kind=STRATEGY, key=key, on=on) for key in keys)
    return tuple(view for view in found if view is not None)


def versions_in_force(session: Session, *, on: date) -> tuple[tuple[str, str, int | None], ...]:
    """Name the versions of strategies and models that a business date falls to."""
    return tuple(
        (line.kind, line.key, line.in_force)
        for line in document_lines(session, on=on)
        if line.kind in {STRATEGY, MODEL}
    )


def published(session: Session, view: DocumentView, catalogue: Catalogue, *, on: date) -> Published:
    """Read a published strategy with the models that it calls on a day."""
    strategy = read_strategy(view.body, catalogue)
    return _published(strategy, view, models_of(session, strategy, on=on))


def published_as_then(
    session: Session,
    *,
    key: str,
    version: int,
    models: Mapping[str, str],
    catalogue: Catalogue,
) -> Published:
    """Read a version of a strategy and its models by their hashes, whatever is in force today.

    Raises:
        DocumentNotFound: There is no such version.
        ModelNotPublished: A model of that hash was never published.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    found = {name: _model_by_hash(session, name, wanted) for name, wanted in models.items()}
    return _published(read_strategy(view.body, catalogue), view, found)


def models_of(session: Session, strategy: Strategy, *, on: date) -> dict[str, DocumentView]:
    """Find the models that a strategy calls.

    Raises:
        ModelNotPublished: One of them is not in force.
    """
    found = {}
    for name in models_called(strategy):
        view = document_in_force(session, kind=MODEL, key=name, on=on)
        if view is None:
            raise ModelNotPublished(f"no model {name} is in force")
        found[name] = view
    return found


def _published(
    strategy: Strategy, view: DocumentView, models: Mapping[str, DocumentView]
) -> Published:
    return Published(
        key=view.key,
        version=view.version,
        hash=view.body_hash,
        strategy=strategy,
        models={name: read_model(model.body) for name, model in models.items()},
        model_hashes={name: model.body_hash for name, model in models.items()},
    )


def _model_by_hash(session: Session, name: str, wanted: str) -> DocumentView:
    for view in document_versions(session, kind=MODEL, key=name):
        if view.body_hash == wanted:
            return view
    raise ModelNotPublished(f"no version of the model {name} has that hash")


def _refuse_taken_products(session: Session, strategy: Strategy, *, on: date) -> None:
    for view in strategies_in_force(session, on=on):
        taken = {each["product"] for each in view.body["products"]} & strategy.products.keys()
        if view.key != strategy.id and taken:
            raise StrategyProductTaken(f"{view.key} decides {', '.join(sorted(taken))}")


def _tried(
    session: Session,
    strategy: Strategy,
    document: Mapping[str, Any],
    models: Mapping[str, DocumentView],
    catalogue: Catalogue,
    *,
    on: date,
) -> Tried:
    from risk.strategy.selftest import self_test  # noqa: PLC0415 -- NumPy, for publishers only

    loaded = {name: read_model(view.body) for name, view in models.items()}
    features = (name for model in loaded.values() for name in model.features)
    stored = stored_rows(
        session,
        products=tuple(strategy.products),
        names=tuple(dict.fromkeys((*strategy.inputs, *features))),
        catalogue=catalogue,
        count=STORED_ROWS,
    )
    rows = [*trial_rows(strategy, document, count=TRIAL_ROWS), *stored]
    scores, firm_scores = trial_scores(strategy, loaded, rows) if loaded else ((), ())
    lists = lists_on(session, on=on)
    compared = self_test(strategy, rows, on=on, lists=lists, scores=scores, firm_scores=firm_scores)
    return Tried(compared=compared, stored=len(stored))


def _put_in_force(
    session: Session,
    *,
    kind: str,
    key: str,
    body: Mapping[str, Any],
    author: str,
    approver: str,
    report: Mapping[str, Any],
    effective_on: date,
    now: datetime,
) -> Publication:
    """Take a document through its steps: draft, tested, approved by the other person, in force."""
    named: dict[str, Any] = {"kind": kind, "key": key}
    version = documents.save_draft(session, **named, body=body, author=author, now=now)
    documents.mark_tested(
        session, **named, version=version, report=report, by="machine:self-test", now=now
    )
    named |= {"version": version, "effective_on": effective_on}
    documents.approve(session, **named, by=approver, now=now)
    return Publication(
        key=key,
        version=version,
        hash=document_version(session, kind=kind, key=key, version=version).body_hash,
        compared=int(report["forms_compared"]),
        stored=int(report.get("stored_rows", 0)),
        effective_on=effective_on,
    )
