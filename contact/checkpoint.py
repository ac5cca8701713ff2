"""The gate at work: every question asked once for a mini-batch, in the transaction that sends it.

Quota rows are locked first and in one order, so that two senders never count past each other. The
verdict itself is `contact.gate.decide`; states are written by the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from contact.addresses import context_of
from contact.among import among
from contact.book import TemplateKey, rules_of_day, templates_in_force
from contact.delivery import Parcel
from contact.gate import Allow, Block, PurposeRules, Quota, Reason, Situation, decide
from contact.messages import FieldNotFilled, Template, debts_meant, render
from contact.model import ABOUT_DEBT, ADDRESS_KIND, Channel, Debt, Hold, Purpose, State
from contact.ports import Holds, Standing, StillDue
from contact.references import reference_of
from contact.tables import Contact, ContactAddress, ContactQuota
from kernel.clock import business_date
from kernel.crypto import FieldCipher, FieldNotReadable
from kernel.runtime import Runtime

# The longest window that a quota may have.
_QUOTA_WINDOW: Final = timedelta(days=31)

Used = dict[int, dict[str, dict[date, int]]]
ContactRow = Row[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What a batch goes by: rules of the day, templates, and where links lead."""

    rules: Mapping[Purpose, PurposeRules]
    templates: Mapping[TemplateKey, Template]
    public_base_url: str


def read_books(runtime: Runtime, session: Session) -> Books:
    """Read what a batch goes by."""
    return Books(
        rules=rules_of_day(session, on=business_date(runtime.clock.now())),
        templates=templates_in_force(session),
        public_base_url=runtime.settings.public_base_url,
    )


_COLUMNS: Final = (
    Contact.id,
    Contact.customer_id,
    Contact.purpose,
    Contact.channel,
    Contact.template_code,
    Contact.template_version,
    Contact.facts,
    Contact.expires_at,
    Contact.attempts,
    Contact.priority,
    Contact.reserved_on,
    Contact.sending_at,
    ContactAddress.address_enc,
    ContactAddress.channel_kind,
    ContactAddress.retired_at,
)


def select_contacts(
    session: Session, ids: Sequence[int], *, state: State, owner: str | None
) -> Sequence[ContactRow]:
    """Lock contacts of a state (and lease), most urgent first, with the address they go to."""
    query = (
        select(*_COLUMNS)
        .join(ContactAddress, ContactAddress.id == Contact.address_id)
        .where(among(session, Contact.id, ids), Contact.state == state)
        .order_by(Contact.id)
        .with_for_update(of=Contact)
    )
    if owner is not None:
        query = query.where(Contact.lease_owner == owner)
    return sorted(session.execute(query), key=lambda row: (row.priority, row.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All that the gate needs for a mini-batch, read in one transaction and locked by quota rows.

    Attributes:
        used: Customer → counter → day → contacts so far; grows as the batch passes.
        taken: Counter → contacts of this batch that use it up.
    """

    books: Books
    now: datetime
    cipher: FieldCipher
    debts: Mapping[tuple[Purpose, int], tuple[Debt, ...]]
    holds: Mapping[int, tuple[Hold, ...]]
    opted_in: frozenset[int]
    barred: Mapping[int, str]
    used: Used
    taken: dict[str, list[int]]

    @classmethod
    def open(
        cls,
        runtime: Runtime,
        session: Session,
        books: Books,
        rows: Sequence[ContactRow],
        now: datetime,
    ) -> "Gate":
        """Ask every question once for the whole mini-batch."""
        on = business_date(now)
        planned = [row for row in rows if row.purpose != Purpose.ANSWER]
        customers = sorted({row.customer_id for row in planned if row.customer_id is not None})
        used = _lock_quota(session, books, planned, now)
        still_due, holds = runtime.get(StillDue), runtime.get(Holds)
        return cls(
            books=books,
            now=now,
            cipher=runtime.cipher,
            debts={
                (purpose, customer_id): debts
                for purpose in ABOUT_DEBT
                if (chosen := _customers(planned, purpose))
                for customer_id, debts in still_due.debts(
                    session, customer_ids=chosen, purpose=purpose, on=on
                ).items()
            },
            holds=holds.held(session, customer_ids=customers, at=now) if customers else {},
            **_marketing(runtime, session, _customers(planned, Purpose.MARKETING), now),
            used=used,
            taken={},
        )

    def try_one(self, row: ContactRow) -> tuple[Allow, Parcel] | Block:
        """Decide on one contact, and write its words if it may go out."""
        if row.expires_at <= self.now:
            return Block(reason=Reason.EXPIRED)
        template = self.books.templates.get((row.template_code, row.template_version, row.channel))
        debts = self._debts_of(row)
        situation = Situation(
            purpose=row.purpose,
            channel=row.channel,
            owes=bool(debts),
            holds=self.holds.get(row.customer_id, ()),
            address_retired=row.retired_at is not None,
            has_opted_in=row.customer_id in self.opted_in,
            barred=self.barred.get(row.customer_id),
            used=self.used.get(row.customer_id, {}),
            is_template_in_force=template is not None and template.purpose == row.purpose,
            is_reserved=row.reserved_on is not None,
        )
        verdict = decide(situation, rules=self.books.rules, at=self.now)
        if isinstance(verdict, Block) or template is None:
            return verdict if isinstance(verdict, Block) else Block(reason=Reason.TEMPLATE)
        try:
            parcel = self._pack(row, template, debts)
        except (FieldNotFilled, FieldNotReadable) as error:
            return Block(reason=Reason.TEMPLATE, detail=error.detail)
        if row.reserved_on is None:
            self._take(row, verdict)
        return verdict, parcel

    def _debts_of(self, row: ContactRow) -> tuple[Debt, ...]:
        if row.purpose not in ABOUT_DEBT:
            return ()
        debts = self.debts.get((Purpose(row.purpose), row.customer_id), ())
        return debts_meant(row.facts, debts)

    def _take(self, row: ContactRow, verdict: Allow) -> None:
        on = business_date(self.now)
        for counter in verdict.counters:
            days = self.used.setdefault(row.customer_id, {}).setdefault(counter, {})
            days[on] = days.get(on, 0) + 1
            self.taken.setdefault(counter, []).append(row.id)

    def _pack(self, row: ContactRow, template: Template, debts: tuple[Debt, ...]) -> Parcel:
        facts = {
            name: self.cipher.decrypt(value, context=f"contact.facts.{name}")
            if name in template.secrets
            else value
            for name, value in row.facts.items()
        }
        message = render(template, facts=facts, debts=debts)
        link = template.link and f"{self.books.public_base_url}{template.link}"
        return Parcel(
            contact_id=row.id,
            channel=Channel(row.channel),
            address=self.cipher.decrypt(
                row.address_enc, context=context_of(ADDRESS_KIND[Channel(row.channel)])
            ),
            provider_template_id=template.provider_template_id,
            message=message,
            link=link,
            reference=reference_of(self.cipher, row.id),
        )

    def write_quota(self, session: Session) -> None:
        """Write what the batch used up."""
        for counter, ids in sorted(self.taken.items()):
            insert = _insert_for(
                session, ids, counter=counter, on=business_date(self.now), n=func.count()
            )
            session.execute(
                insert.on_conflict_do_update(
                    index_elements=["customer_id", "day", "counter"],
                    set_={"n": ContactQuota.n + insert.excluded.n},
                )
            )


def _customers(rows: Sequence[ContactRow], purpose: Purpose) -> list[int]:
    return sorted(
        {row.customer_id for row in rows if row.purpose == purpose and row.customer_id is not None}
    )


def _marketing(
    runtime: Runtime, session: Session, customers: Sequence[int], now: datetime
) -> dict[str, Any]:
    if not customers:
        return {"opted_in": frozenset(), "barred": {}}
    standing = runtime.get(Standing)
    return {
        "opted_in": standing.opted_in(session, customer_ids=customers, at=now),
        "barred": standing.marketing_barred(session, customer_ids=customers, on=business_date(now)),
    }


def _lock_quota(session: Session, books: Books, rows: Sequence[ContactRow], now: datetime) -> Used:
    """Lock a mini-batch's counters, in one order, and read them over their longest window.

    The counter of the whole group is the lock of all counters of that customer and group.
    """
    groups: dict[str, list[int]] = {}
    for row in rows:
        for group in {quota.group for quota in _quotas(books, row)}:
            groups.setdefault(group, []).append(row.id)
    if not groups:
        return {}
    on = business_date(now)
    for group, ids in sorted(groups.items()):
        insert = _insert_for(session, ids, counter=group, on=on, n=literal(0))
        session.execute(insert.on_conflict_do_nothing())
    customers = sorted({row.customer_id for row in rows if row.customer_id})
    found = session.execute(
        select(ContactQuota.customer_id, ContactQuota.counter, ContactQuota.day, ContactQuota.n)
        .where(
            among(session, ContactQuota.customer_id, customers),
            ContactQuota.day > on - _QUOTA_WINDOW,
        )
        .order_by(ContactQuota.customer_id, ContactQuota.day, ContactQuota.counter)
        .with_for_update()
    )
    used: Used = {}
    for customer_id, counter, day, n in found:
        used.setdefault(customer_id, {}).setdefault(counter, {})[day] = n
    return used


def _insert_for(
    session: Session, ids: Sequence[int], *, counter: str, on: date, n: ColumnElement[int]
) -> "postgresql.Insert | sqlite.Insert":
    """Insert a row of a counter for each customer of some contacts, in the order of customers."""
    rows = (
        select(Contact.customer_id, literal(on), literal(counter), n)
        .where(among(session, Contact.id, ids))
        .group_by(Contact.customer_id)
        .order_by(Contact.customer_id)
    )
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(ContactQuota) if is_postgresql else sqlite.insert(ContactQuota)
    return insert.from_select(["customer_id", "day", "counter", "n"], rows, include_defaults=False)


def _quotas(books: Books, row: ContactRow) -> tuple[Quota, ...]:
    if row.customer_id is None or row.purpose not in books.rules:
        return ()
    return books.rules[Purpose(row.purpose)].quotas_of(row.channel) or ()


def give_back_quota(session: Session, contact: Contact) -> None:
    """Take a contact off the counters it had used up: nothing reached the person."""
    if contact.reserved_on is None or not contact.reserved:
        return
    session.execute(
        update(ContactQuota)
        .where(
            ContactQuota.customer_id == contact.customer_id,
            ContactQuota.day == contact.reserved_on,
            ContactQuota.counter.in_(contact.reserved.split()),
        )
        .values(n=ContactQuota.n - 1)
        .execution_options(synchronize_session=False)
    )
    contact.reserved_on = contact.reserved = None
