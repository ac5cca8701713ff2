from collections.abc import Callable
from datetime import timedelta

from desk import operations, queries
from desk.jobs import activate_documents, expire_approvals
from desk.ports import Site
from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime


def test_proposals_expire_in_the_background(
    runtime: Runtime, site: Site, clock: FixedClock, hire: Callable[..., int]
) -> None:
    hire("analyst", "risk_analyst")
    with runtime.database.write() as session:
        operations.propose(
            session,
            site,
            action="demo.limit.raise",
            subject="line:17",
            payload={"limit": 1},
            proposed_by="analyst",
            now=clock.now(),
            expires_in=timedelta(hours=1),
        )
    assert expire_approvals(runtime) == 0
    clock.advance(timedelta(hours=2))
    assert expire_approvals(runtime) == 1


def test_documents_come_into_force_in_the_background(runtime: Runtime, clock: FixedClock) -> None:
    of = {"kind": "text", "key": "welcome"}
    with runtime.database.write() as session:
        now = clock.now()
        operations.save_draft(session, **of, body={"zh": "您好"}, author="li", now=now)
        operations.mark_tested(session, **of, version=1, report={}, by="li", now=now)
        tomorrow = business_date(now) + timedelta(days=1)
        operations.approve(session, **of, version=1, by="wang", effective_on=tomorrow, now=now)
    assert activate_documents(runtime) == 0
    clock.advance(timedelta(days=1))
    assert activate_documents(runtime) == 1
    with runtime.database.read() as session:
        (version,) = queries.document_versions(session, **of)
    assert version.state == "in_force"
