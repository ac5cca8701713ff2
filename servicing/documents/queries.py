"""The documents that others hand out, each as a file.

    LoanNotSettled  409  a certificate was asked for of a loan that still owes, or whose money is
                         not cleared up

They are in Chinese, whatever the language of the page: borrowers show them to others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from desk.ports import mask_id, mask_name
from kernel.crypto import FieldCipher
from kernel.errors import Conflict
from servicing import queries
from servicing.documents import sheets
from servicing.documents.layout import print_paper
from servicing.model import InstalmentState, LoanStatus
from servicing.payments.difference_queries import open_differences_of_loan
from servicing.queries import InstalmentView, LoanView
from servicing.queries.payees import shares_of_loan

PDF: Final = "application/pdf"
CSV: Final = "text/csv; charset=utf-8"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_PLAN_COLUMNS: Final = (
    *("期数", "还款日", "应还本金", "应还利息", "应还费用", "应还罚息", "应还合计"),
    *("已还", "减免", "未还", "状态"),
)
_STATES: Final = {
    "paid": "已还清",
    "waived": "已减免",
    "void": "无需还款",
    "overdue": "已逾期",
    "due": "今日到期",
    "upcoming": "未到期",
}
_GIVEN_UP: Final = "已放弃"
_STATUSES: Final[Mapping[str, str]] = {
    LoanStatus.CHARGED_OFF: "已核销，仍需归还",
    LoanStatus.WRITTEN_OFF: "债权已放弃，无需再还",
    LoanStatus.CANCELLED: "退货已取消",
    LoanStatus.SETTLED: "已结清",
}
_CERTIFIED: Final = (LoanStatus.SETTLED, LoanStatus.CANCELLED)
_PAID_AS: Final[Mapping[str, str]] = {
    "repayment": "还款",
    "prepayment": "提前还款",
    "recovery": "放弃债权后收回",
    "goodwill-credit": "客户关怀补偿",
    "merchant-refund": "商户退货款",
    "payout-refund": "放款退回",
    "interest-refund": "退回利息",
    "charge-adjustment": "退回费用",
}
_AMOUNTS: Final = (
    *("amount_fen", "principal_fen", "interest_fen", "fee_fen", "penalty_fen", "excess_fen"),
)
_LAST_SIGNS: Final = 4


class LoanNotSettled(Conflict):
    """The loan still owes something, or money of it is not cleared up."""

    code = "loan-not-settled"
    message_zh = "这笔分期尚未结清，暂不能开具结清证明"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file: its name with ending, its media type, its bytes."""

    name: str
    mimetype: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose loan it is about, and how they are named.

    Attributes:
        on: The business date on which the loan is shown.
        at: The instant of printing.
        is_masked: Whether name and id number are hidden, as from staff who gave no reason.
    """

    customer_id: int
    loan_id: int
    on: date
    at: datetime
    is_masked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """How the borrower is named on paper; the id number never stands there in full."""

    name: str
    id_number: str


def repayment_plan(session: Session, cipher: FieldCipher, *, asked: Asked) -> Document:
    """Print the plan of a loan as it stands.

    Raises:
        LoanNotFound: No such loan of this customer.
    """
    loan = _loan(session, asked)
    who = _borrower(session, cipher, asked)
    states = {row.n: _state(loan, row) for row in loan.plan}
    content = print_paper("plan", rows=loan.plan, states=states, **_facts(asked, loan, who))
    return Document(name=f"plan-{loan.loan_no}.pdf", mimetype=PDF, content=content)


def plan_sheet(session: Session, *, asked: Asked, is_xlsx: bool) -> Document:
    """Write the plan of a loan as a table for spreadsheets.

    Raises:
        LoanNotFound: No such loan of this customer.
    """
    loan = _loan(session, asked)
    rows = [_row(loan, row) for row in loan.plan]
    if is_xlsx:
        content = sheets.xlsx("还款计划", _PLAN_COLUMNS, rows)
        return Document(name=f"plan-{loan.loan_no}.xlsx", mimetype=XLSX, content=content)
    content = sheets.csv_bytes(_PLAN_COLUMNS, rows)
    return Document(name=f"plan-{loan.loan_no}.csv", mimetype=CSV, content=content)


def statement(session: Session, cipher: FieldCipher, *, asked: Asked) -> Document:
    """Print what was agreed, what was paid, each payment with what it settled, and what is left.

    A payment that was reversed stands there crossed out, and is in no sum.

    Raises:
        LoanNotFound: No such loan of this customer.
    """
    loan = _loan(session, asked)
    paid = tuple(reversed(queries.repayments_of(session, loan_id=loan.id)))
    standing = [one for one in paid if one.stands]
    given = {
        "paid": paid,
        "paid_as": _PAID_AS,
        "sums": {name: sum(getattr(one, name) for one in standing) for name in _AMOUNTS},
        "shares": shares_of_loan(session, loan_id=loan.id),
    }
    who = _borrower(session, cipher, asked)
    content = print_paper("statement", **given, **_facts(asked, loan, who))
    return Document(name=f"statement-{loan.loan_no}.pdf", mimetype=PDF, content=content)


def settlement_certificate(session: Session, cipher: FieldCipher, *, asked: Asked) -> Document:
    """Print that a loan is settled.

    Raises:
        LoanNotFound: No such loan of this customer.
        LoanNotSettled: Said above.
    """
    loan = _loan(session, asked)
    settled_on = settled_day(session, loan=loan)
    if settled_on is None:
        raise LoanNotSettled(f"loan {loan.id} is not settled")
    who = _borrower(session, cipher, asked)
    given = {"settled_on": settled_on, "shares": shares_of_loan(session, loan_id=loan.id)}
    content = print_paper("certificate", **given, **_facts(asked, loan, who))
    return Document(name=f"certificate-{loan.loan_no}.pdf", mimetype=PDF, content=content)


def settled_day(session: Session, *, loan: LoanView) -> date | None:
    """Return since when a loan is settled, or None unless it truly is.

    Nothing of it is open by its events, and no money of it waits to be cleared up: a payment that
    the platform's bill lacks, or gave back past our book, is not yet one to certify. Nor is a claim
    that was given up.
    """
    state = queries.loan_as_of(session, loan_id=loan.id, on=date.max)
    if loan.status not in _CERTIFIED or loan.remaining_fen or state.outstanding.total_fen:
        return None
    if open_differences_of_loan(session, loan_id=loan.id):
        return None
    return max((row.settled_on for row in state.rows if row.settled_on is not None), default=None)


def _loan(session: Session, asked: Asked) -> LoanView:
    return queries.loan_of(
        session, loan_id=asked.loan_id, customer_id=asked.customer_id, on=asked.on
    )


def _borrower(session: Session, cipher: FieldCipher, asked: Asked) -> Borrower:
    found = queries.customer_view(session, cipher, customer_id=asked.customer_id)
    if asked.is_masked:
        return Borrower(name=mask_name(found.name), id_number=mask_id(found.id_number))
    hidden = "*" * (len(found.id_number) - _LAST_SIGNS)
    return Borrower(name=found.name, id_number=hidden + found.id_number[-_LAST_SIGNS:])


def _facts(asked: Asked, loan: LoanView, who: Borrower) -> dict[str, Any]:
    """Return what stands at the head of each paper."""
    return {"asked": asked, "loan": loan, "who": who, "status": _STATUSES.get(loan.status, "")}


def _state(loan: LoanView, row: InstalmentView) -> str:
    """Say where an instalment stands; what is waived of a claim that was given up is given up."""
    if row.state is InstalmentState.WAIVED and loan.status is LoanStatus.WRITTEN_OFF:
        return _GIVEN_UP
    return _STATES[row.state]


def _row(loan: LoanView, row: InstalmentView) -> tuple[sheets.Cell, ...]:
    money = (
        *(row.principal_fen, row.interest_fen, row.fee_fen, row.penalty_fen, row.total_fen),
        *(row.paid_fen, row.waived_fen, row.outstanding_fen),
    )
    return (row.n, row.due_on, *(sheets.Yuan(fen) for fen in money), _state(loan, row))
