import re
from datetime import timedelta
from typing import Any

import pytest

from desk.model import PUBLIC
from desk.ports import permission_of
from desk.views.gate import is_staff_path, unmarked_endpoints
from servicing import queries
from servicing.admin import rights
from wsgi import create_site

TABS = ("payments", "messages", "care", "applications", "ledger", "consents")
SEEN = {
    "clerk": {"payments", "messages", "care", "applications", "consents"},
    "collector": {"payments", "messages", "care"},
    "risk_analyst": {"payments", "care", "applications", "consents"},
    "risk_manager": set(TABS),
    "finance": {"payments", "ledger"},
    "auditor": set(TABS),
}
BUTTONS = {
    "clerk": {"录入申请", "停催", "登记投诉", "冻结", "邀请提额"},
    "collector": {"停催", "登记投诉", "邀请提额"},
    "risk_analyst": {"冻结", "邀请提额", "调整额度"},
    "risk_manager": {"停催", "登记投诉", "冻结", "邀请提额", "调整额度"},
    "finance": set(),
    "auditor": set(),
}


def buttons(page: str) -> set[str]:
    """Name the buttons that open a dialog, those that unmask aside."""
    found = re.findall(
        r'<button type="button" class="btn[^>]*hx-get[^>]*>(.*?)</button>', page, re.DOTALL
    )
    return {re.sub(r"<.*?>", "", label, flags=re.DOTALL).strip() for label in found} - {"查看"}


class TestRights:
    def test_every_page_is_marked_and_none_is_public(self, workplace: Any) -> None:
        assert unmarked_endpoints(workplace.app) == ()
        site = create_site()
        for rule in workplace.app.url_map.iter_rules():
            area = rule.endpoint.partition(".")[0]
            if is_staff_path(rule.rule) and area in ("servicing_admin", "contact_panel"):
                permission = permission_of(workplace.app.view_functions[rule.endpoint])
                assert permission != PUBLIC
                assert permission in site.permissions, rule

    def test_auditors_change_nothing(self) -> None:
        site = create_site()
        auditors = {item.code for item in site.permissions if "auditor" in item.roles}
        acts = {code for code, _, _ in rights.RIGHTS if not code.startswith("servicing.customer.")}
        assert acts & auditors == {rights.COMPLAINT_TEXTS}
        assert not {code for code in auditors if "unmask" in code}

    @pytest.mark.parametrize("role", SEEN)
    def test_each_role_sees_its_tabs_and_acts(
        self, workplace: Any, someone: Any, role: str
    ) -> None:
        desk = workplace.seat(role)
        page = desk.get(someone.at()).text
        assert {tab for tab in TABS if f"tab={tab}" in page} == SEEN[role]
        assert buttons(page) - {"号码有误"} == BUTTONS[role]
        for tab in TABS:
            opened = desk.get(someone.at(f"/tabs/{tab}"))
            assert (opened.status_code == 200) == (tab in SEEN[role]), tab

    @pytest.mark.parametrize("role", ["admin", "operator"])
    def test_who_has_no_business_with_customers_sees_none(
        self, workplace: Any, someone: Any, role: str
    ) -> None:
        desk = workplace.seat(role)
        assert desk.get(someone.at()).status_code == 403
        assert desk.get(someone.at(f"/loans/{someone.loan_id}/plan")).status_code == 403
        assert someone.late_loan_no not in desk.post("/admin/search", q=someone.phone).text

    @pytest.mark.parametrize("path", ["holds/new", "complaints/new", "applications/new"])
    def test_an_auditor_opens_no_form(self, workplace: Any, someone: Any, path: str) -> None:
        assert workplace.seat("auditor").get(someone.at(f"/{path}")).status_code == 403

    @pytest.mark.parametrize("path", ["holds", "complaints", "applications", "lines/1/freeze"])
    def test_an_auditor_sends_no_form(self, workplace: Any, someone: Any, path: str) -> None:
        sent = workplace.seat("auditor").post(someone.at(f"/{path}"), key="k" * 20)
        assert sent.status_code == 403


class TestSearch:
    @pytest.mark.parametrize("how", ["id", "phone", "id_number", "late_loan_no"])
    def test_finds_by_number_and_masks(self, workplace: Any, someone: Any, how: str) -> None:
        text = str(getattr(someone, how))
        page = workplace.seat("clerk").post("/admin/search", q=text).text
        assert f'href="{someone.at()}"' in page
        assert "欧***" in page
        assert "100****4321" in page
        assert "逾期 10 天" in page
        for secret in (secret for secret in someone.secrets if secret not in text):
            assert secret not in page

    @pytest.mark.parametrize("text", ["100 8765 4321", "#1", " fq", "欧阳建国", "999"])
    def test_reads_what_people_type(self, workplace: Any, someone: Any, text: str) -> None:
        page = workplace.seat("clerk").post("/admin/search", q=text).text
        assert (someone.at() in page) == (text in ("100 8765 4321", "#1"))


class TestPage:
    def test_unknown_customers_are_not_found_in_the_shell(self, workplace: Any) -> None:
        answer = workplace.seat("clerk").get("/admin/customers/404")
        assert answer.status_code == 404
        assert "没有找到该客户" in answer.text
        assert "分期工作台" in answer.text

    def test_says_first_what_matters_first(self, workplace: Any, someone: Any, read: Any) -> None:
        loans = read(
            queries.loans_of, customer_id=someone.id, on=workplace.runtime.clock.now().date()
        )
        page = workplace.seat("clerk").get(someone.at()).text
        late = next(loan for loan in loans if loan.id == someone.late_loan_id)
        assert "逾期 10 天 · M1" in page
        assert f"{late.overdue_fen / 100:,.2f}" in page
        assert f"{sum(loan.remaining_fen for loan in loans) / 100:,.2f}" in page
        assert "8,000.00" in page
        assert "富昌电子厂" in page
        assert page.index("华为手机") > page.index("逾期 10 天")

    def test_nothing_personal_stands_in_any_part(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("all", "clerk", "risk_manager", "finance", "auditor")
        desk.fill(
            someone.at("/complaints/new"),
            someone.at("/complaints"),
            category="contact",
            channel="phone",
            text=f"总打我的旧电话 {someone.phone}，证件 {someone.id_number}",
        )
        parts = [
            someone.at(),
            *(someone.at(f"/tabs/{tab}") for tab in TABS),
            someone.at(f"/loans/{someone.loan_id}/plan"),
            someone.at(f"/loans/{someone.loan_id}/entries"),
            someone.at("/holds/new"),
            someone.at("/complaints/1/answer"),
        ]
        for part in parts:
            answer = desk.get(part)
            assert answer.status_code == 200, part
            for secret in someone.secrets:
                assert secret not in answer.text, part

    def test_a_plan_gives_the_reason_for_every_fen(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        on = workplace.runtime.clock.now().date()
        loan = read(queries.loan_of, loan_id=someone.late_loan_id, customer_id=someone.id, on=on)
        page = workplace.seat("collector").get(someone.at(f"/loans/{loan.id}/plan")).text
        for row in loan.plan:
            assert queries.explain(row) in page
        assert "逾期 10 天" in page
        assert "年利率 18%" in page

    def test_a_loan_of_another_customer_is_not_found(
        self, workplace: Any, someone: Any, book: Any
    ) -> None:
        with workplace.runtime.database.write() as session:
            other = book.loan(session)
        desk = workplace.seat("risk_manager")
        for what in ("plan", "entries"):
            assert desk.get(someone.at(f"/loans/{other}/{what}")).status_code == 404

    def test_an_empty_customer_is_no_blank_page(self, workplace: Any, book: Any) -> None:
        with workplace.runtime.database.write() as session:
            customer_id = book.customer(session)
        desk = workplace.seat("risk_manager")
        page = desk.get(f"/admin/customers/{customer_id}").text
        assert "还没有分期" in page
        assert "尚未授信" in page
        said = ("还没有任何还款", "还没有发过消息", "没有停催和投诉", "还没有申请")
        for tab, words in zip(TABS, (*said, "还没有分录", "没有授权记录"), strict=True):
            assert words in desk.get(f"/admin/customers/{customer_id}/tabs/{tab}").text


class TestUnmask:
    @pytest.mark.parametrize(
        ("field", "may_see"),
        [
            ("name", {"clerk", "collector", "risk_manager", "finance"}),
            ("phone", {"clerk", "collector", "risk_manager"}),
            ("id_number", {"clerk", "risk_manager"}),
        ],
    )
    def test_each_role_unmasks_what_it_needs(
        self, workplace: Any, someone: Any, field: str, may_see: set[str]
    ) -> None:
        for role in SEEN:
            desk = workplace.seat(role)
            answer = desk.post(
                "/admin/unmask", key=f"customer.{field}", subject=someone.id, reason="核实客户身份"
            )
            assert (getattr(someone, field) in answer.text) == (role in may_see), role
            assert answer.status_code == (200 if role in may_see else 403)
        seen = workplace.acts(action="desk.unmasked")
        assert {act.actor for act in seen} == may_see
        assert {act.subject for act in seen} == {f"customer:{someone.id}"}
        assert all(someone.phone not in str(act.details) for act in seen)

    def test_without_a_reason_nothing_is_shown(self, workplace: Any, someone: Any) -> None:
        answer = workplace.seat("clerk").post(
            "/admin/unmask", key="customer.phone", subject=someone.id
        )
        assert answer.status_code == 422
        assert someone.phone not in answer.text

    @pytest.mark.parametrize("subject", ["404", "x", "9" * 30])
    def test_nobody_has_no_phone(self, workplace: Any, subject: str) -> None:
        answer = workplace.seat("clerk").post(
            "/admin/unmask", key="customer.phone", subject=subject, reason="联系客户"
        )
        assert answer.status_code == 404


def test_a_number_that_is_wrong_shows_at_the_top(workplace: Any, someone: Any) -> None:
    desk = workplace.seat("collector")
    assert "手机号已停用" not in desk.get(someone.at()).text
    at = someone.at("/addresses/1/wrong")
    assert desk.fill(at, at).status_code == 204
    page = desk.get(someone.at("?tab=messages")).text
    assert "手机号已停用" in page
    assert "号码有误" in page
    assert (
        timedelta(0)
        == workplace.acts(action="contact.address")[0].at - workplace.runtime.clock.now()
    )
