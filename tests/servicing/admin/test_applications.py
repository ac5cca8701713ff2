"""The review queue: facts side by side, one person up to the limit, two above it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from house_judges import good_subsystems
from sqlalchemy import select
from verdicts import Verdict
from workplace import House, post

from desk.queries import AuditFilter, approvals, audit_entries
from kernel.clock import business_date
from risk.ports import EvidencePlan, Planned
from risk.tables import RiskListEntry
from servicing import operations, queries
from servicing.admin import application_facts, machine_days
from servicing.admin.words import APPROVE_REASONS, DECLINE_REASONS
from servicing.model import SECOND_PERSON_ABOVE_FEN, needs_second_person
from servicing.products import STANDARD

YES, NO = next(iter(APPROVE_REASONS)), next(iter(DECLINE_REASONS))
LARGE = SECOND_PERSON_ABOVE_FEN + 1
DEVICE = "imei-8675309"


def submit(house: House, book: Any, amount_fen: int = 300_000, *, hours: int = 5) -> int:
    """Have an application wait for a person."""
    at = book.now - timedelta(hours=hours)
    with house.runtime.database.write() as session:
        application_id = operations.submit_application(
            session,
            customer_id=book.customer(
                session, name="张三丰", phone=f"1380000{amount_fen % 10000:04}"
            ),
            merchant_name="宏达手机卖场",
            merchandise="手机",
            amount_fen=amount_fen,
            terms=12,
            channel="shop_qr",
            attributes={"device": DEVICE, "wifi": "ab", "odd": None},
            key=f"a{amount_fen}{hours}",
            now=at,
        )
        operations.decide_application(
            session,
            application_id=application_id,
            decision=Verdict("review", "large-for-new"),
            now=at,
        )
    return application_id


def line(house: House, customer_id: int, granted_fen: int, *, is_frozen: bool = False) -> None:
    """Give a customer a line."""
    with house.runtime.database.write() as session:
        line_id = operations.open_line(
            session,
            customer_id=customer_id,
            funder="own",
            granted_fen=granted_fen,
            now=house.clock.now(),
        )
        if is_frozen:
            operations.freeze_line(session, line_id=line_id, reason="grade", now=house.clock.now())


def decide(
    client: FlaskClient, application_id: int, decision: str, reason: str, **form: str
) -> Any:
    path = f"/admin/applications/{application_id}/review"
    return post(client, path, decision=decision, reason=reason, **form)


def state(house: House, application_id: int) -> tuple[str, str | None, tuple[str, ...]]:
    with house.runtime.database.read() as session:
        found = queries.application_of(session, application_id=application_id)
    assert found is not None
    return found.state, found.decided_by, found.reasons


def held(house: House, customer_id: int = 1) -> int:
    with house.runtime.database.read() as session:
        return sum(one.held_fen for one in queries.lines_of(session, customer_id=customer_id))


def trail(house: House, action: str) -> list[tuple[str, str]]:
    with house.runtime.database.read() as session:
        found = audit_entries(session, wanted=AuditFilter(action=action), limit=9)
    return [(entry.actor, entry.subject) for entry in found]


@pytest.fixture
def analyst(workplace: House) -> FlaskClient:
    return workplace.member("lijing", "risk_analyst")


class TestQueue:
    def test_stands_in_order_with_waiting_times(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        submit(workplace, book, hours=5)
        submit(workplace, book, LARGE, hours=50)
        page = analyst.get("/admin/applications").text
        assert page.index("2 天 2 小时") < page.index("5 小时 0 分")
        assert page.count("需复核") == 1
        assert "张**" in page
        assert "张三丰" not in page
        assert "最早一件已等待 2 天 2 小时，1 件超过审核时限" in analyst.get("/admin/").text

    def test_shows_the_machines_share(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        assert "机器直接决定" in analyst.get("/admin/applications").text
        submit(workplace, book)
        assert "0.0%" in analyst.get("/admin/applications").text

    @pytest.mark.parametrize(
        ("role", "view", "review"),
        [
            ("risk_manager", 200, 302),
            ("risk_analyst", 200, 302),
            ("auditor", 200, 403),
            ("clerk", 403, 403),
            ("admin", 403, 403),
        ],
    )
    def test_opens_for_the_roles_that_judge(
        self, workplace: House, book: Any, role: str, view: int, review: int
    ) -> None:
        application_id = submit(workplace, book)
        client = workplace.member("someone", role)
        assert client.get("/admin/applications").status_code == view
        page = client.get(f"/admin/applications/{application_id}")
        assert page.status_code == view
        assert ("您的决定" in page.text) == (review == 302)
        assert decide(client, application_id, "approve", YES).status_code == review


class TestPage:
    def test_puts_facts_side_by_side_behind_masks(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book)
        page = analyst.get(f"/admin/applications/{application_id}").text
        for words in ("张**", "138****", "im****09", "large-for-new", "house/1", "门店扫码"):
            assert words in page
        for words in ("张三丰", DEVICE, "13800000000"):
            assert words not in page
        # Nobody knows yet how this customer pays, and the page says so.
        assert "按时还款率" in page
        assert page.count("无数据") == 2
        assert "尚无额度" in page

    def test_says_who_else_used_the_device_where_that_was_counted(self, workplace: House) -> None:
        with workplace.app.test_request_context():
            told = application_facts._linked({"device_others_30d": 3})
        assert told == (("30 天内同设备的其他申请人", "3 人"),)

    def test_of_an_unknown_application_is_not_found(self, analyst: FlaskClient) -> None:
        assert analyst.get("/admin/applications/9").status_code == 404
        assert decide(analyst, 9, "approve", YES).status_code == 404


class TestReview:
    def test_one_person_approves_up_to_the_limit(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book, SECOND_PERSON_ABOVE_FEN)
        for _ in range(2):
            answer = decide(analyst, application_id, "approve", YES, note="回访正常")
            assert answer.status_code == 302
        assert state(workplace, application_id) == ("approved", "lijing", (YES,))
        assert held(workplace) == SECOND_PERSON_ABOVE_FEN
        assert trail(workplace, "servicing.application") == [("lijing", "application:1")]
        with workplace.runtime.database.read() as session:
            (entry,) = audit_entries(
                session, wanted=AuditFilter(action="servicing.application.approved"), limit=9
            )
        assert entry.details["machine_reasons"] == ["large-for-new"]
        assert entry.details["note"] == "回访正常"

    def test_one_person_declines_any_amount(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book, LARGE)
        assert decide(analyst, application_id, "decline", NO).status_code == 302
        assert state(workplace, application_id) == ("declined", "lijing", (NO,))
        assert trail(workplace, "servicing.application.declined") == [("lijing", "application:1")]

    @pytest.mark.parametrize(("decision", "reason"), [("approve", ""), ("approve", NO), ("x", YES)])
    def test_needs_a_reason_of_the_decision(
        self, workplace: House, book: Any, analyst: FlaskClient, decision: str, reason: str
    ) -> None:
        application_id = submit(workplace, book)
        answer = decide(analyst, application_id, decision, reason)
        assert (answer.status_code, "请填写理由" in answer.text) == (422, True)
        assert state(workplace, application_id)[0] == "in_review"

    def test_says_that_a_colleague_was_quicker(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book)
        decide(analyst, application_id, "decline", NO)
        answer = decide(workplace.member("wang", "risk_manager"), application_id, "approve", YES)
        assert (answer.status_code, "可能已由同事处理" in answer.text) == (409, True)
        assert state(workplace, application_id)[0] == "declined"

    @pytest.mark.parametrize("amount_fen", [300_000, LARGE])
    @pytest.mark.parametrize(
        ("granted_fen", "is_frozen", "words"),
        [(900_000, True, "客户额度已冻结或关闭"), (299_999, False, "客户可用额度低于申请金额")],
    )
    def test_says_why_the_line_bars_it(
        self,
        workplace: House,
        book: Any,
        analyst: FlaskClient,
        amount_fen: int,
        granted_fen: int,
        is_frozen: bool,
        words: str,
    ) -> None:
        application_id = submit(workplace, book, amount_fen)
        line(workplace, 1, granted_fen, is_frozen=is_frozen)
        answer = decide(analyst, application_id, "approve", YES)
        assert (answer.status_code, words in answer.text) == (409, True)
        assert state(workplace, application_id)[:2] == ("in_review", "machine")
        assert held(workplace) == 0
        assert trail(workplace, "desk.approval") == []


class TestSecondPerson:
    @pytest.mark.parametrize(("amount_fen", "needed"), [(800_000, False), (800_001, True)])
    def test_is_needed_above_the_limit(self, amount_fen: int, needed: bool) -> None:
        assert needs_second_person(amount_fen) == needed

    def proposal(self, house: House) -> int:
        with house.runtime.database.read() as session:
            (waiting,) = approvals(session, now=house.clock.now(), is_waiting=True, limit=9)
        return waiting.id

    def test_lets_the_approval_take_effect(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book, LARGE)
        answer = decide(analyst, application_id, "approve", YES)
        proposal = self.proposal(workplace)
        assert answer.headers["Location"].endswith(f"/admin/approvals/{proposal}")
        assert (state(workplace, application_id)[0], held(workplace)) == ("in_review", 0)
        assert "lijing 建议通过" in analyst.get(f"/admin/applications/{application_id}").text
        path = f"/admin/approvals/{proposal}/decide"
        assert post(analyst, path, decision="approve").status_code == 403
        manager = workplace.member("wang", "risk_manager")
        shown = manager.get(f"/admin/approvals/{proposal}").text
        assert "¥8,000.01" in shown
        assert f'href="/admin/applications/{application_id}"' in shown
        assert post(manager, path, decision="approve").status_code == 302
        assert state(workplace, application_id) == ("approved", "lijing", (YES,))
        assert held(workplace) == LARGE
        assert trail(workplace, "servicing.application") == [("lijing", "application:1")]
        assert trail(workplace, "desk.approval.executed") == [("wang", f"approval:{proposal}")]

    def test_is_nobody_who_entered_the_application(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        with workplace.runtime.database.write() as session:
            application_id = book.application(
                session, amount_fen=LARGE, attributes={"entered_by": "wang"}
            )
            operations.decide_application(
                session, application_id=application_id, decision=Verdict("review"), now=book.now
            )
        assert decide(analyst, application_id, "approve", YES).status_code == 302
        manager = workplace.member("wang", "risk_manager")
        path = f"/admin/approvals/{self.proposal(workplace)}/decide"
        refused = post(manager, path, decision="approve")
        assert (refused.status_code, "须由其他同事审核" in refused.text) == (403, True)
        assert state(workplace, application_id)[0] == "in_review"
        other = workplace.member("chen", "risk_manager")
        assert post(other, path, decision="approve").status_code == 302
        assert state(workplace, application_id)[0] == "approved"

    def test_is_asked_once(self, workplace: House, book: Any, analyst: FlaskClient) -> None:
        application_id = submit(workplace, book, LARGE)
        decide(analyst, application_id, "approve", YES)
        answer = decide(analyst, application_id, "approve", YES)
        assert (answer.status_code, "已有待审批的申请" in answer.text) == (409, True)
        assert self.proposal(workplace)

    def test_cannot_approve_what_changed_in_between(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book, LARGE)
        decide(analyst, application_id, "approve", YES)
        proposal = self.proposal(workplace)
        decide(analyst, application_id, "decline", NO)
        manager = workplace.member("wang", "risk_manager")
        answer = post(manager, f"/admin/approvals/{proposal}/decide", decision="approve")
        assert (answer.status_code, "可能已由同事处理" in answer.text) == (409, True)
        assert state(workplace, application_id)[0] == "declined"
        assert self.proposal(workplace) == proposal


class TestTaking:
    def test_is_shown_to_colleagues_and_keeps_them_away(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book)
        colleague = workplace.member("chen", "risk_analyst")
        at = f"/admin/applications/{application_id}"
        assert post(analyst, f"{at}/take").status_code == 302
        assert "您正在处理" in analyst.get(at).text
        assert "lijing 正在处理" in colleague.get(at).text
        assert ">lijing<" in colleague.get("/admin/applications").text
        live = ('value="approve"', 'value="decline"')
        assert all(button in analyst.get(at).text for button in live)
        assert not any(button in colleague.get(at).text for button in live)
        assert post(colleague, f"{at}/take").status_code == 409
        refused = decide(colleague, application_id, "decline", NO)
        assert (refused.status_code, "该申请正由另一位同事处理" in refused.text) == (409, True)
        assert post(analyst, f"{at}/take", give_back="1").status_code == 302
        assert decide(colleague, application_id, "decline", NO).status_code == 302
        assert state(workplace, application_id) == ("declined", "chen", (NO,))

    def test_puts_the_identity_on_the_list_if_asked(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book)
        assert decide(analyst, application_id, "decline", NO, block="1").status_code == 302
        with workplace.runtime.database.read() as session:
            (entry,) = session.scalars(select(RiskListEntry)).all()
        assert (entry.list_name, entry.reason) == ("own-blocked", NO)

    def test_is_not_for_whoever_entered_it(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        with workplace.runtime.database.write() as session:
            application_id = book.application(session, attributes={"entered_by": "lijing"})
            operations.decide_application(
                session, application_id=application_id, decision=Verdict("review"), now=book.now
            )
        at = f"/admin/applications/{application_id}"
        refused = post(analyst, f"{at}/take")
        assert (refused.status_code, "须由其他同事审核" in refused.text) == (403, True)
        assert decide(analyst, application_id, "approve", YES).status_code == 403
        assert state(workplace, application_id)[0] == "in_review"


class TestAssigning:
    def test_is_a_leads_and_moves_the_lock(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book, hours=0)
        colleague = workplace.member("chen", "risk_analyst")
        lead = workplace.member("wang", "risk_manager")
        workplace.member("zhou", "collector")
        at = f"/admin/applications/{application_id}"
        post(analyst, f"{at}/take")
        assert post(colleague, f"{at}/assign", to="chen").status_code == 403
        form = lead.get(f"{at}/assign").text
        assert 'value="chen"' in form
        assert "zhou" not in form  # who reviews nothing is not to choose
        assert "lijing 正在处理；改派后对方不能再决定这笔申请。" in form
        assert post(lead, f"{at}/assign", to="chen").status_code == 204
        page = analyst.get(at).text
        assert "chen 正在处理，您暂不能决定。" in page
        assert 'value="decline"' not in page
        assert decide(analyst, application_id, "decline", NO).status_code == 409
        assert decide(colleague, application_id, "decline", NO).status_code == 302
        assert trail(workplace, "servicing.application.assigned") == [
            ("wang", f"application:{application_id}")
        ]

    def test_of_nobody_gives_back_and_of_a_stranger_is_refused(
        self, workplace: House, book: Any, analyst: FlaskClient
    ) -> None:
        application_id = submit(workplace, book)
        lead = workplace.member("wang", "risk_manager")
        at = f"/admin/applications/{application_id}"
        post(analyst, f"{at}/take")
        refused = post(lead, f"{at}/assign", to="nobody")
        assert (refused.status_code, "能审核进件的同事" in refused.text) == (422, True)
        assert "lijing 正在处理" in lead.get(at).text
        assert post(lead, f"{at}/assign", to="").status_code == 204
        assert "正在处理" not in lead.get(at).text


def test_the_board_draws_the_machines_share_over_days(
    workplace: House, book: Any, analyst: FlaskClient
) -> None:
    submit(workplace, book, 100_001)
    submit(workplace, book, 200_002, hours=30)
    with workplace.runtime.database.read() as session:
        days = queries.machine_days(session, until=business_date(workplace.clock.now()), days=3)
        whole = queries.machine_share(session, until=business_date(workplace.clock.now()), days=3)
    assert [day.share.review for day in days] == [0, 1, 1]
    assert [day.share.p50_ms for day in days] == [None, 0, 0]
    assert (whole.review, whole.p99_ms) == (2, 0)
    with workplace.app.test_request_context():
        picture = machine_days.shares(days)
    by_name = {each["name"]: each["data"] for each in picture["series"]}
    assert by_name["转人工"] == [None, "100.0", "100.0"]
    assert by_name["申诉"] == [None, None, None]
    assert {each["type"] for each in picture["series"]} == {"bar", "scatter"}
    page = analyst.get("/admin/applications").text
    for said in ("machine-shares", "机器决定的构成", "改判", "machine-times", "最慢百分之一"):
        assert said in page, said


def test_a_page_says_who_was_asked_and_who_was_not(
    workplace: House, book: Any, analyst: FlaskClient
) -> None:
    identity, bureau, lists = good_subsystems().each
    plan = EvidencePlan(
        strategy_version="house-credit v3 @abc",
        asked=(Planned(subsystem=identity, step=1), Planned(subsystem=bureau, step=2)),
        left_out=(lists,),
    )
    with workplace.runtime.database.write() as session:
        application_id = book.application(session)
        named = {"application_id": application_id, "now": book.now}
        operations.start_gathering(session, plan=plan, **named)
        operations.settle_inquiry(
            session,
            subsystem="identity",
            attempts=1,
            values={"is_identity_verified": False},
            **named,
        )
        operations.start_step(session, is_declined=True, **named)
    page = analyst.get(f"/admin/applications/{application_id}").text
    for words in ("该产品的策略不使用这个子系统", "此前已确定拒绝，不必再查", "第 1 批"):
        assert words in page
    assert "按策略 house-credit v3 @abc 的安排查询" in page


def test_the_tile_splits_what_the_machine_decided(
    workplace: House, book: Any, analyst: FlaskClient
) -> None:
    submit(workplace, book, hours=0)
    page = analyst.get("/admin/").text
    assert "机器直接决定（近 30 天）" in page
    assert "用时中位 0.0 秒" in page


class TestTerms:
    def asked(self, house: House, book: Any, rate_annual: Decimal | None = None) -> int:
        """Have an approved applicant ask for a person."""
        with house.runtime.database.write() as session:
            application_id: int = book.application(session, amount_fen=300_000)
            operations.decide_application(
                session,
                application_id=application_id,
                decision=Verdict("approve", line_fen=500_000, rate_annual=rate_annual),
                now=book.now,
            )
            operations.appeal_application(session, application_id=application_id, now=book.now)
        return application_id

    def test_are_queued_with_their_deadline_and_improved(self, workplace: House, book: Any) -> None:
        application_id = self.asked(workplace, book)
        desk = workplace.seat("risk_analyst")
        at = f"/admin/applications/{application_id}"
        assert "价格与额度复核" in desk.get("/admin/applications").text
        assert "须在此前答复客户" in desk.get(at).text
        desk.post(f"{at}/terms", amount="2000", note="看错")
        assert "只能维持或提高批准金额" in desk.get(at).text
        assert state(workplace, application_id)[0] == "approved"
        desk.post(f"{at}/terms", amount="4000", note="收入已核实")
        assert "价格与额度复核" not in desk.get("/admin/applications").text
        assert held(workplace) == 400_000
        assert [subject for _, subject in trail(workplace, "servicing.application.terms_reviewed")]

    def test_are_priced_and_can_be_made_cheaper(
        self, workplace: House, book: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ranged = replace(STANDARD, rate_least=Decimal("0.12"))
        for module in ("deciding", "terms"):
            at = f"servicing.operations.applications.{module}.product_version"
            monkeypatch.setattr(at, lambda *_, **__: ranged)
        monkeypatch.setattr("servicing.queries.product_version", lambda *_, **__: ranged)
        application_id = self.asked(workplace, book, rate_annual=Decimal("0.1575"))
        desk, at = workplace.seat("risk_analyst"), f"/admin/applications/{application_id}"
        page = desk.get(at).text
        assert "15.75%（策略定价，产品 21.6%）" in page
        assert 'name="rate" inputmode="decimal"' in page
        desk.post(f"{at}/terms", amount="3000", rate="11.9", note="看错")
        assert "只能维持或降低年利率" in desk.get(at).text
        desk.post(f"{at}/terms", amount="3000", rate="12.5", note="老客户")
        assert "12.5%（策略定价，产品 21.6%）" in desk.get(at).text
        (act,) = workplace.acts(action="servicing.application.terms_reviewed")
        assert (act.details["was_rate_annual"], act.details["rate_annual"]) == ("0.157500", "0.125")

    def test_need_a_reason_and_the_right(self, workplace: House, book: Any) -> None:
        at = f"/admin/applications/{self.asked(workplace, book)}"
        workplace.seat("risk_analyst").post(f"{at}/terms", amount="3000", note=" ")
        with workplace.runtime.database.read() as session:
            assert len(queries.reviews_of_terms(session, limit=9)) == 1
        assert workplace.seat("auditor").post(f"{at}/terms").status_code == 403
