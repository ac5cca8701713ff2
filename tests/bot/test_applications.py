"""What a borrower hears of an application: the news, the reasons, and the way to a person."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from verdicts import Verdict

from bot import phrases
from bot.jobs import tell_decision, tell_review
from contact.book import template_in_force
from contact.messages import render
from contact.operations import retire_address
from contact.ports import AddressKind, Channel
from contact.queries import customer_of
from kernel.clock import SHANGHAI
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.operations.applications import deciding
from servicing.products import STANDARD
from servicing.queries import IMPORTED
from servicing.tables import Application

Told = Callable[[str], list[dict[str, Any]]]
LATE = "您有逾期未还的分期，请先还清逾期款项再申请"


class Applicant:
    """A bound borrower of the demo book who applies."""

    def __init__(self, runtime: Runtime, openid: str) -> None:
        self.runtime, self.openid = runtime, openid
        with runtime.database.read() as session:
            found = customer_of(
                session,
                channel_kind=AddressKind.WECHAT,
                address=openid,
                cipher=runtime.cipher,
            )
        assert found is not None
        self.customer_id = found

    def apply(
        self,
        outcome: str,
        *reasons: str,
        line_fen: int | None = None,
        rate_annual: Decimal | None = None,
        **given: Any,
    ) -> int:
        now = self.runtime.clock.now()
        values: dict[str, Any] = {"merchandise": "平板电脑", "key": f"{outcome}/{now}"} | given
        with self.runtime.database.write() as session:
            application_id = operations.submit_application(
                session,
                customer_id=self.customer_id,
                merchant_name="宏达手机卖场",
                amount_fen=100_000,
                terms=6,
                channel="counter",
                attributes={},
                now=now,
                **values,
            )
            operations.decide_application(
                session,
                application_id=application_id,
                decision=Verdict(outcome, *reasons, line_fen=line_fen, rate_annual=rate_annual),
                now=now,
            )
        return application_id

    def review(self, application_id: int, *, approve: bool, reason: str) -> None:
        with self.runtime.database.write() as session:
            operations.review_application(
                session,
                application_id=application_id,
                approve=approve,
                reasons=[reason],
                decided_by="lijing",
                now=self.runtime.clock.now(),
            )

    def state(self, application_id: int) -> str:
        with self.runtime.database.read() as session:
            return session.get_one(Application, application_id).state

    def deadline(self, application_id: int) -> str:
        """Write by when a person answers."""
        with self.runtime.database.read() as session:
            found = queries.review_of(session, application_id=application_id)
        assert found is not None
        assert found.due_at == self.runtime.clock.now() + timedelta(days=1)
        return f"{found.due_at.astimezone(SHANGHAI):%-m月%-d日 %H:%M}前"

    def hear_of_terms(self) -> None:
        """Have what people made of terms told, twice as a queue may."""
        with self.runtime.database.read() as session:
            rows = session.scalars(select(OutboxRow).filter_by(event="TermsReviewed")).all()
        for row in [*rows, *rows]:
            tell_review(self.runtime, **row.payload)

    def hear(self) -> None:
        """Have all that was decided so far told, twice as a queue may."""
        with self.runtime.database.read() as session:
            rows = session.scalars(
                select(OutboxRow).where(OutboxRow.event == "ApplicationDecided")
            ).all()
        for row in [*rows, *rows]:
            tell_decision(self.runtime, **row.payload)


@pytest.fixture
def applicant(runtime: Runtime, openid: str) -> Applicant:
    return Applicant(runtime, openid)


@pytest.fixture
def stranger(runtime: Runtime, people: list[dict[str, str]]) -> Applicant:
    """Another borrower, whose applications are nobody else's business."""
    return Applicant(runtime, people[1]["openid"])


class TestNews:
    def test_of_an_approval_names_amount_terms_and_what_comes(
        self, applicant: Applicant, told: Told
    ) -> None:
        applicant.apply("review")
        applicant.review(applicant.apply("review", key="b"), approve=True, reason="good-record")
        applicant.hear()
        *_, news = told("decision")
        assert news["status"] == "已通过"
        assert "已通过" in news["text"]
        assert "平板电脑，¥1,000.00，分 6 期" in news["text"]
        assert "门店会为您继续办理" in news["text"]

    def test_of_a_decline_says_why_and_how_to_reach_a_person(
        self, applicant: Applicant, told: Told
    ) -> None:
        applicant.apply("decline", "overdue-now", "made-up")
        applicant.hear()
        (news,) = told("decision")
        assert LATE in news["text"]
        assert "本次申请未通过综合评估" in news["text"]
        assert "回复“人工复核”" in news["text"]
        assert "made-up" not in news["text"]

    def test_of_a_review_says_that_a_person_looks(self, applicant: Applicant, told: Told) -> None:
        applicant.apply("review", "large-for-new")
        applicant.hear()
        (news,) = told("decision")
        assert "审核人员" in news["text"]

    def test_of_a_persons_decline_comes_after_the_machines(
        self, applicant: Applicant, told: Told, wechat: Any
    ) -> None:
        application_id = applicant.apply("decline", "overdue-now")
        applicant.hear()
        wechat.say(applicant.openid, "人工复核")
        applicant.hear()
        applicant.review(application_id, approve=False, reason="unverified")
        applicant.hear()
        first, second = told("decision")
        assert LATE in first["text"]
        assert "您提交的部分资料无法核实" in second["text"]
        assert "人工复核" not in second["text"]
        assert "审核人员人工作出的决定" in second["text"]

    def test_that_is_overtaken_is_not_told(self, applicant: Applicant, told: Told) -> None:
        applicant.review(applicant.apply("review"), approve=True, reason="good-record")
        applicant.hear()
        assert [news["status"] for news in told("decision")] == ["已通过"]

    def test_does_not_reach_who_is_not_bound(
        self, applicant: Applicant, told: Told, runtime: Runtime
    ) -> None:
        applicant.apply("decline", "overdue-now")
        with runtime.database.write() as session:
            retire_address(
                session,
                customer_id=applicant.customer_id,
                channel_kind=AddressKind.WECHAT,
                reason="unbound",
                now=runtime.clock.now(),
            )
        applicant.hear()
        assert told("decision") == []

    @pytest.mark.parametrize("channel", [Channel.WECHAT_MESSAGE, Channel.WECHAT_TEMPLATE])
    def test_has_words_on_both_channels(
        self, applicant: Applicant, told: Told, runtime: Runtime, channel: Channel
    ) -> None:
        applicant.apply(
            "decline", "overdue-now", merchandise="一部名字长得放不进二十个字的手机带壳带膜"
        )
        applicant.hear()
        (facts,) = told("decision")
        with runtime.database.read() as session:
            template = template_in_force(session, code="decision", channel=channel)
        body = render(template, facts=facts, debts=()).body
        assert "未通过" in body
        assert "{" not in body


class TestStatus:
    def test_is_answered_with_the_latest_applications_reasons(
        self, applicant: Applicant, runtime: Runtime, wechat: Any
    ) -> None:
        applicant.apply("decline", "overdue-now")
        told = wechat.say(applicant.openid, "我的申请怎么样了")
        assert "未通过" in told
        assert LATE in told
        runtime.clock.advance(timedelta(minutes=1))
        applicant.apply("review", "large-for-new")
        assert "正在由审核人员人工审核" in wechat.say(applicant.openid, "审核结果")

    def test_is_asked_by_a_bare_why_after_the_news_only(
        self, applicant: Applicant, wechat: Any
    ) -> None:
        assert LATE not in wechat.say(applicant.openid, "为什么")
        applicant.apply("decline", "overdue-now")
        applicant.hear()
        for _ in range(2):
            assert LATE in wechat.say(applicant.openid, "为什么")
        assert "年利率" in wechat.say(applicant.openid, "利息怎么算")

    def test_leaves_an_open_question_alone(self, applicant: Applicant, wechat: Any) -> None:
        wechat.say(applicant.openid, "解绑")
        applicant.apply("decline", "overdue-now")
        applicant.hear()
        assert wechat.say(applicant.openid, "取消") == phrases.KEPT

    def test_is_nobody_elses(self, applicant: Applicant, stranger: Applicant, wechat: Any) -> None:
        applicant.apply("decline", "overdue-now", merchandise="只有我知道的东西")
        assert "只有我知道的东西" not in wechat.say(stranger.openid, "为什么被拒")

    def test_of_nothing_is_said_so(
        self, applicant: Applicant, wechat: Any, runtime: Runtime
    ) -> None:
        with runtime.database.write() as session:
            mine = select(Application).where(Application.customer_id == applicant.customer_id)
            other = applicant.customer_id + 1
            for row in session.scalars(mine):
                row.customer_id = other
        assert wechat.say(applicant.openid, "审核结果") == phrases.NO_APPLICATION

    @pytest.mark.parametrize("text", ["审核结果", "人工复核"])
    def test_is_for_who_is_bound(
        self, wechat: Any, people: list[dict[str, str]], text: str
    ) -> None:
        assert people
        assert "绑定后才能查看" in wechat.say("o_nobody", text)


class TestAppeal:
    def test_brings_the_application_before_a_person(
        self, applicant: Applicant, wechat: Any, told: Told
    ) -> None:
        application_id = applicant.apply("decline", "overdue-now")
        said = wechat.say(applicant.openid, "我不服，要人工复核")
        assert "不只看机器的结论" in said
        assert applicant.deadline(application_id) in said
        assert applicant.state(application_id) == "in_review"
        assert applicant.deadline(application_id) in wechat.say(applicant.openid, "审核结果")
        assert "正在由审核人员人工审核" in wechat.say(applicant.openid, "申诉")
        applicant.hear()
        assert told("decision") == []

    def test_is_open_to_what_was_declined_before_this_book(
        self, applicant: Applicant, wechat: Any, runtime: Runtime
    ) -> None:
        application_id = applicant.apply("decline")
        with runtime.database.write() as session:
            session.get_one(Application, application_id).decided_by = IMPORTED
        assert phrases.NO_REASON in wechat.say(applicant.openid, "为什么被拒")
        assert "不只看机器的结论" in wechat.say(applicant.openid, "申诉")

    def test_against_a_person_leads_to_people(self, applicant: Applicant, wechat: Any) -> None:
        application_id = applicant.apply("review")
        applicant.review(application_id, approve=False, reason="beyond-means")
        told = wechat.say(applicant.openid, "申诉")
        assert "还款能力" in told
        assert "回复“人工”联系客服" in told
        assert applicant.state(application_id) == "declined"

    def test_of_nothing_explains(
        self, applicant: Applicant, stranger: Applicant, wechat: Any
    ) -> None:
        declined = applicant.apply("decline", "overdue-now")
        assert wechat.say(stranger.openid, "人工复核") == phrases.NOTHING_TO_APPEAL
        assert applicant.state(declined) == "declined"


class TestTerms:
    @pytest.mark.parametrize("asked", ["利率为什么是这个，我要人工复核", "我要申诉"])
    def test_are_looked_at_by_a_person_and_stand_meanwhile(
        self, applicant: Applicant, wechat: Any, told: Told, asked: str
    ) -> None:
        application_id = applicant.apply("approve", line_fen=500_000)
        first = wechat.say(applicant.openid, asked)
        for words in ("年利率", "照常有效", "不会变差", applicant.deadline(application_id)):
            assert words in first
        assert applicant.state(application_id) == "approved"
        assert applicant.deadline(application_id) in wechat.say(applicant.openid, asked)
        with applicant.runtime.database.write() as session:
            operations.review_terms(
                session,
                application_id=application_id,
                amount_fen=150_000,
                by="lijing",
                now=applicant.runtime.clock.now(),
            )
        applicant.hear_of_terms()
        (news,) = told("decision")
        assert news["status"] == "已复核"
        assert "由 ¥1,000.00 提高到 ¥1,500.00" in news["text"]
        assert "已复核过" in wechat.say(applicant.openid, asked)

    @pytest.mark.parametrize("asked", ["为什么利率这么高", "额度为什么这么低", "怎么只批这么点"])
    def test_are_explained(self, applicant: Applicant, wechat: Any, asked: str) -> None:
        applicant.apply("approve", line_fen=500_000)
        said = wechat.say(applicant.openid, asked)
        for words in ("¥1,000.00", "年利率 ", "公布的价格", "回复“人工复核”"):
            assert words in said

    def test_that_a_strategy_priced_say_so(
        self, applicant: Applicant, wechat: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        product = replace(STANDARD, rate_least=Decimal("0.12"))
        monkeypatch.setattr(deciding, "product_version", lambda *_, **__: product)
        applicant.apply("approve", line_fen=500_000, rate_annual=Decimal("0.1575"))
        said = wechat.say(applicant.openid, "为什么利率这么高")
        assert "年利率 15.75%是按您的申请资料和评估结果定的，不高于您申请时" in said
        assert "公布的 21.6%" in said

    def test_of_nobody_late_are_explained_by_their_loans(
        self, stranger: Applicant, wechat: Any
    ) -> None:
        assert "公布的价格" not in wechat.say(stranger.openid, "为什么利率这么高")


def test_every_reason_that_people_choose_is_said_to_the_customer() -> None:
    from servicing.admin.words import DECLINE_REASONS  # noqa: PLC0415 -- for comparison alone

    general = queries.customer_reasons(["never heard of"])
    assert len(set(queries.customer_reasons(DECLINE_REASONS)) - set(general)) == len(
        DECLINE_REASONS
    )
    assert queries.customer_reasons(["unverified", "overdue-now"], {"overdue-now": LATE})[1] == LATE
