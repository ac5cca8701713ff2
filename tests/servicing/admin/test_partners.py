"""合作方: keys, limits and webhooks that fail, on the staff pages."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from workplace import House, log_in_by_browser, served

from kernel.api_keys import create_api_key
from kernel.clock import business_date
from kernel.outbox import relay
from servicing import operations as servicing
from servicing.operations.partner_acts import keep_act
from servicing.queries.partner_limits import limit_of
from servicing.webhooks import delivering, operations, queries
from servicing.webhooks.clients import Outcome

AT = "/admin/partners/shop"


class Deaf:
    """A receiver that answers no."""

    def __call__(self, *_: Any) -> Outcome:
        return Outcome(status=503, fault=None, took_ms=3)


@pytest.fixture
def partner(workplace: House, someone: Any) -> int:
    """A shop with a key, an act, and a webhook that does not take what is sent."""
    runtime, now = workplace.runtime, workplace.clock.now()
    with runtime.database.write() as session:
        scopes = ["loans:read", "events:repayment", "webhooks", "whole-book"]
        create_api_key(session, name="收银台", scopes=scopes, partner="shop", now=now)
        number, _ = operations.add_endpoint(
            session,
            runtime.cipher,
            partner="shop",
            sees_whole_book=True,
            url="https://shop.example/fenqi",
            kinds=(),
            now=now,
        )
        keep_act(
            session,
            partner="shop",
            act="repayment",
            loan_id=someone.late_loan_id,
            seq=2,
            amount_fen=12_345,
            channel="bank-transfer",
            reference="BK-77",
            now=now,
        )
        servicing.charge(
            session,
            loan_id=someone.late_loan_id,
            amount_fen=100,
            due_on=now.date(),
            on=now.date(),
            key="c-1",
            actor="wang",
            now=now,
        )
    relay(runtime, {}, (operations.publish,))
    delivering.deliver_to(runtime, Deaf(), endpoint_id=number, is_over=lambda: False)
    return number


class TestPartners:
    def test_are_listed_with_what_waits(self, workplace: House, partner: int) -> None:
        page = workplace.seat("auditor").get("/admin/partners").text
        assert partner
        for words in ("shop", "推送正常", "有效密钥"):
            assert words in page

    def test_show_limits_acts_and_what_a_webhook_does_not_take(
        self, workplace: House, partner: int, someone: Any
    ) -> None:
        page = workplace.seat("auditor").get(AT).text
        for words in (
            "HTTP 503",
            "重试中",
            "BK-77",
            "123.45",
            "银行转账",
            f"{partner}.1",
            "收银台",
        ):
            assert words in page
        assert someone.late_loan_no in page
        assert "/retry" not in page
        assert "/limits/" not in page

    def test_are_not_for_everybody(self, workplace: House, partner: int) -> None:
        assert partner
        assert workplace.seat("collector").get(AT).status_code == 403
        finance = workplace.seat("finance")
        assert finance.post(f"{AT}/limits/waiver", **LOWER).status_code == 403
        assert finance.post(f"{AT}/webhooks/{partner}/retry").status_code == 403
        assert finance.get("/admin/partners/nobody").status_code == 404


LIMIT = f"{AT}/limits/waiver"
LOWER = {"each": "12.50", "day": "1,000", "reason": "上月差错偏多"}
HIGHER = {"each": "300", "day": "5000", "reason": "春节活动"}


def waivers(read: Any, clock: Any) -> tuple[int, int]:
    found = read(limit_of, partner="shop", act="waiver", on=business_date(clock.now()))
    return found.each_fen, found.day_fen


class TestLimits:
    def test_are_lowered_at_once_with_their_trace(self, workplace: House, partner: int) -> None:
        assert partner
        desk = workplace.seat("risk_manager")
        assert desk.fill(LIMIT, LIMIT, **LOWER).status_code == 204
        page = desk.get(AT).text
        assert "12.50" in page
        assert "由 risk_manager 设置 · 上月差错偏多" in page
        (act,) = workplace.acts(action="servicing.partner.limited")
        assert act.details == {
            "act": "waiver",
            "each_fen": 1_250,
            "day_fen": 100_000,
            "reason": "上月差错偏多",
        }
        for wrong in ({"each": "2", "day": "1"}, {"each": "x", "day": "1"}, {"reason": " "}):
            assert desk.fill(LIMIT, LIMIT, **LOWER | wrong).status_code == 422
        assert desk.post(f"{AT}/limits/gift", **LOWER).status_code == 422
        assert desk.get("/admin/partners/no/limits/waiver").status_code == 404

    def test_are_raised_only_by_two(
        self, workplace: House, partner: int, read: Any, clock: Any
    ) -> None:
        assert partner
        desk = workplace.seat("risk_manager")
        assert desk.fill(LIMIT, LIMIT, **HIGHER).status_code == 204
        assert waivers(read, clock) == (20_000, 500_000)
        assert "调高待审批" in desk.get(AT).text
        approve = {"decision": "approve", "note": "已核对"}
        assert desk.post("/admin/approvals/1/decide", **approve).status_code == 403
        second = workplace.seat("finance")
        page = second.get("/admin/approvals/1").text
        for words in ("shop", "减免", "200.00", "300.00", "春节活动"):
            assert words in page
        assert second.post("/admin/approvals/1/decide", **approve).status_code == 302
        assert waivers(read, clock) == (30_000, 500_000)
        (act,) = workplace.acts(action="servicing.partner.limited")
        assert (act.details["each_fen"], act.details["reason"]) == (30_000, "春节活动")
        assert "由 risk_manager 设置 · 春节活动" in desk.get(AT).text

    def test_one_up_and_one_down_is_a_raise(
        self, workplace: House, partner: int, read: Any, clock: Any
    ) -> None:
        assert partner
        desk = workplace.seat("risk_manager")
        mixed = {"each": "1", "day": "5000.01", "reason": "拆成小额"}
        assert desk.fill(LIMIT, LIMIT, **mixed).status_code == 204
        assert waivers(read, clock) == (20_000, 500_000)

    def test_a_raise_that_waits_gives_way_to_a_cut(
        self, workplace: House, partner: int, read: Any, clock: Any
    ) -> None:
        assert partner
        desk = workplace.seat("risk_manager")
        assert desk.fill(LIMIT, LIMIT, **HIGHER).status_code == 204
        assert desk.fill(LIMIT, LIMIT, **LOWER).status_code == 204
        second, approve = workplace.seat("finance"), {"decision": "approve", "note": "已核对"}
        second.post("/admin/approvals/1/decide", **approve)
        assert waivers(read, clock) == (1_250, 100_000)


class TestRetry:
    def test_sends_at_once_what_was_not_taken_and_wakes_who_was_disabled(
        self, workplace: House, partner: int
    ) -> None:
        workplace.clock.advance(timedelta(days=4))
        runtime = workplace.runtime
        delivering.deliver_to(runtime, Deaf(), endpoint_id=partner, is_over=lambda: False)
        desk = workplace.seat("operator")
        assert "连续三天失败" in desk.get(AT).text
        assert "推送已停用" in desk.get("/admin/partners").text
        assert desk.post(f"{AT}/webhooks/{partner}/retry").status_code == 302
        with runtime.database.read() as session:
            (endpoint,) = queries.endpoints(session, partner="shop")
        assert endpoint.state == "active"
        assert f"{endpoint.waiting} 条等待推送" in desk.get(AT).text
        (act,) = workplace.acts(action="servicing.webhook.retried")
        assert act.details == {"endpoint": partner, "waiting": endpoint.waiting}
        assert desk.post(f"/admin/partners/other/webhooks/{partner}/retry").status_code == 404


@pytest.mark.browser
def test_a_manager_lowers_a_limit_in_place(workplace: House, partner: int, desk_page: Any) -> None:
    assert partner
    workplace.hire("zhao", "risk_manager")
    with served(workplace.app) as base:
        log_in_by_browser(desk_page, base, "zhao")
        desk_page.goto(f"{base}/admin/partners")
        desk_page.get_by_role("link", name="shop", exact=True).click()
        row = desk_page.locator("tr", has_text="减免")
        row.get_by_role("button", name="调整").click()
        desk_page.get_by_label("单笔限额（元）").fill("150")
        desk_page.get_by_label("理由").fill("上月差错偏多")
        desk_page.get_by_role("button", name="提交").click()
        desk_page.get_by_text("限额已更新").wait_for()
        expect(row.get_by_role("cell", name="150.00", exact=True)).to_be_visible()
