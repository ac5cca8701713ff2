"""What operators watch of the decision service; see docs/metrics.md."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

GROUP_SIZE: Final = Histogram(
    "fenqi_decision_group_size",
    "Requests that shared one look-up and one commit",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
WAITING: Final = Gauge(
    "fenqi_decisions_waiting",
    "Requests for a decision that waited when the last group was taken up",
    multiprocess_mode="livesum",
)
REFUSED: Final = Counter(
    "fenqi_decisions_refused_total",
    "Requests for a decision answered with 503, by the code that callers read",
    ["code"],
)
LOADS: Final = Counter(
    "fenqi_strategy_loads_total",
    "Times that a process compiled what is in force anew, or could not",
    ["outcome"],
)
VERSION: Final = Gauge(
    "fenqi_strategy_version",
    "Version of the strategy that decides a product",
    ["product", "strategy"],
    multiprocess_mode="livemostrecent",
)
