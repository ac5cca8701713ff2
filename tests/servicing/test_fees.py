"""Fees of events and of instalments: charged inside the cap, for the lender or for others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from agreeing import confirm

from kernel.database import Database
from servicing import operations, queries
from servicing.caps import actual_cost
from servicing.engine.terms import EventFee, FeeEvent, FeeRule, FeeTier
from servicing.offering import OfferKind
from servicing.operations import CostNotConfirmed
from servicing.operations.changes import FeeRefused
from servicing.products import STANDARD

Ledger = Callable[..., str]
ON = date(2026, 3, 10)
RATE = Decimal("0.12")
START = {"disbursed_on": date(2026, 2, 20), "terms": 6, "rate_annual": RATE}


def _fee(event: FeeEvent, payee: str, *tiers: FeeTier) -> EventFee:
    return EventFee(name="服务费", event=event, payee=payee, tiers=tiers)


OURS = replace(
    STANDARD,
    event_fees=(
        _fee(FeeEvent.EXTENSION, "本公司", FeeTier(amount_fen=800), FeeTier(from_paid=1)),
        _fee(FeeEvent.DUE_DAY_CHANGE, "平台服务商", FeeTier(share=Decimal("0.001"))),
        _fee(FeeEvent.EARLY_SETTLEMENT, "平台服务商", FeeTier(amount_fen=500)),
    ),
)


def _by(book: Any, key: str, **given: Any) -> dict[str, Any]:
    return {"key": key, "actor": "lin", "on": ON, "now": book.now} | given


def _view(session: Any, loan_id: int, on: date = ON) -> queries.LoanView:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)


def _balances(session: Any, loan_id: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in queries.entries_of(session, loan_id=loan_id):
        for leg in entry.postings:
            found[leg.account] = found.get(leg.account, 0) + leg.amount_fen
    return {account: fen for account, fen in found.items() if fen and "fee" in account}


class TestExtension:
    def test_costs_its_fee_with_the_running_instalment_and_undoes_it(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, product=OURS, **START)
            before = _view(session, loan_id)
            event = operations.extension(session, loan_id=loan_id, extra_terms=3, on=ON)
            table = operations.change_table(session, loan_id=loan_id, event=event)
            assert table["event_charges"] == [
                {"name": "服务费", "payee": "本公司", "amount": "8.00"}
            ]
            seq = book.extend(session, loan_id, 3, **_by(book, "x1"))
            assert [row.fee_fen for row in _view(session, loan_id).plan] == [800] + [0] * 8
            operations.age_loans(session, on=date(2026, 3, 20), now=book.now)
            assert _balances(session, loan_id) == {"fee-receivable": 800, "fee-income": -800}
            assert operations.prove_books(session) == []
            operations.reverse(session, loan_id=loan_id, seq=seq, **_by(book, "r1"))
            assert _view(session, loan_id).plan == before.plan
            assert _balances(session, loan_id) == {}

    def test_is_offered_and_accepted_with_its_fee(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, product=OURS, **START)
            offer_id = operations.make_offer(
                session,
                kind=OfferKind.EXTENSION,
                subject_id=loan_id,
                details={"extra_terms": 3},
                valid_until=ON,
                reason="收入下降",
                made_by="lin",
                on=ON,
                key="o1",
                now=book.now,
            )
            offer = queries.offer_of(session, offer_id=offer_id, customer_id=1, on=ON)
            assert offer.cost_table is not None
            assert offer.cost_table["event_charges"][0]["amount"] == "8.00"
            operations.accept_offer(
                session,
                offer_id=offer_id,
                customer_id=1,
                channel="wechat_h5",
                table_hash=offer.cost_table_hash,
                seconds_shown=9,
                on=ON,
                now=book.now,
            )
            assert _view(session, loan_id).plan[0].fee_fen == 800
            operations.undo_offer(session, offer_id=offer_id, on=ON, by="lin", now=book.now)
            assert _view(session, loan_id).plan[0].fee_fen == 0
            assert operations.prove_books(session) == []

    def test_is_free_by_default_and_in_a_tier_that_asks_for_nothing(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            free = book.loan(session, **START)
            assert operations.extension(session, loan_id=free, extra_terms=3, on=ON).charges == ()
            paid = book.loan(session, product=OURS, customer_id=1, **START)
            due = queries.loan_of(session, loan_id=paid, customer_id=1, on=ON).plan[0]
            book.repay(session, paid, due.total_fen, key="p1", on=ON)
            assert operations.extension(session, loan_id=paid, extra_terms=3, on=ON).charges == ()

    def test_costs_no_more_than_the_cap_leaves(self, database: Database, book: Any) -> None:
        with database.write() as session:
            dear = replace(
                OURS,
                event_fees=(_fee(FeeEvent.EXTENSION, "本公司", FeeTier(amount_fen=90_000)),),
            )
            at = START | {"rate_annual": Decimal("0.23")}
            loan_id = book.loan(session, product=dear, **at)
            event = operations.extension(session, loan_id=loan_id, extra_terms=3, on=ON)
            (charge,) = event.charges
            assert 0 < charge.amount_fen < 2_000
            book.extend(session, loan_id, 3, **_by(book, "x1"))
            state = queries.loan_as_of(session, loan_id=loan_id, on=ON)
            assert Decimal("0.235") < actual_cost(state).nominal <= Decimal("0.24")

    def test_gives_way_wholly_where_there_is_no_room(self, database: Database, book: Any) -> None:
        with database.write() as session:
            at = START | {"rate_annual": Decimal("0.24")}
            loan_id = book.loan(session, product=OURS, **at)
            event = operations.extension(session, loan_id=loan_id, extra_terms=3, on=ON)
            assert sum(charge.amount_fen for charge in event.charges) <= 100


class TestOthers:
    def test_get_the_fee_of_a_changed_due_day(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, product=OURS, **START)
            event = operations.due_day_change(session, loan_id=loan_id, due_day=25, on=ON)
            (charge,) = event.charges
            assert (charge.amount_fen, charge.payee) == (300, "平台服务商")
            table = operations.change_table(session, loan_id=loan_id, event=event)
            assert {
                "name": "代收费用",
                "payee": "平台服务商",
                "amount": "3.00",
                "before": "0.00",
            } in (table["charges"])
            by = {"loan_id": loan_id, **_by(book, "d1")}
            yes = confirm(session, event, by)
            operations.change_due_day(session, due_day=25, **by, disclosure_id=yes)
            operations.age_loans(session, on=date(2026, 3, 25), now=book.now)
            assert "fee          fee-receivable#1 3.00  fee-to-collect#1 -3.00" in ledger(
                session, loan_id
            )
            assert _balances(session, loan_id) == {"fee-receivable": 300, "fee-to-collect": -300}
            assert operations.prove_books(session) == []

    def test_get_the_fee_of_an_early_settlement(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, product=OURS, **START)
            quote = queries.settlement_quote(session, loan_id=loan_id, customer_id=1, on=ON)
            assert quote.fee_fen == 500
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=quote.amount_fen,
                value_date=ON,
                key="p1",
                now=book.now,
            )
            assert _view(session, loan_id).state == "closed"
            assert _balances(session, loan_id) == {"fee-payable": -500}
            assert operations.prove_books(session) == []

    def test_bear_what_goes_back_when_the_goods_go_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            rule = FeeRule(name="保险费", amount_fen=200, payee="安心保险")
            loan_id = book.loan(session, product=replace(STANDARD, fees=(rule,)), **START)
            first = _view(session, loan_id).plan[0]
            book.repay(session, loan_id, first.total_fen, key="p1", on=ON)
            assert _balances(session, loan_id) == {"fee-payable": -200}
            operations.cancel_purchase(
                session, loan_id=loan_id, amount_fen=300_000, bears_cost=False, **_by(book, "c1")
            )
            assert _balances(session, loan_id) == {}
            assert operations.prove_books(session) == []

    def test_are_named_beside_the_lender_in_one_instalment(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            rules = (
                FeeRule(name="管理费", amount_fen=100, payee="贷款人"),
                FeeRule(name="保险费", amount_fen=200, payee="安心保险"),
            )
            loan_id = book.loan(session, product=replace(STANDARD, fees=rules), **START)
            operations.age_loans(session, on=date(2026, 3, 20), now=book.now)
            assert _balances(session, loan_id) == {
                "fee-receivable": 300,
                "fee-income": -100,
                "fee-to-collect": -200,
            }


MONTHLY_FEE: dict[str, Any] = {"name": "账户管理费", "payee": "平台服务商", "amount_fen": 60}


class TestInstalmentFee:
    def _disclosed(self, session: Any, book: Any, loan_id: int) -> int:
        event = operations.instalment_fee(on=ON, **MONTHLY_FEE)
        return int(book.confirmed_change(session, loan_id, event))

    def test_is_borne_by_every_instalment_to_come(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=3, rate_annual=RATE)
            book.repay(session, loan_id, 102_007, key="p1", on=date(2026, 2, 28))
            operations.age_loans(session, on=date(2026, 3, 9), now=book.now)
            disclosure_id = self._disclosed(session, book, loan_id)
            wanted = {"loan_id": loan_id, "disclosure_id": disclosure_id, **MONTHLY_FEE}
            seq = operations.charge_instalments(session, **wanted, **_by(book, "f1"))
            assert [row.fee_fen for row in _view(session, loan_id).plan] == [0, 60, 60]
            operations.age_loans(session, on=date(2026, 3, 31), now=book.now)
            assert _balances(session, loan_id) == {"fee-receivable": 60, "fee-to-collect": -60}
            operations.reverse(session, loan_id=loan_id, seq=seq, **_by(book, "r1"))
            assert _balances(session, loan_id) == {}
            assert operations.prove_books(session) == []

    def test_needs_its_cost_table_and_an_amount(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, **START)
            wanted = {"loan_id": loan_id, "disclosure_id": 1, **MONTHLY_FEE}
            with pytest.raises(CostNotConfirmed):
                operations.charge_instalments(session, **wanted, **_by(book, "f1"))
            with pytest.raises(FeeRefused):
                operations.instalment_fee(name="费", payee="甲", on=ON)
