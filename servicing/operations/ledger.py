"""The one door into the ledger: a balanced entry, appended. Corrections are further entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from kernel.errors import Invalid
from servicing.chart import BY_CODE
from servicing.operations.periods import booking_of
from servicing.tables import DEFAULT_CREDITOR, LedgerEntry, LedgerPosting, Loan


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
    """

    account: str
    amount_fen: int
    instalment_n: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An entry to be appended: what happened, under which key, on which business date."""

    kind: str
    key: str
    effective_on: date
    postings: tuple[Posting, ...]


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
    return post_entries(session, loan_id=loan_id, entries=(new,), now=now)[0]


def post_entries(
    session: Session, *, loan_id: int | None, entries: Sequence[NewEntry], now: datetime
) -> list[int]:
    """Append several balanced entries at once and return their ids; errors as in `post_entry`."""
    for new in entries:
        _check(new)
    creditor = _creditor(session, loan_id)
    rows = [_row(session, new, loan_id, creditor, now) for new in entries]
    session.add_all(rows)
    session.flush()
    session.add_all(
        LedgerPosting(
            entry_id=row.id,
            account=leg.account,
            instalment_n=leg.instalment_n,
            amount_fen=leg.amount_fen,
        )
        for row, new in zip(rows, entries, strict=True)
        for leg in new.postings
        if leg.amount_fen
    )
    return [row.id for row in rows]


def _row(
    session: Session, new: NewEntry, loan_id: int | None, creditor: str, now: datetime
) -> LedgerEntry:
    booking = booking_of(session, effective_on=new.effective_on, now=now)
    return LedgerEntry(
        loan_id=loan_id,
        kind=new.kind,
        key=new.key,
        creditor=creditor,
        effective_on=new.effective_on,
        booked_on=booking.on,
        adjusts=booking.adjusts,
        recorded_at=now,
    )


def _creditor(session: Session, loan_id: int | None) -> str:
    """A loan's entries are in its funder's books, all others in the house's own."""
    return DEFAULT_CREDITOR if loan_id is None else session.get_one(Loan, loan_id).funder


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
