"""What is known of a version, as its author and whoever approves it see it, and what hinders it.

What is known is collected in risk.lifecycle.readiness; this says it in words.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import g, render_template
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from markupsafe import Markup
from sqlalchemy.orm import Session

from desk.ports import Change
from kernel.web import runtime, today
from risk.admin import figures, saying, words
from risk.admin.editing import catalogue
from risk.admin.names import Names
from risk.admin.walked import part_title
from risk.lifecycle.readiness import Backtested, Hindrance, Readiness, readiness_of

HINDRANCES: Final[Mapping[Hindrance, str]] = {
    Hindrance.UNREADABLE: _("草稿有误，测试用例无法运行"),
    Hindrance.NO_CASES: _("还没有测试用例：未经测试的草稿不能发布"),
    Hindrance.CASES_FAIL: _("有测试用例未通过，不能发布"),
    Hindrance.UNTESTED: _("草稿尚未测试：请先让全部测试用例通过并标记为已测试"),
}


_WAITING: Final = ("draft", "tested")


def ready_for(session: Session, *, key: str, version: int) -> Readiness:
    """Collect what is known of a version today.

    Raises:
        DocumentNotFound: There is no such version.
    """
    return readiness_of(session, key=key, version=version, catalogue=catalogue(), on=today())


def hindrance(ready: Readiness) -> str:
    """Say what keeps a version from being published; empty if nothing does."""
    found = ready.hindrance
    return str(HINDRANCES[found]) if found else ""


def known(payload: Mapping[str, Any]) -> Readiness:
    """Collect what is known of the version that a proposal names, once a request."""
    wanted = (str(payload["key"]), int(payload["version"]))
    kept: dict[tuple[str, int], Readiness] = g.setdefault("risk_readiness", {})
    if wanted not in kept:
        with runtime().database.read() as session:
            kept[wanted] = ready_for(session, key=wanted[0], version=wanted[1])
    return kept[wanted]


def shown(payload: Mapping[str, Any]) -> Markup:
    """Draw what is known of the version that a proposal names, until it has come into force."""
    ready = known(payload)
    return drawn(ready) if ready.version.state in _WAITING else Markup()


def drawn(ready: Readiness) -> Markup:
    """Draw cases, coverage, backtests, shadows and challenges of a version."""
    body = ready.version.body
    titles = {stage["id"]: stage.get("title") or stage["id"] for stage in body.get("stages", ())}
    lines = sorted(ready.cases, key=lambda line: (line.result.passed, not line.is_moved))
    return Markup(  # noqa: S704 -- our own template
        render_template(
            "risk/admin/readiness.html",
            ready=ready,
            lines=lines,
            titles=titles,
            names=Names(catalogue(), body),
            part_title=part_title,
            saying=saying,
            words=words,
            figures=figures,
        )
    )


def summary(ready: Readiness) -> Sequence[Change]:
    """Say what is known in a few lines, which a proposal keeps."""
    return [
        Change(label=str(label), before="", after=str(said))
        for label, said in (
            (gettext("测试用例"), _of_cases(ready)),
            (gettext("规则覆盖"), _of_coverage(ready)),
            *((gettext("回测"), _of_backtest(each)) for each in ready.backtests),
            *([] if ready.backtests else [(gettext("回测"), gettext("没有回测"))]),
            (gettext("影子运行"), _of_shadows(ready)),
        )
    ]


def _of_cases(ready: Readiness) -> str:
    return str(
        gettext(
            "%(count)s 个，未通过 %(failing)s 个；与生效版本结论不同 %(moved)s 个",
            count=len(ready.cases),
            failing=len(ready.failing),
            moved=len(ready.moved),
        )
    )


def _of_coverage(ready: Readiness) -> str:
    covered = len(ready.coverage) - len(ready.uncovered)
    return str(
        gettext(
            "%(count)s 条规则与行中 %(covered)s 条有用例命中",
            count=len(ready.coverage),
            covered=covered,
        )
    )


def _of_backtest(tried: Backtested) -> str:
    report = tried.view.report
    after, before = report["draft"], report["against"] or {}
    said = gettext(
        "#%(id)s %(data)s：通过率 %(before)s → %(after)s，坏账率 %(bad_before)s → %(bad_after)s",
        id=tried.view.id,
        data=tried.view.data,
        before=_percent(before.get("approve_share")),
        after=_percent(after["approve_share"]),
        bad_before=_percent(before.get("bad_rate")),
        bad_after=_percent(after["bad_rate"]),
    )
    return str(said if tried.is_fresh else gettext("%(said)s（已过期）", said=said))


def _of_shadows(ready: Readiness) -> str:
    compared = sum(each.compared for each in ready.shadows)
    if not compared:
        return str(gettext("没有影子运行"))
    agreed = sum(each.agreed for each in ready.shadows)
    return str(
        gettext(
            "已比较 %(count)s 笔，一致 %(share)s", count=compared, share=_percent(agreed / compared)
        )
    )


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"
