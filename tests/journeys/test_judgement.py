"""Applications of the demo book are decided through the queues, its worst lines frozen at night."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from house_judges import good_subsystems, house_judges
from sqlalchemy import select

import worker
from assembly import build_runtime
from cli import commands
from kernel import jobs, outbox
from kernel.runtime import Runtime
from risk import queries as risk_queries
from risk.decisions.house import HouseDecide
from risk.operations import grade_accounts
from risk.ports import Fallback, Inquiry, Subsystem, SubsystemFailed, Subsystems
from servicing import operations, queries
from servicing.demo.book import Seeded, seed_demo
from servicing.demo.goods import purchase
from servicing.ports import Decide, GradeAccounts
from servicing.tables import Application, CreditLine, Customer, Loan

ON = date(2026, 3, 10)
_CUSTOMERS = 100


@dataclass(frozen=True)
class Demo:
    """A demo book with the house's judges, its planted truth and a way to apply."""

    runtime: Runtime
    seeded: Seeded

    def apply(self, customer_id: int, **given: Any) -> int:
        with self.runtime.database.write() as session:
            seeded = session.scalars(
                select(Application.attributes).where(Application.customer_id == customer_id)
            ).first()
            values: dict[str, Any] = {
                "merchant_name": "宏达手机卖场",
                "merchandise": "手机",
                "amount_fen": 100_000,
                "terms": 6,
                "channel": "h5",
                "attributes": seeded or {"income_monthly_fen": 800_000},
                "key": f"apply/{customer_id}",
            }
            return operations.submit_application(
                session, customer_id=customer_id, now=self.runtime.clock.now(), **values | given
            )

    def work(self) -> None:
        """Relay what happened, then run what waits, as scheduler and workers do."""
        outbox.relay(self.runtime, worker.ROUTES)
        jobs.bind(self.runtime)
        while waiting := [
            (queue, job)
            for name in (jobs.DEFAULT_QUEUE, jobs.DECISION_QUEUE, jobs.EVIDENCE_QUEUE)
            for queue in [jobs.queue_of(self.runtime, name)]
            for job in queue.jobs
        ]:
            for queue, job in waiting:
                queue.remove(job)
                jobs.perform(**job.kwargs)

    def application(self, application_id: int) -> queries.ApplicationDetail:
        with self.runtime.database.read() as session:
            found = queries.application_of(session, application_id=application_id)
        assert found is not None
        return found

    def late_customer(self) -> int:
        with self.runtime.database.read() as session:
            late = select(Loan.customer_id).where(Loan.days_past_due > 30).order_by(Loan.id)
            return session.scalars(late.limit(1)).one()

    def newcomer(self, **given: Any) -> int:
        values = {"name": "测试人", "phone": "10099999999", "id_number": "99000019900101002X"}
        with self.runtime.database.write() as session:
            return operations.create_customer(
                session, self.runtime.cipher, now=self.runtime.clock.now(), **values | given
            )


def _by_the_files(files: Mapping[str, Mapping[str, Any]]) -> Subsystems:
    """Answer as the sandbox does: by the files that were written with the book."""
    good = good_subsystems()

    def bureau(inquiry: Inquiry) -> Mapping[str, Any]:
        report = files[inquiry.id_number]["report"]
        return {
            "bureau_score": report["score"],
            "overdue_days_max_12m": report["overdue_days_max_12m"],
            "bureau_queries_30d": report["queries_30d"],
            "exposure_fen": report["balance_fen"],
            "debt_service_monthly_fen": report["service_monthly_fen"],
        }

    def lists(inquiry: Inquiry) -> Mapping[str, Any]:
        return {"outside_list_hits": files[inquiry.id_number]["hits"]}

    def asking(one: Subsystem) -> Subsystem:
        asked = {"bureau": bureau, "lists": lists}
        return replace(one, ask=asked.get(one.name, one.ask))

    return Subsystems(each=tuple(map(asking, good.each)))


def _seeded(runtime: Runtime, *, customers: int) -> Demo:
    with runtime.database.write() as session:
        seeded = seed_demo(
            session, runtime.cipher, customers=customers, seed=1, now=runtime.clock.now()
        )
    return Demo(runtime=runtime, seeded=seeded)


@pytest.fixture
def demo(runtime: Runtime) -> Iterator[Demo]:
    with house_judges(runtime):
        yield _seeded(runtime, customers=_CUSTOMERS)


class TestApplication:
    def test_of_a_newcomer_is_approved_on_a_line_that_leaves_room(self, demo: Demo) -> None:
        application_id = demo.apply(demo.newcomer(), amount_fen=350_000)
        demo.work()
        found = demo.application(application_id)
        assert (found.state, found.decided_by, found.reasons) == ("approved", "machine", ())
        with demo.runtime.database.read() as session:
            (line,) = queries.lines_of(session, customer_id=found.customer_id)
            evidence = queries.evidence_of(session, application_id=application_id)
        assert (line.granted_fen, line.held_fen) == (2_400_000, 350_000)
        assert [(one.subsystem, one.state) for one in evidence] == [
            ("bureau", "answered"),
            ("identity", "answered"),
            ("lists", "answered"),
        ]

    def test_of_a_good_repeat_buyer_is_not_stopped_by_what_they_still_owe(self, demo: Demo) -> None:
        customer_id = demo.newcomer()
        first = demo.apply(customer_id, amount_fen=900_000)
        second = demo.apply(customer_id, amount_fen=900_000, key="again")
        demo.work()
        assert [demo.application(one).state for one in (first, second)] == ["approved"] * 2

    def test_of_somebody_late_is_declined_and_says_why(self, demo: Demo) -> None:
        application_id = demo.apply(demo.late_customer())
        demo.work()
        found = demo.application(application_id)
        assert (found.state, found.reasons[0]) == ("declined", "overdue-now")
        told = queries.customer_reasons(found.reasons, found.told)
        assert "您有逾期未还的分期，请先还清逾期款项再申请" in told
        assert found.decision_no is not None
        with demo.runtime.database.read() as session:
            made = risk_queries.decision(session, decision_id=found.decision_no)
            assert risk_queries.replays(session, decision_id=found.decision_no)
        late = dict(made.findings[0].read)["本公司当前逾期天数"]
        assert (made.findings[0].code, late > 30) == ("own.overdue", True)
        assert made.strategy_version == found.strategy_version

    @pytest.mark.parametrize(
        ("silent", "fallback", "state"),
        [
            ("identity", Fallback.REVIEW, "in_review"),
            ("bureau", Fallback.REVIEW, "in_review"),
            ("bureau", Fallback.DECLINE, "declined"),
            ("lists", Fallback.IGNORE, "approved"),
            ("lists", Fallback.REVIEW, "in_review"),
            ("lists", Fallback.DECLINE, "declined"),
        ],
    )
    def test_without_an_answer_is_as_strict_as_the_fallback_says(
        self, demo: Demo, silent: str, fallback: Fallback, state: str
    ) -> None:
        demo.runtime.provide(Subsystems, _without(silent, fallback))
        application_id = demo.apply(demo.newcomer())
        demo.work()
        found = demo.application(application_id)
        assert found.state == state
        assert (found.state == "approved") is (found.reasons == ())

    def test_without_an_income_goes_to_a_person(self, demo: Demo) -> None:
        application_id = demo.apply(demo.newcomer(), attributes={})
        demo.work()
        found = demo.application(application_id)
        assert (found.state, found.reasons) == ("in_review", ("data-missing",))

    def test_that_was_declined_comes_before_a_person_on_appeal(self, demo: Demo) -> None:
        application_id = demo.apply(demo.late_customer())
        demo.work()
        before = demo.application(application_id)
        with demo.runtime.database.write() as session:
            operations.appeal_application(
                session, application_id=application_id, now=demo.runtime.clock.now()
            )
        after = demo.application(application_id)
        assert after.state == "in_review"
        assert after.reasons == (*before.reasons, "appealed")
        with demo.runtime.database.read() as session:
            first = risk_queries.decision(session, decision_id=after.decision_no or "")
        assert first.outcome == "decline"

    @pytest.mark.slow
    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_is_decided_by_machine_and_the_approved_pay_better(self, runtime: Runtime) -> None:
        customers = 400
        with house_judges(runtime):
            demo = _seeded(runtime, customers=customers)
            runtime.provide(Subsystems, _by_the_files(demo.seeded.files))
            random = Random(9)  # noqa: S311 -- made-up purchases are no secret
            made = {}
            for customer_id in range(1, customers + 1):
                bought = purchase(random)
                made[customer_id] = demo.apply(
                    customer_id, amount_fen=bought.principal_fen, terms=bought.terms
                )
            demo.work()
        states = {who: demo.application(made[who]).state for who in made}
        counts = Counter(states.values())
        approved = [who for who, state in states.items() if state == "approved"]
        assert (counts["approved"] + counts["declined"]) / customers >= 0.9
        assert 0.4 <= len(approved) / customers <= 0.8
        assert _bad_rate(demo, approved) <= 0.6 * _bad_rate(demo, made)


def _bad_rate(demo: Demo, customers: Any) -> float:
    return sum(demo.seeded.credit[who].is_bad for who in customers) / len(customers)


def _without(silent: str, fallback: Fallback) -> Subsystems:
    """Sub-systems of which one never answers."""

    def fail(_inquiry: Inquiry) -> Mapping[str, Any]:
        raise SubsystemFailed("silent")

    good = good_subsystems().each
    dead = replace(good[0], ask=fail, attempts=1, fallback=fallback, name=silent)
    return Subsystems(each=tuple(dead if one.name == silent else one for one in good))


class TestNight:
    def test_freezes_the_worst_lines_and_tells_staff_why(self, demo: Demo) -> None:
        runtime, customer_id = demo.runtime, demo.late_customer()
        counts = operations.close_day(
            runtime, on=ON + timedelta(days=1), grade=runtime.get(GradeAccounts)
        )
        assert counts["graded"] == _CUSTOMERS
        with runtime.database.read() as session:
            alerts = {one.customer_id: one for one in queries.alerts(session, limit=_CUSTOMERS)}
            (line,) = queries.lines_of(session, customer_id=customer_id)
            (graded,) = risk_queries.grades_of(session, customer_ids=[customer_id])
            late = select(Loan.customer_id).where(Loan.days_past_due > 30)
            assert set(session.scalars(late)) <= alerts.keys()
        assert counts["frozen"] == len(alerts) < _CUSTOMERS / 10
        assert (line.state, line.grade, line.frozen_reason) == ("frozen", "E", "grade")
        told = alerts[customer_id]
        assert (told.kind, told.severity, told.details["grade"]) == ("line-frozen", "high", "E")
        assert told.details["reasons"] == list(graded.reasons)
        assert told.details["reasons"][0].startswith("当前逾期 ")

    def test_grades_once_a_day_and_keeps_each_day(self, demo: Demo) -> None:
        runtime = demo.runtime
        for days in (1, 1, 2):
            operations.close_day(
                runtime, on=ON + timedelta(days=days), grade=runtime.get(GradeAccounts), batch=70
            )
        with runtime.database.read() as session:
            customers = session.scalars(select(Customer.id)).all()
            history = risk_queries.grades_of(session, customer_ids=customers)
        days_of = Counter(one.customer_id for one in history)
        assert set(days_of.values()) == {2}
        assert len(days_of) == _CUSTOMERS

    def test_is_the_same_from_the_command_line(
        self, demo: Demo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cli._runtime", lambda: demo.runtime)
        ran = CliRunner().invoke(commands, ["close-day", "--on", "2026-03-11"])
        assert ran.exit_code == 0, ran.output
        printed = json.loads(ran.stdout)
        assert printed["graded"] == _CUSTOMERS
        assert printed["frozen"] > 0
        assert printed["differences"] == []
        with demo.runtime.database.read() as session:
            assert None not in session.scalars(select(CreditLine.grade)).all()


def test_web_processes_load_no_library_of_models() -> None:
    heavy = "{'sklearn', 'numpy', 'scipy', 'onnxruntime', 'dlib', 'rapidocr', 'weasyprint'}"
    program = f"import sys, wsgi; print({heavy} & sys.modules.keys() or 'none')"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "none"


def test_every_process_is_given_the_judges(runtime: Runtime) -> None:
    url = runtime.database.url.render_as_string(hide_password=False)
    built = build_runtime(replace(runtime.settings, database_url=url))
    assert isinstance(built.get(Decide), HouseDecide)
    assert built.get(GradeAccounts) is grade_accounts
    assert [one.name for one in built.get(Subsystems).each] == ["identity", "bureau", "lists"]
    built.database.dispose()
