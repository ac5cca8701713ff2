"""Why an instalment's interest is what it is: a formula that comes to just that, or a reason.

A formula is only given if it evaluates to the amount; where changes of the loan leave none that a
borrower could check, the reason is said in a sentence instead. It reads nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from kernel.money import Rounding, round_fen
from servicing.engine.periods import MONTHS_A_YEAR

_MONTH_DAYS: Final = 30
# In which order a loan's events explain an interest that no formula gives.
_BY_EVENT: Final[Mapping[str, str]] = {
    "interest-pause": "期间有冻结利息的日子，那些天不计息",
    "cancellation": "购买已取消，不再计息",
    "termination": "合同提前到期，利息算到提前到期之日",
    "charge-off": "债权已核销，利息按核销时的约定计算",
    "write-off": "债权已放弃，利息不再计算",
    "re-age": "按重组后的还款计划分摊到各期",
    "re-amortisation": "逾期本金已重新分摊，利息按新的还款计划计算",
    "payment-holiday": "期间有延期还款，利息按延期后的还款计划计算",
    "moved-due-date": "还款日有变更，利息按变更后的还款日计算",
    "prepayment": "期间提前还了本金，利息按每天的剩余本金计算",
    "charge-back": "有一笔还款被撤回，利息按恢复后的本金计算",
    "credit-balance-refund": "多付的款已退回，利息按退回后的本金计算",
    "rate-change": "期间利率有调整，利息按每天的利率计算",
    "waiver": "部分利息已减免，利息按减免后的还款计划计算",
}
BALANCE: Final = "剩余本金"
ORIGINAL: Final = "原始本金"
KEPT: Final = "已付的利息不再变动，因优惠少算的部分已抵扣后面应还的款"
FLAT: Final = "按原始本金计算的总利息，平均分摊到各期"
_OTHER: Final = "按当前的还款计划计算"
SENTENCES: Final = (*_BY_EVENT.values(), KEPT, FLAT, _OTHER)
_LOWERS: Final = ("rate-change", "interest-pause")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some days with one balance, fen, and one annual rate."""

    balance_fen: int
    rate_annual: Decimal
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestReason:
    """Why it is what it is.

    Attributes:
        pieces: What it is summed over, and then rounded once to the fen; none for a sentence.
        months: How many whole months the only piece is for, each a twelfth of the year; 0 if the
            days of the pieces count.
        year_days: How many days the year has then.
        is_on_original: The pieces are the original principal, and no balance.
        sentence: Why no formula gives it; empty where one does.
    """

    pieces: tuple[Piece, ...] = ()
    months: int = 0
    year_days: int = 360
    is_on_original: bool = False
    sentence: str = ""

    @property
    def base(self) -> str:
        """What its pieces are called."""
        return ORIGINAL if self.is_on_original else BALANCE

    @property
    def amount_fen(self) -> int:
        """What the formula comes to, fen."""
        if self.months:
            piece = self.pieces[0]
            exact = piece.balance_fen * piece.rate_annual * self.months / MONTHS_A_YEAR
        else:
            weighed = (piece.balance_fen * piece.rate_annual * piece.days for piece in self.pieces)
            exact = sum(weighed, Decimal(0)) / self.year_days
        return round_fen(exact, rounding=Rounding.HALF_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """What an instalment's interest could come from.

    Attributes:
        base_fen: The principal that it is on at the beginning.
        draws: What was paid out within its period, by day.
        rates: Which annual rate holds from the end of which day on, the first from the beginning.
        paid_fen: What of the interest was paid.
        is_flat: It follows no balance.
    """

    from_on: date
    due_on: date
    interest_fen: int
    paid_fen: int
    base_fen: int
    draws: Sequence[tuple[date, int]]
    rates: Sequence[tuple[date, Decimal]]
    year_days: int
    is_flat: bool


def reason_of(bearing: Bearing, kinds: Callable[[], Collection[str]]) -> InterestReason:
    """Return a formula that comes to the interest, or the sentence that explains it.

    Args:
        bearing: The instalment.
        kinds: Says which kinds of events the loan had; only asked if no formula is found.
    """
    found = (one for one in _formulas(bearing) if one.amount_fen == bearing.interest_fen)
    formula = next(found, None)
    return formula or InterestReason(sentence=_sentence(bearing, kinds()))


def _formulas(bearing: Bearing) -> Sequence[InterestReason]:
    pieces = _pieces(bearing)
    by_days = InterestReason(
        pieces=pieces, year_days=bearing.year_days, is_on_original=bearing.is_flat
    )
    months = _months(bearing.from_on, bearing.due_on)
    if months < 1:
        return (by_days,)
    if len(pieces) == 1:
        return (replace(by_days, months=months), by_days)
    # A month counts thirty days: what its earlier days leave of them is for the last ones.
    left = months * _MONTH_DAYS - sum(piece.days for piece in pieces[:-1])
    last = replace(pieces[-1], days=max(0, left))
    by_month = InterestReason(pieces=(*pieces[:-1], last), year_days=MONTHS_A_YEAR * _MONTH_DAYS)
    return (by_days, by_month)


def _pieces(bearing: Bearing) -> tuple[Piece, ...]:
    inside = {day for day, _ in (*bearing.draws, *bearing.rates)}
    cuts = sorted(day for day in inside if bearing.from_on < day < bearing.due_on)
    starts = [bearing.from_on, *cuts]
    return tuple(
        Piece(
            balance_fen=bearing.base_fen + sum(fen for day, fen in bearing.draws if day <= since),
            rate_annual=[rate for day, rate in bearing.rates if day <= since][-1],
            days=(until - since).days,
        )
        for since, until in zip(starts, [*cuts, bearing.due_on], strict=True)
    )


def _months(from_on: date, due_on: date) -> int:
    return (due_on.year - from_on.year) * MONTHS_A_YEAR + due_on.month - from_on.month


def _sentence(bearing: Bearing, kinds: Collection[str]) -> str:
    is_paid = 0 < bearing.interest_fen == bearing.paid_fen
    if is_paid and any(kind in kinds for kind in _LOWERS):
        return KEPT
    told = (sentence for kind, sentence in _BY_EVENT.items() if kind in kinds)
    return next(told, FLAT if bearing.is_flat else _OTHER)
