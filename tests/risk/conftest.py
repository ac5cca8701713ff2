"""Facts as servicing would give them."""

from datetime import datetime
from typing import Any

import pytest

NOW = datetime.fromisoformat("2026-03-10T02:00:00+00:00")


@pytest.fixture
def now() -> datetime:
    """Ten in the morning in Shanghai."""
    return NOW


@pytest.fixture
def good() -> dict[str, Any]:
    """The snapshot of an application that no rule objects to."""
    return {
        "amount_fen": 300_000,
        "terms": 12,
        "channel": "h5",
        "merchant_name": "宏达手机卖场",
        "merchandise": "手机",
        "is_student": False,
        "applications_30d": 1,
        "days_past_due": 0,
        "worst_dpd_12m": 0,
        "months_on_book": 8,
        "on_time_ratio": "0.9500",
        "utilisation": "0.4000",
        "beyond_line_fen": 0,
        "attributes": {"device": "d1", "address": "东莞市长安镇富民路1号"},
    }
