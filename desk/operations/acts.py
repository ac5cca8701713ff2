"""An act of a member of staff, done in place: once per form, with its trace in the audit chain.

What is done is its area's business; an act that needs a second person is `approvals`'.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from desk.operations.audit import append_audit
from kernel import idempotency
from kernel.errors import Invalid

_KEY: Final = re.compile(r"[\w-]{16,64}", re.ASCII)


class FormKeyMissing(Invalid):
    """The form came without the key that its page had given it."""

    code = "staff-form-key-missing"
    message_zh = "页面已过期，请返回后刷新重试"


def act_once(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    key: str,
    payload: Mapping[str, Any],
    do: Callable[[], Mapping[str, Any] | None],
    now: datetime,
) -> bool:
    """Do something and note it in the audit chain; the same form sent twice does it once.

    Args:
        session: An open write session.
        actor: The staff login.
        action: Dotted, area first, in the past tense: `servicing.hold.placed`.
        subject: What was acted upon: `customer:17`.
        key: The form's own key, made when it was drawn.
        payload: What the form said, to tell a repeat from another act.
        do: Does it; returns the entry's details without clear personal data, or None if there
            was nothing left to do.
        now: The instant of the request.

    Returns:
        Whether it was done now.

    Raises:
        FormKeyMissing: The key is none of ours.
        KeyReused: The form was sent before and said something else.
    """
    if not _KEY.fullmatch(key):
        raise FormKeyMissing("the form has no key")
    claimed = idempotency.claim(
        session, action=action, key=f"{actor}/{key}", payload=payload, now=now
    )
    if claimed.answer is not None:
        return False
    details = do()
    claimed.keep({})
    if details is None:
        return False
    append_audit(session, actor=actor, action=action, subject=subject, details=details, now=now)
    return True
