"""The one door into the ledger: a balanced entry, appended. Corrections are further entries."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from kernel.database import bulk_insert
from kernel.errors import Invalid
from servicing.chart import BY_CODE
from servicing.operations.periods import booking_of
from servicing.tables import DEFAULT_CREDITOR, LedgerEntry, LedgerPosting, Loan

_ENTRIES: Final = LedgerEntry.__table__
_INSERT_ENTRIES: Final = insert(_ENTRIES).returning(  # type: ignore[arg-type]  # it is a Table
    _ENTRIES.c.id, _ENTRIES.c.kind, _ENTRIES.c.key
)
# The same on PostgreSQL, where reading as many parameters as there are values takes the longest.
_INSERT_COLUMNS: Final = text(
    "INSERT INTO ledger_entry"
    " (loan_id, kind, key, creditor, effective_on, booked_on, adjusts, recorded_at)"
    " SELECT v.*, CAST(:now AS timestamptz) FROM unnest(CAST(:loan_id AS bigint[]),"
    " CAST(:kind AS text[]), CAST(:key AS text[]), CAST(:creditor AS text[]),"
    " CAST(:effective_on AS date[]), CAST(:booked_on AS date[]), CAST(:adjusts AS text[])) AS v"
    " RETURNING id, kind, key"
)


class EntryUnbalanced(Invalid):
    """The postings of an entry do not sum to zero."""

    code = "ledger-entry-unbalanced"


class AccountUnknown(Invalid):
    """A posting names an account that the chart does not have."""

    code = "ledger-account-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One leg of an entry: debits positive, credits negative, in fen.

    Attributes:
        instalment_n: The instalment that the leg is about, if one.
        payee: Whose money it is, where it is collected for somebody.
    """

    account: str
    amount_fen: int
    instalment_n: int | None = None
    payee: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An entry to be appended: what happened, under which key, on which business date.

    Attributes:
        creditor: In whose books it is, where it is about no loan.
    """

    kind: str
    key: str
    effective_on: date
    postings: tuple[Posting, ...]
    creditor: str = DEFAULT_CREDITOR


def post_entry(
    session: Session,
    *,
    loan_id: int | None,
    kind: str,
    key: str,
    effective_on: date,
    postings: Mapping[str, int] | Sequence[Posting],
    now: datetime,
) -> int:
    """Append a balanced entry to the ledger and return its id; legs of zero are left out.

    Args:
        session: The write session of the change that the entry records.
        loan_id: The loan it is about, or None.
        kind: What happened, such as "repayment".
        key: Unique within the kind; a second entry of the same key is refused by the database.
        effective_on: Business date of the fact.
        postings: The legs, or just account → amount where no instalment is meant.
        now: The instant at which it is recorded.

    Raises:
        EntryUnbalanced: The postings do not sum to zero.
        AccountUnknown: The chart has no such account.
    """
    new = NewEntry(kind=kind, key=key, effective_on=effective_on, postings=tuple(_legs(postings)))
    return post_all(session, entries=[(loan_id, new)], now=now)[0]


def post_entries(
    session: Session, *, loan: Loan, entries: Sequence[NewEntry], now: datetime
) -> None:
    """Append several balanced entries of a loan at once; errors as in `post_entry`."""
    _append(session, [(loan.id, new) for new in entries], {loan.id: loan.funder}, now)


def post_all(
    session: Session, *, entries: Sequence[tuple[int | None, NewEntry]], now: datetime
) -> list[int]:
    """Append balanced entries of many loans, each with its loan; as `post_entries` otherwise."""
    loan_ids = {loan_id for loan_id, _ in entries if loan_id is not None}
    return _append(session, entries, _creditors(session, loan_ids), now)


def _append(
    session: Session,
    entries: Sequence[tuple[int | None, NewEntry]],
    creditors: Mapping[int, str],
    now: datetime,
) -> list[int]:
    for _, new in entries:
        _check(new)
    if not entries:
        return []
    ids = _insert(session, list(_rows(session, entries, creditors, now)), now)
    legs = [
        {
            "entry_id": entry_id,
            "account": leg.account,
            "instalment_n": leg.instalment_n,
            "amount_fen": leg.amount_fen,
            "payee": leg.payee or None,
        }
        for entry_id, (_, new) in zip(ids, entries, strict=True)
        for leg in new.postings
        if leg.amount_fen
    ]
    bulk_insert(session, LedgerPosting, legs)
    return ids


def _insert(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> list[int]:
    """Insert entries and return their ids in the order of the rows."""
    if session.get_bind().dialect.name == "postgresql":
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        made = session.execute(_INSERT_COLUMNS, columns | {"now": now})
    else:
        made = session.execute(_INSERT_ENTRIES, [{**row, "recorded_at": now} for row in rows])
    ids = {(kind, key): entry_id for entry_id, kind, key in made}
    return [ids[row["kind"], row["key"]] for row in rows]


def _rows(
    session: Session,
    entries: Sequence[tuple[int | None, NewEntry]],
    creditors: Mapping[int, str],
    now: datetime,
) -> Iterator[dict[str, Any]]:
    """Lay entries out as rows: in whose books, and on which day, they stand."""
    days = {new.effective_on for _, new in entries}
    bookings = {day: booking_of(session, effective_on=day, now=now) for day in days}
    for loan_id, new in entries:
        booking = bookings[new.effective_on]
        yield {
            "loan_id": loan_id,
            "kind": new.kind,
            "key": new.key,
            "creditor": new.creditor if loan_id is None else creditors[loan_id],
            "effective_on": new.effective_on,
            "booked_on": booking.on,
            "adjusts": booking.adjusts,
        }


def _creditors(session: Session, loan_ids: AbstractSet[int]) -> dict[int, str]:
    """A loan's entries are in its funder's books."""
    rows = session.execute(select(Loan.id, Loan.funder).where(Loan.id.in_(loan_ids)))
    return {row.id: row.funder for row in rows}


def _check(new: NewEntry) -> None:
    total = sum(leg.amount_fen for leg in new.postings)
    if total:
        raise EntryUnbalanced(f"{new.kind} {new.key} is off by {total} fen")
    unknown = {leg.account for leg in new.postings} - BY_CODE.keys()
    if unknown:
        raise AccountUnknown(f"{new.kind} {new.key} names {sorted(unknown)}")


def _legs(postings: Mapping[str, int] | Sequence[Posting]) -> Sequence[Posting]:
    if not isinstance(postings, Mapping):
        return postings
    return [Posting(account=account, amount_fen=fen) for account, fen in postings.items()]
