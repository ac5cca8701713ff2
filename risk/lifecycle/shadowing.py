"""Shadows: versions that decide again what was decided, off the request path, heard by nobody.

A job walks behind the stored decisions, some seconds late so that no commit is overtaken, and
decides each by every running shadow on exactly what was seen then. What a shadow reads of an
application and the deciding strategy did not is not kept, and is missing for it.

    ShadowNotFound  404  no such shadow
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from desk.operations.audit import append_audit
from desk.queries import DocumentView, document_version
from kernel.clock import business_date
from kernel.database import insert_ignore
from kernel.errors import NotFound
from risk.decisions.engine import Published, Served, decide, serve
from risk.decisions.listed import lists_on
from risk.decisions.replay import DecisionNotReplayable, case_of
from risk.decisions.strategies import STRATEGY, published
from risk.features.catalogue import Catalogue
from risk.lifecycle.tables import ShadowDecision, StrategyShadow
from risk.strategy.decision import Lists
from risk.strategy.lists import AnsweredLists
from risk.tables import DecisionRecord

# Decisions younger than this may still be on their way to the disk.
SETTLED_AFTER: Final = timedelta(seconds=30)
_AT_ONCE: Final = 500


class ShadowNotFound(NotFound):
    """There is no such shadow."""

    code = "shadow-not-found"
    message_zh = "没有找到该影子策略"


def start_shadow(
    session: Session,
    *,
    key: str,
    version: int,
    catalogue: Catalogue,
    by: str,
    ends_at: datetime,
    now: datetime,
) -> int:
    """Let a version decide beside the one in force from now on; returns the shadow's number.

    Args:
        session: An open write session.
        key: The strategy.
        version: Its version, in whatever state; several may run at once.
        catalogue: By which it is read.
        by: A staff login.
        ends_at: It does not decide what is decided from then on.
        now: The instant of the request.

    Raises:
        DocumentNotFound: No such version.
        StrategyInvalid: It cannot be read.
        ModelNotPublished: It calls a model that is not in force.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    published(session, view, catalogue, on=business_date(now))
    row = StrategyShadow(
        strategy=key,
        version=version,
        strategy_hash=view.body_hash,
        started_by=by,
        started_at=now,
        ends_at=ends_at,
        ended_at=None,
        seen_at=now,
        seen_id="",
        skipped=0,
    )
    session.add(row)
    session.flush()
    details = {"ends_at": ends_at.isoformat(), "shadow": row.id}
    _audit(session, row, "shadow_started", by=by, now=now, details=details)
    return row.id


def stop_shadow(session: Session, *, shadow_id: int, by: str, now: datetime) -> None:
    """End a shadow; what it has said stays. Safe to repeat.

    Raises:
        ShadowNotFound: See there.
    """
    row = session.get(StrategyShadow, shadow_id, with_for_update=True)
    if row is None:
        raise ShadowNotFound(f"no shadow {shadow_id}")
    if row.ended_at is None:
        row.ended_at = now
        _audit(session, row, "shadow_stopped", by=by, now=now, details={"shadow": row.id})


def running_shadows(session: Session) -> tuple[int, ...]:
    """Name the shadows that have not ended."""
    found = select(StrategyShadow.id).where(StrategyShadow.ended_at.is_(None))
    return tuple(session.scalars(found.order_by(StrategyShadow.id)))


def follow_shadow(session: Session, *, shadow_id: int, catalogue: Catalogue, now: datetime) -> int:
    """Let a shadow decide the next stored decisions; returns how many, 0 once it is up to date.

    A shadow that is up to date and past its end is ended.
    """
    row = session.get(StrategyShadow, shadow_id, with_for_update=True)
    if row is None or row.ended_at is not None:
        return 0
    until = min(row.ends_at, now - SETTLED_AFTER)
    view = document_version(session, kind=STRATEGY, key=row.strategy, version=row.version)
    shadow = Again.by(session, view, catalogue, now=now)
    records = _next_records(session, row, tuple(shadow.published.strategy.products), until)
    found = [each for each in (shadow.said(session, record) for record in records) if each]
    rows = [each | {"shadow_id": row.id} for each in found]
    insert_ignore(session, ShadowDecision, rows, conflict=["shadow_id", "decision_id"])
    row.skipped += len(records) - len(found)
    if records:
        row.seen_at, row.seen_id = records[-1].decided_at, records[-1].id
    elif row.ends_at <= now - SETTLED_AFTER:
        row.ended_at = now
        _audit(session, row, "shadow_ended", by="machine:shadows", now=now, details={})
    return len(records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A version, ready to decide again what was decided.

    Attributes:
        served: By product, compiled when first asked.
    """

    published: Published
    catalogue: Catalogue
    lists: Lists
    served: dict[str, Served]

    @classmethod
    def by(
        cls, session: Session, view: DocumentView, catalogue: Catalogue, *, now: datetime
    ) -> "Again":
        """Read a version with its models and the lists of the day."""
        on = business_date(now)
        return cls(
            published=published(session, view, catalogue, on=on),
            catalogue=catalogue,
            lists=lists_on(session, on=on),
            served={},
        )

    def said(self, session: Session, record: Any) -> dict[str, Any] | None:
        """Decide what was decided; None if what it was made of is no longer kept."""
        seen = json.loads(record.snapshot)
        try:
            case = case_of(session, record.id, seen)
        except DecisionNotReplayable:
            return None
        product = seen["product"]
        if product not in self.served:
            self.served[product] = serve(self.published, self.catalogue, product=product)
        answers = {(name, match, value): found for name, match, value, found in seen["lists"]}
        case = replace(case, lists=AnsweredLists(answers, self.lists))
        verdict = decide(self.served[product], case)
        return {
            "decision_id": record.id,
            "decided": record.outcome,
            "outcome": verdict.decision.outcome.name.lower(),
            "answer": verdict.answer,
            "decided_at": record.decided_at,
        }


def _next_records(
    session: Session, row: StrategyShadow, products: tuple[str, ...], until: datetime
) -> Sequence[Any]:
    record = DecisionRecord
    return session.execute(
        select(record.id, record.outcome, record.snapshot, record.decided_at)
        .where(
            record.decided_at >= row.seen_at,
            tuple_(record.decided_at, record.id) > (row.seen_at, row.seen_id),
            record.decided_at < until,
            record.product.in_(products),
        )
        .order_by(record.decided_at, record.id)
        .limit(_AT_ONCE)
    ).all()


def _audit(
    session: Session,
    row: StrategyShadow,
    act: str,
    *,
    by: str,
    now: datetime,
    details: dict[str, Any],
) -> None:
    append_audit(
        session,
        actor=by,
        action=f"risk.strategy.{act}",
        subject=f"{STRATEGY}:{row.strategy}:{row.version}",
        details=details,
        now=now,
    )
