"""What a strategy would have decided on stored rows, beside the one it would replace. Pure, NumPy.

Both strategies run on the same rows, so that nothing but the strategy differs. Where a report goes
is not known here.

**Reject bias.** Whether somebody went bad is known only where credit was granted. Every bad rate
says over how many known outcomes it was taken. For those whom the draft approves and nobody ever
granted anything, the report gives bounds (none of them bad, all of them bad) and one estimate: that
they go bad `unknown_factor` times as often as the known ones among the draft's approvals. It is an
assumption, stated with the report, and no measurement.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from risk.features.catalogue import Kind
from risk.lifecycle.history import History, Judge, Silences, decided_on
from risk.lifecycle.segments import segments_of
from risk.strategy.batch import BatchDecision, Floats, Mask
from risk.strategy.decision import HitKind, Snooze
from risk.strategy.language import Outcome
from risk.strategy.parts import Part, parts_of, without

_WORDS: Final = {each: each.name.lower() for each in Outcome}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What a report takes for granted, and says so.

    Attributes:
        unknown_factor: See the module.
        loss_share: Of the amount, what is lost of somebody who goes bad.
        line_output: The strategy's output that says how much is granted, in fen.
        rate_output: Its output that says at what yearly rate.
        rate_unset: The yearly rate where the strategy says none; None if nobody knows it.
    """

    unknown_factor: float = 2.0
    loss_share: float = 0.6
    line_output: str = "line_fen"
    rate_output: str = "rate_annual"
    rate_unset: float | None = None


STANDARD: Final = Assumptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two strategies with what it decided."""

    judge: Judge
    decided: BatchDecision

    def where(self, outcome: Outcome) -> Mask:
        found: Mask = self.decided.outcome == outcome
        return found

    def output(self, name: str) -> Floats | None:
        """An output that is a number, if the strategy has it."""
        is_number = self.judge.strategy.outputs.get(name) is Kind.NUMBER
        return self.decided.outputs[name] if is_number else None


def backtest(
    draft: Judge,
    against: Judge | None,
    history: History,
    *,
    product: str,
    assumptions: Assumptions = STANDARD,
) -> dict[str, Any]:
    """Decide all rows by both judges, and report as JSON.

    Args:
        draft: What is asked about.
        against: What is in force; None if nothing is.
        history: See there.
        product: Of both strategies.
        assumptions: See there.

    Raises:
        KeyError: A strategy has no such product.
    """
    new = _Side(judge=draft, decided=decided_on(history, draft, product=product))
    old = None
    if against is not None:
        old = _Side(judge=against, decided=decided_on(history, against, product=product))
    base = rate_of(history, np.ones(history.rows, dtype=np.bool_))
    found = _shares(new, history, assumptions)
    share_of_base = found["bad_rate"] / base["bad_rate"] if found["bad_rate"] else None
    return {
        "product": product,
        "rows": history.rows,
        "base": base,
        "draft": found | {"bad_rate_to_base": share_of_base and round(share_of_base, 4)},
        "against": old and _shares(old, history, assumptions),
        "swap_set": old and _swap_set(new, old, history),
        "money": old and _money(new, old, history, assumptions),
        "rules": list(_rules(new, history, product)),
        "segments": segments_of(history, new.where(Outcome.APPROVE), _approved(old)),
        "reject_bias": _reject_bias(old, history, assumptions),
        "snoozes": history.silences and _snoozes(new, old, history, history.silences, product),
        "not_kept": list(history.not_kept),
        "assumptions": asdict(assumptions),
    }


def rate_of(history: History, where: Mask) -> dict[str, Any]:
    """Count rows, known outcomes and bad ones; the rate is over the known."""
    bad = history.is_bad[where]
    known = int((~np.isnan(bad)).sum())
    gone = int(np.nansum(bad))
    return {
        "count": int(where.sum()),
        "known": known,
        "bad": gone,
        "bad_rate": round(gone / known, 6) if known else None,
    }


def share(part: int, whole: int) -> float | None:
    """Divide for reading; None of nothing."""
    return round(part / whole, 6) if whole else None


def _approved(side: _Side | None) -> Mask | None:
    return side.where(Outcome.APPROVE) if side else None


# --- shares, swaps, money --------------------------------------------------------


def _shares(side: _Side, history: History, assumptions: Assumptions) -> dict[str, Any]:
    rate = rate_of(history, side.where(Outcome.APPROVE))
    bounds = _bounds(rate, assumptions)
    shares = {
        f"{word}_share": share(int(side.where(each).sum()), history.rows)
        for each, word in _WORDS.items()
    }
    approved = {"approved": rate.pop("count")}
    return {"hash": side.judge.strategy.digest} | shares | approved | rate | bounds


def _bounds(rate: Mapping[str, Any], assumptions: Assumptions) -> dict[str, Any]:
    """Say between what the bad rate of all approved lies, and the estimate."""
    count, known, bad = rate["count"], rate["known"], rate["bad"]
    if not known:
        return dict.fromkeys(("bad_rate_least", "bad_rate_most", "bad_rate_estimate"))
    unknown = count - known
    assumed = unknown * min(1.0, bad / known * assumptions.unknown_factor)
    return {
        "bad_rate_least": share(bad, count),
        "bad_rate_most": share(bad + unknown, count),
        "bad_rate_estimate": round((bad + assumed) / count, 6),
    }


def _swap_set(new: _Side, old: _Side, history: History) -> list[dict[str, Any]]:
    """Cross what was decided with what would be: nine cells, each with count and bad rate."""
    cells = []
    for before, old_word in _WORDS.items():
        for after, word in _WORDS.items():
            where = old.where(before) & new.where(after)
            amount = int(np.nansum(history.amount_fen[where]))
            cell = {"against": old_word, "draft": word, "amount_fen": amount}
            cells.append(cell | rate_of(history, where))
    return cells


def _money(
    new: _Side, old: _Side, history: History, assumptions: Assumptions
) -> dict[str, dict[str, int | None]]:
    """Say what is granted, earned in a year and lost by both, in whole fen, and the difference."""
    after, before = (_granted(side, history, assumptions) for side in (new, old))
    change = {name: _minus(after[name], before[name]) for name in after}
    return {"draft": after, "against": before, "change": change}


def _minus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left - right


def _granted(side: _Side, history: History, assumptions: Assumptions) -> dict[str, int | None]:
    line = side.output(assumptions.line_output)
    amount = history.amount_fen if line is None else line
    granted = np.where(side.where(Outcome.APPROVE) & ~np.isnan(amount), amount, 0.0)
    lost = np.nansum(granted * history.is_bad) * assumptions.loss_share
    return {
        "granted_fen": int(granted.sum()),
        "interest_year_fen": _interest_fen(side, granted, assumptions),
        "known_loss_fen": int(lost),
    }


def _interest_fen(side: _Side, granted: Floats, assumptions: Assumptions) -> int | None:
    """Say what is earned in a year, in whole fen; None where nothing granted has a price."""
    said = side.output(assumptions.rate_output)
    rate = np.full(granted.shape, np.nan) if said is None else said
    if assumptions.rate_unset is not None:
        rate = np.where(np.isnan(rate), assumptions.rate_unset, rate)
    if np.isnan(rate[granted > 0]).all() and granted.any():
        return None
    return int(np.nansum(granted * rate))


# --- rules -----------------------------------------------------------------------


def _rules(side: _Side, history: History, product: str) -> Iterator[dict[str, Any]]:
    """Say for each part whom it hit, and for whom it alone made the difference.

    The marginal hit is exact: those whom nothing else of at least that weight hit are decided
    again without the part, and count where that comes out better.
    """
    asking = list(_asking(side, product))
    weights = {each: np.zeros(history.rows, dtype=np.int16) for each in Outcome}
    for _, _, asked, where in asking:
        for each in Outcome:
            if asked >= each:
                weights[each] += where
    for part, kind, asked, where in asking:
        alone = where & side.where(asked) & (weights[asked] == 1)
        yield {
            "id": part.id,
            "title": part.title,
            "stage": part.stage,
            "kind": str(kind),
            "outcome": _WORDS[asked],
            **rate_of(history, where),
            **_marginal(side, history, product, part, asked, alone),
        }
    yield from _taken(side, history, product)


def _taken(side: _Side, history: History, product: str) -> Iterator[dict[str, Any]]:
    """Say of rows, leaves and cases that only set something, or lead somewhere, who took them."""
    for part in parts_of(side.judge.strategy, product=product):
        where = side.decided.hits.get((part.id, HitKind.TAKEN))
        if where is not None and part.outcome is None:
            yield {
                "id": part.id,
                "title": part.title,
                "stage": part.stage,
                "kind": str(HitKind.TAKEN),
                "outcome": None,
                **rate_of(history, where),
                "marginal": None,
                "marginal_bad_rate": None,
            }


def _asking(side: _Side, product: str) -> Iterator[tuple[Part, HitKind, Outcome, Mask]]:
    """Walk to what asked for an outcome, and for whom."""
    for part in parts_of(side.judge.strategy, product=product):
        for kind, asked in ((HitKind.HIT, part.outcome), (HitKind.MISSING, part.missing)):
            where = side.decided.hits.get((part.id, kind))
            if where is not None and asked is not None:
                yield part, kind, asked, where


def _marginal(
    side: _Side, history: History, product: str, part: Part, asked: Outcome, alone: Mask
) -> dict[str, Any]:
    other = without(side.judge.strategy, part.id)
    if asked is Outcome.APPROVE or other is None:
        return {"marginal": None, "marginal_bad_rate": None}
    places: NDArray[np.intp] = np.flatnonzero(alone)
    if len(places):
        again = decided_on(history, side.judge, product=product, strategy=other, some=places)
        places = places[again.outcome < asked]
    mask = np.zeros(history.rows, dtype=np.bool_)
    mask[places] = True
    rate = rate_of(history, mask)
    return {"marginal": rate["count"], "marginal_bad_rate": rate["bad_rate"]}


# --- snoozes ---------------------------------------------------------------------


def _snoozes(
    new: _Side, old: _Side | None, history: History, silences: Silences, product: str
) -> dict[str, Any]:
    """State which rules were silenced for whom and when, and what that did to the draft."""
    where = _touched(new, history)
    places = np.flatnonzero(where)
    loud = decided_on(history, new.judge, product=product, some=places, is_silenced=False)
    hits = new.decided.hits.items()
    titles = {part.id: part.title for part in parts_of(new.judge.strategy, product=product)}
    return {
        "are_used": silences.are_used,
        "in_force": [_said(each, titles) for each in silences.in_force],
        "draft": len(places),
        "against": old and int(_touched(old, history).sum()),
        "draft_changed": int((loud.outcome != new.decided.outcome[places]).sum()),
        "rules": {rule: int(hit.sum()) for (rule, kind), hit in hits if kind is HitKind.SNOOZED},
    }


def _touched(side: _Side, history: History) -> Mask:
    """Find the rows on which a silenced rule would have counted."""
    hits = side.decided.hits.items()
    silent = [where for (_, kind), where in hits if kind is HitKind.SNOOZED]
    return reduce(np.logical_or, silent, np.zeros(history.rows, dtype=np.bool_))


def _said(snooze: Snooze, titles: Mapping[str, str]) -> dict[str, str]:
    return {
        "rule": snooze.rule,
        "title": titles.get(snooze.rule, ""),
        "key": snooze.key,
        "since": snooze.since.isoformat(),
        "until": snooze.until.isoformat(),
    }


# --- bias ------------------------------------------------------------------------


def _reject_bias(old: _Side | None, history: History, assumptions: Assumptions) -> dict[str, Any]:
    """State for whom outcomes are known, and how the others were treated."""
    known = ~np.isnan(history.is_bad)
    by_outcome = {
        word: share(int((known & old.where(each)).sum()), int(old.where(each).sum()))
        for each, word in _WORDS.items()
        if old is not None
    }
    is_free = bool(known.all())
    factor = f"{assumptions.unknown_factor:g}"
    return {
        "is_free_of_it": is_free,
        "known_share": share(int(known.sum()), history.rows),
        "known_share_by_against": by_outcome,
        "treatment": _FREE_OF_BIAS if is_free else _TREATMENT.format(factor=factor),
    }


_FREE_OF_BIAS: Final = "每一行的结果都已知，不存在拒绝偏差。"
_TREATMENT: Final = (
    "只有实际放款的客户才有还款结果，坏账率只在结果已知的客户上计算。策略会通过但结果未知的客户，"
    "给出下限（全好）与上限（全坏），并按已知坏账率的{factor}倍估计；该倍数是假设，不是测量。"
)
