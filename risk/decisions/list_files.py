"""Entries of a list as a file brings them: CSV of value, source, reason and expires_on.

People are named by their id number or phone. It stores nothing.

    ListFileOdd  422  a line cannot be put on the list, and so no line is
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import date

from kernel.crypto import FieldCipher
from kernel.errors import Invalid
from risk.decisions.list_values import ListValueOdd, kept_value
from risk.strategy.lists import ListEntry, ListKind


class ListFileOdd(Invalid):
    """A line of the file cannot be put on the list, and so no line is."""

    code = "risk-list-file-odd"
    message_zh = "名单文件有误，未载入任何一行"

    def __init__(self, line: int, why: str) -> None:
        self.message_zh = f"第 {line} 行：{why}"
        super().__init__(self.message_zh, line=line)


def read_entries(
    text: str, *, name: str, kind: ListKind, cipher: FieldCipher, on: date
) -> Iterator[ListEntry]:
    """Read the entries of a list.

    Raises:
        ListFileOdd: See there.
    """
    lines = csv.DictReader(text.splitlines())
    for line in lines:
        given = {field: (value or "").strip() for field, value in line.items() if field}
        try:
            yield _entry(given, name, kind, cipher, on)
        except ListValueOdd as error:
            raise ListFileOdd(lines.line_num, error.message_zh) from error
        except KeyError as error:
            raise ListFileOdd(lines.line_num, f"缺少列 {error.args[0]}") from error
        except ValueError as error:
            raise ListFileOdd(lines.line_num, "到期日须为日期，如 2026-12-01") from error


def _entry(
    given: Mapping[str, str], name: str, kind: ListKind, cipher: FieldCipher, on: date
) -> ListEntry:
    until = given["expires_on"]
    return ListEntry(
        list_name=name,
        value=kept_value(cipher, kind=kind, text=given["value"]),
        source=given["source"],
        reason=given["reason"],
        added_on=on,
        expires_on=date.fromisoformat(until) if until else None,
    )
