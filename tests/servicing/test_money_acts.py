"""Money acts by name: what is shown is what happens, once a key, and is taken back."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from kernel.database import Database
from kernel.money import Rounding, fen_from_yuan, round_fen
from servicing import operations, queries
from servicing.engine.cost import CostAboveCap
from servicing.engine.terms import Method
from servicing.operations import ActUnknown, CostNotConfirmed, PaymentTooLarge
from servicing.operations.money_acts import ACTS
from servicing.products import STANDARD, Product
from servicing.queries.interest_reasons import KEPT, SENTENCES

PENALISED = replace(STANDARD, code="penalised", penalty_multiplier=Decimal("1.3"))
LATE = date(2026, 6, 10)

_PROOF = {"channel": "bank-transfer", "reference": "BK-1"}
_ASKED: dict[str, dict[str, Any]] = {
    "waive": {"component": "penalty", "amount_fen": 500},
    "goodwill": {"amount_fen": 1_000},
    "charge-off": {},
    "write-off": {},
    "re-age": {"first_due_on": "2026-07-10", "terms": 9},
    "re-price": {"rate_annual": "0.12", "from_on": "2026-06-10"},
    "reverse": {"seq": 2},
    "freeze-interest": {"first_on": "2026-06-11", "last_on": None, "reason": "disaster"},
    "freeze-penalty": {"first_on": "2026-05-01", "last_on": "2026-05-10", "reason": "dispute"},
    "extension": {"extra_terms": 4},
    "due-day": {"due_day": 15},
    "grace": {"periods": 2},
    "holiday": {"periods": 1, "bears_interest": True},
    "re-amortise": {},
    "terminate": {},
    "cancel-purchase": {"amount_fen": 300_000, "bears_cost": False},
    "charge-back": {"seq": 2, "amount_fen": 1_000},
    "repay": {"amount_fen": 30_000, "value_date": "2026-06-10", **_PROOF},
    "prepay": {"amount_fen": 200_000, "value_date": "2026-06-10", **_PROOF},
    "charge": {"name": "公证费", "payee": "公证处", "amount_fen": 100, "due_on": "2026-06-20"},
    "charge-instalments": {"name": "管理费", "payee": "贷款人", "amount_fen": 10},
}
# What only a loan may have that is not late.
_IN_TIME = ("extension", "due-day", "grace", "holiday")
_AGREED = (*_IN_TIME, "re-age", "re-amortise", "charge", "charge-instalments")
_WHOLE = ("charge-off", "write-off", "re-age", "terminate", "cancel-purchase")


def view(session: Any, loan_id: int) -> queries.LoanView:
    return queries.loan_of(session, loan_id=loan_id, customer_id=1, on=LATE)


def late_loan(session: Any, book: Any, product: Product = PENALISED) -> int:
    """One payment was made; four instalments are late, and bear penalty."""
    loan_id = book.loan(session, terms=12, product=product)
    book.repay(session, loan_id, 1_000, key="p", on=date(2026, 2, 28))
    operations.age_loans(session, on=LATE, now=book.now)
    return int(loan_id)


def loan_in_time(session: Any, book: Any, product: Product = PENALISED) -> int:
    """One payment was made of a loan that is a day old."""
    loan_id = book.loan(session, terms=12, product=product, disbursed_on=date(2026, 6, 9))
    book.repay(session, loan_id, 1_000, key="p", on=LATE)
    return int(loan_id)


_PIECE = re.compile(r"本金 ([\d,.]+) 元 × 年利率 ([\d.]+)%(?: × (\d+) 天)?(?: × (\d+))? ÷ (\d+)")


def said_fen(explained: str) -> tuple[int, int] | None:
    """Work out the formula of an instalment's interest as a borrower would; None for a sentence."""
    interest = re.search(r"利息 ([\d,.]+) 元（(.*?)）", explained)
    assert interest is not None, explained
    if not (pieces := _PIECE.findall(interest[2])):
        assert interest[2] in (*SENTENCES, "免息"), explained
        return None
    exact = sum(
        Decimal(base.replace(",", "")) * Decimal(rate) * int(days or times or 1) / int(parts)
        for base, rate, days, times, parts in pieces
    )
    return fen_from_yuan(interest[1]), round_fen(exact, rounding=Rounding.HALF_UP)


class TestActs:
    @pytest.mark.parametrize(
        ("act", "method"),
        [
            (act, method)
            for act in _ASKED
            for method in ("equal-instalment", "equal-principal", "interest-first")
            # No principal of such a loan is late before its end.
            if method != "interest-first" or act not in ("waive", "re-amortise")
        ],
    )
    def test_leaves_an_interest_that_its_formula_comes_to_or_a_reason(
        self, database: Database, book: Any, act: str, method: str
    ) -> None:
        product = replace(PENALISED, method=Method(method))
        with database.write() as session:
            loan_id = (loan_in_time if act in _IN_TIME else late_loan)(session, book, product)
            asked = {"act": act, "loan_id": loan_id, "details": _ASKED[act], "on": LATE}
            table = operations.look_ahead(session, **asked).cost_table
            by: dict[str, Any] = {"actor": "wang", "now": book.now}
            if table is not None:
                by["disclosure_id"] = operations.confirm_cost(
                    session, customer_id=1, content=table, seconds_shown=9, now=book.now
                )
            operations.do_act(session, key="k", **asked, **by)
            said = [said_fen(queries.explain(row)) for row in view(session, loan_id).plan]
            assert all(one is None or one[0] == one[1] for one in said)
            if act not in (*_WHOLE, "re-amortise", "freeze-interest", "charge-back"):
                assert sum(one is not None for one in said) > len(said) // 2

    def test_interest_that_was_paid_before_it_fell_says_that_it_stays(
        self, database: Database, book: Any
    ) -> None:
        on = date(2026, 3, 10)
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            first = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on).plan[0]
            book.repay(session, loan_id, first.total_fen, key="p", on=first.due_on)
            details = {"rate_annual": "0.12", "from_on": "2026-02-11"}
            asked = {"act": "re-price", "loan_id": loan_id, "details": details, "on": on}
            assert operations.look_ahead(session, **asked).preview.extra_fen < 0
            operations.do_act(session, key="k", actor="wang", now=book.now, **asked)
            loan = queries.loan_of(session, loan_id=loan_id, customer_id=1, on=on)
            assert (loan.overdue_fen, loan.plan[0].total_fen) == (0, first.total_fen)
            assert KEPT in queries.explain(loan.plan[0])
            assert loan.plan[1].paid_fen > 0
            assert operations.prove_books(session) == []

    def test_each_is_told_here(self) -> None:
        of_tranches = {"draw", "end-drawing"}  # told in test_tranches: no late loan is drawn on
        of_receipts = {"recover"}  # told in test_receipts: it was given up before
        assert set(_ASKED) | of_tranches | of_receipts == set(ACTS)

    @pytest.mark.parametrize("act", _ASKED)
    def test_does_what_was_shown_once_and_is_taken_back(
        self, database: Database, book: Any, act: str
    ) -> None:
        with database.write() as session:
            loan_id = (loan_in_time if act in _IN_TIME else late_loan)(session, book)
            before = view(session, loan_id)
            asked = {"act": act, "loan_id": loan_id, "details": _ASKED[act], "on": LATE}
            outlook = operations.look_ahead(session, **asked)
            assert view(session, loan_id) == before
            by: dict[str, Any] = {"actor": "wang", "now": book.now}
            if outlook.cost_table is not None:
                with pytest.raises(CostNotConfirmed), session.begin_nested():
                    operations.do_act(session, key="k", **asked, **by)
                by["disclosure_id"] = operations.confirm_cost(
                    session,
                    customer_id=1,
                    content=outlook.cost_table,
                    seconds_shown=9,
                    now=book.now,
                )
            assert (outlook.cost_table is not None) == (act in _AGREED)
            seq = operations.do_act(session, key="k", **asked, **by)
            assert operations.do_act(session, key="k", **asked, **by) == seq
            after = view(session, loan_id)
            assert after.remaining_fen == outlook.preview.remaining_after_fen
            whole = act in _WHOLE
            changed = abs(after.remaining_fen - before.remaining_fen)
            if act == "prepay":  # beyond it, interest is saved that was never earned
                assert changed > outlook.amount_fen == _ASKED[act]["amount_fen"]
            elif act == "freeze-penalty":
                assert outlook.amount_fen >= changed
            else:
                assert outlook.amount_fen == (before.remaining_fen if whole else changed)
            assert operations.prove_books(session) == []
            if operations.can_undo(act):
                undo = {"loan_id": loan_id, "seq": seq, "on": LATE, "key": "undo"}
                operations.undo_act(session, actor="wang", now=book.now, **undo)
                assert view(session, loan_id).remaining_fen == before.remaining_fen
                assert operations.prove_books(session) == []

    def test_what_is_seen_as_of_a_day_stays_what_was_seen(
        self, database: Database, book: Any
    ) -> None:
        """Penalty that another night adds does not change what was proposed."""
        with database.write() as session:
            loan_id = late_loan(session, book)
            asked = {"act": "waive", "loan_id": loan_id, "details": _ASKED["waive"], "on": LATE}
            seen = operations.look_ahead(session, **asked).preview.shown()
            operations.age_loans(session, on=date(2026, 6, 12), now=book.now)
            assert operations.look_ahead(session, **asked).preview.shown() != seen
            again = operations.look_ahead(session, **asked, closed_to=LATE)
            assert again.preview.shown() == seen

    @pytest.mark.parametrize(
        "act", ["charge-off", "write-off", "waive", "goodwill", "freeze-penalty", "repay"]
    )
    def test_a_reversal_takes_the_authority_of_what_it_reverses(
        self, database: Database, book: Any, act: str
    ) -> None:
        with database.write() as session:
            loan_id = late_loan(session, book)
            asked: dict[str, Any] = {"loan_id": loan_id, "on": LATE}
            done = {"act": act, "details": _ASKED[act]} | asked
            measured = operations.look_ahead(session, **done).amount_fen
            seq = operations.do_act(session, key="k", actor="wang", now=book.now, **done)
            undo = {"act": "reverse", "details": {"seq": seq}} | asked
            assert operations.look_ahead(session, **undo).amount_fen == measured > 0

    def test_more_goodwill_than_is_owed_is_refused_before_it_is_proposed(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            asked = {"act": "goodwill", "loan_id": late_loan(session, book), "on": LATE}
            with pytest.raises(PaymentTooLarge):
                operations.look_ahead(session, details={"amount_fen": 10_000_000}, **asked)

    def test_what_leaves_the_books_and_what_goes_back_is_shown(
        self, database: Database, book: Any
    ) -> None:
        with database.write() as session:
            asked: dict[str, Any] = {"loan_id": late_loan(session, book), "on": LATE}
            owed = view(session, asked["loan_id"]).remaining_fen
            seen = operations.look_ahead(session, act="charge-off", details={}, **asked).preview
            assert (seen.off_books_before_fen, seen.off_books_after_fen) == (0, owed)
            assert 0 == seen.on_books_after_fen < seen.on_books_before_fen < owed
            given = {"amount_fen": 300_000, "bears_cost": False}
            seen = operations.look_ahead(
                session, act="cancel-purchase", details=given, **asked
            ).preview
            assert (seen.credit_before_fen, seen.credit_after_fen) == (0, 1_000)
            assert seen.shown()["credit_after_fen"] == 1_000

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(ActUnknown):
            operations.can_undo("dance")

    @pytest.mark.parametrize(("last_on", "fen"), [(date(2026, 7, 10), 5_805), (None, 70_628)])
    def test_a_freeze_of_penalty_to_come_takes_authority_for_what_it_may_save(
        self, database: Database, book: Any, last_on: date | None, fen: int
    ) -> None:
        """30 days of 3,000.00 at 1.3 × 18 % of 360 would be 58.50; a year stands for no end."""
        with database.write() as session:
            loan_id = book.loan(session, terms=12, product=PENALISED)
            details = {"first_on": "2026-06-11", "last_on": last_on and str(last_on)}
            outlook = operations.look_ahead(
                session,
                act="freeze-penalty",
                loan_id=loan_id,
                details=details,
                on=date(2026, 2, 10),
            )
            assert outlook.preview.extra_fen == 0
            assert outlook.amount_fen == fen

    def test_a_dearer_rate_stays_within_the_cap(self, database: Database, book: Any) -> None:
        with database.write() as session:
            loan_id = book.loan(session, terms=12)
            details = {"rate_annual": "0.36", "from_on": "2026-02-10"}
            with pytest.raises(CostAboveCap):
                operations.look_ahead(
                    session,
                    act="re-price",
                    loan_id=loan_id,
                    details=details,
                    on=date(2026, 2, 10),
                )
