"""Walks the stages as each product runs them: order, repetitions, cycles, what is set by when."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from risk.strategy.checking import placed
from risk.strategy.language import Branch, FinalRules, Strategy
from risk.strategy.problems import Code, Problems
from risk.strategy.walking import names_read, outputs_of, unique

MAX_BRANCHES_DEEP: Final = 8
# A stage counts once for every way through the branches on which it stands.
MAX_STAGES: Final = 1_000


def check_flow(strategy: Strategy, problems: Problems) -> None:
    """Note products that do not end in one final stage, go in circles, or read what is not set."""
    paths = {stage.id: path for path, stage in placed(strategy)}
    for n, (product, stages) in enumerate(strategy.products.items()):
        where = f"$.products[{n}].stages"
        finals = [name for name in stages if isinstance(strategy.stages[name], FinalRules)]
        if finals != [stages[-1]]:
            problems.add(where, Code.FINAL_MISPLACED, product=product)
        walk = _Walk(
            strategy=strategy, product=product, where=where, paths=paths, problems=problems
        )
        walk.run(stages, frozenset(), frozenset(), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """One product's way; `seen` are stages behind it, `known` outputs that may be set by then.

    `ran` holds every stage as often as it was come to.
    """

    strategy: Strategy
    product: str
    where: str
    paths: dict[str, str]
    problems: Problems
    ran: list[str] = field(default_factory=list)

    def run(
        self,
        names: tuple[str, ...],
        seen: frozenset[str],
        known: frozenset[str],
        inside: tuple[str, ...],
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Walk some stages within some branches; return what was seen and may be set then."""
        for name in names:
            stage = self.strategy.stages[name]
            if name in inside or len(inside) > MAX_BRANCHES_DEEP:
                code = Code.CYCLE if name in inside else Code.TOO_DEEP
                self.problems.add(self.paths[inside[-1]], code, name=name, limit=MAX_BRANCHES_DEEP)
                continue
            if len(self.ran) == MAX_STAGES:
                words = {"product": self.product, "limit": MAX_STAGES}
                self.problems.add(self.where, Code.TOO_LARGE, **words)
                break
            self.ran.append(name)
            if name in seen:
                self.problems.add(self.where, Code.STAGE_TWICE, product=self.product, name=name)
            self._check_reads(name, known)
            seen |= {name}
            known |= set(outputs_of(stage))
            if isinstance(stage, Branch):
                seen, known = self._branch(stage, seen, known, (*inside, name))
        return seen, known

    def _branch(
        self,
        branch: Branch,
        seen: frozenset[str],
        known: frozenset[str],
        inside: tuple[str, ...],
    ) -> tuple[frozenset[str], frozenset[str]]:
        ways = [case.stages for case in branch.cases] + [branch.otherwise]
        finals = [
            name
            for name in unique(name for way in ways for name in way)
            if isinstance(self.strategy.stages[name], FinalRules)
        ]
        if finals:
            self.problems.add(self.paths[branch.id], Code.FINAL_MISPLACED, product=self.product)
        ends = [self.run(way, seen, known, inside) for way in ways]
        return frozenset().union(*(end[0] for end in ends)), frozenset().union(
            *(end[1] for end in ends)
        )

    def _check_reads(self, name: str, known: AbstractSet[str]) -> None:
        for read in names_read(self.strategy.stages[name]):
            if read in self.strategy.outputs and read not in known:
                self.problems.add(
                    self.paths[name], Code.OUTPUT_NOT_SET, product=self.product, name=read
                )
