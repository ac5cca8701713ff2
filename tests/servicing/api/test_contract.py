"""The document is kept: whatever is sent, no 500 comes back and no answer that it does not name."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partner import ALL
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kernel.clock import FixedClock
from servicing.api.scopes import Scope

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_EXAMPLES = 25
# An appeal needs a decline, events the preview of just that event, a token the client's secret.
_HARD = {
    "POST /api/v1/applications/{application_no}/appeal",
    "POST /api/v1/loans/{loan_no}/events",
    "POST /api/v1/token",
}
_MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


def known(shop: Any) -> dict[str, Any]:
    """Make one of everything that an address can name."""
    customer_id = shop.brings()
    loan = shop.lends(customer_id)
    shop.is_paid(loan, fen=100, owed=100)
    return {
        "customer_id": customer_id,
        "loan_no": loan,
        "application_no": shop.applies(customer_id),
        "code": "standard",
        "endpoint_id": shop.made("/webhooks", {"url": "http://127.0.0.1:9/hook"})["webhook_id"],
        "payment_id": 1,
        "product": "standard",
        "amount_fen": 200_000,
        "terms": 6,
        "first_on": "2026-03-01",
        "last_on": "2026-03-02",
        "known_on": "2026-03-03",
        "as_of": "2026-03-04",
        "on": "2026-03-12",
        "value_date": "2026-03-05",
        "due_on": "2026-03-20",
        "url": "http://127.0.0.1:9/hook",
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", _MODES, ids=lambda mode: mode.value)
def test_no_request_breaks_the_document(
    open_shop: Callable[..., Any], clock: FixedClock, mode: GenerationMode
) -> None:
    shop = open_shop(scopes=[*ALL, Scope.WHOLE_BOOK], rate_per_minute=1_000_000)
    real = known(shop)
    clock.advance(timedelta(minutes=2))
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", shop.client.application)
    operations = [each.ok() for each in schema.get_all_operations()]
    operations.sort(key=lambda each: each.method.upper() == "DELETE")  # who is asked must be there
    assert len(operations) > 30
    headers = {"Authorization": f"Bearer {shop.key}"}
    told = {each.label: _ask(each, mode, real, headers) for each in operations}
    never = {label for label, statuses in told.items() if not any(each < 300 for each in statuses)}
    # Some of what is asked for is to be answered well, else nothing was looked at.
    assert mode is GenerationMode.NEGATIVE or never <= _HARD, never


def _ask(
    operation: Any, mode: GenerationMode, real: dict[str, Any], headers: dict[str, str]
) -> set[int]:
    """Send what the document allows, or what it does not; returns every status that came."""
    told: set[int] = set()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_real=st.booleans())
    def ask(case: Any, is_real: bool) -> None:
        if is_real:
            for given in (case.path_parameters, case.query, case.body):
                if isinstance(given, dict):
                    given.update({name: real[name] for name in given.keys() & real.keys()})
                if given is case.body and isinstance(given, dict) and "first_on" in given:
                    given.update(first_on="2026-03-20", last_on="2026-03-21")
        told.add(case.call_and_validate(headers=headers, checks=_CHECKS).status_code)

    ask()
    return told
