"""What users of other loan systems complain about in public, as tests of our book.

What the pure engine answers for is in engine/test_lessons. Other complaints are named at the tests
that were there before: charge-off entries, leases of the close of day, keys of intentions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from racing import together
from sqlalchemy import event, func, select

from kernel.clock import FixedClock
from kernel.database import Database
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.chart import PENALTY_INCOME
from servicing.engine.cost import CostAboveCap
from servicing.engine.parts import Component
from servicing.engine.periods import month_after
from servicing.engine.terms import EventFee, FeeEvent, FeeTier, Terms
from servicing.operations.closing import open_day
from servicing.products import STANDARD
from servicing.queries.history import terms_of
from servicing.tables import DayPartition, Instalment, LedgerEntry, Loan

START = date(2026, 1, 31)
PENALISED = replace(STANDARD, code="penalised", penalty_multiplier=Decimal("1.5"))


def _days(first: date, last: date) -> Iterator[date]:
    yield from (first + timedelta(days=n) for n in range((last - first).days + 1))


class TestRows:
    """FINERACT-2234, FINERACT-2324: a loan of 24 months grew 700 rows, one for each day.

    frappe/lending#1328 asked for entries by the month in their place.
    """

    @pytest.mark.parametrize(
        ("late_terms", "least", "most"), [((), 50, 80), ((5, 6, 14), 50, 90)], ids=["kept", "late"]
    )
    def test_a_loan_of_24_months_that_is_closed_again_and_again_holds_dozens(
        self, database: Database, book: Any, late_terms: tuple[int, ...], least: int, most: int
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(
                session, terms=24, product=PENALISED, disbursed_on=date(2026, 1, 10)
            )
            plan = session.scalars(select(Instalment.due_on).order_by(Instalment.n)).all()
            pays = {
                due_on + timedelta(days=12 if n in late_terms else 0): n
                for n, due_on in enumerate(plan, 1)
            }
            for on in _days(START, max(pays)):
                if on.day % 3 == 0 or on in pays:
                    operations.age_loans(session, on=on, now=book.now)
                if on in pays:
                    row = session.scalars(select(Instalment).filter_by(n=pays[on])).one()
                    book.repay(session, loan_id, row.open_fen, key=f"p{row.n}", on=on)
            assert session.get_one(Loan, loan_id).state == "closed"
            assert operations.prove_books(session) == []
            kept = select(func.count()).where(LedgerEntry.loan_id == loan_id)
            entries = session.scalar(kept) or 0
            bore_penalty = session.scalar(select(func.sum(Instalment.penalty_fen))) or 0
        assert least <= entries <= most
        assert (bore_penalty > 0) == bool(late_terms)

    def test_closing_the_same_day_again_adds_none(self, database: Database, book: Any) -> None:
        """frappe/lending#643: what had accrued was made once more with the next run."""
        with database.write() as session:
            book.loan(session, product=PENALISED)
            on = date(2026, 4, 10)
            operations.age_loans(session, on=on, now=book.now)
            before = session.scalar(select(func.count()).select_from(LedgerEntry))
            for _ in range(3):
                assert operations.age_loans(session, on=on, now=book.now) == 0
            assert session.scalar(select(func.count()).select_from(LedgerEntry)) == before


class TestBackdatedPayments:
    """frappe/lending#1384, #871: one took minutes, the more the older the loan was."""

    def test_ask_the_database_as_much_of_an_old_loan_as_of_a_young_one(
        self, database: Database, book: Any
    ) -> None:
        asked = {months: self._statements(database, book, months) for months in (3, 14)}
        assert asked[14] <= asked[3] + 5

    def _statements(self, database: Database, book: Any, months: int) -> int:
        """Live so many months, all but the second paid late; count what that one's money takes."""
        first = date(2026, 1, 10)
        with database.write() as session:
            loan_id = book.loan(session, terms=24, product=PENALISED, disbursed_on=first)
            for n in range(1, months + 1):
                on = month_after(first, n) + timedelta(days=5)
                operations.age_loans(session, on=on, now=book.now)
                if n != 2:
                    book.repay(session, loan_id, 15_000, key=f"{loan_id}/{n}", on=on)
        with database.write() as session, _counted(session) as statements:
            book.repay(session, loan_id, 15_000, key=f"{loan_id}/late", on=date(2026, 3, 12))
            session.flush()
        with database.read() as session:
            assert operations.prove_books(session) == []
        return len(statements)


@contextmanager
def _counted(session: Any) -> Iterator[list[str]]:
    """Keep what is asked of the database meanwhile."""
    connection, asked = session.connection(), list[str]()

    def keep(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(connection, "before_cursor_execute", keep)
    yield asked
    event.remove(connection, "before_cursor_execute", keep)


class TestPenalInterest:
    """frappe/lending#303, #320, #324, #354, #419, #478, #1134, #1150: repaired again and again."""

    DUE, ON = date(2026, 2, 28), date(2026, 3, 20)

    @pytest.fixture
    def life(self, database: Database, book: Any) -> Iterator["_Late"]:
        with database.write() as session:
            yield _Late(session, book, book.loan(session, product=PENALISED))

    def test_is_of_overdue_principal_by_the_day_from_the_due_date(self, life: "_Late") -> None:
        life.close(self.ON)
        terms = life.terms()
        assert terms.penalty is not None
        exact = 98_515 * terms.penalty.rate_a_day * (self.ON - self.DUE).days
        assert life.penalty() == [round(exact), 0, 0]

    def test_costs_nothing_within_the_days_of_grace(self, life: "_Late") -> None:
        for days, is_charged in ((3, False), (4, True)):
            life.close(self.DUE + timedelta(days=days))
            assert (sum(life.penalty()) > 0) == is_charged

    def test_is_the_same_whether_every_day_is_closed_or_one(self, life: "_Late") -> None:
        for on in _days(self.DUE, self.ON):
            life.close(on)
        daily = life.penalty()
        other = life.book.loan(life.session, product=PENALISED)
        operations.age_loans(life.session, on=self.ON, now=life.book.now)
        assert replace(life, loan_id=other).penalty() == daily

    def test_runs_on_what_is_left_after_a_part_was_paid(self, life: "_Late") -> None:
        life.close(date(2026, 3, 10))
        before = sum(life.penalty())
        life.pay(4_500 + before + 98_515 // 2, date(2026, 3, 10))
        life.close(self.ON)
        assert sum(life.penalty()) - before == pytest.approx(before // 2, abs=2)

    def test_is_taken_back_where_the_money_had_come_in_time(self, life: "_Late") -> None:
        life.close(date(2026, 3, 31))
        assert sum(life.penalty()) > 0
        life.pay(103_015, self.DUE)
        assert sum(life.penalty()) == 0
        legs = [leg for entry in life.entries() for leg in entry.postings]
        income = [leg.amount_fen for leg in legs if leg.account == PENALTY_INCOME]
        assert (len(income), sum(income)) == (2, 0)

    def test_stops_with_a_freeze_and_with_what_is_given_up(self, life: "_Late") -> None:
        life.close(date(2026, 3, 10))
        before = life.penalty()
        by = {"loan_id": life.loan_id, "on": date(2026, 3, 10), "actor": "lin"}
        by["now"] = life.book.now
        operations.place_freeze(
            life.session, what="penalty", first_on=date(2026, 3, 11), last_on=None,
            reason="受灾", key="f", **by,
        )  # fmt: skip
        life.close(self.ON)
        assert life.penalty() == before
        operations.waive(
            life.session, component=Component.PENALTY, amount_fen=sum(before), key="w",
            **by | {"on": self.ON},
        )  # fmt: skip
        assert life.view().remaining_fen == 309_044

    def test_of_the_product_is_what_the_loan_bears(self, life: "_Late") -> None:
        """frappe/lending#1030: the product's rate was not copied to its loans."""
        plain = replace(life, loan_id=life.book.loan(life.session))
        agreed = PENALISED.agree(
            principal_fen=300_000, rate_annual=Decimal("0.18"), terms=3, start_on=START
        )
        assert (life.terms().penalty, plain.terms().penalty) == (agreed.penalty, None)


class TestDemands:
    def test_after_a_change_of_plan_what_is_asked_for_is_the_new_plan(
        self, database: Database, book: Any
    ) -> None:
        """frappe/lending#458: after a reschedule the old instalment was demanded."""
        on, due_on = date(2026, 3, 10), date(2026, 3, 31)
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="p1", on=date(2026, 2, 28))
            by = {"on": on, "key": "e", "actor": "lin", "now": book.now}
            book.extend(session, loan_id, 3, **by)
            (newest, *_) = reversed(queries.plan_versions(session, loan_id=loan_id))
            (row,) = [row for row in newest.rows if row.due_on == due_on]
            (loan,) = queries.loans_of(session, customer_id=1, on=due_on)
            asked = queries.repayment_quote(loan, on=due_on).amount_fen
            assert asked == row.principal_fen + row.interest_fen + row.fee_fen
            assert asked < 103_015
            book.repay(session, loan_id, asked, key="p2", on=due_on)
            (loan,) = queries.loans_of(session, customer_id=1, on=due_on)
            assert loan.due_fen == 0

    def test_a_plan_says_what_its_loan_owes_after_every_payment(
        self, database: Database, book: Any
    ) -> None:
        """GaloyMoney/lana-bank#1863: the plan's status came apart from the obligations."""
        with database.write() as session:
            loan_id = book.loan(session)
            for n, fen in enumerate((50_000, 53_015, 103_015, 1)):
                book.repay(session, loan_id, fen, key=f"p{n}", on=date(2026, 3, 31))
                (loan,) = queries.loans_of(session, customer_id=1, on=date(2026, 3, 31))
                owed = queries.loan_as_of(session, loan_id=loan_id, on=date(2026, 3, 31))
                assert loan.remaining_fen == owed.outstanding.total_fen
                for row, instalment in zip(owed.rows, loan.plan, strict=True):
                    assert instalment.outstanding_fen == row.outstanding.total_fen
                assert operations.prove_books(session) == []

    def test_a_fee_may_be_a_share_of_what_is_open(self, database: Database, book: Any) -> None:
        """adempiere/adempiere#1691: a fee as a percentage of the quotas that are open."""
        share = EventFee(
            name="提前结清手续费",
            event=FeeEvent.EARLY_SETTLEMENT,
            payee="本公司",
            tiers=(FeeTier(share=Decimal("0.01")),),
        )
        on = date(2026, 3, 15)
        with database.write() as session:
            loan_id = book.loan(session, product=replace(STANDARD, event_fees=(share,)))
            book.repay(session, loan_id, 103_015, key="p1", on=date(2026, 2, 28))
            quote = queries.settlement_quote(session, loan_id=loan_id, customer_id=1, on=on)
            assert quote.later_principal_fen == 300_000 - 98_515
            # 1 % of it, as far as the cap of 24 % leaves room.
            assert 0 < quote.fee_fen <= 2_015


class TestManyAtOnce:
    def test_write_offs_of_many_loans_wait_for_nobody(self, database: Database, book: Any) -> None:
        """frappe/lending#1169, #1146: one number series locked all of a bulk write-off."""
        with database.write() as session:
            loans = [book.loan(session) for _ in range(8)]

        def give_up(loan_id: int) -> int:
            with database.write() as session:
                return operations.write_off(
                    session, loan_id=loan_id, on=date(2026, 3, 10), key=f"w{loan_id}",
                    actor="lin", now=book.now,
                )  # fmt: skip

        assert together([partial(give_up, loan_id) for loan_id in loans]) == ([2] * 8, [])
        with database.read() as session:
            gone = session.scalars(select(Loan.written_off_on)).all()
            assert gone == [date(2026, 3, 10)] * 8
            assert operations.prove_books(session) == []

    def test_a_day_is_shared_out_evenly_although_ids_have_gaps(
        self, runtime: Runtime, book: Any
    ) -> None:
        """fineract#3280: ranges of ids held a hundred loans, or none."""
        with runtime.database.write() as session:
            loans = [book.loan(session) for _ in range(9)]
            for loan_id in (loans[1], loans[2], loans[3]):
                book.repay(session, loan_id, 309_044, key=f"p{loan_id}", on=date(2026, 3, 31))
            on = date(2026, 4, 1)
            open_day(session, on=on, partition=2, now=book.now)
            session.flush()
            ranges = session.execute(
                select(DayPartition.first_id, DayPartition.last_id).order_by(DayPartition.n)
            ).all()
        behind = [loan_id for loan_id in loans if loan_id not in loans[1:4]]
        held = [sum(first <= each <= last for each in behind) for first, last in ranges]
        assert held == [2, 2, 2]

    def test_a_day_on_which_every_loan_fails_ends_and_tells(
        self, runtime: Runtime, book: Any, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """fineract#3018, frappe/erpnext#24544: the run crashed, or nobody heard that it had."""
        with runtime.database.write() as session:
            loans = [book.loan(session) for _ in range(3)]

        def breaks(*_: Any, **__: Any) -> None:
            raise CostAboveCap("no cap is known")

        on = date(2026, 4, 10)
        with monkeypatch.context() as broken:
            broken.setattr("servicing.operations.ageing._penalties", breaks)
            counts = operations.close_day(runtime, on=on)
        assert (counts["aged"], counts["failed"]) == (0, 3)
        with runtime.database.read() as session:
            (run,) = queries.day_runs(session, offset=0, limit=5)
            (alert,) = queries.alerts(session)
        assert [failed.loan_id for failed in run.open_failures] == loans
        assert (alert.kind, alert.details["loans"]) == ("day-failures", 3)
        clock.advance(timedelta(minutes=1))
        assert operations.resume_days(runtime) == 3


@dataclass
class _Late:
    """A loan whose borrower does not pay."""

    session: Any
    book: Any
    loan_id: int

    def close(self, on: date) -> None:
        operations.age_loans(self.session, on=on, now=self.book.now)

    def pay(self, fen: int, on: date) -> None:
        self.book.repay(self.session, self.loan_id, fen, key=f"{on}/{fen}", on=on)

    def terms(self) -> Terms:
        return terms_of(self.session.get_one(Loan, self.loan_id))

    def view(self) -> queries.LoanView:
        owner = self.session.get_one(Loan, self.loan_id).customer_id
        return queries.loan_of(
            self.session, loan_id=self.loan_id, customer_id=owner, on=date(2026, 3, 20)
        )

    def penalty(self) -> list[int]:
        """List what each instalment bears of it, fen."""
        rows = select(Instalment.penalty_fen).filter_by(loan_id=self.loan_id).order_by(Instalment.n)
        return list(self.session.scalars(rows))

    def entries(self) -> Any:
        return queries.entries_of(self.session, loan_id=self.loan_id)
