"""The orders of allocation in a product's form: one for each state of the debt.

A list is one field, its items in order between commas; a rule is `timing:component`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servicing.engine.waterfall import HOUSE_ORDER, DebtState, every_timing
from servicing.product_form import PAYMENT_KINDS, AllocationForm, ProductForm

_DEFAULT: Final = "default"
_ORDER: Final = "order"
_RULES: Final = "rules"


def orders_from(form: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Write down the orders that were set, by state."""
    return {
        state.value: _typed(form, state)
        for state in DebtState
        if form.get(f"order_mode_{state}", _DEFAULT) != _DEFAULT
    }


def order_fields(form: ProductForm) -> Iterator[tuple[str, str]]:
    """Fill the fields of every state; where none is set, with what holds then."""
    for state in DebtState:
        given = form.allocation.get(state)
        yield f"order_mode_{state}", _mode(given)
        given = given or AllocationForm(order=HOUSE_ORDER)
        order = given.order or HOUSE_ORDER
        rules = given.rules or every_timing(*order)
        yield f"order_{state}", ",".join(order)
        yield f"rules_{state}", ",".join(f"{timing}:{part}" for timing, part in rules)
        yield f"direction_{state}", given.direction.value
        yield f"future_{state}", given.future.value
        yield f"due_first_{state}", "on" if given.due_charges_first else ""
        for kind in PAYMENT_KINDS:
            yield f"future_{state}_{kind}", given.future_by_kind.get(kind, "")


def _mode(given: AllocationForm | None) -> str:
    if given is None:
        return _DEFAULT
    return _RULES if given.rules else _ORDER


def _typed(form: Mapping[str, str], state: DebtState) -> dict[str, Any]:
    has_rules = form[f"order_mode_{state}"] == _RULES
    items = form.get(f"rules_{state}" if has_rules else f"order_{state}", "").split(",")
    listed: dict[str, Any] = (
        {"rules": [item.split(":") for item in items]} if has_rules else {"order": items}
    )
    return listed | {
        "direction": form.get(f"direction_{state}", "horizontal"),
        "future": form.get(f"future_{state}", "next"),
        "future_by_kind": {
            kind.value: chosen
            for kind in PAYMENT_KINDS
            if (chosen := form.get(f"future_{state}_{kind}", ""))
        },
        "due_charges_first": f"due_first_{state}" in form,
    }
