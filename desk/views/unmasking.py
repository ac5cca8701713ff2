"""Seeing a masked field in clear: a permission, a reason, an entry in the audit chain, 60 seconds.

How a field is read is its area's business (`desk.ports.Unmasker`).
"""

import re
from typing import Final

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.identity import limit_rate
from desk.model import WORKPLACE
from desk.operations import NotPermitted, append_audit
from desk.ports import Unmasker, staff_page
from desk.views.shell import may, member, site
from kernel.errors import Invalid, NotFound
from kernel.web import now, runtime

SHOWN_S: Final = 60

_RATE: Final = "120/hour"
_REASONS: Final = ("核实客户身份", "联系客户", "处理投诉", "核对还款", "监管或司法要求")
_OTHER: Final = "其他"
_MAX_NOTE: Final = 200
_FRAGMENT: Final = re.compile(r"f-[0-9a-f]{8}")
_SUBJECT: Final = re.compile(r"[\w:.-]{1,80}")


class FieldUnknown(NotFound):
    """No area registered an unmasker for that field."""

    code = "unmasker-not-found"


class UnmaskingNotReadable(Invalid):
    """The request names no element or no proper subject."""

    code = "unmasking-not-readable"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule("/admin/unmask", "unmask_form", unmask_form)
    blueprint.add_url_rule("/admin/unmask", "unmask", unmask, methods=["POST"])


@staff_page(WORKPLACE)
def unmask_form() -> ResponseReturnValue:
    """Ask for the reason."""
    unmasker = _unmasker(request.args.get("key", ""))
    return _form(unmasker, error="")


@staff_page(WORKPLACE)
def unmask() -> ResponseReturnValue:
    """Note who sees what and why, then show it in place of the mask for a minute.

    The entry is committed before anything is revealed.
    """
    unmasker = _unmasker(request.form.get("key", ""))
    subject, target = request.form.get("subject", ""), request.form.get("target", "")
    if not _SUBJECT.fullmatch(subject):
        raise UnmaskingNotReadable("not a subject")
    reason = _reason()
    if not reason:
        return _form(unmasker, error=gettext("请选择理由；选“其他”时请写明")), 422
    limit_rate("unmask", _RATE, member().login)
    with runtime().database.write() as session:
        append_audit(
            session,
            actor=member().login,
            action="desk.unmasked",
            subject=f"{unmasker.key.partition('.')[0]}:{subject}",
            details={"field": unmasker.key, "reason": reason},
            now=now(),
        )
    clear = unmasker.reveal(subject)
    page = render_template("desk/unmasked.html", clear=clear, shown_s=SHOWN_S)
    response = make_response(page)
    if _FRAGMENT.fullmatch(target):
        response.headers["HX-Retarget"] = f"#{target}"
        response.headers["HX-Reswap"] = "innerHTML"
        response.headers["HX-Trigger"] = "desk:done"
    return response


def _unmasker(key: str) -> Unmasker:
    unmasker = site().unmaskers.get(key)
    if unmasker is None:
        raise FieldUnknown("no such field")
    if not may(unmasker.permission):
        raise NotPermitted(f"{unmasker.permission} is needed")
    return unmasker


def _reason() -> str:
    """Read the reason: one of the list, or free text; a plain `reason` alone will do."""
    picked = request.form.get("reason", "").strip()[:_MAX_NOTE]
    note = request.form.get("note", "").strip()[:_MAX_NOTE]
    if picked in ("", _OTHER):
        return note
    return f"{picked}：{note}" if note else picked


def _form(unmasker: Unmasker, *, error: str) -> str:
    return render_template(
        "desk/unmask_form.html",
        unmasker=unmasker,
        subject=request.values.get("subject", ""),
        target=request.values.get("target", ""),
        reasons=(*_REASONS, _OTHER),
        error=error,
    )
