"""The merchant pays in the borrower's place: earned by the period, collected, and given back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kernel.database import Database
from kernel.idempotency import KeyReused
from servicing import operations, queries
from servicing.operations import SubsidyRefused
from servicing.operations.books import totals_of_claims
from servicing.products import STANDARD
from servicing.queries.history import loan_as_of
from servicing.recognition import all_earned

Ledger = Callable[..., str]
ON = date(2026, 3, 10)
FREE = replace(STANDARD, code="free", rate_annual=Decimal(0), subsidy_rate_annual=Decimal("0.12"))
BOUGHT = {"product": FREE, "rate_annual": Decimal(0), "terms": 3, "principal_fen": 300_000}
SHOP = "宏达手机卖场"


def _by(book: Any, key: str, **given: Any) -> dict[str, Any]:
    return {"key": key, "actor": "lin", "on": ON, "now": book.now} | given


def _close(session: Any, book: Any, *days: date) -> None:
    for day in days:
        operations.age_loans(session, on=day, now=book.now)


def _open(session: Any, loan_id: int) -> int:
    view = queries.subsidy_of(session, loan_id=loan_id)
    assert view is not None
    return view.open_fen


def _of_subsidy(text: str) -> list[str]:
    return [line for line in text.splitlines() if "subsidy" in line]


class TestEarning:
    def test_is_by_the_period_on_what_is_owed_by_plan(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _close(session, book, date(2026, 2, 27), date(2026, 2, 28), ON, date(2026, 3, 31))
            assert _of_subsidy(ledger(session, loan_id)) == [
                "2026-02-28 subsidy      subsidy-receivable#1 30.00  subsidy-income#1 -30.00",
                "2026-03-31 subsidy      subsidy-receivable#2 20.00  subsidy-income#2 -20.00",
            ]
            view = queries.subsidy_of(session, loan_id=loan_id)
            assert view is not None
            assert (view.agreed_fen, view.earned_fen, view.open_fen) == (6_000, 5_000, 5_000)
            assert totals_of_claims(session)["subsidy-receivable"] == (5_000, 5_000, 5_000)
            assert operations.prove_books(session) == []

    def test_goes_by_days_to_the_end_of_a_month(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT | {"disbursed_on": date(2026, 2, 20)})
            _close(session, book, date(2026, 2, 28))
            # Eight of twenty-eight days of 30.00.
            assert _of_subsidy(ledger(session, loan_id)) == [
                "2026-02-28 subsidy      subsidy-receivable#1 8.57  subsidy-income#1 -8.57"
            ]

    def test_is_whole_on_the_due_date_and_not_a_day_earlier(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        due_on = date(2026, 3, 20)
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT | {"disbursed_on": date(2026, 2, 20)})
            _close(session, book, date(2026, 2, 28), date(2026, 3, 19), due_on)
            assert _of_subsidy(ledger(session, loan_id)) == [
                "2026-02-28 subsidy      subsidy-receivable#1 8.57  subsidy-income#1 -8.57",
                "2026-03-20 subsidy      subsidy-receivable#1 21.43  subsidy-income#1 -21.43",
            ]
            row = loan_as_of(session, loan_id=loan_id, on=due_on).rows[0]
            earned = [
                all_earned(row, closed_to=day).subsidy_fen for day in (date(2026, 3, 19), due_on)
            ]
            assert earned == [857, 3_000]

    def test_is_the_same_by_event_and_by_the_nightly_close(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loans = [book.loan(session, **BOUGHT) for _ in range(2)]
            book.repay(session, loans[0], 100_000, key="p1", on=date(2026, 2, 28))
            _close(session, book, date(2026, 2, 28))
            book.repay(session, loans[1], 100_000, key="p2", on=date(2026, 2, 28))
            first, second = (sorted(ledger(session, loan_id).splitlines()) for loan_id in loans)
            assert first == second

    def test_costs_the_borrower_nothing_and_is_shown(self) -> None:
        table = operations.cost_table(
            principal_fen=300_000, rate_annual=Decimal(0), terms=3, disbursed_on=ON, product=FREE
        )
        assert (table["total_payable"], table["annual_cost_nominal"]) == ("3000.00", "0.0000")
        (subsidy,) = table["subsidies"]
        assert (subsidy["payer"], subsidy["amount"]) == ("商户", "60.00")

    def test_of_instalments_without_principal_is_earned_although_nothing_is_due(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            product = replace(FREE, grace_principal=2)
            loan_id = book.loan(session, **BOUGHT | {"product": product})
            _close(session, book, date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30))
            view = queries.subsidy_of(session, loan_id=loan_id)
            assert view is not None
            assert (view.agreed_fen, view.earned_fen) == (9_000, 9_000)
            assert operations.prove_books(session) == []

    def test_does_not_grow_with_a_longer_plan(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT | {"disbursed_on": ON})
            book.extend(session, loan_id, 3, **_by(book, "x1"))
            view = queries.subsidy_of(session, loan_id=loan_id)
            assert view is not None
            assert view.agreed_fen == 6_000
            assert operations.prove_books(session) == []


class TestEnding:
    def test_early_leaves_what_is_not_earned_undue(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _close(session, book, date(2026, 2, 28))
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=300_000,
                value_date=ON,
                key="p1",
                now=book.now,
            )
            # 30.00 of the first month, and ten days of the second on 2,000.00: 6.67.
            assert _open(session, loan_id) == 3_667
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1"))
            view = queries.subsidy_of(session, loan_id=loan_id)
            assert view is not None
            assert (view.agreed_fen, view.earned_fen) == (6_000, 3_000)
            assert operations.prove_books(session) == []

    def test_by_return_of_goods_is_given_back(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _close(session, book, date(2026, 2, 28))
            paid = {"merchant_name": SHOP, "amount_fen": 3_000}
            operations.collect_subsidy(session, **paid, **_by(book, "s1"))
            operations.cancel_purchase(
                session, loan_id=loan_id, amount_fen=300_000, bears_cost=False, **_by(book, "c1")
            )
            assert _open(session, loan_id) == -3_000
            assert operations.prove_books(session) == []
            with pytest.raises(SubsidyRefused), session.begin_nested():
                operations.collect_subsidy(
                    session, merchant_name=SHOP, amount_fen=-3_001, **_by(book, "s2")
                )
            operations.collect_subsidy(
                session, merchant_name=SHOP, amount_fen=-3_000, **_by(book, "s3")
            )
            assert _open(session, loan_id) == 0
            assert _of_subsidy(ledger(session, loan_id))[-1] == (
                "2026-03-10 subsidy-payment subsidy-receivable 30.00  funding-bank -30.00"
            )
            assert operations.prove_books(session) == []

    @pytest.mark.parametrize("end", ["charge_off", "write_off"])
    def test_by_loss_stops_it_and_leaves_what_the_merchant_owes(
        self, database: Database, book: Any, end: str
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT | {"disbursed_on": date(2025, 10, 31)})
            _close(session, book, date(2026, 3, 9))
            getattr(operations, end)(session, loan_id=loan_id, **_by(book, "e1"))
            assert _open(session, loan_id) == 6_000
            operations.collect_subsidy(
                session, merchant_name=SHOP, amount_fen=6_000, **_by(book, "s1")
            )
            assert _open(session, loan_id) == 0
            assert operations.prove_books(session) == []


class TestCollecting:
    def test_settles_the_oldest_loans_first_and_happens_once(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            newer = book.loan(session, **BOUGHT | {"disbursed_on": date(2026, 2, 1)})
            older = book.loan(session, **BOUGHT)
            other = book.loan(session, **BOUGHT | {"merchant_name": "讯联手机行"})
            _close(session, book, ON)
            paid: dict[str, Any] = {"merchant_name": SHOP, "amount_fen": 4_000}
            for _ in range(2):
                done = operations.collect_subsidy(session, **paid, **_by(book, "s1"))
                assert done == (older, newer)
            assert [_open(session, each) for each in (older, newer, other)] == [0, 2_000, 3_000]
            assert _of_subsidy(ledger(session, newer))[-1] == (
                "2026-03-10 subsidy-payment funding-bank 10.00  subsidy-receivable -10.00"
            )
            with pytest.raises(KeyReused), session.begin_nested():
                operations.collect_subsidy(
                    session, merchant_name=SHOP, amount_fen=1, **_by(book, "s1")
                )
            shops = {one.merchant_name: one for one in queries.merchant_subsidies(session)}
            assert (shops[SHOP].owed_fen, shops[SHOP].to_come_fen) == (2_000, 6_000)
            assert shops["讯联手机行"].loans == 1
            assert operations.prove_books(session) == []

    @pytest.mark.parametrize("fen", [0, 3_001, -1])
    def test_takes_no_more_than_is_owed(self, database: Database, book: Any, fen: int) -> None:
        with database.write() as session:
            book.loan(session, **BOUGHT)
            _close(session, book, ON)
            with pytest.raises(SubsidyRefused):
                operations.collect_subsidy(
                    session, merchant_name=SHOP, amount_fen=fen, **_by(book, "s1")
                )

    def test_is_taken_back_like_any_event(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **BOUGHT)
            _close(session, book, ON)
            operations.collect_subsidy(
                session, merchant_name=SHOP, amount_fen=3_000, **_by(book, "s1")
            )
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1"))
            assert _open(session, loan_id) == 3_000
            assert operations.prove_books(session) == []

    def test_of_a_loan_without_subsidy_says_so(self, database: Database, book: Any) -> None:
        with database.write() as session:
            assert queries.subsidy_of(session, loan_id=book.loan(session)) is None
