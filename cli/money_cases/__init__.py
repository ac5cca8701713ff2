"""Checks the money engine against cases: plans, payments, changes, endings, lateness, cost.

A case comes with its terms, its events and what must come out; only its translation into the
engine's words is here, the arithmetic is all the engine's. It needs no database.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.money_cases import chinese, fineract, frappe
from cli.money_cases.compare import differences
from cli.money_cases.reading import NotCovered

Computed = list[dict[str, Any]] | dict[str, Any]


def run(paths: Sequence[Path], emit: Callable[[str], None], emit_to: Path | None = None) -> int:
    """Check every case of some files.

    Args:
        paths: JSON files, each a list of cases.
        emit: Takes one line at a time: `PASS id`, `FAIL id why`, `SKIP id why`, and a last one
            with the counts.
        emit_to: Where to write what the engine computed, in the shape of `expected`.

    Returns:
        The exit code: 1 if a case failed.
    """
    cases = [case for path in paths for case in json.loads(path.read_text(encoding="utf-8"))]
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    computed = []
    for case in cases:
        word, why, came_out = _judge(case)
        counts[word] += 1
        computed.append({"id": case["id"], "expected": came_out})
        emit(f"{word} {case['id']} {why}".rstrip())
    if emit_to is not None:
        text = json.dumps(computed, ensure_ascii=False, indent=1)
        emit_to.write_text(text + "\n", encoding="utf-8")
    emit(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    return 1 if counts["FAIL"] else 0


def _judge(case: Mapping[str, Any]) -> tuple[str, str, Computed | None]:
    try:
        came_out = _compute(case)
    except NotCovered as reason:
        return "SKIP", str(reason), None
    except Exception as error:  # noqa: BLE001 -- one bad case must not hide the others
        return "FAIL", f"{type(error).__name__}: {error}", None
    why = "; ".join(differences(case["expected"], came_out)[:3])
    return ("FAIL", why, came_out) if why else ("PASS", "", came_out)


def _compute(case: Mapping[str, Any]) -> Computed:
    if "input" in case:
        return chinese.compute(case)
    if case.get("system") == "frappe/lending":
        return frappe.compute(case)
    return fineract.compute(case)
