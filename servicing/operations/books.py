"""The proof of the books: entries balance; ledger, schedule, lines and events say the same.

It only looks; what it finds is for people to explain.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, undefer

from servicing.bookkeeping import Standing, changes
from servicing.chart import (
    BANK,
    CASH,
    CHARGED_OFF,
    CLEARING,
    FEE_DUE,
    INTEREST_DUE,
    PARTNER_CLEARING,
    PENALTY_DUE,
    PRINCIPAL,
    REFUND_PAYABLE,
    SUBSIDY_DUE,
)
from servicing.operations.payee_proof import payable_differences, share_differences
from servicing.operations.projection import instalment_values
from servicing.queries.history import read_events, standing, terms_of
from servicing.tables import (
    AccountingPeriod,
    CreditLine,
    Instalment,
    LedgerEntry,
    LedgerPosting,
    Loan,
    PeriodBalance,
)

_SHOWN = 20
_REPLAYED = 500
_CLAIMS = (PRINCIPAL, INTEREST_DUE, FEE_DUE, PENALTY_DUE, CHARGED_OFF, SUBSIDY_DUE)
# Money on its way belongs to payments, which make entries of their own.
_OF_PAYMENTS = frozenset({CLEARING, PARTNER_CLEARING, BANK, CASH, REFUND_PAYABLE})


def prove_books(session: Session, *, turn: int = 0, replayed: int = _REPLAYED) -> list[str]:
    """Return the differences, at most 20 of each kind; an empty list means that all agree.

    Proven: every entry and so the trial balance sums to zero; it is booked on the day of its fact,
    unless it adjusts a closed month; what was kept of closed months is what their entries come to;
    what is receivable on each loan is the same in the ledger and in its plan; a plan repays its
    principal; an instalment is settled when nothing of it is open; a loan is late since the oldest
    due date of what is open; a line has drawn what its loans still owe, and holds what they may
    still draw; what is payable to a payee is what was collected less what went back and was paid;
    and of some loans, that instalments, shares of payees and ledger are what their events say when
    all of them are replayed.

    Args:
        session: A read session.
        turn: Which share of a large book is replayed; the ordinal of the day goes round all of it.
        replayed: How many loans at most, about.
    """
    found = [difference for proof in _PROOFS for difference in proof(session)]
    return [*found, *islice(_replays(session, turn, replayed), _SHOWN)]


def totals_of_claims(session: Session) -> dict[str, tuple[int, int, int]]:
    """Return each account of a claim three times: general ledger, sub-ledger, schedule, fen."""
    amount = LedgerPosting.amount_fen
    rows = session.execute(
        select(
            LedgerPosting.account,
            func.sum(amount),
            _sum_where(LedgerEntry.loan_id.is_not(None), amount),
        )
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(LedgerPosting.account.in_(_CLAIMS))
        .group_by(LedgerPosting.account)
    )
    booked = {account: (int(ledger), int(sub)) for account, ledger, sub in rows}
    planned = session.execute(
        select(*(func.coalesce(func.sum(column), 0) for column in _open())).join_from(
            Instalment, Loan, Loan.id == Instalment.loan_id
        )
    ).one()
    return {
        account: (*booked.get(account, (0, 0)), int(fen))
        for account, fen in zip(_CLAIMS, planned, strict=True)
    }


def _replays(session: Session, turn: int, replayed: int) -> Iterator[str]:
    count = session.scalar(select(func.count()).select_from(Loan)) or 0
    step = max(1, -(-count // replayed))
    loans = select(Loan).where(Loan.id % step == turn % step).order_by(Loan.id)
    for loan in session.scalars(loans.options(undefer(Loan.agreed))).all():
        events = read_events(session, loan_id=loan.id)
        replay = standing(terms_of(loan), events, closed_to=loan.closed_to)
        yield from _plan_differences(session, loan, replay)
        yield from _ledger_differences(session, loan, replay)
        yield from share_differences(session, loan, replay)


def _plan_differences(session: Session, loan: Loan, replay: Standing) -> Iterator[str]:
    rows = session.scalars(
        select(Instalment).where(Instalment.loan_id == loan.id).order_by(Instalment.n)
    ).all()
    if loan.credit_fen != replay.state.overpaid_fen:
        owed_fen = replay.state.overpaid_fen
        yield f"events of loan {loan.id}: credit is {loan.credit_fen}, not {owed_fen}"
    stands = zip(replay.state.rows, replay.rows, strict=True)
    expected = [instalment_values(row, booked, closed_to=loan.closed_to) for row, booked in stands]
    if len(rows) != len(expected):
        yield f"loan {loan.id} has {len(rows)} instalments, its events make {len(expected)}"
    for row, values in zip(rows, expected, strict=False):
        wrong = [name for name, value in values.items() if getattr(row, name) != value]
        if wrong:
            yield f"events of loan {loan.id}, instalment {row.n}: {', '.join(wrong)} differ"


def _ledger_differences(session: Session, loan: Loan, replay: Standing) -> Iterator[str]:
    posted: Counter[tuple[str, str]] = Counter()
    payee = func.coalesce(LedgerPosting.payee, "")
    rows = session.execute(
        select(LedgerPosting.account, payee, func.sum(LedgerPosting.amount_fen))
        .join(LedgerEntry, LedgerEntry.id == LedgerPosting.entry_id)
        .where(LedgerEntry.loan_id == loan.id)
        .group_by(LedgerPosting.account, payee)
    )
    posted.update({(account, whose): int(fen) for account, whose, fen in rows})
    for change in changes(None, replay, on=loan.closed_to):
        for side, fen in change.sides.items():
            posted[side.account, side.payee] -= fen
    for account, whose in sorted(posted):
        fen = posted[account, whose]
        if fen and account not in _OF_PAYMENTS:
            of = f" of {whose}" if whose else ""
            yield f"events of loan {loan.id}: {account}{of} is off by {fen} fen"


def _entries(session: Session) -> Iterator[str]:
    total = func.sum(LedgerPosting.amount_fen)
    rows = session.execute(
        select(LedgerPosting.entry_id, total)
        .group_by(LedgerPosting.entry_id)
        .having(total != 0)
        .order_by(LedgerPosting.entry_id)
        .limit(_SHOWN)
    )
    for entry_id, off in rows:
        yield f"entry {entry_id} is off by {off} fen"


def _bookings(session: Session) -> Iterator[str]:
    rows = session.scalars(
        select(LedgerEntry.id)
        .where(LedgerEntry.booked_on != LedgerEntry.effective_on, LedgerEntry.adjusts.is_(None))
        .order_by(LedgerEntry.id)
        .limit(_SHOWN)
    )
    for entry_id in rows:
        yield f"entry {entry_id} is booked on another day than its own"


def _periods(session: Session) -> Iterator[str]:
    """Compare the balances that the last closed month kept with what its entries come to."""
    last = session.scalars(
        select(AccountingPeriod).order_by(AccountingPeriod.last_day.desc()).limit(1)
    ).first()
    if last is None:
        return
    off: Counter[tuple[str, str]] = Counter()
    booked = session.execute(
        select(LedgerEntry.creditor, LedgerPosting.account, func.sum(LedgerPosting.amount_fen))
        .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
        .where(LedgerEntry.booked_on <= last.last_day)
        .group_by(LedgerEntry.creditor, LedgerPosting.account)
    )
    for creditor, account, fen in booked:
        off[creditor, account] += int(fen)
    for row in session.scalars(select(PeriodBalance).where(PeriodBalance.month == last.month)):
        off[row.creditor, row.account] -= row.balance_fen
    for (creditor, account), fen in sorted(off.items()):
        if fen:
            yield f"{account} of {creditor} at the end of {last.month}: entries are {fen} fen more"


def _loans(session: Session) -> Iterator[str]:
    posted = (
        select(
            LedgerEntry.loan_id.label("loan_id"),
            *(_sum_where(LedgerPosting.account == code, LedgerPosting.amount_fen).label(code)
              for code in _CLAIMS),
        )
        .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
        .group_by(LedgerEntry.loan_id)
        .subquery()
    )  # fmt: skip
    planned = (
        select(
            Instalment.loan_id.label("loan_id"),
            *(func.sum(column).label(code) for code, column in zip(_CLAIMS, _open(), strict=True)),
        )
        .join(Loan, Loan.id == Instalment.loan_id)
        .group_by(Instalment.loan_id)
        .subquery()
    )
    for account in _CLAIMS:
        in_ledger, in_plan = (func.coalesce(side.c[account], 0) for side in (posted, planned))
        rows = session.execute(
            select(Loan.id, in_ledger, in_plan)
            .outerjoin(posted, posted.c.loan_id == Loan.id)
            .outerjoin(planned, planned.c.loan_id == Loan.id)
            .where(in_ledger != in_plan)
            .order_by(Loan.id)
            .limit(_SHOWN)
        )
        for loan_id, ledger_fen, plan_fen in rows:
            yield f"{account} of loan {loan_id}: ledger {ledger_fen}, schedule {plan_fen}"


def _open() -> tuple[SQLColumnExpression[int], ...]:
    """The claims that the plan says are on the books: principal, and income that is recognised.

    And what is owed of a claim that is charged off: nothing of it is on the books; and last, what
    the merchant owes whatever becomes of the borrower's debt.
    """
    is_off = or_(Loan.charged_off_on.is_not(None), Loan.written_off_on.is_not(None))
    return (
        *(case((is_off, 0), else_=claim) for claim in _claims()),
        case((is_off, Instalment.open_fen), else_=0),
        Instalment.earned_subsidy_fen - Instalment.paid_subsidy_fen,
    )


def _claims() -> tuple[SQLColumnExpression[int], ...]:
    return (
        Instalment.open_principal_fen,
        Instalment.earned_interest_fen
        - Instalment.paid_interest_fen
        - Instalment.waived_interest_fen,
        Instalment.earned_fee_fen - Instalment.paid_fee_fen - Instalment.waived_fee_fen,
        Instalment.earned_penalty_fen - Instalment.paid_penalty_fen - Instalment.waived_penalty_fen,
    )


def _plans(session: Session) -> Iterator[str]:
    total = func.sum(Instalment.principal_fen - Instalment.credited_fen)
    rows = session.execute(
        select(Loan.id, Loan.principal_fen, total)
        .join(Instalment, Instalment.loan_id == Loan.id)
        .group_by(Loan.id, Loan.principal_fen)
        .having(total != Loan.principal_fen)
        .order_by(Loan.id)
        .limit(_SHOWN)
    )
    for loan_id, principal_fen, planned_fen in rows:
        yield f"plan of loan {loan_id} repays {planned_fen} of {principal_fen}"


def _settlements(session: Session) -> Iterator[str]:
    rows = session.execute(
        select(Instalment.loan_id, Instalment.n)
        .where((Instalment.open_fen == 0) != Instalment.settled_on.is_not(None))
        .order_by(Instalment.loan_id, Instalment.n)
        .limit(_SHOWN)
    )
    for loan_id, n in rows:
        yield f"instalment {n} of loan {loan_id} is settled and open at once"


def _lateness(session: Session) -> Iterator[str]:
    first_open = (
        select(func.min(Instalment.due_on))
        .where(Instalment.loan_id == Loan.id, Instalment.settled_on.is_(None))
        .scalar_subquery()
    )
    is_late = or_(Loan.late_since.is_not(None), first_open < Loan.closed_to)
    rows = session.execute(
        select(Loan.id, Loan.late_since, first_open)
        .where(is_late, Loan.late_since.is_distinct_from(first_open))
        .order_by(Loan.id)
        .limit(_SHOWN)
    )
    for loan_id, late_since, open_since in rows:
        yield f"loan {loan_id} is late since {late_since}, its plan since {open_since}"


def _lines(session: Session) -> Iterator[str]:
    rows = session.execute(_line_differences())
    for line_id, utilised_fen, owed_fen in rows:
        yield f"line {line_id} has drawn {utilised_fen}, its loans owe {owed_fen}"
    for line_id, held_fen, undrawn_fen in session.execute(_unheld()):
        yield f"line {line_id} holds {held_fen}, its loans may still draw {undrawn_fen}"


def _line_differences() -> Select[int, int, int]:
    owed = (
        select(
            Loan.line_id.label("line_id"),
            func.sum(Instalment.open_principal_fen).label("fen"),
        )
        .join(Instalment, Instalment.loan_id == Loan.id)
        .where(Loan.line_id.is_not(None))
        .group_by(Loan.line_id)
        .subquery()
    )
    owed_fen: ColumnElement[int] = func.coalesce(owed.c.fen, 0)
    return (
        select(CreditLine.id, CreditLine.utilised_fen, owed_fen)
        .outerjoin(owed, owed.c.line_id == CreditLine.id)
        .where(CreditLine.utilised_fen != owed_fen)
        .order_by(CreditLine.id)
        .limit(_SHOWN)
    )


def _unheld() -> Select[int, int, int]:
    """Find lines that hold less than their loans may still draw; purchases are held beside it."""
    undrawn_fen = func.sum(Loan.undrawn_fen)
    return (
        select(CreditLine.id, CreditLine.held_fen, undrawn_fen)
        .join(Loan, Loan.line_id == CreditLine.id)
        .where(Loan.undrawn_fen > 0)
        .group_by(CreditLine.id, CreditLine.held_fen)
        .having(CreditLine.held_fen < undrawn_fen)
        .order_by(CreditLine.id)
        .limit(_SHOWN)
    )


def _sum_where(
    condition: SQLColumnExpression[bool], amount: SQLColumnExpression[int]
) -> ColumnElement[int]:
    return func.sum(case((condition, amount), else_=literal(0)))


_PROOFS: Final[tuple[Callable[[Session], Iterator[str]], ...]] = (
    *(_entries, _bookings, _periods, _loans, _plans, _settlements, _lateness, _lines),
    payable_differences,
)
