"""A loan that is drawn in parts: each on its own cost table, on the line, undone, and lapsing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from agreeing import confirm
from sqlalchemy import select
from verdicts import Verdict

from kernel.database import Database
from servicing import operations, queries
from servicing.engine.payments import EventRefused
from servicing.operations import CostNotConfirmed, LineNotDrawable, TrancheRefused
from servicing.products import STANDARD, Product, house_documents
from servicing.tables import CreditLine, Instalment, Loan

Ledger = Callable[..., str]
ON = date(2026, 3, 10)
PARTS = replace(STANDARD, code="in-parts", tranches=3, draw_within_days=90)
FEW = {"principal_fen": 300_000, "terms": 6, "product": PARTS}


def _by(book: Any, key: str, **given: Any) -> dict[str, Any]:
    return {"key": key, "actor": "lin", "on": ON, "now": book.now} | given


def _view(session: Any, loan_id: int, on: date = ON) -> queries.LoanView:
    customer_id = operations.lock_loan(session, loan_id=loan_id).customer_id
    return queries.loan_of(session, loan_id=loan_id, customer_id=customer_id, on=on)


def _line(session: Any, line_id: int) -> tuple[int, int]:
    session.flush()
    session.expire_all()
    line = session.get_one(CreditLine, line_id)
    return line.utilised_fen, line.held_fen


class TestFirstPart:
    def test_is_one_of_equal_parts_and_all_that_is_owed(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW | {"principal_fen": 300_001})
            view = _view(session, loan_id)
            assert (view.principal_fen, view.undrawn_fen) == (100_001, 200_000)
            assert view.draw_until == date(2026, 5, 1)
            assert sum(row.principal_fen for row in view.plan) == 100_001
            assert ledger(session, loan_id).splitlines() == [
                "2026-01-31 disbursement loan-principal 1000.01  funding-bank -1000.01"
            ]
            assert _line(session, line_id) == (100_001, 200_000)
            assert operations.prove_books(session) == []

    def test_has_a_cost_table_of_its_own_that_says_what_may_follow(self) -> None:
        table = operations.cost_table(
            principal_fen=300_000,
            rate_annual=Decimal("0.18"),
            terms=6,
            disbursed_on=ON,
            product=PARTS,
        )
        assert (table["principal"], table["disbursed"]) == ("3000.00", "1000.00")
        assert (table["undrawn"], table["tranches"]) == ("2000.00", 3)
        assert table["draw_until"] == "2026-06-08"
        assert table["total_payable"] == "1053.15"

    def test_of_an_application_leaves_the_rest_held(self, database: Database, book: Any) -> None:
        with database.write() as session:
            product = _published(session, book)
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=500_000, now=book.now
            )
            given: dict[str, Any] = {"terms": 6, "product": product}
            application_id = book.application(session, customer_id=customer_id, **given)
            operations.decide_application(
                session,
                application_id=application_id,
                decision=Verdict("approve"),
                now=book.now,
            )
            assert _line(session, line_id) == (0, 300_000)
            drawn = {"rate_annual": product.rate_annual, "disbursed_on": ON, **given}
            terms = book.terms(session, customer_id=customer_id, **drawn)
            loan_id = operations.book_application(
                session,
                application_id=application_id,
                disclosure_id=book.confirmed(session, terms),
                key="b1",
                disbursed_on=ON,
                now=book.now,
            )
            assert _line(session, line_id) == (100_000, 200_000)
            assert _view(session, loan_id).undrawn_fen == 200_000
            assert operations.prove_books(session) == []


def _published(session: Any, book: Any) -> Product:
    """Sell the standard product in parts."""
    document = house_documents()["standard"][0] | {"tranches": 3, "draw_within_days": 90}
    version = operations.draft_product(
        session, document=document, author="lin", note="", now=book.now
    )
    named: dict[str, Any] = {"code": "standard", "version": version, "now": book.now}
    operations.try_product(session, by="lin", **named)
    operations.approve_product(session, by="wang", effective_on=ON, **named)
    return queries.product_in_force(session, code="standard", on=ON)


class TestNextPart:
    def test_is_planned_over_the_instalments_to_come(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW)
            operations.age_loans(session, on=date(2026, 3, 9), now=book.now)
            book.repay(session, loan_id, 17_553, key="p1", on=date(2026, 2, 28))
            before = _view(session, loan_id)
            assert book.draw(session, loan_id, 120_000, **_by(book, "d1")) == 3
            after = _view(session, loan_id)
            assert len(after.plan) == len(before.plan) == 6
            assert after.plan[0] == before.plan[0]
            assert (after.principal_fen, after.undrawn_fen) == (220_000, 80_000)
            # A month costs thirty days: ten without what is new, twenty with it.
            assert after.plan[1].interest_fen == 1_259 + 1_200
            assert "× 10 天 ÷ 360 + 剩余本金 2,039.47 元" in queries.explain(after.plan[1])
            assert "disbursement loan-principal 1200.00  funding-bank -1200.00" in ledger(
                session, loan_id
            )
            assert _line(session, line_id) == (before.outstanding_principal_fen + 120_000, 80_000)
            assert operations.prove_books(session) == []
            first, second = queries.plan_versions(session, loan_id=loan_id)
            assert (second.from_seq, len(first.rows)) == (3, 6)

    def test_is_seen_before_and_paid_just_as_it_was_seen(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id, _ = book.loan_on_line(session, **FEW | {"disbursed_on": date(2026, 2, 20)})
            event = operations.drawing(session, loan_id=loan_id, amount_fen=100_000, on=ON)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            table = operations.change_table(session, loan_id=loan_id, event=event)
            assert (table["kind"], table["disbursed"]) == ("disbursement", "1000.00")
            book.draw(session, loan_id, 100_000, **_by(book, "d1"))
            assert _view(session, loan_id).remaining_fen == seen.remaining_after_fen
            assert Decimal(table["annual_cost_nominal"]) <= Decimal("0.1805")
            assert Decimal(table["total_payable"]) * 100 == seen.remaining_after_fen

    def test_happens_once_and_only_on_its_own_cost_table(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id, _ = book.loan_on_line(session, **FEW | {"disbursed_on": date(2026, 2, 20)})
            wanted = {"loan_id": loan_id, "amount_fen": 50_000, **_by(book, "d1")}
            with pytest.raises(CostNotConfirmed), session.begin_nested():
                operations.draw_tranche(session, disclosure_id=1, **wanted)
            assert book.draw(session, loan_id, 50_000, **_by(book, "d1")) == 2
            assert operations.draw_tranche(session, disclosure_id=2, **wanted) == 2
            assert _view(session, loan_id).undrawn_fen == 150_000

    def test_by_staff_happens_once_although_nothing_is_left(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id, _ = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            asked: dict[str, Any] = {"act": "draw", "details": {"amount_fen": 200_000}}
            outlook = operations.look_ahead(session, loan_id=loan_id, on=ON, **asked)
            assert outlook.cost_table is not None
            assert (outlook.amount_fen, outlook.cost_table["disbursed"]) == (200_000, "2000.00")
            by = {"loan_id": loan_id, **_by(book, "k")}
            event = operations.drawing(session, loan_id=loan_id, amount_fen=200_000, on=ON)
            yes = confirm(session, event, by)
            for _ in range(2):
                assert operations.do_act(session, **asked, **by, disclosure_id=yes) == 2
            view = _view(session, loan_id)
            assert (view.undrawn_fen, view.remaining_fen) == (
                *(0, outlook.preview.remaining_after_fen),
            )

    def test_is_undone_with_all_that_came_of_it(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            before = _view(session, loan_id), _line(session, line_id)
            seq = book.draw(session, loan_id, 100_000, **_by(book, "d1"))
            operations.reverse(session, loan_id=loan_id, seq=seq, **_by(book, "r1"))
            assert (_view(session, loan_id), _line(session, line_id)) == before
            assert operations.prove_books(session) == []
            with pytest.raises(operations.ReversalRefused):
                operations.reversal(session, loan_id=loan_id, seq=1, on=ON)

    @pytest.mark.parametrize("fen", [0, -1, 200_001])
    def test_is_no_more_than_what_is_left(self, database: Database, book: Any, fen: int) -> None:
        with database.write() as session:
            loan_id, _ = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            with pytest.raises(TrancheRefused):
                operations.drawing(session, loan_id=loan_id, amount_fen=fen, on=ON)

    def test_comes_no_later_than_was_agreed_and_needs_no_line(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **FEW | {"disbursed_on": ON, "terms": 12})
            until = session.get_one(Loan, loan_id).draw_until
            assert until is not None
            drawing = operations.drawing(session, loan_id=loan_id, amount_fen=1_000, on=ON)
            assert drawing.amount_fen == 1_000
            rows = session.scalars(select(Instalment).order_by(Instalment.n)).all()
            for row in rows:
                if row.due_on <= until:
                    book.repay(session, loan_id, row.open_fen, key=f"p{row.n}", on=row.due_on)
            with pytest.raises(TrancheRefused, match="drawn on until"):
                operations.drawing(
                    session, loan_id=loan_id, amount_fen=1_000, on=until + timedelta(days=1)
                )

    def test_is_the_last_when_all_parts_are_drawn(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            book.draw(session, loan_id, 50_000, **_by(book, "d1"))
            assert _line(session, line_id) == (150_000, 150_000)
            book.draw(session, loan_id, 50_000, **_by(book, "d2"))
            assert _view(session, loan_id).undrawn_fen == 0
            assert _line(session, line_id) == (200_000, 0)
            with pytest.raises(TrancheRefused):
                operations.drawing(session, loan_id=loan_id, amount_fen=1, on=ON)

    def test_is_refused_of_late_loans_frozen_lines_and_ordinary_products(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            late, _ = book.loan_on_line(session, **FEW)
            whole = book.loan(session, disbursed_on=ON)
            for loan_id in (late, whole):
                with pytest.raises(TrancheRefused):
                    operations.drawing(session, loan_id=loan_id, amount_fen=1_000, on=ON)
            frozen, line_id = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            operations.freeze_line(session, line_id=line_id, reason="fraud", now=book.now)
            with pytest.raises(LineNotDrawable):
                operations.drawing(session, loan_id=frozen, amount_fen=1_000, on=ON)


class TestLapse:
    def test_comes_after_the_last_day_and_gives_the_line_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            plan = _view(session, loan_id).plan
            last = date(2026, 6, 8)
            assert operations.lapse_undrawn(session, on=last, now=book.now) == 0
            after = date(2026, 6, 9)
            with pytest.raises(TrancheRefused):
                operations.drawing(session, loan_id=loan_id, amount_fen=1_000, on=after)
            assert operations.lapse_undrawn(session, on=after, now=book.now) == 1
            assert operations.lapse_undrawn(session, on=after, now=book.now) == 0
            view = _view(session, loan_id)
            assert (view.undrawn_fen, view.plan) == (0, plan)
            assert _line(session, line_id) == (100_000, 0)
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1", on=after))
            assert _line(session, line_id) == (100_000, 200_000)
            assert operations.prove_books(session) == []

    def test_is_missed_by_no_line(self, database: Database, book: Any) -> None:
        with database.write() as session:
            _, line_id = book.loan_on_line(session, **FEW)
            session.get_one(CreditLine, line_id).held_fen -= 1
            session.flush()
            (found,) = operations.prove_books(session)
            assert found == f"line {line_id} holds 199999, its loans may still draw 200000"

    def test_is_asked_for_once(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            operations.end_drawing(session, loan_id=loan_id, **_by(book, "e1"))
            assert _line(session, line_id) == (100_000, 0)
            with pytest.raises(EventRefused), session.begin_nested():
                operations.end_drawing(session, loan_id=loan_id, **_by(book, "e2"))

    def test_comes_with_the_end_of_the_loan_and_goes_with_its_undoing(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id, line_id = book.loan_on_line(session, **FEW | {"disbursed_on": ON})
            customer_id = operations.lock_loan(session, loan_id=loan_id).customer_id
            quote = queries.settlement_quote(
                session, loan_id=loan_id, customer_id=customer_id, on=ON
            )
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=quote.amount_fen,
                value_date=ON,
                key="p1",
                now=book.now,
            )
            assert session.get_one(Loan, loan_id).state == "closed"
            assert _line(session, line_id) == (0, 0)
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1"))
            assert _line(session, line_id) == (100_000, 200_000)
            assert operations.prove_books(session) == []
