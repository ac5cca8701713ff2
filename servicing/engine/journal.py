"""Turns records into balanced entries of a ledger, by a chart that is data.

One entry per record; a reversed record is booked and booked back. Storing them is not its matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from servicing.engine.book import Kind, Record
from servicing.engine.parts import Parts


class Account(StrEnum):
    """Where money stands."""

    PRINCIPAL = "principal-receivable"
    INCOME_RECEIVABLE = "income-receivable"
    CLEARING = "clearing"
    OVERPAID = "overpaid"
    INTEREST_INCOME = "interest-income"
    FEE_INCOME = "fee-income"
    PENALTY_INCOME = "penalty-income"
    GOODWILL = "goodwill"
    WAIVED = "waived"
    CREDIT_LOSS = "credit-loss"
    INTEREST_CHARGED_OFF = "interest-charged-off"
    FEE_CHARGED_OFF = "fee-charged-off"
    WRITTEN_OFF = "written-off"
    RECOVERIES = "recoveries"
    SUBSIDY_RECEIVABLE = "subsidy-receivable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One side of an entry: fen, positive for debit and negative for credit."""

    account: Account
    fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one record does to the ledger; its postings sum to zero."""

    event_id: str
    kind: Kind
    on: date
    postings: tuple[Posting, ...]


_FROM_BORROWER = {
    Kind.REPAYMENT,
    Kind.PREPAYMENT,
    Kind.DOWN_PAYMENT,
    Kind.REPAYMENT_AT_DISBURSEMENT,
    Kind.MERCHANT_REFUND,
    Kind.PAYOUT_REFUND,
}
# Where the money comes from that settles a debt without being paid by the borrower.
_SOURCES: Mapping[Kind, Account] = {
    **dict.fromkeys(_FROM_BORROWER, Account.CLEARING),
    Kind.GOODWILL_CREDIT: Account.GOODWILL,
    Kind.INTEREST_REFUND: Account.INTEREST_INCOME,
    Kind.CHARGE_ADJUSTMENT: Account.FEE_INCOME,
    Kind.INTEREST_WAIVER: Account.WAIVED,
    Kind.CHARGE_WAIVER: Account.WAIVED,
    Kind.TOLERANCE_WAIVER: Account.WAIVED,
    Kind.WRITE_OFF: Account.WRITTEN_OFF,
}


# Money that settles nothing of what the borrower owes on the books.
_BESIDE_THE_DEBT: Mapping[Kind, Account] = {
    Kind.RECOVERY: Account.RECOVERIES,
    Kind.SUBSIDY_PAYMENT: Account.SUBSIDY_RECEIVABLE,
}


def entries(records: Iterable[Record]) -> tuple[Entry, ...]:
    """Return the entry of each record that moves money or income."""
    booked = []
    for record in records:
        sides = _sides(record)
        if record.is_reversed:
            sides = [*sides, *((account, -fen) for account, fen in sides)]
        postings = tuple(Posting(account=account, fen=fen) for account, fen in sides if fen)
        if postings:
            entry = Entry(
                event_id=record.event_id, kind=record.kind, on=record.on, postings=postings
            )
            booked.append(entry)
    return tuple(booked)


Sides = list[tuple[Account, int]]


def _sides(record: Record) -> Sides:
    parts, amount = record.parts, record.amount_fen
    if record.kind is Kind.DISBURSEMENT:
        return [(Account.PRINCIPAL, amount), (Account.CLEARING, -amount)]
    if record.kind in (Kind.CHARGE_BACK, Kind.CREDIT_BALANCE_REFUND):
        return _paid_back(record)
    if record.kind is Kind.ACCRUAL:
        return _accrued(parts)
    if record.kind is Kind.CHARGE_OFF:
        return _charged_off(parts)
    if record.kind in _BESIDE_THE_DEBT:
        return [(Account.CLEARING, amount), (_BESIDE_THE_DEBT[record.kind], -amount)]
    source = _SOURCES.get(record.kind)
    return [] if source is None else [*_settled(record), (source, amount)]


def _settled(record: Record) -> Sides:
    """After a charge-off there is no claim on the books any more: what comes in is recovery."""
    owed = record.amount_fen - record.overpaid_fen
    overpaid = (Account.OVERPAID, -record.overpaid_fen)
    if record.after_charge_off:
        return [(Account.RECOVERIES, -owed), overpaid]
    parts = record.parts
    income = owed - parts.principal_fen
    return [
        (Account.PRINCIPAL, -parts.principal_fen),
        (Account.INCOME_RECEIVABLE, -income),
        overpaid,
    ]


def _paid_back(record: Record) -> Sides:
    parts = record.parts
    return [
        (Account.PRINCIPAL, parts.principal_fen),
        (Account.INCOME_RECEIVABLE, parts.total_fen - parts.principal_fen),
        (Account.OVERPAID, record.overpaid_fen),
        (Account.CLEARING, -record.amount_fen),
    ]


def _accrued(parts: Parts) -> Sides:
    return [
        (Account.INCOME_RECEIVABLE, parts.total_fen),
        (Account.INTEREST_INCOME, -parts.interest_fen),
        (Account.FEE_INCOME, -parts.fee_fen),
        (Account.PENALTY_INCOME, -parts.penalty_fen),
    ]


def _charged_off(parts: Parts) -> Sides:
    income = parts.total_fen - parts.principal_fen
    return [
        (Account.PRINCIPAL, -parts.principal_fen),
        (Account.INCOME_RECEIVABLE, -income),
        (Account.CREDIT_LOSS, parts.principal_fen),
        (Account.INTEREST_CHARGED_OFF, parts.interest_fen),
        (Account.FEE_CHARGED_OFF, parts.fee_fen + parts.penalty_fen),
    ]
