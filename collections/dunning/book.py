"""The strategy that the house lives by, read from its file once a process."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

from dunning.model import Strategy, read_strategy

STRATEGIES_FILE: Final = Path(__file__).parent / "strategies.toml"


@cache
def house_strategy() -> Strategy:
    """Return the house's strategy.

    Raises:
        StrategyNotReadable: The file says something that cannot be.
    """
    return read_strategy(tomllib.loads(STRATEGIES_FILE.read_text("utf-8")))
