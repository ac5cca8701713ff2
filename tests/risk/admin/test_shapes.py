"""Structure edited on pages: bins and attributes, bands, branches of trees, cases, products."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from workplace import Seat, log_in_by_browser, served

AT = "/admin/risk/strategies/house-credit"
VALUES = "/stages/card/values"

Draft = Callable[[], dict[str, Any]]


def _stage(document: dict[str, Any], stage_id: str) -> dict[str, Any]:
    return next(stage for stage in document["stages"] if stage["id"] == stage_id)


def _paths(answer: Any) -> list[str]:
    return [problem["path"].partition("]")[2] for problem in answer.get_json()["problems"]]


class TestCards:
    def test_a_bin_is_added_with_what_was_typed_and_asked_for_at_its_place(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        form = {"value:base": "510", "act": "add:characteristics[0].bins"}
        answer = office.save(analyst, VALUES, **form)
        at = ".characteristics[0].bins[2]"
        assert set(_paths(answer)) <= {f"{at}.below", f"{at}.points"}
        assert _paths(answer)
        assert answer.get_json()["then"] == f"{AT}/stages/card"
        form = {
            "value:characteristics[0].bins[2].below": "700",
            "value:characteristics[0].bins[2].points": "50",
        }
        assert _paths(office.save(analyst, VALUES, 2, **form)) == []
        card = _stage(draft(), "card")
        assert card["base"] == 510
        assert card["characteristics"][0]["bins"][1:] == [
            {"below": 650, "points": 20},
            {"below": 700, "points": 50},
            {"points": 80},
        ]

    def test_what_was_typed_wrong_can_be_put_right(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        office.save(analyst, VALUES, **{"value:base": "很多"})
        assert _paths(office.save(analyst, VALUES, 2, **{"value:base": "480"})) == []
        assert _stage(draft(), "card")["base"] == 480

    def test_attributes_come_go_and_move(self, office: Any, analyst: Seat, draft: Draft) -> None:
        acts = (
            {"act": "add:characteristics", "picked": "loans_settled"},
            {"act": "up:characteristics[3]"},
            {"act": "drop:characteristics[0]"},
            {"act": "blank:characteristics[1].missing"},
            {"act": "unset:characteristics[0].missing"},
            {"act": "add:characteristics[1].specials"},
        )
        for base, act in enumerate(acts, start=1):
            assert office.save(analyst, VALUES, base, **act).status_code == 200
        found = _stage(draft(), "card")["characteristics"]
        assert [each["field"] for each in found] == [
            "employed_days",
            "loans_settled",
            "debt_to_income",
        ]
        assert "missing" not in found[0]
        assert found[1]["missing"] == ""
        assert found[1]["specials"] == [{"value": "", "points": ""}]
        assert "已结清分期笔数" in analyst.get(f"{AT}/stages/card").text

    @pytest.mark.parametrize(
        "act",
        [
            "explode:base",
            "add:base",
            "add:rows.bands",
            "drop:base",
            "drop:characteristics",
            "drop:characteristics[9]",
            "up:kind",
            "blank:base.missing",
            "split:root",
            "keep:root",
        ],
    )
    def test_other_acts_are_refused(
        self, office: Any, analyst: Seat, draft: Draft, act: str
    ) -> None:
        before = draft()
        assert office.save(analyst, VALUES, act=act).status_code == 422
        assert draft() == before


class TestMatrices:
    AT = "/stages/matrix/values"

    def test_bands_come_with_their_cells_and_go_with_them(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        office.save(
            analyst, self.AT, **{"act": "add:columns.bands", "band:columns.bands[1]": "≥5000 <9000"}
        )
        form = {
            "band:columns.bands[2]": "≥9,000",
            **{f"effect:cells[{n}][2]:outcome": "review" for n in range(3)},
            **{f"effect:cells[{n}][2]:reason": "not-clear" for n in range(3)},
            "effect:cells[2][2]:set.multiple": "5",
        }
        assert _paths(office.save(analyst, self.AT, 2, **form)) == []
        matrix = _stage(draft(), "matrix")
        assert matrix["columns"]["bands"][1:] == [
            {"from": 500_000, "below": 900_000},
            {"from": 900_000},
        ]
        assert matrix["cells"][2][2] == {
            "outcome": "review",
            "reason": "not-clear",
            "set": {"multiple": 5},
        }
        office.save(analyst, self.AT, 3, act="drop:columns.bands[2]")
        office.save(analyst, self.AT, 4, act="drop:rows.bands[0]")
        matrix = _stage(draft(), "matrix")
        assert [len(line) for line in matrix["cells"]] == [2, 2]
        assert matrix["cells"][0][0] == {"set": {"band": "C", "multiple": 1}}

    def test_a_cell_that_does_nothing_is_asked_for_at_its_place(
        self, office: Any, analyst: Seat
    ) -> None:
        form = {"effect:cells[0][0]:outcome": "", "effect:cells[0][0]:reason": ""}
        assert _paths(office.save(analyst, self.AT, **form)) == [".cells[0][0]"]

    def test_a_page_that_is_saved_unchanged_changes_nothing(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        before = draft()
        for stage_id in ("matrix", "card"):
            form = dict(_inputs(analyst.get(f"{AT}/stages/{stage_id}").text))
            answer = office.save(analyst, f"/stages/{stage_id}/values", **form)
            assert answer.get_json()["version"] == 1, stage_id
        assert draft() == before


def _inputs(page: str) -> list[tuple[str, str]]:
    """Read what the main form of a page would send."""
    from html.parser import HTMLParser  # noqa: PLC0415 -- here alone

    found: list[tuple[str, str]] = []

    class Reader(HTMLParser):
        choice = ""
        inside = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if tag == "form":
                self.inside = "data-main" in given
            name = given.get("name") or ""
            if tag == "select":
                self.choice = name
                if self.inside and name:
                    found.append((name, ""))
            elif tag == "option" and "selected" in given and self.inside and self.choice:
                found.append((self.choice, given.get("value") or ""))
            elif tag == "input" and self.inside and name not in {"", "base", "csrf_token"}:
                found.append((name, given.get("value") or ""))

    Reader().feed(page)
    return found


def _condition(field: str, word: str, *values: str) -> str:
    part = {"field": field, "is": word, "values": list(values)}
    return json.dumps({"join": "all", "parts": [part]})


class TestBranches:
    def test_lead_to_stages_by_cases_in_their_order(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        office.save(analyst, "/stages", kind="branch", title="新老客分流")
        at = "/stages/branch.1/values"
        office.save(analyst, at, 2, act="add:cases")
        when = {"when:cases[0].when": _condition("loans_settled", "at_least", "1")}
        office.save(analyst, at, 3, act="add:cases[0].stages", picked="fraud", **when)
        office.save(analyst, at, 4, act="add:cases[0].stages", picked="hard")
        office.save(analyst, at, 5, act="up:cases[0].stages[1]")
        office.save(
            analyst, at, 6, act="add:otherwise", picked="hard", **{"value:missing": "review"}
        )
        branch = _stage(draft(), "branch.1")
        assert branch["cases"][0] | {"id": ""} == {
            "id": "",
            "when": {"field": "loans_settled", "is": "at_least", "value": 1},
            "stages": ["hard", "fraud"],
        }
        assert (branch["otherwise"], branch["missing"]) == (["hard"], "review")
        page = analyst.get(f"{AT}/stages/branch.1").text
        assert "已结清分期笔数 大于等于 1" in page


class TestProducts:
    def test_are_added_like_another_and_taken_out(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        answer = office.save(analyst, "/products", product="phone", like="instalment").get_json()
        assert answer["problems"] == []
        found = {each["product"]: each["stages"] for each in draft()["products"]}
        assert found["phone"] == found["instalment"]
        on = [each for each in found["phone"] if each != "hard"]
        office.save(analyst, "/order", 2, product="phone", stage=on, on=on)
        found = {each["product"]: each["stages"] for each in draft()["products"]}
        assert ("hard" in found["instalment"], "hard" in found["phone"]) == (True, False)
        office.save(analyst, "/products", 3, drop="phone")
        assert "phone" not in {each["product"] for each in draft()["products"]}
        assert office.save(analyst, "/products", 4, product="x", like="nothing").status_code == 404

    def test_outputs_are_declared_before_stages_set_them(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        given = [*draft()["outputs"], {"name": "tier", "kind": "text"}]
        form = {key: [each[key] for each in given] for key in ("name", "kind")}
        assert office.save(analyst, "/outputs", **form).get_json()["problems"] == []
        assert draft()["outputs"][-1] == {"name": "tier", "kind": "text"}
        form["name"][0] = "得分"
        problems = office.save(analyst, "/outputs", 2, **form).get_json()["problems"]
        assert problems[0]["path"] == "$.outputs[0].name"


def _add_condition(page: Page, place: Any, search: str, field: str, value: str) -> None:
    place.get_by_role("button", name="加条件", exact=True).click()
    page.keyboard.type(search)
    expect(page.locator(".risk-picker-line.is-chosen")).to_contain_text(field)
    page.keyboard.press("Enter")
    place.get_by_label("值", exact=True).fill(value)


def test_a_tree_is_grown_in_the_browser(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}")
        desk_page.get_by_label("类别").select_option("tree")
        desk_page.get_by_label("阶段名称").fill("收入与年龄")
        desk_page.get_by_role("button", name="新增", exact=True).click()
        desk_page.wait_for_url("**/stages/tree.1")
        desk_page.get_by_role("button", name="加条件分叉").click()
        forks = desk_page.locator(".risk-fork")
        expect(forks).to_have_count(1)
        _add_condition(desk_page, forks.first, "月收入", "income_monthly_fen", "3,000")
        sides = desk_page.locator(".risk-side")
        sides.nth(0).get_by_label("结论").select_option("review")
        sides.nth(0).get_by_label("原因码").select_option("not-clear")
        sides.nth(1).get_by_role("button", name="加条件分叉").click()
        expect(forks).to_have_count(2)
        expect(desk_page.locator(".risk-condition summary").first).to_contain_text(
            "月收入 小于 3,000 元"
        )
        _add_condition(desk_page, forks.nth(1), "近30天征信查询次数", "bureau_queries_30d", "5")
        leaves = desk_page.locator(".risk-leaf")
        for n in (1, 2):
            leaves.nth(n).get_by_text("＋ 输出").click()
            leaves.nth(n).get_by_label("客群等级").fill("AB"[n - 1])
        desk_page.get_by_label("缺失时").select_option("review")
        desk_page.get_by_role("button", name="保存草稿").click()
        expect(desk_page.locator(".risk-clean")).to_be_visible()
    tree = _stage(draft(), "tree.1")
    assert tree["root"]["when"] == {"field": "income_monthly_fen", "is": "below", "value": 300_000}
    assert tree["root"]["then"] | {"id": ""} == {
        "id": "",
        "outcome": "review",
        "reason": "not-clear",
    }
    inner = tree["root"]["else"]
    assert [inner[side]["set"] for side in ("then", "else")] == [{"band": "A"}, {"band": "B"}]
    ids = [tree["root"]["then"]["id"], inner["then"]["id"], inner["else"]["id"]]
    assert len(set(ids)) == 3


def test_a_fork_is_taken_out_and_one_side_stays(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    office.save(analyst, "/stages", kind="tree", title="树")
    form = {"effect:root:set.band": "A", "value:missing": "review", "act": "split:root"}
    office.save(analyst, "/stages/tree.1/values", 2, **form)
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}/stages/tree.1")
        desk_page.on("dialog", lambda dialog: dialog.accept())
        desk_page.get_by_role("button", name="去掉此条件，只留这一边").first.click()
        expect(desk_page.locator(".risk-fork")).to_have_count(0)
        expect(desk_page.get_by_label("客群等级")).to_have_value("A")
    assert _stage(draft(), "tree.1")["root"]["set"] == {"band": "A"}


def test_an_attribute_and_a_bin_are_added_in_the_browser(
    office: Any, analyst: Seat, desk_page: Page, draft: Draft
) -> None:
    assert analyst
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "risk_analyst")
        desk_page.goto(f"{address}{AT}/stages/card")
        desk_page.get_by_label("基础分").fill("505")
        desk_page.get_by_role("button", name="加特征").click()
        desk_page.keyboard.type("月收入")
        chosen = desk_page.locator(".risk-picker-line.is-chosen")
        expect(chosen).to_contain_text("income_monthly_fen")
        desk_page.keyboard.press("Enter")
        added = desk_page.locator("tbody", has_text="income_monthly_fen")
        expect(added.locator(".risk-mark").first).to_contain_text("此处应为数值")
        added.get_by_role("button", name="加分箱").click()
        numbers = added.locator("input")
        expect(numbers).to_have_count(5)
        for n, text in enumerate(("3,000", "-20", "8,000", "10", "30")):
            numbers.nth(n).fill(text)
        desk_page.keyboard.press("Control+s")
        expect(desk_page.locator(".risk-clean")).to_be_visible()
    card = _stage(draft(), "card")
    assert card["base"] == 505
    assert card["characteristics"][-1] == {
        "field": "income_monthly_fen",
        "bins": [
            {"below": 300_000, "points": -20},
            {"below": 800_000, "points": 10},
            {"points": 30},
        ],
    }
