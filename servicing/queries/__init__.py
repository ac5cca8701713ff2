"""What others may read, by noun; callers find every query here.

Views are frozen and hold clear values; hiding them from eyes that need not see them is a page's
task. A query never changes anything.
"""

from servicing.queries.board import (
    BucketLine,
    OverdueBoard,
    OverdueLoan,
    overdue_board,
    overdue_loans,
)
from servicing.queries.customers import (
    CustomerNotFound,
    CustomerView,
    customer_view,
    find_customers,
    match_identity,
)
from servicing.queries.dues import due_select
from servicing.queries.facts import account_facts, application_snapshot
from servicing.queries.loans import (
    InstalmentView,
    LoanNotFound,
    LoanView,
    Quote,
    explain,
    loan_of,
    loans_of,
    repayment_quote,
)
from servicing.queries.records import (
    AlertView,
    ApplicationView,
    ComplaintView,
    ConsentView,
    EntryView,
    HoldView,
    LineView,
    PostingView,
    RepaymentView,
    alerts,
    applications_of,
    complaints_of,
    consents_of,
    entries_of,
    holds_of,
    lines_of,
    repayments_of,
)

__all__ = [
    "AlertView",
    "ApplicationView",
    "BucketLine",
    "ComplaintView",
    "ConsentView",
    "CustomerNotFound",
    "CustomerView",
    "EntryView",
    "HoldView",
    "InstalmentView",
    "LineView",
    "LoanNotFound",
    "LoanView",
    "OverdueBoard",
    "OverdueLoan",
    "PostingView",
    "Quote",
    "RepaymentView",
    "account_facts",
    "alerts",
    "application_snapshot",
    "applications_of",
    "complaints_of",
    "consents_of",
    "customer_view",
    "due_select",
    "entries_of",
    "explain",
    "find_customers",
    "holds_of",
    "lines_of",
    "loan_of",
    "loans_of",
    "match_identity",
    "overdue_board",
    "overdue_loans",
    "repayment_quote",
    "repayments_of",
]
