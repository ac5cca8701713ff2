"""The decision service behind its door, with the house strategy in force."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from deciding import VECTOR, Caller, store_vector

from cli.risk import publish_house_strategy
from kernel.api_keys import ApiKeys, create_api_key
from kernel.runtime import Runtime
from risk.decisions.door import ALL_SOURCES, SCOPE, DecisionDoor
from risk.decisions.service import DecisionService
from risk.features.catalogue import read_catalogue


def _behind(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"behind"]


@pytest.fixture
def open_door(runtime: Runtime) -> Iterator[Callable[..., Caller]]:
    """Open the door over a service; it is closed at the end."""
    services = []

    def opened(*, scopes: tuple[str, ...] = (SCOPE, ALL_SOURCES), **given: Any) -> Caller:
        with runtime.database.write() as session:
            _, key = create_api_key(session, name="shop", scopes=scopes, now=runtime.clock.now())
        service = DecisionService(runtime, read_catalogue(), **given)
        services.append(service)
        keys = ApiKeys(runtime.database, runtime.clock)
        door = DecisionDoor(_behind, keys=keys, service=service)
        return Caller(runtime=runtime, service=service, door=door, key=key)

    yield opened
    for service in services:
        service.close()


@pytest.fixture(autouse=True)
def _tried_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)


@pytest.fixture
def caller(runtime: Runtime, open_door: Callable[..., Caller]) -> Caller:
    """The house strategy in force, customer:17 with a vector."""
    publish_house_strategy(runtime)
    store_vector(runtime, "customer:17", VECTOR)
    return open_door()
