"""Applications of made-up people as they went: asked about, decided by machine, some by a person.

What the machine says comes from the house's own strategy, as it would have said it on that day on
what was known then; people at the desk look at what outsiders know and never at the planted truth.
Rows are what servicing.operations would have written: a test sends one and the same person both
ways and compares.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.crypto import FieldCipher
from kernel.identity import phone_index
from risk.operations import Fact
from risk.ports import Subsystem
from servicing.caps import OWN
from servicing.demo.credit import Credit
from servicing.demo.people import Person
from servicing.model import (
    MACHINE,
    REVIEW_WITHIN,
    ApplicationState,
    CourseState,
    EvidenceState,
    ReviewKind,
    needs_second_person,
)
from servicing.operations.applications.reviewing import label_of
from servicing.ports import Decision
from servicing.products import STANDARD
from servicing.queries.questions import age_of, lender_of, subject_of

REVIEWER: Final = "manager"
_RECENT: Final = timedelta(days=30)
_LEASE: Final = timedelta(seconds=10)
_SOUND_SCORE: Final = 640
_STATES: Final = {
    "approve": ApplicationState.BOOKED,
    "decline": ApplicationState.DECLINED,
    "review": ApplicationState.IN_REVIEW,
}


class DecideThen(Protocol):
    """The machine, asked about past days."""

    def __call__(
        self, *, key: str, subject: str, product: str, values: Mapping[str, Any], at: datetime
    ) -> Decision:
        """Decide under a key that was never used, as of an instant."""
        ...

    def keep(self, session: Session) -> None:
        """Store what was decided since the last time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Somebody without any history here, and what they apply for.

    Attributes:
        identity_key: What stands for the id number on lists.
        submitted_at: When they apply.
    """

    customer_id: int
    person: Person
    credit: Credit
    identity_key: str
    amount_fen: int
    terms: int
    shop: str
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of an application: column values of its rows.

    Attributes:
        application: Beside what was applied for.
        label: What risk is told of a person's decision; None without one.
        line_fen: What the machine grants in all.
    """

    application: Mapping[str, Any]
    course: Mapping[str, Any]
    evidence: tuple[Mapping[str, Any], ...]
    review: Mapping[str, Any] | None
    label: Fact | None
    line_fen: int

    @property
    def is_booked(self) -> bool:
        """Whether a loan came of it."""
        return bool(self.application["state"] == ApplicationState.BOOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Whoever decides in a made-up house.

    Attributes:
        machine: Decides all.
        subsystems: Are asked about everybody.
        seen: Who applied with which device or wifi, and when.
    """

    machine: DecideThen
    subsystems: Sequence[Subsystem]
    cipher: FieldCipher
    seen: dict[tuple[str, str], list[tuple[datetime, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def expect(self, customer_id: int, person: Person, at: datetime) -> None:
        """Note who applies when, before anybody is decided: others may share what they have."""
        for kind, value in (("device", person.device), ("wifi", person.wifi)):
            self.seen[kind, value].append((at, customer_id))

    def judge(self, random: Random, application_id: int, newcomer: Newcomer) -> Judged:
        """Send an application its way: seconds, and minutes more where a person looks at it."""
        decided_at = newcomer.submitted_at + timedelta(seconds=random.randint(2, 20))
        decision = self.machine(
            key=f"application/{application_id}",
            subject=subject_of(newcomer.customer_id),
            product=STANDARD.code,
            values=self._values(newcomer),
            at=decided_at,
        )
        reviewed_at = decided_at + timedelta(minutes=random.randint(5, 55))
        reviewed = _reviewed(newcomer) if decision.outcome == "review" else None
        application = _application(decision, reviewed, decided_at, reviewed_at)
        label = None
        if reviewed is not None:
            is_approved, reasons = reviewed
            label = label_of(
                application_id=application_id,
                customer_id=newcomer.customer_id,
                outcome=ApplicationState.APPROVED if is_approved else ApplicationState.DECLINED,
                reasons=reasons,
                decision_no=decision.decision_id,
                was_appealed=False,
                now=reviewed_at,
            )
        return Judged(
            application=application,
            course=_course(application_id, decision, newcomer.submitted_at, decided_at),
            evidence=tuple(self._evidence(application_id, newcomer)),
            review=_review(application_id, decided_at, reviewed_at) if reviewed else None,
            label=label,
            line_fen=decision.line_fen or 0,
        )

    def _values(self, newcomer: Newcomer) -> dict[str, Any]:
        """Say what the machine is asked of a newcomer; see servicing.queries.question_of."""
        person, at = newcomer.person, newcomer.submitted_at
        answers = newcomer.credit.answers()
        known = {
            "product": STANDARD.code,
            "lender_type": lender_of(OWN),
            "identity_key": newcomer.identity_key,
            "phone": phone_index(self.cipher, person.phone),
            "age_years": age_of(person.id_number, business_date(at)),
            "income_monthly_fen": newcomer.credit.income_monthly_fen,
            "requested_fen": newcomer.amount_fen,
            "requested_terms": newcomer.terms,
            "merchant_name": newcomer.shop,
            "is_student": person.is_student,
            "device_others_30d": self._others("device", person.device, newcomer),
            "wifi_others_30d": self._others("wifi", person.wifi, newcomer),
            "applications_30d": 1,
            **dict.fromkeys(_NOTHING_YET, 0),
        }
        for name in sorted(each.name for each in self.subsystems):
            known |= answers[name]
        return {name: value for name, value in known.items() if value is not None}

    def _others(self, kind: str, value: str, newcomer: Newcomer) -> int:
        at = newcomer.submitted_at
        return sum(
            at - _RECENT <= when <= at and customer_id != newcomer.customer_id
            for when, customer_id in self.seen[kind, value]
        )

    def _evidence(self, application_id: int, newcomer: Newcomer) -> Iterator[dict[str, Any]]:
        answers, at = newcomer.credit.answers(), newcomer.submitted_at
        for each in self.subsystems:
            yield {
                "application_id": application_id,
                "subsystem": each.name,
                "label": each.label,
                "fallback": each.fallback.value,
                "state": EvidenceState.ANSWERED.value,
                "attempts": 1,
                "due_at": at + timedelta(seconds=each.deadline_s),
                "leased_until": at + timedelta(seconds=each.timeout_s * each.attempts) + _LEASE,
                "settled_at": at + timedelta(seconds=1),
                "is_late": False,
                "values": answers[each.name],
                "failure": None,
            }


# What the book knows of somebody who was never a customer.
_NOTHING_YET: Final = (
    *("loans_settled", "days_past_due_now", "own_overdue_days_max_12m", "months_on_book"),
    *("line_granted_fen", "line_used_fen"),
)


def _reviewed(newcomer: Newcomer) -> tuple[bool, list[str]]:
    """Let a person look at what outsiders know, within what one person may approve alone."""
    if needs_second_person(newcomer.amount_fen):
        return False, ["beyond-means"]
    is_sound = newcomer.credit.report["score"] >= _SOUND_SCORE
    return is_sound, ["confirmed-by-phone" if is_sound else "unverified"]


def _application(
    decision: Decision,
    reviewed: tuple[bool, list[str]] | None,
    decided_at: datetime,
    reviewed_at: datetime,
) -> dict[str, Any]:
    values = {
        "state": _STATES[decision.outcome].value,
        "decision_no": decision.decision_id,
        "strategy_version": decision.strategy_version,
        "reasons": [reason.code for reason in decision.reasons],
        "told": {reason.code: reason.customer for reason in decision.reasons},
        "decided_at": decided_at,
        "decided_by": MACHINE,
    }
    if reviewed is not None:
        is_approved, reasons = reviewed
        state = ApplicationState.BOOKED if is_approved else ApplicationState.DECLINED
        values |= {"state": state.value, "reasons": reasons}
        values |= {"decided_at": reviewed_at, "decided_by": REVIEWER}
    return values


def _course(
    application_id: int, decision: Decision, submitted_at: datetime, decided_at: datetime
) -> dict[str, Any]:
    return {
        "application_id": application_id,
        "state": CourseState.DECIDED.value,
        "moved_at": decided_at,
        "machine_outcome": decision.outcome,
        "machine_decided_at": decided_at,
        "machine_ms": (decided_at - submitted_at).seconds * 1_000,
        "appealed_at": None,
    }


def _review(application_id: int, opened_at: datetime, closed_at: datetime) -> dict[str, Any]:
    return {
        "application_id": application_id,
        "kind": ReviewKind.DECISION.value,
        "opened_at": opened_at,
        "due_at": opened_at + REVIEW_WITHIN,
        "reviewer": REVIEWER,
        "taken_until": None,
        "closed_at": closed_at,
    }
