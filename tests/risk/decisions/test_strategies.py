"""Strategies come into force by two people, reach running processes, and go back."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from click.testing import CliRunner
from counted import Growth
from deciding import VECTOR, Caller, asked, store_vector
from patience import PATIENCE_S, turns

from cli import commands
from cli.risk import (
    HOUSE_CASES,
    HOUSE_STRATEGY,
    FileMalformed,
    load_list_file,
    publish_file,
    publish_house_strategy,
    roll_back,
)
from desk.operations.documents import AuthorApproves, save_draft
from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from risk.decisions.counting import CounterUnserved
from risk.decisions.recalling import stored_rows
from risk.decisions.strategies import (
    STRATEGY,
    ListsAbsent,
    ModelNotPublished,
    StrategyProductTaken,
    strategies_in_force,
)
from risk.features.catalogue import read_catalogue
from risk.lifecycle.publishing import (
    CasesAbsent,
    VersionUntested,
    mark_version_tested,
    save_cases,
)
from risk.strategy.lists import STATUTORY_LISTS, ListKind
from risk.strategy.problems import StrategyInvalid
from risk.strategy.reading import read_strategy
from risk.strategy.statutory import with_statutory


def house(**changes: Any) -> dict[str, Any]:
    """The house strategy, with changes."""
    document: dict[str, Any] = json.loads(HOUSE_STRATEGY.read_text("utf-8"))
    return document | changes


def publish(runtime: Runtime, tmp_path: Path, document: dict[str, Any], **how: Any) -> Any:
    file = tmp_path / "strategy.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    nothing = {"id": "nothing", "product": document["products"][0]["product"]}
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({"cases": [nothing | {"expected": {"outcome": "review"}}]}))
    given = {"author": "analyst", "approver": "manager", "with_statutory": True, "cases": cases}
    given |= how
    for name in STATUTORY_LISTS:
        load_list_file(runtime, name, None)
    return publish_file(runtime, file, **given)


def drafted(runtime: Runtime, document: dict[str, Any], cases: Path | None = None) -> int:
    """Save a draft of the house strategy, with cases if there are some; gives its version."""
    named: dict[str, Any] = {"key": "house-credit", "now": runtime.clock.now()}
    for name in STATUTORY_LISTS:
        load_list_file(runtime, name, None)
    with runtime.database.write() as session:
        if cases is not None:
            strategy = read_strategy(document, read_catalogue())
            told = json.loads(cases.read_text("utf-8"))
            save_cases(session, **named, cases=told, strategy=strategy, by="analyst")
        return save_draft(session, **named, kind=STRATEGY, body=document, author="analyst")


def tried(runtime: Runtime, version: int) -> None:
    """Have a version tested by its cases."""
    given: dict[str, Any] = {"by": "analyst", "now": runtime.clock.now()}
    with runtime.database.write() as session:
        mark_version_tested(
            session, key="house-credit", version=version, catalogue=read_catalogue(), **given
        )


def strict() -> dict[str, Any]:
    """A house strategy that declines whoever would be approved."""
    text = HOUSE_STRATEGY.read_text("utf-8").replace('"below": 480', '"below": 900', 1)
    text = text.replace('"from": 480, "below": 560', '"from": 900, "below": 960')
    document: dict[str, Any] = json.loads(text.replace('"from": 560', '"from": 960'))
    return document


def fraud() -> dict[str, Any]:
    """A strategy under the house's name that approves any amount, and is said not to be credit."""
    asks = {"field": "requested_fen", "is": "above", "value": 0}
    return {
        "id": "house-credit",
        "title": "反欺诈",
        "use": "fraud",
        "catalogue": "2026.11",
        "effective_from": "2026-01-01",
        "required": [{"field": "requested_fen", "missing": "review"}],
        "reasons": [{"code": "not-clear", "internal": "x", "customer": "好"}],
        "stages": [
            {
                "id": "end",
                "kind": "final",
                "rules": [{"id": "end.ok", "when": asks, "missing": "review"}],
                "otherwise": {"outcome": "review", "reason": "not-clear"},
            }
        ],
        "products": [{"product": "instalment", "stages": ["end"]}],
    }


class TestPublishing:
    def test_refuses_without_the_statutory_pack(self, runtime: Runtime, tmp_path: Path) -> None:
        document = with_statutory(house())
        document["stages"][0]["rules"].pop(0)
        with pytest.raises(StrategyInvalid) as refused:
            publish(runtime, tmp_path, document, with_statutory=False)
        assert "statutory-missing" in str(refused.value)

    def test_refuses_a_file_that_says_a_key_twice(self, runtime: Runtime, tmp_path: Path) -> None:
        file = tmp_path / "strategy.json"
        text = HOUSE_STRATEGY.read_text("utf-8")
        file.write_text(text.replace('"use": "credit"', '"use": "fraud", "use": "credit"', 1))
        with pytest.raises(FileMalformed, match="the key use stands twice, again in line 4"):
            publish_file(runtime, file, "analyst", "manager", with_statutory=True)

    def test_refuses_lists_that_were_not_made(self, runtime: Runtime, tmp_path: Path) -> None:
        document = house()
        asked = {"is": "in_list", "list": "wanted", "match": "exact", "field": "phone"}
        rules = next(each for each in document["stages"] if each.get("rules"))["rules"]
        rules[0]["when"] = {"any": [rules[0]["when"], {"not": {"not": asked}}]}
        with pytest.raises(ListsAbsent) as refused:
            publish(runtime, tmp_path, document)
        assert refused.value.message_zh == "策略引用的名单不存在，请先新建名单：wanted"
        load_list_file(runtime, "wanted", None, ListKind.PHONE)
        assert publish(runtime, tmp_path, document).get("version") == 1

    def test_refuses_what_nobody_tested(self, runtime: Runtime, tmp_path: Path) -> None:
        with pytest.raises(VersionUntested):
            publish(runtime, tmp_path, house(), cases=None)
        document = with_statutory(house())
        version = drafted(runtime, document)
        with pytest.raises(VersionUntested):
            publish(runtime, tmp_path, document, cases=None)
        with pytest.raises(CasesAbsent):
            tried(runtime, version)

    def test_takes_a_file_whose_very_body_was_tested(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        document = with_statutory(house())
        drafted(runtime, document, HOUSE_CASES)
        tried(runtime, 1)
        with pytest.raises(VersionUntested):
            publish(runtime, tmp_path, document | {"title": "另一版"}, cases=None)
        assert publish(runtime, tmp_path, document, cases=None)["version"] == 1
        with runtime.database.read() as session:
            (view,) = strategies_in_force(session, on=business_date(runtime.clock.now()))
        assert (view.author, view.approved_by, view.tested_by) == ("analyst", "manager", "analyst")

    def test_refuses_an_author_who_approves(self, runtime: Runtime, tmp_path: Path) -> None:
        with pytest.raises(AuthorApproves):
            publish(runtime, tmp_path, house(), approver="analyst")

    def test_refuses_a_product_that_another_decides(self, caller: Caller, tmp_path: Path) -> None:
        with pytest.raises(StrategyProductTaken):
            publish(caller.runtime, tmp_path, house(id="other-credit"))

    def test_refuses_counters_that_nobody_counts(self, runtime: Runtime, tmp_path: Path) -> None:
        counter = {"name": "c", "event": "login", "by": "device_id", "window": "1h"}
        with pytest.raises(CounterUnserved):
            publish(runtime, tmp_path, house(counters=[counter]))

    def test_refuses_a_model_that_was_never_published(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        stage = {"id": "m", "kind": "model", "model": "m1", "output": "p", "missing": "review"}
        document = house(
            outputs=[*house()["outputs"], {"name": "p", "kind": "number"}],
            stages=[stage, *house()["stages"]],
        )
        document["products"][0]["stages"].insert(0, "m")
        with pytest.raises(ModelNotPublished):
            publish(runtime, tmp_path, document)

    def test_what_is_refused_leaves_nothing_in_force(
        self, runtime: Runtime, tmp_path: Path
    ) -> None:
        with pytest.raises(StrategyInvalid):
            publish(runtime, tmp_path, house(), with_statutory=False)
        with runtime.database.read() as session:
            on = runtime.clock.now().date()
            assert strategies_in_force(session, on=on) == ()

    def test_refuses_a_product_to_any_use_but_credit(self, caller: Caller, tmp_path: Path) -> None:
        with pytest.raises(StrategyInvalid, match="use-cannot-decide"):
            publish(caller.runtime, tmp_path, fraud(), with_statutory=False)

    def test_what_stands_there_for_another_use_decides_nothing(
        self, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("risk.decisions.strategies.assert_publishable", lambda *_, **__: None)
            publish(caller.runtime, tmp_path, fraud(), with_statutory=False)
        caller.service.holder.look()
        refused = caller.post(asked(requested_fen=99_999_999_999))
        assert (refused.status_code, refused.get_json()["code"]) == (503, "no-strategy-in-force")
        roll_back(caller.runtime, "house-credit", "manager", "grants everything")
        caller.service.holder.look()
        assert caller.post(asked(), idempotency_key="k2").get_json()["outcome"] == "approve"

    def test_no_strategy_grants_a_line_above_the_bound(
        self, caller: Caller, tmp_path: Path
    ) -> None:
        text = HOUSE_STRATEGY.read_text("utf-8").replace("5000000", "90000000")
        text = text.replace('"multiple": 2', '"multiple": 900')
        text = text.replace('"multiple": 4', '"multiple": 900')
        text = text.replace('"requested_fen",\n                  90000000', "90000000")
        publish(caller.runtime, tmp_path, json.loads(text))
        caller.service.holder.look()
        decided = caller.post(asked()).get_json()
        assert decided["outcome"] == "approve"
        assert decided["outputs"]["line_fen"] == 19_000_000.0
        (cut,) = [each for each in decided["evidence"] if each["rule"] == "statutory.line"]
        assert cut["values"] == {"line_fen": 90_000_000.0, "exposure_fen": 1_000_000.0}

    def test_tries_it_on_what_was_decided_before(self, caller: Caller, tmp_path: Path) -> None:
        for number in range(3):
            caller.post(asked(requested_fen=500_000 + number), idempotency_key=f"k{number}")
        made = publish(caller.runtime, tmp_path, strict())
        products = len(house()["products"])
        assert (made["stored"], made["compared"]) == (3, (30 + 3) * products)
        assert publish(caller.runtime, tmp_path, house(title="x"))["stored"] == 3
        with caller.runtime.database.read() as session:
            (row, *_) = stored_rows(
                session,
                products=("instalment",),
                names=("age_years", "bureau_score"),
                catalogue=read_catalogue(),
                count=1,
            )
        assert row["age_years"] == 30.0
        assert row["requested_fen"] in range(500_000, 500_003)

    def test_a_first_day_to_come_leaves_the_one_before_in_force(
        self, caller: Caller, tmp_path: Path
    ) -> None:
        first = caller.runtime.clock.now() + timedelta(days=3)
        planned = strict() | {"effective_from": f"{business_date(first)}"}
        made = publish(caller.runtime, tmp_path, planned)
        assert made["effective_on"] == f"{business_date(first)}"
        caller.service.holder.look()
        assert caller.post(asked()).get_json()["strategy"]["version"] == 1
        caller.service._runtime = caller.service.holder._runtime = replace(
            caller.runtime, clock=FixedClock(first)
        )
        caller.service.holder.look()
        decided = caller.post(asked(), idempotency_key="k2").get_json()
        assert (decided["outcome"], decided["strategy"]["version"]) == ("decline", 2)

    def test_refuses_what_is_over(self, caller: Caller, tmp_path: Path) -> None:
        today = f"{business_date(caller.runtime.clock.now())}"
        with pytest.raises(StrategyInvalid, match="period-over"):
            publish(caller.runtime, tmp_path, strict() | {"effective_to": today})
        caller.service.holder.look()
        assert caller.post(asked()).get_json()["outcome"] == "approve"

    def test_does_not_roll_back_to_what_may_no_longer_decide(
        self, caller: Caller, tmp_path: Path
    ) -> None:
        tomorrow = caller.runtime.clock.now() + timedelta(days=1)
        publish(caller.runtime, tmp_path, strict() | {"effective_to": f"{business_date(tomorrow)}"})
        publish(caller.runtime, tmp_path, house(title="另一版"))
        later = replace(caller.runtime, clock=FixedClock(tomorrow))
        with pytest.raises(StrategyInvalid, match="period-over"):
            roll_back(later, "house-credit", "manager", "approvals fell")
        with caller.runtime.database.read() as session:
            (view,) = strategies_in_force(session, on=business_date(tomorrow))
        assert view.version == 3


class TestReloading:
    def test_running_processes_take_a_new_strategy_and_go_back(
        self, caller: Caller, tmp_path: Path
    ) -> None:
        assert caller.post(asked()).get_json()["outcome"] == "approve"
        publish(caller.runtime, tmp_path, strict())
        caller.service.holder.look()
        declined = caller.post(asked(), idempotency_key="k2").get_json()
        assert (declined["outcome"], declined["strategy"]["version"]) == ("decline", 2)
        roll_back(caller.runtime, "house-credit", "manager", "approvals fell")
        caller.service.holder.look()
        approved = caller.post(asked(), idempotency_key="k3").get_json()
        assert (approved["outcome"], approved["strategy"]["version"]) == ("approve", 3)
        assert approved["strategy"]["hash"] != declined["strategy"]["hash"]

    def test_operators_see_what_is_loaded(self, caller: Caller, tmp_path: Path) -> None:
        grown = Growth()
        version = 'fenqi_strategy_version{product="instalment",strategy="house-credit"}'
        for _ in range(2):
            caller.service.holder.look()
        first = grown[version]
        publish(caller.runtime, tmp_path, strict())
        caller.service.holder.look()
        assert grown[version] == first + 1
        assert grown['fenqi_strategy_loads_total{outcome="loaded"}'] == 2

    def test_the_thread_notices_by_itself(self, caller: Caller, tmp_path: Path) -> None:
        caller.post(asked())
        before = caller.service.holder.in_force()
        publish(caller.runtime, tmp_path, strict())
        for _ in turns(0.1):
            if caller.service.holder.in_force().product("instalment").published.version == 2:
                break
        assert caller.post(asked(), idempotency_key="k2").get_json()["outcome"] == "decline"
        # Whoever took the old one before still finishes on it.
        assert before.product("instalment").published.version == 1

    def test_eight_threads_starting_cold_do_not_hang(self, caller: Caller) -> None:
        together, outcomes = Barrier(8), []

        def ask(number: int) -> None:
            together.wait()
            answer = caller.post(asked(), idempotency_key=f"cold{number}")
            outcomes.append(answer.get_json()["outcome"])

        threads = [Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert outcomes == ["approve"] * 8


def test_a_published_model_scores_and_the_decision_names_it(
    runtime: Runtime, open_door: Callable[..., Caller], tmp_path: Path
) -> None:
    publish_house_strategy(runtime)
    card = {"form": "card", "base": 7, "missing_at_most": 0}
    card["characteristics"] = [
        {"name": "bureau_score", "edges": [600.0], "points": [1, 2], "specials": [], "missing": 0}
    ]
    model = tmp_path / "m1.json"
    model.write_text(json.dumps(card))
    publish_file(runtime, model, "analyst", "manager")
    stage = {"id": "m", "kind": "model", "model": "m1", "output": "p", "missing": "review"}
    document = house(
        outputs=[*house()["outputs"], {"name": "p", "kind": "number"}],
        stages=[stage, *house()["stages"]],
    )
    document["products"][0]["stages"].insert(0, "m")
    publish(runtime, tmp_path, document)
    store_vector(runtime, "customer:17", VECTOR)
    decided = open_door().post(asked()).get_json()
    assert (decided["outcome"], decided["outputs"]["p"]) == ("approve", 9)


def test_the_commands_make_keys_and_publish(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli._runtime", lambda: runtime)
    people = ["--author", "analyst", "--approver", "manager", "--with-statutory"]
    for command in (
        ["api-key", "create", "--scope", "decisions", "--name", "shop"],
        ["api-key", "revoke", "1"],
        ["risk", "load-list", "prevention"],
        ["risk", "load-list", "own-blocked"],
        ["risk", "publish", str(HOUSE_STRATEGY), *people, "--cases", str(HOUSE_CASES)],
    ):
        ran = CliRunner().invoke(commands, command)
        assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["version"] == 1
