"""Borrowers whom a newcomer should meet first, each with a situation worth asking about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from servicing.demo.goods import purchase
from servicing.demo.lives import paid_until
from servicing.demo.rows import Bought
from servicing.engine.periods import month_after

_LOOK_FOR_MONTHS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One loan of a story.

    Attributes:
        due_in: Days until the next unpaid instalment is due; negative when it is overdue.
        paid: How many instalments are paid.
        left: How many are not.
    """

    due_in: int
    paid: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A borrower and why to meet them.

    Attributes:
        is_bound: Whether their WeChat is bound already.
        is_sound: Whether outsiders know nothing but good of them.
    """

    note: str
    chapters: tuple[Chapter, ...]
    is_bound: bool = True
    is_sound: bool = False


STORIES: Final = (
    Story(note="3 天后到还款日", chapters=(Chapter(due_in=3, paid=4, left=8),)),
    Story(note="今天到还款日", chapters=(Chapter(due_in=0, paid=2, left=4),)),
    Story(note="已过还款日 5 天", chapters=(Chapter(due_in=-5, paid=3, left=6),)),
    Story(note="只剩最后一期", chapters=(Chapter(due_in=12, paid=11, left=1),)),
    Story(
        note="两笔分期",
        chapters=(Chapter(due_in=6, paid=5, left=7), Chapter(due_in=15, paid=1, left=5)),
    ),
    Story(note="已过还款日 40 天", chapters=(Chapter(due_in=-40, paid=6, left=6),)),
    Story(
        note="还没绑定微信，可试绑定",
        chapters=(Chapter(due_in=9, paid=2, left=10),),
        is_bound=False,
    ),
)


def tell(random: Random, chapters: Sequence[Chapter], *, on: date) -> list[Bought]:
    """Turn a story's chapters into loans as of a business date."""
    return [_tell(random, chapter, on) for chapter in chapters]


def _tell(random: Random, chapter: Chapter, on: date) -> Bought:
    next_due = on + timedelta(days=chapter.due_in)
    paid, disbursed_on = _start(chapter.paid, next_due)
    terms = paid + chapter.left
    due = [month_after(disbursed_on, n) for n in range(1, terms + 1)]
    bought = purchase(random)
    return Bought(
        shop=bought.shop,
        goods=bought.goods,
        principal_fen=bought.principal_fen,
        terms=terms,
        disbursed_on=disbursed_on,
        paid_on=paid_until(due, paid=paid),
    )


def _start(paid: int, next_due: date) -> tuple[int, date]:
    """Find a disbursement from which an instalment falls due on just this day.

    The 31st has none in every month, so a story may have paid a little more than planned.
    """
    for more in range(_LOOK_FOR_MONTHS):
        start = month_after(next_due, -(paid + more + 1))
        if month_after(start, paid + more + 1) == next_due:
            return paid + more, start
    return paid, month_after(next_due, -(paid + 1))
