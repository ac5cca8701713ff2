"""What is seen before an event is what is posted, to the fen, with all that is booked with it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.database import Database
from servicing import operations, queries
from servicing.caps import actual_cost
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import Cancellation, ChargeBack, Event, Payment, Prepayment, Reversal
from servicing.engine.profile import Excess
from servicing.operations import PaymentTooLarge
from servicing.queries import OfferKind
from servicing.queries.history import loan_as_of, planned_rows

ON = date(2026, 2, 10)


@dataclass
class Case:
    """A loan dear enough that paying it early is dearer than the cap."""

    session: Any
    book: Any
    loan_id: int
    on: date = ON

    def by(self, key: str) -> dict[str, Any]:
        return {"key": key, "actor": "lin", "on": self.on, "now": self.book.now}

    def charge(self, fen: int = 100) -> int:
        fee: dict[str, Any] = {"amount_fen": fen, "due_on": self.on}
        return operations.charge(self.session, loan_id=self.loan_id, **fee, **self.by("fee"))

    def asked_fen(self) -> int:
        """What pays the whole plan today, less what the cap takes off."""
        asked: dict[str, Any] = {"loan_id": self.loan_id, "customer_id": 1, "on": self.on}
        owed = queries.loan_of(self.session, **asked).remaining_fen
        return owed - queries.planned_credit_fen(self.session, loan_id=self.loan_id, on=self.on)

    def pay(self, fen: int, *, key: str = "p") -> int:
        return int(self.book.repay(self.session, self.loan_id, fen, key=key, on=self.on))

    def reverse(self, seq: int) -> int:
        wanted: dict[str, Any] = {"loan_id": self.loan_id, "seq": seq}
        return operations.reverse(self.session, **wanted, **self.by("undo"))

    def pays(self, n: int, percent: int, life: dict[str, Any]) -> int:
        """Pay a part of what ends the loan, looked at first; returns its number, 0 if nothing."""
        asked: dict[str, Any] = {"loan_id": self.loan_id, "customer_id": self.owner, "on": self.on}
        whole = queries.settlement_quote(self.session, **asked).amount_fen
        fen = whole * percent // 100
        if not life["is_early"] and percent == 100:
            owed = queries.loan_of(self.session, **asked).remaining_fen
            credit = queries.planned_credit_fen(self.session, loan_id=self.loan_id, on=self.on)
            fen = owed - credit
        if fen <= 0:
            return 0
        is_prepaid = life["is_early"] and percent == 100
        paid: Any = {"id": "", "on": self.on, "amount_fen": fen}
        event: Event = Payment(**paid)
        if is_prepaid:
            event = Prepayment(**paid, effect=Excess.REDUCE_TERM)
        post = operations.post_prepayment if is_prepaid else operations.post_repayment
        self.is_as_seen(
            event,
            lambda: post(
                self.session,
                loan_id=self.loan_id,
                amount_fen=fen,
                value_date=self.on,
                key=f"{self.loan_id}/{n}",
                now=self.book.now,
            ),
        )
        events = queries.loan_events(self.session, loan_id=self.loan_id)
        return next(event.seq for event in events if event.key == f"{self.loan_id}/{n}")

    @property
    def owner(self) -> int:
        return operations.lock_loan(self.session, loan_id=self.loan_id).customer_id

    def offer(self, fen: int) -> int:
        return operations.make_offer(
            self.session,
            kind=OfferKind.SETTLEMENT,
            subject_id=self.loan_id,
            details={"sum_fen": fen},
            valid_until=self.on,
            reason="hardship",
            made_by="lin",
            on=self.on,
            key="offer",
            now=self.book.now,
        )

    def kinds(self) -> list[str]:
        return [e.kind for e in queries.loan_events(self.session, loan_id=self.loan_id)]

    def is_as_seen(self, event: Event, post: Callable[[], Any]) -> operations.Preview:
        """Look at an event, post it, and find what was seen."""
        seen = operations.preview_event(self.session, loan_id=self.loan_id, event=event)
        post()
        state = loan_as_of(self.session, loan_id=self.loan_id, on=self.on)
        assert seen.remaining_after_fen == state.outstanding.total_fen
        assert seen.plan_after == planned_rows(state)
        assert seen.cost_after == actual_cost(state).nominal
        assert operations.prove_books(self.session) == []
        return seen


@pytest.fixture
def case(database: Database, book: Any) -> Any:
    with database.write() as session:
        yield Case(session, book, book.loan(session, rate_annual=Decimal("0.216")))


class TestAPayment:
    def test_that_ends_the_loan_is_seen_with_what_the_cap_takes_off(self, case: Case) -> None:
        case.charge()
        fen = case.asked_fen()
        seen = case.is_as_seen(Payment(id="", on=ON, amount_fen=fen), lambda: case.pay(fen))
        assert seen.remaining_after_fen == 0
        assert -seen.extra_fen > fen
        assert case.kinds()[2:] == ["waiver", "waiver", "repayment"]

    def test_taken_back_is_seen_with_what_the_cap_had_taken_off(self, case: Case) -> None:
        case.charge()
        fen = case.asked_fen()
        owed = queries.loan_of(case.session, loan_id=case.loan_id, customer_id=1, on=ON)
        seq = case.pay(fen)
        event = Reversal(id="", on=ON, of=str(seq))
        seen = case.is_as_seen(event, lambda: case.reverse(seq))
        assert seen.extra_fen == owed.remaining_fen > fen
        assert case.kinds()[5:] == ["reversal"] * 3

    def test_that_fulfils_a_settlement_is_seen_with_the_rest_given_up(self, case: Case) -> None:
        case.offer(200_000)
        event = Payment(id="", on=ON, amount_fen=200_000)
        seen = case.is_as_seen(event, lambda: case.pay(200_000))
        assert seen.remaining_after_fen == 0

    @pytest.mark.parametrize("is_charged_back", [False, True])
    def test_taken_back_is_seen_with_the_settlement_that_it_had_fulfilled(
        self, case: Case, is_charged_back: bool
    ) -> None:
        whole = queries.loan_of(case.session, loan_id=case.loan_id, customer_id=1, on=ON)
        case.offer(200_000)
        seq = case.pay(200_000)
        if is_charged_back:
            back: dict[str, Any] = {"loan_id": case.loan_id, "seq": seq, "amount_fen": 200_000}
            seen = case.is_as_seen(
                ChargeBack(id="", on=ON, of=str(seq), amount_fen=200_000),
                lambda: operations.charge_back(case.session, **back, **case.by("back")),
            )
            assert seen.remaining_after_fen > 200_000
        else:
            event = Reversal(id="", on=ON, of=str(seq))
            seen = case.is_as_seen(event, lambda: case.reverse(seq))
            assert seen.remaining_after_fen == whole.remaining_fen

    @pytest.mark.parametrize("kind", [Payment, Prepayment])
    def test_beyond_what_is_owed_is_refused_before_it_is_posted(
        self, case: Case, kind: type[Payment] | type[Prepayment]
    ) -> None:
        event = kind(id="", on=ON, amount_fen=400_000)
        with pytest.raises(PaymentTooLarge):
            operations.preview_event(case.session, loan_id=case.loan_id, event=event)


class TestAReturn:
    def test_is_seen_with_what_the_cap_gives_back_and_so_is_its_undoing(self, case: Case) -> None:
        case.on = date(2026, 2, 1)
        case.charge(300)
        case.pay(300)
        asked: dict[str, Any] = {"loan_id": case.loan_id, "customer_id": 1, "on": case.on}
        before = queries.loan_of(case.session, **asked)
        back: dict[str, Any] = {"amount_fen": 300_000, "bears_cost": True}
        case.is_as_seen(
            Cancellation(id="", on=case.on, **back),
            lambda: operations.cancel_purchase(
                case.session, loan_id=case.loan_id, **back, **case.by("gone")
            ),
        )
        assert case.kinds()[4:] == ["waiver", "interest-refund"]
        seq = case.kinds().index("cancellation") + 1
        case.is_as_seen(Reversal(id="", on=case.on, of=str(seq)), lambda: case.reverse(seq))
        after = queries.loan_of(case.session, **asked)
        assert (after.remaining_fen, after.credit_fen) == (before.remaining_fen, 0)


_LIVES = st.fixed_dictionaries(
    {
        "rate": st.sampled_from(("0", "0.12", "0.216")),
        "terms": st.integers(1, 6),
        "fee_fen": st.sampled_from((0, 100, 300)),
        "sum_fen": st.sampled_from((0, 150_000)),
        "days": st.integers(0, 40),
        # How much of what is asked is paid each time, in hundredths; 100 ends the loan.
        "parts": st.lists(st.integers(1, 100), min_size=1, max_size=3),
        "is_early": st.booleans(),
        "back": st.integers(0, 2),
    }
)


class TestRandomLives:
    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(life=_LIVES)
    def test_every_payment_and_its_undoing_is_as_it_was_seen(
        self, database: Database, book: Any, life: dict[str, Any]
    ) -> None:
        with database.write() as session:
            rate, terms = Decimal(life["rate"]), life["terms"]
            case = Case(session, book, book.loan(session, rate_annual=rate, terms=terms))
            case.on = date(2026, 1, 31) + timedelta(days=life["days"])
            if life["fee_fen"]:
                with suppress(CostAboveCap), session.begin_nested():
                    case.charge(life["fee_fen"])
            if life["sum_fen"]:
                case.offer(life["sum_fen"])
            paid = [
                seq for n, part in enumerate(life["parts"]) if (seq := case.pays(n, part, life))
            ]
            if paid:
                seq = paid[life["back"] % len(paid)]
                event = Reversal(id="", on=case.on, of=str(seq))
                seen = case.is_as_seen(event, lambda: case.reverse(seq))
                assert seen.extra_fen >= 0
            session.rollback()
