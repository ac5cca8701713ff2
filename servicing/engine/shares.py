"""What of a loan's fees is collected for whom, by payee, fen; the lender's own part is not in it.

Shares keep the order in which they came: where there is too little, the first are served first.
"""

from collections.abc import Iterable
from typing import Final

Shares = tuple[tuple[str, int], ...]
NO_SHARES: Final[Shares] = ()


def total_fen(shares: Shares) -> int:
    """Add up what all of them get."""
    return sum(fen for _, fen in shares)


def merged(several: Iterable[Shares]) -> Shares:
    """Add shares up, payee by payee; nothing is left of a payee who gets nothing."""
    found: dict[str, int] = {}
    for shares in several:
        for payee, fen in shares:
            found[payee] = found.get(payee, 0) + fen
    return tuple((payee, fen) for payee, fen in found.items() if fen)


def without(shares: Shares, gone: Shares) -> Shares:
    """Take shares away."""
    return merged((shares, tuple((payee, -fen) for payee, fen in gone)))


def within(shares: Shares, known: Shares) -> Shares:
    """Give nobody more than they are known to get."""
    most = dict(known)
    lesser = ((payee, min(fen, most.get(payee, 0))) for payee, fen in shares)
    return tuple((payee, fen) for payee, fen in lesser if fen > 0)


def up_to(shares: Shares, most_fen: int) -> Shares:
    """Serve the first first, out of an amount."""
    found, left = [], most_fen
    for payee, fen in shares:
        part = max(0, min(fen, left))
        left -= part
        if part:
            found.append((payee, part))
    return tuple(found)


def in_proportion(shares: Shares, fen: int) -> Shares:
    """Split an amount, at most all of the shares, by how much each gets; no fen is lost."""
    whole, reached, given, parts = total_fen(shares), 0, 0, list[tuple[str, int]]()
    for payee, share in shares:
        reached += share
        part = fen * reached // whole - given
        given += part
        parts.append((payee, part))
    return tuple((payee, part) for payee, part in parts if part)
