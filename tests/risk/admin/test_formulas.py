"""Derived values and window counts, written in the browser by somebody who does not program."""

from typing import Any, ClassVar

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from workplace import Seat, log_in_by_browser, served

from risk.admin.arithmetic import FormulaOdd, kept, read, text_of, why_odd
from risk.admin.names import Names
from risk.features.catalogue import read_catalogue

AT = "/admin/risk/strategies/house-credit"
SHARE = "「每月应还债务」 ÷ 「月收入」"


@pytest.fixture
def names() -> Any:
    app = Flask("test")
    from flask_babel import Babel  # noqa: PLC0415 -- only labels need it

    Babel(app, default_locale="zh_CN")
    with app.test_request_context():
        yield Names(read_catalogue(), {"derived": [{"name": "half_fen", "title": "半月收入"}]})


class TestArithmetic:
    @pytest.mark.parametrize(
        ("text", "document"),
        [
            ("income_monthly_fen", "income_monthly_fen"),
            ("「半月收入」", "half_fen"),
            ("1 + 2 + 3", {"add": [1, 2, 3]}),
            ("1 − 2 − 3", {"subtract": [{"subtract": [1, 2]}, 3]}),
            ("1 - (2 + 3)", {"subtract": [1, {"add": [2, 3]}]}),
            ("1 + 2 × 3", {"add": [1, {"multiply": [2, 3]}]}),
            ("（1＋2）＊3／4", {"divide": [{"multiply": [{"add": [1, 2]}, 3]}, 4]}),
            ("500元", 50_000),
            ("30%", 0.3),
            ("−2.5", -2.5),
            ("取最小(half_fen，500元)", {"least": ["half_fen", 50_000]}),
            ("取首个有值(exposure_fen, 0)", {"first_of": ["exposure_fen", 0]}),
            ("向下取整(half_fen，100元)", {"round_down": ["half_fen", 10_000]}),
            ("距今天数(employed_on)", {"days_since": "employed_on"}),
        ],
    )
    def test_is_read_as_it_is_typed(self, names: Names, text: str, document: Any) -> None:
        assert read(text, names) == document

    @pytest.mark.parametrize(
        "document",
        [
            {"add": ["half_fen", {"multiply": ["exposure_fen", 0.3]}, 50_000]},
            {"multiply": [{"add": ["half_fen", 100]}, {"divide": [1, {"divide": [2, 3]}]}]},
            {"subtract": [1, {"subtract": [2, -3]}]},
            {"round_down": [{"least": [{"greatest": ["half_fen", 10_000]}, 500]}, 100]},
            {"first_of": [{"days_since": "employed_on"}, 0]},
            0.1,
        ],
    )
    @pytest.mark.parametrize("unit", ["", "fen"])
    def test_what_is_written_out_reads_as_the_same(
        self, names: Names, document: Any, unit: str
    ) -> None:
        assert read(text_of(document, names, unit=unit), names) == document

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "没有写完"),
            ("1 +", "没有写完"),
            ("(1 + 2", "缺少“)”"),
            ("1 2", "“2”起读不懂"),
            ("× 2", "读不懂"),
            ("「没有」 + 1", "没有叫“没有”的字段"),
            ("取最小 1", "缺少“(”"),
            ("距今天数(1)", "日期字段"),
            ("__import__('os')", "读不懂"),
            ("(" * 30 + "1", "太多层"),
        ],
    )
    def test_what_cannot_be_read_stays_and_says_why(
        self, names: Names, text: str, why: str
    ) -> None:
        with pytest.raises(FormulaOdd):
            read(text, names)
        assert kept(text, names) == text
        assert why in why_odd(text, names)


class TestFormulas:
    OLD = (
        ("exposure_after_fen", "", "exposure_fen + requested_fen"),
        ("debt_to_income", "", SHARE),
        ("income_half_fen", "", "「月收入」 × 50%"),
        ("employed_days", "", "距今天数(employed_on)"),
    )

    def send(self, office: Any, seat: Seat, *lines: tuple[str, str, str], base: int = 1) -> Any:
        columns = zip(("name", "title", "value"), zip(*lines, strict=True), strict=True)
        form = {column: list(values) for column, values in columns}
        return office.save(seat, "/formulas", base, **form).get_json()

    def test_are_added_changed_and_removed(self, office: Any, analyst: Seat, draft: Any) -> None:
        assert "距今天数(" in analyst.get(f"{AT}/formulas").text
        old = draft()["derived"]
        made = self.send(office, analyst, *self.OLD, ("debt_share", "负债占比", SHARE))
        assert made["problems"] == []
        value = {"divide": ["debt_service_monthly_fen", "income_monthly_fen"]}
        assert draft()["derived"][-1] == {"name": "debt_share", "title": "负债占比", "value": value}
        (found,) = analyst.get(f"{AT}/fields?q=负债占比").get_json()["fields"]
        assert (found["field"], found["formula"]) == ("debt_share", "「负债占比」")
        made = self.send(office, analyst, *self.OLD, base=made["version"])
        assert made["problems"] == []
        assert sorted(draft()["derived"], key=str) == sorted(old, key=str)

    def test_a_mistake_is_kept_and_marked_at_its_line(self, office: Any, analyst: Seat) -> None:
        made = self.send(office, analyst, *self.OLD, ("debt_share", "", "「月收入」 ÷"))
        (odd,) = made["problems"]
        assert (odd["path"], odd["message"]) == ("$.derived[4].value", "公式没有写完")
        assert odd["url"] == f"{AT}/formulas"
        assert "「月收入」 ÷" in analyst.get(f"{AT}/formulas").text

    def test_taking_out_what_is_used_is_said_where_it_is_used(
        self, office: Any, analyst: Seat
    ) -> None:
        assert "用于 1 处" in analyst.get(f"{AT}/formulas").text
        made = self.send(office, analyst, *self.OLD[:-1])
        assert any("employed_days" in each["message"] for each in made["problems"])

    def test_are_for_those_who_may_edit(self, office: Any) -> None:
        auditor = office.house.seat("auditor")
        assert auditor.get(f"{AT}/formulas").status_code == 200
        for path in ("/formulas", "/counters"):
            assert office.save(auditor, path).status_code == 403


class TestCounters:
    ONE: ClassVar = {
        "name": "device_day",
        "title": "同设备一天内申请",
        "event": "application",
        "by": "device_id",
        "count": "24",
        "unit": "h",
    }

    def test_are_added_and_removed(self, office: Any, analyst: Seat, draft: Any) -> None:
        made = office.save(analyst, "/counters", **self.ONE).get_json()
        assert made["problems"] == []
        (kept_,) = draft()["counters"]
        assert kept_ == {
            "name": "device_day",
            "title": "同设备一天内申请",
            "event": "application",
            "by": "device_id",
            "window": "24h",
        }
        (found,) = analyst.get(f"{AT}/fields?q=同设备一天").get_json()["fields"]
        assert found["field"] == "device_day"
        made = office.save(analyst, "/counters", 2, **self.ONE | {"count": "x"}).get_json()
        assert [each["path"] for each in made["problems"]] == ["$.counters[0].window"]
        office.save(analyst, "/counters", 3)
        assert draft()["counters"] == []


def test_an_analyst_adds_a_share_and_a_count_with_the_picker(
    office: Any, draft: Any, desk_page: Page
) -> None:
    office.house.hire("analyst", "risk_analyst")
    with served(office.house.app) as address:
        log_in_by_browser(desk_page, address, "analyst")
        desk_page.goto(f"{address}{AT}/formulas")
        desk_page.get_by_role("button", name="新增派生字段").click()
        line = desk_page.locator(".risk-derived").last
        line.get_by_label("中文名").fill("负债占比")
        line.get_by_label("名称").fill("debt_share")
        named = {"每月应还债务": "debt_service_monthly_fen", "月收入": "income_monthly_fen"}
        for sign, (label, name) in zip(("÷", ""), named.items(), strict=True):
            line.get_by_role("button", name="插入字段").click()
            desk_page.locator(".risk-picker input").fill(label)
            desk_page.get_by_role("option").filter(has_text=name).click()
            if sign:
                line.get_by_role("button", name=sign, exact=True).click()
        expect(line.get_by_label("公式")).to_have_value(SHARE)
        desk_page.get_by_role("button", name="保存派生字段").click()
        expect(desk_page.get_by_text("已保存为草稿 v2").first).to_be_visible()
        desk_page.get_by_role("button", name="新增计数").click()
        row = desk_page.locator("tr[data-line]").last
        row.get_by_label("中文名").fill("同设备一天内申请")
        row.get_by_label("名称").fill("device_day")
        row.get_by_label("按什么计").select_option("device_id")
        desk_page.get_by_role("button", name="保存计数").click()
        expect(desk_page.get_by_text("已保存为草稿 v3").first).to_be_visible()
        desk_page.reload()
        expect(desk_page.get_by_label("公式").last).to_have_value(SHARE)
        expect(desk_page.locator("tr[data-line]").get_by_label("名称")).to_have_value("device_day")
    body = draft()
    assert body["derived"][-1]["value"] == {
        "divide": ["debt_service_monthly_fen", "income_monthly_fen"]
    }
    assert body["counters"][0]["window"] == "1d"
