"""The machine's way to a decision: asked in parallel, resumed after crashes, late answers apart."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from counted import Growth
from house_judges import answering
from sqlalchemy import select
from verdicts import Verdict
from ways import Judge, Way

from kernel.runtime import Runtime
from risk.ports import Fallback, Inquiry, Subsystem, SubsystemFailed, Subsystems
from servicing import jobs, operations, queries
from servicing.model import ApplicationStateRefused, CourseEvent, CourseState, next_course_state
from servicing.ports import Decide
from servicing.tables import Alert, ApplicationCourse

IDENTITY = answering("identity", {"is_identity_verified": True}, Fallback.REVIEW)
LISTS = answering("lists", {"outside_list_hits": 1}, Fallback.IGNORE)


@pytest.fixture
def judge(runtime: Runtime) -> Judge:
    made = Judge(Verdict())
    runtime.provide(Decide, made)
    return made


@pytest.fixture
def way(runtime: Runtime, book: Any, judge: Judge) -> Way:
    runtime.provide(Subsystems, Subsystems(each=(IDENTITY, LISTS)))
    return Way(runtime, book, judge)


def failing(times: int, then: Subsystem) -> Subsystem:
    """A sub-system that fails some times before it answers."""
    left = [times]

    def ask(inquiry: Inquiry) -> Mapping[str, Any]:
        left[0] -= 1
        if left[0] >= 0:
            raise SubsystemFailed("HTTP 500, code None")
        return then.ask(inquiry)

    return replace(then, ask=ask)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicing.jobs._PAUSE_S", 0)


class TestGathering:
    def test_asks_all_at_once_and_decides_after_the_last(self, way: Way) -> None:
        way.gather()
        asked = {"application_id": way.id}
        assert way.waiting() == [
            ("ask_subsystem", asked | {"subsystem": "identity"}),
            ("ask_subsystem", asked | {"subsystem": "lists"}),
        ]
        jobs.decide_application(way.runtime, application_id=way.id)
        assert way.state == "submitted"
        way.work()
        assert way.state == "approved"
        (question,) = way.judge.asked
        assert question["key"] == f"application/{way.id}"
        assert (question["subject"], question["product"]) == ("customer:1", "standard")

    def test_shows_the_judge_what_is_stated_known_and_answered(self, way: Way) -> None:
        way.gather()
        way.work()
        values = dict(way.judge.asked[0]["values"])
        assert len(values.pop("identity_key")) > 20
        assert len(values.pop("phone")) > 20
        assert values == {
            "product": "standard",
            "lender_type": "small_loan",
            "age_years": 36,
            "income_monthly_fen": 800_000,
            "requested_fen": 300_000,
            "requested_terms": 12,
            "merchant_name": "宏达手机卖场",
            "is_student": False,
            "days_past_due_now": 0,
            "own_overdue_days_max_12m": 0,
            "months_on_book": 0,
            "loans_settled": 0,
            "line_granted_fen": 0,
            "line_used_fen": 0,
            "applications_30d": 1,
            "device_others_30d": 0,
            "is_identity_verified": True,
            "outside_list_hits": 1,
        }
        assert way.judge.asked[0]["links"] == {"device": "d1", "phone": "10000000001"}

    @pytest.mark.parametrize("stated", [0, -800_000, True, "8000", 8e5, None])
    def test_takes_no_odd_income_for_one(
        self, way: Way, runtime: Runtime, book: Any, stated: Any
    ) -> None:
        with runtime.database.write() as session:
            odd = book.application(session, attributes={"income_monthly_fen": stated})
        with runtime.database.read() as session:
            asked = queries.question_of(
                session, runtime.cipher, application_id=odd, now=runtime.clock.now()
            )
        assert asked is not None
        assert "income_monthly_fen" not in asked.values
        assert way.state == "submitted"

    def test_takes_nothing_that_a_sub_system_does_not_declare(
        self, way: Way, runtime: Runtime
    ) -> None:
        meddling = replace(LISTS, ask=lambda _inquiry: {"line_granted_fen": 9_000_000})
        runtime.provide(Subsystems, Subsystems(each=(meddling,)))
        way.gather()
        way.work()
        assert way.judge.asked[0]["values"]["line_granted_fen"] == 0

    def test_asks_again_after_a_failure(self, way: Way, runtime: Runtime) -> None:
        runtime.provide(Subsystems, Subsystems(each=(failing(1, IDENTITY), LISTS)))
        way.gather()
        way.work()
        assert way.evidence() == {"identity": ("answered", False), "lists": ("answered", False)}
        with runtime.database.read() as session:
            (identity, _) = queries.evidence_of(session, application_id=way.id)
        assert identity.attempts == 2

    @pytest.mark.parametrize(
        ("said", "fallback", "state", "reasons"),
        [
            ("approve", Fallback.IGNORE, "approved", ()),
            ("approve", Fallback.REVIEW, "in_review", ("evidence-missing",)),
            ("approve", Fallback.DECLINE, "declined", ("evidence-missing",)),
            ("review", Fallback.DECLINE, "declined", ("slips", "evidence-missing")),
            ("decline", Fallback.REVIEW, "declined", ("slips",)),
        ],
    )
    def test_makes_silence_stricter_never_milder(
        self,
        way: Way,
        runtime: Runtime,
        said: str,
        fallback: Fallback,
        state: str,
        reasons: tuple[str, ...],
    ) -> None:
        silent = replace(failing(9, IDENTITY), fallback=fallback)
        runtime.provide(Subsystems, Subsystems(each=(silent,)))
        way.judge.verdict = Verdict(said, *(["slips"] if said != "approve" else []))
        way.gather()
        way.work()
        assert way.evidence() == {"identity": ("failed", False)}
        assert "is_identity_verified" not in way.judge.asked[0]["values"]
        assert (way.state, way.found.reasons) == (state, reasons)

    def test_without_sub_systems_decides_at_once(self, way: Way, runtime: Runtime) -> None:
        runtime.provide(Subsystems, Subsystems(each=()))
        way.gather()
        assert [name for name, _ in way.waiting()] == ["decide_application"]

    def test_of_what_was_withdrawn_asks_nobody(self, way: Way, runtime: Runtime) -> None:
        with runtime.database.write() as session:
            operations.cancel_application(session, application_id=way.id, now=runtime.clock.now())
        way.gather()
        assert way.waiting() == []


class TestResuming:
    def test_takes_up_what_was_never_gathered(self, way: Way) -> None:
        way.sweep()
        assert way.waiting() == []
        way.pass_time(seconds=11)
        way.sweep()
        assert [name for name, _ in way.waiting()] == ["gather_evidence"]

    def test_asks_again_what_a_lost_queue_forgot_once(self, way: Way) -> None:
        way.gather()
        way.lose_queues()
        way.pass_time(seconds=11)
        for _ in range(2):
            way.sweep()
        assert [name for name, _ in way.waiting()] == ["ask_subsystem"] * 2
        way.work()
        assert way.state == "approved"

    def test_decides_what_was_answered_and_then_forgotten(self, way: Way) -> None:
        way.gather()
        for name in ("identity", "lists"):
            jobs.ask_subsystem(way.runtime, application_id=way.id, subsystem=name)
        way.lose_queues()
        way.pass_time(seconds=11)
        way.sweep()
        way.work()
        assert way.state == "approved"
        assert len(way.judge.asked) == 1

    def test_leaves_a_running_inquiry_alone(self, way: Way, runtime: Runtime) -> None:
        way.gather()
        with runtime.database.write() as session:
            operations.begin_inquiry(
                session,
                runtime.cipher,
                application_id=way.id,
                subsystem="identity",
                now=runtime.clock.now(),
            )
        way.lose_queues()
        way.pass_time(seconds=15)
        way.sweep()
        assert [given["subsystem"] for _, given in way.waiting()] == ["lists"]

    def test_ends_waiting_at_the_deadline_and_decides_without(self, way: Way) -> None:
        way.gather()
        jobs.ask_subsystem(way.runtime, application_id=way.id, subsystem="lists")
        way.lose_queues()
        way.pass_time(seconds=91)
        way.sweep()
        way.work()
        assert way.evidence()["identity"] == ("timed_out", False)
        assert (way.state, way.found.reasons) == ("in_review", ("evidence-missing",))

    def test_alerts_staff_once_of_a_broken_promise(self, way: Way, runtime: Runtime) -> None:
        way.pass_time(minutes=5)
        for _ in range(2):
            way.sweep()
        with runtime.database.read() as session:
            (told,) = session.scalars(select(Alert)).all()
        assert (told.kind, told.severity) == ("application-overdue", "high")
        assert told.details == {"application_no": way.found.application_no}


@pytest.fixture
def answer_late(way: Way, runtime: Runtime) -> Callable[[], None]:
    """Let an inquiry outlive its deadline, the decision fall, and the answer come."""

    def answer() -> None:
        way.gather()
        jobs.ask_subsystem(runtime, application_id=way.id, subsystem="identity")
        way.lose_queues()
        way.pass_time(seconds=91)
        way.sweep()
        way.work()
        with runtime.database.write() as session:
            operations.settle_inquiry(
                session,
                application_id=way.id,
                subsystem="lists",
                attempts=1,
                values={"outside_list_hits": 2},
                now=runtime.clock.now(),
            )

    return answer


class TestMetrics:
    def test_time_a_whole_application(self, way: Way) -> None:
        grown = Growth()
        way.gather()
        way.pass_time(seconds=7)
        way.work()
        assert grown['fenqi_application_seconds_bucket{le="10.0",state="approved"}'] == 1
        assert grown['fenqi_application_seconds_bucket{le="5.0",state="approved"}'] == 0
        assert grown['fenqi_subsystem_seconds_count{outcome="answered",subsystem="lists"}'] == 1
        assert grown['fenqi_subsystem_inquiries_total{state="answered",subsystem="lists"}'] == 1

    def test_count_a_broken_promise_once(self, way: Way) -> None:
        grown = Growth()
        way.pass_time(minutes=5)
        for _ in range(2):
            way.sweep()
        assert grown["fenqi_applications_overdue_total"] == 1

    def test_count_failures_and_what_was_done_without_an_answer(
        self, way: Way, runtime: Runtime
    ) -> None:
        grown = Growth()
        runtime.provide(Subsystems, Subsystems(each=(failing(9, IDENTITY),)))
        way.gather()
        way.work()
        assert grown['fenqi_subsystem_seconds_count{outcome="failed",subsystem="identity"}'] == 2
        assert grown['fenqi_subsystem_inquiries_total{state="failed",subsystem="identity"}'] == 1
        assert grown['fenqi_subsystem_fallbacks_total{fallback="review",subsystem="identity"}'] == 1

    def test_count_a_time_out_and_the_late_answer(self, answer_late: Callable[[], None]) -> None:
        grown = Growth()
        answer_late()
        for state in ("timed_out", "late"):
            series = f'fenqi_subsystem_inquiries_total{{state="{state}",subsystem="lists"}}'
            assert grown[series] == 1
        assert grown['fenqi_subsystem_fallbacks_total{fallback="ignore",subsystem="lists"}'] == 1


class TestLateEvidence:
    def test_is_attached_and_changes_no_decision(
        self, way: Way, runtime: Runtime, answer_late: Callable[[], None]
    ) -> None:
        answer_late()
        assert way.state == "approved"
        assert way.evidence()["lists"] == ("timed_out", True)
        assert "outside_list_hits" not in way.judge.asked[0]["values"]
        assert len(way.judge.asked) == 1
        with runtime.database.read() as session:
            (alert,) = session.scalars(select(Alert)).all()
        assert (alert.kind, alert.details["subsystem"]) == ("evidence-late", "lists")

    def test_on_what_was_not_approved_alerts_nobody(
        self, way: Way, runtime: Runtime, answer_late: Callable[[], None]
    ) -> None:
        way.judge.verdict = Verdict("decline", "slips")
        answer_late()
        assert way.evidence()["lists"] == ("timed_out", True)
        with runtime.database.read() as session:
            assert session.scalars(select(Alert)).all() == []


class TestCourse:
    def test_keeps_what_the_machine_said_and_how_long_it_took(
        self, way: Way, runtime: Runtime
    ) -> None:
        way.pass_time(seconds=7)
        way.gather()
        way.work()
        with runtime.database.read() as session:
            course = session.get_one(ApplicationCourse, way.id)
            share = queries.machine_share(session, until=way.found.decided_at.date(), days=1)  # type: ignore[union-attr]
        assert (course.state, course.machine_outcome, course.machine_ms) == (
            "decided",
            "approve",
            7_000,
        )
        assert (share.approve, share.total, share.p50_ms, share.p99_ms) == (1, 1, 7_000, 7_000)
        assert share.alone == 1

    def test_counts_appeals_and_what_people_overturned(self, way: Way, runtime: Runtime) -> None:
        now = runtime.clock.now()
        way.judge.verdict = Verdict("decline", "slips")
        way.gather()
        way.work()
        with runtime.database.write() as session:
            operations.appeal_application(session, application_id=way.id, now=now)
            operations.review_application(
                session,
                application_id=way.id,
                approve=True,
                reasons=["good-record"],
                decided_by="lin",
                now=now,
            )
            share = queries.machine_share(session, until=now.date(), days=1)
        assert (share.decline, share.appealed, share.overturned) == (1, 1, 1)

    def test_ends_with_a_decision(self) -> None:
        with pytest.raises(ApplicationStateRefused):
            next_course_state(CourseState.DECIDED, CourseEvent.GATHER)
