"""A decision comes out the same to the byte, whatever has changed since."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from deciding import VECTOR, Caller, asked, store_vector
from sqlalchemy import delete, update

from cli import commands
from cli.risk import HOUSE_CASES, HOUSE_STRATEGY, load_list_file, publish_file
from kernel.identity import id_number_index
from risk.decisions.replay import DecisionNotReplayable, Replayed, replay
from risk.decisions.service import DecisionNotFound
from risk.features.catalogue import read_catalogue
from risk.tables import FeatureVector, LinkValue


def played(caller: Caller, decision_id: str) -> Replayed:
    with caller.runtime.database.read() as session:
        return replay(session, decision_id=decision_id, catalogue=read_catalogue())


def put_link(caller: Caller, kind: str, value: str, **counts: Any) -> None:
    given = {"degree": 1, "bad": 0, "last_bad_at": None, "exempt": False} | counts
    index = caller.runtime.cipher.blind_index(value, context=f"link.{kind}")
    with caller.runtime.database.write() as session:
        session.merge(LinkValue(value_hash=index, kind=kind, **given))


def test_the_same_bytes_whatever_has_changed_since(caller: Caller, tmp_path: Path) -> None:
    put_link(caller, "device", "abc123", degree=20)
    person = id_number_index(caller.runtime.cipher, "990000199203041233")
    first = caller.post(asked(identity_key=person) | {"links": {"device": "ABC-123"}})
    decided = first.get_json()
    assert decided["outcome"] == "review"
    assert [each["code"] for each in decided["reasons"]] == ["value-shared"]

    caller.runtime.clock.advance(timedelta(days=2))  # type: ignore[attr-defined]
    store_vector(caller.runtime, "customer:17", VECTOR | {"age_years": 17})
    put_link(caller, "device", "abc123", degree=1)
    line = "990000199203041233,staff,x,"
    (tmp_path / "list.csv").write_text(f"value,source,reason,expires_on\n{line}\n")
    load_list_file(caller.runtime, "own-blocked", tmp_path / "list.csv")
    other = json.loads(HOUSE_STRATEGY.read_text("utf-8")) | {"title": "另一版"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    publish_file(
        caller.runtime,
        tmp_path / "other.json",
        "analyst",
        "manager",
        with_statutory=True,
        cases=HOUSE_CASES,
    )

    again = played(caller, decided["id"])
    assert again.is_same
    assert again.answer.encode() == first.data
    # Beside a smaller degree nothing would have helped: the rule reads nothing else.
    assert [(each.name, each.outcome.name) for each in again.changes] == [
        ("link_degree_max_now", "APPROVE")
    ]


def test_a_missing_value_is_named_as_what_would_have_helped(caller: Caller) -> None:
    decided = caller.post(asked(income_monthly_fen=None)).get_json()
    (change,) = played(caller, decided["id"]).changes
    assert (change.name, change.outcome.name) == ("income_monthly_fen", "APPROVE")


def test_exempt_values_link_nobody(caller: Caller) -> None:
    put_link(caller, "wifi", "town", degree=900, bad=30, exempt=True)
    assert caller.post(asked() | {"links": {"wifi": "Town"}}).get_json()["outcome"] == "approve"


def test_a_vector_of_another_catalogue_is_not_read(caller: Caller) -> None:
    with caller.runtime.database.write() as session:
        session.execute(update(FeatureVector).values(blob=b"FENQ" + b"\x00" * 4_000))
    decided = caller.post(asked()).get_json()
    assert decided["outcome"] == "review"
    assert "bureau_score" in decided["missing"]
    assert played(caller, decided["id"]).is_same


def test_a_vector_that_is_gone_cannot_be_replayed(caller: Caller) -> None:
    decided = caller.post(asked()).get_json()
    with caller.runtime.database.write() as session:
        session.execute(delete(FeatureVector))
    with pytest.raises(DecisionNotReplayable):
        played(caller, decided["id"])


@pytest.mark.parametrize("number", ["D1", "D20260310FFFFFFFFFFFFFFFF"])
def test_an_unknown_decision_is_not_found(caller: Caller, number: str) -> None:
    with pytest.raises(DecisionNotFound):
        played(caller, number)


def test_the_command_prints_what_would_have_changed_it(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = caller.post(asked(is_emulator=True)).get_json()
    monkeypatch.setattr("cli._runtime", lambda: caller.runtime)
    ran = CliRunner().invoke(commands, ["risk", "replay", decided["id"]])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout)
    assert printed["decision"] == decided
    assert printed["would_have_changed_it"] == [
        {"field": "is_emulator", "was": True, "value": False, "outcome": "approve"}
    ]
    assert printed["rules_without_which_it_would"] == [
        {"rule": "fraud.emulator", "title": "模拟器", "outcome": "approve"}
    ]
