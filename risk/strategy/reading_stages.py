"""Reads the stages of a strategy, each by its kind.

Every id is checked to be the only one; what stages do to each other is checked in
`risk.strategy.checking`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import Final

from risk.features.catalogue import Kind
from risk.models.card import Characteristic, Scorecard
from risk.strategy.language import (
    AllOf,
    Branch,
    Card,
    Case,
    Compute,
    Effect,
    Expression,
    FinalRules,
    Fork,
    Leaf,
    Model,
    OnMissing,
    Outcome,
    Policy,
    Row,
    Rule,
    RuleSet,
    Stage,
    Table,
    Tree,
    TreeNode,
)
from risk.strategy.nodes import Node
from risk.strategy.problems import Code
from risk.strategy.reading_conditions import (
    MAX_DEPTH,
    read_cell,
    read_condition,
    read_expression,
)
from risk.strategy.scope import Scope

_POINTED: Final = frozenset({Kind.NUMBER, Kind.TRUTH, Kind.DAY})


class StageKind(StrEnum):
    """What a stage is."""

    RULES = "rules"
    TABLE = "table"
    MATRIX = "matrix"
    CARD = "card"
    MODEL = "model"
    TREE = "tree"
    BRANCH = "branch"
    COMPUTE = "compute"
    FINAL = "final"


class _Harm(StrEnum):
    REVIEW = "review"
    DECLINE = "decline"


def read_stage(node: Node, scope: Scope) -> Stage:
    """Read a stage; its id is known from `read_stage_id`."""
    return _READERS[node.word("kind", StageKind)](node, scope)


def read_stage_id(node: Node, scope: Scope) -> str:
    """Read the id alone, so that branches can name stages that stand further down."""
    if not isinstance(node.value, dict):
        node.fail(Code.NOT_AN_OBJECT)
    for key in ("id", "kind"):
        if key not in node.value:
            node.fail(Code.KEY_MISSING, name=key)
    stage_id = scope.identify(node.at("id"))
    scope.stages.add(stage_id)
    return stage_id


def read_stage_names(node: Node, scope: Scope) -> tuple[str, ...]:
    """Read ids of stages."""
    return node.each(partial(_stage_name, scope=scope))


def _stage_name(node: Node, scope: Scope) -> str:
    name = node.as_name()
    if name not in scope.stages:
        node.fail(Code.STAGE_UNKNOWN, name=name)
    return name


def _rule_set(node: Node, scope: Scope) -> RuleSet:
    node.keys("id kind rules", "title")
    rules = node.at("rules").each(partial(_rule, scope=scope))
    return RuleSet(id=node.name("id"), title=node.title(), rules=rules)


def _rule(node: Node, scope: Scope) -> Rule:
    optional = "title effective_from effective_to may_snooze"
    node.keys("id when outcome reason missing", optional)
    since, until = node.period()
    return Rule(
        id=scope.identify(node.at("id")),
        title=node.title(),
        when=read_condition(node.at("when"), scope),
        effect=_harm(node, scope),
        missing=node.word("missing", OnMissing),
        effective_from=since,
        effective_to=until,
        may_snooze=node.truth("may_snooze", default=False),
    )


def _harm(node: Node, scope: Scope) -> Effect:
    word = node.word("outcome", _Harm)
    return Effect(outcome=Outcome[word.name], reason=scope.reason(node.at("reason")))


def _effect(node: Node, scope: Scope) -> Effect:
    """Read what a row or leaf does: an outcome with its reason, outputs, or both."""
    sets = _sets(node.at("set"), scope) if node.has("set") else ()
    if node.has("outcome") or node.has("reason"):
        node.need("outcome reason")
        harm = _harm(node, scope)
        return Effect(outcome=harm.outcome, reason=harm.reason, sets=sets)
    if not sets:
        node.fail(Code.EFFECT_EMPTY)
    return Effect(outcome=None, reason=None, sets=sets)


def _sets(node: Node, scope: Scope) -> tuple[tuple[str, float | str], ...]:
    if not isinstance(node.value, dict):
        node.fail(Code.NOT_AN_OBJECT)
    found = []
    for key in node.value:
        name, kind = scope.output(Node(key, f"{node.path}.{key}", node.problems))
        found.append((name, node.at(key).constant(kind)))
    return tuple(found)


def _table(node: Node, scope: Scope) -> Table:
    node.keys("id kind policy columns rows missing", "title")
    names = node.at("columns").each(lambda column: scope.read(column)[0])
    policy = node.word("policy", Policy)
    rows = node.at("rows").each(partial(_row, scope=scope, table=node, names=names))
    if policy is Policy.COLLECT and any(row.effect.sets for row in rows):
        node.at("policy").fail(Code.COLLECT_SETS)
    return Table(
        id=node.name("id"),
        title=node.title(),
        policy=policy,
        columns=names,
        rows=rows,
        missing=node.word("missing", OnMissing),
    )


def _row(node: Node, scope: Scope, table: Node, names: tuple[str, ...]) -> Row:
    node.keys("cells", "id outcome reason set")
    cells = node.at("cells").items()
    if len(cells) != len(names):
        node.at("cells").fail(Code.ROW_WIDTH, found=len(cells), expected=len(names))
    return Row(
        id=_row_id(node, scope, table),
        cells=tuple(read_cell(cell, scope, name) for cell, name in zip(cells, names, strict=True)),
        effect=_effect(node, scope),
    )


def _row_id(node: Node, scope: Scope, table: Node) -> str:
    """Read the row's id, or number it as people count: `income_table.1`."""
    if node.has("id"):
        return scope.identify(node.at("id"))
    number = int(node.path.rpartition("[")[2].rstrip("]")) + 1
    return scope.identify(Node(f"{table.name('id')}.{number}", node.path, node.problems))


def _matrix(node: Node, scope: Scope) -> Table:
    """Read a matrix into the table that it abbreviates: every row band with every column band."""
    node.keys("id kind rows columns cells missing", "title")
    down, down_bands = _axis(node.at("rows"), scope)
    across, across_bands = _axis(node.at("columns"), scope)
    lines = node.at("cells").items()
    if len(lines) != len(down_bands):
        node.at("cells").fail(Code.ROW_WIDTH, found=len(lines), expected=len(down_bands))
    rows = []
    for n, (line, band) in enumerate(zip(lines, down_bands, strict=True), start=1):
        effects = line.each(partial(_matrix_effect, scope=scope))
        if len(effects) != len(across_bands):
            line.fail(Code.ROW_WIDTH, found=len(effects), expected=len(across_bands))
        for m, (effect, other) in enumerate(zip(effects, across_bands, strict=True), start=1):
            name = Node(f"{node.name('id')}.{n}.{m}", line.path, node.problems)
            rows.append(Row(id=scope.identify(name), cells=(band, other), effect=effect))
    return Table(
        id=node.name("id"),
        title=node.title(),
        policy=Policy.UNIQUE,
        columns=(down, across),
        rows=tuple(rows),
        missing=node.word("missing", OnMissing),
    )


def _axis(node: Node, scope: Scope) -> tuple[str, tuple[AllOf, ...]]:
    node.keys("field bands")
    name = scope.read(node.at("field"))[0]
    return name, node.at("bands").each(lambda band: _band(band, scope, name))


def _band(node: Node, scope: Scope, name: str) -> AllOf:
    cell = read_cell(node, scope, name)
    return AllOf(() if cell is None else (cell,))


def _matrix_effect(node: Node, scope: Scope) -> Effect:
    node.keys("", "outcome reason set")
    return _effect(node, scope)


def _card(node: Node, scope: Scope) -> Card:
    node.keys("id kind base characteristics missing_at_most output missing", "title")
    output, kind = scope.output(node.at("output"))
    if kind is not Kind.NUMBER:
        node.at("output").fail(Code.KIND_DIFFERS, name=output, kind=kind)
    return Card(
        id=node.name("id"),
        title=node.title(),
        scorecard=Scorecard(
            base=node.whole("base"),
            characteristics=node.at("characteristics").each(partial(_characteristic, scope=scope)),
            missing_at_most=node.whole("missing_at_most"),
        ),
        output=output,
        missing=node.word("missing", OnMissing),
    )


def _characteristic(node: Node, scope: Scope) -> Characteristic:
    node.keys("field bins", "specials missing")
    name, kind = scope.read(node.at("field"), _POINTED)
    bins = node.at("bins").each(lambda each: _bin(each, kind))
    edges = [edge for edge, _ in bins]
    ends = [edge for edge in edges[:-1] if edge is not None]
    is_open = edges[-1] is None and len(ends) == len(edges) - 1
    if not is_open or any(low >= high for low, high in pairwise(ends)):
        node.at("bins").fail(Code.EDGES_NOT_RISING)
    specials: tuple[tuple[float, int], ...] = ()
    if node.has("specials"):
        specials = node.at("specials").each(lambda each: _special(each, kind))
    return Characteristic(
        name=name,
        edges=tuple(ends),
        points=tuple(points for _, points in bins),
        specials=specials,
        missing=node.whole("missing") if node.has("missing") else None,
    )


def _bin(node: Node, kind: Kind) -> tuple[float | None, int]:
    node.keys("points", "below")
    edge = float(node.at("below").constant(kind)) if node.has("below") else None
    return edge, node.whole("points")


def _special(node: Node, kind: Kind) -> tuple[float, int]:
    node.keys("value points")
    return float(node.at("value").constant(kind)), node.whole("points")


def _model(node: Node, scope: Scope) -> Model:
    node.keys("id kind model output missing", "title")
    output, kind = scope.output(node.at("output"))
    if kind is not Kind.NUMBER:
        node.at("output").fail(Code.KIND_DIFFERS, name=output, kind=kind)
    return Model(
        id=node.name("id"),
        title=node.title(),
        model=node.name("model"),
        output=output,
        missing=node.word("missing", OnMissing),
    )


def _tree(node: Node, scope: Scope) -> Tree:
    node.keys("id kind root missing", "title")
    return Tree(
        id=node.name("id"),
        title=node.title(),
        root=_tree_node(node.at("root"), scope, 0),
        missing=node.word("missing", OnMissing),
    )


def _tree_node(node: Node, scope: Scope, depth: int) -> TreeNode:
    if depth > MAX_DEPTH:
        node.fail(Code.TOO_DEEP, limit=MAX_DEPTH)
    if isinstance(node.value, dict) and "when" in node.value:
        node.keys("when then else")
        return Fork(
            when=read_condition(node.at("when"), scope),
            then=_tree_node(node.at("then"), scope, depth + 1),
            otherwise=_tree_node(node.at("else"), scope, depth + 1),
        )
    node.keys("id", "outcome reason set")
    return Leaf(id=scope.identify(node.at("id")), effect=_effect(node, scope))


def _branch(node: Node, scope: Scope) -> Branch:
    node.keys("id kind cases missing", "title otherwise")
    return Branch(
        id=node.name("id"),
        title=node.title(),
        cases=node.at("cases").each(partial(_case, scope=scope)),
        otherwise=(read_stage_names(node.at("otherwise"), scope) if node.has("otherwise") else ()),
        missing=node.word("missing", OnMissing),
    )


def _case(node: Node, scope: Scope) -> Case:
    node.keys("id when stages")
    return Case(
        id=scope.identify(node.at("id")),
        when=read_condition(node.at("when"), scope),
        stages=read_stage_names(node.at("stages"), scope),
    )


def _compute(node: Node, scope: Scope) -> Compute:
    node.keys("id kind set missing", "title")
    return Compute(
        id=node.name("id"),
        title=node.title(),
        sets=node.at("set").each(partial(_assignment, scope=scope)),
        missing=node.word("missing", OnMissing),
    )


def _assignment(node: Node, scope: Scope) -> tuple[str, Expression]:
    node.keys("output value")
    output, kind = scope.output(node.at("output"))
    if kind is not Kind.NUMBER:
        node.at("output").fail(Code.KIND_DIFFERS, name=output, kind=kind)
    return output, read_expression(node.at("value"), scope)


def _final(node: Node, scope: Scope) -> FinalRules:
    node.keys("id kind rules otherwise", "title")
    otherwise = node.at("otherwise")
    otherwise.keys("outcome reason")
    return FinalRules(
        id=node.name("id"),
        title=node.title(),
        rules=node.at("rules").each(partial(_approval, scope=scope)),
        otherwise=_harm(otherwise, scope),
    )


def _approval(node: Node, scope: Scope) -> Rule:
    node.keys("id when missing", "title effective_from effective_to")
    since, until = node.period()
    return Rule(
        id=scope.identify(node.at("id")),
        title=node.title(),
        when=read_condition(node.at("when"), scope),
        effect=Effect(outcome=Outcome.APPROVE, reason=None),
        missing=node.word("missing", OnMissing),
        effective_from=since,
        effective_to=until,
        may_snooze=False,
    )


_READERS: Final[Mapping[StageKind, Callable[[Node, Scope], Stage]]] = {
    StageKind.RULES: _rule_set,
    StageKind.TABLE: _table,
    StageKind.MATRIX: _matrix,
    StageKind.CARD: _card,
    StageKind.MODEL: _model,
    StageKind.TREE: _tree,
    StageKind.BRANCH: _branch,
    StageKind.COMPUTE: _compute,
    StageKind.FINAL: _final,
}
