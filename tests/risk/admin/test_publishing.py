"""A draft comes into force by two people, as it was proposed, or not at all."""

import json
import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from life import cases, house, work_on
from sqlalchemy import select
from workplace import Seat

from kernel.clock import business_date
from risk.admin import reports
from risk.decisions.strategies import publish_strategy
from risk.features.catalogue import read_catalogue
from risk.lifecycle.publishing import save_cases
from risk.strategy.reading import read_strategy
from risk.tables import DecisionRecord

AT = "/admin/risk/strategies/house-credit"


def _change(office: Any, seat: Seat, base: int, points: int) -> None:
    answer = office.save(seat, "/stages/card/values", base, **{"value:base": str(points)})
    assert answer.status_code == 200, answer.text


def _propose(seat: Seat) -> Any:
    """Have the draft tested by its cases, and propose it."""
    seat.post(f"{AT}/tested")
    return seat.fill(f"{AT}/propose", f"{AT}/propose", reason="抬高准入")


def _keep_cases(office: Any, *kept: dict[str, Any]) -> None:
    runtime = office.house.runtime
    with runtime.database.write() as session:
        save_cases(
            session,
            key="house-credit",
            cases={"cases": list(kept)},
            strategy=read_strategy(house(), read_catalogue()),
            by="analyst",
            now=runtime.clock.now(),
        )


def _good(outcome: str) -> dict[str, Any]:
    """The case of somebody whom the house approves, with what must come of it."""
    found = next(each for each in cases()["cases"] if each["id"] == "good")
    return found | {"expected": {"outcome": outcome}}


def _backtest(office: Any, seat: Seat) -> None:
    """Backtest the draft on the decisions of the last days."""
    on = business_date(office.house.clock.now())
    form = {"product": "instalment", "since": f"{on - timedelta(days=5)}", "until": f"{on}"}
    assert seat.post(f"{AT}/backtests", **form).status_code == 302
    work_on(office.house.runtime)


@pytest.fixture(autouse=True)
def _one_case(office: Any) -> None:
    """Leave one case that no change of these tests touches."""
    case = {"id": "nothing", "product": "instalment", "expected": {"outcome": "review"}}
    _keep_cases(office, case)


@pytest.fixture
def manager(office: Any) -> Seat:
    return office.house.seat("risk_manager")


def _decide(seat: Seat, approval: int = 1) -> Any:
    return seat.post(f"/admin/approvals/{approval}/decide", decision="approve", note="")


class TestProposing:
    def test_needs_a_draft_that_changes_something(self, office: Any, analyst: Seat) -> None:
        refused = _propose(analyst)
        assert refused.status_code == 409
        assert "没有与生效版本不同的草稿" in refused.text
        _change(office, analyst, 1, 400)
        _change(office, analyst, 2, 500)
        assert _propose(analyst).status_code == 409

    def test_needs_a_draft_without_mistakes(self, office: Any, analyst: Seat) -> None:
        office.save(analyst, "/stages/card/values", **{"value:base": "很多"})
        refused = _propose(analyst)
        assert refused.status_code == 422
        assert "草稿还有未解决的问题" in refused.text

    def test_needs_a_draft_that_was_tested(self, office: Any, analyst: Seat) -> None:
        _change(office, analyst, 1, 400)
        refused = analyst.fill(f"{AT}/propose", f"{AT}/propose", reason="抬高准入")
        assert refused.status_code == 409
        assert "草稿尚未测试" in refused.text

    def test_needs_a_reason(self, office: Any, analyst: Seat) -> None:
        _change(office, analyst, 1, 400)
        assert analyst.fill(f"{AT}/propose", f"{AT}/propose", reason=" ").status_code == 422

    def test_shows_the_second_person_what_changes(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 400)
        assert _propose(analyst).status_code == 204
        page = manager.get("/admin/approvals/1").text
        assert "申请评分卡 · 基础分" in page
        assert "<del>500</del>" in page
        assert "<ins>400</ins>" in page

    def test_is_told_in_words_on_the_page_of_versions(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 400)
        _propose(analyst)
        pages = [
            manager.get(f"/admin/documents/risk.strategy/house-credit/{n}").text for n in (1, 2)
        ]
        assert all("没有用例走到的部分" in page for page in pages)
        with office.house.app.test_request_context():
            found = reports.told({"forms_compared": 700, "stored_rows": 0})
        assert list(found.values()) == ["700", "0"]
        raw = ("forms_compared", "stored_rows", "without_case", "missing_untested", "coverage")
        for page in pages:
            report = page.partition("测试报告")[2]
            assert report
            assert not [name for name in raw if name in report]


class TestWhatIsKnown:
    """Whoever approves sees what speaks for a version, and what does not."""

    def test_a_draft_without_tests_says_why_it_cannot_be_proposed(
        self, office: Any, analyst: Seat
    ) -> None:
        _change(office, analyst, 1, 400)
        page = analyst.get(f"{AT}/changes").text
        why = "草稿尚未测试：请先让全部测试用例通过并标记为已测试"
        assert f'disabled title="{why}"' in page
        assert f"还不能提交发布：{why}" in page
        analyst.post(f"{AT}/tested")
        page = analyst.get(f"{AT}/changes").text
        assert "还不能提交发布" not in page
        assert "disabled title" not in page

    def test_cases_coverage_and_that_nobody_backtested_it(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 400)
        _propose(analyst)
        page = manager.get("/admin/approvals/1").text
        for said in (
            *("1 个全部通过", "nothing", "新增用例", "生效版本测试之后删除的用例"),
            *("有用例命中", "没有用例到达", "近期严重逾期", "risk_analyst 标记为已测试"),
            *("没有回测", "没有用历史决策比较过本策略", "本版没有影子运行"),
            *("1 个，未通过 0 个", "没有影子运行"),  # kept with the proposal
        ):
            assert said in page, said
        assert "现在不能批准" not in page

    def test_a_case_that_comes_out_otherwise_than_in_force_is_marked(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _keep_cases(office, _good("decline"))
        _change(office, analyst, 1, 0)
        assert _propose(analyst).status_code == 204
        page = manager.get("/admin/approvals/1").text
        assert "结论改变" in page
        assert "1 个用例的结论与生效版本不同" in page
        assert "与生效版本结论不同 1 个" in page

    def test_a_backtest_of_an_older_draft_is_told_as_stale(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        office.decide()
        office.house.clock.advance(timedelta(minutes=1))
        _change(office, analyst, 1, 0)
        _backtest(office, analyst)
        _propose(analyst)
        page = manager.get("/admin/approvals/1").text
        for said in ("针对本版", "换入换出", "金额影响", "100.00 %", "0.00 %", "-¥6,000.00"):
            assert said in page, said
        assert "通过率 100.0% → 0.0%" in page
        _change(office, analyst, 2, 10)
        assert "这次回测的是v2，之后草稿又改过" in analyst.get(f"{AT}/changes").text

    def test_approving_is_barred_once_the_cases_fail(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 400)
        _propose(analyst)
        _keep_cases(office, _good("decline"))
        page = manager.get("/admin/approvals/1").text
        assert "现在不能批准：有测试用例未通过，不能发布" in page
        assert 'value="approve" disabled' in page
        assert "1 个未通过" in page
        assert "此后用例有改动" in page
        assert _decide(manager).status_code == 409
        assert office.decide()["strategy"]["version"] == 1

    def test_approving_is_barred_once_another_version_is_in_force(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 400)
        _propose(analyst)
        runtime = office.house.runtime
        with runtime.database.write() as session:
            publish_strategy(
                session,
                document=house() | {"title": "另一版"},
                catalogue=read_catalogue(),
                author="somebody",
                approver="another",
                now=runtime.clock.now(),
            )
        assert "现在不能批准：提交之后生效版本已变化" in manager.get("/admin/approvals/1").text


class TestApproving:
    def test_puts_the_proposed_version_in_force_whatever_was_drafted_since(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 300)
        _propose(analyst)
        _change(office, analyst, 2, 900)
        assert _decide(manager).status_code == 302
        found = office.decide_by(version=2)
        assert (found["outcome"], found["outputs"]["score"]) == ("decline", 420)

    def test_is_refused_once_another_version_came_into_force(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        _change(office, analyst, 1, 300)
        _propose(analyst)
        _decide(manager)
        _change(office, analyst, 2, 310)
        _propose(analyst)
        manager.fill(f"{AT}/rollback", f"{AT}/rollback", reason="先退回")
        refused = _decide(manager, 2)
        assert refused.status_code == 409
        assert "生效版本已变化" in refused.text
        assert office.decide_by(version=4)["outcome"] == "approve"

    def test_is_not_for_the_author(self, office: Any, analyst: Seat, manager: Seat) -> None:
        _change(office, manager, 1, 300)
        _propose(analyst)
        refused = _decide(manager)
        assert refused.status_code == 403
        assert "作者不能批准" in refused.text
        assert office.decide()["strategy"]["version"] == 1


class TestGoingBack:
    def test_needs_something_to_go_back_to(self, manager: Seat) -> None:
        refused = manager.fill(f"{AT}/rollback", f"{AT}/rollback", reason="试试")
        assert refused.status_code == 409
        assert "没有可以回滚到的历史版本" in refused.text

    def test_a_draft_is_given_up_and_what_is_in_force_stays(
        self, office: Any, analyst: Seat
    ) -> None:
        _change(office, analyst, 1, 300)
        _change(office, analyst, 2, 310)
        assert analyst.fill(f"{AT}/drop", f"{AT}/drop", reason="不做了").status_code == 204
        assert "没有差异" in analyst.get(f"{AT}/changes").text
        _change(office, analyst, 3, 320)
        assert "草稿 v4" in analyst.get(AT).text


class TestCopying:
    FORM = (("id", "cash-credit"), ("title", "现金授信"), ("product", "cash"))

    def _copy(self, seat: Seat, **changes: str) -> Any:
        return seat.fill(f"{AT}/copy", f"{AT}/copy", **dict(self.FORM) | changes)

    def test_a_new_strategy_is_drafted_tried_and_published_beside_the_other(
        self, office: Any, analyst: Seat, manager: Seat
    ) -> None:
        assert self._copy(analyst).status_code == 204
        at = "/admin/risk/strategies/cash-credit"
        assert "尚未发布" in analyst.get(at).text
        analyst.post(f"{at}/cases", title="什么都不知道", expected="review", product="cash")
        assert analyst.post(f"{at}/tested").status_code == 302
        assert analyst.fill(f"{at}/propose", f"{at}/propose", reason="新产品").status_code == 204
        assert _decide(manager).status_code == 302
        assert office.decide()["strategy"]["id"] == "house-credit"
        page = analyst.get("/admin/risk/strategies").text
        assert "现金授信" in page
        assert "risk_analyst 起草，risk_manager 批准" in page

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"id": "house-credit"}, 409),
            ({"id": "Cash Credit"}, 422),
            ({"product": "../x"}, 422),
            ({"title": " "}, 422),
        ],
    )
    def test_needs_an_id_of_its_own(
        self, analyst: Seat, changes: dict[str, str], status: int
    ) -> None:
        assert self._copy(analyst, **changes).status_code == status


def _shown(seat: Seat) -> dict[int, str]:
    """Read from the history how many decisions each version answered."""
    rows = re.findall(r">v(\d+)</a>(.*?)</tr>", seat.get(f"{AT}/history").text, re.DOTALL)
    found = {int(version): re.search(r"(\d+) 笔", row) for version, row in rows}
    return {version: said.group(1) if said else "—" for version, said in found.items()}


def _answered(office: Any) -> dict[int, str]:
    """Count the stored decisions by the version that each one names."""
    with office.house.runtime.database.read() as session:
        answers = session.scalars(select(DecisionRecord.answer)).all()
    counted = Counter(json.loads(answer)["strategy"]["version"] for answer in answers)
    return {version: str(count) for version, count in counted.items()}


def test_the_history_counts_by_the_version_that_answered(
    office: Any, analyst: Seat, manager: Seat
) -> None:
    """A rollback's text is an old one's; a draft of the same text has answered nobody."""
    clock = office.house.clock
    office.decide_by(1)
    clock.advance(timedelta(minutes=1))
    _change(office, analyst, 1, 400)
    _propose(analyst)
    _decide(manager)
    office.decide_by(2)
    clock.advance(timedelta(minutes=1))
    manager.fill(f"{AT}/rollback", f"{AT}/rollback", reason="先退回")
    office.decide_by(3)
    clock.advance(timedelta(minutes=1))
    _change(office, analyst, 3, 400)
    assert set(_answered(office)) == {1, 2, 3}
    assert _shown(analyst) == _answered(office) | {4: "—"}
