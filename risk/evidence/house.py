"""The sub-systems that the house asks: real name, credit report, lists of others.

Each reads its provider's answer strictly: a member of another type makes the answer unusable, and
what the provider does not know stays absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.clock import Clock
from kernel.settings import Settings
from risk.evidence.wire import SignedCalls
from risk.ports import Fallback, Inquiry, Subsystem, SubsystemFailed, Subsystems

Read = Callable[[Mapping[str, Any]], dict[str, Any]]

_REPORT: Final[Mapping[str, str]] = {
    "bureau_score": "score",
    "overdue_days_max_12m": "overdue_days_max_12m",
    "bureau_queries_30d": "queries_30d",
    "exposure_fen": "balance_fen",
    "debt_service_monthly_fen": "service_monthly_fen",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a sub-system is, whoever calls it; its patience and fallback hold where nobody chose."""

    name: str
    label: str
    fields: tuple[str, ...]
    fallback: Fallback = Fallback.REVIEW
    timeout_s: int = 5
    attempts: int = 3
    deadline_s: int = 90


DECLARED: Final = (
    Declared(name="identity", label="实名核验", fields=("is_identity_verified",)),
    Declared(name="bureau", label="征信报告", fields=tuple(_REPORT)),
    Declared(
        name="lists",
        label="外部名单",
        fields=("outside_list_hits",),
        fallback=Fallback.IGNORE,
    ),
)
SUPPLIES: Final[Mapping[str, tuple[str, ...]]] = {each.name: each.fields for each in DECLARED}


def house_subsystems(settings: Settings, clock: Clock) -> Subsystems:
    """Make the house's sub-systems out of its settings."""
    call = SignedCalls(
        settings.evidence_api_base,
        key_id=settings.evidence_key_id,
        secret=settings.evidence_secret,
        clock=clock,
    )
    return Subsystems(each=tuple(_subsystem(call, each) for each in DECLARED))


def _subsystem(call: SignedCalls, declared: Declared) -> Subsystem:
    read = _READ[declared.name]

    def ask(inquiry: Inquiry) -> Mapping[str, Any]:
        asked = {
            "reference": inquiry.reference,
            "name": inquiry.name,
            "id_number": inquiry.id_number,
            "phone": inquiry.phone,
        }
        return read(call(f"/{declared.name}", asked, timeout_s=inquiry.timeout_s))

    return Subsystem(ask=ask, **{name: getattr(declared, name) for name in Declared.__slots__})


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


_READ: Final[Mapping[str, Read]] = {"identity": _identity, "bureau": _report, "lists": _hits}
