"""A product in words, item by item, so that two versions can be read side by side."""

from collections.abc import Mapping
from typing import Any, Final

from flask_babel import gettext

from desk.ports import Change
from servicing.admin import product_words as names
from servicing.admin.product_editor import fields_of
from servicing.product_form import FeeForm
from servicing.products import read_form

_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("rate_annual", "rate_least", "fee_rate", "subsidy_rate_annual", "down_payment"), "%"
    ),
    **dict.fromkeys(("least", "most", "instalment"), " 元"),
}
_KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "method": names.METHODS,
    "period": names.PERIODS,
    "rounding": names.ROUNDINGS,
    "day_count": names.DAY_COUNTS,
    "interest_by": names.INTEREST_BY,
    "month_end": names.MONTH_ENDS,
    "penalty_base": names.PENALTY_BASES,
    **{f"order_{state}": names.ORDERS for state in names.STATES},
}
_OF_PENALTY: Final = ("multiplier", "penalty_base", "penalty_grace_days", "stops_after_days")


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """List the items in which two documents differ."""
    old, new = summary(before), summary(after)
    return [
        Change(label=label, before=old.get(label, ""), after=new.get(label, ""))
        for label in dict.fromkeys((*old, *new))
        if old.get(label, "") != new.get(label, "")
    ]


def summary(document: Mapping[str, Any]) -> dict[str, str]:
    """Say every item of a document in the units of the form."""
    fields = fields_of(document)
    hidden = () if "has_penalty" in fields else _OF_PENALTY
    shown = {
        str(label): _value(name, fields[name])
        for name, label in names.FIELDS.items()
        if fields.get(name, "0") != "0" and name not in hidden
    }
    for n, fee in enumerate(read_form(document).fees):
        shown[f"{names.PLACES['fees']} {n + 1}"] = _fee(fee, n, fields)
    return shown


def _value(name: str, value: str) -> str:
    if name in _KNOWN:
        return str(_KNOWN[name].get(value, value))
    return gettext("是") if value == "on" else f"{value}{_UNITS.get(name, '')}"


def _fee(fee: FeeForm, n: int, fields: Mapping[str, str]) -> str:
    amount, share = fields.get(f"fee_{n}_amount"), fields.get(f"fee_{n}_share")
    parts = [f"{amount} 元" if amount else "", f"{share}%" if share else ""]
    if share and fee.at == "instalment":
        parts.append(str(names.FEE_BASES[fee.base]))
    price = fields.get(f"fee_{n}_tiers") or " ".join(filter(None, parts))
    return f"{fee.name} · {fee.payee} · {names.FEE_TIMES[fee.at]} · {price}"
