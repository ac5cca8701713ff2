"""Servicing's background work; each job is one operation. The judge is given at the root."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

from sqlalchemy.orm import Session

from kernel.clock import business_date
from kernel.errors import FenqiError
from kernel.jobs import DECISION_QUEUE, EVIDENCE_QUEUE, enqueue, job
from kernel.logs import log
from kernel.retention import forget
from kernel.runtime import Runtime
from risk.ports import (
    PROMISED_S,
    DecisionProductUnknown,
    EvidencePlan,
    Subsystem,
    SubsystemFailed,
    Subsystems,
)
from risk.queries import evidence_plan
from servicing import operations, queries
from servicing.model import NO_STRATEGY
from servicing.operations.applications.metrics import CALLS, DECIDED_SECONDS
from servicing.ports import Decide, Decision, DeclinesAnyway, GradeAccounts
from servicing.retention import KEPT

# Between two calls of one inquiry: once and a half as long at most, so that many spread out.
_PAUSE_S: Final = 1


@job(queue=DECISION_QUEUE)
def gather_evidence(runtime: Runtime, *, application_id: int) -> None:
    """Plan whom to ask about an application, and begin; safe to repeat."""
    now = runtime.clock.now()
    with runtime.database.read() as session:
        plan = _plan(runtime, session, application_id)
    with runtime.database.write() as session:
        waiting = operations.start_gathering(
            session, application_id=application_id, plan=plan, now=now
        )
        if waiting is not None:
            operations.tell_application(
                session, runtime.cipher, application_id=application_id, now=now
            )
    if waiting is not None:
        _ask(runtime, application_id, waiting)
    if waiting == ():
        enqueue(runtime, decide_application, application_id=application_id)


@job(queue=EVIDENCE_QUEUE, timeout_s=PROMISED_S)
def ask_subsystem(runtime: Runtime, *, application_id: int, subsystem: str) -> None:
    """Make one inquiry, a few times if need be; the last to be settled starts what comes next."""
    with runtime.database.write() as session:
        turn = operations.begin_inquiry(
            session,
            runtime.cipher,
            application_id=application_id,
            subsystem=subsystem,
            now=runtime.clock.now(),
        )
    if turn is None:
        return
    attempts, values, failure = _asked(runtime.get(Subsystems).find(subsystem), turn)
    with runtime.database.write() as session:
        progress = operations.settle_inquiry(
            session,
            application_id=application_id,
            subsystem=subsystem,
            attempts=attempts,
            values=values,
            failure=failure,
            now=runtime.clock.now(),
        )
    _go_on(runtime, application_id, progress)


@job(queue=DECISION_QUEUE)
def ask_further(runtime: Runtime, *, application_id: int) -> None:
    """Begin the next step of inquiries, unless the application is declined whatever they say."""
    with runtime.database.read() as session:
        question = queries.question_so_far(
            session, runtime.cipher, application_id=application_id, now=runtime.clock.now()
        )
        pending = queries.still_asked(session, application_id=application_id)
    if question is None:
        return
    is_declined = _declines_anyway(runtime, question, pending)
    with runtime.database.write() as session:
        progress = operations.start_step(
            session,
            application_id=application_id,
            is_declined=is_declined,
            now=runtime.clock.now(),
        )
        waiting = operations.waiting_inquiries(session, application_id=application_id)
    _ask(runtime, application_id, waiting)
    _go_on(runtime, application_id, progress)


@job(queue=DECISION_QUEUE)
def decide_application(runtime: Runtime, *, application_id: int) -> None:
    """Have an application decided once nothing is waited for; decided ones stay as they are.

    A product that no strategy decides is a person's.
    """
    with runtime.database.read() as session:
        question = queries.question_of(
            session, runtime.cipher, application_id=application_id, now=runtime.clock.now()
        )
    if question is None:
        return
    decision = _decision(runtime, question)
    now = runtime.clock.now()
    with runtime.database.write() as session:
        if decision is None:
            state = operations.refer_application(
                session, application_id=application_id, reason=NO_STRATEGY, now=now
            )
        else:
            state = operations.decide_application(
                session, application_id=application_id, decision=decision, now=now
            )
        found = queries.application_of(session, application_id=application_id)
    if found is not None:
        DECIDED_SECONDS.labels(str(state)).observe((now - found.submitted_at).total_seconds())
    log.info("application decided", application_id=application_id, state=state)


@job()
def resume_applications(runtime: Runtime) -> None:
    """Take up applications that a crash left undone, and alert staff of what is overdue."""
    with runtime.database.write() as session:
        stuck = operations.find_stuck(session, now=runtime.clock.now())
        operations.alert_overdue_reviews(session, now=runtime.clock.now())
    for application_id in stuck.to_gather:
        enqueue(runtime, gather_evidence, application_id=application_id)
    for application_id in stuck.to_go_on:
        enqueue(runtime, ask_further, application_id=application_id)
    for application_id, subsystem in stuck.to_ask:
        enqueue(runtime, ask_subsystem, application_id=application_id, subsystem=subsystem)
    for application_id in stuck.to_decide:
        enqueue(runtime, decide_application, application_id=application_id)


@job(timeout_s=3600)
def close_day(runtime: Runtime, *, on: str) -> None:
    """Close a business date: lateness, classes, due income, grades, frozen lines."""
    counts = operations.close_day(runtime, on=date.fromisoformat(on), grade=_grader(runtime))
    log.info("day closed", on=on, **counts)


@job(timeout_s=3600)
def tell_outcomes(runtime: Runtime, *, on: str) -> None:
    """Tell risk what loans have come to by a closed date; the same date twice tells nothing."""
    told = operations.tell_outcomes(runtime, on=date.fromisoformat(on))
    log.info("outcomes told", on=on, outcomes=told)


@job()
def end_what_is_over(runtime: Runtime) -> None:
    """Let offers and undrawn tranches lapse, lines follow their days, and holds end."""
    now = runtime.clock.now()
    on = business_date(now)
    ended: dict[str, int] = {}
    for name, end in (
        ("offers", partial(operations.lapse_offers, on=on)),
        ("lines", operations.turn_lines),
        ("undrawn", partial(operations.lapse_undrawn, on=on)),
        ("holds", operations.expire_holds),
    ):
        with runtime.database.write() as session:
            ended[name] = end(session, now=now)
    if any(ended.values()):
        log.info("what was over ended", **ended)


@job(timeout_s=3600)
def resume_days(runtime: Runtime) -> None:
    """Go on with days whose worker died, share in those that run, try failed loans again."""
    aged = operations.resume_days(runtime, grade=_grader(runtime))
    if aged:
        log.info("days resumed", aged=aged)


@job(timeout_s=3600)
def prove_books(runtime: Runtime) -> None:
    """Prove that ledger, plans, lines and events agree; a difference alerts staff, once a day."""
    now = runtime.clock.now()
    on = business_date(now)
    with runtime.database.read() as session:
        differences = operations.prove_books(session, turn=on.toordinal())
        totals = operations.totals_of_claims(session)
    with runtime.database.write() as session:
        operations.keep_proof(session, on=on, differences=differences, totals=totals, now=now)
    if not differences:
        return
    log.error("books differ", differences=differences)
    with runtime.database.write() as session:
        operations.raise_alert(
            session,
            key=f"books-differ/{business_date(now)}",
            kind="books-differ",
            severity="high",
            customer_id=None,
            details={"differences": differences},
            now=now,
        )


@job(timeout_s=1800)
def forget_old(runtime: Runtime) -> None:
    """Delete traces of deliveries, notifies and closed days that are over their time."""
    forget(runtime, KEPT)


@job()
def alert_stopped_challenge(
    runtime: Runtime,
    *,
    challenge_id: int,
    strategy: str,
    version: int,
    why: str,
    broken: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Tell staff that a guard rail ended a challenge of a strategy; once each."""
    with runtime.database.write() as session:
        operations.raise_alert(
            session,
            key=f"challenge-stopped/{challenge_id}",
            kind="challenge-stopped",
            severity="high",
            customer_id=None,
            details={
                "strategy": strategy,
                "version": version,
                "why": why,
                "broken": list(broken),
            },
            now=runtime.clock.now(),
        )


@job()
def alert_ending_strategy(runtime: Runtime, *, strategy: str, version: int, ends_on: str) -> None:
    """Tell staff that a strategy ends soon and nothing follows it; once each."""
    with runtime.database.write() as session:
        operations.raise_alert(
            session,
            key=f"strategy-ending/{strategy}/{version}",
            kind="strategy-ending",
            severity="high",
            customer_id=None,
            details={"strategy": strategy, "version": version, "ends_on": ends_on},
            now=runtime.clock.now(),
        )


def _grader(runtime: Runtime) -> GradeAccounts | None:
    """Return the judge of accounts, or None where the root gives none."""
    try:
        return runtime.get(GradeAccounts)
    except LookupError:
        log.warning("no judge of accounts was given; grades stay as they are")
        return None


def _plan(runtime: Runtime, session: Session, application_id: int) -> EvidencePlan:
    """Plan whom to ask, by the strategy that decides the application's own product."""
    product, subject = queries.applied_for(session, application_id=application_id)
    return evidence_plan(
        session,
        product=product,
        subject=subject,
        subsystems=runtime.get(Subsystems),
        on=business_date(runtime.clock.now()),
    )


def _ask(runtime: Runtime, application_id: int, waiting: Sequence[str]) -> None:
    for subsystem in waiting:
        enqueue(runtime, ask_subsystem, application_id=application_id, subsystem=subsystem)


def _go_on(runtime: Runtime, application_id: int, progress: operations.Progress) -> None:
    if progress is operations.Progress.STEP_OVER:
        enqueue(runtime, ask_further, application_id=application_id)
    elif progress is operations.Progress.WHOLE:
        enqueue(runtime, decide_application, application_id=application_id)


def _decision(runtime: Runtime, question: queries.Question) -> Decision | None:
    """Ask the judge; None where no strategy decides the product."""
    try:
        return runtime.get(Decide)(
            key=question.key,
            subject=question.subject,
            product=question.product,
            values=question.values,
            links=question.links,
        )
    except DecisionProductUnknown:
        log.error("no strategy decides a product", product=question.product)
        return None


def _declines_anyway(runtime: Runtime, question: queries.Question, pending: Iterable[str]) -> bool:
    """Ask the judge whether more evidence could change anything; in doubt it could."""
    subsystems = runtime.get(Subsystems)
    fields = {name for each in pending for name in subsystems.find(each).fields}
    try:
        return runtime.get(DeclinesAnyway)(
            subject=question.subject,
            product=question.product,
            values=question.values,
            pending=fields,
        )
    except (LookupError, FenqiError) as error:
        log.warning("not foreseen", error=type(error).__name__)
        return False


def _asked(
    subsystem: Subsystem, turn: operations.Turn
) -> tuple[int, Mapping[str, Any] | None, str]:
    """Ask until there is an answer or the attempts are used up; says how often and why not.

    Of an answer only what the sub-system declares counts.
    """
    failure = ""
    for attempt in range(1, turn.attempts + 1):
        started = time.perf_counter()
        try:
            answer = subsystem.ask(turn.inquiry)
        except SubsystemFailed as error:
            failure = error.detail
            _note_call(subsystem, "failed", started)
            log.warning("sub-system failed", subsystem=subsystem.name, attempt=attempt, why=failure)
        else:
            _note_call(subsystem, "answered", started)
            return attempt, {name: answer[name] for name in subsystem.fields if name in answer}, ""
        if attempt < turn.attempts:
            time.sleep(_PAUSE_S * random.uniform(1, 2))  # noqa: S311 -- spreads load, no secret
    return turn.attempts, None, failure


def _note_call(subsystem: Subsystem, outcome: str, started: float) -> None:
    CALLS.labels(subsystem.name, outcome).observe(time.perf_counter() - started)
