"""Lists in memory: who stands on them, since when, why, and until when.

It is one way to answer `Lists`; where entries are kept and who may add them is not known here.
Recording the answers of a decision lets it be replayed after the lists have changed.
"""

import ipaddress
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias

from risk.strategy.decision import Lists
from risk.strategy.language import Match

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Two texts are alike if this share of their neighbouring pairs of characters agrees (Dice).
ALIKE: Final = 0.75


class ListKind(StrEnum):
    """What the values of a list are; identities and phones are kept by a keyed index alone."""

    IDENTITY = "identity"
    PHONE = "phone"
    NETWORK = "network"
    TEXT = "text"


KEYED: Final = frozenset({ListKind.IDENTITY, ListKind.PHONE})
MATCHES: Final[Mapping[ListKind, tuple[Match, ...]]] = {
    ListKind.IDENTITY: (Match.EXACT,),
    ListKind.PHONE: (Match.EXACT,),
    ListKind.NETWORK: (Match.CIDR,),
    ListKind.TEXT: (Match.EXACT, Match.FUZZY),
}
"""How rules can ask a list of a kind, the usual way first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTerms:
    """What a list is.

    Attributes:
        title: For staff, Chinese.
        kind: What its values are.
        match: How rules usually ask it.
        needs_second: Whether an entry needs a second person to begin or end.
    """

    title: str
    kind: ListKind
    match: Match
    needs_second: bool = False


OWN_LIST: Final = "own-blocked"
PREVENTION_LIST: Final = "prevention"

STATUTORY_LISTS: Final[Mapping[str, ListTerms]] = {
    OWN_LIST: ListTerms(title="本公司名单", kind=ListKind.IDENTITY, match=Match.EXACT),
    PREVENTION_LIST: ListTerms(
        title="反洗钱特别预防措施名单",
        kind=ListKind.IDENTITY,
        match=Match.EXACT,
        needs_second=True,
    ),
}
"""The lists that the statutory rules ask."""


class Appeal(StrEnum):
    """Whether somebody has contested an entry."""

    NONE = "none"
    OPEN = "open"
    REJECTED = "rejected"
    UPHELD = "upheld"  # the entry was wrong and no longer counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One value on one list.

    Attributes:
        value: A text, or a network such as 10.0.0.0/8 on a list that is matched by `cidr`.
        source: Who put it there.
        expires_on: First day on which it no longer counts, None for no end.
    """

    list_name: str
    value: str
    source: str
    reason: str
    added_on: date
    expires_on: date | None
    appeal: Appeal = Appeal.NONE

    def counts_on(self, on: date) -> bool:
        """Say whether the entry counts on a day."""
        is_over = self.expires_on is not None and self.expires_on <= on
        return self.added_on <= on and not is_over and self.appeal is not Appeal.UPHELD


class ListBook:
    """Lists as they stand on a day.

    Args:
        names: Lists that can be read; any other is unknown, even if it would be empty.
        entries: What stands on them; those that do not count on the day are left out.
    """

    def __init__(self, *, names: Iterable[str], entries: Iterable[ListEntry], on: date) -> None:
        self._texts: dict[str, set[str]] = {name: set() for name in names}
        self._networks: dict[str, list[Network]] = {name: [] for name in self._texts}
        for entry in entries:
            if entry.list_name in self._texts and entry.counts_on(on):
                self._texts[entry.list_name].add(plain(entry.value))
                found = network(entry.value)
                if found is not None:
                    self._networks[entry.list_name].append(found)

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        """Say whether a list holds a value; None if it cannot be read, or the value is no address.

        Texts are compared without regard to width, case, spaces and punctuation.
        """
        texts = self._texts.get(list_name)
        if texts is None:
            return None
        if match == Match.CIDR:
            return self._holds_address(list_name, value)
        wanted = plain(value)
        if match == Match.EXACT:
            return wanted in texts
        return wanted in texts or any(likeness(wanted, text) >= ALIKE for text in texts)

    def _holds_address(self, list_name: str, value: str) -> bool | None:
        try:
            address = ipaddress.ip_address(value.strip())
        except ValueError:
            return None
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(
            found in network for found in {address, mapped} for network in self._networks[list_name]
        )


class RecordingLists:
    """Passes questions on and keeps the answers."""

    def __init__(self, inner: Lists) -> None:
        self._inner = inner
        self.answers: dict[tuple[str, str, str], bool | None] = {}

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        """Say what the lists behind say."""
        found = self._inner.holds(list_name, match, value)
        self.answers[list_name, str(match), value] = found
        return found


class RecordedLists:
    """Answers as was recorded; what was never asked is unknown."""

    def __init__(self, answers: Mapping[tuple[str, str, str], bool | None]) -> None:
        self._answers = answers

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        """Say what was said then."""
        return self._answers.get((list_name, str(match), value))


class AnsweredLists:
    """Lists as they answered then; what was never asked is looked up in those of today."""

    def __init__(self, answers: Mapping[tuple[str, str, str], bool | None], today: Lists) -> None:
        self._answers = answers
        self._today = today

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        """Say whether a list holds a value."""
        question = (list_name, str(match), value)
        if question in self._answers:
            return self._answers[question]
        return self._today.holds(list_name, match, value)


def plain(value: str) -> str:
    """Drop what does not tell two texts apart: width, case, spaces, punctuation."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return folded if folded.isalnum() else "".join(filter(str.isalnum, folded))


def likeness(left: str, right: str) -> float:
    """Return the Dice share of neighbouring pairs of characters, 0 to 1."""
    lefts, rights = _pairs(left), _pairs(right)
    total = len(lefts) + len(rights)
    return 2 * len(lefts & rights) / total if total else 0.0


def _pairs(text: str) -> set[str]:
    return {text[n : n + 2] for n in range(len(text) - 1)}


def network(value: str) -> Network | None:
    """Read a network or a single address; None where it is none."""
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError:
        return None
