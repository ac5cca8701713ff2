"""How many random lives a property lives, and how long that may take."""

import pytest
from hypothesis import HealthCheck, settings

# Minutes, where tests share the machine with much else.
PATIENT = pytest.mark.timeout(1_800)


def lives(most: int) -> settings:
    """Say how many lives are lived; `--hypothesis-profile explore` lives as many as it says."""
    usual = settings()
    return settings(
        max_examples=most if usual.derandomize else usual.max_examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
