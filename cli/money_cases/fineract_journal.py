"""Names the accounts of a loan's entries as the first anchor system's chart does.

What is posted is the engine's; where that chart tells apart what the engine sums up, a posting is
split by the parts of its record.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from cli.money_cases.reading import money
from servicing.engine.book import Kind, Record
from servicing.engine.journal import Account, entries

_ACCOUNTS: Final = {
    Account.PRINCIPAL: ("ASSET", "Loans Receivable"),
    Account.INCOME_RECEIVABLE: ("ASSET", "Interest/Fee Receivable"),
    Account.CLEARING: ("LIABILITY", "Suspense/Clearing account"),
    Account.OVERPAID: ("LIABILITY", "Overpayment account"),
    Account.INTEREST_INCOME: ("INCOME", "Interest Income"),
    Account.FEE_INCOME: ("INCOME", "Fee Income"),
    Account.PENALTY_INCOME: ("INCOME", "Fee Income"),
    Account.GOODWILL: ("EXPENSE", "Goodwill Expense Account"),
    Account.WAIVED: ("INCOME", "Interest Income"),
    Account.CREDIT_LOSS: ("EXPENSE", "Credit Loss/Bad Debt"),
    Account.INTEREST_CHARGED_OFF: ("INCOME", "Interest Income Charge Off"),
    Account.FEE_CHARGED_OFF: ("INCOME", "Fee Charge Off"),
    Account.WRITTEN_OFF: ("EXPENSE", "Written off"),
    Account.RECOVERIES: ("INCOME", "Recoveries"),
}
_FRAUD: Final = ("EXPENSE", "Credit Loss/Bad Debt-Fraud")
_NAMES: Final = {
    Kind.CHARGE_BACK: "chargeback",
    Kind.MERCHANT_REFUND: "merchant-issued-refund",
    Kind.RE_AGE: "reage",
    Kind.RE_AMORTISE: "reamortize",
    Kind.TERMINATION: "contract-termination",
    Kind.RECOVERY: "recovery-repayment",
    Kind.INTEREST_WAIVER: "waive-interest",
    Kind.CHARGE_WAIVER: "waive-charges",
}
_REFUNDS: Final = (Kind.MERCHANT_REFUND, Kind.PAYOUT_REFUND)
_CLAIMS: Final = (Account.PRINCIPAL, Account.INCOME_RECEIVABLE)
_PAID_BACK: Final = (Kind.CHARGE_BACK, Kind.CREDIT_BALANCE_REFUND)

Split = Mapping[Account, int]


def journal(records: Iterable[Record], frauds: Container[str]) -> list[dict[str, Any]]:
    """Write the entries of records.

    Args:
        records: What happened.
        frauds: The charge-offs that were for fraud; what they lost has an account of its own.
    """
    is_fraud = False
    written = []
    for record in records:
        if record.kind is Kind.CHARGE_OFF:
            is_fraud = record.event_id in frauds
        written += [_entry(record, lines, is_fraud=is_fraud) for lines in _lines(record)]
    return written


def _lines(record: Record) -> Iterable[list[tuple[Account, int]]]:
    """Split the postings of a record where the chart tells more apart."""
    for entry in entries([replace(record, is_reversed=False)]):
        lines = [
            (account, fen)
            for posting in entry.postings
            for account, fen in _split(record, posting.account, posting.fen).items()
            if fen
        ]
        yield (
            [*lines, *((account, -fen) for account, fen in lines)] if record.is_reversed else lines
        )


def _split(record: Record, account: Account, fen: int) -> Split:
    parts = record.parts
    charges = parts.fee_fen + parts.penalty_fen
    if record.kind is Kind.GOODWILL_CREDIT and account is Account.GOODWILL:
        given = fen - parts.interest_fen - charges
        return {
            account: given,
            Account.INTEREST_CHARGED_OFF: parts.interest_fen,
            Account.FEE_CHARGED_OFF: charges,
        }
    if record.after_charge_off and record.kind in _REFUNDS and account is Account.RECOVERIES:
        return {
            Account.CREDIT_LOSS: fen + parts.interest_fen + charges,
            Account.INTEREST_CHARGED_OFF: -parts.interest_fen,
            Account.FEE_CHARGED_OFF: -charges,
        }
    if record.after_charge_off and record.kind in _PAID_BACK and account in _CLAIMS:
        is_principal = account is Account.PRINCIPAL
        return {
            Account.CREDIT_LOSS: fen if is_principal else 0,
            Account.INTEREST_CHARGED_OFF: 0 if is_principal else parts.interest_fen,
            Account.FEE_CHARGED_OFF: 0 if is_principal else charges,
        }
    return {account: fen}


def _entry(
    record: Record, lines: Iterable[tuple[Account, int]], *, is_fraud: bool
) -> dict[str, Any]:
    written = []
    for account, fen in lines:
        is_loss = is_fraud and account is Account.CREDIT_LOSS
        kind, name = _FRAUD if is_loss else _ACCOUNTS[account]
        debit = money(fen) if fen > 0 else None
        credit = money(-fen) if fen < 0 else None
        written.append({"type": kind, "account": name, "debit": debit, "credit": credit})
    transaction = _NAMES.get(record.kind, record.kind.value).upper().replace("-", "_")
    return {"transaction": transaction, "date": record.on.isoformat(), "entries": written}
