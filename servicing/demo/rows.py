"""Turns made-up lives into rows of the book, by the rules that servicing itself uses.

Plans, cost tables and terms come from servicing's own functions; what depends on nothing but
amount and terms is computed once. Each instalment is paid whole, so events, instalments and entries
are written down directly; a test compares them with a replay. Rows are collected here and written
by servicing.demo.book.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Any, Final

from kernel.clock import start_of_day
from kernel.database import Base
from kernel.ids import new_number
from servicing.archive import terms_to_json
from servicing.bookkeeping import Side, Sides, income_sides
from servicing.chart import CLEARING, FUNDING, INTEREST_DUE, PRINCIPAL
from servicing.demo.judging import Judged
from servicing.engine.book import RowKind
from servicing.engine.parts import NOTHING, Component, Parts
from servicing.engine.periods import month_after
from servicing.engine.plan import plan
from servicing.engine.terms import Terms
from servicing.lateness import change_row, passed, rules_on
from servicing.operations import IMPORTED, content_hash, cost_table
from servicing.products import STANDARD
from servicing.recognition import earned_by_month_end, last_month_end
from servicing.tables import (
    Application,
    ApplicationCourse,
    ApplicationEvidence,
    ApplicationReview,
    CostDisclosure,
    CreditLine,
    Customer,
    Instalment,
    LatenessChange,
    LedgerEntry,
    LedgerPosting,
    Loan,
    LoanEvent,
    PlanVersion,
)

TABLES: tuple[type[Base], ...] = (
    Customer,
    Application,
    ApplicationCourse,
    ApplicationEvidence,
    ApplicationReview,
    CreditLine,
    CostDisclosure,
    Loan,
    LatenessChange,
    LoanEvent,
    PlanVersion,
    Instalment,
    LedgerEntry,
    LedgerPosting,
)

SHOP: Final = "shop_qr"
_ANY_DAY = date(2026, 1, 1)
_APPLIED_BY = timedelta(hours=10)
_OPENED_BY = timedelta(hours=11)
_PAID_BY = timedelta(hours=12)


# What a demo loan never has on an instalment.
_NOTHING_ELSE: Final = dict.fromkeys(
    (
        *("fee_fen", "penalty_fen", "paid_fee_fen", "paid_penalty_fen"),
        *("waived_principal_fen", "waived_interest_fen", "waived_fee_fen", "waived_penalty_fen"),
        *("earned_fee_fen", "earned_penalty_fen", "credited_fen", "to_others_fen"),
        *("subsidy_fen", "earned_subsidy_fen", "paid_subsidy_fen"),
    ),
    0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """One loan to be written: what, from when on, and how it was paid.

    Attributes:
        paid_on: For each instalment the day on which it was paid, or None.
    """

    shop: str
    goods: str
    principal_fen: int
    terms: int
    disbursed_on: date
    paid_on: tuple[date | None, ...]

    @property
    def applied_at(self) -> datetime:
        """When it was applied for."""
        return start_of_day(self.disbursed_on) + _APPLIED_BY


def imported(bought: Bought, state: str) -> dict[str, Any]:
    """Say what became of an application of a former book; no judge of this house decided it."""
    is_waiting = state == "in_review"
    return {
        "state": state,
        "decision_no": None,
        "strategy_version": None,
        "reasons": [],
        "told": None,
        "decided_at": None if is_waiting else bought.applied_at + timedelta(seconds=40),
        "decided_by": None if is_waiting else IMPORTED,
    }


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One instalment of a plan."""

    n: int
    from_on: date
    due_on: date
    due: Parts


@dataclass(slots=True, kw_only=True)
class Rows:
    """Collects rows by table, with ids that go on from chunk to chunk."""

    on: date
    random: Random
    rows: dict[type[Base], list[dict[str, Any]]] = field(
        default_factory=lambda: {t: [] for t in TABLES}
    )
    last: dict[type[Base], int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))

    def add(self, table: type[Base], values: Mapping[str, Any]) -> int:
        """Add a row under the next id, and return that."""
        self.last[table] += 1
        self.rows[table].append({"id": self.last[table], **values})
        return self.last[table]

    def add_application(
        self,
        customer_id: int,
        bought: Bought,
        attributes: Mapping[str, Any],
        decided: Mapping[str, Any],
    ) -> int:
        """Add an application; `decided` says what became of it."""
        return self.add(
            Application,
            {
                "application_no": self.number("SQ", bought.disbursed_on),
                "customer_id": customer_id,
                "funder": STANDARD.funder,
                "merchandise": bought.goods,
                "merchant_name": bought.shop,
                "amount_fen": bought.principal_fen,
                "product_code": STANDARD.code,
                "product_version": STANDARD.version,
                "rate_annual": STANDARD.rate_annual,
                "terms": bought.terms,
                "channel": SHOP,
                "attributes": dict(attributes),
                "submitted_at": bought.applied_at,
                **decided,
            },
        )

    def add_judged(
        self, customer_id: int, bought: Bought, attributes: Mapping[str, Any], judged: Judged
    ) -> int:
        """Add an application that was decided here, with its way, its evidence and its review."""
        application_id = self.add_application(customer_id, bought, attributes, judged.application)
        self.rows[ApplicationCourse].append(dict(judged.course))
        self.rows[ApplicationEvidence] += map(dict, judged.evidence)
        if judged.review is not None:
            self.rows[ApplicationReview].append(dict(judged.review))
        return application_id

    def add_loan(self, customer_id: int, line_id: int, application_id: int, bought: Bought) -> int:
        """Add a loan with plan, cost table and ledger; returns the principal that is still open."""
        disclosure_id = self._add_disclosure(customer_id, bought)
        plan = self._plan(bought)
        open_due = [row.due_on for row, day in _lived(plan, bought) if not day]
        late_since = open_due[0] if open_due and open_due[0] < self.on else None
        named = rules_on(self.on).standing(late_since=late_since, on=self.on)
        loan_id = self.add(
            Loan,
            {
                "loan_no": self.number("FQ", bought.disbursed_on),
                "customer_id": customer_id,
                "line_id": line_id,
                "application_id": application_id,
                "disclosure_id": disclosure_id,
                "funder": STANDARD.funder,
                "merchandise": bought.goods,
                "merchant_name": bought.shop,
                "principal_fen": bought.principal_fen,
                "rate_annual": STANDARD.rate_annual,
                "terms": bought.terms,
                "disbursed_on": bought.disbursed_on,
                "undrawn_fen": 0,
                "draw_until": None,
                "draws": None,
                "rates": None,
                "is_subsidised": False,
                "product_code": STANDARD.code,
                "product_version": STANDARD.version,
                "agreed": agreed(bought.principal_fen, bought.terms, bought.disbursed_on),
                "bears_penalty": STANDARD.penalty_multiplier is not None,
                "settles_early": STANDARD.settles_early,
                "plan_version": 1,
                "state": "active" if open_due else "closed",
                "grace_days": STANDARD.grace_days,
                "late_since": late_since,
                "days_past_due": named.days_past_due,
                "bucket": named.bucket,
                "five_class": named.five_class,
                "ecl_stage": named.ecl_stage,
                "class_floor": None,
                "running": None,
                "closed_to": self.on,
                "settled_on": None if open_due else bought.paid_on[-1],
            },
        )
        if late_since is not None:
            self._fall_late(loan_id, late_since)
        self._disburse(loan_id, bought, plan)
        for row, paid_on in _lived(plan, bought):
            self._live(loan_id, row, paid_on)
        return sum(row.due.principal_fen for row, day in _lived(plan, bought) if not day)

    def _fall_late(self, loan_id: int, since: date) -> None:
        """Tell through what names a loan went that is late now; what was cured is not told."""
        before = rules_on(since).standing(late_since=None, on=since)
        for day, named in passed(before, first_open=since, floors=(), after=since, on=self.on):
            if not named.is_as(before):
                change = change_row(loan_id, named, from_on=day)
                self.add(LatenessChange, change | {"recorded_at": _instant(day)})
            before = named

    def _disburse(self, loan_id: int, bought: Bought, plan: Sequence[PlanRow]) -> None:
        key, fen, on = str(loan_id), bought.principal_fen, bought.disbursed_on
        self._happen(loan_id, 1, "disbursement", on, key, {"amount_fen": fen, "fee_fen": 0})
        self.rows[PlanVersion].append(
            {
                "loan_id": loan_id,
                "version": 1,
                "from_seq": 1,
                "rows": [
                    [row.n, row.due_on.isoformat(), row.due.principal_fen, row.due.interest_fen, 0]
                    for row in plan
                ],
                "recorded_at": _instant(on),
            }
        )
        self._enter(loan_id, "disbursement", key, on, {Side(PRINCIPAL): fen, Side(FUNDING): -fen})

    def _happen(
        self, loan_id: int, seq: int, kind: str, on: date, key: str, payload: Mapping[str, Any]
    ) -> None:
        self.rows[LoanEvent].append(
            {
                "loan_id": loan_id,
                "seq": seq,
                "kind": kind,
                "value_date": on,
                "payload": dict(payload),
                "key": key,
                "actor": IMPORTED,
                "recorded_at": _instant(on),
            }
        )

    def number(self, prefix: str, on: date) -> str:
        """Make a number like the book's own, but the same for the same seed."""
        drawn = "".join(self.random.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=12))
        return _number(prefix, on)[: -len(drawn)] + drawn

    def _plan(self, bought: Bought) -> list[PlanRow]:
        days = [bought.disbursed_on]
        days += [month_after(bought.disbursed_on, n) for n in range(1, bought.terms + 1)]
        amounts = _amounts(bought.principal_fen, bought.terms)
        return [
            PlanRow(n=n, from_on=days[n - 1], due_on=days[n], due=due)
            for n, due in enumerate(amounts, 1)
        ]

    def _live(self, loan_id: int, row: PlanRow, paid_on: date | None) -> None:
        """Let an instalment's days pass: its interest is earned, and it is paid or not."""
        due, is_paid = row.due, paid_on is not None
        paid = due if is_paid else NOTHING
        earned_fen = due.interest_fen if row.due_on <= self.on or is_paid else 0
        to_month_end = earned_by_month_end(
            due.interest_fen, from_on=row.from_on, due_on=row.due_on, closed_to=self.on
        )
        earned_fen = earned_fen or to_month_end
        self.rows[Instalment].append(
            _NOTHING_ELSE
            | {
                "loan_id": loan_id,
                "n": row.n,
                "kind": RowKind.NORMAL.value,
                "from_on": row.from_on,
                "due_on": row.due_on,
                "principal_fen": due.principal_fen,
                "interest_fen": due.interest_fen,
                "paid_principal_fen": paid.principal_fen,
                "paid_interest_fen": paid.interest_fen,
                "earned_interest_fen": earned_fen,
                "settled_on": paid_on,
            }
        )
        key = f"{loan_id}/{row.n}"
        if earned_fen:
            day = min(row.due_on, paid_on or row.due_on)
            day = day if day <= self.on else last_month_end(self.on)
            sides = income_sides(Component.INTEREST, earned_fen, row.due_on)
            self._enter(loan_id, "interest", key, day, sides, row.n)
        if paid_on is not None:
            key = f"demo/{key}"
            payload = {"amount_fen": due.total_fen, "kind": "repayment"}
            self._happen(loan_id, row.n + 1, "repayment", paid_on, key, payload)
            self._enter(loan_id, "repayment", key, paid_on, _repaid(row), row.n)

    def _enter(
        self, loan_id: int, kind: str, key: str, on: date, sides: Sides, n: int | None = None
    ) -> None:
        entry_id = self.add(
            LedgerEntry,
            {
                "loan_id": loan_id,
                "kind": kind,
                "key": key,
                "creditor": STANDARD.funder,
                "effective_on": on,
                "booked_on": on,
                "adjusts": None,
                "recorded_at": _instant(on),
            },
        )
        postings = self.rows[LedgerPosting]
        for side, fen in sides.items():
            if fen:
                self.last[LedgerPosting] += 1
                postings.append(
                    {
                        "id": self.last[LedgerPosting],
                        "entry_id": entry_id,
                        "account": side.account,
                        "instalment_n": None if side.due_on is None else n,
                        "amount_fen": fen,
                    }
                )

    def _add_disclosure(self, customer_id: int, bought: Bought) -> int:
        content = disclosed(bought.principal_fen, bought.terms, bought.disbursed_on)
        return self.add(
            CostDisclosure,
            {
                "customer_id": customer_id,
                "content": content,
                "content_hash": content_hash(content),
                "seconds_shown": self.random.randint(10, 60),
                "confirmed_at": start_of_day(bought.disbursed_on) + _OPENED_BY,
            },
        )


def disclosed(principal_fen: int, terms: int, disbursed_on: date) -> dict[str, Any]:
    """Return the cost table of a purchase; no amount in it depends on the day."""
    return _cost(principal_fen, terms) | {"disbursed_on": disbursed_on.isoformat()}


@lru_cache(maxsize=4096)
def _cost(principal_fen: int, terms: int) -> dict[str, Any]:
    return cost_table(
        principal_fen=principal_fen,
        rate_annual=Decimal(STANDARD.rate_annual),
        terms=terms,
        disbursed_on=_ANY_DAY,
    )


@lru_cache(maxsize=4096)
def _amounts(principal_fen: int, terms: int) -> tuple[Parts, ...]:
    return tuple(row.due for row in plan(_terms(principal_fen, terms, _ANY_DAY)).instalments)


def agreed(principal_fen: int, terms: int, disbursed_on: date) -> dict[str, Any]:
    """Return a purchase's terms as they are kept."""
    return _agreed(principal_fen, terms) | {"start_on": disbursed_on.isoformat()}


@lru_cache(maxsize=4096)
def _agreed(principal_fen: int, terms: int) -> dict[str, Any]:
    return terms_to_json(_terms(principal_fen, terms, _ANY_DAY))


def _terms(principal_fen: int, terms: int, start_on: date) -> Terms:
    return STANDARD.agree(
        principal_fen=principal_fen,
        rate_annual=STANDARD.rate_annual,
        terms=terms,
        start_on=start_on,
    )


@lru_cache(maxsize=4096)
def _instant(on: date) -> datetime:
    return start_of_day(on) + _PAID_BY


@lru_cache(maxsize=4096)
def _number(prefix: str, on: date) -> str:
    """Return some number of a day, for its beginning."""
    return new_number(prefix, on=on)


def _lived(plan: Sequence[PlanRow], bought: Bought) -> Iterator[tuple[PlanRow, date | None]]:
    return zip(plan, bought.paid_on, strict=True)


def _repaid(row: PlanRow) -> Sides:
    return {
        Side(CLEARING): row.due.total_fen,
        Side(INTEREST_DUE, row.due_on): -row.due.interest_fen,
        Side(PRINCIPAL, row.due_on): -row.due.principal_fen,
    }
