"""Applications of the demo book are decided through the queue, its worst lines frozen at night."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

import worker
from assembly import build_runtime
from cli import commands
from kernel import jobs, outbox
from kernel.runtime import Runtime
from risk import queries as risk_queries
from risk.operations import decide, grade_accounts
from servicing import operations, queries
from servicing.demo.book import seed_demo
from servicing.demo.goods import purchase
from servicing.ports import Decide, GradeAccounts
from servicing.tables import Application, CreditLine, Customer, Loan

ON = date(2026, 3, 10)
_CUSTOMERS = 100


@pytest.fixture
def demo(runtime: Runtime) -> Runtime:
    """A demo book with the house's judges."""
    return _seeded(runtime, customers=_CUSTOMERS)


def _seeded(runtime: Runtime, *, customers: int) -> Runtime:
    runtime.provide(Decide, decide)
    runtime.provide(GradeAccounts, grade_accounts)
    with runtime.database.write() as session:
        now = runtime.clock.now()
        seed_demo(session, runtime.cipher, customers=customers, seed=1, now=now)
    return runtime


def _apply(runtime: Runtime, customer_id: int, **given: Any) -> int:
    with runtime.database.write() as session:
        seeded = session.scalars(
            select(Application.attributes).where(Application.customer_id == customer_id)
        ).first()
        values: dict[str, Any] = {
            "merchant_name": "宏达手机卖场",
            "merchandise": "手机",
            "amount_fen": 100_000,
            "terms": 6,
            "channel": "h5",
            "attributes": seeded or {},
            "key": f"apply/{customer_id}",
        }
        return operations.submit_application(
            session, customer_id=customer_id, now=runtime.clock.now(), **values | given
        )


def _work(runtime: Runtime) -> None:
    """Relay what happened, then run what waits in the queue, as scheduler and worker do."""
    outbox.relay(runtime, worker.ROUTES)
    jobs.bind(runtime)
    for waiting in jobs.queue_of(runtime, jobs.DEFAULT_QUEUE).jobs:
        jobs.perform(**waiting.kwargs)


def _application(runtime: Runtime, application_id: int) -> Application:
    with runtime.database.read() as session:
        return session.get_one(Application, application_id)


def _late_customer(runtime: Runtime) -> int:
    with runtime.database.read() as session:
        late = select(Loan.customer_id).where(Loan.days_past_due > 30).order_by(Loan.id).limit(1)
        return session.scalars(late).one()


def _newcomer(runtime: Runtime, **given: Any) -> int:
    values = {"name": "测试人", "phone": "10099999999", "id_number": "99000019900101002X"}
    with runtime.database.write() as session:
        return operations.create_customer(
            session, runtime.cipher, now=runtime.clock.now(), **values | given
        )


class TestApplication:
    def test_of_a_newcomer_is_approved_with_its_amount_held(self, demo: Runtime) -> None:
        application_id = _apply(demo, _newcomer(demo), amount_fen=350_000)
        _work(demo)
        found = _application(demo, application_id)
        assert (found.state, found.decided_by, found.reasons) == ("approved", "machine", [])
        with demo.database.read() as session:
            (line,) = queries.lines_of(session, customer_id=found.customer_id)
        assert (line.granted_fen, line.held_fen) == (350_000, 350_000)

    def test_of_somebody_late_is_declined_and_says_why(self, demo: Runtime) -> None:
        application_id = _apply(demo, _late_customer(demo))
        _work(demo)
        found = _application(demo, application_id)
        assert found.state == "declined"
        assert found.reasons[0] == "overdue-now"
        assert "您有逾期未还的分期，请先还清逾期款项再申请" in risk_queries.customer_reasons(
            found.reasons
        )
        assert found.decision_id is not None
        with demo.database.read() as session:
            made = risk_queries.decision(session, decision_id=found.decision_id)
            assert risk_queries.replays(session, decision_id=found.decision_id)
        assert made.findings[0]["values"]["days_past_due"] > 30
        assert made.strategy_version == found.strategy_version

    def test_for_much_by_a_newcomer_goes_to_a_person(self, demo: Runtime) -> None:
        application_id = _apply(demo, _newcomer(demo), amount_fen=800_000)
        _work(demo)
        found = _application(demo, application_id)
        assert (found.state, found.reasons) == ("in_review", ["large-for-new"])

    def test_that_was_declined_comes_before_a_person_on_appeal(self, demo: Runtime) -> None:
        application_id = _apply(demo, _late_customer(demo))
        _work(demo)
        before = _application(demo, application_id)
        with demo.database.write() as session:
            operations.appeal_application(
                session, application_id=application_id, now=demo.clock.now()
            )
        after = _application(demo, application_id)
        assert after.state == "in_review"
        assert after.reasons == [*before.reasons, "appealed"]
        with demo.database.read() as session:
            first = risk_queries.decision(session, decision_id=after.decision_id or 0)
        assert first.outcome == "decline"

    @pytest.mark.slow
    def test_is_decided_by_machine_nine_times_out_of_ten(self, runtime: Runtime) -> None:
        demo = _seeded(runtime, customers=300)
        random = Random(9)  # noqa: S311 -- made-up purchases are no secret
        made = {}
        for customer_id in range(1, 301):
            bought = purchase(random)
            made[customer_id] = _apply(
                demo, customer_id, amount_fen=bought.principal_fen, terms=bought.terms
            )
        _work(demo)
        with demo.database.read() as session:
            rows = session.scalars(
                select(Application).where(Application.id.in_(made.values()))
            ).all()
        states = Counter(row.state for row in rows)
        assert (states["approved"] + states["declined"]) / len(rows) >= 0.9
        assert 0.4 <= states["approved"] / len(rows) <= 0.8


class TestNight:
    def test_freezes_the_worst_lines_and_tells_staff_why(self, demo: Runtime) -> None:
        customer_id = _late_customer(demo)
        counts = operations.close_day(
            demo, on=ON + timedelta(days=1), grade=demo.get(GradeAccounts)
        )
        assert counts["graded"] == _CUSTOMERS
        with demo.database.read() as session:
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

    def test_grades_once_a_day_and_keeps_each_day(self, demo: Runtime) -> None:
        for days in (1, 1, 2):
            operations.close_day(
                demo, on=ON + timedelta(days=days), grade=demo.get(GradeAccounts), batch=70
            )
        with demo.database.read() as session:
            customers = session.scalars(select(Customer.id)).all()
            history = risk_queries.grades_of(session, customer_ids=customers)
        days_of = Counter(one.customer_id for one in history)
        assert set(days_of.values()) == {2}
        assert len(days_of) == _CUSTOMERS

    def test_is_the_same_from_the_command_line(
        self, demo: Runtime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cli._runtime", lambda: demo)
        ran = CliRunner().invoke(commands, ["close-day", "--on", "2026-03-11"])
        assert ran.exit_code == 0, ran.output
        printed = json.loads(ran.stdout)
        assert printed["graded"] == _CUSTOMERS
        assert printed["frozen"] > 0
        assert printed["differences"] == []
        with demo.database.read() as session:
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
    assert (built.get(Decide), built.get(GradeAccounts)) == (decide, grade_accounts)
    built.database.dispose()
