"""The trial balance of a month by creditor, down to the entries, as a file, and closing a month.

Closing is proposed by one and decided by another person. What a closed month means for entries is
servicing.operations.periods' business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from desk.operations import append_audit
from desk.ports import (
    Approvable,
    Change,
    NavItem,
    Site,
    staff_page,
)
from desk.queries import waiting_approval
from kernel.listing import csv_file, page_of
from kernel.money import plain_yuan
from kernel.web import now, runtime, today
from servicing import operations
from servicing.admin import results, words
from servicing.admin.forms import dialog
from servicing.admin.missing_bills import days_given_up, missing_days
from servicing.admin.previewed import Wanted, proposed
from servicing.chart import BY_CODE
from servicing.queries import trial_balance as read

VIEW: Final = "servicing.trial_balance.view"
PROPOSE: Final = "servicing.period.propose"
DECIDE: Final = "servicing.period.decide"
CLOSE: Final = "servicing.period.close"

_MOST_MONTHS: Final = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which month of whose books is looked at."""

    month: str
    creditor: str
    first: date
    last: date

    @property
    def span(self) -> dict[str, Any]:
        """What queries want to know."""
        return {"first": self.first, "last": self.last, "creditor": self.creditor}


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    at = "/admin/trial-balance"
    add = blueprint.add_url_rule
    add(at, "trial_balance", trial_balance)
    add(f"{at}.csv", "trial_balance_csv", trial_balance_csv)
    add(f"{at}/accounts/<account>", "account", account)
    add(f"{at}/accounts/<account>.csv", "account_csv", account_csv)
    add(f"{at}/close/<month>", "close_period_form", close_period_form)
    add(f"{at}/close/<month>", "propose_close_period", propose_close_period, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the trial balance, its rights and the closing of a month on a site."""
    site.permissions.declare(VIEW, "查看试算平衡表", roles=("finance", "risk_manager", "auditor"))
    site.permissions.declare(PROPOSE, "申请月度关账", roles=("finance",))
    site.permissions.declare(DECIDE, "审批月度关账", roles=("finance", "risk_manager"))
    site.navigation.add(
        NavItem(
            label="试算平衡表",
            endpoint="servicing_admin.trial_balance",
            permission=VIEW,
            group="账务",
            order=610,
            icon="receipt",
        )
    )
    site.approvables.add(
        Approvable(
            action=CLOSE,
            label="月度关账",
            permission_propose=PROPOSE,
            permission_decide=DECIDE,
            describe=_describe,
            execute=_execute,
            told=results.told,
        )
    )


@staff_page(VIEW)
def trial_balance() -> ResponseReturnValue:
    """Show every account's month, whether the books are proven, and whether the month is closed."""
    with runtime().database.read() as session:
        asked, months = _asked(session), months_of_book(session)
        rows = read.trial_balance(session, **asked.span)
        closed = {period.month: period for period in read.closed_periods(session)}
        waiting = waiting_approval(session, action=CLOSE, subject=_subject(asked.month), now=now())
        month = {"first": asked.first, "last": asked.last}
        missing, given_up = missing_days(session, **month), days_given_up(session, **month)
        proof, creditors = read.last_proof(session), read.creditors(session)
    return render_template(
        "servicing/admin/trial_balance.html",
        accounts=BY_CODE,
        asked=asked,
        closed=closed.get(asked.month),
        creditors=creditors,
        is_over=asked.last < today(),
        missing=missing,
        given_up=given_up,
        months=months,
        proof=proof,
        rows=rows,
        sums=_sums(rows),
        waiting=waiting,
        words=words,
    )


@staff_page(VIEW)
def trial_balance_csv() -> ResponseReturnValue:
    """Send the month as a file."""
    with runtime().database.read() as session:
        asked = _asked(session)
        rows = read.trial_balance(session, **asked.span)
    header = [
        *(gettext("科目代码"), gettext("科目"), gettext("期初借方"), gettext("期初贷方")),
        *(gettext("本期借方"), gettext("本期贷方"), gettext("期末借方"), gettext("期末贷方")),
    ]
    lines = [
        [
            *(row.account, gettext(row.name_zh), *_sided(row.opening_fen)),
            *(plain_yuan(row.debit_fen), plain_yuan(row.credit_fen), *_sided(row.closing_fen)),
        ]
        for row in rows
    ]
    return csv_file(f"trial-balance-{asked.month}-{asked.creditor}", header, lines)


@staff_page(VIEW)
def account(account: str) -> ResponseReturnValue:
    """List the postings of an account in a month."""
    known = _known(account)
    with runtime().database.read() as session:
        asked = _asked(session)
        total = read.count_account_lines(session, account=account, **asked.span)
        page = page_of(total)
        lines = read.account_lines(
            session, account=account, **asked.span, offset=page.offset, limit=page.rows
        )
    return render_template(
        "servicing/admin/account.html",
        account=known,
        asked=asked,
        lines=lines,
        page=page,
        words=words,
    )


@staff_page(VIEW)
def account_csv(account: str) -> ResponseReturnValue:
    """Send all postings of an account in a month as a file."""
    _known(account)
    with runtime().database.read() as session:
        asked = _asked(session)
    header = [
        *(gettext("分录号"), gettext("记账日"), gettext("业务日"), gettext("调整期间")),
        *(gettext("摘要"), gettext("分期编号"), gettext("关键字")),
        *(gettext("借方"), gettext("贷方")),
    ]
    return csv_file(f"{account}-{asked.month}-{asked.creditor}", header, _lines(account, asked))


@staff_page(PROPOSE)
def close_period_form(month: str, error: str = "") -> str:
    """Ask why, or with what in mind, a month is closed."""
    to = url_for("servicing_admin.propose_close_period", month=month)
    return dialog("close_period_form.html", to=to, error=error, month=month)


@staff_page(PROPOSE)
def propose_close_period(month: str) -> ResponseReturnValue:
    """Ask a second person to close a month; one that cannot be closed is refused at once."""

    def look(session: Session) -> Wanted:
        operations.assert_closable(session, month=month, on=today())
        return Wanted(action=CLOSE, payload={"month": month})

    return proposed(
        form=partial(close_period_form, month),
        look=look,
        subject=_subject(month),
        noted="period.close_proposed",
        told={"month": month},
        said=gettext("已提交关账申请，待另一位同事审批"),
        then=url_for("servicing_admin.trial_balance", month=month),
    )


def _asked(session: Session) -> Asked:
    """Read the month, else this one, and the creditor, else the house.

    Raises:
        MonthNotReadable: The month is none.
    """
    month = request.args.get("month", f"{today():%Y-%m}")
    last = operations.last_day(month)
    creditor = request.args.get("creditor", "")
    known = read.creditors(session)
    return Asked(
        month=month,
        creditor=creditor if creditor in known else known[0],
        first=last.replace(day=1),
        last=last,
    )


def months_of_book(session: Session) -> list[str]:
    """List the months that have entries, this one first."""
    start, month = read.first_booking(session) or today(), today().replace(day=1)
    found: list[str] = []
    while month >= start.replace(day=1) and len(found) < _MOST_MONTHS:
        found.append(f"{month:%Y-%m}")
        month = (month - timedelta(days=1)).replace(day=1)
    return found


def _sums(rows: tuple[read.BalanceRow, ...]) -> Mapping[str, int]:
    return {
        "opening_debit": sum(max(row.opening_fen, 0) for row in rows),
        "opening_credit": sum(max(-row.opening_fen, 0) for row in rows),
        "debit": sum(row.debit_fen for row in rows),
        "credit": sum(row.credit_fen for row in rows),
        "closing_debit": sum(max(row.closing_fen, 0) for row in rows),
        "closing_credit": sum(max(-row.closing_fen, 0) for row in rows),
    }


def _sided(fen: int) -> tuple[str, str]:
    """Write a balance on its side: debit, credit."""
    return plain_yuan(max(fen, 0)), plain_yuan(max(-fen, 0))


def _lines(account: str, asked: Asked) -> Iterator[list[str]]:
    with runtime().database.read() as session:
        for line in read.account_lines(session, account=account, **asked.span):
            yield [
                *(str(line.entry_id), line.booked_on.isoformat(), line.effective_on.isoformat()),
                *(line.adjusts or "", str(words.said(words.ENTRY_KINDS, line.kind))),
                *(line.loan_no or "", line.key, *_sided(line.amount_fen)),
            ]


def _known(account: str) -> Any:
    if account not in BY_CODE:
        raise NotFound
    return BY_CODE[account]


# --- what the second person sees and starts ---


def _describe(payload: Mapping[str, Any]) -> tuple[Change, ...]:
    return (
        Change(
            label=gettext("会计期间 %(month)s", month=payload["month"]),
            before=gettext("未关账"),
            after=gettext("已关账，之后补记的业务计入当期并注明调整期间"),
        ),
    )


def _execute(session: Session, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    month, by = payload["month"], "machine:approval"
    operations.close_period(session, month=month, closed_by=by, now=at)
    append_audit(
        session,
        actor=by,
        action="servicing.period.closed",
        subject=_subject(month),
        details={"month": month},
        now=at,
    )
    return {"month": month}


def _subject(month: str) -> str:
    return f"period:{month}"
