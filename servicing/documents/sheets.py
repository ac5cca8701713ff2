"""Tables as files for spreadsheets: CSV and XLSX. It knows no loan."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from kernel.money import plain_yuan


@dataclass(frozen=True, slots=True)
class Yuan:
    """A cell that holds money, given in fen."""

    fen: int


Cell = int | str | date | Yuan


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Write a CSV file that spreadsheets take for UTF-8; cells are ours, none can be a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([[_text(cell) for cell in row] for row in rows])
    return out.getvalue().encode("utf-8-sig")


def xlsx(title: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Write a workbook of one sheet, with numbers and dates as such."""
    from xlsxwriter import Workbook  # noqa: PLC0415 -- loaded by who needs it

    out = io.BytesIO()
    with Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet(title)
        bold = book.add_format({"bold": True, "bottom": 1})
        money = book.add_format({"num_format": "#,##0.00"})
        day = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
        sheet.write_row(0, 0, header, bold)
        for y, row in enumerate(rows, 1):
            for x, cell in enumerate(row):
                if isinstance(cell, Yuan):
                    sheet.write_number(y, x, Decimal(cell.fen) / 100, money)
                elif isinstance(cell, date):
                    sheet.write_datetime(y, x, cell, day)
                else:
                    sheet.write(y, x, cell)
        sheet.set_column(0, len(header) - 1, 12)
        sheet.freeze_panes(1, 0)
    return out.getvalue()


def _text(cell: Cell) -> str:
    return plain_yuan(cell.fen) if isinstance(cell, Yuan) else str(cell)
