"""The overdue board on the screen and as a file: the same loans, masked, and for the right eyes."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from workplace import House, post

from desk.queries import AuditFilter, audit_entries
from servicing.admin import board
from servicing.queries import board as overdue


@pytest.fixture
def loans(workplace: House, book: Any) -> None:
    """Three late loans, one of them of goods that look like a formula, and one in time."""
    with workplace.runtime.database.write() as session:
        for name, start, goods in (
            ("张三", date(2026, 1, 5), "手机"),
            ("李四光", date(2026, 1, 6), "=手机"),
            ("王五", date(2026, 1, 31), "电脑"),
            ("赵六", date(2026, 3, 1), "电动车"),
        ):
            customer_id = book.customer(session, name=name)
            book.loan(session, customer_id=customer_id, disbursed_on=start, merchandise=goods)


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.usefixtures("loans")
class TestOverdue:
    def test_shows_figures_buckets_and_the_list_with_masked_names(self, workplace: House) -> None:
        page = workplace.member("lijing", "risk_analyst").get("/admin/overdue").text
        assert "未逾期 1 笔" in page
        assert "50.0%" in page
        assert all(name in page for name in ("张*", "李**", "王*"))
        assert not any(name in page for name in ("张三", "李四光", "王五", "赵*"))
        assert "/admin/customers/1" in page

    @pytest.mark.parametrize(("bucket", "names"), [("M2", {"张*", "李**"}), ("M1", {"王*"})])
    def test_lists_one_bucket(self, workplace: House, bucket: str, names: set[str]) -> None:
        page = workplace.member("lijing", "risk_analyst").get(f"/admin/overdue?bucket={bucket}")
        assert {name for name in ("张*", "李**", "王*") if f">{name}</a>" in page.text} == names
        assert f"共 {len(names)} 条" in page.text

    def test_refuses_a_bucket_that_does_not_exist(self, workplace: House) -> None:
        page = workplace.member("lijing", "risk_analyst").get("/admin/overdue?bucket=M9")
        assert page.status_code == 422
        assert "没有这个逾期阶段" in page.text

    @pytest.mark.parametrize(
        ("role", "view", "export"),
        [
            ("risk_manager", 200, 200),
            ("finance", 200, 200),
            ("collector", 200, 403),
            ("auditor", 200, 403),
            ("clerk", 403, 403),
            ("admin", 403, 403),
        ],
    )
    def test_opens_for_the_roles_that_need_it(
        self, workplace: House, role: str, view: int, export: int
    ) -> None:
        client = workplace.member("someone", role)
        assert client.get("/admin/overdue").status_code == view
        assert post(client, "/admin/overdue/export").status_code == export
        offers = "导出 CSV" in client.get("/admin/overdue").text
        assert offers == (export == 200)


@pytest.mark.usefixtures("loans")
class TestExport:
    def test_holds_the_whole_list_masked_and_harmless(
        self, workplace: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Names are read between the rows that the database still streams.
        monkeypatch.setattr(board, "_CHUNK", 1)
        monkeypatch.setattr(overdue, "_BATCH", 1)
        client = workplace.member("wangmin", "risk_manager")
        answer = post(client, "/admin/overdue/export")
        head, *lines = rows(answer.text)
        assert answer.headers["Content-Disposition"].endswith('"overdue-2026-03-10.csv"')
        assert head[0] == "借款编号"
        assert [line[1:6] for line in lines] == [
            ["1", "张*", "手机", "33", "M2"],
            ["2", "李**", "'=手机", "32", "M2"],
            ["3", "王*", "电脑", "10", "M1"],
        ]
        assert lines[2][6:] == ["关注", "1", "是", "1030.15", "3000.00"]

    def test_follows_the_bucket_and_is_on_record(self, workplace: House) -> None:
        client = workplace.member("wangmin", "risk_manager")
        _, *lines = rows(post(client, "/admin/overdue/export", bucket="M1").text)
        assert [line[2] for line in lines] == ["王*"]
        with workplace.runtime.database.read() as session:
            (entry,) = audit_entries(
                session, wanted=AuditFilter(action="servicing.board.exported"), limit=9
            )
        assert (entry.actor, entry.subject) == ("wangmin", "board:overdue")
        assert entry.details == {"bucket": "M1", "on": "2026-03-10"}

    def test_of_an_unknown_bucket_is_refused_and_leaves_no_trace(self, workplace: House) -> None:
        client = workplace.member("wangmin", "risk_manager")
        assert post(client, "/admin/overdue/export", bucket="M9").status_code == 422
        with workplace.runtime.database.read() as session:
            wanted = AuditFilter(action="servicing.board.exported")
            assert audit_entries(session, wanted=wanted, limit=9) == ()


@pytest.mark.usefixtures("loans")
class TestTiles:
    def test_say_on_the_dashboard_what_the_board_says(self, workplace: House) -> None:
        page = workplace.member("lijing", "risk_analyst").get("/admin/").text
        assert "3 笔 · 30 天以上占 50.0%" in page
        assert 'id="aging"' in page
        assert "逾期金额" not in workplace.member("huang", "operator").get("/admin/").text
