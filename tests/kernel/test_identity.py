"""Id numbers and phones in their one form, with a right check sign."""

import pytest

from kernel.crypto import FieldCipher
from kernel.identity import id_number_index, right_id_number, right_phone


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("99000019900101005X", "99000019900101005X"),
        ("９９００００ 19900101 005ｘ", "99000019900101005X"),
        ("990000-19900101-0068", "990000199001010068"),
        ("990000199001010067", None),
        ("99000019901301001X", None),
        ("99000019900101006", None),
        ("990000199001010068 x", None),
        ("", None),
    ],
)
def test_id_numbers(text: str, number: str | None) -> None:
    assert right_id_number(text) == number


def test_a_birthday_that_is_none_is_refused_though_the_check_sign_fits() -> None:
    fitting = [f"99000019901301001{sign}" for sign in "0123456789X"]
    assert [right_id_number(each) for each in fitting] == [None] * 11


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("138 0013 8000", "13800138000"),
        ("+86-13800138000", "13800138000"),
        ("12800138000", None),
        ("1380013800", None),
    ],
)
def test_phones(text: str, number: str | None) -> None:
    assert right_phone(text) == number


def test_an_index_does_not_tell_a_small_x(cipher: FieldCipher) -> None:
    small, capital = "99000019900101005x", "99000019900101005X"
    assert id_number_index(cipher, small) == id_number_index(cipher, capital)
