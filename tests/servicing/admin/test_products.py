"""A product manager drafts and tries out, another person approves, and roll-back is one click."""

from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from workplace import House, log_in_by_browser, served

from servicing import operations, queries
from servicing.admin.product_editor import document_from, fields_of
from servicing.products import Product, house_documents, read_form

STANDARD = house_documents()["standard"][0]
SLOW_MS = 20_000
RICH: dict[str, Any] = {
    **STANDARD,
    "fees": [
        {"name": "保险费", "payee": "安心保险", "at": "instalment", "share": "0.0005"},
        {
            "name": "提前结清手续费",
            "payee": "本公司",
            "at": "early-settlement",
            "tiers": [{"from_paid": 0, "share": "0.03"}, {"from_paid": 6, "amount_fen": 2000}],
        },
    ],
    "penalty": {"multiplier": "1.5", "base": "principal", "grace_days": 3},
    "allocation": {"non-accrual": {"order": ["principal", "interest", "fee", "penalty"]}},
    "grace": {"principal_terms": 1},
}


@pytest.fixture
def house(workplace: House) -> House:
    """The workplace with the house's products."""
    with workplace.runtime.database.write() as session:
        operations.publish_house_products(session, now=workplace.clock.now())
    return workplace


def typed(document: dict[str, Any], **changed: str) -> dict[str, str]:
    return {**fields_of(document), "note": "试一试", **changed}


def sold(house: House, on: date = date(2026, 3, 10)) -> Product:
    with house.runtime.database.read() as session:
        return queries.product_in_force(session, code="standard", on=on)


class TestEditor:
    @pytest.mark.parametrize("document", [STANDARD, RICH])
    def test_writes_the_document_that_it_was_filled_from(self, document: dict[str, Any]) -> None:
        assert read_form(document_from(fields_of(document))) == read_form(document)

    def test_passes_on_what_it_cannot_read(self) -> None:
        fields = typed(STANDARD, rate_annual="两分", least="1.234", terms="6，九")
        document = document_from(fields)
        assert document["rate_annual"] == "两分"
        assert document["amount"]["least_fen"] == "1.234"
        assert document["terms"] == [6, "九"]


class TestPages:
    def test_draft_test_approve_and_roll_back(self, house: House) -> None:
        writer, other = house.seat("lin", "risk_manager"), house.seat("wang", "risk_manager")
        fields = typed(STANDARD, rate_annual="18", from_code="standard", from_version="1")
        version = sold(house).version + 1
        saved = writer.post("/admin/products/edit", **fields)
        page = f"/admin/products/standard/{version}"
        assert saved.location == page
        writer.post(f"{page}/try")
        writer.post(f"{page}/approve", effective_on="2026-03-12")
        assert "作者不能批准" in writer.get(page).text
        other.post(f"{page}/approve", effective_on="2026-03-12")
        assert str(sold(house).rate_annual) == "0.216"
        assert str(sold(house, date(2026, 3, 12)).rate_annual) == "0.18"

    def test_rolls_back_what_is_in_force(self, house: House) -> None:
        writer, other = house.seat("lin", "risk_manager"), house.seat("wang", "risk_manager")
        before = sold(house)
        writer.post("/admin/products/edit", **typed(STANDARD, rate_annual="12"))
        page = f"/admin/products/standard/{before.version + 1}"
        writer.post(f"{page}/try")
        other.post(f"{page}/approve", effective_on="2026-03-10")
        assert str(sold(house).rate_annual) == "0.12"
        other.post(f"{page}/rollback", reason="定价有误")
        assert (sold(house).rate_annual, sold(house).version) == (
            before.rate_annual,
            before.version + 2,
        )

    def test_says_why_and_where_a_product_is_refused(self, house: House) -> None:
        writer = house.seat("lin", "risk_analyst")
        dear = writer.post("/admin/products/check", **typed(STANDARD, rate_annual="30"))
        assert "超过上限 24.00%" in dear.text
        wrong = writer.post("/admin/products/check", **typed(STANDARD, least="abc"))
        assert "金额范围" in wrong.text
        fee = {"fee_0_name": "服务费", "fee_0_payee": "平台", "fee_0_amount": "50"}
        netted = writer.post(
            "/admin/products/edit", **typed(STANDARD, **fee, fee_0_at="disbursement")
        )
        assert "砍头息" in netted.text
        assert "费用 1" in netted.text

    def test_shows_plan_and_cost_table_of_a_choice(self, house: House) -> None:
        reader = house.seat("zhao", "auditor")
        shown = reader.get("/admin/products/standard/1/plan?amount=3000&terms=6").text
        assert "531.97" in shown
        assert "21.60%" in shown
        refused = reader.get("/admin/products/standard/1/plan?amount=3&terms=6").text
        assert "金额或期数不在产品范围内" in refused

    @pytest.mark.parametrize(("role", "status"), [("auditor", 403), ("risk_analyst", 302)])
    def test_only_writers_write_and_only_managers_approve(
        self, house: House, role: str, status: int
    ) -> None:
        seat = house.seat("sun", role)
        assert seat.get("/admin/products").status_code == 200
        assert seat.post("/admin/products/edit", **typed(STANDARD)).status_code == status
        assert seat.post("/admin/products/standard/1/approve").status_code == 403
        assert house.seat("li", "collector").get("/admin/products").status_code == 403


class TestInABrowser:
    def test_a_manager_sees_at_once_what_a_change_costs(
        self, house: House, desk_page: Page
    ) -> None:
        house.hire("lin", "risk_manager")
        with served(house.app) as address:
            log_in_by_browser(desk_page, address, "lin")
            desk_page.get_by_role("link", name="分期产品").click()
            desk_page.get_by_role("link", name="商品分期").click()
            desk_page.get_by_label("金额", exact=True).fill("3000")
            expect(desk_page.locator("#product-plan")).to_contain_text("¥3,721.03", timeout=SLOW_MS)
            desk_page.get_by_role("link", name="修改为新版本").click()
            checked = desk_page.locator("#product-check")
            expect(checked).to_contain_text("都在上限 24% 之内", timeout=SLOW_MS)
            desk_page.get_by_label("年利率", exact=True).fill("30")
            expect(checked).to_contain_text("超过上限 24.00%", timeout=SLOW_MS)
            desk_page.get_by_label("年利率", exact=True).fill("20")
            expect(checked).to_contain_text("都在上限 24% 之内", timeout=SLOW_MS)
            desk_page.get_by_role("button", name="保存草稿").click()
            desk_page.get_by_role("button", name="测试并提交批准").click()
            expect(desk_page.locator("#content")).to_contain_text("作者不能批准")
