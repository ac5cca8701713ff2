"""The chart of accounts, as data. What is posted to them is decided in servicing.bookkeeping."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PRINCIPAL: Final = "loan-principal"
INTEREST_DUE: Final = "interest-receivable"
FEE_DUE: Final = "fee-receivable"
PENALTY_DUE: Final = "penalty-receivable"
INTEREST_INCOME: Final = "interest-income"
FEE_INCOME: Final = "fee-income"
PENALTY_INCOME: Final = "penalty-income"
WAIVED: Final = "waived"
FUNDING: Final = "funding-bank"
CLEARING: Final = "wechat-pay-clearing"
REFUND_PAYABLE: Final = "refund-payable"
SUSPENSE: Final = "suspense"
PAY_FEE: Final = "payment-fee"
DIFFERENCES: Final = "reconciliation-differences"


class AccountKind(StrEnum):
    """On which side of the books an account stands."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account: its code in postings and its name on screens."""

    code: str
    kind: AccountKind
    name_zh: str
    name_en: str


def _account(code: str, kind: AccountKind, name_zh: str, name_en: str) -> Account:
    return Account(code=code, kind=kind, name_zh=name_zh, name_en=name_en)


CHART: Final = (
    _account(PRINCIPAL, AccountKind.ASSET, "贷款本金", "Loan principal"),
    _account(INTEREST_DUE, AccountKind.ASSET, "应收利息", "Interest receivable"),
    _account(FEE_DUE, AccountKind.ASSET, "应收费用", "Fees receivable"),
    _account(PENALTY_DUE, AccountKind.ASSET, "应收罚息", "Penalty receivable"),
    _account(INTEREST_INCOME, AccountKind.INCOME, "利息收入", "Interest income"),
    _account(FEE_INCOME, AccountKind.INCOME, "费用收入", "Fee income"),
    _account(PENALTY_INCOME, AccountKind.INCOME, "罚息收入", "Penalty income"),
    _account(WAIVED, AccountKind.EXPENSE, "减免支出", "Waived"),
    _account(FUNDING, AccountKind.ASSET, "放款银行存款", "Funding bank account"),
    _account(CLEARING, AccountKind.ASSET, "微信支付待清算", "WeChat Pay clearing"),
    _account(REFUND_PAYABLE, AccountKind.LIABILITY, "应退客户款", "Payable to customers"),
    _account(SUSPENSE, AccountKind.LIABILITY, "暂收挂账", "Suspense"),
    _account(PAY_FEE, AccountKind.EXPENSE, "支付手续费", "Payment fees"),
    _account(DIFFERENCES, AccountKind.EXPENSE, "对账差错损益", "Reconciliation differences"),
)

BY_CODE: Final = {account.code: account for account in CHART}
