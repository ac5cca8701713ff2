"""Plays what happens in a made-up house beyond lending and paying, on the day that is its present.

What it tells the areas above happened before anybody listened: none of it is told again.
"""

from decimal import Decimal
from typing import Final

from sqlalchemy import update

from kernel.outbox import OutboxRow
from servicing.demo.bills import bring_bills
from servicing.demo.scenes import SCENES, play_scenes
from servicing.demo.shops import VISITS, play_visits
from servicing.demo.stage import Stage
from servicing.demo.stories import STORIES

MORE_STORIES: Final = (
    *(scene.story for scene in SCENES),
    *(visit.story for visit in VISITS),
)


def play(stage: Stage, *, customers: int, fee_rate: Decimal) -> None:
    """Play every scene and visit whose borrower is there.

    Args:
        stage: The present day.
        customers: How many people there are.
        fee_rate: The share of a payment that the platform keeps.
    """
    first_id = len(STORIES) + 1
    play_scenes(stage, first_id, customers)
    play_visits(stage, first_id + len(SCENES), customers)
    bring_bills(stage.session, on=stage.on, fee_rate=fee_rate, now=stage.now)
    stage.desk.machine.keep(stage.session)
    stage.session.execute(
        update(OutboxRow).where(OutboxRow.relayed_at.is_(None)).values(relayed_at=stage.now)
    )
