"""Decisions and grades are stored with why, replay to the same bytes, and are never rewritten."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from risk.model import Strategy, read_policy
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from kernel.database import Base, Database
from risk import operations, queries
from risk.queries import DecisionNotFound
from risk.tables import RiskDecision, RiskPolicy

ON = date(2026, 3, 10)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How a customer pays."""

    customer_id: int
    days_past_due: int = 0
    worst_dpd_12m: int = 0
    on_time_ratio: Decimal | None = Decimal(1)
    utilisation: Decimal | None = Decimal("0.2")
    months_on_book: int = 20


def _decide(database: Database, snapshot: dict[str, Any], now: datetime) -> queries.DecisionView:
    with database.write() as session:
        return operations.decide(session, application_id=7, snapshot=snapshot, now=now)


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch) -> Iterator[Strategy]:
    """The house strategy after an edit, in force from now on."""
    path = Path(queries.__file__).with_name("strategy.toml")
    content = path.read_text("utf-8").replace('"worst_dpd_12m", ">", 30', '"worst_dpd_12m", ">", 5')
    strategy = read_policy(Strategy, content)
    monkeypatch.setattr(operations, "in_force", lambda _kind: strategy)
    return strategy


class TestDecide:
    def test_keeps_what_was_read_and_why(
        self, database: Database, good: dict[str, Any], now: datetime
    ) -> None:
        made = _decide(database, good | {"days_past_due": 9, "on_time_ratio": "0.1000"}, now)
        with database.read() as session:
            kept = queries.decision(session, decision_id=made.decision_id)
        assert kept == made
        assert (kept.application_id, kept.outcome, kept.decided_at) == (7, "decline", now)
        assert kept.reasons == ("overdue-now", "poor-record")
        assert kept.findings[1] == {
            "code": "poor-record",
            "outcome": "decline",
            "note": "在账 3 个月以上，按时还款率低于 60%",
            "values": {"months_on_book": 8, "on_time_ratio": "0.1000"},
        }
        assert kept.strategy_version == queries.in_force(Strategy).version

    def test_keeps_no_more_of_a_person_than_it_may_read(
        self, database: Database, good: dict[str, Any], now: datetime
    ) -> None:
        snapshot = _decide(database, good, now).snapshot
        assert snapshot == {name: good[name] for name in good if name in snapshot}
        assert not {"attributes", "merchant_name", "channel"} & snapshot.keys()

    def test_gives_as_reasons_what_decided_and_nothing_milder(
        self, database: Database, good: dict[str, Any], now: datetime
    ) -> None:
        made = _decide(database, good | {"days_past_due": 9, "applications_30d": 4}, now)
        assert made.reasons == ("overdue-now",)
        assert [found["code"] for found in made.findings] == ["overdue-now", "several-applications"]

    def test_tells_one_code_once(
        self, database: Database, good: dict[str, Any], now: datetime
    ) -> None:
        made = _decide(database, good | {"amount_fen": None, "terms": None}, now)
        assert made.reasons == ("missing-value",)
        assert len(made.findings) > 1

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "\x00", "\ud800", 10**40, [1]])
    def test_stores_whatever_comes_and_does_not_approve(
        self, database: Database, good: dict[str, Any], now: datetime, value: Any
    ) -> None:
        made = _decide(database, good | {"amount_fen": value}, now)
        assert made.outcome == "review"
        with database.read() as session:
            assert queries.replays(session, decision_id=made.decision_id)

    def test_keeps_each_strategy_once(
        self, database: Database, good: dict[str, Any], now: datetime
    ) -> None:
        for _ in range(2):
            _decide(database, good, now)
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(RiskPolicy)) == 1

    @pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
    @pytest.mark.parametrize(
        ("table", "column"),
        [("risk_decision", "verdict"), ("risk_policy", "content"), ("risk_grade", "grade")],
    )
    def test_is_never_rewritten(
        self,
        database: Database,
        good: dict[str, Any],
        now: datetime,
        statement: str,
        table: str,
        column: str,
    ) -> None:
        _decide(database, good, now)
        with database.write() as session:
            facts = [Facts(customer_id=1)]
            operations.grade_accounts(session, facts=facts, on=ON, now=now)
        with pytest.raises(DatabaseError, match="append-only"), database.write() as session:
            session.execute(text(statement.format(table, column, column)))


class TestReplay:
    def test_goes_by_the_strategy_of_its_day(
        self,
        database: Database,
        good: dict[str, Any],
        now: datetime,
        request: pytest.FixtureRequest,
    ) -> None:
        old = _decide(database, good | {"worst_dpd_12m": 6}, now)
        strategy = request.getfixturevalue("edited")
        new = _decide(database, good | {"worst_dpd_12m": 6}, now)
        assert (old.outcome, new.outcome) == ("approve", "decline")
        assert new.strategy_version == strategy.version != old.strategy_version
        with database.read() as session:
            for made in (old, new):
                assert queries.replays(session, decision_id=made.decision_id)

    def test_notices_a_verdict_that_the_rules_do_not_give(
        self, database: Database, good: dict[str, Any], now: datetime
    ) -> None:
        made = _decide(database, good, now)
        with database.write() as session:
            row = session.get_one(RiskDecision, made.decision_id)
            forged = RiskDecision(
                application_id=8,
                strategy_version=row.strategy_version,
                snapshot=row.snapshot.replace('"days_past_due":0', '"days_past_due":1'),
                verdict=row.verdict,
                decided_at=now,
            )
            session.add(forged)
            session.flush()
            assert not queries.replays(session, decision_id=forged.id)

    def test_says_when_there_is_no_such_decision(self, database: Database) -> None:
        with database.read() as session:
            for ask in (queries.decision, queries.replays):
                with pytest.raises(DecisionNotFound):
                    ask(session, decision_id=404)

    @given(
        st.dictionaries(
            st.sampled_from(sorted(queries.in_force(Strategy).fact)),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        )
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_gives_the_same_bytes_for_any_snapshot(self, snapshot: dict[str, Any]) -> None:
        now = datetime.fromisoformat("2026-03-10T02:00:00+00:00")
        with _memory().write() as session:
            made = operations.decide(session, application_id=1, snapshot=snapshot, now=now)
            assert queries.replays(session, decision_id=made.decision_id)
            session.rollback()


_MEMORY: list[Database] = []


def _memory() -> Database:
    if not _MEMORY:
        _MEMORY.append(Database("sqlite://"))
        Base.metadata.create_all(_MEMORY[0].engine)
    return _MEMORY[0]


class TestGradeAccounts:
    def test_grades_and_keeps_why(self, database: Database, now: datetime) -> None:
        late = Facts(customer_id=2, days_past_due=64, worst_dpd_12m=64, on_time_ratio=Decimal(0))
        with database.write() as session:
            graded = operations.grade_accounts(
                session, facts=[Facts(customer_id=1), late], on=ON, now=now
            )
        assert [(one.customer_id, one.grade, one.is_worst) for one in graded] == [
            (1, "A", False),
            (2, "E", True),
        ]
        assert graded[1].reasons[0] == "当前逾期 64 天（0/40 分）"
        with database.read() as session:
            assert queries.grades_of(session, customer_ids=[2]) == graded[1:]

    def test_lets_the_first_grade_of_a_day_stand(self, database: Database, now: datetime) -> None:
        first = [Facts(customer_id=1)]
        worse = [Facts(customer_id=1, days_past_due=64), Facts(customer_id=2)]
        with database.write() as session:
            operations.grade_accounts(session, facts=first, on=ON, now=now)
            again = operations.grade_accounts(session, facts=worse, on=ON, now=now)
        assert [(one.customer_id, one.grade) for one in again] == [(1, "A"), (2, "A")]

    def test_keeps_a_history_by_day(self, database: Database, now: datetime) -> None:
        with database.write() as session:
            for days, late in enumerate((0, 0, 40)):
                facts = [Facts(customer_id=1, days_past_due=late, worst_dpd_12m=late)]
                on = ON + timedelta(days=days)
                operations.grade_accounts(session, facts=facts, on=on, now=now)
            history = queries.grades_of(session, customer_ids=[1])
        assert [(one.graded_on.day, one.grade) for one in history] == [
            (12, "E"),
            (11, "A"),
            (10, "A"),
        ]

    def test_grades_nobody_without_complaint(self, database: Database, now: datetime) -> None:
        with database.write() as session:
            assert operations.grade_accounts(session, facts=[], on=ON, now=now) == ()


class TestCustomerReasons:
    def test_says_each_code_in_a_sentence_once(self) -> None:
        codes = ["overdue-now", "line-too-small", "overdue-now"]
        assert queries.customer_reasons(codes) == (
            "您有逾期未还的分期，请先还清逾期款项再申请",
            "您的可用额度暂时无法用于本次购买",
        )

    def test_has_a_general_sentence_for_what_it_does_not_know(self) -> None:
        assert queries.customer_reasons(["retired", "gone"]) == ("本次申请未通过综合评估",)
