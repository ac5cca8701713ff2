"""What other areas have risk do: grade accounts, remember facts and labels, fill lists.

Applications are decided by risk.decisions.house, which the root gives to whoever asks.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from risk.decisions.listed import make_list, put_on_list
from risk.grading import grade, house_grade_card
from risk.queries import GradeView, grades_of
from risk.strategy.lists import ListEntry
from risk.tables import RiskFact, RiskGrade, RiskPolicy

OWN_LIST: Final = "own-blocked"


def grade_accounts(
    session: Session, *, facts: Sequence[Any], on: date, now: datetime
) -> tuple[GradeView, ...]:
    """Grade a batch as of a business date; the first grade of a customer and day stands.

    Each of `facts` has a `customer_id` and an attribute for each characteristic of the card.
    """
    grades, rows = house_grade_card(), []
    policy = {"version": grades.version, "content": grades.text, "first_used_at": now}
    insert_ignore(session, RiskPolicy, [policy], conflict=["version"])
    for account in facts:
        values = {name: getattr(account, name) for name in grades.card.features}
        letter, points, reasons = grade(grades, values)
        rows.append(
            {
                "customer_id": account.customer_id,
                "graded_on": on,
                "grade": letter,
                "points": points,
                "is_worst": letter == grades.worst,
                "reasons": reasons,
                "card_version": grades.version,
                "graded_at": now,
            }
        )
    insert_ignore(session, RiskGrade, rows, conflict=["customer_id", "graded_on"])
    return grades_of(session, customer_ids=[account.customer_id for account in facts], on=on)


def record_fact(
    session: Session,
    *,
    subject: str,
    kind: str,
    key: str,
    happened_at: datetime,
    attributes: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Remember something about a subject; returns whether it is new. Safe to repeat with its key.

    Args:
        session: A write session.
        subject: Of decisions, such as `customer:17`.
        kind: Labels begin with `label.`.
        key: One fact of a kind each.
        happened_at: When it was so.
        attributes: JSON-able, nothing personal.
        now: Since when it is known.
    """
    row = {
        "subject": subject,
        "kind": kind,
        "key": key,
        "happened_at": happened_at,
        "known_at": now,
        "attributes": dict(attributes),
    }
    return insert_ignore(session, RiskFact, [row], conflict=["kind", "key"]) == 1


def block_identity(
    session: Session,
    *,
    identity_key: str,
    source: str,
    reason: str,
    on: date,
    expires_on: date,
    now: datetime,
) -> None:
    """Put an identity on the house's own list, which the statutory rule declines, for a time."""
    entry = ListEntry(
        list_name=OWN_LIST,
        value=identity_key,
        source=source,
        reason=reason,
        added_on=on,
        expires_on=expires_on,
    )
    make_list(session, name=OWN_LIST, now=now)
    put_on_list(session, entries=[entry])
