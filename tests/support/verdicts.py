"""What a judge might say of an application, in the words of the house strategy."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import risk

HOUSE = Path(risk.__file__).parent / "strategies" / "house-credit.json"
SENTENCES = {
    reason["code"]: reason["customer"]
    for reason in json.loads(HOUSE.read_text(encoding="utf-8"))["reasons"]
}
NUMBER = "D202603100000000000000077"


@dataclass(frozen=True)
class Why:
    """A reason as the decision service gives it."""

    code: str
    customer: str


class Verdict:
    """A decision, as `Decide` answers it."""

    decision_id = NUMBER
    strategy_version = "house/1"

    def __init__(
        self,
        outcome: str = "approve",
        *codes: str,
        line_fen: int | None = None,
        rate_annual: Decimal | None = None,
    ) -> None:
        self.outcome, self.line_fen, self.rate_annual = outcome, line_fen, rate_annual
        self.reasons = tuple(
            Why(code, SENTENCES.get(code, "本次申请未通过综合评估")) for code in codes
        )
