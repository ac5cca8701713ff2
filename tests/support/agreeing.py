"""A borrower who confirms what a loan or a change costs, so that tests may let it happen."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kernel.errors import FenqiError
from servicing import operations
from servicing.engine.events import Event


def confirm_terms(session: Any, terms: operations.LoanTerms, *, now: datetime) -> int:
    """Confirm the cost table of a loan to be booked; returns the record's number."""
    content = operations.cost_table(
        principal_fen=terms.principal_fen,
        rate_annual=terms.rate_annual,
        terms=terms.terms,
        disbursed_on=terms.disbursed_on,
        product=terms.product,
    )
    return operations.confirm_cost(
        session, customer_id=terms.customer_id, content=content, seconds_shown=12, now=now
    )


def confirm(session: Any, event: Event, by: dict[str, Any]) -> int:
    """Confirm the cost table of just this event; returns the record's number."""
    loan_id = by["loan_id"]
    return operations.confirm_cost(
        session,
        customer_id=operations.lock_loan(session, loan_id=loan_id).customer_id,
        content=operations.change_table(session, loan_id=loan_id, event=event),
        seconds_shown=9,
        now=by["now"],
    )


def agree(
    session: Any,
    build: Callable[..., Event],
    do: Callable[..., int],
    asked: dict[str, Any],
    by: dict[str, Any],
) -> int:
    """Let a change happen whose cost table was confirmed; returns the event's number.

    Args:
        session: A write session.
        build: The change's rule, such as `operations.extension`.
        do: Its request, such as `operations.extend`.
        asked: What is asked for.
        by: What every request says.
    """
    try:
        event = build(session, loan_id=by["loan_id"], on=by["on"], **asked)
        disclosure_id = confirm(session, event, by)
    except FenqiError:  # by a rule, or by the key's first use: the request itself says so
        return do(session, **asked, **by)
    return do(session, **asked, **by, disclosure_id=disclosure_id)
