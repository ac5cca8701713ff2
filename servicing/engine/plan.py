"""What a loan will cost by agreement: the plan before anything happens to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from servicing.engine.book import Book, Row, RowKind
from servicing.engine.layout import draw
from servicing.engine.parts import Parts, total
from servicing.engine.subsidy import subsidies
from servicing.engine.terms import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Instalment:
    """One row of a plan.

    Attributes:
        n: 1 for the first.
        due: Its parts, fen.
        balance_fen: Principal that remains after it.
        subsidy_fen: What the merchant pays for its period, beside what is due of the borrower.
    """

    n: int
    from_on: date
    due_on: date
    due: Parts
    balance_fen: int
    kind: RowKind = RowKind.NORMAL
    subsidy_fen: int = 0

    @property
    def days(self) -> int:
        """How long its period is."""
        return (self.due_on - self.from_on).days


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A repayment plan."""

    instalments: tuple[Instalment, ...]

    @property
    def total(self) -> Parts:
        """All instalments together."""
        return total(row.due for row in self.instalments)

    @property
    def subsidy_fen(self) -> int:
        """What the merchant pays in all."""
        return sum(row.subsidy_fen for row in self.instalments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tranche:
    """A disbursement that is planned, fen > 0."""

    on: date
    amount_fen: int


def plan(terms: Terms, tranches: Iterable[Tranche] = ()) -> Plan:
    """Return the repayment plan of a loan that is paid as agreed.

    Args:
        terms: What was agreed.
        tranches: The disbursements, oldest first; none means the whole principal at the start.
    """
    book = Book(terms=terms)
    for tranche in tuple(tranches) or (Tranche(on=terms.start_on, amount_fen=terms.principal_fen),):
        draw(book, tranche.on, tranche.amount_fen)
        book.disbursed.append((tranche.on, tranche.amount_fen))
    return Plan(instalments=instalments(book))


def instalments(book: Book) -> tuple[Instalment, ...]:
    """Freeze the rows of a book, each with the principal that remains after it."""
    balances, subsidised = row_balances(book), subsidies(book)
    return tuple(
        Instalment(
            n=n,
            from_on=row.from_on,
            due_on=row.due_on,
            due=row.due,
            balance_fen=balance,
            kind=row.kind,
            subsidy_fen=subsidy.fen,
        )
        for n, (row, balance, subsidy) in enumerate(
            zip(book.rows, balances, subsidised, strict=True), start=1
        )
    )


def row_balances(book: Book) -> list[int]:
    """Return the principal that remains by plan after each row, fen.

    What was drawn on the due date of a row counts, unless its own down payment comes after the row.
    """
    owed, balances = 0, []
    to_draw = sorted(book.disbursed, reverse=True)
    for row, following in zip(book.rows, [*book.rows[1:], None], strict=False):
        while to_draw and _is_drawn_by(to_draw[-1][0], row, following):
            owed += to_draw.pop()[1]
        owed -= row.due.principal_fen - row.credited_fen
        balances.append(max(0, owed))
    return balances


def _is_drawn_by(on: date, row: Row, following: Row | None) -> bool:
    return on < row.due_on or (on == row.due_on and not _is_before_draw(row, following))


def _is_before_draw(row: Row, following: Row | None) -> bool:
    is_down_payment = row.kind is RowKind.DOWN_PAYMENT
    if is_down_payment or following is None or following.due_on != row.due_on:
        return False
    return following.kind is RowKind.DOWN_PAYMENT
