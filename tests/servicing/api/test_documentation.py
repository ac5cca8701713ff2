"""The page on the API is true: its commands run as they stand, and it names every scope."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from partner import ALL
from workplace import served

from servicing.api.scopes import Scope
from servicing.api.site import PREFIX

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


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_works_as_it_stands(shop: Any) -> None:
    token, purchase, booked, repaying, waiving, webhooks = BLOCK.findall(text())
    function = purchase.split("\n\n", maxsplit=1)[0] + "\n"
    with served(shop.client.application) as base:
        known = {"BASE": base, "KEY": shop.key, "NUMBER": str(shop.number)}
        assert '"access_token"' in run(token, **known)
        assert '"cost_table"' in run(purchase, **known)
        known["LOAN"] = shop.lends(1)
        assert '"saved_fen"' in run(function + booked, **known)
        assert '"repayment"' in run(function + repaying, **known)
        looking, doing = waiving.rsplit("\napi", maxsplit=1)
        shown = re.search(r'"preview": "(\w+)"', run(function + looking, **known))
        assert shown is not None
        assert '"waiver"' in run(f"{function}api{doing}", **known, PREVIEW=shown[1])
        local = webhooks.replace("https://shop.example", base)
        assert '"whsec_' in run(function + local, **known)


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
        assert desk_page.get_by_text(PREFIX).count() > 30
