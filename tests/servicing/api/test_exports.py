"""Exports: the whole book page by page, as of any day, in three ways of writing it."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from limits import parse
from partner import ALL
from sqlalchemy import event

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.api import door
from servicing.api.exports import RATE
from servicing.api.scopes import Scope

ALL_LINES = ["loans", "plans", "events", "entries"]


def lines(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def table(shop: Any, what: str) -> list[list[str]]:
    """An export as a spreadsheet reads it, its header first."""
    return list(csv.reader(io.StringIO(shop.get(f"/exports/{what}", format="csv").text)))


def pages(shop: Any, what: str, **query: Any) -> Iterator[Any]:
    """Yield page after page until there is no more."""
    cursor: dict[str, str] = {}
    while True:
        page = shop.get(f"/exports/{what}", **query, **cursor)
        yield page
        cursor = {"cursor": page.headers["Next-Cursor"]}
        if page.headers["Has-More"] == "false":
            return


def pays(shop: Any, loan: str, fen: int, on: str = "2026-03-10") -> None:
    told = {"kind": "repayment", "amount_fen": fen, "value_date": on}
    shop.made(f"/loans/{loan}/events", told | {"reference": f"{loan}-{fen}-{on}"})


@contextmanager
def counted(runtime: Runtime) -> Iterator[list[str]]:
    """Collect what is asked meanwhile, but of keys: those are looked up again by the clock."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and "api_key" not in statement:
            sent.append(statement)

    event.listen(runtime.database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(runtime.database.engine, "before_cursor_execute", note)


def asked(runtime: Runtime, shop: Any, path: str) -> int:
    """Count the statements by which something is answered."""
    with counted(runtime) as sent:
        shop.read(path)
    return len(sent)


class TestPages:
    @pytest.mark.parametrize("what", ALL_LINES)
    def test_one_by_one_everything_comes_once(
        self, shop: Any, clock: FixedClock, what: str
    ) -> None:
        loans = [shop.lends(shop.brings(serial)) for serial in (1, 2, 3)]
        clock.advance(timedelta(minutes=2))
        whole = lines(shop.get(f"/exports/{what}"))
        assert {line["loan_no"] for line in whole} == set(loans)
        found = list(pages(shop, what, limit=1))
        assert [line for page in found for line in lines(page)] == whole
        assert len(found) > 2

    @pytest.mark.parametrize("what", ALL_LINES)
    def test_what_is_added_meanwhile_comes_later_and_moves_nothing(
        self, shop: Any, clock: FixedClock, what: str
    ) -> None:
        first, second = shop.lends(shop.brings(1)), shop.lends(shop.brings(2))
        clock.advance(timedelta(minutes=2))
        found = pages(shop, what, limit=1)
        told = lines(next(found))
        third = shop.lends(shop.brings(3))
        pays(shop, first, 10_000)
        clock.advance(timedelta(minutes=2))
        for page in found:
            told += lines(page)
        seen = [json.dumps(line, sort_keys=True) for line in told]
        assert len(seen) == len(set(seen))
        assert {line["loan_no"] for line in told} == {first, second, third}

    def test_come_back_tomorrow_for_what_is_new(self, shop: Any, clock: FixedClock) -> None:
        loan = shop.lends(shop.brings())
        clock.advance(timedelta(minutes=2))
        cursor = shop.get("/exports/events").headers["Next-Cursor"]
        assert lines(shop.get("/exports/events", cursor=cursor)) == []
        pays(shop, loan, 10_000)
        clock.advance(timedelta(minutes=2))
        (new,) = lines(shop.get("/exports/events", cursor=cursor))
        assert (new["loan_no"], new["kind"], new["by"]) == (loan, "repayment", "shop")

    @pytest.mark.parametrize("what", ALL_LINES)
    def test_what_is_a_second_old_does_not_show_yet(
        self, shop: Any, clock: FixedClock, what: str
    ) -> None:
        shop.lends(shop.brings())
        clock.advance(timedelta(seconds=1))
        assert lines(shop.get(f"/exports/{what}")) == []

    def test_of_more_loans_ask_the_database_no_more_often(
        self, shop: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        shop.lends(shop.brings(1))
        clock.advance(timedelta(minutes=2))
        with counted(runtime) as few:
            lines(shop.get("/exports/plans"))
        for serial in range(2, 8):
            pays(shop, shop.lends(shop.brings(serial)), 1_000)
        clock.advance(timedelta(minutes=2))
        with counted(runtime) as many:
            assert len(lines(shop.get("/exports/plans"))) == 42
        assert len(many) <= len(few)

    def test_lists_and_loans_with_a_long_life_do_not_either(
        self, shop: Any, runtime: Runtime
    ) -> None:
        loan = shop.lends(shop.brings(1))
        paths = (f"/loans/{loan}", f"/loans/{loan}/ledger", "/customers", "/loans")
        few = {path: asked(runtime, shop, path) for path in paths}
        for serial in range(2, 8):
            shop.lends(shop.brings(serial))
            pays(shop, loan, 1_000 + serial)
        many = {path: asked(runtime, shop, path) for path in paths}
        assert many == few


class TestAsOf:
    def test_a_past_day_as_known_then_is_the_same_for_ever(
        self, shop: Any, clock: FixedClock
    ) -> None:
        loan = shop.lends(shop.brings())
        clock.advance(timedelta(minutes=2))
        day = {"as_of": "2026-03-05", "known_on": "2026-03-10"}
        before = {what: lines(shop.get(f"/exports/{what}", **day)) for what in ("loans", "plans")}
        clock.advance(timedelta(days=2))
        pays(shop, loan, 30_000, "2026-03-04")
        after = {what: lines(shop.get(f"/exports/{what}", **day)) for what in ("loans", "plans")}
        assert before == after
        (now_known,) = lines(shop.get("/exports/loans", as_of="2026-03-05"))
        assert now_known["paid_total_fen"] == 30_000

    def test_tells_of_a_loan_what_the_loan_tells(self, shop: Any, clock: FixedClock) -> None:
        loan = shop.lends(shop.brings())
        pays(shop, loan, 10_000)
        clock.advance(timedelta(minutes=2))
        told = shop.read(f"/loans/{loan}", as_of="2026-03-09")
        (line,) = lines(shop.get("/exports/loans", as_of="2026-03-09"))
        assert line["remaining_total_fen"] == told["remaining"]["total_fen"]
        assert (line["days_past_due"], line["bucket"]) == (9, told["bucket"])
        rows = lines(shop.get("/exports/plans", as_of="2026-03-09"))
        assert [row["outstanding_total_fen"] for row in rows] == [
            row["outstanding"]["total_fen"] for row in told["plan"]
        ]

    def test_what_was_not_there_or_not_known_is_left_out(
        self, shop: Any, clock: FixedClock
    ) -> None:
        shop.lends(shop.brings())
        clock.advance(timedelta(minutes=2))
        assert lines(shop.get("/exports/loans", as_of="2026-01-30")) == []
        assert lines(shop.get("/exports/loans", known_on="2026-03-09")) == []
        assert shop.get("/exports/loans", as_of="2026-03-11").json["code"] == "day-ahead"

    def test_overdue_are_those_who_were_on_the_day(self, shop: Any, clock: FixedClock) -> None:
        late, punctual = shop.lends(shop.brings(1)), shop.lends(shop.brings(2))
        pays(shop, punctual, shop.read(f"/loans/{punctual}/quotes/due")["amount_fen"], "2026-02-28")
        clock.advance(timedelta(minutes=2))
        (line,) = lines(shop.get("/exports/overdue"))
        assert (line["loan_no"], line["days_past_due"]) == (late, 10)
        assert (line["late_since"], line["is_beyond_grace"]) == ("2026-02-28", True)
        assert (line["bucket"], line["five_class"], line["ecl_stage"]) == (
            "M1",
            "special-mention",
            1,
        )
        assert (line["status"], line["is_restructured"]) == ("active", False)
        (whole,) = [each for each in lines(shop.get("/exports/loans")) if each["loan_no"] == late]
        told = shop.read(f"/loans/{late}")
        for name in ("status", "five_class", "ecl_stage", "is_restructured", "days_past_due"):
            assert whole[name] == told[name]
        assert (whole["class_reasons"], whole["bureau_marks"]) == ("days", "overdue")
        owed = shop.read(f"/loans/{late}")["overdue"]["total_fen"]
        assert line["overdue_total_fen"] == owed > 0
        assert lines(shop.get("/exports/overdue", as_of="2026-02-28")) == []
        one_by_one = list(pages(shop, "overdue", limit=1))
        assert [len(lines(page)) for page in one_by_one] == [1, 0]


class TestFormats:
    def test_a_spreadsheet_runs_nothing_of_it(self, shop: Any, clock: FixedClock) -> None:
        shop.lends(shop.brings(), merchandise="=1+1")
        clock.advance(timedelta(minutes=2))
        response = shop.get("/exports/loans", format="csv")
        assert response.mimetype == "text/csv"
        (row,) = csv.DictReader(io.StringIO(response.text))
        assert row["merchandise"] == "'=1+1"

    @pytest.mark.parametrize("what", [*ALL_LINES, "overdue"])
    def test_a_file_without_a_line_has_its_header(
        self, shop: Any, clock: FixedClock, what: str
    ) -> None:
        (empty,) = table(shop, what)
        shop.lends(shop.brings())
        clock.advance(timedelta(minutes=2))
        header, *rows = table(shop, what)
        assert empty == header == list(lines(shop.get(f"/exports/{what}"))[0])
        assert rows

    @pytest.mark.parametrize("what", ALL_LINES)
    def test_all_say_the_same(self, shop: Any, clock: FixedClock, what: str) -> None:
        shop.lends(shop.brings())
        clock.advance(timedelta(minutes=2))
        told = lines(shop.get(f"/exports/{what}"))
        rows = list(csv.DictReader(io.StringIO(shop.get(f"/exports/{what}", format="csv").text)))
        assert [list(row) for row in rows] == [list(line) for line in told]
        workbook = shop.get(f"/exports/{what}", format="xlsx")
        with zipfile.ZipFile(io.BytesIO(workbook.data)) as archive:
            sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        assert sheet.count("<row ") == len(told) + 1

    def test_a_workbook_may_be_empty_but_not_endless(self, shop: Any) -> None:
        assert shop.get("/exports/loans", format="xlsx").data.startswith(b"PK")
        assert shop.get("/exports/loans", limit=50_001).status_code == 422

    def test_of_too_much_no_workbook_is_made(
        self, shop: Any, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("servicing.api.exports._MOST_IN_A_WORKBOOK", 1)
        for serial in (1, 2):
            shop.lends(shop.brings(serial))
        clock.advance(timedelta(minutes=2))
        refused = shop.get("/exports/loans", format="xlsx")
        assert (refused.status_code, refused.json["code"]) == (422, "export-too-long")
        assert shop.get("/exports/loans", format="xlsx", limit=1).status_code == 200


class TestRates:
    def test_are_counted_over_all_keys_of_a_partner(
        self, open_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few = {RATE: "2/hour"}
        monkeypatch.setattr(door, "parse", lambda rate: parse(few.get(rate, rate)))

        shop, same, other = open_shop(), open_shop(), open_shop("other")
        told = [each.get("/exports/events").status_code for each in (shop, same, shop, same)]
        assert told == [200, 200, 429, 429]
        assert shop.get("/products").status_code == 200
        assert other.get("/exports/loans").status_code == 200
        house = open_shop("house", scopes=[*ALL, Scope.WHOLE_BOOK])
        assert house.get("/exports/loans").status_code == 200


class TestPayables:
    def test_are_what_was_collected_for_payees_and_went_back(
        self, shop: Any, runtime: Runtime, clock: FixedClock
    ) -> None:
        (header,) = table(shop, "payables")
        number = shop.lends(shop.brings())
        with runtime.database.write() as session:
            loan_id = queries.loan_id_of(session, loan_no=number)
            assert loan_id is not None
            by = {"on": clock.now().date(), "actor": "lin", "now": clock.now()}
            operations.charge(
                session, loan_id=loan_id, amount_fen=500, due_on=by["on"], name="服务费",
                payee="平台服务商", key="f1", **by,
            )  # fmt: skip
        owed = shop.read(f"/loans/{number}")["plan"]
        late = [row for row in owed if row["due_on"] <= "2026-03-31"]
        pays(shop, number, sum(row["outstanding"]["total_fen"] for row in late))
        clock.advance(timedelta(minutes=2))
        (line,) = lines(shop.get("/exports/payables"))
        assert (line["loan_no"], line["payee"], line["amount_fen"]) == (number, "平台服务商", 500)
        assert list(line) == header
        with runtime.database.write() as session:
            operations.reverse(session, loan_id=loan_id, seq=3, key="r1", **by)
        clock.advance(timedelta(minutes=2))
        assert [line["amount_fen"] for page in pages(shop, "payables", limit=1)
                for line in lines(page)] == [500, -500]  # fmt: skip
