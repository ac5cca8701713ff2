"""Decides by the arm that a subject falls to, and counts how long it took and what went wrong.

It stands in the request, so it does little: one hash where a challenge runs, nothing where none
does. A challenger that breaks never costs an answer: the champion decides then.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from redis import RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.queries import DocumentView, document_version
from kernel.errors import FenqiError
from kernel.logs import log
from risk.decisions.engine import Case, Served, Verdict, decide, serve
from risk.decisions.strategies import STRATEGY, published, strategies_in_force
from risk.features.catalogue import Catalogue
from risk.lifecycle.splitting import LONGEST_MS, Arm, is_challenged
from risk.lifecycle.tables import StrategyChallenge

if TYPE_CHECKING:
    from redis import Redis

_EDGES_MS: Final = (1, 2, 3, 5, 8, 13, 20, 30, 50, 80, 130, 200, 350, 600, 1_000, 2_000, LONGEST_MS)
_ERRORS: Final = "errors"
_KEPT_S: Final = 90 * 86_400
_P99: Final = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """One product of a running challenger."""

    id: int
    served: Served
    share_permille: int
    salt: str

    def arm_of(self, subject: str) -> Arm:
        """Say who decides on a subject."""
        challenged = is_challenged(subject, salt=self.salt, share_permille=self.share_permille)
        return Arm.CHALLENGER if challenged else Arm.CHAMPION


class Meter:
    """Counts in this process, and hands the counts to Redis about once a second."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, Arm, str]] = Counter()
        self._lock = Lock()

    def note(self, challenge: int, arm: Arm, seconds: float) -> None:
        """Count a decision by how long it took."""
        bucket = bisect_left(_EDGES_MS, seconds * 1_000)
        with self._lock:
            self._counts[challenge, arm, f"b{bucket}"] += 1

    def fail(self, challenge: int, arm: Arm) -> None:
        """Count a decision that could not be made."""
        with self._lock:
            self._counts[challenge, arm, _ERRORS] += 1

    def flush(self, redis: "Redis") -> None:
        """Hand over what was counted; what cannot be handed over now is kept."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with redis.pipeline() as pipeline:
                for (challenge, arm, name), count in counts.items():
                    key = _key(challenge, arm)
                    pipeline.hincrby(key, name, count)
                    pipeline.expire(key, _KEPT_S)
                pipeline.execute()
        except RedisError as error:
            log.warning("challenge not metered", error=type(error).__name__)
            with self._lock:
                self._counts.update(counts)


def decide_by_arm(
    champion: Served, challenger: Challenger | None, case: Case, meter: Meter
) -> tuple[Served, Verdict]:
    """Decide a case; returns what decided and the verdict."""
    if challenger is None:
        return champion, decide(champion, case)
    arm = challenger.arm_of(case.asked.subject)
    served = challenger.served if arm is Arm.CHALLENGER else champion
    started = time.perf_counter()
    try:
        verdict = decide(served, case)
    except Exception as error:
        meter.fail(challenger.id, arm)
        if arm is Arm.CHAMPION:
            raise
        # Without its traceback: this may come with every request until the guard rail acts.
        log.error("challenger broke", challenge=challenger.id, error=type(error).__name__)
        return champion, decide(champion, case)
    meter.note(challenger.id, arm, time.perf_counter() - started)
    return served, verdict


def metered(redis: "Redis", challenge: int, arm: Arm) -> tuple[int, float | None]:
    """Read errors and the 99th percentile, in ms, of what an arm did in all processes."""
    found: Any = redis.hgetall(_key(challenge, arm))
    counts = {name.decode(): int(value) for name, value in found.items()}
    errors = counts.pop(_ERRORS, 0)
    total, seen = sum(counts.values()), 0
    for bucket in range(len(_EDGES_MS) + 1):
        seen += counts.get(f"b{bucket}", 0)
        if total and seen >= _P99 * total:
            return errors, float(_EDGES_MS[min(bucket, len(_EDGES_MS) - 1)])
    return errors, None


def running_signature(session: Session) -> tuple[tuple[int, int], ...]:
    """Name the running challenges with their shares, so that a change shows."""
    row = StrategyChallenge
    found = select(row.id, row.share_permille).where(row.ended_at.is_(None)).order_by(row.id)
    return tuple((each.id, each.share_permille) for each in session.execute(found))


def running_challengers(
    session: Session, products: Mapping[str, Served], catalogue: Catalogue, *, on: date
) -> dict[str, Challenger]:
    """Compile the running challengers, by product; one that cannot be read decides nothing.

    A challenger stands against one champion: once another is in force, it decides nothing either.
    """
    found = {}
    running = select(StrategyChallenge).where(StrategyChallenge.ended_at.is_(None))
    for row in session.scalars(running):
        try:
            view = document_version(session, kind=STRATEGY, key=row.strategy, version=row.version)
            challenger = published(session, view, catalogue, on=on)
        except FenqiError as error:
            log.error("challenger not loaded", challenge=row.id, exc_info=error)
            continue
        if not challenger.strategy.may_decide(on):
            continue
        for product in challenger.strategy.products:
            champion = products.get(product)
            if champion is not None and champion.published.hash == row.champion_hash:
                found[product] = Challenger(
                    id=row.id,
                    served=serve(challenger, catalogue, product=product),
                    share_permille=row.share_permille,
                    salt=row.salt,
                )
    return found


def deciding(session: Session, *, product: str, subject: str, on: date) -> DocumentView | None:
    """Return the strategy document by which a subject would be decided; None if there is none."""
    found = next(
        (
            view
            for view in strategies_in_force(session, on=on)
            if product in {each["product"] for each in view.body["products"]}
        ),
        None,
    )
    if found is None:
        return None
    running = select(StrategyChallenge).where(
        StrategyChallenge.ended_at.is_(None),
        StrategyChallenge.strategy == found.key,
        StrategyChallenge.champion_hash == found.body_hash,
    )
    for row in session.scalars(running):
        view = document_version(session, kind=STRATEGY, key=row.strategy, version=row.version)
        decides = product in {each["product"] for each in view.body["products"]}
        if decides and is_challenged(subject, salt=row.salt, share_permille=row.share_permille):
            return view
    return found


def _key(challenge: int, arm: Arm) -> str:
    return f"risk:challenge:{challenge}:{arm}"
