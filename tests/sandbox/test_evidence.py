"""Sub-systems: the real client against the stand-in, both of which check every signature."""

from dataclasses import replace
from typing import Any

import pytest

from risk.evidence.house import house_subsystems
from risk.evidence.wire import SignedCalls
from risk.ports import Inquiry, Subsystem, SubsystemFailed

ZHANG = Inquiry(
    reference="SQ1-identity",
    name="张三",
    id_number="99000019900101001X",
    phone="10000000001",
    timeout_s=5,
)
REPORT = {
    "score": 705,
    "overdue_days_max_12m": 0,
    "queries_30d": 1,
    "balance_fen": 2_000_000,
    "service_monthly_fen": 80_000,
}


@pytest.fixture
def ask(stand: Any) -> Any:
    """Ask a sub-system about somebody, over real HTTP."""
    base = f"{stand.base}/sandbox/evidence"
    settings = replace(stand.settings, evidence_api_base=base)
    house = house_subsystems(settings, stand.clock)

    def one(name: str) -> Subsystem:
        return house.named(name)

    def ask(name: str, inquiry: Inquiry = ZHANG) -> Any:
        return one(name).ask(inquiry)

    ask.one = one  # type: ignore[attr-defined]
    return ask


def give_file(stand: Any, **file: Any) -> None:
    known = {"name": "张三", "report": REPORT, "hits": 1} | file
    stand.api("files", {ZHANG.id_number: known})


class TestAnswers:
    def test_come_from_the_file_of_the_person(self, stand: Any, ask: Any) -> None:
        give_file(stand)
        assert ask("identity") == {"is_identity_verified": True}
        assert ask("identity", replace(ZHANG, name="李四")) == {"is_identity_verified": False}
        assert ask("lists") == {"outside_list_hits": 1}
        assert ask("bureau") == {
            "bureau_score": 705,
            "overdue_days_max_12m": 0,
            "bureau_queries_30d": 1,
            "exposure_fen": 2_000_000,
            "debt_service_monthly_fen": 80_000,
        }

    def test_of_somebody_without_a_file_are_made_up_the_same_each_time(self, ask: Any) -> None:
        assert ask("identity") == {"is_identity_verified": True}
        assert ask("bureau") == ask("bureau")
        assert set(ask("bureau")) == set(ask.one("bureau").fields)

    def test_that_know_nothing_are_empty(self, stand: Any, ask: Any) -> None:
        give_file(stand, report=None)
        stand.knob("evidence.identity", "answer", value={"result": "unknown"})
        assert ask("bureau") == ask("identity") == {}

    def test_hold_only_what_the_sub_system_declares(self, ask: Any) -> None:
        for name in ("identity", "bureau", "lists"):
            assert set(ask(name)) <= set(ask.one(name).fields)


class TestFailures:
    @pytest.mark.parametrize(
        ("fault", "value"),
        [
            ("cut", None),
            ("lost_answer", None),
            ("http_500", None),
            ("html", None),
            ("error", "BUSY"),
            ("unsigned", None),
            ("answer", {"hits": "0"}),
            ("answer", {"hits": True}),
            ("answer", {"hits": -1}),
            ("answer", {}),
        ],
    )
    def test_are_failures_and_never_values(
        self, stand: Any, ask: Any, fault: str, value: Any
    ) -> None:
        stand.knob("evidence.lists", fault, value=value, times=1)
        with pytest.raises(SubsystemFailed):
            ask("lists")
        assert ask("lists") == {"outside_list_hits": 0}

    def test_of_time_end_the_call(self, stand: Any) -> None:
        stand.knob("evidence.lists", "slow", value=12, times=1)
        call = calls(stand)
        with pytest.raises(SubsystemFailed, match="Timeout"):
            call("/lists", {"reference": "r"}, timeout_s=1)

    @pytest.mark.parametrize(
        ("given", "code"),
        [({"secret": "guessed"}, "not signed by them"), ({"key_id": "k"}, "UNKNOWN_KEY")],
    )
    def test_of_our_signature_are_refused(
        self, stand: Any, given: dict[str, str], code: str
    ) -> None:
        with pytest.raises(SubsystemFailed, match=code):
            calls(stand, **given)("/lists", {"reference": "r"}, timeout_s=60)

    def test_of_the_request_are_refused(self, stand: Any) -> None:
        with pytest.raises(SubsystemFailed, match="INCOMPLETE"):
            calls(stand)("/lists", {"reference": "r"}, timeout_s=60)
        with pytest.raises(SubsystemFailed, match="NO_SUCH_SERVICE"):
            calls(stand)("/crystal-ball", {"reference": "r"}, timeout_s=60)


def calls(stand: Any, **given: str) -> SignedCalls:
    values = {
        "key_id": stand.settings.evidence_key_id,
        "secret": stand.settings.evidence_secret,
    } | given
    return SignedCalls(f"{stand.base}/sandbox/evidence", clock=stand.clock, **values)


def test_an_inquiry_shows_nobody_in_logs() -> None:
    assert "张三" not in repr(ZHANG)
    assert "9900001990" not in repr(ZHANG)
