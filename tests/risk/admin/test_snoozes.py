"""A rule is silenced for somebody by two people, counts again at once, and decisions replay."""

from datetime import timedelta
from typing import Any

import pytest
from deciding import VECTOR, store_vector
from workplace import Seat

from desk.queries import document
from kernel.clock import business_date
from risk.decisions.replay import replay
from risk.features.catalogue import read_catalogue

AT = "/admin/risk/strategies/house-credit"


@pytest.fixture
def manager(office: Any) -> Seat:
    return office.house.seat("risk_manager")


@pytest.fixture(autouse=True)
def _eager(office: Any) -> None:
    """Let customer:17 ask too often: the rule that may be silenced declines them."""
    office.house.clock.advance(timedelta(minutes=1))
    runtime = office.house.runtime
    store_vector(runtime, "customer:17", VECTOR | {"bureau_queries_30d": 12, "loans_settled": 0})


def _propose(seat: Seat, **changes: str) -> Any:
    form = {
        "rule": "hard.queries",
        "whom": "customer:17",
        "since": "2026-03-10",
        "until": "2026-03-11",
        "reason": "已核实用途",
    }
    return seat.fill(f"{AT}/snoozes/start", f"{AT}/snoozes/start", **form | changes)


def _approve(seat: Seat, approval: int = 1) -> Any:
    return seat.post(f"/admin/approvals/{approval}/decide", decision="approve", note="")


def _decide(office: Any, **changes: Any) -> dict[str, Any]:
    service = office.house.app.wsgi_app._service
    service.holder.in_force()
    service.holder.look()
    found: dict[str, Any] = office.decide(**changes)
    return found


def _rules(made: dict[str, Any]) -> dict[str, str]:
    return {hit["rule"]: hit["kind"] for hit in made["evidence"]}


def test_a_rule_is_silenced_by_two_and_replays_after_it_counts_again(
    office: Any, analyst: Seat, manager: Seat
) -> None:
    assert _decide(office)["outcome"] == "decline"
    assert _propose(analyst).status_code == 204
    assert _decide(office)["outcome"] == "decline"
    shown = manager.get("/admin/approvals/1").text
    assert all(said in shown for said in ("hard.queries", "customer:17", "已核实用途"))
    _approve(manager)
    silenced = _decide(office)
    assert (silenced["outcome"], _rules(silenced)["hard.queries"]) == ("approve", "snoozed")
    assert "结束静默" in analyst.get(f"{AT}/snoozes").text
    other = AT.replace("house-credit", "nothing")
    assert analyst.post(f"{other}/snoozes/1/end").status_code == 404
    assert analyst.post(f"{AT}/snoozes/1/end").status_code == 204
    assert _decide(office)["outcome"] == "decline"
    runtime = office.house.runtime
    with runtime.database.read() as session:
        played = replay(session, decision_id=silenced["id"], catalogue=read_catalogue())
    assert played.is_same
    page = analyst.get(f"/admin/risk/decisions/{silenced['id']}").text
    assert "已静默" in page
    acts = [act.action for act in office.house.acts(subject="strategy:house-credit")]
    assert acts == ["risk.snooze.proposed", "risk.snooze.started", "risk.snooze.ended"]


def test_it_ends_with_its_last_day(office: Any, analyst: Seat, manager: Seat) -> None:
    _propose(analyst)
    _approve(manager)
    office.house.clock.advance(timedelta(days=1))
    assert _decide(office)["outcome"] == "approve"
    office.house.clock.advance(timedelta(days=1))
    assert _decide(office)["outcome"] == "decline"
    office.house.log_in("risk_analyst", client=analyst.client)
    assert "已到期" in analyst.get(f"{AT}/snoozes").text


def test_a_merchant_is_known_by_its_name(office: Any, analyst: Seat, manager: Seat) -> None:
    _propose(analyst, whom="merchant:光明数码")
    _approve(manager)
    assert _decide(office)["outcome"] == "decline"
    assert _decide(office, merchant_name="光明数码")["outcome"] == "approve"


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({"rule": "hard.overdue"}, 404),
        ({"whom": "17"}, 422),
        ({"since": "2026-03-09"}, 422),
        ({"until": "2026-03-09"}, 422),
        ({"until": "2027-03-20"}, 422),
        ({"until": "x"}, 422),
        ({"reason": ""}, 422),
    ],
)
def test_odd_ones_are_refused(analyst: Seat, odd: dict[str, str], status: int) -> None:
    assert _propose(analyst, **odd).status_code == status


def test_only_rules_in_force_that_allow_it_are_offered(office: Any, analyst: Seat) -> None:
    now = office.house.clock.now()
    with office.house.runtime.database.read() as session:
        body = document(session, kind="risk.strategy", key="house-credit", on=business_date(now))
    allowing = {
        rule["id"]
        for stage in body["stages"]
        for rule in stage.get("rules", ())
        if isinstance(rule, dict) and rule.get("may_snooze")
    }
    form = analyst.get(f"{AT}/snoozes/start").text
    assert allowing
    assert form.count("<option") == len(allowing)
