"""Changes of a plan: what a preview shows is what happens, once, within the rules, and undone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from agreeing import agree, confirm

from kernel.database import Database
from kernel.errors import FenqiError
from servicing import operations, queries
from servicing.caps import actual_cost
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import Event, ReAgeInterest
from servicing.engine.parts import Component
from servicing.engine.periods import Frequency, Unit
from servicing.engine.terms import Method
from servicing.operations import (
    CostNotConfirmed,
    DueDayRefused,
    ExtensionRefused,
    PlanRefused,
    ReliefRefused,
    RepricingRefused,
    RestructureRefused,
)
from servicing.products import STANDARD
from servicing.queries.history import loan_as_of
from servicing.tables import CostDisclosure

ON = date(2026, 2, 10)
LATE = date(2026, 4, 10)
Build = Callable[..., Event]
Do = Callable[..., int]


# What is asked for, the event that it comes to, and on which day; the loan was never paid.
_STORIES: list[tuple[str, Build, Do, dict[str, Any], date]] = [
    ("due day", operations.due_day_change, operations.change_due_day, {"due_day": 15}, ON),
    ("extension", operations.extension, operations.extend, {"extra_terms": 4}, ON),
    ("grace", operations.grace, operations.give_grace, {"periods": 2}, ON),
    ("holiday", operations.holiday, operations.give_holiday, {"periods": 2}, ON),
    (
        "free holiday",
        operations.holiday,
        operations.give_holiday,
        {"periods": 1, "bears_interest": False},
        ON,
    ),
    (
        "re-price",
        operations.repricing,
        operations.reprice,
        {"rate_annual": Decimal("0.12"), "from_on": ON},
        ON,
    ),
    ("re-amortisation", operations.re_amortisation, operations.re_amortise, {}, LATE),
    *(
        (
            f"re-age {interest}",
            operations.re_ageing,
            operations.re_age,
            {"first_due_on": date(2026, 5, 10), "terms": 9, "interest": interest},
            LATE,
        )
        for interest in (None, *ReAgeInterest)
    ),
]


def _view(session: Any, loan_id: int, on: date) -> queries.LoanView:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)


def _by(book: Any, loan_id: int, on: date, key: str = "k") -> dict[str, Any]:
    return {"loan_id": loan_id, "key": key, "actor": "lin", "on": on, "now": book.now}


def _change_due_day(session: Any, due_day: int, by: dict[str, Any]) -> int:
    asked = {"due_day": due_day}
    return agree(session, operations.due_day_change, operations.change_due_day, asked, by)


class TestEveryChange:
    @pytest.mark.parametrize(
        ("build", "do", "asked", "on"), [s[1:] for s in _STORIES], ids=[s[0] for s in _STORIES]
    )
    def test_is_previewed_posted_once_and_undone(
        self, database: Database, book: Any, build: Build, do: Do, asked: dict[str, Any], on: date
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            operations.age_loans(session, on=on, now=book.now)
            before = _view(session, loan_id, on)
            event = build(session, loan_id=loan_id, on=on, **asked)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            assert _view(session, loan_id, on) == before
            by = _by(book, loan_id, on)
            seq = agree(session, build, do, asked, by)
            assert agree(session, build, do, asked, by) == seq
            after = _view(session, loan_id, on)
            first, second = queries.plan_versions(session, loan_id=loan_id)
            assert (first.rows, second.rows) == (seen.plan_before, seen.plan_after)
            assert after.remaining_fen == before.remaining_fen + seen.extra_fen
            assert after.outstanding_principal_fen == 300_000
            assert operations.prove_books(session) == []
            operations.age_loans(session, on=on + timedelta(days=100), now=book.now)
            assert operations.prove_books(session) == []
            operations.reverse(session, seq=seq, **_by(book, loan_id, on, "undo"))
            assert _view(session, loan_id, on) == before
            assert len(queries.plan_versions(session, loan_id=loan_id)) == 3
            assert operations.prove_books(session) == []


class TestChangeDueDay:
    def test_shows_what_the_gap_costs(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            event = operations.due_day_change(session, loan_id=loan_id, due_day=15, on=ON)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            days = [row.due_on for row in seen.plan_after]
            assert (event.to, days[:2], days[-1]) == (
                date(2026, 3, 15),
                [date(2026, 3, 15), date(2026, 4, 15)],
                date(2027, 2, 15),
            )
            # 43 days of 3,000.00 at 18 % of 360, in place of a month of it
            assert seen.gap_interest_fen == 6_450 - 4_500
            assert seen.extra_fen >= seen.gap_interest_fen

    def test_happens_once_in_twelve_months_unless_it_was_taken_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=24)
            seq = _change_due_day(session, 15, _by(book, loan_id, ON))
            with pytest.raises(DueDayRefused):
                operations.due_day_change(session, loan_id=loan_id, due_day=9, on=ON)
            operations.reverse(session, seq=seq, **_by(book, loan_id, ON, "undo"))
            _change_due_day(session, 9, _by(book, loan_id, ON, "other"))

    @pytest.mark.parametrize(
        ("due_day", "on"), [(0, ON), (29, ON), (20, ON), (5, date(2026, 3, 1))]
    )
    def test_is_refused_to_other_days_to_the_same_and_to_the_late(
        self, database: Database, book: Any, due_day: int, on: date
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, disbursed_on=date(2026, 1, 20))
            with pytest.raises(DueDayRefused):
                operations.due_day_change(session, loan_id=loan_id, due_day=due_day, on=on)

    def test_moves_a_loan_of_the_31st_to_the_28th_in_february_too(
        self, database: Database, book: Any
    ) -> None:
        """Its next instalment lies on the 28th; the others do not."""
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            _change_due_day(session, 28, _by(book, loan_id, ON))
            plan = _view(session, loan_id, ON).plan
            assert {row.due_on.day for row in plan} == {28}
            assert plan[0].interest_fen == 4_500
            assert operations.prove_books(session) == []


# What is to a borrower's disadvantage, and what is not.
_DEARER: list[tuple[str, Build, Do, dict[str, Any], date]] = [
    story
    for story in _STORIES
    if story[0] not in ("re-price", "free holiday") and not story[0].startswith("re-age")
]
_RE_PRICE = {"rate_annual": Decimal("0.12"), "from_on": ON}


class TestTheBorrowersYes:
    """Whatever costs the borrower more happens with their yes to just that, or not at all."""

    @pytest.mark.parametrize(
        ("build", "do", "asked", "on"), [s[1:] for s in _DEARER], ids=[s[0] for s in _DEARER]
    )
    def test_is_asked_for_by_every_change_that_costs_more(
        self, database: Database, book: Any, build: Build, do: Do, asked: dict[str, Any], on: date
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            operations.age_loans(session, on=on, now=book.now)
            before = _view(session, loan_id, on)
            by = _by(book, loan_id, on)
            event = build(session, loan_id=loan_id, on=on, **asked)
            assert operations.consent_table(session, loan_id=loan_id, event=event) is not None
            with pytest.raises(CostNotConfirmed), session.begin_nested():
                do(session, **asked, **by)
            other = operations.confirm_cost(
                session, customer_id=1, content={"on": "x"}, seconds_shown=9, now=book.now
            )
            with pytest.raises(CostNotConfirmed), session.begin_nested():
                do(session, **asked, **by, disclosure_id=other)
            assert _view(session, loan_id, on) == before
            agree(session, build, do, asked, by)
            assert _view(session, loan_id, on) != before

    @pytest.mark.parametrize(
        ("build", "do", "asked"),
        [
            (operations.repricing, operations.reprice, _RE_PRICE),
            (
                operations.due_day_change,
                operations.change_due_day,
                {"due_day": 15},
            ),
        ],
        ids=["a lower rate", "another day without interest"],
    )
    def test_is_not_asked_for_what_costs_nothing(
        self, database: Database, book: Any, build: Build, do: Do, asked: dict[str, Any]
    ) -> None:
        with database.write() as session:
            rate = "0.18" if do is operations.reprice else "0"
            loan_id = book.loan(session, terms=12, rate_annual=Decimal(rate))
            event = build(session, loan_id=loan_id, on=ON, **asked)
            assert operations.consent_table(session, loan_id=loan_id, event=event) is None
            do(session, **asked, **_by(book, loan_id, ON))

    def test_to_a_re_age_is_needed_even_where_it_is_cheaper(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            operations.age_loans(session, on=LATE, now=book.now)
            asked = {"first_due_on": date(2026, 5, 10), "terms": 9}
            event = operations.re_ageing(session, loan_id=loan_id, on=LATE, **asked)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            assert seen.extra_fen < 0
            with pytest.raises(CostNotConfirmed):
                operations.re_age(session, **asked, **_by(book, loan_id, LATE))

    def test_is_needed_for_a_dearer_rate_and_for_a_plan_that_falls_due_sooner(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12, rate_annual=Decimal("0.12"))
            dearer = operations.repricing(
                session, loan_id=loan_id, rate_annual=Decimal("0.18"), from_on=ON, on=ON
            )
            assert operations.consent_table(session, loan_id=loan_id, event=dearer) is not None
            operations.age_loans(session, on=LATE, now=book.now)
            sooner = operations.re_ageing(
                session, loan_id=loan_id, first_due_on=date(2026, 4, 20), terms=1, on=LATE
            )
            table = operations.consent_table(session, loan_id=loan_id, event=sooner)
            assert table is not None
            assert table["extra"].startswith("-")

    def test_holds_on_another_day_than_that_of_the_table(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            asked = {"extra_terms": 4}
            event = operations.extension(session, loan_id=loan_id, on=ON, **asked)
            shown = confirm(session, event, _by(book, loan_id, ON))
            later = _by(book, loan_id, ON + timedelta(days=5))
            operations.extend(session, **asked, **later, disclosure_id=shown)
            kept = session.get_one(CostDisclosure, shown)
            assert (kept.content["on"], kept.seconds_shown) == (ON.isoformat(), 9)


class TestReprice:
    def test_lowers_what_follows_and_is_bound_by_the_cap(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            asked: dict[str, Any] = {"from_on": ON, **_by(book, loan_id, ON)}
            operations.reprice(session, rate_annual=Decimal("0.06"), **asked)
            # From the 10th to the 28th by days at 6 %, before it at 18 %.
            assert _view(session, loan_id, ON).plan[1].interest_fen < 4_500 // 2
            asked["key"] = "dear"
            with pytest.raises(CostAboveCap), session.begin_nested():
                operations.reprice(session, rate_annual=Decimal("0.36"), **asked)

    @pytest.mark.parametrize(("rate", "from_on"), [("-0.01", ON), ("0.19", date(2026, 2, 9))])
    def test_refuses_less_than_nothing_and_dearer_days_that_have_passed(
        self, database: Database, book: Any, rate: str, from_on: date
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            with pytest.raises(RepricingRefused):
                operations.repricing(
                    session, loan_id=loan_id, rate_annual=Decimal(rate), from_on=from_on, on=ON
                )

    def test_to_the_rate_that_holds_already_is_refused(self, database: Database, book: Any) -> None:
        june = date(2026, 6, 1)
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            asked = {"rate_annual": Decimal("0.06"), "from_on": june}
            agree(session, operations.repricing, operations.reprice, asked, _by(book, loan_id, ON))
            ask = partial(operations.repricing, session, loan_id=loan_id, on=ON)
            for from_on in (june, june + timedelta(days=5)):
                with pytest.raises(RepricingRefused) as refused:
                    ask(rate_annual=Decimal("0.0600"), from_on=from_on)
                assert refused.value.extras["why"] == "same"
            # 18 % holds until June, and would hold after it too.
            assert ask(rate_annual=Decimal("0.18"), from_on=ON).from_on == ON

    def test_measures_past_days_by_what_they_cost(self, database: Database, book: Any) -> None:
        """6 % until 19 February and 12 % since: nothing above 6 % reaches back into the former."""
        on = date(2026, 2, 25)
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            for n, (rate, since) in enumerate((("0.06", ON), ("0.12", date(2026, 2, 20)))):
                by = _by(book, loan_id, since, f"k{n}")
                asked = {"rate_annual": Decimal(rate), "from_on": since}
                agree(session, operations.repricing, operations.reprice, asked, by)
            ask = partial(operations.repricing, session, loan_id=loan_id, on=on)
            with pytest.raises(RepricingRefused):
                ask(rate_annual=Decimal("0.09"), from_on=date(2026, 2, 15))
            assert ask(rate_annual=Decimal("0.09"), from_on=date(2026, 2, 20)).from_on < on
            assert ask(rate_annual=Decimal("0.06"), from_on=date(2026, 2, 15)).from_on < on

    def test_shows_the_penalty_that_goes_with_it(self, database: Database, book: Any) -> None:
        """One and a half times 6 % from then on, in the tables of later changes too."""
        bearing = replace(STANDARD, penalty_multiplier=Decimal("1.5"))
        with database.write() as session:
            loan_id = book.loan(session, terms=12, product=bearing)
            lower = {"rate_annual": Decimal("0.06"), "from_on": ON}
            events = [operations.repricing(session, loan_id=loan_id, on=ON, **lower)]
            agree(session, operations.repricing, operations.reprice, lower, _by(book, loan_id, ON))
            events.append(operations.extension(session, loan_id=loan_id, extra_terms=2, on=ON))
            for event in events:
                table = operations.change_table(session, loan_id=loan_id, event=event)
                assert [row["rate_annual"] for row in table["default_charges"]] == ["0.090000"]
            operations.age_loans(session, on=date(2026, 3, 10), now=book.now)
            late = _view(session, loan_id, date(2026, 3, 10)).plan[0]
            assert late.penalty_fen == round(late.principal_fen * Decimal("0.09") * 10 / 360)
            assert operations.prove_books(session) == []

    def test_looks_at_what_holds_and_not_at_what_will(self, database: Database, book: Any) -> None:
        """A rate that is agreed for June says nothing about days in February."""
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            lower = {"rate_annual": Decimal("0.06"), "from_on": date(2026, 6, 1)}
            agree(session, operations.repricing, operations.reprice, lower, _by(book, loan_id, ON))
            event = operations.repricing(
                session,
                loan_id=loan_id,
                rate_annual=Decimal("0.15"),
                from_on=date(2026, 2, 5),
                on=ON,
            )
            assert event.from_on < ON


class TestRelief:
    def test_grace_asks_for_interest_only_and_adds_as_many_instalments(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            asked = {"periods": 2}
            agree(session, operations.grace, operations.give_grace, asked, _by(book, loan_id, ON))
            plan = _view(session, loan_id, ON).plan
            assert [row.principal_fen for row in plan[:2]] == [0, 0]
            assert (len(plan), plan[0].interest_fen) == (8, 4_500)

    def test_a_holiday_moves_every_due_date_and_evens_out_what_it_costs(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            before = _view(session, loan_id, ON)
            asked = {"periods": 2}
            by = _by(book, loan_id, ON)
            agree(session, operations.holiday, operations.give_holiday, asked, by)
            plan = _view(session, loan_id, ON).plan
            assert len(plan) == 6
            assert plan[0].due_on == before.plan[2].due_on
            # Three months of 3,000.00 at 18 %
            assert plan[0].interest_fen == 13_500
            totals = {row.total_fen for row in plan[:-1]}
            assert len(totals) == 1
            assert abs(plan[-1].total_fen - totals.pop()) < 10

    def test_a_free_holiday_costs_nothing(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            event = operations.holiday(
                session, loan_id=loan_id, periods=1, on=ON, bears_interest=False
            )
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            assert abs(seen.extra_fen) < 400
            assert seen.cost_after < seen.cost_before

    def test_an_extension_leaves_no_gap(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            event = operations.extension(session, loan_id=loan_id, extra_terms=2, on=ON)
            seen = operations.preview_event(session, loan_id=loan_id, event=event)
            assert seen.gap_interest_fen == 0

    def test_is_given_once_in_twelve_months_and_not_to_the_late(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            for periods, on in ((0, ON), (7, ON), (1, date(2026, 3, 1))):
                with pytest.raises(ReliefRefused):
                    operations.grace(session, loan_id=loan_id, periods=periods, on=on)
            with pytest.raises(ReliefRefused):
                operations.holiday(session, loan_id=loan_id, periods=4, on=ON)
            asked = {"periods": 1}
            agree(session, operations.grace, operations.give_grace, asked, _by(book, loan_id, ON))
            with pytest.raises(ReliefRefused):
                operations.holiday(session, loan_id=loan_id, periods=1, on=ON)


class TestRestructure:
    def test_is_for_the_late_within_bounds(self, database: Database, book: Any) -> None:
        near: dict[str, Any] = {"first_due_on": date(2026, 5, 10), "terms": 9}
        with database.write() as session:
            loan_id = book.loan(session, terms=3)
            for build, on, asked in (
                (operations.re_ageing, ON, near),
                (operations.re_ageing, LATE, near | {"terms": 0}),
                (operations.re_ageing, LATE, near | {"first_due_on": date(2026, 8, 1)}),
                (operations.re_amortisation, ON, {}),
                (operations.re_amortisation, date(2026, 6, 1), {}),
            ):
                with pytest.raises(RestructureRefused):
                    build(session, loan_id=loan_id, on=on, **asked)

    def test_spreads_late_principal_over_what_is_to_come(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            by = _by(book, loan_id, LATE)
            agree(session, operations.re_amortisation, operations.re_amortise, {}, by)
            view = _view(session, loan_id, LATE)
            assert [row.principal_fen for row in view.plan[:2]] == [0, 0]
            assert view.overdue_fen == sum(row.interest_fen for row in view.plan[:2])

    @pytest.mark.parametrize(
        ("build", "do", "asked"),
        [
            (operations.re_amortisation, operations.re_amortise, {}),
            (
                operations.re_ageing,
                operations.re_age,
                {"first_due_on": date(2026, 5, 10), "terms": 9},
            ),
        ],
    )
    def test_marks_the_loan_until_it_is_taken_back(
        self, database: Database, book: Any, build: Any, do: Any, asked: dict[str, Any]
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            book.now += LATE - ON
            operations.age_loans(session, on=LATE, now=book.now)
            seq = agree(session, build, do, asked, _by(book, loan_id, LATE))
            (mark,) = queries.class_marks(session, loan_id=loan_id)
            assert (mark.kind, mark.counts(LATE)) == ("restructured", True)
            seen = queries.loan_lateness(session, loan_id=loan_id, on=LATE)
            assert (seen.five_class, seen.ecl_stage) == ("special-mention", 2)

            operations.reverse(session, seq=seq, **_by(book, loan_id, LATE, "undo"))
            (mark,) = queries.class_marks(session, loan_id=loan_id)
            assert not mark.counts(LATE)

    def test_marks_it_once_however_often_it_is_asked_for(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            by = _by(book, loan_id, LATE)
            seqs = {
                agree(session, operations.re_amortisation, operations.re_amortise, {}, by),
                operations.re_amortise(session, **by),
            }
            assert len(seqs) == len(queries.class_marks(session, loan_id=loan_id)) == 1


class TestRefusals:
    """A refusal names the rule, to programs and to people."""

    def _said(self, session: Any, rule: Build, loan_id: int, on: date, **asked: Any) -> str:
        with pytest.raises(PlanRefused) as refused:
            rule(session, loan_id=loan_id, on=on, **asked)
        why = str(refused.value.extras["why"])
        assert refused.value.message_zh == type(refused.value).reasons[why]
        return why

    def test_of_an_extension_tell_late_from_again_from_too_long(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            ask = partial(self._said, session, operations.extension, loan_id)
            assert ask(ON, extra_terms=13) == "too-long"
            assert ask(LATE, extra_terms=2) == "late"
            book.extend(session, loan_id, 2, actor="lin", on=ON, key="x", now=book.now)
            assert ask(ON, extra_terms=2) == "again"

    def test_of_a_due_day_tell_a_loan_that_is_not_monthly(
        self, database: Database, book: Any
    ) -> None:
        weekly = replace(STANDARD, code="weekly", frequency=Frequency(unit=Unit.WEEKS))
        with database.write() as session:
            loan_id = book.loan(session, terms=12, product=weekly)
            ask = partial(self._said, session, operations.due_day_change, loan_id)
            assert ask(date(2026, 2, 2), due_day=15) == "not-monthly"

    def test_of_another_rate_tell_a_loan_that_costs_a_flat_fee(
        self, database: Database, book: Any
    ) -> None:
        """Nothing about it would change, whatever the rate: what is waived makes it cheaper."""
        flat = replace(STANDARD, method=Method.FLAT_FEE, fee_rate=Decimal("0.008"))
        with database.write() as session:
            loan_id = book.loan(session, terms=12, product=flat, rate_annual=Decimal(0))
            asked = {"rate_annual": Decimal("0.06"), "from_on": ON}
            said = self._said(session, operations.repricing, loan_id, ON, **asked)
            assert said == "flat-fee"

    def test_of_an_extension_tell_a_plan_that_was_made_anew(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            asked = {"first_due_on": date(2026, 5, 10), "terms": 9}
            by = _by(book, loan_id, LATE)
            agree(session, operations.re_ageing, operations.re_age, asked, by)
            said = self._said(session, operations.extension, loan_id, LATE, extra_terms=2)
            assert said == "fixed"


class TestAboveTheCap:
    """A loan that is above the cap by how it was paid may cost less, and not more."""

    def _loan(self, session: Any, book: Any) -> int:
        loan_id = book.loan(session, terms=6, rate_annual=Decimal("0.2395"))
        first = _view(session, loan_id, ON).plan[0].total_fen
        day = date(2026, 1, 31)
        operations.post_prepayment(
            session, loan_id=loan_id, amount_fen=150_000, value_date=day, key="p", now=book.now
        )
        book.repay(session, loan_id, first, key="q", on=day)
        state = loan_as_of(session, loan_id=loan_id, on=ON)
        assert actual_cost(state).nominal > Decimal("0.241")
        return int(loan_id)

    def test_is_not_extended(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = self._loan(session, book)
            with pytest.raises(CostAboveCap):
                book.extend(session, loan_id, 3, actor="lin", on=ON, key="x", now=book.now)

    def test_is_forgiven_something(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = self._loan(session, book)
            by = _by(book, loan_id, ON)
            given = {"first_on": ON, "last_on": None, "reason": "illness"}
            operations.place_freeze(session, what="interest", **given, **by)
            operations.waive(session, component=Component.PRINCIPAL, amount_fen=100, **by)
            assert operations.prove_books(session) == []


def test_a_loan_that_is_not_there_is_not_found(database: Database, book: Any) -> None:
    with database.write() as session, pytest.raises(queries.LoanNotFound):
        operations.change_due_day(session, due_day=15, **_by(book, 9, ON))


def test_an_extension_that_was_taken_back_does_not_count(database: Database, book: Any) -> None:
    with database.write() as session:
        loan_id = book.loan(session, terms=6)
        asked = {"extra_terms": 2}
        by = _by(book, loan_id, ON)
        seq = agree(session, operations.extension, operations.extend, asked, by)
        with pytest.raises(ExtensionRefused):
            operations.extension(session, loan_id=loan_id, extra_terms=1, on=ON)
        operations.reverse(session, seq=seq, **_by(book, loan_id, ON, "undo"))
        asked, by = {"extra_terms": 1}, _by(book, loan_id, ON, "again")
        assert agree(session, operations.extension, operations.extend, asked, by) == 4


@pytest.mark.parametrize("story", _STORIES, ids=[s[0] for s in _STORIES])
def test_nothing_is_planned_anew_once_a_claim_is_given_up(
    database: Database, book: Any, story: Any
) -> None:
    _, build, _, asked, on = story
    with database.write() as session:
        loan_id = book.loan(session, terms=12)
        operations.write_off(session, **_by(book, loan_id, on))
        with pytest.raises(FenqiError):
            build(session, loan_id=loan_id, on=on, **asked)
