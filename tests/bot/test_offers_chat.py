"""What the assistant says of offers, changes and lapsed approvals."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import tell_change, tell_lapse
from bot.phrases import CHANGES
from contact.operations import NotANotice, notify
from contact.ports import Channel
from contact.tables import Contact
from kernel.clock import FixedClock, business_date
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.archive import KINDS
from servicing.offering import OfferKind

Told = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def offer(runtime: Runtime, openid: str) -> Callable[..., int]:
    """A function that offers something to the first borrower."""
    assert openid

    def offer(kind: OfferKind, details: dict[str, Any], subject_id: int = 1) -> int:
        now = runtime.clock.now()
        with runtime.database.write() as session:
            return operations.make_offer(
                session,
                kind=kind,
                subject_id=subject_id,
                details=details,
                valid_until=business_date(now) + timedelta(days=9),
                reason="good-record",
                made_by="lin",
                on=business_date(now),
                key=f"an-offer-{kind}-0001",
                now=now,
            )

    return offer


def line_of(runtime: Runtime, customer_id: int = 1) -> queries.LineView:
    with runtime.database.read() as session:
        (line,) = queries.lines_of(session, customer_id=customer_id)
    return line


class TestOpenOffers:
    def test_are_told_with_what_they_do_until_they_are_declined(
        self, wechat: Any, openid: str, runtime: Runtime, offer: Callable[..., int]
    ) -> None:
        assert "没有等您决定的方案" in wechat.say(openid, "有什么方案")
        line = line_of(runtime)
        raised = line.granted_fen + 100_000
        lowered = offer(OfferKind.RETENTION, {"rate_annual": "0.06"})
        raising = offer(OfferKind.LINE_RAISE, {"granted_fen": raised}, line.id)
        for said in (wechat.say(openid, "看看方案"), wechat.say(openid, "我还差多少没还")):
            assert "年利率降到 6.00%，共少付 ¥" in said
            assert "额度从 ¥" in said
            assert f"/h5/offers/{lowered}" in said
            assert f"/h5/offers/{raising}" in said
        with runtime.database.write() as session:
            for offer_id in (lowered, raising):
                operations.decline_offer(
                    session,
                    offer_id=offer_id,
                    customer_id=1,
                    channel="wechat_h5",
                    now=runtime.clock.now(),
                )
        assert "没有等您决定的方案" in wechat.say(openid, "有什么方案")
        assert "方案" not in wechat.say(openid, "我还差多少没还")

    def test_answer_whoever_asks_for_more_time(
        self, wechat: Any, openid: str, offer: Callable[..., int]
    ) -> None:
        before = wechat.say(openid, "能不能展期")
        assert "/h5/change/1" in before
        number = offer(OfferKind.EXTENSION, {"extra_terms": 3})
        said = wechat.say(openid, "能不能展期")
        assert "增加 3 期，共多付 ¥" in said
        assert f"/h5/offers/{number}" in said

    def test_are_not_told_to_strangers(self, wechat: Any) -> None:
        assert "绑定" in wechat.say("oNobody000000000000000000001", "有什么方案")


class TestTellChange:
    def changed(self, runtime: Runtime) -> dict[str, Any]:
        now = runtime.clock.now()
        on = business_date(now)
        with runtime.database.write() as session:
            seq = operations.place_freeze(
                session,
                what="interest",
                first_on=on,
                last_on=on + timedelta(days=9),
                reason="disaster",
                loan_id=1,
                on=on,
                key="f",
                actor="wang",
                now=now,
            )
        return {"loan_id": 1, "customer_id": 1, "kind": "interest-pause", "seq": seq}

    def test_says_once_what_it_did_to_what_is_owed(
        self, runtime: Runtime, openid: str, clock: FixedClock, told: Told
    ) -> None:
        assert openid
        event = self.changed(runtime)
        tell_change(runtime, **event)
        clock.advance(timedelta(days=1))
        tell_change(runtime, **event)
        (notice,) = told("plan_changed")
        assert "有变更：利息冻结" in notice["text"]
        assert "（少 ¥" in notice["text"]
        with runtime.database.read() as session:
            (contact,) = session.query(Contact).filter_by(template_code="plan_changed")
        assert contact.purpose == "statutory_notice"

    def test_says_that_a_fee_was_charged(
        self, runtime: Runtime, openid: str, clock: FixedClock, told: Told
    ) -> None:
        assert openid
        on = business_date(clock.now())
        with runtime.database.write() as session:
            seq = operations.charge(
                session,
                amount_fen=1_200,
                due_on=on + timedelta(days=9),
                loan_id=1,
                on=on,
                key="fee",
                actor="wang",
                now=clock.now(),
            )
        tell_change(runtime, loan_id=1, customer_id=1, kind="charge", seq=seq)
        (notice,) = told("plan_changed")
        assert "有变更：新增费用" in notice["text"]
        assert "（多 ¥12.00）" in notice["text"]

    def test_leaves_out_what_is_told_otherwise(
        self, runtime: Runtime, openid: str, told: Told
    ) -> None:
        assert openid
        tell_change(runtime, loan_id=1, customer_id=1, kind="waiver", seq=2)
        assert told("plan_changed") == []

    def test_knows_only_events_of_the_book(self) -> None:
        assert set(CHANGES) <= set(KINDS)
        assert all(len(word) <= 5 for word in CHANGES.values())


class TestTellLapse:
    def approved(self, runtime: Runtime) -> int:
        now = runtime.clock.now()
        with runtime.database.write() as session:
            application_id = operations.submit_application(
                session,
                customer_id=1,
                merchant_name="宏达手机卖场",
                merchandise="手机",
                amount_fen=100_000,
                terms=6,
                channel="shop_qr",
                attributes={},
                key="lapsing",
                now=now,
            )
            application = operations.lock_application(session, application_id=application_id)
            line = operations.lines.lock_line(session, line_id=line_of(runtime).id)
            operations.lines.hold_amount(session, line, amount_fen=100_000, on=business_date(now))
            application.state, application.decided_at = "approved", now
        return application_id

    def test_is_told_once_and_staff_see_why(
        self, runtime: Runtime, openid: str, clock: FixedClock, told: Told, wechat: Any
    ) -> None:
        application_id = self.approved(runtime)
        held = line_of(runtime).held_fen
        clock.advance(timedelta(days=31))
        with runtime.database.write() as session:
            assert operations.expire_holds(session, now=clock.now()) == 1
            assert operations.expire_holds(session, now=clock.now()) == 0
            (news,) = session.query(OutboxRow).filter_by(event="ApplicationLapsed")
            told_with = dict(news.payload)
            (seen,) = [
                one
                for one in queries.applications_of(session, customer_id=1)
                if one.id == application_id
            ]
        assert (seen.state, seen.reasons[-1]) == ("cancelled", queries.HOLD_LAPSED)
        assert line_of(runtime).held_fen == held - 100_000
        for _ in range(2):
            tell_lapse(runtime, **told_with)
        (notice,) = told("hold_lapsed")
        assert "30 天内没有办理，已自动取消" in notice["text"]
        assert "30 天内没有办理" in wechat.say(openid, "申请结果")

    def test_of_one_that_was_drawn_after_all_is_not_told(
        self, runtime: Runtime, openid: str, told: Told
    ) -> None:
        assert openid
        tell_lapse(runtime, application_id=self.approved(runtime), customer_id=1)
        tell_lapse(runtime, application_id=999_999, customer_id=1)
        assert told("hold_lapsed") == []


def test_a_notice_is_no_answer(runtime: Runtime, openid: str) -> None:
    with runtime.database.write() as session, pytest.raises(NotANotice):
        notify(
            session,
            key="x",
            channel=Channel.WECHAT_MESSAGE,
            template="receipt",
            facts={},
            customer_id=1,
            address=openid,
            cipher=runtime.cipher,
            now=runtime.clock.now(),
        )
