"""The chat window in a real browser: a borrower asks, opens a page, pays, gets messages."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from browsing import measured, opened
from flask import Response, request
from playwright.sync_api import Browser, Page, expect
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from werkzeug.middleware.http_proxy import ProxyMiddleware

from kernel.settings import Settings

PHONE_PX = 600
OPENID = "oFenqiTestPerson0000000000001"
PHONE = "13800000001"
SHOTS = os.environ.get("SANDBOX_SHOTS", "")

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>我的账单</title>
<body style="font:16px sans-serif;padding:20px"><p>本期应还 <b>¥856.33</b></p>
<button id="go" style="width:100%;height:48px;border:0;border-radius:8px;background:#07c160;
color:#fff;font-size:17px">立即还款</button><p id="told"></p>
<script>
document.getElementById('go').onclick = async () => {
  const params = await (await fetch('/h5/params')).json();
  WeixinJSBridge.invoke('getBrandWCPayRequest', params, (told) => {
    document.getElementById('told').textContent = told.err_msg;
  });
};
</script></body></html>"""


@pytest.fixture
def house(stand: Any) -> Any:
    """Let the tiny service answer in chat, show a page, and pass /sandbox through."""
    settings, app = stand.settings, stand.service.app
    stand.service.reply = _assistant(settings)
    app.add_url_rule("/h5/repay", "repay", lambda: PAGE)
    app.add_url_rule("/h5/params", "params", _payment(settings, f"{stand.base}/sandbox/pay"))
    app.wsgi_app = ProxyMiddleware(app.wsgi_app, {"/sandbox": {"target": stand.base, "host": None}})
    stand.api("people", PEOPLE)
    stand.world.book.put_menu(_menu(settings))
    stand.world.book.put_templates([{"template_id": "TPL_BILL_1", "title": "账单提醒"}])
    return stand


PEOPLE = [
    {"openid": OPENID, "name": "王小明", "phone": PHONE, "note": "手机 12 期 · 3 天后到期"},
    {"openid": "oOther00001", "name": "李芳", "phone": "13900000002", "note": "逾期 12 天"},
    {"openid": "oOther00002", "name": "陈国强", "phone": "13700000003", "note": "已结清"},
]


def _menu(settings: Settings) -> dict[str, Any]:
    more = [
        {"type": "click", "name": "人工客服", "key": "human"},
        {"type": "click", "name": "解除绑定", "key": "unbind"},
    ]
    repay = f"{settings.public_base_url}/h5/repay"
    return {
        "button": [
            {"type": "click", "name": "我的分期", "key": "progress"},
            {"type": "view", "name": "去还款", "url": repay},
            {"name": "服务", "sub_button": more},
        ]
    }


def _assistant(settings: Settings) -> Callable[[bytes], Response]:
    keys = (settings.wechat_token, settings.wechat_aes_key, settings.wechat_app_id)
    crypto = WeChatCrypto(*keys)

    def reply(body: bytes) -> Response:
        query = request.args
        sign = (query["msg_signature"], query["timestamp"], query["nonce"])
        message = parse_message(crypto.decrypt_message(body, *sign))
        text = (
            "您有 1 笔分期，手机 12 期，还剩 9 期。\n本期 ¥856.33，3 月 13 日到期。\n"
            f'<a href="{settings.public_base_url}/h5/repay">去还款</a>'
        )
        xml = create_reply(text, message).render()
        return Response(crypto.encrypt_message(xml, query["nonce"], query["timestamp"]))

    return reply


def _payment(settings: Settings, gateway: str) -> Callable[[], dict[str, str]]:
    pay = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=settings.pay_mch_id,
        private_key=settings.pay_mch_private_key,
        cert_serial_no=settings.pay_mch_serial,
        appid=settings.wechat_app_id,
        apiv3_key=settings.pay_api_v3_key,
        notify_url=f"{settings.public_base_url}/pay/notify",
        public_key=settings.pay_public_key,
        public_key_id=settings.pay_public_key_id,
    )
    pay._core._gate_way = gateway

    def params() -> dict[str, str]:
        order = pay.pay(
            description="手机分期 第 3 期",
            out_trade_no="FQ20260310000001",
            amount={"total": 85_633},
            payer={"openid": OPENID},
        )
        package = f"prepay_id={requests.models.complexjson.loads(order[1])['prepay_id']}"
        lines = [settings.wechat_app_id, "1773108000", "n", package]
        return {
            "appId": lines[0],
            "timeStamp": lines[1],
            "nonceStr": lines[2],
            "package": package,
            "signType": "RSA",
            "paySign": pay.sign(lines),
        }

    return params


@pytest.fixture(params=[(1280, 860), (390, 844)], ids=["desktop", "phone"])
def page(browser: Browser, house: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    faults: list[str] = []
    with opened(browser, width=width, height=height) as made:
        made.on("pageerror", lambda error: faults.append(str(error)))
        made.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        # What was there before a window's first look is history, and rings no bell.
        with made.expect_response(re.compile(r"/timeline\?")):
            made.goto(f"{house.settings.public_base_url}/sandbox/")
        yield made
    assert faults == []


def shoot(page: Page, name: str) -> None:
    """Keep a picture where SANDBOX_SHOTS says, for looking at."""
    if SHOTS:
        page.wait_for_timeout(500)  # until nothing moves any more
        width = (page.viewport_size or {"width": 0})["width"]
        page.screenshot(path=f"{SHOTS}/{name}-{width}.png")


def test_a_borrower_asks_opens_the_page_and_pays(page: Page, house: Any) -> None:
    page.get_by_text("你现在是 王小明").wait_for()
    shoot(page, "1-start")
    page.get_by_label("切换菜单与键盘").click()
    page.get_by_label("消息").fill("我还差多少没还")
    page.get_by_role("button", name="发送").click()
    page.get_by_role("link", name="去还款").click()
    frame = page.frame_locator("#browser-frame")
    frame.get_by_role("button", name="立即还款").click()
    expect(page.locator("#pay-amount")).to_have_text("¥856.33")
    shoot(page, "2-pay")
    page.get_by_role("button", name="确认支付").click()
    expect(frame.locator("#told")).to_have_text("get_brand_wcpay_request:ok")
    page.get_by_label("关闭", exact=True).click()
    page.locator(".ticket").get_by_text("支付成功").wait_for()
    shoot(page, "3-paid")
    house.settle()
    assert len(house.service.notifies) == 1


def test_cancelling_pays_nothing(page: Page, house: Any) -> None:
    page.get_by_role("button", name="去还款").click()
    frame = page.frame_locator("#browser-frame")
    frame.get_by_role("button", name="立即还款").click()
    page.get_by_role("button", name="取消", exact=True).last.click()
    expect(frame.locator("#told")).to_have_text("get_brand_wcpay_request:cancel")
    assert house.api("state")["orders"][0]["state"] == "NOTPAY"


def test_a_page_stays_open_while_a_short_message_is_read(page: Page, house: Any) -> None:
    page.get_by_role("button", name="去还款").click()
    frame = page.frame_locator("#browser-frame")
    frame.get_by_text("本期应还").wait_for()
    page.get_by_role("button", name="短信").click()
    expect(page.locator("#browser")).to_be_hidden()
    page.get_by_role("button", name="微信", exact=True).click()
    expect(frame.get_by_text("本期应还")).to_be_visible()
    house.settle()
    assert house.service.callbacks


def test_messages_arrive_by_themselves(page: Page, house: Any) -> None:
    page.get_by_text("你现在是 王小明").wait_for()
    world = house.world
    fields = {"thing1": "手机分期", "amount2": "¥856.33", "time3": "2026年3月13日"}
    content = {"template_id": "TPL_BILL_1", "fields": fields, "url": "/h5/repay"}
    world.journal.add(
        "template", at=world.now(), openid=OPENID, content=content | {"status": "success"}
    )
    menu = {"head_content": "您想问哪件事？", "list": [{"id": "1", "content": "为什么是这个金额"}]}
    menu_content = {"msgtype": "msgmenu", "msgmenu": menu | {"tail_content": "也可以直接打字"}}
    world.journal.add("custom", at=world.now(), openid=OPENID, content=menu_content)
    world.journal.add("human", at=world.now(), openid=OPENID, content={"event": "waiting"})
    text = "【分期小助手】验证码123456，5分钟内有效。请勿告诉他人。"
    world.journal.add("sms", at=world.now(), phone=PHONE, content={"text": text})
    expect(page.locator("#banner-text")).to_have_text(text)
    page.get_by_text("服务", exact=True).click()
    page.get_by_role("button", name="人工客服").wait_for()
    shoot(page, "4-messages")
    page.get_by_role("button", name="短信").click()
    expect(page.locator("#sms-list .bubble")).to_have_text(text)
    shoot(page, "5-sms")
    page.get_by_role("button", name="微信", exact=True).click()
    page.get_by_role("button", name="为什么是这个金额").click()
    page.locator(".is-mine .bubble").get_by_text("为什么是这个金额").wait_for()
    house.settle()
    assert house.service.callbacks


def test_the_clock_and_the_knobs_are_at_hand(page: Page, house: Any) -> None:
    page.get_by_text("你现在是 王小明").wait_for()
    if measured(page, "window.innerWidth") < PHONE_PX:
        page.get_by_label("打开面板").click()
    page.get_by_role("button", name="+3 天").click()
    expect(page.locator("#clock-date")).to_have_text("2026-03-13 周五")
    page.get_by_text("故障旋钮").click()
    page.get_by_role("button", name="支付通知丢失").click()
    page.get_by_text("notify.payment · lost").wait_for()
    shoot(page, "6-panel")
    assert house.api("knobs")["active"][0]["times"] == 1
    page.get_by_role("button", name="我是新访客").click()
    page.get_by_text("你已关注").wait_for()
    assert house.api("people")["people"][-1]["note"] == "未绑定"
