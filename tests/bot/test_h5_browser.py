"""The borrower's pages on a phone of 390 px; H5_SHOTS=folder keeps pictures of them to look at."""

import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from browsing import follow, measured
from pay_fake import FakePay
from playwright.sync_api import Page, expect
from sqlalchemy import select, update
from workplace import served

from bot import login
from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from servicing import queries
from servicing.offering import OfferKind
from servicing.operations import make_offer, post_repayment
from servicing.payments.ports import PayProvider
from servicing.tables import Loan

SHOTS = os.environ.get("H5_SHOTS", "")
LEAST_CONTRAST = 4.5
BRIDGE = """
window.said = [];
window.word = 'ok';
window.WeixinJSBridge = {
  call() {},
  invoke(name, params, answer) {
    window.said.push(name);
    answer({ err_msg: 'get_brand_wcpay_request:' + window.word });
  },
};
"""
# What a finger must hit, but cannot; and fields without one label of their own.
TOO_SMALL = """() => [...document.querySelectorAll('a, button, summary')]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44)
  .map((e) => e.textContent.trim())"""
UNLABELLED = """() => [...document.querySelectorAll('main input')]
  .filter((e) => e.checkVisibility() && e.labels?.length !== 1)
  .map((e) => e.name)"""
# WeUI's own green buttons are left out: they look as everywhere in WeChat.
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, under) => {
    const [r, g, b, a = 1] = top;
    return [r, g, b].map((one, i) => one * a + under[i] * (1 - a));
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      layers.push(parse(getComputedStyle(e).backgroundColor));
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((one) => {
      const part = one / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll('main *')]
    .filter((e) => !e.closest('.weui-btn_primary, .unseen, input'))
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => e.getClientRects().length)
    .map((e) => {
      const under = ground(e);
      const [a, b] = [light(over(parse(getComputedStyle(e).color), under)), light(under)];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return [e.textContent.trim().slice(0, 20), Math.round(ratio * 100) / 100];
    });
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


@pytest.fixture
def provider(runtime: Runtime, clock: FixedClock) -> FakePay:
    provider = FakePay(clock, is_paid=True)
    runtime.provide(PayProvider, provider)  # type: ignore[arg-type]
    return provider


@pytest.fixture
def base(make_pusher: Callable[..., Any], provider: FakePay) -> Iterator[str]:
    assert provider
    with served(make_pusher().client.application) as address:
        yield address


Open = Callable[..., Page]


@pytest.fixture
def visit(
    base: str, phone_page: Page, runtime: Runtime, people: list[dict[str, str]]
) -> Iterator[Open]:
    """Open a page as the nth demo borrower inside WeChat."""
    phone_page.add_init_script(BRIDGE)
    faults: list[str] = []
    phone_page.on("pageerror", lambda error: faults.append(str(error)))

    def visit(path: str, *, person: int = 0, is_inside: bool = True) -> Page:
        agent = "Mozilla/5.0 (iPhone) MicroMessenger/8.0" if is_inside else "Mozilla/5.0 Safari"
        # Unlike an extra header this goes with redirects, too.
        tools = phone_page.context.new_cdp_session(phone_page)
        tools.send("Network.setUserAgentOverride", {"userAgent": agent})
        value = login._signer(runtime.settings, "session").dumps(people[person]["openid"])
        phone_page.context.add_cookies(
            [{"name": "fenqi_h5", "value": str(value), "domain": "127.0.0.1", "path": "/h5"}]
        )
        phone_page.goto(base + path)
        return phone_page

    yield visit
    assert faults == []


def look(page: Page, name: str) -> None:
    """Check what every page must have, in light and in dark, and keep a picture of each."""
    assert measured(page, "document.documentElement.scrollWidth") <= 390
    expect(page.locator("h1")).to_have_count(1)
    assert measured(page, TOO_SMALL) == []
    assert measured(page, UNLABELLED) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        faint = [one for one in measured(page, CONTRASTS) if one[1] < LEAST_CONTRAST]
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}.png", full_page=True)
        assert faint == []
    page.emulate_media(color_scheme="light")


class TestPages:
    def test_progress_of_one_loan_and_of_several(self, visit: Open, runtime: Runtime) -> None:
        page = visit("/h5/progress")
        page.locator("summary").click()
        expect(page.get_by_text("四舍五入到分")).to_be_visible()
        look(page, "progress")
        with runtime.database.write() as session:
            session.execute(
                update(Loan)
                .where(Loan.customer_id == 2)
                .values(customer_id=1, merchandise="全新未拆封超长商品名称" * 6)
            )
        page.reload()
        expect(page.locator(".card")).to_have_count(2)
        look(page, "progress-several")
        look(visit("/h5/repay/2"), "repay-long-name")

    def test_a_late_loan_says_so_and_offers_help(self, visit: Open) -> None:
        page = visit("/h5/progress", person=2)
        expect(page.locator(".head.is-late")).to_be_visible()
        look(page, "progress-late")
        follow(page.get_by_role("link", name="去还款"))
        expect(page.get_by_text("可以商量")).to_be_visible()
        look(page, "repay-late")

    def test_an_amount_of_one_s_own_is_typed_looked_at_and_paid(self, visit: Open) -> None:
        page = visit("/h5/progress", person=2)
        follow(page.get_by_role("link", name="去还款"))
        follow(page.get_by_role("link", name="还其他金额"))
        look(page, "amount")
        page.get_by_label("金额（元）").fill("12.345")
        follow(page.get_by_role("button", name="看这笔钱怎么还"))
        expect(page.get_by_role("alert")).to_contain_text("最多两位小数")
        look(page, "amount-wrong")
        page.get_by_label("金额（元）").fill("600")
        follow(page.get_by_role("button", name="看这笔钱怎么还"))
        expect(page.locator("#shares")).to_be_visible()
        look(page, "amount-shown")
        page.get_by_label("金额（元）").fill("700")
        expect(page.locator("#pay")).to_be_disabled()
        expect(page.locator("#told")).to_contain_text("请重新查看后再付")
        page.get_by_label("金额（元）").fill("600")
        expect(page.locator("#sum")).to_have_text("¥600.00")
        page.locator("#pay").click()
        expect(page.get_by_text("付款成功")).to_be_visible()

    def test_outside_wechat_there_is_only_the_guard(self, visit: Open) -> None:
        page = visit("/h5/progress", is_inside=False)
        expect(page.get_by_role("heading")).to_have_text("请在微信客户端打开链接")
        look(page, "guard")

    def test_another_persons_loan_is_not_found(self, visit: Open) -> None:
        page = visit("/h5/repay/2")
        expect(page.get_by_role("heading")).to_have_text("没有找到这笔分期")
        look(page, "not-found")

    def test_the_binding_form_is_labelled(self, visit: Open, people: list[dict[str, str]]) -> None:
        people[0]["openid"] = "oNobody000000000000000000001"
        page = visit("/h5/bind")
        page.get_by_label("手机号").fill("123")
        page.get_by_role("button", name="获取验证码").click()
        expect(page.get_by_role("alert")).to_have_text("请输入正确的手机号")
        look(page, "bind")


def offered(runtime: Runtime, kind: OfferKind, details: dict[str, Any], loan_id: int = 1) -> int:
    now = runtime.clock.now()
    on = business_date(now)
    with runtime.database.write() as session:
        return make_offer(
            session,
            kind=kind,
            subject_id=loan_id,
            details=details,
            valid_until=on + timedelta(days=10),
            reason="hardship",
            made_by="lin",
            on=on,
            key=f"offer-of-{kind}-{loan_id}",
            now=now,
        )


class TestOffers:
    def test_an_extension_is_read_agreed_to_and_done(self, visit: Open, runtime: Runtime) -> None:
        offered(runtime, OfferKind.EXTENSION, {"extra_terms": 3})
        page = visit("/h5/progress")
        look(page, "progress-offer")
        follow(page.get_by_role("link", name="查看方案"))
        expect(page.get_by_text("综合融资成本明示表")).to_be_visible()
        look(page, "offer-extension")
        page.get_by_role("button", name="同意并确认").click()
        expect(page.locator("input[name=agree]:user-invalid")).to_be_focused()
        page.get_by_label("我已阅读").check()
        follow(page.get_by_role("button", name="同意并确认"))
        expect(page.get_by_text("已生效")).to_be_visible()
        look(page, "offer-done")
        look(visit("/h5/offers"), "offers")

    def test_a_lower_rate_is_told_in_chat_read_and_agreed_to(
        self, visit: Open, runtime: Runtime, wechat: Any, people: list[dict[str, str]]
    ) -> None:
        offer_id = offered(runtime, OfferKind.RETENTION, {"rate_annual": "0.06"})
        said = wechat.say(people[0]["openid"], "有什么方案")
        assert "年利率降到 6.00%" in said
        address = re.search(r'href="[^"]*(/h5/offers/\d+)"', said)
        assert address is not None
        page = visit(address[1])
        expect(page.get_by_role("heading", name="综合融资成本明示表")).to_be_visible()
        look(page, "offer-retention")
        page.get_by_label("我已阅读").check()
        follow(page.get_by_role("button", name="同意并确认"))
        expect(page.get_by_text("已生效")).to_be_visible()
        look(visit(f"/h5/offers/{offer_id}"), "offer-retention-done")
        assert "没有等您决定的方案" in wechat.say(people[0]["openid"], "有什么方案")

    def test_a_raise_is_told_in_chat_and_declined_for_good(
        self, visit: Open, runtime: Runtime, wechat: Any, people: list[dict[str, str]]
    ) -> None:
        with runtime.database.read() as session:
            (line,) = queries.lines_of(session, customer_id=1)
        raised = {"granted_fen": line.granted_fen + 100_000}
        offer_id = offered(runtime, OfferKind.LINE_RAISE, raised, loan_id=line.id)
        assert "提额邀请" in wechat.say(people[0]["openid"], "有什么方案")
        page = visit(f"/h5/offers/{offer_id}")
        page.get_by_text("不需要这个方案").click()
        look(page, "offer-raise")
        page.get_by_label("原因").fill("额度够用")
        follow(page.get_by_role("button", name="谢绝这个方案"))
        expect(page.get_by_text("您已谢绝")).to_be_visible()
        look(page, "offer-declined")
        look(visit("/h5/offers"), "offers-past")
        assert "没有等您决定的方案" in wechat.say(people[0]["openid"], "有什么方案")
        with runtime.database.read() as session:
            assert queries.lines_of(session, customer_id=1) == (line,)

    def test_another_due_day_is_asked_for_read_and_agreed_to(self, visit: Open) -> None:
        page = visit("/h5/progress")
        follow(page.get_by_role("link", name="调整还款"))
        look(page, "change")
        page.get_by_label("每月几号").select_option("20")
        follow(page.get_by_role("button", name="看看要多付多少"))
        expect(page.get_by_role("heading", name="综合融资成本明示表")).to_be_visible()
        look(page, "offer-due-day")
        page.get_by_label("我已阅读").check()
        follow(page.get_by_role("button", name="同意并确认"))
        expect(page.get_by_text("已生效")).to_be_visible()

    def test_a_further_part_is_asked_for_read_and_drawn(
        self, visit: Open, runtime: Runtime, in_parts: Callable[..., int]
    ) -> None:
        loan_id = in_parts(runtime)
        page = visit("/h5/progress")
        look(page, "progress-parts")
        follow(page.get_by_role("link", name="再取一部分"))
        look(page, "change-part")
        page.get_by_label("金额（元）").fill("600")
        follow(page.get_by_role("button", name="看看要还多少"))
        expect(page.get_by_role("heading", name="综合融资成本明示表")).to_be_visible()
        look(page, "offer-part")
        page.get_by_label("我已阅读").check()
        follow(page.get_by_role("button", name="同意并确认"))
        expect(page.get_by_text("已生效")).to_be_visible()
        look(page, "offer-part-done")
        with runtime.database.read() as session:
            on = business_date(runtime.clock.now())
            drawn = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)
        assert (drawn.principal_fen, drawn.undrawn_fen) == (160_000, 140_000)

    def test_an_extension_is_asked_of_staff(self, visit: Open) -> None:
        page = visit("/h5/change/1")
        page.get_by_label("想增加几期").select_option("3")
        follow(page.get_by_role("button", name="提交申请"))
        expect(page.get_by_role("alert")).to_contain_text("客服核实后")
        look(page, "change-asked")

    def test_a_settlement_is_agreed_to_paid_and_closes(self, visit: Open, runtime: Runtime) -> None:
        offered(runtime, OfferKind.SETTLEMENT, {"sum_fen": 100_000}, loan_id=3)
        page = visit("/h5/progress", person=2)
        follow(page.get_by_role("link", name="查看方案"))
        look(page, "offer-settlement")
        page.get_by_label("我同意").check()
        follow(page.get_by_role("button", name="同意并确认"))
        follow(page.get_by_role("link", name="去结清"))
        expect(page.get_by_text("减免结清")).to_be_visible()
        look(page, "settle-offer")
        expect(page.locator("#sum")).to_have_text("¥1,000.00")
        page.locator("#pay").click()
        expect(page.get_by_text("付款成功")).to_be_visible()
        expect(page.get_by_text("这笔分期已全部还清")).to_be_visible()
        with runtime.database.read() as session:
            on = business_date(runtime.clock.now())
            (offer,) = queries.offers_of(session, customer_id=3, on=on)
        assert (offer.state, offer.left_fen) == ("fulfilled", 0)


class TestPaying:
    def test_what_is_due_is_paid_and_the_next_page_says_so(self, visit: Open) -> None:
        page = visit("/h5/progress", person=1)
        look(page, "progress-today")
        follow(page.get_by_role("link", name="去还款"))
        look(page, "repay-today")
        button = page.locator("#pay")
        asked = button.inner_text().split("¥")[1]
        button.click()
        page.wait_for_url("**/h5/result/**")
        expect(page.get_by_role("heading")).to_have_text("付款成功")
        expect(page.locator(".paid")).to_have_text(f"¥{asked}")
        look(page, "result-paid")
        follow(page.get_by_role("link", name="查看我的分期"))
        expect(page.get_by_text("今天还款")).to_have_count(0)

    def test_who_cannot_pay_all_pays_the_oldest(self, visit: Open, provider: FakePay) -> None:
        page = visit("/h5/repay/7", person=5)
        whole = page.locator("#sum").inner_text()
        page.get_by_label("先还最早的 1 期").check()
        expect(page.locator("#sum")).not_to_have_text(whole)
        part = page.locator("#sum").inner_text()
        look(page, "repay-choice")
        page.locator("#pay").click()
        page.wait_for_url("**/h5/result/**")
        expect(page.locator(".paid")).to_have_text(part)
        (order,) = provider.orders.values()
        assert f"¥{order.amount_fen / 100:,.2f}" == part
        page = visit("/h5/repay/7", person=5)
        expect(page.locator("fieldset")).to_have_count(0)

    def test_who_closes_the_sheet_may_pay_later(self, visit: Open, provider: FakePay) -> None:
        provider.is_paid = False
        page = visit("/h5/repay/1")
        page.evaluate("window.word = 'cancel'")
        page.locator("#pay").click()
        expect(page.get_by_role("status")).to_have_text("您已取消支付，可随时再付")
        expect(page.locator("#pay")).to_be_enabled()
        look(page, "repay-cancelled")

    def test_the_result_page_waits_for_the_platform(self, visit: Open, provider: FakePay) -> None:
        provider.is_paid = False
        page = visit("/h5/repay/1")
        page.locator("#pay").click()
        page.wait_for_url("**/h5/result/**")
        expect(page.get_by_role("heading")).to_have_text("正在确认付款结果")
        look(page, "result-waiting")
        provider.is_paid = True
        expect(page.get_by_role("heading")).to_have_text("付款成功")

    def test_a_silent_platform_is_told_and_can_be_asked_again(
        self, visit: Open, provider: FakePay
    ) -> None:
        provider.is_silent = True
        page = visit("/h5/repay/1")
        page.locator("#pay").click()
        expect(page.get_by_role("status")).to_contain_text("请勿重复付款")
        look(page, "repay-uncertain")
        provider.is_silent = False
        page.locator("#pay").click()
        page.wait_for_url("**/h5/result/**")

    def test_an_expired_sign_in_offers_to_reload(self, visit: Open) -> None:
        page = visit("/h5/repay/1")
        page.context.clear_cookies(name="fenqi_h5")
        page.locator("#pay").click()
        expect(page.get_by_role("status")).to_have_text("登录已失效，请返回公众号重新打开页面")
        expect(page.locator("#pay")).to_have_text("刷新页面")
        look(page, "repay-expired")

    def test_a_loan_that_was_paid_elsewhere_asks_for_nothing(
        self, visit: Open, runtime: Runtime
    ) -> None:
        page = visit("/h5/repay/4", person=3)
        with runtime.database.write() as session:
            loan = session.scalars(select(Loan).where(Loan.id == 4)).one()
            on = runtime.clock.now().date()
            view = queries.loan_of(session, loan_id=4, customer_id=loan.customer_id, on=on)
            post_repayment(
                session,
                loan_id=4,
                amount_fen=view.remaining_fen,
                value_date=on,
                key="elsewhere",
                now=runtime.clock.now(),
            )
        page.locator("#pay").click()
        expect(page.get_by_role("status")).to_have_text("这笔分期目前没有需要偿还的款项")
        page.locator("#pay").click()
        expect(page.get_by_role("heading")).to_have_text("目前没有需要还的款项")
        look(page, "repay-nothing")
        follow(page.get_by_role("link", name="返回我的分期"))
        expect(page.get_by_role("heading", level=1)).to_have_text("已全部还清")
        look(page, "progress-nothing")

    def test_an_order_that_ran_out_leads_back_to_paying(
        self, visit: Open, provider: FakePay, clock: FixedClock
    ) -> None:
        provider.is_paid = False
        page = visit("/h5/repay/1")
        page.locator("#pay").click()
        page.wait_for_url("**/h5/result/**")
        clock.advance(timedelta(hours=3))
        expect(page.get_by_role("heading")).to_have_text("这次付款没有完成")
        look(page, "result-closed")
