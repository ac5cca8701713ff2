"""On the customer page a further tranche is seen, confirmed and drawn; merchants pay on theirs."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from acting import act, look, seal_of
from playwright.sync_api import Page, expect
from workplace import House, log_in_by_browser, served

from servicing import operations, queries
from servicing.products import STANDARD

ON = date(2026, 3, 10)
PARTS = replace(STANDARD, code="in-parts", tranches=3, draw_within_days=90)
FREE = replace(STANDARD, rate_annual=Decimal(0), subsidy_rate_annual=Decimal("0.12"))
SHOP = "宏达手机卖场"


@pytest.fixture
def in_parts(workplace: House, someone: Any, book: Any) -> int:
    """A loan of which one of three parts is drawn."""
    with workplace.runtime.database.write() as session:
        return int(
            book.loan(
                session,
                customer_id=someone.id,
                product=PARTS,
                terms=6,
                disbursed_on=date(2026, 2, 20),
                merchandise="课程",
            )
        )


@pytest.fixture
def subsidised(workplace: House, someone: Any, book: Any) -> int:
    """A loan for which its merchant owes 30.00 yuan by now."""
    with workplace.runtime.database.write() as session:
        loan_id = book.loan(
            session, customer_id=someone.id, product=FREE, rate_annual=Decimal(0), terms=3
        )
        operations.age_loans(session, on=date(2026, 3, 9), now=book.now)
        return int(loan_id)


def undrawn(read: Any, someone: Any, loan_id: int) -> int:
    view = read(queries.loan_of, loan_id=loan_id, customer_id=someone.id, on=ON)
    return int(view.undrawn_fen)


WANTED = {"amount": "1000", "why": "第二阶段开课"}


class TestDrawing:
    def test_needs_the_confirmed_table_and_happens_as_shown(
        self, workplace: House, someone: Any, read: Any, in_parts: int
    ) -> None:
        desk = workplace.seat("risk_manager")
        path = someone.at(f"/loans/{in_parts}/acts/draw")
        page = look(desk, path, **WANTED)
        assert "综合融资成本明示表" in page
        assert "在您的权限内" in page
        refused = desk.fill(path, path, **WANTED, seen=seal_of(page))
        assert "请先阅读并确认综合融资成本明示表" in refused.text
        assert undrawn(read, someone, in_parts) == 200_000
        assert act(desk, path, **WANTED, confirmed="counter").status_code == 204
        assert undrawn(read, someone, in_parts) == 100_000
        (done,) = workplace.acts(action="servicing.loan.tranche_drawn")
        assert done.details["amount_fen"] == 100_000
        plan = desk.get(someone.at(f"/loans/{in_parts}/plan")).text
        assert "还可放款 ¥1,000.00" in plan

    def test_by_a_clerk_waits_for_a_second_person(
        self, workplace: House, someone: Any, read: Any, in_parts: int
    ) -> None:
        path = someone.at(f"/loans/{in_parts}/acts/draw")
        desk = workplace.seat("clerk")
        assert "须由另一位同事" in look(desk, path, **WANTED)
        assert act(desk, path, **WANTED, confirmed="counter").status_code == 204
        assert undrawn(read, someone, in_parts) == 200_000

    def test_is_offered_to_the_customer_with_its_cost_table(
        self, workplace: House, someone: Any, read: Any, in_parts: int
    ) -> None:
        desk = workplace.seat("clerk")
        assert "再次放款方案" in desk.get(someone.at(f"/loans/{in_parts}/plan")).text
        assert "再次放款方案" not in desk.get(someone.at(f"/loans/{someone.loan_id}/plan")).text
        path = someone.at(f"/offers/new/next-part/{in_parts}")
        form = {**WANTED, "valid_until": "2026-03-20"}
        assert "还可放款 ¥2,000.00" in desk.get(path).text
        assert act(desk, path, **form).status_code == 204
        (offer,) = read(queries.offers_of, customer_id=someone.id, on=ON)
        assert (offer.kind, offer.is_open, offer.cost_table["disbursed"]) == (
            "next-part",
            True,
            "1000.00",
        )
        assert undrawn(read, someone, in_parts) == 200_000
        assert "待客户确认" in desk.get(someone.at()).text

    def test_is_given_up_and_only_shown_where_something_is_left(
        self, workplace: House, someone: Any, read: Any, in_parts: int
    ) -> None:
        desk = workplace.seat("risk_manager")
        assert "放下一笔款" in desk.get(someone.at(f"/loans/{in_parts}/plan")).text
        path = someone.at(f"/loans/{in_parts}/acts/end-drawing")
        assert act(desk, path, why="不再需要").status_code == 204
        assert undrawn(read, someone, in_parts) == 0
        for loan_id in (in_parts, someone.loan_id):
            assert "放下一笔款" not in desk.get(someone.at(f"/loans/{loan_id}/plan")).text

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_works_in_a_browser(
        self, workplace: House, someone: Any, in_parts: int, desk_page: Page
    ) -> None:
        workplace.hire("chief", "risk_manager")
        with served(workplace.app) as address:
            log_in_by_browser(desk_page, address, "chief")
            desk_page.goto(f"{address}{someone.at()}")
            desk_page.get_by_text("课程").click()
            desk_page.get_by_role("button", name="账务操作").click()
            desk_page.get_by_role("link", name="放下一笔款").click()
            desk_page.get_by_label("本次放款金额（元）").fill("1000")
            desk_page.get_by_label("理由").fill("第二阶段开课")
            desk_page.get_by_role("button", name="查看结果").click()
            desk_page.get_by_label("客户已阅读并同意上表").select_option("counter")
            desk_page.get_by_role("button", name="确认办理").click()
            said = desk_page.get_by_text("已办理：放下一笔款")
            expect(said).to_be_visible()


class TestSubsidies:
    def test_are_listed_by_merchant_and_loan(
        self, workplace: House, someone: Any, subsidised: int
    ) -> None:
        desk = workplace.seat("finance")
        assert "¥30.00" in desk.get("/admin/subsidies").text
        page = desk.get(f"/admin/subsidies/merchant?name={SHOP}").text
        assert "登记收付款" in page
        plan = desk.get(someone.at(f"/loans/{subsidised}/plan")).text
        assert "商户贴息" in plan
        assert "免息" in plan
        assert (
            "登记收付款"
            not in workplace.seat("auditor").get(f"/admin/subsidies/merchant?name={SHOP}").text
        )
        assert workplace.seat("clerk").get("/admin/subsidies").status_code == 403

    @pytest.mark.parametrize(
        ("form", "status", "words"),
        [
            ({"amount": "30.01"}, 409, "超过该商户的应付贴息"),
            ({"amount": "0"}, 422, "金额格式不正确"),
            ({"on": "2026-03-11"}, 422, "不能晚于今天"),
            ({"way": "back"}, 409, "超过该商户的应付贴息"),
            ({}, 204, ""),
        ],
    )
    def test_are_paid_no_more_than_is_owed(
        self,
        workplace: House,
        read: Any,
        subsidised: int,
        form: dict[str, str],
        status: int,
        words: str,
    ) -> None:
        path = "/admin/subsidies/payment"
        given = {"name": SHOP, "way": "in", "amount": "30", "on": "2026-03-09"} | form
        desk = workplace.seat("finance")
        answer = desk.fill(f"{path}?name={SHOP}", path, **given)
        if status == 204:
            assert "<del>30.00</del>" in answer.text
            assert read(queries.subsidy_of, loan_id=subsidised).paid_fen == 0
            given |= {"seen": seal_of(answer.text)}
            answer = desk.fill(f"{path}?name={SHOP}", path, **given)
        assert answer.status_code == status
        assert words in answer.text
        view = read(queries.subsidy_of, loan_id=subsidised)
        assert view.paid_fen == (3_000 if status == 204 else 0)
