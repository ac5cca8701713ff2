"""Everything that risk's staff pages say can be said in English."""

from wording import CHINESE, ROOT, catalogue, left_unmarked, literals, marked
from workplace import Seat

from risk.decisions import counting, replay, service, snoozing, strategies
from risk.lifecycle import runs
from risk.strategy.problems import SENTENCES, StrategyInvalid

TEMPLATES = ROOT / "risk/templates"
REFUSALS = (
    StrategyInvalid,
    counting.CounterUnserved,
    snoozing.SnoozeRefused,
    runs.BacktestRunNotFound,
    strategies.StrategyProductTaken,
    strategies.ModelNotPublished,
    replay.DecisionNotReplayable,
    service.DecisionNotFound,
)


def said() -> set[str]:
    words = marked(TEMPLATES) | literals((ROOT / "risk/admin").rglob("*.py"))
    words |= {*SENTENCES.values(), *(error.message_zh for error in REFUSALS)}
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
