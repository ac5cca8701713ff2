"""The borrower's pages about offers, requests and freezes."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from phone import token_of

from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.offering import OfferKind
from servicing.operations import make_offer

EXTENSION = (OfferKind.EXTENSION, {"extra_terms": 3})
RETENTION = (OfferKind.RETENTION, {"rate_annual": "0.06"})
SETTLEMENT = (OfferKind.SETTLEMENT, {"sum_fen": 100_000})


class TestNextPart:
    """The looker's loan is drawn in three parts; the second is asked for, read, agreed to."""

    def ask(self, client: FlaskClient, loan_id: int, yuan: str) -> Any:
        token = token_of(client.get(f"/h5/change/{loan_id}").text)
        form = {"csrf_token": token, "yuan": yuan}
        return client.post(f"/h5/change/{loan_id}/part", data=form)

    def loan(self, runtime: Runtime, loan_id: int) -> queries.LoanView:
        on = business_date(runtime.clock.now())
        with runtime.database.read() as session:
            assert operations.prove_books(session) == []
            return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)

    def test_is_offered_with_its_cost_table_and_drawn_on_consent(
        self, signed_in: FlaskClient, runtime: Runtime, in_parts: Callable[..., int]
    ) -> None:
        loan_id = in_parts(runtime)
        assert "还可取 ¥2,000.00" in signed_in.get("/h5/progress").text
        asked = self.ask(signed_in, loan_id, "600")
        assert asked.status_code == 303
        page = signed_in.get(asked.location).text
        for said in ("再次放款", "¥600.00", "放款后还可取", "综合融资成本明示表"):
            assert said in page
        assert self.loan(runtime, loan_id).principal_fen == 100_000
        shown = re.search(r'name="table_hash" value="(\w+)"', page)
        assert shown is not None
        form = {"csrf_token": token_of(page), "table_hash": shown[1]}
        assert signed_in.post(asked.location, data=form).status_code == 422
        assert self.loan(runtime, loan_id).principal_fen == 100_000
        for _ in range(2):
            done = signed_in.post(asked.location, data=form | {"agree": "1"})
            assert (done.status_code, "已生效" in done.text) == (200, True)
        after = self.loan(runtime, loan_id)
        assert (after.principal_fen, after.undrawn_fen) == (160_000, 140_000)
        with runtime.database.read() as session:
            purposes = [one.purpose for one in queries.consents_of(session, customer_id=1)]
        assert "offer.next-part" in purposes

    @pytest.mark.parametrize(
        ("yuan", "problem"),
        [
            ("2000.01", "没有这么多可放余额"),
            ("0", "没有这么多可放余额"),
            ("六百", "金额格式不正确"),
        ],
    )
    def test_is_refused_beyond_what_is_left_or_unread(
        self,
        signed_in: FlaskClient,
        runtime: Runtime,
        in_parts: Callable[..., int],
        yuan: str,
        problem: str,
    ) -> None:
        loan_id = in_parts(runtime)
        refused = self.ask(signed_in, loan_id, yuan)
        assert refused.status_code in (409, 422)
        assert problem in refused.text
        assert self.loan(runtime, loan_id).principal_fen == 100_000

    def test_is_told_in_chat(
        self,
        signed_in: FlaskClient,
        runtime: Runtime,
        in_parts: Callable[..., int],
        wechat: Any,
        openid: str,
    ) -> None:
        self.ask(signed_in, in_parts(runtime), "600")
        assert "放款 ¥600.00，共多付" in wechat.say(openid, "有什么方案")

    def test_is_nobody_else_s_to_ask_for(self, signed_in: FlaskClient) -> None:
        token = token_of(signed_in.get("/h5/change/1").text)
        form = {"csrf_token": token, "yuan": "1"}
        assert signed_in.post("/h5/change/2/part", data=form).status_code == 404


class TestOffers:
    def made(
        self, runtime: Runtime, loan_id: int = 1, what: Any = SETTLEMENT, days: int = 0
    ) -> int:
        now = runtime.clock.now()
        with runtime.database.write() as session:
            return make_offer(
                session,
                kind=what[0],
                subject_id=loan_id,
                details=what[1],
                valid_until=business_date(now) + timedelta(days=days),
                reason="hardship",
                made_by="lin",
                on=business_date(now),
                key="an-offer-000000001",
                now=now,
            )

    def take(self, client: FlaskClient, offer_id: int, act: str = "", **form: str) -> Any:
        """Send what the offer's page holds."""
        path = f"/h5/offers/{offer_id}"
        page = client.get(path).text
        shown = re.search(r'name="table_hash" value="(\w*)"', page)
        token = token_of(client.get("/h5/offers").text)
        given = {"csrf_token": token, "table_hash": shown[1] if shown else ""}
        return client.post(path + act, data=given | form)

    def test_is_taken_with_consent_only(self, signed_in: FlaskClient, runtime: Runtime) -> None:
        offer_id = self.made(runtime)
        refused = self.take(signed_in, offer_id)
        assert (refused.status_code, "请先阅读并勾选同意" in refused.text) == (422, True)
        for shown_at in ("-9999999999999", "x"):
            taken = self.take(signed_in, offer_id, agree="1", shown_at=shown_at)
            assert taken.status_code == 200
            assert "去结清" in taken.text
        assert "¥1,000.00" in signed_in.get("/h5/repay/1?for=settle").text

    def test_is_not_taken_by_a_page_that_showed_another_table(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        offer_id = self.made(runtime, what=EXTENSION)
        refused = self.take(signed_in, offer_id, agree="1", table_hash="0" * 64)
        assert (refused.status_code, "综合融资成本明示表" in refused.text) == (409, True)
        assert "已生效" in self.take(signed_in, offer_id, agree="1").text

    def test_that_would_do_something_else_by_now_is_shown_anew(
        self, signed_in: FlaskClient, runtime: Runtime, clock: FixedClock
    ) -> None:
        offer_id = self.made(runtime, what=RETENTION, days=9)
        clock.advance(timedelta(days=2))
        answer = self.take(signed_in, offer_id, agree="1")
        assert (answer.status_code, answer.location) == (303, f"/h5/offers/{offer_id + 1}")
        page = signed_in.get(answer.location).text
        assert "按今天情况更新的方案" in page
        assert "已更新为新方案" in signed_in.get(f"/h5/offers/{offer_id}").text
        assert "已生效" in self.take(signed_in, offer_id + 1, agree="1").text

    def test_is_not_taken_after_its_last_day(
        self, signed_in: FlaskClient, runtime: Runtime, clock: FixedClock
    ) -> None:
        offer_id = self.made(runtime)
        clock.advance(timedelta(days=1))
        late = self.take(signed_in, offer_id, agree="1")
        assert late.status_code == 409
        assert "已失效" in late.text
        assert "已过期" in signed_in.get("/h5/offers").text

    def test_is_declined_with_a_reason_or_without_and_not_shown_again(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        offer_id = self.made(runtime)
        assert "查看方案" in signed_in.get("/h5/progress").text
        declined = self.take(signed_in, offer_id, "/decline", reason="  再想想  ")
        assert (declined.status_code, "您已谢绝" in declined.text) == (200, True)
        assert "再想想" in declined.text
        assert "查看方案" not in signed_in.get("/h5/progress").text
        assert "以往的方案" in signed_in.get("/h5/offers").text
        late = self.take(signed_in, offer_id, agree="1")
        assert (late.status_code, "已处理" in late.text) == (409, True)

    def test_anothers_is_not_found(self, signed_in: FlaskClient, runtime: Runtime) -> None:
        offer_id = self.made(runtime, loan_id=2)
        assert signed_in.get(f"/h5/offers/{offer_id}").status_code == 404
        assert self.take(signed_in, offer_id, agree="1").status_code == 404
        assert self.take(signed_in, offer_id, "/decline").status_code == 404


class TestAskingForAChange:
    def ask(self, client: FlaskClient, what: str, loan_id: int = 1, **form: str) -> Any:
        token = token_of(client.get("/h5/progress").text)
        return client.post(f"/h5/change/{loan_id}/{what}", data={"csrf_token": token, **form})

    def test_another_due_day_is_an_offer_with_its_cost_table(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        assert "调整还款" in signed_in.get("/h5/progress").text
        assert "换一个还款日" in signed_in.get("/h5/change/1").text
        asked = self.ask(signed_in, "due-day", due_day="20")
        assert (asked.status_code, asked.location) == (303, "/h5/offers/1")
        assert "每月 20 日还款" in signed_in.get("/h5/offers/1").text
        # Another day in its place: the first request gives way.
        assert self.ask(signed_in, "due-day", due_day="22").location == "/h5/offers/2"
        assert "已撤回" in signed_in.get("/h5/offers/1").text
        taken = TestOffers().take(signed_in, 2, agree="1")
        assert "已生效" in taken.text
        refused = self.ask(signed_in, "due-day", due_day="9")
        assert (refused.status_code, "十二个月内已变更过还款日" in refused.text) == (409, True)

    def test_an_extension_is_asked_of_staff(self, signed_in: FlaskClient, runtime: Runtime) -> None:
        for _ in range(2):
            assert "客服核实后" in self.ask(signed_in, "extension", extra_terms="3").text
        with runtime.database.read() as session:
            (alert,) = [one for one in queries.alerts(session) if one.kind == "extension-asked"]
        assert (alert.customer_id, alert.details["extra_terms"]) == (1, 3)
        refused = self.ask(signed_in, "extension", extra_terms="99")
        assert (refused.status_code, "期数须为 1 期至原定期数" in refused.text) == (409, True)

    def test_an_extension_may_be_as_long_as_was_agreed_though_the_plan_is_shorter(
        self, signed_in: FlaskClient, runtime: Runtime
    ) -> None:
        now = runtime.clock.now()
        on = business_date(now)
        with runtime.database.write() as session:
            quote = queries.settlement_quote(session, loan_id=1, customer_id=1, on=on)
            operations.post_prepayment(
                session,
                loan_id=1,
                amount_fen=quote.amount_fen - 50_000,
                value_date=on,
                key="ahead",
                now=now,
            )
            loan = queries.loan_of(session, loan_id=1, customer_id=1, on=on)
        assert loan.terms < loan.agreed_terms
        offered = signed_in.get("/h5/change/1").text.split('id="extra_terms"')[1]
        assert offered.count("<option") == loan.agreed_terms

    def test_anothers_loan_is_not_found(self, signed_in: FlaskClient) -> None:
        assert signed_in.get("/h5/change/2").status_code == 404
        assert self.ask(signed_in, "due-day", loan_id=2, due_day="20").status_code == 404
        assert self.ask(signed_in, "extension", loan_id=2, extra_terms="1").status_code == 404


class TestFreezes:
    def test_are_shown_with_their_last_day(
        self, signed_in: FlaskClient, runtime: Runtime, openid: str, wechat: Any
    ) -> None:
        now = runtime.clock.now()
        on = business_date(now)
        with runtime.database.write() as session:
            for days in (5, 9):
                operations.place_freeze(
                    session,
                    what="interest",
                    first_on=on,
                    last_on=on + timedelta(days=days),
                    reason="disaster",
                    loan_id=1,
                    on=on,
                    key=f"f{days}",
                    actor="wang",
                    now=now,
                )
            (line,) = queries.lines_of(session, customer_id=1)
            operations.freeze_line(session, line_id=line.id, reason="fraud", now=now)
            for reason in ("hardship", "deceased"):
                operations.place_hold(
                    session,
                    customer_id=1,
                    reason=reason,
                    scope="all",
                    until=None if reason == "deceased" else now + timedelta(days=3),
                    opened_by="wang",
                    now=now,
                )
        page = signed_in.get("/h5/progress").text
        last = on + timedelta(days=9)
        assert page.count("利息已冻结") == 1
        assert f"至 {last.month}月{last.day}日（含当天）" in page
        assert "额度已冻结" in page
        assert "欺诈" not in page
        said = wechat.say(openid, "我还差多少没还")
        assert f"利息已冻结，至 {last.year}年{last.month}月{last.day}日（含当天）" in said
        contact = on + timedelta(days=3)
        assert f"已暂停催收与提醒，至 {contact.year}年{contact.month}月{contact.day}日" in said
