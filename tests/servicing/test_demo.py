"""The demo book looks like the trade, nobody in it can be real, and its books are true."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from contact.queries import customer_of
from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.database import Base, Database
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.demo.book import _life, add_customer, seed_demo
from servicing.demo.people import people
from servicing.demo.rows import Rows, disclosed
from servicing.demo.stories import STORIES, tell
from servicing.engine.plan import plan
from servicing.products import STANDARD
from servicing.tables import Application, Customer, Instalment, Loan

NOW = datetime.fromisoformat("2026-03-10T02:00:00+00:00")
ON = date(2026, 3, 10)
_MONTH = timedelta(days=30)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 -- made-up people are no secret


@pytest.fixture(scope="module")
def rows() -> Rows:
    """The rows of three thousand borrowers, not written anywhere."""
    key = bytes(32)
    cipher = FieldCipher({"k": key}, current="k", index_key=key)
    made = Rows(on=ON, random=_chance(7))
    for n, person in enumerate(islice(people(made.random, on=ON), 3_000), 1):
        add_customer(made, cipher, _life(made.random, n, person, None, ON), None, [])
    return made


class TestTrade:
    def test_shows_first_payment_default_of_two_to_four_percent(self, rows: Rows) -> None:
        first = [row for row in rows.rows[Instalment] if row["n"] == 1]
        old = [row for row in first if row["due_on"] <= ON - timedelta(days=30)]
        missed = [row for row in old if (row["settled_on"] or ON) > row["due_on"] + _MONTH]
        assert 0.02 <= len(missed) / len(old) <= 0.04

    def test_shows_four_to_eight_percent_of_active_loans_thirty_days_late(self, rows: Rows) -> None:
        active = [row for row in rows.rows[Loan] if row["state"] == "active"]
        late = [row for row in active if row["days_past_due"] > 30]
        assert 0.04 <= len(late) / len(active) <= 0.08

    def test_sells_for_one_to_ten_thousand_yuan_over_six_to_twenty_four_months(
        self, rows: Rows
    ) -> None:
        for row in rows.rows[Loan]:
            assert 100_000 <= row["principal_fen"] <= 1_000_000
            assert row["principal_fen"] % 10_000 == 0
            assert 6 <= row["terms"] <= 24

    def test_gives_several_loans_to_five_percent(self, rows: Rows) -> None:
        loans = Counter(row["customer_id"] for row in rows.rows[Loan])
        several = sum(count > 1 for count in loans.values())
        assert 0.04 <= several / len(loans) <= 0.06

    def test_lets_families_and_dormitories_share_wifi(self, rows: Rows) -> None:
        wifi = {
            row["customer_id"]: row["attributes"]["wifi"]
            for row in rows.rows[Application]
        }  # fmt: skip
        sizes = Counter(Counter(wifi.values()).values())
        assert sizes[2] > 100
        assert sum(count for size, count in sizes.items() if size >= 4) > 20

    def test_never_pays_a_later_instalment_first(self, rows: Rows) -> None:
        last: dict[int, date] = {}
        for row in rows.rows[Instalment]:
            paid_on = row["settled_on"] or date.max
            assert paid_on >= last.get(row["loan_id"], date.min)
            last[row["loan_id"]] = paid_on

    def test_claims_no_decision_that_nobody_made(self, rows: Rows) -> None:
        for row in rows.rows[Application]:
            is_waiting = row["state"] == "in_review"
            assert row["decided_by"] == (None if is_waiting else "import")
            assert (row["decided_at"] is None) == is_waiting
            assert (row["decision_no"], row["strategy_version"], row["reasons"]) == (None, None, [])


class TestPeople:
    def test_have_right_check_signs_of_a_region_that_does_not_exist(self) -> None:
        made = list(islice(people(_chance(1), on=ON), 3_000))
        for person in made:
            total = sum(
                int(sign) * weight
                for sign, weight in zip(person.id_number[:17], _WEIGHTS, strict=True)
            )
            assert person.id_number[17] == "10X98765432"[total % 11]
            assert person.id_number.startswith("99")
            assert person.phone.startswith("100")
        for kind in ("phone", "id_number", "openid"):
            assert len({getattr(person, kind) for person in made}) == len(made)


class TestStories:
    @pytest.mark.parametrize("days", range(0, 62, 3))
    def test_fall_due_on_just_the_day_that_they_tell(self, days: int) -> None:
        on = date(2026, 1, 1) + timedelta(days=days)
        for story in STORIES:
            for chapter, bought in zip(
                story.chapters, tell(_chance(1), story.chapters, on=on), strict=True
            ):
                paid = sum(day is not None for day in bought.paid_on)
                due = plan(_terms(bought).agreed()).instalments[paid].due_on
                assert (due - on).days == chapter.due_in
                assert bought.terms - paid == chapter.left


def _terms(bought: Any) -> operations.LoanTerms:
    return operations.LoanTerms(
        customer_id=1,
        merchant_name=bought.shop,
        merchandise=bought.goods,
        principal_fen=bought.principal_fen,
        rate_annual=STANDARD.rate_annual,
        terms=bought.terms,
        disbursed_on=bought.disbursed_on,
    )


class TestSeedDemo:
    def test_writes_books_that_are_true_and_stay_so(
        self, runtime: Runtime, cipher: FieldCipher
    ) -> None:
        with runtime.database.write() as session:
            seeded = seed_demo(session, cipher, customers=150, seed=3, now=NOW)
        with runtime.database.read() as session:
            assert operations.prove_books(session) == []
            assert session.scalar(select(func.count()).select_from(Customer)) == 150
            assert session.scalar(select(func.count()).select_from(Loan)) == seeded.loans
        operations.close_day(runtime, on=ON + timedelta(days=40))
        with runtime.database.read() as session:
            assert operations.prove_books(session) == []

    def test_lets_the_book_go_on_after_it(self, database: Database, cipher: FieldCipher,
                                          book: Any) -> None:  # fmt: skip
        with database.write() as session:
            seed_demo(session, cipher, customers=20, seed=3, now=NOW)
        with database.write() as session:
            loan_id = book.loan(session, customer_id=1)
            assert loan_id > 20
            book.repay(session, loan_id, 1_000, key="p1")
            assert operations.prove_books(session) == []

    def test_gives_the_newcomer_people_to_play(
        self, database: Database, cipher: FieldCipher
    ) -> None:
        with database.write() as session:
            seeded = seed_demo(session, cipher, customers=20, seed=3, now=NOW)
            for person, story in zip(seeded.people, STORIES, strict=False):
                found = customer_of(
                    session, channel_kind="wechat", address=person["openid"], cipher=cipher
                )
                known = queries.match_identity(
                    session, cipher, phone=person["phone"], id_last4=person["id_last4"]
                )
                assert person["note"].startswith(story.note)
                assert found == (known if story.is_bound else None)
            first = queries.loans_of(session, customer_id=1, on=business_date(NOW))[0]
        assert first.next is not None
        assert first.next.due_on == ON + timedelta(days=3)

    def test_is_the_same_for_the_same_seed(self, database: Database, cipher: FieldCipher) -> None:
        with database.write() as session:
            first = seed_demo(session, cipher, customers=30, seed=3, now=NOW)
            numbers = session.scalars(select(Loan.loan_no).order_by(Loan.id)).all()
            session.rollback()
        again = Database("sqlite://")
        Base.metadata.create_all(again.engine)
        with again.write() as session:
            assert seed_demo(session, cipher, customers=30, seed=3, now=NOW) == first
            assert session.scalars(select(Loan.loan_no).order_by(Loan.id)).all() == numbers
        again.dispose()

    def test_discloses_what_the_engine_itself_would(self) -> None:
        for start in (date(2025, 1, 31), date(2026, 2, 28)):
            expected = operations.cost_table(
                principal_fen=345_600,
                rate_annual=STANDARD.rate_annual,
                terms=18,
                disbursed_on=start,
            )
            assert disclosed(345_600, 18, start) == expected
