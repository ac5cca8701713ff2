"""Planning a day's reminders, and stopping them when there is nothing left to remind of."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.orm import Session

from contact.operations import plan_contacts, withdraw
from contact.ports import Hold, Holds, Purpose, StillDue
from contact.queries import template_versions
from dunning.book import house_strategy
from dunning.model import REMINDERS, Strategy, StrategyNotReadable, check_templates
from dunning.queries import recipients
from kernel.clock import business_date

__all__ = ["StrategyNotReadable", "plan", "stop_reminders"]


def plan(
    session: Session, *, on: date, now: datetime, strategy: Strategy | None = None
) -> dict[str, int]:
    """Plan the reminders of a business date for the whole book; safe to repeat.

    Everybody gets at most one: who was planned a reminder for the day keeps it, whatever became
    of it. A step whose time is over is left out.

    Args:
        session: An open write session.
        on: The business date; a later one than today's knows nothing of payments until then.
        now: The instant of planning.
        strategy: The steps to plan by; None for the house's own.

    Returns:
        How many contacts each step planned, by its name.

    Raises:
        StrategyNotReadable: The strategy cannot be, or speaks of texts that are not in force.
    """
    strategy = strategy or house_strategy()
    versions = template_versions(session)
    check_templates(strategy, versions)
    counts = {step.name: 0 for step in strategy.steps}
    for task in strategy.tasks(on):
        if task.expires_at > now:
            wanted = recipients(task, versions=versions)
            counts[task.step.name] += plan_contacts(session, select=wanted, now=now)
    return counts


def stop_reminders(
    session: Session, *, customer_id: int, still_due: StillDue, holds: Holds, now: datetime
) -> int:
    """Take back a customer's reminders that wait, as far as there is no ground for them any more.

    It looks at what is owed and held now, not at what happened, so it may run at any time, late
    or twice; what it leaves the gate judges again at sending.

    Args:
        session: An open write session.
        customer_id: Whose reminders.
        still_due: Tells what is owed.
        holds: Tells whether the customer must be left alone.
        now: The instant of the look.

    Returns:
        How many contacts were withdrawn.
    """
    held = holds.held(session, customer_ids=[customer_id], at=now).get(customer_id, ())
    stopped = 0
    for purpose in REMINDERS:
        owed = still_due.debts(
            session, customer_ids=[customer_id], purpose=purpose, on=business_date(now)
        )
        if reason := _reason(purpose, owes=bool(owed.get(customer_id)), held=held):
            stopped += withdraw(
                session, customer_id=customer_id, purposes=[purpose], reason=reason, now=now
            )
    return stopped


def _reason(purpose: Purpose, *, owes: bool, held: Sequence[Hold]) -> str | None:
    """Say why there is no ground for reminders of a purpose, in the gate's words, or None."""
    if not owes:
        return "paid"
    return "hold" if any(hold.scope in ("all", purpose) for hold in held) else None
