"""A table out of a CSV file: columns of numbers or texts, and a stable split of its rows.

Files are read where they lie and never copied. A column of numbers is float64 with NaN where a cell
is empty or no number; any other column is texts with None where empty.
"""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernel.errors import Invalid

Column = NDArray[Any]

_EMPTY: Final = frozenset({"", "NA", "NaN", "nan", "null", "None", "?"})
_SPLIT_BYTES: Final = 8


class TableInvalid(Invalid):
    """The file is no table, or lacks a column that was asked for."""

    code = "table-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns by name.

    Attributes:
        chance: For each row a number in [0, 1) by the hash of its text: the same rows fall on the
            same side of a split, whatever the order of the file, duplicates too.
        digest: sha256 of the file.
    """

    columns: Mapping[str, Column]
    chance: NDArray[np.float64]
    digest: str

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.chance)

    def column(self, name: str) -> Column:
        """Return a column.

        Raises:
            TableInvalid: There is none of that name.
        """
        if name not in self.columns:
            raise TableInvalid(f"no column {name}; there are {', '.join(self.columns)}")
        return self.columns[name]

    def some(self, where: NDArray[np.bool_]) -> "Table":
        """Keep some rows."""
        columns = {name: column[where] for name, column in self.columns.items()}
        return Table(columns=columns, chance=self.chance[where], digest=self.digest)


def read_table(path: Path, *, sep: str = ",", has_header: bool = True) -> Table:
    """Read a file; without a header columns are named c1, c2 and so on.

    Args:
        path: A CSV file in UTF-8.
        sep: One sign; a space stands for any number of spaces.
        has_header: The first line names the columns.

    Raises:
        TableInvalid: It holds no rows, or rows of different widths.
    """
    raw = path.read_bytes()
    lines = [line for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    cells = list(_cells(lines, sep))
    names = cells.pop(0) if has_header and cells else [f"c{n + 1}" for n in range(_width(cells))]
    texts = lines[1:] if has_header else lines
    if not cells or any(len(row) != len(names) for row in cells):
        raise TableInvalid(f"{path.name} holds no rows, or rows of different widths")
    return Table(
        columns={
            name.strip(): _column([row[n].strip() for row in cells]) for n, name in enumerate(names)
        },
        chance=np.fromiter(map(_chance, texts), np.float64, len(texts)),
        digest=hashlib.sha256(raw).hexdigest(),
    )


def target_of(table: Table, name: str, positive: str | None) -> NDArray[np.float64]:
    """Read what is to be told: 1 where bad, 0 where good.

    Args:
        table: See there.
        name: The column.
        positive: What stands for bad; 1 unless given.

    Raises:
        TableInvalid: No such column, or all rows are the same.
    """
    column = table.column(name)
    if column.dtype == object:
        found = np.array([value == (positive or "1") for value in column], dtype=np.float64)
    else:
        found = (column == float(positive or 1)).astype(np.float64)
    if not 0 < found.sum() < len(found):
        raise TableInvalid(f"{name} never or always is {positive or 1}")
    return found


def _cells(lines: Sequence[str], sep: str) -> Iterator[list[str]]:
    if sep == " ":
        yield from (line.split() for line in lines)
    else:
        yield from csv.reader(lines, delimiter=sep)


def _width(cells: Sequence[Sequence[str]]) -> int:
    return len(cells[0]) if cells else 0


def _column(cells: Sequence[str]) -> Column:
    """Make numbers of a column if every cell that is not empty is one."""
    found = np.full(len(cells), np.nan)
    try:
        for n, cell in enumerate(cells):
            if cell not in _EMPTY:
                found[n] = float(cell)
    except ValueError:
        return np.array([None if cell in _EMPTY else cell for cell in cells], dtype=object)
    return found


def _chance(line: str) -> float:
    head = hashlib.sha256(line.encode()).digest()[:_SPLIT_BYTES]
    return float(int.from_bytes(head, "big") / 2.0 ** (8 * _SPLIT_BYTES))
