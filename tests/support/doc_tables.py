"""Writes the tables of docs/errors.md, jobs.md, metrics.md and retention.md out of the code.

A table stands between `<!-- table NAME -->` and `<!-- end -->`; what is around it is written by
people and left alone. Tests call `outdated` to see that nobody forgot. It documents the areas: not
the sandbox, which no borrower and no operator meets, nor what commands say.
"""

import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import contact.retention
import kernel.jobs
import kernel.retention
import risk.decisions.keeping
import risk.lifecycle.retention
import servicing.retention
import worker
import wsgi
from kernel.errors import FenqiError
from kernel.jobs import Job

ROOT = Path(__file__).resolve().parent.parent.parent
AREAS = ("bot", "contact", "desk", "dunning", "kernel", "risk", "servicing")
PAGES = ("docs/errors.md", "docs/jobs.md", "docs/metrics.md", "docs/retention.md")

_TABLE = re.compile(r"(?P<head><!-- table (?P<name>\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def error_classes() -> list[type[FenqiError]]:
    """List every error of the areas, by status and code."""
    _import_areas()
    assert wsgi.create_app
    found = {error for error in _descendants(FenqiError) if _is_of_an_area(error)}
    return sorted(found, key=lambda error: (error.status, error.code))


def outdated() -> list[str]:
    """Name the pages whose tables differ from the code."""
    return [page for page in PAGES if _rendered(page) != _text(page)]


def _is_of_an_area(error: type[FenqiError]) -> bool:
    return error.__module__.split(".")[0] in AREAS


def _import_areas() -> None:
    for area in AREAS:
        if importlib.util.find_spec(area) is None:
            continue
        package = importlib.import_module(area)
        for module in pkgutil.walk_packages(package.__path__, f"{area}."):
            importlib.import_module(module.name)


def _descendants(error: type[FenqiError]) -> set[type[FenqiError]]:
    return {error}.union(*(_descendants(child) for child in error.__subclasses__()))


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().split("\n", 1)[0]


def _errors() -> Iterator[str]:
    yield "| code | status | what happened | what a borrower reads |"
    yield "|---|---|---|---|"
    for error in error_classes():
        happened, told = _first_line(error.__doc__), error.message_zh
        yield f"| `{error.code}` | {error.status} | {happened} | {told} |"


def _effect(job: Job) -> str:
    return _first_line(job.run.__doc__)


def _periodic() -> Iterator[str]:
    yield "| job | queue | schedule | effect |"
    yield "|---|---|---|---|"
    for entry in worker.PERIODIC:
        job = entry.job
        yield f"| `{job.name}` | {job.queue} | {entry.schedule} | {_effect(job)} |"


def _events() -> Iterator[str]:
    yield "| event | job | queue | effect |"
    yield "|---|---|---|---|"
    for event, jobs in worker.ROUTES.items():
        for job in jobs:
            yield f"| `{event.__name__}` | `{job.name}` | {job.queue} | {_effect(job)} |"
    if not worker.ROUTES:
        yield "| – | – | – | No job listens to an event yet. |"


def _retention() -> Iterator[str]:
    yield "| table | kept | since | why |"
    yield "|---|---|---|---|"
    for module in (
        kernel.retention,
        contact.retention,
        risk.decisions.keeping,
        risk.lifecycle.retention,
        servicing.retention,
    ):
        for one in module.KEPT:
            yield f"| `{one.table}` | {one.days} days | {one.from_on} | {one.why} |"


def _metrics() -> Iterator[str]:
    _import_areas()
    yield "| metric | kind | labels | what |"
    yield "|---|---|---|---|"
    yield from sorted(_own_metrics())


def _own_metrics() -> Iterator[str]:
    queues = kernel.jobs.WAITING
    yield f"| `{queues.name}` | gauge | queue | {queues.documentation} |"
    for metric in set(REGISTRY._collector_to_names):
        (family,) = metric.describe() if isinstance(metric, MetricWrapperBase) else (None,)
        if family is not None and family.name.startswith("fenqi_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(metric._labelnames) or "–"  # type: ignore[attr-defined]
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


_TABLES = {
    "errors": _errors,
    "periodic": _periodic,
    "events": _events,
    "metrics": _metrics,
    "retention": _retention,
}


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def _rendered(page: str) -> str:
    def table(found: re.Match[str]) -> str:
        return found["head"] + "".join(f"{line}\n" for line in _TABLES[found["name"]]())

    text, tables = _TABLE.subn(table, _text(page))
    assert tables, f"{page} has no table marker"
    return text


def main() -> None:
    """Write the pages anew."""
    for page in outdated():
        (ROOT / page).write_text(_rendered(page), encoding="utf-8")
        sys.stdout.write(f"wrote {page}\n")


if __name__ == "__main__":
    main()
