"""What staff pages say in Chinese, and the catalogues that hold its English."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent.parent
CHINESE = re.compile("[\u4e00-\u9fff]")

_MARKED = re.compile(r"""\b_\(["']([^"']+)["']""")


def catalogue(*areas: str) -> dict[str, str]:
    """Read the English of some areas by its Chinese."""
    known: dict[str, str] = {}
    for area in areas:
        with (ROOT / area / "translations/en/LC_MESSAGES/messages.po").open("rb") as file:
            known |= {str(message.id): str(message.string) for message in read_po(file)}
    return known


def marked(folder: Path) -> set[str]:
    """Return the texts of templates that are marked for translation."""
    return {
        words
        for path in folder.rglob("*.html")
        for words in _MARKED.findall(path.read_text(encoding="utf-8"))
    }


def left_unmarked(folder: Path) -> Iterator[Path]:
    """Name the templates that say something in Chinese without marking it."""
    for path in folder.rglob("*.html"):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        rest = _MARKED.sub("", text).replace("简体中文", "")
        if CHINESE.search(rest):
            yield path


def literals(paths: Iterable[Path]) -> set[str]:
    """Return every Chinese text in modules but for what stands in docstrings."""
    found: set[str] = set()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in said
            and CHINESE.search(node.value)
        }
    return found
