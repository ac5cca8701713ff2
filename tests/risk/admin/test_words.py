"""Everything that risk's staff pages say can be said in English."""

from typing import Any

import pytest
from flask_babel import force_locale
from wording import CHINESE, ROOT, catalogue, left_unmarked, literals, marked
from workplace import Seat

from risk.admin.cells import cell_of, text_of
from risk.admin.names import Field
from risk.decisions import counting, list_values, listed, replay, service, snoozes, strategies
from risk.features.catalogue import Kind, read_catalogue
from risk.lifecycle import challenging, publishing, runs, shadowing
from risk.strategy.problems import SENTENCES, StrategyInvalid

TEMPLATES = ROOT / "risk/templates"
REFUSALS = (
    StrategyInvalid,
    challenging.ChallengeEnded,
    challenging.ChallengeNotFound,
    challenging.ChallengeOdd,
    challenging.ChallengeRunning,
    challenging.ChallengeUnguarded,
    challenging.ChallengeUntested,
    challenging.ChampionAbsent,
    counting.CounterUnserved,
    list_values.ListValueOdd,
    listed.ListEntryNotFound,
    listed.ListNotFound,
    listed.ListTaken,
    publishing.VersionUntested,
    runs.BacktestRunNotFound,
    shadowing.ShadowNotFound,
    snoozes.SnoozeNotFound,
    snoozes.SnoozeOdd,
    strategies.ListsAbsent,
    strategies.StrategyProductTaken,
    strategies.ModelNotPublished,
    replay.DecisionNotReplayable,
    service.DecisionNotFound,
)


def said() -> set[str]:
    words = marked(TEMPLATES) | literals((ROOT / "risk/admin").rglob("*.py"))
    words |= {
        *SENTENCES.values(),
        *list_values._ODD.values(),
        *(error.message_zh for error in REFUSALS),
    }
    # Patterns of what people type hold Chinese signs and are never shown.
    return {word for word in words if CHINESE.search(word) and "(?" not in word}


def test_every_text_is_translated() -> None:
    known = catalogue("desk", "risk")
    assert {word for word in said() if not known.get(word)} == set()


def test_templates_hold_no_untranslatable_chinese() -> None:
    assert list(left_unmarked(TEMPLATES)) == []


def test_pages_are_served_in_english(analyst: Seat) -> None:
    analyst.client.set_cookie("language", "en")
    page = analyst.get("/admin/risk/strategies/house-credit/stages/hard").text
    assert "is above" in page
    assert "Add rule" in page
    assert "Bureau queries in 30 days" in page
    assert "近30天征信查询次数 " not in page


@pytest.mark.parametrize(
    ("cell", "kind", "said"),
    [
        ({"is": "missing"}, Kind.NUMBER, "missing"),
        ({"is": "present"}, Kind.TEXT, "present"),
        (True, Kind.TRUTH, "yes"),
        ([True, False], Kind.TRUTH, "yes、no"),
        ({"is": "in_list", "list": "own-blocked", "match": "cidr"}, Kind.TEXT, "own-blocked/cidr"),
        ({"is": "not_in_list", "list": "x", "match": "exact"}, Kind.TEXT, "not on list: x"),
        ({"is": "starts_with", "value": "138"}, Kind.TEXT, "starts: 138"),
        ({"is": "at_most", "value": 3}, Kind.NUMBER, "≤3"),
    ],
)
def test_cells_are_written_and_read_in_english(
    office: Any, cell: Any, kind: Kind, said: str
) -> None:
    field = Field(name="x", label="x", kind=kind)
    with office.house.app.test_request_context(), force_locale("en"):
        text = text_of(cell, field)
    assert said.casefold() in text.casefold()
    assert not CHINESE.search(text)
    assert cell_of(text, field) == cell


@pytest.mark.parametrize(
    ("language", "bank", "lender"),
    [("zh_CN", "银行", "小额贷款公司"), ("en", "Bank", "Micro-lender")],
)
def test_one_of_few_values_is_named_and_read_in_both_languages(
    office: Any, language: str, bank: str, lender: str
) -> None:
    choices = read_catalogue().by_name["lender_type"].choices
    lenders = Field(name="lender_type", label="x", kind=Kind.TEXT, choices=choices)
    with office.house.app.test_request_context():
        with force_locale(language):
            assert text_of(["bank", "small_loan"], lenders) == f"{bank}、{lender}"
            assert text_of({"is": "differs", "value": "bank"}, lenders) == f"≠{bank}"
        assert cell_of(f"{bank}、{lender}", lenders) == ["bank", "small_loan"]
        assert cell_of("≠bank", lenders) == {"is": "differs", "value": "bank"}


def test_names_that_look_alike_are_told_apart() -> None:
    """A label that is another with a word before it is mistaken for the other."""
    labels = [each.label for each in read_catalogue().dimensions]
    assert len(set(labels)) == len(labels)
    alike = {(a, b) for a in labels for b in labels if a != b and b.endswith(a) and len(a) > 4}
    assert alike == set()
