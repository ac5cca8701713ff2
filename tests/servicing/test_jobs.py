"""Jobs run one operation each with what the root gave them."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text
from verdicts import Verdict

from kernel.runtime import Runtime
from servicing import jobs, operations, queries
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
