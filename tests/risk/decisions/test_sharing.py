"""Counters of shared values are kept as facts are told, and are what the facts say."""

import json
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

from click.testing import CliRunner
from sqlalchemy import delete, select, update

from cli import commands
from kernel.clock import business_date
from kernel.database import Database
from kernel.runtime import Runtime
from risk.decisions.rebuilding import Rebuilt, rebuild_piece
from risk.decisions.sharing import (
    BAD_FOR,
    COUNTED_FOR,
    SEEN_FOR,
    lapse_shared,
    value_hash,
)
from risk.operations import Fact, Granted, record_facts, record_granted, shared_values
from risk.tables import CountedEvent, LinkEdge, LinkValue

Counters = dict[str, tuple[int, int, datetime | None, bool]]


def applied(
    runtime: Runtime, subject: int, *, at: datetime | None = None, number: int = 0, **values: str
) -> Fact:
    at = at or runtime.clock.now()
    return Fact(
        key=f"application:{subject}/{number}",
        subject=f"customer:{subject}",
        kind="application",
        happened_at=at,
        known_at=at,
        shared=shared_values(runtime.cipher, values),
    )


def judged(
    runtime: Runtime, subject: int, *, is_bad: bool | None, of: str = "loan:1", n: int = 0
) -> Granted:
    now = runtime.clock.now()
    return Granted(
        key=f"{of}/{subject}/{n}",
        of=of,
        subject=f"customer:{subject}",
        decision_id=None,
        is_bad=is_bad,
        happened_at=now,
        known_at=now,
    )


def tell(runtime: Runtime, *told: Fact | Granted) -> None:
    with runtime.database.write() as session:
        record_facts(session, facts=[each for each in told if isinstance(each, Fact)])
        record_granted(session, granted=[each for each in told if isinstance(each, Granted)])


def counters(database: Database) -> Counters:
    with database.read() as session:
        rows = session.scalars(select(LinkValue))
        return {row.value_hash: (row.degree, row.bad, row.last_bad_at, row.exempt) for row in rows}


def of(runtime: Runtime, kind: str, value: str) -> tuple[int, int, bool]:
    found = counters(runtime.database)[value_hash(runtime.cipher, kind=kind, value=value)]
    return found[0], found[1], found[3]


class TestKeeping:
    def test_counts_who_shares_and_who_of_them_is_bad(self, runtime: Runtime) -> None:
        tell(runtime, *(applied(runtime, n, device="ABC-1", phone=f"1{n}") for n in (1, 2, 3)))
        tell(runtime, applied(runtime, 3, device="abc１", number=1))
        assert of(runtime, "device", "abc1") == (3, 0, False)
        tell(runtime, judged(runtime, 2, is_bad=True), judged(runtime, 3, is_bad=False))
        assert of(runtime, "device", "abc1") == (3, 1, False)
        assert of(runtime, "phone", "12") == (1, 1, False)

    def test_a_fact_told_twice_counts_once(self, runtime: Runtime) -> None:
        for _ in range(2):
            tell(runtime, applied(runtime, 1, device="d"), judged(runtime, 1, is_bad=True))
        assert of(runtime, "device", "d") == (1, 1, False)

    def test_who_was_bad_before_brings_it_along(self, runtime: Runtime) -> None:
        tell(runtime, judged(runtime, 1, is_bad=True))
        tell(runtime, applied(runtime, 1, device="d"))
        assert of(runtime, "device", "d") == (1, 1, False)

    def test_a_judgement_taken_back_counts_no_more_but_another_loan_does(
        self, runtime: Runtime
    ) -> None:
        tell(runtime, applied(runtime, 1, device="d"), judged(runtime, 1, is_bad=True))
        tell(runtime, judged(runtime, 1, is_bad=True, of="loan:2"))
        tell(runtime, judged(runtime, 1, is_bad=None, n=1))
        assert of(runtime, "device", "d") == (1, 1, False)
        tell(runtime, judged(runtime, 1, is_bad=False, of="loan:2", n=1))
        assert of(runtime, "device", "d") == (1, 0, False)

    def test_a_crowded_place_links_nobody_and_a_crowded_device_does(self, runtime: Runtime) -> None:
        tell(runtime, *(applied(runtime, n, wifi="mall", device="box") for n in range(9)))
        assert of(runtime, "wifi", "mall") == (9, 0, True)
        assert of(runtime, "device", "box") == (9, 0, False)


class TestLapsing:
    def lapse(self, runtime: Runtime) -> int:
        on = business_date(runtime.clock.now())
        with runtime.database.write() as session:
            return lapse_shared(session, on=on)

    def test_forgets_after_a_year_unless_seen_again(self, runtime: Runtime) -> None:
        clock: Any = runtime.clock
        tell(runtime, applied(runtime, 1, device="d"), applied(runtime, 2, device="d"))
        clock.advance(SEEN_FOR)
        tell(runtime, applied(runtime, 2, device="d", number=1))
        self.lapse(runtime)
        assert of(runtime, "device", "d") == (2, 0, False)
        clock.advance(timedelta(days=2))
        assert self.lapse(runtime)
        assert of(runtime, "device", "d") == (1, 0, False)
        assert not self.lapse(runtime)

    def test_forgives_after_two_years(self, runtime: Runtime) -> None:
        clock: Any = runtime.clock
        tell(runtime, judged(runtime, 1, is_bad=True))
        clock.advance(BAD_FOR)
        tell(runtime, applied(runtime, 1, device="d"))
        assert of(runtime, "device", "d") == (1, 1, False)
        clock.advance(timedelta(days=2))
        self.lapse(runtime)
        assert of(runtime, "device", "d") == (1, 0, False)

    def test_drops_events_that_no_window_reaches(self, runtime: Runtime) -> None:
        clock: Any = runtime.clock
        tell(runtime, applied(runtime, 1, device="d"))
        clock.advance(COUNTED_FOR + timedelta(days=2))
        assert self.lapse(runtime) == 1
        with runtime.database.read() as session:
            assert session.scalars(select(CountedEvent)).all() == []
            assert len(session.scalars(select(LinkEdge)).all()) == 1


def story(runtime: Runtime) -> Iterator[list[Fact | Granted]]:
    """Many facts in some order: forty people, few devices, some of them bad for a while."""
    random, clock = Random(7), runtime.clock  # noqa: S311 -- no secret
    for number in range(60):
        clock.advance(timedelta(days=random.randint(0, 20)))  # type: ignore[attr-defined]
        who = random.randint(1, 40)
        told: list[Fact | Granted] = [
            applied(
                runtime,
                who,
                number=number,
                device=f"d{random.randint(1, 9)}",
                wifi=f"w{random.randint(1, 3)}",
            )
        ]
        if random.random() < 0.4:
            is_bad = random.choice((True, False, None))
            told.append(judged(runtime, random.randint(1, 40), is_bad=is_bad, n=number))
        yield told


def by_hand(told: list[Fact | Granted], now: datetime) -> dict[str, tuple[int, int]]:
    """Count degree and bad of every value straight from what was told."""
    midnight = now.replace(hour=16, minute=0) - timedelta(days=1)
    seen: dict[tuple[str, str], datetime] = {}
    last: dict[tuple[str, str], Granted] = {}
    for each in told:
        if isinstance(each, Fact):
            for hashed in each.shared.values():
                seen[hashed, each.subject] = each.happened_at
        else:
            last[each.subject, each.of] = each
    bad: dict[str, datetime] = {}
    for (subject, _), word in last.items():
        if word.is_bad and word.happened_at >= midnight - BAD_FOR:
            bad[subject] = max(word.happened_at, bad.get(subject, word.happened_at))
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (hashed, subject), at in seen.items():
        if at >= midnight - SEEN_FOR:
            found[hashed][0] += 1
            found[hashed][1] += subject in bad
    return {hashed: (degree, bad_) for hashed, (degree, bad_) in found.items()}


def counted_events(database: Database) -> set[tuple[str, str]]:
    with database.read() as session:
        rows = session.execute(select(CountedEvent.fact_key, CountedEvent.value_hash))
        return {(row.fact_key, row.value_hash) for row in rows}


def ruin(runtime: Runtime) -> None:
    """Lose some of what was kept, and have some that nobody told."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        edges = session.scalars(select(LinkEdge).order_by(LinkEdge.subject)).all()
        for edge in edges[::3]:
            session.delete(edge)
        for edge in edges[1::3]:
            edge.bad_at = None if edge.bad_at else now
        session.execute(delete(CountedEvent).where(CountedEvent.fact_key.like("%/1%")))
        session.execute(update(LinkValue).values(degree=0, bad=0))
        gone = {"value_hash": "gone", "kind": "device"}
        session.add(LinkEdge(**gone, subject="customer:999", seen_at=now, bad_at=None))
        session.add(LinkValue(**gone, degree=5, bad=5, last_bad_at=now, exempt=False))
        session.add(
            CountedEvent(fact_key="never", value_hash="gone", event="application", happened_at=now)
        )


def rebuild(runtime: Runtime, *, broken_off: bool = True) -> list[Rebuilt]:
    """Rebuild in small pieces; each third dies before it is kept and is done again."""
    found, n = [], 0
    while True:
        n += 1
        with suppress(KeyboardInterrupt), runtime.database.write() as session:
            made = rebuild_piece(session, now=runtime.clock.now(), at_once=7)
            if made is not None and broken_off and n % 3 == 0:
                raise KeyboardInterrupt
            if made is None:
                return found
            found.append(made)


def test_kept_rebuilt_and_counted_by_hand_are_the_same(runtime: Runtime) -> None:
    told: list[Fact | Granted] = []
    on = business_date(runtime.clock.now())
    for some in story(runtime):
        told += some
        tell(runtime, *some)
        on = business_date(runtime.clock.now())
        with runtime.database.write() as session:
            while lapse_shared(session, on=on, at_once=3):
                pass
    kept, events = counters(runtime.database), counted_events(runtime.database)
    ruin(runtime)
    rebuild(runtime)
    gone = {"gone": (0, 0, None, False)}
    assert counters(runtime.database) == kept | gone
    assert counted_events(runtime.database) == events
    counted = {hashed: (degree, bad) for hashed, (degree, bad, _, _) in kept.items() if degree}
    assert counted == by_hand(told, runtime.clock.now())
    assert any(bad for _, bad in counted.values())


def test_a_rebuild_says_how_far_it_is_and_begins_anew_once_it_has_ended(runtime: Runtime) -> None:
    tell(runtime, *(applied(runtime, n, device="d") for n in range(10)))
    for _ in range(2):
        said = [(each.step, each.done, each.total) for each in rebuild(runtime, broken_off=False)]
        assert said[:5] == [
            ("edges", 7, 10),
            ("edges", 10, 10),
            ("edges", 10, 10),
            ("facts", 7, 10),
            ("facts", 10, 10),
        ]
        assert said[-1] == ("lapsed", 0, 0)
    assert of(runtime, "device", "d") == (10, 0, False)


def test_the_command_rebuilds_and_says_so(runtime: Runtime, monkeypatch: Any) -> None:
    tell(runtime, *(applied(runtime, n, device="d") for n in range(3)))
    ruin(runtime)
    monkeypatch.setattr("cli._runtime", lambda: runtime)
    made = CliRunner().invoke(commands, ["risk", "rebuild-links"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["facts"] == 3
    assert "facts 3 of 3" in made.stderr
    assert of(runtime, "device", "d") == (3, 0, False)


def test_many_at_once_add_up(runtime: Runtime) -> None:
    def one(number: int) -> None:
        tell(
            runtime, applied(runtime, number, device=f"d{number % 2}", wifi="w", phone=f"{number}")
        )
        tell(runtime, applied(runtime, number, number=1, device="d0", wifi="w"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(24)))
    assert of(runtime, "wifi", "w") == (24, 0, True)
    assert of(runtime, "device", "d0") == (24, 0, False)
    assert of(runtime, "device", "d1") == (12, 0, False)
