"""The way that a decision took through a strategy, in words: stages, what was hit, what was read.

Personal texts are masked here already; who may see them in clear asks for them one by one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import gettext

from desk.ports import mask_id
from risk.admin import saying
from risk.admin.names import Field, Names
from risk.admin.values import shown
from risk.features.values import CLEAN
from risk.features.values import shown as readable
from risk.strategy.decision import Hit, HitKind
from risk.strategy.interpreter import Check, Interpretation
from risk.strategy.language import (
    Branch,
    Card,
    Compute,
    FinalRules,
    Model,
    RuleSet,
    Stage,
    Strategy,
    Table,
    Tree,
)
from risk.strategy.reasons import MISSING
from risk.strategy.walking import outputs_of, paths_of

REQUIRED: Final = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A value that was read.

    Attributes:
        is_masked: `text` is not all there is.
    """

    name: str
    label: str
    text: str
    is_masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A rule, row or leaf on the way.

    Attributes:
        kind: Why it is named: a key of words.HIT_KINDS, or empty if it was only looked at.
        outcome: What it asks for; empty if nothing.
        why: The reason, as staff read it.
        holds: None if it could not be told.
    """

    title: str
    said: str = ""
    kind: str = ""
    outcome: str = ""
    why: str = ""
    holds: bool | None = None
    values: tuple[Read, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stage on the way.

    Attributes:
        ran: It was reached.
        lines: What has a consequence.
        quiet: What was looked at without one.
        points: Of a card: each characteristic with its points.
        outputs: What it set.
    """

    id: str
    title: str
    kind: str
    ran: bool
    lines: tuple[Line, ...]
    quiet: tuple[Line, ...] = ()
    points: tuple[tuple[str, int | None], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()

    @property
    def outcome(self) -> str:
        """The worst that it asked for; empty if nothing."""
        found = {line.outcome for line in self.lines}
        return next((each for each in ("decline", "review") if each in found), "")


def steps(
    strategy: Strategy, body: Mapping[str, Any], product: str, taken: Interpretation, names: Names
) -> tuple[Step, ...]:
    """Lay the way out, the stages in the order of the product.

    Args:
        strategy: Read from `body`.
        body: Its document, whose words are shown.
        product: Which of its products decided.
        taken: What the interpreter found.
        names: In reach of the document.
    """
    return tuple(_Way(strategy, body, taken, names).steps(strategy.products[product]))


def plain(row: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Write a row as people read it: days as dates, and nothing where there is no value."""
    kinds = {name: names.field(name).kind for name in row}
    found = {name: readable(kinds[name], CLEAN[kinds[name]](raw)) for name, raw in row.items()}
    return {name: value for name, value in found.items() if value is not None}


def reads(values: Mapping[str, Any], names: Names) -> tuple[Read, ...]:
    """Show values with labels, personal texts masked."""
    return tuple(read(names.field(name), value) for name, value in values.items())


def read(field: Field, value: Any) -> Read:
    """Show one value."""
    is_masked = field.is_personal and isinstance(value, str)
    text = mask_id(value) if is_masked else shown(value, field)
    return Read(name=field.name, label=field.label, text=text, is_masked=is_masked)


class _Way:
    def __init__(
        self, strategy: Strategy, body: Mapping[str, Any], taken: Interpretation, names: Names
    ) -> None:
        self.strategy, self.taken, self.names = strategy, taken, names
        self.kinds = {stage["id"]: stage["kind"] for stage in body["stages"]}
        self.said = dict(_conditions(body, names))
        self.hits = {hit.rule: hit for hit in taken.decision.hits}
        self.checks = {check.rule: check for check in taken.checks}

    def steps(self, order: tuple[str, ...]) -> Iterator[Step]:
        gaps = [hit for hit in self.taken.decision.hits if hit.rule.startswith(f"{REQUIRED}.")]
        if gaps:
            lines = tuple(self.line(hit.rule, self.names.field(hit.rule[9:]).label) for hit in gaps)
            yield Step(id=REQUIRED, title="", kind=REQUIRED, ran=True, lines=lines)
        for stage_id in dict.fromkeys([*order, *self.taken.path]):
            yield self.step(self.strategy.stages[stage_id])

    def step(self, stage: Stage) -> Step:
        ran = stage.id in self.taken.path
        found = [self.line(rule, title) for rule, title in _parts(stage)] if ran else []
        set_here = outputs_of(stage) if ran else ()
        return Step(
            id=stage.id,
            title=stage.title or stage.id,
            kind=self.kinds.get(stage.id, ""),
            ran=ran,
            lines=tuple(line for line in found if line.kind or line.outcome),
            quiet=tuple(line for line in found if line.said and not line.kind and not line.outcome),
            points=tuple(self.points(stage)),
            outputs=tuple(self.outputs(set_here)),
        )

    def line(self, rule: str, title: str) -> Line:
        hit, check = self.hits.get(rule), self.checks.get(rule)
        return Line(
            title=title or rule,
            said=self.said.get(rule, "") if check else "",
            kind=str(hit.kind) if hit else "",
            outcome=_outcome(hit),
            why=self.why(hit),
            holds=check.holds if check else None,
            values=reads(hit.values if hit else _values(check), self.names),
        )

    def why(self, hit: Hit | None) -> str:
        if hit is None or hit.reason is None:
            return ""
        reason = self.strategy.reasons.get(hit.reason)
        return str(gettext((reason or MISSING).internal))

    def points(self, stage: Stage) -> Iterator[tuple[str, int | None]]:
        given = self.taken.decision.points.get(stage.id)
        if isinstance(stage, Card) and given is not None:
            for name, points in zip(stage.scorecard.features, given, strict=True):
                yield self.names.field(name).label, points

    def outputs(self, wanted: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for name in wanted:
            field = self.names.field(name)
            yield field.label, shown(self.taken.decision.outputs.get(name), field)


def _outcome(hit: Hit | None) -> str:
    if hit is None or hit.outcome is None or hit.kind is HitKind.SNOOZED:
        return ""
    return hit.outcome.name.lower()


def _values(check: Check | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for statement in check.statements if check else ():
        found |= statement.values
    return found


def _parts(stage: Stage) -> Iterator[tuple[str, str]]:
    """Name what evidence may speak of within a stage, with its title."""
    match stage:
        case RuleSet(rules=rules):
            yield from ((rule.id, rule.title) for rule in rules)
        case FinalRules(rules=rules):
            yield from ((rule.id, rule.title) for rule in rules)
            yield f"{stage.id}.otherwise", str(gettext("其余情况"))
        case Table(rows=rows):
            yield from ((row.id, _row_title(stage.id, row.id)) for row in rows)
            yield stage.id, stage.title
        case Tree(root=root):
            yield from ((leaf.id, "") for _, leaf in paths_of(root))
            yield stage.id, stage.title
        case Branch(cases=cases):
            yield from ((case.id, "") for case in cases)
            yield stage.id, stage.title
        case Compute(sets=sets):
            yield from ((f"{stage.id}.{output}", stage.title) for output, _ in sets)
        case Card() | Model():
            yield stage.id, stage.title


def part_title(stage_id: str, part_id: str, title: str) -> str:
    """Name a part of a stage for staff: rows by their place, what is left over as such.

    Args:
        stage_id: Where it stands.
        part_id: As it stands in the evidence.
        title: Of the part; of its stage where it has none of its own.
    """
    if part_id == f"{stage_id}.otherwise":
        return str(gettext("其余情况"))
    return _row_title(stage_id, part_id) or title or part_id


def _row_title(stage_id: str, row_id: str) -> str:
    """Say which row it is, if it has no name of its own; of a matrix also which column."""
    if not row_id.startswith(f"{stage_id}."):
        return ""
    places = row_id.removeprefix(f"{stage_id}.").split(".")
    if not all(place.isdigit() for place in places):
        return ""
    if len(places) == 1:
        return str(gettext("第 %(number)s 行", number=places[0]))
    return str(gettext("第 %(row)s 行第 %(column)s 列", row=places[0], column=places[1]))


def _conditions(body: Mapping[str, Any], names: Names) -> Iterator[tuple[str, str]]:
    for stage in body["stages"]:
        for part in (*stage.get("rules", ()), *stage.get("cases", ())):
            yield part["id"], saying.condition(part["when"], names)
        if stage["kind"] == "table":
            yield from _rows(stage, names)


def _rows(stage: Mapping[str, Any], names: Names) -> Iterator[tuple[str, str]]:
    fields = [names.field(name) for name in stage["columns"]]
    for n, row in enumerate(stage["rows"], start=1):
        cells = zip(fields, row["cells"], strict=True)
        said = [
            f"{field.label} {saying.cell(cell, field, names)}"
            for field, cell in cells
            if cell is not None
        ]
        yield row.get("id") or f"{stage['id']}.{n}", "，".join(said)
