"""What a draft reckons for itself: derived values, and counts over a time window.

Each is declared here and named everywhere else. One that is still used can be taken out all the
same: the checker then marks whatever names it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.ports import staff_page
from kernel.web import runtime
from risk.admin import arithmetic, edits, rights, words
from risk.admin.editing import catalogue, draw, opened, saved
from risk.decisions.counting import TOLD, counted_fields

_UNITS: Final = ("min", "h", "d")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaLine:
    """A derived value as its line shows it.

    Attributes:
        title: What was given; `label` is what people see without one.
        uses: How often the draft names it.
    """

    name: str
    title: str
    label: str
    text: str
    uses: int


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/formulas", "formulas", formulas)
    add(f"{at}/formulas", "save_formulas", save_formulas, methods=["POST"])
    add(f"{at}/counters", "save_counters", save_counters, methods=["POST"])


@staff_page(rights.VIEW)
def formulas(key: str) -> ResponseReturnValue:
    """Show derived values and window counts, with their formulas as they would be typed."""
    with runtime().database.read() as session:
        given = opened(session, key)
    names, uses = given.names, Counter(_named_in(given.body))
    lines = []
    for entry in given.body.get("derived", ()):
        field = names.field(entry.get("name", ""))
        line = FormulaLine(
            name=field.name,
            title=str(entry.get("title", "")),
            label=field.label,
            text=arithmetic.text_of(entry.get("value", ""), names, unit=field.unit),
            uses=uses[field.name],
        )
        lines.append(line)
    return draw(
        "formulas.html",
        given,
        lines=lines,
        uses=uses,
        functions=list(arithmetic.FUNCTIONS.values()),
        events=TOLD,
        by=[names.field(name) for _, name in counted_fields(catalogue())],
        split_window=split_window,
        units={code: words.WINDOW_UNITS[code] for code in _UNITS},
    )


@staff_page(rights.EDIT)
def save_formulas(key: str) -> ResponseReturnValue:
    """Save all derived values."""
    form = request.form
    listed = zip(form.getlist("name"), form.getlist("title"), form.getlist("value"), strict=False)
    given = [(name.strip(), title.strip(), text) for name, title, text in listed if name.strip()]
    with runtime().database.read() as session:
        names = opened(session, key).names.with_derived(given)
    derived = [
        {"name": name, "value": arithmetic.kept(text, names)} | ({"title": title} if title else {})
        for name, title, text in given
    ]
    return saved(key, edits.set_derived(derived), note=gettext("修改派生字段"))


@staff_page(rights.EDIT)
def save_counters(key: str) -> ResponseReturnValue:
    """Save all counts over a time window."""
    form = request.form
    columns = ("name", "title", "event", "by", "count", "unit")
    listed = zip(*(form.getlist(each) for each in columns), strict=False)
    counters = [
        {
            "name": name.strip(),
            "event": event,
            "by": by,
            "window": f"{count.strip()}{unit}",
            **({"title": title.strip()} if title.strip() else {}),
        }
        for name, title, event, by, count, unit in listed
        if name.strip()
    ]
    return saved(key, edits.set_counters(counters), note=gettext("修改时间窗口计数"))


def split_window(text: str) -> tuple[str, str]:
    """Take a window apart into how many and of what."""
    unit = next((each for each in _UNITS if text.endswith(each)), "d")
    return text.removesuffix(unit), unit


def _named_in(part: Any, key: str = "") -> Iterator[str]:
    """Name every text of a document but what declares a name."""
    if isinstance(part, Mapping):
        for inner, value in part.items():
            if inner not in {"name", "title"}:
                yield inner
                yield from _named_in(value, inner)
    elif isinstance(part, list):
        for value in part:
            yield from _named_in(value, key)
    elif isinstance(part, str):
        yield part
