"""How late a loan or a customer was, day by day, as the books said on each."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final

from apiflask import APIBlueprint
from pydantic import Field

from servicing import queries
from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.loans import DayAhead
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import (
    CustomerNo,
    Day,
    EclStage,
    FiveClass,
    LoanNo,
    PageQuery,
    Shape,
    such,
)
from servicing.queries import partners
from servicing.queries.customers import CustomerNotFound
from servicing.queries.history import LoanNotFound

blueprint = APIBlueprint("api_lateness", __name__, tag="Loans")

_LAST_ORDINAL: Final = date.max.toordinal()


class DaysQuery(PageQuery):
    """Which days, both included; from the first disbursement to today if not said."""

    first_on: Day | None = None
    last_on: Annotated[Day | None, Field(description="A business date up to today.")] = None


class LateInstalment(Shape):
    """An instalment that was late; its bucket and class are those of its own days."""

    n: int
    due_on: date
    days_past_due: int
    bucket: Annotated[str, such("M1")]
    five_class: FiveClass


class LatenessDayAnswer(Shape):
    """What a loan was called on a day, as the books said on that day.

    Attributes:
        late_since: The oldest due date of what was owed and late.
        five_class: None, like the ECL stage, if nothing was owed.
        instalments: Those that were late.
    """

    on: date
    late_since: date | None
    days_past_due: int
    bucket: Annotated[str, such("M0")]
    five_class: FiveClass | None
    ecl_stage: EclStage | None
    instalments: tuple[LateInstalment, ...]


class CustomerDay(Shape):
    """How late a customer was on a day, by the worst of the loans that the caller sees."""

    on: date
    late_since: date | None
    days_past_due: int
    bucket: Annotated[str, such("M0")]
    five_class: FiveClass
    ecl_stage: EclStage


class CustomerDays(Shape):
    """Some days of a customer."""

    customer_id: CustomerNo
    days: tuple[CustomerDay, ...]
    next_cursor: str | None


class LatenessPage(Shape):
    """Some days of a loan."""

    loan_no: LoanNo
    days: tuple[LatenessDayAnswer, ...]
    next_cursor: str | None


@serve(
    blueprint,
    get(
        "/loans/<string:loan_no>/lateness",
        Scope.LOANS_READ,
        LatenessPage,
        query=DaysQuery,
        refuses=(LoanNotFound, DayAhead, CursorUnknown),
    ),
)
def read_lateness(call: Call, loan_no: str, query: DaysQuery) -> LatenessPage:
    """Read day by day how late a loan was, as the books said on each; it ends with the loan.

    What a past day looks like by what is known now, a loan tells as of that day.
    """
    loan = partners.seen_loan(call.session, sight=call.sight, loan_no=loan_no)
    days = queries.lateness_days(call.session, loan_id=loan.id, **_asked(call, query))
    page, last = cut(days, query.limit)
    return LatenessPage(
        loan_no=loan.loan_no,
        days=tuple(LatenessDayAnswer.model_validate(day) for day in page),
        next_cursor=cursor_of(last.on.toordinal()) if last else None,
    )


@serve(
    blueprint,
    get(
        "/customers/<int:customer_id>/lateness",
        Scope.LOANS_READ,
        CustomerDays,
        query=DaysQuery,
        refuses=(CustomerNotFound, DayAhead, CursorUnknown),
    ),
)
def read_customer_lateness(call: Call, customer_id: int, query: DaysQuery) -> CustomerDays:
    """Read day by day how late a customer was, from the first loan on that the caller sees."""
    partners.require_customer(call.session, sight=call.sight, customer_id=customer_id)
    days = queries.customer_lateness_days(
        call.session, customer_id=customer_id, seen=call.sight.loans(), **_asked(call, query)
    )
    page, last = cut(days, query.limit)
    return CustomerDays(
        customer_id=customer_id,
        days=tuple(CustomerDay(on=on, **asdict(view)) for on, view in page),
        next_cursor=cursor_of(last[0].toordinal()) if last else None,
    )


def _asked(call: Call, query: DaysQuery) -> dict[str, Any]:
    """Return which days are asked for, and one more than fits on the page.

    Raises:
        DayAhead: The last of them is after today.
        CursorUnknown: We gave no such cursor.
    """
    last_on = query.last_on or call.on
    if last_on > call.on:
        raise DayAhead("last_on is a day up to today")
    (after,) = place_of(query.cursor)
    if after >= _LAST_ORDINAL:
        raise CursorUnknown("the cursor is not one of ours")
    first_on = max(query.first_on or date.min, date.fromordinal(after + 1))
    return {"first_on": first_on, "last_on": last_on, "limit": query.limit + 1}
