"""The words of reaching people."""

from enum import StrEnum


class AddressKind(StrEnum):
    """What kind of address it is."""

    WECHAT = "wechat"
    PHONE = "phone"


def address_context(kind: AddressKind) -> str:
    """Return the encryption context of an address."""
    return f"contact.{kind}"
