"""docs/loan-events.md names each kind of event that the book takes, and each act of staff."""

import re
from pathlib import Path

from servicing.admin import words
from servicing.archive import KINDS
from servicing.operations.money_acts import ACTS

PAGE = Path(__file__).parents[2] / "docs/loan-events.md"


def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line.strip("|").split("|") for line in lines if line.startswith("| `")]


def test_each_kind_of_event_has_its_row() -> None:
    named = [kind for row in rows() for kind in re.findall(r"`([\w-]+)`", row[0])]
    assert sorted(named) == sorted(KINDS)


def test_each_act_is_told_by_its_name() -> None:
    told = {act: name for row in rows() for act, name in re.findall(r"`([\w-]+)` (\w+)", row[1])}
    assert told == {act: words.MONEY_ACTS[act] for act in ACTS}
