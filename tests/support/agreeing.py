"""A borrower who confirms what a change costs, so that tests may let it happen."""

from collections.abc import Callable
from typing import Any

from kernel.errors import FenqiError
from servicing import operations
from servicing.engine.events import Event


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
