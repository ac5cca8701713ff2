"""The lists that strategies ask, as rows: made, filled, and read for a day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from kernel.errors import Conflict, NotFound
from risk.strategy.language import Match
from risk.strategy.lists import (
    STATUTORY_LISTS,
    Appeal,
    ListBook,
    ListEntry,
    ListKind,
    ListTerms,
)
from risk.tables import RiskList, RiskListEntry

_PLAIN: Final[dict[str, Any]] = {"kind": ListKind.TEXT, "match": Match.EXACT}
_SEARCHED: Final = (RiskListEntry.value, RiskListEntry.reason, RiskListEntry.source)


class ListEntryNotFound(NotFound):
    """There is no entry of that number."""

    code = "risk-list-entry-not-found"
    message_zh = "没有找到该名单条目"


class ListNotFound(NotFound):
    """There is no list of that name."""

    code = "risk-list-not-found"
    message_zh = "没有找到该名单"


class ListTaken(Conflict):
    """There is a list of that name already."""

    code = "risk-list-taken"
    message_zh = "该编号的名单已存在"


def make_list(
    session: Session, *, name: str, now: datetime, terms: ListTerms | None = None
) -> None:
    """Make a list that can be read from now on, empty. Safe to repeat: it stays what it was.

    Args:
        session: An open write session.
        name: As rules name it.
        now: The instant of the request.
        terms: What it is; without them as the statutory rules want it, or else a list of texts.
    """
    what = STATUTORY_LISTS.get(name) or terms or ListTerms(title=name, **_PLAIN)
    row = {
        "name": name,
        "title": what.title,
        "kind": str(what.kind),
        "match": str(what.match),
        "needs_second": what.needs_second,
        "created_at": now,
    }
    insert_ignore(session, RiskList, [row], conflict=["name"])


def make_new_list(session: Session, *, name: str, terms: ListTerms, now: datetime) -> None:
    """Make a list of a name that no other has.

    Raises:
        ListTaken: See there.
    """
    if session.get(RiskList, name) is not None:
        raise ListTaken(f"{name} is there")
    make_list(session, name=name, now=now, terms=terms)


def list_names(session: Session) -> tuple[str, ...]:
    """Name the lists that can be read."""
    return tuple(session.scalars(select(RiskList.name).order_by(RiskList.name)))


def terms_of(session: Session, *, name: str) -> ListTerms:
    """Say what a list is.

    Raises:
        ListNotFound: See there.
    """
    row = session.get(RiskList, name)
    if row is None:
        raise ListNotFound(f"no list {name}")
    return _terms(row)


def put_on_list(session: Session, *, entries: Iterable[ListEntry]) -> int:
    """Add entries; returns how many.

    Raises:
        ListNotFound: An entry names a list that was not made.
    """
    known = set(session.scalars(select(RiskList.name)))
    rows = [_row(entry) for entry in entries]
    for row in rows:
        if row.list_name not in known:
            raise ListNotFound(f"no list {row.list_name}")
    session.add_all(rows)
    session.flush()
    return len(rows)


def lists_on(session: Session, *, on: date) -> ListBook:
    """Read all lists as they stand on a day."""
    entries = map(_entry, session.scalars(select(RiskListEntry)))
    return ListBook(names=session.scalars(select(RiskList.name)), entries=entries, on=on)


def lists_signature(session: Session) -> tuple[Any, ...]:
    """Say in what state the lists are, so that a change shows."""
    lists = session.scalar(select(func.count()).select_from(RiskList))
    entry = RiskListEntry
    entries = select(entry.appeal, entry.expires_on, func.count(), func.max(entry.id))
    grouped = entries.group_by(entry.appeal, entry.expires_on).order_by(
        entry.appeal, entry.expires_on
    )
    return (lists, *map(tuple, session.execute(grouped)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLine:
    """A list with how many stand on it; `counting` of them count on the day."""

    name: str
    terms: ListTerms
    entries: int
    counting: int
    appealed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One entry with its number, and whether it counts on the day."""

    id: int
    entry: ListEntry
    counts: bool


def lists_with_counts(session: Session, *, on: date) -> tuple[ListLine, ...]:
    """List all lists by name."""
    row, lists = RiskListEntry, {each.name: each for each in session.scalars(select(RiskList))}
    found = {name: [0, 0, 0] for name in lists}
    counts = and_(
        row.added_on <= on,
        or_(row.expires_on.is_(None), row.expires_on > on),
        row.appeal != str(Appeal.UPHELD),
    )
    for name, *numbers in session.execute(
        select(
            row.list_name,
            func.count(),
            func.sum(case((counts, 1), else_=0)),
            func.sum(case((row.appeal == str(Appeal.OPEN), 1), else_=0)),
        ).group_by(row.list_name)
    ):
        found[name] = [int(number) for number in numbers]
    return tuple(
        ListLine(
            name=name,
            terms=_terms(lists[name]),
            entries=total,
            counting=counting,
            appealed=appealed,
        )
        for name, (total, counting, appealed) in sorted(found.items())
    )


def entries_of(
    session: Session, *, name: str, on: date, text: str = "", limit: int, offset: int = 0
) -> tuple[EntryView, ...]:
    """List the entries of a list, newest first: all, or those whose value or reason holds a text.

    Raises:
        ListNotFound: See there.
    """
    terms_of(session, name=name)
    found = select(RiskListEntry).where(RiskListEntry.list_name == name)
    if text:
        holds = (column.contains(text, autoescape=True) for column in _SEARCHED)
        found = found.where(or_(*holds))
    rows = session.scalars(found.order_by(RiskListEntry.id.desc()).limit(limit).offset(offset))
    return tuple(_entry_view(row, on) for row in rows)


def entry_of(session: Session, *, entry_id: int, on: date) -> EntryView:
    """Return one entry.

    Raises:
        ListEntryNotFound: See there.
    """
    row = session.get(RiskListEntry, entry_id)
    if row is None:
        raise ListEntryNotFound(f"no entry {entry_id}")
    return _entry_view(row, on)


def change_entry(
    session: Session, *, entry_id: int, expires_on: date | None, appeal: Appeal
) -> None:
    """Say until when an entry counts, and what became of an appeal; its value never changes.

    Raises:
        ListEntryNotFound: See there.
    """
    row = session.get(RiskListEntry, entry_id, with_for_update=True)
    if row is None:
        raise ListEntryNotFound(f"no entry {entry_id}")
    row.expires_on, row.appeal = expires_on, str(appeal)


def _terms(row: RiskList) -> ListTerms:
    return ListTerms(
        title=row.title,
        kind=ListKind(row.kind),
        match=Match(row.match),
        needs_second=row.needs_second,
    )


def _entry_view(row: RiskListEntry, on: date) -> EntryView:
    entry = _entry(row)
    return EntryView(id=row.id, entry=entry, counts=entry.counts_on(on))


def _entry(row: RiskListEntry) -> ListEntry:
    return ListEntry(
        list_name=row.list_name,
        value=row.value,
        source=row.source,
        reason=row.reason,
        added_on=row.added_on,
        expires_on=row.expires_on,
        appeal=Appeal(row.appeal),
    )


def _row(entry: ListEntry) -> RiskListEntry:
    return RiskListEntry(
        list_name=entry.list_name,
        value=entry.value,
        source=entry.source,
        reason=entry.reason,
        added_on=entry.added_on,
        expires_on=entry.expires_on,
        appeal=str(entry.appeal),
    )
