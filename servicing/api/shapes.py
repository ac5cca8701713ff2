"""What requests and answers are made of: a strict base, and the types that all resources share."""

import re
from datetime import date
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt
from pydantic import StringConstraints as Signs

from servicing.engine.plan import Plan
from servicing.lateness import CLASSES, DAYS, OVERDUE, RESTRUCTURED, STAFF

_FIRST: Final = date(2000, 1, 1)
_LAST: Final = date(2099, 12, 31)
_MOST_FEN: Final = 10**12
_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PLAIN: Final = r"^[^\x00-\x1f\x7f]+$"


class Shape(BaseModel):
    """A JSON object; unknown members are refused, and it can be read from a view."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


def _plain_date(given: Any) -> Any:
    """Take a date as ISO 8601 writes it, and nothing that merely looks like one."""
    if isinstance(given, str) and not _ISO.fullmatch(given):
        raise ValueError("expected a date such as 2026-01-31")
    if isinstance(given, int):
        raise ValueError("expected a date such as 2026-01-31")  # noqa: TRY004 -- pydantic reads it
    return given


def _in_range(given: date) -> date:
    if not _FIRST <= given <= _LAST:
        raise ValueError(f"expected a date from {_FIRST} to {_LAST}")
    return given


def such(*examples: str) -> Any:
    """Show what a text looks like."""
    return Field(examples=list(examples))


Day = Annotated[date, BeforeValidator(_plain_date), AfterValidator(_in_range)]
"""A business date in Asia/Shanghai, in this century."""

AskedFen = Annotated[StrictInt, Field(gt=0, le=_MOST_FEN)]
"""An amount that a caller names in a body, fen, > 0."""

QueryFen = Annotated[int, Field(gt=0, le=_MOST_FEN)]
"""An amount that a caller names in the address, fen, > 0."""

RowId = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""The number of a customer or payment."""

Terms = Annotated[StrictInt, Field(ge=1, le=480)]
"""A number of instalments."""

Text = Annotated[str, Signs(strip_whitespace=True, min_length=1, max_length=120, pattern=_PLAIN)]
"""A short text without control signs."""

Reference = Annotated[str, Signs(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}$")]
"""How a partner names something of its own."""


Fen = Annotated[int, Field(examples=[52_180])]
"""An amount in an answer, fen."""

LoanNo = Annotated[str, Field(examples=["FQ20260131N8DDY1Z43486"])]
"""Under which number a loan is known outside."""

ApplicationNo = Annotated[str, Field(examples=["SQ20260131K2MPX7Q90211"])]
"""Under which number an application is known outside."""

CustomerNo = Annotated[int, Field(examples=[17])]
"""Our number of a customer."""

Rate = Annotated[str, Field(examples=["0.216000"])]
"""A share of a year as a decimal text: 0.216 is 21.6 %."""


def one_of(*words: str, said: str = "") -> Any:
    """Show which words there are."""
    return Field(description=said or None, json_schema_extra={"enum": list(words)})


FiveClass = Annotated[str, one_of(*CLASSES, said="The five classes 正常 关注 次级 可疑 损失.")]
"""How good a claim is."""

ClassReason = Annotated[str, one_of(DAYS, RESTRUCTURED, STAFF)]
"""What makes a class."""

BureauMark = Annotated[str, one_of(OVERDUE, RESTRUCTURED)]
"""What the credit bureau is told of a loan."""

EclStage = Annotated[int, Field(ge=1, le=3, description="Stage of expected credit loss.")]
"""Of which stage the expected loss of a claim is."""


class PartsAnswer(Shape):
    """An amount by component, fen."""

    principal_fen: Fen
    interest_fen: Fen
    fee_fen: Fen
    penalty_fen: Fen
    total_fen: Fen


class PlannedAnswer(Shape):
    """One row of a plan, fen."""

    n: int
    due_on: date
    principal_fen: Fen
    interest_fen: Fen
    fee_fen: Fen


def agreed_rows(made: Plan) -> tuple[PlannedAnswer, ...]:
    """Return a plan as it is agreed, before any loan."""
    return tuple(
        PlannedAnswer(
            n=row.n,
            due_on=row.due_on,
            principal_fen=row.due.principal_fen,
            interest_fen=row.due.interest_fen,
            fee_fen=row.due.fee_fen,
        )
        for row in made.instalments
    )


class PageQuery(Shape):
    """Which page of a list."""

    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
