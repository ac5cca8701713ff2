"""Whoever was approved and priced by machine may have a person look; it never gets worse."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from verdicts import Verdict

from kernel.database import Database
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.model import ApplicationStateRefused
from servicing.operations import AmountNotBetter, LineExhausted, PriceNotBetter, ReviewTaken
from servicing.operations.applications import terms
from servicing.products import STANDARD, Product
from servicing.queries import ReviewKind

LINE_FEN = 500_000


def approved(session: Session, book: Any, **given: Any) -> int:
    application_id: int = book.application(session, **given)
    decision = Verdict("approve", line_fen=LINE_FEN)
    operations.decide_application(
        session, application_id=application_id, decision=decision, now=book.now
    )
    return application_id


def appeal(session: Session, application_id: int, now: Any) -> str:
    return operations.appeal_application(session, application_id=application_id, now=now)


def answer(session: Session, application_id: int, amount_fen: int, now: Any) -> None:
    operations.review_terms(
        session, application_id=application_id, amount_fen=amount_fen, by="lin", now=now
    )


def detail(session: Session, application_id: int) -> queries.ApplicationDetail:
    found = queries.application_of(session, application_id=application_id)
    assert found is not None
    return found


def test_an_approval_stands_while_it_is_looked_at(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id = approved(session, book)
        before = detail(session, application_id)
        later = book.now + timedelta(hours=1)
        for at in (later, later + timedelta(hours=1)):
            assert appeal(session, application_id, at) == "approved"
        assert detail(session, application_id) == before
        review = queries.review_of(session, application_id=application_id)
        assert review is not None
        assert (review.kind, review.due_at) == (ReviewKind.TERMS, later + timedelta(days=1))
        assert [one.id for one in queries.reviews_of_terms(session, limit=9)] == [application_id]
        machine = queries.machine_share(session, until=later.date(), days=30)
        assert (machine.appealed, machine.overturned) == (1, 0)


def test_a_person_confirms_once_and_the_applicant_is_told(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id = approved(session, book)
        was = detail(session, application_id).amount_fen
        appeal(session, application_id, book.now)
        answer(session, application_id, was, book.now)
        assert detail(session, application_id).amount_fen == was
        (told,) = session.scalars(select(OutboxRow).filter_by(event="TermsReviewed"))
        assert (told.payload["was_fen"], told.payload["amount_fen"]) == (was, was)
        assert queries.reviews_of_terms(session, limit=9) == ()
        with pytest.raises(ApplicationStateRefused):
            answer(session, application_id, was, book.now)
        with pytest.raises(ApplicationStateRefused):
            appeal(session, application_id, book.now)


def test_a_person_approves_more_as_far_as_the_line_goes(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id = approved(session, book, amount_fen=300_000)
        appeal(session, application_id, book.now)
        customer_id = detail(session, application_id).customer_id
        for wrong in (299_999, 900_000):
            with pytest.raises(AmountNotBetter):
                answer(session, application_id, wrong, book.now)
        with pytest.raises(LineExhausted):
            answer(session, application_id, LINE_FEN + 1, book.now)
        answer(session, application_id, LINE_FEN, book.now)
        (line,) = queries.lines_of(session, customer_id=customer_id)
        assert (line.held_fen, line.available_fen) == (LINE_FEN, 0)
        assert detail(session, application_id).amount_fen == LINE_FEN
        operations.cancel_application(session, application_id=application_id, now=book.now)
        (line,) = queries.lines_of(session, customer_id=customer_id)
        assert line.available_fen == LINE_FEN


@pytest.fixture
def ranged(monkeypatch: pytest.MonkeyPatch) -> Product:
    """The standard product, as if strategies might set its price from 12 % a year on."""
    product = replace(STANDARD, rate_least=Decimal("0.12"))
    monkeypatch.setattr(terms, "product_version", lambda *_, **__: product)
    return product


@pytest.mark.parametrize(
    ("rate", "is_better"),
    [("0.18", True), ("0.12", True), ("0.119", False), ("0.22", False), ("0.216", True)],
)
def test_a_person_lowers_the_price_within_the_product(
    database: Database, book: Any, ranged: Product, rate: str, is_better: bool
) -> None:
    with database.write() as session:
        application_id = approved(session, book)
        appeal(session, application_id, book.now)
        asked = {"amount_fen": 300_000, "rate_annual": Decimal(rate), "by": "lin", "now": book.now}
        if not is_better:
            with pytest.raises(PriceNotBetter):
                operations.review_terms(session, application_id=application_id, **asked)
            return
        operations.review_terms(session, application_id=application_id, **asked)
        assert detail(session, application_id).rate_annual == Decimal(rate)
        (told,) = session.scalars(select(OutboxRow).filter_by(event="TermsReviewed"))
        assert told.payload["was_rate_annual"] == f"{ranged.rate_annual:.6f}"


def test_the_price_of_what_is_lent_stays(database: Database, book: Any, ranged: Product) -> None:
    with database.write() as session:
        application_id = approved(session, book)
        operations.lock_application(session, application_id=application_id).state = "booked"
        appeal(session, application_id, book.now)
        with pytest.raises(PriceNotBetter):
            operations.review_terms(
                session,
                application_id=application_id,
                amount_fen=300_000,
                rate_annual=ranged.price_range[0],
                by="lin",
                now=book.now,
            )


def test_what_is_lent_already_is_confirmed_only(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id = approved(session, book, amount_fen=300_000)
        operations.lock_application(session, application_id=application_id).state = "booked"
        assert appeal(session, application_id, book.now) == "booked"
        with pytest.raises(AmountNotBetter):
            answer(session, application_id, 400_000, book.now)
        answer(session, application_id, 300_000, book.now)


def test_what_a_person_decided_is_not_looked_at_again(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id: int = book.application(session)
        operations.decide_application(
            session, application_id=application_id, decision=Verdict("review"), now=book.now
        )
        operations.review_application(
            session,
            application_id=application_id,
            approve=True,
            reasons=["good-record"],
            decided_by="lin",
            now=book.now,
        )
        with pytest.raises(ApplicationStateRefused):
            appeal(session, application_id, book.now)


def test_what_is_withdrawn_waits_for_nobody(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id = approved(session, book)
        appeal(session, application_id, book.now)
        operations.cancel_application(session, application_id=application_id, now=book.now)
        assert queries.reviews_of_terms(session, limit=9) == ()
        assert queries.overdue_reviews(session, now=book.now + timedelta(days=2)) == 0


def test_one_in_hand_is_nobody_elses(database: Database, book: Any) -> None:
    with database.write() as session:
        application_id = approved(session, book)
        appeal(session, application_id, book.now)
        operations.take_review(session, application_id=application_id, by="chen", now=book.now)
        with pytest.raises(ReviewTaken):
            answer(session, application_id, LINE_FEN, book.now)


def test_an_overdue_review_is_put_before_staff_once(database: Database, book: Any) -> None:
    due = book.now + timedelta(days=1)
    with database.write() as session:
        appeal(session, approved(session, book), book.now)
        left = book.application(session)
        operations.decide_application(
            session, application_id=left, decision=Verdict("review"), now=book.now
        )
        found = [
            operations.alert_overdue_reviews(session, now=at)
            for at in (due - timedelta(seconds=1), due, due + timedelta(days=1))
        ]
    assert found == [0, 2, 0]
