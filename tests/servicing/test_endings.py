"""How loans end without being paid as agreed: what the books, the line and the borrower see."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text

from kernel.database import Database
from kernel.idempotency import KeyReused
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.archive import EventNotBookable
from servicing.engine.book import Kind
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import ChargeOffEffect, CloseOfDay, LatenessPause, Payment, WriteOff
from servicing.engine.parts import Component
from servicing.engine.payments import EventRefused
from servicing.engine.terms import FeeRule
from servicing.operations import CancellationRefused, CreditRefused, EndingRefused
from servicing.products import STANDARD
from servicing.queries import LoanStatus

BOUGHT = date(2026, 1, 31)
LATE = date(2026, 6, 15)
"""107 days after the first due date of a loan that was never paid."""


class Life:
    """One loan on a line, with what happens to it, in one session."""

    def __init__(self, session: Any, book: Any, **given: Any) -> None:
        self.session, self.book = session, book
        self.customer_id = book.customer(session)
        self.line_id = operations.open_line(
            session, customer_id=self.customer_id, funder="own", granted_fen=500_000, now=book.now
        )
        session.execute(text("UPDATE credit_line SET utilised_fen = 300000"))
        self.loan_id = book.loan(
            session, customer_id=self.customer_id, line_id=self.line_id, **given
        )
        self.keys = 0

    def by(self, on: date, key: str = "") -> dict[str, Any]:
        self.keys += 1
        given = {"key": key or f"k{self.keys}", "actor": "lin", "on": on, "now": self.book.now}
        return {"loan_id": self.loan_id, **given}

    def close(self, on: date) -> None:
        operations.age_loans(self.session, on=on, now=self.book.now)

    def pay(self, fen: int, on: date) -> None:
        self.keys += 1
        self.book.repay(self.session, self.loan_id, fen, key=f"p{self.keys}", on=on)

    def view(self, on: date) -> queries.LoanView:
        return queries.loan_of(
            self.session, loan_id=self.loan_id, customer_id=self.customer_id, on=on
        )

    def line(self) -> tuple[int, int, str]:
        (line,) = queries.lines_of(self.session, customer_id=self.customer_id)
        return line.utilised_fen, line.available_fen, line.state

    def balances(self) -> dict[str, int]:
        """Add up the loan's accounts, those at zero left out; the whole sums to zero."""
        found: Counter[str] = Counter()
        for entry in queries.entries_of(self.session, loan_id=self.loan_id):
            for leg in entry.postings:
                found[leg.account] += leg.amount_fen
        assert sum(found.values()) == 0
        assert operations.prove_books(self.session) == []
        return {account: fen for account, fen in found.items() if fen}

    def undo(self, seq: int, on: date) -> None:
        operations.reverse(self.session, seq=seq, **self.by(on))


# Three instalments at 18 %: 45.00 + 30.22 + 15.22 of interest, all of it due by June.
_ALL_DUE = {
    "loan-principal": 300_000,
    "interest-receivable": 9_044,
    "interest-income": -9_044,
    "funding-bank": -300_000,
}
_LOST = {
    "credit-loss": 300_000,
    "interest-charged-off": 9_044,
    "interest-income": -9_044,
    "funding-bank": -300_000,
}


class TestChargeOff:
    def test_books_the_loss_keeps_the_claim_and_is_undone_whole(
        self, database: Database, book: Any
    ) -> None:
        """fineract#4506, #4522: the entries of a charge-off were reversed wrongly."""
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            assert life.balances() == _ALL_DUE
            before = life.view(LATE)
            seq = operations.charge_off(session, **life.by(LATE))
            claim = {"charged-off-claims": 309_044, "charged-off-contra": -309_044}
            assert life.balances() == _LOST | claim
            assert life.view(LATE).remaining_fen == 309_044
            assert life.line() == (300_000, 0, "frozen")
            life.undo(seq, LATE)
            assert (life.balances(), life.view(LATE)) == (_ALL_DUE, before)

    def test_makes_what_is_paid_later_a_recovery_and_nothing_a_second_loss(
        self, database: Database, book: Any
    ) -> None:
        """fineract#6223: a write-off after a charge-off was a loss for the second time."""
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            operations.charge_off(session, **life.by(LATE))
            life.pay(50_000, LATE)
            assert life.line() == (300_000 - 45_500, 0, "frozen")
            operations.waive(
                session, component=Component.INTEREST, amount_fen=1_000, **life.by(LATE)
            )
            operations.give_goodwill(session, amount_fen=2_000, **life.by(LATE))
            owed = 309_044 - 53_000
            assert life.balances() == _LOST | {
                "charged-off-claims": owed,
                "charged-off-contra": -owed,
                "wechat-pay-clearing": 50_000,
                "recoveries": -50_000,
            }
            operations.write_off(session, **life.by(LATE))
            given_up = {"wechat-pay-clearing": 50_000, "recoveries": -50_000}
            assert life.balances() == _LOST | given_up
            operations.recover(session, amount_fen=900, **life.by(LATE))
            more = {"wechat-pay-clearing": 50_900, "recoveries": -50_900}
            assert life.balances() == _LOST | more

    def test_takes_back_a_recovery_whose_payment_is_charged_back(
        self, database: Database, book: Any
    ) -> None:
        """fineract#3099: what a charge-back did to the journals."""
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            operations.charge_off(session, **life.by(LATE))
            life.pay(50_000, LATE)
            operations.charge_back(session, seq=3, amount_fen=20_000, **life.by(LATE))
            balances = life.balances()
            assert (balances["recoveries"], balances["wechat-pay-clearing"]) == (-30_000, 30_000)
            assert life.view(LATE).remaining_fen == 309_044 - 30_000

    @pytest.mark.parametrize("effect", ChargeOffEffect)
    def test_loses_no_income_that_was_never_earned(
        self, database: Database, book: Any, effect: ChargeOffEffect
    ) -> None:
        """Ten of twelve instalments are to come: their interest is no loss, as it was no income."""
        on = date(2026, 6, 10)
        with database.write() as session:
            life = Life(session, book, terms=12)
            life.close(on)
            operations.charge_off(session, effect=effect, **life.by(on))
            balances = life.balances()
            earned = -balances["interest-income"]
            assert balances["interest-charged-off"] == earned
            assert earned < life.view(on).remaining_fen - 300_000 or effect != "none"
            for day in (on + timedelta(days=40), on + timedelta(days=400)):
                life.close(day)
                assert life.balances()["interest-income"] == -earned

    def test_corrects_the_loss_when_an_earlier_payment_becomes_known(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            operations.charge_off(session, **life.by(LATE))
            life.pay(103_015, date(2026, 2, 28))
            balances = life.balances()
            assert balances["credit-loss"] == 300_000 - 98_515
            assert "recoveries" not in balances

    def test_is_for_what_is_more_than_ninety_days_late_and_once(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            with pytest.raises(EndingRefused):
                operations.charge_off(session, **life.by(date(2026, 5, 29)))
            by = life.by(date(2026, 5, 30), "once")
            assert operations.charge_off(session, **by) == 2
            assert operations.charge_off(session, **by) == 2
            with pytest.raises(KeyReused):
                operations.charge_off(session, effect=ChargeOffEffect.ACCELERATE, **by)
        with pytest.raises(EventRefused), database.write() as session:
            operations.charge_off(session, **life.by(LATE, "again") | {"now": book.now})


class TestWriteOff:
    def test_gives_the_claim_up_tells_and_takes_recoveries(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            operations.write_off(session, **life.by(LATE))
            assert life.balances() == _LOST
            view = life.view(LATE)
            assert (view.status, view.remaining_fen) == (LoanStatus.WRITTEN_OFF, 0)
            assert life.line() == (0, 0, "frozen")
            told = session.scalars(select(OutboxRow).order_by(OutboxRow.id.desc())).first()
            assert (told.event, told.payload["kind"]) == ("LoanChanged", "write-off")
            seq = operations.recover(session, amount_fen=7_000, **life.by(LATE))
            recovered = {"wechat-pay-clearing": 7_000, "recoveries": -7_000}
            assert life.balances() == _LOST | recovered
            life.undo(seq, LATE)
            life.undo(2, LATE)
            assert life.balances() == _ALL_DUE
            assert life.line() == (300_000, 0, "frozen")

    def test_takes_no_more_back_than_was_given_up(self, database: Database, book: Any) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            operations.write_off(session, **life.by(LATE))
            operations.recover(session, amount_fen=200_000, **life.by(LATE))
            with pytest.raises(EndingRefused, match="109044 fen"), session.begin_nested():
                operations.recover(session, amount_fen=109_045, **life.by(LATE))
            again = operations.recover(session, amount_fen=109_044, **life.by(LATE))
            life.undo(again, LATE)
            assert life.balances()["recoveries"] == -200_000

    def test_takes_no_more_back_than_the_cap_allows(self, database: Database, book: Any) -> None:
        """Interest of a whole plan is not recovered of a loan that ran for ten days."""
        on = date(2026, 2, 10)
        with database.write() as session:
            life = Life(session, book)
            operations.write_off(session, **life.by(on))
            with pytest.raises(CostAboveCap), session.begin_nested():
                operations.recover(session, amount_fen=309_044, **life.by(on))
            operations.recover(session, amount_fen=302_000, **life.by(on))

    def test_has_nothing_to_give_up_twice_or_to_take_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.pay(1_000, LATE)
            operations.write_off(session, **life.by(LATE))
        for refused in (
            lambda session: operations.write_off(session, **life.by(LATE)),
            lambda session: operations.charge_back(session, seq=2, amount_fen=500, **life.by(LATE)),
            lambda session: operations.recover(session, amount_fen=0, **life.by(LATE)),
        ):
            with pytest.raises(EventRefused), database.write() as session:
                refused(session)


class TestTermination:
    def test_makes_all_principal_due_with_interest_to_the_day(
        self, database: Database, book: Any
    ) -> None:
        on = date(2026, 4, 10)
        with database.write() as session:
            life = Life(session, book, terms=12)
            with pytest.raises(EndingRefused):
                operations.terminate(session, **life.by(date(2026, 3, 30)))
            event = operations.termination(session, loan_id=life.loan_id, on=on)
            seen = operations.preview_event(session, loan_id=life.loan_id, event=event)
            before = life.view(on)
            seq = operations.terminate(session, **life.by(on))
            view = life.view(on)
            assert view.due_fen == view.remaining_fen == seen.remaining_after_fen
            assert view.outstanding_principal_fen == 300_000
            assert view.remaining_fen < before.remaining_fen
            assert life.line() == (300_000, 0, "frozen")
            life.balances()
            life.undo(seq, on)
            assert life.view(on) == before
            life.balances()


class TestCancelPurchase:
    def test_on_its_day_leaves_nothing_owed_or_earned(self, database: Database, book: Any) -> None:
        with database.write() as session:
            life = Life(session, book)
            before = life.view(BOUGHT)
            by = life.by(BOUGHT)
            seq = operations.cancel_purchase(session, amount_fen=300_000, bears_cost=False, **by)
            assert life.view(BOUGHT).state == "closed"
            assert life.balances() == {"merchant-clearing": 300_000, "funding-bank": -300_000}
            assert life.line() == (0, 500_000, "active")
            life.undo(seq, BOUGHT)
            assert life.view(BOUGHT) == before
            assert life.line() == (300_000, 200_000, "active")

    def test_gives_back_what_was_paid_and_its_cost(self, database: Database, book: Any) -> None:
        on = date(2026, 3, 5)
        with database.write() as session:
            life = Life(session, book)
            life.pay(103_015, date(2026, 2, 28))
            life.close(on)
            operations.cancel_purchase(session, amount_fen=300_000, bears_cost=False, **life.by(on))
            assert life.balances() == {
                "merchant-clearing": 300_000,
                "wechat-pay-clearing": 103_015,
                "refund-payable": -103_015,
                "funding-bank": -300_000,
            }
            with pytest.raises(CreditRefused):
                operations.refund_credit(session, amount_fen=103_016, **life.by(on))
            operations.refund_credit(session, amount_fen=103_015, **life.by(on))
            assert life.balances() == {"merchant-clearing": 300_000, "funding-bank": -300_000}

    def test_gives_back_a_fee_of_ours_out_of_what_it_earned_us(
        self, database: Database, book: Any, ledger: Callable[..., str]
    ) -> None:
        managed = replace(STANDARD, fees=(FeeRule(name="管理费", amount_fen=100, payee="贷款人"),))
        given = {"product": managed, "rate_annual": Decimal("0.12"), "terms": 6}
        on = date(2026, 3, 5)
        with database.write() as session:
            life = Life(session, book, **given)
            # 3,000.00 at 1 % a month in six is 517.65 an instalment, and the fee.
            life.pay(51_865, date(2026, 2, 28))
            operations.cancel_purchase(session, amount_fen=300_000, bears_cost=False, **life.by(on))
            assert life.balances() == {
                "merchant-clearing": 300_000,
                "wechat-pay-clearing": 51_865,
                "refund-payable": -51_865,
                "funding-bank": -300_000,
            }
            adjusted = next(
                line for line in ledger(session, life.loan_id).splitlines() if "adjustment" in line
            )
            assert adjusted.startswith("2026-03-05 charge-adjustment fee-income 1.00  ")

    def test_may_leave_the_cost_to_the_day_and_a_part_of_the_price_owed(
        self, database: Database, book: Any
    ) -> None:
        on = date(2026, 2, 10)
        with database.write() as session:
            life = Life(session, book)
            operations.cancel_purchase(session, amount_fen=290_000, bears_cost=True, **life.by(on))
            # 3,000.00 × 18 % × 10 / 360
            assert life.view(on).due_fen == 10_000 + 1_500
            life.balances()

    @pytest.mark.parametrize(("fen", "on"), [(0, BOUGHT), (300_001, BOUGHT), (1, date(2026, 1, 1))])
    def test_is_refused_beyond_the_price_or_before_the_purchase(
        self, database: Database, book: Any, fen: int, on: date
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            with pytest.raises(CancellationRefused):
                operations.cancellation(
                    session, loan_id=life.loan_id, amount_fen=fen, bears_cost=False, on=on
                )


class TestCredits:
    def test_goodwill_is_our_expense_and_no_receipt_of_a_payment(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.close(LATE)
            seq = operations.give_goodwill(session, amount_fen=3_000, **life.by(LATE))
            assert life.balances() == _ALL_DUE | {"interest-receivable": 6_044, "goodwill": 3_000}
            told = session.scalars(select(OutboxRow).order_by(OutboxRow.id.desc())).first()
            assert (told.event, told.payload["kind"]) == ("LoanChanged", "goodwill-credit")
            assert queries.loan_events(session, loan_id=life.loan_id)[-1].kind == "goodwill-credit"
            life.undo(seq, LATE)
            assert life.balances() == _ALL_DUE

    def test_a_charge_back_is_owed_again_and_uses_the_line(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.pay(309_044, date(2026, 2, 28))
            assert life.line() == (0, 500_000, "active")
            seq = operations.charge_back(session, seq=2, amount_fen=309_044, **life.by(LATE))
            view = life.view(LATE)
            # 30.44 of it were beyond the cap and not given back yet: that much is not owed again.
            assert (view.state, view.remaining_fen) == ("active", 306_000)
            assert life.line()[0] == 306_000
            assert life.balances()["loan-principal"] == 306_000
            life.undo(seq, LATE)
            assert (life.view(LATE).state, life.line()[0]) == ("closed", 0)

    @pytest.mark.parametrize("seq", [1, 3, 9])
    def test_only_a_payment_that_stands_is_charged_back(
        self, database: Database, book: Any, seq: int
    ) -> None:
        with database.write() as session:
            life = Life(session, book)
            life.pay(1_000, LATE)
            operations.give_goodwill(session, amount_fen=500, **life.by(LATE))
            with pytest.raises(CreditRefused):
                operations.charge_back(session, seq=seq, amount_fen=100, **life.by(LATE))


@pytest.mark.parametrize(
    "event",
    [
        CloseOfDay(id="", on=LATE),
        LatenessPause(id="", on=LATE, first_on=LATE),
        WriteOff(id="", on=LATE, amount_fen=100),
        Payment(id="", on=LATE, amount_fen=100, kind=Kind.DOWN_PAYMENT),
    ],
)
def test_what_the_book_keeps_in_another_way_is_refused_by_name(
    database: Database, book: Any, event: Any
) -> None:
    with database.write() as session:
        life = Life(session, book)
        with pytest.raises(EventNotBookable):
            operations.post_event(
                session,
                loan_id=life.loan_id,
                event=event,
                key="k",
                actor="lin",
                now=book.now,
            )
