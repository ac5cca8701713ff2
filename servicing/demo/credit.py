"""The planted truth: who will pay, and what outsiders know of each made-up borrower.

A borrower's habit is drawn first; income and credit file are drawn around it with much overlap, so
that a file tells something of the truth and never all. The same id number always has the same
file, and drawing it disturbs no other chance. Sub-systems answer by these files; strategies are
measured against the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from servicing.demo.lives import Habit

# The bureau's names of what the catalogue names otherwise; a test holds it against the clients.
_REPORT: Final[Mapping[str, str]] = {
    "bureau_score": "score",
    "overdue_days_max_12m": "overdue_days_max_12m",
    "bureau_queries_30d": "queries_30d",
    "exposure_fen": "balance_fen",
    "debt_service_monthly_fen": "service_monthly_fen",
}
_BAD: Final = frozenset({Habit.FIRST_PAYMENT_DEFAULT, Habit.STOPPING})
_SOUND_SCORE: Final = 690
_FEW_QUERIES: Final = 2
_STEP_FEN: Final = 10_000
_INCOME_FEN: Final = (350_000, 3_000_000)
_SCORES: Final = (350, 850)
_EXPOSURE_AT_MOST_FEN: Final = 18_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaning:
    """How one kind of borrower looks from outside: middles, spreads and shares."""

    score: tuple[float, float]
    queries: float
    late_share: float
    late_days: float
    burden: tuple[float, float]
    hit_share: float


_GOOD_LEANING: Final = Leaning(
    score=(685, 45), queries=1.6, late_share=0.08, late_days=8, burden=(2.0, 9.0), hit_share=0.003
)
_BAD_LEANING: Final = Leaning(
    score=(634, 44), queries=4.5, late_share=0.5, late_days=22, burden=(3.0, 7.0), hit_share=0.05
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One borrower's truth and file.

    Attributes:
        is_bad: Whether they will stop paying; known to nobody who decides.
        income_monthly_fen: What they state to earn.
        report: What the credit bureau answers, by its own names.
        hits: On how many lists of others they stand.
    """

    is_bad: bool
    income_monthly_fen: int
    report: Mapping[str, int]
    hits: int

    @property
    def is_sound(self) -> bool:
        """Whether outsiders know nothing but good of them, and they owe little beside income."""
        report = self.report
        return (
            report["score"] >= _SOUND_SCORE
            and report["overdue_days_max_12m"] == self.hits == 0
            and report["queries_30d"] <= _FEW_QUERIES
            and report["service_monthly_fen"] <= self.income_monthly_fen // 4
        )

    def file(self, name: str) -> dict[str, Any]:
        """Return what the stand-ins of sub-systems are to know, the truth left out."""
        return {"name": name, "report": dict(self.report), "hits": self.hits}

    def answers(self) -> dict[str, dict[str, Any]]:
        """Return what each of the house's sub-systems would answer, by its name."""
        report = {ours: self.report[theirs] for ours, theirs in _REPORT.items()}
        return {
            "identity": {"is_identity_verified": True},
            "bureau": report,
            "lists": {"outside_list_hits": self.hits},
        }


def credit_of(id_number: str, habit: Habit) -> Credit:
    """Draw a borrower's income and file around their habit."""
    random = Random(f"credit/{id_number}")
    leaning = _BAD_LEANING if habit in _BAD else _GOOD_LEANING
    income = _within(_INCOME_FEN, random.lognormvariate(13.5, 0.35)) // _STEP_FEN * _STEP_FEN
    service = int(income * random.betavariate(*leaning.burden))
    late = int(random.expovariate(1 / leaning.late_days)) + 1
    return Credit(
        is_bad=habit in _BAD,
        income_monthly_fen=income,
        report={
            "score": _within(_SCORES, random.gauss(*leaning.score)),
            "overdue_days_max_12m": late if random.random() < leaning.late_share else 0,
            "queries_30d": int(random.expovariate(1 / leaning.queries)),
            "balance_fen": min(service * random.randint(6, 18), _EXPOSURE_AT_MOST_FEN),
            "service_monthly_fen": service,
        },
        hits=int(random.random() < leaning.hit_share),
    )


def _within(bounds: tuple[int, int], drawn: float) -> int:
    return int(min(max(drawn, bounds[0]), bounds[1]))
