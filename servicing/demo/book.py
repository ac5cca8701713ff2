"""Writes the demo book with a lived history, in bulk, by the rules that servicing itself uses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, islice
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from contact.operations import NewAddress, record_addresses, retire_address
from kernel.clock import business_date, start_of_day
from kernel.crypto import FieldCipher
from kernel.database import bulk_insert, refresh_statistics
from risk.operations import Fact, record_facts
from servicing.demo.credit import Credit, credit_of
from servicing.demo.goods import purchase
from servicing.demo.judging import Desk, Newcomer
from servicing.demo.lives import Habit, habit, paid_dates
from servicing.demo.people import Person, people
from servicing.demo.rows import TABLES, Bought, Rows, imported
from servicing.demo.stories import STORIES, Story, tell
from servicing.engine.periods import month_after
from servicing.operations import customer_row, judge_loans
from servicing.products import STANDARD
from servicing.tables import Application, CreditLine, Customer, Loan

_MANY_LOANS = 0.05
_REFUSED = 0.06
_UNDECIDED = 0.004
_WRONG_NUMBERS = 0.02
_BOUND = 0.85
LOOK_BACK_DAYS = 720
"""For so long the house has been there at most."""

_CHUNK = 1_000
_JOINED_BY = timedelta(hours=9)
_SHOWN = 40
_LOST_AFTER_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What was written.

    Attributes:
        people: Borrowers to play in the sandbox, telling stories first: openid, name, phone,
            id_last4 and a note.
        credit: The planted truth of each customer, by id.
        files: What sub-systems know of them, by id number.
    """

    customers: int
    loans: int
    people: tuple[dict[str, str], ...]
    credit: Mapping[int, Credit]
    files: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One borrower before anything is written: who, how they pay, and what they bought."""

    customer_id: int
    person: Person
    story: Story | None
    how: Habit
    bought: tuple[Bought, ...]

    @property
    def is_newcomer(self) -> bool:
        """Whether the machine of this house decides about them: others came with a former book."""
        return self.story is None and len(self.bought) == 1


def seed_demo(
    session: Session,
    cipher: FieldCipher,
    *,
    customers: int,
    seed: int,
    now: datetime,
    desk: Desk | None = None,
    more: Sequence[Story] = (),
) -> Seeded:
    """Write a demo book into an empty database; the same seed and date give the same book.

    Args:
        session: A write session.
        cipher: Encrypts the made-up personal fields like real ones.
        customers: How many people.
        seed: Of all randomness but that of encryption.
        now: The present instant; history ends on its business date.
        desk: Decides about newcomers, as of their day; without one all come with a former book.
        more: Stories to tell after those that a newcomer meets first.
    """
    stories = (*STORIES, *more)
    random = Random(seed)
    rows = Rows(on=business_date(now), random=random)
    seeded = _Seeding(rows=rows, cipher=cipher, desk=desk)
    cast = islice(_cast(people(random, on=rows.on), stories), customers)
    while chunk := list(islice(cast, _CHUNK)):
        lives = list(seeded.add(_life(random, *part, rows.on) for part in chunk))
        _write(session, rows)
        if desk is not None:
            desk.machine.keep(session)
            record_facts(session, facts=seeded.labels())
        _record_addresses(session, cipher, random, lives, now)
    _set_sequences(session, rows)
    _tell_outcomes(session, rows.last[Loan], now)
    refresh_statistics(session)
    return Seeded(
        customers=rows.last[Customer],
        loans=rows.last[Loan],
        people=tuple(seeded.shown),
        credit=seeded.credit,
        files=seeded.files,
    )


def _life(random: Random, customer_id: int, person: Person, story: Story | None, on: date) -> Life:
    how = _habit_of(story) if story is not None else habit(random)
    bought = tuple(_purchases(random, story, how, on))
    return Life(customer_id=customer_id, person=person, story=story, how=how, bought=bought)


def _cast(
    found: Iterator[Person], stories: Sequence[Story]
) -> Iterator[tuple[int, Person, Story | None]]:
    """Number people, and give the first of them the stories that they fit."""
    for customer_id in count(1):
        story = stories[customer_id - 1] if customer_id <= len(stories) else None
        person = next(found)
        while story is not None and story.is_sound and not _file_of(person, story).is_sound:
            person = next(found)
        yield customer_id, person, story


def _file_of(person: Person, story: Story) -> Credit:
    return credit_of(person.id_number, _habit_of(story))


def _to_play(person: Person, story: Story | None) -> dict[str, str]:
    return {
        "openid": person.openid,
        "name": person.name,
        "phone": person.phone,
        "id_last4": person.id_number[-4:],
        "note": _note(person, story),
    }


def _note(person: Person, story: Story | None) -> str:
    """Say why to meet somebody; who has yet to bind needs the end of the id number for it."""
    if story is None or story.is_bound:
        return story.note if story else ""
    return f"{story.note}（手机 {person.phone}，证件后四位 {person.id_number[-4:]}）"


@dataclass(slots=True, kw_only=True)
class _Seeding:
    """Turns lives into rows, and remembers whom to show and what is true of them."""

    rows: Rows
    cipher: FieldCipher
    desk: Desk | None
    shown: list[dict[str, str]] = field(default_factory=list)
    credit: dict[int, Credit] = field(default_factory=dict)
    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _labels: list[Fact] = field(default_factory=list)

    def add(self, lives: Iterable[Life]) -> Iterator[Life]:
        """Add some borrowers; who applied when is known of all before anybody is decided."""
        if self.desk is not None:
            lives = list(lives)
            for life in lives:
                if life.is_newcomer:
                    self.desk.expect(life.customer_id, life.person, life.bought[0].applied_at)
        for life in lives:
            credit = add_customer(self.rows, self.cipher, life, self.desk, self._labels)
            self.credit[life.customer_id] = credit
            self.files[life.person.id_number] = credit.file(life.person.name)
            if len(self.shown) < _SHOWN:
                self.shown.append(_to_play(life.person, life.story))
            yield life

    def labels(self) -> list[Fact]:
        """Return what people made of applications since the last time."""
        labels, self._labels[:] = list(self._labels), []
        return labels


def add_customer(
    rows: Rows, cipher: FieldCipher, life: Life, desk: Desk | None, labels: list[Fact]
) -> Credit:
    """Add a customer with line, applications and loans; returns the truth about them."""
    person, credit = life.person, credit_of(life.person.id_number, life.how)
    since = start_of_day(min(one.disbursed_on for one in life.bought)) + _JOINED_BY
    values = customer_row(
        cipher,
        name=person.name,
        phone=person.phone,
        id_number=person.id_number,
        is_student=person.is_student and life.story is None,
        employer=person.employer,
        now=since,
    )
    customer_id = rows.add(Customer, values)
    attributes = {
        "wifi": person.wifi,
        "device": person.device,
        "address": person.address,
        "employer": person.employer,
        "income_monthly_fen": credit.income_monthly_fen,
    }
    if desk is None or not life.is_newcomer:
        _add_former(rows, customer_id, life, attributes, since)
        return credit
    (one,) = life.bought
    newcomer = Newcomer(
        customer_id=customer_id,
        person=person,
        credit=credit,
        identity_key=values["id_number_index"],
        amount_fen=one.principal_fen,
        terms=one.terms,
        shop=one.shop,
        submitted_at=one.applied_at,
    )
    judged = desk.judge(rows.random, rows.last[Application] + 1, newcomer)
    application_id = rows.add_judged(customer_id, one, attributes, judged)
    if judged.label is not None:
        labels.append(judged.label)
    if judged.is_booked:
        open_fen = rows.add_loan(customer_id, rows.last[CreditLine] + 1, application_id, one)
        granted_fen = max(one.principal_fen, judged.line_fen)
        rows.add(CreditLine, _line(customer_id, granted_fen, open_fen, since))
    return credit


def _add_former(
    rows: Rows, customer_id: int, life: Life, attributes: dict[str, Any], since: datetime
) -> None:
    """Add what came with a former book: loans that are paid or run on, and who was refused."""
    open_fen, line_id = 0, rows.last[CreditLine] + 1
    for one in life.bought:
        booked = imported(one, "booked")
        application_id = rows.add_application(customer_id, one, attributes, booked)
        open_fen += rows.add_loan(customer_id, line_id, application_id, one)
    _add_other_applications(rows, customer_id, attributes)
    bought_fen = sum(one.principal_fen for one in life.bought)
    granted_fen = max(STANDARD.maximum_fen // 2, bought_fen)
    rows.add(CreditLine, _line(customer_id, granted_fen, open_fen, since))


def _habit_of(story: Story) -> Habit:
    """Say how the borrower of a story pays: one who is very late has stopped."""
    is_lost = any(chapter.due_in < -_LOST_AFTER_DAYS for chapter in story.chapters)
    return Habit.STOPPING if is_lost else Habit.PUNCTUAL


def _line(customer_id: int, granted_fen: int, open_fen: int, since: datetime) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "funder": STANDARD.funder,
        "granted_fen": granted_fen,
        "held_fen": 0,
        "utilised_fen": open_fen,
        "state": "active",
        "frozen_reason": None,
        "frozen_at": None,
        "graded_to": None,
        "grade": None,
        "opened_at": since,
    }


def _purchases(random: Random, story: Story | None, how: Habit, on: date) -> Iterator[Bought]:
    if story is not None:
        yield from tell(random, story.chapters, on=on)
        return
    for _ in range(random.choice((2, 2, 3)) if random.random() < _MANY_LOANS else 1):
        bought = purchase(random)
        disbursed_on = on - timedelta(days=max(1, int(LOOK_BACK_DAYS * random.random() ** 1.3)))
        due = [month_after(disbursed_on, n) for n in range(1, bought.terms + 1)]
        yield Bought(
            shop=bought.shop,
            goods=bought.goods,
            principal_fen=bought.principal_fen,
            terms=bought.terms,
            disbursed_on=disbursed_on,
            paid_on=paid_dates(random, due=due, habit=how, on=on),
        )


def _add_other_applications(rows: Rows, customer_id: int, attributes: dict[str, Any]) -> None:
    draw = rows.random.random()
    if draw >= _REFUSED + _UNDECIDED:
        return
    bought = purchase(rows.random)
    is_refused = draw < _REFUSED
    days_ago = rows.random.randint(30, 400) if is_refused else rows.random.randint(0, 2)
    one = Bought(
        shop=bought.shop,
        goods=bought.goods,
        principal_fen=bought.principal_fen,
        terms=bought.terms,
        disbursed_on=rows.on - timedelta(days=days_ago),
        paid_on=(),
    )
    state = "declined" if is_refused else "in_review"
    rows.add_application(customer_id, one, attributes, imported(one, state))


def _write(session: Session, rows: Rows) -> None:
    """Insert what was collected, parents before children, and forget it."""
    for table in TABLES:
        bulk_insert(session, table, rows.rows[table])
        rows.rows[table] = []


def _tell_outcomes(session: Session, last_id: int, now: datetime) -> None:
    """Tell risk what the loans have come to, as each night does."""
    for first in range(1, last_id + 1, _CHUNK):
        judge_loans(session, loan_ids=range(first, min(first + _CHUNK, last_id + 1)), now=now)


def _set_sequences(session: Session, rows: Rows) -> None:
    """Let PostgreSQL number further rows after ours."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in rows.last:
        name = table.__tablename__
        if rows.last[table]:
            sequence = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), :last)"
            session.execute(text(sequence), {"last": rows.last[table]})


def _record_addresses(
    session: Session,
    cipher: FieldCipher,
    random: Random,
    lives: Sequence[Life],
    now: datetime,
) -> None:
    """Bind WeChat accounts and phones through contact; a few numbers turn out to be wrong."""
    phones = [_address(life.customer_id, "phone", life.person.phone) for life in lives]
    wrong: list[int] = []
    bound: list[NewAddress] = []
    for at, life in enumerate(lives):
        story = life.story
        is_wrong = random.random() < _WRONG_NUMBERS
        is_bound = random.random() < _BOUND
        if story is None and is_wrong:
            wrong.append(at)
        if story.is_bound if story is not None else is_bound:
            bound.append(_address(life.customer_id, "wechat", life.person.openid))
    ids = [
        record_addresses(session, addresses=addresses, source="seed", cipher=cipher, now=now)
        for addresses in (phones, bound)
    ]
    for at in wrong:
        retire_address(session, address_id=ids[0][at], reason="wrong_number", now=now)


def _address(customer_id: int, kind: str, address: str) -> NewAddress:
    return NewAddress(customer_id=customer_id, channel_kind=kind, address=address)
