"""What the commands of shadows and challengers do: they call risk, and tell workers."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from kernel.clock import business_date, start_of_day
from kernel.runtime import Runtime
from risk.decisions.strategies import prices_of, tell_workers
from risk.features.catalogue import read_catalogue
from risk.lifecycle import challenging, queries, shadowing

_PERMILLE_A_PERCENT: Final = 10


def start_shadow(runtime: Runtime, key: str, version: int, *, days: int, by: str) -> dict[str, Any]:
    """Start a shadow for some whole days."""
    now = runtime.clock.now()
    ends_at = start_of_day(business_date(now) + timedelta(days=days + 1))
    with runtime.database.write() as session:
        number = shadowing.start_shadow(
            session,
            key=key,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            ends_at=ends_at,
            now=now,
        )
    return {"shadow": number, "version": version, "ends_at": ends_at.isoformat()}


def stop_shadow(runtime: Runtime, number: int, *, by: str) -> dict[str, Any]:
    """End a shadow."""
    with runtime.database.write() as session:
        shadowing.stop_shadow(session, shadow_id=number, by=by, now=runtime.clock.now())
    return {"shadow": number, "stopped": True}


def shadows_of(runtime: Runtime, key: str) -> list[dict[str, Any]]:
    """List the shadows of a strategy, newest first."""
    with runtime.database.read() as session:
        found = queries.shadows(session, strategy=key)
    return [
        {
            "shadow": each.id,
            "version": each.version,
            "started_by": each.started_by,
            "started_at": each.started_at.isoformat(),
            "is_running": each.ended_at is None,
            "compared": each.compared,
            "agreed": each.agreed,
            "matrix": [
                {"decided": decided, "shadow": said, "count": count}
                for (decided, said), count in sorted(each.matrix.items())
            ],
        }
        for each in found
    ]


def start_challenge(
    runtime: Runtime,
    key: str,
    version: int,
    *,
    share: float,
    rails: Mapping[str, float],
    by: str,
) -> dict[str, Any]:
    """Start a challenge, and tell the workers."""
    permille = round(share * _PERMILLE_A_PERCENT)
    with runtime.database.write() as session:
        number = challenging.start_challenge(
            session,
            key=key,
            version=version,
            share_permille=permille,
            rails=rails,
            catalogue=read_catalogue(),
            by=by,
            now=runtime.clock.now(),
            prices=prices_of(runtime),
        )
    tell_workers(runtime.redis)
    return {"challenge": number, "version": version, "share_permille": permille}


def change_share(runtime: Runtime, number: int, *, share: float, by: str) -> dict[str, Any]:
    """Change the share of a challenge, and tell the workers."""
    permille = round(share * _PERMILLE_A_PERCENT)
    with runtime.database.write() as session:
        challenging.change_share(
            session,
            challenge_id=number,
            share_permille=permille,
            by=by,
            now=runtime.clock.now(),
        )
    tell_workers(runtime.redis)
    return {"challenge": number, "share_permille": permille}


def stop_challenge(runtime: Runtime, number: int, *, by: str, why: str) -> dict[str, Any]:
    """End a challenge, and tell the workers."""
    with runtime.database.write() as session:
        challenging.stop_challenge(
            session, challenge_id=number, by=by, why=why, now=runtime.clock.now()
        )
    tell_workers(runtime.redis)
    return {"challenge": number, "stopped": True}


def challenges_of(runtime: Runtime, key: str) -> list[dict[str, Any]]:
    """List the challenges of a strategy, newest first."""
    with runtime.database.read() as session:
        found = queries.challenges(session, strategy=key)
    return [
        {
            "challenge": each.id,
            "version": each.version,
            "share_permille": each.share_permille,
            "rails": dict(each.rails),
            "started_by": each.started_by,
            "started_at": each.started_at.isoformat(),
            "is_running": each.ended_at is None,
            "ended_by": each.ended_by,
            "ended_why": each.ended_why,
            "readings": {str(arm): asdict(reading) for arm, reading in each.readings.items()},
        }
        for each in found
    ]
