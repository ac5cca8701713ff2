"""How well texts are understood: accuracy and macro F1 on texts that people labelled.

It judges bot.understanding and changes nothing in it.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bot.understanding import understand


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What came out.

    Attributes:
        macro_f1: Mean F1 over the intents that the labels name.
        mistakes: Wanted and found intent → how often, the most frequent first.
    """

    rows: int
    accuracy: float
    macro_f1: float
    mistakes: tuple[tuple[str, str, int], ...]


def evaluate_file(path: Path) -> Evaluation:
    """Judge a CSV file with the columns text and intent."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return evaluate([(row["text"], row["intent"].strip()) for row in csv.DictReader(file)])


def evaluate(labelled: Iterable[tuple[str, str]]) -> Evaluation:
    """Judge texts with the intent that each should be taken for."""
    pairs = Counter((wanted, understand(text).intent.value) for text, wanted in labelled)
    rows = pairs.total()
    intents = sorted({wanted for wanted, _found in pairs})
    scores = [_f1(pairs, intent) for intent in intents]
    right = sum(count for (wanted, found), count in pairs.items() if wanted == found)
    return Evaluation(
        rows=rows,
        accuracy=right / rows if rows else 0.0,
        macro_f1=sum(scores) / len(scores) if scores else 0.0,
        mistakes=tuple(
            (wanted, found, count)
            for (wanted, found), count in pairs.most_common()
            if wanted != found
        ),
    )


def _f1(pairs: Counter[tuple[str, str]], intent: str) -> float:
    hit = pairs[intent, intent]
    wanted = sum(count for (label, _), count in pairs.items() if label == intent)
    found = sum(count for (_, guess), count in pairs.items() if guess == intent)
    return 2 * hit / (wanted + found) if wanted + found else 0.0
