"""`fenqi bench decisions`: how many applications a second are decided, on disk before the answer.

Over HTTP with an API key: a vector of 3,000 dimensions and eight link counters looked up, thirty
rules, a card and 200 trees, evidence, one durable commit for each group. The yardstick is a JSON
POST that does nothing, in turns on the same gunicorn.
"""

import hashlib
import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Final

from sqlalchemy import func, select

from cli.bench.credit import LINK_KINDS, MODEL, PRODUCT, CreditWorld, application, links
from cli.bench.decision_parts import cost_of_parts
from cli.bench.figures import Asked, Figure, WrongAnswer, middle, surroundings
from cli.bench.stage import stage, web_server
from cli.bench.wrk import CONNECTIONS, NOOP_YARDSTICK, Load, Request, drive_in_turns, require_wrk
from kernel.api_keys import create_api_key
from kernel.database import bulk_insert, refresh_statistics
from kernel.runtime import Runtime
from risk.decisions.listed import make_list
from risk.decisions.strategies import publish_model, publish_strategy
from risk.features.blob import BlobCodec
from risk.models.reading import written_model
from risk.strategy.lists import STATUTORY_LISTS
from risk.tables import DecisionKey, DecisionRecord, FeatureVector, LinkValue

BUDGET: Final = {"figure": 2_000, "ratio": 0.33, "p99_ms": 100}

_SUBJECTS: Final = 1_000
_LINK_VALUES: Final = 2_000
_KEEP_EACH: Final = 20
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """Makes requests of subjects in turn; every one has a key of its own.

    Attributes:
        subjects: How many have a vector.
    """

    api_key: str
    subjects: int
    numbers: Iterator[int] = field(default_factory=count)
    chance: random.Random = field(default_factory=lambda: random.Random(2))  # noqa: S311 -- no secret

    def make(self, how_many: int) -> Iterator[Request]:
        """Write so many requests."""
        run = secrets.token_hex(4)
        for number in islice(self.numbers, how_many):
            headers = {
                "Authorization": f"Bearer {self.api_key}",
                "Idempotency-Key": f"{run}-{number}",
                "Content-Type": "application/json",
            }
            body = json.dumps(self.body(number), ensure_ascii=False)
            yield Request(path="/api/v1/decisions", headers=headers, body=body)

    def body(self, number: int) -> dict[str, Any]:
        """Write what one of them asks."""
        return {
            "subject": f"customer:{number % self.subjects}",
            "product": PRODUCT,
            "application": application(self.chance),
            "links": links(self.chance, _LINK_VALUES),
        }


def measure(asked: Asked) -> Figure:
    """Measure decisions against the no-op in alternating rounds."""
    require_wrk()
    subjects = asked.scale or _SUBJECTS
    with stage(asked.database) as on:
        world = CreditWorld()
        api_key = lay_world(on.runtime, world, subjects)
        asks = Applications(api_key=api_key, subjects=subjects)
        with web_server(on) as base:
            rounds = drive_in_turns(base, asks.make, seconds=asked.seconds, keep_each=_KEEP_EACH)
        checked = sum(_check(on.runtime, load) for _, load in rounds)
        stored = _check_stored(on.runtime, [load for _, load in rounds])
        parts = cost_of_parts(on.runtime, world.catalogue, asks.body)
    details = {"decisions_stored": stored, "answers_checked": checked, "subjects": subjects}
    return _figure(asked, rounds, details | {"parts_us": parts})


def lay_world(runtime: Runtime, world: CreditWorld, subjects: int) -> str:
    """Publish model and strategy, store vectors and counters; returns an API key."""
    now = runtime.clock.now()
    people: dict[str, Any] = {"author": "analyst", "approver": "manager"}
    codec = BlobCodec(world.catalogue)
    vectors = []
    for number in range(subjects):
        blob = codec.encode(world.values())
        digest = hashlib.sha256(blob).hexdigest()
        vectors.append(
            {
                "subject": f"customer:{number}",
                "known_at": now,
                "catalogue": world.catalogue.version,
                "digest": digest,
                "blob": blob,
            }
        )
    with runtime.database.write() as session:
        for name in STATUTORY_LISTS:
            make_list(session, name=name, now=now)
        document = written_model(world.model())
        publish_model(session, name=MODEL, document=document, now=now, **people)
        publish_strategy(
            session, document=world.strategy(), catalogue=world.catalogue, now=now, **people
        )
        bulk_insert(session, FeatureVector, vectors)
        bulk_insert(session, LinkValue, list(_link_rows(runtime)))
        refresh_statistics(session)
        _, key = create_api_key(
            session, name="bench", scopes=["decisions", "decisions:all-sources"], now=now
        )
    return key


def _link_rows(runtime: Runtime) -> Iterator[dict[str, Any]]:
    for kind in LINK_KINDS:
        for number in range(_LINK_VALUES):
            yield {
                "value_hash": runtime.cipher.blind_index(f"{kind}{number}", context=f"link.{kind}"),
                "kind": kind,
                "degree": 1 + number % 5,
                "bad": int(number % 500 == 0),
                "last_bad_at": None,
                "exempt": False,
            }


def _check(runtime: Runtime, load: Load) -> int:
    """Compare the kept answers with what is stored; returns how many.

    Raises:
        WrongAnswer: One of them differs or is not stored, or an answer is missing.
    """
    if load.failed or load.timed_out or not load.answers:
        raise WrongAnswer(f"{load.failed} failed, {load.timed_out} timed out")
    said = {}
    for status, body in load.answers:
        if status != _OK:
            raise WrongAnswer(f"HTTP {status}: {body[:200]}")
        decided = json.loads(body)
        if {"score", "probability"} & {n for n, v in decided["outputs"].items() if v is None}:
            raise WrongAnswer("a decision was made without card or trees")
        said[decided["id"]] = body
    with runtime.database.read() as session:
        rows = session.execute(
            select(DecisionRecord.id, DecisionRecord.answer).where(DecisionRecord.id.in_(said))
        )
        if {row.id: row.answer for row in rows} != said:
            raise WrongAnswer("an answer is not stored as it was given")
    return len(said)


def _check_stored(runtime: Runtime, loads: list[Load]) -> int:
    """Make sure that at least what was answered is stored, each under a key of its own."""
    with runtime.database.read() as session:
        decisions = session.scalar(select(func.count()).select_from(DecisionRecord)) or 0
        keys = session.scalar(select(func.count()).select_from(DecisionKey)) or 0
    answered = sum(load.requests for load in loads)
    if decisions != keys or decisions < answered:
        raise WrongAnswer(f"{answered} answered, {keys} keys, {decisions} decisions")
    return decisions


def _figure(asked: Asked, rounds: list[tuple[Load, Load]], details: dict[str, Any]) -> Figure:
    noop = middle([noop.rate for noop, _ in rounds])
    figure = middle([load.rate for _, load in rounds])
    ratio, p99 = round(figure / noop, 4), middle([load.p99_ms for _, load in rounds])
    more: dict[str, Any] = {
        "noop_per_s": noop,
        "noop_p99_ms": middle([noop.p99_ms for noop, _ in rounds]),
        "p50_ms": middle([load.p50_ms for _, load in rounds]),
        "rounds": [[round(noop.rate, 1), round(load.rate, 1)] for noop, load in rounds],
        "seconds": asked.seconds,
        "connections": CONNECTIONS,
        "budget": BUDGET,
        "is_within_budget": figure >= BUDGET["figure"]
        and ratio >= BUDGET["ratio"]
        and p99 < BUDGET["p99_ms"],
    }
    return Figure(
        name="decisions",
        figure=figure,
        unit="decisions/s",
        yardstick=NOOP_YARDSTICK,
        ratio=ratio,
        p99_ms=p99,
        details=more | details | surroundings(),
    )
