"""What changes the book, by noun; callers find every operation here.

Each runs in the caller's transaction and reads as load, decide, persist. How a payment reached us
is not decided here but in servicing.payments.
"""

from servicing.chart import (
    CLEARING,
    FUNDING,
    INTEREST_DUE,
    INTEREST_INCOME,
    PRINCIPAL,
    REFUND_PAYABLE,
)
from servicing.model import IMPORTED
from servicing.operations.alerts import AlertNotFound, close_alert, raise_alert
from servicing.operations.applications import (
    ApplicationNotFound,
    appeal_application,
    cancel_application,
    decide_application,
    lock_application,
    review_application,
    submit_application,
)
from servicing.operations.books import prove_books
from servicing.operations.closing import age_loans, close_day
from servicing.operations.complaints import answer_complaint, close_complaint, open_complaint
from servicing.operations.customers import (
    CustomerKnown,
    create_customer,
    customer_row,
    record_consent,
    withdraw_consent,
)
from servicing.operations.disclosures import (
    CostNotConfirmed,
    confirm_cost,
    content_hash,
    cost_table,
)
from servicing.operations.holds import lift_hold, place_hold
from servicing.operations.ledger import EntryUnbalanced, Posting, post_entry
from servicing.operations.lines import (
    LineExhausted,
    LineNotDrawable,
    freeze_line,
    open_line,
    unfreeze_line,
)
from servicing.operations.loans import (
    LoanTerms,
    book_application,
    book_loan,
    instalment_rows,
    loan_row,
    lock_loan,
)
from servicing.operations.repayments import PaymentTooLarge, post_repayment

__all__ = [
    "CLEARING",
    "FUNDING",
    "IMPORTED",
    "INTEREST_DUE",
    "INTEREST_INCOME",
    "PRINCIPAL",
    "REFUND_PAYABLE",
    "AlertNotFound",
    "ApplicationNotFound",
    "CostNotConfirmed",
    "CustomerKnown",
    "EntryUnbalanced",
    "LineExhausted",
    "LineNotDrawable",
    "LoanTerms",
    "PaymentTooLarge",
    "Posting",
    "age_loans",
    "answer_complaint",
    "appeal_application",
    "book_application",
    "book_loan",
    "cancel_application",
    "close_alert",
    "close_complaint",
    "close_day",
    "confirm_cost",
    "content_hash",
    "cost_table",
    "create_customer",
    "customer_row",
    "decide_application",
    "freeze_line",
    "instalment_rows",
    "lift_hold",
    "loan_row",
    "lock_application",
    "lock_loan",
    "open_complaint",
    "open_line",
    "place_hold",
    "post_entry",
    "post_repayment",
    "prove_books",
    "raise_alert",
    "record_consent",
    "review_application",
    "submit_application",
    "unfreeze_line",
    "withdraw_consent",
]
