"""What others may read, by noun; callers find every query here.

Views are frozen and hold clear values; hiding them from eyes that need not see them is a page's
task. A query never changes anything.
"""

from servicing.model import APPEALED, IMPORTED, MACHINE, ApplicationState
from servicing.queries.alerts import AlertView, alert_of, alerts, count_alerts
from servicing.queries.applications import (
    ApplicationDetail,
    DecisionBoard,
    ReviewQueue,
    application_of,
    applications_in_review,
    decided_applications,
    decision_board,
    latest_application,
    review_queue,
)
from servicing.queries.board import (
    BucketLine,
    OverdueBoard,
    OverdueLoan,
    each_overdue_loan,
    overdue_board,
    overdue_loans,
)
from servicing.queries.closing import DayCloseView, last_day_close
from servicing.queries.customers import (
    CustomerNotFound,
    CustomerView,
    customer_names,
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
from servicing.queries.reasons import customer_reasons
from servicing.queries.records import (
    ApplicationView,
    ComplaintView,
    ConsentView,
    EntryView,
    HoldView,
    LineView,
    PostingView,
    RepaymentView,
    applications_of,
    complaints_of,
    consents_of,
    entries_of,
    holds_of,
    lines_of,
    repayments_of,
)

__all__ = [
    "APPEALED",
    "IMPORTED",
    "MACHINE",
    "AlertView",
    "ApplicationDetail",
    "ApplicationState",
    "ApplicationView",
    "BucketLine",
    "ComplaintView",
    "ConsentView",
    "CustomerNotFound",
    "CustomerView",
    "DayCloseView",
    "DecisionBoard",
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
    "ReviewQueue",
    "account_facts",
    "alert_of",
    "alerts",
    "application_of",
    "application_snapshot",
    "applications_in_review",
    "applications_of",
    "complaints_of",
    "consents_of",
    "count_alerts",
    "customer_names",
    "customer_reasons",
    "customer_view",
    "decided_applications",
    "decision_board",
    "due_select",
    "each_overdue_loan",
    "entries_of",
    "explain",
    "find_customers",
    "holds_of",
    "last_day_close",
    "latest_application",
    "lines_of",
    "loan_of",
    "loans_of",
    "match_identity",
    "overdue_board",
    "overdue_loans",
    "repayment_quote",
    "repayments_of",
    "review_queue",
]
