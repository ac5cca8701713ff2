"""Traces of servicing's machinery go when they are over their time; what waits or proves stays."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import jobs
from servicing.payments.tables import PayNotice
from servicing.tables import DayClose, DayPartition
from servicing.webhooks.tables import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)


@pytest.fixture(autouse=True)
def later(clock: FixedClock) -> None:
    """Let it be a day on which retention holds."""
    clock.advance(timedelta(days=300))


def counts(runtime: Runtime, *models: Any) -> list[int]:
    with runtime.database.read() as session:
        return [session.scalar(select(func.count()).select_from(model)) or 0 for model in models]


@pytest.fixture
def news(runtime: Runtime, book: Any, clock: FixedClock) -> datetime:
    """Two pieces of news for a partner: the first was delivered, the second waits."""
    now = clock.now()
    with runtime.database.write() as session:
        customer_id = book.customer(session)
        endpoint = WebhookEndpoint(
            partner="p", sees_whole_book=True, url="https://partner.example/", secret_enc="x",
            kinds=[], state="active", created_at=now,
        )  # fmt: skip
        events = [
            WebhookEvent(kind="loan.changed", customer_id=customer_id, is_of_customer=False,
                         partner="p", content={}, happened_at=now)
            for _ in range(2)
        ]  # fmt: skip
        session.add_all([endpoint, *events])
        session.flush()
        for event, delivered_at in zip(events, (now, None), strict=True):
            session.add(
                WebhookDelivery(
                    endpoint_id=endpoint.id,
                    event_id=event.id,
                    customer_id=customer_id,
                    next_try_at=now,
                    delivered_at=delivered_at,
                )
            )
        session.add(
            WebhookAttempt(
                endpoint_id=endpoint.id, event_id=events[0].id, at=now, status=200, took_ms=9
            )
        )
    return now


def test_attempts_then_deliveries_then_news_go_and_what_waits_stays(
    news: datetime, runtime: Runtime, clock: FixedClock
) -> None:
    models = (WebhookAttempt, WebhookDelivery, WebhookEvent)
    for days, left in ((89, [1, 2, 2]), (91, [0, 2, 2]), (399, [0, 2, 2]), (401, [0, 1, 1])):
        clock.advance(news + timedelta(days=days) - clock.now())
        jobs.forget_old(runtime)
        assert counts(runtime, *models) == left


def test_notifies_and_ranges_of_days_go_and_days_stay(runtime: Runtime, clock: FixedClock) -> None:
    now = clock.now()
    with runtime.database.write() as session:
        session.add(
            PayNotice(notice_id="n", event_type="REFUND.SUCCESS", reference="RF1", first_at=now,
                      last_at=now, times=1)
        )  # fmt: skip
        session.add(DayClose(on=now.date(), counts={}, started_at=now, finished_at=now))
        session.flush()
        session.add_all(
            DayPartition(on=now.date(), n=n, first_id=1, last_id=9, finished_at=finished_at)
            for n, finished_at in ((1, now), (2, None))
        )
    clock.advance(timedelta(days=402))
    jobs.forget_old(runtime)
    assert counts(runtime, PayNotice, DayPartition, DayClose) == [0, 1, 1]
