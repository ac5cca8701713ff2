"""Pages in a browser, and reading them only once they are there.

A click does not wait for the page it leads to, and what is read at once (`evaluate`, `count`,
`inner_text` …) is read from whatever document there is: the page before, or the empty start of the
next. So tests assert with `expect`, which tries again, `follow` what leads to another page, and
take measures of a page by `measured`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

PATIENCE_MS = 60_000  # of a browser on a machine that is busy with other tests

# A page that loads still, and what htmx put in but has not brought to life: neither hears a click.
_UNREADY = "html:not([data-loaded]), .htmx-settling, .htmx-swapping"
_MARK_LOADED = "addEventListener('load', () => { document.documentElement.dataset.loaded = '' })"

expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def opened(
    browser: Browser, *, width: int, height: int, is_phone: bool = False, base_url: str = ""
) -> Iterator[Page]:
    """Open a page of that size; it acts only on what is ready, and nothing moves by itself."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        is_mobile=is_phone,
        has_touch=is_phone,
        reduced_motion="reduce",
        base_url=base_url or None,
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_MARK_LOADED)
    context.on("page", _wait_until_ready)
    yield context.new_page()
    context.close()


def _wait_until_ready(page: Page) -> None:
    """Act on what is ready: once the handler has returned, the page waits for the rest to end."""
    page.add_locator_handler(page.locator(_UNREADY).first, lambda: None)


def follow(link: Locator) -> None:
    """Click what leads to another page; ends once that page stands and its scripts have run."""
    with leading_on(link.page):
        link.click()


@contextmanager
def leading_on(page: Page) -> Iterator[None]:
    """Do within what leads to another page; ends once that page stands."""
    with page.expect_navigation(wait_until="load"):
        yield
    arrived(page)


def arrived(page: Page) -> None:
    """Wait until the document that stands has loaded whole."""
    expect(page.locator("html[data-loaded]")).to_be_attached()


def measured(page: Page, script: str) -> Any:
    """What a script says of a page that has loaded: for measures, of which `expect` knows none."""
    arrived(page)
    return page.evaluate(script)
