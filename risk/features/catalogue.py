"""The catalogue: every dimension that a strategy or a model may name, one line each.

It says what a value is and what it may be used for; it holds no values. The file is CSV in UTF-8
whose first line is `# version 2026.11`, so that a change of a dimension is a change of one line.

    CatalogueInvalid  422  a line cannot be read; every bad line is named
"""

import csv
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from kernel.errors import Invalid

CORE: Final = Path(__file__).with_name("catalogue.csv")

_VERSION: Final = re.compile(r"# version (?P<version>[0-9]{4}\.[0-9]{1,2}(?:\.[0-9]+)?)")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_WINDOW: Final = re.compile(r"[1-9][0-9]*(?:min|h|d|m)")
_RANGE: Final = re.compile(r"(?P<low>-?[0-9]+(?:\.[0-9]+)?)?\.\.(?P<high>-?[0-9]+(?:\.[0-9]+)?)?")
_SEPARATOR: Final = " "


class CatalogueInvalid(Invalid):
    """The catalogue file cannot be read; `problems` names each line and column."""

    code = "catalogue-invalid"
    message_zh = "特征目录文件有误，请按提示逐行修改"


class Kind(StrEnum):
    """What a value is."""

    NUMBER = "number"
    TRUTH = "truth"
    DAY = "day"
    TEXT = "text"


class Bounds(NamedTuple):
    """Both ends of a range, within it; infinite where it is open."""

    low: float
    high: float


class Store(StrEnum):
    """How a value travels: `exact` as float64, `coarse` as float32, `fresh` with the request.

    Rules compare exact and fresh values only, because float32(0.7) is less than 0.7.
    """

    EXACT = "exact"
    COARSE = "coarse"
    FRESH = "fresh"


class Use(StrEnum):
    """What a dimension may be used for."""

    CREDIT = "credit"
    PRICE = "price"
    FRAUD = "fraud"
    MONITORING = "monitoring"
    COLLECTION = "collection"
    MARKETING = "marketing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One line of the catalogue.

    Attributes:
        name: Lower-case words joined by underscores; a unit comes last (`income_monthly_fen`).
        label: What analysts call it, in Chinese.
        unit: As `fen`, `days`, `count`, `share`; empty where there is none.
        window: The time it looks back, as `30min`, `24h`, `30d`, `12m`; empty for a state.
        source: Who knows it, as `application`, `own`, `bureau`, `device`.
        legal_basis: Why it may be processed at all, by clause.
        allowed_uses: What it may serve; a strategy for credit names only what allows credit.
        is_supporting: It may ask for a review, and never declines alone (links, a face score).
        choices: All values that a text may take; empty where any text is possible.
        bounds: The range of a number, which the file gives in the column of choices, as `0..1`,
            `0..` or `..9`; None where any number is possible.
    """

    name: str
    label: str
    kind: Kind
    unit: str
    window: str
    store: Store
    source: str
    legal_basis: str
    allowed_uses: frozenset[Use]
    is_supporting: bool
    choices: tuple[str, ...]
    bounds: Bounds | None = None


COLUMNS: Final = tuple(field.name for field in fields(Dimension) if field.name != "bounds")


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All dimensions of a version, in the order of the file, which is the order in blobs."""

    version: str
    dimensions: tuple[Dimension, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Dimension]:
        """Find dimensions by name."""
        return MappingProxyType({dimension.name: dimension for dimension in self.dimensions})

    @cached_property
    def digest(self) -> str:
        """The sha256 of what is said, whatever the spacing of the file."""
        return hashlib.sha256("\n".join(written(self)).encode()).hexdigest()

    def stored(self, store: Store) -> tuple[str, ...]:
        """Name the dimensions that travel in one way, in order."""
        return tuple(each.name for each in self.dimensions if each.store is store)


def read_catalogue(path: Path = CORE) -> Catalogue:
    """Read a catalogue file.

    Raises:
        CatalogueInvalid: Some lines cannot be read.
    """
    return parse_catalogue(path.read_text(encoding="utf-8").splitlines())


def parse_catalogue(lines: Iterable[str]) -> Catalogue:
    """Read the lines of a catalogue file.

    Raises:
        CatalogueInvalid: `problems` holds one text per mistake, beginning with `line N:`.
    """
    first, header, *rest = [*lines, "", ""]
    problems: list[str] = []
    match = _VERSION.fullmatch(first.strip())
    if match is None:
        problems.append("line 1: expected `# version YYYY.MM`")
    if tuple(next(csv.reader([header]), [])) != COLUMNS:
        problems.append(f"line 2: expected the columns {','.join(COLUMNS)}")
    if match is None or problems:
        raise _refused(problems)
    dimensions = tuple(_dimensions(rest, problems))
    if problems:
        raise _refused(problems)
    return Catalogue(version=match["version"], dimensions=dimensions)


def written(catalogue: Catalogue) -> Iterator[str]:
    """Write a catalogue as the lines of its file."""
    yield f"# version {catalogue.version}"
    yield ",".join(COLUMNS)
    for dimension in catalogue.dimensions:
        yield ",".join(_quoted(cell) for cell in _cells(dimension))


def _cells(dimension: Dimension) -> tuple[str, ...]:
    return (
        dimension.name,
        dimension.label,
        dimension.kind,
        dimension.unit,
        dimension.window,
        dimension.store,
        dimension.source,
        dimension.legal_basis,
        _SEPARATOR.join(sorted(dimension.allowed_uses)),
        "yes" if dimension.is_supporting else "no",
        _SEPARATOR.join(dimension.choices) + _range_text(dimension.bounds),
    )


def _range_text(bounds: Bounds | None) -> str:
    ends = ("" if math.isinf(end) else repr(end).removesuffix(".0") for end in bounds or ())
    return "..".join(ends)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"') else cell


def _dimensions(lines: list[str], problems: list[str]) -> Iterator[Dimension]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=3):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if len(cells) != len(COLUMNS):
            problems.append(f"line {number}: {len(cells)} cells where {len(COLUMNS)} are needed")
            continue
        found = list(_mistakes(dict(zip(COLUMNS, cells, strict=True))))
        if cells[0] in seen:
            found.append(f"name {cells[0]!r} stands on line {seen[cells[0]]} already")
        seen.setdefault(cells[0], number)
        problems += [f"line {number}: {text}" for text in found]
        if not found:
            yield _dimension(cells)


def _mistakes(row: Mapping[str, str]) -> Iterator[str]:
    if not _NAME.fullmatch(row["name"]):
        yield f"name {row['name']!r} is not lower-case words joined by underscores"
    for column in ("label", "source", "legal_basis"):
        if not row[column]:
            yield f"{column} is empty"
    if row["window"] and not _WINDOW.fullmatch(row["window"]):
        yield f"window {row['window']!r} is not like 30min, 24h, 30d or 12m"
    yield from _strange_words(row)
    if row["is_supporting"] not in {"yes", "no"}:
        yield f"is_supporting {row['is_supporting']!r} is neither yes nor no"
    if row["choices"]:
        yield from _mistakes_of_choices(row["kind"], row["choices"])
    yield from _mistakes_of_travel(row["kind"], row["store"])


def _mistakes_of_choices(kind: str, choices: str) -> Iterator[str]:
    if kind not in {Kind.TEXT, Kind.NUMBER}:
        yield "choices are for texts and numbers only"
    elif kind == Kind.NUMBER and _bounds(choices) is None:
        yield f"choices {choices!r} are no range like 0..1, 0.. or ..9"


def _bounds(text: str) -> Bounds | None:
    match = _RANGE.fullmatch(text)
    if match is None or text == "..":
        return None
    found = Bounds(float(match["low"] or "-inf"), float(match["high"] or "inf"))
    return found if found.low <= found.high else None


def _strange_words(row: Mapping[str, str]) -> Iterator[str]:
    words: list[tuple[str, str, type[StrEnum]]] = [
        ("kind", row["kind"], Kind),
        ("store", row["store"], Store),
        *(("allowed_uses", use, Use) for use in row["allowed_uses"].split(_SEPARATOR)),
    ]
    for column, word, known in words:
        if word not in set(known):
            yield f"{column} {word!r} is none of {', '.join(known)}"


def _mistakes_of_travel(kind: str, store: str) -> Iterator[str]:
    if kind == Kind.TEXT and store in {Store.EXACT, Store.COARSE}:
        yield "a text travels fresh; a blob holds numbers"
    if kind == Kind.DAY and store == Store.COARSE:
        yield "a day does not fit into float32"


def _dimension(cells: list[str]) -> Dimension:
    name, label, kind, unit, window, store, source, basis, uses, supporting, choices = cells
    is_text = kind == Kind.TEXT
    return Dimension(
        name=name,
        label=label,
        kind=Kind(kind),
        unit=unit,
        window=window,
        store=Store(store),
        source=source,
        legal_basis=basis,
        allowed_uses=frozenset(Use(use) for use in uses.split(_SEPARATOR)),
        is_supporting=supporting == "yes",
        choices=tuple(choices.split()) if is_text else (),
        bounds=_bounds(choices) if choices and not is_text else None,
    )


def _refused(problems: list[str]) -> CatalogueInvalid:
    return CatalogueInvalid("; ".join(problems), problems=problems)
