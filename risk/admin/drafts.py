"""The draft that everybody works on: the newest version of a strategy, right or wrong.

A save makes another version, whatever is wrong with it: nothing that was typed is lost, and only a
draft without mistakes can be published. Two people at once: the second is told, and keeps theirs.

    StrategyNotFound  404  no such strategy, stage or rule
    DraftChanged      409  somebody saved another version since the page was opened
"""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import discard, save_draft
from desk.queries import DocumentView, document_in_force, document_version
from desk.queries import documents as document_lines
from kernel.errors import Conflict, NotFound
from risk.admin import words
from risk.admin.arithmetic import why_odd
from risk.admin.names import Names
from risk.decisions.strategies import STRATEGY, misfits
from risk.features.catalogue import Catalogue
from risk.strategy.language import Strategy
from risk.strategy.pricing import PriceRange
from risk.strategy.problems import SENTENCES, Code, Problem, StrategyInvalid
from risk.strategy.reading import read_strategy
from risk.strategy.statutory import unpublishable

_FORMULA: Final = re.compile(r"\$\.(?:derived|stages\[\d+\]\.set)\[\d+\]\.value")
_OPEN: Final = frozenset({"draft", "tested"})


class StrategyNotFound(NotFound):
    """No such strategy, or no such stage or rule in it."""

    code = "risk-strategy-not-found"
    message_zh = "没有找到该策略或其中的这一部分"


class DraftChanged(Conflict):
    """Somebody saved another version since the page was opened."""

    code = "risk-draft-changed"
    message_zh = "另一位同事刚刚保存了新的版本，您的修改尚未保存"


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """What is worked on.

    Attributes:
        newest: Number of the newest version of any state; a save must name it.
        shown: The draft, or what is in force if there is none.
        in_force: None before the first publication.
    """

    key: str
    newest: int
    shown: DocumentView
    in_force: DocumentView | None

    @property
    def body(self) -> dict[str, Any]:
        """The document."""
        return dict(self.shown.body)

    @property
    def is_draft(self) -> bool:
        """Say whether something waits to be published."""
        return self.shown.state in _OPEN

    @property
    def title(self) -> str:
        """What people call the strategy."""
        return str(self.shown.body.get("title") or self.key)


def strategy_keys(session: Session, *, on: date) -> tuple[str, ...]:
    """Name all strategies that were ever drafted."""
    return tuple(line.key for line in document_lines(session, on=on) if line.kind == STRATEGY)


def working(session: Session, *, key: str, on: date) -> Working:
    """Return what is worked on.

    Raises:
        StrategyNotFound: There is no such strategy.
    """
    line = next(
        (
            line
            for line in document_lines(session, on=on)
            if line.kind == STRATEGY and line.key == key
        ),
        None,
    )
    if line is None:
        raise StrategyNotFound(f"no strategy {key}")
    in_force = document_in_force(session, kind=STRATEGY, key=key, on=on)
    newest = document_version(session, kind=STRATEGY, key=key, version=line.versions)
    is_open = newest.state in _OPEN or in_force is None
    return Working(
        key=key,
        newest=line.versions,
        shown=newest if is_open or in_force is None else in_force,
        in_force=in_force,
    )


def save(
    session: Session,
    *,
    key: str,
    base: int,
    edit: Callable[[dict[str, Any]], None],
    author: str,
    note: str,
    now: datetime,
    on: date,
) -> Working:
    """Store an edited document as the next version, if the edit changes anything.

    Args:
        session: An open write session.
        key: Of the strategy.
        base: The newest version when the page was opened.
        edit: Changes the document in place.
        author: A staff login.
        note: What was edited, for whoever approves.
        now: The instant of the request.
        on: Its business date.

    Raises:
        StrategyNotFound: There is no such strategy.
        DraftChanged: Somebody was faster.
    """
    found = working(session, key=key, on=on)
    if found.newest != base:
        raise DraftChanged(f"{key} stands at version {found.newest}, not {base}")
    document = deepcopy(found.body)
    edit(document)
    if document == found.body:
        return found
    version = save_draft(
        session, kind=STRATEGY, key=key, body=document, author=author, now=now, note=note
    )
    if version not in {base, base + 1}:
        raise DraftChanged(f"{key} was saved at the same time")
    return working(session, key=key, on=on)


def drop(session: Session, *, key: str, by: str, now: datetime, on: date) -> int:
    """Give up every draft behind the version in force; returns how many.

    Raises:
        StrategyNotFound: There is no such strategy.
    """
    found = working(session, key=key, on=on)
    first = found.in_force.version + 1 if found.in_force else 1
    dropped = 0
    for version in range(first, found.newest + 1):
        view = document_version(session, kind=STRATEGY, key=key, version=version)
        if view.state in _OPEN:
            discard(session, kind=STRATEGY, key=key, version=version, by=by, now=now)
            dropped += 1
    return dropped


# --- what is wrong with it ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A mistake as the editor shows it.

    Attributes:
        path: Where, as a JSON path; a key that is lacking is named as if it were there.
    """

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A document, looked through.

    Attributes:
        strategy: None if there are mistakes; what only keeps it from publishing does not count.
    """

    strategy: Strategy | None
    problems: tuple[Noted, ...]


def checked(
    document: Mapping[str, Any],
    catalogue: Catalogue,
    *,
    on: date,
    sold: Mapping[str, PriceRange],
) -> Checked:
    """Read a document, and say all that is wrong with it or keeps it from being published."""
    strategy = None
    try:
        strategy = read_strategy(document, catalogue)
        found = unpublishable(strategy, catalogue, on=on)
        found += misfits(strategy, models={}, sold=sold)
    except StrategyInvalid as invalid:
        found = invalid.problems
    names = Names(catalogue, document)
    noted = tuple(_noted(problem, names) for problem in found)
    return Checked(strategy=strategy, problems=noted)


def _noted(problem: Problem, names: Names) -> Noted:
    given = dict(problem.words)
    path = problem.path
    if problem.code is Code.KEY_MISSING:
        path = f"{path}.{given['name']}"
        what = words.said(words.KEYS, given["name"])
        asked = gettext("请填写或选择“%(what)s”", what=what)
        return Noted(path=path, code=problem.code, message=str(asked))
    if problem.code is Code.NAME_MALFORMED and _FORMULA.fullmatch(path):
        odd = why_odd(given["name"], names)
        if odd:
            return Noted(path=path, code=problem.code, message=odd)
    said = {key: _said(key, text, names) for key, text in given.items()}
    message = gettext(SENTENCES[problem.code]).format(**said)
    return Noted(path=path, code=problem.code, message=str(message))


def _said(key: str, text: str, names: Names) -> str:
    """Say what stands in a sentence as analysts know it."""
    if key == "kind":
        return words.said(words.KINDS, text)
    if key == "use":
        return words.said(words.USES, text)
    if key == "subsystem":
        return words.subsystem(text)
    return names.field(text).label if key == "name" else text
