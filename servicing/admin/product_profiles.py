"""What the named profiles of the engine do, item by item, in the words of the product pages."""

from collections.abc import Mapping
from typing import Any, Final

from flask_babel import gettext

from servicing.admin import product_words as names
from servicing.admin.product_units import yuan
from servicing.engine.profile import PROFILES, DayCount, Profile
from servicing.products import day_count_of

_SWITCHES: Final = {True: "yes", False: "no"}


def profile_words() -> dict[str, dict[str, str]]:
    """Say by named profile what each choice is that a product leaves to it."""
    return {name: dict(_words(profile)) for name, profile in PROFILES.items()}


def _words(profile: Profile) -> Mapping[str, str]:
    said = {
        name: str(known[_code(getattr(profile, name))])
        for name, known in names.CHOICES.items()
        if name != "named" and getattr(profile, name) is not None
    }
    said.setdefault("instalment_rounding", gettext("同尾数"))
    return said | {"instalment_multiple": yuan(profile.instalment_multiple_fen)}


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return _SWITCHES[value]
    return day_count_of(value) if isinstance(value, DayCount) else str(value)
