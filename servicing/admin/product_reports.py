"""What the trial of a product's version found, in words, for the page of its versions."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext

from desk.ports import DocumentKind, Site
from kernel.money import yuan
from servicing.admin import product_words
from servicing.admin.product_units import percent
from servicing.queries.products import KIND


def plug_in(site: Site) -> None:
    """Say how a product's trial is told."""
    site.documents.add(DocumentKind(key=KIND, told=told))


def told(report: Mapping[str, Any]) -> dict[str, str]:
    """Write down the cap, and the dearest of all that was tried; `—` for what there is not."""
    measure = gettext(product_words.MEASURES[report["cap_measure"]])
    fen, terms = report["worst_amount_fen"], report["worst_terms"]
    return {
        gettext("试算日期"): report["on"],
        gettext("成本上限"): f"{_percent(report['cap_annual'])}（{measure}）",
        gettext("试算的期数与金额组合"): str(report["corners"]),
        gettext("最高成本"): _percent(report["worst_cost"]),
        gettext("成本最高的期数"): "—" if terms is None else str(terms),
        gettext("成本最高的金额"): "—" if fen is None else f"¥{yuan(fen)}",
        gettext("上限降低、不能再放款之日"): report["ends_on"] or "—",
    }


def _percent(share: str | None) -> str:
    return "—" if share is None else f"{percent(Decimal(share)) or 0}%"
