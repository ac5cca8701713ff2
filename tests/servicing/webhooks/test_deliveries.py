"""What the OpenAPI document says of webhooks is what a receiver is really sent."""

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from typing import Any, get_type_hints

import pytest
from jsonschema_rs import Draft202012Validator, ValidationError

from kernel import outbox
from kernel.outbox import Event
from kernel.runtime import Runtime
from servicing import operations as servicing
from servicing.archive import KINDS as EVENT_KINDS
from servicing.events import LoanChanged
from servicing.webhooks.news import KINDS, NEWS
from wsgi import create_app

VALUES = {int: 1, str: "x", bool: True, date: date(2026, 3, 10)}


@pytest.fixture
def section(runtime: Runtime) -> Any:
    """The section `webhooks` of the document as it is served."""
    return create_app(runtime).test_client().get("/api/openapi.json").json["webhooks"]


def body_of(posted: Any) -> Draft202012Validator:
    schema = posted["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator(schema, validate_formats=True)


def happened(known: dict[str, int]) -> Iterator[Event]:
    """Make one of each event that is news, about somebody and something that is there."""
    for kind in NEWS:
        hints = get_type_hints(kind)
        given = {f.name: known.get(f.name, VALUES.get(hints[f.name])) for f in fields(kind)}
        if kind is LoanChanged:
            yield from (kind(**given | {"kind": each}) for each in EVENT_KINDS)
        else:
            yield kind(**given)


def test_each_kind_is_described_and_none_besides(section: Any) -> None:
    assert tuple(section) == KINDS


def test_every_piece_of_news_is_sent_as_it_is_described(
    runtime: Runtime, house: Any, receiver: Any, book: Any, section: Any
) -> None:
    house.subscribe(receiver)
    with runtime.database.write() as session:
        customer_id = book.customer(session)
        known = {
            "customer_id": customer_id,
            "application_id": book.application(session, customer_id=customer_id),
            "loan_id": book.loan(session, customer_id=customer_id),
        }
        for event in happened(known):
            outbox.record(session, event, now=runtime.clock.now())
    house.tells()
    assert house.delivers() == len(receiver.taken)
    for news in receiver.taken:
        body_of(section[news["kind"]]["post"]).validate(news)
    assert {news["kind"] for news in receiver.taken} == set(KINDS)
    assert receiver.forged == 0


def test_a_life_is_told_with_the_headers_that_are_described(
    runtime: Runtime, house: Any, receiver: Any, book: Any, section: Any
) -> None:
    house.subscribe(receiver)
    with runtime.database.write() as session:
        loan_id = book.loan(session)
        book.repay(session, loan_id, 1_000, key="p")
        by: dict[str, Any] = {"actor": "lin", "on": date(2026, 3, 10), "now": book.now}
        servicing.reverse(session, loan_id=loan_id, seq=2, key="r", **by)
    house.tells()
    house.delivers()
    kinds = [news["kind"] for news in receiver.taken]
    assert kinds == ["customer.created", "loan.booked", "loan.repaid", "loan.reversed"]
    for news in receiver.taken:
        body_of(section[news["kind"]]["post"]).validate(news)
    described = section["loan.reversed"]["post"]["parameters"]
    assert {each["name"] for each in described} == {
        name for name in receiver.headers if name.startswith("Fenqi-")
    }
    for each in described:
        assert re.fullmatch(each["schema"]["pattern"], receiver.headers[each["name"]])


@pytest.mark.parametrize("changes", [{"loan_id": 1}, {"amount_fen": "1"}, {"value_date": "soon"}])
def test_what_is_not_described_would_be_found(section: Any, changes: dict[str, Any]) -> None:
    content = {
        "loan_no": "FQ1",
        "amount_fen": 1,
        "value_date": "2026-03-10",
        "remaining_fen": 1,
        "is_settled": False,
    }
    news = {
        "position": 1,
        "kind": "loan.repaid",
        "customer_id": 1,
        "happened_at": "2026-03-10T02:00:00+00:00",
    }
    schema = body_of(section["loan.repaid"]["post"])
    schema.validate(news | {"content": content})
    with pytest.raises(ValidationError):
        schema.validate(news | {"content": content | changes})
