"""The reasons of a decision in words: for staff, and for the customer.

It chooses among the reasons that the strategy declares; how they reach anybody is not known here.
"""

from typing import Final

from risk.strategy.decision import Decision, HitKind
from risk.strategy.language import DATA_MISSING, SUPPORT_ALONE, Outcome, Reason, Strategy

MISSING: Final = Reason(
    code=DATA_MISSING,
    internal="资料缺失或异常，规则无法判断",
    customer="部分资料暂时无法核实，需要进一步确认。",
)

DOUBTFUL: Final = Reason(
    code=SUPPORT_ALONE,
    internal="仅凭关联关系、人脸分等辅助信息会拒绝，依规转人工",
    customer="您的申请需要人工核实。",
)


def reasons_of(strategy: Strategy, decision: Decision) -> tuple[Reason, ...]:
    """Return why it was not approved, in the order of the strategy, each reason once.

    What only asked for a review is no reason of a decline.
    """
    if decision.outcome is Outcome.APPROVE:
        return ()
    codes = dict.fromkeys(
        hit.reason
        for hit in decision.hits
        if hit.outcome == decision.outcome and hit.kind is not HitKind.SNOOZED
    )
    known = {**strategy.reasons, DATA_MISSING: MISSING, SUPPORT_ALONE: DOUBTFUL}
    return tuple(known[code] for code in codes if code is not None)
