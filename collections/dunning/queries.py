"""Whom a day's task is for and how to reach them, as one statement for contact to plan from."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Date, Integer, Select, String, and_, case, func, literal, null, select

from contact.ports import ADDRESS_KIND, Purpose
from contact.queries import active_addresses, planned_select
from dunning.model import REMINDERS, Task
from kernel.database import Instant
from servicing.queries import due_select


def recipients(task: Task, *, versions: Mapping[tuple[str, str, str], int]) -> Select[Any]:
    """Select the contacts of a task in the columns that `contact.operations.plan_contacts` takes.

    Meant is who has an instalment due on just the task's day and nothing older that is late, has
    an address on one of the step's channels, and was not planned a reminder for the day before.

    Args:
        task: A step on a business date.
        versions: The template versions to bind: code, channel and purpose → version.
    """
    step = task.step
    dues = due_select(on=task.on, until=task.due_on, purpose=step.purpose).subquery("dues")
    planned = planned_select(day=task.on, purposes=REMINDERS).subquery("planned")
    ways = [(channel, active_addresses().subquery(f"by_{channel}")) for channel in step.channels]
    reached = [(addresses.c.address_id.is_not(None), channel) for channel, addresses in ways]
    address_id = func.coalesce(*(addresses.c.address_id for _, addresses in ways), null())
    query = select(
        dues.c.customer_id,
        address_id.label("address_id"),
        case(*((has, literal(str(channel), String)) for has, channel in reached)).label("channel"),
        literal(str(step.purpose), String).label("purpose"),
        literal(task.on, Date).label("day"),
        literal(step.template, String).label("template_code"),
        case(
            *(
                (has, literal(versions[step.template, channel, step.purpose], Integer))
                for has, channel in reached
            )
        ).label("template_version"),
        literal(task.not_before, Instant).label("not_before"),
        literal(task.expires_at, Instant).label("expires_at"),
        literal(_facts(task), String).label("facts"),
    )
    for channel, addresses in ways:
        is_theirs = addresses.c.customer_id == dues.c.customer_id
        query = query.outerjoin_from(
            dues, addresses, and_(is_theirs, addresses.c.channel_kind == ADDRESS_KIND[channel])
        )
    return query.where(
        dues.c.last_due_on == task.due_on,
        dues.c.first_due_on >= task.spared_before,
        address_id.is_not(None),
        ~select(planned).where(planned.c.customer_id == dues.c.customer_id).exists(),
    )


def _facts(task: Task) -> str:
    """Say which debts a reminder is about: up to its due date; a collection is about all late."""
    is_ahead = task.step.purpose is Purpose.SERVICE_REMINDER
    return json.dumps({"due_on": task.due_on.isoformat()} if is_ahead else {})
