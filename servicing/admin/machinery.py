"""One tile about the machinery: how far the close of day has come, and whether jobs get done.

It repairs nothing; the operator does.
"""

from dataclasses import dataclass
from typing import Final

from flask import render_template
from markupsafe import Markup
from redis.exceptions import RedisError

from desk.ports import Site, Tile, current_staff
from kernel.jobs import failed_jobs
from kernel.outbox import waiting
from kernel.web import runtime, today
from servicing import queries

CLOSING: Final = "servicing.closing.view"
JOBS: Final = "servicing.jobs.view"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """How background work stands.

    Attributes:
        waiting: Events that were not turned into jobs yet.
        failed: Jobs that failed within seven days; None while Redis does not answer.
    """

    waiting: int
    failed: int | None


def plug_in(site: Site) -> None:
    """Put the tile on a site; the operator alone sees the jobs on it."""
    site.permissions.declare(
        CLOSING, "查看日终状态", roles=("finance", "risk_manager", "auditor", "operator")
    )
    site.permissions.declare(JOBS, "查看后台任务", roles=("operator",))
    site.tiles.add(
        Tile(key="servicing.machinery", permission=CLOSING, order=60, render=_tile, width=4)
    )


def _tile() -> Markup:
    with runtime().database.read() as session:
        last = queries.last_day_close(session)
        differences = queries.count_alerts(session).get("books-differ", 0)
    return Markup(  # noqa: S704 -- our own template
        render_template(
            "servicing/admin/machinery_tile.html",
            last=last,
            behind=(today() - last.on).days if last else None,
            differences=differences,
            jobs=_jobs() if current_staff().may(JOBS) else None,
        )
    )


def _jobs() -> Jobs:
    with runtime().database.read() as session:
        events = waiting(session)
    try:
        failed = failed_jobs(runtime())
    except RedisError:
        return Jobs(waiting=events, failed=None)
    return Jobs(waiting=events, failed=failed)
