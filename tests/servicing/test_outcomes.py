"""What loans come to is told to risk each night, once, and told anew when it proves untrue."""

from datetime import date, timedelta
from typing import Any

import pytest
from agreeing import agree
from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.clock import business_date, start_of_day
from kernel.runtime import Runtime
from risk.lifecycle.tables import RiskFact
from risk.operations import OUTCOME
from servicing import operations
from servicing.demo.book import seed_demo
from servicing.operations import judge_loans, tell_outcomes
from servicing.outcomes import Lived, Outcome, is_bad, months_on_book
from servicing.tables import Application, Instalment, Loan, LoanOutcome

SPOTLESS = Lived(
    disbursed_on=date(2026, 1, 31),
    closed_to=date(2026, 6, 1),
    first_late_on=None,
    late_30_on=None,
    late_90_on=None,
    settled_on=None,
    off_books_on=None,
)


class Nights:
    """A loan of three instalments that closes its days, and what risk was told of it."""

    def __init__(self, runtime: Runtime, book: Any) -> None:
        self.runtime, self.book = runtime, book
        with runtime.database.write() as session:
            self.loan_id = book.loan(session)

    def close(self, on: date, *, batch: int = 10) -> int:
        """Close a day the morning after, and tell what the loans have come to."""
        clock: Any = self.runtime.clock
        clock.advance(start_of_day(on + timedelta(days=1)) - clock.now())
        operations.close_day(self.runtime, on=on)
        return tell_outcomes(self.runtime, on=on, batch=batch)

    def told(self) -> list[tuple[str, bool | None]]:
        with self.runtime.database.read() as session:
            facts = session.scalars(select(RiskFact).order_by(RiskFact.id))
            return [(fact.kind, fact.attributes.get("is_bad")) for fact in facts]

    def standing(self) -> dict[str, date]:
        with self.runtime.database.read() as session:
            rows = session.scalars(select(LoanOutcome).where(LoanOutcome.undone_at.is_(None)))
            return {row.outcome: row.reached_on for row in rows}

    def repay(self, fen: int, *, on: date, key: str) -> None:
        with self.runtime.database.write() as session:
            operations.post_repayment(
                session,
                loan_id=self.loan_id,
                amount_fen=fen,
                value_date=on,
                key=key,
                now=self.runtime.clock.now(),
            )

    def whole(self) -> int:
        with self.runtime.database.read() as session:
            rows = session.scalars(select(Instalment).where(Instalment.loan_id == self.loan_id))
            return sum(row.open_fen for row in rows)


@pytest.fixture
def nights(runtime: Runtime, book: Any) -> Nights:
    return Nights(runtime, book)


class TestTelling:
    def test_a_first_instalment_thirty_days_late_is_told_once(self, nights: Nights) -> None:
        assert nights.close(date(2026, 3, 29)) == 0
        assert nights.close(date(2026, 3, 30)) == 2
        assert nights.standing() == {
            "first_payment_default": date(2026, 3, 30),
            "late_30": date(2026, 3, 30),
        }
        told = [("loan.first_payment_default", None), ("loan.late_30", None), (OUTCOME, True)]
        assert sorted(nights.told()) == sorted(told)
        assert nights.close(date(2026, 3, 30)) == 0
        assert nights.close(date(2026, 3, 31)) == 0
        assert len(nights.told()) == len(told)

    def test_a_loan_that_is_paid_in_time_is_settled_clean(self, nights: Nights) -> None:
        nights.close(date(2026, 3, 9))
        nights.repay(nights.whole(), on=date(2026, 3, 10), key="all")
        assert nights.close(date(2026, 3, 10)) == 1
        assert nights.told() == [("loan.settled_clean", None), (OUTCOME, False)]

    def test_a_payment_of_an_earlier_day_takes_a_default_back_with_its_history(
        self, nights: Nights
    ) -> None:
        nights.close(date(2026, 3, 31))
        nights.repay(110_000, on=date(2026, 3, 1), key="first")
        nights.close(date(2026, 4, 1))
        assert nights.standing() == {}
        assert [each for each in nights.told() if each[0] == OUTCOME] == [
            (OUTCOME, True),
            (OUTCOME, None),
        ]
        with nights.runtime.database.read() as session:
            rows = session.scalars(select(LoanOutcome)).all()
        assert {row.outcome for row in rows} == {"first_payment_default", "late_30"}
        assert all(row.undone_at is not None for row in rows)

    def test_a_plan_that_is_laid_anew_leaves_true_what_was(self, nights: Nights) -> None:
        nights.close(date(2026, 3, 31))
        before = nights.standing()
        with nights.runtime.database.write() as session:
            agree(
                session,
                operations.re_ageing,
                operations.re_age,
                {"first_due_on": date(2026, 5, 10), "terms": 6},
                {
                    "loan_id": nights.loan_id,
                    "key": "anew",
                    "actor": "lin",
                    "on": date(2026, 4, 1),
                    "now": nights.runtime.clock.now(),
                },
            )
        with nights.runtime.database.read() as session:
            open_rows = select(Instalment.due_on).where(Instalment.settled_on.is_(None))
            assert min(session.scalars(open_rows)) == date(2026, 5, 10)
        nights.close(date(2026, 4, 1))
        assert nights.standing() == before

    def test_in_small_batches_it_tells_the_same_and_goes_on_where_it_stopped(
        self, runtime: Runtime, book: Any
    ) -> None:
        nights = Nights(runtime, book)
        with runtime.database.write() as session:
            for _ in range(4):
                book.loan(session)
        assert nights.close(date(2026, 3, 30), batch=2) == 10
        assert sum(kind == OUTCOME for kind, _ in nights.told()) == 5


class TestLabels:
    def test_go_with_the_decision_that_granted_the_loan(self, runtime: Runtime, book: Any) -> None:
        nights = Nights(runtime, book)
        with runtime.database.write() as session:
            customer_id = session.get_one(Loan, nights.loan_id).customer_id
            application_id = book.application(session, customer_id=customer_id)
            session.get_one(Application, application_id).decision_no = "D20260131AAAA"
            session.get_one(Loan, nights.loan_id).application_id = application_id
        nights.close(date(2026, 3, 30))
        with runtime.database.read() as session:
            (label,) = session.scalars(select(RiskFact).where(RiskFact.kind == OUTCOME))
        assert label.attributes == {
            "is_bad": True,
            "decision_id": "D20260131AAAA",
            "of": f"loan:{nights.loan_id}",
        }
        assert label.subject == f"customer:{customer_id}"
        assert business_date(label.happened_at) == date(2026, 3, 30)


class TestDefinition:
    @pytest.mark.parametrize(
        ("months", "judged"),
        [
            ({}, None),
            ({Outcome.LATE_30: 3}, None),
            ({Outcome.LATE_30: 3, Outcome.SETTLED_LATE: 9}, False),
            ({Outcome.SETTLED_CLEAN: 6}, False),
            ({Outcome.WATCHED: 12}, False),
            ({Outcome.LATE_90: 11, Outcome.WATCHED: 12}, True),
            ({Outcome.LATE_90: 12, Outcome.WATCHED: 12}, False),
            ({Outcome.FIRST_PAYMENT_DEFAULT: 2, Outcome.SETTLED_LATE: 4}, True),
            ({Outcome.WATCHED: 12, Outcome.WRITTEN_OFF: 20}, True),
        ],
    )
    def test_says_what_is_bad(self, months: dict[Outcome, int], judged: bool | None) -> None:
        assert is_bad(months) is judged

    def test_an_open_loan_has_come_to_nothing(self) -> None:
        assert SPOTLESS.reached() == {}

    @pytest.mark.parametrize(
        ("on", "months"),
        [
            (date(2026, 1, 31), 0),
            (date(2026, 2, 27), 0),
            (date(2026, 2, 28), 1),
            (date(2027, 1, 30), 11),
            (date(2027, 1, 31), 12),
        ],
    )
    def test_counts_months_to_the_end_of_short_ones(self, on: date, months: int) -> None:
        assert months_on_book(SPOTLESS.disbursed_on, on) == months


class TestDemo:
    @pytest.fixture
    def seeded(self, runtime: Runtime) -> Runtime:
        with runtime.database.write() as session:
            now = runtime.clock.now()
            seed_demo(session, runtime.cipher, customers=60, seed=1, now=now)
        return runtime

    def test_tells_of_itself_and_a_night_has_nothing_to_add(self, seeded: Runtime) -> None:
        with seeded.database.read() as session:
            labels = session.scalars(select(RiskFact).where(RiskFact.kind == OUTCOME)).all()
            loans = session.scalars(select(Loan.id)).all()
            assert {label.attributes["is_bad"] for label in labels} == {True, False}
            assert len(labels) == len({_loan_of(label) for label in labels}) <= len(loans)
        with seeded.database.write() as session:
            assert judge_loans(session, loan_ids=loans, now=seeded.clock.now()) == 0

    def test_says_of_each_loan_what_its_own_dates_say(self, seeded: Runtime) -> None:
        with seeded.database.read() as session:
            for loan in session.scalars(select(Loan)):
                assert _late_by_hand(session, loan) == _late_as_told(session, loan), loan.id


def _loan_of(label: RiskFact) -> str:
    return label.key.partition("/")[0]


def _late_by_hand(session: Session, loan: Loan) -> set[str]:
    rows = session.scalars(select(Instalment).where(Instalment.loan_id == loan.id)).all()
    days = {row.n: ((row.settled_on or loan.closed_to) - row.due_on).days for row in rows}
    worst = max(days.values())
    found = {name for name, least in (("late_30", 30), ("late_90", 90)) if worst >= least}
    return found | ({"first_payment_default"} if days[1] >= 30 else set())


def _late_as_told(session: Session, loan: Loan) -> set[str]:
    rows = session.scalars(select(LoanOutcome.outcome).where(LoanOutcome.loan_id == loan.id))
    return {row for row in rows if row.startswith(("late", "first"))}
