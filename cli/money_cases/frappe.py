"""Runs cases of the second anchor system: plans, and single figures out of a loan's life."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, Final

from cli.money_cases.frappe_terms import ANCHORS, counts_first_day, terms_of, version_of
from cli.money_cases.reading import (
    Json,
    NotCovered,
    day,
    fen,
    first_of,
    money,
    reading,
    whole,
)
from cli.money_cases.words import op_of
from servicing.engine import events
from servicing.engine.book import Kind, Record, Status
from servicing.engine.delinquency import Range, lateness, range_of
from servicing.engine.events import Event
from servicing.engine.interest import day_before
from servicing.engine.journal import Account, entries
from servicing.engine.line import Line
from servicing.engine.parts import Component, Parts, total
from servicing.engine.periods import Anchor, due_dates
from servicing.engine.plan import Instalment, Plan, Tranche, plan
from servicing.engine.quote import QuoteKind, quote
from servicing.engine.replay import replay
from servicing.engine.state import LoanState
from servicing.engine.terms import Method

_ACCOUNTS: Final = {
    Account.CLEARING: "Payment Account",
    Account.RECOVERIES: "Write Off Recovery",
    Account.WRITTEN_OFF: "Write Off Account",
    Account.PRINCIPAL: "Loan Account",
    Account.INCOME_RECEIVABLE: "Interest Receivable",
}
# What a payment may call itself that is nothing but a payment.
_PLAIN: Final = ("Normal Repayment", "Loan Closure", "Full Settlement", "Advance Payment")
_ON_WRITTEN_OFF: Final = ("Write Off Recovery", "Write Off Settlement")
# After these nothing more is asked for, whatever is left.
_SETTLING: Final = ("Full Settlement", "Write Off Settlement")
_FIELDS: Final = {
    "due_date": "payment_date",
    "principal": "principal_amount",
    "interest": "interest_amount",
    "total": "total_payment",
    "balance": "balance_loan_amount",
}
_ACCRUED: Final = (
    "interest_amount",
    "accrued_interest",
    "accrued_interest_amount",
    "total_pending_interest_amount",
)
_MONEY: Final = (Kind.REPAYMENT, Kind.PREPAYMENT)
_WAIVERS: Final = {
    "Interest Waiver": Component.INTEREST,
    "Penalty Waiver": Component.PENALTY,
    "Charges Waiver": Component.FEE,
}


class _Case:
    """One case up to a step, with what the engine says about it."""

    def __init__(self, case: Json, after: int) -> None:
        self.raw = case["terms"]
        self.config = self.raw.get("product_config") or {}
        self.steps: Sequence[Json] = case["events"][:after]
        base = version_of(self.raw, self.config, case.get("source") or {})
        self.terms = terms_of(self.raw, self.config, case["events"], base)
        self.events: list[Event] = []
        for n, step in enumerate(self.steps):
            if op_of(step) == "undo":
                self.events.append(_undo(self.events, step, f"e{n}", self.on))
            else:
                by_day = counts_first_day(self.terms)
                self.events += _tell(step, f"e{n}", counts_first_day=by_day)

    @cached_property
    def on(self) -> date:
        """The last day that the case speaks of until then."""
        days = [step.get("date") or step.get("to") for step in self.steps]
        return max([self.terms.start_on, *(day(value) for value in days if value)])

    @cached_property
    def state(self) -> LoanState:
        """The loan at the end."""
        return replay(self.terms, self.events, self.on)

    @cached_property
    def plan(self) -> Plan:
        """The plan of what was disbursed."""
        drawn = [event for event in self.events if isinstance(event, events.Disbursement)]
        return plan(
            self.terms, [Tranche(on=event.on, amount_fen=event.amount_fen) for event in drawn]
        )

    @property
    def limit_fen(self) -> int:
        """What may be drawn in all: the line, or the loan that is paid out bit by bit."""
        return fen(first_of(self.raw, "credit_limit", "principal"))

    def records(self, *kinds: Kind) -> list[Record]:
        """Return what happened of some kinds."""
        return [
            record
            for record in self.state.records
            if record.kind in kinds and not record.is_reversed
        ]

    def paid(self) -> Parts:
        """Return what the payments settled."""
        return total(record.parts for record in self.records(*_MONEY))

    def late_on(self, on: date) -> int:
        """Return the days past due of a day."""
        return lateness(replay(self.terms, self.events, on)).days_past_due


def compute(case: Json) -> list[dict[str, Any]]:
    """Return the figures that a case asks for."""
    with reading("in the case"):
        return [_at(case, expected) for expected in case["expected"]]


def _at(case: Json, expected: Json) -> dict[str, Any]:
    told = _Case(case, whole(expected["after_event"]))
    point: dict[str, Any] = {"after_event": expected["after_event"]}
    if "figures" in expected:
        is_rounded = _is_rounded(told, expected["figures"])
        point["figures"] = {
            name: _as_written(wanted, _figure(told, name, wanted), is_rounded=is_rounded)
            for name, wanted in expected["figures"].items()
        }
    return point


def _is_rounded(told: _Case, figures: Json) -> bool:
    """Whether the case compares in whole units, at all its points or at one."""
    text = f"{told.raw.get('rounding')} {told.config.get('rounding')}"
    return "0 decimals" in text or whole(figures.get("compare_at_decimals"), 2) == 0


def _figure(told: _Case, name: str, wanted: Any) -> Any:
    if name == "compare_at_decimals":
        return wanted
    maker = _FIGURES.get(name)
    if " " in str(told.raw["annual_rate_pct"]) and name != "due_dates":
        raise NotCovered(f"the figure {name} of several products")
    if maker is None:
        raise NotCovered(f"the figure {name}")
    return maker(told, wanted)


def _as_written(wanted: Any, got: Any, *, is_rounded: bool) -> Any:
    """Round to whole units what the case itself compares in whole units."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return {
            key: _as_written(wanted.get(key), value, is_rounded=is_rounded)
            for key, value in got.items()
        }
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        return [
            _as_written(first, second, is_rounded=is_rounded)
            for first, second in zip(wanted, got, strict=True)
        ]
    is_whole = isinstance(wanted, str) and wanted.lstrip("-").isdigit()
    if is_rounded and is_whole and isinstance(got, str):
        return str(Decimal(got).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    return got


def _tell(step: Json, name: str, *, counts_first_day: bool) -> list[Event]:
    op = op_of(step)
    if op in ("first_due", "business_date", "accrue", "approve", "close"):
        return []
    on = day(step["date"])
    amount = fen(step["amount"]) if step.get("amount") else 0
    if op == "disburse":
        since = day_before(on) if counts_first_day else on
        return [events.Disbursement(id=name, on=since, amount_fen=amount)]
    if op == "repay":
        return [_payment(step, name, on, amount)]
    if op == "write_off":
        return [events.WriteOff(id=name, on=on, amount_fen=amount or None)]
    if op == "interest_pause":
        return [events.InterestPause(id=name, on=on, first_on=on + timedelta(days=1))]
    raise NotCovered(f"the step {step['op']}")


def _undo(told: Sequence[Event], step: Json, name: str, on: date) -> Event:
    """Take money back: the last that came, or the last of a day if the step names one."""
    gone = {event.of for event in told if isinstance(event, events.Reversal)}
    paid_on = first_of(step, "txn_date", "of_date")
    found = [
        event
        for event in told
        if isinstance(event, events.Payment | events.Prepayment | events.Recovery)
        and event.id not in gone
        and (paid_on is None or event.on == day(paid_on))
    ]
    if not found:
        raise NotCovered("which payment is undone")
    return events.Reversal(id=name, on=max(on, found[-1].on), of=found[-1].id)


def _payment(step: Json, name: str, on: date, amount: int) -> Event:
    kind = step.get("type") or "Normal Repayment"
    if kind in _ON_WRITTEN_OFF:
        return events.Recovery(id=name, on=on, amount_fen=amount)
    if kind == "Pre Payment":
        return events.Prepayment(id=name, on=on, amount_fen=amount)
    if kind in _WAIVERS:
        return events.Waiver(id=name, on=on, component=_WAIVERS[kind], amount_fen=amount)
    if kind not in _PLAIN:
        raise NotCovered(f"a payment that is a {kind}")
    return events.Payment(id=name, on=on, amount_fen=amount)


def _level(told: _Case, _: Any) -> str:
    return money(told.plan.instalments[0].due.total_fen)


def _rows(told: _Case, wanted: Any) -> list[dict[str, Any]]:
    rows = told.plan.instalments
    if any(not 0 <= line["idx"] < len(rows) for line in wanted):
        return [{"idx": n} for n in range(len(rows))]
    return [_row(line["idx"], rows[line["idx"]]) for line in wanted]


def _row(index: int, row: Instalment) -> dict[str, Any]:
    """Write a row under the names that cases use, and those of the system's own fields."""
    figures = {
        "due_date": row.due_on.isoformat(),
        "principal": money(row.due.principal_fen),
        "interest": money(row.due.interest_fen),
        "total": money(row.due.total_fen),
        "balance": money(row.balance_fen),
    }
    return {"idx": index, **figures, **{_FIELDS[name]: figures[name] for name in figures}}


def _excess(told: _Case, _: Any) -> str:
    """Return how much more than the loan owed was paid last; less if negative."""
    paid = [event for event in told.events if isinstance(event, events.Payment)]
    if not paid:
        raise NotCovered("the excess of no payment")
    last = paid[-1]
    before = [event for event in told.events if event is not last]
    asked = quote(told.terms, before, last.on, QuoteKind.SETTLE)
    return money(last.amount_fen - asked.total_fen)


def _journal(told: _Case, wanted: Any) -> list[dict[str, str]]:  # noqa: ARG001 -- as all makers
    lines = []
    for entry in entries(told.state.records):
        for posting in entry.postings:
            is_trifle = posting.account is Account.WAIVED
            account = "interest waiver" if is_trifle else _ACCOUNTS.get(posting.account, "")
            debit, credit = max(posting.fen, 0), max(-posting.fen, 0)
            lines.append({"account": account, "debit": money(debit), "credit": money(credit)})
    return lines


def _days_late(told: _Case, wanted: Any) -> dict[str, int]:
    return {on: told.late_on(day(on)) for on in wanted}


def _classes(told: _Case, wanted: Any) -> dict[str, dict[str, Any]]:
    ranges = [
        Range(name=name, first=first, last=last) for name, first, last in told.config["ranges"]
    ]
    found = {}
    for on in wanted:
        days = told.late_on(day(on))
        is_npa = days > whole(told.config.get("npa_threshold_days"), 90)
        code = (range_of(days, ranges) or "").split(" ")[0]
        found[on] = {
            "days_past_due": days,
            "code": code,
            "is_npa": is_npa,
            "customer_is_npa": is_npa,
        }
    return found


def _line_after(kind: Kind | None) -> Callable[[_Case, Any], dict[str, str]]:
    def view(told: _Case, wanted: Any) -> dict[str, str]:
        line = Line(granted_fen=told.limit_fen)
        for _, drawn in told.state.disbursed:
            line = line.draw(drawn)
        principal = told.paid().principal_fen if kind else 0
        line = line.repay(principal)
        got = {"utilized": line.utilised_fen, "available": line.available_fen}
        return {
            name: _spelled(str(wanted.get(name, "")), fen_of, principal)
            for name, fen_of in got.items()
        }

    return view


def _spelled(wanted: str, got_fen: int, principal_fen: int) -> str:
    """Read an expectation that is written as a sum with the words for a payment's principal."""
    text = wanted.replace("principal part of the payment", money(principal_fen))
    terms = [term.strip() for term in text.split(" - ")]
    if wanted == text or not all(term.replace(".", "").isdigit() for term in terms):
        return money(got_fen)
    value = fen(terms[0]) - sum(fen(term) for term in terms[1:])
    return wanted if value == got_fen else money(got_fen)


def _due_dates(told: _Case, wanted: Any) -> dict[str, list[str]]:
    found = {}
    for name in wanted:
        anchor = ANCHORS.get(name)
        if anchor is None:
            raise NotCovered(f"the kind of schedule {name}")
        same_day = anchor is Anchor.SAME_DAY
        dates = due_dates(
            start=told.terms.start_on,
            count=told.terms.terms,
            frequency=told.terms.frequency,
            first=told.terms.first_due_on if same_day else None,
            anchor=anchor,
        )
        texts = [on.isoformat() for on in dates]
        is_short = "..." in wanted[name]
        found[name] = [*texts[:2], "...", texts[-1]] if is_short else texts
    return found


def _total_of(component: Component) -> Callable[[_Case, Any], str]:
    return lambda told, _: money(told.plan.total.of(component))


def _paid_of(component: Component) -> Callable[[_Case, Any], str]:
    return lambda told, _: money(told.paid().of(component))


def _paid_interest(told: _Case, _: Any) -> str:
    """Say what was paid of the interest that had fallen due; on demand it has, once it is paid."""
    is_on_demand = told.terms.method is Method.BULLET
    rows = [row for row in told.state.rows if is_on_demand or row.due_on <= told.on]
    return money(total(row.paid for row in rows).interest_fen)


def _owed_of(component: Component) -> Callable[[_Case, Any], str]:
    return lambda told, _: money(told.state.outstanding.of(component))


def _last_level(told: _Case, _: Any) -> str:
    return money(told.plan.instalments[-1].due.total_fen)


def _paid_in_all(told: _Case, _: Any) -> str:
    return money(sum(record.amount_fen for record in told.records(*_MONEY)))


def _status(told: _Case, _: Any) -> str:
    if any(step.get("type") in _SETTLING for step in told.steps):
        return "settled"
    status = told.state.status
    if status is Status.ACTIVE:
        drawn = sum(fen_of for _, fen_of in told.state.disbursed)
        return "disbursed" if drawn >= told.limit_fen else "partially disbursed"
    is_asked = any(op_of(step) == "close" for step in told.steps)
    return "loan closure requested" if is_asked and status is Status.CLOSED else status.value


def _accrued(told: _Case, _: Any) -> str:
    """Return the interest to a day; a day that is accrued is over and counts itself."""
    is_over = op_of(told.steps[-1]) == "accrue"
    on = told.on + timedelta(days=1) if is_over else told.on
    return money(quote(told.terms, told.events, on, QuoteKind.SETTLE).parts.interest_fen)


_FIGURES: Final[dict[str, Callable[[_Case, Any], Any]]] = {
    "monthly_repayment_amount": _level,
    "instalment": _level,
    "total_interest": _total_of(Component.INTEREST),
    "total_interest_payable": _total_of(Component.INTEREST),
    "total_principal": _total_of(Component.PRINCIPAL),
    "total_payment": lambda told, _: money(told.plan.total.total_fen),
    "number_of_rows": lambda told, _: len(told.plan.instalments),
    "rows_zero_based": _rows,
    "paid_interest": _paid_interest,
    "paid_principal": _paid_of(Component.PRINCIPAL),
    "paid_penalty": _paid_of(Component.PENALTY),
    "principal_amount_paid": _paid_of(Component.PRINCIPAL),
    "total_interest_paid": _paid_of(Component.INTEREST),
    "total_principal_paid": _paid_of(Component.PRINCIPAL),
    "total_penalty_paid": _paid_of(Component.PENALTY),
    "total_amount_paid": _paid_in_all,
    "last_instalment": _last_level,
    "maturity_date": lambda told, _: told.plan.instalments[-1].due_on.isoformat(),
    "penalty_amount": lambda told, _: money(told.state.due.penalty_fen),
    "outstanding_principal": _owed_of(Component.PRINCIPAL),
    "pending_principal_amount": _owed_of(Component.PRINCIPAL),
    "pending_principal": _owed_of(Component.PRINCIPAL),
    **dict.fromkeys(_ACCRUED, _accrued),
    "excess_amount": _excess,
    "journal": _journal,
    "status": _status,
    "days_past_due_by_date": _days_late,
    "final_days_past_due": lambda told, _: told.late_on(told.on),
    "days_past_due": lambda told, _: told.late_on(told.on),
    "classification_by_date": _classes,
    "after_disbursement": _line_after(None),
    "after_repayment": _line_after(Kind.REPAYMENT),
    "due_dates": _due_dates,
    "last_interest_accrual_date": lambda told, _: told.state.accrued_to.isoformat(),
}
