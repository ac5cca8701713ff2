"""What the house's strategy and the catalogue say to staff can be said in English."""

import json
from pathlib import Path

from wording import catalogue

import risk
from risk.evidence.house import house_subsystems
from risk.queries import field_labels
from risk.strategy.reasons import MISSING
from risk.strategy.statutory import with_statutory


def test_reasons_and_fields_are_translated(settings: object, clock: object) -> None:
    path = Path(risk.__file__).parent / "strategies" / "house-credit.json"
    house = with_statutory(json.loads(path.read_text(encoding="utf-8")))
    said = {reason["internal"] for reason in house["reasons"]} | {MISSING.internal}
    said |= set(field_labels().values())
    said |= {one.label for one in house_subsystems(settings, clock).each}
    assert said - {text for text, english in catalogue("risk").items() if english} == set()
