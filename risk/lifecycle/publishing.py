"""A strategy's steps: cases kept, a version tested by them, published by another person.

Cases are a document of their own beside the strategy's, so every change of them is kept and
audited. Drafts are saved, and rolled back, by desk's documents and `risk.decisions.strategies`.

    CasesFail         409  a case comes out otherwise than expected; `failing` names them
    CasesAbsent       409  the strategy has no case at all
    VersionUntested   409  no version of that body was marked as tested
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from desk.operations import documents
from desk.queries import DocumentNotFound, DocumentView, document_version, document_versions
from kernel.clock import business_date
from kernel.errors import Conflict
from risk.decisions.strategies import (
    STRATEGY,
    Publication,
    Tried,
    assert_lists_made,
    check_for_publication,
    models_of,
)
from risk.features.catalogue import Catalogue
from risk.features.values import admitted
from risk.lifecycle.cases import CaseReport, Row, Scores, TestCase, read_cases, run_cases
from risk.models.generated import scorer_of
from risk.models.reading import read_model
from risk.ports import ProductPrices
from risk.strategy.language import Strategy
from risk.strategy.reading import read_strategy

CASES: Final = "risk.cases"
TESTED: Final = "tested"


class CasesFail(Conflict):
    """A case comes out otherwise than expected; `failing` names them."""

    code = "strategy-cases-fail"
    message_zh = "有测试用例未通过，不能标记为已测试，也不能发布"


class CasesAbsent(Conflict):
    """The strategy has no case at all."""

    code = "strategy-cases-absent"
    message_zh = "策略还没有测试用例，请先添加"


class VersionUntested(Conflict):
    """No version of that very body was marked as tested by its cases."""

    code = "strategy-version-untested"
    message_zh = "该内容没有测试通过的记录，不能发布：请附上测试用例，或先测试这一版"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCases:
    """The newest cases of a strategy.

    Attributes:
        version: Of their document; 0 where there is none.
        hash: Of their document.
        body: As stored.
    """

    version: int
    hash: str
    body: Mapping[str, Any]


def save_cases(
    session: Session,
    *,
    key: str,
    cases: Mapping[str, Any],
    strategy: Strategy,
    by: str,
    now: datetime,
    note: str = "",
) -> int:
    """Keep the cases of a strategy as the next version of them; returns its number.

    Args:
        session: An open write session.
        key: The strategy's id.
        cases: `{"cases": […]}`, see `risk.lifecycle.cases.TestCase`.
        strategy: The version that they are written against.
        by: A staff login.
        now: The instant of the request.
        note: What changed and why.

    Raises:
        CasesInvalid: They cannot be read, or do not fit the strategy.
    """
    read_cases(cases, strategy)
    return documents.save_draft(
        session, kind=CASES, key=key, body=cases, author=by, now=now, note=note
    )


def stored_cases(session: Session, *, key: str) -> StoredCases:
    """Return the newest cases of a strategy."""
    try:
        newest = document_versions(session, kind=CASES, key=key)[0]
    except DocumentNotFound:
        return StoredCases(version=0, hash="", body={"cases": []})
    return StoredCases(version=newest.version, hash=newest.body_hash, body=newest.body)


def tried_version(
    session: Session, *, key: str, version: int, catalogue: Catalogue, on: date
) -> CaseReport:
    """Run the stored cases on a version, whatever its state; changes nothing.

    Raises:
        DocumentNotFound: No such version.
        StrategyInvalid: It cannot be read.
        CasesInvalid: The cases do not fit it.
        ModelNotPublished: It calls a model that is not in force on the day.
        FormsDiffer: Interpreter and generated function differ on a case.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    return _tried(session, view, catalogue, on)[1]


def mark_version_tested(
    session: Session, *, key: str, version: int, catalogue: Catalogue, by: str, now: datetime
) -> CaseReport:
    """Mark a draft as tested, with what its cases say, if all of them pass.

    Raises: As `tried_version` does, and
        CasesAbsent: There is no case.
        CasesFail: See `failing`.
        ListsAbsent: It asks a list that was not made.
        DocumentStepRefused: It is past testing.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    assert_lists_made(session, read_strategy(view.body, catalogue))
    cases, report = _passed(session, view, catalogue, now)
    documents.mark_tested(
        session,
        kind=STRATEGY,
        key=key,
        version=version,
        report=report.document() | {"cases_version": cases.version, "cases_hash": cases.hash},
        by=by,
        now=now,
    )
    return report


def tested_version(session: Session, *, key: str, digest: str) -> int:
    """Find the version of a body, by its hash, that waits as tested.

    Raises:
        VersionUntested: There is none.
    """
    try:
        versions = document_versions(session, kind=STRATEGY, key=key)
    except DocumentNotFound:
        versions = ()
    for view in versions:
        if view.body_hash == digest and view.state == TESTED:
            return view.version
    raise VersionUntested(f"no version of {key} with the hash {digest[:12]} was tested")


def publish_version(
    session: Session,
    *,
    key: str,
    version: int,
    catalogue: Catalogue,
    by: str,
    effective_on: date,
    now: datetime,
    prices: ProductPrices | None = None,
) -> Publication:
    """Approve a tested version from a day on; its cases and forms are tried once more.

    If its own first day is later, it decides from then on, and what is in force goes on until then.
    The caller tells workers after the commit: `risk.decisions.strategies.tell_workers`.

    Raises: As `mark_version_tested` and `publish_strategy` do, and
        AuthorApproves: The author tries.
        EffectiveInThePast: The day is before today.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    effective_on = max(effective_on, read_strategy(view.body, catalogue).effective_from)
    tried = assert_ready(
        session, view, catalogue, effective_on=effective_on, now=now, prices=prices
    )
    documents.approve(
        session,
        kind=STRATEGY,
        key=key,
        version=version,
        by=by,
        effective_on=effective_on,
        now=now,
    )
    return Publication(
        key=key,
        version=version,
        hash=view.body_hash,
        compared=tried.compared,
        stored=tried.stored,
        effective_on=effective_on,
    )


def assert_ready(
    session: Session,
    view: DocumentView,
    catalogue: Catalogue,
    *,
    effective_on: date,
    now: datetime,
    prices: ProductPrices | None = None,
) -> Tried:
    """Make sure that a version may decide from a day on: by its cases, and as any publication.

    Raises: As `publish_version` does.
    """
    _passed(session, view, catalogue, now)
    return check_for_publication(session, view.body, catalogue, on=effective_on, prices=prices)


def scores_of(session: Session, strategy: Strategy, *, on: date) -> Scores:
    """Return what asks the models that a strategy calls, as they are in force on a day.

    Raises:
        ModelNotPublished: One of them is not.
    """
    called = {
        name: (model, scorer_of(model))
        for name, view in models_of(session, strategy, on=on).items()
        for model in (read_model(view.body),)
    }

    def scores(row: Row) -> dict[str, float]:
        read = admitted(row, strategy.domains)
        return {
            name: scorer(tuple(map(read.get, model.features)))
            for name, (model, scorer) in called.items()
        }

    return scores


def _passed(
    session: Session, view: DocumentView, catalogue: Catalogue, now: datetime
) -> tuple[StoredCases, CaseReport]:
    cases, report = _tried(session, view, catalogue, business_date(now))
    if not report.results:
        raise CasesAbsent("the strategy has no case")
    if report.failing:
        names = [each.id for each in report.failing]
        raise CasesFail(f"cases fail: {', '.join(names)}", failing=names)
    return cases, report


def _tried(
    session: Session, view: DocumentView, catalogue: Catalogue, on: date
) -> tuple[StoredCases, CaseReport]:
    strategy = read_strategy(view.body, catalogue)
    stored = stored_cases(session, key=view.key)
    cases: tuple[TestCase, ...] = ()
    if stored.body["cases"]:
        cases = read_cases(stored.body, strategy)
    scores = scores_of(session, strategy, on=on)
    return stored, run_cases(strategy, cases, on=on, scores=scores)
