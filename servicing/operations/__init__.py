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
from servicing.operations.ageing import age_loans
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
from servicing.operations.changes import (
    ExtensionRefused,
    Preview,
    ReversalRefused,
    charge,
    extend,
    extension,
    pause_interest,
    pause_penalty,
    preview_event,
    reverse,
    waive,
)
from servicing.operations.classing import (
    ClassRefused,
    LoanNotClassed,
    downgrade,
    end_downgrade,
    mark_restructured,
)
from servicing.operations.closing import close_day, resume_days, retry_failures
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
    loan_row,
)
from servicing.operations.posting import PaymentTooLarge, lock_loan, post_event
from servicing.operations.repayments import post_prepayment, post_repayment

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
    "ClassRefused",
    "CostNotConfirmed",
    "CustomerKnown",
    "EntryUnbalanced",
    "ExtensionRefused",
    "LineExhausted",
    "LineNotDrawable",
    "LoanNotClassed",
    "LoanTerms",
    "PaymentTooLarge",
    "Posting",
    "Preview",
    "ReversalRefused",
    "age_loans",
    "answer_complaint",
    "appeal_application",
    "book_application",
    "book_loan",
    "cancel_application",
    "charge",
    "close_alert",
    "close_complaint",
    "close_day",
    "confirm_cost",
    "content_hash",
    "cost_table",
    "create_customer",
    "customer_row",
    "decide_application",
    "downgrade",
    "end_downgrade",
    "extend",
    "extension",
    "freeze_line",
    "lift_hold",
    "loan_row",
    "lock_application",
    "lock_loan",
    "mark_restructured",
    "open_complaint",
    "open_line",
    "pause_interest",
    "pause_penalty",
    "place_hold",
    "post_entry",
    "post_event",
    "post_prepayment",
    "post_repayment",
    "preview_event",
    "prove_books",
    "raise_alert",
    "record_consent",
    "resume_days",
    "retry_failures",
    "reverse",
    "review_application",
    "submit_application",
    "unfreeze_line",
    "waive",
    "withdraw_consent",
]
