"""Products as versioned documents: what may be sold, and what a new version leaves alone."""

import copy
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from desk.operations import AuthorApproves
from kernel.database import Database
from servicing import caps, operations, queries
from servicing.caps import CAPS, cap_of, portfolio_cap_of, read_caps
from servicing.engine.cost import CapRow, CostAboveCap, CostMeasure
from servicing.engine.plan import plan
from servicing.engine.profile import DayCount
from servicing.engine.waterfall import (
    NON_ACCRUAL_ORDER,
    Component,
    Direction,
    Timing,
    Waterfall,
    every_timing,
)
from servicing.operations import CostNotConfirmed, cost_table
from servicing.product_setup import set_up
from servicing.products import STANDARD, ProductRefused, house_documents, read_product
from servicing.queries import OfferKind, ProductNotFound
from servicing.queries.portfolio import portfolio_cost

ON = date(2026, 3, 10)
PENALTY = {"multiplier": "1.5"}
BY_ORDER = {"order": ["fee", "penalty", "interest", "principal"]}
EARLY = {"name": "手续费", "payee": "本公司", "at": "early-settlement"}

# All principal before the cost: then a fee can be left of which the cap lets nothing be asked.
PRINCIPAL_FIRST = replace(
    STANDARD,
    code="principal-first",
    waterfalls={
        "current": Waterfall(rules=every_timing(*NON_ACCRUAL_ORDER), direction=Direction.VERTICAL)
    },
)


def document(**changed: Any) -> dict[str, Any]:
    return {**copy.deepcopy(house_documents()["standard"][0]), **changed}


def problems(**changed: Any) -> list[tuple[str, str]]:
    """Read and try out a product; say what is wrong with it."""
    try:
        found = set_up(read_product(document(**changed), version=1), on=ON).problems
    except ProductRefused as refused:
        found = refused.problems
    return [(problem.path, problem.message) for problem in found]


class TestReading:
    @pytest.mark.parametrize(
        ("changed", "path", "words"),
        [
            (
                {"fees": [{"name": "费", "payee": "甲", "at": "disbursement"}]},
                "fees.0.at",
                "砍头息",
            ),
            ({"fees": [{"name": "费", "payee": "甲", "at": "overdue"}]}, "fees.0.at", "滞纳金"),
            ({"fees": [{"name": "费", "payee": "甲", "at": "instalment"}]}, "fees.0", "金额或比例"),
            (
                {"fees": [{"name": "费", "at": "instalment", "amount_fen": 1}]},
                "fees.0.payee",
                "缺少",
            ),
            ({"penalty": {"multiplier": "1.51"}}, "penalty.multiplier", "1.5 倍"),
            ({"netted_fee": "0.02"}, "netted_fee", "不认识"),
            ({"rate_annual": 0.216}, "rate_annual", "文本"),
            ({"terms": [12, 6]}, "terms", "从小到大"),
            ({"amount": {"least_fen": 2, "most_fen": 1}}, "amount", "不能高于"),
            ({"period": "daily"}, "period", "只能是"),
            ({"allocation": {"late": {"order": ["fee"]}}}, "allocation.late", "各出现一次"),
            ({"period": "367-day"}, "period", "10-day"),
            ({"period": "0-week"}, "period", "10-day"),
            ({"name": "商品\n分期"}, "name", "控制字符"),
            ({"profile": {"named": "nobody"}}, "profile.named", "只能是"),
            ({"profile": []}, "profile", "花括号"),
            (
                {"allocation": {"late": {**BY_ORDER, "future_by_kind": {"charge-off": "last"}}}},
                "allocation.late.future_by_kind.charge-off.[key]",
                "只能是",
            ),
            (
                {"fees": [{**EARLY, "share": "0.01", "tiers": [{"share": "0.01"}]}]},
                "fees.0",
                "写在阶梯里",
            ),
        ],
    )
    def test_refuses_with_a_reason_and_a_place(
        self, changed: dict[str, Any], path: str, words: str
    ) -> None:
        assert [found for found in problems(**changed) if found[0] == path and words in found[1]]

    def test_takes_everything_that_the_engine_can_do(self) -> None:
        product = read_product(
            document(
                method="equal-principal",
                period="two-weekly",
                grace={"principal_terms": 2, "interest_free_terms": 1, "late_days": 5},
                first_period_days=7,
                down_payment="0.1",
                fees=[{"name": "保险", "payee": "保险公司", "at": "instalment", "share": "0.001"}],
                penalty={**PENALTY, "base": "instalment", "stops_after_days": 90},
                allocation={"non-accrual": {"order": ["principal", "interest", "fee", "penalty"]}},
                profile={"rounding": "half-even", "day_count": "30/360", "month_end": "roll"},
            ),
            version=7,
        )
        terms = product.agree(
            principal_fen=100_000, rate_annual=product.rate_annual, terms=6, start_on=ON
        )
        assert (product.version, terms.frequency.days, terms.grace_days) == (7, 14, 5)
        assert terms.first_due_on == ON + timedelta(days=7)
        assert terms.penalty is not None
        assert terms.penalty.stops_after_days == 90
        order = terms.waterfalls["non-accrual"].components(Timing.PAST_DUE)
        assert order[0] is Component.PRINCIPAL
        assert sum(row.due.principal_fen for row in plan(terms).instalments) == 100_000

    def test_takes_a_named_profile_and_what_the_product_does_in_another_way(self) -> None:
        profile = {"named": "fineract-progressive", "day_count": "30/365", "rounding": "up"}
        product = read_product(
            document(
                period="3-month",
                profile=profile,
                closing_tolerance_fen=50,
                tranches=2,
                levels_whole_principal=True,
                allocation={
                    "late": {
                        **BY_ORDER,
                        "direction": "vertical",
                        "future": "last",
                        "future_by_kind": {"goodwill-credit": "re-amortise"},
                        "due_charges_first": True,
                    }
                },
            ),
            version=1,
        )
        terms = product.agree(
            principal_fen=100_000, rate_annual=product.rate_annual, terms=6, start_on=ON
        )
        assert (terms.frequency.months, terms.tolerance_fen, terms.has_tranches) == (3, 50, True)
        assert terms.profile.day_count == DayCount(month_days=30, year_days=365)
        assert (terms.profile.rounding, terms.profile.last_row) == ("up", "levelled")
        late = terms.waterfalls["late"]
        assert (late.direction, late.future_of("repayment")) == ("vertical", "last")
        assert late.future_of("goodwill-credit") == "re-amortise"
        assert late.has_due_charges_first

    def test_a_merchant_pays_what_the_borrower_does_not(self) -> None:
        product = read_product(document(rate_annual="0", subsidy_rate_annual="0.12"), version=1)
        table = operations.cost_table(
            principal_fen=100_000,
            rate_annual=product.rate_annual,
            terms=6,
            disbursed_on=ON,
            product=product,
        )
        assert (table["total_payable"], table["annual_cost_nominal"]) == ("1000.00", "0.0000")
        assert table["subsidies"][0]["amount"] == "35.00"


FLAT = {"rate_annual": "0", "method": "flat-fee", "fee_rate": "0.005"}


class TestSetUp:
    @pytest.mark.parametrize(
        ("changed", "path"),
        [
            ({"rate_annual": "0.25"}, "terms"),
            ({**FLAT, "fee_rate": "0.015"}, "terms"),
            ({"rate_annual": "0.2", "method": "flat-fee", "fee_rate": "0.01"}, "rate_annual"),
            ({"fee_rate": "0.01"}, "fee_rate"),
            ({"method": "fixed-instalment"}, "instalment_fen"),
            ({"method": "fixed-instalment", "instalment_fen": 20_000}, "instalment_fen"),
            ({"instalment_fen": 20_000}, "instalment_fen"),
            ({"subsidy_rate_annual": "0.1"}, "subsidy_rate_annual"),
            ({**FLAT, "tranches": 2}, "tranches"),
            ({"grace": {"principal_terms": 6}}, "grace.principal_terms"),
            # What falls due at maturity alone has no first instalments, and no first period.
            ({"method": "bullet", "grace": {"principal_terms": 1}}, "grace.principal_terms"),
            ({"method": "bullet", "grace": {"interest_terms": 1}}, "grace.interest_terms"),
            (
                {"method": "bullet", "grace": {"interest_free_terms": 1}},
                "grace.interest_free_terms",
            ),
            ({"method": "bullet", "first_period_days": 15}, "first_period_days"),
            ({"penalty": {**PENALTY, "grace_days": 9}}, "penalty.grace_days"),
            ({"period": "weekly", "first_period_days": 9}, "first_period_days"),
            ({"levels_whole_principal": True}, "levels_whole_principal"),
            ({"profile": {"recalculation": "actual-balance"}}, "profile.recalculation"),
            ({"profile": {"is_compounding": True}}, "profile.is_compounding"),
            ({"profile": {"named": "frappe-2025"}}, "profile.first_day_late"),
        ],
    )
    def test_refuses_what_may_not_be_sold(self, changed: dict[str, Any], path: str) -> None:
        assert {found for found, _ in problems(**changed)} == {path}

    def test_looks_at_the_least_amount_where_a_fee_is_fixed(self) -> None:
        fee = {"name": "服务费", "payee": "平台", "at": "instalment", "amount_fen": 500}
        dear = problems(fees=[fee])
        assert dear
        assert all("1,000 元" in message for _, message in dear)

    @pytest.mark.parametrize("base", ["principal", "instalment"])
    @pytest.mark.parametrize("period", ["monthly", "weekly", "two-weekly"])
    def test_at_the_cap_with_penalty_costs_no_more_late_or_early(
        self, base: str, period: str
    ) -> None:
        changed = {"rate_annual": "0.24", "penalty": {**PENALTY, "base": base}, "period": period}
        assert problems(**changed, terms=[1, 4]) == []

    def test_says_from_when_a_lower_cap_will_end_it(self) -> None:
        assert set_up(STANDARD, on=ON).ends_on == date(2028, 1, 1)
        assert set_up(replace(STANDARD, rate_annual=Decimal("0.1")), on=ON).ends_on is None


class TestVersions:
    def test_are_drafted_tried_and_approved_by_another(self, database: Database, book: Any) -> None:
        with database.write() as session:
            now = book.now
            version = operations.draft_product(
                session, document=document(rate_annual="0.18"), author="lin", note="", now=now
            )
            named: dict[str, Any] = {"code": "standard", "version": version, "now": now}
            tried = operations.try_product(session, by="lin", **named)
            assert (version, len(tried.corners)) == (3, 10)
            with pytest.raises(AuthorApproves):
                operations.approve_product(session, by="lin", effective_on=ON, **named)
            later = ON + timedelta(days=2)
            operations.approve_product(session, by="wang", effective_on=later, **named)
            rates = [
                queries.product_in_force(session, code="standard", on=on).rate_annual
                for on in (ON, later)
            ]
            assert rates == [Decimal("0.216"), Decimal("0.18")]

    def test_that_cost_too_much_are_not_tested(self, database: Database, book: Any) -> None:
        with database.write() as session:
            version = operations.draft_product(
                session, document=document(rate_annual="0.3"), author="lin", note="", now=book.now
            )
            with pytest.raises(ProductRefused) as refused:
                operations.try_product(
                    session, code="standard", version=version, by="lin", now=book.now
                )
            assert refused.value.extras["problems"][0]["path"] == "terms"

    def test_leave_loans_and_applications_what_they_were_drawn_under(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            operations.publish_house_products(session, now=book.now)
            sold = queries.product_in_force(session, code="standard", on=ON)
            loan_id = book.loan(session, product=sold, terms=6)
            before = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON)
            waiting = operations.submit_application(
                session,
                customer_id=1,
                merchant_name="店",
                merchandise="手机",
                amount_fen=300_000,
                terms=6,
                channel="counter",
                attributes={},
                key="a1",
                now=book.now,
            )
            dearer = document(rate_annual="0.23", settles_early=False, code="standard")
            version = operations.draft_product(
                session, document=dearer, author="lin", note="", now=book.now
            )
            named: dict[str, Any] = {"code": "standard", "version": version, "now": book.now}
            operations.try_product(session, by="lin", **named)
            operations.approve_product(session, by="wang", effective_on=ON, **named)
            assert queries.loan_of(session, loan_id=loan_id, customer_id=1, on=ON) == before
            kept = operations.lock_application(session, application_id=waiting)
            assert (kept.product_version, kept.rate_annual) == (sold.version, Decimal("0.216"))
            now_sold = queries.product_in_force(session, code="standard", on=ON)
            assert (now_sold.version, now_sold.settles_early) == (version, False)

    def test_of_the_house_are_published_once(self, database: Database, book: Any) -> None:
        with database.write() as session:
            before = queries.product_in_force(session, code="standard", on=ON)
            assert (before, before.version) == (STANDARD, 1)
            assert queries.product_version(session, code="standard", version=1) == STANDARD
            counts = [operations.publish_house_products(session, now=book.now) for _ in range(2)]
            assert counts == [1, 0]
            after = queries.product_in_force(session, code="standard", on=ON)
            assert (after.version, after.penalty_multiplier) == (2, Decimal("1.5"))
            assert queries.product_version(session, code="standard", version=1) == STANDARD
            assert [one.code for one in queries.products_in_force(session, on=ON)] == ["standard"]

    def test_that_are_unknown_are_not_found(self, database: Database) -> None:
        with database.read() as session:
            for code, version in (("standard", 9), ("gold", 1)):
                with pytest.raises(ProductNotFound):
                    queries.product_version(session, code=code, version=version)
            with pytest.raises(ProductNotFound):
                queries.product_in_force(session, code="gold", on=ON)


class TestCaps:
    def test_follow_the_lpr_where_they_are_its_multiple(self) -> None:
        text = """
            [[cap]]
            lender_type = "micro-loan"
            measure = "nominal-irr"
            lpr_multiple = "4"
            from_on = 2025-01-01
            [[lpr]]
            from_on = 2024-10-21
            rate_annual = "0.031"
            [[lpr]]
            from_on = 2025-05-20
            rate_annual = "0.03"
        """
        rows = [(row.from_on, row.rate_annual) for row in read_caps(text)]
        assert rows == [
            (date(2025, 1, 1), Decimal("0.124")),
            (date(2025, 5, 20), Decimal("0.12")),
        ]

    def test_hold_by_date(self) -> None:
        def rate(on: date, lender_type: str = "micro-loan") -> Decimal:
            return cap_of(on, lender_type=lender_type).rate_annual

        assert rate(ON) == Decimal("0.24")
        assert rate(date(2028, 1, 1)) == Decimal("0.12")
        assert rate(date(2028, 1, 1), "bank-assisted") == Decimal("0.24")
        for on, lender_type in ((date(2010, 1, 1), "micro-loan"), (ON, "pawnshop")):
            with pytest.raises(CostAboveCap):
                rate(on, lender_type)

    def test_hold_for_the_funder_of_the_product(self) -> None:
        on = date(2028, 1, 3)
        given = {"principal_fen": 300_000, "rate_annual": Decimal("0.18"), "terms": 12}
        bank = replace(STANDARD, code="bank", funder="partner-bank")
        shown = cost_table(**given, disbursed_on=on, product=bank)
        assert shown["cap_annual"] == "0.2400"
        with pytest.raises(CostAboveCap):
            cost_table(**given, disbursed_on=on)
        # The rules on lending with a bank began in October 2025.
        with pytest.raises(CostAboveCap):
            cost_table(**given, disbursed_on=date(2025, 3, 3), product=bank)
        assert cost_table(**given, disbursed_on=date(2025, 3, 3))["cap_annual"] == "0.2400"

    def test_of_a_funder_that_nobody_knows_allow_no_product(self) -> None:
        with pytest.raises(ProductRefused) as refused:
            replace(STANDARD, funder="somebody")
        assert [problem.path for problem in refused.value.problems] == ["funder"]

    def test_on_the_average_are_off_by_default(self) -> None:
        assert portfolio_cap_of(ON) is None
        shown = portfolio_cap_of(ON, with_inactive=True)
        assert shown is not None
        assert shown.measure is CostMeasure.PORTFOLIO_AVERAGE

    def test_on_the_average_refuse_what_lifts_it(
        self, database: Database, book: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = CapRow(
            lender_type="micro-loan",
            measure=CostMeasure.PORTFOLIO_AVERAGE,
            rate_annual=Decimal("0.15"),
            from_on=date(2026, 1, 1),
        )
        with database.write() as session:
            book.loan(session, rate_annual=Decimal("0.1"))
            monkeypatch.setattr(caps, "CAPS", (*CAPS, row))
            with pytest.raises(CostAboveCap), session.begin_nested():
                book.loan(session, rate_annual=Decimal("0.24"))
            book.loan(session, rate_annual=Decimal("0.18"))
            # What others lend cheaply leaves it no room.
            bank = replace(STANDARD, funder="partner-bank")
            book.loan(session, product=bank, funder="partner-bank", rate_annual=Decimal("0.05"))
            average = portfolio_cost(session, on=date(2026, 1, 31), lender_type="micro-loan")
            assert average is not None
            assert abs(average - Decimal("0.14")) < Decimal("0.0005")
            assert portfolio_cost(session, on=date(2025, 1, 1), lender_type="micro-loan") is None


class TestPaidEarly:
    def test_the_excess_is_taken_off_and_booked(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, rate_annual=Decimal("0.216"))
            on = date(2026, 2, 10)
            fee: dict[str, Any] = {"amount_fen": 100, "due_on": on, "on": on}
            operations.charge(session, loan_id=loan_id, key="c", actor="lin", now=book.now, **fee)
            asked: dict[str, Any] = {"loan_id": loan_id, "customer_id": 1, "on": on}
            quote = queries.settlement_quote(session, **asked)
            assert quote.credit_fen == 0
            credit = queries.planned_credit_fen(session, loan_id=loan_id, on=on)
            owed = queries.loan_of(session, **asked).remaining_fen
            assert credit > 0
            book.repay(session, loan_id, owed - credit, key="p", on=on)
            assert queries.loan_of(session, **asked).state == "closed"
            kinds = [event.kind for event in queries.loan_events(session, loan_id=loan_id)]
            assert kinds[2:] == ["waiver", "waiver", "repayment"]
            assert operations.prove_books(session) == []
            undo: dict[str, Any] = {"key": "u", "actor": "lin", "on": on, "now": book.now}
            for _ in range(2):
                operations.reverse(session, loan_id=loan_id, seq=5, **undo)
            assert queries.loan_of(session, **asked).remaining_fen == owed
            assert len(queries.loan_events(session, loan_id=loan_id)) == 8
            assert operations.prove_books(session) == []

    def test_even_a_fen_of_interest_on_the_first_day_is_given_back(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=1)
            on = date(2026, 1, 31)
            book.repay(session, loan_id, 1, key="p", on=on)
            asked: dict[str, Any] = {"loan_id": loan_id, "customer_id": 1, "on": on}
            quote = queries.settlement_quote(session, **asked)
            assert (quote.amount_fen, quote.credit_fen) == (299_999, 1)
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=quote.amount_fen,
                value_date=on,
                key="s",
                now=book.now,
            )
            assert queries.loan_of(session, **asked).state == "closed"
            assert operations.prove_books(session) == []

    @pytest.mark.parametrize("sum_fen", [None, 250])
    def test_what_comes_back_is_told_before_it_is_paid(
        self, database: Database, book: Any, sum_fen: int | None
    ) -> None:
        on = date(2026, 2, 1)
        with database.write() as session:
            loan_id = book.loan(session, rate_annual=Decimal("0.216"), product=PRINCIPAL_FIRST)
            asked: dict[str, Any] = {"loan_id": loan_id, "customer_id": 1, "on": on}
            by: dict[str, Any] = {"loan_id": loan_id, "on": on, "actor": "lin", "now": book.now}
            fee: dict[str, Any] = {"amount_fen": 300, "due_on": date(2026, 2, 20)}
            operations.charge(session, key="c", **fee, **by)
            book.repay(session, loan_id, 300_000, key="p", on=on)
            paid: dict[str, Any] = {"loan_id": loan_id, "value_date": on, "now": book.now}
            if sum_fen is not None:
                operations.make_offer(
                    session,
                    kind=OfferKind.SETTLEMENT,
                    subject_id=loan_id,
                    details={"sum_fen": sum_fen},
                    valid_until=on,
                    reason="hardship",
                    made_by="lin",
                    on=on,
                    key="offer",
                    now=book.now,
                )
            quote = queries.settlement_quote(session, **asked)
            assert quote.amount_fen == (sum_fen or 300)
            assert quote.back_fen > 0
            is_whole = sum_fen is None
            post = operations.post_prepayment if is_whole else operations.post_repayment
            post(session, amount_fen=quote.amount_fen, key="s", **paid)
            view = queries.loan_of(session, **asked)
            assert (view.state, view.credit_fen) == ("closed", quote.back_fen)
            assert operations.prove_books(session) == []

    def test_a_settlement_fee_is_quoted_and_booked(self, database: Database, book: Any) -> None:
        fee = {
            "name": "提前结清手续费",
            "payee": "本公司",
            "at": "early-settlement",
            "tiers": [{"amount_fen": 150}],
        }
        product = read_product(document(fees=[fee]), version=1)
        with database.write() as session:
            loan_id = book.loan(session, product=product, rate_annual=Decimal("0.18"))
            on = date(2026, 2, 10)
            asked: dict[str, Any] = {"loan_id": loan_id, "customer_id": 1, "on": on}
            quote = queries.settlement_quote(session, **asked)
            assert (quote.fee_fen, quote.amount_fen) == (150, 301_500 + 150)
            operations.post_prepayment(
                session,
                loan_id=loan_id,
                amount_fen=quote.amount_fen,
                value_date=on,
                key="s",
                now=book.now,
            )
            assert queries.loan_of(session, **asked).state == "closed"
            assert operations.prove_books(session) == []


class TestDrawing:
    def test_under_another_version_needs_its_own_cost_table(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            terms = book.terms(session)
            disclosure_id = book.confirmed(session, terms)
            other = replace(terms, product=replace(STANDARD, version=2))
            with pytest.raises(CostNotConfirmed):
                operations.book_loan(
                    session, terms=other, disclosure_id=disclosure_id, key="k", now=book.now
                )
