"""What may be bought by instalments, as data: one product for now, and the cap on what it costs.

The money engine computes; nothing here does.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from kernel.errors import Invalid
from servicing.engine.cost import CapRow
from servicing.engine.terms import Terms

LENDER_TYPE: Final = "micro-loan"
# The measure is the nominal annual IRR of the real cash flows; dated rows follow when it changes.
CAPS: Final = (
    CapRow(lender_type=LENDER_TYPE, rate_annual=Decimal("0.24"), from_on=date(2020, 1, 1)),
)


class OutsideProduct(Invalid):
    """The amount or the number of terms is not offered."""

    code = "outside-product"
    message_zh = "申请金额或期数不在可选范围内"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An instalment product; amounts in fen, rate a year."""

    code: str
    name_zh: str
    rate_annual: Decimal
    minimum_fen: int
    maximum_fen: int
    terms: tuple[int, ...]
    funder: str

    def check(self, *, amount_fen: int, terms: int) -> None:
        """Refuse what the product does not offer.

        Raises:
            OutsideProduct: Amount or terms are not on offer.
        """
        if not self.minimum_fen <= amount_fen <= self.maximum_fen or terms not in self.terms:
            raise OutsideProduct(f"{self.code} offers neither {amount_fen} fen nor {terms} terms")


def agreed_terms(
    *, principal_fen: int, rate_annual: Decimal, terms: int, disbursed_on: date
) -> Terms:
    """Return the terms that the product sells: equal monthly instalments, nothing else charged.

    Raises:
        TermsRefused: Principal, rate or terms out of range.
    """
    return Terms(
        principal_fen=principal_fen,
        start_on=disbursed_on,
        rate_annual=rate_annual,
        terms=terms,
    )


STANDARD: Final = Product(
    code="standard",
    name_zh="商品分期",
    rate_annual=Decimal("0.216"),
    minimum_fen=100_000,
    maximum_fen=1_000_000,
    terms=(6, 9, 12, 18, 24),
    funder="own",
)
