"""Reading a page in a browser only once it is there.

A click does not wait for the page it leads to, and what is read at once (`evaluate`, `count`,
`inner_text` …) is read from whatever document there is: the page before, or the empty start of the
next. So tests assert with `expect`, which tries again, `follow` what leads to another page, and
take measures of a page by `measured`.
"""

from typing import Any

from playwright.sync_api import Locator, Page, expect


def follow(link: Locator) -> None:
    """Click what leads to another page; ends once that page stands and its scripts have run."""
    with link.page.expect_navigation(wait_until="load"):
        link.click()
    arrived(link.page)


def arrived(page: Page) -> None:
    """Wait until the document that stands has loaded whole, as the page fixtures mark it."""
    expect(page.locator("html[data-loaded]")).to_be_attached()


def measured(page: Page, script: str) -> Any:
    """What a script says of a page that has loaded: for measures, of which `expect` knows none."""
    arrived(page)
    return page.evaluate(script)
