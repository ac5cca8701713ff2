"""Documents of a loan: what they say, whom they name, and when a certificate is refused."""

import csv
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import count
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
from servicing.engine.parts import Component
from servicing.engine.terms import EventFee, FeeEvent, FeeRule, FeeTier
from servicing.operations.plans import re_ageing
from servicing.payments.tables import PayDifference
from servicing.products import STANDARD
from servicing.queries import LoanNotFound, loan_of, settlement_quote

NAME = "欧阳建国"
LATE = date(2026, 6, 15)


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


@pytest.fixture
def late(runtime: Runtime, book: Any, asked: Asked) -> Callable[..., dict[str, Any]]:
    """Close the loan's books 107 days after its first due date; returns what acts need then."""
    operations.close_day(runtime, on=LATE)
    keys = count(1)

    def by(on: date = LATE) -> dict[str, Any]:
        given = {"loan_id": asked.loan_id, "actor": "lin", "now": book.now}
        return given | {"on": on, "key": f"k{next(keys)}"}

    return by


class TestEnds:
    """What papers say of a loan that was not simply paid."""

    def told(self, make: Any, runtime: Runtime, asked: Asked, words: list[str]) -> str:
        with runtime.database.read() as session:
            make(session, runtime.cipher, asked=replace(asked, on=LATE))
        return re.sub(r"\s+", " ", words.pop())

    def sheet(self, runtime: Runtime, asked: Asked) -> list[dict[str, str]]:
        with runtime.database.read() as session:
            made = plan_sheet(session, asked=replace(asked, on=LATE), is_xlsx=False)
        return list(csv.DictReader(io.StringIO(made.content.decode("utf-8-sig"))))

    def test_what_was_reversed_is_crossed_out_and_in_no_sum(
        self, asked: Asked, runtime: Runtime, book: Any, late: Any, words: list[str]
    ) -> None:
        with runtime.database.write() as session:
            operations.reverse(session, seq=2, **late())
            book.repay(session, asked.loan_id, 60_000, key="second", on=LATE)
        text = self.told(statement, runtime, asked, words)
        assert '<tr class="gone"><td class="left">2026-02-28</td>' in text
        assert "2026-06-15 已冲正，不计入合计" in text
        assert "合计</td><td>600.00</td>" in text

    def test_what_was_waived_has_a_column(
        self, asked: Asked, runtime: Runtime, late: Any, words: list[str]
    ) -> None:
        assert "减免</th>" not in self.told(repayment_plan, runtime, asked, words)
        with runtime.database.write() as session:
            operations.waive(session, component=Component.INTEREST, amount_fen=1_000, **late())
        text = self.told(repayment_plan, runtime, asked, words)
        assert "<th>减免</th>" in text
        assert "<td>10.00</td>" in text

    def test_what_was_given_up_is_not_called_paid(
        self, asked: Asked, runtime: Runtime, late: Any, words: list[str]
    ) -> None:
        with runtime.database.write() as session:
            operations.charge_off(session, **late())
        text = self.told(repayment_plan, runtime, asked, words)
        assert "已核销，仍需归还" in text
        with runtime.database.write() as session:
            operations.write_off(session, **late())
            operations.recover(session, amount_fen=5_000, **late())
        text = self.told(repayment_plan, runtime, asked, words)
        assert "债权已放弃，无需再还" in text
        assert "减免及放弃" in text
        assert "已还清" not in text
        assert {row["状态"] for row in self.sheet(runtime, asked)} == {"已放弃"}
        assert "放弃债权后收回" in self.told(statement, runtime, asked, words)
        with runtime.database.read() as session, pytest.raises(LoanNotSettled):
            settlement_certificate(session, runtime.cipher, asked=replace(asked, on=LATE))

    def test_what_moved_into_a_new_plan_was_not_paid(
        self, asked: Asked, runtime: Runtime, book: Any, late: Any, words: list[str]
    ) -> None:
        anew = {"first_due_on": date(2026, 7, 10), "terms": 3}
        with runtime.database.write() as session:
            event = re_ageing(session, loan_id=asked.loan_id, on=LATE, **anew)
            disclosure_id = book.confirmed_change(session, asked.loan_id, event)
            operations.re_age(session, disclosure_id=disclosure_id, **anew, **late())
            view = loan_of(session, loan_id=asked.loan_id, customer_id=asked.customer_id, on=LATE)
        states = [row["状态"] for row in self.sheet(runtime, asked)]
        assert states == ["已还清", *["无需还款"] * 2, *["未到期"] * 3]
        assert (view.paid_terms, view.terms, len(view.plan)) == (1, 4, 6)
        assert "已并入其后的还款计划" in self.told(repayment_plan, runtime, asked, words)

    def test_an_undone_purchase_says_so_and_what_goes_back(
        self, asked: Asked, runtime: Runtime, late: Any, words: list[str]
    ) -> None:
        with runtime.database.write() as session:
            operations.cancel_purchase(session, amount_fen=300_000, bears_cost=False, **late())
        text = self.told(statement, runtime, asked, words)
        for said in ("退货已取消", "应退还借款人", "商户退货款", "退回利息", "<th>多付</th>"):
            assert said in text
        text = self.told(settlement_certificate, runtime, asked, words)
        assert "因所购商品退货" in text
        assert "多收款项人民币 500.00 元应退还借款人" in text

    def test_what_a_bank_took_back_stands_beside_its_payment(
        self, asked: Asked, runtime: Runtime, late: Any, words: list[str]
    ) -> None:
        with runtime.database.write() as session:
            operations.charge_back(session, seq=2, amount_fen=20_000, **late())
        text = self.told(statement, runtime, asked, words)
        assert "其中 200.00 被付款银行撤回，已重新计入应还" in text


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
