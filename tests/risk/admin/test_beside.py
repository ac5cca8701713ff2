"""Versions beside what is in force: shadows by one person, challengers by two, within rails."""

from datetime import timedelta
from typing import Any

import pytest
from deciding import VECTOR
from fixed_prices import FixedPrices
from workplace import Seat

from desk.queries import document
from kernel.clock import business_date
from risk.decisions.vectors import put_vector
from risk.features.blob import BlobCodec
from risk.features.catalogue import read_catalogue
from risk.jobs import follow_shadows, watch_challenges
from risk.lifecycle.publishing import save_cases
from risk.ports import ProductPrices
from risk.strategy.reading import read_strategy

AT = "/admin/risk/strategies/house-credit"
RAILS = {
    "least_decisions": "5",
    "approve_share_least": "40",
    "approve_share_most": "100",
    "approve_share_gap_most": "100",
    "review_share_most": "100",
    "error_share_most": "1",
    "decline_share_most": "100",
    "p99_ms_most": "4000",
}


@pytest.fixture
def manager(office: Any) -> Seat:
    return office.house.seat("risk_manager")


@pytest.fixture
def tested(office: Any, analyst: Seat) -> int:
    """A tested draft that declines everybody; gives its version."""
    runtime, catalogue = office.house.runtime, read_catalogue()
    now = runtime.clock.now()
    case = {"id": "nothing", "product": "instalment", "expected": {"outcome": "review"}}
    with runtime.database.write() as session:
        body = document(session, kind="risk.strategy", key="house-credit", on=business_date(now))
        given = {"key": "house-credit", "strategy": read_strategy(body, catalogue)}
        save_cases(session, cases={"cases": [case]}, by="analyst", now=now, **given)
    office.save(analyst, "/stages/card/values", **{"value:base": "0"})
    assert analyst.post(f"{AT}/tested").status_code == 302
    return 2


def _known(office: Any, *subjects: str) -> None:
    """Store what the decision service knows of some subjects."""
    catalogue = read_catalogue()
    blob = BlobCodec(catalogue).encode(VECTOR)
    runtime = office.house.runtime
    given = {"catalogue": catalogue, "blob": blob, "known_at": runtime.clock.now()}
    with runtime.database.write() as session:
        for subject in subjects:
            put_vector(session, subject=subject, **given)


def _start_shadow(seat: Seat, version: int, days: str = "14") -> Any:
    form = {"version": str(version), "days": days}
    return seat.fill(f"{AT}/shadows/start", f"{AT}/shadows", **form)


class TestShadows:
    def test_several_run_at_once_and_say_what_they_would_grant(
        self, office: Any, analyst: Seat
    ) -> None:
        office.save(analyst, "/stages/card/values", **{"value:base": "300"})
        office.save(analyst, "/stages/card/values", 2, **{"value:base": "490"})
        assert [_start_shadow(analyst, each).status_code for each in (2, 3)] == [204, 204]
        made = office.decide()
        office.house.clock.advance(timedelta(minutes=1))
        follow_shadows(office.house.runtime)
        page = analyst.get(f"{AT}/shadows/1").text
        for said in (made["id"], "综合评分低于准入线", "同一批申请人", "¥6,000.00", "15.00%"):
            assert said in page, said
        assert made["id"] in analyst.get(f"{AT}/shadows/1?decided=approve&outcome=decline").text
        other = analyst.get(f"{AT}/shadows/1?decided=decline&outcome=approve").text
        assert made["id"] not in other
        assert "没有不同" in analyst.get(f"{AT}/shadows/2").text
        assert analyst.get(f"{AT}/beside").text.count('/stop"') == 2

    def test_are_stopped_and_stay_readable(self, office: Any, analyst: Seat) -> None:
        _start_shadow(analyst, 1)
        stop = f"{AT}/shadows/1/stop"
        assert analyst.fill(stop, stop).status_code == 204
        assert "已结束" in analyst.get(f"{AT}/beside").text
        assert analyst.get(f"{AT}/shadows/1").status_code == 200
        assert analyst.get(f"{AT}/shadows/7").status_code == 404
        done = [act.action for act in office.house.acts(subject="strategy:house-credit")]
        assert done == ["risk.strategy.shadow_begun", "risk.strategy.shadow_ended_by_hand"]

    def test_need_a_version_that_can_be_read_and_some_days(
        self, office: Any, analyst: Seat
    ) -> None:
        assert _start_shadow(analyst, 1, "93").status_code == 422
        assert _start_shadow(analyst, 9).status_code == 404
        office.save(analyst, "/stages/card/values", **{"value:base": "很多"})
        refused = _start_shadow(analyst, 2)
        assert (refused.status_code, "策略未通过校验" in refused.text) == (422, True)
        assert office.house.seat("auditor").get(f"{AT}/shadows/start").status_code == 403


def _propose(seat: Seat, version: int, share: str = "50", **rails: str) -> Any:
    form = {"version": str(version), "share": share, "reason": "试收紧"} | RAILS | rails
    return seat.fill(f"{AT}/challenges/start", f"{AT}/challenges", **form)


def _approve(seat: Seat, approval: int = 1) -> Any:
    return seat.post(f"/admin/approvals/{approval}/decide", decision="approve", note="")


def _decide_many(office: Any, count: int = 24) -> list[dict[str, Any]]:
    """Have many subjects decided, as by a process that was told of what runs."""
    service = office.house.app.wsgi_app._service
    service.holder.in_force()
    service.holder.look()
    subjects = [f"customer:{n}" for n in range(count)]
    _known(office, *subjects)
    return [office.decide(subject) for subject in subjects]


class TestChallengers:
    def test_begin_with_a_second_person_who_sees_what_they_let_decide(
        self, office: Any, analyst: Seat, manager: Seat, tested: int
    ) -> None:
        assert _propose(analyst, tested).status_code == 204
        assert "等待另一位同事审批" in analyst.get(f"{AT}/beside").text
        shown = manager.get("/admin/approvals/1").text
        for said in ("分流比例", "50%", "通过率下限", "40.0%", "基础分", "试收紧"):
            assert said in shown, said
        assert _approve(analyst).status_code == 403
        assert all(each["strategy"]["version"] == 1 for each in _decide_many(office, 3))
        assert _approve(manager).status_code in {200, 302}
        versions = {each["strategy"]["version"] for each in _decide_many(office)}
        assert versions == {1, 2}

    def test_who_wrote_the_version_cannot_let_it_decide(
        self, office: Any, analyst: Seat, manager: Seat, tested: int
    ) -> None:
        office.save(manager, "/stages/card/values", tested, **{"value:base": "10"})
        manager.post(f"{AT}/tested")
        _propose(analyst, 3)
        _approve(manager)
        assert "没有挑战者" in analyst.get(f"{AT}/beside").text

    def test_are_stopped_by_a_rail_and_say_which(
        self, office: Any, analyst: Seat, manager: Seat, tested: int
    ) -> None:
        _propose(analyst, tested)
        _approve(manager)
        _decide_many(office)
        office.house.clock.advance(timedelta(minutes=1))
        watch_challenges(office.house.runtime)
        page = analyst.get(f"{AT}/challenges/1").text
        for said in ("护栏自动停止", "通过率下限为 40.0%，实际 0.0%", "若由冠军决定", "status-red"):
            assert said in page, said
        assert "通过率下限为 40.0%，实际 0.0%" in analyst.get(f"{AT}/beside").text
        share = f"{AT}/challenges/1/share"
        analyst.fill(share, share, share="10", reason="再试")
        assert _approve(manager, 2).status_code == 409

    def test_share_is_changed_by_two_and_all_are_given_back_by_one(
        self, office: Any, analyst: Seat, manager: Seat, tested: int
    ) -> None:
        _propose(analyst, tested, "10", least_decisions="1000")
        _approve(manager)
        share, stop = f"{AT}/challenges/1/share", f"{AT}/challenges/1/stop"
        analyst.fill(share, share, share="30", reason="样本太少")
        assert "分流 10%" in analyst.get(f"{AT}/challenges/1").text
        _approve(manager, 2)
        assert "分流 30%" in analyst.get(f"{AT}/challenges/1").text
        assert analyst.fill(stop, stop, reason="够了").status_code == 204
        assert {each["strategy"]["version"] for each in _decide_many(office)} == {1}
        page = analyst.get(f"{AT}/challenges/1").text
        assert "risk_analyst 停止" in page
        assert "够了" in page
        acts = [act.action for act in office.house.acts(subject="risk.strategy:house-credit:2")]
        assert acts[-3:] == [
            "risk.strategy.challenge_started",
            "risk.strategy.challenge_share_changed",
            "risk.strategy.challenge_stopped",
        ]

    @pytest.mark.parametrize(
        "odd",
        [
            {"share": "51"},
            {"share": "x"},
            {"share": "nan"},
            {"error_share_most": "101"},
            {"least_decisions": "2.5"},
            {"version": ""},
        ],
    )
    def test_odd_forms_are_refused(
        self, office: Any, analyst: Seat, tested: int, odd: dict[str, str]
    ) -> None:
        form = {"version": str(tested), "share": "10", "reason": "试收紧"} | RAILS | odd
        refused = analyst.fill(f"{AT}/challenges/start", f"{AT}/challenges", **form)
        assert refused.status_code == 422
        assert "分流比例须为1‰到500‰" in refused.text

    def test_a_price_that_its_product_may_not_have_is_refused_with_the_reason(
        self, office: Any, analyst: Seat, manager: Seat, tested: int
    ) -> None:
        why = "而它只能定在 15.0000%～21.6000%"
        assert _propose(analyst, tested).status_code == 204
        office.house.runtime.provide(ProductPrices, FixedPrices())
        assert why in manager.get("/admin/approvals/1").text
        _approve(manager)
        assert analyst.get(f"{AT}/challenges/1").status_code == 404
        refused = _propose(analyst, tested)
        assert (refused.status_code, why in refused.text) == (422, True)

    def test_nobody_is_decided_without_rails(
        self, office: Any, analyst: Seat, manager: Seat, tested: int
    ) -> None:
        refused = _propose(analyst, tested, approve_share_least="0")
        assert refused.status_code == 422
        assert "挑战必须有护栏" in refused.text
        empty = dict.fromkeys(RAILS, "")
        assert _propose(analyst, tested, **empty).status_code == 204
        shown = manager.get("/admin/approvals/1").text
        for said in (
            "与冠军通过率之差上限",
            "10.0%",
            "早期坏账率高于冠军的上限",
            "拒绝率上限",
            "70.0%",
        ):
            assert said in shown, said
        _approve(manager)
        _decide_many(office)
        page = analyst.get(f"{AT}/challenges/1").text
        assert "不设限" in page  # the share among known outcomes alone
        assert page.count("不设限") == 1
