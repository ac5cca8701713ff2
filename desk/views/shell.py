"""The page shell: navigation by role, and what templates of all areas may call.

It draws no page of its own.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast

from flask import Flask, request, url_for
from flask_babel import get_locale
from markupsafe import Markup

from desk.identity import Member, member_now
from desk.model import (
    APPROVALS,
    AUDIT,
    DOCUMENTS,
    ROLE_LABELS,
    STAFF,
    WORKPLACE,
    canonical,
    mask_id,
    mask_name,
    mask_phone,
)
from desk.ports import NavItem, Site, current_site
from kernel.clock import shanghai
from kernel.money import yuan
from kernel.web import now, runtime

_OWN_PAGES: Final = (
    NavItem(
        label="总览",
        endpoint="desk.dashboard",
        permission=WORKPLACE,
        group="工作台",
        order=0,
        icon="home",
    ),
    NavItem(
        label="待审批",
        endpoint="desk.approvals",
        permission=APPROVALS,
        group="工作台",
        order=10,
        icon="checklist",
    ),
    NavItem(
        label="版本文档",
        endpoint="desk.documents",
        permission=DOCUMENTS,
        group="管理",
        order=900,
        icon="versions",
    ),
    NavItem(
        label="审计日志",
        endpoint="desk.audit",
        permission=AUDIT,
        group="管理",
        order=910,
        icon="history",
    ),
    NavItem(
        label="员工账号",
        endpoint="desk.staff",
        permission=STAFF,
        group="管理",
        order=920,
        icon="users",
    ),
)


def plug_in(site: Site) -> None:
    """Put desk's own pages on a site."""
    site.navigation.add(*_OWN_PAGES)


def install(app: Flask) -> None:
    """Give templates the shell's functions and filters."""
    app.jinja_env.globals.update(
        desk_navigation=navigation,
        desk_member=member_now,
        desk_clock=clock_hint,
        desk_now=lambda: shanghai(now()),
        may=may,
        can_unmask=can_unmask,
        fragment_id=fragment_id,
        role_labels=ROLE_LABELS,
        page_language=page_language,
    )
    app.jinja_env.filters.update(
        yuan=yuan,
        moment=moment,
        day=day,
        plain=plain,
        mask_name=mask_name,
        mask_phone=mask_phone,
        mask_id=mask_id,
    )


def site() -> Site:
    """Return the site of the current app."""
    return current_site()


def member() -> Member:
    """Return who is logged in; the gate has made sure that somebody is."""
    return cast("Member", member_now())


# --- navigation ---


@dataclass(frozen=True, slots=True, kw_only=True)
class NavLink:
    """A link as it is drawn."""

    label: str
    url: str
    icon: str
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NavGroup:
    """Links under one heading."""

    label: str
    links: tuple[NavLink, ...]


def navigation() -> tuple[NavGroup, ...]:
    """Return the groups and links that the member may open."""
    open_items = sorted(
        (item for item in site().navigation if may(item.permission)), key=lambda item: item.order
    )
    urls = {item.key: url_for(item.endpoint) for item in open_items}
    here = max((url for url in urls.values() if _covers(url)), key=len, default="")
    groups: dict[str, list[NavLink]] = {}
    for item in open_items:
        url = urls[item.key]
        link = NavLink(label=item.label, url=url, icon=item.icon, is_here=url == here)
        groups.setdefault(item.group, []).append(link)
    return tuple(NavGroup(label=label, links=tuple(links)) for label, links in groups.items())


def _covers(url: str) -> bool:
    path = request.path
    return path == url or (not url.endswith("/") and path.startswith(f"{url}/"))


# --- what templates call ---


def may(permission: str) -> bool:
    """Say whether whoever is logged in holds a permission."""
    someone = member_now()
    return someone is not None and someone.may(permission)


def can_unmask(key: str) -> bool:
    """Say whether whoever is logged in may see that field in clear."""
    unmasker = site().unmaskers.get(key)
    return unmasker is not None and may(unmasker.permission)


def clock_hint() -> str:
    """Return the development clock's time, or nothing in production."""
    return f"{shanghai(now()):%Y-%m-%d %H:%M}" if runtime().settings.is_development else ""


def page_language() -> str:
    """Return the language of the page, as HTML names it."""
    locale = get_locale()
    return "en" if locale is not None and locale.language == "en" else "zh-CN"


def fragment_id() -> str:
    """Make an id that no other element of the page has."""
    return f"f-{secrets.token_hex(4)}"


def moment(at: datetime | None, *, seconds: bool = False) -> Markup:
    """Draw an instant as wall time in Shanghai."""
    if at is None:
        return Markup("—")
    text = shanghai(at).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}" class="text-nowrap">{}</time>').format(at.isoformat(), text)


def day(on: date | None) -> Markup:
    """Draw a business date."""
    if on is None:
        return Markup("—")
    return Markup('<time datetime="{0}" class="text-nowrap">{0}</time>').format(on.isoformat())


def plain(value: Any) -> str:
    """Write a JSON-able value for reading: texts as they are, lists without quotes."""
    if isinstance(value, Mapping):
        return "，".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "；".join(plain(item) for item in value)
    return value if isinstance(value, str) else canonical(value)
