"""What each part of a decision costs, one thread alone: CPU of this process, without the server's.

It loads nothing; cli.bench.decisions does.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kernel.clock import business_date
from kernel.runtime import Runtime
from risk.decisions.asking import Reader, parsed
from risk.decisions.engine import Case, circumstances, decide, row_of
from risk.decisions.holding import Holder
from risk.decisions.service import new_decision_id
from risk.decisions.vectors import Store, Wanted
from risk.decisions.writing import Entry, Row, writer_for
from risk.features.catalogue import Catalogue

_TIMES: Final = 400
_GROUP: Final = 16
_NOBODY: Final = 0


def cost_of_parts(
    runtime: Runtime, catalogue: Catalogue, body_of: Callable[[int], dict[str, Any]]
) -> dict[str, float]:
    """Time each part on requests like the measured ones; microseconds a decision."""
    holder, store = Holder(runtime, catalogue), Store(runtime.database)
    read = partial(Reader(catalogue).read, may_state_all=True)
    now = runtime.clock.now()
    bodies = [json.dumps(body_of(number)).encode() for number in range(_TIMES)]
    asked = [read(parsed(body)[0]) for body in bodies]
    held = holder.in_force()
    served = held.product(asked[0].product)
    index = runtime.cipher.blind_index
    hashes = [
        [index(value, context=f"link.{kind}") for kind, value in each.links.items()]
        for each in asked
    ]
    wanted = [Wanted(each.subject, some) for each, some in zip(asked, hashes, strict=True)]
    known = store.known(wanted)
    cases = [
        Case(id=new_decision_id(now), asked=each, known=found, lists=held.lists, now=now)
        for each, found in zip(asked, known, strict=True)
    ]
    rows = [row_of(served, case) for case in cases]
    score = [circumstances(served, row, held.lists, on=now).score for row in rows]
    model = next(iter(served.scorers))
    scored = [each(model) for each in score]
    values = [tuple(map(row.get, served.compiled.strategy.inputs)) for row in rows]
    today, function = business_date(now).toordinal(), served.compiled.function
    parts = {
        "parse_and_check": _each(lambda n: read(parsed(bodies[n])[0])),
        "hash_links": _each(
            lambda n: [index(value, context=f"link.{k}") for k, value in asked[n].links.items()]
        ),
        "look_up": _each(lambda n: store.known((wanted * 2)[n : n + _GROUP]), of=_GROUP),
        "pick_from_blob": _each(lambda n: row_of(served, cases[n])),
        "trees": _each(lambda n: score[n](model)),
        "rules_and_card": _each(
            lambda n: function(values[n], today, frozenset(), held.lists.holds, lambda _: scored[n])
        ),
        "decide_whole": _each(lambda n: decide(served, cases[n])),
        "commit": _commit(runtime, cases, [decide(served, case) for case in cases]),
    }
    holder.close()
    store.close()
    return parts


def _each(part: Callable[[int], object], *, of: int = 1) -> float:
    """Return the tenth percentile of the CPU time of a call: the rest is other work's doing.

    Args:
        part: Does a part of the n-th decision.
        of: Of how many decisions it does so at once.
    """
    taken = []
    for n in range(_TIMES):
        started = time.thread_time_ns()
        part(n)
        taken.append(time.thread_time_ns() - started)
    return round(sorted(taken)[_TIMES // 10] / 1_000 / of, 1)


def _commit(runtime: Runtime, cases: list[Case], verdicts: list[Any]) -> float:
    """Store groups of sixteen; the wait for the disk costs no CPU and is not in it."""
    writer, taken = writer_for(runtime.database), []
    rows = [
        Row(
            decided_on=business_date(case.now),
            id=case.id,
            caller_id=_NOBODY,
            subject=case.asked.subject,
            product=case.asked.product,
            outcome=verdict.decision.outcome.name.lower(),
            strategy_hash="",
            snapshot=verdict.snapshot,
            answer=verdict.answer,
            decided_at=case.now,
        )
        for case, verdict in zip(cases, verdicts, strict=True)
    ]
    for start in range(0, len(rows), _GROUP):
        group = [
            Entry(caller_id=_NOBODY, key=row.id, payload_hash="", asked=(), rows=(row,))
            for row in rows[start : start + _GROUP]
        ]
        started = time.thread_time_ns()
        writer.store(group)
        taken.append((time.thread_time_ns() - started) / len(group))
    writer.close()
    return round(sorted(taken)[len(taken) // 4] / 1_000, 1)
