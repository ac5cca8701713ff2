"""The one door into the ledger: a balanced entry, appended. Corrections are further entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from kernel.errors import Invalid
from servicing.chart import BY_CODE
from servicing.tables import LedgerEntry, LedgerPosting


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
    legs = _legs(postings)
    total = sum(leg.amount_fen for leg in legs)
    if total:
        raise EntryUnbalanced(f"{kind} {key} is off by {total} fen")
    unknown = {leg.account for leg in legs} - BY_CODE.keys()
    if unknown:
        raise AccountUnknown(f"{kind} {key} names {sorted(unknown)}")
    entry = LedgerEntry(
        loan_id=loan_id, kind=kind, key=key, effective_on=effective_on, recorded_at=now
    )
    session.add(entry)
    session.flush()
    session.add_all(
        LedgerPosting(
            entry_id=entry.id,
            account=leg.account,
            instalment_n=leg.instalment_n,
            amount_fen=leg.amount_fen,
        )
        for leg in legs
        if leg.amount_fen
    )
    return entry.id


def _legs(postings: Mapping[str, int] | Sequence[Posting]) -> Sequence[Posting]:
    if not isinstance(postings, Mapping):
        return postings
    return [Posting(account=account, amount_fen=fen) for account, fen in postings.items()]
