"""Who works here: accounts, passwords, roles, and whether a login succeeds.

Any change of password, roles or standing raises the session version, which ends every session
that began before. Sessions themselves are desk.identity's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.model import (
    LOCKED_FOR,
    MAX_FAILURES,
    MAX_PASSWORD_SIGNS,
    Role,
    check_login,
    check_password,
    roles_from,
)
from desk.operations.audit import append_audit
from desk.tables import Staff
from kernel.database import Database
from kernel.errors import Conflict, Invalid, NotFound, Unauthorized

SYSTEM: Final = "machine:setup"

_hasher = PasswordHasher()
# Verified against when a login does not exist, so that time tells nothing: of a random password
# that nobody kept. Written down, since hashing one made every process slower to start.
_NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4"
    "$2DfSf4G3Fh44mbjMAplxzQ$JVnoevYk8ii5BPpSsRoUXRTsQd18na5Ztm0FLD5KYLM"
)


class LoginTaken(Conflict):
    """Another member of staff has the login."""

    code = "staff-login-taken"
    message_zh = "该登录名已被使用"


class StaffNotFound(NotFound):
    """No such member of staff."""

    code = "staff-not-found"
    message_zh = "没有找到该员工"


class LoginFailed(Unauthorized):
    """Login or password is wrong, or the account is disabled: which, is not told."""

    code = "staff-login-failed"
    message_zh = "登录名或密码不正确"


class AccountLocked(Unauthorized):
    """Too many failures in a row; it opens by itself after 15 minutes."""

    code = "staff-account-locked"
    message_zh = "连续输错次数过多，账号已锁定 15 分钟，请稍后再试或联系管理员"


class OwnAccount(Conflict):
    """An administrator may not disable themselves or give up their own role."""

    code = "staff-own-account"
    message_zh = "不能停用自己的账号，也不能取消自己的管理员角色"


class PasswordReused(Invalid):
    """The new password is the old one."""

    code = "staff-password-reused"
    message_zh = "新密码不能与原密码相同"


def create_staff(
    session: Session,
    *,
    login: str,
    name: str,
    password: str,
    roles: Collection[Role | str],
    now: datetime,
    created_by: str = SYSTEM,
    is_temporary: bool = False,
) -> int:
    """Create an account.

    Args:
        session: An open write session.
        login: 2 to 32 lower-case letters, digits, dots or dashes.
        name: The name for people.
        password: At least 10 signs.
        roles: At least one.
        now: The instant of the request.
        created_by: Login of the administrator.
        is_temporary: Whether the person must choose another password at first login.

    Returns:
        The account's id.

    Raises:
        LoginTaken: Somebody has that login.
        LoginNotAllowed, PasswordTooWeak, RoleUnknown: As named.
    """
    check_login(login)
    check_password(password, login=login)
    held = roles_from(roles)
    if session.scalar(select(Staff.id).where(Staff.login == login)):
        raise LoginTaken("the login is taken")
    staff = Staff(
        login=login,
        name=name.strip() or login,
        password_hash=_hasher.hash(password),
        roles=sorted(held),
        is_active=True,
        must_change_password=is_temporary,
        session_version=1,
        failures=0,
        created_at=now,
    )
    session.add(staff)
    session.flush()
    _note(session, staff, "created", by=created_by, now=now, roles=sorted(held))
    return staff.id


def set_roles(
    session: Session, *, staff_id: int, roles: Collection[Role | str], by: str, now: datetime
) -> None:
    """Replace an account's roles; ends its sessions if they changed.

    Raises:
        OwnAccount: Administrators cannot drop their own administrator role.
    """
    staff = _locked(session, staff_id)
    held = roles_from(roles)
    if staff.login == by and Role.ADMIN not in held:
        raise OwnAccount("one's own administrator role")
    before = list(staff.roles)
    if sorted(held) == before:
        return
    staff.roles = sorted(held)
    staff.session_version += 1
    _note(session, staff, "roles_changed", by=by, now=now, before=before, after=sorted(held))


def set_active(session: Session, *, staff_id: int, is_active: bool, by: str, now: datetime) -> None:
    """Disable an account, or open it again; ends its sessions.

    Raises:
        OwnAccount: Nobody disables themselves.
    """
    staff = _locked(session, staff_id)
    if staff.login == by:
        raise OwnAccount("one's own account")
    if staff.is_active == is_active:
        return
    staff.is_active = is_active
    staff.session_version += 1
    _forgive(staff)
    _note(session, staff, "enabled" if is_active else "disabled", by=by, now=now)


def reset_password(
    session: Session, *, staff_id: int, password: str, by: str, now: datetime
) -> None:
    """Give a temporary password, open a locked account, end its sessions."""
    staff = _locked(session, staff_id)
    check_password(password, login=staff.login)
    staff.password_hash = _hasher.hash(password)
    staff.must_change_password = True
    staff.session_version += 1
    _forgive(staff)
    _note(session, staff, "password_reset", by=by, now=now)


def change_password(
    session: Session, *, staff_id: int, current: str, new: str, now: datetime
) -> int:
    """Let a member of staff choose a password of their own; ends their other sessions.

    Returns:
        The new session version, for the session that goes on.

    Raises:
        LoginFailed: The current password is wrong.
        PasswordReused: The new one is the current one.
    """
    staff = _locked(session, staff_id)
    if not _matches(staff.password_hash, current):
        raise LoginFailed("the current password is wrong")
    if current == new:
        raise PasswordReused("the new password is the old one")
    check_password(new, login=staff.login)
    staff.password_hash = _hasher.hash(new)
    staff.must_change_password = False
    staff.session_version += 1
    _note(session, staff, "password_changed", by=staff.login, now=now)
    return staff.session_version


# --- logging in ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A login that succeeded."""

    staff_id: int
    session_version: int


def log_in(
    database: Database, *, login: str, password: str, origin: str, now: datetime
) -> Admitted:
    """Check a login and password, count failures, lock after five in a row.

    The slow password check runs outside the write transaction; whether the account is locked is
    decided inside it, so that parallel guesses do not get past the lock.

    Args:
        database: Where staff are kept.
        login: As typed.
        password: As typed.
        origin: Network address of the request, for the audit log.
        now: The instant of the request.

    Raises:
        LoginFailed: Login or password is wrong, or the account is disabled.
        AccountLocked: Too many failures, whatever the password.
    """
    name = login.strip().lower()
    with database.read() as session:
        stored = session.scalar(select(Staff.password_hash).where(Staff.login == name))
    is_right = _matches(stored or _NOBODYS_HASH, password) and stored is not None
    with database.write() as session:
        staff = session.scalar(select(Staff).where(Staff.login == name).with_for_update())
        failure: Unauthorized | None = LoginFailed("wrong login or password")
        if staff is not None:
            # Another request may have changed the password since it was checked.
            is_right = is_right and staff.password_hash == stored
            failure = _judge(session, staff, is_right=is_right, origin=origin, now=now)
        if failure is None and staff is not None:
            if _hasher.check_needs_rehash(staff.password_hash):
                staff.password_hash = _hasher.hash(password)
            return Admitted(staff_id=staff.id, session_version=staff.session_version)
    raise failure or LoginFailed("wrong login or password")


def _judge(
    session: Session, staff: Staff, *, is_right: bool, origin: str, now: datetime
) -> Unauthorized | None:
    if staff.locked_until is not None and staff.locked_until > now:
        return AccountLocked("locked after failures")
    if is_right and staff.is_active:
        _forgive(staff)
        staff.last_login_at = now
        _note(session, staff, "logged_in", by=staff.login, now=now, origin=origin)
        return None
    staff.failures += 1
    staff.locked_until = None
    _note(session, staff, "login_failed", by=staff.login, now=now, origin=origin)
    if staff.failures < MAX_FAILURES:
        return LoginFailed("wrong login or password")
    staff.failures = 0
    staff.locked_until = now + LOCKED_FOR
    _note(session, staff, "locked", by=staff.login, now=now, until=staff.locked_until)
    return AccountLocked("locked after failures")


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password[: MAX_PASSWORD_SIGNS + 1])
    except (VerificationError, InvalidHashError):
        return False


def _forgive(staff: Staff) -> None:
    staff.failures = 0
    staff.locked_until = None


def _locked(session: Session, staff_id: int) -> Staff:
    staff = session.scalar(select(Staff).where(Staff.id == staff_id).with_for_update())
    if staff is None:
        raise StaffNotFound("no such member of staff")
    return staff


def _note(
    session: Session, staff: Staff, what: str, *, by: str, now: datetime, **details: object
) -> None:
    append_audit(
        session,
        actor=by,
        action=f"desk.staff.{what}",
        subject=f"staff:{staff.login}",
        details=details,
        now=now,
    )
