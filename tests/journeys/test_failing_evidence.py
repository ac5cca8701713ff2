"""Sub-systems that fail in every way: asked again, and then what their silence means."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house_judges import house_judges
from patience import PATIENCE_S
from stand_in import StandIn, standing_in

from kernel import jobs as queues
from kernel.clock import SystemClock
from kernel.runtime import Runtime
from risk.evidence.house import house_subsystems
from risk.ports import Subsystems
from servicing import jobs, operations, queries

NUMBER = "99000019900101002X"
_ONCE_S = 3  # how long is waited for one that hangs once, and then has to answer
FAULTS = [
    pytest.param("hang", 12, id="slow"),
    pytest.param("http_500", None, id="error 500"),
    pytest.param("html", None, id="garbage"),
    pytest.param("unsigned", None, id="wrong signature"),
    pytest.param("answer", {"score": "high", "hits": "none"}, id="odd values"),
]


class Applicant:
    """Somebody with a good file who applies to a house that asks over real HTTP."""

    def __init__(self, runtime: Runtime, stand_in: StandIn) -> None:
        self.runtime, self._knobs = runtime, stand_in.world.knobs
        settings = replace(runtime.settings, evidence_api_base=stand_in.evidence)
        self._subsystems = house_subsystems(settings, runtime.clock).each

    def loses(self, name: str, fault: str, value: Any, *, times: int | None = None) -> None:
        """Let a sub-system fail; where it hangs, nobody waits for it as long as for the others."""
        briefly_s = _ONCE_S if times else 1
        wait_s = briefly_s if fault == "hang" else PATIENCE_S
        timed = tuple(
            replace(one, timeout_s=wait_s if one.name == name else PATIENCE_S)
            for one in self._subsystems
        )
        self.runtime.provide(Subsystems, Subsystems(each=timed))
        self._knobs.turn(f"evidence.{name}", fault, value=value, times=times)

    def apply(self) -> queries.ApplicationDetail:
        """Apply, let all that follows run, and return what came of it."""
        now = self.runtime.clock.now()
        with self.runtime.database.write() as session:
            customer_id = operations.create_customer(
                session,
                self.runtime.cipher,
                name="测试人",
                phone="10099999999",
                id_number=NUMBER,
                now=now,
            )
            application_id = operations.submit_application(
                session,
                customer_id=customer_id,
                merchant_name="宏达手机卖场",
                merchandise="手机",
                amount_fen=100_000,
                terms=6,
                channel="h5",
                attributes={"income_monthly_fen": 800_000},
                key="a1",
                now=now,
            )
        jobs.gather_evidence(self.runtime, application_id=application_id)
        queues.bind(self.runtime)
        for name in (queues.EVIDENCE_QUEUE, queues.DECISION_QUEUE):
            queue = queues.queue_of(self.runtime, name)
            for job in queue.jobs:
                queue.remove(job)
                queues.perform(**job.kwargs)
        with self.runtime.database.read() as session:
            found = queries.application_of(session, application_id=application_id)
        assert found is not None
        return found

    def evidence(self) -> dict[str, tuple[str, int]]:
        with self.runtime.database.read() as session:
            rows = queries.evidence_of(session, application_id=1)
        return {row.subsystem: (row.state, row.attempts) for row in rows}


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with standing_in(tmp_path) as made:
        yield made


@pytest.fixture
def applicant(
    runtime: Runtime, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Applicant]:
    monkeypatch.setattr("servicing.jobs._PAUSE_S", 0)
    runtime = replace(runtime, clock=SystemClock())
    with house_judges(runtime):
        yield Applicant(runtime, stand_in)


@pytest.mark.parametrize(("fault", "value"), FAULTS)
class TestFailing:
    def test_once_is_asked_again_and_nobody_notices(
        self, applicant: Applicant, fault: str, value: Any
    ) -> None:
        applicant.loses("bureau", fault, value, times=1)
        applicant.apply()
        assert applicant.evidence() == {
            "identity": ("answered", 1),
            "bureau": ("answered", 2),
            "lists": ("answered", 1),
        }

    def test_for_good_a_person_looks_where_that_is_declared(
        self, applicant: Applicant, fault: str, value: Any
    ) -> None:
        applicant.loses("bureau", fault, value)
        found = applicant.apply()
        assert applicant.evidence()["bureau"] == ("failed", 3)
        assert found.state in ("in_review", "declined")

    def test_for_good_the_strategy_alone_decides_where_that_is_declared(
        self, applicant: Applicant, fault: str, value: Any
    ) -> None:
        applicant.loses("lists", fault, value)
        found = applicant.apply()
        assert applicant.evidence()["lists"] == ("failed", 3)
        assert found.decision_no is not None
        assert "evidence-missing" not in found.reasons
