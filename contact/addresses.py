"""How addresses are kept: encrypted, found by a keyed index, shown by a hint.

It is pure but for the cipher; rows are written by operations.
"""

from typing import Final

from contact.model import AddressKind
from kernel.crypto import FieldCipher

_SHOWN_DIGITS: Final = 4


def context_of(kind: AddressKind) -> str:
    """Return what the encryption and the index of an address are bound to."""
    return f"contact.{kind}"


def index_of(cipher: FieldCipher, kind: AddressKind, address: str) -> str:
    """Return the keyed index of an address."""
    return cipher.blind_index(address, context=context_of(kind))


def hint_of(kind: AddressKind, address: str) -> str:
    """Return what staff see of an address without a reason."""
    return "微信" if kind is AddressKind.WECHAT else f"尾号{address[-_SHOWN_DIGITS:]}"
