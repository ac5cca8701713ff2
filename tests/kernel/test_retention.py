"""Retention: dated rows of data, bounded batches, and nothing that waits or is young goes."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

import contact.retention
import kernel.retention
import risk.lifecycle.retention
import servicing.retention
from kernel.clock import FixedClock
from kernel.database import Database
from kernel.outbox import OutboxRow
from kernel.retention import Kept, forget, forget_old, in_force
from kernel.runtime import Runtime

# What law and proof need: no row of retention may ever name one of these.
PROOF = {
    *("audit_entry", "audit_head", "approval", "document_version", "ledger_entry"),
    *("ledger_posting", "loan", "loan_event", "plan_version", "instalment", "payment"),
    *("payment_order", "refund", "pay_bill", "pay_bill_line", "pay_difference", "consent"),
    *("cost_disclosure", "offer", "complaint", "contact", "decision_record", "period_balance"),
}
AREAS = (kernel, contact, servicing, risk.lifecycle)
ALL = tuple(one for area in AREAS for one in area.retention.KEPT)


def outbox(database: Database, *rows: tuple[datetime, datetime | None]) -> None:
    with database.write() as session:
        session.execute(
            insert(OutboxRow),
            [{"event": "E", "payload": {}, "recorded_at": at, "relayed_at": relayed}
             for at, relayed in rows],
        )  # fmt: skip


def count(database: Database, model: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_names_nothing_that_law_or_proof_needs() -> None:
    assert {one.table for one in ALL} & PROOF == set()
    assert all(one.days >= 90 and one.why.endswith(".") for one in ALL)


def test_the_last_row_that_has_begun_counts() -> None:
    early, late = (
        Kept(model=OutboxRow, since=OutboxRow.recorded_at, days=days, why="", from_on=from_on)
        for days, from_on in ((90, date(2026, 1, 1)), (30, date(2026, 6, 1)))
    )
    assert in_force((late, early), on=date(2026, 5, 31)) == (early,)
    assert in_force((late, early), on=date(2026, 6, 1)) == (late,)
    assert in_force((late, early), on=date(2025, 1, 1)) == ()


class TestForget:
    @pytest.fixture(autouse=True)
    def later(self, clock: FixedClock) -> None:
        """Retention holds since the end of November."""
        clock.advance(timedelta(days=365))

    def test_lets_go_what_was_handed_on_and_is_old(
        self, runtime: Runtime, database: Database, clock: FixedClock
    ) -> None:
        old, young = clock.now() - timedelta(days=91), clock.now() - timedelta(days=89)
        outbox(database, (old, old), (old, None), (young, young))
        forget_old(runtime)
        assert count(database, OutboxRow) == 2
        forget_old(runtime)
        assert count(database, OutboxRow) == 2

    def test_goes_in_bounded_batches(
        self, runtime: Runtime, database: Database, clock: FixedClock
    ) -> None:
        old = clock.now() - timedelta(days=91)
        outbox(database, *[(old, old)] * 25)
        assert forget(runtime, kernel.retention.KEPT, batch=4, most=3)["outbox"] == 12
        assert count(database, OutboxRow) == 13
        assert forget(runtime, kernel.retention.KEPT, batch=4, most=30)["outbox"] == 13

    def test_runs_on_every_table_that_it_names(self, runtime: Runtime) -> None:
        gone = forget(runtime, ALL)
        assert gone == {one.table: 0 for one in ALL}
