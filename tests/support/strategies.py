"""Small strategies for tests: a catalogue, a legal document, random documents and random rows."""

import copy
import math
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, partial
from typing import Any

from hypothesis import strategies as st

from risk.features.catalogue import Catalogue, parse_catalogue
from risk.strategy.decision import Circumstances
from risk.strategy.language import Strategy
from risk.strategy.nodes import Node, attempt
from risk.strategy.problems import Code, Problems, StrategyInvalid
from risk.strategy.reading import _strategy, read_strategy

ON = date(2026, 11, 26)
NUMBERS = ("age", "income", "debt", "score_a")
TEXTS = ("city", "phone")
COUNTER = "tries_1h"
_LINES = """\
# version 2026.11
name,label,kind,unit,window,store,source,legal_basis,allowed_uses,is_supporting,choices
age,年龄,number,years,,exact,x,x,credit fraud,no,0..120
income,收入,number,fen,,exact,x,x,credit,no,
debt,负债,number,fen,,exact,x,x,credit,no,
score_a,评分,number,points,,exact,x,x,credit,no,
is_student,学生,truth,,,fresh,x,x,credit,no,
joined_on,入职日,day,,,exact,x,x,credit,no,
city,城市,text,,,fresh,x,x,credit,no,
phone,手机,text,,,fresh,x,x,credit,no,
lender,机构,text,,,fresh,x,x,credit,no,bank small_loan
bad_links,关联,number,count,,exact,x,x,credit,yes,
face,人脸,number,share,,fresh,x,x,credit,yes,0..1
night_share,夜间,number,share,,coarse,x,x,credit,no,
taste,偏好,number,share,,exact,x,x,marketing,no,
"""


def catalogue() -> Catalogue:
    return parse_catalogue(_LINES.splitlines())


class FakeLists:
    """Knows `blocked`; anything else cannot be read."""

    def __init__(self, *values: str) -> None:
        self.values = set(values)

    def holds(self, list_name: str, match: str, value: str) -> bool | None:
        return value in self.values if list_name == "blocked" else None


def around(
    *, on: date = ON, blocked: tuple[str, ...] = (), snoozed: tuple[str, ...] = (), **scores: float
) -> Circumstances:
    return Circumstances(
        on=on, lists=FakeLists(*blocked), score=scores.get, snoozed=frozenset(snoozed)
    )


def rule(rule_id: str, when: dict[str, Any], **changes: Any) -> dict[str, Any]:
    plain = {"id": rule_id, "when": when, "outcome": "decline", "reason": "r1", "missing": "review"}
    return plain | changes


def final(**changes: Any) -> dict[str, Any]:
    adult = {"field": "age", "is": "at_least", "value": 18}
    plain = {
        "id": "end",
        "kind": "final",
        "rules": [{"id": "end.adult", "when": adult, "missing": "review"}],
        "otherwise": {"outcome": "review", "reason": "r2"},
    }
    return plain | changes


def document(*stages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a legal document of some stages with a final stage behind them."""
    every = [*stages, final()] if all(each["kind"] != "final" for each in stages) else [*stages]
    plain = {
        "id": "test",
        "title": "测试策略",
        "use": "credit",
        "catalogue": "2026.11",
        "effective_from": "2026-01-01",
        "required": [{"field": "age", "missing": "review"}],
        "reasons": [
            {"code": "r1", "internal": "内部一", "customer": "对客一"},
            {"code": "r2", "internal": "内部二", "customer": "对客二"},
        ],
        "outputs": [
            {"name": "points", "kind": "number"},
            {"name": "band", "kind": "text"},
            {"name": "line", "kind": "number"},
        ],
        "derived": [{"name": "ratio", "value": {"divide": ["debt", "income"]}}],
        "stages": every,
        "products": [{"product": "cash", "stages": [each["id"] for each in every]}],
    }
    return copy.deepcopy(plain | changes)


def strategy(*stages: dict[str, Any], **changes: Any) -> Strategy:
    return read_strategy(document(*stages, **changes), catalogue())


def problems_of(text: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Read a document that must be refused; return path and code of every problem."""
    try:
        read_strategy(text, catalogue())
    except StrategyInvalid as error:
        return [(each.path, str(each.code)) for each in error.problems]
    return []


# --- random documents --------------------------------------------------------

# What these forbid is bad style or bad practice, and yet it runs: the forms must agree on it too.
_RUNS_ANYWAY = {
    Code.CONTRADICTION,
    Code.OUTCOMES_CONTRADICT,
    Code.ROW_UNREACHABLE,
    Code.APPROVES_BY_ABSENCE,
    Code.SUPPORT_DECLINES,
    Code.OUTPUT_NOT_SET,
}
CHOICES = {"lender": ("bank", "small_loan")}
_EDGES = [-1.0, 0.0, 0.7, 1.0, 18.0, 100.0, 5000.0, 1e14]
_WORDS = ["北京", "beijing", "北", "138", "x'\"\\\n", "{f0}"]
_DAYS = ["2020-01-01", "2026-11-26", "2026-11-27"]
_ODD = [None, math.nan, math.inf, 1e30, "0.5", "", " ", True, 10**15, -1e15, [], "2026-13-01", 0.5]

numbers = st.sampled_from(_EDGES)
policies = st.sampled_from(["ignore", "ignore", "review", "decline"])
harms = st.sampled_from(["review", "review", "decline"])


def _said(name: str, word: str, value: Any = None) -> dict[str, Any]:
    said = {"field": name, "is": word}
    return said if value is None else said | {"value": value}


@cache
def _range() -> st.SearchStrategy[list[float | None]]:
    pairs = st.tuples(numbers, numbers).filter(lambda pair: pair[0] < pair[1]).map(list)
    return pairs | numbers.map(lambda edge: [None, edge]) | numbers.map(lambda edge: [edge, None])


@cache
def atoms(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    name = st.sampled_from(names)
    order = st.sampled_from(["below", "at_most", "above", "at_least", "equals", "differs"])
    same = st.sampled_from(["equals", "differs"])
    text, word = st.sampled_from(TEXTS), st.sampled_from(_WORDS)
    other = name.map(lambda each: {"field": each})
    some = st.sampled_from(["one_of", "none_of"])
    there = st.sampled_from(["missing", "present"])
    return st.one_of(
        st.builds(_said, name, order, numbers | other),
        st.builds(_said, name, st.just("between"), _range()),
        st.builds(_said, name, some, st.lists(numbers, min_size=1, max_size=3)),
        st.builds(_said, st.sampled_from([*names, *TEXTS, "is_student", "joined_on"]), there),
        st.builds(_said, st.just("is_student"), same, st.booleans()),
        st.builds(_said, st.just("joined_on"), order, st.sampled_from(_DAYS)),
        st.builds(_said, text, same, word | text.map(lambda each: {"field": each})),
        st.builds(_said, text, some, st.lists(word, min_size=1, max_size=3)),
        st.builds(_said, st.just("lender"), same, st.sampled_from(CHOICES["lender"])),
        st.builds(_said, st.just("lender"), there),
        st.builds(_said, text, st.sampled_from(["starts_with", "ends_with", "contains"]), word),
        st.builds(
            lambda field, word, name: {
                "field": field,
                "is": word,
                "list": name,
                "match": "exact",
            },
            text,
            st.sampled_from(["in_list", "not_in_list"]),
            st.sampled_from(["blocked", "elsewhere"]),
        ),
    )


@cache
def conditions(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        parts = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            parts.map(lambda each: {"all": each}),
            parts.map(lambda each: {"any": each}),
            inner.map(lambda each: {"not": each}),
        )

    return st.recursive(atoms(names), deeper, max_leaves=5)


@cache
def expressions(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        pair = st.lists(inner, min_size=2, max_size=2)
        many = st.lists(inner, min_size=1, max_size=3)
        step = st.sampled_from([0.1, 3.0, 100.0])
        return st.one_of(
            st.builds(
                lambda word, each: {word: each}, st.sampled_from(["subtract", "divide"]), pair
            ),
            st.builds(
                lambda word, each: {word: each},
                st.sampled_from(["add", "multiply", "least", "greatest", "first_of"]),
                many,
            ),
            st.builds(lambda each, by: {"round_down": [each, by]}, inner, step),
            st.just({"days_since": "joined_on"}),
        )

    return st.recursive(st.sampled_from(names) | numbers, deeper, max_leaves=5)


@st.composite
def documents(
    draw: Callable[..., Any], read: tuple[str, ...] = (*NUMBERS, "face")
) -> dict[str, Any]:
    """A document with stages of every kind in random order, for two products."""
    fresh = map("x{}".format, range(10_000))
    made = (read, (*read, COUNTER, "ratio", "made"))
    derived = [
        {"name": "ratio", "value": draw(expressions(made[0]))},
        {"name": "made", "value": draw(expressions((*made[0], "ratio")))},
    ]
    names = (*made[1], "points", "line")
    builders = [_rules, _table, _matrix, _card, _model, _tree, _compute]
    picked = draw(st.lists(st.sampled_from(builders), min_size=1, max_size=4))
    if draw(st.booleans()):
        picked.insert(0, _compute)  # so that what follows often reads an output that is there
    stages = [build(draw, names, fresh) for build in picked]
    ids = [stage["id"] for stage in stages]
    cut = draw(st.integers(0, len(ids)))
    if cut:
        stages.append(_branch(draw, names, fresh, ids[:cut]))
        ids = [*ids[cut:], stages[-1]["id"]]
    end = final(
        rules=[_approval(draw, names, fresh) for _ in range(draw(st.integers(1, 2)))],
        otherwise={"outcome": draw(harms), "reason": "r2"},
    )
    return document(
        *stages,
        end,
        derived=derived,
        counters=[{"name": COUNTER, "event": "application", "by": "phone", "window": "1h"}],
        required=[
            {"field": name, "missing": draw(harms)}
            for name in draw(st.sampled_from([["age"], ["city"], ["age", "debt"]]))
        ],
        products=[
            {"product": "cash", "stages": [*ids, "end"]},
            {"product": "goods", "stages": [*draw(st.permutations(ids)), "end"]},
        ],
    )


def _rules(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    rules = [
        rule(
            next(fresh),
            draw(conditions(names)),
            outcome=draw(harms),
            missing=draw(policies),
            may_snooze=draw(st.booleans()),
            **draw(
                st.sampled_from(
                    [
                        {},
                        {"effective_from": "2026-11-27"},
                        {"effective_to": "2026-11-27"},
                        {"effective_from": "2026-11-26", "effective_to": "2026-11-27"},
                    ]
                )
            ),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return {"id": next(fresh), "kind": "rules", "rules": rules}


def _approval(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    plain = st.just({"field": "age", "is": "present"})
    when = draw(plain | conditions(names))
    return {"id": next(fresh), "when": when, "missing": draw(policies)}


def _effect(draw: Any, *, sets: bool = True) -> dict[str, Any]:
    harm = {"outcome": draw(harms), "reason": "r1"}
    values = {"set": {"band": draw(st.sampled_from(_WORDS)), "line": draw(numbers)}}
    return draw(st.sampled_from([harm, values, harm | values])) if sets else harm


def _cell(draw: Any, name: str) -> Any:
    if name in TEXTS:
        words = st.sampled_from(_WORDS)
        starts = words.map(lambda word: {"is": "starts_with", "value": word})
        return draw(st.none() | words | st.lists(words, min_size=1, max_size=2) | starts)
    span = _range().map(
        lambda ends: {
            key: end for key, end in zip(("from", "below"), ends, strict=True) if end is not None
        }
    )
    return draw(st.none() | numbers | st.lists(numbers, min_size=1, max_size=2) | span)


def _table(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    policy = draw(st.sampled_from(["first", "collect"]))
    columns = draw(st.lists(st.sampled_from([*names, *TEXTS]), min_size=1, max_size=3))
    rows = [
        {"cells": [_cell(draw, name) for name in columns]} | _effect(draw, sets=policy == "first")
        for _ in range(draw(st.integers(1, 4)))
    ]
    return {
        "id": next(fresh),
        "kind": "table",
        "policy": policy,
        "columns": columns,
        "rows": rows,
        "missing": draw(policies),
    }


def _matrix(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    def axis() -> dict[str, Any]:
        edge = draw(numbers)
        bands = [{"below": edge}, {"from": edge}]
        return {"field": draw(st.sampled_from(names)), "bands": bands[: draw(st.integers(1, 2))]}

    down, across = axis(), axis()
    if down["field"] == across["field"]:
        across = {"field": "city", "bands": ["北京", ["beijing", "x"]]}
    cells = [[_effect(draw) for _ in across["bands"]] for _ in down["bands"]]
    return {
        "id": next(fresh),
        "kind": "matrix",
        "rows": down,
        "columns": across,
        "cells": cells,
        "missing": draw(policies),
    }


def _card(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    points = st.integers(-50, 50)

    def characteristic(name: str) -> dict[str, Any]:
        edges = sorted(draw(st.sets(numbers, max_size=5)))
        bins = [{"below": edge, "points": draw(points)} for edge in edges]
        specials = [{"value": draw(numbers), "points": draw(points)}]
        lost = draw(st.none() | points)
        found = {"field": name, "bins": [*bins, {"points": draw(points)}], "specials": specials}
        return found if lost is None else found | {"missing": lost}

    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4))
    return {
        "id": next(fresh),
        "kind": "card",
        "base": draw(st.integers(-600, 600)),
        "characteristics": [characteristic(name) for name in chosen],
        "missing_at_most": draw(st.integers(0, 3)),
        "output": "points",
        "missing": draw(policies),
    }


def _model(draw: Any, _: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    return {
        "id": next(fresh),
        "kind": "model",
        "model": draw(st.sampled_from(["known", "unknown"])),
        "output": "points",
        "missing": draw(policies),
    }


def _tree(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    def node(depth: int) -> dict[str, Any]:
        if depth == 0 or draw(st.booleans()):
            return {"id": next(fresh)} | _effect(draw)
        when = draw(conditions(names))
        return {"when": when, "then": node(depth - 1), "else": node(depth - 1)}

    return {"id": next(fresh), "kind": "tree", "root": node(3), "missing": draw(policies)}


def _branch(draw: Any, names: tuple[str, ...], fresh: Any, ids: list[str]) -> dict[str, Any]:
    case = {"id": next(fresh), "when": draw(conditions(names)), "stages": ids}
    other = {"id": next(fresh), "when": draw(conditions(names)), "stages": ids[:1]}
    found = {"id": next(fresh), "kind": "branch", "cases": [case, other]}
    found |= {"missing": draw(policies)}
    return found | {"otherwise": ids[-1:]} if draw(st.booleans()) else found


def _compute(draw: Any, names: tuple[str, ...], fresh: Any) -> dict[str, Any]:
    sets = [{"output": "line", "value": draw(expressions(names))}]
    return {"id": next(fresh), "kind": "compute", "set": sets, "missing": draw(policies)}


def strategy_of(text: Mapping[str, Any]) -> Strategy | None:
    """Read a random document; None if a form could not run it."""
    try:
        return read_strategy(text, catalogue())
    except StrategyInvalid as error:
        if {each.code for each in error.problems} <= _RUNS_ANYWAY:
            return attempt(partial(_strategy, catalogue=catalogue()), Node(text, "$", Problems()))
        return None


def rows() -> st.SearchStrategy[dict[str, Any]]:
    """Rows in which an eighth of the values are missing or odd."""
    number = numbers | st.floats(-1e4, 1e4) | st.integers(-100, 100)
    day = st.sampled_from([*_DAYS, date(2026, 11, 26), 739_000.0])
    kinds = dict.fromkeys([*NUMBERS, COUNTER], number) | dict.fromkeys(
        TEXTS, st.sampled_from([*_WORDS, "上海", "北京市"])
    )
    kinds |= {
        "face": st.sampled_from([0.0, 0.6, 1.0, 1.0000001, 92, -0.1]) | st.floats(-1, 2),
        "lender": st.sampled_from([*CHOICES["lender"], "SMALL_LOAN", "小额贷款", "xx"]),
    }
    kinds |= {"is_student": st.booleans(), "joined_on": day}
    odd = st.sampled_from(_ODD)
    return st.fixed_dictionaries(
        {name: st.one_of(*[kind] * 7, odd) for name, kind in kinds.items()}
    )
