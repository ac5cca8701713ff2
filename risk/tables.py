"""Tables of risk: decisions, grades and facts, which only grow; vectors, links and lists.

`decision_record` and what stands around it are of the decision service (risk.decisions).
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import DDL, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from kernel.append_only import keep_append_only
from kernel.database import Base, BigId


class RiskPolicy(Base):
    """The text of a card that graded at least once."""

    __tablename__ = "risk_policy"

    version: Mapped[str] = mapped_column(String(80), primary_key=True)
    content: Mapped[str] = mapped_column(Text)
    first_used_at: Mapped[datetime]


class RiskGrade(Base):
    """One customer's grade as of a business date."""

    __tablename__ = "risk_grade"

    customer_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    graded_on: Mapped[date] = mapped_column(primary_key=True)
    grade: Mapped[str] = mapped_column(String(8))
    points: Mapped[int]
    is_worst: Mapped[bool]
    reasons: Mapped[list[Any]]
    card_version: Mapped[str] = mapped_column(ForeignKey("risk_policy.version"))
    graded_at: Mapped[datetime]


class FeatureVector(Base):
    """A subject's vector as it was known from an instant on; a newer one is another row."""

    __tablename__ = "feature_vector"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    known_at: Mapped[datetime] = mapped_column(primary_key=True)
    catalogue: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    blob: Mapped[bytes] = mapped_column(LargeBinary)


class LinkValue(Base):
    """How many customers share a value (a device, a phone), and how many of them are bad.

    `value_hash` is the keyed hash of the kind and the normalised value. An exempt value, such as
    the network of a whole town, links nobody.
    """

    __tablename__ = "link_value"

    value_hash: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    degree: Mapped[int]
    bad: Mapped[int]
    last_bad_at: Mapped[datetime | None]
    exempt: Mapped[bool]


class LinkEdge(Base):
    """That a subject was seen with a shared value, last when; `bad_at` since when it is bad."""

    __tablename__ = "link_edge"
    __table_args__ = (Index(None, "subject"), Index(None, "seen_at"), Index(None, "bad_at"))

    value_hash: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    seen_at: Mapped[datetime]
    bad_at: Mapped[datetime | None]


class CountedEvent(Base):
    """An event that happened with a shared value; strategies count them over a time window."""

    __tablename__ = "counted_event"
    __table_args__ = (Index(None, "value_hash", "event", "happened_at"), Index(None, "happened_at"))

    fact_key: Mapped[str] = mapped_column(String(120), primary_key=True)
    value_hash: Mapped[str] = mapped_column(String(40), primary_key=True)
    event: Mapped[str] = mapped_column(String(40))
    happened_at: Mapped[datetime]


class RiskList(Base):
    """A list that strategies can ask; one that is not here cannot be read."""

    __tablename__ = "risk_list"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    match: Mapped[str] = mapped_column(String(16))
    needs_second: Mapped[bool]
    created_at: Mapped[datetime]


class RiskListEntry(Base):
    """One value on a list: who put it there, why, and until when."""

    __tablename__ = "risk_list_entry"
    __table_args__ = (Index(None, "list_name", "value"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_name: Mapped[str] = mapped_column(ForeignKey("risk_list.name"))
    value: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(200))
    added_on: Mapped[date]
    expires_on: Mapped[date | None]
    appeal: Mapped[str] = mapped_column(String(16))


class RuleSnooze(Base):
    """A rule of a strategy silenced for a subject or merchant over a half-open period of days."""

    __tablename__ = "rule_snooze"
    __table_args__ = (
        CheckConstraint("since < until", name="period_is_not_empty"),
        Index("ix_rule_snooze_until", "until"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str] = mapped_column(String(120))
    key: Mapped[str] = mapped_column(String(120))
    since: Mapped[date]
    until: Mapped[date]
    reason: Mapped[str] = mapped_column(String(200))
    started_by: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ended_by: Mapped[str | None] = mapped_column(String(64))
    ended_at: Mapped[datetime | None]


class RiskWalk(Base):
    """How far a walk through decisions or facts has come, so that it goes on after a crash."""

    __tablename__ = "risk_walk"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[dict[str, Any]]
    moved_at: Mapped[datetime]


class DecisionKey(Base):
    """One use of a caller's idempotency key, written in the transaction of its decisions."""

    __tablename__ = "decision_key"

    caller_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(140), primary_key=True)
    payload_hash: Mapped[str] = mapped_column(String(64))
    decision_ids: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime]


class DecisionRecord(Base):
    """One decision of the service; snapshot and answer are JSON text, so that they replay exactly.

    On PostgreSQL each day is a partition; see risk.decisions.keeping. Backtests, shadows and staff
    walk through them by their instant, and staff look for those on a subject.
    """

    __tablename__ = "decision_record"
    __table_args__ = (
        Index("ix_decision_record_decided_at", "decided_at", "id"),
        Index("ix_decision_record_subject", "subject", "decided_at"),
        {"postgresql_partition_by": "RANGE (decided_on)"},
    )

    decided_on: Mapped[date] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    caller_id: Mapped[int] = mapped_column(BigId)
    subject: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(8))
    strategy_hash: Mapped[str] = mapped_column(String(64))
    snapshot: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]


event.listen(
    DecisionRecord.__table__,
    "after_create",
    DDL("CREATE TABLE decision_record_rest PARTITION OF decision_record DEFAULT").execute_if(  # type: ignore[no-untyped-call]
        dialect="postgresql"
    ),
)
for _model in (RiskPolicy, RiskGrade, DecisionRecord):
    keep_append_only(_model)
