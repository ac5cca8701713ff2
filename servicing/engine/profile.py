"""Rules on which lenders differ, as named frozen data: rounding, day count, what a payment does.

A profile says how to compute; it holds no amount of any loan. `HOUSE` is ours. The others
reproduce two open systems, so that their published cases can be checked against this engine.
"""

from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from kernel.money import Rounding, round_fen
from servicing.engine.periods import Anchor, MonthEnd


class LastRow(StrEnum):
    """What becomes of the rounding differences of a plan of equal instalments."""

    ABSORBS = "absorbs"
    LEVELLED = "levelled"


class InterestBy(StrEnum):
    """Whether a whole period bears its nominal share of the year, or its days."""

    PERIODS = "periods"
    DAYS = "days"


class PartBy(StrEnum):
    """How a part of a whole period counts: in proportion, or by its days up to the whole."""

    PROPORTION = "proportion"
    DAYS = "days"


class LevelBy(StrEnum):
    """From which periodic rates an equal instalment is computed."""

    PERIODS = "periods"
    MONTHS_OF_30 = "months-of-30"
    FACTORS = "factors"


class InterestRounding(StrEnum):
    """Whether interest is rounded once a period, or for each balance within it."""

    ONCE = "once"
    PER_SEGMENT = "per-segment"


class Recalculation(StrEnum):
    """What actual payments do to interest.

    Attributes:
        NONE: The plan stands until somebody changes it.
        ACTUAL_BALANCE: Interest runs on what is really outstanding; the last row absorbs.
        OPEN_PERIOD: The same, but a period that has ended stands, and paying more than an
            instalment in its period re-plans the rest.
    """

    NONE = "none"
    ACTUAL_BALANCE = "actual-balance"
    OPEN_PERIOD = "open-period"


class Rest(StrEnum):
    """From when a payment counts for interest: its own day, or the end of its period."""

    DAILY = "daily"
    PERIOD = "period"


class Excess(StrEnum):
    """What a partial prepayment changes."""

    REDUCE_INSTALMENT = "reduce-instalment"
    REDUCE_TERM = "reduce-term"
    RESCHEDULE_NEXT = "reschedule-next"


class Draws(StrEnum):
    """How a flat plan takes what is drawn later.

    Attributes:
        ADDED: Every instalment to come bears an equal part of it more.
        WHOLE: From then on every instalment bears an equal part of all that was drawn, the last
            one what is left; what was paid before settles the plan as it is now.
        REST: What is left by then is spread anew over the instalments to come; what was overpaid
            goes to it on that day.
    """

    ADDED = "added"
    WHOLE = "whole"
    REST = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """How days become a share of the year.

    Attributes:
        month_days: 30 if every month counts 30 days; None for actual days.
        year_days: 360, 364 or 365; None for the actual length of the year.
    """

    month_days: int | None = None
    year_days: int | None = None


THIRTY_360: Final = DayCount(month_days=30, year_days=360)
ACTUAL_360: Final = DayCount(year_days=360)
ACTUAL_364: Final = DayCount(year_days=364)
ACTUAL_365: Final = DayCount(year_days=365)
ACTUAL_ACTUAL: Final = DayCount()

_MODES: Final = {
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
    Rounding.DOWN: ROUND_DOWN,
    Rounding.UP: ROUND_CEILING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a product computes.

    Attributes:
        rounding: Of interest, fees and shares, to the fen.
        instalment_multiple_fen: Instalments are multiples of this; 1 for none.
        instalment_rounding: Of instalments, if not as `rounding`.
        is_compounding: Interest that was not paid when due bears interest.
        settles_at_due_date: Paying early does not save the interest of the running period.
        draws: How a flat plan takes what is drawn later.
        first_day_late: What the day counter shows on the due date itself, 0 or 1.
    """

    name: str
    rounding: Rounding = Rounding.HALF_UP
    instalment_multiple_fen: int = 1
    instalment_rounding: Rounding | None = None
    last_row: LastRow = LastRow.ABSORBS
    day_count: DayCount = field(default_factory=DayCount)
    interest_by: InterestBy = InterestBy.PERIODS
    part_by: PartBy = PartBy.DAYS
    level_by: LevelBy = LevelBy.PERIODS
    interest_rounding: InterestRounding = InterestRounding.ONCE
    month_end: MonthEnd = MonthEnd.CLAMP
    anchor: Anchor = Anchor.SAME_DAY
    recalculation: Recalculation = Recalculation.NONE
    rest: Rest = Rest.DAILY
    excess: Excess = Excess.REDUCE_INSTALMENT
    is_compounding: bool = False
    settles_at_due_date: bool = False
    draws: Draws = Draws.ADDED
    first_day_late: int = 0

    def fen(self, exact: Decimal | Fraction) -> int:
        """Round an exact count of fen."""
        if isinstance(exact, Fraction):
            exact = Decimal(exact.numerator) / exact.denominator
        return round_fen(exact, rounding=self.rounding)

    def instalment(self, exact: Decimal) -> int:
        """Round an exact instalment, fen, to the multiple that the product asks for."""
        mode = _MODES[self.instalment_rounding or self.rounding]
        multiple = self.instalment_multiple_fen
        return int((exact / multiple).quantize(Decimal(1), rounding=mode)) * multiple


HOUSE: Final = Profile(name="house", day_count=ACTUAL_360, level_by=LevelBy.FACTORS)

FINERACT_CUMULATIVE: Final = Profile(
    name="fineract-cumulative",
    rounding=Rounding.HALF_EVEN,
    day_count=ACTUAL_365,
    part_by=PartBy.PROPORTION,
    interest_rounding=InterestRounding.PER_SEGMENT,
    draws=Draws.WHOLE,
)
FINERACT_CUMULATIVE_DAILY: Final = replace(
    FINERACT_CUMULATIVE,
    name="fineract-cumulative-daily",
    interest_by=InterestBy.DAYS,
    level_by=LevelBy.MONTHS_OF_30,
)
FINERACT_PROGRESSIVE: Final = Profile(
    name="fineract-progressive",
    rounding=Rounding.HALF_EVEN,
    day_count=ACTUAL_ACTUAL,
    last_row=LastRow.LEVELLED,
    interest_by=InterestBy.DAYS,
    part_by=PartBy.PROPORTION,
    level_by=LevelBy.FACTORS,
    interest_rounding=InterestRounding.PER_SEGMENT,
    draws=Draws.REST,
)
FRAPPE_2025: Final = Profile(
    name="frappe-2025",
    instalment_multiple_fen=100,
    instalment_rounding=Rounding.UP,
    day_count=ACTUAL_365,
    interest_by=InterestBy.DAYS,
    first_day_late=1,
)
FRAPPE_2024: Final = replace(
    FRAPPE_2025, name="frappe-2024", interest_by=InterestBy.PERIODS, first_day_late=0
)

PROFILES: Final = {
    profile.name: profile
    for profile in (
        HOUSE,
        FINERACT_CUMULATIVE,
        FINERACT_CUMULATIVE_DAILY,
        FINERACT_PROGRESSIVE,
        FRAPPE_2025,
        FRAPPE_2024,
    )
}
