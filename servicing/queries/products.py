"""Products as they are published: in force on a day, of a version, and all there are.

Their documents, with draft, test, approval and roll-back, are the workplace's (desk); a product
that nobody has published yet is sold as the house's own file has it, which becomes its version 1.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from sqlalchemy.orm import Session

from desk.queries import (
    DocumentNotFound,
    DocumentView,
    document_in_force,
    document_version,
    document_versions,
    documents,
)
from kernel.errors import NotFound
from servicing.products import FIRST_VERSION, HOUSE_PRODUCTS, STANDARD, Product, read_product

KIND: Final = "product"
STANDARD_CODE: Final = STANDARD.code


class ProductNotFound(NotFound):
    """There is no such product, or none in force on that day."""

    code = "product-not-found"
    message_zh = "没有找到该产品"


def product_in_force(session: Session, *, code: str, on: date) -> Product:
    """Return the version of a product that a business date falls to.

    Raises:
        ProductNotFound: There is none.
    """
    found = document_in_force(session, kind=KIND, key=code, on=on)
    if found is not None:
        return read_product(found.body, version=found.version)
    return _of_house(session, code)


def product_version(session: Session, *, code: str, version: int) -> Product:
    """Return one version of a product, whatever has become of it since.

    Raises:
        ProductNotFound: There is none.
    """
    try:
        found = document_version(session, kind=KIND, key=code, version=version)
    except DocumentNotFound as error:
        if version != FIRST_VERSION:
            raise ProductNotFound(f"no version {version} of product {code}") from error
        return _of_house(session, code)
    return read_product(found.body, version=found.version)


def products_in_force(session: Session, *, on: date) -> tuple[Product, ...]:
    """List the products that are sold on a business date, by code."""
    return tuple(product for product in _in_force(session, on) if product.is_offered)


def product_documents(session: Session, *, code: str) -> tuple[DocumentView, ...]:
    """List all versions of a product, newest first.

    Raises:
        ProductNotFound: Nothing of it was ever written down.
    """
    try:
        return document_versions(session, kind=KIND, key=code)
    except DocumentNotFound as error:
        raise ProductNotFound(f"no product {code}") from error


def product_codes(session: Session, *, on: date) -> tuple[str, ...]:
    """List the codes of all products that were ever written down."""
    return tuple(line.key for line in documents(session, on=on) if line.kind == KIND)


def _in_force(session: Session, on: date) -> Iterator[Product]:
    for code in sorted({*product_codes(session, on=on), *HOUSE_PRODUCTS}):
        try:
            yield product_in_force(session, code=code, on=on)
        except ProductNotFound:
            continue


def _of_house(session: Session, code: str) -> Product:
    """Return a product of the house's file, unless somebody has taken it over into documents."""
    product = HOUSE_PRODUCTS.get(code)
    if product is None or _is_published(session, code):
        raise ProductNotFound(f"no product {code} is in force")
    return product


def _is_published(session: Session, code: str) -> bool:
    try:
        versions = document_versions(session, kind=KIND, key=code)
    except DocumentNotFound:
        return False
    return any(version.effective_on is not None for version in versions)
