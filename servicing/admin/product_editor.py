"""Between the form that a product manager fills in and a product document.

Every item of a document has its field. The form speaks percent and yuan, the document shares and
fen; the rows of fees and of their tiers carry a number each, in the order of the page.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from servicing.admin.product_orders import order_fields, orders_from
from servicing.admin.product_units import (
    fen,
    optional,
    percent,
    share,
    text_of,
    whole,
    yuan,
)
from servicing.product_form import NAMED_PERIODS, ProductForm, ProfileForm
from servicing.products import read_form

_SWITCHES: Final = ("is_compounding", "settles_at_due_date")
_NUMBERS: Final = ("first_day_late", "instalment_multiple_fen")
# Choices of how a product computes; one that is left open is as the named profile has it.
_CHOICES: Final = tuple(
    name for name in ProfileForm.model_fields if name not in (*_SWITCHES, *_NUMBERS)
)
_IS_SO: Final[Mapping[str, bool]] = {"yes": True, "no": False}
_SHARES: Final = ("rate_annual", "fee_rate", "subsidy_rate_annual", "down_payment")
_TICKS: Final = ("levels_whole_principal", "settles_early", "is_offered")
_FEE: Final = re.compile(r"fee_([0-9]{1,4})_name", re.ASCII)
_TIER: Final = re.compile(r"fee_([0-9]{1,4})_tier_([0-9]{1,4})_from", re.ASCII)


def document_from(form: Mapping[str, str]) -> dict[str, Any]:
    """Write a document out of what was typed."""
    return {
        **{name: text_of(form, name) for name in ("code", "name", "funder", "method")},
        "amount": {"least_fen": fen(form, "least"), "most_fen": fen(form, "most")},
        "terms": [whole(part) for part in text_of(form, "terms").replace("，", ",").split(",")],
        "period": _period(form),
        **{name: share(form, name) for name in _SHARES},
        **({"rate_least": share(form, "rate_least")} if text_of(form, "rate_least") else {}),
        "instalment_fen": fen(form, "instalment"),
        "first_period_days": optional(form, "first_period_days"),
        **{name: whole(form.get(name, "")) for name in ("tranches", "draw_within_days")},
        "closing_tolerance_fen": fen(form, "closing_tolerance"),
        "profile": dict(_profile(form)),
        "grace": {
            name: whole(form.get(name, ""))
            for name in ("principal_terms", "interest_terms", "interest_free_terms", "late_days")
        },
        "fees": list(_fees(form)),
        "penalty": _penalty(form),
        "allocation": orders_from(form),
        **{name: name in form for name in _TICKS},
    }


def fields_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Fill the form from a document that can be read."""
    form = read_form(document)
    every, unit = _every(form.period)
    fields = {
        "code": form.code,
        "name": form.name,
        "funder": form.funder,
        "method": form.method.value,
        "least": yuan(form.amount.least_fen),
        "most": yuan(form.amount.most_fen),
        "terms": ", ".join(map(str, form.terms)),
        "period_every": every,
        "period_unit": unit,
        **{name: percent(getattr(form, name)) for name in _SHARES},
        "rate_least": "" if form.rate_least is None else percent(form.rate_least) or "0",
        "instalment": yuan(form.instalment_fen),
        "first_period_days": str(form.first_period_days or ""),
        "tranches": str(form.tranches),
        "draw_within_days": str(form.draw_within_days),
        "closing_tolerance": yuan(form.closing_tolerance_fen),
        **_profile_fields(form.profile),
        **{name: str(value) for name, value in form.grace.model_dump().items()},
        **dict(_fee_fields(form)),
        **_penalty_fields(form),
        **dict(order_fields(form)),
        **{name: "on" if getattr(form, name) else "" for name in _TICKS},
    }
    return {name: value for name, value in fields.items() if value != ""}


def fee_rows(fields: Mapping[str, str]) -> dict[int, list[int]]:
    """List the numbers of the rows of fees in a form, each with those of its tiers."""
    fees = sorted(int(found[1]) for name in fields if (found := _FEE.fullmatch(name)))
    rows: dict[int, list[int]] = {n: [] for n in fees}
    for name in fields:
        found = _TIER.fullmatch(name)
        if found and int(found[1]) in rows:
            rows[int(found[1])].append(int(found[2]))
    return {n: sorted(tiers) for n, tiers in rows.items()}


# --- parts ---


def _period(form: Mapping[str, str]) -> str:
    period = f"{text_of(form, 'period_every')}-{form.get('period_unit', '')}"
    return NAMED_PERIODS.get(period, period)


def _every(period: str) -> tuple[str, str]:
    own = {name: own for own, name in NAMED_PERIODS.items()}.get(period, period)
    every, _, unit = own.partition("-")
    return every, unit


def _profile(form: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name in _CHOICES:
        if text_of(form, name):
            yield name, form[name]
    if text_of(form, "first_day_late"):
        yield "first_day_late", whole(form["first_day_late"])
    if text_of(form, "instalment_multiple"):
        yield "instalment_multiple_fen", fen(form, "instalment_multiple")
    for name in _SWITCHES:
        if text_of(form, name):
            yield name, _IS_SO.get(form[name], form[name])


def _profile_fields(profile: ProfileForm) -> dict[str, str]:
    said = {value: word for word, value in _IS_SO.items()} | {None: ""}
    fields = {name: getattr(profile, name) for name in (*_CHOICES, "first_day_late")}
    return {
        **{name: "" if value is None else str(value) for name, value in fields.items()},
        "instalment_multiple": yuan(profile.instalment_multiple_fen or 0),
        **{name: said[getattr(profile, name)] for name in _SWITCHES},
    }


def _fees(form: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for n, numbers in fee_rows(form).items():
        row = f"fee_{n}"
        typed = [text_of(form, f"{row}_{part}") for part in ("name", "payee", "amount", "share")]
        tiers = [
            _tier(form, f"{row}_tier_{k}") for k in numbers if _is_typed(form, f"{row}_tier_{k}")
        ]
        if any(typed) or tiers:
            yield {
                "name": typed[0],
                "payee": typed[1],
                "at": form.get(f"{row}_at", ""),
                "amount_fen": fen(form, f"{row}_amount"),
                "share": share(form, f"{row}_share"),
                "base": form.get(f"{row}_base", "principal"),
                "tiers": tiers,
            }


def _is_typed(form: Mapping[str, str], tier: str) -> bool:
    return any(text_of(form, f"{tier}_{part}") for part in ("from", "amount", "share"))


def _tier(form: Mapping[str, str], tier: str) -> dict[str, Any]:
    return {
        "from_paid": whole(form.get(f"{tier}_from", "") or "0"),
        "amount_fen": fen(form, f"{tier}_amount"),
        "share": share(form, f"{tier}_share"),
    }


def _penalty(form: Mapping[str, str]) -> dict[str, Any] | None:
    if "has_penalty" not in form:
        return None
    return {
        "multiplier": text_of(form, "multiplier"),
        "base": form.get("penalty_base", ""),
        "grace_days": whole(form.get("penalty_grace_days", "")),
        "year_days": whole(form.get("penalty_year_days", "")),
        "stops_after_days": optional(form, "stops_after_days"),
    }


def _fee_fields(form: ProductForm) -> Iterator[tuple[str, str]]:
    for n, fee in enumerate(form.fees):
        yield f"fee_{n}_name", fee.name
        yield f"fee_{n}_payee", fee.payee
        yield f"fee_{n}_at", fee.at
        yield f"fee_{n}_base", fee.base.value
        yield from _price(f"fee_{n}", fee.amount_fen, fee.share)
        for k, tier in enumerate(fee.tiers):
            yield f"fee_{n}_tier_{k}_from", str(tier.from_paid)
            yield from _price(f"fee_{n}_tier_{k}", tier.amount_fen, tier.share)


def _price(row: str, amount_fen: int, part: Decimal) -> Iterator[tuple[str, str]]:
    yield f"{row}_amount", yuan(amount_fen)
    yield f"{row}_share", percent(part)


def _penalty_fields(form: ProductForm) -> dict[str, str]:
    given = form.penalty
    if given is None:
        return {"multiplier": "1.5", "penalty_grace_days": "3", "penalty_year_days": "360"}
    return {
        "has_penalty": "on",
        "multiplier": f"{given.multiplier:f}",
        "penalty_base": given.base.value,
        "penalty_grace_days": str(given.grace_days),
        "penalty_year_days": str(given.year_days),
        "stops_after_days": str(given.stops_after_days or ""),
    }
