"""Tables of the loan book: who, on which line, what was booked, what is owed, what was posted.

Payment orders, payments and refunds are not here but in servicing.payments.tables. Money is a
BIGINT count of fen; personal fields are encrypted and found by blind index only. The events of
loans, their plans, the ledger and the consents are append-only: triggers on both databases refuse
to change or delete a row.
"""

from servicing.tables.applications import (
    Application,
    ApplicationCourse,
    ApplicationEvidence,
    ApplicationReview,
)
from servicing.tables.days import DayClose, DayFailure, DayPartition
from servicing.tables.ledger import (
    DEFAULT_CREDITOR,
    AccountingPeriod,
    BooksProof,
    LedgerEntry,
    LedgerPosting,
    PeriodBalance,
)
from servicing.tables.lines import CreditLine, LineChange, LineFreeze, Offer
from servicing.tables.loans import (
    ClassMark,
    CostDisclosure,
    Instalment,
    LatenessChange,
    Loan,
    LoanEvent,
    LoanFreeze,
    PlanVersion,
)
from servicing.tables.outcomes import LoanOutcome, OutcomeRun
from servicing.tables.partners import PartnerAct, PartnerDay, PartnerLimit
from servicing.tables.payees import LoanPayee, PayeePayout
from servicing.tables.people import Alert, Complaint, Consent, Customer, Hold, PartnerCustomer
from servicing.tables.receipts import LoanReceipt

__all__ = [
    "DEFAULT_CREDITOR",
    "AccountingPeriod",
    "Alert",
    "Application",
    "ApplicationCourse",
    "ApplicationEvidence",
    "ApplicationReview",
    "BooksProof",
    "ClassMark",
    "Complaint",
    "Consent",
    "CostDisclosure",
    "CreditLine",
    "Customer",
    "DayClose",
    "DayFailure",
    "DayPartition",
    "Hold",
    "Instalment",
    "LatenessChange",
    "LedgerEntry",
    "LedgerPosting",
    "LineChange",
    "LineFreeze",
    "Loan",
    "LoanEvent",
    "LoanFreeze",
    "LoanOutcome",
    "LoanPayee",
    "LoanReceipt",
    "Offer",
    "OutcomeRun",
    "PartnerAct",
    "PartnerCustomer",
    "PartnerDay",
    "PartnerLimit",
    "PayeePayout",
    "PeriodBalance",
    "PlanVersion",
]
