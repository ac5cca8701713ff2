"""Long lists: pages that stay within them, and files that a spreadsheet may open."""

import pytest
from flask import Flask

from kernel.listing import PAGE_ROWS, csv_file, page_of


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/things/<kind>", "things", lambda kind: kind)
    return app


class TestPageOf:
    @pytest.mark.parametrize(
        ("asked", "number"),
        [("", 1), ("?page=2", 2), ("?page=0", 1), ("?page=-7", 1), ("?page=99", 3), ("?page=x", 1)],
    )
    def test_stays_within_the_list(self, app: Flask, asked: str, number: int) -> None:
        with app.test_request_context(f"/things/a{asked}"):
            page = page_of(2 * PAGE_ROWS + 1)
        assert (page.number, page.last, page.offset) == (number, 3, (number - 1) * PAGE_ROWS)

    def test_of_an_empty_list_is_the_first(self, app: Flask) -> None:
        with app.test_request_context("/things/a"):
            assert (page_of(0).number, page_of(0).last) == (1, 1)

    def test_leads_to_other_pages_of_the_same_list(self, app: Flask) -> None:
        with app.test_request_context("/things/a?filter=M6%2B&page=2"):
            assert page_of(200).url(3) == "/things/a?filter=M6%2B&page=3"


class TestCsvFile:
    @pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
    def test_runs_nothing_in_a_spreadsheet(self, app: Flask, sign: str) -> None:
        with app.test_request_context("/things/a"):
            answer = csv_file("things", ("名称",), [(f"{sign}1+1",), ("手机",)])
            text = answer.get_data(as_text=True)
        assert text.startswith("\ufeff名称\r\n")
        assert f"'{sign}1+1" in text
        assert text.endswith("手机\r\n")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="things.csv"'
