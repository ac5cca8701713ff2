"""What changes the workplace, by noun; callers find every operation here.

Each runs in the caller's transaction and leaves its trace in the audit chain. Sessions and pages
are not here.
"""

from desk.operations.acts import FormKeyMissing, act_once
from desk.operations.approvals import (
    ActionUnknown,
    ApprovalNotFound,
    ApprovalWaiting,
    BeyondAuthority,
    NotPermitted,
    NotUndoable,
    ReasonNeeded,
    SecondPersonNeeded,
    decide,
    expire_due,
    propose,
    undo,
    withdraw,
)
from desk.operations.audit import append_audit
from desk.operations.documents import (
    AuthorApproves,
    EffectiveInThePast,
    NothingToRestore,
    activate_due,
    approve,
    discard,
    mark_tested,
    rollback,
    save_draft,
)
from desk.operations.staff import (
    AccountLocked,
    Admitted,
    LoginFailed,
    LoginTaken,
    OwnAccount,
    PasswordReused,
    StaffNotFound,
    change_password,
    create_staff,
    log_in,
    reset_password,
    set_active,
    set_roles,
)
from desk.queries import document

__all__ = [
    "AccountLocked",
    "ActionUnknown",
    "Admitted",
    "ApprovalNotFound",
    "ApprovalWaiting",
    "AuthorApproves",
    "BeyondAuthority",
    "EffectiveInThePast",
    "FormKeyMissing",
    "LoginFailed",
    "LoginTaken",
    "NotPermitted",
    "NotUndoable",
    "NothingToRestore",
    "OwnAccount",
    "PasswordReused",
    "ReasonNeeded",
    "SecondPersonNeeded",
    "StaffNotFound",
    "act_once",
    "activate_due",
    "append_audit",
    "approve",
    "change_password",
    "create_staff",
    "decide",
    "discard",
    "document",
    "expire_due",
    "log_in",
    "mark_tested",
    "propose",
    "reset_password",
    "rollback",
    "save_draft",
    "set_active",
    "set_roles",
    "undo",
    "withdraw",
]
