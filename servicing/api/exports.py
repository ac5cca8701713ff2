"""Exports: loans, events and entries page by page, a line each, to be kept up to date elsewhere.

The header Next-Cursor says where to go on, now or tomorrow; a page with no line means that there
is nothing new.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field

from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.events import by_whom
from servicing.api.loans import brief
from servicing.api.paging import cursor_of, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import Shape
from servicing.queries import exports, partners

blueprint = APIBlueprint("api_exports", __name__, tag="Exports")

NEXT: Final = "Next-Cursor"
_NDJSON: Final = "application/x-ndjson"
_CSV: Final = "text/csv"
_MEDIA: Final = (_NDJSON, _CSV)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Line = Mapping[str, Any]


class ExportQuery(Shape):
    """Where to go on, how many loans, events or entries at most, and how they are written."""

    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=5000)] = 1000
    format: Literal["ndjson", "csv"] = "ndjson"


@serve(
    blueprint,
    get("/exports/loans", Scope.EXPORTS_READ, None, query=ExportQuery, media=_MEDIA),
)
def export_loans(call: Call, query: ExportQuery) -> Response:
    """Export loans as the book has them, by age; begin anew to see what changed."""
    (after,) = place_of(query.cursor)
    found = partners.loans(call.session, sight=call.sight, after=after, limit=query.limit)
    lines = [brief(loan).model_dump(mode="json") for loan in found]
    return _file(query, lines, place=(found[-1].id,) if found else (after,))


@serve(
    blueprint,
    get("/exports/events", Scope.EXPORTS_READ, None, query=ExportQuery, media=_MEDIA),
)
def export_events(call: Call, query: ExportQuery) -> Response:
    """Export what happened to loans, in the order in which it became known, a minute later."""
    after = place_of(query.cursor, parts=3)
    found = exports.events_after(
        call.session, sight=call.sight, after=after, limit=query.limit, now=call.now
    )
    lines = [
        {
            "loan_no": row.loan_no,
            "seq": row.seq,
            "kind": row.kind,
            "value_date": row.value_date.isoformat(),
            "recorded_at": row.recorded_at.isoformat(),
            "by": by_whom(row.actor),
            "details": row.details,
        }
        for row in found
    ]
    return _file(query, lines, place=found[-1].place if found else after)


@serve(
    blueprint,
    get("/exports/entries", Scope.EXPORTS_READ, None, query=ExportQuery, media=_MEDIA),
)
def export_entries(call: Call, query: ExportQuery) -> Response:
    """Export ledger entries, a line for each leg, a minute after they were recorded."""
    (after,) = place_of(query.cursor)
    found = exports.entries_after(
        call.session, sight=call.sight, after=after, limit=query.limit, now=call.now
    )
    lines = [
        asdict(row)
        | {
            "effective_on": row.effective_on.isoformat(),
            "recorded_at": row.recorded_at.isoformat(),
        }
        for row in found
    ]
    return _file(query, lines, place=(found[-1].entry_id,) if found else (after,))


def _file(query: ExportQuery, lines: Sequence[Line], *, place: tuple[int, ...]) -> Response:
    is_csv = query.format == "csv"
    text = _as_csv(lines) if is_csv else "".join(f"{_json(line)}\n" for line in lines)
    response = Response(text, mimetype=_CSV if is_csv else _NDJSON)
    response.headers[NEXT] = cursor_of(*place)
    return response


def _as_csv(lines: Sequence[Line]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    for index, line in enumerate(lines):
        if index == 0:
            writer.writerow(line)
        writer.writerow(_cells(line.values()))
    return out.getvalue()


def _cells(values: Iterable[Any]) -> list[Any]:
    """Write nested values as JSON, and let no text run as a formula in a spreadsheet."""
    cells = [_json(value) if isinstance(value, dict) else value for value in values]
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
        for cell in cells
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
