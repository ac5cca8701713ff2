"""Jobs run one operation each with what the root gave them."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from verdicts import Verdict

from kernel.clock import FixedClock, business_date
from kernel.runtime import Runtime
from servicing import jobs, operations, queries
from servicing.offering import OfferKind
from servicing.ports import Decide, GradeAccounts
from servicing.tables import DayClose


class TestDecideApplication:
    def test_asks_the_judge_that_was_given(self, runtime: Runtime, book: Any) -> None:
        runtime.provide(Decide, lambda **_given: Verdict())
        with runtime.database.write() as session:
            application_id = book.application(session)
        for _ in range(2):
            jobs.decide_application(runtime, application_id=application_id)
        with runtime.database.read() as session:
            (found,) = queries.applications_of(session, customer_id=1)
        assert (found.state, found.strategy_version) == ("approved", "house/1")

    def test_fails_without_a_judge_rather_than_approve(self, runtime: Runtime, book: Any) -> None:
        with runtime.database.write() as session:
            application_id = book.application(session)
        with pytest.raises(LookupError):
            jobs.decide_application(runtime, application_id=application_id)
        with runtime.database.read() as session:
            (found,) = queries.applications_of(session, customer_id=1)
        assert found.state == "submitted"


class TestEndWhatIsOver:
    def test_ends_offers_lines_and_holds_once(
        self, runtime: Runtime, book: Any, clock: FixedClock
    ) -> None:
        runtime.provide(Decide, lambda **_given: Verdict())
        now, on = runtime.clock.now(), business_date(runtime.clock.now())
        with runtime.database.write() as session:
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=500_000, now=now
            )
            operations.renew_line(
                session, line_id=line_id, expires_on=on, actor="lin", on=on, now=now
            )
            loan_id = book.loan(session, customer_id=customer_id)
            offer_id = operations.make_offer(
                session,
                kind=OfferKind.SETTLEMENT,
                subject_id=loan_id,
                details={"sum_fen": 100_000},
                valid_until=on,
                reason="hardship",
                made_by="lin",
                on=on,
                key="an-offer-000000001",
                now=now,
            )
            by = {"customer_id": customer_id, "now": now}
            application_id = operations.submit_application(
                session,
                merchant_name="宏达手机卖场",
                merchandise="手机",
                amount_fen=200_000,
                terms=6,
                channel="h5",
                attributes={},
                key="a1",
                **by,
            )
        jobs.decide_application(runtime, application_id=application_id)
        jobs.end_what_is_over(runtime)
        assert self.found(runtime, customer_id, offer_id) == ("offered", "active", 200_000)
        clock.advance(timedelta(days=31))
        for _ in range(2):
            jobs.end_what_is_over(runtime)
            assert self.found(runtime, customer_id, offer_id) == ("lapsed", "closed", 0)

    def found(self, runtime: Runtime, customer_id: int, offer_id: int) -> tuple[str, str, int]:
        on = business_date(runtime.clock.now())
        with runtime.database.read() as session:
            offer = queries.offer_of(session, offer_id=offer_id, customer_id=customer_id, on=on)
            (line,) = queries.lines_of(session, customer_id=customer_id)
        return offer.state, line.state, line.held_fen


class TestCloseDay:
    @pytest.mark.parametrize("is_given", [True, False])
    def test_closes_with_and_without_a_judge_of_accounts(
        self,
        runtime: Runtime,
        book: Any,
        is_given: bool,
    ) -> None:
        asked: list[Any] = []

        def grade(_session: Any, *, facts: Any, on: date, now: Any) -> list[Any]:
            asked.append((len(facts), on, now))
            return []

        if is_given:
            runtime.provide(GradeAccounts, grade)
        with runtime.database.write() as session:
            customer_id = book.customer(session)
            operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=1, now=book.now
            )
        jobs.close_day(runtime, on="2026-03-10")
        with runtime.database.read() as session:
            assert session.scalars(select(DayClose.on)).all() == [date(2026, 3, 10)]
        expected = [(1, date(2026, 3, 10), book.now)] if is_given else []
        assert asked == expected


class TestProveBooks:
    def test_tells_operators_and_staff_what_differs(
        self, runtime: Runtime, book: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[Any] = []

        class Log:
            """Keeps what is told."""

            def error(self, message: str, **given: Any) -> None:
                told.append((message, given["differences"]))

        monkeypatch.setattr(jobs, "log", Log())
        with runtime.database.write() as session:
            book.loan(session)
        jobs.prove_books(runtime)
        assert told == []
        with runtime.database.write() as session:
            session.execute(text("UPDATE instalment SET principal_fen = principal_fen + 1"))
        jobs.prove_books(runtime)
        assert told[0][0] == "books differ"
        assert len(told[0][1]) == 5
        jobs.prove_books(runtime)
        with runtime.database.read() as session:
            (alert,) = queries.alerts(session)
        assert (alert.kind, alert.severity) == ("books-differ", "high")
        assert alert.details == {"differences": told[0][1]}
