"""Products on offer, as they are in force on the day of the request."""

from apiflask import APIBlueprint

from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.scopes import Scope
from servicing.api.shapes import Fen, Rate, Shape
from servicing.products import Product
from servicing.queries.products import ProductNotFound, product_in_force, products_in_force

blueprint = APIBlueprint("api_products", __name__, tag="Products")


class ProductAnswer(Shape):
    """A product: what may be bought, in fen, and on which terms."""

    code: str
    version: int
    name_zh: str
    method: str
    rate_annual: Rate
    minimum_fen: Fen
    maximum_fen: Fen
    terms: tuple[int, ...]
    grace_days: int
    bears_penalty: bool
    settles_early: bool


class ProductsAnswer(Shape):
    """All products on offer."""

    products: tuple[ProductAnswer, ...]


@serve(blueprint, get("/products", Scope.PRODUCTS_READ, ProductsAnswer))
def list_products(call: Call) -> ProductsAnswer:
    """List the products on offer today."""
    sold = products_in_force(call.session, on=call.on)
    return ProductsAnswer(products=tuple(_answer(product) for product in sold))


@serve(
    blueprint,
    get("/products/<string:code>", Scope.PRODUCTS_READ, ProductAnswer, refuses=(ProductNotFound,)),
)
def read_product(call: Call, code: str) -> ProductAnswer:
    """Read one product on offer."""
    return _answer(product_of(call, code))


def product_of(call: Call, code: str) -> Product:
    """Return a product on offer.

    Raises:
        ProductNotFound: There is none of that code.
    """
    product = product_in_force(call.session, code=code, on=call.on)
    if not product.is_offered:
        raise ProductNotFound("no such product is on offer")
    return product


def _answer(product: Product) -> ProductAnswer:
    return ProductAnswer(
        code=product.code,
        version=product.version,
        name_zh=product.name_zh,
        method=product.method.value,
        rate_annual=f"{product.rate_annual:.6f}",
        minimum_fen=product.minimum_fen,
        maximum_fen=product.maximum_fen,
        terms=product.terms,
        grace_days=product.grace_days,
        bears_penalty=product.penalty_multiplier is not None,
        settles_early=product.settles_early,
    )
