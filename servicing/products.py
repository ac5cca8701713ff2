"""What may be bought by instalments, as data: one product for now.

Versioned products come with the money engine; nothing here computes a plan.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from kernel.errors import Invalid


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


STANDARD: Final = Product(
    code="standard",
    name_zh="商品分期",
    rate_annual=Decimal("0.216"),
    minimum_fen=100_000,
    maximum_fen=1_000_000,
    terms=(6, 9, 12, 18, 24),
    funder="own",
)
