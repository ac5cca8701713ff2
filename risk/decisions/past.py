"""Decides what was asked on past days, by what a house had in force: for books that are made up.

The same engine, snapshots and records as of the service; only the clock is given with each
question. Nothing is on disk before `keep`. Applicants' vectors, link counters and challengers are
not looked up: what a made-up day knew of them nobody stored.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from random import Random
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.clock import business_date
from risk.decisions.engine import Case, decide, serve
from risk.decisions.house import HouseDecision, asked_of, read_answer
from risk.decisions.listed import lists_on
from risk.decisions.strategies import published, strategies_in_force
from risk.decisions.vectors import Known
from risk.decisions.writing import HOUSE, Entry, Row, store_within
from risk.features.catalogue import Catalogue

_RANDOM_BYTES: Final = 8


class PastDecide:
    """Decides by what was in force on a day, as of any instant since.

    Args:
        session: Reads what was in force.
        catalogue: Of dimensions.
        on: The day.
        random: Numbers the decisions.
    """

    def __init__(self, session: Session, catalogue: Catalogue, *, on: date, random: Random) -> None:
        found = [
            published(session, view, catalogue, on=on)
            for view in strategies_in_force(session, on=on)
        ]
        self._served = {
            product: serve(each, catalogue, product=product)
            for each in found
            for product in each.strategy.products
        }
        self._lists = lists_on(session, on=on)
        self._random = random
        self._made: list[Entry] = []

    def __call__(
        self, *, key: str, subject: str, product: str, values: Mapping[str, Any], at: datetime
    ) -> HouseDecision:
        """Decide under a key that was never used, as of an instant."""
        asked = asked_of(subject=subject, product=product, values=values, links={})
        served = self._served[product]
        case = Case(
            id=f"D{business_date(at):%Y%m%d}{self._random.randbytes(_RANDOM_BYTES).hex().upper()}",
            asked=asked,
            known=Known(vector=None, links=()),
            lists=self._lists,
            now=at,
        )
        verdict = decide(served, case)
        row = Row(
            decided_on=business_date(at),
            id=case.id,
            caller_id=HOUSE,
            subject=subject,
            product=product,
            outcome=verdict.decision.outcome.name.lower(),
            strategy_hash=served.published.hash,
            snapshot=verdict.snapshot,
            answer=verdict.answer,
            decided_at=at,
        )
        said = hashlib.sha256(key.encode()).hexdigest()
        self._made.append(
            Entry(caller_id=HOUSE, key=key, payload_hash=said, asked=(asked,), rows=(row,))
        )
        return read_answer(verdict.answer)

    def keep(self, session: Session) -> None:
        """Store what was decided since the last time, with the caller's transaction."""
        store_within(session, self._made)
        self._made = []
