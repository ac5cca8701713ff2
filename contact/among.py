"""One way to say "this column is one of these many numbers", as each database likes it.

It holds no rule of contact.
"""

from collections.abc import Iterable

from sqlalchemy import BigInteger, ColumnElement, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session


def among(
    session: Session,
    column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    numbers: Iterable[int],
) -> ColumnElement[bool]:
    """Return the condition; on PostgreSQL one array, so that the statement's text never changes.

    A list of many parameters would be compiled, sent and planned anew at every call.
    """
    wanted = list(numbers)
    if session.get_bind().dialect.name == "postgresql":
        return column == func.any(bindparam(None, wanted, type_=ARRAY(BigInteger), unique=True))
    return column.in_(wanted)
