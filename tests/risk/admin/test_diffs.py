"""What a draft changes, in the words that the second person reads."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli.risk import HOUSE_STRATEGY
from risk.admin.diffs import changes
from risk.features.catalogue import read_catalogue

Document = dict[str, Any]
Line = tuple[str, str, str]


@pytest.fixture
def compared(workplace: Any) -> Iterator[Callable[[Callable[[Document], None]], list[Line]]]:
    """Change the house strategy, and say what changed."""

    def said(edit: Callable[[Document], None]) -> list[Line]:
        before = json.loads(HOUSE_STRATEGY.read_text("utf-8"))
        after = json.loads(HOUSE_STRATEGY.read_text("utf-8"))
        edit(after)
        found = changes(before, after, read_catalogue())
        return [(change.label, change.before, change.after) for change in found]

    with workplace.app.test_request_context():
        yield said


def _use(document: Document) -> None:
    document["use"] = "fraud"


def _threshold(document: Document) -> None:
    document["stages"][0]["rules"][0]["when"]["value"] = 30


def _rule_gone(document: Document) -> None:
    del document["stages"][1]["rules"][0]


def _points(document: Document) -> None:
    document["stages"][2]["characteristics"][0]["bins"][0]["points"] = -50


def _band(document: Document) -> None:
    document["stages"][3]["columns"]["bands"] = [{"below": 600_000}, {"from": 600_000}]
    document["stages"][3]["cells"][2][1]["set"]["multiple"] = 3


def _row(document: Document) -> None:
    document["stages"][4]["rows"].insert(1, {"cells": ["B", None], "set": {"rate_annual": 0.2}})


def _cap(document: Document) -> None:
    document["stages"][5]["set"][0]["value"]["round_down"][0]["least"][2] = 6_000_000


def _off(document: Document) -> None:
    document["products"][0]["stages"].remove("fraud")


def _required(document: Document) -> None:
    document["required"].pop()


RULE = (
    "名称：模拟器；条件：模拟器 等于 是；结论：转人工；原因码：device-odd；资料缺失时：忽略此规则"
)
FORMULA = "取最小（半月收入 × 额度倍数，申请金额，{}元），向下取整到100元"


@pytest.mark.parametrize(
    ("edit", "lines"),
    [
        (_use, [("用途", "授信", "反欺诈")]),
        (
            _threshold,
            [
                (
                    "硬性规则 · 近期严重逾期 · 条件",
                    "征信近12个月最长逾期天数 大于 60 天",
                    "征信近12个月最长逾期天数 大于 30 天",
                )
            ],
        ),
        (
            _rule_gone,
            [
                (
                    "反欺诈 · 模拟器",
                    RULE,
                    "",
                )
            ],
        ),
        (
            _points,
            [
                (
                    "申请评分卡 · 征信评分",
                    "< 550 分 -60；< 650 分 20；其余 80；-9 分 -20；缺失 -40",
                    "< 550 分 -50；< 650 分 20；其余 80；-9 分 -20；缺失 -40",
                )
            ],
        ),
        (
            _band,
            [
                (
                    "评分与收入矩阵 · 月收入",
                    "< 5,000 元；≥ 5,000 元",
                    "< 6,000 元；≥ 6,000 元",
                ),
                (
                    "评分与收入矩阵 · 第 3 行第 2 列",
                    "客群等级 A，额度倍数 4",
                    "客群等级 A，额度倍数 3",
                ),
            ],
        ),
        (_row, [("定价 · 第 2 行", "", "客群等级 B → 年化利率 0.2")]),
        (_cap, [("额度 · 额度", FORMULA.format(50000), FORMULA.format(60000))]),
        (
            _off,
            [
                (
                    "产品 instalment 的阶段",
                    "硬性规则 → 反欺诈 → 申请评分卡 → 评分与收入矩阵 → 定价 → 额度 → 终审",
                    "硬性规则 → 申请评分卡 → 评分与收入矩阵 → 定价 → 额度 → 终审",
                )
            ],
        ),
        (_required, [("必备资料 · 征信评分", "转人工", "")]),
        (lambda _: None, []),
    ],
)
def test_changes_are_said_in_words(compared: Any, edit: Any, lines: list[Line]) -> None:
    assert compared(edit) == lines


def test_a_table_that_is_written_anew_is_cut_short(compared: Any) -> None:
    def anew(document: Document) -> None:
        rows = [{"cells": [f"B{n}", None], "set": {"rate_annual": 0.2}} for n in range(300)]
        document["stages"][4]["rows"] = rows

    found = compared(anew)
    assert len(found) == 31
    assert found[-1] == ("定价", "", "另有 270 行变化")
