"""The points card of nightly grades: each edge, what is missing, and what it says of the worst."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import risk
from risk.grading import grade, house_grade_card, read_grade_card

BEST: dict[str, Any] = {
    "days_past_due": 0,
    "worst_dpd_12m": 0,
    "on_time_ratio": Decimal(1),
    "utilisation": Decimal("0.2"),
    "months_on_book": 20,
}


def test_the_best_account_has_every_point() -> None:
    assert grade(house_grade_card(), BEST) == ("A", 100, [])


@pytest.mark.parametrize(
    ("name", "value", "points"),
    [
        ("days_past_due", 1, 90),
        ("days_past_due", 8, 75),
        ("days_past_due", 31, 60),
        ("on_time_ratio", Decimal("0.95"), 100),
        ("on_time_ratio", Decimal("0.9499"), 94),
        ("on_time_ratio", Decimal("0.8"), 94),
        ("on_time_ratio", Decimal("0.6"), 87),
        ("on_time_ratio", None, 90),
        ("utilisation", Decimal("0.5"), 97),
        ("utilisation", None, 97),
        ("months_on_book", 2, 97),
    ],
)
def test_points_change_at_the_edges(name: str, value: Any, points: int) -> None:
    assert grade(house_grade_card(), BEST | {name: value})[1] == points


@given(
    late=st.integers(31, 2_000),
    share=st.none() | st.decimals(0, 1, places=4),
    used=st.none() | st.decimals(0, 2, places=4),
    months=st.integers(0, 600),
)
def test_whoever_is_more_than_thirty_days_late_is_worst(
    late: int, share: Decimal | None, used: Decimal | None, months: int
) -> None:
    facts = {
        "days_past_due": late,
        "worst_dpd_12m": late,
        "on_time_ratio": share,
        "utilisation": used,
        "months_on_book": months,
    }
    letter, points, reasons = grade(house_grade_card(), facts)
    assert (letter, points <= 39) == ("E", True)
    assert reasons[0].startswith("当前逾期 ")


def test_says_what_cost_most_first() -> None:
    _, _, reasons = grade(house_grade_card(), BEST | {"worst_dpd_12m": 5, "utilisation": None})
    assert reasons == ["近 12 个月最长逾期 5 天（20/25 分）", "额度使用率 暂无（7/10 分）"]


def test_a_version_says_which_points_it_stands_for() -> None:
    text = (Path(risk.__file__).parent / "grade-card.json").read_text(encoding="utf-8")
    assert read_grade_card(text).version != read_grade_card(text + " ").version


def test_a_card_names_every_characteristic_for_staff() -> None:
    text = (Path(risk.__file__).parent / "grade-card.json").read_text(encoding="utf-8")
    document = json.loads(text)
    del document["shown"]["utilisation"]
    with pytest.raises(ValueError, match="label"):
        read_grade_card(json.dumps(document))
