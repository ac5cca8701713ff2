"""Decides on request: reads what is asked, looks up what is known, decides, stores, answers.

It knows no HTTP; risk.decisions.door does. One of these lives in a process.

    DecisionNotFound  404  no such decision of this caller
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select

from kernel.clock import business_date
from kernel.errors import NotFound
from kernel.runtime import Runtime
from risk.decisions.asking import Asked, Reader, batch_of, parsed
from risk.decisions.committing import GroupCommit
from risk.decisions.counting import counted
from risk.decisions.engine import Case, Served
from risk.decisions.holding import Holder
from risk.decisions.snoozing import silenced
from risk.decisions.vectors import Store
from risk.decisions.writing import Entry, Row, day_of
from risk.features.catalogue import Catalogue
from risk.lifecycle.arms import Challenger, decide_by_arm
from risk.tables import DecisionRecord

_RANDOM_BYTES: Final = 8


class DecisionNotFound(NotFound):
    """There is no such decision, or it is another caller's."""

    code = "decision-not-found"
    message_zh = "没有找到该决策"


class DecisionService:
    """Makes decisions that are stored before they are known to anybody.

    Args:
        commits: Stores them; the database's own unless given.
    """

    def __init__(
        self, runtime: Runtime, catalogue: Catalogue, commits: GroupCommit | None = None
    ) -> None:
        self._runtime = runtime
        self._reader = Reader(catalogue)
        self.holder: Final = Holder(runtime, catalogue)
        self._store = Store(runtime.database)
        self._commits = commits or GroupCommit(runtime.database)

    def decide(self, *, caller_id: int, key: str, body: bytes) -> str:
        """Decide one request; returns the answer as JSON.

        Args:
            caller_id: Whose key it is; keys of two callers do not meet.
            key: Used once: a repeat gets the first answer.
            body: As it came.

        Raises:
            Invalid: The request cannot be read; the code says why.
            KeyReused: The key stands for another payload.
            Unavailable: Nothing is in force, or it cannot be stored now.
        """
        document, said = parsed(body)
        return self._decided(caller_id, key, said, [self._reader.read(document)])[0]

    def decide_batch(self, *, caller_id: int, key: str, body: bytes) -> str:
        """Decide up to a hundred requests under one key: all are stored, or none.

        Raises: As `decide` does.
        """
        document, said = parsed(body)
        asked = [self._reader.read(part) for part in batch_of(document)]
        answers = self._decided(caller_id, key, said, asked)
        return '{"decisions":[' + ",".join(answers) + "]}"

    def decide_once(self, *, caller_id: int, key: str, asked: Asked) -> str:
        """Decide what is asked within the house; whatever it says then, a key has one answer.

        Raises:
            DecisionProductUnknown: Nothing in force decides the product.
            Unavailable: Nothing is in force, or it cannot be stored now; safe to repeat.
        """
        return self._decided(caller_id, key, hashlib.sha256(key.encode()).hexdigest(), [asked])[0]

    def answer_of(self, *, caller_id: int, decision_id: str) -> str:
        """Return what was answered.

        Raises:
            DecisionNotFound: No such decision of this caller.
        """
        try:
            on = day_of(decision_id)
        except ValueError:
            raise DecisionNotFound("no decision has such a number") from None
        with self._runtime.database.peek() as session:
            answer = session.scalar(
                select(DecisionRecord.answer).where(
                    DecisionRecord.decided_on == on,
                    DecisionRecord.id == decision_id,
                    DecisionRecord.caller_id == caller_id,
                )
            )
        if answer is None:
            raise DecisionNotFound("no decision of this caller has that number")
        return answer

    def close(self) -> None:
        """End the threads and connections."""
        self.holder.close()
        self._commits.close()
        self._store.close()

    def _decided(
        self, caller_id: int, key: str, said: str, asked: Sequence[Asked]
    ) -> tuple[str, ...]:
        now = self._runtime.clock.now()
        rows = tuple(self._row(caller_id, each, now) for each in asked)
        return self._commits.store(
            Entry(caller_id=caller_id, key=key, payload_hash=said, rows=rows)
        )

    def _row(self, caller_id: int, asked: Asked, now: datetime) -> Row:
        """Decide one; what it was decided by stays the same to its end."""
        held = self.holder.in_force()
        served, challenger = held.product(asked.product), held.challengers.get(asked.product)
        strategy = served.published.strategy
        index, links = self._runtime.cipher.blind_index, asked.links
        hashes = [index(value, context=f"link.{kind}") for kind, value in links.items()]
        case = Case(
            id=new_decision_id(now),
            asked=self._counted(served, challenger, asked, now),
            known=self._store.known(asked.subject, hashes),
            lists=held.lists,
            now=now,
            snoozed=silenced(held.snoozes, strategy=strategy.id, asked=asked),
        )
        served, verdict = decide_by_arm(served, challenger, case, self.holder.meter)
        return Row(
            decided_on=business_date(now),
            id=case.id,
            caller_id=caller_id,
            subject=asked.subject,
            product=asked.product,
            outcome=verdict.decision.outcome.name.lower(),
            strategy_hash=served.published.hash,
            snapshot=verdict.snapshot,
            answer=verdict.answer,
            decided_at=now,
        )

    def _counted(
        self, served: Served, challenger: Challenger | None, asked: Asked, now: datetime
    ) -> Asked:
        """Count what the strategies count that may decide; most count nothing, and cost nothing."""
        counters = served.published.strategy.counters
        if challenger is not None:
            counters = (*counters, *challenger.served.published.strategy.counters)
        if not counters:
            return asked
        return counted(self._runtime.database, self._runtime.cipher, asked, counters, now)


def new_decision_id(now: datetime) -> str:
    """Make an unguessable number that begins with the business date."""
    return f"D{business_date(now):%Y%m%d}{secrets.token_hex(_RANDOM_BYTES).upper()}"
