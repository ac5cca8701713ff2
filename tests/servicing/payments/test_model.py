"""The state machines and the ladders of questions."""

from datetime import UTC, datetime, timedelta

import pytest

from servicing.payments.model import (
    IN_FLIGHT,
    ORDER_LIFETIME,
    OrderEvent,
    OrderState,
    RefundState,
    StepRefused,
    next_query_at,
    next_refund_try_at,
    order_after,
    refund_after,
)

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)


@pytest.mark.parametrize("state", [state for state in OrderState if state is not OrderState.PAID])
def test_money_that_arrived_pays_an_order_in_any_state(state: OrderState) -> None:
    assert order_after(state, OrderEvent.MONEY_ARRIVED) is OrderState.PAID


@pytest.mark.parametrize("event", list(OrderEvent))
def test_nothing_happens_to_a_paid_order(event: OrderEvent) -> None:
    with pytest.raises(StepRefused):
        order_after(OrderState.PAID, event)


@pytest.mark.parametrize("state", [OrderState.CLOSED, OrderState.FAILED])
def test_what_is_over_is_not_opened_again(state: OrderState) -> None:
    with pytest.raises(StepRefused):
        order_after(state, OrderEvent.REGISTERED)
    assert state not in IN_FLIGHT


@pytest.mark.parametrize("state", [RefundState.SUCCEEDED, RefundState.CLOSED])
@pytest.mark.parametrize("status", ["PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL"])
def test_a_refund_that_is_over_stays_as_it_is(state: RefundState, status: str) -> None:
    assert refund_after(state, status) is state


def test_an_unknown_refund_status_is_refused() -> None:
    with pytest.raises(StepRefused):
        refund_after(RefundState.PROCESSING, "MAYBE")


def test_questions_come_ever_more_rarely_and_once_at_the_expiry() -> None:
    expires_at = NOW + ORDER_LIFETIME
    at, gaps = NOW, []
    for asked in range(9):
        after = next_query_at(asked=asked, expires_at=expires_at, now=at)
        gaps.append(round((after - at).total_seconds()))
        at = after
    assert gaps == [30, 30, 60, 120, 300, 600, 600, 60, 600]
    assert NOW + timedelta(seconds=sum(gaps[:8])) == expires_at


def test_refunds_are_tried_ever_more_rarely() -> None:
    gaps = [next_refund_try_at(tried=n, now=NOW) - NOW for n in range(12)]
    assert gaps == sorted(gaps)
    assert gaps[0] == timedelta(seconds=30)
    assert gaps[-1] == timedelta(hours=3)
