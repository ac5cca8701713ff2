"""What staff do in dialogs that are shown before they count: look, then act; a second rules."""

import re
from typing import Any

from desk.operations import decide
from servicing import queries


def seal_of(page: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', page)
    return found[1] if found else ""


def look(desk: Any, path: str, **form: str) -> str:
    """Send the form once: what comes back is what would happen."""
    answer = desk.fill(path, path, **form)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def act(desk: Any, path: str, **form: str) -> Any:
    """Look, then send what was shown."""
    return desk.fill(path, path, **form, seen=seal_of(look(desk, path, **form)))


def loan(read: Any, someone: Any, workplace: Any, loan_id: int) -> Any:
    on = workplace.runtime.clock.now().date()
    return read(queries.loan_of, loan_id=loan_id, customer_id=someone.id, on=on)


def rule(workplace: Any, approval_id: int, login: str, *, approve: bool = True) -> Any:
    with workplace.runtime.database.write() as session:
        return decide(
            session,
            workplace.site,
            approval_id=approval_id,
            decided_by=login,
            approve=approve,
            note="核对无误",
            now=workplace.runtime.clock.now(),
        )
