"""What a partner may let happen to a loan: each act as it is asked for, and what it comes to.

An act knows its scope, the event that it would be, by how much it counts against the partner's
limit, and the operation that does it. That a preview was looked at is the business of
servicing.api.events.

    ValueDateOff  422  money is dated before the loan, or after today
    NotTheirEvent 409  a partner reverses only what it posted itself
"""

from abc import abstractmethod
from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, RootModel, StrictBool, StrictInt
from typing_extensions import override

from kernel.errors import Conflict, FenqiError, Invalid
from servicing import operations, queries
from servicing.api.door import Call
from servicing.api.scopes import Scope
from servicing.api.shapes import AskedFen, Day, Reference, Shape
from servicing.archive import EventNotBookable
from servicing.engine.cost import CostAboveCap
from servicing.engine.events import Event, Payment, Prepayment
from servicing.engine.parts import Component
from servicing.engine.payments import EventRefused
from servicing.engine.profile import Excess
from servicing.model import PARTNER
from servicing.operations.freezes import most_saved_fen
from servicing.operations.lines import LineNotDrawable
from servicing.operations.requests import Asked
from servicing.tables import Loan

_REASON: Final = "合作方办理"
_MOST_SEQ: Final = 1_000_000
_A_DAY_S: Final = 86_400


class ValueDateOff(Invalid):
    """Money cannot count before the loan was disbursed, nor from a later day than today."""

    code = "value-date-off"
    message_zh = "入账日期不正确"


class NotTheirEvent(Conflict):
    """A partner reverses only what it posted itself."""

    code = "event-not-theirs"
    message_zh = "只能冲正本方提交的记录"


class Act(Shape):
    """Anything that may happen; `preview` is that of the preview of just this.

    Attributes:
        scope: What a key needs for it; its limit has the same name.
        is_fact: It happened already, so it is posted without being looked at first.
        is_priced: It may not make the loan dearer than the cap.
    """

    scope: ClassVar[Scope]
    is_fact: ClassVar[bool] = False
    is_priced: ClassVar[bool] = False

    preview: Annotated[
        str | None,
        Field(max_length=64, description="`preview` of the preview; needed to post."),
    ] = None

    @property
    def limit(self) -> str:
        """Name the limit that it counts against."""
        return self.scope.value.partition(":")[2]

    @abstractmethod
    def event(self, call: Call, loan: Loan) -> Event:
        """Return what it would be in the life of the loan."""

    @abstractmethod
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        """Do it to the locked loan; returns the number of its event."""

    def counts_fen(self, call: Call, loan: Loan, event: Event) -> int:
        """Say by how much it counts against the limit: what it changes for the borrower."""
        seen = operations.preview_event(call.session, loan_id=loan.id, event=event)
        return abs(seen.changes_fen)


class _OfAmount(Act):
    """An act that names its amount."""

    amount_fen: AskedFen

    @override
    def counts_fen(self, call: Call, loan: Loan, event: Event) -> int:
        return self.amount_fen


class Moved(_OfAmount):
    """Money that moved outside WeChat Pay, through the partner, its bank or its desk."""

    reference: Annotated[
        Reference,
        Field(description="Of the transfer or receipt in your books; it stands for one act."),
    ]
    channel: Literal["partner", "bank-transfer", "cash-desk"] = "partner"


class _Received(Moved):
    """Money that arrived, on a day up to today."""

    scope = Scope.EVENTS_REPAYMENT
    is_fact = True

    value_date: Day

    def require_dated(self, call: Call, loan: Loan) -> None:
        """Refuse money of another time than that of the loan until today."""
        if not loan.disbursed_on <= self.value_date <= call.on:
            raise ValueDateOff("money counts from the disbursement on, up to today")

    def paid(self, call: Call, loan: Loan) -> dict[str, Any]:
        """Say what the operations are given."""
        return {
            "loan_id": loan.id,
            "amount_fen": self.amount_fen,
            "value_date": self.value_date,
            "key": call.key,
            "now": call.now,
            "actor": actor(call),
        }


class Repayment(_Received):
    """Money that was collected; it settles the oldest instalment first."""

    kind: Literal["repayment"]

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        self.require_dated(call, loan)
        return Payment(id="", on=self.value_date, amount_fen=self.amount_fen)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        return operations.post_repayment(call.session, **self.paid(call, loan))


class Prepaid(_Received):
    """Money that pays what is due, the cost to the day, then principal; the rest is re-planned."""

    kind: Literal["prepayment"]
    effect: Excess = Excess.REDUCE_TERM

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        self.require_dated(call, loan)
        effect, fen = self.effect, self.amount_fen
        return Prepayment(id="", on=self.value_date, amount_fen=fen, effect=effect)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        paid = self.paid(call, loan)
        return operations.post_prepayment(call.session, effect=self.effect, **paid)


class Waived(_OfAmount):
    """The lender gives up a part of what is owed, the oldest instalment first."""

    scope = Scope.EVENTS_WAIVER

    kind: Literal["waiver"]
    component: Literal["penalty", "fee", "interest"]

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        component, fen = Component(self.component), self.amount_fen
        return operations.waiver(
            call.session, loan_id=loan.id, component=component, amount_fen=fen, on=call.on
        )

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        component, fen = Component(self.component), self.amount_fen
        return operations.waive(
            call.session, component=component, amount_fen=fen, **asked(call, loan)
        )


class Charged(_OfAmount):
    """A fee that falls due on a day."""

    scope = Scope.EVENTS_CHARGE
    is_priced = True

    kind: Literal["charge"]
    due_on: Day

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        _require_ahead(call, self.due_on)
        return operations.charging(amount_fen=self.amount_fen, due_on=self.due_on, on=call.on)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        fen, due_on = self.amount_fen, self.due_on
        return operations.charge(call.session, amount_fen=fen, due_on=due_on, **asked(call, loan))


class Confirmed(Act):
    """An act whose cost table, which its preview holds, the borrower confirms first."""

    is_priced = True

    seconds_shown: Annotated[
        StrictInt | None,
        Field(
            ge=1,
            le=_A_DAY_S,
            description="How long the borrower had the preview's `cost_table` in view before "
            "confirming it; needed to post.",
        ),
    ] = None

    def confirm(self, call: Call, loan: Loan, event: Event) -> int:
        """Keep that the borrower confirmed the cost table; returns the record's number.

        Raises:
            CostNotConfirmed: The partner does not say so.
        """
        if self.seconds_shown is None:
            raise operations.CostNotConfirmed("the borrower confirms the cost table first")
        return operations.confirm_cost(
            call.session,
            customer_id=loan.customer_id,
            content=operations.change_table(call.session, loan_id=loan.id, event=event),
            seconds_shown=self.seconds_shown,
            now=call.now,
        )


class Extended(Confirmed):
    """What is not due yet is spread over more instalments (展期)."""

    scope = Scope.EVENTS_EXTENSION

    kind: Literal["extension"]
    extra_terms: Annotated[StrictInt, Field(ge=1, le=60)]

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        extra = self.extra_terms
        return operations.extension(call.session, loan_id=loan.id, extra_terms=extra, on=call.on)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        extra, shown = self.extra_terms, self.confirm(call, loan, event)
        return operations.extend(
            call.session, extra_terms=extra, disclosure_id=shown, **asked(call, loan)
        )


class Drawn(Confirmed):
    """A further part of a loan that is drawn bit by bit is paid out (分次放款)."""

    scope = Scope.EVENTS_DRAWING

    kind: Literal["drawing"]
    amount_fen: AskedFen

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        fen = self.amount_fen
        return operations.drawing(call.session, loan_id=loan.id, amount_fen=fen, on=call.on)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        fen, shown = self.amount_fen, self.confirm(call, loan, event)
        return operations.draw_tranche(
            call.session, amount_fen=fen, disclosure_id=shown, **asked(call, loan)
        )

    @override
    def counts_fen(self, call: Call, loan: Loan, event: Event) -> int:
        return self.amount_fen


class Paused(Act):
    """No interest, or no penalty, from a first to a last day, both included."""

    scope = Scope.EVENTS_PAUSE
    is_priced = True

    kind: Literal["interest-pause", "penalty-pause"]
    first_on: Day
    last_on: Day | None = None

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        _require_ahead(call, self.first_on)
        return operations.freeze(call.session, loan_id=loan.id, on=call.on, **self._days())

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        return operations.place_freeze(
            call.session, reason=_REASON, **self._days(), **asked(call, loan)
        )

    @override
    def counts_fen(self, call: Call, loan: Loan, event: Event) -> int:
        """Count what it may come to later, too, which no preview can see."""
        seen_fen = super().counts_fen(call, loan, event)
        if self.kind == "interest-pause":
            return seen_fen
        later_fen = most_saved_fen(
            call.session, loan_id=loan.id, first_on=self.first_on, last_on=self.last_on
        )
        return max(seen_fen, later_fen)

    def _days(self) -> dict[str, Any]:
        what = self.kind.partition("-")[0]
        return {"what": what, "first_on": self.first_on, "last_on": self.last_on}


class Cancelled(_OfAmount):
    """The goods went back, and the seller gives back their price or a part of it.

    Principal beyond it stays owed. What is then paid too much is owed to the borrower.
    """

    scope = Scope.EVENTS_CANCELLATION

    kind: Literal["cancellation"]
    bears_cost: Annotated[
        StrictBool, Field(description="Whether the borrower bears the cost until today.")
    ]

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        return operations.cancellation(
            call.session, loan_id=loan.id, on=call.on, **self._given_back()
        )

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        return operations.cancel_purchase(call.session, **self._given_back(), **asked(call, loan))

    def _given_back(self) -> dict[str, Any]:
        return {"amount_fen": self.amount_fen, "bears_cost": self.bears_cost}


class Refunded(Moved):
    """The partner paid back to the borrower what the loan owes to them."""

    scope = Scope.EVENTS_REFUND

    kind: Literal["credit-refund"]

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        fen = self.amount_fen
        return operations.refunding(call.session, loan_id=loan.id, amount_fen=fen, on=call.on)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        fen = self.amount_fen
        return operations.refund_credit(call.session, amount_fen=fen, **asked(call, loan))


class Reversed(Act):
    """An event of the partner never happened."""

    scope = Scope.EVENTS_REVERSAL

    kind: Literal["reversal"]
    of_seq: Annotated[StrictInt, Field(ge=1, le=_MOST_SEQ)]

    @override
    def event(self, call: Call, loan: Loan) -> Event:
        events = queries.loan_events(call.session, loan_id=loan.id)
        if not any(each.seq == self.of_seq and each.actor == actor(call) for each in events):
            raise NotTheirEvent(f"event {self.of_seq} was not posted by this partner")
        return operations.reversal(call.session, loan_id=loan.id, seq=self.of_seq, on=call.on)

    @override
    def post(self, call: Call, loan: Loan, event: Event) -> int:
        return operations.reverse(call.session, seq=self.of_seq, **asked(call, loan))

    @override
    def counts_fen(self, call: Call, loan: Loan, event: Event) -> int:
        """Count what it takes back as that counted when it was done."""
        done_fen = operations.reversal_fen(call.session, loan_id=loan.id, seq=self.of_seq)
        return max(super().counts_fen(call, loan, event), done_fen)


AnyAct = (
    Repayment
    | Prepaid
    | Waived
    | Charged
    | Extended
    | Drawn
    | Paused
    | Cancelled
    | Refunded
    | Reversed
)


class AskedEvent(RootModel[Annotated[AnyAct, Field(discriminator="kind")]]):
    """Something that is to happen to a loan."""


REFUSALS: Final[tuple[type[FenqiError], ...]] = (
    ValueDateOff,
    NotTheirEvent,
    CostAboveCap,
    EventRefused,
    EventNotBookable,
    operations.CancellationRefused,
    operations.CreditRefused,
    operations.ExtensionRefused,
    operations.FreezeRefused,
    operations.PaymentTooLarge,
    operations.ReversalRefused,
    operations.SettlementStands,
    operations.WaiverTooLarge,
    operations.TrancheRefused,
    LineNotDrawable,
)
"""Why an act cannot happen to a loan as it stands, or not by this partner."""

EXAMPLES: Final = {
    "repayment": {
        "summary": "Money arrived by bank transfer",
        "value": {
            "kind": "repayment",
            "amount_fen": 52_180,
            "value_date": "2026-03-10",
            "channel": "bank-transfer",
            "reference": "BK20260310-0017",
        },
    },
    "prepayment": {
        "summary": "Money that pays ahead; fewer instalments are left",
        "value": {
            "kind": "prepayment",
            "amount_fen": 150_000,
            "value_date": "2026-03-10",
            "effect": "reduce-term",
            "reference": "BK20260310-0018",
        },
    },
    "waiver": {
        "summary": "Interest is given up",
        "value": {"kind": "waiver", "component": "interest", "amount_fen": 100},
    },
    "charge": {
        "summary": "A fee",
        "value": {"kind": "charge", "amount_fen": 100, "due_on": "2026-03-20"},
    },
    "extension": {
        "summary": "Three instalments more",
        "value": {"kind": "extension", "extra_terms": 3},
    },
    "drawing": {
        "summary": "A further part of the loan",
        "value": {"kind": "drawing", "amount_fen": 100_000},
    },
    "pause": {
        "summary": "No interest for ten days",
        "value": {"kind": "interest-pause", "first_on": "2026-03-11", "last_on": "2026-03-20"},
    },
    "cancellation": {
        "summary": "The goods went back",
        "value": {"kind": "cancellation", "amount_fen": 300_000, "bears_cost": False},
    },
    "credit-refund": {
        "summary": "What was paid too much went back in cash",
        "value": {
            "kind": "credit-refund",
            "amount_fen": 10_000,
            "channel": "cash-desk",
            "reference": "CD-118",
        },
    },
    "reversal": {
        "summary": "What was posted as number 4 never happened",
        "value": {"kind": "reversal", "of_seq": 4},
    },
}
"""One of each, for the document."""


def actor(call: Call) -> str:
    """Name the partner as the one who did something."""
    return f"{PARTNER}{call.caller.partner}"


def asked(call: Call, loan: Loan) -> Asked:
    """Say what every request says."""
    return {
        "loan_id": loan.id,
        "on": call.on,
        "key": call.key,
        "actor": actor(call),
        "now": call.now,
    }


def _require_ahead(call: Call, on: date) -> None:
    if on < call.on:
        raise ValueDateOff("this is for days from today on")
