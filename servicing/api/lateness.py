"""How late a loan was, day by day: as a whole and instalment by instalment."""

from datetime import date
from typing import Annotated

from apiflask import APIBlueprint
from pydantic import Field

from servicing import queries
from servicing.api.documented import get
from servicing.api.door import Call, serve
from servicing.api.loans import DayAhead
from servicing.api.paging import CursorUnknown, cursor_of, cut, place_of
from servicing.api.scopes import Scope
from servicing.api.shapes import Day, EclStage, FiveClass, LoanNo, PageQuery, Shape, such
from servicing.queries import partners
from servicing.queries.history import LoanNotFound

blueprint = APIBlueprint("api_lateness", __name__, tag="Loans")

_LAST_ORDINAL = date.max.toordinal()


class DaysQuery(PageQuery):
    """Which days, both included; from the disbursement to today if not said."""

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
    last_on = query.last_on or call.on
    if last_on > call.on:
        raise DayAhead("last_on is a day up to today")
    (after,) = place_of(query.cursor)
    if after >= _LAST_ORDINAL:
        raise CursorUnknown("the cursor is not one of ours")
    first_on = max(query.first_on or loan.disbursed_on, date.fromordinal(after + 1))
    days = queries.lateness_days(
        call.session, loan_id=loan.id, first_on=first_on, last_on=last_on, limit=query.limit + 1
    )
    page, last = cut(days, query.limit)
    return LatenessPage(
        loan_no=loan.loan_no,
        days=tuple(LatenessDayAnswer.model_validate(day) for day in page),
        next_cursor=cursor_of(last.on.toordinal()) if last else None,
    )
