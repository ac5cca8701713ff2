"""A strategy goes out as a file and comes back as a draft; two versions are compared in words."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from workplace import Seat

AT = "/admin/risk/strategies/house-credit"

Draft = Callable[[], dict[str, Any]]


def _import(seat: Seat, text: str, base: int = 1) -> Any:
    form = {"base": str(base), "document": (io.BytesIO(text.encode()), "春季.json")}
    return seat.client.post(f"{AT}/import", data=form | {"csrf_token": seat.token})


def test_a_file_comes_back_as_it_went_out(office: Any, analyst: Seat, draft: Draft) -> None:
    sent = analyst.get(f"{AT}/versions/1.json")
    assert sent.headers["Content-Disposition"].endswith('"house-credit.v1.json"')
    assert _import(analyst, sent.text).get_json()["version"] == 1
    document = json.loads(sent.text)
    document["title"] = "春季策略"
    answer = _import(analyst, json.dumps(document)).get_json()
    assert (answer["version"], answer["problems"]) == (2, [])
    assert (answer["then"], draft()["title"]) == (f"{AT}/changes", "春季策略")
    assert "导入文件 春季.json" in analyst.get(f"{AT}/history").text
    (act,) = office.house.acts(action="risk.strategy.exported")
    assert (act.actor, act.subject) == ("risk_analyst", "risk.strategy:house-credit:1")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "other"}', "{"])
def test_what_is_no_document_of_the_strategy_is_refused(analyst: Seat, text: str) -> None:
    refused = _import(analyst, text)
    assert refused.status_code == 422
    assert "请选择本策略的 JSON 文件" in refused.text


def test_a_file_that_says_a_key_twice_is_refused_with_its_line(analyst: Seat, draft: Draft) -> None:
    before = draft()
    text = json.dumps(before, indent=2).replace(
        '  "use": "credit"', '  "use": "credit",\n  "use": 1'
    )
    refused = _import(analyst, text)
    assert refused.status_code == 422
    line = next(n for n, each in enumerate(text.split("\n"), 1) if each.startswith('  "use": 1'))
    assert f"第 {line} 行的“use”重复" in refused.text
    assert draft() == before


def test_a_file_with_mistakes_is_refused_with_their_places(analyst: Seat, draft: Draft) -> None:
    before = draft()
    document = json.loads(json.dumps(before))
    document["stages"] = {"x": 1}
    refused = _import(analyst, json.dumps(document))
    assert refused.status_code == 422
    assert "$.stages 此处应为一个列表" in refused.get_json()["message"]
    assert draft() == before


def test_the_law_cannot_be_imported_away(analyst: Seat, draft: Draft) -> None:
    document = json.loads(json.dumps(draft()))
    document["stages"][0]["rules"] = document["stages"][0]["rules"][1:]
    codes = {each["code"] for each in _import(analyst, json.dumps(document)).get_json()["problems"]}
    assert "statutory-missing" in codes


class TestComparing:
    def test_any_two_versions_in_words(self, office: Any, analyst: Seat) -> None:
        office.save(analyst, "/stages/card/values", **{"value:base": "480"})
        office.save(analyst, "/stages/card/values", 2, **{"value:base": "450"})
        page = analyst.get(f"{AT}/compare?before=2&after=3").text
        assert "申请评分卡 · 基础分" in page
        assert "<del>480</del>" in page
        assert "1 处不同" in page
        assert "没有差异" in analyst.get(f"{AT}/compare?before=3&after=3").text
        assert analyst.get(f"{AT}/compare?before=9&after=3").status_code == 404

    def test_says_trees_by_what_leads_to_their_leaves(self, office: Any, analyst: Seat) -> None:
        office.save(analyst, "/stages", kind="tree", title="树")
        at, part = "/stages/tree.1/values", {"field": "loans_settled", "is": "above"}
        when = json.dumps({"join": "all", "parts": [part | {"values": ["2"]}]})
        office.save(analyst, at, 2, act="split:root")
        office.save(analyst, at, 3, **{"when:root.when": when, "effect:root.then:set.band": "A"})
        page = analyst.get(f"{AT}/compare?before=1&after=4").text
        assert "树 · 已结清分期笔数 大于 2" in page
        assert "客群等级 A" in page
        assert "并非（已结清分期笔数 大于 2）" in page
