"""What the dialogs of the customer page share: how they are drawn, read, and done once.

It knows no act by name.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from flask import render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import Session

from desk.operations import act_once
from desk.ports import current_staff
from kernel.errors import Invalid
from kernel.ids import new_token
from kernel.money import MoneyNotReadable, fen_from_yuan
from kernel.web import now, runtime, today
from servicing.admin import words
from servicing.queries import customer_view

_PERCENTAGE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?", re.ASCII)
_HUNDRED: Final = 100


class ChoiceUnknown(Invalid):
    """A field holds none of its choices."""

    code = "staff-choice-unknown"
    message_zh = "请从列表中选择"


class TextMissing(Invalid):
    """A field that needs words is empty, or holds too many."""

    code = "staff-text-missing"
    message_zh = "请填写必填项，并注意字数上限"


class DayNotReadable(Invalid):
    """A field is no date."""

    code = "staff-day-not-readable"
    message_zh = "日期格式不正确"


class NotYetMoved(Invalid):
    """Money that is entered has moved already."""

    code = "money-not-yet-moved"
    message_zh = "收付款日期不能晚于今天"


def draw(template: str, **given: Any) -> Markup:
    """Draw one of our templates with the words for codes at hand."""
    page = render_template(f"servicing/admin/{template}", words=words, **given)
    return Markup(page)  # noqa: S704 -- a template, escaped where it was filled


def dialog(template: str, *, to: str, error: str = "", **given: Any) -> str:
    """Draw a dialog with what was typed so far and a key that makes it count once.

    Args:
        template: Extends `desk/dialog.html`.
        to: Where the form is sent.
        error: Why the last try was refused.
        given: What else the template needs.
    """
    return draw(template, to=to, error=error, key=new_token(), form=request.values, **given)


def page_of(customer_id: int, tab: str | None = None) -> str:
    """Return the address of a customer's page."""
    return url_for("desk.customer", customer_id=customer_id, tab=tab)


def do_once(
    action: str,
    *,
    customer_id: int,
    payload: Mapping[str, Any],
    do: Callable[[Session], Mapping[str, Any] | None],
) -> bool:
    """Do an act on a customer in a transaction of its own, once per form and with its trace.

    Args:
        action: In the past tense, without the area: `hold.placed`.
        customer_id: Whom it is about.
        payload: What the form said.
        do: Does it; returns what the audit chain shall say, or None if nothing was left to do.

    Raises:
        CustomerNotFound: There is none.
        KeyReused: The form was sent before and said something else.
    """
    given = runtime()

    def of_a_customer(session: Session) -> Mapping[str, Any] | None:
        customer_view(session, given.cipher, customer_id=customer_id)
        return do(session)

    return do_on(
        f"customer:{customer_id}",
        action,
        payload={"customer_id": customer_id, **payload},
        do=of_a_customer,
    )


def do_on(
    subject: str,
    action: str,
    *,
    payload: Mapping[str, Any],
    do: Callable[[Session], Mapping[str, Any] | None],
) -> bool:
    """Do an act on something in a transaction of its own, once per form and with its trace.

    Arguments and errors are those of `do_once`, but for whose it is.
    """
    with runtime().database.write() as session:
        return act_once(
            session,
            actor=current_staff().login,
            action=f"servicing.{action}",
            subject=subject,
            key=request.form.get("key", ""),
            payload=payload,
            do=lambda: do(session),
            now=now(),
        )


# --- reading fields ---


def choice(name: str, among: Collection[str]) -> str:
    """Read a field that has choices.

    Raises:
        ChoiceUnknown: It holds none of them.
    """
    value = request.form.get(name, "")
    if value not in among:
        raise ChoiceUnknown(f"{name} is none of its choices")
    return value


def number(name: str) -> int | None:
    """Read a field that holds a row's number, or nothing.

    Raises:
        ChoiceUnknown: It holds something else.
    """
    value = request.form.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < len(str(2**63))):
        raise ChoiceUnknown(f"{name} is no number")
    return int(value)


def amount(name: str) -> int:
    """Read an amount in yuan as fen, > 0.

    Raises:
        MoneyNotReadable: It is none, or nothing.
    """
    fen = fen_from_yuan(request.form.get(name, "").replace(",", "").strip())
    if fen <= 0:
        raise MoneyNotReadable(f"{name} is no amount to give")
    return fen


def count(name: str) -> int:
    """Read a number that must be there.

    Raises:
        ChoiceUnknown: It is none.
    """
    found = number(name)
    if found is None:
        raise ChoiceUnknown(f"{name} is missing")
    return found


def needed_day(name: str) -> date:
    """Read a date that must be there.

    Raises:
        DayNotReadable: It is none.
    """
    found = day(name)
    if found is None:
        raise DayNotReadable(f"{name} is missing")
    return found


def moved_on(name: str) -> date:
    """Read the day on which money moved that somebody enters.

    Raises:
        DayNotReadable: It is none.
        NotYetMoved: It is not over.
    """
    found = needed_day(name)
    if found > today():
        raise NotYetMoved(f"{found} is to come")
    return found


def share(name: str) -> Decimal:
    """Read a percentage, such as 18.5, as a share of one.

    Raises:
        ChoiceUnknown: It is none, or not from 0 to 100.
    """
    value = request.form.get(name, "").strip()
    if not _PERCENTAGE.fullmatch(value) or Decimal(value) > _HUNDRED:
        raise ChoiceUnknown(f"{name} is no percentage")
    return Decimal(value) / _HUNDRED


def written(name: str, *, most: int) -> str:
    """Read a field that needs words.

    Raises:
        TextMissing: It is empty, or longer than `most` signs.
    """
    value = request.form.get(name, "").strip()
    if not 0 < len(value) <= most:
        raise TextMissing(f"{name} needs 1 to {most} signs")
    return value


def day(name: str) -> date | None:
    """Read a date, or nothing.

    Raises:
        DayNotReadable: It is neither.
    """
    value = request.form.get(name, "").strip()
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise DayNotReadable(f"{name} is no date") from error
