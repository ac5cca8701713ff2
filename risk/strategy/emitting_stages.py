"""Writes the function of one product: inputs, derived values, stages, evidence.

It writes Python text and does not run it. `gaps` is true there once an input was no clean value or
a derived value is missing; only then is it asked whether a condition is unknown, save where an
output or a list takes part.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from risk.features.catalogue import Kind
from risk.features.values import LAST_DAY, LIMIT, Domain
from risk.models.generated import points_text, too_much_missing
from risk.models.writing import Text, quoted
from risk.strategy.decision import HitKind
from risk.strategy.emitting import AmountWriter, ConditionWriter
from risk.strategy.language import (
    DATA_MISSING,
    ON_MISSING,
    Branch,
    Card,
    Compute,
    Condition,
    Effect,
    FinalRules,
    InList,
    IsMissing,
    Leaf,
    Model,
    OnMissing,
    Outcome,
    Policy,
    Rule,
    RuleSet,
    Stage,
    Strategy,
    Table,
    Tree,
    TreeNode,
)
from risk.strategy.walking import atoms_of, names_in, pushed_down, unique, with_sources

_CHECKS: Final[Mapping[Kind, str]] = {
    Kind.NUMBER: f"type({{0}}) is float and {-LIMIT!r} < {{0}} < {LIMIT!r}",
    Kind.TRUTH: "(type({0}) is bool or type({0}) is float and ({0} == 1.0 or {0} == 0.0))",
    Kind.DAY: f"type({{0}}) is float and 1.0 <= {{0}} <= {LAST_DAY!r} and {{0}}.is_integer()",
    Kind.TEXT: "type({0}) is str and {0}.strip()",
}


class ProductWriter:
    """Writes the function of one product.

    Raises:
        KeyError: The strategy has no such product.
    """

    def __init__(self, strategy: Strategy, product: str) -> None:
        self._strategy: Final = strategy
        self._product: Final = strategy.products[product]
        self._text: Final = Text()
        self._derived: Final = dict(strategy.derived)
        self._inputs: Final = {name: f"f{n}" for n, name in enumerate(strategy.inputs)}
        self._outputs: Final = {name: f"o{n}" for n, name in enumerate(strategy.outputs)}
        self._variables: Final = (
            self._inputs | {name: f"d{n}" for n, name in enumerate(self._derived)} | self._outputs
        )
        self._conditions: Final = ConditionWriter(self._text, self._variables, strategy.kinds)
        self._amounts: Final = AmountWriter(self._text, self._variables)

    def source(self) -> str:
        """Write the text."""
        with self._text.block("def decide(values, today, snoozed, holds, score):"):
            self._text.line("hits = []; points = {}; worst = 0; gaps = False")
            self._read_inputs()
            for name, kind in self._strategy.outputs.items():
                self._text.line(f"{self._outputs[name]} = {_nothing(kind)}")
            self._derive()
            self._require()
            self._run(self._product)
        return str(self._text)

    # --- before the stages ---------------------------------------------------

    def _read_inputs(self) -> None:
        """Write one test over all inputs, and what cleans them where it fails."""
        self._text.line(f"({', '.join(self._inputs.values())},) = values")
        kinds = self._strategy.kinds
        checks = {
            name: _check(kinds[name], self._strategy.domains.get(name)).format(at)
            for name, at in self._inputs.items()
        }
        with self._text.block(f"if not ({' and '.join(checks.values())}):"):
            self._text.line("gaps = True")
            for name, check in checks.items():
                at, domain = self._inputs[name], self._strategy.domains.get(name)
                self._text.line(f"if not ({check}): {at} = {kinds[name]}({at})")
                if domain is not None:
                    odd = _nothing(kinds[name])
                    self._text.line(f"if not ({_inside(domain, at)}): {at} = {odd}")

    def _derive(self) -> None:
        for name, expression in self._strategy.derived:
            found = self._variables[name]
            self._text.line(f"{found} = {self._amounts.amount(expression)}")
            self._text.line(f"if {found} != {found}: gaps = True")

    def _require(self) -> None:
        with self._text.block("if gaps:"):
            for required in self._strategy.required:
                is_missing = self._conditions.true_of(IsMissing(required.name))
                with self._text.block(f"if {is_missing}:"):
                    self._miss(f"required.{required.name}", required.missing, (required.name,))
            self._stop()

    # --- stages --------------------------------------------------------------

    def _run(self, names: Iterable[str]) -> None:
        for name in names:
            self._stage(self._strategy.stages[name])

    def _stage(self, stage: Stage) -> None:
        match stage:
            case RuleSet(rules=rules):
                for rule in rules:
                    self._rule(rule)
            case Table():
                self._table(stage)
            case Card():
                self._card(stage)
            case Model():
                self._model(stage)
            case Tree():
                self._tree_node(stage, stage.root, ())
            case Branch():
                self._branch(stage)
            case Compute():
                self._compute(stage)
            case _:
                self._final(stage)
                return
        self._stop()

    def _stop(self) -> None:
        with self._text.block("if worst == 2:"):
            self._finish()

    def _finish(self) -> None:
        outputs = "".join(f"{variable}, " for variable in self._outputs.values())
        self._text.line(f"return worst, hits, ({outputs}), points")

    def _rule(self, rule: Rule) -> None:
        bounds = [
            "" if day is None else bound.format(day.toordinal())
            for day, bound in ((rule.effective_from, "{} <= "), (rule.effective_to, " < {}"))
        ]
        if any(bounds):
            with self._text.block(f"if {bounds[0]}today{bounds[1]}:"):
                self._rule_in_effect(rule)
        else:
            self._rule_in_effect(rule)

    def _rule_in_effect(self, rule: Rule) -> None:
        names = tuple(names_in(rule.when))
        self._conditions.look_up(rule.when)
        with self._text.block(f"if {self._conditions.true_of(rule.when)}:"):
            with self._unless_snoozed(rule, rule.effect.outcome, names):
                self._hit(rule.id, rule.effect, names)
            if rule.effect.outcome is Outcome.APPROVE:
                self._text.line("approved = True")
        if rule.missing is not OnMissing.IGNORE:
            with (
                self._text.block(f"elif {self._unknown(rule.when)}:"),
                self._unless_snoozed(rule, ON_MISSING[rule.missing], names),
            ):
                self._miss(rule.id, rule.missing, names)

    @contextmanager
    def _unless_snoozed(
        self, rule: Rule, outcome: Outcome | None, names: tuple[str, ...]
    ) -> Iterator[None]:
        if not rule.may_snooze:
            yield
            return
        with self._text.block(f"if {rule.id!r} in snoozed:"):
            self._note(rule.id, outcome, rule.effect.reason, HitKind.SNOOZED, names)
        with self._text.block("else:"):
            yield

    def _table(self, table: Table) -> None:
        self._conditions.look_up(*(row.when for row in table.rows))
        with self._text.block("while True:"):
            for row in table.rows:
                names = tuple(names_in(row.when))
                with self._text.block(f"if {self._conditions.true_of(row.when)}:"):
                    self._hit(row.id, row.effect, names)
                    if table.policy is not Policy.COLLECT:
                        self._text.line("break")
                if table.policy is Policy.FIRST or (
                    table.policy is Policy.COLLECT and table.missing is not OnMissing.IGNORE
                ):
                    with self._text.block(f"elif {self._unknown(row.when)}:"):
                        self._miss(row.id, table.missing, names)
                        if table.policy is Policy.FIRST:
                            self._text.line("break")
            if table.policy is Policy.UNIQUE and table.missing is not OnMissing.IGNORE:
                self._miss_if_any_unknown(table)
            self._text.line("break")

    def _miss_if_any_unknown(self, table: Table) -> None:
        for row in table.rows:
            with self._text.block(f"if {self._unknown(row.when)}:"):
                self._miss(table.id, table.missing, table.columns)
                self._text.line("break")

    def _card(self, stage: Card) -> None:
        card = stage.scorecard
        read = [(self._variables[each.name], each) for each in card.characteristics]
        points = [self._text.fresh() for _ in read]
        for point, (variable, each) in zip(points, read, strict=True):
            self._text.line(f"{point} = {points_text(variable, each)}")
        self._text.line(f"points[{stage.id!r}] = ({', '.join(points)},)")
        lost = [f"{variable} != {variable}" for variable, each in read if each.missing is None]
        too_much = too_much_missing([variable for variable, _ in read], card.missing_at_most, lost)
        doubt = "" if self._reads_outputs(card.features) else "gaps and "
        with self._text.block(f"if {doubt}({too_much}):"):
            self._text.line(f"{self._outputs[stage.output]} = NAN")
            self._miss(stage.id, stage.missing, card.features)
        with self._text.block("else:"):
            total = " + ".join([quoted(card.base), *points])
            self._text.line(f"{self._outputs[stage.output]} = float({total})")

    def _model(self, model: Model) -> None:
        output = self._outputs[model.output]
        self._text.line(f"{output} = number(score({model.model!r}))")
        with self._text.block(f"if {output} != {output}:"):
            self._miss(model.id, model.missing, (model.output,))

    def _tree_node(self, tree: Tree, node: TreeNode, above: tuple[str, ...]) -> None:
        if isinstance(node, Leaf):
            self._hit(node.id, node.effect, above)
            return
        names = (*above, *names_in(node.when))
        self._conditions.look_up(node.when)
        is_true, is_unknown = self._conditions.true_of(node.when), self._unknown(node.when)
        with self._text.block(f"if {is_true}:"):
            self._tree_node(tree, node.then, names)
        with self._text.block(f"elif {is_unknown}:"):
            self._miss(tree.id, tree.missing, names)
        with self._text.block("else:"):
            self._tree_node(tree, node.otherwise, names)

    def _branch(self, branch: Branch) -> None:
        with self._text.block("while True:"):
            for case in branch.cases:
                names = tuple(names_in(case.when))
                self._conditions.look_up(case.when)
                is_unknown = self._unknown(case.when)
                with self._text.block(f"if {self._conditions.true_of(case.when)}:"):
                    self._note(case.id, None, None, HitKind.TAKEN, names)
                    self._run(case.stages)
                    self._text.line("break")
                with self._text.block(f"if {is_unknown}:"):
                    self._miss(case.id, branch.missing, names)
                    self._text.line("break")
            self._run(branch.otherwise)
            self._text.line("break")

    def _compute(self, compute: Compute) -> None:
        for output, expression in compute.sets:
            variable = self._outputs[output]
            self._text.line(f"{variable} = {self._amounts.amount(expression)}")
            with self._text.block(f"if {variable} != {variable}:"):
                names = tuple(names_in(expression))
                self._miss(f"{compute.id}.{output}", compute.missing, names)

    def _final(self, final: FinalRules) -> None:
        self._text.line("approved = False")
        for rule in final.rules:
            self._rule(rule)
        names = tuple(name for rule in final.rules for name in names_in(rule.when))
        with self._text.block("if worst == 0 and not approved:"):
            self._hit(f"{final.id}.otherwise", final.otherwise, names)
        self._finish()

    # --- evidence ------------------------------------------------------------

    def _unknown(self, condition: Condition) -> str:
        """Write when a condition that is not true is unknown."""
        is_false = self._conditions.false_of(condition)
        asks_lists = any(isinstance(atom, InList) for atom, _ in atoms_of(pushed_down(condition)))
        always = asks_lists or self._reads_outputs(names_in(condition))
        return f"not {is_false}" if always else f"gaps and not {is_false}"

    def _reads_outputs(self, names: Iterable[str]) -> bool:
        return any(name in self._outputs for name in names)

    def _hit(self, rule: str, effect: Effect, names: tuple[str, ...]) -> None:
        for output, value in effect.sets:
            self._text.line(f"{self._outputs[output]} = {quoted(value)}")
        if effect.outcome is None:
            self._note(rule, None, None, HitKind.TAKEN, names)
        else:
            self._note(rule, effect.outcome, effect.reason, HitKind.HIT, names)
            self._escalate(effect.outcome)

    def _miss(self, rule: str, policy: OnMissing, names: tuple[str, ...]) -> None:
        outcome = ON_MISSING[policy]
        if outcome is None:
            self._text.line("pass")
            return
        sources = with_sources(names, self._derived)
        self._note(rule, outcome, DATA_MISSING, HitKind.MISSING, sources)
        self._escalate(outcome)

    def _escalate(self, outcome: Outcome) -> None:
        if outcome is Outcome.DECLINE:
            self._text.line("worst = 2")
        elif outcome is Outcome.REVIEW:
            self._text.line("if worst < 1: worst = 1")

    def _note(
        self,
        rule: str,
        outcome: Outcome | None,
        reason: str | None,
        kind: HitKind,
        names: tuple[str, ...],
    ) -> None:
        asked = None if outcome is None else int(outcome)
        values = self._values(names)
        self._text.line(f"hits.append(({rule!r}, {asked}, {reason!r}, {str(kind)!r}, {values}))")

    def _values(self, names: tuple[str, ...]) -> str:
        pairs = (f"{name!r}: {self._variables[name]}" for name in unique(names))
        return "{" + ", ".join(pairs) + "}"


def _check(kind: Kind, domain: Domain | None) -> str:
    """Write when an input is a clean value that its dimension may hold."""
    if domain is None:
        return _CHECKS[kind]
    return f"type({{0}}) is {'str' if domain.choices else 'float'} and {_inside(domain, '{0}')}"


def _inside(domain: Domain, at: str) -> str:
    """Write whether a value lies within what its dimension may hold."""
    if domain.choices:
        return f"{at} in ({', '.join(map(quoted, sorted(domain.choices)))},)"
    low = f"{quoted(domain.low)} <=" if domain.low > -LIMIT else f"{-LIMIT!r} <"
    high = f"<= {quoted(domain.high)}" if domain.high < LIMIT else f"< {LIMIT!r}"
    return f"{low} {at} {high}"


def _nothing(kind: Kind) -> str:
    return "None" if kind is Kind.TEXT else "NAN"
