"""合作方: who calls the API with which keys, how much they may, and what webhooks do not take.

Keys are made and revoked on the command line. Limits and another try are set here, with their
trace.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from desk.operations import append_audit
from desk.ports import NavItem, Role, Site, current_staff, staff_page
from kernel.api_keys import PARTNER_SIGNS, KeyView, key_list
from kernel.errors import NotFound
from kernel.listing import page_of
from kernel.money import fen_from_yuan
from kernel.web import now, runtime, today
from servicing import operations
from servicing.queries import partners
from servicing.queries.partner_limits import limits_of
from servicing.webhooks import operations as webhooks
from servicing.webhooks import queries as news

VIEW: Final = "servicing.partner.view"
LIMIT: Final = "servicing.partner.limit"
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
    add(f"{at}/limits/<act>", "limit_partner", set_limit, methods=["POST"])
    add(f"{at}/webhooks/<int:endpoint_id>/retry", "retry_webhook", retry, methods=["POST"])


def plug_in(site: Site) -> None:
    """Put the list and the rights on a site."""
    everybody = (Role.RISK_MANAGER, Role.FINANCE, Role.AUDITOR, Role.OPERATOR)
    site.permissions.declare(VIEW, "查看合作方接口", roles=everybody)
    site.permissions.declare(LIMIT, "设置合作方限额", roles=(Role.RISK_MANAGER,))
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
        keys = _keys(key_list(session), partner)
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
            endpoints=endpoints,
            acts=partners.acts_of(session, partner=partner, offset=page.offset, limit=page.rows),
            page=page,
            act_names=ACTS,
            channel_names=CHANNELS,
        )


@staff_page(LIMIT)
def set_limit(partner: str, act: str) -> ResponseReturnValue:
    """Say how much of an act a partner may from now on.

    Raises:
        PartnerNotFound: Nobody has a key under that name.
        LimitRefused: No such act, or less in a day than at once.
    """
    each_fen, day_fen = _amount("each"), _amount("day")
    with runtime().database.write() as session:
        _keys(key_list(session), partner)
        operations.set_limit(
            session,
            partner=partner,
            act=act,
            each_fen=each_fen,
            day_fen=day_fen,
            by=current_staff().login,
            now=now(),
        )
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.partner.limited",
            subject=f"partner:{partner}",
            details={"act": act, "each_fen": each_fen, "day_fen": day_fen},
            now=now(),
        )
    flash(gettext("限额已更新"), "success")
    return redirect(url_for("servicing_admin.partner", partner=partner))


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


def _amount(name: str) -> int:
    """Read an amount in yuan as fen; nothing may be allowed at all, so 0 will do."""
    return fen_from_yuan(request.form.get(name, "").replace(",", "").strip())


def _keys(keys: tuple[KeyView, ...], partner: str) -> list[KeyView]:
    found = _keys_by_partner(keys).get(partner[:PARTNER_SIGNS])
    if found is None:
        raise PartnerNotFound(f"no partner {partner[:PARTNER_SIGNS]!r}")
    return found


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
