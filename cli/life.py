"""What the commands of a strategy's life do: they read files and call risk's operations."""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from cli.risk import read_file
from desk.queries import document_version
from kernel.clock import SystemClock, business_date
from kernel.database import Database
from kernel.runtime import Runtime
from risk.decisions.engine import models_called
from risk.decisions.strategies import STRATEGY, prices_of, tell_workers
from risk.features.catalogue import Catalogue, read_catalogue
from risk.lifecycle.backtest import backtest
from risk.lifecycle.backtesting import (
    Question,
    assumed,
    backtest_document,
    backtest_version,
    keep_backtest,
)
from risk.lifecycle.history import Judge
from risk.lifecycle.publishing import mark_version_tested, publish_version
from risk.lifecycle.queries import backtest_report
from risk.lifecycle.tables import StrategyBacktest
from risk.models.reading import read_model
from risk.strategy.reading import read_strategy
from risk.training.history import Reading, history_of
from risk.training.table import read_table
from risk.training.training import Recipe, train
from risk.training.validation import Plan, derived, validate

_DAY: Final = timedelta(days=1)
_MONTH: Final = timedelta(days=30)


def try_out(runtime: Runtime, key: str, version: int, by: str) -> dict[str, Any]:
    """Mark a draft as tested if its cases pass; says what they reach."""
    with runtime.database.write() as session:
        report = mark_version_tested(
            session,
            key=key,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            now=runtime.clock.now(),
        )
    document = report.document()
    return {name: document[name] for name in ("cases", "failing", "without_case")} | {
        "missing_untested": document["missing_untested"]
    }


def approve(runtime: Runtime, key: str, version: int, by: str, on: date | None) -> dict[str, Any]:
    """Publish a tested version from a day on, and tell the workers."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        made = publish_version(
            session,
            key=key,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            effective_on=on or business_date(now),
            now=now,
            prices=prices_of(runtime),
        )
    tell_workers(runtime.redis)
    return asdict(made) | {"effective_on": made.effective_on.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataGiven:
    """A table that a command is given, and what of it is what.

    Attributes:
        test_share: Rows of this share, by the hash of each, are the test part.
        is_whole: Use all rows, not the test part alone.
    """

    file: Path
    sep: str
    reading: Reading
    test_share: float
    is_whole: bool


def backtest_file(
    runtime: Runtime,
    document: Path,
    data: DataGiven,
    *,
    against: Path | None,
    product: str | None,
    by: str,
) -> dict[str, Any]:
    """Try a strategy on a table; the report is kept where a database is there to keep it."""
    has_tables = _has_tables(runtime.database)
    now = (runtime.clock if has_tables else SystemClock()).now()
    draft = _judge_in(document, data.reading.catalogue)
    before = _judge_in(against, data.reading.catalogue) if against else None
    table = read_table(data.file, sep=data.sep)
    if not data.is_whole:
        table = table.some(table.chance < data.test_share)
    names = dict.fromkeys((*draft.names, *(before.names if before else ())))
    history = history_of(table, data.reading, names=tuple(names), on=business_date(now))
    asked = product or next(iter(draft.strategy.products))
    report = backtest(draft, before, history, product=asked)
    part = "all" if data.is_whole else f"test {data.test_share:g}"
    kept = None
    if has_tables:
        with runtime.database.write() as session:
            kept = keep_backtest(
                session,
                report=report,
                strategy=draft.strategy.id,
                version=None,
                data=f"{data.file.name} ({part})",
                data_hash=table.digest,
                by=by,
                now=now,
            )
    made = {"data": data.file.name, "data_hash": table.digest, "part": part}
    return made | {"made_at": now.isoformat(), "kept_as": kept, **report}


def backtest_stored(
    runtime: Runtime,
    document: str,
    *,
    since: date | None,
    until: date | None,
    product: str | None,
    segments: tuple[str, ...],
    with_snoozes: bool,
    by: str,
) -> dict[str, Any]:
    """Try a file, or a stored KEY:VERSION, on stored decisions, and keep the report.

    Those of the last thirty days unless told otherwise.
    """
    now = runtime.clock.now()
    given: dict[str, Any] = {"catalogue": read_catalogue(), "by": by, "now": now}
    with runtime.database.write() as session:
        key, _, version = document.rpartition(":")
        is_stored = version.isdigit()
        if is_stored:
            named: dict[str, Any] = {"key": key, "version": int(version)}
            body = document_version(session, kind=STRATEGY, **named).body
        else:
            body = read_file(Path(document))
        product = product or body["products"][0]["product"]
        prices, on = prices_of(runtime), business_date(now)
        question = Question(
            product=product,
            since=since or on - _MONTH,
            until=until or on + _DAY,
            segments=segments,
            assumptions=assumed(session, product=product, prices=prices, on=on),
            with_snoozes=with_snoozes,
        )
        if is_stored:
            number = backtest_version(session, **named, question=question, **given)
        else:
            number = backtest_document(session, document=body, question=question, **given)
        kept = backtest_report(session, backtest_id=number)
    made = {"data": kept.data, "data_hash": kept.data_hash}
    return made | {"made_at": kept.made_at.isoformat(), "kept_as": number, **kept.report}


def train_files(data: DataGiven, out: Path, *, approve_share: float, seed: int) -> dict[str, Any]:
    """Train on a table, and write card, trees and strategy into a folder."""
    reading = data.reading
    recipe = Recipe(
        catalogue=reading.catalogue,
        target=reading.target,
        positive=reading.positive,
        test_share=data.test_share,
        approve_share=approve_share,
        seed=seed,
    )
    trained = train(read_table(data.file, sep=data.sep), recipe)
    out.mkdir(parents=True, exist_ok=True)
    for name, document in {**trained.models, "strategy": trained.strategy}.items():
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (out / f"{name}.json").write_text(text, encoding="utf-8")
    files = sorted(f"{name}.json" for name in (*trained.models, "strategy"))
    return {"out_of_sample": trained.report, "files": files}


def validate_file(
    file: Path, plan: Plan, *, sep: str, has_header: bool, derive: Path | None
) -> Any:
    """Cross-validate card and challenger on a table."""
    table = read_table(file, sep=sep, has_header=has_header)
    if derive is not None:
        table = derived(table, json.loads(derive.read_text(encoding="utf-8")))
    return validate(table, plan)


def _has_tables(database: Database) -> bool:
    """Say whether a report can be kept: trying a strategy on a file needs no database."""
    try:
        return inspect(database.engine).has_table(StrategyBacktest.__tablename__)
    except OperationalError:
        return False


def _judge_in(file: Path, catalogue: Catalogue) -> Judge:
    """Read a strategy, and the models that it calls from files beside it."""
    strategy = read_strategy(read_file(file), catalogue)
    models = {
        name: read_model(read_file(file.parent / f"{name}.json"))
        for name in models_called(strategy)
    }
    return Judge(strategy=strategy, models=models)
