"""What is done to the entries of lists that need a second person, such as the sanction list.

Putting somebody on such a list refuses them by law, and taking them off lets them borrow: one
person proposes either, another one decides. Forms and pages are in risk.admin.lists.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from flask import url_for
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.operations import propose
from desk.ports import Approvable, Change, Site, current_site, current_staff, mask_id
from kernel.clock import business_date
from kernel.web import now, runtime, today
from risk.admin import rights, words
from risk.admin.dialogs import tell_after
from risk.decisions.listed import change_entry, entry_of, put_on_list, terms_of
from risk.strategy.lists import KEYED, Appeal, ListEntry, ListKind

ADD: Final = "risk.list.add"
CHANGE: Final = "risk.list.change"

_DECIDE_WITHIN: Final = timedelta(days=3)
_DIGEST_SIGNS: Final = 8


def plug_in(site: Site) -> None:
    """Put the acts that need a second person on a site."""
    acts = (
        (ADD, "加入名单", _describe_added, _add),
        (CHANGE, "变更名单条目", _describe_changed, _change),
    )
    for action, label, describe, execute in acts:
        site.approvables.add(
            Approvable(
                action=action,
                label=label,
                permission_propose=rights.EDIT_LISTS,
                permission_decide=rights.DECIDE_LISTS,
                describe=describe,
                execute=execute,
                url=lambda subject: url_for("risk_admin.list_entries", name=subject.split(":")[1]),
            )
        )


def shown(kind: ListKind, value: str) -> str:
    """Show a value without what it says: the beginning of an index, or a masked text."""
    return f"{value[:_DIGEST_SIGNS]}…" if kind in KEYED else mask_id(value)


def propose_entry(session: Session, entry: ListEntry) -> int:
    """Ask a second person to put a value on its list; returns the proposal's id."""
    kind = terms_of(session, name=entry.list_name).kind
    digest = runtime().cipher.blind_index(entry.value, context=ADD)[:_DIGEST_SIGNS]
    return _proposed(
        session,
        ADD,
        subject=f"list:{entry.list_name}:{digest}",
        reason=entry.reason,
        list=entry.list_name,
        value=entry.value,
        shown=shown(kind, entry.value),
        source=entry.source,
        expires_on=entry.expires_on and str(entry.expires_on),
    )


def propose_change(
    session: Session, *, entry_id: int, expires_on: date | None, appeal: Appeal, reason: str
) -> int:
    """Ask a second person to change until when an entry counts; returns the proposal's id."""
    entry = entry_of(session, entry_id=entry_id, on=today()).entry
    kind = terms_of(session, name=entry.list_name).kind
    return _proposed(
        session,
        CHANGE,
        subject=f"list:{entry.list_name}:{entry_id}",
        reason=reason,
        list=entry.list_name,
        entry=entry_id,
        shown=shown(kind, entry.value),
        before=[entry.expires_on and str(entry.expires_on), str(entry.appeal)],
        expires_on=expires_on and str(expires_on),
        appeal=str(appeal),
    )


def _proposed(session: Session, action: str, *, subject: str, reason: str, **more: Any) -> int:
    return propose(
        session,
        current_site(),
        action=action,
        subject=subject,
        payload={"reason": reason, **more},
        proposed_by=current_staff().login,
        now=now(),
        expires_in=_DECIDE_WITHIN,
        reason=reason,
    )


# --- the acts ---


def _describe_added(payload: Mapping[str, Any]) -> Sequence[Change]:
    return [
        Change(label=gettext("名单"), before="", after=payload["list"]),
        Change(label=gettext("值"), before="", after=payload["shown"]),
        Change(label=gettext("到期"), before="", after=_until(payload["expires_on"])),
    ]


def _describe_changed(payload: Mapping[str, Any]) -> Sequence[Change]:
    until, appeal = payload["before"]
    return [
        Change(label=gettext("名单"), before="", after=payload["list"]),
        Change(label=gettext("值"), before="", after=payload["shown"]),
        Change(label=gettext("到期"), before=_until(until), after=_until(payload["expires_on"])),
        Change(label=gettext("申诉"), before=_appeal(appeal), after=_appeal(payload["appeal"])),
    ]


def _add(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    entry = ListEntry(
        list_name=payload["list"],
        value=payload["value"],
        source=payload["source"],
        reason=payload["reason"],
        added_on=business_date(at),
        expires_on=_day(payload["expires_on"]),
    )
    put_on_list(session, entries=[entry])
    tell_after(session)
    return {"list": entry.list_name}


def _change(session: Session, payload: Mapping[str, Any], _: datetime) -> dict[str, Any]:
    change_entry(
        session,
        entry_id=payload["entry"],
        expires_on=_day(payload["expires_on"]),
        appeal=Appeal(payload["appeal"]),
    )
    tell_after(session)
    return {"entry": payload["entry"]}


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _until(text: str | None) -> str:
    return text or gettext("长期")


def _appeal(code: str) -> str:
    return str(gettext(words.APPEALS[code][0]))
