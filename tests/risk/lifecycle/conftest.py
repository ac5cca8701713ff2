"""A house strategy with cases, an analyst's drafts of it, and decisions to look back on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from deciding import APPLICATION, VECTOR, store_vector
from life import KEY, Saved, house

from cli.risk import publish_house_strategy
from desk.operations import documents
from kernel.runtime import Runtime
from risk.decisions.service import DecisionService
from risk.decisions.strategies import STRATEGY
from risk.features.catalogue import read_catalogue


@pytest.fixture(autouse=True)
def _tried_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)


@pytest.fixture
def saved(runtime: Runtime) -> Saved:
    """Save a draft of the house strategy; returns its version."""

    def save(change: Callable[[dict[str, Any]], None], *, author: str = "analyst") -> int:
        with runtime.database.write() as session:
            return documents.save_draft(
                session,
                kind=STRATEGY,
                key=KEY,
                body=house(change),
                author=author,
                now=runtime.clock.now(),
            )

    return save


@pytest.fixture
def in_force(runtime: Runtime) -> Runtime:
    """The house strategy in force, with its cases."""
    publish_house_strategy(runtime)
    return runtime


@pytest.fixture
def decide(in_force: Runtime) -> Any:
    """Decide on a subject with values of its own; returns the answer."""
    service = DecisionService(in_force, read_catalogue())

    def asked(subject: str, **values: Any) -> dict[str, Any]:
        vector = {name: value for name, value in values.items() if name in VECTOR}
        application = {name: value for name, value in values.items() if name not in VECTOR}
        store_vector(in_force, subject, VECTOR | vector)
        body = {
            "subject": subject,
            "product": "instalment",
            "application": APPLICATION | application,
        }
        key = f"{subject}-{in_force.clock.now().timestamp()}"
        entry = service.asked(
            caller_id=1, key=key, body=json.dumps(body).encode(), may_state_all=True
        )
        service.settle([entry])
        found: dict[str, Any] = json.loads(entry.answer())
        return found

    asked.service = service  # type: ignore[attr-defined]
    yield asked
    service.close()
