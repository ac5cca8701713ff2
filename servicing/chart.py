"""The chart of accounts, as data. What is posted to them is decided in servicing.operations."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PRINCIPAL: Final = "loan-principal"
INTEREST_DUE: Final = "interest-receivable"
INTEREST_INCOME: Final = "interest-income"
FUNDING: Final = "funding-bank"
CLEARING: Final = "wechat-pay-clearing"
REFUND_PAYABLE: Final = "refund-payable"


class AccountKind(StrEnum):
    """On which side of the books an account stands."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account: its code in postings and its name on screens."""

    code: str
    kind: AccountKind
    name_zh: str
    name_en: str


CHART: Final = (
    Account(code=PRINCIPAL, kind=AccountKind.ASSET, name_zh="贷款本金", name_en="Loan principal"),
    Account(
        code=INTEREST_DUE,
        kind=AccountKind.ASSET,
        name_zh="应收利息",
        name_en="Interest receivable",
    ),
    Account(
        code=INTEREST_INCOME, kind=AccountKind.INCOME, name_zh="利息收入", name_en="Interest income"
    ),
    Account(
        code=FUNDING, kind=AccountKind.ASSET, name_zh="放款银行存款", name_en="Funding bank account"
    ),
    Account(
        code=CLEARING,
        kind=AccountKind.ASSET,
        name_zh="微信支付待清算",
        name_en="WeChat Pay clearing",
    ),
    Account(
        code=REFUND_PAYABLE,
        kind=AccountKind.LIABILITY,
        name_zh="应退客户款",
        name_en="Payable to customers",
    ),
)

BY_CODE: Final = {account.code: account for account in CHART}
