"""Values as lists keep them: people by the index that applications carry, never in clear.

A mistyped id number would hit nobody and nobody would notice, so it is refused. Nothing is stored.

    ListValueOdd  422  the value is none of the kind that the list holds
"""

from collections.abc import Callable, Mapping
from typing import Final

from kernel.crypto import FieldCipher
from kernel.errors import Invalid
from kernel.identity import id_number_index, phone_index, right_id_number, right_phone
from risk.strategy.lists import ListKind, network

_ODD: Final[Mapping[ListKind, str]] = {
    ListKind.IDENTITY: "名单值：证件号须为18位且校验位正确",
    ListKind.PHONE: "名单值：手机号须为11位大陆手机号",
    ListKind.NETWORK: "名单值：须为网段或IP地址，如 10.0.0.0/8",
    ListKind.TEXT: "名单值：请填写名单值",
}

_Kept = Callable[[FieldCipher, str], str | None]


class ListValueOdd(Invalid):
    """The value is none of the kind that the list holds."""

    code = "risk-list-value-odd"
    message_zh = "名单值与名单的类型不符"

    def __init__(self, kind: ListKind) -> None:
        super().__init__(f"value: no {kind}", field="value")
        self.message_zh = _ODD[kind]


def kept_value(cipher: FieldCipher, *, kind: ListKind, text: str) -> str:
    """Return a value as a list of a kind keeps it.

    Raises:
        ListValueOdd: See there.
    """
    kept = _KEPT[kind](cipher, text)
    if not kept:
        raise ListValueOdd(kind)
    return kept


def _identity(cipher: FieldCipher, text: str) -> str | None:
    number = right_id_number(text)
    return number and id_number_index(cipher, number)


def _phone(cipher: FieldCipher, text: str) -> str | None:
    number = right_phone(text)
    return number and phone_index(cipher, number)


def _network(_: FieldCipher, text: str) -> str | None:
    return text.strip() if network(text) else None


def _text(_: FieldCipher, text: str) -> str:
    return text.strip()


_KEPT: Final[Mapping[ListKind, _Kept]] = {
    ListKind.IDENTITY: _identity,
    ListKind.PHONE: _phone,
    ListKind.NETWORK: _network,
    ListKind.TEXT: _text,
}
