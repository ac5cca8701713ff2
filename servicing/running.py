"""Writes down how far a late loan's penalty has run, and reads it again."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from servicing.engine.parts import Parts
from servicing.engine.running import RunningPenalty, RunningRow


def running_to_json(running: RunningPenalty | None) -> dict[str, Any] | None:
    """Write it down."""
    if running is None:
        return None
    return {
        "to": running.to.isoformat(),
        "pauses": [[_iso(first), _iso(last)] for first, last in running.pauses],
        "rates": [[since.isoformat(), str(rate)] for since, rate in running.rates],
        "rows": [_row_to_json(row) for row in running.rows],
    }


def running_from_json(stored: Mapping[str, Any]) -> RunningPenalty:
    """Read it again."""
    return RunningPenalty(
        to=date.fromisoformat(stored["to"]),
        pauses=tuple(
            (date.fromisoformat(first), None if last is None else date.fromisoformat(last))
            for first, last in stored["pauses"]
        ),
        rates=tuple(
            (date.fromisoformat(since), Decimal(rate)) for since, rate in stored.get("rates", ())
        ),
        rows=tuple(_row_from_json(row) for row in stored["rows"]),
    )


def _row_to_json(row: RunningRow) -> dict[str, Any]:
    owed = row.owed
    return {
        "n": row.n,
        "due_on": row.due_on.isoformat(),
        "owed": [owed.principal_fen, owed.interest_fen, owed.fee_fen, owed.penalty_fen],
        "due_penalty_fen": row.due_penalty_fen,
        "exact": str(row.exact),
        "penalised_fen": row.penalised_fen,
    }


def _row_from_json(stored: Mapping[str, Any]) -> RunningRow:
    principal, interest, fee, penalty = stored["owed"]
    return RunningRow(
        n=stored["n"],
        due_on=date.fromisoformat(stored["due_on"]),
        owed=Parts(
            principal_fen=principal, interest_fen=interest, fee_fen=fee, penalty_fen=penalty
        ),
        due_penalty_fen=stored["due_penalty_fen"],
        exact=Decimal(stored["exact"]),
        penalised_fen=stored["penalised_fen"],
    )


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
