"""Challenges: a tested version decides for a share of subjects, and stops by itself if it must.

ChallengeNotFound  404  no such challenge
ChallengeRunning   409  the strategy is challenged already
ChallengeUntested  409  the version is not tested
ChampionAbsent     409  no version is in force, so there is nothing to challenge
ChallengeEnded     409  it has ended, so its share cannot be changed
ChallengeOdd       422  the share or a guard rail lies outside of its range
ChallengeUnguarded 422  the guard rails leave open what has to be watched
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk.operations.audit import append_audit
from desk.operations.documents import AuthorApproves
from desk.queries import DocumentView, document_in_force, document_version
from kernel.clock import business_date
from kernel.errors import Conflict, Invalid, NotFound
from kernel.outbox import record as record_event
from risk.decisions.strategies import STRATEGY
from risk.events import ChallengeStopped
from risk.features.catalogue import Catalogue
from risk.lifecycle.arms import metered
from risk.lifecycle.outcomes import outcomes_by_strategy
from risk.lifecycle.publishing import TESTED, assert_ready
from risk.lifecycle.shadowing import SETTLED_AFTER
from risk.lifecycle.splitting import Arm, Reading, rails_from
from risk.lifecycle.tables import ChallengeReading, StrategyChallenge
from risk.ports import ProductPrices
from risk.tables import DecisionRecord

if TYPE_CHECKING:
    from redis import Redis

MOST_PERMILLE: Final = 500
MACHINE: Final = "machine:guard-rails"
OTHER_CHAMPION: Final = "another champion is in force"
REPLACED: Final = "other-champion"


class ChallengeNotFound(NotFound):
    """There is no such challenge."""

    code = "challenge-not-found"
    message_zh = "没有找到该挑战"


class ChallengeRunning(Conflict):
    """The strategy is challenged already; one at a time, so that figures can be read."""

    code = "challenge-running"
    message_zh = "该策略已有一个进行中的挑战"


class ChallengeUntested(Conflict):
    """Only a tested version may decide for anybody."""

    code = "challenge-untested"
    message_zh = "只有已测试的版本才能参与挑战"


class ChampionAbsent(Conflict):
    """No version is in force, so there is nothing to challenge."""

    code = "challenge-without-champion"
    message_zh = "没有生效中的版本，无从挑战"


class ChallengeEnded(Conflict):
    """The challenge has ended; its share cannot be changed any more."""

    code = "challenge-ended"
    message_zh = "该挑战已经结束"


class ChallengeUnguarded(Invalid):
    """The guard rails leave open whom it approves, how often it breaks, or what goes bad."""

    code = "challenge-unguarded"
    message_zh = "挑战必须有护栏：通过或拒绝、出错率、早期坏账至少各设一条上限，不能全部放开"


class ChallengeOdd(Invalid):
    """The share or a guard rail lies outside of its range."""

    code = "challenge-odd"
    message_zh = "分流比例须为1‰到500‰，护栏须在有效范围内"


def start_challenge(
    session: Session,
    *,
    key: str,
    version: int,
    share_permille: int,
    rails: Mapping[str, Any],
    catalogue: Catalogue,
    by: str,
    now: datetime,
    prices: ProductPrices | None = None,
) -> int:
    """Let a tested version decide for a share of subjects; returns the challenge's number.

    It asks for all that a publication does, another person than the author among it. The caller
    tells workers after the commit.

    Args:
        session: An open write session.
        key: The strategy.
        version: Its version, tested and not in force.
        share_permille: Of the subjects, by the stable hash of each, 1 to 500.
        rails: See `risk.lifecycle.splitting.Rails`.
        catalogue: By which it is read.
        by: Who approves it: not the author.
        now: The instant of the request.
        prices: Who knows what products may cost, as for a publication.

    Raises: See the module, what `publish_version` raises, and
        AuthorApproves: The author tries.
    """
    view = document_version(session, kind=STRATEGY, key=key, version=version)
    champion = document_in_force(session, kind=STRATEGY, key=key, on=business_date(now))
    if champion is None:
        raise ChampionAbsent("no version is in force")
    if view.state != TESTED:
        raise ChallengeUntested(f"version {version} is {view.state}")
    if by == view.author:
        raise AuthorApproves("the author cannot approve")
    assert_share(share_permille)
    if running_challenge(session, key=key) is not None:
        raise ChallengeRunning("the strategy is challenged already")
    today = business_date(now)
    assert_ready(session, view, catalogue, effective_on=today, now=now, prices=prices)
    row = _challenge(view, champion, share_permille, checked_rails(rails), by=by, now=now)
    session.add(row)
    session.flush()
    details = {"share_permille": share_permille, "rails": row.rails, "challenge": row.id}
    _audit(session, row, "challenge_started", by=by, now=now, details=details)
    return row.id


def change_share(
    session: Session, *, challenge_id: int, share_permille: int, by: str, now: datetime
) -> None:
    """Let a running challenger decide for more or fewer; the caller tells workers.

    Whoever fell to it stays with it while the share grows, and who came last goes first when it
    shrinks: the hash of a subject does not change.

    Raises:
        ChallengeNotFound: See there; likewise ChallengeEnded and ChallengeOdd.
        AuthorApproves: The author of the version tries.
    """
    assert_share(share_permille)
    row = _locked(session, challenge_id)
    if row.ended_at is not None:
        raise ChallengeEnded(f"challenge {challenge_id} has ended")
    view = document_version(session, kind=STRATEGY, key=row.strategy, version=row.version)
    if by == view.author:
        raise AuthorApproves("the author cannot approve")
    details = {"challenge": row.id, "was_permille": row.share_permille}
    row.share_permille = share_permille
    details |= {"share_permille": share_permille}
    _audit(session, row, "challenge_share_changed", by=by, now=now, details=details)


def assert_share(share_permille: int) -> None:
    """Make sure that a challenger stays a minority.

    Raises:
        ChallengeOdd: See there.
    """
    if not 1 <= share_permille <= MOST_PERMILLE:
        raise ChallengeOdd("the share must be 1 to 500 permille")


def stop_challenge(
    session: Session, *, challenge_id: int, by: str, why: str, now: datetime
) -> None:
    """Give all subjects back to the champion; safe to repeat. The caller tells workers.

    Raises:
        ChallengeNotFound: See there.
    """
    row = _locked(session, challenge_id)
    if row.ended_at is None:
        _end(session, row, by=by, why=why, now=now)


def _locked(session: Session, challenge_id: int) -> StrategyChallenge:
    row = session.get(StrategyChallenge, challenge_id, with_for_update=True)
    if row is None:
        raise ChallengeNotFound(f"no challenge {challenge_id}")
    return row


def running_challenge(session: Session, *, key: str) -> StrategyChallenge | None:
    """Return the challenge of a strategy that has not ended."""
    found = select(StrategyChallenge).filter_by(strategy=key, ended_at=None)
    return session.scalar(found)


def watch_challenges(session: Session, redis: "Redis", *, now: datetime) -> tuple[int, ...]:
    """Read the figures of running challenges, and stop those that break a guard rail.

    Returns:
        The challenges that were stopped; the caller tells workers after the commit.
    """
    stopped = []
    running = select(StrategyChallenge).filter_by(ended_at=None).order_by(StrategyChallenge.id)
    for row in session.scalars(running.with_for_update()).all():
        readings = _read(session, redis, row, now=now)
        in_force = document_in_force(
            session, kind=STRATEGY, key=row.strategy, on=business_date(now)
        )
        rails = rails_from(row.rails)
        found = rails.breaches(readings[Arm.CHALLENGER], readings[Arm.CHAMPION])
        broken, codes = tuple(map(str, found)), [asdict(breach) for breach in found]
        if in_force is None or in_force.body_hash != row.champion_hash:
            broken, codes = (OTHER_CHAMPION, *broken), [{"rail": REPLACED}, *codes]
        if broken:
            why = "; ".join(broken)
            row.ended_for = codes
            _end(session, row, by=MACHINE, why=why, now=now)
            event = ChallengeStopped(
                challenge_id=row.id,
                strategy=row.strategy,
                version=row.version,
                why=why,
                broken=codes,
            )
            record_event(session, event, now=now)
            stopped.append(row.id)
    return tuple(stopped)


def _challenge(
    view: DocumentView,
    champion: DocumentView,
    share_permille: int,
    rails: dict[str, Any],
    *,
    by: str,
    now: datetime,
) -> StrategyChallenge:
    return StrategyChallenge(
        strategy=view.key,
        version=view.version,
        strategy_hash=view.body_hash,
        champion_hash=champion.body_hash,
        share_permille=share_permille,
        # Another version splits otherwise, so that nobody is always the one who is tried on.
        salt=view.body_hash[:32],
        rails=rails,
        started_by=by,
        started_at=now,
        counted_until=now,
        ended_at=None,
        ended_by=None,
        ended_why=None,
    )


def checked_rails(rails: Mapping[str, Any]) -> dict[str, Any]:
    """Read guard rails, and write them with the usual bounds for what was left out.

    Raises:
        ChallengeOdd: See there; likewise ChallengeUnguarded.
    """
    try:
        found = rails_from(rails)
    except ValueError as error:
        raise ChallengeOdd(str(error)) from error
    unguarded = found.unguarded()
    if unguarded:
        raise ChallengeUnguarded(f"no guard rail watches {', '.join(unguarded)}")
    return found.document()


def _read(
    session: Session, redis: "Redis", row: StrategyChallenge, *, now: datetime
) -> dict[Arm, Reading]:
    """Add what was stored since the last reading to it, for both arms."""
    until = max(row.counted_until, now - SETTLED_AFTER)
    hashes = {Arm.CHAMPION: row.champion_hash, Arm.CHALLENGER: row.strategy_hash}
    counted, readings = _counts(session, row, until, tuple(hashes.values())), {}
    outcomes = outcomes_by_strategy(session, hashes=hashes.values(), since=row.started_at)
    for arm, strategy_hash in hashes.items():
        last = _last_reading(session, row.id, arm)
        new = counted.get(strategy_hash, {})
        errors, p99 = metered(redis, row.id, arm)
        known, bad = outcomes.get(strategy_hash, (0, 0))
        readings[arm] = Reading(
            decisions=(last.decisions if last else 0) + sum(new.values()),
            approved=(last.approved if last else 0) + new.get("approve", 0),
            reviewed=(last.reviewed if last else 0) + new.get("review", 0),
            errors=errors,
            p99_ms=p99,
            known=known,
            bad=bad,
        )
        _keep_reading(session, row.id, arm, readings[arm], now=now)
    row.counted_until = until
    return readings


def _counts(
    session: Session, row: StrategyChallenge, until: datetime, hashes: tuple[str, ...]
) -> dict[str, dict[str, int]]:
    record = DecisionRecord
    found: dict[str, dict[str, int]] = {}
    for strategy_hash, outcome, count in session.execute(
        select(record.strategy_hash, record.outcome, func.count())
        .where(
            record.decided_at >= row.counted_until,
            record.decided_at < until,
            record.strategy_hash.in_(hashes),
        )
        .group_by(record.strategy_hash, record.outcome)
    ):
        found.setdefault(strategy_hash, {})[outcome] = count
    return found


def _last_reading(session: Session, challenge_id: int, arm: Arm) -> ChallengeReading | None:
    return session.scalar(
        select(ChallengeReading)
        .filter_by(challenge_id=challenge_id, arm=str(arm))
        .order_by(ChallengeReading.read_at.desc())
        .limit(1)
    )


def _keep_reading(
    session: Session, challenge_id: int, arm: Arm, reading: Reading, *, now: datetime
) -> None:
    session.add(
        ChallengeReading(
            challenge_id=challenge_id,
            arm=str(arm),
            read_at=now,
            decisions=reading.decisions,
            approved=reading.approved,
            reviewed=reading.reviewed,
            errors=reading.errors,
            p99_ms=reading.p99_ms,
            known=reading.known,
            bad=reading.bad,
        )
    )


def _end(session: Session, row: StrategyChallenge, *, by: str, why: str, now: datetime) -> None:
    row.ended_at, row.ended_by, row.ended_why = now, by, why[:400]
    details = {"challenge": row.id, "why": why}
    _audit(session, row, "challenge_stopped", by=by, now=now, details=details)


def _audit(
    session: Session,
    row: StrategyChallenge,
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
