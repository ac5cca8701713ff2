"""Id numbers and mobile phones: their one written form, and the keyed index that stands for them.

Customers and lists are compared by the index alone, so both are made here. Nothing is stored.
"""

import re
import unicodedata
from datetime import date
from typing import Final

from kernel.crypto import FieldCipher

_ID_NUMBER: Final = re.compile(r"[0-9]{17}[0-9X]")
_PHONE: Final = re.compile(r"1[3-9][0-9]{9}")
_BORN: Final = slice(6, 14)
_DROPPED: Final = re.compile(r"[\s-]")

# GB 11643-1999, annex A (ISO 7064, MOD 11-2).
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_SIGNS: Final = "10X98765432"


def right_id_number(text: str) -> str | None:
    """Return an id number as it is kept: 18 signs, a capital X; None where it cannot be one.

    Spaces, hyphens and full-width signs are forgiven; a wrong check sign or birthday is not.
    """
    number = _written(text).upper()
    if not _ID_NUMBER.fullmatch(number):
        return None
    if number[-1] != check_sign(number[:-1]):
        return None
    try:
        date.fromisoformat(number[_BORN])
    except ValueError:
        return None
    return number


def check_sign(body: str) -> str:
    """Return the last sign of an id number, a digit or X, by the 17 digits before it."""
    total = sum(int(sign) * weight for sign, weight in zip(body, _WEIGHTS, strict=True))
    return _CHECK_SIGNS[total % len(_CHECK_SIGNS)]


def right_phone(text: str) -> str | None:
    """Return a mobile phone of mainland China as 11 digits; None where it cannot be one."""
    number = _written(text).removeprefix("+86")
    return number if _PHONE.fullmatch(number) else None


def id_number_index(cipher: FieldCipher, id_number: str) -> str:
    """Return what stands for an id number, 40 signs: a letter X may be small."""
    return cipher.blind_index(id_number.upper(), context="customer.id_number")


def phone_index(cipher: FieldCipher, phone: str) -> str:
    """Return what stands for a phone, 40 signs."""
    return cipher.blind_index(phone, context="customer.phone")


def _written(text: str) -> str:
    return _DROPPED.sub("", unicodedata.normalize("NFKC", text))
