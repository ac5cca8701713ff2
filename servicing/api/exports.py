"""Exports: loans, plans, what is overdue, events, entries, what payees get: to be kept elsewhere.

A page is sent line by line as it is read. The header Next-Cursor says where to go on, now or
tomorrow, and Has-More whether there is more already.

    ExportTooLong  422  a workbook holds fewer lines than a page may
"""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field
from sqlalchemy.orm import Session

from kernel.clock import end_of_day
from kernel.errors import Invalid
from kernel.runtime import Runtime
from servicing.api.documented import Documented, get
from servicing.api.door import Call, serve
from servicing.api.events import by_whom
from servicing.api.loans import AsOfQuery, DayAhead, InstalmentAnswer, LoanAnswer, past_days, stood
from servicing.api.paging import CursorUnknown, cursor_of, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import Shape
from servicing.documents import sheets
from servicing.queries import exports
from servicing.queries.exports import Place
from servicing.tables import Loan

blueprint = APIBlueprint("api_exports", __name__, tag="Exports")

NEXT: Final = "Next-Cursor"
MORE: Final = "Has-More"
RATE: Final = "60/minute"

_NDJSON: Final = "application/x-ndjson"
_CSV: Final = "text/csv"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_AT_ONCE: Final = 200
_MOST: Final = 50_000
_MOST_IN_A_WORKBOOK: Final = 5_000
_OF_OVERDUE: Final = (
    *("loan_no", "customer_id", "as_of", "known_on", "status", "late_since", "days_past_due"),
    *("bucket", "five_class", "class_reasons", "ecl_stage", "is_restructured", "observed_until"),
    *("bureau_marks", "overdue"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Line = Mapping[str, Any]
Read = Callable[[Session, Sequence[Place]], Iterable[Line]]


class ExportTooLong(Invalid):
    """A workbook is made of at most 5,000 loans, events or entries; other formats take more."""

    code = "export-too-long"
    message_zh = "Excel 导出每次最多 5000 条"


class ExportQuery(Shape):
    """Where to go on, how many loans, events or entries at most, and how they are written."""

    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=_MOST)] = 1000
    format: Literal["ndjson", "csv", "xlsx"] = "ndjson"


class LoansQuery(ExportQuery, AsOfQuery):
    """The same, as of which day and as known on which."""


def _columns(shape: type[Shape], members: Collection[str]) -> Iterator[str]:
    """Name the columns in which `_flat` writes these members of a shape."""
    for name, member in shape.model_fields.items():
        parts = member.annotation
        if name not in members:
            continue
        if isinstance(parts, type) and issubclass(parts, Shape):
            yield from (f"{name}_{part}" for part in parts.model_fields)
        else:
            yield name


def _named(row: type[Any]) -> list[str]:
    return [each.name for each in fields(row)]


_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "loans": [*_columns(LoanAnswer, LoanAnswer.model_fields.keys() - {"plan"}), "terms"],
    "plans": ["loan_no", *_columns(InstalmentAnswer, InstalmentAnswer.model_fields)],
    "overdue": [
        *_columns(LoanAnswer, _OF_OVERDUE),
        *("is_beyond_grace", "remaining_principal_fen"),
    ],
    "events": [*(name for name in _named(exports.EventRow) if name != "actor"), "by"],
    "entries": _named(exports.EntryRow),
    "payables": _named(exports.PayableRow),
}
"""The columns of a file in their order; one without a line has them too."""


def _export(what: str, query: type[ExportQuery], **given: Any) -> Documented:
    refuses = (CursorUnknown, ExportTooLong, *given.pop("refuses", ()))
    return get(
        f"/exports/{what}",
        Scope.EXPORTS_READ,
        None,
        query=query,
        media=(_NDJSON, _CSV, _XLSX),
        headers=(NEXT, MORE),
        rate=RATE,
        refuses=refuses,
        **given,
    )


@serve(blueprint, _export("loans", LoansQuery, refuses=(DayAhead,)))
def export_loans(call: Call, query: LoansQuery) -> Response:
    """Export loans and what they owe, as of a day, as known on a day."""
    return _of_loans(call, query, "loans", _loan_lines)


@serve(blueprint, _export("plans", LoansQuery, refuses=(DayAhead,)))
def export_plans(call: Call, query: LoansQuery) -> Response:
    """Export plans as they stood on a day, as known on a day, a line for each instalment."""
    return _of_loans(call, query, "plans", _plan_lines)


@serve(blueprint, _export("overdue", LoansQuery, refuses=(DayAhead,)))
def export_overdue(call: Call, query: LoansQuery) -> Response:
    """Export the loans that were overdue on a day, as known on a day; `limit` counts all loans."""
    return _of_loans(call, query, "overdue", _overdue_lines)


@serve(blueprint, _export("events", ExportQuery))
def export_events(call: Call, query: ExportQuery) -> Response:
    """Export what happened to loans, in the order in which it became known, a minute later."""
    after = place_of(query.cursor, parts=3)
    places = exports.event_places(
        call.session, sight=call.sight, after=after, limit=query.limit + 1, now=call.now
    )
    return _file(call, query, "events", places, after, _event_lines)


@serve(blueprint, _export("entries", ExportQuery))
def export_entries(call: Call, query: ExportQuery) -> Response:
    """Export ledger entries, a line for each leg, a minute after they were recorded."""
    after = place_of(query.cursor)
    places = exports.entry_places(
        call.session, sight=call.sight, after=after, limit=query.limit + 1, now=call.now
    )
    return _file(call, query, "entries", places, after, _entry_lines)


@serve(blueprint, _export("payables", ExportQuery))
def export_payables(call: Call, query: ExportQuery) -> Response:
    """Export what was collected for payees, and what of it went back, a minute after it was booked.

    `amount_fen` is what the payee gets; below 0, what they give back.
    """
    after = place_of(query.cursor)
    places = exports.payable_places(
        call.session, sight=call.sight, after=after, limit=query.limit + 1, now=call.now
    )
    return _file(call, query, "payables", places, after, _payable_lines)


def _of_loans(
    call: Call,
    query: LoansQuery,
    what: str,
    lines_of: Callable[[Loan, LoanAnswer], Iterable[Line]],
) -> Response:
    on, known_on = past_days(call, query)
    known_at: datetime = end_of_day(known_on)
    after = place_of(query.cursor)

    def read(session: Session, places: Sequence[Place]) -> Iterator[Line]:
        for loan, state, called in exports.loans_at(session, places, on=on, known_at=known_at):
            yield from lines_of(loan, stood(loan, state, called, known_on))

    places = exports.loan_places(
        call.session, sight=call.sight, after=after, limit=query.limit + 1, now=call.now
    )
    return _file(call, query, what, places, after, read)


def _loan_lines(loan: Loan, told: LoanAnswer) -> Iterator[Line]:
    yield _flat(told.model_dump(mode="json", exclude={"plan"}) | {"terms": loan.terms})


def _plan_lines(loan: Loan, told: LoanAnswer) -> Iterator[Line]:
    for row in told.plan:
        yield _flat({"loan_no": loan.loan_no, **row.model_dump(mode="json")})


def _overdue_lines(_loan: Loan, told: LoanAnswer) -> Iterator[Line]:
    if told.overdue.total_fen:
        yield _flat(
            told.model_dump(mode="json", include=set(_OF_OVERDUE))
            | {
                "is_beyond_grace": not told.is_within_grace,
                "remaining_principal_fen": told.remaining.principal_fen,
            }
        )


def _event_lines(session: Session, places: Sequence[Place]) -> Iterator[Line]:
    for row in exports.events_at(session, places):
        line = asdict(row) | {"by": by_whom(row.actor)}
        del line["actor"]
        yield line


def _entry_lines(session: Session, places: Sequence[Place]) -> Iterator[Line]:
    return (asdict(row) for row in exports.entries_at(session, places))


def _payable_lines(session: Session, places: Sequence[Place]) -> Iterator[Line]:
    return (asdict(row) for row in exports.payables_at(session, places))


def _flat(line: Line) -> Line:
    """Write amounts by component as members of the line itself: due.fee_fen becomes due_fee_fen.

    Words of a list stand in one text, with blanks between them.
    """
    flat: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{part}": fen for part, fen in value.items()}
        else:
            flat[name] = " ".join(value) if isinstance(value, list) else value
    return flat


def _file(
    call: Call,
    query: ExportQuery,
    what: str,
    places: Sequence[Place],
    after: Place,
    read: Read,
) -> Response:
    """Answer a page of places, of which there is one more if there is more to come."""
    page, has_more = places[: query.limit], len(places) > query.limit
    lines = _lines(call.runtime, page, read)
    if query.format == "xlsx":
        if len(page) > _MOST_IN_A_WORKBOOK:
            raise ExportTooLong(f"a workbook holds {_MOST_IN_A_WORKBOOK} at most")
        response = Response(_as_workbook(_COLUMNS[what], lines), mimetype=_XLSX)
    elif query.format == "csv":
        response = Response(_as_csv(_COLUMNS[what], lines), mimetype=_CSV)
    else:
        response = Response((f"{_json(line)}\n" for line in lines), mimetype=_NDJSON)
    response.headers[NEXT] = cursor_of(*(page[-1] if page else after))
    response.headers[MORE] = "true" if has_more else "false"
    return response


def _lines(runtime: Runtime, page: Sequence[Place], read: Read) -> Iterator[Line]:
    """Read some lines at a time; the answer is on its way when the view's own session has ended."""
    with runtime.database.read() as session:
        for first in range(0, len(page), _AT_ONCE):
            yield from read(session, page[first : first + _AT_ONCE])
            session.expunge_all()


def _as_csv(columns: Sequence[str], lines: Iterable[Line]) -> Iterator[str]:
    yield _row(columns)
    for line in lines:
        yield _row(_cells(line))


def _row(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cells(line: Line) -> list[Any]:
    """Write nested values as JSON, and let no text run as a formula in a spreadsheet."""
    cells = [_plain(value) for value in line.values()]
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
        for cell in cells
    ]


def _as_workbook(columns: Sequence[str], lines: Iterable[Line]) -> bytes:
    return sheets.xlsx("Fenqi", columns, [_cells(line) for line in lines])


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, date | datetime):
        return value.isoformat()
    return _json(value) if isinstance(value, dict) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=date.isoformat)
