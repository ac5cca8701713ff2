"""合作方: who calls the API with which keys, how much they may, and what webhooks do not take.

Keys are made and revoked on the command line, limits are set in partner_limits. Another try is
made here, with its trace.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session

from desk.operations import append_audit
from desk.ports import NavItem, Role, Site, current_staff, staff_page
from desk.queries import ApprovalView, waiting_approval
from kernel.api_keys import PARTNER_SIGNS, KeyView, key_list
from kernel.errors import NotFound
from kernel.listing import page_of
from kernel.web import now, runtime, today
from servicing.queries import partners
from servicing.queries.partner_limits import limits_of
from servicing.webhooks import operations as webhooks
from servicing.webhooks import queries as news

VIEW: Final = "servicing.partner.view"
RAISE: Final = "servicing.partner.raise_limit"
RETRY: Final = "servicing.partner.retry"

ACTS: Final = {
    "book": _("放款入账"),
    "repayment": _("还款入账"),
    "waiver": _("减免"),
    "charge": _("收费"),
    "extension": _("展期"),
    "drawing": _("分次放款"),
    "pause": _("停息或停罚"),
    "cancellation": _("退货撤销"),
    "refund": _("退款登记"),
    "reversal": _("冲正"),
}
CHANNELS: Final = {
    "partner": _("合作方代收"),
    "bank-transfer": _("银行转账"),
    "cash-desk": _("门店现金"),
}
_STUCK_SHOWN: Final = 20


class PartnerNotFound(NotFound):
    """Nobody has a key under that name."""

    code = "partner-not-found"
    message_zh = "没有找到该合作方"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerLine:
    """A partner in the list."""

    partner: str
    keys: int
    customers: int
    last_used_at: datetime | None
    endpoints: int
    disabled: int
    waiting: int


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/partners/<partner>"
    add("/admin/partners", "partners", list_partners)
    add(at, "partner", show_partner)
    add(f"{at}/webhooks/<int:endpoint_id>/retry", "retry_webhook", retry, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the list and the rights on a site."""
    everybody = (Role.RISK_MANAGER, Role.FINANCE, Role.AUDITOR, Role.OPERATOR)
    site.permissions.declare(VIEW, "查看合作方接口", roles=everybody)
    site.permissions.declare(RETRY, "重新推送合作方通知", roles=(Role.RISK_MANAGER, Role.OPERATOR))
    site.navigation.add(
        NavItem(
            label="合作方",
            endpoint="servicing_admin.partners",
            permission=VIEW,
            group="业务",
            order=650,
            icon="users",
        )
    )


@staff_page(VIEW)
def list_partners() -> ResponseReturnValue:
    """List who calls, and whose webhooks fail."""
    with runtime().database.read() as session:
        keys = _keys_by_partner(key_list(session))
        customers = partners.customers_by_partner(session)
        lines = [
            _line(partner, of, customers, news.endpoints(session, partner=partner))
            for partner, of in keys.items()
        ]
    return render_template("servicing/admin/partners.html", lines=lines)


@staff_page(VIEW)
def show_partner(partner: str) -> ResponseReturnValue:
    """Show one partner: keys, limits, webhooks with what they did not take, and acts."""
    with runtime().database.read() as session:
        keys = keys_of(session, partner)
        page = page_of(partners.count_acts(session, partner=partner))
        endpoints = [
            (each, news.stuck(session, endpoint_id=each.id, limit=_STUCK_SHOWN))
            for each in news.endpoints(session, partner=partner)
        ]
        return render_template(
            "servicing/admin/partner.html",
            partner=partner,
            keys=keys,
            limits=limits_of(session, partner=partner, on=today()),
            raises=_raises(session, partner),
            endpoints=endpoints,
            acts=partners.acts_of(session, partner=partner, offset=page.offset, limit=page.rows),
            page=page,
            act_names=ACTS,
            channel_names=CHANNELS,
        )


@staff_page(RETRY)
def retry(partner: str, endpoint_id: int) -> ResponseReturnValue:
    """Send again at once what a webhook did not take, disabled or not.

    Raises:
        EndpointNotFound: There is none, or it is another's.
    """
    with runtime().database.write() as session:
        waiting = webhooks.retry_endpoint(
            session, endpoint_id=endpoint_id, partner=partner, now=now()
        )
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.webhook.retried",
            subject=f"partner:{partner}",
            details={"endpoint": endpoint_id, "waiting": waiting},
            now=now(),
        )
    flash(gettext("已重新排队，%(count)s 条等待推送", count=waiting), "success")
    return redirect(url_for("servicing_admin.partner", partner=partner))


def keys_of(session: Session, partner: str) -> list[KeyView]:
    """List the keys of a partner.

    Raises:
        PartnerNotFound: Nobody has a key under that name.
    """
    found = _keys_by_partner(key_list(session)).get(partner[:PARTNER_SIGNS])
    if found is None:
        raise PartnerNotFound(f"no partner {partner[:PARTNER_SIGNS]!r}")
    return found


def limit_subject(partner: str, act: str) -> str:
    """Name a limit, for who asks that it be raised and who decides."""
    return f"partner:{partner}:{act}"


def _raises(session: Session, partner: str) -> dict[str, ApprovalView]:
    """Find the raises that wait for a second person, by act."""
    found = {
        act: waiting_approval(session, action=RAISE, subject=limit_subject(partner, act), now=now())
        for act in ACTS
    }
    return {act: waiting for act, waiting in found.items() if waiting is not None}


def _keys_by_partner(keys: tuple[KeyView, ...]) -> dict[str, list[KeyView]]:
    found: dict[str, list[KeyView]] = defaultdict(list)
    for key in keys:
        found[key.partner].append(key)
    return dict(found)


def _line(
    partner: str,
    keys: list[KeyView],
    customers: Mapping[str, int],
    endpoints: tuple[news.EndpointView, ...],
) -> PartnerLine:
    return PartnerLine(
        partner=partner,
        keys=sum(key.revoked_at is None for key in keys),
        customers=customers.get(partner, 0),
        last_used_at=max((key.last_used_at for key in keys if key.last_used_at), default=None),
        endpoints=len(endpoints),
        disabled=sum(each.state == "disabled" for each in endpoints),
        waiting=sum(each.waiting for each in endpoints),
    )
