"""Cases with expected outcomes: what a strategy has to decide, and which of its parts they reach.

A case is an applicant's values and what must come of them. Every case runs through the interpreter
and the generated function, which have to agree. Pure: where cases are kept is not known here.

    CasesInvalid  422  cases that cannot be read; `problems` names every mistake
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel.errors import Invalid
from risk.features.values import CLEAN, shown
from risk.strategy.compiler import FormsDiffer, compile_strategy
from risk.strategy.decision import Circumstances, Decision, HitKind
from risk.strategy.interpreter import Interpretation, interpret
from risk.strategy.language import Strategy
from risk.strategy.lists import ListBook, ListEntry
from risk.strategy.parts import TAKEN, Part, PartKind, parts_of
from risk.strategy.reasons import reasons_of
from risk.strategy.scoring import without_support

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Mapping[str, object]
# Scores a row by the models that the strategy calls.
Scores: TypeAlias = Callable[[Row], Mapping[str, float]]

_STRICT: Final = ConfigDict(extra="forbid", frozen=True, strict=True)


class CasesInvalid(Invalid):
    """Some cases cannot be read, or do not fit the strategy; `problems` names every mistake."""

    code = "strategy-cases-invalid"
    message_zh = "测试用例有误，请检查"


class Expected(BaseModel):
    """What must come out; what is not named is not looked at.

    Attributes:
        reasons: Codes of the reasons, in any order.
        outputs: Such as line and price, by name.
    """

    model_config = _STRICT

    outcome: str = Field(pattern="^(approve|review|decline)$")
    reasons: list[str] | None = None
    outputs: dict[str, Value] = Field(default={})


class TestCase(BaseModel):
    """One applicant, and what must come of it.

    Attributes:
        on: The business date as ISO text; the day of the test if not given.
        application: What an application states, by name.
        vector: What is stored of the applicant, by name.
        scores: What models say, by name, where they are not to be asked.
        listed: What stands on lists, by list; every other value stands on none.
        snoozed: Ids of rules that are silenced for the applicant.
    """

    __test__ = False  # no test class of pytest's
    model_config = _STRICT

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    title: str = Field(default="", max_length=200)
    product: str
    on: str | None = None
    application: dict[str, Value] = Field(default={})
    vector: dict[str, Value] = Field(default={})
    scores: dict[str, float] = Field(default={})
    listed: dict[str, list[str]] = Field(default={})
    snoozed: list[str] = Field(default=[])
    expected: Expected

    @property
    def row(self) -> dict[str, Value]:
        """All values; what the application states goes before what is stored."""
        return {**self.vector, **self.application}


class _Cases(BaseModel):
    model_config = _STRICT

    cases: list[TestCase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What came out otherwise than expected."""

    what: str
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How a case came out.

    Attributes:
        differences: Empty where it passed.
        hits: Ids of all evidence.
    """

    id: str
    title: str
    product: str
    outcome: str
    differences: tuple[Difference, ...]
    hits: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it came out as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which cases reach a part.

    Attributes:
        can_miss: A missing value has consequences here.
        hits: Cases in which it held, was taken, or ran.
        misses: Cases in which it could not be told.
        is_reached: Some case came to it at all.
    """

    id: str
    kind: PartKind
    stage: str
    title: str
    can_miss: bool
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    is_reached: bool

    @property
    def state(self) -> str:
        """`hit`, `missing` (only its missing branch), `passed` (looked at, never held), `never`."""
        if self.hits:
            return "hit"
        if self.misses:
            return "missing"
        return "passed" if self.is_reached else "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """What all cases say of a strategy."""

    results: tuple[CaseResult, ...]
    coverage: tuple[Coverage, ...]

    @property
    def failing(self) -> tuple[CaseResult, ...]:
        """Those that came out otherwise than expected."""
        return tuple(each for each in self.results if not each.passed)

    @property
    def without_case(self) -> tuple[str, ...]:
        """Ids of rules, rows, leaves and cases that held in no case."""
        return tuple(each.id for each in self.coverage if each.kind in TAKEN and not each.hits)

    @property
    def missing_untested(self) -> tuple[str, ...]:
        """Ids of parts whose missing branch no case takes."""
        return tuple(each.id for each in self.coverage if each.can_miss and not each.misses)

    def document(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "cases": len(self.results),
            "failing": [each.id for each in self.failing],
            "without_case": list(self.without_case),
            "missing_untested": list(self.missing_untested),
            "results": [asdict(each) | {"passed": each.passed} for each in self.results],
            "coverage": [asdict(each) | {"state": each.state} for each in self.coverage],
        }


def read_cases(document: Mapping[str, Any], strategy: Strategy) -> tuple[TestCase, ...]:
    """Read cases and check them against a strategy.

    Args:
        document: `cases` is a list of what `TestCase` holds.
        strategy: Whose products, inputs, outputs and reasons they name.

    Raises:
        CasesInvalid: See `problems`.
    """
    try:
        cases = _Cases.model_validate(document).cases
    except ValidationError as error:
        problems = [_sentence(each) for each in error.errors()]
        raise CasesInvalid("; ".join(problems), problems=problems) from error
    problems = [f"{case.id}: {text}" for case in cases for text in _mistakes(case, strategy)]
    twice = {case.id for case in cases if [each.id for each in cases].count(case.id) > 1}
    problems += [f"{each}: the id stands twice" for each in sorted(twice)]
    if problems:
        raise CasesInvalid("; ".join(problems), problems=problems)
    return tuple(cases)


def run_cases(
    strategy: Strategy, cases: Sequence[TestCase], *, on: date, scores: Scores
) -> CaseReport:
    """Run all cases through both forms, and say what they reach.

    Args:
        strategy: Read and checked.
        cases: Checked against it.
        on: The day of cases that name none.
        scores: Asks the models; what a case says goes before.

    Raises:
        FormsDiffer: Interpreter and generated function decide differently on a case.
    """
    compiled = {each: compile_strategy(strategy, product=each) for each in strategy.products}
    results, seen = [], []
    for case in cases:
        around = _around(strategy, case, on, scores)
        found = interpret(strategy, case.row, product=case.product, around=around)
        generated = compiled[case.product].decide(case.row, around)
        if generated != found.decision:
            raise FormsDiffer(f"case {case.id}: {found.decision}, generated {generated}")
        results.append(_result(strategy, case, found.decision))
        seen.append((case, found))
    parts = {
        part.id: part for each in strategy.products for part in parts_of(strategy, product=each)
    }
    return CaseReport(
        results=tuple(results),
        coverage=tuple(_coverage(part, seen) for part in parts.values()),
    )


def _around(strategy: Strategy, case: TestCase, on: date, scores: Scores) -> Circumstances:
    day = date.fromisoformat(case.on) if case.on else on
    said = {**scores(case.row), **case.scores}
    firm = {**scores(without_support(strategy, case.row)), **case.scores}
    return Circumstances(
        on=day,
        lists=_Listed(case.listed, day),
        score=said.get,
        firm_score=firm.get,
        snoozed=frozenset(case.snoozed),
    )


class _Listed:
    """The lists of a case: all can be read, and only what the case names stands on them."""

    def __init__(self, listed: Mapping[str, Sequence[str]], on: date) -> None:
        entries = [
            ListEntry(
                list_name=name, value=value, source="case", reason="", added_on=on, expires_on=None
            )
            for name, values in listed.items()
            for value in values
        ]
        self._entries, self._on = entries, on

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        book = ListBook(names=[list_name], entries=self._entries, on=self._on)
        return book.holds(list_name, match, value)


def _result(strategy: Strategy, case: TestCase, decision: Decision) -> CaseResult:
    return CaseResult(
        id=case.id,
        title=case.title,
        product=case.product,
        outcome=decision.outcome.name.lower(),
        differences=tuple(_differences(strategy, case.expected, decision)),
        hits=tuple(dict.fromkeys(hit.rule for hit in decision.hits)),
    )


def _differences(
    strategy: Strategy, expected: Expected, decision: Decision
) -> Iterator[Difference]:
    outcome = decision.outcome.name.lower()
    if outcome != expected.outcome:
        yield Difference(what="outcome", expected=expected.outcome, found=outcome)
    codes = sorted(reason.code for reason in reasons_of(strategy, decision))
    if expected.reasons is not None and codes != sorted(set(expected.reasons)):
        yield Difference(what="reasons", expected=sorted(set(expected.reasons)), found=codes)
    for name, wanted in expected.outputs.items():
        found, kind = decision.outputs[name], strategy.outputs[name]
        if found != shown(kind, CLEAN[kind](wanted)):
            yield Difference(what=name, expected=wanted, found=found)


def _coverage(part: Part, seen: Sequence[tuple[TestCase, Interpretation]]) -> Coverage:
    hits, misses, reached = [], [], False
    for case, found in seen:
        kinds = {hit.kind for hit in found.decision.hits if hit.rule == part.id}
        looked = [check.holds for check in found.checks if check.rule == part.id]
        if part.kind in {PartKind.STAGE, PartKind.SET} and part.stage in found.path:
            looked.append(True)
        is_missed = HitKind.MISSING in kinds or None in looked
        reached = reached or bool(looked) or bool(kinds)
        if is_missed:
            misses.append(case.id)
        elif kinds & {HitKind.HIT, HitKind.TAKEN} or (part.kind not in TAKEN and True in looked):
            hits.append(case.id)
    return Coverage(
        id=part.id,
        kind=part.kind,
        stage=part.stage,
        title=part.title,
        can_miss=part.missing is not None,
        hits=tuple(hits),
        misses=tuple(misses),
        is_reached=reached,
    )


def _mistakes(case: TestCase, strategy: Strategy) -> Iterator[str]:
    if case.product not in strategy.products:
        yield f"no product {case.product}"
    if case.on is not None and not _is_day(case.on):
        yield f"{case.on} is no date"
    for name in case.expected.outputs.keys() - strategy.outputs.keys():
        yield f"no output {name}"
    known = {*strategy.reasons, "data-missing"}
    for code in set(case.expected.reasons or ()) - known:
        yield f"no reason {code}"


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _sentence(error: Any) -> str:
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
