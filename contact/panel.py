"""What was said to a customer and where we reach them: contact's part of the customer page.

The board of all contacts is contact.admin's. Texts hold no name; addresses are hints.
"""

from functools import partial
from typing import Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from contact import words
from contact.operations import ContactNotFound, retire_address
from contact.queries import AddressView, addresses_of, contacts_of, events_of
from desk.operations import act_once
from desk.ports import Panel, Role, Site, act_in_dialog, current_staff, staff_page
from kernel.errors import NotFound
from kernel.ids import new_token
from kernel.web import now, runtime

VIEW: Final = "contact.customer.view"
RETIRE: Final = "contact.address.retire"
TAB: Final = "messages"

_SHOWN: Final = 100
_WRONG: Final = "wrong_number"
_WITH_CUSTOMERS: Final = (Role.CLERK, Role.COLLECTOR, Role.RISK_MANAGER, Role.AUDITOR)


class AddressNotFound(NotFound):
    """The customer has no such address."""

    code = "contact-address-not-found"
    message_zh = "没有找到该联系方式"


def create_blueprint() -> Blueprint:
    """Make the blueprint of these pages."""
    blueprint = Blueprint("contact_panel", "contact", template_folder="templates")
    add, at = blueprint.add_url_rule, "/admin/customers/<int:customer_id>"
    add(f"{at}/contacts/<int:contact_id>/steps", "steps", steps)
    add(f"{at}/addresses/<int:address_id>/wrong", "wrong_form", wrong_form)
    add(f"{at}/addresses/<int:address_id>/wrong", "wrong", wrong, methods=["POST"])
    return blueprint


def plug_in(site: Site) -> None:
    """Plug in the tab of messages and its rights."""
    site.permissions.declare(VIEW, "查看客户的消息与提醒", roles=_WITH_CUSTOMERS)
    site.permissions.declare(
        RETIRE, "标记号码有误", roles=(Role.CLERK, Role.COLLECTOR, Role.RISK_MANAGER)
    )
    site.customer_panels.add(
        Panel(key=TAB, title="消息与提醒", permission=VIEW, order=105, render=messages, is_tab=True)
    )


def messages(customer_id: int) -> Markup:
    """Draw the customer's addresses and what was sent, blocked or waits."""
    with runtime().database.read() as session:
        addresses = addresses_of(session, customer_id=customer_id)
        contacts = contacts_of(session, customer_id=customer_id, limit=_SHOWN)
    return _draw("customer.html", customer_id=customer_id, addresses=addresses, contacts=contacts)


@staff_page(VIEW)
def steps(customer_id: int, contact_id: int) -> ResponseReturnValue:
    """Draw one contact's text and its steps."""
    with runtime().database.read() as session:
        theirs = contacts_of(session, customer_id=customer_id, limit=_SHOWN)
        found = next((contact for contact in theirs if contact.id == contact_id), None)
        if found is None:
            raise ContactNotFound(f"no contact {contact_id} of this customer")
        return _draw("steps.html", contact=found, events=events_of(session, contact_id=contact_id))


@staff_page(RETIRE)
def wrong_form(customer_id: int, address_id: int) -> ResponseReturnValue:
    """Ask whether the number is wrong."""
    return _wrong_form(customer_id, address_id)


@staff_page(RETIRE)
def wrong(customer_id: int, address_id: int) -> ResponseReturnValue:
    """Give up a number: nothing but answers goes there any more."""
    return act_in_dialog(
        form=partial(_wrong_form, customer_id, address_id),
        act=partial(_retire, customer_id, address_id),
        said=gettext("已停用该号码，不再向它发送提醒和催收"),
        then=url_for("desk.customer", customer_id=customer_id, tab=TAB),
    )


def _retire(customer_id: int, address_id: int) -> bool:
    def do() -> dict[str, object] | None:
        is_retired = retire_address(session, reason=_WRONG, now=now(), address_id=address_id)
        return {"address": address_id, "reason": _WRONG} if is_retired else None

    with runtime().database.write() as session:
        _phone(addresses_of(session, customer_id=customer_id), address_id)
        return act_once(
            session,
            actor=current_staff().login,
            action="contact.address.retired",
            subject=f"customer:{customer_id}",
            key=request.form.get("key", ""),
            payload={"address": address_id},
            do=do,
            now=now(),
        )


def _wrong_form(customer_id: int, address_id: int, error: str = "") -> str:
    with runtime().database.read() as session:
        phone = _phone(addresses_of(session, customer_id=customer_id), address_id)
    to = url_for("contact_panel.wrong", customer_id=customer_id, address_id=address_id)
    return _draw("wrong_number.html", to=to, error=error, key=new_token(), address=phone)


def _phone(addresses: tuple[AddressView, ...], address_id: int) -> AddressView:
    for address in addresses:
        if address.id == address_id and address.channel_kind == "phone":
            return address
    raise AddressNotFound(f"no phone {address_id} of this customer")


def _draw(template: str, **given: object) -> Markup:
    page = render_template(f"contact/{template}", words=words, **given)
    return Markup(page)  # noqa: S704 -- a template, escaped where it was filled
