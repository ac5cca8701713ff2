"""Pure rules of the workplace: who may do what, how approvals and documents move, what is masked.

It reads no database and no clock, and it knows no permission but desk's own; areas declare theirs
on the Site.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from kernel.errors import Conflict, Invalid

# --- roles and desk's own permissions ---


class Role(StrEnum):
    """What a member of staff is here for."""

    CLERK = "clerk"
    COLLECTOR = "collector"
    RISK_ANALYST = "risk_analyst"
    RISK_MANAGER = "risk_manager"
    FINANCE = "finance"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    ADMIN = "admin"


ROLE_LABELS: Final[Mapping[Role, str]] = {
    Role.CLERK: "客服",
    Role.COLLECTOR: "催收专员",
    Role.RISK_ANALYST: "风控分析",
    Role.RISK_MANAGER: "风控经理",
    Role.FINANCE: "财务",
    Role.AUDITOR: "审计",
    Role.OPERATOR: "运维",
    Role.ADMIN: "系统管理员",
}

EVERY_ROLE: Final = frozenset(Role)
_WITH_CUSTOMERS: Final = frozenset(
    {
        Role.CLERK,
        Role.COLLECTOR,
        Role.RISK_ANALYST,
        Role.RISK_MANAGER,
        Role.FINANCE,
        Role.AUDITOR,
    }
)

PUBLIC: Final = "public"
"""Marks the few pages under /admin that need no login at all."""

WORKPLACE: Final = "desk.workplace"
CUSTOMERS: Final = "desk.customers.view"
APPROVALS: Final = "desk.approvals.view"
DOCUMENTS: Final = "desk.documents.view"
AUDIT: Final = "desk.audit.view"
AUDIT_EXPORT: Final = "desk.audit.export"
STAFF: Final = "desk.staff.manage"

PERMISSIONS: Final[tuple[tuple[str, str, frozenset[Role]], ...]] = (
    (WORKPLACE, "进入工作台", EVERY_ROLE),
    (CUSTOMERS, "打开客户页", _WITH_CUSTOMERS),
    (APPROVALS, "查看待审批", _WITH_CUSTOMERS | {Role.ADMIN}),
    (
        DOCUMENTS,
        "查看版本文档",
        frozenset({Role.RISK_ANALYST, Role.RISK_MANAGER, Role.AUDITOR, Role.ADMIN}),
    ),
    (AUDIT, "查看审计日志", frozenset({Role.AUDITOR, Role.ADMIN})),
    (AUDIT_EXPORT, "导出审计日志", frozenset({Role.AUDITOR})),
    (STAFF, "管理员工账号", frozenset({Role.ADMIN})),
)
"""Desk's own permissions: code, label, roles that hold it."""


# --- passwords, lock-out, sessions ---

MIN_PASSWORD_SIGNS: Final = 10
MAX_PASSWORD_SIGNS: Final = 128
MAX_FAILURES: Final = 5
LOCKED_FOR: Final = timedelta(minutes=15)
IDLE_LIMIT: Final = timedelta(minutes=30)
ABSOLUTE_LIMIT: Final = timedelta(hours=12)

_LOGIN: Final = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_COMMON_PASSWORDS: Final = frozenset({"password", "qwertyuiop", "1234567890", "0123456789"})


class LoginNotAllowed(Invalid):
    """The login is not 2 to 32 lower-case letters, digits, dots or dashes."""

    code = "staff-login-not-allowed"
    message_zh = "登录名须为 2–32 位小写字母、数字、点或横线，并以字母开头"


class PasswordTooWeak(Invalid):
    """The password is short, common, one sign over and over, or holds the login."""

    code = "staff-password-too-weak"
    message_zh = "密码至少 10 位，不能是常见密码，也不能包含登录名"


class RoleUnknown(Invalid):
    """No such role, or none at all."""

    code = "staff-role-unknown"
    message_zh = "请至少选择一个有效的角色"


def check_login(login: str) -> str:
    """Return a login that may be used.

    Raises:
        LoginNotAllowed: It has other signs or another length.
    """
    if not _LOGIN.fullmatch(login):
        raise LoginNotAllowed("a login is 2 to 32 of a-z 0-9 . _ - and begins with a letter")
    return login


def check_password(password: str, *, login: str) -> None:
    """Refuse a password that is easily guessed.

    Raises:
        PasswordTooWeak: It is shorter than 10 signs, common, monotonous, or equal to the login.
    """
    plain = password.casefold()
    is_sized = MIN_PASSWORD_SIGNS <= len(password) <= MAX_PASSWORD_SIGNS
    holds_login = plain.strip("0123456789!@#. ") == login
    if not is_sized or len(set(plain)) < MIN_PASSWORD_SIGNS // 2 or holds_login:
        raise PasswordTooWeak("a password needs 10 signs and must not be the login")
    if any(plain.startswith(common) for common in _COMMON_PASSWORDS):
        raise PasswordTooWeak("a common password")


def roles_from(names: Iterable[str]) -> frozenset[Role]:
    """Read role names.

    Raises:
        RoleUnknown: One is not a role, or there is none.
    """
    try:
        roles = frozenset(Role(name) for name in names)
    except ValueError as error:
        raise RoleUnknown("not a role") from error
    if not roles:
        raise RoleUnknown("at least one role is needed")
    return roles


def is_session_over(*, began_at: datetime, seen_at: datetime, now: datetime) -> bool:
    """Say whether a session ended by idling 30 minutes or lasting 12 hours."""
    return now - seen_at > IDLE_LIMIT or now - began_at > ABSOLUTE_LIMIT


# --- masking ---

_STAR: Final = "*"
_PHONE_SIGNS: Final = 11


def mask_name(name: str) -> str:
    """Keep the first sign: 张三 → 张*, 张小三 → 张**."""
    return name[:1] + _STAR * (len(name) - 1) if len(name) > 1 else _STAR * len(name)


def mask_phone(phone: str) -> str:
    """Keep three signs before and four behind: 13800001234 → 138****1234."""
    if len(phone) < _PHONE_SIGNS:
        return _STAR * len(phone)
    return phone[:-8] + _STAR * 4 + phone[-4:]


def mask_id(number: str) -> str:
    """Keep the first and the last sign only: the last four identify a caller to us."""
    inner = len(number) - 2
    return number[:1] + _STAR * inner + number[-1:] if inner > 0 else _STAR * len(number)


# --- canonical form and hashes ---


def canonical(value: Any) -> str:
    """Write JSON in the one form that is hashed: sorted keys, no spaces, no NaN.

    Dates and decimals become text.
    """
    return json.dumps(
        _plain(value),
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    )


def sha256_of(value: Any) -> str:
    """Hash a JSON-able value in its canonical form; 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_storable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    return _storable(str(value))


def _storable(text: str) -> str:
    """Drop what a database's text cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode(errors="replace").decode()


GENESIS: Final = "0" * 64
"""What the first audit entry names as its predecessor."""


def entry_hash(
    *,
    number: int,
    actor: str,
    action: str,
    subject: str,
    details: str,
    at: datetime,
    previous: str,
) -> str:
    """Hash an audit entry together with the hash of the one before.

    Args:
        number: Place in the chain, 1, 2, 3 …
        actor: Who acted.
        action: What was done.
        subject: To what.
        details: Canonical JSON text, exactly as stored.
        at: Aware instant.
        previous: Hash of entry `number` - 1, or GENESIS.
    """
    return sha256_of(
        [number, actor, action, subject, details, round(at.timestamp() * 1e6), previous]
    )


# --- differences ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a diff, in words for people; empty text means absent."""

    label: str
    before: str
    after: str


def differences(before: Any, after: Any) -> tuple[Change, ...]:
    """Compare two JSON-able values leaf by leaf; labels are paths such as `rules.0.limit`."""
    left, right = dict(_leaves("", before)), dict(_leaves("", after))
    labels = list(dict.fromkeys([*left, *right]))
    return tuple(
        Change(label=label, before=left.get(label, ""), after=right.get(label, ""))
        for label in labels
        if left.get(label) != right.get(label)
    )


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list | tuple) and value:
        for place, item in enumerate(value):
            yield from _leaves(f"{path}.{place}" if path else str(place), item)
    elif value is not None or path:
        yield path, value if isinstance(value, str) else canonical(value)


# --- approvals ---


class ApprovalState(StrEnum):
    """Where a proposal stands."""

    WAITING = "waiting"
    EXECUTED = "executed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    UNDONE = "undone"


class ApprovalNotOpen(Conflict):
    """The proposal was decided, withdrawn, undone, or has expired."""

    code = "approval-not-open"
    message_zh = "该审批已处理或已过期，请刷新页面"


_APPROVAL_MOVES: Final[Mapping[tuple[ApprovalState, str], ApprovalState]] = {
    (ApprovalState.WAITING, "approve"): ApprovalState.EXECUTED,
    (ApprovalState.WAITING, "refuse"): ApprovalState.REFUSED,
    (ApprovalState.WAITING, "withdraw"): ApprovalState.WITHDRAWN,
    (ApprovalState.WAITING, "expire"): ApprovalState.EXPIRED,
    (ApprovalState.EXECUTED, "undo"): ApprovalState.UNDONE,
}


def next_approval_state(state: str, event: str) -> ApprovalState:
    """Move a proposal.

    Raises:
        ApprovalNotOpen: The event is not possible in that state.
    """
    try:
        return _APPROVAL_MOVES[ApprovalState(state), event]
    except KeyError:
        raise ApprovalNotOpen(f"cannot {event} a proposal that is {state}") from None


# --- versioned documents ---


class DocumentState(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    TESTED = "tested"
    APPROVED = "approved"
    IN_FORCE = "in_force"
    RETIRED = "retired"
    DISCARDED = "discarded"


class DocumentStepRefused(Conflict):
    """A version cannot take that step from where it stands."""

    code = "document-step-refused"
    message_zh = "该版本当前状态不能进行此操作"


_DOCUMENT_MOVES: Final[Mapping[tuple[DocumentState, str], DocumentState]] = {
    (DocumentState.DRAFT, "test"): DocumentState.TESTED,
    (DocumentState.TESTED, "test"): DocumentState.TESTED,
    (DocumentState.TESTED, "approve"): DocumentState.APPROVED,
    (DocumentState.APPROVED, "activate"): DocumentState.IN_FORCE,
    (DocumentState.APPROVED, "retire"): DocumentState.RETIRED,
    (DocumentState.IN_FORCE, "retire"): DocumentState.RETIRED,
    (DocumentState.DRAFT, "discard"): DocumentState.DISCARDED,
    (DocumentState.TESTED, "discard"): DocumentState.DISCARDED,
    (DocumentState.APPROVED, "discard"): DocumentState.DISCARDED,
}

EVER_APPROVED: Final = (DocumentState.APPROVED, DocumentState.IN_FORCE, DocumentState.RETIRED)
"""States of the versions that a date may fall to."""


def next_document_state(state: str, event: str) -> DocumentState:
    """Move a version.

    Raises:
        DocumentStepRefused: The event is not possible in that state.
    """
    try:
        return _DOCUMENT_MOVES[DocumentState(state), event]
    except KeyError:
        raise DocumentStepRefused(f"cannot {event} a version that is {state}") from None
