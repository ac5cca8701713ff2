"""Drafts as the pages save them: always kept, checked at their places, two editors told apart."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from workplace import Seat

from desk.model import Role
from risk.decisions.strategies import publish_model
from risk.features.catalogue import read_catalogue

AT = "/admin/risk/strategies/house-credit"
RULE = {
    "title": "多次查询",
    "when": json.dumps(
        {
            "join": "all",
            "parts": [{"field": "bureau_queries_30d", "is": "above", "values": ["5"]}],
        }
    ),
    "outcome": "review",
    "code": "many-queries",
    "internal": "近30天征信查询次数过多",
    "customer": "您近期申请较为频繁，建议稍后再试。",
    "missing": "review",
}
NEW = "/stages/hard/rules/new"
CARD = {
    "form": "card",
    "base": 7,
    "missing_at_most": 0,
    "characteristics": [
        {"name": "bureau_score", "edges": [600.0], "points": [1, 2], "specials": [], "missing": 0}
    ],
}

ORDER = ["statutory", "fraud", "hard", "card", "matrix", "price", "line", "final"]

Draft = Callable[[], dict[str, Any]]


def _stage(document: dict[str, Any], stage_id: str) -> dict[str, Any]:
    return next(stage for stage in document["stages"] if stage["id"] == stage_id)


def _typed(page: str) -> str:
    found = re.search(r"<textarea[^>]*data-formula[^>]*>([^<]*)<", page)
    assert found is not None
    return html.unescape(found[1])


class TestRules:
    def test_a_new_rule_is_added_and_leads_to_its_page(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        answer = office.save(analyst, NEW, **RULE).get_json()
        assert (answer["version"], answer["problems"]) == (2, [])
        assert answer["then"] == f"{AT}/stages/hard/rules/hard.1"
        assert _stage(draft(), "hard")["rules"][-1] == {
            "id": "hard.1",
            "title": "多次查询",
            "when": {"field": "bureau_queries_30d", "is": "above", "value": 5},
            "reason": "many-queries",
            "missing": "review",
            "outcome": "review",
        }

    def test_what_missing_means_has_to_be_chosen(self, office: Any, analyst: Seat) -> None:
        answer = office.save(analyst, NEW, **RULE | {"missing": ""}).get_json()
        (problem,) = answer["problems"]
        assert problem["path"] == "$.stages[1].rules[2].missing"
        assert problem["place"] == "硬性规则 · 多次查询"
        assert problem["url"] == f"{AT}/stages/hard/rules/hard.1"

    def test_what_is_wrong_is_kept_as_it_was_typed(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        when = RULE["when"].replace('"5"', '"五次"')
        answer = office.save(analyst, NEW, **RULE | {"when": when}).get_json()
        assert answer["problems"][0]["path"] == "$.stages[1].rules[2].when.value"
        assert _stage(draft(), "hard")["rules"][-1]["when"]["value"] == "五次"
        page = analyst.get(f"{AT}/stages/hard/rules/hard.1").text
        assert r"\u4e94\u6b21" in page

    def test_a_reason_can_be_made_with_its_words(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        given = {"code": "too-eager", "internal": "查询过密", "customer": "请稍后再试。"}
        assert office.save(analyst, NEW, **RULE | given).get_json()["problems"] == []
        assert draft()["reasons"][-1] == given

    def test_links_alone_cannot_decline(self, office: Any, analyst: Seat) -> None:
        when = RULE["when"].replace("bureau_queries_30d", "bad_links")
        answer = office.save(analyst, NEW, **RULE | {"when": when, "outcome": "decline"}).get_json()
        assert [problem["code"] for problem in answer["problems"]] == ["support-declines"]

    @pytest.mark.parametrize(
        ("move", "ids"),
        [
            ("up", ["hard.queries", "hard.overdue"]),
            ("down", ["hard.overdue", "hard.queries"]),
            ("remove", ["hard.overdue"]),
        ],
    )
    def test_are_moved_and_removed(
        self, office: Any, analyst: Seat, draft: Draft, move: str, ids: list[str]
    ) -> None:
        path = "/stages/hard/rules/hard.queries/move"
        assert office.save(analyst, path, move=move).status_code == 200
        assert [rule["id"] for rule in _stage(draft(), "hard")["rules"]] == ids

    def test_of_the_law_are_locked(self, office: Any, analyst: Seat, draft: Draft) -> None:
        before = draft()
        for path, form in (
            ("/stages/statutory/rules/statutory.age", RULE),
            ("/stages/statutory/rules/statutory.age/move", {"move": "remove"}),
            ("/stages/statutory/remove", {}),
            ("/stages/statutory/values", {"value:title": "x"}),
            ("/order", {"product": "instalment", "stage": ["final", "statutory"]}),
        ):
            assert office.save(analyst, path, **form).status_code == 422
        assert draft() == before
        page = analyst.get(f"{AT}/stages/statutory").text
        assert "Civil Code arts. 17-19" in page


class TestStages:
    def test_are_ordered_and_switched_per_product(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        on = [each for each in ORDER if each != "hard"]
        form = {"product": "instalment", "stage": ORDER, "on": on}
        answer = office.save(analyst, "/order", **form).get_json()
        assert answer["problems"] == []
        assert draft()["products"][0]["stages"] == on
        assert 'class="risk-stage is-off"' in analyst.get(AT).text

    def test_that_others_need_are_missed_where_they_are_read(
        self, office: Any, analyst: Seat
    ) -> None:
        on = [each for each in ORDER if each != "card"]
        form = {"product": "instalment", "stage": ORDER, "on": on}
        codes = {p["code"] for p in office.save(analyst, "/order", **form).get_json()["problems"]}
        assert codes == {"output-not-set"}

    def test_numbers_of_cards_and_lines_are_changed_in_place(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        office.save(
            analyst,
            "/stages/card/values",
            **{"value:characteristics[0].bins[0].below": "560", "value:base": "480"},
        )
        path = "value:set[0].value.round_down[0].least[2]"
        answer = office.save(analyst, "/stages/line/values", 2, **{path: "60,000"}).get_json()
        assert answer["problems"] == []
        card, line = _stage(draft(), "card"), _stage(draft(), "line")
        assert (card["base"], card["characteristics"][0]["bins"][0]["below"]) == (480, 560)
        assert line["set"][0]["value"]["round_down"][0]["least"][2] == 6_000_000

    def test_formulas_of_a_stage_are_typed(self, office: Any, analyst: Seat, draft: Draft) -> None:
        page = analyst.get(f"{AT}/stages/line").text
        typed = _typed(page)
        assert typed.startswith("向下取整(取最小(「")
        before = _stage(draft(), "line")["set"]
        save = partial(office.save, analyst, "/stages/line/formulas")
        same = save(output=["line_fen"], formula=[typed], missing="review").get_json()
        assert (same["version"], _stage(draft(), "line")["set"]) == (1, before)
        formulas = ["取最小(「申请金额」, 「月收入」 × 2)", "取最大(0.12, 「负债收入比」)"]
        outputs = ["line_fen", "rate_annual"]
        answer = save(output=outputs, formula=formulas, missing="review").get_json()
        assert answer["problems"] == []
        assert _stage(draft(), "line")["set"] == [
            {
                "output": "line_fen",
                "value": {"least": ["requested_fen", {"multiply": ["income_monthly_fen", 2]}]},
            },
            {"output": "rate_annual", "value": {"greatest": [0.12, "debt_to_income"]}},
        ]
        odd = office.save(
            analyst,
            "/stages/line/formulas",
            2,
            output=["line_fen"],
            formula=["「申请金额」 ×"],
            missing="review",
        ).get_json()
        assert [each["path"] for each in odd["problems"]] == ["$.stages[6].set[0].value"]
        assert "「申请金额」 ×" in analyst.get(f"{AT}/stages/line").text

    def test_stages_that_compute_are_added(self, office: Any, analyst: Seat, draft: Draft) -> None:
        answer = office.save(analyst, "/stages", kind="compute", title="定价公式").get_json()
        assert answer["then"] == f"{AT}/stages/compute.1"
        assert _stage(draft(), "compute.1")["set"] == []
        assert analyst.get(answer["then"]).status_code == 200
        refused = office.save(analyst, "/stages/card/formulas", 2, output=[], formula=[])
        assert refused.status_code == 422

    def test_a_model_is_called_by_form_and_its_score_goes_into_an_output(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        runtime = office.house.runtime
        with runtime.database.write() as session:
            named = {"author": "analyst", "approver": "manager", "now": runtime.clock.now()}
            publish_model(session, name="bureau-card", document=CARD, **named)
        made = office.save(analyst, "/stages", kind="model", title="征信模型").get_json()
        page = analyst.get(made["then"]).text
        assert "bureau-card" in page
        assert "选择一个已发布的模型" in page
        form = {"value:model": "bureau-card", "value:output": "score", "value:missing": "review"}
        saved = office.save(analyst, "/stages/model.1/values", 2, **form).get_json()
        assert [each for each in saved["problems"] if "stages" in each["path"]] == []
        assert _stage(draft(), "model.1") == {
            "id": "model.1", "kind": "model", "title": "征信模型",
            "model": "bureau-card", "output": "score", "missing": "review",
        }  # fmt: skip
        page = analyst.get(made["then"]).text
        for said in ("生效版本", "v1", "评分卡", "征信评分", "小于 600"):
            assert said in page, said

    @pytest.mark.parametrize(
        "path", ["id", "kind", "characteristics", "characteristics[9].missing", "nothing", "base.x"]
    )
    def test_nothing_but_single_values_can_be_changed(
        self, office: Any, analyst: Seat, path: str
    ) -> None:
        answer = office.save(analyst, "/stages/card/values", **{f"value:{path}": "1"})
        assert answer.status_code == 422

    def test_a_table_that_is_saved_unchanged_stays_as_it_was(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        before = draft()
        page = analyst.get(f"{AT}/stages/price").text
        table = json.loads(
            page.split('data-table="')[1].split('"')[0].replace("&#34;", '"').replace("&lt;", "<")
        )
        named = {
            key: [c["name"] for c in table["columns"] if c["part"] == part]
            for key, part in (("columns", "cell"), ("outputs", "output"))
        }
        body = {**named, "rows": table["rows"], "ids": table["ids"]}
        form = {"title": "定价", "policy": "first", "missing": "review"}
        answer = office.save(analyst, "/stages/price/table", table=json.dumps(body), **form)
        assert (answer.get_json()["version"], draft()) == (1, before)

    @pytest.mark.parametrize(
        "table", ["", "[]", '{"columns": ["band"], "outputs": [], "ids": [""], "rows": [["A"]]}']
    )
    def test_what_is_no_table_is_refused(self, office: Any, analyst: Seat, table: str) -> None:
        assert office.save(analyst, "/stages/price/table", table=table).status_code == 422

    def test_are_added_and_removed(self, office: Any, analyst: Seat, draft: Draft) -> None:
        office.save(analyst, "/stages", kind="rules", title="套现核查")
        assert draft()["stages"][-2]["title"] == "套现核查"
        office.save(analyst, "/stages/rules.1/remove", 2)
        office.save(analyst, "/stages/fraud/remove", 3)
        kept = [stage["id"] for stage in draft()["stages"]]
        assert kept[:3] == ["statutory", "hard", "card"]
        assert "fraud" not in kept
        assert "fraud" not in draft()["products"][0]["stages"]


class TestSettings:
    FORM = (("title", "春季策略"), ("effective_from", "2026-03-01"), ("effective_to", ""))

    def test_are_set_with_what_nobody_may_lack(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        fields = {"required": ["age_years", "city"], "required_missing": ["review", "decline"]}
        answer = office.save(analyst, "/head", **dict(self.FORM), **fields).get_json()
        assert answer["problems"] == []
        found = draft()
        assert (found["title"], found["effective_from"]) == ("春季策略", "2026-03-01")
        assert found["required"] == [
            {"field": "age_years", "missing": "review"},
            {"field": "city", "missing": "decline"},
        ]

    def test_take_on_the_catalogue_of_today(
        self, office: Any, analyst: Seat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newer = replace(read_catalogue(), version="2026.12")
        monkeypatch.setitem(office.house.app.extensions, "risk.catalogue", newer)
        assert "策略按特征目录" in json.dumps(
            office.save(analyst, "/order", product="instalment", stage=ORDER, on=ORDER).get_json(),
            ensure_ascii=False,
        )
        fields = {"required": ["age_years"], "required_missing": ["review"]}
        answer = office.save(analyst, "/head", 2, **dict(self.FORM), **fields).get_json()
        assert answer["problems"] == []

    def test_reasons_are_kept_and_asked_for_in_chinese(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        given = draft()["reasons"]
        form = {key: [each[key] for each in given] for key in ("code", "internal", "customer")}
        form["customer"][0] = "Too young"
        (problem,) = office.save(analyst, "/reasons", **form).get_json()["problems"]
        assert (problem["path"], problem["code"]) == ("$.reasons[0].customer", "not-chinese")
        assert problem["url"] == f"{AT}/reasons"


class TestTwoEditors:
    def test_the_second_is_told_and_can_save_on_top(
        self, office: Any, analyst: Seat, draft: Draft
    ) -> None:
        manager = office.house.seat("risk_manager")
        assert (
            office.save(manager, "/stages/card/values", **{"value:base": "510"}).status_code == 200
        )
        refused = office.save(analyst, NEW, **RULE)
        said = refused.get_json()
        assert refused.status_code == 409
        assert "risk_manager" in said["message"]
        assert said["compare"] == f"{AT}/changes?against=1"
        assert office.save(analyst, NEW, said["version"], **RULE).get_json()["version"] == 3
        assert _stage(draft(), "card")["base"] == 510
        assert _stage(draft(), "hard")["rules"][-1]["title"] == "多次查询"

    def test_a_form_without_its_version_is_refused(self, analyst: Seat) -> None:
        assert analyst.post(f"{AT}/order", product="instalment").status_code == 422


class TestRights:
    PAGES = ("", "/reasons", "/try", "/changes", "/history", "/stages/hard", "/fields")

    @pytest.mark.parametrize("role", sorted(Role))
    def test_pages_are_open_to_risk_staff_and_auditors_only(self, office: Any, role: Role) -> None:
        seat = office.house.seat(role)
        risk = {Role.RISK_ANALYST, Role.RISK_MANAGER}
        for page in self.PAGES:
            allowed = risk if page == "/try" else risk | {Role.AUDITOR}
            expected = 200 if role in allowed else 403
            assert seat.get(f"{AT}{page}").status_code == expected, page
        expected = 200 if role in risk | {Role.AUDITOR} else 403
        assert seat.get("/admin/risk/decisions").status_code == expected

    def test_an_auditor_reads_and_changes_nothing(self, office: Any, draft: Draft) -> None:
        auditor, before = office.house.seat("auditor"), draft()
        for path in (
            "/order",
            "/head",
            "/reasons",
            NEW,
            "/stages/price/table",
            "/drop",
            "/propose",
        ):
            assert office.save(auditor, path).status_code == 403, path
        assert draft() == before
        assert "data-save>" not in auditor.get(AT).text

    def test_an_analyst_does_not_roll_back(self, office: Any, analyst: Seat) -> None:
        assert office.save(analyst, "/rollback", reason="x").status_code == 403
