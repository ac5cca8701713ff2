"""Long lists on the web: a page at a time on the screen, the whole of it as a file.

It knows no list; areas hand in counts and rows.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, request, stream_with_context, url_for

PAGE_ROWS: Final = 50

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a long list."""

    number: int
    total: int
    rows: int = PAGE_ROWS

    @property
    def last(self) -> int:
        """Number of the last page, at least 1."""
        return max(1, -(-self.total // self.rows))

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.rows

    def url(self, number: int) -> str:
        """Return the address of another page of the same list."""
        arguments: dict[str, Any] = request.args.to_dict() | (request.view_args or {})
        return url_for(str(request.endpoint), **arguments | {"page": number})


def page_of(total: int) -> Page:
    """Return the page that the request asks for, kept within the list."""
    asked = request.args.get("page", 1, type=int)
    last = Page(number=1, total=total).last
    return Page(number=min(max(asked, 1), last), total=total)


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Response:
    """Stream rows as a CSV file that a spreadsheet opens without running anything in it.

    Args:
        name: The file's name, without its ending.
        header: Names of the columns.
        rows: Cells as texts; read while the answer is being sent.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    lines = stream_with_context(_lines(header, rows))
    return Response(lines, mimetype="text/csv; charset=utf-8", headers=headers)


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "\ufeff"  # spreadsheets take UTF-8 for what it is only with this mark
    yield _line(header)
    for row in rows:
        yield _line(row)


def _line(cells: Sequence[str]) -> str:
    # A cell that begins like a formula would be run by a spreadsheet.
    harmless = [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]
    out = io.StringIO()
    csv.writer(out).writerow(harmless)
    return out.getvalue()
