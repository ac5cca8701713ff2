"""The reference that a provider gets with each message and gives back in receipts and queries.

It is signed, so that a forged receipt cannot name a contact. It says nothing about the person.
"""

from typing import Final

from kernel.crypto import FieldCipher

_CONTEXT: Final = "contact.reference"
_SIGNS: Final = 16


def reference_of(cipher: FieldCipher, contact_id: int) -> str:
    """Return the reference of a contact: the same at every attempt, at most 32 signs."""
    mac = cipher.blind_index(str(contact_id), context=_CONTEXT)[:_SIGNS]
    return f"{contact_id}-{mac}"


def contact_of(cipher: FieldCipher, reference: str) -> int | None:
    """Return the contact of a reference, or None if we never gave it out."""
    number, _, _mac = reference.partition("-")
    if not (number.isascii() and number.isdigit()):
        return None
    return int(number) if reference_of(cipher, int(number)) == reference else None
