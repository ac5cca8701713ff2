"""What a key may be allowed to do. Which key has what is kept with the key."""

from enum import StrEnum

from servicing.webhooks.operations import ALL_SCOPE, NEWS_SCOPE


class Scope(StrEnum):
    """One thing that a key may do; events have a scope for each kind of act."""

    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    PRODUCTS_READ = "products:read"
    APPLICATIONS_READ = "applications:read"
    APPLICATIONS_WRITE = "applications:write"
    APPLICATIONS_BOOK = "applications:book"
    QUOTES_READ = "quotes:read"
    LOANS_READ = "loans:read"
    PAYMENTS_READ = "payments:read"
    EXPORTS_READ = "exports:read"
    EVENTS_REPAYMENT = "events:repayment"
    EVENTS_WAIVER = "events:waiver"
    EVENTS_CHARGE = "events:charge"
    EVENTS_EXTENSION = "events:extension"
    EVENTS_DRAWING = "events:drawing"
    EVENTS_PAUSE = "events:pause"
    EVENTS_CANCELLATION = "events:cancellation"
    EVENTS_REFUND = "events:refund"
    EVENTS_REVERSAL = "events:reversal"
    WEBHOOKS = NEWS_SCOPE
    WHOLE_BOOK = ALL_SCOPE


SAID = {
    Scope.CUSTOMERS_READ: "Read customers, masked, and their lines",
    Scope.CUSTOMERS_WRITE: "Bring customers",
    Scope.PRODUCTS_READ: "Read products",
    Scope.APPLICATIONS_READ: "Read applications and why they were decided so",
    Scope.APPLICATIONS_WRITE: "Apply, withdraw, ask for a person",
    Scope.APPLICATIONS_BOOK: "Book loans that were approved, on a confirmed cost table",
    Scope.QUOTES_READ: "Ask what something would cost",
    Scope.LOANS_READ: "Read loans, plans, events, ledgers and statements",
    Scope.PAYMENTS_READ: "Read payments and refunds",
    Scope.EXPORTS_READ: "Export loans, plans, events, entries and what is overdue",
    Scope.EVENTS_REPAYMENT: "Report money that was collected",
    Scope.EVENTS_WAIVER: "Waive",
    Scope.EVENTS_CHARGE: "Charge fees",
    Scope.EVENTS_EXTENSION: "Extend loans",
    Scope.EVENTS_DRAWING: "Draw further parts of loans that are drawn bit by bit",
    Scope.EVENTS_PAUSE: "Pause interest or penalty",
    Scope.EVENTS_CANCELLATION: "Undo purchases whose goods went back",
    Scope.EVENTS_REFUND: "Report that what was paid too much was given back",
    Scope.EVENTS_REVERSAL: "Reverse what the same partner posted",
    Scope.WEBHOOKS: "Have news delivered, and read it",
    Scope.WHOLE_BOOK: "See everybody, not only whom the partner brought; for the house itself",
}
"""Each scope in words, as the API's document shows it."""
