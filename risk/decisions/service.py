"""Decides on request: reads what is asked, looks up what is known, decides, stores, answers.

It knows no HTTP; risk.decisions.door does. One of these lives in a process.

    DecisionNotFound  404  no such decision of this caller
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

from sqlalchemy import select

from kernel.clock import business_date
from kernel.errors import NotFound, Unavailable
from kernel.runtime import Runtime
from risk.decisions.asking import Asked, Reader, batch_of, parsed
from risk.decisions.committing import WAITING_AT_MOST, GroupCommit
from risk.decisions.counting import counted, counted_fields
from risk.decisions.engine import Case, Served, decide
from risk.decisions.holding import Held, Holder
from risk.decisions.metrics import REFUSED
from risk.decisions.vectors import Known, Store, Wanted
from risk.decisions.writing import HOUSE, Entry, Row, day_of
from risk.features.catalogue import Catalogue
from risk.lifecycle.arms import Challenger, decide_by_arm
from risk.lifecycle.splitting import Arm
from risk.strategy.decision import snoozed_rules
from risk.strategy.foresight import is_certain
from risk.strategy.lists import plain
from risk.tables import DecisionRecord

_RANDOM_BYTES: Final = 8


class DecisionNotFound(NotFound):
    """There is no such decision, or it is another caller's."""

    code = "decision-not-found"
    message_zh = "没有找到该决策"


class DecisionService:
    """Makes decisions that are stored before they are known to anybody.

    Args:
        waiting_at_most: How many requests may wait; more are turned away.
    """

    def __init__(
        self, runtime: Runtime, catalogue: Catalogue, *, waiting_at_most: int = WAITING_AT_MOST
    ) -> None:
        self._runtime = runtime
        self._reader = Reader(catalogue)
        self.holder: Final = Holder(runtime, catalogue)
        self._store = Store(runtime.database)
        self._counted_fields = counted_fields(catalogue)
        self._commits = GroupCommit(
            runtime.database, self._decide_group, waiting_at_most=waiting_at_most
        )

    def asked(
        self,
        *,
        caller_id: int,
        key: str,
        body: bytes,
        is_batch: bool = False,
        may_state_all: bool = False,
    ) -> Entry:
        """Read what a caller wants decided; `settle` decides it.

        Args:
            caller_id: Whose key it is; keys of two callers do not meet.
            key: Used once: a repeat gets the first answer.
            body: As it came.
            is_batch: Whether it asks for up to a hundred decisions: all are stored, or none.
            may_state_all: Whether it may state what else only the house knows.

        Raises:
            Invalid: The request cannot be read; the code says why.
        """
        document, said = parsed(body)
        parts = batch_of(document) if is_batch else [document]
        read = partial(self._reader.read, may_state_all=may_state_all)
        asked = tuple(map(read, parts))
        return Entry(
            caller_id=caller_id, key=key, payload_hash=said, asked=asked, is_batch=is_batch
        )

    def settle(self, entries: Sequence[Entry]) -> None:
        """Decide and store what callers want; then each entry has its answer, or tells why not.

        It may be that nothing is in force, that a key stands for another payload, or that nothing
        can be stored now.
        """
        self._commits.settle(entries)
        for entry in entries:
            if isinstance(entry.failure, Unavailable):
                REFUSED.labels(entry.failure.code).inc()

    def decide_once(self, *, caller_id: int, key: str, asked: Asked) -> str:
        """Decide what is asked within the house; whatever it says then, a key has one answer.

        Raises:
            DecisionProductUnknown: Nothing in force decides the product.
            Unavailable: Nothing is in force, or it cannot be stored now; safe to repeat.
        """
        said = hashlib.sha256(key.encode()).hexdigest()
        entry = Entry(caller_id=caller_id, key=key, payload_hash=said, asked=(asked,))
        self.settle([entry])
        return entry.answer()

    def declines_anyway(self, asked: Asked, *, pending: Collection[str]) -> bool:
        """Say whether a subject is declined whatever sub-systems have still to say; keeps nothing.

        Args:
            asked: What is known by now; links and counters are not looked up.
            pending: Dimensions that are still asked for.

        Raises:
            DecisionProductUnknown: Nothing in force decides the product.
            Unavailable: Nothing is in force.
        """
        now, held = self._runtime.clock.now(), self.holder.in_force()
        served = _deciding(held, asked)
        seen = replace(asked, links={})
        case = Case(
            id="",
            asked=seen,
            known=Known(vector=None, links=()),
            lists=held.lists,
            now=now,
            snoozed=_snoozed(held, served, asked, now),
        )
        settled = asked.application.keys() - set(pending)
        strategy, decision = served.published.strategy, decide(served, case).decision
        return is_certain(strategy, asked.product, decision, settled=settled)

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

    def _decide_group(self, group: Sequence[Entry]) -> None:
        """Decide what a group asks: one look-up for all; one that breaks leaves the others be."""
        now, held = self._runtime.clock.now(), self.holder.in_force()
        shared = [self._shared(each) for entry in group for each in entry.asked]
        asked = [each for entry in group for each in entry.asked]
        wanted = [
            Wanted(each.subject, [hashes[kind] for kind in each.links])
            for each, hashes in zip(asked, shared, strict=True)
        ]
        found = zip(asked, self._store.known(wanted), shared, strict=True)
        for entry in group:
            mine = list(islice(found, len(entry.asked)))
            try:
                entry.rows = tuple(self._row(held, entry.caller_id, *each, now) for each in mine)
            except Exception as error:  # noqa: BLE001 -- its own request raises it
                entry.failure = error

    def _shared(self, asked: Asked) -> dict[str, str]:
        """Hash what the applicant shares: the links, and what else of it counters go by."""
        index = self._runtime.cipher.blind_index
        values = asked.links
        for kind, name in self._counted_fields:
            given = asked.application.get(name)
            if type(given) is str and kind not in values and (text := plain(given)):
                values = {**values, kind: text}
        return {kind: index(value, context=f"link.{kind}") for kind, value in values.items()}

    def _row(
        self,
        held: Held,
        caller_id: int,
        asked: Asked,
        known: Known,
        shared: Mapping[str, str],
        now: datetime,
    ) -> Row:
        """Decide one; what it was decided by stays the same to its end."""
        served, challenger = held.product(asked.product), held.challengers.get(asked.product)
        case = Case(
            id=new_decision_id(now),
            asked=self._counted(served, challenger, asked, now, is_told=caller_id == HOUSE),
            known=known,
            lists=held.lists,
            now=now,
            snoozed=_snoozed(held, served, asked, now),
            shared={} if caller_id == HOUSE else shared,  # the house tells of its own
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
        self,
        served: Served,
        challenger: Challenger | None,
        asked: Asked,
        now: datetime,
        *,
        is_told: bool,
    ) -> Asked:
        """Count what the strategies count that may decide; most count nothing, and cost nothing."""
        counters = served.published.strategy.counters
        if challenger is not None:
            counters = (*counters, *challenger.served.published.strategy.counters)
        if not counters:
            return asked
        runtime = self._runtime
        return counted(runtime.database, runtime.cipher, asked, counters, now, is_told=is_told)


def _deciding(held: Held, asked: Asked) -> Served:
    """Return what decides on a subject: the champion, or the challenger that it falls to."""
    served, challenger = held.product(asked.product), held.challengers.get(asked.product)
    is_challenged = challenger is not None and challenger.arm_of(asked.subject) is Arm.CHALLENGER
    return challenger.served if challenger is not None and is_challenged else served


def _snoozed(held: Held, served: Served, asked: Asked, now: datetime) -> frozenset[str]:
    """Name the rules that are silenced for a subject, or for the merchant that they buy from."""
    snoozes = held.snoozes.get(served.published.key)
    if not snoozes:
        return frozenset()
    merchant = asked.application.get("merchant_name")
    keys = {asked.subject, f"merchant:{merchant}"} if merchant else {asked.subject}
    return snoozed_rules(snoozes, keys=keys, on=business_date(now))


def new_decision_id(now: datetime) -> str:
    """Make an unguessable number that begins with the business date."""
    return f"D{business_date(now):%Y%m%d}{secrets.token_hex(_RANDOM_BYTES).upper()}"
