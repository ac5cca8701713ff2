"""A product in words, item by item, so that it can be read, and two versions side by side."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask_babel import gettext

from desk.ports import Change
from servicing.admin import product_words as names
from servicing.admin.product_editor import fee_rows, fields_of
from servicing.engine.waterfall import DebtState

_SHARES: Final = ("rate_annual", "rate_least", "fee_rate", "subsidy_rate_annual", "down_payment")
_MONEY: Final = ("least", "most", "instalment", "closing_tolerance", "instalment_multiple")
_KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "method": names.METHODS,
    "funder": names.FUNDERS,
    "penalty_base": names.PENALTY_BASES,
    **names.CHOICES,
}
_OF_PENALTY: Final = (
    *("multiplier", "penalty_base", "penalty_grace_days", "penalty_year_days"),
    "stops_after_days",
)
_OF_PARTS: Final = ("tranches", "draw_within_days")
# What is so with most products is not said.
_USUAL: Final[Mapping[str, str]] = {"named": "house", "penalty_year_days": "360"}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """List the items in which two documents differ."""
    old, new = summary(before), summary(after)
    return [
        Change(label=label, before=old.get(label, ""), after=new.get(label, ""))
        for label in dict.fromkeys((*old, *new))
        if old.get(label, "") != new.get(label, "")
    ]


def summary(document: Mapping[str, Any]) -> dict[str, str]:
    """Say every item of a document that is set, in the units of the form."""
    fields = fields_of(document)
    hidden = [*_OF_PENALTY] if "has_penalty" not in fields else []
    hidden += _OF_PARTS if fields["tranches"] == "1" else []
    shown = {
        str(label): _value(name, fields)
        for name, label in names.FIELDS.items()
        if fields.get(name, "0") not in ("0", _USUAL.get(name)) and name not in hidden
    }
    for n, tiers in fee_rows(fields).items():
        shown[f"{names.PLACES['fees']} {n + 1}"] = _fee(fields, f"fee_{n}", tiers)
    for state in DebtState:
        if fields[f"order_mode_{state}"] != "default":
            shown[f"{names.PLACES['allocation']}：{names.STATES[state]}"] = _order(fields, state)
    return shown


def _value(name: str, fields: Mapping[str, str]) -> str:
    value = fields[name]
    if name == "period_every":
        return names.period(value, fields["period_unit"])
    if name in _KNOWN:
        return str(_KNOWN[name].get(value, value))
    if value == "on":
        return str(gettext("是"))
    if name in _MONEY:
        return f"¥{names.grouped(value)}"
    return f"{value}%" if name in _SHARES else value


def _fee(fields: Mapping[str, str], row: str, tiers: list[int]) -> str:
    at = fields[f"{row}_at"]
    price = _price(fields, row)
    if tiers:
        price = "；".join(
            gettext(
                "已还 %(count)s 期起 %(price)s",
                count=fields[f"{row}_tier_{k}_from"],
                price=_price(fields, f"{row}_tier_{k}"),
            )
            for k in tiers
        )
    elif f"{row}_share" in fields and at == "instalment":
        price += f" {names.FEE_BASES[fields[f'{row}_base']]}"
    return f"{fields[f'{row}_name']} · {fields[f'{row}_payee']} · {names.FEE_TIMES[at]} · {price}"


def _price(fields: Mapping[str, str], row: str) -> str:
    amount, part = fields.get(f"{row}_amount"), fields.get(f"{row}_share")
    said = [f"¥{names.grouped(amount)}" if amount else "", f"{part}%" if part else ""]
    return " + ".join(filter(None, said)) or "0"


def _order(fields: Mapping[str, str], state: DebtState) -> str:
    has_rules = fields[f"order_mode_{state}"] == "rules"
    items = fields[f"rules_{state}" if has_rules else f"order_{state}"].split(",")
    said = [" → ".join(map(_item, items)), *_more(fields, state)]
    return "；".join(said)


def _item(item: str) -> str:
    timing, _, part = item.rpartition(":")
    return f"{names.TIMINGS[timing] if timing else ''}{names.PARTS[part]}"


def _more(fields: Mapping[str, str], state: DebtState) -> Iterator[str]:
    if fields[f"direction_{state}"] != "horizontal":
        yield str(names.DIRECTIONS[fields[f"direction_{state}"]])
    futures = {"": fields[f"future_{state}"]} | {
        str(label): fields.get(f"future_{state}_{kind}", "") for kind, label in names.KINDS.items()
    }
    for kind, future in futures.items():
        if future not in ("", "next" if not kind else ""):
            what = gettext("提前还款冲抵")
            yield f"{what}{f'（{kind}）' if kind else ''}：{names.FUTURES[future]}"
    if f"due_first_{state}" in fields:
        yield gettext("已到期费用先冲")
