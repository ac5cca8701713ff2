"""Products: what is sold, each version with its plan and cost, and the way to another version.

A product manager drafts and tries out, another person approves from a day on. What may be sold is
decided by servicing.product_setup, what a version means for a loan, when the loan is drawn.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import NavItem, Role, Site, current_staff, staff_page
from desk.queries import DocumentView, document_in_force, document_version
from kernel.errors import FenqiError
from kernel.money import MoneyNotReadable, fen_from_yuan
from kernel.web import now, runtime, today
from servicing import operations, queries
from servicing.admin import product_summary, product_words
from servicing.admin.forms import day, draw, written
from servicing.admin.product_editor import document_from, fee_rows, fields_of
from servicing.admin.product_profiles import profile_words
from servicing.caps import FUNDERS, OWN, cap_of, portfolio_cap_of
from servicing.engine.plan import plan
from servicing.operations.disclosures import cost_table
from servicing.product_document import write_document
from servicing.product_form import Problem
from servicing.product_setup import SetUp, set_up
from servicing.products import Product, ProductRefused, house_documents, read_product
from servicing.queries.portfolio import portfolio_cost
from servicing.queries.products import KIND, STANDARD_CODE

VIEW: Final = "servicing.product.view"
DRAFT: Final = "servicing.product.draft"
APPROVE: Final = "servicing.product.approve"

_AT: Final = "/admin/products/<code>/<int:version>"
LONGEST_REASON: Final = 200
# By which a new product is known until it is named.
_UNNAMED: Final = {"code": "unnamed", "name": "unnamed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A product in the list: what is sold, and what is on its way."""

    code: str
    product: Product | None
    newest: DocumentView | None
    versions: int
    effective_on: date | None


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/products", "products", products)
    add("/admin/products/edit", "product_editor", editor)
    add("/admin/products/edit", "save_product", save, methods=["POST"])
    add("/admin/products/check", "check_product", check, methods=["POST"])
    add(_AT, "product", product)
    add(f"{_AT}/plan", "product_plan", product_plan)
    add(f"{_AT}/try", "try_product", try_out, methods=["POST"])
    add(f"{_AT}/approve", "approve_product", approve, methods=["POST"])
    add(f"{_AT}/discard", "discard_product", discard, methods=["POST"])
    add(f"{_AT}/rollback", "roll_back_product", roll_back, methods=["POST"])


def plug_in(site: Site) -> None:
    """Declare who may do what, and plug in the link."""
    analyst, manager = Role.RISK_ANALYST, Role.RISK_MANAGER
    readers = (analyst, manager, Role.CLERK, Role.FINANCE, Role.AUDITOR)
    declare = site.permissions.declare
    declare(VIEW, "查看产品", roles=readers)
    declare(DRAFT, "起草与测试产品", roles=(analyst, manager))
    declare(APPROVE, "批准与回滚产品", roles=(manager,))
    site.navigation.add(
        NavItem(
            label="分期产品",
            endpoint="servicing_admin.products",
            permission=VIEW,
            group="业务",
            order=305,
            icon="adjustments",
        )
    )


@staff_page(VIEW)
def products() -> ResponseReturnValue:
    """List products with what is in force today."""
    with runtime().database.read() as session:
        codes = {*queries.product_codes(session, on=today())}
        codes |= house_documents().keys()
        lines = [_line(session, code) for code in sorted(codes)]
        average = portfolio_cost(session, on=today(), lender_type=FUNDERS[OWN])
    return draw(
        "products.html",
        lines=lines,
        names=product_words,
        cap=cap_of(today(), lender_type=FUNDERS[OWN]),
        average=None if average is None else _percent(average),
        limit=portfolio_cap_of(today(), with_inactive=True),
    )


@staff_page(VIEW)
def product(code: str, version: int) -> ResponseReturnValue:
    """Show a version: what it says, what it costs, what the guard says, what can be done."""
    with runtime().database.read() as session:
        versions = _versions(session, code)
        shown = document_version(session, kind=KIND, key=code, version=version)
        current = document_in_force(session, kind=KIND, key=code, on=today())
    before = next((other for other in versions if other.version < version), None)
    read = read_product(shown.body, version=version)
    return draw(
        "product.html",
        shown=shown,
        product=read,
        tried=set_up(read, on=max(today(), shown.effective_on or today())),
        versions=versions,
        current=current,
        before=before,
        changes=product_summary.changes(before.body, shown.body) if before else (),
        summary=product_summary.summary(shown.body),
        body=write_document(shown.body),
        is_author=shown.author == current_staff().login,
        today=today(),
        names=product_words,
        **_planned(read, read.maximum_fen, read.terms[-1]),
    )


@staff_page(VIEW)
def product_plan(code: str, version: int) -> ResponseReturnValue:
    """Draw plan, cost and cost table for an amount and a number of terms."""
    with runtime().database.read() as session:
        read = queries.product_version(session, code=code, version=version)
    try:
        amount_fen = fen_from_yuan(request.args.get("amount", "").replace(",", ""))
        terms = request.args.get("terms", 0, type=int)
        if not read.minimum_fen <= amount_fen <= read.maximum_fen or terms not in read.terms:
            return draw("product_plan.html", refusal=gettext("金额或期数不在产品范围内"))
        return draw("product_plan.html", names=product_words, **_planned(read, amount_fen, terms))
    except FenqiError as error:
        return draw("product_plan.html", refusal=gettext(error.message_zh))


@staff_page(DRAFT)
def editor() -> ResponseReturnValue:
    """Open the form, filled from a version if one is named."""
    body = source()
    blank = {} if body else {"code": "", "name": ""}
    return _editor(fields_of(body or house_documents()[STANDARD_CODE][0]) | blank, Tried())


@staff_page(DRAFT)
def check() -> ResponseReturnValue:
    """Say what the guard makes of what is typed, with a plan and its cost; nothing is kept.

    What has no name yet is judged all the same: the name is asked for when it is saved.
    """
    typed = _typed()
    unnamed = {name: said for name, said in _UNNAMED.items() if not typed.get(name)}
    return draw("product_tried.html", names=product_words, **tried_out(typed | unnamed))


@staff_page(DRAFT)
def save() -> ResponseReturnValue:
    """Keep what was typed as the next version, a draft."""
    document, note = _typed(), request.form.get("note", "").strip()[:LONGEST_REASON]
    try:
        with runtime().database.write() as session:
            version = operations.draft_product(
                session, document=document, author=current_staff().login, note=note, now=now()
            )
    except ProductRefused as refused:
        return _editor(request.form, Tried(problems=refused.problems))
    flash(gettext("草稿 v%(version)s 已保存", version=version), "success")
    return redirect(_page(document["code"], version))


@staff_page(DRAFT)
def try_out(code: str, version: int) -> ResponseReturnValue:
    """Try a draft out at every corner; then it waits for another person."""

    def act(session: Session) -> int:
        operations.try_product(
            session, code=code, version=version, by=current_staff().login, now=now()
        )
        return version

    return _act(code, version, act, gettext("测试通过，等待另一位同事批准"))


@staff_page(APPROVE)
def approve(code: str, version: int) -> ResponseReturnValue:
    """Let a tested version be sold from a day on."""

    def act(session: Session) -> int:
        operations.approve_product(
            session,
            code=code,
            version=version,
            by=current_staff().login,
            effective_on=day("effective_on") or today(),
            now=now(),
        )
        return version

    return _act(code, version, act, gettext("已批准"))


@staff_page(DRAFT)
def discard(code: str, version: int) -> ResponseReturnValue:
    """Drop a version that never came into force."""

    def act(session: Session) -> int:
        operations.discard_product(
            session, code=code, version=version, by=current_staff().login, now=now()
        )
        return version

    return _act(code, version, act, gettext("已作废"))


@staff_page(APPROVE)
def roll_back(code: str, version: int) -> ResponseReturnValue:
    """Sell again what was sold before, at once."""

    def act(session: Session) -> int:
        reason = written("reason", most=LONGEST_REASON)
        return operations.roll_back_product(
            session, code=code, by=current_staff().login, reason=reason, now=now()
        )

    return _act(code, version, act, gettext("已回滚"))


# --- parts ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What is known of what was typed: mistakes, or what came of trying it out."""

    problems: tuple[Problem, ...] = ()
    set_up: SetUp | None = None


def _act(code: str, version: int, do: Callable[[Session], int], said: str) -> ResponseReturnValue:
    try:
        with runtime().database.write() as session:
            version = do(session)
        flash(said, "success")
    except FenqiError as error:
        problems = error.problems if isinstance(error, ProductRefused) else ()
        first = "".join(f"：{problem.message}" for problem in problems[:1])
        flash(gettext(error.message_zh) + first, "danger")
    return redirect(_page(code, version))


def _page(code: str, version: int) -> str:
    return url_for("servicing_admin.product", code=code, version=version)


def _line(session: Session, code: str) -> Line:
    versions = _versions(session, code)
    current = document_in_force(session, kind=KIND, key=code, on=today())
    try:
        sold = queries.product_in_force(session, code=code, on=today())
    except queries.ProductNotFound:
        sold = None
    return Line(
        code=code,
        product=sold,
        newest=versions[0] if versions else None,
        versions=len(versions),
        effective_on=current.effective_on if current else None,
    )


def _versions(session: Session, code: str) -> tuple[DocumentView, ...]:
    try:
        return queries.product_documents(session, code=code)
    except queries.ProductNotFound:
        return ()


def _planned(read: Product, amount_fen: int, terms: int) -> dict[str, Any]:
    """Return what a purchase would ask for, or why it may not be sold."""
    given: dict[str, Any] = {
        "principal_fen": amount_fen,
        "rate_annual": read.rate_annual,
        "terms": terms,
    }
    chosen = {"amount_fen": amount_fen, "chosen_terms": terms}
    try:
        planned = plan(read.agree(**given, start_on=today()))
        table = cost_table(**given, disbursed_on=today(), product=read)
    except FenqiError as error:
        return chosen | {"refusal": gettext(error.message_zh)}
    return chosen | {"plan": planned, "table": table, "percent": _percent}


def _percent(share: str | Decimal) -> str:
    return f"{(Decimal(share) * 100).quantize(Decimal('0.01'))}%"


def _typed() -> dict[str, Any]:
    return document_from(request.form)


def source() -> Mapping[str, Any]:
    """Return the document of the version that a page is filled from, if one is named."""
    code, version = request.values.get("from_code"), request.values.get("from_version", type=int)
    if not (code and version):
        return {}
    with runtime().database.read() as session:
        return document_version(session, kind=KIND, key=code, version=version).body


def tried_out(document: Mapping[str, Any]) -> dict[str, Any]:
    """Say what comes of a document: mistakes, or the guard's verdict, a plan and its cost."""
    try:
        read = read_product(document, version=0)
        tried = set_up(read, on=today())
    except ProductRefused as refused:
        return {"check": Tried(problems=refused.problems)}
    check = Tried(problems=tried.problems, set_up=tried)
    return {"check": check} if not tried.corners else {"check": check, **_sample(read)}


def _sample(read: Product) -> dict[str, Any]:
    """Plan what was chosen, or else the most that is offered."""
    terms = request.form.get("sample_terms", 0, type=int)
    amount_fen: int = read.maximum_fen
    with suppress(MoneyNotReadable):
        amount_fen = fen_from_yuan(request.form.get("sample_amount", "").replace(",", ""))
    is_offered = read.minimum_fen <= amount_fen <= read.maximum_fen
    return _planned(
        read,
        amount_fen if is_offered else read.maximum_fen,
        terms if terms in read.terms else read.terms[-1],
    )


def _editor(fields: Mapping[str, str], tried: Tried) -> str:
    return draw(
        "product_editor.html",
        fields=fields,
        check=tried,
        names=product_words,
        fee_rows=fee_rows(fields),
        funders={code: product_words.FUNDERS.get(code, code) for code in FUNDERS},
        profile_words=profile_words(),
        opened=_opened(fields),
        from_code=request.values.get("from_code", ""),
        from_version=request.values.get("from_version", ""),
    )


def _opened(fields: Mapping[str, str]) -> dict[str, bool]:
    """Say which of the folded parts hold something that is not as with most products."""
    usual = fields_of(house_documents()[STANDARD_CODE][0])

    def differs(*names: str) -> bool:
        return any(fields.get(name, "") != usual.get(name, "") for name in names)

    return {
        "orders": differs(*(f"order_mode_{state}" for state in product_words.STATES)),
        "parts": differs("tranches", "levels_whole_principal", "closing_tolerance"),
        "profile": differs(*product_words.CHOICES, "instalment_multiple"),
    }
