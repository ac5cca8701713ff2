"""The table editor in a browser, over the catalogue of 3,000 dimensions: 300 rows by 30 columns."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from browsing import arrived, measured
from playwright.sync_api import Page, expect
from workplace import Seat, log_in_by_browser, served

from risk.features.synthetic import synthetic_catalogue

AT = "/admin/risk/strategies/house-credit"
ROWS, COLUMNS = 300, 30

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]

# Counts what an act changes in the page: nodes put in or taken out, classes and places.
COUNT = """async (act) => {
  let changed = 0;
  const size = (node) => 1 + (node.querySelectorAll?.("*").length ?? 0);
  const nodes = (list) => [...list].reduce((sum, node) => sum + size(node), 0);
  const watch = new MutationObserver((records) => {
    for (const one of records) changed += nodes(one.addedNodes) + nodes(one.removedNodes) + 1;
  });
  const whole = { subtree: true, childList: true, attributes: true };
  watch.observe(document.querySelector(".risk-grid-view"), whole);
  await act();
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  watch.disconnect();
  return changed;
}"""
# Pastes a text as a spreadsheet would.
PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  document.querySelector(".risk-grid-input").dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
# Types a value into the cell and goes down, many times, a picture each.
TYPE = """async (count) => {
  const input = document.querySelector(".risk-grid-input");
  for (let n = 0; n < count; n += 1) {
    input.value = `<${900 + n}`;
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    input.value = `<${900 + n}`;
    const enter = { key: "Enter", bubbles: true, cancelable: true };
    input.dispatchEvent(new KeyboardEvent("keydown", enter));
    await new Promise(requestAnimationFrame);
  }
}"""


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide by the catalogue of 3,000 dimensions."""
    catalogue = synthetic_catalogue()
    for place in ("wsgi", "cli.risk", "deciding"):
        monkeypatch.setattr(f"{place}.read_catalogue", lambda: catalogue)


def _columns() -> list[str]:
    exact = [each.name for each in synthetic_catalogue().dimensions[33:] if each.store == "exact"]
    return exact[:COLUMNS]


def _block() -> list[list[str]]:
    """Rows that no two of which can hold together, in the texts that analysts write."""
    return [
        [f"≥{n} <{n + 1}", *("" if (n + m) % 3 else f"≥{m}" for m in range(1, COLUMNS)), "转人工"]
        for n in range(ROWS)
    ]


@pytest.fixture
def table(office: Any, analyst: Seat) -> str:
    """A new decision table of 30 columns and one row; gives its address."""
    made = office.save(analyst, "/stages", kind="table", title="分层").get_json()
    blank = {"columns": _columns(), "outputs": [], "ids": [""], "rows": [[""] * (COLUMNS + 2)]}
    form = {"policy": "unique", "missing": "review", "title": "分层"}
    saved = office.save(analyst, "/stages/table.1/table", 2, table=json.dumps(blank), **form)
    assert saved.status_code == 200, saved.text
    return str(made["then"])


def _written(rows: list[list[str]]) -> str:
    return "\n".join("\t".join(row) for row in rows)


def _open(page: Page, address: str, table: str) -> None:
    log_in_by_browser(page, address, "risk_analyst")
    page.goto(address + table)
    page.locator(".risk-grid-cell").first.click()


def _changed_by(page: Page, act: str, given: Any) -> int:
    """How much of the page an act changes: what a key costs, on whatever machine."""
    arrived(page)
    return int(page.evaluate(f"given => ({COUNT})(() => ({act})(given))", given))


def test_300_by_30_changes_no_more_of_the_page_than_is_in_sight(
    office: Any, table: str, desk_page: Page, draft: Callable[[], dict[str, Any]]
) -> None:
    with served(office.house.app) as address:
        _open(desk_page, address, table)
        pasted = _changed_by(desk_page, PASTE, _written(_block()))
        for _ in range(COLUMNS):
            desk_page.keyboard.press("ArrowRight")
        desk_page.keyboard.press("Control+Home")
        typed = _changed_by(desk_page, TYPE, 50) / 50
        in_sight = measured(desk_page, "document.querySelectorAll('.risk-grid-row').length")
        assert in_sight < 80
        assert pasted < 3 * in_sight * COLUMNS
        # A key moves by a row: one comes into sight and one goes.
        assert typed < 3 * COLUMNS
        desk_page.get_by_role("button", name="撤销").click()
        desk_page.get_by_role("button", name="保存草稿").click()
        expect(desk_page.locator("[data-status]")).to_have_text("已保存为草稿 v4")
    rows = draft()["stages"][-2]["rows"]
    assert len(rows) == ROWS
    assert rows[299]["cells"][0] == {"from": 299, "below": 300}
    assert rows[0]["cells"][0] == {"below": 900}


def test_keys_undo_and_blocks_work_as_in_a_spreadsheet(
    office: Any, table: str, desk_page: Page, draft: Callable[[], dict[str, Any]]
) -> None:
    with served(office.house.app) as address:
        _open(desk_page, address, table)
        keys = desk_page.keyboard
        keys.type("12")
        keys.press("Tab")
        keys.type("3~5")
        keys.press("Escape")
        keys.type("<7")
        keys.press("Enter")
        desk_page.get_by_role("button", name="末尾加行").click()
        desk_page.evaluate(PASTE, '"8、9"\t≠3\n10\t\n')
        keys.press("Control+z")
        keys.press("Control+y")
        keys.press("Control+Home")
        keys.press("Delete")
        keys.press("Control+z")
        desk_page.get_by_role("button", name="保存草稿").click()
        expect(desk_page.locator("[data-status]")).to_contain_text("已保存")
    cells = [row["cells"][:2] for row in draft()["stages"][-2]["rows"]]
    assert cells == [
        [12, {"below": 7}],
        [[8, 9], {"is": "differs", "value": 3}],
        [10, None],
    ]


def test_a_row_that_is_wrong_is_marked_at_its_cell(
    office: Any, table: str, desk_page: Page
) -> None:
    rest = [""] * (COLUMNS - 1)
    rows = [["<5", *rest, "转人工", "score-low"], ["3", *rest, "拒绝", "score-low"]]
    with served(office.house.app) as address:
        _open(desk_page, address, table)
        desk_page.evaluate(PASTE, _written(rows))
        desk_page.get_by_role("button", name="保存草稿").click()
        expect(desk_page.locator(".risk-grid-number.is-wrong")).to_have_text("2")
        desk_page.locator(".risk-grid-row").nth(1).locator(".risk-grid-cell").first.click()
        expect(desk_page.locator("[data-grid-says]")).to_contain_text("可能同时命中")
        desk_page.keyboard.type("五")
        desk_page.keyboard.press("Control+s")
        expect(desk_page.locator(".risk-grid-cell.is-wrong")).to_have_text("五")
