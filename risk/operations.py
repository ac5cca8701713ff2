"""What other areas have risk do: grade accounts, remember facts and labels, fill lists.

Applications are decided by risk.decisions.house, which the root gives to whoever asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kernel.database import insert_ignore
from risk.decisions.listed import make_list, put_on_list
from risk.decisions.sharing import (
    OUTCOME,
    SHARED,
    judge_subjects,
    keep_seen,
    seen_in,
    shared_values,
)
from risk.grading import grade, house_grade_card
from risk.lifecycle.outcomes import keep_outcomes
from risk.lifecycle.tables import RiskFact
from risk.queries import GradeView, grades_of
from risk.strategy.lists import OWN_LIST, Appeal, ListEntry
from risk.tables import RiskGrade, RiskListEntry, RiskPolicy

__all__ = [
    "OUTCOME",
    "OWN_LIST",
    "Fact",
    "Granted",
    "block_identity",
    "grade_accounts",
    "question_listing",
    "record_facts",
    "record_granted",
    "record_outcome",
    "shared_values",
]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a subject.

    Attributes:
        key: The teller's own name of it, such as `loan:17/written-off`; told twice, stored once.
        subject: As decisions name it, such as `customer:17`.
        kind: Such as `outcome`.
        known_at: Since when it could be known here, never before it happened.
        attributes: JSON-able; no names, numbers or addresses of people.
        shared: Hashes of values that others may share, by kind; see `shared_values`.
    """

    key: str
    subject: str
    kind: str
    happened_at: datetime
    known_at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)


def record_facts(session: Session, *, facts: Sequence[Fact]) -> int:
    """Keep facts that areas above tell; returns how many are new. Safe to repeat.

    What they say of shared values and of bad subjects is counted in the same transaction, for the
    decisions to come.

    Raises:
        ValueError: One is known before it happened.
    """
    if any(fact.known_at < fact.happened_at for fact in facts):
        raise ValueError("a fact is known before it happened")
    rows = [
        {
            "key": fact.key,
            "subject": fact.subject,
            "kind": fact.kind,
            "happened_at": fact.happened_at,
            "known_at": fact.known_at,
            "attributes": {
                **fact.attributes,
                **({SHARED: dict(fact.shared)} if fact.shared else {}),
            },
        }
        for fact in facts
    ]
    known = _known_keys(session, [fact.key for fact in facts])
    added = insert_ignore(session, RiskFact, rows, conflict=["key"])
    new = [RiskFact(**row) for row in rows if row["key"] not in known]
    keep_seen(session, [each for fact in new for each in seen_in(fact)])
    judge_subjects(session, {fact.subject for fact in new if fact.kind == OUTCOME})
    return added


def _known_keys(session: Session, keys: Sequence[str]) -> set[str]:
    return set(session.scalars(select(RiskFact.key).where(RiskFact.key.in_(keys))))


def record_outcome(
    session: Session,
    *,
    key: str,
    subject: str,
    is_bad: bool,
    happened_at: datetime,
    known_at: datetime,
    decision_id: str | None = None,
) -> int:
    """Keep what became of somebody who was granted something: the label of backtests.

    Of several about one decision the one known last counts.

    Args:
        session: An open write session.
        key: See `Fact`.
        subject: See `Fact`.
        is_bad: By the house's definition, such as 90 days past due within a year.
        happened_at: When that was settled.
        known_at: Since when it could be known here.
        decision_id: What it came of; without it, every earlier decision on the subject.
    """
    said = {"is_bad": is_bad} | ({"decision_id": decision_id} if decision_id else {})
    fact = Fact(
        key=key,
        subject=subject,
        kind=OUTCOME,
        happened_at=happened_at,
        known_at=known_at,
        attributes=said,
    )
    return record_facts(session, facts=[fact])


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What came of something that was granted once.

    Attributes:
        key: See `Fact`.
        of: The teller's name of what was granted, such as `loan:17`; its last word counts.
        decision_id: The decision of this house that granted it; None if there was none.
        is_bad: By the house's definition; None takes back what was told before.
    """

    key: str
    of: str
    subject: str
    decision_id: str | None
    is_bad: bool | None
    happened_at: datetime
    known_at: datetime


def record_granted(session: Session, *, granted: Sequence[Granted]) -> int:
    """Keep what came of many grants; returns how many are new. Safe to repeat.

    Each is a label of its decision alone; the newest of a decision is kept beside it, for those
    who watch strategies. Without a decision it is a fact about the subject and a label of nothing.
    """
    facts = [
        Fact(
            key=each.key,
            subject=each.subject,
            kind=OUTCOME,
            happened_at=each.happened_at,
            known_at=each.known_at,
            attributes={"is_bad": each.is_bad, "decision_id": each.decision_id, "of": each.of},
        )
        for each in granted
    ]
    judged = {each.decision_id: each for each in granted if each.decision_id is not None}
    keep_outcomes(
        session, {number: (each.is_bad, each.known_at) for number, each in judged.items()}
    )
    return record_facts(session, facts=facts)


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


def question_listing(session: Session, *, identity_key: str) -> int:
    """Open an appeal on an identity's entries of the own list, for a person judged otherwise.

    The entries count as before until those who keep the list decide; returns how many are asked
    about now. Safe to repeat.
    """
    rows = session.scalars(
        select(RiskListEntry)
        .where(
            RiskListEntry.list_name == OWN_LIST,
            RiskListEntry.value == identity_key,
            RiskListEntry.appeal == str(Appeal.NONE),
        )
        .with_for_update()
    ).all()
    for row in rows:
        row.appeal = str(Appeal.OPEN)
    return len(rows)
