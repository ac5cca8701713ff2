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
PARTNER_CLEARING: Final = "partner-clearing"
BANK: Final = "collection-bank"
CASH: Final = "cash-desk"
REFUND_PAYABLE: Final = "refund-payable"
MERCHANT: Final = "merchant-clearing"
GOODWILL: Final = "goodwill"
CREDIT_LOSS: Final = "credit-loss"
INTEREST_LOSS: Final = "interest-charged-off"
FEE_LOSS: Final = "fee-charged-off"
RECOVERIES: Final = "recoveries"
CHARGED_OFF: Final = "charged-off-claims"
CHARGED_OFF_CONTRA: Final = "charged-off-contra"
SUSPENSE: Final = "suspense"
PAY_FEE: Final = "payment-fee"
DIFFERENCES: Final = "reconciliation-differences"
SUBSIDY_DUE: Final = "subsidy-receivable"
SUBSIDY_INCOME: Final = "subsidy-income"
FEE_PAYABLE: Final = "fee-payable"
FEE_TO_COLLECT: Final = "fee-to-collect"


class AccountKind(StrEnum):
    """On which side of the books an account stands; memoranda are beside them."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    MEMORANDUM = "memorandum"


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
    _account(SUBSIDY_DUE, AccountKind.ASSET, "应收商户贴息", "Subsidies due from merchants"),
    _account(INTEREST_INCOME, AccountKind.INCOME, "利息收入", "Interest income"),
    _account(FEE_INCOME, AccountKind.INCOME, "费用收入", "Fee income"),
    _account(PENALTY_INCOME, AccountKind.INCOME, "罚息收入", "Penalty income"),
    _account(SUBSIDY_INCOME, AccountKind.INCOME, "商户贴息收入", "Subsidy income"),
    _account(WAIVED, AccountKind.EXPENSE, "减免支出", "Waived"),
    _account(FUNDING, AccountKind.ASSET, "放款银行存款", "Funding bank account"),
    _account(CLEARING, AccountKind.ASSET, "微信支付待清算", "WeChat Pay clearing"),
    _account(PARTNER_CLEARING, AccountKind.ASSET, "合作方代收待清算", "Collected by partners"),
    _account(BANK, AccountKind.ASSET, "收款银行存款", "Collection bank account"),
    _account(CASH, AccountKind.ASSET, "柜台现金", "Cash at the counter"),
    _account(REFUND_PAYABLE, AccountKind.LIABILITY, "应退客户款", "Payable to customers"),
    _account(FEE_TO_COLLECT, AccountKind.LIABILITY, "待收代收费用", "Fees to collect for others"),
    _account(FEE_PAYABLE, AccountKind.LIABILITY, "应付代收费用", "Fees collected for others"),
    _account(MERCHANT, AccountKind.ASSET, "商户退货款往来", "Due from merchants for returns"),
    _account(GOODWILL, AccountKind.EXPENSE, "客户关怀补偿", "Goodwill credits"),
    _account(CREDIT_LOSS, AccountKind.EXPENSE, "贷款核销损失", "Loan losses"),
    _account(INTEREST_LOSS, AccountKind.EXPENSE, "应收利息核销", "Interest charged off"),
    _account(FEE_LOSS, AccountKind.EXPENSE, "应收费用及罚息核销", "Fees and penalty charged off"),
    _account(RECOVERIES, AccountKind.INCOME, "已核销贷款收回", "Recoveries"),
    _account(CHARGED_OFF, AccountKind.MEMORANDUM, "已核销债权（表外）", "Claims charged off"),
    _account(
        CHARGED_OFF_CONTRA,
        AccountKind.MEMORANDUM,
        "已核销债权对方科目",
        "Charged-off contra",
    ),
    _account(SUSPENSE, AccountKind.LIABILITY, "暂收挂账", "Suspense"),
    _account(PAY_FEE, AccountKind.EXPENSE, "支付手续费", "Payment fees"),
    _account(DIFFERENCES, AccountKind.EXPENSE, "对账差错损益", "Reconciliation differences"),
)

BY_CODE: Final = {account.code: account for account in CHART}
