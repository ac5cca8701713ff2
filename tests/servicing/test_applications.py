"""From an application to a booked loan on a line: who decides, what is held, what is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from verdicts import NUMBER, Verdict

from kernel.database import Database
from kernel.errors import FenqiError
from kernel.idempotency import KeyReused
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.engine.cost import CostAboveCap
from servicing.model import ApplicationStateRefused
from servicing.operations import CostNotConfirmed, LineExhausted, LineNotDrawable
from servicing.operations.lines import LineKnown, LineTooLarge, lock_line, raise_line
from servicing.products import STANDARD, OutsideProduct

ON = date(2026, 3, 10)


def _submit(session: Session, book: Any, **given: Any) -> int:
    values: dict[str, Any] = {
        "merchant_name": "宏达手机卖场",
        "merchandise": "手机",
        "amount_fen": 300_000,
        "terms": 12,
        "channel": "h5",
        "attributes": {"device": "d1"},
        "key": "a1",
        "now": book.now,
    }
    if "customer_id" not in given:
        given["customer_id"] = book.customer(session)
    return operations.submit_application(session, **values | given)


def _decide(session: Session, book: Any, application_id: int, outcome: str = "approve") -> str:
    return operations.decide_application(
        session,
        application_id=application_id,
        decision=Verdict(outcome, "short-history"),
        now=book.now,
    )


def _disclose(session: Session, book: Any, **given: Any) -> int:
    values = {"terms": 12, "rate_annual": STANDARD.rate_annual} | given
    terms = book.terms(session, customer_id=1, disbursed_on=ON, **values)
    return int(book.confirmed(session, terms))


def _snapshot(session: Session, application_id: int) -> dict[str, Any]:
    return queries.application_snapshot(session, application_id=application_id, on=ON)


def _appeal(session: Session, book: Any, application_id: int) -> str:
    return operations.appeal_application(session, application_id=application_id, now=book.now)


def _review(session: Session, book: Any, application_id: int, *, approve: bool) -> str:
    return operations.review_application(
        session,
        application_id=application_id,
        approve=approve,
        reasons=["income-seen"],
        decided_by="lin",
        now=book.now,
    )


def _book(session: Session, book: Any, application_id: int, disclosure_id: int, key: str) -> int:
    return operations.book_application(
        session,
        application_id=application_id,
        disclosure_id=disclosure_id,
        key=key,
        disbursed_on=ON,
        now=book.now,
    )


def _line(session: Session) -> queries.LineView:
    (line,) = queries.lines_of(session, customer_id=1)
    return line


class TestSubmit:
    def test_answers_the_same_key_with_the_same_application(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            first = _submit(session, book)
            assert _submit(session, book, customer_id=1) == first
            with pytest.raises(KeyReused):
                _submit(session, book, customer_id=1, amount_fen=400_000)

    @pytest.mark.parametrize("given", [{"amount_fen": 99_999}, {"terms": 7}])
    def test_refuses_what_is_not_on_offer(
        self, database: Database, book: Any, given: dict[str, int]
    ) -> None:
        with database.write() as session, pytest.raises(OutsideProduct):
            _submit(session, book, **given)


class TestDecide:
    def test_counts_the_others_of_the_same_device_and_wifi_lately(
        self, database: Database, book: Any
    ) -> None:
        shared = {"device": "d1", "wifi": "w1"}
        old = book.now - timedelta(days=40)
        with database.write() as session:
            _submit(session, book, key="a1", attributes=shared)
            _submit(session, book, key="a2", attributes={"device": "d2", "wifi": "w1"})
            _submit(session, book, key="a3", attributes=shared, now=old)
            mine = _submit(session, book, key="a4", attributes=shared)
            _submit(session, book, key="a5", attributes=shared, customer_id=4)
            bare = _submit(session, book, key="a6", attributes={"device": 7, "wifi": ""})
            snapshot = queries.application_snapshot(session, application_id=mine, on=ON)
            unknown = queries.application_snapshot(session, application_id=bare, on=ON)
        assert (snapshot["device_others_30d"], snapshot["wifi_others_30d"]) == (1, 2)
        assert not {"device_others_30d", "wifi_others_30d"} & unknown.keys()

    def test_says_what_is_granted_and_taken_on_an_open_line(
        self, database: Database, book: Any
    ) -> None:
        def line(application_id: int) -> tuple[int | None, int | None]:
            facts = _snapshot(session, application_id)
            return facts.get("line_granted_fen"), facts.get("line_used_fen")

        with database.write() as session:
            first = _submit(session, book)
            assert line(first) == (0, 0)
            _decide(session, book, first)
            assert line(first) == (300_000, 300_000)
            operations.cancel_application(session, application_id=first, now=book.now)
            assert line(first) == (300_000, 0)
            operations.freeze_line(session, line_id=1, reason="grade", now=book.now)
            assert line(first) == (None, None)

    def test_opens_a_line_as_large_as_the_strategy_says(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            operations.decide_application(
                session,
                application_id=_submit(session, book),
                decision=Verdict(line_fen=900_000),
                now=book.now,
            )
            line = _line(session)
        assert (line.granted_fen, line.held_fen, line.available_fen) == (900_000, 300_000, 600_000)

    def test_never_opens_a_line_below_the_amount(self, database: Database, book: Any) -> None:
        with database.write() as session:
            operations.decide_application(
                session,
                application_id=_submit(session, book),
                decision=Verdict(line_fen=100_000),
                now=book.now,
            )
            assert _line(session).granted_fen == 300_000

    def test_raises_the_line_of_a_repeat_buyer_as_far_as_the_strategy_says(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            _decide(session, book, _submit(session, book))
            second = _submit(session, book, customer_id=1, key="a2")
            verdict = Verdict(line_fen=800_000)
            state = operations.decide_application(
                session, application_id=second, decision=verdict, now=book.now
            )
            line = _line(session)
            told = session.scalars(select(OutboxRow.event)).all()
        assert state == "approved"
        assert (line.granted_fen, line.held_fen) == (800_000, 600_000)
        assert told.count("LineRaised") == 1

    def test_opens_the_first_line_and_holds_the_amount(self, database: Database, book: Any) -> None:
        with database.write() as session:
            assert _decide(session, book, _submit(session, book)) == "approved"
            line = _line(session)
        assert (line.granted_fen, line.held_fen, line.available_fen) == (300_000, 300_000, 0)

    def test_asks_a_person_when_the_line_has_too_little_left(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            _decide(session, book, _submit(session, book))
            second = _submit(session, book, customer_id=1, key="a2")
            assert _decide(session, book, second) == "in_review"
            found = queries.applications_of(session, customer_id=1)[0]
        assert found.reasons == ("short-history", "line-too-small")

    def test_decides_once(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            assert _decide(session, book, application_id, "decline") == "declined"
            assert _decide(session, book, application_id, "approve") == "declined"

    def test_keeps_why_and_by_which_strategy(self, database: Database, book: Any) -> None:
        with database.write() as session:
            _decide(session, book, _submit(session, book), "decline")
            (found,) = queries.applications_of(session, customer_id=1)
        assert (found.reasons, found.strategy_version, found.decided_by) == (
            ("short-history",),
            "house/1",
            "machine",
        )


class TestReview:
    def test_lets_a_person_approve(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id, "review")
            state = operations.review_application(
                session,
                application_id=application_id,
                approve=True,
                reasons=["income-seen"],
                decided_by="lin",
                now=book.now,
            )
            assert state == "approved"
            assert _line(session).held_fen == 300_000

    def test_refuses_what_the_machine_has_not_passed_on(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            with pytest.raises(ApplicationStateRefused):
                operations.review_application(
                    session,
                    application_id=application_id,
                    approve=True,
                    reasons=[],
                    decided_by="lin",
                    now=book.now,
                )

    def test_refuses_an_approval_beyond_the_line(self, database: Database, book: Any) -> None:
        with database.write() as session:
            _decide(session, book, _submit(session, book))
            second = _submit(session, book, customer_id=1, key="a2")
            _decide(session, book, second)
            with pytest.raises(LineExhausted):
                operations.review_application(
                    session,
                    application_id=second,
                    approve=True,
                    reasons=[],
                    decided_by="lin",
                    now=book.now,
                )


class TestAppeal:
    def test_brings_a_declined_application_before_a_person(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id, "decline")
            for _ in range(2):
                assert _appeal(session, book, application_id) == "in_review"
            (found,) = queries.applications_of(session, customer_id=1)
            told = session.scalars(select(OutboxRow.payload).order_by(OutboxRow.id)).all()
        assert found.reasons == ("short-history", "appealed")
        assert (found.decision_no, found.strategy_version) == (NUMBER, "house/1")
        assert [row["outcome"] for row in told if "outcome" in row] == ["declined", "in_review"]

    def test_ends_with_what_the_person_decides(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id, "decline")
            _appeal(session, book, application_id)
            assert _review(session, book, application_id, approve=True) == "approved"
            (found,) = queries.applications_of(session, customer_id=1)
            assert _line(session).held_fen == 300_000
        assert (found.decided_by, found.decision_no) == ("lin", NUMBER)

    def test_is_refused_once_a_person_has_declined(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id, "review")
            _review(session, book, application_id, approve=False)
            with pytest.raises(ApplicationStateRefused):
                _appeal(session, book, application_id)

    def test_is_refused_while_a_person_looks_already(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id, "review")
            with pytest.raises(ApplicationStateRefused):
                _appeal(session, book, application_id)


class TestCancel:
    def test_releases_what_was_held(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            operations.cancel_application(session, application_id=application_id, now=book.now)
            assert _line(session).available_fen == 300_000


class TestBook:
    def test_draws_what_was_held_and_gives_paid_principal_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            loan_id = _book(session, book, application_id, _disclose(session, book), "b1")
            assert (_line(session).held_fen, _line(session).utilised_fen) == (0, 300_000)
            (loan,) = queries.loans_of(session, customer_id=1, on=ON)
            assert loan.next is not None
            book.repay(session, loan_id, loan.next.total_fen, key="p1")
            assert _line(session).available_fen == loan.next.principal_fen
            assert operations.prove_books(session) == []

    def test_disburses_the_principal_in_full(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            loan_id = _book(session, book, application_id, _disclose(session, book), "b1")
            (entry,) = queries.entries_of(session, loan_id=loan_id)
        assert {leg.account: leg.amount_fen for leg in entry.postings} == {
            "loan-principal": 300_000,
            "funding-bank": -300_000,
        }

    def test_answers_the_same_key_and_refuses_a_second_loan(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            disclosure_id = _disclose(session, book)
            first = _book(session, book, application_id, disclosure_id, "b1")
            assert _book(session, book, application_id, disclosure_id, "b1") == first
            with pytest.raises(ApplicationStateRefused):
                _book(session, book, application_id, disclosure_id, "b2")

    def test_books_one_loan_when_two_phones_press_at_once(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            disclosure_id = _disclose(session, book)

        def press(n: int) -> bool:
            try:
                with database.write() as session:
                    _book(session, book, application_id, disclosure_id, f"b{n}")
            except FenqiError:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(press, range(4))) == 1
        with database.read() as session:
            assert len(queries.loans_of(session, customer_id=1, on=ON)) == 1

    def test_refuses_a_frozen_line(self, database: Database, book: Any) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            disclosure_id = _disclose(session, book)
            operations.freeze_line(session, line_id=1, reason="grade", now=book.now)
            with pytest.raises(LineNotDrawable):
                _book(session, book, application_id, disclosure_id, "b1")
            assert operations.lift_line_freeze(session, freeze_id=1, by="wang", now=book.now)
            assert not operations.lift_line_freeze(session, freeze_id=1, by="wang", now=book.now)

    @pytest.mark.parametrize("given", [{"terms": 6}, {"principal_fen": 300_100}])
    def test_refuses_a_cost_table_of_another_loan(
        self, database: Database, book: Any, given: dict[str, int]
    ) -> None:
        with database.write() as session:
            application_id = _submit(session, book)
            _decide(session, book, application_id)
            disclosure_id = _disclose(session, book, **given)
            with pytest.raises(CostNotConfirmed):
                _book(session, book, application_id, disclosure_id, "b1")

    def test_refuses_a_loan_above_the_cap(self, database: Database, book: Any) -> None:
        with database.write() as session:
            terms = book.terms(session)
            disclosure_id = book.confirmed(session, terms)
            dear = book.terms(session, customer_id=1, rate_annual=Decimal("0.2410"))
            with pytest.raises(CostAboveCap):
                operations.book_loan(
                    session, terms=dear, disclosure_id=disclosure_id, key="x", now=book.now
                )


class TestLines:
    def test_are_opened_once_for_a_funder(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            given = {"customer_id": customer_id, "funder": "own", "granted_fen": 1, "now": book.now}
            operations.open_line(session, **given)
            with pytest.raises(LineKnown):
                operations.open_line(session, **given)

    def test_are_never_above_the_statutory_bound(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            given = {"customer_id": customer_id, "funder": "own", "now": book.now}
            with pytest.raises(LineTooLarge):
                operations.open_line(session, granted_fen=20_000_001, **given)
            line_id = operations.open_line(session, granted_fen=20_000_000, **given)
            line = lock_line(session, line_id=line_id)
            with pytest.raises(LineTooLarge):
                raise_line(session, line, granted_fen=90_000_000, now=book.now)
            assert line.granted_fen == 20_000_000

    def test_freeze_once(self, database: Database, book: Any) -> None:
        with database.write() as session:
            operations.open_line(
                session,
                customer_id=book.customer(session),
                funder="own",
                granted_fen=1,
                now=book.now,
            )
            frozen = [
                operations.freeze_line(session, line_id=1, reason=reason, now=book.now)
                for reason in ("grade", "other")
            ]
            assert frozen == [True, False]
            assert _line(session).frozen_reason == "grade"
