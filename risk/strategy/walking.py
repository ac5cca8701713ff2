"""Ways through conditions, expressions and stages that several modules take.

It decides nothing; it answers which names are read and what a negation comes down to.
"""

from collections.abc import Iterable, Iterator, Mapping

from risk.strategy.language import (
    ATOMS,
    AllOf,
    AnyOf,
    Arithmetic,
    Atom,
    Branch,
    Card,
    Compare,
    Compute,
    Condition,
    Constant,
    Expression,
    FinalRules,
    Fork,
    InList,
    Leaf,
    Model,
    Name,
    Not,
    RuleSet,
    Stage,
    Strategy,
    Table,
    Tree,
    TreeNode,
)


def names_in(thing: Condition | Expression) -> Iterator[str]:
    """Name what a condition or an expression reads, in order, with repetitions."""
    match thing:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from names_in(part)
        case Not(part):
            yield from names_in(part)
        case Arithmetic(_, operands):
            for operand in operands:
                yield from names_in(operand)
        case Compare(name, _, Name(other)):
            yield from (name, other)
        case Constant():
            return
        case _:
            yield thing.name


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Drop repetitions, keeping the order."""
    return tuple(dict.fromkeys(names))


def with_sources(names: Iterable[str], derived: Mapping[str, Expression]) -> tuple[str, ...]:
    """Put behind every derived name what it comes from, so that a reason names the field."""
    found: dict[str, None] = {}

    def follow(name: str) -> None:
        if name not in found:
            found[name] = None
            for source in names_in(derived[name]) if name in derived else ():
                follow(source)

    for name in names:
        follow(name)
    return tuple(found)


def pushed_down(condition: Condition, *, is_negated: bool = False) -> Condition:
    """Move negations down to single statements; three-valued logic allows it."""
    match condition:
        case Not(part):
            return pushed_down(part, is_negated=not is_negated)
        case AllOf(parts) | AnyOf(parts):
            inner = tuple(pushed_down(part, is_negated=is_negated) for part in parts)
            return AllOf(inner) if isinstance(condition, AllOf) != is_negated else AnyOf(inner)
        case _:
            return Not(condition) if is_negated else condition


def paths_of(root: TreeNode) -> Iterator[tuple[tuple[Condition, ...], Leaf]]:
    """Walk to every leaf of a tree with the conditions that lead there."""
    if isinstance(root, Leaf):
        yield (), root
        return
    for when, child in ((root.when, root.then), (Not(root.when), root.otherwise)):
        for path, leaf in paths_of(child):
            yield (when, *path), leaf


def forks_of(root: TreeNode) -> Iterator[Fork]:
    """Walk to every fork of a tree, from the top."""
    if isinstance(root, Fork):
        yield root
        yield from forks_of(root.then)
        yield from forks_of(root.otherwise)


def conditions_of(stage: Stage) -> Iterator[Condition]:
    """Walk to every condition of a stage itself, not of those that a branch leads to."""
    match stage:
        case RuleSet(rules=rules) | FinalRules(rules=rules):
            yield from (rule.when for rule in rules)
        case Table(rows=rows):
            yield from (row.when for row in rows)
        case Tree(root=root):
            yield from (fork.when for fork in forks_of(root))
        case Branch(cases=cases):
            yield from (case.when for case in cases)


def lists_in(condition: Condition) -> Iterator[InList]:
    """Walk to every question to a list."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from lists_in(part)
        case Not(part):
            yield from lists_in(part)
        case InList():
            yield condition
        case _:
            return


def lists_of(strategy: Strategy) -> frozenset[str]:
    """Name the lists that a strategy asks in any of its stages."""
    conditions = (each for stage in strategy.stages.values() for each in conditions_of(stage))
    return frozenset(asked.list_name for each in conditions for asked in lists_in(each))


def names_read(stage: Stage) -> tuple[str, ...]:
    """Name what a stage itself reads."""
    names = [name for condition in conditions_of(stage) for name in names_in(condition)]
    match stage:
        case Table(columns=columns):
            return unique((*columns, *names))
        case Card(scorecard=scorecard):
            return scorecard.features
        case Compute(sets=sets):
            return unique(name for _, expression in sets for name in names_in(expression))
        case _:
            return unique(names)


def names_of_product(strategy: Strategy, product: str) -> tuple[str, ...]:
    """Name what a product reads in any of its stages, and what it must have; derived names too.

    Raises:
        KeyError: The strategy has no such product.
    """

    def read_in(stages: Iterable[str]) -> Iterator[str]:
        for stage in (strategy.stages[name] for name in stages):
            yield from names_read(stage)
            if isinstance(stage, Branch):
                for case in stage.cases:
                    yield from read_in(case.stages)
                yield from read_in(stage.otherwise)

    required = (each.name for each in strategy.required)
    return unique((*required, *read_in(strategy.products[product])))


def outputs_of(stage: Stage) -> tuple[str, ...]:
    """Name the outputs that a stage may set."""
    match stage:
        case Table(rows=rows):
            return unique(name for row in rows for name, _ in row.effect.sets)
        case Card(output=output) | Model(output=output):
            return (output,)
        case Tree(root=root):
            return unique(name for _, leaf in paths_of(root) for name, _ in leaf.effect.sets)
        case Compute(sets=sets):
            return unique(name for name, _ in sets)
        case _:
            return ()


def stages_run(strategy: Strategy, stages: Iterable[str]) -> Iterator[str]:
    """Walk the ids of stages that may run, those of branches too."""
    for stage_id in stages:
        yield stage_id
        stage = strategy.stages[stage_id]
        if isinstance(stage, Branch):
            for inner in (*(case.stages for case in stage.cases), stage.otherwise):
                yield from stages_run(strategy, inner)


def atoms_of(condition: Condition) -> Iterator[tuple[Atom, bool]]:
    """Walk to every atom of a pushed-down condition; True where it is negated."""
    if isinstance(condition, (AllOf, AnyOf)):
        for part in condition.parts:
            yield from atoms_of(part)
    atom, is_negated = (condition.part, True) if isinstance(condition, Not) else (condition, False)
    if isinstance(atom, ATOMS):
        yield atom, is_negated
