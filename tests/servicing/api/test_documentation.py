"""The page on the API is true: its commands run as they stand, and it names every scope."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from partner import ALL
from playwright.sync_api import expect
from workplace import served

from kernel.clock import FixedClock
from servicing.api.scopes import Scope
from servicing.api.site import PREFIX
from servicing.webhooks.model import SIGNATURE, TIMESTAMP, signature
from servicing.webhooks.news import KINDS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "api.md"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def run(block: str, **variables: str) -> str:
    """Run a block of the page; any refusal fails it."""
    strict = block.replace("curl -s", "curl -s --fail-with-body")
    done = subprocess.run(
        ["bash", "-ec", strict],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}"
    return done.stdout


def in_turn(function: str, block: str, member: str, name: str, known: dict[str, str]) -> str:
    """Run a block whose last command needs a member of what was answered before."""
    looking, doing = block.rsplit("\napi", maxsplit=1)
    shown = re.search(rf'"{member}": "(\w+)"', run(function + looking, **known))
    assert shown is not None
    return run(f"{function}api{doing}", **known, **{name: shown[1]})


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_works_as_it_stands(shop: Any, clock: FixedClock) -> None:
    token, purchase, booking, reading, ageing, repaying, *others = BLOCK.findall(text())
    waiving, returning, limits, exports, webhooks = others
    function = purchase.split("\n\n", maxsplit=1)[0] + "\n"
    with served(shop.client.application) as base:
        known = {"BASE": base, "KEY": shop.key, "NUMBER": str(shop.number)}
        assert '"access_token"' in run(token, **known)
        assert '"cost_table"' in run(purchase, **known)
        (applied,) = shop.read("/applications")["applications"]
        known["APPLICATION"] = applied["application_no"]
        shop.approves(known["APPLICATION"])
        assert '"loan_no"' in in_turn(function, booking, "cost_table_hash", "HASH", known)
        shop.is_granted(1, fen=600_000)
        known["LOAN"] = shop.lends(1)
        assert '"saved_fen"' in run(function + reading, **known)
        assert '"days_past_due": 10' in run(function + ageing, **known)
        assert '"repayment"' in run(function + repaying, **known)
        assert '"waiver"' in in_turn(function, waiving, "preview", "PREVIEW", known)
        assert '"cancellation"' in in_turn(function, returning, "preview", "PREVIEW", known)
        assert '"left_fen"' in run(function + limits, **known)
        clock.advance(timedelta(minutes=2))
        assert '"remaining_total_fen"' in run(function + exports, **known)
        local = webhooks.replace("https://shop.example", base)
        assert '"whsec_' in run(function + local, **known)


def test_a_signature_is_checked_as_the_page_says() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text(), re.DOTALL)
    page: dict[str, Any] = {}
    exec(code, page)  # noqa: S102 -- the page's own example
    at = datetime(2026, 3, 10, 2, tzinfo=UTC)
    old, new = (signature(secret, at=at, body=b"{}") for secret in ("whsec_old", "whsec_new"))
    sent = {TIMESTAMP: str(int(at.timestamp())), SIGNATURE: f"{new},{old}"}

    def check(body: bytes, secret: str, later_s: int) -> Any:
        return page["is_genuine"](sent, body, secret, now=lambda: at.timestamp() + later_s)

    assert check(b"{}", "whsec_new", 1)
    assert check(b"{}", "whsec_old", 299)
    assert not check(b"{}", "whsec_new", 301)
    assert not check(b"[]", "whsec_new", 1)
    assert not check(b"{}", "whsec_other", 1)


def test_every_kind_of_news_is_on_the_page() -> None:
    assert [kind for kind in KINDS if f"`{kind}`" not in text()] == []


def test_every_scope_is_on_the_page() -> None:
    assert [scope for scope in Scope if f"`{scope}`" not in text()] == []
    assert set(ALL) | {Scope.WHOLE_BOOK} == set(Scope)


@pytest.mark.browser
def test_the_page_of_operations_draws_itself_from_our_files_alone(
    open_shop: Callable[..., Any], desk_page: Any
) -> None:
    asked: list[str] = []
    desk_page.on("request", lambda request: asked.append(request.url))
    with served(open_shop().client.application) as base:
        desk_page.goto(f"{base}/api/docs")
        desk_page.get_by_text("/api/v1/loans/{loan_no}/events/preview").wait_for()
        assert {url.removeprefix(base).split("/")[1] for url in asked} <= {"api", "static"}
        expect(desk_page.get_by_text(PREFIX).nth(30)).to_be_attached()
