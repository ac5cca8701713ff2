"""Periods are dated data: a day reads the row that was in force, and none means that all stays."""

from datetime import date
from pathlib import Path

import pytest

from kernel.clock import start_of_day
from kernel.retention import kept_since, periods

FILE = """
[[kept]]
code = "notes"
days = 10
citation = "own"
how_read = "none"
effective_from = 2025-01-01
owner = "risk"
[[kept]]
code = "notes"
days = 3
citation = "own"
how_read = "none"
effective_from = 2026-01-01
owner = "risk"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "retention.toml"
    made.write_text(FILE, "utf-8")
    return made


@pytest.mark.parametrize(
    ("on", "since"),
    [
        (date(2025, 12, 31), date(2025, 12, 21)),
        (date(2026, 1, 1), date(2025, 12, 29)),
    ],
)
def test_a_day_reads_the_period_in_force(file: Path, on: date, since: date) -> None:
    assert kept_since(file, "notes", on=on) == start_of_day(since)


@pytest.mark.parametrize(("code", "on"), [("notes", date(2024, 1, 1)), ("x", date(2026, 1, 1))])
def test_without_a_period_nothing_may_go(file: Path, code: str, on: date) -> None:
    with pytest.raises(LookupError, match="no period"):
        kept_since(file, code, on=on)


def test_a_period_of_no_days_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "odd.toml"
    odd.write_text(FILE.replace("days = 3", "days = 0"), "utf-8")
    with pytest.raises(ValueError, match="keeps nothing"):
        periods(odd)
