"""Backtests of stored versions on stored decisions, kept for good.

BacktestProductUnknown  422  the strategy does not decide that product
NothingToBacktest       409  no decision of that product was stored in the period
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from desk.operations.audit import append_audit
from desk.queries import document_in_force, document_version
from kernel.clock import business_date, start_of_day
from kernel.errors import Conflict, Invalid
from risk.decisions.strategies import STRATEGY, models_of
from risk.features.catalogue import Catalogue
from risk.lifecycle.backtest import STANDARD, Assumptions, backtest
from risk.lifecycle.history import Judge
from risk.lifecycle.stored import Progress, Wanted, count_stored, stored_history, unheard
from risk.lifecycle.tables import StrategyBacktest
from risk.models.reading import read_model
from risk.ports import ProductPrices
from risk.strategy.reading import read_strategy

MOST_ROWS: Final = 2_000_000
"""Decisions that one backtest reads at most: they are held in memory, column by column."""


class BacktestProductUnknown(Invalid):
    """The strategy does not decide that product."""

    code = "backtest-product-unknown"
    message_zh = "该策略不包含这个产品"


class NothingToBacktest(Conflict):
    """No decision of that product was stored in the period."""

    code = "backtest-without-decisions"
    message_zh = "该时间段内没有可回测的决策记录"


class BacktestTooLarge(Invalid):
    """More than two million decisions of that product were stored in the period."""

    code = "backtest-too-large"
    message_zh = "该时间段内的决策超过两百万条，请缩短时间段"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which stored decisions a draft is tried on, and how it is told.

    Attributes:
        since: First business date.
        until: First business date no longer.
        segments: Dimensions to cut the report by.
        with_snoozes: Whether rules that were silenced then are silent again.
    """

    product: str
    since: date
    until: date
    segments: tuple[str, ...] = ()
    assumptions: Assumptions = STANDARD
    with_snoozes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report, and what it was made of.

    Attributes:
        version: Of the strategy; None if nobody has saved it yet.
        data: The period.
    """

    report: dict[str, Any]
    strategy: str
    version: int | None
    data: str
    data_hash: str


def assumed(
    session: Session, *, product: str, prices: ProductPrices | None, on: date
) -> Assumptions:
    """Assume that a product costs its own price, the highest, where a strategy sets none."""
    sold = prices.ranges(session, on=on) if prices else {}
    return replace(STANDARD, rate_unset=float(sold[product][1])) if product in sold else STANDARD


def backtest_version(
    session: Session,
    *,
    key: str,
    version: int,
    question: Question,
    catalogue: Catalogue,
    by: str,
    now: datetime,
) -> int:
    """Try a version on stored decisions against the version in force, and keep the report.

    Args:
        session: An open write session; reading takes seconds on many decisions.
        key: The strategy.
        version: Its version, in whatever state.
        question: See there.
        catalogue: By which it is read.
        by: A staff login.
        now: The instant of the request; outcomes that are known by then count.

    Returns:
        The number of the report.

    Raises:
        DocumentNotFound: No such version.
        StrategyInvalid: It cannot be read.
        ModelNotPublished: It calls a model that is not in force.
        BacktestProductUnknown: See there; likewise NothingToBacktest.
    """
    made = made_backtest(
        session, key=key, version=version, question=question, catalogue=catalogue, now=now
    )
    return keep_made(session, made, by=by, now=now)


def made_backtest(
    session: Session,
    *,
    key: str,
    version: int,
    question: Question,
    catalogue: Catalogue,
    now: datetime,
    progress: Progress = unheard,
) -> Made:
    """Make the report of a version in a read session; errors of `backtest_version`.

    Args:
        session: An open session; nothing is written.
        key: The strategy.
        version: Its version.
        question: See there.
        catalogue: By which it is read.
        now: Outcomes that are known by then count.
        progress: Hears how many of how many decisions were read; may raise to stop.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    draft = judge_of(session, view.body, catalogue, on=business_date(now))
    return _made(session, draft, version, question, catalogue, now=now, progress=progress)


def backtest_document(
    session: Session,
    *,
    document: Mapping[str, Any],
    question: Question,
    catalogue: Catalogue,
    by: str,
    now: datetime,
) -> int:
    """Try a strategy that nobody has saved yet; everything else is as in `backtest_version`."""
    draft = judge_of(session, document, catalogue, on=business_date(now))
    made = _made(session, draft, None, question, catalogue, now=now, progress=unheard)
    return keep_made(session, made, by=by, now=now)


def assert_askable(session: Session, *, key: str, version: int, question: Question) -> None:
    """Make sure that a version can be tried at all, before anybody waits for it.

    Raises:
        DocumentNotFound: No such version.
        BacktestProductUnknown: See there; likewise NothingToBacktest, BacktestTooLarge.
    """
    body = document_version(session, kind=STRATEGY, key=key, version=version).body
    if question.product not in {each.get("product") for each in body.get("products", ())}:
        raise BacktestProductUnknown(f"{key} does not decide {question.product}")
    rows = count_stored(
        session,
        product=question.product,
        since=start_of_day(question.since),
        until=start_of_day(question.until),
        at_most=MOST_ROWS + 1,
    )
    if not rows:
        raise NothingToBacktest("no decision of that product was stored in the period")
    if rows > MOST_ROWS:
        raise BacktestTooLarge(f"more than {MOST_ROWS} decisions were stored in the period")


def keep_made(session: Session, made: Made, *, by: str, now: datetime) -> int:
    """Keep what was made; returns its number."""
    return keep_backtest(
        session,
        report=made.report,
        strategy=made.strategy,
        version=made.version,
        data=made.data,
        data_hash=made.data_hash,
        by=by,
        now=now,
    )


def _made(
    session: Session,
    draft: Judge,
    version: int | None,
    question: Question,
    catalogue: Catalogue,
    *,
    now: datetime,
    progress: Progress,
) -> Made:
    key, product = draft.strategy.id, question.product
    if product not in draft.strategy.products:
        raise BacktestProductUnknown(f"{key} does not decide {product}")
    on = business_date(now)
    in_force = document_in_force(session, kind=STRATEGY, key=key, on=on)
    against = judge_of(session, in_force.body, catalogue, on=on) if in_force else None
    if against is not None and product not in against.strategy.products:
        against = None
    wanted = Wanted(
        product=product,
        strategy=key,
        since=start_of_day(question.since),
        until=start_of_day(question.until),
        as_of=now,
        names=tuple(dict.fromkeys((*draft.names, *(against.names if against else ())))),
        segments=question.segments,
        with_snoozes=question.with_snoozes,
    )
    history, data_hash = stored_history(session, wanted, catalogue, progress)
    if not history.rows:
        raise NothingToBacktest("no decision of that product was stored in the period")
    return Made(
        report=backtest(draft, against, history, product=product, assumptions=question.assumptions),
        strategy=key,
        version=version,
        data=f"{question.since}/{question.until}",
        data_hash=data_hash,
    )


def keep_backtest(
    session: Session,
    *,
    report: dict[str, Any],
    strategy: str,
    version: int | None,
    data: str,
    data_hash: str,
    by: str,
    now: datetime,
) -> int:
    """Keep a report with the hashes of what it was made of; returns its number."""
    row = StrategyBacktest(
        strategy=strategy,
        version=version,
        product=report["product"],
        strategy_hash=report["draft"]["hash"],
        against_hash=report["against"] and report["against"]["hash"],
        data=data,
        data_hash=data_hash,
        report=json.dumps(report, ensure_ascii=False, sort_keys=True),
        made_by=by,
        made_at=now,
    )
    session.add(row)
    session.flush()
    append_audit(
        session,
        actor=by,
        action="risk.strategy.backtested",
        subject=f"{STRATEGY}:{strategy}:{version}",
        details={"backtest": row.id, "data": data, "data_hash": data_hash},
        now=now,
    )
    return row.id


def judge_of(
    session: Session, document: Mapping[str, Any], catalogue: Catalogue, *, on: date
) -> Judge:
    """Read a strategy with the models that are in force on a day."""
    strategy = read_strategy(document, catalogue)
    models = models_of(session, strategy, on=on)
    return Judge(
        strategy=strategy, models={name: read_model(each.body) for name, each in models.items()}
    )
