"""The sub-systems that the house asks: real name, credit report, lists of others.

Each reads its provider's answer strictly: a member of another type makes the answer unusable, and
what the provider does not know stays absent.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kernel.clock import Clock
from kernel.settings import Settings
from risk.evidence.wire import SignedCalls
from risk.ports import Fallback, Inquiry, Subsystem, SubsystemFailed, Subsystems

_TIMEOUT_S: Final = 5
_ATTEMPTS: Final = 3
_DEADLINE_S: Final = 90

Read = Callable[[Mapping[str, Any]], dict[str, Any]]

_REPORT: Final[Mapping[str, str]] = {
    "bureau_score": "score",
    "overdue_days_max_12m": "overdue_days_max_12m",
    "bureau_queries_30d": "queries_30d",
    "exposure_fen": "balance_fen",
    "debt_service_monthly_fen": "service_monthly_fen",
}


def house_subsystems(settings: Settings, clock: Clock) -> Subsystems:
    """Make the house's sub-systems out of its settings."""
    call = SignedCalls(
        settings.evidence_api_base,
        key_id=settings.evidence_key_id,
        secret=settings.evidence_secret,
        clock=clock,
    )
    return Subsystems(
        each=(
            _subsystem(call, "identity", "实名核验", ("is_identity_verified",), _identity),
            _subsystem(call, "bureau", "征信报告", tuple(_REPORT), _report),
            _subsystem(call, "lists", "外部名单", ("outside_list_hits",), _hits, Fallback.IGNORE),
        )
    )


def _subsystem(
    call: SignedCalls,
    name: str,
    label: str,
    fields: tuple[str, ...],
    read: Read,
    fallback: Fallback = Fallback.REVIEW,
) -> Subsystem:
    def ask(inquiry: Inquiry) -> Mapping[str, Any]:
        asked = {
            "reference": inquiry.reference,
            "name": inquiry.name,
            "id_number": inquiry.id_number,
            "phone": inquiry.phone,
        }
        return read(call(f"/{name}", asked, timeout_s=_TIMEOUT_S))

    return Subsystem(
        name=name,
        label=label,
        fields=fields,
        timeout_s=_TIMEOUT_S,
        attempts=_ATTEMPTS,
        deadline_s=_DEADLINE_S,
        fallback=fallback,
        ask=ask,
    )


def _identity(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read a real-name check; "unknown" is no answer to the question."""
    result = data.get("result")
    if result not in ("match", "differs", "unknown"):
        raise SubsystemFailed("no such result of a real-name check")
    return {} if result == "unknown" else {"is_identity_verified": result == "match"}


def _report(data: Mapping[str, Any]) -> dict[str, Any]:
    """Read a credit report; a person without a file has no values."""
    if data.get("found") is False:
        return {}
    return {name: _count(data, theirs) for name, theirs in _REPORT.items() if theirs in data}


def _hits(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"outside_list_hits": _count(data, "hits")}


def _count(data: Mapping[str, Any], name: str) -> int:
    found = data.get(name)
    if type(found) is not int or found < 0:
        raise SubsystemFailed(f"{name} is no count")
    return found
