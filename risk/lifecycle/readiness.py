"""What is known of a version before it comes into force: what its author and its approver look at.

Its cases are run on it and on what is in force. Backtests, shadows and challenges are found by the
hash of its body, so what was learnt of an older draft is told apart. No figure is judged here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from desk.queries import (
    DocumentNotFound,
    DocumentView,
    document_in_force,
    document_version,
    document_versions,
)
from kernel.errors import FenqiError
from risk.decisions.strategies import STRATEGY
from risk.features.catalogue import Catalogue
from risk.lifecycle.cases import CaseReport, CaseResult, Coverage
from risk.lifecycle.publishing import CASES, stored_cases, tried_version
from risk.lifecycle.queries import (
    BacktestView,
    ChallengeView,
    ShadowView,
    challenges,
    newest_backtest,
    shadows,
)
from risk.strategy.parts import TAKEN


class Hindrance(StrEnum):
    """What keeps a version from being published."""

    UNREADABLE = "unreadable"
    NO_CASES = "no-cases"
    CASES_FAIL = "cases-fail"
    UNTESTED = "untested"


class CaseNews(StrEnum):
    """What became of a case since the version in force was tested."""

    SAME = "same"
    NEW = "new"
    EDITED = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """A case, and how it comes out.

    Attributes:
        expected: The outcome that it names.
        was: What the version in force makes of it; None if it cannot run there.
    """

    result: CaseResult
    expected: str
    was: str | None
    news: CaseNews

    @property
    def is_moved(self) -> bool:
        """Whether the version decides it otherwise than what is in force."""
        return self.was is not None and self.was != self.result.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtested:
    """The newest backtest of a product.

    Attributes:
        is_of_version: It tried this very body, not an older draft.
        is_against_in_force: It compared with what is in force now.
    """

    view: BacktestView
    is_of_version: bool
    is_against_in_force: bool

    @property
    def is_fresh(self) -> bool:
        """Whether it says something of what would change today."""
        return self.is_of_version and self.is_against_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """All that is known of a version.

    Attributes:
        cases: Empty where they cannot run; `refused` says why.
        dropped: Titles of cases that the version in force was tested by, and are gone.
        coverage: Of what can be hit, taken or come to.
        is_tested_by_these: The cases are those that it was marked as tested by.
        backtests: One a product at most.
        shadows: Of this very body; likewise `challenges`.
    """

    version: DocumentView
    in_force: DocumentView | None
    cases: tuple[CaseLine, ...]
    dropped: tuple[str, ...]
    coverage: tuple[Coverage, ...]
    refused: FenqiError | None
    is_tested_by_these: bool
    backtests: tuple[Backtested, ...]
    shadows: tuple[ShadowView, ...]
    challenges: tuple[ChallengeView, ...]

    @property
    def failing(self) -> tuple[CaseLine, ...]:
        """Cases that come out otherwise than expected."""
        return tuple(line for line in self.cases if not line.result.passed)

    @property
    def moved(self) -> tuple[CaseLine, ...]:
        """Cases that what is in force decides otherwise."""
        return tuple(line for line in self.cases if line.is_moved)

    @property
    def uncovered(self) -> tuple[Coverage, ...]:
        """Rules, rows, leaves and cases that no case hits."""
        return tuple(part for part in self.coverage if not part.hits)

    @property
    def hindrance(self) -> Hindrance | None:
        """What keeps it from being published, the first thing to put right."""
        if self.refused is not None:
            return Hindrance.UNREADABLE
        if not self.cases:
            return Hindrance.NO_CASES
        if self.failing:
            return Hindrance.CASES_FAIL
        return None if self.version.tested_at else Hindrance.UNTESTED


def readiness_of(
    session: Session, *, key: str, version: int, catalogue: Catalogue, on: date
) -> Readiness:
    """Collect all that is known of a version; changes nothing.

    Raises:
        DocumentNotFound: There is no such version.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    in_force = document_in_force(session, kind=STRATEGY, key=key, on=on)
    stored = stored_cases(session, key=key)
    report, refused = _run(session, view, catalogue, on)
    lines: tuple[CaseLine, ...] = ()
    before = _cases_of(session, in_force)
    if report is not None:
        was = _outcomes_in_force(session, in_force, catalogue, on)
        lines = tuple(_line(result, stored.body, before, was) for result in report.results)
    kept = {case["id"] for case in stored.body["cases"]}
    return Readiness(
        version=view,
        in_force=in_force,
        cases=lines,
        dropped=tuple(case.get("title") or id_ for id_, case in before.items() if id_ not in kept),
        coverage=tuple(each for each in report.coverage if each.kind in TAKEN) if report else (),
        refused=refused,
        is_tested_by_these=_tested_by(view) == stored.hash,
        backtests=_backtests(session, view, in_force),
        shadows=tuple(
            each for each in shadows(session, strategy=key) if each.strategy_hash == view.body_hash
        ),
        challenges=tuple(
            each
            for each in challenges(session, strategy=key)
            if each.strategy_hash == view.body_hash
        ),
    )


def _run(
    session: Session, view: DocumentView, catalogue: Catalogue, on: date
) -> tuple[CaseReport | None, FenqiError | None]:
    try:
        report = tried_version(
            session, key=view.key, version=view.version, catalogue=catalogue, on=on
        )
    except FenqiError as refused:
        return None, refused
    return report, None


def _outcomes_in_force(
    session: Session, in_force: DocumentView | None, catalogue: Catalogue, on: date
) -> Mapping[str, str]:
    """Say what the version in force makes of each case; nothing where they do not fit it."""
    if in_force is None:
        return {}
    report, _ = _run(session, in_force, catalogue, on)
    return {each.id: each.outcome for each in report.results} if report else {}


def _line(
    result: CaseResult,
    body: Mapping[str, Any],
    before: Mapping[str, Any],
    was: Mapping[str, str],
) -> CaseLine:
    case = next(each for each in body["cases"] if each["id"] == result.id)
    news = CaseNews.SAME
    if result.id not in before:
        news = CaseNews.NEW
    elif before[result.id] != case:
        news = CaseNews.EDITED
    return CaseLine(
        result=result,
        expected=case["expected"]["outcome"],
        was=was.get(result.id),
        news=news,
    )


def _tested_by(view: DocumentView | None) -> str:
    """Name the cases that a version was marked as tested by, by their hash."""
    report = view.test_report if view else None
    return str((report or {}).get("cases_hash", ""))


def _cases_of(session: Session, in_force: DocumentView | None) -> dict[str, Any]:
    """Find the cases that the version in force was tested by, by their ids."""
    wanted = _tested_by(in_force)
    if in_force is None or not wanted:
        return {}
    try:
        versions = document_versions(session, kind=CASES, key=in_force.key)
    except DocumentNotFound:
        return {}
    return {
        case["id"]: case
        for each in versions
        if each.body_hash == wanted
        for case in each.body["cases"]
    }


def _backtests(
    session: Session, view: DocumentView, in_force: DocumentView | None
) -> tuple[Backtested, ...]:
    found = (
        newest_backtest(session, strategy=view.key, product=each["product"], of=view.body_hash)
        for each in view.body.get("products", ())
    )
    live = in_force.body_hash if in_force else None
    return tuple(
        Backtested(
            view=each,
            is_of_version=each.strategy_hash == view.body_hash,
            is_against_in_force=each.against_hash == live,
        )
        for each in found
        if each is not None
    )
