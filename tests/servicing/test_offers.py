"""Offers: taken or left, paid in time, late or in parts; never more is owed than without them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.clock import business_date
from kernel.database import Database
from kernel.errors import FenqiError
from servicing import operations, queries
from servicing.engine.parts import Component
from servicing.offering import LEFT_ALONE, OfferKind, OfferStateRefused, consent_text
from servicing.operations import (
    CostNotConfirmed,
    OfferChanged,
    OfferRefused,
    OfferUnwanted,
    OfferWaiting,
    RepricingRefused,
    SettlementStands,
)
from servicing.products import STANDARD
from servicing.queries import OfferNotFound, OfferView
from servicing.tables import CostDisclosure, Offer

PENALISED = replace(STANDARD, code="penalised", penalty_multiplier=Decimal("1.3"))
ON = date(2026, 2, 10)
UNTIL = date(2026, 2, 20)
LATE = date(2026, 4, 10)

# What is offered of a loan, and what becomes of it.
_OF_LOANS: list[tuple[OfferKind, dict[str, Any], str]] = [
    (OfferKind.EXTENSION, {"extra_terms": 4}, "extra-terms"),
    (OfferKind.DUE_DAY, {"due_day": 15}, "moved-due-date"),
    (OfferKind.RETENTION, {"rate_annual": "0.12"}, "rate-change"),
]


def make(session: Any, book: Any, subject_id: int, **given: Any) -> int:
    values = {
        "kind": OfferKind.SETTLEMENT,
        "details": {"sum_fen": 200_000},
        "valid_until": UNTIL,
        "reason": "hardship",
        "made_by": "lin",
        "on": ON,
        "key": "offer-key-0000001",
        "now": book.now,
    }
    return operations.make_offer(session, subject_id=subject_id, **values | given)


def take(session: Any, book: Any, offer_id: int, *, customer_id: int = 1, on: date = ON) -> str:
    shown = session.get(Offer, offer_id)
    return operations.accept_offer(
        session,
        offer_id=offer_id,
        customer_id=customer_id,
        channel="wechat_h5",
        table_hash=shown and shown.cost_table_hash,
        seconds_shown=9,
        on=on,
        now=book.now,
    )


def see(session: Any, offer_id: int, on: date = ON) -> OfferView:
    return queries.offer_of(session, offer_id=offer_id, customer_id=1, on=on)


def loan(session: Any, loan_id: int, on: date = ON) -> queries.LoanView:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)


def settles(session: Any, loan_id: int, on: date) -> int:
    return queries.settlement_quote(session, loan_id=loan_id, customer_id=1, on=on).amount_fen


def kinds(session: Any, loan_id: int) -> list[str]:
    return [event.kind for event in queries.loan_events(session, loan_id=loan_id)]


class TestOffersOfAPlan:
    @pytest.mark.parametrize(("kind", "details", "event"), _OF_LOANS)
    def test_does_what_it_showed_once_with_consent_and_is_undone(
        self, database: Database, book: Any, kind: OfferKind, details: Any, event: str
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            before = loan(session, loan_id)
            offer_id = make(session, book, loan_id, kind=kind, details=details)
            assert make(session, book, loan_id, kind=kind, details=details) == offer_id
            offer = see(session, offer_id)
            assert (offer.state, offer.is_alive) == ("offered", True)
            assert loan(session, loan_id) == before
            assert take(session, book, offer_id) == "fulfilled"
            assert take(session, book, offer_id) == "fulfilled"
            assert kinds(session, loan_id) == ["disbursement", event]
            shown = [row[1:3] for row in offer.preview["plan_after"]]
            plan = loan(session, loan_id).plan
            assert shown == [[row.due_on.isoformat(), row.principal_fen] for row in plan]
            remaining = loan(session, loan_id).remaining_fen
            assert remaining == offer.preview["remaining_after_fen"]
            (consent,) = queries.consents_of(session, customer_id=1)
            assert consent.purpose == f"offer.{kind}"
            assert offer.cost_table is not None
            assert offer.cost_after is not None
            operations.undo_offer(session, offer_id=offer_id, on=ON, by="wang", now=book.now)
            assert see(session, offer_id).state == "withdrawn"
            assert loan(session, loan_id) == before
            assert operations.prove_books(session) == []

    def test_reversing_its_event_withdraws_it(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            details = {"extra_terms": 4}
            offer_id = make(session, book, loan_id, kind=OfferKind.EXTENSION, details=details)
            take(session, book, offer_id)
            by = {"on": ON, "key": "r", "actor": "wang", "now": book.now}
            operations.reverse(session, loan_id=loan_id, seq=2, **by)
            assert see(session, offer_id).state == "withdrawn"

    @pytest.mark.parametrize("on", [UNTIL + timedelta(days=1), date(2026, 12, 1)])
    def test_is_not_taken_after_its_last_day(self, database: Database, book: Any, on: date) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            offer_id = make(session, book, loan_id)
            assert operations.lapse_offers(session, on=UNTIL, now=book.now) == 0
            with pytest.raises(OfferStateRefused):
                take(session, book, offer_id, on=on)
            assert operations.lapse_offers(session, on=on, now=book.now) == 1
            assert see(session, offer_id, on).state == "lapsed"

    def test_keeps_the_rules_of_the_change_itself(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=6)
            with pytest.raises(FenqiError) as refused:
                make(session, book, loan_id, kind=OfferKind.EXTENSION, details={"extra_terms": 7})
            assert refused.value.code == "extension-refused"

    @pytest.mark.parametrize(("rate", "why"), [("0.20", "not-lower"), ("0.18", "same")])
    def test_to_keep_a_customer_lowers_the_rate(
        self, database: Database, book: Any, rate: str, why: str
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            with pytest.raises(RepricingRefused) as refused:
                make(
                    session, book, loan_id, kind=OfferKind.RETENTION, details={"rate_annual": rate}
                )
            assert refused.value.extras["why"] == why

    def test_is_withdrawn_by_staff_and_by_nobody_twice(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            offer_id = make(session, book, loan_id)
            with pytest.raises(OfferWaiting):
                make(session, book, loan_id, key="another-key-00001")
            withdraw = {"offer_id": offer_id, "by": "lin", "now": book.now}
            assert operations.withdraw_offer(session, **withdraw)
            assert not operations.withdraw_offer(session, **withdraw)
            with pytest.raises(OfferStateRefused):
                take(session, book, offer_id)
            make(session, book, loan_id, key="a-third-key-00001")

    def test_anothers_is_not_found(self, database: Database, book: Any) -> None:
        with database.write() as session:
            offer_id = make(session, book, book.loan(session, terms=12))
            other = book.customer(session)
            with pytest.raises(OfferNotFound):
                take(session, book, offer_id, customer_id=other)
            with pytest.raises(OfferNotFound):
                queries.offer_of(session, offer_id=offer_id, customer_id=other, on=ON)
            with pytest.raises(OfferNotFound):
                operations.withdraw_offer(session, offer_id=404, by="lin", now=book.now)


EXTENSION: dict[str, Any] = {"kind": OfferKind.EXTENSION, "details": {"extra_terms": 4}}
RETENTION: dict[str, Any] = {"kind": OfferKind.RETENTION, "details": {"rate_annual": "0.12"}}


class TestWhatIsAccepted:
    """Is what was shown: word for word, or nothing."""

    def test_is_the_cost_table_that_was_shown_with_its_day(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            offer_id = make(session, book, book.loan(session, terms=12), **EXTENSION)
            shown = see(session, offer_id)
            assert shown.cost_table is not None
            assert shown.cost_table["on"] == ON.isoformat()
            assert take(session, book, offer_id, on=UNTIL) == "fulfilled"
            confirmed = session.get_one(
                CostDisclosure, session.get_one(Offer, offer_id).disclosure_id
            )
            assert confirmed.content == shown.cost_table
            assert confirmed.content_hash == shown.cost_table_hash
            assert operations.content_hash(shown.cost_table) == shown.cost_table_hash
            assert confirmed.seconds_shown == 9

    def test_is_nothing_if_the_customer_had_another_table_before_them(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            offer_id = make(session, book, book.loan(session, terms=12), **EXTENSION)
            for table_hash in (None, "0" * 64):
                with pytest.raises(CostNotConfirmed):
                    operations.accept_offer(
                        session,
                        offer_id=offer_id,
                        customer_id=1,
                        channel="wechat_h5",
                        table_hash=table_hash,
                        seconds_shown=9,
                        on=ON,
                        now=book.now,
                    )
            assert see(session, offer_id).state == "offered"

    @pytest.mark.parametrize("asked", [EXTENSION, RETENTION], ids=["extension", "retention"])
    def test_is_a_new_offer_once_it_would_do_something_else(
        self, database: Database, book: Any, asked: dict[str, Any]
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            offer_id = make(session, book, loan_id, **asked)
            if asked is EXTENSION:
                book.repay(session, loan_id, 50_000, key="p", on=ON)
            on = ON + timedelta(days=3)
            before = kinds(session, loan_id)
            assert take(session, book, offer_id, on=on) == "replaced"
            assert take(session, book, offer_id, on=on) == "replaced"
            assert kinds(session, loan_id) == before
            assert queries.consents_of(session, customer_id=1) == ()
            newer, older = queries.offers_of(session, customer_id=1, on=on)
            assert (older.state, older.replaced_by_id) == ("replaced", newer.id)
            assert (newer.state, newer.replaces_id, newer.valid_until) == (
                "offered",
                offer_id,
                UNTIL,
            )
            assert newer.cost_table is not None
            assert newer.cost_table["on"] == on.isoformat()
            assert newer.cost_table_hash != older.cost_table_hash
            assert take(session, book, newer.id, on=on) == "fulfilled"
            assert operations.prove_books(session) == []

    def test_is_nothing_that_gives_up_more_than_was_allowed(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            book.repay(session, loan_id, 27_000, key="p", on=ON)
            offer_id = make(session, book, loan_id, **RETENTION)
            by = {"on": ON, "key": "r", "actor": "wang", "now": book.now}
            operations.reverse(session, loan_id=loan_id, seq=2, **by)
            with pytest.raises(OfferChanged):
                take(session, book, offer_id)
            assert see(session, offer_id).state == "offered"


class TestDeclining:
    def test_ends_an_offer_for_good_and_with_it_the_asking(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            offer_id = make(session, book, loan_id, **EXTENSION)
            no = {"offer_id": offer_id, "customer_id": 1, "channel": "wechat_h5", "now": book.now}
            assert operations.decline_offer(session, reason="期数太长", **no)
            assert not operations.decline_offer(session, **no)
            offer = see(session, offer_id)
            assert (offer.state, offer.is_alive, offer.is_open) == ("declined", False, False)
            assert (offer.declined_in, offer.decline_reason) == ("wechat_h5", "期数太长")
            with pytest.raises(OfferStateRefused):
                take(session, book, offer_id)
            again = EXTENSION | {"key": "another-key-00001"}
            with pytest.raises(OfferUnwanted), session.begin_nested():
                make(session, book, loan_id, **again)
            other = {"details": {"extra_terms": 3}, "key": "another-key-00002"}
            operations.end_offer(
                session,
                offer_id=make(session, book, loan_id, **EXTENSION | other),
                by="lin",
                on=ON,
                now=book.now,
            )
            make(session, book, loan_id, **again, is_asked_for=True)

    def test_of_a_settlement_is_not_taken_back_by_money(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            offer_id = make(session, book, loan_id)
            operations.decline_offer(
                session, offer_id=offer_id, customer_id=1, channel="wechat_h5", now=book.now
            )
            book.repay(session, loan_id, 200_000, key="p", on=ON)
            assert see(session, offer_id).state == "declined"
            assert loan(session, loan_id).remaining_fen > 100_000

    def test_is_forgotten_after_a_while(self, database: Database, book: Any) -> None:
        with database.write() as session:
            line_id = operations.open_line(
                session,
                customer_id=book.customer(session),
                funder="own",
                granted_fen=500_000,
                now=book.now,
            )
            raising = {"kind": OfferKind.LINE_RAISE, "details": {"granted_fen": 800_000}}
            offer_id = make(session, book, line_id, **raising)
            operations.decline_offer(
                session, offer_id=offer_id, customer_id=1, channel="wechat_h5", now=book.now
            )
            later = business_date(book.now) + LEFT_ALONE
            near = {"on": later, "valid_until": later, "key": "another-key-00001"}
            with pytest.raises(OfferUnwanted), session.begin_nested():
                make(session, book, line_id, **raising | near)
            day = later + timedelta(days=1)
            make(session, book, line_id, **raising | near | {"on": day, "valid_until": day})

    def test_is_for_the_customer_alone_and_before_they_said_yes(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            offer_id = make(session, book, book.loan(session, terms=12))
            no = {"offer_id": offer_id, "channel": "wechat_h5", "now": book.now}
            with pytest.raises(OfferNotFound):
                operations.decline_offer(session, customer_id=book.customer(session), **no)
            take(session, book, offer_id)
            with pytest.raises(OfferStateRefused):
                operations.decline_offer(session, customer_id=1, **no)


class TestSettlementOffers:
    @pytest.mark.parametrize("sum_fen", [0, -1, 301_500, 400_000])
    def test_asks_for_less_than_the_debt(self, database: Database, book: Any, sum_fen: int) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            # ten days of 3,000.00 at 18 % cost 15.00
            assert settles(session, loan_id, ON) == 301_500
            with pytest.raises(OfferRefused):
                make(session, book, loan_id, details={"sum_fen": sum_fen})

    @pytest.mark.parametrize("until", [ON - timedelta(days=1), ON + timedelta(days=91)])
    def test_has_a_near_deadline(self, database: Database, book: Any, until: date) -> None:
        with database.write() as session, pytest.raises(OfferRefused):
            make(session, book, book.loan(session), valid_until=until)

    def test_completes_by_itself_when_the_money_is_here(
        self, database: Database, book: Any, ledger: Callable[..., str]
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            offer_id = make(session, book, loan_id)
            assert take(session, book, offer_id) == "accepted"
            assert settles(session, loan_id, UNTIL) == 200_000
            book.repay(session, loan_id, 200_000, key="p", on=UNTIL)
            offer = see(session, offer_id, UNTIL)
            assert (offer.state, offer.left_fen) == ("fulfilled", 0)
            assert (loan(session, loan_id).state, loan(session, loan_id).remaining_fen) == (
                "closed",
                0,
            )
            assert "charge-waiver" in ledger(session, loan_id)
            assert operations.prove_books(session) == []

    def test_paying_accepts_it_in_parts(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            offer_id = make(session, book, loan_id)
            book.repay(session, loan_id, 150_000, key="p1", on=ON)
            assert settles(session, loan_id, ON) == 50_000
            assert see(session, offer_id).state == "offered"
            book.repay(session, loan_id, 50_000, key="p2", on=UNTIL)
            assert see(session, offer_id).state == "fulfilled"
            (consent,) = queries.consents_of(session, customer_id=1)
            assert consent.channel == "payment"
            assert consent_text("settlement")

    def test_money_of_the_last_day_that_is_known_later_counts(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            offer_id = make(session, book, loan_id)
            after = UNTIL + timedelta(days=1)
            operations.lapse_offers(session, on=after, now=book.now)
            assert settles(session, loan_id, after) > 300_000
            book.repay(session, loan_id, 200_000, key="p", on=UNTIL)
            assert see(session, offer_id, after).state == "fulfilled"
            assert loan(session, loan_id).remaining_fen == 0

    def test_a_day_late_the_whole_debt_stands(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            offer_id = make(session, book, loan_id)
            after = UNTIL + timedelta(days=1)
            book.repay(session, loan_id, 200_000, key="p", on=after)
            assert see(session, offer_id, after).state == "offered"
            assert loan(session, loan_id, after).remaining_fen > 100_000

    @pytest.mark.parametrize("is_charged_off", [False, True])
    def test_a_late_loan_with_penalty_is_settled_whole(
        self, database: Database, book: Any, is_charged_off: bool
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12, product=PENALISED)
            on, until, after = date(2026, 6, 10), date(2026, 6, 20), date(2026, 6, 25)
            operations.age_loans(session, on=on, now=book.now)
            by = {"loan_id": loan_id, "on": on, "actor": "wang", "now": book.now}
            if is_charged_off:
                operations.charge_off(session, key="c", **by)
            offer_id = make(session, book, loan_id, valid_until=until, on=on)
            operations.age_loans(session, on=after, now=book.now)
            operations.lapse_offers(session, on=after, now=book.now)
            owed = loan(session, loan_id, after).remaining_fen
            book.repay(session, loan_id, 199_999, key="p1", on=until)
            assert see(session, offer_id, after).state == "lapsed"
            book.repay(session, loan_id, 1, key="p2", on=until)
            assert see(session, offer_id, after).state == "fulfilled"
            assert loan(session, loan_id, after).remaining_fen == 0
            operations.undo_offer(session, offer_id=offer_id, on=after, by="wang", now=book.now)
            left = loan(session, loan_id, after).remaining_fen
            assert owed - 200_000 >= left > 100_000
            assert operations.prove_books(session) == []

    def test_what_was_given_up_before_it_stands_as_long_as_it_does(
        self, database: Database, book: Any
    ) -> None:
        """Who paid the sum that was to be all is not asked for what was waived before it."""
        with database.write() as session:
            loan_id = book.loan(session)
            by = {"loan_id": loan_id, "on": ON, "actor": "wang", "now": book.now}
            waived = operations.waive(
                session, component=Component.INTEREST, amount_fen=1_000, key="w", **by
            )
            offer_id = make(session, book, loan_id)
            book.repay(session, loan_id, 200_000, key="p", on=ON)
            assert see(session, offer_id).state == "fulfilled"
            with pytest.raises(SettlementStands), session.begin_nested():
                operations.reverse(session, seq=waived, key="r", **by)
            assert loan(session, loan_id).remaining_fen == 0
            operations.end_offer(session, offer_id=offer_id, by="wang", on=ON, now=book.now)
            owed = loan(session, loan_id).remaining_fen
            operations.reverse(session, seq=waived, key="r", **by)
            assert loan(session, loan_id).remaining_fen == owed + 1_000
            assert see(session, offer_id).state == "withdrawn"
            assert operations.prove_books(session) == []

    def test_money_that_goes_back_brings_the_debt_back(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session)
            before = loan(session, loan_id)
            offer_id = make(session, book, loan_id)
            book.repay(session, loan_id, 200_000, key="p", on=ON)
            assert see(session, offer_id).state == "fulfilled"
            by = {"actor": "wang", "now": book.now, "on": ON}
            operations.reverse(session, loan_id=loan_id, seq=2, key="r", **by)
            assert see(session, offer_id).state == "accepted"
            assert loan(session, loan_id) == before
            book.repay(session, loan_id, 200_000, key="p2", on=ON)
            assert loan(session, loan_id).remaining_fen == 0
            seq = queries.loan_events(session, loan_id=loan_id)
            paid = next(event.seq for event in seq if event.key == "p2")
            operations.charge_back(
                session,
                seq=paid,
                amount_fen=200_000,
                loan_id=loan_id,
                key="c",
                **by | {"on": UNTIL + timedelta(days=1)},
            )
            assert see(session, offer_id).state == "lapsed"
            assert loan(session, loan_id).remaining_fen > 300_000
            assert operations.prove_books(session) == []


class TestLineOffers:
    def test_raises_with_consent_and_is_undone(self, database: Database, book: Any) -> None:
        with database.write() as session:
            customer_id = book.customer(session)
            line_id = operations.open_line(
                session, customer_id=customer_id, funder="own", granted_fen=500_000, now=book.now
            )
            raising = {"kind": OfferKind.LINE_RAISE, "details": {"granted_fen": 800_000}}
            offer_id = make(session, book, line_id, **raising)
            assert see(session, offer_id).waived_fen == 300_000
            assert take(session, book, offer_id) == "fulfilled"
            (line,) = queries.lines_of(session, customer_id=customer_id)
            assert (line.granted_fen, line.available_fen) == (800_000, 800_000)
            operations.undo_offer(session, offer_id=offer_id, on=ON, by="wang", now=book.now)
            (line,) = queries.lines_of(session, customer_id=customer_id)
            assert line.granted_fen == 500_000
            with pytest.raises(OfferRefused):
                make(
                    session,
                    book,
                    line_id,
                    **raising | {"details": {"granted_fen": 400_000}, "key": "another-key-00001"},
                )


_LIVES = st.tuples(
    st.integers(1, 320_000),
    st.lists(st.tuples(st.integers(0, 80), st.integers(1, 150_000)), max_size=5),
    st.integers(0, 60),
    st.booleans(),
)


class TestRandomSettlements:
    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(life=_LIVES)
    def test_nobody_owes_more_than_without_it_nor_less_than_agreed(
        self, database: Database, book: Any, life: Any
    ) -> None:
        """Two loans live the same life, one with an offer: paid in parts, in time, late or not."""
        sum_fen, payments, days, accepts = life
        with database.write() as session:
            with_it, without = (
                book.loan(session, customer_id=book.customer(session)) for _ in "ab"
            )
            owner = {
                loan_id: operations.lock_loan(session, loan_id=loan_id).customer_id
                for loan_id in (with_it, without)
            }
            session.flush()
            until = ON + timedelta(days=days)
            key = f"offer-key-{with_it:08d}"
            full = _full(session, with_it, owner, ON)
            sum_fen = min(sum_fen, full - 1)
            offer_id = make(
                session, book, with_it, details={"sum_fen": sum_fen}, valid_until=until, key=key
            )
            if accepts:
                take(session, book, offer_id, customer_id=owner[with_it])
            paid = 0
            for index, (after, fen) in enumerate(sorted(payments)):
                on = ON + timedelta(days=after)
                operations.lapse_offers(session, on=on, now=book.now)
                mine = _full(session, with_it, owner, on)
                theirs = _full(session, without, owner, on)
                assert 0 <= mine <= theirs
                if on <= until and paid < sum_fen:
                    assert mine == min(sum_fen - paid, theirs)
                elif paid < sum_fen:
                    assert mine == theirs
                if mine == 0:
                    break
                for loan_id in (with_it, without):
                    fen_now = min(fen, _owed(session, loan_id, owner, on))
                    if fen_now:
                        book.repay(session, loan_id, fen_now, key=f"{loan_id}/{index}", on=on)
                paid += min(fen, fen_now) if on <= until else 0
                state = queries.offer_of(
                    session, offer_id=offer_id, customer_id=owner[with_it], on=on
                ).state
                assert (state == "fulfilled") == (paid >= sum_fen)
            assert operations.prove_books(session) == []
            session.rollback()


def _full(session: Any, loan_id: int, owner: dict[int, int], on: date) -> int:
    return queries.settlement_quote(
        session, loan_id=loan_id, customer_id=owner[loan_id], on=on
    ).amount_fen


def _owed(session: Any, loan_id: int, owner: dict[int, int], on: date) -> int:
    return queries.loan_of(
        session, loan_id=loan_id, customer_id=owner[loan_id], on=on
    ).remaining_fen
