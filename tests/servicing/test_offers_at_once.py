"""An offer that is taken by several at one instant happens once."""

from datetime import date
from functools import partial
from typing import Any

import pytest
from racing import together

from kernel.database import Database
from servicing import operations, queries
from servicing.offering import OfferKind
from servicing.tables import Offer

ON = date(2026, 2, 10)
UNTIL = date(2026, 2, 20)
_OF_LOANS: list[tuple[OfferKind, dict[str, Any], str]] = [
    (OfferKind.EXTENSION, {"extra_terms": 4}, "extra-terms"),
    (OfferKind.DUE_DAY, {"due_day": 15}, "moved-due-date"),
    (OfferKind.RETENTION, {"rate_annual": "0.12"}, "rate-change"),
]


def make(session: Any, book: Any, loan_id: int, kind: OfferKind, details: Any) -> int:
    return operations.make_offer(
        session, subject_id=loan_id, kind=kind, details=details, valid_until=UNTIL,
        reason="hardship", made_by="lin", on=ON, key="offer-key-0000001", now=book.now,
    )  # fmt: skip


def take(session: Any, book: Any, offer_id: int) -> str:
    return operations.accept_offer(
        session,
        offer_id=offer_id,
        customer_id=1,
        channel="wechat_h5",
        table_hash=session.get_one(Offer, offer_id).cost_table_hash,
        seconds_shown=9,
        on=ON,
        now=book.now,
    )


def state(session: Any, offer_id: int) -> str:
    return queries.offer_of(session, offer_id=offer_id, customer_id=1, on=ON).state


def owed(session: Any, loan_id: int) -> int:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON).remaining_fen


def kinds(session: Any, loan_id: int) -> list[str]:
    return [event.kind for event in queries.loan_events(session, loan_id=loan_id)]


class TestAtOnce:
    """Two phones, or a phone and a partner, do the same at one instant."""

    @pytest.mark.parametrize(("kind", "details", "event"), _OF_LOANS)
    def test_an_offer_that_is_accepted_by_several_happens_once(
        self, database: Database, book: Any, kind: OfferKind, details: Any, event: str
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            offer_id = make(session, book, loan_id, kind, details)

        def accept() -> str:
            with database.write() as session:
                return take(session, book, offer_id)

        assert together([accept] * 4) == (["fulfilled"] * 4, [])
        with database.write() as session:
            assert kinds(session, loan_id) == ["disbursement", event]
            assert len(queries.consents_of(session, customer_id=1)) == 1
            assert operations.prove_books(session) == []

    def test_who_accepts_and_who_declines_end_in_one_of_both(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            kind, details, event = _OF_LOANS[0]
            offer_id = make(session, book, loan_id, kind, details)

        def accept() -> str:
            with database.write() as session:
                return take(session, book, offer_id)

        def decline() -> str:
            with database.write() as session:
                operations.decline_offer(
                    session, offer_id=offer_id, customer_id=1, on=ON, now=book.now
                )
            return "declined"

        answers, errors = together([accept, decline])
        assert (len(answers), len(errors)) == (1, 1)
        with database.write() as session:
            done = ["disbursement", event] if answers == ["fulfilled"] else ["disbursement"]
            assert kinds(session, loan_id) == done
            assert state(session, offer_id) == answers[0]
            assert operations.prove_books(session) == []

    def test_two_parts_of_a_settlement_complete_it_once(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            offer_id = make(session, book, loan_id, OfferKind.SETTLEMENT, {"sum_fen": 200_000})

        def pay(part: int) -> None:
            with database.write() as session:
                book.repay(session, loan_id, 100_000, key=f"part-{part}", on=ON)

        _, errors = together([partial(pay, part) for part in range(2)])
        assert errors == []
        with database.write() as session:
            assert state(session, offer_id) == "fulfilled"
            assert owed(session, loan_id) == 0
            assert kinds(session, loan_id).count("repayment") == 2
            assert operations.prove_books(session) == []
