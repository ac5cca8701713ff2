"""Checks what conditions and tables say together: contradictions, dead rows, overlaps.

Whether stages fit each other is checked in `risk.strategy.flow`, whether a strategy is safe in
`risk.strategy.safety`.
"""

from collections.abc import Iterator
from datetime import date

from risk.strategy.language import (
    AllOf,
    AnyOf,
    Branch,
    Condition,
    Effect,
    FinalRules,
    Fork,
    Not,
    Policy,
    Rule,
    RuleSet,
    Stage,
    Strategy,
    Table,
    Tree,
    TreeNode,
)
from risk.strategy.problems import Code, Problems
from risk.strategy.regions import EVERYTHING, Box, box_of
from risk.strategy.walking import paths_of, pushed_down


def check_conditions(strategy: Strategy, problems: Problems) -> None:
    """Note conditions that can never hold, and equal ones with different outcomes."""
    for path, stage in placed(strategy):
        if isinstance(stage, Tree):
            _check_tree(strategy, stage.root, EVERYTHING, f"{path}.root", problems)
        for where, condition in _written_conditions(path, stage):
            _check_possible(strategy, pushed_down(condition), EVERYTHING, where, problems)
        if isinstance(stage, Table):
            _check_table(strategy, stage, path, problems)
    _check_outcomes(strategy, problems)


def placed(strategy: Strategy) -> Iterator[tuple[str, Stage]]:
    """Walk the stages with their JSON paths."""
    for n, stage in enumerate(strategy.stages.values()):
        yield f"$.stages[{n}]", stage


def rules_of(path: str, stage: Stage) -> Iterator[tuple[str, Rule]]:
    """Walk the rules of a stage with their JSON paths; a stage without rules has none."""
    if isinstance(stage, RuleSet | FinalRules):
        for n, rule in enumerate(stage.rules):
            yield f"{path}.rules[{n}]", rule


def ends_of(path: str, stage: Stage) -> Iterator[tuple[str, AllOf, Effect]]:
    """Walk what rows and leaves do, with their JSON paths and when they do it."""
    if isinstance(stage, Table):
        for n, row in enumerate(stage.rows):
            yield f"{path}.rows[{n}]", row.when, row.effect
    if isinstance(stage, Tree):
        for conditions, leaf in paths_of(stage.root):
            yield f"{path}.root", AllOf(conditions), leaf.effect


def _written_conditions(path: str, stage: Stage) -> Iterator[tuple[str, Condition]]:
    for where, rule in rules_of(path, stage):
        yield f"{where}.when", rule.when
    if isinstance(stage, Branch):
        for n, case in enumerate(stage.cases):
            yield f"{path}.cases[{n}].when", case.when
    if isinstance(stage, Table):
        for n, row in enumerate(stage.rows):
            yield f"{path}.rows[{n}]", row.when


def _check_possible(
    strategy: Strategy, condition: Condition, outside: Box, path: str, problems: Problems
) -> None:
    """Note what contradicts itself, or what is asked around it."""
    parts = condition.parts if isinstance(condition, AllOf) else (condition,)
    box = outside.meet(box_of(parts, strategy.kinds))
    name = box.contradiction()
    if name is not None:
        problems.add(path, Code.CONTRADICTION, name=name)
        return
    for part in parts:
        if isinstance(part, AnyOf):
            for choice in part.parts:
                _check_possible(strategy, choice, box, path, problems)


def _check_tree(
    strategy: Strategy, node: TreeNode, outside: Box, path: str, problems: Problems
) -> None:
    if not isinstance(node, Fork):
        return
    ways = (("then", node.when, node.then), ("else", Not(node.when), node.otherwise))
    for key, condition, child in ways:
        pushed = pushed_down(condition)
        _check_possible(strategy, pushed, outside, f"{path}.{key}", problems)
        inside = outside.meet(box_of((pushed,), strategy.kinds))
        _check_tree(strategy, child, inside, f"{path}.{key}", problems)


def _check_table(strategy: Strategy, table: Table, path: str, problems: Problems) -> None:
    """Note rows that others cover (first) or may meet (unique)."""
    if table.policy is Policy.COLLECT:
        return
    boxes = [box_of((pushed_down(row.when),), strategy.kinds) for row in table.rows]
    for n, box in enumerate(boxes):
        for earlier, other in zip(boxes[:n], table.rows, strict=False):
            words = {"path": f"{path}.rows[{n}]", "name": other.id}
            if table.policy is Policy.FIRST and earlier.covers(box):
                problems.add(code=Code.ROW_UNREACHABLE, **words)
                break
            if table.policy is Policy.UNIQUE and earlier.may_meet(box):
                problems.add(code=Code.ROWS_OVERLAP, **words)
                break


def _check_outcomes(strategy: Strategy, problems: Problems) -> None:
    seen: dict[tuple[Condition, date | None, date | None], Rule] = {}
    for path, stage in placed(strategy):
        for where, rule in rules_of(path, stage):
            key = (pushed_down(rule.when), rule.effective_from, rule.effective_to)
            first = seen.setdefault(key, rule)
            if first.effect.outcome != rule.effect.outcome:
                problems.add(where, Code.OUTCOMES_CONTRADICT, name=first.id)
