import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from desk import queries
from desk.model import ApprovalNotOpen, ApprovalState
from desk.operations import (
    ActionUnknown,
    ApprovalNotFound,
    ApprovalWaiting,
    NotPermitted,
    NotUndoable,
    ReasonNeeded,
    SecondPersonNeeded,
    decide,
    expire_due,
    propose,
    set_active,
    undo,
    withdraw,
)
from desk.ports import Approvable, Site
from desk.queries import AuditFilter
from kernel.clock import FixedClock
from kernel.database import Database

ACTION = "demo.limit.raise"


class Service:
    """The approval service with every default legal."""

    def __init__(self, database: Database, site: Site, clock: FixedClock) -> None:
        self.database, self.site, self.clock = database, site, clock

    def propose(self, **given: Any) -> int:
        values: dict[str, Any] = {
            "action": ACTION,
            "subject": "line:17",
            "payload": {"limit": 800_000},
            "proposed_by": "analyst",
            "expires_in": timedelta(days=1),
        }
        with self.database.write() as session:
            return propose(session, self.site, now=self.clock.now(), **values | given)

    def decide(self, approval_id: int, **given: Any) -> dict[str, Any]:
        values: dict[str, Any] = {"decided_by": "manager", "approve": True, "note": ""}
        with self.database.write() as session:
            return decide(
                session,
                self.site,
                approval_id=approval_id,
                now=self.clock.now(),
                **values | given,
            )

    def undo(self, approval_id: int, *, by: str = "manager", reason: str = "误批") -> None:
        with self.database.write() as session:
            undo(
                session,
                self.site,
                approval_id=approval_id,
                undone_by=by,
                reason=reason,
                now=self.clock.now(),
            )

    def view(self, approval_id: int) -> queries.ApprovalView:
        with self.database.read() as session:
            found = queries.approval(session, approval_id=approval_id, now=self.clock.now())
        assert found is not None
        return found

    def audit(self) -> list[str]:
        with self.database.read() as session:
            assert queries.verify_audit_chain(session) is None
            wanted = AuditFilter(action="desk.approval")
            return [entry.action for entry in queries.each_audit_entry(session, wanted=wanted)]


@pytest.fixture
def service(database: Database, site: Site, clock: FixedClock, hire: Callable[..., int]) -> Service:
    hire("analyst", "risk_analyst")
    hire("manager", "risk_manager")
    hire("manager2", "risk_manager")
    hire("clerk", "clerk")
    return Service(database, site, clock)


class TestDecide:
    def test_another_person_approves_and_the_act_runs_once(
        self, service: Service, acts: Any
    ) -> None:
        number = service.propose(reason="客户申请")
        assert service.view(number).diff[0].after == "800000"
        assert service.decide(number, note="同意") == {"limit": 800_000}
        view = service.view(number)
        assert (view.state, view.decided_by, view.note) == ("executed", "manager", "同意")
        assert view.result == {"limit": 800_000}
        with pytest.raises(ApprovalNotOpen):
            service.decide(number, decided_by="manager2")
        assert acts.done == [800_000]
        assert service.audit() == ["desk.approval.proposed", "desk.approval.executed"]

    def test_the_proposer_cannot_decide(self, service: Service, acts: Any) -> None:
        number = service.propose(proposed_by="manager")
        with pytest.raises(SecondPersonNeeded):
            service.decide(number, decided_by="manager")
        assert acts.done == []
        assert service.view(number).state is ApprovalState.WAITING

    def test_needs_the_permission_and_a_working_account(self, service: Service) -> None:
        number = service.propose()
        with pytest.raises(NotPermitted):
            service.decide(number, decided_by="clerk")
        with pytest.raises(NotPermitted):
            service.decide(number, decided_by="nobody")
        with service.database.write() as session:
            staff = {person.login: person.id for person in queries.staff_list(session)}
            set_active(
                session,
                staff_id=staff["manager"],
                is_active=False,
                by="root",
                now=service.clock.now(),
            )
        with pytest.raises(NotPermitted):
            service.decide(number)
        assert service.view(number).state is ApprovalState.WAITING

    def test_a_refusal_needs_words_and_executes_nothing(self, service: Service, acts: Any) -> None:
        number = service.propose()
        with pytest.raises(ReasonNeeded):
            service.decide(number, approve=False, note=" ")
        assert service.decide(number, approve=False, note="材料不足") == {}
        assert service.view(number).state is ApprovalState.REFUSED
        assert acts.done == []

    def test_an_act_that_fails_leaves_the_proposal_waiting(
        self, service: Service, acts: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = service.propose()

        def fail(*_given: object) -> None:
            raise ApprovalWaiting("cannot now")

        approvable = service.site.approvables.get(ACTION)
        assert approvable is not None
        failing = Approvable(
            action=ACTION,
            label="",
            permission_propose=approvable.permission_propose,
            permission_decide=approvable.permission_decide,
            describe=acts.describe,
            execute=fail,  # type: ignore[arg-type]
        )
        monkeypatch.setitem(service.site.approvables._items, ACTION, failing)
        with pytest.raises(ApprovalWaiting):
            service.decide(number)
        assert service.view(number).state is ApprovalState.WAITING
        assert service.audit() == ["desk.approval.proposed"]

    def test_parallel_decisions_execute_once(self, service: Service, acts: Any) -> None:
        number = service.propose()
        barrier = threading.Barrier(4)
        answers: Counter[str] = Counter()

        def work(login: str, *, approve: bool) -> None:
            barrier.wait()
            try:
                service.decide(number, decided_by=login, approve=approve, note="并发")
                answers["decided"] += 1
            except ApprovalNotOpen:
                answers["too late"] += 1

        threads = [
            threading.Thread(target=work, args=(login,), kwargs={"approve": approve})
            for login in ("manager", "manager2")
            for approve in (True, True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {"decided": 1, "too late": 3}
        assert acts.done == [800_000]


class TestPropose:
    def test_needs_a_known_act_and_the_permission(self, service: Service) -> None:
        with pytest.raises(ActionUnknown):
            service.propose(action="demo.unknown")
        with pytest.raises(NotPermitted):
            service.propose(proposed_by="clerk")
        assert service.audit() == []

    def test_a_job_may_propose_but_not_decide(self, service: Service, acts: Any) -> None:
        number = service.propose(proposed_by="machine:grading")
        with pytest.raises(NotPermitted):
            service.decide(number, decided_by="machine:other")
        service.decide(number)
        assert acts.done == [800_000]

    def test_one_waits_per_act_and_subject(self, service: Service) -> None:
        first = service.propose()
        with pytest.raises(ApprovalWaiting):
            service.propose(payload={"limit": 1})
        service.propose(subject="line:18")
        service.decide(first)
        assert service.propose() > first


class TestExpiry:
    def test_nobody_decides_after_the_time(self, service: Service, acts: Any) -> None:
        number = service.propose()
        service.clock.advance(timedelta(days=1))
        with pytest.raises(ApprovalNotOpen):
            service.decide(number)
        assert service.view(number).state is ApprovalState.EXPIRED
        assert acts.done == []

    def test_expire_due_closes_and_may_repeat(self, service: Service) -> None:
        late = service.propose()
        service.propose(subject="line:18", expires_in=timedelta(days=3))
        service.clock.advance(timedelta(days=2))
        with service.database.write() as session:
            assert expire_due(session, now=service.clock.now()) == 1
            assert expire_due(session, now=service.clock.now()) == 0
        assert service.view(late).state is ApprovalState.EXPIRED
        assert service.audit()[-1] == "desk.approval.expired"
        assert service.propose() > late

    def test_an_expired_one_does_not_block_the_next(self, service: Service) -> None:
        service.propose()
        service.clock.advance(timedelta(days=2))
        again = service.propose()
        with service.database.read() as session:
            now = service.clock.now()
            waiting = queries.approvals(session, now=now, is_waiting=True, limit=9)
            assert [view.id for view in waiting] == [again]
            assert queries.count_approvals(session, now=now, is_waiting=False) == 1


class TestUndo:
    def test_takes_back_once_with_a_reason(self, service: Service, acts: Any) -> None:
        number = service.propose()
        with pytest.raises(ApprovalNotOpen):
            service.undo(number)
        service.decide(number)
        with pytest.raises(ReasonNeeded):
            service.undo(number, reason="")
        with pytest.raises(NotPermitted):
            service.undo(number, by="analyst")
        service.undo(number)
        with pytest.raises(ApprovalNotOpen):
            service.undo(number)
        view = service.view(number)
        assert (view.state, view.undone_by, view.undo_reason) == ("undone", "manager", "误批")
        assert acts.undone == [800_000]

    def test_an_act_without_a_way_back_stays(self, service: Service) -> None:
        known = service.site.approvables.get(ACTION)
        assert known is not None
        service.site.approvables.add(
            Approvable(
                action="demo.final",
                label="",
                permission_propose=known.permission_propose,
                permission_decide=known.permission_decide,
                describe=known.describe,
                execute=known.execute,
            )
        )
        number = service.propose(action="demo.final")
        service.decide(number)
        with pytest.raises(NotUndoable):
            service.undo(number)
        assert service.view(number).state is ApprovalState.EXECUTED


class TestWithdraw:
    def test_only_the_proposer_takes_back(self, service: Service) -> None:
        number = service.propose()
        now = service.clock.now()
        with pytest.raises(NotPermitted), service.database.write() as session:
            withdraw(session, approval_id=number, by="manager", now=now)
        with service.database.write() as session:
            withdraw(session, approval_id=number, by="analyst", now=now)
        assert service.view(number).state is ApprovalState.WITHDRAWN
        with pytest.raises(ApprovalNotFound), service.database.write() as session:
            withdraw(session, approval_id=999, by="analyst", now=now)
