"""What staff do on the customer page: its effect, its trace, once, and by whom."""

from datetime import timedelta
from typing import Any

import pytest
from verdicts import Verdict

import contact.operations
import contact.queries
from contact.tables import Contact
from desk.operations import decide, undo
from desk.queries import approvals
from kernel.clock import start_of_day
from servicing import operations, queries
from wsgi import create_site

HOLD = {"reason": "hardship", "scope": "all", "loan": "", "until": ""}
COMPLAINT = {"category": "amount", "channel": "phone", "loan": "", "text": "多收了一期"}
APPLICATION = {
    "merchandise": "笔记本电脑",
    "merchant_name": "宏达手机卖场",
    "amount": "4,800.00",
    "terms": "12",
}


def holds(workplace: Any, read: Any, someone: Any) -> Any:
    return read(queries.holds_of, customer_id=someone.id, at=workplace.runtime.clock.now())


def place(desk: Any, someone: Any, **form: str) -> Any:
    return desk.fill(someone.at("/holds/new"), someone.at("/holds"), **HOLD | form)


class TestHolds:
    def test_is_in_force_at_once_and_leaves_a_trace(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("collector")
        sent = place(desk, someone, until="2026-03-31")
        assert sent.status_code == 204
        assert sent.headers["HX-Redirect"] == someone.at("?tab=care")
        (hold,) = holds(workplace, read, someone)
        assert (hold.reason, hold.scope, hold.opened_by) == ("hardship", "all", "collector")
        assert hold.until == start_of_day(workplace.runtime.clock.now().date() + timedelta(days=22))
        (act,) = workplace.acts(action="servicing.hold.placed")
        assert (act.actor, act.subject) == ("collector", f"customer:{someone.id}")
        assert act.details["last_day"] == "2026-03-31"
        page = desk.get(sent.headers["HX-Redirect"]).text
        assert "已登记停催，即刻生效" in page
        assert "经济困难" in page
        assert "停催中" in page
        assert "停催中" not in workplace.seat("finance").get(someone.at()).text

    def test_is_seen_before_with_what_waits_to_be_sent(self, workplace: Any, someone: Any) -> None:
        desk, now = workplace.seat("collector"), workplace.clock.now()
        at = someone.at("/holds/new")
        assert "正在等待发送" not in desk.get(at).text
        with workplace.runtime.database.write() as session:
            contact.operations.load_rules(session, now=now)
            (address,) = contact.queries.addresses_of(session, customer_id=someone.id)
            for purpose, code in (("collection", "overdue"), ("answer", "login-code")):
                session.add(
                    Contact(
                        customer_id=someone.id,
                        address_id=address.id,
                        purpose=purpose,
                        channel="sms",
                        template_code=code,
                        template_version=1,
                        day=now.date(),
                        key=f"{purpose}/1",
                        facts={},
                        priority=1,
                        state="ready",
                        not_before=now,
                        expires_at=now + timedelta(days=1),
                        created_at=now,
                    )
                )
        form = desk.get(at).text
        assert "正在等待发送" in form
        assert ">overdue · " in form
        assert "login-code" not in form

    def test_may_be_about_one_loan(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("clerk")
        place(desk, someone, loan=str(someone.loan_id), scope="collection")
        assert holds(workplace, read, someone)[0].loan_id == someone.loan_id
        plan = desk.get(someone.at(f"/loans/{someone.loan_id}/plan")).text
        assert "这笔停催中：经济困难" in plan

    @pytest.mark.parametrize(
        ("form", "status", "words"),
        [
            ({"reason": "mood"}, 422, "请从列表中选择"),
            ({"scope": "everything"}, 422, "请从列表中选择"),
            ({"until": "2026-03-09"}, 422, "停催截止日不能早于今天"),
            ({"until": "soon"}, 422, "日期格式不正确"),
            ({"loan": "x"}, 422, "请从列表中选择"),
            ({"loan": "404"}, 404, "没有找到这笔分期"),
            ({"loan": "1", "scope": "sms"}, 422, "只针对一笔分期时"),
            ({"key": ""}, 422, "页面已过期"),
        ],
    )
    def test_says_in_the_dialog_what_is_wrong(
        self, workplace: Any, someone: Any, read: Any, form: dict[str, str], status: int, words: str
    ) -> None:
        answer = place(workplace.seat("clerk"), someone, **form)
        assert answer.status_code == status
        assert words in answer.text
        assert "<form hx-post" in answer.text
        assert holds(workplace, read, someone) == ()
        assert workplace.acts(action="servicing.hold") == []

    def test_the_same_form_sent_twice_places_one(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        key = "k" * 22
        assert place(desk, someone, key=key).status_code == 204
        assert place(desk, someone, key=key).status_code == 204
        assert "此前已经处理过了" in desk.get(someone.at()).text
        assert len(holds(workplace, read, someone)) == 1
        assert len(workplace.acts(action="servicing.hold")) == 1
        assert place(desk, someone, key=key, reason="illness").status_code == 409

    def test_is_lifted_with_a_reason(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("clerk")
        place(desk, someone)
        at = someone.at("/holds/1/lift")
        assert desk.fill(at, at, reason=" ").status_code == 422
        assert desk.fill(at, at, reason="客户来电要求恢复").status_code == 204
        (hold,) = holds(workplace, read, someone)
        assert not hold.is_in_force
        assert (hold.lifted_by, hold.lift_reason) == ("clerk", "客户来电要求恢复")
        assert [act.details for act in workplace.acts(action="servicing.hold.lifted")] == [
            {"hold": 1}
        ]
        assert desk.fill(at, at, reason="再来一次").status_code == 204
        assert len(workplace.acts(action="servicing.hold.lifted")) == 1

    def test_collectors_place_but_do_not_lift(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("collector")
        place(desk, someone)
        assert desk.get(someone.at("/holds/1/lift")).status_code == 403
        assert "/holds/1/lift" not in desk.get(someone.at("/tabs/care")).text

    def test_another_customers_hold_is_not_found(
        self, workplace: Any, someone: Any, book: Any
    ) -> None:
        with workplace.runtime.database.write() as session:
            other = book.customer(session)
        desk = workplace.seat("clerk")
        place(desk, someone)
        path = f"/admin/customers/{other}/holds/1/lift"
        assert desk.get(path).status_code == 404
        assert desk.post(path, key="k" * 22, reason="x").status_code == 404

    def test_nobody_is_left_alone_who_is_not_there(self, workplace: Any) -> None:
        desk = workplace.seat("clerk")
        assert desk.get("/admin/customers/404/holds/new").status_code == 404
        sent = desk.post("/admin/customers/404/holds", key="k" * 22, **HOLD)
        assert sent.status_code == 404


class TestComplaints:
    def test_runs_from_open_to_closed(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("clerk")
        form = COMPLAINT | {"loan": str(someone.loan_id)}
        opened = desk.fill(someone.at("/complaints/new"), someone.at("/complaints"), **form)
        assert opened.status_code == 204
        (hold,) = holds(workplace, read, someone)
        assert (hold.loan_id, hold.complaint_id, hold.is_in_force) == (someone.loan_id, 1, True)
        page = desk.get(someone.at("/tabs/care")).text
        assert "多收了一期" in page
        assert "随投诉结案解除" in page
        assert "1 件投诉未结" in desk.get(someone.at()).text
        at = someone.at("/complaints/1/")
        answered = desk.fill(f"{at}answer", f"{at}answer", text="已核对，退回一期")
        assert answered.status_code == 204
        assert "已答复，待结案" in desk.get(someone.at("/tabs/care")).text
        assert desk.fill(f"{at}close", f"{at}close").status_code == 204
        assert not holds(workplace, read, someone)[0].is_in_force
        assert [
            act.action.rpartition(".")[2] for act in workplace.acts(action="servicing.complaint")
        ] == [
            "opened",
            "answered",
            "closed",
        ]

    def test_the_trace_does_not_hold_what_was_said(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        desk.fill(someone.at("/complaints/new"), someone.at("/complaints"), **COMPLAINT)
        (act,) = workplace.acts(action="servicing.complaint")
        assert "多收" not in str(act.details)

    def test_cannot_be_closed_before_it_is_answered(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        desk.fill(someone.at("/complaints/new"), someone.at("/complaints"), **COMPLAINT)
        at = someone.at("/complaints/1/close")
        answer = desk.fill(at, at)
        assert answer.status_code == 409
        assert "投诉当前状态不支持此操作" in answer.text

    def test_its_hold_ends_with_it_and_not_before(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("risk_manager")
        desk.fill(someone.at("/complaints/new"), someone.at("/complaints"), **COMPLAINT)
        answer = desk.get(someone.at("/holds/1/lift"))
        assert answer.status_code == 409
        assert "投诉结案时自动解除" in answer.text

    def test_a_collector_takes_one_but_reads_and_answers_none(
        self, workplace: Any, someone: Any
    ) -> None:
        desk = workplace.seat("collector")
        desk.fill(someone.at("/complaints/new"), someone.at("/complaints"), **COMPLAINT)
        page = desk.get(someone.at("/tabs/care")).text
        assert "金额有异议" in page
        assert "多收了一期" not in page
        assert desk.get(someone.at("/complaints/1/answer")).status_code == 403

    @pytest.mark.parametrize("change", [{"text": ""}, {"text": "x" * 2001}, {"category": "chat"}])
    def test_needs_words_and_a_category(
        self, workplace: Any, someone: Any, change: dict[str, str]
    ) -> None:
        desk = workplace.seat("clerk")
        form = COMPLAINT | change
        sent = desk.fill(someone.at("/complaints/new"), someone.at("/complaints"), **form)
        assert sent.status_code == 422

    def test_another_customers_complaint_is_not_found(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        assert desk.get(someone.at("/complaints/404/answer")).status_code == 404


class TestLines:
    def freeze(self, desk: Any, someone: Any, reason: str = "fraud", **days: str) -> Any:
        at = someone.at(f"/lines/{someone.line_id}/freeze")
        return desk.fill(at, at, reason=reason, **{"first_on": "2026-03-10"} | days)

    def propose(self, desk: Any, someone: Any, freeze_id: int = 1, **form: str) -> Any:
        at = someone.at(f"/lines/{someone.line_id}/freezes/{freeze_id}/lift")
        return desk.fill(at, at, **{"reason": "已核实本人", **form})

    def line(self, read: Any, someone: Any) -> Any:
        return read(queries.lines_of, customer_id=someone.id)[0]

    def decide(self, workplace: Any, by: str) -> None:
        now = workplace.runtime.clock.now()
        with workplace.runtime.database.write() as session:
            (waiting,) = approvals(session, now=now, is_waiting=True, limit=9)
            decide(
                session,
                create_site(),
                approval_id=waiting.id,
                decided_by=by,
                approve=True,
                note="",
                now=now,
            )

    def test_one_person_freezes_at_once(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("risk_analyst")
        assert self.freeze(desk, someone).status_code == 204
        line = self.line(read, someone)
        assert (line.state, line.frozen_reason, line.available_fen) == ("frozen", "fraud", 0)
        (act,) = workplace.acts(action="servicing.line.frozen")
        assert act.details == {
            "line": someone.line_id,
            "freeze": 1,
            "reason": "fraud",
            "first_on": "2026-03-10",
            "last_on": None,
        }
        assert "疑似欺诈或套现" in desk.get(someone.at()).text

    def test_freezes_overlap_and_each_is_lifted_by_itself(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        self.freeze(desk, someone)
        assert self.freeze(desk, someone, "legal", last_on="2026-03-20").status_code == 204
        page = desk.get(someone.at()).text
        assert "司法或监管要求" in page
        assert "2026-03-10 至 2026-03-20" in page
        self.propose(desk, someone, 1)
        manager = workplace.seat("risk_manager")
        assert "仍冻结（司法或监管要求）" in manager.get("/admin/approvals/1").text
        assert manager.post("/admin/approvals/1/decide", decision="approve").status_code == 302
        line = self.line(read, someone)
        assert (line.state, line.frozen_reason) == ("frozen", "legal")

    def test_a_freeze_is_seen_before_and_its_days_make_sense(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        form = desk.get(someone.at(f"/lines/{someone.line_id}/freeze")).text
        assert "冻结期间可用额度" in form
        assert "8,000.00" in form
        late = self.freeze(desk, someone, first_on="2026-03-12", last_on="2026-03-11")
        assert (late.status_code, "末日不能早于首日" in late.text) == (422, True)
        assert self.freeze(desk, someone, first_on="2026-03-09").status_code == 422
        assert self.freeze(desk, someone, first_on="2026-03-12").status_code == 204
        assert self.line(read, someone).state == "active"
        assert "未开始" in desk.get(someone.at()).text
        self.freeze(desk, someone, "legal")
        self.propose(desk, someone, 2)
        shown = workplace.seat("risk_manager").get("/admin/approvals/1").text
        assert "仍冻结" not in shown
        assert "8,000.00" in shown

    def test_a_freeze_to_come_is_lifted_and_changes_nothing_today(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        self.freeze(desk, someone, first_on="2026-03-12")
        self.propose(desk, someone)
        manager = workplace.seat("risk_manager")
        assert "可用额度" not in manager.get("/admin/approvals/1").text
        manager.post("/admin/approvals/1/decide", decision="approve")
        assert self.line(read, someone).freezes == ()

    def test_two_people_unfreeze(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("clerk")
        self.freeze(desk, someone)
        sent = self.propose(desk, someone)
        assert sent.status_code == 204, sent.text
        assert self.line(read, someone).state == "frozen"
        page = desk.get(someone.at()).text
        assert "解冻申请待审批" in page
        assert "申请解冻<" not in page
        manager = workplace.seat("risk_manager")
        shown = manager.get("/admin/approvals/1").text
        assert "疑似欺诈或套现" in shown
        assert "8,000.00" in shown
        approved = manager.post("/admin/approvals/1/decide", decision="approve")
        assert approved.status_code == 302
        assert self.line(read, someone).state == "active"
        trace = workplace.acts(subject=f"customer:{someone.id}")
        assert [(act.actor, act.action) for act in trace] == [
            ("clerk", "servicing.line.frozen"),
            ("clerk", "servicing.line.unfreeze_proposed"),
            ("machine:approval", "servicing.line.unfrozen"),
        ]
        assert workplace.acts(action="desk.approval.executed")[0].actor == "risk_manager"

    def test_the_proposer_is_not_the_second_person(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("risk_manager")
        self.freeze(desk, someone)
        self.propose(desk, someone)
        refused = desk.post("/admin/approvals/1/decide", decision="approve")
        assert refused.status_code == 403
        assert self.line(read, someone).state == "frozen"

    def test_a_clerk_decides_nothing(self, workplace: Any, someone: Any) -> None:
        self.freeze(workplace.seat("clerk"), someone)
        self.propose(workplace.seat("risk_analyst"), someone)
        other = workplace.seat("second", "clerk")
        assert other.post("/admin/approvals/1/decide", decision="approve").status_code == 403

    def test_is_taken_back_by_freezing_again(self, workplace: Any, someone: Any, read: Any) -> None:
        desk = workplace.seat("clerk")
        self.freeze(desk, someone)
        self.propose(desk, someone)
        workplace.hire("manager", "risk_manager")
        self.decide(workplace, "manager")
        assert self.line(read, someone).state == "active"
        with workplace.runtime.database.write() as session:
            undo(
                session,
                create_site(),
                approval_id=1,
                undone_by="manager",
                reason="误批",
                now=workplace.runtime.clock.now(),
            )
        assert self.line(read, someone).frozen_reason == "fraud"

    def test_is_taken_back_without_effect_where_the_days_are_over(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        self.freeze(desk, someone, last_on="2026-03-11")
        self.propose(desk, someone)
        workplace.hire("manager", "risk_manager")
        self.decide(workplace, "manager")
        workplace.clock.advance(timedelta(days=2))
        now = workplace.runtime.clock.now()
        with workplace.runtime.database.write() as session:
            undo(session, create_site(), approval_id=1, undone_by="manager", reason="误批", now=now)
        assert self.line(read, someone).state == "active"

    def test_a_line_frozen_anew_for_another_reason_stays_frozen(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        self.freeze(desk, someone)
        self.propose(desk, someone)
        with workplace.runtime.database.write() as session:
            now = workplace.runtime.clock.now()
            operations.lift_line_freeze(session, freeze_id=1, by="wang", now=now)
            operations.freeze_line(session, line_id=someone.line_id, reason="legal", now=now)
        manager = workplace.seat("risk_manager")
        refused = manager.post("/admin/approvals/1/decide", decision="approve")
        assert refused.status_code == 409
        assert "这条冻结已解除或已到期" in refused.text
        assert self.line(read, someone).frozen_reason == "legal"

    def test_is_proposed_once(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        ended = desk.get(someone.at(f"/lines/{someone.line_id}/freezes/1/lift"))
        assert ended.status_code == 409
        self.freeze(desk, someone)
        key = "k" * 22
        assert self.propose(desk, someone, key=key).status_code == 204
        assert self.propose(desk, someone, key=key).status_code == 204
        again = self.propose(desk, someone)
        assert again.status_code == 409
        assert "同一事项已有待审批的申请" in again.text
        assert self.propose(desk, someone, key="").status_code == 422

    def test_another_customers_line_is_not_found(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        for act in ("freeze", "freezes/1/lift"):
            assert desk.get(someone.at(f"/lines/404/{act}")).status_code == 404


class TestApplications:
    def enter(self, desk: Any, someone: Any, **form: str) -> Any:
        at = someone.at("/applications")
        return desk.fill(f"{at}/new", at, **APPLICATION | form)

    def test_is_stored_and_waits_for_its_decision(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        desk = workplace.seat("clerk")
        sent = self.enter(desk, someone)
        assert sent.status_code == 204, sent.text
        (application,) = read(queries.applications_of, customer_id=someone.id)
        assert (application.amount_fen, application.terms) == (480_000, 12)
        assert application.state == "submitted"
        page = desk.get(sent.headers["HX-Redirect"]).text
        assert "机器处理中" in page
        assert "笔记本电脑" in page
        (act,) = workplace.acts(action="servicing.application.entered")
        assert act.details["amount_fen"] == 480_000

    def test_the_same_form_sent_twice_enters_one(
        self, workplace: Any, someone: Any, read: Any
    ) -> None:
        """JiRaska/open-bank-oss#7172: a page that makes a new key at each try defeats the key."""
        desk = workplace.seat("clerk")
        for _ in range(2):
            assert self.enter(desk, someone, key="k" * 22).status_code == 204
        assert len(read(queries.applications_of, customer_id=someone.id)) == 1

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"amount": "999.99"}, "申请金额或期数不在可选范围内"),
            ({"amount": "-4800"}, "申请金额或期数不在可选范围内"),
            ({"amount": "许多"}, "金额格式不正确"),
            ({"terms": "7"}, "请从列表中选择"),
            ({"merchandise": " "}, "请填写必填项"),
        ],
    )
    def test_keeps_what_was_typed_when_it_is_refused(
        self, workplace: Any, someone: Any, change: dict[str, str], words: str
    ) -> None:
        answer = self.enter(workplace.seat("clerk"), someone, **change)
        assert answer.status_code == 422
        assert words in answer.text
        assert "宏达手机卖场" in answer.text

    def test_shows_what_it_would_cost(self, workplace: Any, someone: Any) -> None:
        desk = workplace.seat("clerk")
        shown = desk.post(someone.at("/applications/cost"), amount="4800", terms="12").text
        assert "448.33" in shown
        assert "579.95" in shown
        assert "21.60%" in shown
        assert "2026-04-10" in shown
        refused = desk.post(someone.at("/applications/cost"), amount="1", terms="12").text
        assert "申请金额或期数不在可选范围内" in refused

    def test_shows_how_it_was_decided(self, workplace: Any, someone: Any) -> None:
        now = workplace.runtime.clock.now()
        desk = workplace.seat("clerk")
        self.enter(desk, someone)

        with workplace.runtime.database.write() as session:
            operations.decide_application(
                session, application_id=1, decision=Verdict("review", "slips"), now=now
            )
            operations.review_application(
                session,
                application_id=1,
                approve=False,
                reasons=["收入不符"],
                decided_by="chen",
                now=now,
            )
        page = desk.get(someone.at("/tabs/applications")).text
        assert "已拒绝" in page
        assert "收入不符" in page
        assert "chen" in page
