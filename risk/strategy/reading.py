"""Reads a strategy document into frozen data, or says everything that is wrong with it.

It runs nothing and stores nothing.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from risk.features.catalogue import Catalogue, Kind, Use
from risk.features.values import domains_of
from risk.strategy.checking import check_conditions
from risk.strategy.flow import check_flow
from risk.strategy.language import (
    DATA_MISSING,
    LINE,
    PRICE,
    SUPPORT_ALONE,
    Counter,
    Expression,
    OnMissing,
    Reason,
    Required,
    Stage,
    Strategy,
)
from risk.strategy.nodes import Node, attempt
from risk.strategy.problems import Code, Problems, StrategyInvalid, Unreadable
from risk.strategy.reading_conditions import read_expression
from risk.strategy.reading_stages import read_stage, read_stage_id, read_stage_names
from risk.strategy.reading_subsystems import read_subsystems
from risk.strategy.safety import check_safety
from risk.strategy.scope import Scope
from risk.strategy.walking import names_in

MAX_DERIVED_DEEP: Final = 50

_NEEDED: Final = "id title use catalogue effective_from required reasons stages products"
_OPTIONAL: Final = "effective_to counters derived outputs"
_WINDOW: Final = re.compile(r"(?P<count>[1-9][0-9]{0,3})(?P<unit>min|h|d)")
_CHINESE: Final = re.compile("[一-鿿]")
_SECONDS: Final = {"min": 60, "h": 3600, "d": 86_400}


def read_strategy(document: Mapping[str, Any], catalogue: Catalogue) -> Strategy:
    """Read and check a strategy document.

    Args:
        document: What `json.loads` returns; docs/strategy-language.md describes it.
        catalogue: The version that the document names.

    Raises:
        StrategyInvalid: `problems` holds every mistake with its JSON path.
    """
    problems = Problems()
    strategy = attempt(partial(_strategy, catalogue=catalogue), Node(document, "$", problems))
    if strategy is not None and not problems:
        check_conditions(strategy, problems)
        check_flow(strategy, problems)
        check_safety(strategy, catalogue, problems)
    if strategy is None or problems:
        raise StrategyInvalid(tuple(problems))
    return strategy


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the sha256 of a document, whatever its spacing and the order of its keys."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _strategy(node: Node, catalogue: Catalogue) -> Strategy:
    node.keys(_NEEDED, _OPTIONAL)
    if node.text("catalogue") != catalogue.version:
        words = {"name": node.value["catalogue"], "version": catalogue.version}
        node.at("catalogue").fail(Code.CATALOGUE_DIFFERS, **words)
    since, until = node.period()
    if since is None:
        node.at("effective_from").fail(Code.NOT_A_DAY)
    scope = Scope(catalogue, node.word("use", Use))
    reasons = _listed(node, "reasons", partial(_reason, scope=scope))
    counters = _listed(node, "counters", partial(_counter, scope=scope))
    derived = _derived(node, scope)
    outputs = _listed(node, "outputs", partial(_output, scope=scope))
    required = _listed(node, "required", partial(_required, scope=scope))
    stages = _stages(node, scope)
    products = _listed(node, "products", partial(_product, scope=scope))
    subsystems = read_subsystems(node)
    if node.problems:
        raise Unreadable
    return Strategy(
        id=node.name("id"),
        title=node.text("title"),
        use=scope.use,
        catalogue=catalogue.version,
        effective_from=since,
        effective_to=until,
        required=required,
        counters=counters,
        derived=derived,
        reasons=MappingProxyType({reason.code: reason for reason in reasons}),
        outputs=MappingProxyType(dict(outputs)),
        stages=MappingProxyType({stage.id: stage for stage in stages}),
        products=MappingProxyType(dict(products)),
        subsystems=MappingProxyType(subsystems),
        kinds=MappingProxyType(scope.kinds),
        inputs=tuple(scope.inputs),
        domains=domains_of(catalogue),
        support=frozenset(each.name for each in catalogue.dimensions if each.is_supporting),
        digest=digest_of(node.value),
    )


def _listed(node: Node, key: str, read: Any) -> tuple[Any, ...]:
    """Read a list at a key; what is wrong inside was noted, and reading goes on behind it."""
    if key not in node.value:
        return ()
    return attempt(lambda inner: inner.each(read), node.at(key)) or ()


def _reason(node: Node, scope: Scope) -> Reason:
    node.keys("code internal customer")
    code = node.name("code")
    if code in scope.reasons or code in {DATA_MISSING, SUPPORT_ALONE}:
        node.at("code").fail(Code.NAME_TAKEN, name=code)
    scope.reasons.add(code)
    if not _CHINESE.search(node.text("customer")):
        node.at("customer").fail(Code.NOT_CHINESE)
    return Reason(code=code, internal=node.text("internal"), customer=node.text("customer"))


def _counter(node: Node, scope: Scope) -> Counter:
    node.keys("name event by window", "title")
    match = _WINDOW.fullmatch(node.text("window"))
    if match is None:
        node.at("window").fail(Code.NAME_MALFORMED, name=node.value["window"])
    by = scope.read(node.at("by"), {Kind.TEXT})[0]
    return Counter(
        name=scope.declare_counter(node.at("name")),
        event=node.name("event"),
        by=by,
        window_s=int(match["count"]) * _SECONDS[match["unit"]],
    )


def _output(node: Node, scope: Scope) -> tuple[str, Kind]:
    node.keys("name kind")
    kind = node.word("kind", Kind)
    if node.value["name"] in (LINE, PRICE) and kind is not Kind.NUMBER:
        node.at("kind").fail(Code.KIND_DIFFERS, name=node.value["name"], kind=kind)
    return scope.declare_output(node.at("name"), kind), kind


def _required(node: Node, scope: Scope) -> Required:
    node.keys("field missing")
    missing = node.word("missing", OnMissing)
    if missing is OnMissing.IGNORE:
        node.at("missing").fail(Code.WORD_UNKNOWN, name=missing, options="review、decline")
    return Required(name=scope.read(node.at("field"))[0], missing=missing)


def _derived(node: Node, scope: Scope) -> tuple[tuple[str, Expression], ...]:
    """Read derived values: first all names, then what they are made of, then their order."""
    names = _listed(node, "derived", partial(_derived_name, scope=scope))
    if not names:
        return ()
    values = _listed(node, "derived", lambda each: read_expression(each.at("value"), scope))
    found = dict(zip(names, values, strict=True)) if values else {}
    ordered: dict[str, Expression] = {}
    for n, name in enumerate(found):
        _order(name, found, ordered, (), node, n)
    return tuple(ordered.items())


def _derived_name(node: Node, scope: Scope) -> str:
    node.keys("name value", "title")
    return scope.declare(node.at("name"), Kind.NUMBER)


def _order(
    name: str,
    found: Mapping[str, Expression],
    ordered: dict[str, Expression],
    above: tuple[str, ...],
    node: Node,
    n: int,
) -> None:
    """Put a derived value behind what it needs."""
    if name in above:
        words = {"name": " → ".join((*above, name))}
        node.problems.add(f"{node.path}.derived[{n}]", Code.CYCLE, **words)
        return
    if len(above) > MAX_DERIVED_DEEP:
        node.problems.add(f"{node.path}.derived[{n}]", Code.TOO_DEEP, limit=MAX_DERIVED_DEEP)
        return
    for source in names_in(found[name]):
        if source in found and source not in ordered:
            _order(source, found, ordered, (*above, name), node, n)
    ordered.setdefault(name, found[name])


def _stages(node: Node, scope: Scope) -> tuple[Stage, ...]:
    ids = _listed(node, "stages", partial(read_stage_id, scope=scope))
    return _listed(node, "stages", partial(read_stage, scope=scope)) if ids else ()


def _product(node: Node, scope: Scope) -> tuple[str, tuple[str, ...]]:
    node.keys("product stages", "subsystems")
    name = scope.identify(Node(f"product.{node.name('product')}", node.path, node.problems))
    return name.removeprefix("product."), read_stage_names(node.at("stages"), scope)
