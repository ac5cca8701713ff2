"""Each resource's story, told by a shop over HTTP: from its customer to the last statement."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from partner import AGREED, ALL, id_number, person
from sqlalchemy import select
from verdicts import Verdict

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.api.scopes import Scope
from servicing.engine.cost import CostAboveCap
from servicing.products import STANDARD
from servicing.tables import Loan

DAY = date(2026, 3, 10)


def books_agree(runtime: Runtime) -> bool:
    with runtime.database.read() as session:
        return operations.prove_books(session) == []


class TestCustomers:
    def test_are_read_masked_and_found_by_the_shop_s_own_reference(self, shop: Any) -> None:
        customer_id = shop.brings(1)
        shop.brings(2)
        (found,) = shop.read("/customers", reference="shop-1")["customers"]
        assert found == shop.read(f"/customers/{customer_id}")
        assert (found["name"], found["phone"]) == ("张**", "138****0001")
        assert found["id_number"] == f"9****************{id_number(1)[-1]}"

    @pytest.mark.parametrize(
        "wrong", ["990000199001010051", "990000199002300016", "990000209901010035"]
    )
    def test_with_a_wrong_id_number_are_refused_in_words(self, shop: Any, wrong: str) -> None:
        refused = shop.post("/customers", person(1) | {"id_number": wrong})
        assert (refused.status_code, refused.json["code"]) == (422, "id-number-wrong")
        assert refused.json["message_zh"] == "身份证号有误，请核对后重新填写"
        assert shop.read("/customers")["customers"] == []

    def test_with_a_small_x_are_kept_with_the_capital(self, shop: Any, runtime: Runtime) -> None:
        customer_id = shop.brings(1, id_number="99000019900101005x")
        with runtime.database.read() as session:
            found = queries.customer_view(session, runtime.cipher, customer_id=customer_id)
        assert found.id_number == "99000019900101005X"

    def test_whom_another_partner_knows_is_linked_by_all_of_their_data(
        self, open_shop: Callable[..., Any]
    ) -> None:
        one, other = open_shop(), open_shop("other")
        customer_id = one.brings(1)
        assert other.get(f"/customers/{customer_id}").status_code == 404
        assert other.brings(1) == customer_id
        assert other.read(f"/customers/{customer_id}")["reference"] == "shop-1"

    @pytest.mark.parametrize("changes", [{"name": "王五"}, {"phone": "13900000001"}])
    def test_whose_data_differ_are_not_linked(
        self, open_shop: Callable[..., Any], changes: dict[str, str]
    ) -> None:
        open_shop().brings(1)
        refused = open_shop("other").post("/customers", person(1) | changes)
        assert (refused.status_code, refused.json["code"]) == (409, "customer-known")

    def test_a_reference_stands_for_one_customer(self, shop: Any) -> None:
        shop.brings(1)
        refused = shop.post("/customers", person(2) | {"reference": "shop-1"})
        assert refused.json["code"] == "partner-reference-taken"

    def test_are_listed_page_by_page(self, shop: Any) -> None:
        brought = [shop.brings(serial) for serial in range(1, 6)]
        seen, cursor = [], None
        while True:
            page = shop.read("/customers", limit=2, **({"cursor": cursor} if cursor else {}))
            seen += [each["customer_id"] for each in page["customers"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == brought

    def test_numbers_that_no_row_can_have_are_not_there(self, shop: Any) -> None:
        for path in ("/customers/99999999999999999999", "/payments/99999999999999999999"):
            assert shop.get(path).status_code == 404


class TestApplications:
    def test_tell_where_they_stand_and_why(self, shop: Any, runtime: Runtime) -> None:
        number = shop.applies(shop.brings())
        assert shop.read(f"/applications/{number}")["state"] == "submitted"
        with runtime.database.write() as session:
            operations.decide_application(
                session,
                application_id=1,
                decision=Verdict("decline", "beyond-line"),
                now=runtime.clock.now(),
            )
        declined = shop.read(f"/applications/{number}")
        assert declined["state"] == "declined"
        assert declined["reasons"]
        assert shop.made(f"/applications/{number}/appeal")["state"] == "in_review"
        assert shop.made(f"/applications/{number}/withdrawal")["state"] == "cancelled"

    def test_approved_are_looked_at_on_wish_and_stand_meanwhile(self, shop: Any) -> None:
        number = shop.applies(shop.brings())
        shop.approves(number)
        assert shop.read(f"/applications/{number}")["review_due_at"] is None
        asked = shop.made(f"/applications/{number}/appeal")
        assert (asked["state"], asked["review_due_at"] is None) == ("approved", False)
        assert shop.read(f"/applications/{number}/contract")["amount_fen"] == asked["amount_fen"]

    def test_outside_the_product_are_refused(self, shop: Any) -> None:
        wanted = {"customer_id": shop.brings(), "amount_fen": 1, "terms": 6}
        wanted |= {"product": "standard", "merchant_name": "店", "merchandise": "物"}
        wanted |= {"consents": [AGREED]}
        assert shop.post("/applications", wanted).json["code"] == "outside-product"
        assert shop.post("/applications", wanted | {"product": "x"}).status_code == 404

    def test_nobody_applies_for_another_s_customer(self, open_shop: Callable[..., Any]) -> None:
        customer_id = open_shop().brings()
        wanted = {"customer_id": customer_id, "amount_fen": 300_000, "terms": 6}
        wanted |= {"product": "standard", "merchant_name": "店", "merchandise": "物"}
        wanted |= {"consents": [AGREED]}
        assert open_shop("other").post("/applications", wanted).status_code == 404


class TestQuotes:
    def test_a_plan_comes_with_its_cost_table(self, shop: Any) -> None:
        quote = shop.read("/quotes/plan", product="standard", amount_fen=300_000, terms=6)
        assert sum(row["principal_fen"] for row in quote["plan"]) == 300_000
        assert quote["cost_table"]["charges"][0]["payee"] == "贷款人"
        assert len(quote["cost_table_hash"]) == 64
        assert quote["valid_until"] == "2026-03-10T16:00:00Z"
        table = operations.cost_table(
            principal_fen=300_000, rate_annual=STANDARD.rate_annual, terms=6, disbursed_on=DAY
        )
        assert quote["cost_table"] == table

    def test_what_is_due_settles_what_is_due(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        due = shop.read(f"/loans/{loan}/quotes/due")
        assert due["amount_fen"] == shop.read(f"/loans/{loan}")["due_now"]["total_fen"]
        shop.made(f"/loans/{loan}/events", repayment(due["amount_fen"]))
        assert shop.read(f"/loans/{loan}")["due_now"]["total_fen"] == 0
        assert books_agree(runtime)

    def test_a_settlement_quote_ends_the_loan(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        quote = shop.read(f"/loans/{loan}/quotes/settlement")
        asked = ("due_fen", "later_principal_fen", "cost_fen", "fee_fen")
        less = quote["credit_fen"] + quote["waived_fen"]
        assert quote["amount_fen"] == sum(quote[name] for name in asked) - less
        assert quote["back_fen"] == 0
        paid = repayment(quote["amount_fen"]) | {"kind": "prepayment"}
        shop.made(f"/loans/{loan}/events", paid)
        after = shop.read(f"/loans/{loan}")
        assert (after["status"], after["remaining"]["total_fen"]) == ("settled", 0)
        assert books_agree(runtime)

    def test_a_prepayment_quote_is_what_happens(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        shown = {"amount_fen": 150_000, "effect": "reduce-instalment"}
        quote = shop.read(f"/loans/{loan}/quotes/prepayment", **shown)
        assert quote["saved_fen"] > 0
        shop.made(f"/loans/{loan}/events", repayment(0) | {"kind": "prepayment"} | shown)
        after = shop.read(f"/loans/{loan}")
        assert after["remaining"]["total_fen"] == quote["remaining_after_fen"]
        versions = shop.read(f"/loans/{loan}/plan-versions")["versions"]
        assert versions[-1]["plan"] == quote["plan_after"]

    def test_hold_for_days_that_are_near(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        for on in ("2026-03-09", "2026-05-01"):
            refused = shop.get(f"/loans/{loan}/quotes/settlement", on=on)
            assert refused.json["code"] == "value-date-off"


class TestLoans:
    def test_are_read_as_of_a_day_as_known_on_a_day(self, shop: Any, clock: FixedClock) -> None:
        loan = shop.lends(shop.brings())
        before = shop.read(f"/loans/{loan}", as_of="2026-03-05")
        clock.advance(timedelta(days=2))
        shop.made(f"/loans/{loan}/events", repayment(before["due_now"]["total_fen"], "2026-03-04"))
        now_known = shop.read(f"/loans/{loan}", as_of="2026-03-05")
        as_known = shop.read(f"/loans/{loan}", as_of="2026-03-05", known_on="2026-03-10")
        assert now_known["due_now"]["total_fen"] == 0
        assert as_known == before | {"known_on": "2026-03-10"}

    def test_say_nothing_of_days_to_come(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        for asked in ({"as_of": "2026-03-11"}, {"known_on": "2026-03-11"}):
            assert shop.get(f"/loans/{loan}", **asked).json["code"] == "day-ahead"

    def test_are_listed_by_customer_and_status(self, shop: Any) -> None:
        one, two = shop.brings(1), shop.brings(2)
        loan, _ = shop.lends(one), shop.lends(two)
        (listed,) = shop.read("/loans", customer_id=one, status="active")["loans"]
        assert listed["loan_no"] == loan
        assert shop.read("/loans", status="settled")["loans"] == []

    def test_lines_and_ledger_tell_the_same(self, shop: Any) -> None:
        customer_id = shop.brings()
        loan = shop.lends(customer_id)
        (line,) = shop.read(f"/customers/{customer_id}/lines")["lines"]
        assert line["utilised_fen"] == 300_000
        entries = shop.read(f"/loans/{loan}/ledger")["entries"]
        for entry in entries:
            assert sum(leg["amount_fen"] for leg in entry["postings"]) == 0
        assert "disbursement" in [entry["kind"] for entry in entries]


class TestEvents:
    def test_money_of_a_partner_waits_for_the_partner(self, shop: Any, runtime: Runtime) -> None:
        loan = shop.lends(shop.brings())
        posted = shop.made(f"/loans/{loan}/events", repayment(10_000))
        assert (posted["by"], posted["kind"]) == ("shop", "repayment")
        assert money_in(shop, loan) == {"partner-clearing": 10_000}
        seen = preview_of(shop, loan, {"kind": "reversal", "of_seq": posted["seq"]})
        shop.made(f"/loans/{loan}/events", seen)
        assert money_in(shop, loan) == {"partner-clearing": 0}
        assert books_agree(runtime)

    def test_the_same_money_is_posted_once(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        paid = repayment(10_000)
        for _ in range(3):
            shop.made(f"/loans/{loan}/events", paid, key="money-1")
        assert shop.read(f"/loans/{loan}")["paid"]["total_fen"] == 10_000

    @pytest.mark.parametrize(
        "wanted",
        [
            {"kind": "waiver", "component": "interest", "amount_fen": 100},
            {"kind": "charge", "amount_fen": 100, "due_on": "2026-03-20"},
            {"kind": "interest-pause", "first_on": "2026-03-11", "last_on": "2026-03-20"},
        ],
        ids=lambda wanted: wanted["kind"],
    )
    def test_other_things_happen_as_they_were_looked_at(
        self, shop: Any, runtime: Runtime, wanted: dict[str, Any]
    ) -> None:
        loan = shop.lends(shop.brings())
        blind = shop.post(f"/loans/{loan}/events", wanted)
        assert (blind.status_code, blind.json["code"]) == (409, "preview-stale")
        shown = shop.made(f"/loans/{loan}/events/preview", wanted, key="")
        shop.made(f"/loans/{loan}/events", wanted | {"preview": shown["preview"]})
        after = shop.read(f"/loans/{loan}")
        assert after["remaining"]["total_fen"] == shown["remaining_after_fen"]
        assert books_agree(runtime)

    def test_an_extension_spreads_what_is_left(self, shop: Any, clock: FixedClock) -> None:
        loan = shop.lends(shop.brings())
        late = shop.read(f"/loans/{loan}/quotes/due")["amount_fen"]
        wanted = {"kind": "extension", "extra_terms": 3}
        refused = shop.post(f"/loans/{loan}/events/preview", wanted)
        assert refused.json["code"] == "extension-refused"
        shop.made(f"/loans/{loan}/events", repayment(late))
        seen = preview_of(shop, loan, wanted)
        blind = shop.post(f"/loans/{loan}/events", seen)
        assert (blind.status_code, blind.json["code"]) == (409, "cost-not-confirmed")
        shop.made(f"/loans/{loan}/events", seen | {"seconds_shown": 9})
        assert len(shop.read(f"/loans/{loan}")["plan"]) == 9

    def test_a_preview_of_yesterday_s_loan_is_stale(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        seen = preview_of(
            shop, loan, {"kind": "waiver", "component": "interest", "amount_fen": 100}
        )
        other = seen | {"amount_fen": 200}
        assert shop.post(f"/loans/{loan}/events", other).json["code"] == "preview-stale"
        shop.made(f"/loans/{loan}/events", repayment(10_000))
        assert shop.post(f"/loans/{loan}/events", seen).json["code"] == "preview-stale"

    @pytest.mark.parametrize("on", ["2026-01-30", "2026-03-11"])
    def test_money_counts_from_no_other_day(self, shop: Any, on: str) -> None:
        loan = shop.lends(shop.brings())
        refused = shop.post(f"/loans/{loan}/events", repayment(100, on))
        assert refused.json["code"] == "value-date-off"

    def test_too_much_money_is_refused(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        for path in ("events/preview", "events"):
            refused = shop.post(f"/loans/{loan}/{path}", repayment(1_000_000))
            assert (refused.status_code, refused.json["code"]) == (409, "payment-too-large")
        quoted = shop.get(f"/loans/{loan}/quotes/prepayment", amount_fen=1_000_000)
        assert (quoted.status_code, quoted.json["code"]) == (409, "payment-too-large")

    def test_a_fee_beyond_the_cap_is_refused_as_soon_as_it_is_looked_at(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings())
        wanted = {"kind": "charge", "amount_fen": 100_000, "due_on": "2026-03-20"}
        refused = shop.post(f"/loans/{loan}/events/preview", wanted)
        assert (refused.status_code, refused.json["code"]) == (422, "cost-above-cap")
        with runtime.database.write() as session, pytest.raises(CostAboveCap) as posted:
            operations.charge(
                session,
                loan_id=session.scalars(select(Loan.id)).one(),
                amount_fen=100_000,
                due_on=date(2026, 3, 20),
                on=date(2026, 3, 10),
                key="fee",
                actor="partner:shop",
                now=runtime.clock.now(),
            )
        assert posted.value.code == refused.json["code"]

    def test_only_what_the_partner_posted_is_reversed(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        for seq in (1, 99):
            wanted = {"kind": "reversal", "of_seq": seq}
            refused = shop.post(f"/loans/{loan}/events/preview", wanted)
            assert refused.json["code"] == "event-not-theirs"

    def test_each_kind_needs_its_scope(self, open_shop: Callable[..., Any]) -> None:
        shop = open_shop()
        loan = shop.lends(shop.brings())
        reader = open_shop("shop", scopes=[Scope.LOANS_READ, Scope.EVENTS_REPAYMENT])
        wanted = {"kind": "waiver", "component": "interest", "amount_fen": 100}
        for path in ("events", "events/preview"):
            refused = reader.post(f"/loans/{loan}/{path}", wanted, key=path)
            assert refused.json["code"] == "api-key-lacks-scope"
        assert reader.post(f"/loans/{loan}/events", repayment(100), key="r").status_code == 201

    def test_unknown_kinds_and_members_are_named(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        refused = shop.post(f"/loans/{loan}/events", {"kind": "gift"})
        assert refused.json["code"] == "request-malformed"
        refused = shop.post(f"/loans/{loan}/events", repayment(100) | {"note": "x"})
        assert refused.json["faults"][0]["member"] == "repayment.note"


class TestPayments:
    def test_tell_what_the_loan_took_and_what_goes_back(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        shop.is_paid(loan, fen=1_500, owed=1_000)
        (paid,) = shop.read("/payments", loan_no=loan)["payments"]
        assert (paid["posted_fen"], paid["excess_fen"], paid["loan_no"]) == (1_000, 500, loan)
        assert shop.read(f"/payments/{paid['payment_id']}") == paid
        (back,) = shop.read(f"/payments/{paid['payment_id']}/refunds")["refunds"]
        assert (back["amount_fen"], back["state"]) == (500, "ready")
        assert money_in(shop, loan) == {"wechat-pay-clearing": 1_500}

    def test_are_listed_page_by_page(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        for _ in range(3):
            shop.is_paid(loan, fen=100, owed=100)
        first = shop.read("/payments", limit=2)
        second = shop.read("/payments", limit=2, cursor=first["next_cursor"])
        numbers = [each["payment_id"] for page in (first, second) for each in page["payments"]]
        assert len(set(numbers)) == 3
        assert second["next_cursor"] is None

    def test_of_other_loans_are_not_there(self, open_shop: Callable[..., Any]) -> None:
        one, other = open_shop(), open_shop("other")
        one.is_paid(one.lends(one.brings()), fen=100, owed=100)
        assert other.read("/payments")["payments"] == []
        assert other.get("/payments/1").status_code == 404
        assert other.get("/payments/1/refunds").status_code == 404


class TestStatements:
    def test_what_was_owed_fell_due_was_paid_and_is_owed(self, shop: Any) -> None:
        customer_id = shop.brings()
        loan = shop.lends(customer_id)
        shop.made(f"/loans/{loan}/events", repayment(10_000, "2026-03-05"))
        days = {"first_on": "2026-02-01", "last_on": "2026-03-10"}
        told = shop.read(f"/loans/{loan}/statement", **days)
        assert told["owed_before"]["total_fen"] == 0
        assert told["paid_fen"] == sum(each["amount_fen"] for each in told["payments"]) == 10_000
        due, owed = told["fell_due"]["total_fen"], told["owed_after"]["total_fen"]
        assert due - 10_000 == owed > 0
        whole = shop.read(f"/customers/{customer_id}/statement", **days)
        assert whole["loans"] == [told | {"loan_no": loan}]
        assert whole["owed_after"] == told["owed_after"]
        past = shop.read(f"/loans/{loan}/statement", **days | {"known_on": "2026-03-09"})
        assert past["paid_fen"] == 0

    def test_one_month_begins_where_the_last_one_ended(self, shop: Any) -> None:
        loan = shop.lends(shop.brings())
        shop.made(f"/loans/{loan}/events", repayment(10_000, "2026-03-05"))
        first = shop.read(f"/loans/{loan}/statement", first_on="2026-02-01", last_on="2026-02-28")
        second = shop.read(f"/loans/{loan}/statement", first_on="2026-03-01", last_on="2026-03-10")
        assert first["owed_after"] == second["owed_before"]

    @pytest.mark.parametrize(
        ("first", "last", "code"),
        [
            ("2026-03-02", "2026-03-01", "period-refused"),
            ("2025-03-01", "2026-03-02", "period-refused"),
            ("2026-03-01", "2026-03-11", "day-ahead"),
        ],
    )
    def test_are_for_a_year_of_past_days(self, shop: Any, first: str, last: str, code: str) -> None:
        loan = shop.lends(shop.brings())
        refused = shop.get(f"/loans/{loan}/statement", first_on=first, last_on=last)
        assert refused.json["code"] == code


class TestSight:
    def test_a_partner_sees_only_what_came_through_it(
        self, open_shop: Callable[..., Any], clock: FixedClock
    ) -> None:
        one, other = open_shop(), open_shop("other")
        customer_id = one.brings()
        loan, application = one.lends(customer_id), one.applies(customer_id)
        other.brings(1)  # the same person, brought by both
        clock.advance(timedelta(minutes=2))
        hidden = [
            f"/applications/{application}",
            f"/loans/{loan}",
            f"/loans/{loan}/events",
            f"/loans/{loan}/ledger",
            f"/loans/{loan}/plan-versions",
            f"/loans/{loan}/quotes/due",
            f"/loans/{loan}/quotes/settlement",
        ]
        for path in hidden:
            assert one.get(path).status_code == 200, path
            assert other.get(path).status_code == 404, path
        assert other.post(f"/loans/{loan}/events", repayment(100)).status_code == 404
        days = {"first_on": "2026-03-01", "last_on": "2026-03-02"}
        for path, query in ((f"/loans/{loan}/statement", days), ("/payments", {"loan_no": loan})):
            assert one.get(path, **query).status_code == 200, path
            assert other.get(path, **query).status_code == 404, path
        assert other.read("/loans")["loans"] == []
        assert other.read("/applications")["applications"] == []
        for what in ("loans", "events", "entries"):
            assert lines(other.get(f"/exports/{what}")) == []
            assert lines(one.get(f"/exports/{what}"))

    def test_two_keys_of_a_partner_see_the_same(self, open_shop: Callable[..., Any]) -> None:
        customer_id = open_shop().brings()
        assert open_shop().get(f"/customers/{customer_id}").status_code == 200

    def test_the_house_sees_the_whole_book(self, open_shop: Callable[..., Any]) -> None:
        one = open_shop()
        loan = one.lends(one.brings())
        house = open_shop("house", scopes=[*ALL, Scope.WHOLE_BOOK])
        assert house.read(f"/loans/{loan}")["loan_no"] == loan
        assert house.read("/customers/1")["reference"] is None

    def test_words_that_are_no_numbers_of_ours_are_not_there(self, shop: Any) -> None:
        for word in ("FQ%00", "x", "é", "FQ' OR 1=1"):
            assert shop.get(f"/loans/{word}").status_code == 404
            assert shop.get(f"/applications/{word}").status_code == 404


_RECEIPTS = count(1)


def repayment(fen: int, on: str = "2026-03-10", **changes: Any) -> dict[str, Any]:
    reference = f"BK-{next(_RECEIPTS)}"
    paid = {"kind": "repayment", "amount_fen": fen, "value_date": on, "reference": reference}
    return paid | changes


def preview_of(shop: Any, loan: str, wanted: dict[str, Any]) -> dict[str, Any]:
    shown = shop.made(f"/loans/{loan}/events/preview", wanted, key="")
    return wanted | {"preview": shown["preview"]}


def money_in(shop: Any, loan: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in shop.read(f"/loans/{loan}/ledger")["entries"]:
        for leg in entry["postings"]:
            if leg["account"].endswith("-clearing"):
                found[leg["account"]] = found.get(leg["account"], 0) + leg["amount_fen"]
    return found


def lines(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]
