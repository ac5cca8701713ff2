"""What risk says to staff can be said in English, and nothing else is translated."""

import json
from pathlib import Path

from wording import ROOT, catalogue, literals, marked

import risk
from kernel.clock import FixedClock
from kernel.settings import Settings
from risk import queries
from risk.evidence.house import house_subsystems
from risk.queries import field_labels
from risk.strategy.reasons import MISSING
from risk.strategy.statutory import with_statutory


def said_by_data(settings: Settings, clock: FixedClock) -> set[str]:
    """Collect what the house's strategy, the catalogue and the sub-systems say to staff."""
    path = Path(risk.__file__).parent / "strategies" / "house-credit.json"
    house = with_statutory(json.loads(path.read_text(encoding="utf-8")))
    said = {reason["internal"] for reason in house["reasons"]} | {MISSING.internal}
    return (
        said
        | {*field_labels().values()}
        | {one.label for one in house_subsystems(settings, clock).each}
    )


def test_reasons_and_fields_are_translated(settings: Settings, clock: FixedClock) -> None:
    known = {text for text, english in catalogue("risk").items() if english}
    assert said_by_data(settings, clock) - known == set()


def test_no_translation_is_left_over(settings: Settings, clock: FixedClock) -> None:
    said = said_by_data(settings, clock)
    said |= marked(ROOT / "risk/templates") | literals((ROOT / "risk").rglob("*.py"))
    assert set(catalogue("risk")) - said == {""}


def test_what_a_strategy_makes_itself_has_words_too() -> None:
    hit = {"rule": "r", "outcome": "review", "reason": "x", "values": {"line_left_fen": 250_000}}
    assert queries._finding(hit, {}).read == (("剩余额度", "¥2,500.00"),)
