"""The demo house: what it decided, what happened to its loans, and that all of it is true."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assembly import build_cipher
from cli.demo import open_house, write_demo
from cli.up import DEMO_CUSTOMERS, DEMO_SEED
from desk.model import DocumentState
from desk.queries import document_version, document_versions
from kernel.clock import FixedClock
from kernel.crypto import FieldCipher
from kernel.database import Base, Database
from kernel.outbox import OutboxRow
from kernel.runtime import Runtime
from kernel.settings import Settings
from risk.decisions.replay import replay
from risk.evidence.house import house_subsystems
from risk.features.catalogue import read_catalogue
from risk.lifecycle.backtesting import Question
from risk.lifecycle.queries import backtest_report
from risk.lifecycle.runs import ask_backtest, run_backtest
from risk.ports import Subsystems
from risk.tables import DecisionRecord
from servicing import operations, queries
from servicing.demo.book import Seeded
from servicing.demo.judging import REVIEWER, Desk
from servicing.demo.scenes import SCENES
from servicing.demo.shops import VISITS
from servicing.demo.stage import Stage
from servicing.demo.stories import STORIES
from servicing.model import MACHINE
from servicing.payments.tables import PayDifference
from servicing.queries.products import KIND
from servicing.queries.trial_balance import balances_at
from servicing.tables import (
    Application,
    ApplicationCourse,
    ApplicationEvidence,
    ApplicationReview,
    CreditLine,
    Loan,
    LoanEvent,
    Offer,
)

TODAY = date(2026, 3, 10)
TEN_IN_THE_MORNING = datetime(2026, 3, 10, 2, tzinfo=UTC)


@dataclass(frozen=True)
class House:
    """A seeded house, its database and what is true of its people."""

    runtime: Runtime
    seeded: Seeded

    @property
    def database(self) -> Database:
        return self.runtime.database

    def all(self, statement: Any) -> list[Any]:
        with self.database.read() as session:
            return list(session.execute(statement).all())


def opened(database: Database, clock: FixedClock, cipher: FieldCipher, redis: Any) -> Runtime:
    """A runtime with the house's sub-systems, none of which is ever called."""
    settings = Settings.from_env({})
    made = Runtime(settings=settings, database=database, redis=redis, clock=clock, cipher=cipher)
    made.provide(Subsystems, house_subsystems(settings, clock))
    return made


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: bytes) -> Iterator[House]:
    """The house that `fenqi up` shows, written once for all who only look."""
    path = tmp_path_factory.mktemp("demo") / "fenqi.db"
    path.write_bytes(_sqlite_template)
    settings, clock = Settings.from_env({}), FixedClock(TEN_IN_THE_MORNING)
    database = Database(f"sqlite:///{path}")
    runtime = opened(database, clock, build_cipher(settings), None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)
        seeded = write_demo(runtime, customers=DEMO_CUSTOMERS, seed=DEMO_SEED, now=clock.now())
    yield House(runtime=runtime, seeded=seeded)
    database.dispose()


@pytest.fixture
def house(kept: House, tmp_path: Path) -> Iterator[House]:
    """A copy of it to change."""
    path = tmp_path / "copy.db"
    with kept.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(str(kept.database.engine.url.database), path)
    database = Database(f"sqlite:///{path}")
    given = kept.runtime
    yield House(
        runtime=opened(database, FixedClock(given.clock.now()), given.cipher, None),
        seeded=kept.seeded,
    )
    database.dispose()


@pytest.fixture(autouse=True)
def _tried_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk.decisions.strategies.TRIAL_ROWS", 30)


class TestBooks:
    def test_are_true(self, kept: House) -> None:
        with kept.database.read() as session:
            assert operations.prove_books(session) == []
            assert sum(balances_at(session, on=TODAY).values()) == 0

    def test_stay_true_when_days_go_on(self, house: House) -> None:
        for days in (1, 40):
            operations.close_day(house.runtime, on=TODAY + timedelta(days=days))
            with house.database.read() as session:
                assert operations.prove_books(session) == []

    def test_tell_nobody_of_the_past(self, kept: House) -> None:
        assert kept.all(select(OutboxRow.id).where(OutboxRow.relayed_at.is_(None))) == []

    def test_are_the_same_on_postgresql_and_for_the_same_seed(
        self, runtime: Runtime, clock: FixedClock, cipher: FieldCipher, tmp_path: Path
    ) -> None:
        runtime.provide(Subsystems, house_subsystems(runtime.settings, clock))
        write_demo(runtime, customers=60, seed=3, now=clock.now())
        other = Database(f"sqlite:///{tmp_path / 'again.db'}")
        Base.metadata.create_all(other.engine)
        write_demo(opened(other, clock, cipher, None), customers=60, seed=3, now=clock.now())
        assert happened(runtime.database) == happened(other)
        with runtime.database.read() as session:
            assert operations.prove_books(session) == []
        other.dispose()


def happened(database: Database) -> tuple[list[Any], ...]:
    """Say what happened to whom, and what was decided."""
    event, decision = LoanEvent, DecisionRecord
    with database.read() as session:
        events = session.execute(
            select(event.loan_id, event.seq, event.kind, event.value_date).order_by(
                event.loan_id, event.seq
            )
        )
        decisions = session.execute(
            select(decision.id, decision.subject, decision.outcome).order_by(decision.id)
        )
        offers = session.execute(select(Offer.id, Offer.kind, Offer.state).order_by(Offer.id))
        return list(events), list(decisions), list(offers)


class TestDecisions:
    def test_are_made_by_machine_and_better_than_chance(self, kept: House) -> None:
        rows = kept.all(
            select(Application.customer_id, ApplicationCourse.machine_outcome).join(
                ApplicationCourse, ApplicationCourse.application_id == Application.id
            )
        )
        said = Counter(outcome for _, outcome in rows)
        assert len(rows) > 120
        assert said["review"] / len(rows) <= 0.1
        assert 0.4 <= said["approve"] / len(rows) <= 0.8
        assert bad_share(kept, [who for who, outcome in rows if outcome == "approve"]) <= (
            0.6 * bad_share(kept, [who for who, _ in rows])
        )

    def test_replay_to_the_same_bytes(self, kept: House) -> None:
        numbers = kept.all(select(DecisionRecord.id).order_by(DecisionRecord.id))
        catalogue = read_catalogue()
        with kept.database.read() as session:
            for (number,) in [*numbers[::40], numbers[-1]]:
                assert replay(session, decision_id=number, catalogue=catalogue).is_same

    def test_can_be_tried_again_by_a_backtest(self, house: House) -> None:
        question = Question(
            product="standard",
            since=TODAY - timedelta(days=548),
            until=TODAY + timedelta(days=1),
            with_snoozes=True,
        )
        with house.database.write() as session:
            run_id = ask_backtest(
                session,
                key="house-credit",
                version=1,
                question=question,
                by="analyst",
                now=house.runtime.clock.now(),
            )
        clock = house.runtime.clock
        number = run_backtest(
            house.database, run_id=run_id, catalogue=read_catalogue(), clock=clock
        )
        assert number is not None
        with house.database.read() as session:
            report = backtest_report(session, backtest_id=number).report
        decided = house.all(
            select(DecisionRecord.outcome).where(
                DecisionRecord.decided_on >= question.since, DecisionRecord.product == "standard"
            )
        )
        assert report["draft"] | {"bad_rate_to_base": None} == report["against"] | {
            "bad_rate_to_base": None
        }
        assert report["rows"] == len(decided)
        assert report["draft"]["approved"] == decided.count(("approve",))
        assert report["draft"]["known"] >= 20
        assert report["draft"]["bad"] >= 1


def bad_share(house: House, customers: list[int]) -> float:
    """Say how many in a hundred will stop paying, by what was planted."""
    return sum(house.seeded.credit[who].is_bad for who in customers) / len(customers)


class TestJudged:
    @pytest.mark.parametrize(
        ("decided_by", "states"),
        [(MACHINE, ["declined"]), (MACHINE, ["booked"]), (REVIEWER, ["booked", "declined"])],
        ids=["declined", "approved", "reviewed"],
    )
    def test_went_the_way_that_every_application_goes(
        self, kept: House, alone: Database, decided_by: str, states: list[str]
    ) -> None:
        """Send a newcomer through the operations, and compare what they leave with their rows."""
        wanted = newcomer(kept, decided_by, states)
        runtime = opened(alone, FixedClock(kept.runtime.clock.now()), kept.runtime.cipher, None)
        with alone.write() as session:
            sent = send(session, runtime, kept, wanted)
            assert left(session, sent) == left_by(kept, wanted)


@pytest.fixture
def alone(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database for one applicant."""
    path = tmp_path / "alone.db"
    path.write_bytes(request.getfixturevalue("_sqlite_template"))
    database = Database(f"sqlite:///{path}")
    yield database
    database.dispose()


def newcomer(house: House, decided_by: str, states: list[str]) -> int:
    """Find an application that was decided so, and whose applicant shared nothing with others."""
    found = house.all(
        select(Application.id, DecisionRecord.snapshot)
        .join(DecisionRecord, DecisionRecord.id == Application.decision_no)
        .where(
            Application.decided_by == decided_by,
            Application.state.in_(states),
            Application.channel == "shop_qr",
            Application.id.not_in(
                select(ApplicationCourse.application_id).where(
                    ApplicationCourse.appealed_at.is_not(None)
                )
            ),
        )
        .order_by(Application.id)
    )
    shared = ("device_others_30d", "wifi_others_30d")
    return next(
        number
        for number, snapshot in found
        if not any(json.loads(snapshot)["application"][name] for name in shared)
    )


def send(session: Session, runtime: Runtime, house: House, wanted: int) -> int:
    """Let the applicant of the house apply here as then; returns the application."""
    with house.database.read() as kept:
        was, course = kept.get_one(Application, wanted), kept.get_one(ApplicationCourse, wanted)
        customer = queries.customer_view(kept, runtime.cipher, customer_id=was.customer_id)
        review = kept.get(ApplicationReview, wanted)
    machine = open_house(session, house.runtime.clock.now(), random_seed=0)
    customer_id = operations.create_customer(
        session,
        runtime.cipher,
        name=customer.name,
        phone=customer.phone,
        id_number=customer.id_number,
        is_student=customer.is_student,
        employer=customer.employer,
        now=was.submitted_at,
    )
    subsystems = runtime.get(Subsystems).each
    stage = Stage(
        session=session,
        cipher=runtime.cipher,
        desk=Desk(machine=machine, subsystems=subsystems, cipher=runtime.cipher),
        credit={customer_id: house.seeded.credit[was.customer_id]},
        now=was.submitted_at,
    )
    application_id = operations.submit_application(
        session,
        customer_id=customer_id,
        merchant_name=was.merchant_name,
        merchandise=was.merchandise,
        amount_fen=was.amount_fen,
        terms=was.terms,
        channel=was.channel,
        attributes=was.attributes,
        key="k",
        now=was.submitted_at,
    )
    decided_at = course.machine_decided_at or was.submitted_at
    stage.have_decided(application_id, asked_at=was.submitted_at, decided_at=decided_at)
    machine.keep(session)
    if review is not None and review.closed_at is not None:
        application = session.get_one(Application, application_id)
        stage.review(
            application,
            approve=was.state == "booked",
            reason=was.reasons[0],
            at=review.closed_at,
        )
    return application_id


def left_by(house: House, application_id: int) -> dict[str, Any]:
    with house.database.read() as session:
        return left(session, application_id)


def left(session: Session, application_id: int) -> dict[str, Any]:
    """Say what an application left behind, but for numbers; one that was booked was approved."""
    session.flush()
    session.expire_all()
    application = session.get_one(Application, application_id)
    said = columns(application, "id", "application_no", "customer_id", "decision_no")
    said["state"] = "approved" if said["state"] == "booked" else said["state"]
    evidence = session.scalars(
        select(ApplicationEvidence)
        .where(ApplicationEvidence.application_id == application_id)
        .order_by(ApplicationEvidence.subsystem)
    )
    review = session.get(ApplicationReview, application_id)
    record = session.scalars(
        select(DecisionRecord).where(DecisionRecord.id == application.decision_no)
    ).one()
    course = session.get_one(ApplicationCourse, application_id)
    return {
        "application": said,
        "course": columns(course, "application_id"),
        "evidence": [columns(row, "application_id") for row in evidence],
        "review": review and columns(review, "application_id"),
        "snapshot": {**json.loads(record.snapshot), "subject": ""},
        "outcome": record.outcome,
    }


def columns(row: Any, *but: str) -> dict[str, Any]:
    names = [column.key for column in row.__table__.columns if column.key not in but]
    return {name: getattr(row, name) for name in names}


class TestScenes:
    def test_show_everything_that_can_happen_to_a_loan(self, kept: House) -> None:
        kinds = {kind for (kind,) in kept.all(select(LoanEvent.kind).distinct())}
        assert kinds >= {
            *("disbursement", "repayment", "prepayment", "reversal", "waiver", "extra-terms"),
            *("moved-due-date", "payment-holiday", "rate-change", "interest-pause", "re-age"),
            *("termination", "charge-off", "write-off", "recovery", "cancellation"),
            "subsidy-payment",
        }

    def test_show_offers_in_every_state_that_asks_for_attention(self, kept: House) -> None:
        offers = {tuple(row) for row in kept.all(select(Offer.kind, Offer.state))}
        assert offers >= {
            *(("settlement", state) for state in ("offered", "fulfilled", "lapsed")),
            *(("extension", state) for state in ("offered", "fulfilled")),
            *(("retention", state) for state in ("declined", "fulfilled")),
            ("due-day", "fulfilled"),
            ("line-raise", "fulfilled"),
        }

    def test_sell_several_products(self, kept: House) -> None:
        sold = {code for (code,) in kept.all(select(Loan.product_code).distinct())}
        assert sold == {"standard", "interest-free", "flat-fee", "two-weekly", "in-parts"}

    def test_sell_a_version_before_anybody_buys_it(self, kept: House) -> None:
        by_version = (Loan.product_code, Loan.product_version)
        first_sold = kept.all(
            select(*by_version, func.min(Loan.disbursed_on)).group_by(*by_version)
        )
        with kept.database.read() as session:
            for code, version, on in first_sold:
                found = document_version(session, kind=KIND, key=code, version=version)
                assert found.effective_on is not None
                assert found.effective_on <= on
            standard = document_versions(session, kind=KIND, key="standard")
        assert [each.state for each in standard] == [DocumentState.IN_FORCE, DocumentState.RETIRED]

    def test_leave_work_for_the_desk(self, kept: House) -> None:
        with kept.database.read() as session:
            waiting = queries.review_queue(session).waiting
            asked = queries.reviews_of_terms(session, limit=9)
        assert waiting >= 3
        assert len(asked) == 1
        held = kept.all(select(CreditLine.id).where(CreditLine.held_fen > 0))
        frozen = kept.all(select(CreditLine.id).where(CreditLine.state == "frozen"))
        assert held
        assert frozen

    def test_have_people_overturn_what_the_machine_declined(self, kept: House) -> None:
        rows = kept.all(
            select(Application.state)
            .join(ApplicationCourse, ApplicationCourse.application_id == Application.id)
            .where(
                ApplicationCourse.appealed_at.is_not(None),
                ApplicationCourse.machine_outcome == "decline",
            )
        )
        states = Counter(state for (state,) in rows)
        assert min(states[state] for state in ("booked", "declined", "in_review")) >= 1

    def test_put_money_on_suspense_that_only_the_bill_knows(self, kept: House) -> None:
        rows = kept.all(select(PayDifference.kind, PayDifference.state, PayDifference.bill_on))
        assert {(kind, state) for kind, state, _ in rows} == {("unknown-here", "open")}
        assert {(TODAY - on).days for _, _, on in rows} == {3, 9}

    def test_leave_out_whose_borrower_is_not_there(
        self, runtime: Runtime, clock: FixedClock
    ) -> None:
        runtime.provide(Subsystems, house_subsystems(runtime.settings, clock))
        few = len(STORIES) + 2
        seeded = write_demo(runtime, customers=few, seed=1, now=clock.now())
        assert (seeded.customers, len(seeded.people)) == (few, few)
        with runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(Offer)) == 2
            assert operations.prove_books(session) == []

    def test_say_of_each_person_why_to_meet_them(self, kept: House) -> None:
        notes = [person["note"] for person in kept.seeded.people]
        told = (*STORIES, *(scene.story for scene in SCENES), *(visit.story for visit in VISITS))
        for note, story in zip(notes, told, strict=False):
            assert note.startswith(story.note)
