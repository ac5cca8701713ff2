"""`fenqi bench replay`: how long a payment takes that belongs to last year, and reading a loan.

Every payment is of a 24-month loan with a year and more of payments behind it, and its value date
lies before most of them, so the whole loan is told anew: events read, replayed before and after,
instalments, ledger and news written, on disk. The yardstick is one row that is inserted and
committed. Loans are read as their borrowers do, in their first days and, the same ones, when 700
days of payments lie behind them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from statistics import quantiles
from typing import Final

from sqlalchemy import func, select

from cli.bench.figures import Asked, Figure, NotMeasured, WrongAnswer, middle, surroundings
from cli.bench.stage import seed_book, stage
from kernel.clock import business_date
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from servicing import operations, queries
from servicing.tables import Instalment, Loan, LoanEvent

BUDGET: Final = {"p50_ms": 20, "old_to_young": 1.5}

_BORROWERS: Final = 2_000
_TERMS: Final = 24
_LEAST_EVENTS: Final = 12
_MOST: Final = 200
_PAID_FOR: Final = 6
_READS: Final = 20
_READ: Final = 20
_YOUNG: Final = timedelta(days=31)
_OLD: Final = timedelta(days=700)
_NOON: Final = clock_time(4)  # in Shanghai


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One that came late: half of what the sixth instalment asked for, on its due date."""

    loan_id: int
    amount_fen: int
    value_date: date


def measure(asked: Asked) -> Figure:
    """Post payments that came late, then read loans young and read them old."""
    with stage(asked.database) as on:
        runtime = on.runtime
        seed_book(runtime, asked.scale or _BORROWERS)
        payments = _payments(runtime)
        cpu_before = time.process_time()
        posted = [_post(runtime, payment) for payment in payments]
        cpu_ms = (time.process_time() - cpu_before) * 1_000 / len(posted)
        inserted = [_insert(runtime) for _ in payments]
        reads = _reads(runtime)
        _prove(runtime, payments)
    return _figure(posted, inserted, reads, cpu_ms)


def _payments(runtime: Runtime) -> list[Payment]:
    """Find running loans of 24 months with a year behind them, and what each pays once more."""
    told = (
        select(LoanEvent.loan_id).group_by(LoanEvent.loan_id).having(func.count() >= _LEAST_EVENTS)
    )
    chosen = (
        select(Loan.id, Instalment.principal_fen + Instalment.interest_fen, Instalment.due_on)
        .join(Instalment, Instalment.loan_id == Loan.id)
        .where(
            Loan.state == "active",
            Loan.terms == _TERMS,
            Loan.id.in_(told),
            Instalment.n == _PAID_FOR,
        )
        .order_by(Loan.id)
        .limit(_MOST)
    )
    with runtime.database.read() as session:
        found = session.execute(chosen).all()
    if not found:
        raise NotMeasured("the book has no such loan; try a larger --scale")
    return [Payment(loan_id=loan, amount_fen=fen // 2, value_date=on) for loan, fen, on in found]


def _post(runtime: Runtime, payment: Payment) -> float:
    """Post one with its commit; returns the seconds."""
    started = time.perf_counter()
    with runtime.database.write() as session:
        operations.post_repayment(
            session,
            loan_id=payment.loan_id,
            amount_fen=payment.amount_fen,
            value_date=payment.value_date,
            key=_key(payment),
            now=runtime.clock.now(),
        )
    return time.perf_counter() - started


def _key(payment: Payment) -> str:
    return f"bench-{payment.loan_id}"


def _insert(runtime: Runtime) -> float:
    now, started = runtime.clock.now(), time.perf_counter()
    with runtime.database.write() as session:
        row = OutboxRow(event="Bench", payload={}, recorded_at=now, relayed_at=now)
        session.add(row)
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True, kw_only=True)
class Young:
    """A loan that has just begun."""

    id: int
    customer_id: int
    disbursed_on: date


def _reads(runtime: Runtime) -> dict[str, float]:
    """Read loans, let every second one live, read all again; the others say how busy it was.

    Returns:
        The median milliseconds of a read on day 1 and on day 700, and of the others then.
    """
    today, loans = business_date(runtime.clock.now()), _young(runtime)
    living, resting = loans[::2], loans[1::2]
    days = dict.fromkeys(loans, today)
    young = _read(runtime, days)
    for loan in living:
        _live(runtime, loan)
        days[loan] = loan.disbursed_on + _OLD
    old = _read(runtime, days)
    return {
        "day_1": middle([young[loan] for loan in living]),
        "day_700": middle([old[loan] for loan in living]),
        "others_day_1": middle([young[loan] for loan in resting]),
        "others_day_700": middle([old[loan] for loan in resting]),
    }


def _young(runtime: Runtime) -> list[Young]:
    since = business_date(runtime.clock.now()) - _YOUNG
    chosen = (
        select(Loan.id, Loan.customer_id, Loan.disbursed_on)
        .where(Loan.state == "active", Loan.terms == _TERMS, Loan.disbursed_on >= since)
        .order_by(Loan.disbursed_on, Loan.id)
        .limit(_READ)
    )
    with runtime.database.read() as session:
        found = session.execute(chosen).all()
    if len(found) < _READ:
        raise NotMeasured("the book has too few young loans; try a larger --scale")
    return [Young(id=loan, customer_id=of, disbursed_on=on) for loan, of, on in found]


def _live(runtime: Runtime, loan: Young) -> None:
    """Pay every instalment of its first 700 days when it falls due."""
    with runtime.database.read() as session:
        view = queries.loan_of(
            session, loan_id=loan.id, customer_id=loan.customer_id, on=loan.disbursed_on
        )
    for row in view.plan:
        if row.outstanding_fen and row.due_on <= loan.disbursed_on + _OLD:
            with runtime.database.write() as session:
                operations.post_repayment(
                    session,
                    loan_id=loan.id,
                    amount_fen=row.outstanding_fen,
                    value_date=row.due_on,
                    key=f"bench-{loan.id}/{row.n}",
                    now=datetime.combine(row.due_on, _NOON, UTC),
                )


def _read(runtime: Runtime, days: Mapping[Young, date]) -> dict[Young, float]:
    """Read each loan as its borrower does on a day, in turns; returns median milliseconds."""
    taken: dict[Young, list[float]] = {loan: [] for loan in days}
    with runtime.database.read() as session:
        for loan, on in [asked for _ in range(_READS) for asked in days.items()]:
            started = time.perf_counter()
            queries.loan_of(session, loan_id=loan.id, customer_id=loan.customer_id, on=on)
            taken[loan].append((time.perf_counter() - started) * 1_000)
    return {loan: middle(times) for loan, times in taken.items()}


def _prove(runtime: Runtime, payments: Sequence[Payment]) -> None:
    with runtime.database.read() as session:
        known = session.scalars(
            select(LoanEvent.key).where(LoanEvent.key.in_([_key(one) for one in payments]))
        ).all()
        differences = operations.prove_books(session, replayed=len(payments))
    if len(known) != len(payments):
        raise WrongAnswer(f"{len(payments)} payments were posted, {len(known)} are known")
    if differences:
        raise WrongAnswer(f"the books differ: {differences[0]}")


def _figure(
    posted: Sequence[float], inserted: Sequence[float], reads: dict[str, float], cpu_ms: float
) -> Figure:
    figure, bare = (middle([1 / one for one in taken]) for taken in (posted, inserted))
    p50_ms = middle([one * 1_000 for one in posted])
    busier = reads["others_day_700"] / reads["others_day_1"]
    old_to_young = round(reads["day_700"] / reads["day_1"] / busier, 2)
    details = {
        "p50_ms": p50_ms,
        "cpu_ms": round(cpu_ms, 2),
        "inserted_per_s": bare,
        "payments": len(posted),
        "read_ms": reads,
        "old_to_young": old_to_young,
        "budget": BUDGET,
        "is_within_budget": p50_ms < BUDGET["p50_ms"] and old_to_young < BUDGET["old_to_young"],
    }
    return Figure(
        name="replay",
        figure=figure,
        unit="backdated payments/s",
        yardstick="one row inserted and committed",
        ratio=round(figure / bare, 4),
        p99_ms=round(quantiles([*posted, *posted], n=100)[-1] * 1_000, 2),
        details=details | surroundings(),
    )
