"""What is seen before an event is what is posted, to the fen, with all that is booked with it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kernel.database import Database
from servicing import operations, queries
from servicing.caps import actual_cost
from servicing.engine.events import Cancellation, ChargeBack, Event, Payment, Prepayment, Reversal
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
