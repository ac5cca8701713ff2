"""What areas plug into the workplace: pages, panels, tiles, searches, unmaskers, approvable acts.

`Site` is filled by the composition root before the first request and only read afterwards. Areas
import this module freely; it knows none of them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from flask import current_app, flash
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from desk.model import PERMISSIONS, PUBLIC, Change, Role, mask_id, mask_name, mask_phone
from kernel.errors import FenqiError, Unauthorized

__all__ = [
    "Approvable",
    "Change",
    "NavItem",
    "Panel",
    "Permission",
    "Permissions",
    "Registry",
    "Role",
    "Search",
    "SearchHit",
    "Site",
    "StaffMember",
    "Subject",
    "SubjectKind",
    "Tile",
    "Unmasker",
    "act_in_dialog",
    "current_site",
    "current_staff",
    "mask_id",
    "mask_name",
    "mask_phone",
    "public_page",
    "staff_page",
]

View = TypeVar("View", bound=Callable[..., Any])
_MARK: Final = "staff_permission"


class StaffMember(Protocol):
    """Whoever is logged in."""

    @property
    def login(self) -> str:
        """The name that the audit log and approvals know."""
        ...

    @property
    def name(self) -> str:
        """The name for people."""
        ...

    @property
    def roles(self) -> frozenset[Role]:
        """What they are here for."""
        ...

    def may(self, permission: str) -> bool:
        """Say whether one of the roles holds a permission."""
        ...


def staff_page(permission: str) -> Callable[[View], View]:
    """Mark a view under /admin with the permission that opens it; unmarked ones are refused.

    Put it next to the function, below the route decorator.
    """

    def mark(view: View) -> View:
        setattr(view, _MARK, permission)
        return view

    return mark


def public_page(view: View) -> View:
    """Mark a view under /admin that anybody may open, such as the login page."""
    return staff_page(PUBLIC)(view)


def permission_of(view: object) -> str | None:
    """Return the permission that a view is marked with, or None."""
    return cast("str | None", getattr(view, _MARK, None))


def current_staff() -> StaffMember:
    """Return who is logged in on this request.

    Raises:
        Unauthorized: Nobody is.
    """
    if not current_user.is_authenticated:
        raise Unauthorized("nobody is logged in")
    return cast("StaffMember", current_user)


# --- what is plugged in ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A named right; `label` is Chinese, as all labels here (English by translation)."""

    code: str
    label: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """A link in the left navigation, shown to whom the permission is given.

    Attributes:
        endpoint: Flask endpoint without arguments; also the item's key.
        group: Heading under which it stands, such as 客户 or 风控.
        order: Items are sorted by it; a group stands where its first item does.
        icon: Name of a symbol in desk/static/icons.svg.
    """

    label: str
    endpoint: str
    permission: str
    group: str
    order: int
    icon: str = "file"

    @property
    def key(self) -> str:
        """What the item is known by."""
        return self.endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of the dashboard; `render` returns a card.

    Attributes:
        width: Columns of 12 on a wide screen.
    """

    key: str
    permission: str
    order: int
    render: Callable[[], Markup]
    width: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A part of the customer page; `render` gets the customer's id.

    With a title, desk draws a card around what is rendered (give it a `card-body` or a table);
    without one, the panel draws its own.

    Attributes:
        width: Columns of 12 on a wide screen.
        is_tab: It stands behind a tab below the others and is drawn when that is opened; then it
            needs a title.
    """

    key: str
    title: str
    permission: str
    order: int
    render: Callable[[int], Markup]
    width: int = 12
    is_tab: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """One thing found; `title` and `detail` are masked where they name a person."""

    title: str
    detail: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A way to find things by a short text; the label is its key."""

    label: str
    permission: str
    find: Callable[[str], Sequence[SearchHit]]

    @property
    def key(self) -> str:
        """What the search is known by."""
        return self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasker:
    """Reveals one kind of masked field.

    Attributes:
        key: Such as `customer.phone`.
        reveal: Subject id → clear text; raises NotFound for an unknown one.
        label: What the field is called on the screen.
    """

    key: str
    permission: str
    reveal: Callable[[str], str]
    label: str = "敏感信息"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What something is done to, for people; masked where it names a person."""

    title: str
    detail: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKind:
    """Names subjects of a kind, many at once.

    Attributes:
        key: How they begin, such as `customer` in `customer:1:loan:2`.
        name: Subjects → what each is; one that is not there any more is left out.
    """

    key: str
    name: Callable[[Collection[str]], Mapping[str, Subject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentKind:
    """What an area says of its versioned documents.

    Attributes:
        key: The kind, such as `product`.
        told: The report of a version's test → what it found, label → text.
    """

    key: str
    told: Callable[[Mapping[str, Any]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvable:
    """An act that needs a second person.

    Attributes:
        action: Stable name, such as `servicing.line.unfreeze`.
        describe: Payload → lines of the diff that the second person sees; they are kept.
        show: Payload → more that they should know before they decide, as things stand when they
            look: a card or several.
        execute: Does it in the decision's transaction; returns a JSON-able result.
        undo: Takes it back, or None where that is impossible.
        url: Subject → the page that shows what the second person should look at first, where the
            site has no name for subjects of the kind.
        is_within: Payload, roles and instant → whether that much is within the second person's
            authority; None where the permission is enough.
        hindrance: Payload → why it cannot be approved as things stand, in words; empty if it can.
        told: Result → what came of it, label → text; without it the page leaves that to the log.
    """

    action: str
    label: str
    permission_propose: str
    permission_decide: str
    describe: Callable[[Mapping[str, Any]], Sequence[Change]]
    execute: Callable[[Session, Mapping[str, Any], datetime], dict[str, Any]]
    undo: Callable[[Session, Mapping[str, Any], Mapping[str, Any], datetime], None] | None = None
    show: Callable[[Mapping[str, Any]], Markup] | None = None
    url: Callable[[str], str] | None = None
    is_within: Callable[[Mapping[str, Any], Collection[Role], datetime], bool] | None = None
    hindrance: Callable[[Mapping[str, Any]], str] | None = None
    told: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None

    @property
    def key(self) -> str:
        """What the act is known by."""
        return self.action


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


Item = TypeVar("Item", bound=_Keyed)


@dataclass(frozen=True, slots=True)
class Registry(Generic[Item]):
    """Things of one kind by key, in order of their registration."""

    _items: dict[str, Item] = field(default_factory=dict)

    def add(self, *items: Item) -> None:
        """Register items.

        Raises:
            ValueError: A key is taken: a programming error, found at start.
        """
        for item in items:
            if item.key in self._items:
                message = f"{item.key} is registered twice"
                raise ValueError(message)
            self._items[item.key] = item

    def get(self, key: str) -> Item | None:
        """Return an item, or None."""
        return self._items.get(key)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Declared permissions and the roles that hold them; an undeclared one is held by nobody."""

    _declared: dict[str, Permission] = field(default_factory=dict)

    def declare(self, code: str, label: str, *, roles: Collection[Role | str]) -> None:
        """Declare a permission and its default roles.

        Raises:
            ValueError: It is declared twice, or a role does not exist: found at start.
        """
        if code in self._declared:
            message = f"permission {code} is declared twice"
            raise ValueError(message)
        held_by = frozenset(Role(role) for role in roles)
        self._declared[code] = Permission(code=code, label=label, roles=held_by)

    def allows(self, roles: Collection[Role], code: str) -> bool:
        """Say whether one of the roles holds a permission."""
        permission = self._declared.get(code)
        return permission is not None and not permission.roles.isdisjoint(roles)

    def __contains__(self, code: object) -> bool:
        return code in self._declared

    def __iter__(self) -> Iterator[Permission]:
        return iter(self._declared.values())


def _own_permissions() -> Permissions:
    permissions = Permissions()
    for code, label, roles in PERMISSIONS:
        permissions.declare(code, label, roles=roles)
    return permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that is plugged into the workplace; made once by the composition root."""

    permissions: Permissions = field(default_factory=_own_permissions)
    navigation: Registry[NavItem] = field(default_factory=Registry)
    customer_panels: Registry[Panel] = field(default_factory=Registry)
    tiles: Registry[Tile] = field(default_factory=Registry)
    searches: Registry[Search] = field(default_factory=Registry)
    unmaskers: Registry[Unmasker] = field(default_factory=Registry)
    approvables: Registry[Approvable] = field(default_factory=Registry)
    subjects: Registry[SubjectKind] = field(default_factory=Registry)
    documents: Registry[DocumentKind] = field(default_factory=Registry)


def current_site() -> Site:
    """Return the site of the current app."""
    return cast("Site", current_app.extensions["desk"])


def act_in_dialog(
    *, form: Callable[[str], str], act: Callable[[], bool], said: str, then: str
) -> ResponseReturnValue:
    """Do what a dialog (`desk/dialog.html`) asks for; a refusal is said inside the dialog.

    Args:
        form: Draws the dialog again around an error, with what was typed.
        act: Does it in its own transaction; returns whether it was done now.
        said: What the next page says if so.
        then: The address of the next page.
    """
    try:
        is_done = act()
    except FenqiError as error:
        return form(gettext(error.message_zh)), error.status
    if is_done:
        flash(said, "success")
    else:
        flash(gettext("没有变化：此前已经处理过了"), "info")
    return "", 204, {"HX-Redirect": then}
