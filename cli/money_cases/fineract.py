"""Runs cases of the first anchor system, and writes a loan as its tables do."""

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any, Final

from cli.money_cases.fineract_events import SPOKEN, Story, tell
from cli.money_cases.fineract_journal import journal
from cli.money_cases.fineract_terms import terms_of
from cli.money_cases.reading import Json, NotCovered, money, reading
from servicing.engine.book import Kind, Record, RowKind, Status
from servicing.engine.delinquency import Range, lateness, row_lateness
from servicing.engine.events import CloseOfDay, Disbursement, LatenessPause, LatenessResume
from servicing.engine.parts import NOTHING
from servicing.engine.payments import EventRefused
from servicing.engine.replay import replay
from servicing.engine.state import LoanRow, LoanState

_RANGES: Final = (
    Range(name="RANGE_1", first=1, last=3),
    Range(name="RANGE_3", first=4, last=30),
    Range(name="RANGE_30", first=31, last=60),
    Range(name="RANGE_60", first=61, last=90),
    Range(name="RANGE_90", first=91, last=120),
    Range(name="RANGE_120", first=121, last=150),
    Range(name="RANGE_150", first=151, last=180),
    Range(name="RANGE_180", first=181, last=240),
    Range(name="RANGE_240", first=241),
)
_KEEPS_RANGE: Final = (CloseOfDay, LatenessPause, LatenessResume)
_NO_RANGE: Final = "NO_DELINQUENCY"


def compute(case: Json) -> list[dict[str, Any]]:
    """Return what comes out at each point of a case where something is expected."""
    config = case["terms"].get("product_config") or {}
    steps = list(case["events"])
    with reading("in the terms"):
        terms = terms_of(case["terms"], config, steps, _begins_on(case["expected"]))
        story = Story(terms=terms, config=config)
    points = sorted(enumerate(case["expected"]), key=lambda item: item[1]["after_event"])
    found: dict[int, dict[str, Any]] = {}
    told = 0
    for index, expected in points:
        if not told <= int(expected["after_event"]) <= len(steps):
            raise NotCovered(f"what comes after step {expected['after_event']}")
        for number in range(told + 1, int(expected["after_event"]) + 1):
            with reading("in a step"):
                tell(story, steps[number - 1], number)
        told = max(told, int(expected["after_event"]))
        found[index] = _at(story, expected)
    return [found[index] for index in range(len(points))]


def _begins_on(points: list[Json]) -> str | None:
    """Read when the first period begins where a case shows it: no more than its days is taken.

    A case that was computed for given periods has them nowhere else.
    """
    rows = [row for point in points for row in point.get("schedule") or []]
    return next(
        (row["from_date"] for row in rows if row.get("n") == 1 and "from_date" in row), None
    )


def _at(story: Story, expected: Json) -> dict[str, Any]:
    on = story.known_on
    state = plan = replay(story.terms, story.events, on)
    is_drawn = any(isinstance(event, Disbursement) for event in story.events)
    if not is_drawn and ("schedule" in expected or "total" in expected):
        plan = _planned(story, on)
    rows = "type" in (expected.get("schedule") or [{}])[0]
    view = {
        "after_event": expected["after_event"],
        "schedule": _schedule(plan, with_disbursements=rows),
        "total": _total(plan),
        "transactions": [_transaction(record) for record in state.records],
        "transactions_include": [_transaction(record) for record in state.records],
        "status": _status(story, state),
        "outstanding_amount": money(state.outstanding.total_fen),
        "overpaid_amount": money(state.overpaid_fen),
        "journal": journal(state.records, story.frauds),
        **_lateness(story, state),
    }
    if story.config.get("installment_level_delinquency") is False:
        view["delinquency_installment"] = []
    if "must_reject" in expected:
        view["must_reject"] = expected["must_reject"] if _rejects(story, expected) else None
    unknown = [name for name in expected if name not in view]
    if unknown:
        raise NotCovered(f"what is expected as {unknown[0]}")
    return {name: view[name] for name in expected}


def _status(story: Story, state: LoanState) -> str:
    if state.status is Status.APPROVED and story.approved_on is None:
        return "submitted and pending approval"
    return "obligations met" if state.status is Status.CLOSED else state.status.value


def _planned(story: Story, on: date) -> LoanState:
    """Return the loan as it would be if it was paid out as applied for, or approved since."""
    terms = story.terms
    start_on = story.approved_on or terms.start_on
    amount = story.approved_fen or terms.principal_fen
    draw = Disbursement(id="planned", on=start_on, amount_fen=amount)
    return replay(terms, [*story.events, draw], max(on, start_on))


def _rejects(story: Story, expected: Json) -> bool:
    tried = Story(
        terms=story.terms,
        config=story.config,
        today=story.today,
        known_on=story.known_on,
        events=list(story.events),
        processed=list(story.processed),
        repayments=list(story.repayments),
        counts_repayments=story.counts_repayments,
    )
    try:
        tell(tried, expected["must_reject"], len(tried.events) + 1000)
        replay(tried.terms, tried.events, tried.known_on)
    except EventRefused:
        return True
    return False


def _schedule(state: LoanState, *, with_disbursements: bool) -> list[dict[str, Any]]:
    lines: list[tuple[date, int, dict[str, Any]]] = []
    if with_disbursements:
        fees = Counter[date]()
        for on, fen in state.fees_at_disbursement:
            fees[on] += fen
        lines += [(on, 0, _disbursement(on, fen, fees[on])) for on, fen in state.disbursed]
    lines += [(row.due_on, _place(state, row), _row(row)) for row in state.rows]
    return [line for _, _, line in sorted(lines, key=lambda item: item[:2])]


def _place(state: LoanState, row: LoanRow) -> int:
    """Put a row after what is disbursed on its day, unless that has its down payment after it."""
    downs = [
        other
        for other in state.rows
        if other.kind is RowKind.DOWN_PAYMENT and other.due_on == row.due_on and other.n > row.n
    ]
    return -1 if downs and row.kind is not RowKind.DOWN_PAYMENT else 1


def _disbursement(on: date, fen: int, fee: int) -> dict[str, Any]:
    line = {"type": "disbursement", "date": on.isoformat(), "amount": money(fen)}
    return line | {"fees": money(fee), "due": money(fee), "paid": money(fee)}


def _row(row: LoanRow) -> dict[str, Any]:
    due = row.due
    return {
        "n": row.n,
        "days": row.days,
        "from_date": row.from_on.isoformat(),
        "due_date": row.due_on.isoformat(),
        "paid_date": row.settled_on.isoformat() if row.settled_on else None,
        "balance": money(row.balance_fen),
        "principal": money(due.principal_fen),
        "interest": money(due.interest_fen),
        "fees": money(due.fee_fen),
        "penalties": money(due.penalty_fen),
        "due": money(due.total_fen),
        "instalment": money(due.total_fen),
        "paid": money(row.paid.total_fen),
        "paid_in_advance": money(row.advance_fen),
        "paid_late": money(row.late_fen),
        "waived": money(row.waived.total_fen),
        "outstanding": money(row.outstanding.total_fen),
    }


def _total(state: LoanState) -> dict[str, Any]:
    due, fees = state.due, sum(fen for _, fen in state.fees_at_disbursement)
    return {
        "principal": money(due.principal_fen),
        "interest": money(due.interest_fen),
        "fees": money(due.fee_fen + fees),
        "penalties": money(due.penalty_fen),
        "due": money(due.total_fen + fees),
        "paid": money(state.paid.total_fen + fees),
        "paid_in_advance": money(sum(row.advance_fen for row in state.rows)),
        "paid_late": money(sum(row.late_fen for row in state.rows)),
        "waived": money(sum(row.waived.total_fen for row in state.rows)),
        "outstanding": money(state.outstanding.total_fen),
    }


def _transaction(record: Record) -> dict[str, Any]:
    parts = NOTHING if record.kind is Kind.CHARGE_WAIVER else record.parts
    return {
        "date": record.on.isoformat(),
        "type": SPOKEN.get(record.kind, record.kind.value),
        "amount": money(record.amount_fen),
        "principal": money(parts.principal_fen),
        "interest": money(parts.interest_fen),
        "fees": money(parts.fee_fen),
        "penalties": money(parts.penalty_fen),
        "loan_balance": money(record.balance_fen),
        "overpayment": money(record.overpaid_fen),
        "reverted": record.is_reversed,
    }


def _lateness(story: Story, state: LoanState) -> dict[str, Any]:
    """Say how late the loan is today, in the range that it was put into last."""
    today = replay(story.terms, story.events, max(state.on, story.today))
    late = lateness(_with_charge_backs(today), _RANGES)
    put = _with_charge_backs(_classified(story, state))
    name = lateness(put, _RANGES).range_name if late.overdue_fen else None
    since = late.delinquent_since
    rows = [row for row in row_lateness(put, _RANGES) if row.range_name and name]
    return {
        "delinquency": {
            "range": name or _NO_RANGE,
            "date": since.isoformat() if since and name else None,
        },
        "delinquency_loan": [
            {
                "classification": name or _NO_RANGE,
                "delinquentAmount": money(late.overdue_fen),
                "delinquentDate": since.strftime("%d %B %Y") if since else None,
                "delinquentDays": late.delinquent_days,
                "pastDueDays": late.days_past_due,
            }
        ],
        "delinquency_installment": _by_range(
            [(row.range_name or "", row.overdue_fen) for row in rows]
        ),
    }


def _with_charge_backs(state: LoanState) -> LoanState:
    """Let an overdue instalment be late since a payment was taken back on it and is not paid."""
    backs = [r.on for r in state.records if r.kind is Kind.CHARGE_BACK and not r.is_reversed]
    rows = []
    for row in state.rows:
        since = [on for on in backs if row.from_on < on <= row.due_on < state.on]
        is_open = row.outstanding.principal_fen > row.due.principal_fen - row.credited_fen
        rows.append(replace(row, due_on=min(since)) if since and is_open else row)
    return replace(state, rows=tuple(rows))


def _classified(story: Story, state: LoanState) -> LoanState:
    """Return the loan as it was when it was classified last.

    Money always classifies it, a close of day only while counting is not paused.
    """
    for told, on in reversed(story.processed):
        then = replay(story.terms, story.events[:told], on)
        is_money = not isinstance(story.events[told - 1], _KEEPS_RANGE)
        if is_money or not any(
            first <= on and (last is None or on <= last) for first, last in then.lateness_pauses
        ):
            return then
    return state


def _by_range(late: list[tuple[str, int]]) -> list[dict[str, Any]]:
    sums = Counter[str]()
    for name, fen in late:
        sums[name] += fen
    names = [candidate.name for candidate in _RANGES]
    return [
        {"rangeId": names.index(name) + 1, "Range": name, "Amount": money(sums[name])}
        for name in sorted(sums, key=names.index)
    ]
