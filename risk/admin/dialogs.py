"""What dialogs of a strategy share: a reason is asked for, and what they ask for is done once."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import request
from sqlalchemy import event
from sqlalchemy.orm import Session

from desk.operations import act_once
from desk.ports import current_staff
from kernel.errors import Invalid
from kernel.web import now, runtime
from risk.decisions.strategies import tell_workers

_LONGEST_REASON: Final = 200


class WhyMissing(Invalid):
    """The form needs a reason of at most 200 signs."""

    code = "risk-reason-needed"
    message_zh = "请填写理由（不超过200字）"


def done_once(
    *,
    action: str,
    subject: str,
    payload: Mapping[str, Any],
    do: Callable[[Session], Mapping[str, Any] | None],
) -> bool:
    """Do what a dialog asks for, once, with its trace in the audit chain.

    Args:
        action: As the chain names it.
        subject: To what it is done.
        payload: What was asked for; the same dialog with another one is a conflict.
        do: Does it; returns what the chain keeps of it, None if there was nothing to do.
    """
    with runtime().database.write() as session:
        return act_once(
            session,
            actor=current_staff().login,
            action=action,
            subject=subject,
            key=request.form.get("key", ""),
            payload=payload,
            do=lambda: do(session),
            now=now(),
        )


def reason_given() -> str:
    """Read the reason.

    Raises:
        WhyMissing: See there.
    """
    reason = request.form.get("reason", "").strip()
    if not 0 < len(reason) <= _LONGEST_REASON:
        raise WhyMissing("a reason is needed")
    return reason


def tell_after(session: Session) -> None:
    """Tell the workers once this transaction is committed, not before."""
    redis = runtime().redis
    event.listen(session, "after_commit", lambda _: tell_workers(redis), once=True)
