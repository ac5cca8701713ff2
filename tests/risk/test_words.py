"""What the house's strategy says to staff can be said in English."""

from risk.model import Strategy
from wording import catalogue

from risk.queries import in_force, staff_reasons


def test_reasons_and_facts_are_translated_and_nothing_else() -> None:
    said = {*staff_reasons().values(), *(fact.label for fact in in_force(Strategy).fact.values())}
    assert {said for said, english in catalogue("risk").items() if said and english} == said
