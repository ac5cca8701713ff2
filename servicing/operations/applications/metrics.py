"""What operators watch of applications on their way; see docs/metrics.md."""

from typing import Final

from prometheus_client import Counter, Histogram

DECIDED_SECONDS: Final = Histogram(
    "fenqi_application_seconds",
    "Time from submitting an application to the machine's decision; 300 are promised",
    ["state"],
    buckets=(1, 2, 5, 10, 20, 30, 60, 90, 120, 180, 240, 300, 600, 1800),
)
PROMISE_BROKEN: Final = Counter(
    "fenqi_applications_overdue_total",
    "Applications that the machine had not decided within the promised five minutes",
)
CALLS: Final = Histogram(
    "fenqi_subsystem_seconds",
    "Time of one call to a sub-system, whatever came of it",
    ["subsystem", "outcome"],
)
INQUIRIES: Final = Counter(
    "fenqi_subsystem_inquiries_total",
    "Inquiries to sub-systems that ended: answered, failed, timed_out; late is an answer after it",
    ["subsystem", "state"],
)
FALLBACKS: Final = Counter(
    "fenqi_subsystem_fallbacks_total",
    "Decisions that were made without a sub-system's answer, by what was declared for that",
    ["subsystem", "fallback"],
)
