"""A table as a history, so that strategies can be tried on it. Files are read where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from risk.features.catalogue import Catalogue, Dimension, Kind
from risk.features.values import CLEAN
from risk.lifecycle.history import History
from risk.strategy.batch import Column
from risk.strategy.lists import ListBook
from risk.training.table import Table, TableInvalid, target_of

_FEN_PER_YUAN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What of a table is what.

    Attributes:
        catalogue: `source` of a dimension is the column of the table.
        amount: The dimension that says what was asked for, in its `unit` of yuan or fen.
        segments: Dimensions to cut a report by.
    """

    catalogue: Catalogue
    target: str
    positive: str | None = None
    amount: str | None = None
    segments: Sequence[str] = ()


def history_of(table: Table, reading: Reading, *, names: Sequence[str], on: date) -> History:
    """Read what judges want; the outcome of every row is known.

    Raises:
        TableInvalid: A column is not there, or a name is not in the catalogue.
    """
    columns = {name: _column(table, reading.catalogue, name) for name in names}
    cuts = {name: _column(table, reading.catalogue, name) for name in reading.segments}
    return History(
        rows=table.rows,
        columns=columns,
        on=on,
        lists=ListBook(names=(), entries=(), on=on),
        is_bad=target_of(table, reading.target, reading.positive),
        amount_fen=_amount(table, reading),
        segments=cuts,
    )


def _amount(table: Table, reading: Reading) -> Any:
    if reading.amount is None:
        return np.full(table.rows, np.nan)
    column = _column(table, reading.catalogue, reading.amount)
    unit = reading.catalogue.by_name[reading.amount].unit
    return np.round(column * (_FEN_PER_YUAN if unit == "yuan" else 1))


def _column(table: Table, catalogue: Catalogue, name: str) -> Column:
    if name not in catalogue.by_name:
        raise TableInvalid(f"the catalogue does not name {name}")
    dimension = catalogue.by_name[name]
    return _of_kind(table.column(dimension.source), dimension)


def _of_kind(column: Column, dimension: Dimension) -> Column:
    if dimension.kind is Kind.NUMBER and column.dtype != object:
        return column
    cells = column.tolist()
    if dimension.kind is Kind.TEXT:
        texts = [None if cell is None or cell != cell else str(cell) for cell in cells]  # noqa: PLR0124 -- only NaN differs from itself
        return np.array(texts, dtype=object)
    clean = CLEAN[dimension.kind]
    return np.array([clean(cell) for cell in cells], dtype=np.float64)
