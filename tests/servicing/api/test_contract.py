"""The document is kept: whatever is sent, no 500 comes back and no answer that it does not name."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import doc_tables
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import parse
from partner import ALL, id_number
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kernel.clock import FixedClock
from servicing.api import door
from servicing.api.scopes import Scope

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_EXAMPLES = 25
# A withdrawal's key was an appeal's already, events need the preview of just that event, a loan a
# cost table's hash, a token the client's secret.
_HARD = {
    "POST /api/v1/applications/{application_no}/withdrawal",
    "POST /api/v1/loans/{loan_no}/events",
    "POST /api/v1/applications/{application_no}/loan",
    "POST /api/v1/token",
}
_MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


def known(shop: Any) -> dict[str, Any]:
    """Make one of everything that an address can name."""
    customer_id = shop.brings()
    loan = shop.lends(customer_id)
    shop.is_granted(customer_id, fen=600_000)
    applied = shop.applies(customer_id)
    shop.approves(applied)
    shop.is_paid(loan, fen=100, owed=100)
    return {
        "customer_id": customer_id,
        "id_number": id_number(2),
        "loan_no": loan,
        "application_no": applied,
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


class TestDocument:
    def test_operations_stand_under_tags_in_the_order_of_the_page(self, shop: Any) -> None:
        document = shop.client.get("/api/openapi.json").json
        tags = [tag["name"] for tag in document["tags"]]
        used = [operation["tags"][0] for operation in operations_of(document)]
        assert list(dict.fromkeys(used)) == sorted(set(used), key=tags.index) == tags

    def test_each_operation_says_what_it_does_who_may_and_how_it_is_refused(
        self, shop: Any
    ) -> None:
        for operation in operations_of(shop.client.get("/api/openapi.json").json):
            assert operation["summary"]
            assert operation["security"]
            is_token = operation["tags"] == ["Tokens"]
            refusals = {"400"} if is_token else {"403", "422"}
            assert {"401", "429"} | refusals <= set(operation["responses"])

    def test_each_body_that_changes_the_book_comes_with_an_example(self, shop: Any) -> None:
        for operation in operations_of(shop.client.get("/api/openapi.json").json):
            media = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if media is not None:
                assert media.get("examples"), operation["summary"]

    def test_every_code_that_it_names_exists_and_is_on_the_page_of_errors(self, shop: Any) -> None:
        known = {error.code: error.status for error in doc_tables.error_classes()}
        known |= {"bad-request": 400, "request-entity-too-large": 413, "uri-too-long": 414}
        known |= {"unsupported-media-type": 415, "request-header-fields-too-large": 431}
        page = (doc_tables.ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
        for operation in operations_of(shop.client.get("/api/openapi.json").json):
            for status, code in codes_of(operation):
                assert known[code] == status
                assert f"`{code}`" in page

    def test_the_type_of_a_problem_leads_to_what_it_means(self, shop: Any) -> None:
        refused = shop.get("/loans/none").json
        told = shop.client.get(refused["type"]).json
        assert (told["code"], told["status"]) == ("loan-not-found", 404)
        assert told["detail"]
        assert shop.client.get("/api/errors/uri-too-long").json["status"] == 414
        assert shop.client.get("/api/errors/none").status_code == 404

    def test_every_error_of_the_api_itself_is_named_by_an_operation(self, shop: Any) -> None:
        document = shop.client.get("/api/openapi.json").json
        named = {code for operation in operations_of(document) for _, code in codes_of(operation)}
        ours = {
            error.code
            for error in doc_tables.error_classes()
            if error.__module__.startswith(("servicing.api.", "servicing.webhooks."))
        }
        assert ours - named == set()


def operations_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for path in document["paths"].values() for each in path.values()]


def codes_of(operation: dict[str, Any]) -> list[tuple[int, str]]:
    return [
        (int(status), code)
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for code in answer["content"]["application/problem+json"]["examples"]
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", _MODES, ids=lambda mode: mode.value)
def test_no_request_breaks_the_document(
    open_shop: Callable[..., Any],
    clock: FixedClock,
    mode: GenerationMode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "parse", lambda _rate: parse("1000000/minute"))
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
