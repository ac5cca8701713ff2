"""From draft to tested to in force: by cases that pass, and by another person than the author."""

from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner
from life import KEY, Saved, cases, house, roll_back_to_before, rule_of, stricter
from sqlalchemy import select

from cli import commands
from desk.operations.documents import AuthorApproves
from desk.queries import AuditFilter, audit_entries, document_version
from desk.tables import DocumentVersion
from kernel.runtime import Runtime
from risk.decisions.strategies import STRATEGY, strategies_in_force
from risk.features.catalogue import read_catalogue
from risk.lifecycle.cases import CaseReport, CasesInvalid
from risk.lifecycle.publishing import (
    CasesAbsent,
    CasesFail,
    mark_version_tested,
    publish_version,
    save_cases,
    stored_cases,
    tried_version,
)
from risk.strategy.problems import StrategyInvalid
from risk.strategy.reading import read_strategy

TODAY = date(2026, 3, 10)


def walked(runtime: Runtime, version: int) -> CaseReport:
    with runtime.database.write() as session:
        return mark_version_tested(
            session,
            key=KEY,
            version=version,
            catalogue=read_catalogue(),
            by="analyst",
            now=runtime.clock.now(),
        )


def published(runtime: Runtime, version: int, *, by: str = "manager") -> Any:
    with runtime.database.write() as session:
        return publish_version(
            session,
            key=KEY,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            effective_on=TODAY,
            now=runtime.clock.now(),
        )


def keep(runtime: Runtime, changed: dict[str, Any]) -> int:
    strategy = read_strategy(house(), read_catalogue())
    with runtime.database.write() as session:
        return save_cases(
            session,
            key=KEY,
            cases=changed,
            strategy=strategy,
            by="analyst",
            now=runtime.clock.now(),
        )


def state_of(runtime: Runtime, version: int) -> str:
    with runtime.database.read() as session:
        return document_version(session, kind=STRATEGY, key=KEY, version=version).state


class TestTesting:
    def test_a_draft_whose_cases_pass_is_tested_and_keeps_what_they_said(
        self, in_force: Runtime, saved: Saved
    ) -> None:
        version = saved(lambda document: document.update(title="另一个名字"))
        report = walked(in_force, version)
        assert (len(report.results), report.failing, report.without_case) == (
            44,
            (),
            ("purchase-final.otherwise",),
        )
        assert state_of(in_force, version) == "tested"
        with in_force.database.read() as session:
            view = document_version(session, kind=STRATEGY, key=KEY, version=version)
        assert view.test_report is not None
        assert view.test_report["cases"] == 44
        assert view.test_report["cases_version"] == 1

    def test_a_draft_with_a_failing_case_stays_a_draft(
        self, in_force: Runtime, saved: Saved
    ) -> None:
        version = saved(stricter)
        with pytest.raises(CasesFail) as refused:
            walked(in_force, version)
        assert refused.value.extras == {"failing": ["overdue-at-the-edge"]}
        assert state_of(in_force, version) == "draft"
        with in_force.database.read() as session:
            report = tried_version(
                session, key=KEY, version=version, catalogue=read_catalogue(), on=TODAY
            )
        (failed,) = report.failing
        assert [(each.what, each.expected, each.found) for each in failed.differences] == [
            ("outcome", "approve", "decline"),
            ("reasons", [], ["overdue-recently"]),
        ]

    def test_a_strategy_without_cases_cannot_be_tested(
        self, in_force: Runtime, saved: Saved
    ) -> None:
        keep(in_force, {"cases": []})
        version = saved(stricter)
        with pytest.raises(CasesAbsent):
            walked(in_force, version)

    def test_a_rule_without_a_case_is_reported(self, in_force: Runtime, saved: Saved) -> None:
        def added(document: dict[str, Any]) -> None:
            extra = rule_of(document, "hard.overdue") | {"id": "hard.extra"}
            extra["when"] = {"field": "overdue_days_max_12m", "is": "above", "value": 180}
            document["stages"][1]["rules"].append(extra)

        report = walked(in_force, saved(added))
        assert report.without_case == ("hard.extra", "purchase-final.otherwise")
        states = {each.id: each.state for each in report.coverage}
        assert (states["hard.extra"], states["hard.overdue"]) == ("missing", "hit")
        assert "hard.extra" not in report.missing_untested

    def test_cases_are_versions_too(self, in_force: Runtime) -> None:
        changed = cases()
        changed["cases"][0]["expected"]["outcome"] = "review"
        assert keep(in_force, changed) == 2
        with in_force.database.read() as session:
            assert stored_cases(session, key=KEY).body == changed
            assert stored_cases(session, key="nobody").version == 0


class TestReadingCases:
    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"product": "yacht"}, "no product yacht"),
            ({"on": "2026-02-30"}, "no date"),
            ({"expected": {"outcome": "maybe"}}, "expected.outcome"),
            ({"expected": {"outcome": "approve", "outputs": {"x": 1}}}, "no output x"),
            ({"expected": {"outcome": "review", "reasons": ["x"]}}, "no reason x"),
            ({"colour": "red"}, "colour"),
            ({"id": "A b"}, "id"),
            ({"vector": {"age_years": [1]}}, "vector.age_years"),
        ],
    )
    def test_mistakes_are_named(
        self, in_force: Runtime, changes: dict[str, Any], told: str
    ) -> None:
        changed = cases()
        changed["cases"][3] |= changes
        with pytest.raises(CasesInvalid) as refused:
            keep(in_force, changed)
        assert told in str(refused.value)

    def test_an_id_stands_once(self, in_force: Runtime) -> None:
        changed = cases()
        changed["cases"].append(changed["cases"][0])
        with pytest.raises(CasesInvalid):
            keep(in_force, changed)


class TestPublishing:
    def test_another_person_publishes_and_rolls_back_and_all_is_audited(
        self, in_force: Runtime, saved: Saved
    ) -> None:
        changed = cases()
        edge = next(each for each in changed["cases"] if each["id"] == "overdue-at-the-edge")
        edge["expected"] = {"outcome": "decline"}
        keep(in_force, changed)
        version = saved(stricter)
        walked(in_force, version)
        made = published(in_force, version)
        assert (made.version, made.compared) == (version, 60)
        with in_force.database.write() as session:
            (view,) = strategies_in_force(session, on=TODAY)
            assert (view.version, view.body_hash) == (version, made.hash)
            roll_back_to_before(in_force, session)
            (view,) = strategies_in_force(session, on=TODAY)
            assert view.restores == 1
            entries = audit_entries(
                session, wanted=AuditFilter(subject=f"{STRATEGY}:{KEY}"), limit=20
            )
        acts = [entry.action.rpartition(".")[2] for entry in reversed(entries)]
        assert acts[-6:] == [
            "drafted",
            "tested",
            "approved",
            "in_force",
            "rolled_back",
            "in_force",
        ]

    def test_the_author_cannot_publish(self, in_force: Runtime, saved: Saved) -> None:
        version = saved(lambda document: document.update(title="另一个名字"), author="manager")
        walked(in_force, version)
        with pytest.raises(AuthorApproves):
            published(in_force, version)

    def test_a_case_that_was_added_since_must_pass_too(
        self, in_force: Runtime, saved: Saved
    ) -> None:
        version = saved(lambda document: document.update(title="另一个名字"))
        walked(in_force, version)
        changed = cases()
        changed["cases"][0]["expected"]["outcome"] = "review"
        keep(in_force, changed)
        with pytest.raises(CasesFail):
            published(in_force, version)
        assert state_of(in_force, version) == "tested"

    def test_a_statutory_rule_cannot_be_dropped(self, in_force: Runtime, saved: Saved) -> None:
        def dropped(document: dict[str, Any]) -> None:
            document["stages"][0]["rules"].pop(0)

        keep(in_force, {"cases": cases()["cases"][:3]})
        version = saved(dropped)
        walked(in_force, version)
        with pytest.raises(StrategyInvalid):
            published(in_force, version)


def test_the_commands_test_and_publish_a_draft(
    in_force: Runtime, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli._runtime", lambda: in_force)
    version = str(saved(lambda document: document.update(title="另一个名字")))
    ran = CliRunner().invoke(commands, ["risk", "test", KEY, version, "--by", "analyst"])
    assert ran.exit_code == 0, ran.output
    ran = CliRunner().invoke(commands, ["risk", "approve", KEY, version, "--by", "manager"])
    assert ran.exit_code == 0, ran.output
    with in_force.database.read() as session:
        row = session.scalars(
            select(DocumentVersion).filter_by(kind=STRATEGY, version=int(version))
        ).one()
        assert row.state == "in_force"
