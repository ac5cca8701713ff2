"""Looking into the audit chain: search, proof, export.

It can only read; the one thing it adds is that somebody took a copy.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from desk import queries
from desk.model import AUDIT, AUDIT_EXPORT, canonical
from desk.operations import append_audit
from desk.ports import staff_page
from desk.queries import AuditFilter, AuditView
from desk.views.shell import member
from kernel.clock import shanghai
from kernel.listing import csv_file, page_of
from kernel.web import now, runtime, today

_HEADER: Final = ("number", "time (Asia/Shanghai)", "actor", "action", "subject", "details", "hash")


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule("/admin/audit", "audit", audit)
    blueprint.add_url_rule("/admin/audit/proof", "audit_proof", audit_proof, methods=["POST"])
    blueprint.add_url_rule("/admin/audit/export", "audit_export", audit_export, methods=["POST"])


@staff_page(AUDIT)
def audit() -> ResponseReturnValue:
    """Show a page of acts, newest first."""
    wanted = _wanted(request.args)
    with runtime().database.read() as session:
        page = page_of(queries.count_audit_entries(session, wanted=wanted))
        entries = queries.audit_entries(session, wanted=wanted, limit=page.rows, offset=page.offset)
        actions = queries.audit_actions(session)
        end = queries.audit_chain_end(session)
    return render_template(
        "desk/audit.html", entries=entries, wanted=wanted, actions=actions, page=page, end=end
    )


@staff_page(AUDIT)
def audit_proof() -> ResponseReturnValue:
    """Recompute the whole chain and say what came of it."""
    with runtime().database.read() as session:
        end = queries.audit_chain_end(session)
        broken_at = queries.verify_audit_chain(session)
    return render_template("desk/audit_proof.html", end=end, broken_at=broken_at)


@staff_page(AUDIT_EXPORT)
def audit_export() -> ResponseReturnValue:
    """Stream the acts that the filter finds as CSV, and note that it was done."""
    wanted = _wanted(request.form)
    with runtime().database.write() as session:
        append_audit(
            session,
            actor=member().login,
            action="desk.audit.exported",
            subject="audit",
            details=asdict(wanted),
            now=now(),
        )
    return csv_file(f"audit-{today()}", _HEADER, _rows(wanted))


def _rows(wanted: AuditFilter) -> Iterator[tuple[str, ...]]:
    with runtime().database.read() as session:
        for entry in queries.each_audit_entry(session, wanted=wanted):
            yield _cells(entry)


def _cells(entry: AuditView) -> tuple[str, ...]:
    at = f"{shanghai(entry.at):%Y-%m-%d %H:%M:%S}"
    details = canonical(entry.details)
    return (str(entry.number), at, entry.actor, entry.action, entry.subject, details, entry.hash)


def _wanted(given: MultiDict[str, str]) -> AuditFilter:
    return AuditFilter(
        actor=given.get("actor", "").strip().lower(),
        action=given.get("action", "").strip(),
        subject=given.get("subject", "").strip(),
        since=_date(given.get("since", "")),
        until=_date(given.get("until", "")),
    )


def _date(text: str) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(text)
    return None
