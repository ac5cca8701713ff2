"""Which events of the outbox are news for partners, and how partners read them.

A partner reads business words and numbers that leave the house, never a name, a phone or a row id
of ours but the customer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kernel.outbox import Event
from servicing import events
from servicing.payments.events import PaymentRefunded


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How an event is told.

    Attributes:
        kind: Its name for partners.
        members: What of it partners read, beside whose it is.
        by_kind: More telling names, by what the event's own `kind` says.
    """

    kind: str
    members: tuple[str, ...] = ()
    by_kind: Mapping[str, str] = field(default_factory=dict)

    def kind_of(self, payload: Mapping[str, Any]) -> str:
        """Name one of these events."""
        return self.by_kind.get(payload.get("kind", ""), self.kind)


_CHANGES: Final = {
    "cancellation": "loan.cancelled",
    "charge": "loan.charged",
    "charge-back": "loan.charged-back",
    "charge-off": "loan.charged-off",
    "credit-balance-refund": "loan.credit-refunded",
    "disbursement": "loan.drawn",
    "extra-terms": "loan.extended",
    "goodwill-credit": "loan.credited",
    "interest-pause": "loan.paused",
    "moved-due-date": "loan.due-day-changed",
    "payment-holiday": "loan.relieved",
    "penalty-pause": "loan.paused",
    "principal-grace": "loan.relieved",
    "rate-change": "loan.repriced",
    "re-age": "loan.restructured",
    "re-amortisation": "loan.restructured",
    "recovery": "loan.recovered",
    "reversal": "loan.reversed",
    "termination": "loan.terminated",
    "undrawn-lapse": "loan.drawing-ended",
    "waiver": "loan.waived",
    "write-off": "loan.written-off",
}


NEWS: Final[Mapping[type[Event], Told]] = {
    events.CustomerCreated: Told(kind="customer.created"),
    events.ApplicationSubmitted: Told(kind="application.submitted"),
    events.ApplicationDecided: Told(kind="application.decided", members=("outcome",)),
    events.TermsReviewed: Told(kind="application.reviewed", members=("was_fen", "amount_fen")),
    events.ApplicationWithdrawn: Told(kind="application.withdrawn"),
    events.ApplicationLapsed: Told(kind="application.lapsed"),
    events.LineOpened: Told(kind="line.opened", members=("granted_fen",)),
    events.LineRaised: Told(kind="line.raised", members=("granted_fen",)),
    events.LineFrozen: Told(kind="line.frozen", members=("reason",)),
    events.LoanBooked: Told(kind="loan.booked"),
    events.RepaymentPosted: Told(
        kind="loan.repaid", members=("amount_fen", "value_date", "remaining_fen", "is_settled")
    ),
    events.LoanChanged: Told(kind="loan.changed", members=("kind", "seq"), by_kind=_CHANGES),
    events.InstalmentMissed: Told(kind="instalment.missed", members=("due_on",)),
    PaymentRefunded: Told(kind="payment.refunded", members=("payment_id", "amount_fen")),
}

KINDS: Final = tuple(
    dict.fromkeys(
        kind for told in NEWS.values() for kind in (told.kind, *sorted(told.by_kind.values()))
    )
)

_BY_NAME: Final = {event.__name__: told for event, told in NEWS.items()}


def told(event_name: str, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the kind and the content of a piece of news; None for what is no news."""
    found = _BY_NAME.get(event_name)
    if found is None:
        return None
    return found.kind_of(payload), {name: payload[name] for name in found.members}
