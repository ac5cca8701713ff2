"""How long servicing keeps traces of its machinery, and what it asked outside about applicants.

Loans, events, entries, payments, refunds, bills, differences, consents and documents are proof and
stay. Deliveries go before the news that they refer to.
"""

from datetime import date
from typing import Final

from sqlalchemy import exists

from kernel.retention import Kept
from servicing.payments.tables import PayNotice
from servicing.tables import ApplicationEvidence, DayPartition
from servicing.webhooks.tables import WebhookAttempt, WebhookDelivery, WebhookEvent

_FROM: Final = date(2026, 11, 26)

KEPT: Final = (
    Kept(
        model=WebhookAttempt,
        since=WebhookAttempt.at,
        days=90,
        from_on=_FROM,
        why="For finding out why a partner heard nothing.",
    ),
    Kept(
        model=WebhookDelivery,
        since=WebhookDelivery.delivered_at,
        only=WebhookDelivery.delivered_at.is_not(None),
        days=400,
        from_on=_FROM,
        why="What was delivered; a year for questions of partners. What waits stays.",
    ),
    Kept(
        model=WebhookEvent,
        since=WebhookEvent.happened_at,
        only=~exists().where(WebhookDelivery.event_id == WebhookEvent.id)
        & ~exists().where(WebhookAttempt.event_id == WebhookEvent.id),
        days=400,
        from_on=_FROM,
        why="Partners may have news replayed for a year; the facts stand in the book.",
    ),
    Kept(
        model=PayNotice,
        since=PayNotice.last_at,
        days=400,
        from_on=_FROM,
        why="That a notify came; payment and refund stand in the book, and on the bill.",
    ),
    Kept(
        model=DayPartition,
        since=DayPartition.on,
        only=DayPartition.finished_at.is_not(None),
        days=400,
        from_on=_FROM,
        why="Who closed which range of loans; the day's counts and failures stay.",
    ),
    Kept(
        model=ApplicationEvidence,
        since=ApplicationEvidence.settled_at,
        only=ApplicationEvidence.settled_at.is_not(None),
        days=1830,
        from_on=_FROM,
        why="征信业管理条例 art. 16: five years for what counts against a person; appeals need it.",
    ),
)
