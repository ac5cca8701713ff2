"""The decision service as the rest of the house asks it: a subject, values, one answer for good.

It puts the service's answer into frozen words and knows no application. Call it outside of any
transaction: the decision is on disk when it returns, in a transaction of its own.
"""

import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from kernel.runtime import Runtime
from risk.decisions.asking import Asked
from risk.decisions.service import DecisionService
from risk.decisions.writing import HOUSE
from risk.features.catalogue import read_catalogue
from risk.strategy.language import LINE, PRICE
from risk.strategy.lists import plain

_RATE_STEP: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why it was not approved: a code, and the sentence for the customer."""

    code: str
    customer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseDecision:
    """What was decided.

    Attributes:
        outcome: `approve`, `review` or `decline`.
        strategy_version: Of which strategy, with the beginning of its hash.
        line_fen: The line that the strategy grants, if it says so.
        rate_annual: The price that it sets, likewise.
    """

    decision_id: str
    outcome: str
    reasons: tuple[Reason, ...]
    strategy_version: str
    line_fen: int | None
    rate_annual: Decimal | None


class HouseDecide:
    """Decides by the published strategies; the service starts with the first question."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._starting = threading.Lock()
        self._service: DecisionService | None = None

    def __call__(
        self,
        *,
        key: str,
        subject: str,
        product: str,
        values: Mapping[str, Any],
        links: Mapping[str, str],
    ) -> HouseDecision:
        """Decide under a key; a repeat gets the first answer, whatever is known by then.

        Raises:
            DecisionProductUnknown: Nothing in force decides the product.
            Unavailable: Nothing is in force, or it cannot be stored now; safe to repeat.
        """
        asked = asked_of(subject=subject, product=product, values=values, links=links)
        return read_answer(self._started().decide_once(caller_id=HOUSE, key=key, asked=asked))

    def declines_anyway(
        self, *, subject: str, product: str, values: Mapping[str, Any], pending: Collection[str]
    ) -> bool:
        """Say whether a subject is declined whatever is still asked for; keeps nothing.

        Raises:
            DecisionProductUnknown: Nothing in force decides the product.
            Unavailable: Nothing is in force.
        """
        asked = asked_of(subject=subject, product=product, values=values, links={})
        return self._started().declines_anyway(asked, pending=pending)

    def close(self) -> None:
        """End the service's threads and connections."""
        if self._service is not None:
            self._service.close()

    def _started(self) -> DecisionService:
        with self._starting:
            if self._service is None:
                self._service = DecisionService(self._runtime, read_catalogue())
            return self._service


def asked_of(
    *, subject: str, product: str, values: Mapping[str, Any], links: Mapping[str, str]
) -> Asked:
    """Put a question of the house as the service reads questions."""
    given = {name: _plain(value) for name, value in values.items()}
    shared = {kind: text for kind, value in links.items() if (text := plain(value))}
    return Asked(subject=subject, product=product, application=given, links=shared)


def _plain(value: Any) -> Any:
    """Shares come as exact decimals; strategies compare floats."""
    return float(value) if isinstance(value, Decimal) else value


def read_answer(answer: str) -> HouseDecision:
    """Put an answer of the service in the house's words."""
    said = json.loads(answer)
    line_fen, rate = (said["outputs"].get(name) for name in (LINE, PRICE))
    return HouseDecision(
        decision_id=said["id"],
        outcome=said["outcome"],
        reasons=tuple(Reason(**reason) for reason in said["reasons"]),
        strategy_version=version_of(said["strategy"]),
        line_fen=None if line_fen is None else int(line_fen),
        rate_annual=None if rate is None else Decimal(str(rate)).quantize(_RATE_STEP),
    )


def version_of(strategy: Mapping[str, Any]) -> str:
    """Name a version of a strategy for people."""
    return f"{strategy['id']} v{strategy['version']} @{strategy['hash'][:12]}"
