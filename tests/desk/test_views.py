from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from markupsafe import Markup

from desk import operations, queries
from desk.model import PUBLIC
from desk.ports import (
    Approvable,
    NavItem,
    Panel,
    Search,
    Site,
    Subject,
    SubjectKind,
    permission_of,
)
from desk.views import create_blueprint
from desk.views.gate import is_staff_path, unmarked_endpoints
from kernel.runtime import Runtime
from kernel.web import create_base_app

PASSWORD = "correct-horse-7"
Post = Callable[..., Any]


def token_of(page: str) -> str:
    return page.split('name="csrf_token" value="')[1].split('"', maxsplit=1)[0]


def post(client: FlaskClient, path: str, **form: Any) -> Any:
    """Post a form with the session's token."""
    return client.post(
        path, data=form | {"csrf_token": token_of(client.get("/admin/password").text)}
    )


def acts(house: Any, **given: str) -> list[queries.AuditView]:
    with house.runtime.database.read() as session:
        assert queries.verify_audit_chain(session) is None
        wanted = queries.AuditFilter(**given)
        return list(queries.each_audit_entry(session, wanted=wanted))


class TestGate:
    def test_an_endpoint_without_a_mark_is_refused_to_all(self, house: Any) -> None:
        assert unmarked_endpoints(house.app) == ("demo.forgotten",)
        assert house.client().get("/admin/demo/forgotten").status_code == 403
        everything = house.member("root", *[str(role) for role in operations.staff.Role])
        answer = everything.get("/admin/demo/forgotten")
        assert answer.status_code == 403
        assert "secret" not in answer.text

    def test_every_page_of_the_desk_is_marked_and_few_are_public(self, house: Any) -> None:
        public = set()
        for rule in house.app.url_map.iter_rules():
            permission = permission_of(house.app.view_functions[rule.endpoint])
            if is_staff_path(rule.rule) and rule.endpoint.startswith("desk."):
                assert permission == PUBLIC or permission in house.site.permissions, rule
            if permission == PUBLIC:
                public.add(rule.endpoint)
        assert public == {"desk.login", "desk.log_in", "desk.set_language", "demo.open_to_all"}

    def test_strangers_are_sent_to_the_login_and_back(self, house: Any) -> None:
        house.hire("wang", "clerk")
        client = house.client()
        answer = client.get("/admin/demo/board?x=1")
        assert answer.location == "/admin/login?next=/admin/demo/board?x%3D1"
        page = client.get(answer.location)
        form = {"login": "wang", "password": PASSWORD, "csrf_token": token_of(page.text)}
        assert client.post(answer.location, data=form).location == "/admin/demo/board?x=1"
        assert client.get("/admin/demo/board").text == "board of wang"

    @pytest.mark.parametrize(
        "goal", ["https://evil.example/", "//evil.example", "/\\evil.example", "/h5/x", "/adminx"]
    )
    def test_next_never_leads_out(self, house: Any, goal: str) -> None:
        house.hire("wang", "clerk")
        client = house.client()
        form = {"login": "wang", "password": PASSWORD, "next": goal}
        form["csrf_token"] = token_of(client.get("/admin/login").text)
        assert client.post("/admin/login", data=form).location == "/admin/"

    def test_htmx_strangers_are_redirected_as_a_whole(self, house: Any) -> None:
        answer = house.client().get("/admin/unmask", headers={"HX-Request": "true"})
        assert answer.status_code == 401
        assert answer.headers["HX-Redirect"].startswith("/admin/login")

    def test_a_role_opens_only_its_pages(self, house: Any) -> None:
        client = house.member("audrey", "auditor")
        assert client.get("/admin/audit").status_code == 200
        refused = client.get("/admin/demo/board")
        assert refused.status_code == 403
        assert "您没有权限打开此页面" in refused.text
        assert client.get("/admin/staff").status_code == 403
        assert client.get("/admin/nowhere").status_code == 404

    def test_navigation_shows_only_what_opens(self, house: Any) -> None:
        auditor = house.member("audrey", "auditor").get("/admin/").text
        clerk = house.member("carl", "clerk").get("/admin/").text
        assert "审计日志" in auditor
        assert "演示页" not in auditor
        assert "演示页" in clerk
        assert "审计日志" not in clerk
        assert 'aria-current="page"' in clerk

    def test_nobody_has_no_name(self, house: Any) -> None:
        assert house.client().get("/admin/demo/open").status_code == 401
        assert house.member("wang", "clerk").get("/admin/demo/open").text == "wang"

    def test_a_fragment_gets_a_fragment_for_an_error(self, house: Any) -> None:
        client = house.member("wang", "clerk")
        answer = client.get("/admin/unmask?key=none", headers={"HX-Request": "true"})
        assert answer.status_code == 404
        assert answer.text.startswith('<div class="alert alert-danger')

    def test_whoever_is_in_needs_no_login_page(self, house: Any) -> None:
        assert house.member("wang", "clerk").get("/admin/login").location == "/admin/"

    def test_other_paths_are_none_of_its_business(self, house: Any) -> None:
        assert house.client().get("/healthz").status_code == 200


class TestSessions:
    def test_a_session_gets_a_new_cookie_and_flags(self, house: Any) -> None:
        house.hire("wang", "clerk")
        client = house.log_in("wang")
        cookie = client.last.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie

    def test_production_cookies_travel_over_https_only(self, house: Any, site: Site) -> None:
        settings = replace(house.runtime.settings, env="production")
        app = create_base_app(replace(house.runtime, settings=settings))
        app.register_blueprint(create_blueprint(replace(site, navigation=type(site.navigation)())))
        answer = app.test_client().get("/admin/login", base_url="https://localhost")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "开发时钟" not in answer.text

    def test_logout_is_a_post_and_final(self, house: Any) -> None:
        client = house.member("wang", "clerk")
        stolen = client.get_cookie("session").value
        assert client.get("/admin/logout").status_code == 405
        assert client.get("/admin/").status_code == 200
        assert post(client, "/admin/logout").location == "/admin/login"
        thief = house.client()
        thief.set_cookie("session", stolen)
        assert thief.get("/admin/").status_code == 302
        assert acts(house)[-1].action == "desk.staff.logged_out"

    def test_a_session_ends_by_idling(self, house: Any) -> None:
        client = house.member("wang", "clerk")
        house.clock.advance(timedelta(minutes=29))
        assert client.get("/admin/").status_code == 200
        house.clock.advance(timedelta(minutes=29))
        assert client.get("/admin/").status_code == 200
        house.clock.advance(timedelta(minutes=31))
        assert client.get("/admin/").status_code == 302

    def test_a_session_ends_after_twelve_hours_of_work(self, house: Any) -> None:
        client = house.member("wang", "clerk")
        for _ in range(36):
            house.clock.advance(timedelta(minutes=20))
            assert client.get("/admin/").status_code == 200
        house.clock.advance(timedelta(minutes=1))
        assert client.get("/admin/").status_code == 302

    def test_a_role_change_ends_sessions(self, house: Any) -> None:
        client = house.member("wang", "clerk")
        root = house.member("root", "admin")
        assert client.get("/admin/demo/board").status_code == 200
        post(root, "/admin/staff/1/roles", roles=["auditor"])
        assert client.get("/admin/").status_code == 302

    def test_a_password_change_ends_other_sessions_only(self, house: Any) -> None:
        here = house.member("wang", "clerk")
        there = house.log_in("wang")
        new = {"new": "another-good-one-8", "again": "another-good-one-8"}
        assert post(here, "/admin/password", current="wrong", **new).status_code == 401
        odd = new | {"again": "different-good-9"}
        assert post(here, "/admin/password", current=PASSWORD, **odd).status_code == 422
        assert post(here, "/admin/password", current=PASSWORD, **new).status_code == 302
        assert here.get("/admin/").status_code == 200
        assert there.get("/admin/").status_code == 302

    def test_a_temporary_password_must_be_changed_first(self, house: Any) -> None:
        house.hire("wang", "clerk", is_temporary=True)
        client = house.log_in("wang")
        assert client.get("/admin/").location == "/admin/password"
        new = {"new": "another-good-one-8", "again": "another-good-one-8"}
        post(client, "/admin/password", current=PASSWORD, **new)
        assert client.get("/admin/").status_code == 200


class TestLogin:
    def test_failures_answer_the_same_page(self, house: Any) -> None:
        house.hire("wang", "clerk")
        for login in ("wang", "nobody"):
            answer = house.log_in(login, "wrong-password").last
            assert answer.status_code == 401
            assert "登录名或密码不正确" in answer.text

    def test_the_account_locks(self, house: Any) -> None:
        house.hire("wang", "clerk")
        for _ in range(5):
            answer = house.log_in("wang", "wrong-password").last
        assert "已锁定" in answer.text
        assert "已锁定" in house.log_in("wang").last.text

    def test_one_login_is_limited_from_everywhere(self, house: Any) -> None:
        answers = [house.log_in("nobody", "x").last.status_code for _ in range(12)]
        assert answers == [401] * 10 + [429] * 2

    def test_one_address_is_limited_over_all_logins(self, house: Any) -> None:
        answers = [house.log_in(f"nobody{n}", "x").last.status_code for n in range(32)]
        assert answers == [401] * 30 + [429] * 2

    def test_posts_without_a_token_are_refused(self, house: Any) -> None:
        house.hire("wang", "clerk")
        client = house.client()
        client.get("/admin/login")
        form = {"login": "wang", "password": PASSWORD}
        assert client.post("/admin/login", data=form).status_code == 400
        member = house.log_in("wang")
        refused = member.post("/admin/logout")
        assert refused.status_code == 400
        assert "页面已过期" in refused.text
        assert member.get("/admin/").status_code == 200

    def test_pages_carry_a_content_security_policy(self, house: Any) -> None:
        answer = house.client().get("/admin/login")
        assert "script-src 'self' 'nonce-" in answer.headers["Content-Security-Policy"]
        assert "no-store" in answer.headers["Cache-Control"]
        assert "<script>" not in answer.text


class TestWorkplace:
    def test_tiles_stand_in_order_and_by_permission(self, house: Any) -> None:
        page = house.member("ria", "risk_analyst").get("/admin/").text
        assert page.index("甲") < page.index("乙")
        assert "丙" not in page

    def test_an_empty_dashboard_says_so(self, house: Any) -> None:
        assert "今天没有需要您处理的事项" in house.member("op", "operator").get("/admin/").text

    def test_the_customer_page_draws_panels_in_order(self, house: Any) -> None:
        page = house.member("carl", "clerk").get("/admin/customers/17").text
        assert page.index("head of 17") < page.index("plan of 17")
        assert "还款计划" in page

    def test_panels_follow_permissions(self, house: Any) -> None:
        page = house.member("audrey", "auditor").get("/admin/customers/17")
        assert "head of 17" not in page.text
        assert "没有您可以查看的内容" in page.text
        assert house.member("op", "operator").get("/admin/customers/17").status_code == 403

    def test_search_finds_and_says_when_it_does_not(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        found = post(client, "/admin/search", q=" 13800001234 ").text
        assert "张*" in found
        assert 'href="/admin/customers/17"' in found
        assert "没有找到相关结果" in client.get("/admin/search?q=nothing").text
        assert "张*" in client.get("/admin/search?q=张三").text

    def test_search_asks_only_what_is_permitted(self, house: Any, site: Site) -> None:
        def fail(_text: str) -> list[Any]:
            pytest.fail("asked")

        site.searches.add(Search(label="秘密", permission="demo.phone", find=fail))
        client = house.member("ria", "risk_analyst")
        assert client.get("/admin/search?q=张三").status_code == 200

    def test_english_is_a_switch_away(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        assert 'lang="zh-CN"' in client.get("/admin/").text
        post(client, "/admin/language", language="en", next="/admin/")
        page = client.get("/admin/").text
        assert 'lang="en"' in page
        assert "Overview" in page
        post(client, "/admin/language", language="xx")
        assert "Overview" in client.get("/admin/").text


class TestCustomerTabs:
    @pytest.fixture
    def tabs(self, house: Any) -> list[int]:
        """Three tabs, one of them not for clerks; the list says which were drawn."""
        drawn: list[int] = []

        def render(key: str, customer_id: int) -> Markup:
            drawn.append(customer_id)
            return Markup("<p>{} of {}</p>").format(key, customer_id)

        for order, (key, permission) in enumerate(
            (("bills", "demo.view"), ("calls", "demo.view"), ("limits", "demo.limit.decide"))
        ):
            house.site.customer_panels.add(
                Panel(
                    key=key,
                    title=f"栏目{key}",
                    permission=permission,
                    order=50 - order,
                    render=partial(render, key),
                    is_tab=True,
                )
            )
        return drawn

    def test_only_the_open_one_is_drawn(self, house: Any, tabs: list[int]) -> None:
        client = house.member("carl", "clerk")
        page = client.get("/admin/customers/17").text
        assert page.index("plan of 17") < page.index("栏目calls") < page.index("栏目bills")
        assert "calls of 17" in page
        assert "bills of 17" not in page
        assert "栏目limits" not in page
        assert tabs == [17]

    def test_a_link_opens_another(self, house: Any, tabs: list[int]) -> None:
        client = house.member("carl", "clerk")
        assert "bills of 17" in client.get("/admin/customers/17?tab=bills").text
        part = client.get("/admin/customers/17/tabs/bills").text
        assert "bills of 17" in part
        assert "plan of 17" not in part
        assert len(tabs) == 2

    @pytest.mark.parametrize("key", ["limits", "plan", "none"])
    def test_others_are_not_there(self, house: Any, tabs: list[int], key: str) -> None:
        client = house.member("carl", "clerk")
        assert client.get(f"/admin/customers/17/tabs/{key}").status_code == 404
        assert tabs == []
        assert "calls of 17" in client.get(f"/admin/customers/17?tab={key}").text


class TestUnmasking:
    def ask(self, client: FlaskClient, **given: str) -> Any:
        form = {
            "key": "customer.phone",
            "subject": "17",
            "target": "f-0123abcd",
            "reason": "核对还款",
        }
        return post(client, "/admin/unmask", **form | given)

    def test_shows_the_field_and_notes_who_and_why(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        assert "手机号" in client.get("/admin/unmask?key=customer.phone&subject=17").text
        assert acts(house, action="desk.unmasked") == []
        answer = self.ask(client, note="来电核对")
        assert "13800001234" in answer.text
        assert answer.headers["HX-Retarget"] == "#f-0123abcd"
        assert "no-store" in answer.headers["Cache-Control"]
        (entry,) = acts(house, action="desk.unmasked")
        assert (entry.actor, entry.subject) == ("carl", "customer:17")
        assert entry.details == {"field": "customer.phone", "reason": "核对还款：来电核对"}

    def test_needs_a_reason(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        for reason in ("", "其他", " "):
            answer = self.ask(client, reason=reason)
            assert answer.status_code == 422
            assert "13800001234" not in answer.text
        assert self.ask(client, reason="其他", note="客户来访").status_code == 200
        assert len(acts(house, action="desk.unmasked")) == 1

    def test_needs_the_permission_of_that_field(self, house: Any) -> None:
        client = house.member("ria", "risk_analyst")
        assert self.ask(client).status_code == 403
        assert client.get("/admin/unmask?key=customer.phone&subject=17").status_code == 403
        assert self.ask(client, key="customer.unknown").status_code == 404
        assert acts(house, action="desk.unmasked") == []

    def test_an_attempt_on_nobody_is_noted_too(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        assert self.ask(client, subject="18").status_code == 404
        assert self.ask(client, subject="1 OR 1").status_code == 422
        assert [entry.subject for entry in acts(house, action="desk.unmasked")] == ["customer:18"]

    def test_a_strange_target_is_not_followed(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        assert "HX-Retarget" not in self.ask(client, target="body").headers


class TestApprovalPages:
    def propose(self, house: Any, action: str = "demo.limit.raise") -> int:
        with house.runtime.database.write() as session:
            return operations.propose(
                session,
                house.site,
                action=action,
                subject="line:17",
                payload={"limit": 800_000},
                proposed_by="ria",
                now=house.clock.now(),
                expires_in=timedelta(days=1),
                reason="客户申请",
            )

    def test_two_people_take_a_proposal_through(self, house: Any, acts: Any) -> None:
        analyst = house.member("ria", "risk_analyst")
        manager = house.member("max", "risk_manager")
        number = self.propose(house)
        assert "提高额度" in manager.get("/admin/approvals").text
        assert "有 1 件申请等待您审批" in manager.get("/admin/").text
        assert "等待您审批" not in analyst.get("/admin/").text
        path = f"/admin/approvals/{number}"
        assert "这是您自己的申请" in analyst.get(path).text
        assert post(analyst, f"{path}/decide", decision="approve").status_code == 403
        page = manager.get(path).text
        assert "5,000.00" in page
        assert "800000" in page
        assert post(manager, f"{path}/decide", decision="refuse").status_code == 422
        assert post(manager, f"{path}/decide", decision="approve").status_code == 302
        assert acts.done == [800_000]
        again = post(manager, f"{path}/decide", decision="approve")
        assert again.status_code == 409
        assert "该审批已处理或已过期" in again.text
        assert "已执行" in manager.get("/admin/approvals?view=past").text
        assert post(manager, f"{path}/undo", reason="误批").status_code == 302
        assert acts.undone == [800_000]
        assert manager.get("/admin/approvals/999").status_code == 404

    def test_say_what_a_proposal_is_about_where_somebody_knows(self, house: Any) -> None:
        manager = house.member("max", "risk_manager")
        house.member("ria", "risk_analyst")
        number = self.propose(house)
        pages = ("/admin/approvals", f"/admin/approvals/{number}")
        assert all("line:17" in manager.get(page).text for page in pages)
        line = Subject(title="授信额度", detail="张* · 客户 #3", url="/admin/customers/3")
        house.site.subjects.add(
            SubjectKind(key="line", name=lambda all_: dict.fromkeys(all_, line))
        )
        for page in (manager.get(path).text for path in pages):
            assert '<a class="desk-number" href="/admin/customers/3">授信额度</a>' in page
            assert "张* · 客户 #3" in page
            assert "line:17" not in page

    def test_show_what_else_to_know_as_things_stand(self, house: Any, acts: Any) -> None:
        house.site.approvables.add(
            Approvable(
                action="demo.limit.cut",
                label="降低额度",
                permission_propose="demo.limit.propose",
                permission_decide="demo.limit.decide",
                describe=acts.describe,
                execute=acts.execute,
                show=lambda payload: Markup("<p>现额度 {}</p>").format(payload["limit"]),
            )
        )
        manager = house.member("max", "risk_manager")
        house.member("ria", "risk_analyst")
        number = self.propose(house, action="demo.limit.cut")
        assert "<p>现额度 800000</p>" in manager.get(f"/admin/approvals/{number}").text

    def test_the_proposer_withdraws(self, house: Any) -> None:
        analyst = house.member("ria", "risk_analyst")
        number = self.propose(house)
        assert post(analyst, f"/admin/approvals/{number}/withdraw").status_code == 302
        assert "没有等待审批的申请" in analyst.get("/admin/approvals").text


class TestDocumentPages:
    def test_show_versions_and_what_changed(self, house: Any) -> None:
        client = house.member("ria", "risk_analyst")
        assert "还没有版本文档" in client.get("/admin/documents").text
        for limit in (600, 620):
            with house.runtime.database.write() as session:
                operations.save_draft(
                    session,
                    kind="strategy",
                    key="admission",
                    body={"min_score": limit},
                    author="ria",
                    now=house.clock.now(),
                )
        assert "admission" in client.get("/admin/documents").text
        assert "v2" in client.get("/admin/documents/strategy/admission").text
        page = client.get("/admin/documents/strategy/admission/2").text
        assert "<del>600</del>" in page
        assert "<ins>620</ins>" in page
        assert client.get("/admin/documents/strategy/admission/9").status_code == 404
        assert client.get("/admin/documents/strategy/none").status_code == 404


class TestAuditPages:
    def test_filter_prove_and_export(self, house: Any) -> None:
        client = house.member("audrey", "auditor")
        with house.runtime.database.write() as session:
            operations.append_audit(
                session,
                actor="wang",
                action="demo.changed",
                subject="customer:17",
                details={"note": "=1+1"},
                now=house.clock.now(),
            )
        page = client.get("/admin/audit?actor=wang&since=2026-03-10&until=2026-03-10").text
        assert "demo.changed" in page
        assert "共 1 条" in page
        assert "没有符合条件的记录" in client.get("/admin/audit?until=2026-03-09&since=x").text
        assert "审计链完整" in post(client, "/admin/audit/proof").text
        export = post(client, "/admin/audit/export", actor="wang")
        assert export.mimetype == "text/csv"
        lines = export.text.lstrip("\ufeff").splitlines()
        assert len(lines) == 2
        assert "demo.changed" in lines[1]
        assert acts(house)[-1].action == "desk.audit.exported"

    def test_looking_is_not_exporting(self, house: Any) -> None:
        client = house.member("root", "admin")
        assert client.get("/admin/audit").status_code == 200
        assert post(client, "/admin/audit/export").status_code == 403

    def test_long_lists_are_paged(self, house: Any) -> None:
        client = house.member("audrey", "auditor")
        with house.runtime.database.write() as session:
            for number in range(120):
                operations.append_audit(
                    session,
                    actor="wang",
                    action="demo.counted",
                    subject=f"thing:{number}",
                    details={},
                    now=house.clock.now(),
                )
        first = client.get("/admin/audit?actor=wang").text
        assert "thing:119" in first
        assert "thing:60<" not in first
        assert "actor=wang&amp;page=3" in first
        assert "thing:0<" in client.get("/admin/audit?actor=wang&page=99").text


class TestStaffPages:
    def test_create_reset_and_disable(self, house: Any) -> None:
        root = house.member("root", "admin")
        page = post(root, "/admin/staff", login="New.One", name="新人", roles=["clerk"]).text
        temporary = page.split('class="desk-secret">')[1].split("<")[0]
        assert house.log_in("new.one", temporary).get("/admin/").location == "/admin/password"
        assert post(root, "/admin/staff", login="new.one", roles=["clerk"]).status_code == 409
        assert post(root, "/admin/staff", login="x y", roles=["clerk"]).status_code == 422
        assert post(root, "/admin/staff", login="someone", roles=[]).status_code == 422
        reset = post(root, "/admin/staff/2/password").text
        assert temporary not in reset
        assert post(root, "/admin/staff/2/active", active="no").status_code == 302
        assert (
            house.log_in("new.one", reset.split('desk-secret">')[1].split("<")[0]).last.status_code
            == 401
        )
        assert "已停用" in root.get("/admin/staff").text
        assert "查看演示" in root.get("/admin/staff/2").text
        assert root.get("/admin/staff/99").status_code == 404
        details = "".join(str(entry.details) for entry in acts(house))
        assert temporary not in details

    def test_only_administrators_come_in(self, house: Any) -> None:
        client = house.member("carl", "clerk")
        assert client.get("/admin/staff").status_code == 403
        assert post(client, "/admin/staff", login="eve", roles=["admin"]).status_code == 403


class TestSite:
    def test_a_key_is_registered_once(self, site: Site) -> None:
        (item, *_) = site.navigation
        with pytest.raises(ValueError, match="twice"):
            site.navigation.add(item)
        with pytest.raises(ValueError, match="twice"):
            site.permissions.declare("demo.view", "", roles={"clerk"})
        assert isinstance(item, NavItem)

    def test_an_undeclared_permission_is_held_by_nobody(self, site: Site) -> None:
        roles = list(operations.staff.Role)
        assert site.permissions.allows(roles, "demo.view")
        assert not site.permissions.allows(roles, "demo.typo")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_site_may_be_empty(runtime: Runtime) -> None:
    app = create_base_app(runtime)
    app.register_blueprint(create_blueprint(Site()))
    assert app.test_client().get("/admin/login").status_code == 200
