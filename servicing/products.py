"""What may be bought by instalments, as versioned data; the engine computes what it costs.

A loan keeps the terms that it was booked on, so a new version changes no loan that runs.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from kernel.errors import Invalid
from servicing.caps import CAP_ANNUAL
from servicing.engine.terms import Method, PenaltyRule, Terms

# 罚息: at most half as much again as the contract rate (PBOC 银发〔2003〕251号, by a reprint).
_MOST_PENALTY: Final = Decimal("1.5")


class OutsideProduct(Invalid):
    """The amount or the number of terms is not offered."""

    code = "outside-product"
    message_zh = "申请金额或期数不在可选范围内"


class ProductRefused(Invalid):
    """No product may be set up like this."""

    code = "product-refused"
    message_zh = "产品设置不符合规定"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An instalment product; amounts in fen, rate a year.

    Attributes:
        penalty_multiplier: Penalty on overdue principal as a multiple of the contract rate, never
            above the cap; None for no penalty at all.
        grace_days: Lateness that has no consequence yet; missed, the days count from the due date.
        settles_early: Whether a borrower may settle at any time for the interest to the day.
    """

    code: str
    version: int
    name_zh: str
    rate_annual: Decimal
    minimum_fen: int
    maximum_fen: int
    terms: tuple[int, ...]
    funder: str
    method: Method = Method.EQUAL_INSTALMENT
    penalty_multiplier: Decimal | None = None
    grace_days: int = 3
    settles_early: bool = True

    def __post_init__(self) -> None:
        multiplier = self.penalty_multiplier
        if multiplier is not None and not 0 < multiplier <= _MOST_PENALTY:
            raise ProductRefused(f"penalty of {multiplier} × the contract rate")

    def check(self, *, amount_fen: int, terms: int) -> None:
        """Refuse what the product does not offer.

        Raises:
            OutsideProduct: Amount or terms are not on offer.
        """
        if not self.minimum_fen <= amount_fen <= self.maximum_fen or terms not in self.terms:
            raise OutsideProduct(f"{self.code} offers neither {amount_fen} fen nor {terms} terms")

    def agree(
        self, *, principal_fen: int, rate_annual: Decimal, terms: int, start_on: date
    ) -> Terms:
        """Return the terms of one loan of this product, as the engine knows them.

        Raises:
            TermsRefused: Principal, rate or number of instalments out of range.
        """
        return Terms(
            principal_fen=principal_fen,
            rate_annual=rate_annual,
            terms=terms,
            method=self.method,
            start_on=start_on,
            penalty=self._penalty(rate_annual),
            grace_days=self.grace_days,
        )

    def _penalty(self, rate_annual: Decimal) -> PenaltyRule | None:
        if self.penalty_multiplier is None or rate_annual == 0:
            return None
        return PenaltyRule(
            rate_annual=rate_annual * self.penalty_multiplier,
            cap_annual=CAP_ANNUAL,
            grace_days=self.grace_days,
        )


# No penalty: whoever is late owes what the plan says, so that reminders stay true for days.
STANDARD: Final = Product(
    code="standard",
    version=1,
    name_zh="商品分期",
    rate_annual=Decimal("0.216"),
    minimum_fen=100_000,
    maximum_fen=1_000_000,
    terms=(6, 9, 12, 18, 24),
    funder="own",
)

_PRODUCTS: Final = {(product.code, product.version): product for product in (STANDARD,)}


def may_settle_early(code: str, version: int) -> bool:
    """Say whether loans of a product may be settled early; one that is unknown may not."""
    product = _PRODUCTS.get((code, version))
    return product is not None and product.settles_early
