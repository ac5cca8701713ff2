"""What a loan will cost by agreement: the plan before anything happens to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from servicing.engine.book import Book, RowKind
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
    repaid, balances = 0, []
    for n, row in enumerate(book.rows):
        following = book.rows[n + 1 : n + 2]
        is_before_draw = row.kind is not RowKind.DOWN_PAYMENT and any(
            next_row.kind is RowKind.DOWN_PAYMENT and next_row.due_on == row.due_on
            for next_row in following
        )
        repaid += row.due.principal_fen - row.credited_fen
        drawn = sum(
            fen
            for on, fen in book.disbursed
            if on < row.due_on or (on == row.due_on and not is_before_draw)
        )
        balances.append(max(0, drawn - repaid))
    return balances
