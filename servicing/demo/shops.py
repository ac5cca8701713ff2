"""Applications of today and of some weeks ago, and what was bought of the newer products.

Who visits has paid off a loan of the former book. Everybody goes the whole way: submitted, asked
about, decided by machine, looked at by a person where it comes to that, bought and paid.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date
from servicing import operations
from servicing.demo.judging import REVIEWER
from servicing.demo.rows import SHOP
from servicing.demo.stage import Stage
from servicing.demo.stories import Chapter, Story
from servicing.model import MACHINE, SECOND_PERSON_ABOVE_FEN, ApplicationState
from servicing.queries.subsidies import merchant_subsidies
from servicing.tables import Application, Loan

AUTHOR: Final = "analyst"
_FILE: Final = Path(__file__).with_name("products.json")
_PAID_OFF: Final = Chapter(due_in=6, paid=6, left=0)
_MONTH_DAYS: Final = 30
# So long ago were the declines that applicants ask a person to look at again.
_RECENT_DAYS: Final = 300

Play = Callable[[Stage, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody who paid a loan off and comes again."""

    note: str
    play: Play

    @property
    def story(self) -> Story:
        """The borrower, as stories are told."""
        return Story(note=self.note, chapters=(_PAID_OFF,), is_sound=True)


def sold_codes() -> tuple[str, ...]:
    """Name what the house sells beside its standard product."""
    return tuple(document["code"] for document in _documents())


def publish_products(session: Session, *, now: datetime) -> None:
    """Sell the newer products, as of an instant."""
    named: dict[str, Any] = {"now": now}
    for document in _documents():
        asked = named | {"code": document["code"]}
        asked["version"] = operations.draft_product(
            session, document=document, author=AUTHOR, note="", **named
        )
        operations.try_product(session, **asked, by=AUTHOR)
        operations.approve_product(session, **asked, by=REVIEWER, effective_on=business_date(now))


def _documents() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def play_visits(stage: Stage, first_id: int, last_id: int) -> None:
    """Play the visits of who is there; theirs are the ids from the first on."""
    for customer_id, visit in enumerate(VISITS, first_id):
        if customer_id <= last_id:
            visit.play(stage, customer_id)
    _appeal(stage)
    operations.age_loans(stage.session, on=stage.on, now=stage.now)
    _pay_subsidies(stage)


def _buys(
    product: str, *, amount_fen: int, days: int, goods: str = "手机", terms: int = 6
) -> Callable[[Stage, int], Loan]:
    def play(stage: Stage, customer_id: int) -> Loan:
        what = {"amount_fen": amount_fen, "terms": terms, "goods": goods}
        loan = stage.bought(customer_id, days=days, product=product, **what)
        stage.pay_on_time(loan)
        return loan

    return play


def _draws_the_next_part(stage: Stage, customer_id: int) -> None:
    buys = _buys("in-parts", amount_fen=300_000, days=70, goods="厨房装修", terms=12)
    loan = buys(stage, customer_id)
    stage.act(loan, "draw", amount_fen=loan.undrawn_fen // 2)


def _asks(**what: Any) -> Play:
    return lambda stage, customer_id: stage.apply(customer_id, amount_fen=280_000, **what)


def _withdraws(stage: Stage, customer_id: int) -> None:
    application = stage.apply(customer_id, amount_fen=200_000, days=1)
    if application.state != ApplicationState.DECLINED:
        later = stage.at(1) + timedelta(hours=2)
        operations.cancel_application(stage.session, application_id=application.id, now=later)


def _asks_too_much(stage: Stage, customer_id: int) -> None:
    stage.apply(customer_id, amount_fen=980_000, terms=24, goods="笔记本电脑")


def _asks_for_better_terms(stage: Stage, customer_id: int) -> None:
    application = stage.apply(customer_id, amount_fen=220_000, days=1)
    if application.state == ApplicationState.APPROVED:
        operations.appeal_application(stage.session, application_id=application.id, now=stage.now)


def _appeal(stage: Stage) -> None:
    """Let four who were declined ask for a person: overturned, upheld, in hand, and waiting."""
    declined = _declined(stage)
    for application, days, approve in zip(declined[2:], (25, 40), (True, False), strict=False):
        asked_at = stage.at(days)
        _ask_for_a_person(stage, application, asked_at)
        at = asked_at + timedelta(hours=3)
        reason = "documents-verified" if approve else "beyond-means"
        stage.review(application, approve=approve, reason=reason, at=at)
        if approve:
            stage.buy(application, at=at + timedelta(hours=1))
    for n, application in enumerate(declined[:2]):
        _ask_for_a_person(stage, application, stage.now - timedelta(hours=5))
        if n:
            operations.take_review(
                stage.session, application_id=application.id, by=REVIEWER, now=stage.now
            )


def _ask_for_a_person(stage: Stage, application: Application, at: datetime) -> None:
    operations.appeal_application(stage.session, application_id=application.id, now=at)


def _declined(stage: Stage) -> list[Application]:
    """List whom the machine declined within the year but not lately, the last first."""
    newest, oldest = stage.at(_MONTH_DAYS * 2), stage.at(_RECENT_DAYS)
    found = (
        select(Application)
        .where(
            Application.state == ApplicationState.DECLINED,
            Application.decided_by == MACHINE,
            Application.channel == SHOP,
            Application.decided_at.between(oldest, newest),
            Application.amount_fen <= SECOND_PERSON_ABOVE_FEN,
        )
        .order_by(Application.decided_at.desc())
        .limit(4)
    )
    return list(stage.session.scalars(found))


def _pay_subsidies(stage: Stage) -> None:
    """Let each merchant pay half of what it owes for its interest-free sales."""
    for merchant in merchant_subsidies(stage.session):
        if merchant.owed_fen > 1:
            operations.collect_subsidy(
                stage.session,
                merchant_name=merchant.merchant_name,
                amount_fen=merchant.owed_fen // 2,
                on=stage.on,
                key=f"demo/subsidy/{merchant.merchant_name}",
                actor=REVIEWER,
                now=stage.now,
            )


VISITS: Final = (
    Visit(
        note="买了免息分期", play=_buys("interest-free", amount_fen=240_000, days=75, goods="手机")
    ),
    Visit(
        note="买了等本等息分期", play=_buys("flat-fee", amount_fen=180_000, days=100, goods="平板")
    ),
    Visit(note="双周付", play=_buys("two-weekly", amount_fen=130_000, days=50, goods="手机")),
    Visit(note="买了装修分次放款", play=_draws_the_next_part),
    Visit(note="今天申请了手机分期", play=_asks()),
    Visit(note="申请后撤回", play=_withdraws),
    Visit(note="申请时征信未返回", play=_asks(silent=frozenset({"bureau"}))),
    Visit(note="今天申请了大额分期", play=_asks_too_much),
    Visit(note="昨天申请了手机分期", play=_asks_for_better_terms),
)
