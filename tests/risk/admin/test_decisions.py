"""Decisions looked up: the way they took, values with labels, personal texts behind masks."""

from typing import Any

import pytest
from sqlalchemy.orm import Session
from workplace import Seat

from kernel.runtime import Runtime
from servicing import operations
from servicing.tables import Application

LIST = "/admin/risk/decisions"


@pytest.fixture
def decided(office: Any) -> dict[str, Any]:
    """A decision of somebody without a vector, on a phone with a known number."""
    return office.decide("customer:99", identity_key="id-990000199203041237", requested_fen=600_000)


def _applied(session: Session, runtime: Runtime) -> int:
    now = runtime.clock.now()
    customer_id = operations.create_customer(
        session,
        runtime.cipher,
        name="测试人",
        phone="10000000001",
        id_number="99000019900101002X",
        now=now,
    )
    return operations.submit_application(
        session,
        customer_id=customer_id,
        merchant_name="宏达手机卖场",
        merchandise="手机",
        amount_fen=300_000,
        terms=12,
        channel="h5",
        attributes={},
        key="a1",
        now=now,
    )


class TestSearch:
    @pytest.mark.parametrize(
        ("wanted", "is_found"),
        [
            ("", True),
            ("subject=customer:99", True),
            ("subject=customer:98", False),
            ("outcome=review&product=instalment", True),
            ("outcome=approve", False),
            ("since=2026-03-10&until=2026-03-10", True),
            ("since=2026-03-01&until=2026-03-09", False),
            ("subject=customer:99&since=2021-04-01", True),
            ("subject=customer:99&until=2026-03-09", False),
            ("since=yesterday", True),
            ("until=0001-01-02", True),
        ],
    )
    def test_finds_by_subject_time_and_outcome(
        self, analyst: Seat, decided: dict[str, Any], wanted: str, is_found: bool
    ) -> None:
        assert (decided["id"] in analyst.get(f"{LIST}?{wanted}").text) is is_found

    def test_goes_to_a_number(self, analyst: Seat, decided: dict[str, Any]) -> None:
        found = analyst.get(f"{LIST}?id={decided['id']}")
        assert found.headers["Location"] == f"{LIST}/{decided['id']}"
        assert analyst.get(f"{LIST}/D20260310FFFF").status_code == 404

    def test_goes_from_an_application_to_its_decision(
        self, office: Any, analyst: Seat, decided: dict[str, Any]
    ) -> None:
        with office.house.runtime.database.write() as session:
            application = session.get_one(Application, _applied(session, office.house.runtime))
            application.decision_no, number = decided["id"], application.application_no
        found = analyst.get(f"{LIST}?id={number}")
        assert found.headers["Location"] == f"{LIST}/{decided['id']}"
        assert f"{LIST}/{decided['id']}" in analyst.post("/admin/search", q=number).text

    def test_stands_in_the_search_of_the_workplace(
        self, analyst: Seat, decided: dict[str, Any]
    ) -> None:
        assert f"{LIST}/{decided['id']}" in analyst.post("/admin/search", q=decided["id"]).text


class TestDecision:
    def test_says_what_was_missing_and_where_it_went(
        self, analyst: Seat, decided: dict[str, Any]
    ) -> None:
        page = analyst.get(f"{LIST}/{decided['id']}").text
        for said in (
            "必备资料",
            "资料缺失或异常",
            "月收入",
            "6,000 元",
            "转人工",
            "house-credit v1",
        ):
            assert said in page, said

    def test_lists_what_its_product_reads_and_nothing_of_another(
        self, analyst: Seat, decided: dict[str, Any]
    ) -> None:
        page = analyst.get(f"{LIST}/{decided['id']}").text
        read = page.partition("读取的资料")[2]
        assert "征信评分" in read  # missing, and the partners' product asks for it
        assert "首笔放款至今月数" not in read  # asked by the house's own product alone
        assert "消费金融公司" in read
        assert "consumer_finance" not in read

    def test_masks_personal_texts_until_a_reason_is_given(
        self, office: Any, analyst: Seat, decided: dict[str, Any]
    ) -> None:
        at = f"{LIST}/{decided['id']}"
        assert "990000199203041237" not in analyst.get(at).text
        manager = office.house.seat("risk_manager")
        page = manager.get(at).text
        assert "990000199203041237" not in page
        assert "risk.decision.text" in page
        subject = f"{decided['id']}/identity_key"
        reveal = office.house.site.unmaskers.get("risk.decision.text").reveal
        with office.house.app.test_request_context():
            assert reveal(subject) == "id-990000199203041237"

    def test_replays_to_the_same_bytes(self, analyst: Seat, decided: dict[str, Any]) -> None:
        assert "逐字节一致" in analyst.post(f"{LIST}/{decided['id']}/replay").text


class TestTrying:
    AT = "/admin/risk/strategies/house-credit/try"

    def test_keeps_personal_texts_of_a_stored_decision_hidden(
        self, analyst: Seat, decided: dict[str, Any]
    ) -> None:
        page = analyst.get(f"{self.AT}?decision={decided['id']}").text
        assert 'name="value.requested_fen" type="text" value="6000"' in page
        assert "990000199203041237" not in page

    def test_asks_for_what_the_chosen_product_reads_alone(self, analyst: Seat) -> None:
        partners, own = (
            analyst.get(f"{self.AT}?product={product}").text
            for product in ("instalment", "standard")
        )
        assert "征信评分" in partners
        assert "首笔放款至今月数" not in partners
        assert "首笔放款至今月数" in own

    def test_what_is_left_empty_is_missing(self, analyst: Seat) -> None:
        page = analyst.post(self.AT, **{"value.age_years": "30"}).text
        assert "资料缺失或异常，规则无法判断" in page

    def test_typed_money_is_in_yuan(self, analyst: Seat) -> None:
        page = analyst.post(self.AT, **{"value.exposure_fen": "250000", "value.requested_fen": "1"})
        assert "本次申请后个人消费信贷余额超过上限" in page.text

    def test_stores_no_decision(self, analyst: Seat) -> None:
        analyst.post(self.AT, **{"value.age_years": "30"})
        assert "这段时间没有符合的决策" in analyst.get(LIST).text

    def test_says_why_a_decision_cannot_be_taken(self, analyst: Seat) -> None:
        assert "没有找到该决策" in analyst.get(f"{self.AT}?decision=D20260310FF").text


def test_the_list_shows_the_share_that_the_machine_decided(office: Any, analyst: Seat) -> None:
    office.decide()
    office.decide()
    office.decide("customer:99")
    page = analyst.get("/admin/risk/strategies").text
    assert "66.7 %" in page
    assert "3 笔" in page
