"""Checks the money engine against cases: plans, payments, changes, endings, lateness, cost.

A case comes with its terms, its events and what must come out; only its translation into the
engine's words is here, the arithmetic is all the engine's. It needs no database.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli.money_cases import chinese, fineract, frappe
from cli.money_cases.compare import differences
from cli.money_cases.reading import NotCovered, Told
from cli.money_cases.shape import shaped
from kernel.errors import FenqiError

Computed = list[dict[str, Any]] | dict[str, Any]

_GIVEN: Final = ("terms", "events", "input")
# What a case is made of: a life that is told, or figures that are asked for.
_TOLD: Final[Mapping[str, type]] = {"terms": dict, "events": list, "expected": list}
_ASKED: Final[Mapping[str, type]] = {"input": dict, "expected": dict}
# These say of what or through what, and change no figure.
_MEANINGLESS: Final = frozenset({"product", "currency", "channel", "note", "comment"})


class CasesNotReadable(Exception):
    """A file holds no list of cases."""


def run(
    paths: Sequence[Path],
    emit: Callable[[str], None],
    emit_to: Path | None = None,
    remark: Callable[[str], None] = lambda _: None,
) -> int:
    """Check every case of some files.

    Args:
        paths: JSON files, each a list of cases.
        emit: Takes one line at a time: `PASS id`, `FAIL id why`, `SKIP id why`, and a last one
            with the counts.
        emit_to: Where to write what the engine computed, in the shape of `expected`.
        remark: Takes a line for each case that passes although a field of it has no meaning here.

    Returns:
        The exit code: 1 if a case failed.

    Raises:
        CasesNotReadable: A file is no JSON list.
    """
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    computed = []
    for file, name, case in [found for path in paths for found in _cases(path)]:
        word, why, came_out = _judge(case, file)
        counts[word] += 1
        computed.append({"id": name, "expected": came_out})
        emit(f"{word} {name}" if word == "PASS" else f"{word} {name} {why}".rstrip())
        if word == "PASS" and why:
            remark(f"{name} passes, but {why}")
    if emit_to is not None:
        text = json.dumps(computed, ensure_ascii=False, indent=1)
        emit_to.write_text(text + "\n", encoding="utf-8")
    emit(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    return 1 if counts["FAIL"] else 0


def _cases(path: Path) -> list[tuple[Path, str, Any]]:
    """Return the cases of a file with its and their names; one without goes by its place."""
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CasesNotReadable(f"{path} is no JSON: {error}") from error
    if not isinstance(cases, list):
        raise CasesNotReadable(f"{path} is no list of cases")
    return [
        (path, str(case["id"]) if isinstance(case, dict) and "id" in case else f"#{n}", case)
        for n, case in enumerate(cases, start=1)
    ]


def _judge(case: Any, path: Path) -> tuple[str, str, Computed | None]:
    """Return the verdict, why, and what came out.

    A field that nobody reads is no reason to fail or to pass: it is said. What cannot be read at
    all fails, and its file is named.
    """
    problem = _problem(case)
    if problem:
        return "FAIL", f"{problem} (in {path.name})", None
    try:
        told = Told({name: value for name, value in case.items() if name in _GIVEN})
        came_out = _compute({**case, **told})
        why = "; ".join(differences(case["expected"], came_out)[:3])
        unread = _unread(told, case["expected"])
        came_out = shaped(case["expected"], came_out)
    except NotCovered as reason:
        return "SKIP", str(reason), None
    except FenqiError as error:
        return "FAIL", f"{type(error).__name__}: {error}", None
    except Exception as error:  # noqa: BLE001 -- one bad case must not hide the others
        what = f"{type(error).__name__}: {error}".replace("\n", " ")
        return "FAIL", f"cannot be run as it is written: {what} (in {path.name})", None
    unknown = f"the field {', '.join(unread)} is not known here" if unread else ""
    if why:
        return ("SKIP", unknown, came_out) if unknown else ("FAIL", why, came_out)
    return "PASS", unknown, came_out


def _problem(case: Any) -> str:
    """Say what a case lacks to be one, "" if nothing."""
    if not isinstance(case, Mapping):
        return "is no case"
    is_told = "input" not in case
    for name, kind in (_TOLD if is_told else _ASKED).items():
        if not isinstance(case.get(name), kind):
            return f"has no {name} that could be read"
    for n, step in enumerate(case["events"] if is_told else [], start=1):
        if not isinstance(step, Mapping) or "op" not in step:
            return f"step {n} does not say what happens"
    for point in case["expected"] if is_told else []:
        if not isinstance(point, Mapping) or not str(point.get("after_event", "")).isdigit():
            return "does not say after which step something is expected"
    return ""


def _unread(told: Told, expected: Any) -> list[str]:
    """Return the fields that nobody looked at; steps after the last figure have not come yet."""
    steps = told.get("events", [])
    reached = max((int(point["after_event"]) for point in expected), default=0) if steps else 0
    parts = [told.get("terms"), told.get("input"), *steps[:reached]]
    found = [name for part in parts if part is not None for name in part.unread(_MEANINGLESS)]
    return list(dict.fromkeys(found))


def _compute(case: Mapping[str, Any]) -> Computed:
    if "input" in case:
        return chinese.compute(case)
    if case.get("system") == "frappe/lending":
        return frappe.compute(case)
    return fineract.compute(case)
