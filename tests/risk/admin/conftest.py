"""Risk's staff pages over the house strategy, and callers who ask for decisions meanwhile."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import workplace as workplaces
from deciding import VECTOR, asked, store_vector
from patience import turns
from werkzeug.test import Client

from cli.risk import publish_house_strategy
from desk.queries import document_versions
from kernel.api_keys import create_api_key
from kernel.runtime import Runtime

KEY = "house-credit"
AT = f"/admin/risk/strategies/{KEY}"


@dataclass
class Office:
    """The workplace with the house strategy in force, and a shop that asks for decisions."""

    house: workplaces.House
    key: str
    asked: int = 0

    def decide(self, subject: str = "customer:17", **changes: Any) -> dict[str, Any]:
        """Ask for a decision, as a shop does."""
        self.asked += 1
        answer = Client(self.house.app).post(
            "/api/v1/decisions",
            data=json.dumps(asked(**changes) | {"subject": subject}),
            headers={"Authorization": f"Bearer {self.key}", "Idempotency-Key": f"k{self.asked}"},
        )
        found: dict[str, Any] = answer.get_json()
        return found

    def decide_by(self, version: int) -> dict[str, Any]:
        """Ask until a version of the strategy answers; running processes need about a second."""
        for _ in turns(0.1):
            found = self.decide()
            if found["strategy"]["version"] == version:
                return found
        pytest.fail(f"version {version} never answered")

    def save(self, seat: workplaces.Seat, path: str, base: int = 1, **form: Any) -> Any:
        """Save a part of the draft as static/editor.js does."""
        return seat.post(f"{AT}{path}", base=str(base), **form)


@pytest.fixture(autouse=True)
def _tried_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)


@pytest.fixture
def office(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The house strategy in force; customer:17 was 30 days late once and is approved by it."""
    workplaces.hash_quickly(monkeypatch)
    publish_house_strategy(runtime)
    store_vector(runtime, "customer:17", VECTOR | {"overdue_days_max_12m": 30})
    with runtime.database.write() as session:
        _, key = create_api_key(
            session,
            name="shop",
            scopes=["decisions", "decisions:all-sources"],
            now=runtime.clock.now(),
        )
    opened = workplaces.House.of(runtime)
    yield Office(house=opened, key=key)
    opened.app.wsgi_app._service.close()  # type: ignore[attr-defined]


@pytest.fixture
def analyst(office: Office) -> workplaces.Seat:
    """A risk analyst at work."""
    return office.house.seat("risk_analyst")


@pytest.fixture
def draft(office: Office) -> Callable[[], dict[str, Any]]:
    """Read the newest version's document."""

    def newest() -> dict[str, Any]:
        with office.house.runtime.database.read() as session:
            found = document_versions(session, kind="risk.strategy", key=KEY)
        return dict(found[0].body)

    return newest
