"""A product manager drafts and tries out, another person approves, and roll-back is one click."""

from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from workplace import House, log_in_by_browser, served

from servicing import operations, queries
from servicing.admin.product_editor import document_from, fields_of
from servicing.engine.waterfall import DebtState
from servicing.product_document import write_document
from servicing.products import Product, house_documents, read_form

STANDARD = house_documents()["standard"][0]
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

    def test_tell_what_the_trial_found_in_words_of_the_reader(self, house: House) -> None:
        reader = house.seat("lin", "risk_manager")
        page = reader.get("/admin/documents/product/standard/1").text
        assert "24%（名义 IRR）" in page
        assert not [name for name in ("cap_annual", "worst_amount_fen", "ends_on") if name in page]
        reader.post("/admin/language", language="en")
        page = reader.get("/admin/documents/product/standard/1").text
        assert "Highest cost" in page
        assert "最高成本" not in page

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
        nameless = writer.post("/admin/products/check", **typed(STANDARD, code="", name=""))
        assert "都在上限" in nameless.text
        assert (
            "这样的产品不能销售"
            in writer.post("/admin/products/edit", **typed(STANDARD, name="")).text
        )
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


class TestDocuments:
    def test_goes_out_of_one_version_and_comes_in_as_the_next(self, house: House) -> None:
        writer = house.seat("lin", "risk_analyst")
        page = f"/admin/products/standard/{sold(house).version}"
        taken = writer.get(f"{page}/export")
        assert taken.headers["Content-Disposition"].endswith('filename="standard-v2.json"')
        text = taken.text.replace('"0.216"', '"0.2"')
        checked = writer.post("/admin/products/import/check", document=text).text
        assert "都在上限 24% 之内" in checked
        assert "与生效的 v2 有 1 处不同" in checked
        saved = writer.post("/admin/products/import", document=text, note="降价")
        assert saved.location == "/admin/products/standard/3"
        shown = writer.get(saved.location).text
        assert "降价" in shown
        assert "测试并提交批准" in shown

    def test_says_on_which_line_it_is_wrong_and_keeps_nothing(self, house: House) -> None:
        writer = house.seat("lin", "risk_analyst")
        text = writer.get("/admin/products/standard/2/export").text
        wrong = text.replace('"0.216"', "0.216").replace('"late_days"', '"late"')
        for place in ("import", "import/check"):
            answer = writer.post(f"/admin/products/{place}", document=wrong).text
            assert 'data-line="18"' in answer
            assert "请用文本书写小数" in answer
            assert "宽限 · late" in answer
        assert "&#34;late&#34;: 3" in writer.post("/admin/products/import", document=wrong).text
        dear = text.replace('"0.216"', '"0.3"')
        assert 'data-line="10"' in writer.post("/admin/products/import/check", document=dear).text
        assert writer.get("/admin/products/standard/3").status_code == 404
        assert writer.post("/admin/products/import/check", document=" ").status_code == 200

    def test_is_read_by_all_who_see_products_and_written_by_writers(self, house: House) -> None:
        reader = house.seat("zhao", "auditor")
        assert reader.get("/admin/products/standard/2/export").status_code == 200
        assert reader.get("/admin/products/import").status_code == 403
        assert reader.post("/admin/products/import", document="{}").status_code == 403


class TestSamples:
    def test_plan_what_is_chosen_or_else_the_most(self, house: House) -> None:
        writer = house.seat("lin", "risk_analyst")
        most = writer.post("/admin/products/check", **typed(STANDARD)).text
        assert "12,403.40" in most
        chosen = typed(STANDARD, sample_amount="3,000", sample_terms="6")
        assert "531.97" in writer.post("/admin/products/check", **chosen).text
        outside = typed(STANDARD, sample_amount="99999999", sample_terms="7")
        assert "12,403.40" in writer.post("/admin/products/check", **outside).text


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
            expect(desk_page.locator("#product-plan")).to_contain_text("¥3,721.03")
            desk_page.get_by_role("link", name="修改为新版本").click()
            checked = desk_page.locator("#product-check")
            expect(checked).to_contain_text("都在上限 24% 之内")
            desk_page.get_by_label("年利率", exact=True).fill("30")
            expect(checked).to_contain_text("超过上限 24.00%")
            desk_page.get_by_label("年利率", exact=True).fill("20")
            expect(checked).to_contain_text("都在上限 24% 之内")
            desk_page.get_by_role("button", name="保存草稿").click()
            desk_page.get_by_role("button", name="测试并提交批准").click()
            expect(desk_page.locator("#content")).to_contain_text("作者不能批准")

    def test_a_manager_adds_fees_and_moves_the_order_of_allocation(
        self, house: House, desk_page: Page
    ) -> None:
        house.hire("lin", "risk_manager")
        with served(house.app) as address:
            log_in_by_browser(desk_page, address, "lin")
            desk_page.goto(f"{address}/admin/products/edit?from_code=standard&from_version=2")
            desk_page.get_by_role("button", name="添加费用").click()
            fee = desk_page.locator("#product-fees > [data-row]")
            fee.get_by_label("名称").fill("手续费")
            fee.get_by_label("收取方", exact=True).fill("本公司")
            fee.get_by_label("收取时点").select_option("early-settlement")
            for since, share in (("0", "3"), ("6", "1")):
                fee.get_by_role("button", name="按已还期数分阶梯").click()
                tier = fee.locator("[data-row]").last
                tier.get_by_label("已还期数").fill(since)
                tier.get_by_label("比例", exact=True).fill(share)
            orders = desk_page.locator("[data-state=non-accrual]")
            orders.get_by_role("button", name="上移 利息").click()
            expect(orders.get_by_role("listitem").first).to_contain_text("利息")
            checked = desk_page.locator("#product-check")
            expect(checked).to_contain_text("已还 6 期起")
            desk_page.get_by_role("button", name="保存草稿").click()
            expect(desk_page.locator("#content")).to_contain_text("草稿 v3 已保存")
        with house.runtime.database.read() as session:
            body = queries.product_documents(session, code="standard")[0].body
        form = read_form(body)
        assert [tier.from_paid for tier in form.fees[0].tiers] == [0, 6]
        assert form.allocation[DebtState.NON_ACCRUAL].order[:2] == ("interest", "principal")

    def test_a_manager_is_led_to_the_line_that_is_wrong(
        self, house: House, desk_page: Page
    ) -> None:
        house.hire("lin", "risk_manager")
        with served(house.app) as address:
            log_in_by_browser(desk_page, address, "lin")
            desk_page.goto(f"{address}/admin/products/import?from_code=standard&from_version=2")
            text = desk_page.get_by_role("textbox", name="产品文档")
            wrong = write_document(STANDARD).replace('"0.216"', "0.216")
            text.fill(wrong)
            line = desk_page.get_by_role("link", name="第 18 行")
            expect(line).to_be_visible()
            line.click()
            picked = "t => t.value.slice(t.selectionStart, t.selectionEnd)"
            assert text.evaluate(picked).strip() == '"rate_annual": 0.216,'
