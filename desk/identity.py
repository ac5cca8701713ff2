"""Who is at the keyboard: staff sessions on top of Flask-Login.

A session ends by logging out, idling, lasting too long, or when the account's password, roles or
standing change. It lives in the signed cookie, and in Redis so that logging out is final. Whether
a password is right is decided in desk.operations.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from flask import Flask, current_app, session
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, current_user, login_user
from limits import parse

from desk.model import ABSOLUTE_LIMIT, Role, is_session_over
from desk.operations import Admitted
from desk.ports import Permissions
from desk.queries import StaffView, staff_view
from kernel.clock import MovableClock, SystemClock
from kernel.errors import TooMany
from kernel.ids import new_token
from kernel.web import now, runtime

_SID, _BEGAN, _SEEN = "desk_sid", "desk_began", "desk_seen"
_OURS: Final = (_SID, _BEGAN, _SEEN, "_user_id", "_fresh", "_id", "_remember", "csrf_token")
_SEEN_EVERY: Final = timedelta(minutes=1)


class TooManyTries(TooMany):
    """Too many requests of one kind from one address, or by one person."""

    code = "staff-too-many-tries"
    message_zh = "尝试次数过多，请一分钟后再试"


class Member:
    """A logged-in member of staff, as Flask-Login and `desk.ports.StaffMember` want one."""

    is_authenticated = True
    is_anonymous = False

    def __init__(self, view: StaffView, permissions: Permissions) -> None:
        self._view = view
        self._permissions = permissions

    @property
    def id(self) -> int:
        """The account's id."""
        return self._view.id

    @property
    def login(self) -> str:
        """The name that the audit log and approvals know."""
        return self._view.login

    @property
    def name(self) -> str:
        """The name for people."""
        return self._view.name

    @property
    def roles(self) -> frozenset[Role]:
        """What they are here for."""
        return self._view.roles

    @property
    def is_active(self) -> bool:
        """Whether the account may be used."""
        return self._view.is_active

    @property
    def must_change_password(self) -> bool:
        """Whether the password is a temporary one."""
        return self._view.must_change_password

    def may(self, permission: str) -> bool:
        """Say whether one of the roles holds a permission."""
        return self._permissions.allows(self.roles, permission)

    def get_id(self) -> str:
        """Name the account and its session version, as the cookie keeps them."""
        return f"{self._view.id}:{self._view.session_version}"


def install(app: Flask, permissions: Permissions) -> None:
    """Make an app recognise its staff."""
    manager = LoginManager(app)
    manager.session_protection = "strong"

    def load(user_id: str) -> Member | None:
        return _load(user_id, permissions)

    manager.user_loader(load)


def begin_session(admitted: Admitted, permissions: Permissions) -> Member:
    """Start a new session, leaving nothing of the one before."""
    forget_session()
    with runtime().database.read() as database_session:
        view = staff_view(database_session, staff_id=admitted.staff_id)
    assert view is not None  # noqa: S101 -- staff are never deleted
    sid, at = new_token(), _session_now()
    session[_SID] = sid
    session[_BEGAN] = session[_SEEN] = int(at.timestamp())
    runtime().redis.set(_key(sid), admitted.staff_id, ex=ABSOLUTE_LIMIT)
    member = Member(view, permissions)
    login_user(member)
    return member


def forget_session() -> None:
    """End the staff session, here and for any copy of its cookie; a borrower's stays."""
    sid = session.get(_SID)
    if sid:
        runtime().redis.delete(_key(sid))
    for name in _OURS:
        session.pop(name, None)


def member_now() -> Member | None:
    """Return who is logged in, or None."""
    return current_user._get_current_object() if current_user.is_authenticated else None  # noqa: SLF001 -- Werkzeug's way to leave a proxy


def limit_rate(what: str, rate: str, *who: str) -> None:
    """Count a try.

    Args:
        what: What is tried.
        rate: Such as `10/minute`.
        who: What the tries are counted by.

    Raises:
        TooManyTries: There were too many.
    """
    limiter: Any = current_app.extensions["rate_limiter"].limiter
    if not limiter.hit(parse(rate), f"desk-{what}", *who):
        raise TooManyTries(f"{what} more often than {rate}")


def origin() -> str:
    """Return the network address of the request."""
    return get_remote_address()


def _load(user_id: str, permissions: Permissions) -> Member | None:
    staff_id, _, version = user_id.partition(":")
    sid, began, seen = (session.get(name) for name in (_SID, _BEGAN, _SEEN))
    if not (sid and began and seen and staff_id.isdigit()) or _is_over(began, seen):
        return None
    if runtime().redis.get(_key(sid)) != staff_id.encode():
        return None
    with runtime().database.read() as database_session:
        view = staff_view(database_session, staff_id=int(staff_id))
    if view is None or not view.is_active or str(view.session_version) != version:
        return None
    return Member(view, permissions)


def _is_over(began: int, seen: int) -> bool:
    at = _session_now()
    zone = at.tzinfo
    last = datetime.fromtimestamp(seen, zone)
    if is_session_over(began_at=datetime.fromtimestamp(began, zone), seen_at=last, now=at):
        return True
    if at - last > _SEEN_EVERY:
        session[_SEEN] = int(at.timestamp())
    return False


def _session_now() -> datetime:
    """Tell the time that sessions go by: moving the development clock logs nobody out."""
    is_movable = isinstance(runtime().clock, MovableClock)
    return SystemClock().now() if is_movable else now()


def _key(sid: str) -> str:
    return f"fenqi:desk:session:{sid}"
