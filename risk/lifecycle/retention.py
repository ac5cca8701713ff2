"""How long risk keeps what it writes beside decisions: shadows, backtests, readings of challenges.

Of decisions themselves risk.decisions.keeping says it.
"""

from datetime import date
from typing import Final

from kernel.retention import Kept
from risk.lifecycle.tables import BacktestRun, ChallengeReading, ShadowDecision, StrategyBacktest

_FROM: Final = date(2026, 11, 26)

# Runs name their report, so they go first.
KEPT: Final = (
    Kept(
        model=ShadowDecision,
        since=ShadowDecision.decided_at,
        days=180,
        from_on=_FROM,
        is_append_only=True,
        why="No longer than the purpose needs: a shadow is read within weeks of its end.",
    ),
    Kept(
        model=BacktestRun,
        since=BacktestRun.asked_at,
        days=90,
        from_on=_FROM,
        why="Only the way to a report, which has its own period.",
    ),
    Kept(
        model=StrategyBacktest,
        since=StrategyBacktest.made_at,
        days=1830,
        from_on=_FROM,
        is_append_only=True,
        why="As long as the decisions of the version that was published by them.",
    ),
    Kept(
        model=ChallengeReading,
        since=ChallengeReading.read_at,
        days=400,
        from_on=_FROM,
        is_append_only=True,
        why="A reading each minute; what came of a challenge stays with it.",
    ),
)
