"""The lists that strategies ask, as rows: made, filled, and read for a day."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from kernel.errors import NotFound
from risk.strategy.lists import Appeal, ListBook, ListEntry
from risk.tables import RiskList, RiskListEntry


class ListNotFound(NotFound):
    """There is no list of that name."""

    code = "risk-list-not-found"
    message_zh = "没有找到该名单"


def make_list(session: Session, *, name: str, now: datetime) -> None:
    """Make a list that can be read from now on, empty. Safe to repeat."""
    insert_ignore(session, RiskList, [{"name": name, "created_at": now}], conflict=["name"])


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
    entries = (
        ListEntry(
            list_name=row.list_name,
            value=row.value,
            source=row.source,
            reason=row.reason,
            added_on=row.added_on,
            expires_on=row.expires_on,
            appeal=Appeal(row.appeal),
        )
        for row in session.scalars(select(RiskListEntry))
    )
    return ListBook(names=session.scalars(select(RiskList.name)), entries=entries, on=on)


def lists_signature(session: Session) -> tuple[Any, ...]:
    """Say in what state the lists are, so that a change shows."""
    lists = session.scalar(select(func.count()).select_from(RiskList))
    entries = select(func.count(), func.max(RiskListEntry.id))
    return (lists, *session.execute(entries).one())


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
