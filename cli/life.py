"""What the commands of a strategy's life do: they read files and call risk's operations."""

from dataclasses import asdict
from datetime import date
from typing import Any

from kernel.clock import business_date
from kernel.runtime import Runtime
from risk.decisions.strategies import tell_workers
from risk.features.catalogue import read_catalogue
from risk.lifecycle.publishing import mark_version_tested, publish_version


def try_out(runtime: Runtime, key: str, version: int, by: str) -> dict[str, Any]:
    """Mark a draft as tested if its cases pass; says what they reach."""
    with runtime.database.write() as session:
        report = mark_version_tested(
            session,
            key=key,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            now=runtime.clock.now(),
        )
    document = report.document()
    return {name: document[name] for name in ("cases", "failing", "without_case")} | {
        "missing_untested": document["missing_untested"]
    }


def approve(runtime: Runtime, key: str, version: int, by: str, on: date | None) -> dict[str, Any]:
    """Publish a tested version from a day on, and tell the workers."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        made = publish_version(
            session,
            key=key,
            version=version,
            catalogue=read_catalogue(),
            by=by,
            effective_on=on or business_date(now),
            now=now,
        )
    tell_workers(runtime.redis)
    return asdict(made)
