"""Whom to ask about an application: what its strategy says, laid over what the sub-systems declare.

Pure: which strategy decides, `risk.queries` finds out, and who asks keeps to the plan as it stood
when it was made.
"""

from collections.abc import Sequence
from dataclasses import replace

from risk.ports import PROMISED_S, EvidencePlan, Fallback, Planned, Subsystem, Subsystems
from risk.strategy.language import SLACK_S, SubsystemUse, patience_s


def plan_of(
    uses: Sequence[SubsystemUse] | None, subsystems: Subsystems, *, strategy_version: str | None
) -> EvidencePlan:
    """Lay what a strategy says over what the sub-systems declare.

    Whoever is planned waits as long as the promise leaves room for the steps behind; patience with
    a single call is the strategy's.

    Args:
        uses: What the product says; None if it says nothing, and all are asked at once.
        subsystems: All there are.
        strategy_version: Which strategy says so.
    """
    if uses is None:
        every = tuple(Planned(subsystem=each, step=1) for each in subsystems.each)
        return EvidencePlan(strategy_version=None, asked=every)
    asked = tuple(
        Planned(subsystem=_chosen(subsystems.find(use.name), use, uses), step=use.step)
        for use in uses
    )
    names = {use.name for use in uses}
    left_out = tuple(each for each in subsystems.each if each.name not in names)
    return EvidencePlan(strategy_version=strategy_version, asked=asked, left_out=left_out)


def _chosen(subsystem: Subsystem, use: SubsystemUse, uses: Sequence[SubsystemUse]) -> Subsystem:
    later = patience_s(each for each in uses if each.step > use.step)
    return replace(
        subsystem,
        timeout_s=use.timeout_s,
        attempts=use.attempts,
        deadline_s=PROMISED_S - later - SLACK_S,
        fallback=Fallback(use.fallback.value),
    )
