"""Between the form that a product manager fills in and a product document.

The form speaks percent and yuan, the document shares and fen. What cannot be read goes through as
it was typed, so that reading the document says what is wrong with it, and where.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from servicing.engine.waterfall import DebtState
from servicing.product_form import MOST_FEES, ProductForm
from servicing.products import read_form

FEE_ROWS: Final = 4
ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cost-first": ("penalty", "fee", "interest", "principal"),
    "interest-first": ("interest", "penalty", "fee", "principal"),
    "principal-first": ("principal", "interest", "fee", "penalty"),
}
_PARTS: Final = ("tranches", "draw_within_days")
_KEPT: Final = "kept"
_DEFAULT: Final = "default"


def document_from(form: Mapping[str, str], before: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document out of what was typed.

    Args:
        form: The fields.
        before: The document that the form was filled from; what the form does not show is kept.
    """
    return {
        "code": _text(form, "code"),
        "name": _text(form, "name"),
        "funder": _text(form, "funder"),
        "method": form.get("method", ""),
        "amount": {"least_fen": _fen(form, "least"), "most_fen": _fen(form, "most")},
        "terms": [_whole(part) for part in _text(form, "terms").replace("，", ",").split(",")],
        "period": form.get("period", ""),
        "rate_annual": _share(form, "rate_annual"),
        **({"rate_least": _share(form, "rate_least")} if _text(form, "rate_least") else {}),
        "fee_rate": _share(form, "fee_rate"),
        "instalment_fen": _fen(form, "instalment"),
        "first_period_days": _optional(form, "first_period_days"),
        "subsidy_rate_annual": _share(form, "subsidy_rate_annual"),
        "down_payment": _share(form, "down_payment"),
        **{name: _whole(form[name]) for name in _PARTS if form.get(name, "").strip()},
        "profile": {
            **before.get("profile", {}),
            "rounding": form.get("rounding", ""),
            "day_count": form.get("day_count", ""),
            "interest_by": form.get("interest_by", ""),
            "month_end": form.get("month_end", ""),
        },
        "grace": {
            name: _whole(form.get(name, ""))
            for name in ("principal_terms", "interest_terms", "interest_free_terms", "late_days")
        },
        "fees": list(_fees(form)),
        "penalty": _penalty(form),
        "allocation": dict(_allocation(form, before)),
        "settles_early": "settles_early" in form,
        "is_offered": "is_offered" in form,
    }


def fields_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Fill the form from a document that can be read."""
    form = read_form(document)
    fields = {
        "code": form.code,
        "name": form.name,
        "funder": form.funder,
        "method": form.method.value,
        "least": _yuan(form.amount.least_fen),
        "most": _yuan(form.amount.most_fen),
        "terms": ", ".join(map(str, form.terms)),
        "period": form.period,
        "rate_annual": _percent(form.rate_annual),
        "rate_least": "" if form.rate_least is None else _percent(form.rate_least),
        "fee_rate": _percent(form.fee_rate),
        "instalment": _yuan(form.instalment_fen),
        "first_period_days": str(form.first_period_days or ""),
        "subsidy_rate_annual": _percent(form.subsidy_rate_annual),
        "down_payment": _percent(form.down_payment),
        **{name: str(getattr(form, name)) for name in _PARTS},
        "rounding": form.profile.rounding.value,
        "day_count": form.profile.day_count,
        "interest_by": form.profile.interest_by.value,
        "month_end": form.profile.month_end.value,
        **{name: str(value) for name, value in form.grace.model_dump().items()},
        **dict(_fee_fields(form)),
        **_penalty_fields(form),
        **{f"order_{state}": _order(form, state) for state in DebtState},
    }
    fields |= {name: "on" for name in ("settles_early", "is_offered") if getattr(form, name)}
    return {name: value for name, value in fields.items() if value != ""}


# --- parts ---


def _fees(form: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for n in range(MOST_FEES):
        name, payee = _text(form, f"fee_{n}_name"), _text(form, f"fee_{n}_payee")
        amount, share = _text(form, f"fee_{n}_amount"), _text(form, f"fee_{n}_share")
        if not (name or payee or amount or share):
            continue
        fee: dict[str, Any] = {"name": name, "payee": payee, "at": form.get(f"fee_{n}_at", "")}
        tiers = list(_tiers(_text(form, f"fee_{n}_tiers")))
        if tiers:
            yield fee | {"tiers": tiers}
            continue
        yield fee | {
            "amount_fen": _fen(form, f"fee_{n}_amount"),
            "share": _share(form, f"fee_{n}_share"),
            "base": form.get(f"fee_{n}_base", "principal"),
        }


def _tiers(text: str) -> Iterator[dict[str, Any]]:
    """Read `0:3%, 6:1%, 12:20`: from how many paid instalments on, which share or yuan."""
    for part in filter(None, text.replace("，", ",").replace("：", ":").split(",")):
        since, _, value = part.partition(":")
        value = value.strip()
        tier: dict[str, Any] = {"from_paid": _whole(since.strip())}
        if value.endswith("%"):
            yield tier | {"share": _share({"of": value[:-1]}, "of")}
        else:
            yield tier | {"amount_fen": _fen({"of": value}, "of")}


def _penalty(form: Mapping[str, str]) -> dict[str, Any] | None:
    if "has_penalty" not in form:
        return None
    return {
        "multiplier": _text(form, "multiplier"),
        "base": form.get("penalty_base", ""),
        "grace_days": _whole(form.get("penalty_grace_days", "")),
        "stops_after_days": _optional(form, "stops_after_days"),
    }


def _allocation(
    form: Mapping[str, str], before: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    kept = before.get("allocation", {})
    for state in DebtState:
        chosen = form.get(f"order_{state}", _DEFAULT)
        if chosen in ORDERS:
            yield state.value, {"order": list(ORDERS[chosen])}
        elif chosen == _KEPT and state in kept:
            yield state.value, kept[state]


def _order(form: ProductForm, state: DebtState) -> str:
    given = form.allocation.get(state)
    if given is None:
        return _DEFAULT
    plain = given.model_dump(mode="json", exclude_defaults=True)
    known = (name for name, order in ORDERS.items() if plain == {"order": list(order)})
    return next(known, _KEPT)


def _fee_fields(form: ProductForm) -> Iterator[tuple[str, str]]:
    for n, fee in enumerate(form.fees):
        tiers = (f"{tier.from_paid}:{_tier(tier.amount_fen, tier.share)}" for tier in fee.tiers)
        yield f"fee_{n}_name", fee.name
        yield f"fee_{n}_payee", fee.payee
        yield f"fee_{n}_at", fee.at
        yield f"fee_{n}_amount", _yuan(fee.amount_fen)
        yield f"fee_{n}_share", _percent(fee.share)
        yield f"fee_{n}_base", fee.base.value
        yield f"fee_{n}_tiers", ", ".join(tiers)


def _tier(amount_fen: int, share: Decimal) -> str:
    return _yuan(amount_fen) if amount_fen else f"{_percent(share) or 0}%"


def _penalty_fields(form: ProductForm) -> dict[str, str]:
    given = form.penalty
    if given is None:
        return {"multiplier": "1.5", "penalty_grace_days": "3"}
    return {
        "has_penalty": "on",
        "multiplier": f"{given.multiplier:f}",
        "penalty_base": given.base.value,
        "penalty_grace_days": str(given.grace_days),
        "stops_after_days": str(given.stops_after_days or ""),
    }


# --- single values ---


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip()


def _whole(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else text


def _optional(form: Mapping[str, str], name: str) -> int | str | None:
    return _whole(form.get(name, "")) if _text(form, name) else None


def _fen(form: Mapping[str, str], name: str) -> int | str:
    text = _text(form, name).replace(",", "")
    number = _number(text or "0")
    fen = None if number is None else number * 100
    return int(fen) if fen is not None and fen == fen.to_integral_value() else text


def _share(form: Mapping[str, str], name: str) -> str:
    text = _text(form, name)
    number = _number(text or "0")
    return text if number is None else f"{(number / 100).normalize():f}"


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _yuan(fen: int) -> str:
    return f"{(Decimal(fen) / 100).normalize():f}" if fen else ""


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}" if share else ""
