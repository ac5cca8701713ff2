"""The grounds of a machine's decision and the history of grades, for those who may see them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from house_judges import house_judges
from markupsafe import escape
from verdicts import HOUSE
from workplace import House

from risk import queries as judge
from risk.operations import grade_accounts
from servicing import jobs, queries
from servicing.admin import judgement
from servicing.admin.judgement import spans_of

GROUNDS = "/admin/applications/1/grounds"


@pytest.fixture
def declined(workplace: House, someone: Any, book: Any) -> Iterator[int]:
    """An application of somebody ten days late, judged by the house's strategy."""
    runtime = workplace.runtime
    with house_judges(runtime):
        with runtime.database.write() as session:
            application_id = book.application(session, customer_id=someone.id, amount_fen=100_000)
        jobs.decide_application(runtime, application_id=application_id)
        with runtime.database.read() as session:
            found = queries.application_of(session, application_id=application_id)
        assert found is not None
        assert found.state == "declined"
        yield application_id


class TestGrounds:
    @pytest.mark.usefixtures("declined")
    def test_say_what_was_read_and_that_it_replays(self, workplace: House, someone: Any) -> None:
        desk = workplace.seat("risk_manager")
        told = desk.get(GROUNDS).text
        for words in ("当前有逾期", "当前逾期天数", "回放一致", "house-credit v1"):
            assert words in told
            assert words in desk.get("/admin/applications/1").text
        assert GROUNDS in desk.get(someone.at("/tabs/applications")).text

    @pytest.mark.usefixtures("declined")
    def test_are_not_for_clerks(self, workplace: House, someone: Any) -> None:
        desk = workplace.seat("clerk")
        assert desk.get(GROUNDS).status_code == 403
        tab = desk.get(someone.at("/tabs/applications")).text
        assert GROUNDS not in tab
        assert "当前有逾期" in tab

    def test_of_nothing_are_not_found(self, workplace: House) -> None:
        assert workplace.seat("auditor").get(GROUNDS).status_code == 404

    @pytest.mark.usefixtures("declined")
    def test_are_said_in_english_too(self, workplace: House) -> None:
        desk = workplace.seat("auditor")
        desk.post("/admin/language", language="en")
        told = desk.get(GROUNDS).text
        assert "Is overdue now" in told
        assert "Days past due now" in told

    @pytest.mark.usefixtures("declined")
    def test_are_said_whatever_a_strategy_calls_its_reasons(
        self, workplace: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reasons = json.loads(HOUSE.read_text(encoding="utf-8"))["reasons"]
        notes = [reason["internal"] for reason in reasons]
        notes += ["人脸相似度低于 60%", "100%s", "%(x)s", "%", "<b>"]

        def found(*given: Any, **named: Any) -> judge.DecisionView:
            made = judge.decision(*given, **named)
            (one, *_) = made.findings
            return replace(made, findings=tuple(replace(one, note=note) for note in notes))

        monkeypatch.setattr(judgement, "decision", found)
        desk = workplace.seat("risk_manager")
        for page in ("/admin/applications/1", GROUNDS):
            answer = desk.get(page)
            assert answer.status_code == 200
            for note in notes:
                assert f"</span> {escape(note)}</div>" in answer.text


class TestGrades:
    def grade(self, house: House, customer_id: int, *days_late: int) -> None:
        for day, late in enumerate(days_late):
            account = SimpleNamespace(
                customer_id=customer_id,
                days_past_due=late,
                worst_dpd_12m=late,
                on_time_ratio=Decimal(1),
                utilisation=Decimal("0.2"),
                months_on_book=20,
            )
            with house.runtime.database.write() as session:
                on = date(2026, 3, 1) + timedelta(days=day)
                grade_accounts(session, facts=[account], on=on, now=house.clock.now())

    def test_tell_since_when_and_why(self, workplace: House, someone: Any) -> None:
        self.grade(workplace, someone.id, 0, 0, 40)
        told = workplace.seat("clerk").get(someone.at("/grades")).text
        assert told.index("2026-03-03") < told.index("2026-03-01")
        assert "2026-03-02" not in told
        assert "40" in told

    def test_of_nobody_yet_say_so(self, workplace: House, someone: Any) -> None:
        assert "尚未评级" in workplace.seat("finance").get(someone.at("/grades")).text

    def test_fold_days_of_one_grade(self) -> None:
        days = [
            SimpleNamespace(grade=grade, graded_on=date(2026, 3, 9 - n))
            for n, grade in enumerate("BAAB")
        ]
        folded = [(span.last.grade, span.since.day) for span in spans_of(days)]
        assert folded == [("B", 9), ("A", 7), ("B", 6)]


class TestUnfreezing:
    def test_leads_the_second_person_to_the_customer(self, workplace: House, someone: Any) -> None:
        written = f"customer:{someone.id}:line:4"
        with workplace.app.test_request_context():
            named = workplace.site.subjects.get("customer").name([written])[written]
        assert (named.title, named.url) == ("授信额度", f"/admin/customers/{someone.id}")
