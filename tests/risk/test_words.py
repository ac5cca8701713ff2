"""What risk says to staff can be said in English, and nothing else is translated."""

from wording import ROOT, catalogue, literals, marked

from risk.model import Strategy
from risk.queries import in_force, staff_reasons


def test_reasons_and_facts_are_translated() -> None:
    said = {*staff_reasons().values(), *(fact.label for fact in in_force(Strategy).fact.values())}
    assert said <= {said for said, english in catalogue("risk").items() if english}


def test_no_translation_is_left_over() -> None:
    said = {*staff_reasons().values(), *(fact.label for fact in in_force(Strategy).fact.values())}
    said |= marked(ROOT / "risk/templates") | literals((ROOT / "risk").rglob("*.py"))
    assert set(catalogue("risk")) - said == {""}
