"""Keeps what the engine makes of a loan where it can be read and searched: instalments and state.

It is written in the transaction of the event, and holds nothing that a replay would not give.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from servicing.bookkeeping import PayeeShare, Standing, payee_shares
from servicing.engine.state import LoanRow, LoanState
from servicing.lateness import change_row, named_now, rules_on
from servicing.queries.history import planned_rows
from servicing.recognition import all_earned
from servicing.running import running_to_json
from servicing.tables import Instalment, LatenessChange, Loan, LoanPayee, PlanVersion


def project(session: Session, loan: Loan, standing: Standing, *, on: date, now: datetime) -> None:
    """Make a locked loan's instalments and state those of its standing; late as of `on`."""
    rows = standing.state.rows
    known = {
        row.n: row
        for row in session.scalars(
            select(Instalment)
            .where(Instalment.loan_id == loan.id)
            .execution_options(populate_existing=True)
        )
    }
    for row, booked in zip(rows, standing.rows, strict=True):
        values = instalment_values(row, booked, closed_to=standing.closed_to)
        if row.n in known:
            _update(known.pop(row.n), values)
        else:
            session.add(Instalment(loan_id=loan.id, **values))
    for gone in known.values():
        session.delete(gone)
    settled_on = max((row.settled_on for row in rows if row.settled_on is not None), default=on)
    open_dates = [row.due_on for row in rows if row.outstanding.total_fen]
    _project_course(loan, standing.state)
    loan.running = running_to_json(standing.state.running)
    loan.state = "active" if open_dates else "closed"
    loan.settled_on = None if open_dates else settled_on
    loan.credit_fen = standing.state.overpaid_fen
    loan.charged_off_on = standing.state.charged_off_on
    loan.written_off_on = standing.state.written_off_on
    loan.cancelled_on = standing.state.cancelled_on
    # A clock that was set back makes nobody less late than the days that are closed say.
    on = max(on, loan.closed_to)
    first_open = min(open_dates, default=on)
    name_lateness(session, loan, first_open if first_open < on else None, on=on, now=now)


def _project_course(loan: Loan, state: LoanState) -> None:
    """Keep what was lent, and where it did not go as with most loans: all at once, at one rate."""
    draws = [[on.isoformat(), fen] for on, fen in state.disbursed]
    rates = [[since.isoformat(), str(rate)] for since, rate in state.rates]
    loan.principal_fen = sum(fen for _, fen in state.disbursed)
    loan.undrawn_fen = state.undrawn_fen
    loan.draws = draws if draws[1:] else None
    loan.rates = rates or None


def name_lateness(
    session: Session, loan: Loan, late_since: date | None, *, on: date, now: datetime
) -> None:
    """Set since when a locked loan is late and what that is called, and note what has changed."""
    floor = loan.class_floor if loan.state == "active" else None
    named = rules_on(on).standing(late_since=late_since, on=on, floor=floor)
    before = named_now(loan)
    loan.late_since, loan.days_past_due = named.late_since, named.days_past_due
    loan.bucket, loan.five_class, loan.ecl_stage = named.names
    if not named.is_as(before):
        change = change_row(loan.id, named, from_on=on)
        session.add(LatenessChange(**change, recorded_at=now))


def instalment_values(row: LoanRow, booked: LoanRow, *, closed_to: date) -> dict[str, Any]:
    """Return the column values of an instalment, as it stands and as the books have it."""
    found = all_earned(booked, closed_to=closed_to)
    earned = found.parts
    return {
        "n": row.n,
        "kind": row.kind.value,
        "from_on": row.from_on,
        "due_on": row.due_on,
        "principal_fen": row.due.principal_fen,
        "interest_fen": row.due.interest_fen,
        "fee_fen": row.due.fee_fen,
        "penalty_fen": row.due.penalty_fen,
        "paid_principal_fen": row.paid.principal_fen,
        "paid_interest_fen": row.paid.interest_fen,
        "paid_fee_fen": row.paid.fee_fen,
        "paid_penalty_fen": row.paid.penalty_fen,
        "waived_principal_fen": row.waived.principal_fen,
        "waived_interest_fen": row.waived.interest_fen,
        "waived_fee_fen": row.waived.fee_fen,
        "waived_penalty_fen": row.waived.penalty_fen,
        "earned_interest_fen": earned.interest_fen,
        "earned_fee_fen": earned.fee_fen,
        "earned_penalty_fen": earned.penalty_fen,
        "to_others_fen": row.to_others_fen,
        "subsidy_fen": row.subsidy.fen,
        "earned_subsidy_fen": found.subsidy_fen,
        "paid_subsidy_fen": row.subsidy.paid_fen,
        "credited_fen": row.credited_fen,
        "settled_on": row.settled_on if not row.outstanding.total_fen else None,
    }


def keep_plan(
    session: Session, loan: Loan, before: LoanState | None, after: LoanState, *, seq: int,
    now: datetime,
) -> None:  # fmt: skip
    """Keep a plan that differs from the one before it as the next version."""
    rows = plan_rows(after)
    if before is not None and plan_rows(before) == rows:
        return
    loan.plan_version += 1
    session.add(
        PlanVersion(
            loan_id=loan.id,
            version=loan.plan_version,
            from_seq=seq,
            rows=rows,
            recorded_at=now,
        )
    )


def keep_shares(session: Session, loan: Loan, before: Standing | None, after: Standing) -> None:
    """Keep what a loan's fees came to for others, where that has changed."""
    old, new = {} if before is None else payee_shares(before), payee_shares(after)
    for payee in sorted({*old, *new}):
        share = new.get(payee, PayeeShare())
        if share != old.get(payee):
            session.merge(
                LoanPayee(
                    loan_id=loan.id,
                    payee=payee,
                    collected_fen=share.collected_fen,
                    given_back_fen=share.given_back_fen,
                )
            )


def plan_rows(state: LoanState) -> list[list[Any]]:
    """Write a plan down: number, due date, principal, interest and fee of each row."""
    return [
        [row.n, row.due_on.isoformat(), row.principal_fen, row.interest_fen, row.fee_fen]
        for row in planned_rows(state)
    ]


def _update(row: Instalment, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
