"""Partners with keys to the API."""

from collections.abc import Callable
from typing import Any

import pytest
from partner import ALL, Shop

from kernel.api_keys import create_api_key
from kernel.runtime import Runtime
from wsgi import create_app


@pytest.fixture
def open_shop(runtime: Runtime) -> Callable[..., Shop]:
    """Make a partner with a key of some scopes; all but the whole book unless said."""
    client = create_app(runtime).test_client()

    def opened(partner: str = "shop", *, scopes: Any = ALL, **given: Any) -> Shop:
        with runtime.database.write() as session:
            number, key = create_api_key(
                session,
                name=partner,
                partner=partner,
                scopes=[str(scope) for scope in scopes],
                now=runtime.clock.now(),
                **given,
            )
        return Shop(runtime=runtime, client=client, partner=partner, key=key, number=number)

    return opened


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    """A partner that may do all, with its own customers."""
    return open_shop()
