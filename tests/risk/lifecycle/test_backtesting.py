"""Backtests of drafts on decisions that were really made, and what is kept of them."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from life import KEY, Saved, house, rule_of, stricter
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from cli import commands
from desk.queries import AuditFilter, DocumentNotFound, audit_entries
from kernel.runtime import Runtime
from risk.decisions.snoozes import end_snooze, start_snooze
from risk.decisions.strategies import publish_strategy
from risk.features.catalogue import read_catalogue
from risk.lifecycle.backtesting import (
    BacktestProductUnknown,
    NothingToBacktest,
    Question,
    backtest_document,
    backtest_version,
)
from risk.lifecycle.queries import backtest_report, backtests
from risk.lifecycle.stored import Wanted, stored_history
from risk.lifecycle.tables import StrategyBacktest
from risk.operations import Fact, Granted, record_facts, record_granted, record_outcome
from risk.strategy.decision import Snooze
from risk.tables import FeatureVector

TODAY = date(2026, 3, 10)
LATE = {"customer:1": 0, "customer:2": 45, "customer:3": 50, "customer:4": 70}


@pytest.fixture
def decided(decide: Any) -> dict[str, dict[str, Any]]:
    """Four decisions: one spotless, two late by less than 60 days, one declined for more."""
    return {subject: decide(subject, overdue_days_max_12m=days) for subject, days in LATE.items()}


def tell(runtime: Runtime, subject: str, *, is_bad: bool, days: int = 30, **more: Any) -> None:
    at = runtime.clock.now() + timedelta(days=days)
    with runtime.database.write() as session:
        record_outcome(
            session,
            key=f"{subject}/{days}/{is_bad}",
            subject=subject,
            is_bad=is_bad,
            happened_at=at,
            known_at=at,
            **more,
        )


def tried(runtime: Runtime, version: int, **changes: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "product": "instalment",
        "since": TODAY,
        "until": TODAY + timedelta(days=1),
        "segments": ("lender_type",),
    }
    with runtime.database.write() as session:
        number = backtest_version(
            session,
            key=KEY,
            version=version,
            question=Question(**asked | changes),
            catalogue=read_catalogue(),
            by="analyst",
            now=runtime.clock.now(),
        )
    with runtime.database.read() as session:
        return dict(backtest_report(session, backtest_id=number).report)


def by_subject(decided: dict[str, Any], column: Any) -> dict[str, float]:
    """All were made at one instant, so they stand in the order of their numbers."""
    return dict(zip(sorted(LATE, key=lambda each: decided[each]["id"]), column, strict=True))


class TestBacktestVersion:
    def test_compares_a_draft_with_what_is_in_force_on_what_was_seen_then(
        self, in_force: Runtime, decided: Any, saved: Saved
    ) -> None:
        tell(in_force, "customer:1", is_bad=False)
        tell(in_force, "customer:2", is_bad=True)
        tell(in_force, "customer:4", is_bad=True)  # it was declined: this is of somebody else
        in_force.clock.advance(timedelta(days=60))  # type: ignore[attr-defined]
        report = tried(in_force, saved(stricter))
        assert (report["rows"], report["base"]["known"]) == (4, 2)
        assert report["against"]["approved"] == 3
        assert (report["draft"]["approved"], report["draft"]["bad_rate"]) == (1, 0.0)
        (out,) = [
            cell
            for cell in report["swap_set"]
            if (cell["against"], cell["draft"]) == ("approve", "decline")
        ]
        assert (out["count"], out["known"], out["bad"]) == (2, 1, 1)
        assert report["money"]["change"]["granted_fen"] == -1_200_000
        assert report["money"]["change"]["interest_year_fen"] == -180_000
        (line,) = [each for each in report["rules"] if each["id"] == "hard.overdue"]
        assert (line["count"], line["marginal"]) == (3, 3)
        assert report["segments"]["lender_type"][0]["value"] == "consumer_finance"
        assert "bad_links_now" in report["not_kept"]

    def test_what_becomes_known_later_does_not_count_yet(
        self, in_force: Runtime, decided: Any, saved: Saved
    ) -> None:
        tell(in_force, "customer:2", is_bad=True)
        assert tried(in_force, saved(stricter))["base"]["known"] == 0

    def test_a_judgement_that_was_taken_back_is_not_known_any_more(
        self, in_force: Runtime, decided: Any, saved: Saved
    ) -> None:
        version, known = saved(stricter), []
        for days, is_bad in ((40, True), (50, None), (60, False)):
            at = in_force.clock.now() + timedelta(days=days)
            told = Granted(
                key=f"{days}",
                of="loan:1",
                subject="customer:1",
                decision_id=decided["customer:1"]["id"],
                is_bad=is_bad,
                happened_at=at,
                known_at=at,
            )
            with in_force.database.write() as session:
                record_granted(session, granted=[told])
        for days in (45, 10, 10):
            in_force.clock.advance(timedelta(days=days))  # type: ignore[attr-defined]
            base = tried(in_force, version)["base"]
            known.append((base["known"], base["bad"]))
        assert known == [(1, 1), (0, 0), (1, 0)]

    def test_the_same_question_gives_the_same_report_and_hashes(
        self, in_force: Runtime, decided: Any, saved: Saved
    ) -> None:
        version = saved(stricter)
        report = tried(in_force, version)
        assert report == tried(in_force, version)
        assert json.loads(json.dumps(report, allow_nan=False)) == report
        with in_force.database.read() as session:
            newer, older = backtests(session, strategy=KEY)
            acts = audit_entries(
                session, wanted=AuditFilter(action="risk.strategy.backtested"), limit=5
            )
        assert newer.data_hash == older.data_hash
        assert (newer.version, newer.made_by, newer.made_at) == (
            version,
            "analyst",
            in_force.clock.now(),
        )
        assert newer.strategy_hash != newer.against_hash
        assert len(acts) == 2

    def test_a_report_never_changes(self, in_force: Runtime, decided: Any, saved: Saved) -> None:
        tried(in_force, saved(stricter))
        with pytest.raises(DBAPIError), in_force.database.write() as session:
            session.execute(update(StrategyBacktest).values(report="{}"))

    def test_what_cannot_be_asked_is_refused(
        self, in_force: Runtime, decided: Any, saved: Saved
    ) -> None:
        version = saved(stricter)
        with pytest.raises(BacktestProductUnknown):
            tried(in_force, version, product="yacht")
        with pytest.raises(NothingToBacktest):
            tried(in_force, version, since=TODAY + timedelta(days=1))
        with pytest.raises(DocumentNotFound):
            tried(in_force, 99)


def overlooking(document: dict[str, Any]) -> None:
    """Let the rule about arrears be silenced."""
    rule_of(document, "hard.overdue")["may_snooze"] = True


class TestSnoozes:
    """`hard.overdue` is silent for customer:4 on the day; the engine approves because of it."""

    def silence(self, runtime: Runtime, key: str = "customer:4", *, days: int = 1) -> int:
        silent = Snooze(
            rule="hard.overdue", key=key, since=TODAY, until=TODAY + timedelta(days=days)
        )
        with runtime.database.write() as session:
            return start_snooze(
                session,
                strategy=KEY,
                snooze=silent,
                reason="门店集中办理",
                by="analyst",
                now=runtime.clock.now(),
            )

    @pytest.fixture
    def deciding(self, in_force: Runtime, decide: Any) -> Any:
        with in_force.database.write() as session:
            publish_strategy(
                session,
                document=house(overlooking),
                catalogue=read_catalogue(),
                author="analyst",
                approver="manager",
                now=in_force.clock.now(),
            )
        self.silence(in_force)

        def outcome(subject: str) -> str:
            decide.service.holder._watch.asked_at = float("-inf")
            decide.service.holder.in_force()
            decide.service.holder.look()
            return str(decide(subject, overdue_days_max_12m=70)["outcome"])

        return outcome

    def test_a_backtest_decides_as_the_engine_did(
        self, in_force: Runtime, deciding: Any, saved: Saved
    ) -> None:
        assert (deciding("customer:4"), deciding("customer:5")) == ("approve", "decline")
        report = tried(in_force, saved(overlooking))
        assert (report["draft"]["approved"], report["against"]["approved"]) == (1, 1)
        silent = report["snoozes"]
        assert silent["in_force"] == [
            {
                "rule": "hard.overdue",
                "title": "近期严重逾期",
                "key": "customer:4",
                "since": "2026-03-10",
                "until": "2026-03-11",
            }
        ]
        assert silent["are_used"]
        assert (silent["draft"], silent["against"], silent["draft_changed"]) == (1, 1, 1)
        assert silent["rules"] == {"hard.overdue": 1}

    def test_whoever_wants_to_see_all_rules_count_asks_for_it(
        self, in_force: Runtime, deciding: Any, saved: Saved
    ) -> None:
        deciding("customer:4")
        report = tried(in_force, saved(overlooking), with_snoozes=False)
        assert report["draft"]["approved"] == 0
        assert (report["snoozes"]["are_used"], report["snoozes"]["draft"]) == (False, 0)
        assert len(report["snoozes"]["in_force"]) == 1

    def test_one_that_was_ended_since_still_silenced_what_was_decided_before(
        self, in_force: Runtime, deciding: Any, saved: Saved
    ) -> None:
        number = self.silence(in_force, "customer:5")
        assert deciding("customer:5") == "approve"
        in_force.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
        with in_force.database.write() as session:
            now = in_force.clock.now()
            end_snooze(session, strategy=KEY, snooze_id=number, by="manager", now=now)
        assert deciding("customer:5") == "decline"
        assert tried(in_force, saved(overlooking))["draft"]["approved"] == 1

    def test_what_another_strategy_decided_is_silenced_by_key_and_period(
        self, in_force: Runtime, decide: Any
    ) -> None:
        for subject in ("customer:4", "customer:5"):
            decide(subject, overdue_days_max_12m=70)
        document = house(overlooking) | {"id": "other-credit"}
        with in_force.database.write() as session:
            for key in ("customer:4", "customer:5"):
                snooze = Snooze(
                    rule="hard.overdue", key=key, since=TODAY, until=TODAY + timedelta(days=1)
                )
                number = start_snooze(
                    session,
                    strategy="other-credit",
                    snooze=snooze,
                    reason="门店集中办理",
                    by="analyst",
                    now=in_force.clock.now() - timedelta(hours=2),
                )
            an_hour_ago = in_force.clock.now() - timedelta(hours=1)
            end_snooze(
                session, strategy="other-credit", snooze_id=number, by="manager", now=an_hour_ago
            )
            made = backtest_document(
                session,
                document=document,
                question=Question(
                    product="instalment", since=TODAY, until=TODAY + timedelta(days=1)
                ),
                catalogue=read_catalogue(),
                by="analyst",
                now=in_force.clock.now(),
            )
            report = backtest_report(session, backtest_id=made).report
        assert (report["draft"]["approved"], report["snoozes"]["draft"]) == (1, 1)


class TestStoredHistory:
    def read(self, runtime: Runtime, *names: str) -> Any:
        now = runtime.clock.now()
        wanted = Wanted(
            strategy=KEY,
            product="instalment",
            since=now - timedelta(days=1),
            until=now + timedelta(days=1),
            as_of=now,
            names=names,
        )
        with runtime.database.read() as session:
            return stored_history(session, wanted, read_catalogue())

    def test_reads_vectors_as_they_were_known_and_applications_before_them(
        self, in_force: Runtime, decided: Any
    ) -> None:
        with in_force.database.write() as session:
            session.execute(delete(FeatureVector).where(FeatureVector.subject == "customer:3"))
        found, _ = self.read(
            in_force, "overdue_days_max_12m", "lender_type", "is_identity_verified", "employed_on"
        )
        assert found.rows == 4
        late = by_subject(decided, found.columns["overdue_days_max_12m"].tolist())
        assert np.isnan(late.pop("customer:3"))
        assert late == {"customer:1": 0.0, "customer:2": 45.0, "customer:4": 70.0}
        assert set(found.columns["lender_type"]) == {"consumer_finance"}
        assert set(found.columns["is_identity_verified"]) == {1.0}
        employed = by_subject(decided, found.columns["employed_on"].tolist())
        assert date.fromordinal(int(employed["customer:1"])) == date(2023, 12, 1)
        assert found.on[0] == TODAY.toordinal()

    def test_a_named_decision_goes_before_the_subject_and_the_last_known_stands(
        self, in_force: Runtime, decided: Any
    ) -> None:
        tell(in_force, "customer:1", is_bad=True, days=0)
        tell(in_force, "customer:2", is_bad=True, days=0)
        number = decided["customer:1"]["id"]
        tell(in_force, "customer:1", is_bad=False, days=0, decision_id=number)
        found, _ = self.read(in_force, "age_years")
        known = by_subject(decided, found.is_bad)
        assert (known["customer:1"], known["customer:2"]) == (0.0, 1.0)
        assert np.isnan(known["customer:3"])

    def test_lists_answer_as_they_did_then(self, in_force: Runtime, decided: Any) -> None:
        found, _ = self.read(in_force, "identity_key")
        assert found.lists.holds("own-blocked", "exact", "k-17") is False
        assert found.lists.holds("nobody-made-it", "exact", "k-17") is None


class TestFacts:
    def test_a_fact_told_twice_is_stored_once(self, runtime: Runtime) -> None:
        now = runtime.clock.now()
        fact = Fact(key="a/1", subject="s", kind="k", happened_at=now, known_at=now)
        with runtime.database.write() as session:
            assert record_facts(session, facts=[fact]) == 1
            assert record_facts(session, facts=[fact]) == 0

    def test_nothing_is_known_before_it_happened(self, runtime: Runtime) -> None:
        now = runtime.clock.now()
        early = now - timedelta(seconds=1)
        fact = Fact(key="a/1", subject="s", kind="k", happened_at=now, known_at=early)
        with pytest.raises(ValueError, match="before"), runtime.database.write() as session:
            record_facts(session, facts=[fact])


def test_the_command_tries_versions_and_files_on_stored_decisions(
    in_force: Runtime, decided: Any, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli._runtime", lambda: in_force)
    version = saved(stricter)
    (tmp_path / "draft.json").write_text(json.dumps(house(stricter)), encoding="utf-8")
    found = []
    for document in (f"{KEY}:{version}", str(tmp_path / "draft.json")):
        ran = CliRunner().invoke(commands, ["risk", "backtest", document, "--segment", "city"])
        assert ran.exit_code == 0, ran.output
        found.append(json.loads(ran.stdout))
    one, other = ({**each, "kept_as": None} for each in found)
    assert one == other
    assert (one["rows"], one["draft"]["approved"], one["against"]["approved"]) == (4, 1, 3)
    assert len(decided) == 4
