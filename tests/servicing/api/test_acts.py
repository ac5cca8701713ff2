"""What partners let happen: booked, returned, refunded; within limits, and each reference once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from partner import AGREED, ALL
from racing import together
from werkzeug.test import TestResponse

from kernel.runtime import Runtime
from servicing import operations
from servicing.api.acts import EXAMPLES, AskedEvent
from servicing.api.scopes import Scope
from servicing.ceilings import acts, house_ceiling
from servicing.engine.parts import Component
from servicing.offering import OfferKind
from servicing.operations.receipts import For, ProofUsed, Receipt, receive
from servicing.products import STANDARD, house_documents
from servicing.queries.partner_limits import limit_of
from servicing.tables import Consent, Loan, PartnerAct

DAY = date(2026, 3, 10)
IN_PROGRESS = "idempotency-key-in-progress"


def paid(fen: int, reference: str, **changes: Any) -> dict[str, Any]:
    told = {"kind": "repayment", "amount_fen": fen, "value_date": "2026-03-10"}
    return told | {"reference": reference} | changes


def books_agree(runtime: Runtime) -> bool:
    with runtime.database.read() as session:
        return operations.prove_books(session) == []


def balance(shop: Any, loan: str, account: str) -> int:
    return sum(
        leg["amount_fen"]
        for entry in shop.read(f"/loans/{loan}/ledger")["entries"]
        for leg in entry["postings"]
        if leg["account"] == account
    )


def limited(runtime: Runtime, act: str, *, each_fen: int, day_fen: int) -> None:
    with runtime.database.write() as session:
        operations.set_limit(
            session,
            partner="shop",
            act=act,
            each_fen=each_fen,
            day_fen=day_fen,
            by="wang",
            reason="按合同",
            now=runtime.clock.now(),
        )


class TestBooking:
    def test_an_approved_application_becomes_a_loan_of_today(
        self, shop: Any, runtime: Runtime
    ) -> None:
        number = shop.applies(shop.brings())
        early = shop.get(f"/applications/{number}/contract")
        assert early.json["code"] == "application-state-refused"
        shop.approves(number)
        quote = shop.read(f"/applications/{number}/contract")
        confirmed = {"cost_table_hash": quote["cost_table_hash"], "seconds_shown": 12}
        loan = shop.made(f"/applications/{number}/loan", confirmed, key="book-1")
        assert (loan["disbursed_on"], loan["principal_fen"]) == ("2026-03-10", 300_000)
        assert shop.made(f"/applications/{number}/loan", confirmed, key="book-1") == loan
        assert shop.read(f"/applications/{number}")["state"] == "booked"
        (version,) = shop.read(f"/loans/{loan['loan_no']}/plan-versions")["versions"]
        assert version["plan"] == quote["plan"]
        again = shop.post(f"/applications/{number}/loan", confirmed)
        assert again.json["code"] == "application-state-refused"
        assert books_agree(runtime)

    def test_is_refused_on_another_cost_table(self, shop: Any) -> None:
        number = shop.applies(shop.brings())
        shop.approves(number)
        wrong = {"cost_table_hash": "0" * 64, "seconds_shown": 12}
        refused = shop.post(f"/applications/{number}/loan", wrong)
        assert (refused.status_code, refused.json["code"]) == (409, "cost-not-confirmed")
        assert shop.read("/loans")["loans"] == []

    def test_needs_its_scope_and_keeps_to_its_limit(
        self, open_shop: Callable[..., Any], runtime: Runtime
    ) -> None:
        shop = open_shop()
        number = shop.applies(shop.brings())
        shop.approves(number)
        digest = shop.read(f"/applications/{number}/contract")["cost_table_hash"]
        confirmed = {"cost_table_hash": digest, "seconds_shown": 12}
        narrow = open_shop(scopes=[Scope.APPLICATIONS_WRITE, Scope.APPLICATIONS_READ])
        assert narrow.post(f"/applications/{number}/loan", confirmed).status_code == 403
        limited(runtime, "book", each_fen=299_999, day_fen=10**9)
        refused = shop.post(f"/applications/{number}/loan", confirmed)
        assert refused.json["code"] == "partner-limit-exceeded"

    def test_no_application_comes_without_consent_to_the_inquiry(
        self, shop: Any, runtime: Runtime
    ) -> None:
        customer_id = shop.brings()
        marketing = AGREED | {"purpose": "marketing"}
        wanted = {"customer_id": customer_id, "amount_fen": 300_000, "terms": 6}
        wanted |= {"product": "standard", "merchant_name": "店", "merchandise": "物"}
        refused = shop.post("/applications", wanted | {"consents": [marketing]})
        assert (refused.status_code, refused.json["code"]) == (422, "consent-missing")
        shop.applies(customer_id, consents=[AGREED, marketing])
        with runtime.database.read() as session:
            kept = session.query(Consent).order_by(Consent.id).all()
        assert [row.purpose for row in kept] == ["credit_inquiry", "marketing"]
        assert {(row.customer_id, row.channel) for row in kept} == {(customer_id, "partner:shop")}


class TestDrawing:
    def test_a_further_part_is_looked_at_confirmed_and_drawn_once(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = in_parts(shop, runtime)
        before = shop.read(f"/loans/{loan}")
        assert (before["undrawn_fen"], before["draw_until"]) == (200_000, "2026-06-08")
        wanted = {"kind": "drawing", "amount_fen": 100_000}
        shown = shop.made(f"/loans/{loan}/events/preview", wanted, key="")
        assert shown["cost_table"]["disbursed"] == "1000.00"
        assert shown["counts_fen"] == 100_000
        seen = wanted | {"preview": shown["preview"]}
        blind = shop.post(f"/loans/{loan}/events", seen)
        assert (blind.status_code, blind.json["code"]) == (409, "cost-not-confirmed")
        seen |= {"seconds_shown": 9}
        unkeyed = shop.post(f"/loans/{loan}/events", seen, key="")
        assert unkeyed.json["code"] == "idempotency-key-missing"
        for _ in range(2):
            drawn = shop.made(f"/loans/{loan}/events", seen, key="part-2")
        assert (drawn["kind"], drawn["by"]) == ("disbursement", "shop")
        after = shop.read(f"/loans/{loan}")
        assert (after["principal_fen"], after["undrawn_fen"]) == (200_000, 100_000)
        assert after["remaining"]["total_fen"] == shown["remaining_after_fen"]
        stale = shop.post(f"/loans/{loan}/events", seen)
        assert stale.json["code"] == "preview-stale"
        assert books_agree(runtime)

    def test_is_no_more_than_what_is_left_and_keeps_to_its_limit(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = in_parts(shop, runtime)
        for path in ("events/preview", "events"):
            refused = shop.post(f"/loans/{loan}/{path}", {"kind": "drawing", "amount_fen": 200_001})
            assert (refused.status_code, refused.json["code"]) == (409, "tranche-refused")
        limited(runtime, "drawing", each_fen=99_999, day_fen=10**9)
        wanted = {"kind": "drawing", "amount_fen": 100_000}
        refused = shop.post(f"/loans/{loan}/events/preview", wanted)
        assert refused.json["code"] == "partner-limit-exceeded"

    def test_needs_its_scope(self, open_shop: Callable[..., Any], runtime: Runtime) -> None:
        loan = in_parts(open_shop(), runtime)
        narrow = open_shop(scopes=[Scope.LOANS_READ, Scope.EVENTS_EXTENSION])
        refused = narrow.post(f"/loans/{loan}/events/preview", {"kind": "drawing", "amount_fen": 1})
        assert refused.json["code"] == "api-key-lacks-scope"


def in_parts(shop: Any, runtime: Runtime) -> str:
    """Sell the standard product in three parts, and book the shop's customer the first of them."""
    document = house_documents()["standard"][0] | {"tranches": 3, "draw_within_days": 90}
    named: dict[str, Any] = {"code": "standard", "now": runtime.clock.now()}
    with runtime.database.write() as session:
        drafted = {"document": document, "author": "lin", "note": "", "now": named["now"]}
        named["version"] = operations.draft_product(session, **drafted)
        operations.try_product(session, by="lin", **named)
        operations.approve_product(session, by="wang", effective_on=DAY, **named)
    number = shop.applies(shop.brings())
    shop.approves(number)
    table = shop.read(f"/applications/{number}/contract")["cost_table_hash"]
    confirmed = {"cost_table_hash": table, "seconds_shown": 12}
    return str(shop.made(f"/applications/{number}/loan", confirmed)["loan_no"])


class TestReturns:
    def test_goods_that_went_back_undo_the_loan_and_leave_a_credit_to_refund(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings())
        shop.made(f"/loans/{loan}/events", paid(52_000, "BK-1"))
        back = {"kind": "cancellation", "amount_fen": 300_000, "bears_cost": False}
        blind = shop.post(f"/loans/{loan}/events", back)
        assert (blind.status_code, blind.json["code"]) == (409, "preview-stale")
        assert shop.does(loan, back)["kind"] == "cancellation"
        after = shop.read(f"/loans/{loan}")
        assert (after["status"], after["remaining"]["total_fen"]) == ("cancelled", 0)
        assert after["credit_fen"] == 52_000
        assert balance(shop, loan, "refund-payable") == -52_000
        refund = {"kind": "credit-refund", "amount_fen": 52_000, "reference": "CD-1"}
        done = shop.does(loan, refund | {"channel": "cash-desk"})
        assert (done["kind"], done["reference"]) == ("credit-balance-refund", "CD-1")
        assert balance(shop, loan, "refund-payable") == 0
        assert balance(shop, loan, "partner-clearing") == 0
        assert balance(shop, loan, "wechat-pay-clearing") == 0
        ended = shop.read(f"/loans/{loan}")
        assert (ended["status"], ended["credit_fen"]) == ("cancelled", 0)
        assert books_agree(runtime)

    def test_no_more_comes_back_than_the_price(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        back = {"kind": "cancellation", "amount_fen": 300_001, "bears_cost": False}
        refused = shop.post(f"/loans/{loan}/events/preview", back)
        assert refused.json["code"] == "cancellation-refused"

    def test_nothing_is_refunded_that_was_not_overpaid(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        refund = {"kind": "credit-refund", "amount_fen": 1, "reference": "CD-1"}
        refused = shop.post(f"/loans/{loan}/events/preview", refund)
        assert (refused.status_code, refused.json["code"]) == (409, "credit-refused")

    def test_a_loan_without_penalty_has_none_to_pause(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        pause = {"kind": "penalty-pause", "first_on": "2026-03-11"}
        refused = shop.post(f"/loans/{loan}/events/preview", pause)
        assert refused.json["code"] == "freeze-refused"


class TestMoney:
    def test_is_found_again_under_the_partner_s_reference(
        self, open_shop: Callable[..., Any]
    ) -> None:
        shop = open_shop()
        loan = shop.lends(shop.brings())
        posted = shop.made(f"/loans/{loan}/events", paid(10_000, "BK-1", channel="bank-transfer"))
        assert posted["reference"] == "BK-1"
        listed = shop.read(f"/loans/{loan}/events")["events"]
        assert [each["reference"] for each in listed if each["kind"] == "repayment"] == ["BK-1"]
        house = open_shop("house", scopes=[*ALL, Scope.WHOLE_BOOK])
        told = house.read(f"/loans/{loan}/events")["events"]
        assert {each["reference"] for each in told} == {None}

    def test_of_one_reference_is_posted_once_until_it_is_reversed(
        self, open_shop: Callable[..., Any]
    ) -> None:
        shop, other = open_shop(), open_shop("other")
        loan = shop.lends(shop.brings())
        first = shop.made(f"/loans/{loan}/events", paid(10_000, "BK-1"))
        again = shop.post(f"/loans/{loan}/events", paid(10_000, "BK-1"))
        assert (again.status_code, again.json["code"]) == (409, "reference-known")
        assert shop.read(f"/loans/{loan}")["paid"]["total_fen"] == 10_000
        shop.does(loan, {"kind": "reversal", "of_seq": first["seq"]})
        shop.made(f"/loans/{loan}/events", paid(9_000, "BK-1"))
        assert shop.read(f"/loans/{loan}")["paid"]["total_fen"] == 9_000
        others = other.lends(other.brings(2))
        other.made(f"/loans/{others}/events", paid(1_000, "BK-1"))

    def test_of_one_bank_transfer_counts_once_whoever_books_it(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings())

        def at_our_counter(key: str) -> int:
            now = runtime.clock.now()
            with runtime.database.write() as session:
                found = session.query(Loan).filter_by(loan_no=loan).one()
                receipt = Receipt(
                    what_for=For.DUE,
                    amount_fen=9_000,
                    value_date=DAY,
                    channel="bank-transfer",
                    reference="BK-9",
                )
                by = {"loan_id": found.id, "on": DAY, "actor": "qian", "now": now}
                return receive(session, receipt=receipt, key=key, **by)

        transfer = partial(paid, 9_000, "BK-9", channel="bank-transfer")
        first = shop.made(f"/loans/{loan}/events", transfer())
        with pytest.raises(ProofUsed):
            at_our_counter("a")
        shop.does(loan, {"kind": "reversal", "of_seq": first["seq"]})
        at_our_counter("b")
        again = shop.post(f"/loans/{loan}/events", transfer())
        assert (again.status_code, again.json["code"]) == (409, "reference-known")
        shop.made(f"/loans/{loan}/events", transfer(channel="cash-desk"))  # a slip of its own desk
        assert books_agree(runtime)

    def test_completes_a_settlement_that_was_offered(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        with runtime.database.write() as session:
            loan_id = session.query(Loan).filter_by(loan_no=loan).one().id
            operations.make_offer(
                session,
                kind=OfferKind.SETTLEMENT,
                subject_id=loan_id,
                details={"sum_fen": 200_000},
                valid_until=date(2026, 3, 20),
                reason="一次结清",
                made_by="wang",
                on=DAY,
                key="offer-1",
                now=runtime.clock.now(),
            )
        shop.made(f"/loans/{loan}/events", paid(200_000, "BK-1"))
        after = shop.read(f"/loans/{loan}")
        assert (after["status"], after["remaining"]["total_fen"]) == ("settled", 0)
        assert books_agree(runtime)


class TestLimits:
    def test_hold_at_once_and_over_the_day(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        limited(runtime, "repayment", each_fen=10_000, day_fen=15_000)
        big = shop.post(f"/loans/{loan}/events", paid(10_001, "BK-1"))
        assert (big.status_code, big.json["code"]) == (403, "partner-limit-exceeded")
        assert (big.json["act"], big.json["limit_fen"]) == ("repayment", 10_000)
        shop.made(f"/loans/{loan}/events", paid(10_000, "BK-2"))
        shown = {each["act"]: each for each in shop.read("/limits")["limits"]}
        assert shown["repayment"]["left_fen"] == 5_000
        over = shop.post(f"/loans/{loan}/events", paid(5_001, "BK-3"))
        assert over.json["limit_fen"] == 5_000
        shop.made(f"/loans/{loan}/events", paid(5_000, "BK-3"))
        assert shop.read(f"/loans/{loan}")["paid"]["total_fen"] == 15_000

    def test_are_counted_anew_the_next_day(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        limited(runtime, "repayment", each_fen=10_000, day_fen=10_000)
        shop.made(f"/loans/{loan}/events", paid(10_000, "BK-1"))
        with runtime.database.read() as session:
            today, tomorrow = (
                limit_of(session, partner="shop", act="repayment", on=on).left_fen
                for on in (DAY, date(2026, 3, 11))
            )
        assert (today, tomorrow) == (0, 10_000)

    def test_are_shown_by_the_preview_and_what_was_refused_is_not_counted(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings())
        limited(runtime, "waiver", each_fen=99, day_fen=99)
        waiver = {"kind": "waiver", "component": "interest", "amount_fen": 100}
        refused = shop.post(f"/loans/{loan}/events/preview", waiver)
        assert refused.json["code"] == "partner-limit-exceeded"
        limited(runtime, "waiver", each_fen=100, day_fen=100)
        too_large = paid(9_000_00, "BK-1")
        assert shop.post(f"/loans/{loan}/events", too_large).json["code"] == "payment-too-large"
        assert shop.does(loan, waiver)["kind"] == "waiver"
        shown = {each["act"]: each for each in shop.read("/limits")["limits"]}
        assert shown["waiver"]["left_fen"] == 0
        assert shown["repayment"]["left_fen"] == shown["repayment"]["day_fen"]

    def test_count_a_reversal_as_what_it_takes_back_counted(
        self, open_shop: Callable[..., Any], runtime: Runtime, book: Any
    ) -> None:
        """A freeze of penalty saves nothing yet: it counts, both ways, by what it may save."""
        shop = open_shop(scopes=[*ALL, Scope.WHOLE_BOOK])
        customer_id = shop.brings()
        bears = replace(STANDARD, code="penalised", penalty_multiplier=Decimal("1.3"))
        with runtime.database.write() as session:
            loan_id = book.loan(session, customer_id=customer_id, product=bears, terms=12)
            loan = session.get_one(Loan, loan_id).loan_no
        pause = {"kind": "penalty-pause", "first_on": "2026-06-11", "last_on": "2026-07-10"}
        counted = shop.made(f"/loans/{loan}/events/preview", pause)["counts_fen"]
        assert counted > 0
        back = {"kind": "reversal", "of_seq": shop.does(loan, pause)["seq"]}
        assert shop.made(f"/loans/{loan}/events/preview", back)["counts_fen"] == counted
        limited(runtime, "reversal", each_fen=counted - 1, day_fen=counted)
        refused = shop.post(f"/loans/{loan}/events/preview", back)
        assert refused.json["code"] == "partner-limit-exceeded"
        limited(runtime, "reversal", each_fen=counted, day_fen=counted)
        assert shop.does(loan, back)["kind"] == "reversal"
        again = shop.post(f"/loans/{loan}/events/preview", back)
        assert (again.status_code, again.json["code"]) == (422, "reversal-refused")

    def test_stand_in_the_house_s_table_for_each_act_and_nothing_else_may_happen(self) -> None:
        named = {scope.value.partition(":")[2] for scope in Scope if scope.startswith("events:")}
        assert set(acts()) == named | {"book"}
        assert house_ceiling("gift", on=DAY).each_fen == 0

    def test_make_sense(self, runtime: Runtime) -> None:
        for act, each, day in (("gift", 1, 1), ("waiver", 2, 1), ("waiver", -1, 1)):
            with pytest.raises(operations.LimitRefused):
                limited(runtime, act, each_fen=each, day_fen=day)

    def test_hold_when_many_acts_come_at_once(self, shop: Any, runtime: Runtime) -> None:
        loans = [shop.lends(shop.brings(serial)) for serial in range(1, 5)]
        limited(runtime, "repayment", each_fen=10_000, day_fen=20_000)
        told, _ = together(
            [
                partial(at_once, shop, loan, paid(10_000, f"BK-{serial}"), f"many-{serial}")
                for serial, loan in enumerate(loans)
            ]
        )
        assert sorted(answer.status_code for answer in told) == [201, 201, 403, 403]
        with runtime.database.read() as session:
            assert session.query(PartnerAct).count() == 2
        assert books_agree(runtime)


class TestAtOnce:
    """A partner whose client sends a request again and again does it once."""

    def test_one_key_under_load_posts_once_and_says_so_to_all(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings())
        body = paid(10_000, "BK-1")
        answers, errors = together([partial(at_once, shop, loan, body, "one")] * 8)
        assert errors == []
        first, *_ = made = [answer for answer in answers if answer.status_code == 201]
        assert [answer.json for answer in made] == [first.json] * len(made)
        assert sum("Idempotency-Replayed" not in answer.headers for answer in made) == 1
        for answer in answers:
            if answer not in made:
                assert (answer.status_code, answer.json["code"]) == (409, IN_PROGRESS)
                assert answer.headers["Retry-After"] == "1"
        assert at_once(shop, loan, body, "one").json == first.json
        assert repayments(shop, loan) == [10_000]
        assert books_agree(runtime)

    def test_one_key_with_several_amounts_posts_one_of_them(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings())
        amounts = [10_000, 10_001, 10_002, 10_003]
        answers, _ = together(
            [partial(at_once, shop, loan, paid(fen, f"BK-{fen}"), "one") for fen in amounts]
        )
        made = [answer.json for answer in answers if answer.status_code == 201]
        refused = {answer.json["code"] for answer in answers if answer.status_code != 201}
        assert len(made) == 1
        assert refused <= {IN_PROGRESS, "idempotency-key-reused"}
        assert repayments(shop, loan) == [made[0]["details"]["amount_fen"]]
        assert books_agree(runtime)

    def test_one_reference_under_several_keys_posts_once(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        body = paid(10_000, "BK-1")
        answers, _ = together([partial(at_once, shop, loan, body, f"many-{n}") for n in range(4)])
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        assert repayments(shop, loan) == [10_000]
        assert books_agree(runtime)

    def test_every_key_posts_once_when_many_pay_one_loan(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        calls = [
            partial(at_once, shop, loan, paid(1_000 + n, f"BK-{n}"), f"many-{n}")
            for n in (0, 0, 1, 1, 2, 2, 3, 3)
        ]
        _, errors = together(calls)
        assert errors == []
        assert sorted(repayments(shop, loan)) == [1_000, 1_001, 1_002, 1_003]
        assert books_agree(runtime)


def at_once(shop: Any, loan: str, body: Any, key: str) -> TestResponse:
    """Post an event with a client of its own."""
    client = shop.client.application.test_client()
    headers = {"Authorization": f"Bearer {shop.key}", "Idempotency-Key": key}
    response: TestResponse = client.post(f"/api/v1/loans/{loan}/events", json=body, headers=headers)
    return response


def repayments(shop: Any, loan: str) -> list[int]:
    """List what was paid on a loan, fen."""
    events = shop.read(f"/loans/{loan}/events")["events"]
    return [event["details"]["amount_fen"] for event in events if event["kind"] == "repayment"]


class TestExamples:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_are_acts_as_they_may_be_sent(self, name: str) -> None:
        value = EXAMPLES[name]["value"]
        assert AskedEvent.model_validate(value).root.kind == value["kind"]

    def test_there_is_one_of_each_component_that_can_be_waived(self) -> None:
        assert EXAMPLES["waiver"]["value"]["component"] in {each.value for each in Component}
