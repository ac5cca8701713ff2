"""Checks the channel against vectors: messages, envelopes, replies, calls, errors, pay signatures.

Messages and events are signed now and pushed through the real app in all three modes; the rest
goes to the very functions and clients that the product uses, with a stand-in on a loopback port
where a platform is called. It needs nothing but this machine, and it is no test of what the
assistant says.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli.conformance.calls import CALL_CHECKS
from cli.conformance.case import Case, Check
from cli.conformance.formulas import FORMULA_CHECKS
from cli.conformance.pushes import PUSH_CHECKS
from cli.conformance.stage import Stage

KEYS_FILE: Final = "wechat_keys.json"

_CHECKS: Final[Mapping[str, Check]] = {**FORMULA_CHECKS, **PUSH_CHECKS, **CALL_CHECKS}
_NOT_OURS: Final = {
    "pay_v2_sign": "WeChat Pay v2 is not used here",
    "pay_v2_decrypt": "WeChat Pay v2 is not used here",
}


def run(paths: Sequence[Path], emit: Callable[[str], None]) -> int:
    """Check every vector of some files.

    Args:
        paths: JSON files, each a list of vectors; keys that they name lie beside them.
        emit: Takes one line at a time: `PASS id`, `FAIL id why`, `SKIP id why`, and a last one
            with the counts.

    Returns:
        The exit code: 1 if a vector failed.
    """
    cases = [case for path in paths for case in _load(path)]
    counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    with Stage() as stage:
        for case in cases:
            word, why = _judge(case, stage)
            counts[word] += 1
            emit(f"{word} {case.id} {why}".rstrip())
    emit(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    return 1 if counts["FAIL"] else 0


def _load(path: Path) -> list[Case]:
    keys_path = path.with_name(KEYS_FILE)
    keys: Mapping[str, Any] = (
        json.loads(keys_path.read_text(encoding="utf-8")) if keys_path.exists() else {}
    )
    vectors = json.loads(path.read_text(encoding="utf-8"))
    return [
        Case(
            id=str(vector["id"]),
            category=str(vector["category"]),
            given=vector.get("input") or {},
            expected=vector.get("expected") or {},
            keys=keys,
            is_reproducible=bool(vector.get("verified", True)),
        )
        for vector in vectors
    ]


def _judge(case: Case, stage: Stage) -> tuple[str, str]:
    if case.category in _NOT_OURS:
        return "SKIP", _NOT_OURS[case.category]
    check = _CHECKS.get(case.category)
    if check is None:
        return "FAIL", f"nothing checks {case.category}"
    try:
        why = check(case, stage)
    except Exception as error:  # noqa: BLE001 -- one bad vector must not hide the others
        return "FAIL", f"{type(error).__name__}: {error}"
    return ("FAIL", why) if why else ("PASS", "")
