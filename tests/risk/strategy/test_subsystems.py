"""Which sub-systems a product asks: read, held to the promise, and to what its stages read."""

from typing import Any

import pytest
from strategies import catalogue, document, final, problems_of, rule, strategy

from risk.evidence.house import DECLARED
from risk.evidence.plans import plan_of
from risk.ports import PROMISED_S, Fallback, Inquiry, Subsystem, SubsystemFailed, Subsystems
from risk.strategy import reading_subsystems
from risk.strategy.language import OnMissing, SubsystemUse, patience_s
from risk.strategy.reading import read_strategy
from risk.strategy.supplying import unsupplied
from servicing.model import DECIDE_WITHIN

WELL = {"name": "bureau", "step": 1, "timeout_s": 5, "attempts": 2, "fallback": "review"}
FIELDS = {"bureau": ("income", "debt"), "identity": ("is_student",), "face": ("face",)}


def asking(*uses: dict[str, Any], stages: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    made = document(*stages)
    made["products"][0]["subsystems"] = list(uses)
    return made


def misfits(text: dict[str, Any], **features: tuple[str, ...]) -> list[tuple[str, str]]:
    found = unsupplied(read_strategy(text, catalogue()), supplies=FIELDS, features=features)
    return [(each.path.removeprefix("$.products[0].subsystems"), str(each.code)) for each in found]


class TestReading:
    def test_puts_them_in_the_order_of_their_steps(self) -> None:
        uses = [WELL | {"step": 2}, WELL | {"name": "identity"}, WELL | {"name": "lists"}]
        made = document()
        made["products"][0]["subsystems"] = uses
        found = read_strategy(made, catalogue()).subsystems["cash"]
        assert [(use.step, use.name) for use in found] == [
            (1, "identity"),
            (1, "lists"),
            (2, "bureau"),
        ]
        assert found[2].fallback is OnMissing.REVIEW

    def test_a_product_that_says_nothing_is_not_there(self) -> None:
        assert strategy().subsystems == {}

    def test_an_empty_list_asks_nobody(self) -> None:
        assert problems_of(asking()) == []

    @pytest.mark.parametrize(
        ("changes", "path", "code"),
        [
            ({"timeout_s": 0}, "[0].timeout_s", "out-of-range"),
            ({"timeout_s": 61}, "[0].timeout_s", "out-of-range"),
            ({"timeout_s": 2.5}, "[0].timeout_s", "not-a-number"),
            ({"timeout_s": "5"}, "[0].timeout_s", "not-a-number"),
            ({"attempts": 6}, "[0].attempts", "out-of-range"),
            ({"step": 6}, "[0].step", "out-of-range"),
            ({"step": 2}, "", "step-skipped"),
            ({"fallback": "approve"}, "[0].fallback", "word-unknown"),
            ({"patience": 1}, "[0]", "key-unknown"),
            ({"timeout_s": 60, "attempts": 5}, "", "patience-too-long"),
        ],
    )
    def test_says_what_is_wrong_and_where(
        self, changes: dict[str, Any], path: str, code: str
    ) -> None:
        found = problems_of(asking(WELL | changes))
        assert found == [(f"$.products[0].subsystems{path}", code)]

    def test_refuses_one_that_stands_twice(self) -> None:
        found = problems_of(asking(WELL, WELL | {"step": 2}))
        assert found == [("$.products[0].subsystems", "subsystem-twice")]

    def test_adds_up_steps_and_counts_the_slowest_of_each(self) -> None:
        use = {"attempts": 2, "fallback": OnMissing.IGNORE}
        uses = [
            SubsystemUse(name="a", step=1, timeout_s=5, **use),
            SubsystemUse(name="b", step=1, timeout_s=20, **use),
            SubsystemUse(name="c", step=2, timeout_s=5, **use),
        ]
        assert patience_s(uses) == (2 * 20 + 2 + 10) + (2 * 5 + 2 + 10)

    def test_promises_what_the_house_promises(self) -> None:
        assert PROMISED_S == reading_subsystems.PROMISED_S == DECIDE_WITHIN.total_seconds()

    def test_a_line_or_price_is_a_number(self) -> None:
        outputs = [{"name": "rate_annual", "kind": "text"}]
        assert problems_of(document(outputs=outputs)) == [("$.outputs[0].kind", "kind-differs")]


class TestSupplying:
    def test_finds_a_sub_system_that_is_not_there(self) -> None:
        assert misfits(asking(WELL | {"name": "oracle"})) == [("[0].name", "subsystem-unknown")]

    def test_silence_of_support_never_declines(self) -> None:
        face = WELL | {"name": "face", "fallback": "decline"}
        assert misfits(asking(face)) == [("[0].fallback", "support-declines")]
        assert misfits(asking(face | {"fallback": "review"})) == []
        assert misfits(asking(WELL | {"fallback": "decline"})) == []

    @pytest.mark.parametrize(
        "stage",
        [
            {
                "id": "s",
                "kind": "rules",
                "rules": [rule("s.1", {"field": "debt", "is": "above", "value": 1})],
            },
            {
                "id": "s",
                "kind": "compute",
                "set": [{"output": "line", "value": {"add": ["debt", 1]}}],
                "missing": "review",
            },
        ],
    )
    def test_finds_what_is_read_and_never_answered(self, stage: dict[str, Any]) -> None:
        student = WELL | {"name": "identity"}
        assert misfits(asking(student, stages=(stage,))) == [("", "subsystem-off")]
        assert misfits(asking(student, WELL, stages=(stage,))) == []
        house = document(stage)
        assert misfits(house) == []

    def test_looks_through_derived_values_branches_and_models(self) -> None:
        when = {"field": "ratio", "is": "above", "value": 1}
        inner = {"id": "s", "kind": "rules", "rules": [rule("s.1", when)]}
        case = {"id": "b.1", "when": {"field": "age", "is": "above", "value": 30}, "stages": ["s"]}
        branch = {"id": "b", "kind": "branch", "cases": [case], "missing": "review"}
        made = document(inner, branch, final())
        made["products"] = [{"product": "cash", "stages": ["b", "end"], "subsystems": []}]
        assert misfits(made) == [("", "subsystem-off")] * 2  # debt and income
        model = {"id": "m", "kind": "model", "model": "x", "output": "points", "missing": "review"}
        assert misfits(asking(stages=(model,)), x=("debt",)) == [("", "subsystem-off")]


class TestPlan:
    EVERY = Subsystems(
        each=tuple(
            Subsystem(
                name=each.name,
                label=each.label,
                fields=each.fields,
                timeout_s=each.timeout_s,
                attempts=each.attempts,
                deadline_s=each.deadline_s,
                fallback=each.fallback,
                ask=lambda _inquiry: {},
            )
            for each in DECLARED
        )
    )

    def test_leaves_all_as_they_declare_themselves_where_nobody_chose(self) -> None:
        found = plan_of(None, self.EVERY, strategy_version="s v1")
        assert [each.subsystem for each in found.asked] == list(self.EVERY.each)
        assert (found.left_out, found.strategy_version) == ((), None)

    def test_lays_the_choice_over_it(self) -> None:
        uses = [
            SubsystemUse(name="lists", step=1, timeout_s=2, attempts=1, fallback=OnMissing.DECLINE),
            SubsystemUse(name="bureau", step=2, timeout_s=8, attempts=2, fallback=OnMissing.REVIEW),
        ]
        found = plan_of(uses, self.EVERY, strategy_version="s v1")
        lists, bureau = (each.subsystem for each in found.asked)
        assert (lists.timeout_s, lists.attempts, lists.fallback) == (2, 1, Fallback.DECLINE)
        assert lists.deadline_s == 300 - (2 * 8 + 2 + 10) - 10
        assert bureau.deadline_s == 300 - 10
        assert [each.name for each in found.left_out] == ["identity"]

    def test_of_one_that_is_gone_nobody_hears(self) -> None:
        use = SubsystemUse(name="gone", step=1, timeout_s=2, attempts=1, fallback=OnMissing.REVIEW)
        (planned,) = plan_of([use], self.EVERY, strategy_version="s v1").asked
        inquiry = Inquiry(reference="r", name="n", id_number="i", phone="p", timeout_s=2)
        with pytest.raises(SubsystemFailed):
            planned.subsystem.ask(inquiry)
        assert planned.subsystem.fallback is Fallback.REVIEW
