"""The search over stored decisions reads an index, however many there are."""

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from kernel.clock import start_of_day
from kernel.database import Database, bulk_insert, refresh_statistics
from risk.admin.recorded import Wanted, chosen, decisions
from risk.decisions.keeping import keep_decisions
from risk.tables import DecisionRecord

LAST = date(2026, 3, 10)
DAYS = 7
A_DAY = 3_000
SUBJECTS = 2_000
ALL_WEEK = Wanted(since=LAST - timedelta(days=DAYS - 1), until=LAST)
OF_ONE = Wanted(since=LAST - timedelta(days=400), until=LAST, subject="customer:17")


@pytest.fixture
def week(database: Database) -> Iterator[Database]:
    """Seven days of decisions, on PostgreSQL a partition each."""
    with database.write() as session:
        keep_decisions(session, on=LAST - timedelta(days=DAYS))
        for n in range(DAYS):
            bulk_insert(session, DecisionRecord, list(_day(LAST - timedelta(days=n))))
        refresh_statistics(session)
    yield database
    if database.dialect == "postgresql":
        with database.write() as session:
            for n in range(DAYS):
                session.execute(
                    text(f"DROP TABLE decision_record_{LAST - timedelta(days=n):%Y%m%d}")
                )


def _day(on: date) -> Iterator[dict[str, Any]]:
    for n in range(A_DAY):
        subject = f"customer:{n * 7 % SUBJECTS}"
        strategy = {"id": "house-credit", "version": 1, "hash": "h"}
        said = {
            "subject": subject,
            "product": "instalment",
            "outcome": "approve",
            "reasons": [],
            "strategy": strategy,
        }
        yield {
            "decided_on": on,
            "id": f"D{on:%Y%m%d}{n * 7919 % 100_003:016X}",
            "caller_id": 1,
            "subject": subject,
            "product": "instalment",
            "outcome": "approve",
            "strategy_hash": "h",
            "snapshot": "{}",
            "answer": json.dumps(said),
            "decided_at": start_of_day(on) + timedelta(seconds=20 * n),
        }


def _scans(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say how each table is read that a plan reads: table, kind of reading."""
    if "Relation Name" in plan:
        yield plan["Relation Name"], plan["Node Type"]
    for inner in plan.get("Plans", ()):
        yield from _scans(inner)


def _read(session: Session, wanted: Wanted) -> dict[str, str]:
    """Say how the database finds a page: by table or partition, the kind of reading."""
    engine = session.get_bind()
    page = chosen(wanted).limit(51)
    query = page.compile(engine, compile_kwargs={"literal_binds": True})
    if engine.dialect.name == "sqlite":
        (first, *_) = session.execute(text(f"EXPLAIN QUERY PLAN {query}"))
        return {"decision_record": first.detail}
    (plans,) = session.execute(text(f"EXPLAIN (FORMAT JSON) {query}")).one()
    return dict(_scans(plans[0]["Plan"]))


@pytest.mark.parametrize("wanted", [OF_ONE, ALL_WEEK], ids=["of a subject", "of all"])
def test_a_page_is_found_by_an_index(week: Database, wanted: Wanted) -> None:
    with week.read() as session:
        found = _read(session, wanted)
    found.pop("decision_record_rest", None)  # it is empty, so there is nothing to look up
    assert len(found) == (1 if week.dialect == "sqlite" else DAYS)
    assert all("INDEX" in how.upper() for how in found.values()), found


def test_a_subject_is_found_in_all_days_newest_first(week: Database) -> None:
    with week.read() as session:
        found = decisions(session, wanted=OF_ONE, limit=50)
        newest = decisions(session, wanted=ALL_WEEK, limit=50)
        older = decisions(session, wanted=ALL_WEEK, limit=50, offset=50)
    assert {line.subject for line in found} == {"customer:17"}
    assert len({line.decided_at.date() for line in found}) == DAYS
    instants = [line.decided_at for line in (*newest, *older)]
    assert instants == sorted(instants, reverse=True)
    assert len(set(instants)) == len(instants) == 100
