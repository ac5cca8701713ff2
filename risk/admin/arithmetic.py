"""Arithmetic as analysts type it, and as a strategy keeps it: 「月负债支出」 ÷ 「月收入」 and back.

Fields stand in 「」 by their label, or by their name. Money is typed with 元 behind it and kept in
fen, shares may be typed in per cent. It checks how a formula is written; what its names and kinds
mean, the checker of strategies says.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from flask_babel import gettext

from risk.admin.names import Names
from risk.admin.values import typed_number

FUNCTIONS: Final[Mapping[str, str]] = {
    "least": "取最小",
    "greatest": "取最大",
    "first_of": "取首个有值",
    "round_down": "向下取整",
    "days_since": "距今天数",
}
_BY_WORD: Final = {word: operator for operator, word in FUNCTIONS.items()}
_SIGNS: Final = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷"}
_BY_SIGN: Final = {sign: operator for operator, sign in _SIGNS.items()}
_SUMS: Final = ("add", "subtract")
_PRODUCTS: Final = ("multiply", "divide")
_GATHERS: Final = frozenset({"add", "multiply"})
_PLAIN: Final = str.maketrans("（）＋－-＊*／/，", "()+−−××÷÷,")
_TOKEN: Final = re.compile(
    r"\s*(?:「(?P<label>[^」]*)」|(?P<number>\d+(?:\.\d+)?)(?P<unit>元|%)?"
    r"|(?P<word>[a-z][a-z0-9_.]*|[\u4e00-\u9fff]+)|(?P<sign>[()+−×÷,]))"
)
_DEEPEST: Final = 20
_FEN_A_YUAN: Final = 100


class FormulaOdd(ValueError):
    """A formula cannot be read; its text says why, for who typed it."""


def text_of(document: Any, names: Names, *, unit: str = "") -> str:
    """Write arithmetic as it would be typed; what is none stays as it is.

    Args:
        document: The expression.
        names: In reach of the draft.
        unit: Of what comes out; what is added or compared shares it.
    """
    if isinstance(document, str):
        return typed_name(document, names)
    if isinstance(document, int | float):
        is_money = unit == "fen"
        number = Decimal(repr(document)) / (_FEN_A_YUAN if is_money else 1)
        return typed_number(number) + ("元" if is_money else "")
    if not isinstance(document, Mapping) or len(document) != 1:
        return str(document)
    ((operator, operands),) = document.items()
    if operator == "days_since":
        return f"{FUNCTIONS[operator]}({typed_name(str(operands), names)})"
    inner = "" if operator in _PRODUCTS else unit
    if operator in FUNCTIONS:
        said = "，".join(text_of(each, names, unit=inner) for each in operands)
        return f"{FUNCTIONS[operator]}({said})"
    parts = [
        _bracketed(operator, n, each, text_of(each, names, unit=inner))
        for n, each in enumerate(operands)
    ]
    return f" {_SIGNS.get(operator, operator)} ".join(parts)


def _bracketed(outer: str, n: int, part: Any, text: str) -> str:
    """Put brackets around a part that would be read otherwise without them."""
    inner = next(iter(part)) if isinstance(part, Mapping) and part else ""
    is_looser = outer in _PRODUCTS and inner in _SUMS
    is_right = n > 0 and inner in (_SUMS if outer in _SUMS else _PRODUCTS)
    return f"({text})" if is_looser or is_right else text


def typed_name(name: str, names: Names) -> str:
    """Write a field as it would be typed: by its label, if nothing else bears it."""
    label = names.field(name).label
    is_clear = label != name and "」" not in label and names.named(label) == (name,)
    return f"「{label}」" if is_clear else name


def read(text: str, names: Names) -> Any:
    """Read a formula.

    Args:
        text: As it was typed.
        names: In reach of the draft.

    Raises:
        FormulaOdd: It is not written as one.
    """
    return _Reader(text, names).whole()


def kept(text: str, names: Names) -> Any:
    """Read a formula; one that cannot be read stays the text, and is marked at its place."""
    try:
        return read(text, names)
    except FormulaOdd:
        return text


def why_odd(text: str, names: Names) -> str:
    """Say what is wrong with how a formula is written; empty if nothing is."""
    try:
        read(text, names)
    except FormulaOdd as odd:
        return str(odd)
    return ""


class _Reader:
    """Reads sums of products from left to right, one sign ahead."""

    def __init__(self, text: str, names: Names) -> None:
        self._text = text.translate(_PLAIN).strip()
        self._names = names
        self._at = 0
        self._deep = 0
        self._ahead = self._next()

    def whole(self) -> Any:
        found = self._sum()
        if self._ahead is not None:
            raise self._odd()
        return found

    def _next(self) -> re.Match[str] | None:
        if self._at >= len(self._text):
            return None
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise self._odd(self._at)
        self._at = match.end()
        return match

    def _take(self) -> re.Match[str]:
        match = self._ahead
        if match is None:
            raise FormulaOdd(gettext("公式没有写完"))
        self._ahead = self._next()
        return match

    def _odd(self, at: int | None = None) -> FormulaOdd:
        if at is None:
            at = len(self._text) if self._ahead is None else self._ahead.start()
        rest = self._text[at : at + 12].strip()
        return FormulaOdd(gettext("公式从“%(rest)s”起读不懂", rest=rest))

    def _is_sign(self, *signs: str) -> bool:
        return self._ahead is not None and self._ahead["sign"] in signs

    def _must(self, sign: str) -> None:
        if not self._is_sign(sign):
            raise FormulaOdd(gettext("公式缺少“%(sign)s”", sign=sign))
        self._take()

    def _sum(self) -> Any:
        return self._chain(_SUMS, self._product)

    def _product(self) -> Any:
        return self._chain(_PRODUCTS, self._part)

    def _chain(self, operators: tuple[str, ...], part: Any) -> Any:
        """Read parts joined by signs of one strength; the same ones in a row become one list."""
        found, is_gathered = part(), False
        while self._is_sign(*(_SIGNS[each] for each in operators)):
            operator = _BY_SIGN[self._take()["sign"]]
            right = part()
            if is_gathered and operator in _GATHERS and next(iter(found)) == operator:
                found[operator].append(right)
            else:
                found = {operator: [found, right]}
            is_gathered = True
        return found

    def _part(self) -> Any:
        if self._is_sign("("):
            self._take()
            return self._inside(self._sum)
        if self._is_sign("−"):
            self._take()
            if self._ahead is None or not self._ahead["number"]:
                raise self._odd()
            return -_number(self._take())
        if self._is_sign(")", ",", "+", "×", "÷"):
            raise self._odd()
        match = self._take()
        if match["number"]:
            return _number(match)
        if match["label"] is not None:
            return self._named(match["label"])
        return self._word(match["word"])

    def _inside(self, part: Any) -> Any:
        """Read what stands in brackets, up to the closing one."""
        self._deep += 1
        if self._deep > _DEEPEST:
            raise FormulaOdd(gettext("公式的括号太多层"))
        found = part()
        self._must(")")
        self._deep -= 1
        return found

    def _word(self, word: str) -> Any:
        operator = _BY_WORD.get(word)
        if operator is None:
            return self._named(word)
        self._must("(")
        operands = self._inside(self._operands)
        if operator == "days_since":
            if len(operands) != 1 or not isinstance(operands[0], str):
                raise FormulaOdd(gettext("“距今天数”的括号里应是一个日期字段"))
            return {operator: operands[0]}
        return {operator: operands}

    def _operands(self) -> list[Any]:
        found = [self._sum()]
        while self._is_sign(","):
            self._take()
            found.append(self._sum())
        return found

    def _named(self, text: str) -> str:
        found = self._names.named(text)
        if len(found) == 1:
            return found[0]
        if found:
            said = "、".join(found)
            raise FormulaOdd(
                gettext("有多个字段叫“%(text)s”，请改用名称：%(names)s", text=text, names=said)
            )
        raise FormulaOdd(gettext("没有叫“%(text)s”的字段，请用“插入字段”选择", text=text))


def _number(match: re.Match[str]) -> int | float:
    number = Decimal(match["number"])
    if match["unit"] == "元":
        number *= _FEN_A_YUAN
    elif match["unit"] == "%":
        number /= 100
    return int(number) if number == number.to_integral_value() else float(number)
