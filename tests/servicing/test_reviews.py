"""People review: one at a time, never their own entry, in time, and risk learns from it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from verdicts import Verdict

from kernel.database import Database
from risk.lifecycle.tables import RiskFact
from risk.tables import RiskListEntry
from servicing import operations, queries
from servicing.model import ApplicationStateRefused
from servicing.operations import OwnApplication, ReviewTaken


def left_to_people(session: Session, book: Any, **given: Any) -> int:
    application_id: int = book.application(session, **given)
    operations.decide_application(
        session,
        application_id=application_id,
        decision=Verdict("review", "slips"),
        now=book.now,
    )
    return application_id


def take(session: Session, application_id: int, by: str, now: Any) -> Any:
    return operations.take_review(session, application_id=application_id, by=by, now=now)


def assign(session: Session, application_id: int, to: str | None, now: Any) -> Any:
    return operations.assign_review(session, application_id=application_id, to=to, now=now)


def review(session: Session, application_id: int, by: str, now: Any, **given: Any) -> str:
    values = {"approve": False, "reasons": ["unverified"]} | given
    return operations.review_application(
        session, application_id=application_id, decided_by=by, now=now, **values
    )


class TestTaking:
    def test_keeps_others_away_until_it_ends(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book)
            until = take(session, application_id, "lin", book.now)
            assert until == book.now + timedelta(minutes=30)
            for act in (take, review):
                with pytest.raises(ReviewTaken):
                    act(session, application_id, "chen", book.now)
            assert take(session, application_id, "chen", until) == until + timedelta(minutes=30)
            with pytest.raises(ReviewTaken):
                review(session, application_id, "lin", until)
            assert review(session, application_id, "chen", until) == "declined"

    def test_can_be_given_back(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book)
            take(session, application_id, "lin", book.now)
            given = {"application_id": application_id}
            assert not operations.release_review(session, by="chen", **given)
            assert operations.release_review(session, by="lin", **given)
            take(session, application_id, "chen", book.now)
            (view,) = queries.reviews_of(session, application_ids=[application_id]).values()
        assert view.holder(book.now) == "chen"
        assert view.holder(book.now + timedelta(minutes=30)) is None

    def test_of_what_is_not_in_review_is_refused(self, database: Database, book: Any) -> None:
        with database.write() as session, pytest.raises(ApplicationStateRefused):
            take(session, book.application(session), "lin", book.now)

    def test_is_not_for_whoever_entered_it(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book, attributes={"entered_by": "lin"})
            for act in (take, review):
                with pytest.raises(OwnApplication):
                    act(session, application_id, "lin", book.now)
            assert review(session, application_id, "chen", book.now) == "declined"


class TestAssigning:
    def test_moves_the_lock_to_whom_the_lead_names(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book)
            take(session, application_id, "lin", book.now)
            until = assign(session, application_id, "chen", book.now)
            assert until == book.now + timedelta(days=1)  # the deadline of the review
            with pytest.raises(ReviewTaken):
                review(session, application_id, "lin", book.now)
            later = book.now + timedelta(hours=3)
            with pytest.raises(ReviewTaken):
                take(session, application_id, "lin", later)
            assert take(session, application_id, "chen", later) == until  # not cut to half an hour
            assert assign(session, application_id, "zhao", later) == until
            with pytest.raises(ReviewTaken):
                review(session, application_id, "chen", later)
            assert review(session, application_id, "zhao", later) == "declined"

    def test_gives_back_to_the_queue(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book)
            assign(session, application_id, "chen", book.now)
            assert assign(session, application_id, None, book.now) is None
            assert review(session, application_id, "lin", book.now) == "declined"

    def test_of_what_is_late_lasts_half_an_hour(self, database: Database, book: Any) -> None:
        late = book.now + timedelta(days=2)
        with database.write() as session:
            application_id = left_to_people(session, book)
            assert assign(session, application_id, "chen", late) == late + timedelta(minutes=30)

    def test_is_not_for_whoever_entered_it_or_what_is_decided(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book, attributes={"entered_by": "lin"})
            take(session, application_id, "chen", book.now)
            with pytest.raises(OwnApplication):
                assign(session, application_id, "lin", book.now)
            review(session, application_id, "chen", book.now)
            with pytest.raises(ApplicationStateRefused):
                assign(session, application_id, "zhao", book.now)


class TestDeadline:
    def test_is_a_day_and_an_appeal_has_its_own(self, database: Database, book: Any) -> None:
        later = book.now + timedelta(days=3)
        with database.write() as session:
            first = left_to_people(session, book)
            second = book.application(session)
            operations.decide_application(
                session, application_id=second, decision=Verdict("decline", "slips"), now=book.now
            )
            operations.appeal_application(session, application_id=second, now=later)
            due = queries.reviews_of(session, application_ids=[first, second])
            assert due[first].due_at == book.now + timedelta(days=1)
            assert due[second].due_at == later + timedelta(days=1)
            assert queries.overdue_reviews(session, now=later) == 1
            review(session, first, "lin", later)
            assert queries.overdue_reviews(session, now=later) == 0


class TestFeedback:
    def test_becomes_a_label_once(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book)
            review(session, application_id, "lin", book.now)
            (fact,) = session.scalars(select(RiskFact)).all()
            assert session.scalars(select(RiskListEntry)).all() == []
        assert (fact.subject, fact.kind) == ("customer:1", "label.review")
        assert fact.attributes["outcome"] == "declined"
        assert fact.attributes["reasons"] == ["unverified"]

    def test_puts_an_identity_on_the_list_for_a_year(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = left_to_people(session, book)
            review(session, application_id, "lin", book.now, is_blocked=True)
            (entry,) = session.scalars(select(RiskListEntry)).all()
            number = queries.application_of(session, application_id=application_id)
        assert number is not None
        assert (entry.list_name, entry.reason) == ("own-blocked", "unverified")
        assert entry.source == f"review:{number.application_no}"
        assert entry.expires_on is not None
        assert (entry.expires_on - entry.added_on).days == 365

    def test_an_approval_questions_the_entry_that_led_to_the_decline(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            blocked = left_to_people(session, book)
            review(session, blocked, "lin", book.now, is_blocked=True)
            again = left_to_people(session, book, customer_id=1)
            review(session, again, "chen", book.now, approve=True, reasons=["verified"])
            (entry,) = session.scalars(select(RiskListEntry)).all()
            assert entry.appeal == "open"
            assert entry.expires_on is not None  # it counts until those who keep the list decide
