"""Compares a day's trade bill with what our book knows, line by line. Pure: it asks nobody.

What is found says which way the suspense account moves, so that the clearing account is what the
platform says it is: the bill is right about money, our book about whose it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from servicing.payments.bills import BillLine, LineKind, expected_fee
from servicing.payments.model import DifferenceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whose money it is, where that is known."""

    customer_id: int | None = None
    loan_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A payment that our book holds.

    Attributes:
        at: The platform's success time.
        is_late: We learnt of it only after the bill was here.
    """

    transaction_id: str
    out_trade_no: str
    amount_fen: int
    at: datetime
    whose: Whose
    is_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """A refund of ours; `settled_at` is None until the money is back."""

    out_refund_no: str
    transaction_id: str
    out_trade_no: str
    amount_fen: int
    settled_at: datetime | None
    whose: Whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What our book knows that may stand on a day's bill.

    Attributes:
        on: The bill's day.
        payments: Those on the bill and those of the day, by the platform's number.
        refunds: Likewise, by our number.
        orders: Whose an order is, by our number, paid or not.
        listed: Numbers that an earlier bill listed already.
    """

    on: date
    payments: Mapping[str, Taken]
    refunds: Mapping[str, GivenBack]
    orders: Mapping[str, Whose]
    listed: AbstractSet[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference; money in fen.

    Attributes:
        suspense_fen: What it puts on the suspense account; 0 where the money is where it should be.
        of: Tells apart what the same number is found with more than once, else empty.
    """

    kind: DifferenceKind
    at: datetime
    transaction_id: str
    out_trade_no: str
    out_refund_no: str = ""
    there_fen: int | None
    here_fen: int | None
    suspense_fen: int
    whose: Whose
    of: str = ""

    @property
    def key(self) -> str:
        """The same difference has the same key, however often it is found."""
        return f"{self.kind}/{self.out_refund_no or self.transaction_id}{self.of}"


def compare(lines: Sequence[BillLine], here: Here, *, fee_rate: Decimal) -> Iterator[Finding]:
    """List what a bill and our book do not agree on.

    Args:
        lines: All of a day's trade bill.
        here: What our book knows of it.
        fee_rate: The share of a payment that the platform keeps by contract.
    """
    first = listed_first(lines, here.listed)
    for n, line in enumerate(lines, 1):
        if n not in first:
            yield _again(line, here, f"/{here.on}/{n}")
    for line in first.values():
        found = _payment(line, here) if line.kind is LineKind.PAYMENT else _refund(line, here)
        if found is not None:
            yield found
        fee = _fee(line, here, fee_rate)
        if fee is not None:
            yield fee
    yield from _missing(lines, here)


def listed_first(lines: Sequence[BillLine], listed: AbstractSet[str]) -> dict[int, BillLine]:
    """Return a bill's rows by their place, without those that were billed already."""
    seen, found = set(listed), dict[int, BillLine]()
    for n, line in enumerate(lines, 1):
        if line.number not in seen:
            found[n] = line
        seen.add(line.number)
    return found


def agreed_fee(lines: Iterable[BillLine], *, rate: Decimal) -> int:
    """Return the fees of a day by contract, fen; those given back with refunds taken off."""
    return sum(_by_contract(line, rate) for line in lines)


def _payment(line: BillLine, here: Here) -> Finding | None:
    taken = here.payments.get(line.transaction_id)
    if taken is None:
        whose = here.orders.get(line.out_trade_no, Whose())
        return _finding(line, DifferenceKind.UNKNOWN_HERE, None, line.amount_fen, whose)
    if taken.amount_fen != line.amount_fen:
        more = line.amount_fen - taken.amount_fen
        kind = DifferenceKind.AMOUNT_DIFFERS
        return _finding(line, kind, taken.amount_fen, more, taken.whose)
    if taken.is_late:
        return _finding(line, DifferenceKind.LOST_NOTICE, taken.amount_fen, 0, taken.whose)
    return None


def _refund(line: BillLine, here: Here) -> Finding | None:
    given = here.refunds.get(line.out_refund_no)
    if given is None:
        taken = here.payments.get(line.transaction_id)
        whose = taken.whose if taken else here.orders.get(line.out_trade_no, Whose())
        return _finding(line, DifferenceKind.REFUNDED_THERE, None, -line.amount_fen, whose)
    if given.amount_fen != line.amount_fen:
        less = given.amount_fen - line.amount_fen
        kind = DifferenceKind.AMOUNT_DIFFERS
        return _finding(line, kind, given.amount_fen, less, given.whose)
    return None


def _again(line: BillLine, here: Here, of: str) -> Finding:
    """A row that was billed already: the bill counts its money twice, our book does not."""
    taken = here.payments.get(line.transaction_id)
    whose = taken.whose if taken else Whose()
    found = _finding(line, DifferenceKind.BILLED_TWICE, None, line.net_fen, whose)
    return replace(found, of=of)


def _fee(line: BillLine, here: Here, rate: Decimal) -> Finding | None:
    agreed = _by_contract(line, rate)
    if line.fee_fen == agreed:
        return None
    taken = here.payments.get(line.transaction_id)
    return Finding(
        kind=DifferenceKind.FEE_DIFFERS,
        at=line.at,
        transaction_id=line.transaction_id,
        out_trade_no=line.out_trade_no,
        out_refund_no=line.out_refund_no,
        there_fen=line.fee_fen,
        here_fen=agreed,
        suspense_fen=agreed - line.fee_fen,
        whose=taken.whose if taken else Whose(),
    )


def _missing(lines: Sequence[BillLine], here: Here) -> Iterator[Finding]:
    listed = here.listed | {line.number for line in lines}
    for taken in here.payments.values():
        if taken.transaction_id not in listed:
            yield Finding(
                kind=DifferenceKind.MISSING_THERE,
                at=taken.at,
                transaction_id=taken.transaction_id,
                out_trade_no=taken.out_trade_no,
                there_fen=None,
                here_fen=taken.amount_fen,
                suspense_fen=-taken.amount_fen,
                whose=taken.whose,
            )
    for given in here.refunds.values():
        if given.settled_at is not None and given.out_refund_no not in listed:
            yield Finding(
                kind=DifferenceKind.MISSING_THERE,
                at=given.settled_at,
                transaction_id=given.transaction_id,
                out_trade_no=given.out_trade_no,
                out_refund_no=given.out_refund_no,
                there_fen=None,
                here_fen=given.amount_fen,
                suspense_fen=given.amount_fen,
                whose=given.whose,
            )


def _by_contract(line: BillLine, rate: Decimal) -> int:
    fee = expected_fee(line.amount_fen, rate=rate)
    return fee if line.kind is LineKind.PAYMENT else -fee


def _finding(
    line: BillLine, kind: DifferenceKind, here_fen: int | None, suspense_fen: int, whose: Whose
) -> Finding:
    return Finding(
        kind=kind,
        at=line.at,
        transaction_id=line.transaction_id,
        out_trade_no=line.out_trade_no,
        out_refund_no=line.out_refund_no,
        there_fen=line.amount_fen,
        here_fen=here_fen,
        suspense_fen=suspense_fen,
        whose=whose,
    )
