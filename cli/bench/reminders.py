"""`fenqi bench reminders`: how fast reminders are planned, and claimed and sent to a provider.

A peak day on a demo book in which everybody's next instalment falls due within the week. Planning
is contact's one statement; sending is what the sender process does: claims, gate, real ports,
signed calls, outcomes. Yardsticks of the same run: a bare INSERT … SELECT of the same rows, and a
loop of bare POSTs to the same provider from as many threads.
"""

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import Date, Integer, Select, String, cast, func, literal, select, text

import contact.jobs
from cli.bench.figures import ROUNDS, Asked, Figure, NotMeasured, WrongAnswer, middle, surroundings
from cli.bench.stage import Stage, child, seed_book, stage
from contact.channels.sms import AliyunSms
from contact.channels.transport import Transport
from contact.model import Channel, Purpose, State
from contact.operations import plan_contacts
from contact.ports import SmsProvider
from contact.queries import active_addresses, template_versions
from contact.tables import Contact
from kernel.clock import FixedClock, business_date, start_of_day
from kernel.database import Instant
from kernel.jobs import SEND_QUEUE, bind, enqueue, job, queue_of
from kernel.runtime import Runtime
from servicing.queries import due_select

BUDGET: Final = {"planned_per_s": 20_000, "sent_per_s": 1_000, "rq_share": 0.05}

_BORROWERS: Final = 6_000
_DAYS: Final = 15
_SOON: Final = 7
_TEMPLATE: Final = "due_soon"
_TEN: Final = timedelta(hours=10)
_SENDER_THREADS: Final = 16
_CLAIM: Final = 200
_JOBS: Final = 200
_FALL_DUE_SOON: Final = text("""
    UPDATE instalment SET due_on = CAST(:on AS date) + CAST(loan_id % :days AS integer)
    FROM (SELECT loan_id AS loan, min(n) AS first FROM instalment
          WHERE settled_on IS NULL GROUP BY loan_id) AS unpaid
    WHERE loan_id = loan AND n = first
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Rates of one round, each a second."""

    planned: float
    copied: float
    sent: float
    posted: float


def measure(asked: Asked) -> Figure:
    """Measure planning and sending in rounds, each beside its yardstick."""
    with stage(asked.database) as on, _provider(on) as base:
        runtime = _at_ten(on, base)
        seed_book(runtime, asked.scale or _BORROWERS)
        _fall_due_soon(runtime)
        rounds, reminders = [], 0
        for number in range(ROUNDS):
            one, sent = _round(runtime, base, number)
            rounds.append(one)
            reminders += sent
        _check(runtime, base, reminders)
        return _figure(rounds, reminders, rq_ms=_rq_ms(runtime))


def _at_ten(on: Stage, base: str) -> Runtime:
    """Make a runtime at ten in the morning, when reminders may go out, that calls the provider."""
    clock = FixedClock(start_of_day(business_date(on.runtime.clock.now())) + _TEN)
    settings = replace(on.runtime.settings, sms_api_base=base)
    runtime = replace(on.runtime, clock=clock, settings=settings)
    runtime.provide(SmsProvider, AliyunSms(settings=settings, clock=clock))
    return runtime


@contextmanager
def _provider(on: Stage) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        command = ("cli.bench.provider", str(listener.fileno()))
        log = on.folder / "provider.log"
        with child(command, on.environ, log, pass_fds=(listener.fileno(),)):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def _fall_due_soon(runtime: Runtime) -> None:
    """Let the next instalment of each loan fall due within the week."""
    on = business_date(runtime.clock.now())
    with runtime.database.write() as session:
        session.execute(_FALL_DUE_SOON, {"on": on, "days": _SOON})
        session.execute(text("ANALYZE"))


def _round(runtime: Runtime, base: str, number: int) -> tuple[Round, int]:
    """Plan for every third customer and two weeks, copy the rows, send today's, post as many."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        version = template_versions(session)[_TEMPLATE, Channel.SMS, Purpose.SERVICE_REMINDER]
        wanted = _wanted(business_date(now), now, version, number)
        started = time.perf_counter()
        planned = plan_contacts(session, select=wanted, now=now)
    planned_s = time.perf_counter() - started
    copied_s = _copy(runtime, planned)
    with runtime.database.read() as session:
        due = select(func.count()).where(Contact.state == State.READY, Contact.not_before <= now)
        today = session.scalar(due) or 0
    if not today:
        raise NotMeasured("nobody is to be reminded; try a larger --scale")
    started = time.perf_counter()
    contact.jobs.send(runtime)
    sent_s = time.perf_counter() - started
    posted_s = _post(base, today)
    return Round(
        planned=planned / planned_s,
        copied=planned / copied_s,
        sent=today / sent_s,
        posted=today / posted_s,
    ), today


def _wanted(on: date, now: datetime, version: int, number: int) -> Select[Any]:
    """Select a reminder a day for each third customer with a phone and something due soon."""
    until = on + timedelta(days=_SOON)
    due = due_select(on=on, until=until, purpose=Purpose.SERVICE_REMINDER).subquery("due")
    reached = active_addresses().subquery("reached")
    days = func.generate_series(0, _DAYS - 1).table_valued("ahead").render_derived()
    a_day = func.make_interval(0, 0, 0, days.c.ahead)
    return (
        select(
            reached.c.customer_id,
            reached.c.address_id,
            literal(str(Channel.SMS), String).label("channel"),
            literal(str(Purpose.SERVICE_REMINDER), String).label("purpose"),
            (literal(on, Date) + cast(days.c.ahead, Integer)).label("day"),
            literal(_TEMPLATE, String).label("template_code"),
            literal(version, Integer).label("template_version"),
            (literal(now, Instant) + a_day).label("not_before"),
            (literal(start_of_day(on) + timedelta(days=1), Instant) + a_day).label("expires_at"),
            cast(func.json_build_object("due_on", due.c.last_due_on), String).label("facts"),
        )
        .join(due, due.c.customer_id == reached.c.customer_id)
        .join(days, literal(value=True))
        .where(reached.c.channel_kind == "phone", reached.c.customer_id % ROUNDS == number)
    )


def _copy(runtime: Runtime, rows: int) -> float:
    """Insert the rows just planned into a table of the same make; returns the seconds."""
    with runtime.database.write() as session:
        session.execute(text("CREATE TABLE bench_copy (LIKE contact INCLUDING ALL)"))
    started = time.perf_counter()
    with runtime.database.write() as session:
        session.execute(
            text("INSERT INTO bench_copy SELECT * FROM contact ORDER BY id DESC LIMIT :rows"),
            {"rows": rows},
        )
        session.execute(text("ANALYZE bench_copy"))
    seconds = time.perf_counter() - started
    with runtime.database.write() as session:
        session.execute(text("DROP TABLE bench_copy"))
    return seconds


def _post(base: str, how_many: int) -> float:
    """Send as many bare POSTs from as many threads as the sender has; returns the seconds."""
    transport = Transport(base)
    started = time.perf_counter()
    with ThreadPoolExecutor(_SENDER_THREADS) as pool:
        for answer in pool.map(lambda _: transport.request("POST", "/bare"), range(how_many)):
            answer.json()
    return time.perf_counter() - started


def _check(runtime: Runtime, base: str, reminders: int) -> None:
    """Compare what the provider took with what the tables say.

    Raises:
        WrongAnswer: Not each of them went out once.
    """
    with urllib.request.urlopen(base, timeout=5) as response:  # noqa: S310 -- loopback
        taken = json.load(response)
    with runtime.database.read() as session:
        sent = session.scalar(select(func.count()).where(Contact.state == State.SENT))
    if not reminders == sent == taken["messages"] == taken["out_ids"]:
        raise WrongAnswer(f"of {reminders} reminders {sent} are noted as sent; taken: {taken}")


@job(queue=SEND_QUEUE)
def do_nothing(_runtime: Runtime) -> None:
    """Do nothing, to measure what the queue itself costs."""


class _QuietWorker(SimpleWorker):
    """A sender's worker that leaves signals to the bench."""

    def _install_signal_handlers(self) -> None:
        pass


def _rq_ms(runtime: Runtime) -> float:
    """Measure what queueing, fetching and finishing a job costs, work apart."""
    bind(runtime)
    queue = queue_of(runtime, SEND_QUEUE)
    started = time.perf_counter()
    for _ in range(_JOBS):
        enqueue(runtime, do_nothing)
    worker = _QuietWorker([queue], connection=runtime.redis, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="WARNING")
    return (time.perf_counter() - started) * 1000 / _JOBS


def _figure(rounds: list[Round], reminders: int, *, rq_ms: float) -> Figure:
    planned = middle([one.planned for one in rounds])
    copied = middle([one.copied for one in rounds])
    sent = middle([one.sent for one in rounds])
    posted = middle([one.posted for one in rounds])
    claim_ms = _CLAIM / sent * 1000
    share = round(rq_ms / (rq_ms + claim_ms), 4)
    is_within = (
        planned >= BUDGET["planned_per_s"]
        and sent >= BUDGET["sent_per_s"]
        and share < BUDGET["rq_share"]
    )
    details: dict[str, Any] = {
        "planned_per_s": planned,
        "plan_yardstick": "INSERT … SELECT of the same rows, same indexes, no foreign key",
        "copied_per_s": copied,
        "plan_ratio": round(planned / copied, 4),
        "posted_per_s": posted,
        "rq_ms_per_job": round(rq_ms, 3),
        "rq_share": share,
        "rq_share_of": f"a job for each claim of {_CLAIM}; a real one goes on for 100 s",
        "reminders": reminders,
        "rounds": [
            [round(one.planned), round(one.copied), round(one.sent), round(one.posted)]
            for one in rounds
        ],
        "budget": BUDGET,
        "is_within_budget": is_within,
    }
    return Figure(
        name="reminders",
        figure=sent,
        unit="reminders sent/s",
        yardstick=f"bare POSTs to the same provider from {_SENDER_THREADS} threads",
        ratio=round(sent / posted, 4),
        p99_ms=None,
        details=details | surroundings(),
    )
