"""What staff do to a loan is an event: previewed, posted once, told as of any day, taken back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text

from kernel.database import Database
from kernel.errors import FenqiError
from kernel.idempotency import KeyReused
from kernel.money import plain_yuan
from kernel.outbox import OutboxRow
from servicing import operations, queries
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import Charge
from servicing.engine.parts import Component
from servicing.engine.profile import Excess
from servicing.operations import (
    CostNotConfirmed,
    ExtensionRefused,
    ReversalRefused,
    WaiverTooLarge,
)
from servicing.products import STANDARD

Ledger = Callable[..., str]
ON = date(2026, 3, 10)
STRICT = replace(STANDARD, code="strict", penalty_multiplier=Decimal("1.5"))


def _by(book: Any, key: str, **given: Any) -> dict[str, Any]:
    return {"key": key, "actor": "lin", "on": ON, "now": book.now, **given}


def _view(session: Any, loan_id: int, on: date = ON) -> queries.LoanView:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)


class TestReverse:
    def test_restores_the_loan_and_books_everything_back(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            before = _view(session, loan_id)
            book.repay(session, loan_id, 104_000, key="p1")
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1"))
            assert _view(session, loan_id) == before
            assert operations.prove_books(session) == []
            *_, interest, reversal = ledger(session, loan_id).splitlines()
            assert interest == (
                "2026-03-10 interest     interest-income#2 30.22  interest-receivable#2 -30.22"
            )
            assert reversal == (
                "2026-03-10 reversal     interest-receivable#1 45.00  loan-principal#1 985.15  "
                "interest-receivable#2 9.85  wechat-pay-clearing -1040.00"
            )

    def test_lets_a_later_payment_settle_what_the_earlier_one_had(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="p1", on=date(2026, 2, 28))
            book.repay(session, loan_id, 103_015, key="p2")
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1"))
            first, second, _ = _view(session, loan_id).plan
            assert (first.outstanding_fen, second.paid_fen) == (0, 0)
            assert operations.prove_books(session) == []

    def test_opens_a_settled_loan_and_its_line_again(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=500_000, now=book.now
            )
            loan_id = book.loan(session, customer_id=customer_id, line_id=line_id)
            session.execute(text("UPDATE credit_line SET utilised_fen = 300000"))
            drawn = queries.lines_of(session, customer_id=customer_id)[0].utilised_fen
            book.repay(session, loan_id, 309_044, key="p1")
            assert _view(session, loan_id).state == "closed"
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "r1"))
            assert _view(session, loan_id).state == "active"
            assert queries.lines_of(session, customer_id=customer_id)[0].utilised_fen == drawn

    @pytest.mark.parametrize("seq", [1, 7])
    def test_refuses_the_disbursement_and_what_never_happened(
        self, database: Database, book: Any, seq: int
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            with pytest.raises(ReversalRefused):
                operations.reverse(session, loan_id=loan_id, seq=seq, **_by(book, "r1"))


class TestBackdatedPayment:
    def test_corrects_what_later_ones_had_settled(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="p2")
            book.repay(session, loan_id, 50_000, key="p1", on=date(2026, 2, 20))
            assert operations.prove_books(session) == []
            assert "correction" in ledger(session, loan_id)
            first, second, _ = _view(session, loan_id).plan
            assert (first.outstanding_fen, second.paid_fen) == (0, 50_000)


class TestWaive:
    def test_gives_up_interest_and_tells(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            operations.age_loans(session, on=date(2026, 3, 9), now=book.now)
            operations.waive(
                session,
                loan_id=loan_id,
                component=Component.INTEREST,
                amount_fen=4_500,
                **_by(book, "w1"),
            )
            assert operations.prove_books(session) == []
            row = _view(session, loan_id).plan[0]
            assert (row.waived_fen, row.outstanding_fen) == (4_500, 98_515)
            assert ledger(session, loan_id).splitlines()[-1] == (
                "2026-03-10 interest-waiver waived 45.00  interest-receivable -45.00"
            )
            told = session.scalars(select(OutboxRow).order_by(OutboxRow.id.desc())).first()
            assert (told.event, told.payload["kind"]) == ("LoanChanged", "waiver")

    def test_refuses_what_is_not_owed_and_another_amount_under_its_key(
        self, database: Database, book: Any
    ) -> None:
        def waive(session: Any, component: Component, fen: int) -> int:
            return operations.waive(
                session, loan_id=loan_id, component=component, amount_fen=fen, **_by(book, "w1")
            )

        with database.write() as session:
            loan_id = book.loan(session)
        for component, fen in ((Component.PENALTY, 100), (Component.INTEREST, 9_045)):
            with pytest.raises(WaiverTooLarge), database.write() as session:
                waive(session, component, fen)
        with database.write() as session:
            assert waive(session, Component.INTEREST, 100) == 2
            assert waive(session, Component.INTEREST, 100) == 2
            with pytest.raises(KeyReused):
                waive(session, Component.INTEREST, 101)

    def test_leaves_what_comes_to_be_owed_again(self, database: Database, book: Any) -> None:
        """A bounced payment is owed again in full, whatever was given up since."""
        with database.write() as session:
            loan_id = book.loan(session)
            book.repay(session, loan_id, 103_015, key="p", on=ON)
            owed = {"loan_id": loan_id, "component": Component.INTEREST}
            with pytest.raises(WaiverTooLarge):
                operations.waive(session, amount_fen=100_000, **owed, **_by(book, "w1"))
            operations.waive(session, amount_fen=4_544, **owed, **_by(book, "w2"))
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "bounced"))
            assert _view(session, loan_id).remaining_fen == 309_044 - 4_544


class TestCharge:
    def test_falls_due_with_its_instalment_and_is_paid_before_interest(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12, rate_annual=Decimal("0.12"))
            for _ in range(2):
                operations.charge(
                    session,
                    loan_id=loan_id,
                    amount_fen=1_000,
                    due_on=date(2026, 3, 20),
                    **_by(book, "c1"),
                )
            row = _view(session, loan_id).plan[1]
            assert row.fee_fen == 1_000
            book.repay(session, loan_id, _view(session, loan_id).plan[0].total_fen, key="p1")
            book.repay(session, loan_id, 1_500, key="p2")
            assert operations.prove_books(session) == []
            paid = queries.repayments_of(session, loan_id=loan_id)[0]
            assert (paid.fee_fen, paid.interest_fen) == (1_000, 500)

    def test_is_refused_when_the_loan_would_cost_more_than_the_cap(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
        with pytest.raises(CostAboveCap), database.write() as session:
            operations.charge(
                session,
                loan_id=loan_id,
                amount_fen=30_000,
                due_on=date(2026, 3, 20),
                **_by(book, "c1"),
            )
        with database.read() as session:
            assert len(queries.loan_events(session, loan_id=loan_id)) == 1


class TestExtend:
    def _loan(self, session: Any, book: Any) -> int:
        loan_id = book.loan(session, terms=6)
        book.repay(session, loan_id, _view(session, loan_id).plan[0].total_fen, key="p1")
        return int(loan_id)

    def test_previews_what_it_then_does(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = self._loan(session, book)
            event = operations.extension(session, loan_id=loan_id, extra_terms=3, on=ON)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            assert len(queries.loan_events(session, loan_id=loan_id)) == 2
            book.extend(session, loan_id, 3, **_by(book, "x1"))
            first, second = queries.plan_versions(session, loan_id=loan_id)
            assert (first.rows, second.rows) == (seen.plan_before, seen.plan_after)
            assert (len(first.rows), len(second.rows), second.from_seq) == (6, 9, 3)
            remaining = _view(session, loan_id).remaining_fen
            assert remaining == seen.remaining_after_fen
            assert seen.extra_fen == remaining - seen.remaining_before_fen > 0
            assert abs(seen.cost_after - seen.cost_before) < Decimal("0.002")
            assert operations.prove_books(session) == []

    def test_happens_once_and_a_repeat_is_the_same(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = self._loan(session, book)
            wanted = {"loan_id": loan_id, "extra_terms": 3, **_by(book, "x1")}
            with pytest.raises(CostNotConfirmed), session.begin_nested():
                operations.extend(session, disclosure_id=1, **wanted)
            assert book.extend(session, loan_id, 3, **_by(book, "x1")) == 3
            assert operations.extend(session, disclosure_id=2, **wanted) == 3
            with pytest.raises(ExtensionRefused):
                operations.extend(session, disclosure_id=2, **wanted | {"key": "x2"})

    def test_is_shown_with_what_it_costs(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = self._loan(session, book)
            event = operations.extension(session, loan_id=loan_id, extra_terms=3, on=ON)
            table = operations.change_table(session, loan_id=loan_id, event=event)
            remaining = _view(session, loan_id).remaining_fen
            assert table["remaining_before"] == plain_yuan(remaining)
            assert (table["kind"], table["terms"], table["last_due_on"]) == (
                *("extra-terms", 8),
                "2026-10-31",
            )
            assert Decimal(table["extra"]) > 0
            assert abs(Decimal(table["annual_cost_nominal"]) - Decimal("0.18")) < Decimal("0.003")
            assert table["cap_annual"] == "0.2400"

    @pytest.mark.parametrize(("extra", "is_late"), [(0, False), (7, False), (3, True)])
    def test_refuses_late_loans_and_too_many_terms(
        self, database: Database, book: Any, extra: int, is_late: bool
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6) if is_late else self._loan(session, book)
            with pytest.raises(ExtensionRefused):
                operations.extension(session, loan_id=loan_id, extra_terms=extra, on=ON)


class TestPenalty:
    def _late(self, session: Any, book: Any) -> int:
        return int(book.loan(session, product=STRICT, rate_annual=Decimal("0.216"), terms=6))

    def test_runs_on_overdue_principal_at_no_more_than_the_cap_a_day(
        self, database: Database, book: Any, ledger: Ledger
    ) -> None:
        with database.write() as session:
            loan_id = self._late(session, book)
            for day in range(1, 31):
                operations.age_loans(session, on=date(2026, 3, day), now=book.now)
                row = _view(session, loan_id, date(2026, 3, day)).plan[0]
                exact = row.principal_fen * Decimal("0.2322") / 360 * day
                assert row.penalty_fen == (round(exact) if day > 3 else 0)
            assert "penalty-income" not in ledger(session, loan_id)
            operations.age_loans(session, on=date(2026, 3, 31), now=book.now)
            assert operations.prove_books(session) == []
            lines = ledger(session, loan_id).splitlines()
            (booked,) = (line for line in lines if "penalty-income" in line)
            assert booked.startswith("2026-03-31 penalty")

    def test_is_asked_for_as_of_today_although_the_day_is_not_closed(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = self._late(session, book)
            operations.age_loans(session, on=date(2026, 3, 9), now=book.now)
            quote = queries.repayment_quote(_view(session, loan_id), on=ON)
            book.repay(session, loan_id, quote.amount_fen, key="p1")
            assert _view(session, loan_id).due_fen == 0
            assert operations.prove_books(session) == []
            paid = queries.repayments_of(session, loan_id=loan_id)[0]
            assert paid.penalty_fen > 0

    @pytest.mark.parametrize(("day", "is_charged"), [(3, False), (4, True)])
    def test_within_grace_is_suppressed_and_counts_back_when_missed(
        self, database: Database, book: Any, day: int, is_charged: bool
    ) -> None:
        with database.write() as session:
            loan_id = self._late(session, book)
            operations.age_loans(session, on=date(2026, 3, day), now=book.now)
            row = _view(session, loan_id, date(2026, 3, day)).plan[0]
            exact = row.principal_fen * Decimal("0.2322") / 360 * day
            assert row.penalty_fen == (round(exact) if is_charged else 0)

    def test_stands_still_in_a_pause_and_can_be_waived(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = self._late(session, book)
            operations.place_freeze(
                session, loan_id=loan_id, what="penalty", reason="受灾",
                first_on=date(2026, 3, 1), last_on=date(2026, 3, 5),
                **_by(book, "s1", on=date(2026, 3, 1)),
            )  # fmt: skip
            operations.age_loans(session, on=ON, now=book.now)
            row = _view(session, loan_id).plan[0]
            assert row.penalty_fen == round(row.principal_fen * Decimal("0.2322") / 360 * 5)
            operations.waive(
                session, loan_id=loan_id, component=Component.PENALTY, amount_fen=row.penalty_fen,
                **_by(book, "w1"),
            )  # fmt: skip
            row = _view(session, loan_id).plan[0]
            assert row.outstanding_fen == row.principal_fen + row.interest_fen
            assert operations.prove_books(session) == []

    def test_is_told_apart_in_the_cost_table(self) -> None:
        shown = operations.cost_table(
            principal_fen=300_000,
            rate_annual=Decimal("0.216"),
            terms=6,
            disbursed_on=ON,
            product=STRICT,
        )
        assert shown["default_charges"][0]["rate_annual"] == "0.232200"


class TestInterestPause:
    def test_saves_the_interest_of_its_days(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            before = _view(session, loan_id).remaining_fen
            operations.place_freeze(
                session, loan_id=loan_id, what="interest", reason="受灾",
                first_on=date(2026, 3, 11), last_on=date(2026, 3, 20),
                **_by(book, "s1"),
            )  # fmt: skip
            after = _view(session, loan_id)
            assert after.remaining_fen < before
            assert "期间有冻结利息的日子" in queries.explain(after.plan[1])
            assert operations.prove_books(session) == []


class TestAsOf:
    def test_reads_a_past_day_as_it_was_known_then_and_now(
        self, database: Database, book: Any
    ) -> None:
        later = book.now + timedelta(days=2)
        with database.write() as session:
            loan_id = book.loan(session)
            book.now = later
            book.repay(session, loan_id, 50_000, key="p1", on=date(2026, 2, 20))

        def owed(on: date, known_at: datetime | None) -> int:
            with database.read() as session:
                state = queries.loan_as_of(session, loan_id=loan_id, on=on, known_at=known_at)
            return state.outstanding.total_fen

        assert owed(date(2026, 3, 1), None) == 309_044 - 50_000
        assert owed(date(2026, 3, 1), later - timedelta(days=1)) == 309_044
        assert owed(date(2026, 2, 19), None) == 309_044
        with database.write() as session:
            operations.reverse(
                session, loan_id=loan_id, seq=2, **_by(book, "r1", now=later + timedelta(days=5))
            )
        assert owed(date(2026, 3, 1), later) == 309_044 - 50_000

    def test_of_no_loan_is_not_found(self, database: Database) -> None:
        with pytest.raises(FenqiError), database.read() as session:
            queries.loan_as_of(session, loan_id=9, on=ON)


class TestSettlementQuote:
    @pytest.mark.parametrize("day", [0, 1, 15, 28, 29, 40, 58, 59, 70])
    def test_is_what_closes_the_loan_on_its_day(
        self, database: Database, book: Any, day: int
    ) -> None:
        on = date(2026, 1, 31) + timedelta(days=day)
        with database.write() as session:
            loan_id = book.loan(session)
            quote = queries.settlement_quote(session, loan_id=loan_id, customer_id=1, on=on)
            assert quote.amount_fen == sum(
                (quote.due_fen, quote.later_principal_fen, quote.cost_fen)
            )
            assert quote.amount_fen + quote.saved_fen == 309_044
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=quote.amount_fen,
                value_date=on,
                key="s1",
                now=book.now,
            )
            after = _view(session, loan_id, on)
            assert (after.state, after.remaining_fen) == ("closed", 0)
            assert operations.prove_books(session) == []

    def test_of_another_customer_or_product_is_refused(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            fixed = book.loan(session, customer_id=1, product=replace(STRICT, settles_early=False))
            for customer_id, asked in ((2, loan_id), (1, fixed)):
                with pytest.raises(FenqiError):
                    queries.settlement_quote(session, loan_id=asked, customer_id=customer_id, on=ON)


class TestPreview:
    def test_writes_nothing(self, database: Database, book: Any, ledger: Ledger) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            before = ledger(session, loan_id)
            event = Charge(id="", on=ON, amount_fen=500, due_on=ON)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            assert (seen.kind, seen.extra_fen) == ("charge", 500)
            assert ledger(session, loan_id) == before


class TestIncomeByEventAndByNight:
    def _rows(self, session: Any, loan_id: int) -> list[tuple[Any, ...]]:
        return sorted(
            (
                entry.kind,
                entry.effective_on,
                tuple((leg.account, leg.instalment_n, leg.amount_fen) for leg in entry.postings),
            )
            for entry in queries.entries_of(session, loan_id=loan_id)
        )

    @pytest.mark.parametrize("days", [[10], [1, 4, 10], [*range(1, 11)]])
    def test_is_booked_on_the_same_days(
        self, database: Database, book: Any, days: list[int]
    ) -> None:
        """What a night has not recognised yet, an event of the same day recognises alike."""
        terms: dict[str, Any] = {"product": STRICT, "rate_annual": Decimal("0.216"), "terms": 6}
        with database.write() as session:
            by_event, by_night = (book.loan(session, **terms) for _ in range(2))
            for day in days[:-1]:
                operations.age_loans(session, on=date(2026, 3, day), now=book.now)
            book.repay(session, by_event, 10_000, key="p1", on=ON)
            operations.age_loans(session, on=ON, now=book.now)
            book.repay(session, by_night, 10_000, key="p2", on=ON)
            assert self._rows(session, by_event) == self._rows(session, by_night)
            penalties = [on for kind, on, _ in self._rows(session, by_event) if kind == "penalty"]
            assert penalties == [ON]
            assert operations.prove_books(session) == []

    def test_is_taken_back_on_the_day_on_which_it_was_booked(
        self, database: Database, book: Any
    ) -> None:
        """As of a day between, what came late had been paid in time: nothing had run."""
        month_end = date(2026, 3, 31)
        with database.write() as session:
            loan_id = book.loan(session, product=STRICT, rate_annual=Decimal("0.216"), terms=6)
            operations.age_loans(session, on=month_end, now=book.now)
            book.repay(session, loan_id, 53_000, key="p1", on=date(2026, 3, 2))
            rows = self._rows(session, loan_id)
            legs = [(on, leg) for _, on, legs in rows for leg in legs if leg[0] == "penalty-income"]
            booked, taken = sorted(amount for _, (_, _, amount) in legs)
            assert [on for on, _ in legs] == [month_end] * 2
            assert 0 < taken < -booked  # some was still owed
            assert operations.prove_books(session) == []


class TestRateInForce:
    def test_is_what_views_and_reasons_go_by(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6, disbursed_on=date(2026, 2, 20))
            operations.reprice(
                session,
                loan_id=loan_id,
                rate_annual=Decimal("0.12"),
                from_on=date(2026, 4, 1),
                **_by(book, "r1"),
            )
            rates = [_view(session, loan_id, on).rate_annual for on in (ON, date(2026, 4, 1))]
            assert rates == [Decimal("0.18"), Decimal("0.12")]
            assert _view(session, loan_id, date(2026, 3, 31)).rate_annual == Decimal("0.18")
            view = _view(session, loan_id, date(2026, 4, 1))
            assert view.agreed_rate_annual == Decimal("0.18")
            first, second, third = (queries.explain(row) for row in view.plan[:3])
            assert "年利率 18% ÷ 12" in first
            # A month counts thirty days, whatever it has.
            assert "年利率 18% × 11 天 ÷ 360 + " in second
            assert "年利率 12% × 19 天 ÷ 360" in second
            assert "年利率 12% ÷ 12" in third
            state = queries.loan_as_of(session, loan_id=loan_id, on=date(2026, 4, 1))
            assert state.rate_annual == Decimal("0.12")
            operations.reverse(session, loan_id=loan_id, seq=2, **_by(book, "u1"))
            assert _view(session, loan_id, date(2026, 4, 1)).rate_annual == Decimal("0.18")


class TestTermsInForce:
    def test_stand_beside_those_that_were_agreed(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6, disbursed_on=date(2026, 2, 20))
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=200_000,
                value_date=ON,
                key="p1",
                effect=Excess.REDUCE_TERM,
                now=book.now,
            )
            view = _view(session, loan_id)
            assert view.agreed_terms == 6
            assert view.terms == len(view.plan) < 6
