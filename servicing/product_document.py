"""A product as text: written whole for somebody else to read, and read again line by line.

Each mistake is told with its line. What the items mean is `product_form`'s matter.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from kernel.json_once import KeyTwice, told_once
from servicing.product_form import Problem
from servicing.products import ProductRefused, read_form, read_product

# Longer than any product: what is pasted by mistake is refused before it is read.
MOST_CHARACTERS: Final = 100_000

_TEXT: Final = r'"(?:[^"\\]|\\.)*"'
_SYMBOL: Final = re.compile(
    rf"(?P<key>{_TEXT})\s*:|(?P<open>[\[{{])|(?P<close>[\]}}])|(?P<comma>,)"
    rf"|(?P<value>{_TEXT}|[^\s{{}}\[\],:\"]+)"
)
_SAID: Final[Mapping[str, str]] = {
    "Expecting ',' delimiter": "缺少逗号，或多了引号、括号",
    "Expecting ':' delimiter": "名称后缺少冒号",
    "Expecting property name enclosed in double quotes": (
        "此处须为双引号括起的名称，最后一项后不加逗号"
    ),
    "Illegal trailing comma before end of object": "最后一项后不加逗号",
    "Illegal trailing comma before end of array": "最后一项后不加逗号",
    "Expecting value": "此处缺少值",
    "Unterminated string starting at": "文字缺少右引号",
    "Invalid control character at": "文字里不能换行",
    "Extra data": "文档结束后还有多余内容",
}


def write_document(document: Mapping[str, Any]) -> str:
    """Write a product down whole, with what it leaves to the house written out.

    Raises:
        ProductRefused: The document cannot be read.
    """
    whole = read_form(document).model_dump(mode="json", exclude_none=True)
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def read_document(text: str) -> dict[str, Any]:
    """Read a product document that somebody wrote.

    Raises:
        ProductRefused: `problems` hold every mistake with its line and place.
    """
    document = _parsed(text)
    try:
        read_product(document, version=0)
    except ProductRefused as refused:
        raise _refusal(located(refused.problems, text)) from refused
    return document


def located(problems: tuple[Problem, ...], text: str) -> tuple[Problem, ...]:
    """Say at which line of a text each mistake stands; one that is missing, where its parent is."""
    lines = dict(_lines(text))
    return tuple(replace(problem, line=_line_of(problem.path, lines)) for problem in problems)


def _refusal(problems: tuple[Problem, ...]) -> ProductRefused:
    return ProductRefused(f"line {problems[0].line}: {len(problems)} mistakes", problems)


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise _refusal((Problem(path="form", message="文档太长，不像是一个产品", line=1),))
    try:
        document = json.loads(text, object_pairs_hook=told_once)
    except json.JSONDecodeError as error:
        said = _SAID.get(error.msg, "JSON 写法有误")
        problem = Problem(
            path="form", message=f"第 {error.colno} 个字符：{said}", line=error.lineno
        )
        raise _refusal((problem,)) from error
    except KeyTwice as error:
        raise _refusal((_twice(text, error.key),)) from error
    except (RecursionError, ValueError) as error:
        problem = Problem(path="form", message="层次太深或数字太长，不像是一个产品", line=1)
        raise _refusal((problem,)) from error
    if not isinstance(document, dict):
        raise _refusal((Problem(path="form", message="须为一组项目（花括号）", line=1),))
    return document


def _twice(text: str, key: str) -> Problem:
    """Find the first item that stands twice in its group."""
    seen: set[str] = set()
    for path, line in _lines(text):
        if path in seen:
            return Problem(path=path, message=f"“{key}”写了两次", line=line)
        seen.add(path)
    return Problem(path="form", message=f"“{key}”写了两次", line=1)


def _line_of(path: str, lines: Mapping[str, int]) -> int:
    """Return the line of the longest beginning of a path that is written."""
    parts = path.split(".")
    beginnings = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((lines[begin] for begin in beginnings if begin in lines), 1)


@dataclass(slots=True)
class _Group:
    """A list or a group of items that is being read.

    Attributes:
        path: Its own.
        at: Which of its items is read: a number in a list, else a name.
    """

    path: str
    at: int | str

    @property
    def item(self) -> str:
        """The path of the item that is read."""
        return f"{self.path}.{self.at}" if self.path else str(self.at)


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Tell of every item of a valid JSON text its path and the line on which it begins."""
    groups: list[_Group] = []
    line, told_to = 1, 0
    for found in _SYMBOL.finditer(text):
        line += text.count("\n", told_to, found.start())
        told_to = found.start()
        group = groups[-1] if groups else _Group("", "")
        is_list = isinstance(group.at, int)
        if found["key"]:
            group.at = json.loads(found["key"])
            yield group.item, line
        elif found["comma"] and isinstance(group.at, int):
            group.at += 1
        elif found["close"]:
            groups.pop()
        elif (found["open"] or found["value"]) and is_list:
            yield group.item, line
        if found["open"]:
            groups.append(_Group(group.item if groups else "", 0 if found["open"] == "[" else ""))
