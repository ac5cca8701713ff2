"""A strategy as a file, and any two of its versions side by side in words.

What is imported becomes the draft, whole; it must be a strategy that can be read, so that its pages
can show it. Whether it may be published, the checker says as of any draft.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.operations import append_audit
from desk.ports import current_staff, staff_page
from desk.queries import document_version, document_versions
from kernel.errors import Invalid
from kernel.json_once import KeyTwice, read_once
from kernel.web import now, runtime, today
from risk.admin import diffs, rights
from risk.admin.drafts import checked
from risk.admin.editing import catalogue, draw, opened, saved, sold_in
from risk.decisions.strategies import STRATEGY

_MOST_SAID: Final = 8


class FileOdd(Invalid):
    """The file is no JSON object of this strategy."""

    code = "risk-strategy-file-odd"
    message_zh = "请选择本策略的 JSON 文件（编号须一致）"


class FileSaysTwice(Invalid):
    """The file says a key twice, so nobody can tell which value was meant."""

    code = "risk-strategy-file-says-twice"
    message_zh = "文件中有重复的键，无法判断以哪一个为准"

    def __init__(self, twice: KeyTwice) -> None:
        super().__init__(str(twice), key=twice.key, line=twice.line)
        where = gettext("第 %(line)s 行的“%(key)s”重复", line=twice.line, key=twice.key[:64])
        self.message_zh = f"{gettext(FileSaysTwice.message_zh)}：{where}"


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies/<key>"
    add(f"{at}/versions/<int:version>.json", "export", export)
    add(f"{at}/import", "import_file", import_file, methods=["POST"])
    add(f"{at}/compare", "compare", compare)


@staff_page(rights.VIEW)
def export(key: str, version: int) -> ResponseReturnValue:
    """Give a version as a file; the audit chain says who took it."""
    with runtime().database.write() as session:
        view = document_version(session, kind=STRATEGY, key=key, version=version)
        append_audit(
            session,
            actor=current_staff().login,
            action="risk.strategy.exported",
            subject=f"{STRATEGY}:{key}:{version}",
            details={"hash": view.body_hash},
            now=now(),
        )
    text = json.dumps(dict(view.body), ensure_ascii=False, indent=2)
    name = f"{key}.v{version}.json"
    return Response(
        text,
        mimetype="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@staff_page(rights.EDIT)
def import_file(key: str) -> ResponseReturnValue:
    """Take a file over as the draft, or say what is wrong with it."""
    document = _given(key)
    with runtime().database.read() as session:
        found = checked(document, catalogue(), on=today(), sold=sold_in(session))
    if found.strategy is None:
        said = [f"{noted.path} {noted.message}" for noted in found.problems[:_MOST_SAID]]
        return jsonify(message=gettext("文件不能导入：") + "；".join(said)), FileOdd.status

    def replace(draft: dict[str, Any]) -> None:
        draft.clear()
        draft.update(document)

    note = gettext("导入文件 %(name)s", name=request.files["document"].filename or "")
    return saved(key, replace, note=note, then=url_for("risk_admin.changes", key=key))


@staff_page(rights.VIEW)
def compare(key: str) -> ResponseReturnValue:
    """Show in words what one version changes against another."""
    with runtime().database.read() as session:
        given = opened(session, key)
        versions = document_versions(session, kind=STRATEGY, key=key)
        newest = given.working.newest
        in_force = given.working.in_force
        usual = in_force.version if in_force else 1
        numbers = {
            "before": request.args.get("before", usual, type=int),
            "after": request.args.get("after", newest, type=int),
        }
        before, after = (
            document_version(session, kind=STRATEGY, key=key, version=number)
            for number in numbers.values()
        )
    return draw(
        "compare.html",
        given,
        versions=versions,
        before=before,
        after=after,
        changes=diffs.changes(before.body, after.body, catalogue()),
    )


def _given(key: str) -> Mapping[str, Any]:
    file = request.files.get("document")
    if file is None:
        raise FileOdd("no file was sent")
    try:
        document = read_once(file.stream.read().decode("utf-8-sig"))
    except KeyTwice as error:
        raise FileSaysTwice(error) from error
    except (ValueError, RecursionError) as error:
        raise FileOdd("the file is no JSON") from error
    if not isinstance(document, dict) or document.get("id") != key:
        raise FileOdd("the file is no document of this strategy")
    return document
