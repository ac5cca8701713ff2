"""`fenqi smoke`: a borrower's journey over real HTTP, in a throw-away folder on free ports.

It walks in safe mode through the same `fenqi up` that a newcomer starts, with the development clock
at ten in the morning, so that it works at any hour.
"""

import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import click

from cli.journey import HTTP_TIMEOUT_S, Journey, Phone, StepFailed, expect, running_service
from cli.up import DEMO_PASSWORD
from kernel.clock import SystemClock, shanghai
from kernel.money import fen_from_yuan


def walk() -> int:
    """Walk the journey; the last line says how it went. Returns the exit code."""
    ten = shanghai(SystemClock().now()).replace(hour=10, minute=0) + timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="fenqi-smoke-") as folder:
        log = Path(folder) / "up.log"
        done = 0
        try:
            with running_service(Path(folder), at=ten, log=log) as journey:
                for step in STEPS:
                    step(journey)
                    done += 1
                    click.echo(f"ok {done} {step.__doc__}")
        except (StepFailed, ValueError, KeyError, OSError) as error:
            click.echo(log.read_text(encoding="utf-8")[-4000:], err=True)
            click.echo(f"SMOKE FAILED step {done + 1}: {error}")
            return 1
    click.echo(f"SMOKE OK {done} steps")
    return 0


def _starts(journey: Journey) -> None:
    """web, workers, scheduler and sandbox are ready"""
    journey.wait_until_ready()


def _asks_progress(journey: Journey) -> None:
    """a borrower asks 我还差多少没还 and gets an amount whose parts add up to the fen"""
    reply = journey.say(journey.people[0]["openid"], "我还差多少没还")
    amounts = _amounts(reply)
    expect(len(amounts) > 3, f"too few amounts in: {reply}")  # noqa: PLR2004 -- total and three parts
    total, rest, principal, interest = amounts[:4]
    expect(total >= rest == principal + interest, f"parts do not add up in: {reply}")


def _asks_why(journey: Journey) -> None:
    """the reason names principal, interest and the formula of the amount due"""
    reply = journey.say(journey.people[0]["openid"], "这期金额怎么算的")
    amounts = _amounts(reply)
    expect(len(amounts) > 4, f"too few amounts in: {reply}")  # noqa: PLR2004 -- due and four parts
    due, instalment, principal, interest, balance = amounts[:5]
    expect(due == instalment == principal + interest, f"parts do not add up in: {reply}")
    rate = re.search(r"年利率 ([\d.]+)%", reply)
    expect(rate is not None and balance > 0, f"no formula in: {reply}")
    exact = balance * Decimal(rate[1]) / 1200 if rate else Decimal(0)
    expect(abs(exact - interest) <= 1, f"interest is not balance × rate ÷ 12 in: {reply}")


def _pays(journey: Journey) -> None:
    """the borrower opens the repay page, pays in WeChat, and the receipt arrives in the chat"""
    openid = journey.people[0]["openid"]
    before = _amounts(journey.say(openid, "我的分期"))[0]
    page, order = journey.pay(openid)
    due = _amounts(page)[0]
    receipt = journey.wait_for_message(openid, "已收到您的付款")
    expect(_amounts(receipt)[0] == due, f"another amount in: {receipt}")
    after = _amounts(journey.say(openid, "我的分期"))[0]
    expect(after == before - due, f"owed {before}, paid {due}, now owes {after}")
    result = Phone(openid=openid).get(f"{journey.base}/h5/result/{order}")
    expect("付款成功" in result, "no result")


def _others_cannot_pay_it(journey: Journey) -> None:
    """another borrower does not find that loan, and outside WeChat nobody finds anything"""
    link = re.search(
        r'href="([^"]+/h5/repay/\d+)"', journey.say(journey.people[1]["openid"], "还款")
    )
    stranger = Phone(openid=journey.people[2]["openid"])
    for opener in (stranger.open, urllib.request.build_opener().open):
        try:
            opener(link[1] if link else "", timeout=HTTP_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            expect(error.code in (403, 404), f"answered {error.code}")
        else:
            raise StepFailed("the page opened")


def _notify_again_changes_nothing(journey: Journey) -> None:
    """the payment's notification, delivered five times more, changes nothing"""
    openid = journey.people[0]["openid"]
    owed = _amounts(journey.say(openid, "我的分期"))[0]
    paid = [order for order in journey.call("state")["orders"] if order["state"] == "SUCCESS"]
    journey.call("notify", {"out_trade_no": paid[0]["out_trade_no"], "times": 5})
    expect(_amounts(journey.say(openid, "我的分期"))[0] == owed, "the balance changed")


def _staff_enter(journey: Journey) -> None:
    """staff log in to the workplace, and nobody else gets in"""
    staff = Phone(openid="")
    page = staff.get(f"{journey.base}/admin/")
    expect('type="password"' in page, "the workplace stood open")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    form = {"login": "admin", "password": DEMO_PASSWORD, "csrf_token": token[1] if token else ""}
    url = f"{journey.base}/admin/login"
    request = urllib.request.Request(  # noqa: S310 -- loopback
        url, data=urlencode(form).encode(), headers={"Referer": url}
    )
    staff.open(request, timeout=HTTP_TIMEOUT_S).close()
    expect("管理员" in staff.get(f"{journey.base}/admin/"), "the workplace stayed closed")


def _stranger_learns_nothing(journey: Journey) -> None:
    """a stranger's WeChat account learns nothing of anybody"""
    reply = journey.say("oSmokeStranger00000000000001", "我的分期")
    expect("绑定" in reply and "¥" not in reply, f"unexpected: {reply}")


def _forged_push_is_refused(journey: Journey) -> None:
    """a push with a forged signature is refused"""
    url = f"{journey.base}/wechat?signature=0&timestamp=1&nonce=1&msg_signature=0"
    try:
        urllib.request.urlopen(url, data=b"<xml></xml>", timeout=5)  # noqa: S310 -- loopback
    except urllib.error.HTTPError as error:
        expect(error.code == 403, f"answered {error.code}")  # noqa: PLR2004 -- Forbidden
    else:
        raise StepFailed("a forged push was accepted")


def _is_reminded(journey: Journey) -> None:
    """whose instalment is due today reads so in the chat"""
    journey.wait_for_message(journey.person("今天到还款日"), "今天到期", kind="template")


def _is_reminded_again(journey: Journey) -> None:
    """three days later the next reminder is in the chat, and none for the borrower who paid"""
    journey.call("clock", {"days": 3})
    # Their next instalment was due in six days when the book was written.
    journey.wait_for_message(journey.person("两笔分期"), "即将到期", kind="template")
    told = journey.sent(journey.people[0]["openid"], kind="template")
    expect("今天到期" not in str(told), f"reminded although paid: {told}")


def _amounts(text: str) -> list[int]:
    found = re.findall(r"¥([\d,]+\.\d\d)", text)
    return [fen_from_yuan(amount.replace(",", "")) for amount in found]


STEPS: tuple[Callable[[Journey], None], ...] = (
    _starts,
    _asks_progress,
    _asks_why,
    _pays,
    _others_cannot_pay_it,
    _notify_again_changes_nothing,
    _staff_enter,
    _stranger_learns_nothing,
    _forged_push_is_refused,
    _is_reminded,
    _is_reminded_again,
)
