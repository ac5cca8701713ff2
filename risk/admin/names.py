"""What a draft may name: the catalogue's dimensions, and what it declares itself.

Drafts need not be correct: a name that nobody knows is a field all the same, so that it can be
shown and the checker can complain of it at its place.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from flask_babel import gettext

from risk.admin import words
from risk.features.catalogue import Catalogue, Dimension, Kind, Store, Use
from risk.queries import USUAL_LABELS

_MOST: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A name with all that people need to choose it.

    Attributes:
        unit: As in the catalogue; of the draft's own names `fen` is known by their ending.
        basis: Why it may be processed, by clause; empty for the draft's own names.
    """

    name: str
    label: str
    kind: Kind
    unit: str = ""
    window: str = ""
    source: str = ""
    basis: str = ""
    choices: tuple[str, ...] = ()
    is_supporting: bool = False

    @property
    def is_personal(self) -> bool:
        """Say whether its value is masked: a text that may hold anything may name somebody."""
        return self.kind is Kind.TEXT and not self.choices and self.source != "output"

    @property
    def hay(self) -> str:
        """All that a search looks through."""
        said = (
            *(self.name, self.label, self.unit, words.unit(self.unit), self.window),
            *(words.window(self.window), self.basis, self.source),
            words.said(words.SOURCES, self.source),
        )
        return " ".join(said).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found.

    Attributes:
        fields: The best first, cut off after some.
        total: How many there are to choose from.
        withheld: How many more fit, but may not be used here or serve models only.
    """

    fields: tuple[Field, ...]
    total: int
    withheld: int


class Names:
    """The names in reach of a document.

    Args:
        document: As it stands, right or wrong.
    """

    def __init__(self, catalogue: Catalogue, document: Mapping[str, Any]) -> None:
        self._catalogue = catalogue
        self._document = document
        self._use = str(document.get("use", Use.CREDIT))
        self.own: Final = {field.name: field for field in _declared(document)}

    def field(self, name: object) -> Field:
        """Return what is known of a name."""
        text = str(name)
        dimension = self._catalogue.by_name.get(text)
        if dimension is not None:
            return _of_dimension(dimension)
        return self.own.get(text) or Field(name=text, label=text, kind=Kind.TEXT)

    def reason(self, code: object) -> str:
        """Say a reason as staff read it; its code where the document does not explain it."""
        for each in self._document.get("reasons", ()):
            if each.get("code") == code and each.get("internal"):
                return str(gettext(each["internal"]))
        return str(code or "")

    def named(self, text: str) -> tuple[str, ...]:
        """Name what a text means: a name, or whatever bears it as its label."""
        if text in self.own or text in self._catalogue.by_name:
            return (text,)
        return tuple(self._by_label.get(text, ()))

    def with_derived(self, given: Iterable[tuple[str, str, str]]) -> "Names":
        """Return these names with other derived values: each has a name, a title and a text."""
        derived = [{"name": name, "title": title} for name, title, _ in given]
        return Names(self._catalogue, {**self._document, "derived": derived})

    @cached_property
    def _by_label(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for field in (*self.own.values(), *map(_of_dimension, self._catalogue.dimensions)):
            found[field.label].append(field.name)
        return found

    def search(self, text: str) -> Found:
        """Find what can be named by label, name, unit, window, source or legal basis."""
        terms = text.casefold().split()
        fields = [*self.own.values(), *map(_of_dimension, self._catalogue.dimensions)]
        fitting = [field for field in fields if _fits(field, terms)]
        offered = [field for field in fitting if self.is_offered(field)]
        offered.sort(key=lambda field: _rank(field, terms))
        return Found(
            fields=tuple(offered[:_MOST]),
            total=len(offered),
            withheld=len(fitting) - len(offered),
        )

    def is_offered(self, field: Field) -> bool:
        """Say whether rules of this strategy may compare a field."""
        dimension = self._catalogue.by_name.get(field.name)
        if dimension is None:
            return True
        return self._use in dimension.allowed_uses and dimension.store is not Store.COARSE


def _fits(field: Field, terms: list[str]) -> bool:
    hay = field.hay
    return all(term in hay for term in terms)


def _rank(field: Field, terms: list[str]) -> tuple[int, int]:
    """Order by how well name and label fit, then by how short the label is."""
    inside = sum(term in field.label.casefold() or term in field.name for term in terms)
    return -inside, len(field.label) if terms else 0


def _of_dimension(dimension: Dimension) -> Field:
    return Field(
        name=dimension.name,
        label=str(gettext(dimension.label)),
        kind=dimension.kind,
        unit="age" if dimension.name == "age_years" else dimension.unit,
        window=dimension.window,
        source=dimension.source,
        basis=dimension.legal_basis,
        choices=dimension.choices,
        is_supporting=dimension.is_supporting,
    )


def _declared(document: Mapping[str, Any]) -> Iterator[Field]:
    for source in ("derived", "outputs", "counters"):
        for entry in document.get(source, ()):
            name = str(entry.get("name", ""))
            kind = entry.get("kind", Kind.NUMBER)
            yield Field(
                name=name,
                label=str(entry.get("title") or gettext(USUAL_LABELS.get(name, name))),
                kind=Kind(kind) if kind in set(Kind) else Kind.NUMBER,
                unit="fen" if name.endswith("_fen") else "days" if name.endswith("_days") else "",
                source=source.removesuffix("s"),
            )
