"""The demo house: opened two years ago, it has lent, decided and been paid ever since.

A composition root for `fenqi seed` and `fenqi up`: it gives servicing's made-up book the machine
that decides by the house's own strategy. Nobody in it exists, and nothing in production imports it.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from sqlalchemy.orm import Session

from cli.risk import HOUSE_CASES, HOUSE_STRATEGY, publish_tested
from kernel.clock import business_date, start_of_day
from kernel.runtime import Runtime
from risk.decisions.listed import make_list
from risk.decisions.past import PastDecide
from risk.features.catalogue import read_catalogue
from risk.ports import Subsystems
from risk.strategy.lists import MATCHES, STATUTORY_LISTS, ListKind, ListTerms
from risk.strategy.statutory import with_statutory
from servicing.demo.book import LOOK_BACK_DAYS, Seeded, seed_demo
from servicing.demo.judging import REVIEWER, Desk
from servicing.demo.playing import MORE_STORIES, play
from servicing.demo.shops import AUTHOR, publish_products, sold_codes
from servicing.demo.stage import Stage
from servicing.operations import publish_house_products, publish_later_house_products
from servicing.products import STANDARD

_OPENED_BY: Final = timedelta(hours=8)
_BEFORE_ALL: Final = timedelta(days=LOOK_BACK_DAYS + 10)


def opened_at(now: datetime) -> datetime:
    """Say when a demo house opened whose present is now."""
    return start_of_day(business_date(now - _BEFORE_ALL)) + _OPENED_BY


def write_demo(runtime: Runtime, *, customers: int, seed: int, now: datetime) -> Seeded:
    """Open the house and write its book into an empty database.

    Args:
        runtime: Of the process.
        customers: How many people.
        seed: Of all randomness but that of encryption.
        now: The present instant; history ends on its business date.
    """
    with runtime.database.write() as session:
        machine = open_house(session, now, random_seed=seed)
        desk = Desk(machine=machine, subsystems=runtime.get(Subsystems).each, cipher=runtime.cipher)
        seeded = seed_demo(
            session,
            runtime.cipher,
            customers=customers,
            seed=seed,
            now=now,
            desk=desk,
            more=MORE_STORIES,
        )
        stage = Stage(
            session=session, cipher=runtime.cipher, desk=desk, credit=seeded.credit, now=now
        )
        play(stage, customers=customers, fee_rate=Decimal(runtime.settings.pay_fee_rate))
        publish_later_house_products(session, now=now)  # what was lent keeps the first version
    return seeded


def open_house(session: Session, now: datetime, *, random_seed: int) -> PastDecide:
    """Publish what a house sells and decides by, as of its first day; returns what decides."""
    at = opened_at(now)
    publish_house_products(session, now=at, first_alone=True)
    publish_products(session, now=at)
    for name in STATUTORY_LISTS:
        terms = ListTerms(title=name, kind=ListKind.TEXT, match=MATCHES[ListKind.TEXT][0])
        make_list(session, name=name, now=at, terms=terms)
    publish_tested(
        session,
        with_statutory(_house_strategy(at)),
        json.loads(HOUSE_CASES.read_text(encoding="utf-8")),
        read_catalogue(),
        author=AUTHOR,
        approver=REVIEWER,
        now=at,
    )
    return PastDecide(
        session,
        read_catalogue(),
        on=business_date(at),
        random=Random(f"decisions/{random_seed}"),  # noqa: S311 -- made-up decisions are no secret
    )


def _house_strategy(at: datetime) -> dict[str, Any]:
    """Return the house's strategy from a day on; all that is sold is decided as the standard is."""
    document: dict[str, Any] = json.loads(HOUSE_STRATEGY.read_text(encoding="utf-8"))
    by_product = {each["product"]: each for each in document["products"]}
    more = [by_product[STANDARD.code] | {"product": code} for code in sold_codes()]
    products = [*document["products"], *more]
    return document | {"effective_from": business_date(at).isoformat(), "products": products}
