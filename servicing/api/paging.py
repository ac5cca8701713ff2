"""Pages by cursor: where the last page ended, in a text that callers hand back as it is.

A list does not skip or repeat a row because something was added meanwhile.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, TypeVar

from kernel.errors import Invalid

_PLACE: Final = re.compile(r"[0-9]{1,16}(:[0-9]{1,16}){0,2}")

Row = TypeVar("Row")


class CursorUnknown(Invalid):
    """The cursor is none that we gave."""

    code = "cursor-unknown"
    message_zh = "分页游标无效"


def cursor_of(*place: int) -> str:
    """Write down a place in a list."""
    return base64.urlsafe_b64encode(":".join(map(str, place)).encode()).decode().rstrip("=")


def place_of(cursor: str | None, *, parts: int = 1) -> tuple[int, ...]:
    """Read a place again; before the first row if there is no cursor.

    Raises:
        CursorUnknown: We gave no such cursor.
    """
    if cursor is None:
        return (0,) * parts
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise CursorUnknown("the cursor is not one of ours") from error
    if not _PLACE.fullmatch(text) or text.count(":") != parts - 1:
        raise CursorUnknown("the cursor is not one of ours")
    return tuple(map(int, text.split(":")))


def cut(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], Row | None]:
    """Part a page from the one row more that was asked for.

    Returns:
        The page, and its last row if there is another page.
    """
    page = rows[:limit]
    return page, page[-1] if len(rows) > limit else None
