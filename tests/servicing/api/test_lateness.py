"""How late loans are and how they stand, as a partner reads it: today, then, and day by day."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.api.scopes import Scope
from servicing.operations.classing import mark_restructured

DUE = date(2026, 2, 28)
TODAY = date(2026, 3, 10)
READS = (Scope.CUSTOMERS_READ, Scope.LOANS_READ)


@pytest.fixture
def loan(shop: Any) -> str:
    """A loan whose first instalment fell due ten days ago."""
    return str(shop.lends(shop.brings()))


def id_of(runtime: Runtime, loan_no: str) -> int:
    with runtime.database.read() as session:
        found = queries.loan_id_of(session, loan_no=loan_no)
    assert found is not None
    return found


def acts(runtime: Runtime, act: Callable[..., Any], loan_no: str, **given: Any) -> Any:
    """Let staff do something to a loan."""
    by = {"on": runtime.clock.now().date(), "actor": "lin", "now": runtime.clock.now()}
    loan_id = id_of(runtime, loan_no)
    with runtime.database.write() as session:
        return act(session, loan_id=loan_id, key=f"{act.__name__}/{loan_no}", **by, **given)


def closed_to(runtime: Runtime, clock: FixedClock, on: date) -> None:
    """Let days pass, and close them."""
    clock.advance(on - TODAY)
    operations.close_day(runtime, on=on)


class TestLoan:
    def test_tells_days_class_stage_and_why(self, shop: Any, loan: str) -> None:
        told = shop.read(f"/loans/{loan}")
        assert (told["late_since"], told["days_past_due"], told["bucket"]) == (
            "2026-02-28",
            10,
            "M1",
        )
        assert (told["five_class"], told["class_reasons"]) == ("special-mention", ["days"])
        assert (told["ecl_stage"], told["bureau_marks"]) == (1, ["overdue"])
        first, second = told["plan"][:2]
        assert (first["bucket"], first["five_class"]) == ("M1", "special-mention")
        assert (second["bucket"], second["five_class"]) == ("M0", "normal")

    @pytest.mark.parametrize(
        ("day", "is_within", "marks"), [(3, True, []), (4, False, ["overdue"])]
    )
    def test_within_its_days_of_grace_the_bureau_hears_nothing(
        self, shop: Any, loan: str, *, day: int, is_within: bool, marks: list[str]
    ) -> None:
        told = shop.read(f"/loans/{loan}", as_of=(DUE + timedelta(days=day)).isoformat())
        assert (told["grace_days"], told["days_past_due"], told["bucket"]) == (3, day, "M1")
        assert (told["is_within_grace"], told["bureau_marks"]) == (is_within, marks)

    def test_of_a_restructuring_and_a_judgement_the_worst_counts_as_known_then(
        self, shop: Any, runtime: Runtime, clock: FixedClock, loan: str
    ) -> None:
        loan_id = id_of(runtime, loan)
        by = {"by": "lin", "on": TODAY, "now": clock.now()}
        with runtime.database.write() as session:
            mark_restructured(session, loan_id=loan_id, event_seq=9, **by)
        told = shop.read(f"/loans/{loan}")
        assert told["class_reasons"] == ["days", "restructured"]
        assert (told["is_restructured"], told["observed_until"]) == (True, "2027-03-10")
        assert told["bureau_marks"] == ["overdue", "restructured"]
        clock.advance(timedelta(days=1))
        by |= {"on": TODAY + timedelta(days=1), "now": clock.now()}
        with runtime.database.write() as session:
            mark_id = operations.downgrade(
                session,
                loan_id=loan_id,
                at_least="loss",
                until_on=date(2026, 6, 1),
                reason="失联",
                **by,
            )
        told = shop.read(f"/loans/{loan}")
        assert (told["five_class"], told["class_reasons"], told["ecl_stage"]) == (
            "loss",
            ["staff"],
            3,
        )
        before = shop.read(f"/loans/{loan}", known_on="2026-03-10")
        assert before["five_class"] == "special-mention"
        clock.advance(timedelta(days=1))
        by |= {"on": TODAY + timedelta(days=2), "now": clock.now()}
        with runtime.database.write() as session:
            operations.end_downgrade(session, mark_id=mark_id, **by)
        assert shop.read(f"/loans/{loan}")["five_class"] == "special-mention"
        assert shop.read(f"/loans/{loan}", as_of="2026-03-11")["five_class"] == "loss"
        days = shop.read(f"/loans/{loan}/lateness", first_on="2026-03-10")["days"]
        assert [day["five_class"] for day in days] == ["special-mention", "loss", "special-mention"]


class TestStatus:
    def test_says_how_a_loan_stands_and_lists_by_it(
        self, shop: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        names = ("active", "charged_off", "written_off", "cancelled", "settled")
        loans = {name: shop.lends(shop.brings(serial)) for serial, name in enumerate(names, 1)}
        acts(runtime, operations.cancel_purchase, loans["cancelled"], amount_fen=300_000,
             bears_cost=False)  # fmt: skip
        quote = shop.read(f"/loans/{loans['settled']}/quotes/settlement")
        paid = {"kind": "prepayment", "amount_fen": quote["amount_fen"], "reference": "all"}
        shop.made(f"/loans/{loans['settled']}/events", paid | {"value_date": "2026-03-10"})
        closed_to(runtime, clock, date(2026, 6, 15))
        for name in ("charged_off", "written_off"):
            acts(runtime, operations.charge_off, loans[name])
        acts(runtime, operations.write_off, loans["written_off"])
        for name, number in loans.items():
            told = shop.read(f"/loans/{number}")
            assert told["status"] == name
            owes = name in ("active", "charged_off")
            assert (told["five_class"] is not None) == (told["ecl_stage"] is not None) == owes
            (listed,) = shop.read("/loans", status=name)["loans"]
            assert (listed["loan_no"], listed["status"]) == (number, name)
            assert (listed["five_class"], listed["ecl_stage"]) == (
                told["five_class"],
                told["ecl_stage"],
            )
            assert shop.read(f"/loans/{number}", as_of="2026-03-09")["status"] == "active"
        assert shop.read(f"/loans/{loans['active']}", as_of="2026-01-30")["status"] == "approved"
        states = {row["state"] for row in shop.read(f"/loans/{loans['written_off']}")["plan"]}
        assert states == {"waived"}
        assert shop.get("/loans", status="approved").status_code == 422


class TestDays:
    def test_are_told_one_by_one_down_to_the_instalment(
        self, shop: Any, runtime: Runtime, clock: FixedClock, loan: str
    ) -> None:
        closed_to(runtime, clock, date(2026, 4, 5))
        days = shop.read(f"/loans/{loan}/lateness", first_on="2026-03-30", last_on="2026-04-01")
        assert [(day["on"], day["days_past_due"], day["bucket"]) for day in days["days"]] == [
            ("2026-03-30", 30, "M1"),
            ("2026-03-31", 31, "M2"),
            ("2026-04-01", 32, "M2"),
        ]
        assert [
            [(row["n"], row["days_past_due"]) for row in day["instalments"]] for day in days["days"]
        ] == [[(1, 30)], [(1, 31)], [(1, 32), (2, 1)]]

    def test_go_on_from_page_to_page_and_start_with_the_loan(
        self, shop: Any, clock: FixedClock, loan: str
    ) -> None:
        whole = shop.read(f"/loans/{loan}/lateness", limit=200)["days"]
        assert (whole[0]["on"], whole[-1]["on"]) == ("2026-01-31", "2026-03-10")
        seen: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = shop.read(f"/loans/{loan}/lateness", limit=7, **cursor)
            seen += page["days"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == whole

    def test_stay_as_the_books_said_whatever_becomes_known_later(
        self, shop: Any, runtime: Runtime, clock: FixedClock, loan: str
    ) -> None:
        operations.close_day(runtime, on=TODAY)
        before = shop.read(f"/loans/{loan}/lateness", first_on="2026-03-10")["days"]
        clock.advance(timedelta(days=1))
        due = shop.read(f"/loans/{loan}/quotes/due")["amount_fen"]
        paid = {"kind": "repayment", "amount_fen": due, "value_date": "2026-03-01"}
        shop.made(f"/loans/{loan}/events", paid | {"reference": "late-news"})
        days = shop.read(f"/loans/{loan}/lateness", first_on="2026-03-10")["days"]
        assert days[:1] == before
        assert (days[1]["days_past_due"], days[1]["instalments"]) == (0, [])
        assert shop.read(f"/loans/{loan}", as_of="2026-03-10")["days_past_due"] == 0

    def test_end_with_the_loan(self, shop: Any, clock: FixedClock, loan: str) -> None:
        quote = shop.read(f"/loans/{loan}/quotes/settlement")
        paid = {"kind": "prepayment", "amount_fen": quote["amount_fen"], "reference": "all"}
        shop.made(f"/loans/{loan}/events", paid | {"value_date": "2026-03-10"})
        clock.advance(timedelta(days=9))
        days = shop.read(f"/loans/{loan}/lateness", first_on="2026-03-09")["days"]
        assert [(day["on"], day["five_class"]) for day in days] == [
            ("2026-03-09", "normal"),
            ("2026-03-10", None),
        ]
        assert shop.read(f"/loans/{loan}/lateness", first_on="2026-03-11")["days"] == []

    def test_to_come_and_odd_cursors_are_refused(self, shop: Any, loan: str) -> None:
        ahead = shop.get(f"/loans/{loan}/lateness", last_on="2026-03-11")
        assert ahead.json["code"] == "day-ahead"
        for cursor in ("x", "OTk5OTk5OTk"):
            odd = shop.get(f"/loans/{loan}/lateness", cursor=cursor)
            assert odd.json["code"] == "cursor-unknown"
        assert shop.get("/loans/NONE/lateness").status_code == 404


class TestCustomer:
    def test_is_as_late_as_the_worst_of_the_loans_that_are_seen(
        self, open_shop: Callable[..., Any]
    ) -> None:
        one, other = open_shop(), open_shop("other")
        customer_id = one.brings()
        other.brings()
        one.lends(customer_id)
        other.is_granted(customer_id, fen=900_000)
        other.lends(customer_id, on=date(2026, 2, 20))
        late = one.read(f"/customers/{customer_id}")["lateness"]
        assert late == {
            "late_since": "2026-02-28",
            "days_past_due": 10,
            "bucket": "M1",
            "five_class": "special-mention",
            "ecl_stage": 1,
        }
        assert other.read(f"/customers/{customer_id}")["lateness"]["days_past_due"] == 0
        house = open_shop("house", scopes=[*READS, Scope.WHOLE_BOOK])
        assert house.read(f"/customers/{customer_id}")["lateness"]["days_past_due"] == 10

    def test_reads_day_by_day_page_by_page(
        self, open_shop: Callable[..., Any], runtime: Runtime, clock: FixedClock
    ) -> None:
        one, other = open_shop(), open_shop("other")
        customer_id = one.brings()
        other.brings()
        one.lends(customer_id)
        other.is_granted(customer_id, fen=900_000)
        other.lends(customer_id, on=date(2026, 3, 10))
        closed_to(runtime, clock, date(2026, 4, 12))
        at = f"/customers/{customer_id}/lateness"
        house = open_shop("house", scopes=[*READS, Scope.WHOLE_BOOK])
        for shop, first, late in ((one, "2026-01-31", 43), (other, "2026-03-10", 2)):
            days = shop.read(at, limit=200)["days"]
            assert (days[0]["on"], days[-1]["on"]) == (first, "2026-04-12")
            assert days[-1]["days_past_due"] == late
            page = shop.read(at, first_on="2026-04-01", limit=5)
            more = shop.read(at, first_on="2026-04-01", limit=200, cursor=page["next_cursor"])
            assert page["days"] + more["days"] == days[-12:]
            assert more["next_cursor"] is None
        assert (
            house.read(at, first_on="2026-04-12")["days"]
            == one.read(at, first_on="2026-04-12")["days"]
        )
        nobody = one.brings(2)
        assert one.read(f"/customers/{nobody}/lateness")["days"] == []
        assert one.get("/customers/999/lateness").status_code == 404

    def test_is_not_told_to_keys_that_may_not_read_loans(
        self, open_shop: Callable[..., Any]
    ) -> None:
        customer_id = open_shop().brings()
        blind = open_shop(scopes=[Scope.CUSTOMERS_READ])
        assert blind.read(f"/customers/{customer_id}")["lateness"] is None
