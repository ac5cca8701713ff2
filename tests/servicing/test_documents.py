"""Documents of a loan: what they say, whom they name, and when a certificate is refused."""

import csv
import io
import zipfile
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kernel.clock import FixedClock
from kernel.runtime import Runtime
from servicing import operations
from servicing.documents import layout
from servicing.documents.queries import (
    Asked,
    LoanNotSettled,
    plan_sheet,
    repayment_plan,
    settlement_certificate,
    statement,
)
from servicing.engine.terms import EventFee, FeeEvent, FeeRule, FeeTier
from servicing.payments.tables import PayDifference
from servicing.products import STANDARD
from servicing.queries import LoanNotFound, loan_of, settlement_quote

NAME = "欧阳建国"


@pytest.fixture(autouse=True)
def _printer() -> None:
    try:
        import weasyprint  # noqa: PLC0415 -- what is looked for
    except OSError:
        pytest.skip("pango is not installed")
    assert weasyprint


@pytest.fixture
def asked(runtime: Runtime, book: Any) -> Asked:
    with runtime.database.write() as session:
        customer_id = book.customer(session, name=NAME, id_number="990000199203041237")
        loan_id = book.loan(session, customer_id=customer_id)
        book.repay(session, loan_id, 50_000, key="first", on=date(2026, 2, 28))
    return Asked(
        customer_id=customer_id,
        loan_id=loan_id,
        on=date(2026, 3, 10),
        at=runtime.clock.now(),
        is_masked=True,
    )


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep what is put on paper, as text."""
    kept: list[str] = []
    template = layout._environment().get_template

    class Kept:
        def __init__(self, name: str) -> None:
            self.name = name

        def render(self, **given: Any) -> str:
            kept.append(template(self.name).render(**given))
            return kept[-1]

    class Shelf:
        get_template = staticmethod(Kept)

    monkeypatch.setattr(layout, "_environment", Shelf)
    return kept


def settle(runtime: Runtime, asked: Asked, book: Any) -> None:
    with runtime.database.write() as session:
        given = {"loan_id": asked.loan_id, "customer_id": asked.customer_id}
        quote = settlement_quote(session, **given, on=date(2026, 3, 10))
        operations.post_prepayment(
            session,
            loan_id=asked.loan_id,
            amount_fen=quote.amount_fen,
            value_date=date(2026, 3, 10),
            key="settle",
            now=book.now,
        )


class TestPaper:
    @pytest.mark.parametrize("make", [repayment_plan, statement])
    def test_is_a_pdf_that_hides_the_name(
        self, make: Any, asked: Asked, runtime: Runtime, words: list[str]
    ) -> None:
        with runtime.database.read() as session:
            made = make(session, runtime.cipher, asked=asked)
        assert made.content.startswith(b"%PDF-")
        assert made.name.endswith(".pdf")
        (text,) = words
        assert "欧***" in text
        assert NAME not in text
        assert "3,000.00" in text

    def test_the_statement_tells_each_payment(
        self, asked: Asked, runtime: Runtime, words: list[str]
    ) -> None:
        with runtime.database.read() as session:
            statement(session, runtime.cipher, asked=asked)
        assert "2026-02-28" in words[0]
        assert "500.00" in words[0]

    def test_anothers_loan_is_not_found(self, asked: Asked, runtime: Runtime) -> None:
        with runtime.database.read() as session, pytest.raises(LoanNotFound):
            repayment_plan(
                session, runtime.cipher, asked=replace(asked, customer_id=asked.customer_id + 1)
            )


class TestCertificate:
    def test_is_refused_while_anything_is_owed(self, asked: Asked, runtime: Runtime) -> None:
        with runtime.database.read() as session, pytest.raises(LoanNotSettled):
            settlement_certificate(session, runtime.cipher, asked=asked)

    def test_names_the_borrower_and_the_day(
        self, asked: Asked, runtime: Runtime, book: Any, words: list[str]
    ) -> None:
        settle(runtime, asked, book)
        with runtime.database.read() as session:
            made = settlement_certificate(
                session, runtime.cipher, asked=replace(asked, is_masked=False)
            )
        assert made.content.startswith(b"%PDF-")
        assert NAME in words[0]
        assert "**************1237" in words[0]
        assert "990000199203041237" not in words[0]
        assert "2026 年 3 月 10 日" in words[0]

    def test_is_refused_while_money_of_it_is_not_cleared_up(
        self, asked: Asked, runtime: Runtime, book: Any, clock: FixedClock
    ) -> None:
        settle(runtime, asked, book)
        with runtime.database.write() as session:
            session.add(
                PayDifference(
                    key="missing-there/42",
                    kind="missing-there",
                    bill_on=date(2026, 3, 10),
                    happened_at=clock.now(),
                    transaction_id="42",
                    out_trade_no="PO1",
                    out_refund_no="",
                    loan_id=asked.loan_id,
                    here_fen=50_000,
                    suspense_fen=-50_000,
                    open_fen=-50_000,
                    state="open",
                    resolution="",
                    owner="",
                    note="",
                    opened_at=clock.now(),
                    resolved_by="",
                )
            )
        with runtime.database.read() as session, pytest.raises(LoanNotSettled):
            settlement_certificate(session, runtime.cipher, asked=asked)


class TestSheets:
    def test_csv(self, asked: Asked, runtime: Runtime) -> None:
        with runtime.database.read() as session:
            made = plan_sheet(session, asked=asked, is_xlsx=False)
        rows = list(csv.reader(io.StringIO(made.content.decode("utf-8-sig"))))
        assert rows[0][:3] == ["期数", "还款日", "应还本金"]
        assert len(rows) == 4
        assert sum(int(row[2].replace(".", "")) for row in rows[1:]) == 300_000

    def test_xlsx_holds_numbers(self, asked: Asked, runtime: Runtime) -> None:
        with runtime.database.read() as session:
            made = plan_sheet(session, asked=asked, is_xlsx=True)
        with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
            sheet = archive.read("xl/worksheets/sheet1.xml").decode()
            texts = archive.read("xl/sharedStrings.xml").decode()
        assert sheet.count("<row ") == 4
        assert "还款日" in texts
        assert "<f>" not in sheet


def test_papers_name_for_whom_fees_were_collected(
    asked: Asked, runtime: Runtime, book: Any, words: list[str]
) -> None:
    """A fee with an instalment and a tier of a fee on early settlement, each with its payee."""
    tier = FeeTier(from_paid=1, amount_fen=700)
    settling = EventFee(
        name="手续费", event=FeeEvent.EARLY_SETTLEMENT, payee="平台服务商",
        tiers=(FeeTier(amount_fen=900), tier),
    )  # fmt: skip
    rule = FeeRule(name="保险费", amount_fen=200, payee="安心保险")
    product = replace(STANDARD, fees=(rule,), event_fees=(settling,))
    with runtime.database.write() as session:
        customer_id = asked.customer_id
        terms = book.terms(
            session, customer_id=customer_id, product=product, rate_annual=Decimal("0.12"),
            disbursed_on=date(2026, 2, 5),
        )  # fmt: skip
        content = operations.cost_table(
            principal_fen=terms.principal_fen, rate_annual=terms.rate_annual, terms=terms.terms,
            disbursed_on=terms.disbursed_on, product=product,
        )  # fmt: skip
        loan_id = book.loan(
            session, customer_id=customer_id, product=product, rate_annual=Decimal("0.12"),
            disbursed_on=date(2026, 2, 5),
        )  # fmt: skip
        first = loan_of(session, loan_id=loan_id, customer_id=customer_id, on=date(2026, 3, 5))
        book.repay(session, loan_id, first.plan[0].total_fen, key="i1", on=date(2026, 3, 5))
    assert ("保险费", "安心保险") in {(one["name"], one["payee"]) for one in content["charges"]}
    (event,) = content["event_charges"]
    assert (event["payee"], len(event["tiers"])) == ("平台服务商", 2)
    asked = replace(asked, loan_id=loan_id)
    settle(runtime, asked, book)
    with runtime.database.read() as session:
        statement(session, runtime.cipher, asked=asked)
        settlement_certificate(session, runtime.cipher, asked=asked)
    for text in words:
        assert "安心保险" in text
        assert "平台服务商" in text
        assert "7.00" in text
