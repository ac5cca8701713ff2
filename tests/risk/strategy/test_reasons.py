from typing import Any

from strategies import around, rule, strategy

from risk.strategy.compiler import compile_strategy
from risk.strategy.reasons import MISSING, reasons_of

POOR = {"field": "income", "is": "below", "value": 500}
LATE = {"field": "debt", "is": "above", "value": 500}


def reasons(*snoozed: str, **row: Any) -> list[str]:
    found = strategy(
        {
            "id": "s",
            "kind": "rules",
            "rules": [
                rule("s.1", POOR, outcome="review", reason="r2"),
                rule("s.2", LATE, may_snooze=True),
                rule("s.3", {"all": [POOR, LATE]}),
            ],
        }
    )
    decision = compile_strategy(found, product="cash").decide(
        {"age": 30} | row, around(snoozed=snoozed)
    )
    return [reason.customer for reason in reasons_of(found, decision)]


class TestReasons:
    def test_of_an_approval_are_none(self) -> None:
        assert reasons(income=900, debt=1) == []

    def test_of_a_decline_are_those_that_declined_each_once(self) -> None:
        assert reasons(income=1, debt=900) == ["对客一"]

    def test_of_a_review_are_those_that_asked_for_it(self) -> None:
        assert reasons(income=1, debt=1) == ["对客二"]

    def test_of_missing_data_is_a_sentence_of_its_own(self) -> None:
        assert reasons(income=900) == [MISSING.customer]

    def test_of_a_snoozed_rule_is_none(self) -> None:
        assert reasons("s.2", income=900, debt=900) == []
