"""Strategies: the list of all, the stages of one in their order, its reasons and its history.

What is written here is a draft; putting it in force is `publishing`'s.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from desk.ports import NavItem, Site, staff_page
from desk.queries import DocumentView, document_versions
from kernel.clock import start_of_day
from kernel.web import now, runtime, today
from risk.admin import edits, rights, words
from risk.admin.arithmetic import typed_name
from risk.admin.conditions import for_picker
from risk.admin.drafts import strategy_keys, working
from risk.admin.editing import catalogue, draw, opened, saved
from risk.admin.inquiries import inquiries
from risk.admin.recorded import outcomes_between
from risk.admin.shapes import ADDABLE
from risk.decisions.strategies import STRATEGY
from risk.lifecycle.periods import endings, planned

_LAST_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a strategy decided within the last day.

    Attributes:
        outcomes: How many of each.
    """

    outcomes: Mapping[str, int]

    @property
    def total(self) -> int:
        """All decisions."""
        return sum(self.outcomes.values())

    @property
    def by_machine(self) -> Decimal | None:
        """The share that needed no person; None if nothing was decided."""
        if not self.total:
            return None
        return 1 - Decimal(self.outcomes.get("review", 0)) / self.total

    @property
    def approved(self) -> Decimal | None:
        """The share that was approved; None if nothing was decided."""
        if not self.total:
            return None
        return Decimal(self.outcomes.get("approve", 0)) / self.total


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add, at = blueprint.add_url_rule, "/admin/risk/strategies"
    add(at, "strategies", strategies)
    add(f"{at}/<key>", "strategy", strategy)
    add(f"{at}/<key>/head", "save_head", save_head, methods=["POST"])
    add(f"{at}/<key>/order", "save_order", save_order, methods=["POST"])
    add(f"{at}/<key>/outputs", "save_outputs", save_outputs, methods=["POST"])
    add(f"{at}/<key>/products", "save_products", save_products, methods=["POST"])
    add(f"{at}/<key>/reasons", "reasons", reasons)
    add(f"{at}/<key>/reasons", "save_reasons", save_reasons, methods=["POST"])
    add(f"{at}/<key>/fields", "fields", fields)
    add(f"{at}/<key>/history", "history", history)


def plug_in(site: Site) -> None:
    """Put the link to all strategies on a site."""
    site.navigation.add(
        NavItem(
            label="风险策略",
            endpoint="risk_admin.strategies",
            permission=rights.VIEW,
            group="风控",
            order=300,
            icon="adjustments",
        )
    )


@staff_page(rights.VIEW)
def strategies() -> ResponseReturnValue:
    """List strategies with what is in force, what is drafted, and how much the machine decides."""
    with runtime().database.read() as session:
        found = [
            working(session, key=key, on=today()) for key in strategy_keys(session, on=today())
        ]
        shares = _shares(session, now())
        ends = {each.strategy: each.ends_on for each in endings(session, on=today())}
        coming = {each.key: planned(session, key=each.key, on=today()) for each in found}
    return render_template(
        "risk/admin/strategies.html",
        strategies=found,
        shares=shares,
        ends=ends,
        coming=coming,
        words=words,
    )


@staff_page(rights.VIEW)
def strategy(key: str) -> ResponseReturnValue:
    """Show the stages of a product in their order."""
    with runtime().database.read() as session:
        given = opened(session, key)
    stages = {stage["id"]: stage for stage in given.body["stages"]}
    products = {each["product"]: each["stages"] for each in given.body["products"]}
    asked = request.args.get("product", "")
    product = asked if asked in products else next(iter(products), "")
    running = [each for each in products.get(product, ()) if each in stages]
    return draw(
        "strategy.html",
        given,
        stages=stages,
        products=products,
        product=product,
        running=running,
        off=[each for each in stages if each not in running],
        summary=summary,
        addable=ADDABLE,
        asked=inquiries(given.body, product, given.names) if product else None,
    )


@staff_page(rights.EDIT)
def save_head(key: str) -> ResponseReturnValue:
    """Save title, period and required fields."""
    form = request.form
    given = {name: form.get(name, "") for name in ("title", "effective_from", "effective_to")}
    required = zip(form.getlist("required"), form.getlist("required_missing"), strict=False)
    named = [(field, missing) for field, missing in required if field]
    edit = edits.set_head(given, named, catalogue=catalogue().version)
    return saved(key, edit, note=gettext("修改策略设置"))


@staff_page(rights.EDIT)
def save_order(key: str) -> ResponseReturnValue:
    """Save which stages a product runs, in which order."""
    product = request.form.get("product", "")
    edit = edits.order_stages(
        product, request.form.getlist("stage"), frozenset(request.form.getlist("on"))
    )
    return saved(key, edit, note=gettext("调整 %(product)s 的阶段", product=product))


@staff_page(rights.EDIT)
def save_outputs(key: str) -> ResponseReturnValue:
    """Save the outputs that stages may set."""
    form = request.form
    given = [
        {"name": name.strip(), "kind": kind}
        for name, kind in zip(form.getlist("name"), form.getlist("kind"), strict=False)
        if name.strip()
    ]
    return saved(key, edits.set_outputs(given), note=gettext("修改策略输出"))


@staff_page(rights.EDIT)
def save_products(key: str) -> ResponseReturnValue:
    """Add a product with the stages of another, or take one out."""
    product, like = (request.form.get(name, "").strip() for name in ("product", "like"))
    drop = request.form.get("drop", "")
    edit = edits.drop_product(drop) if drop else edits.add_product(product, like)
    said = gettext("调整产品 %(product)s", product=drop or product)
    then = url_for("risk_admin.strategy", key=key, product=None if drop else product)
    return saved(key, edit, note=said, then=then)


@staff_page(rights.VIEW)
def reasons(key: str) -> ResponseReturnValue:
    """Show the reasons that a strategy may give."""
    with runtime().database.read() as session:
        given = opened(session, key)
    used = Counter(_reasons_used(given.body["stages"]))
    return draw("reasons.html", given, used=used)


@staff_page(rights.EDIT)
def save_reasons(key: str) -> ResponseReturnValue:
    """Save all reasons."""
    form = request.form
    listed = zip(
        form.getlist("code"), form.getlist("internal"), form.getlist("customer"), strict=False
    )
    given = [
        {"code": code.strip(), "internal": internal.strip(), "customer": customer.strip()}
        for code, internal, customer in listed
        if code.strip() or internal.strip() or customer.strip()
    ]
    return saved(key, edits.set_reasons(given), note=gettext("修改原因码"))


@staff_page(rights.VIEW)
def fields(key: str) -> ResponseReturnValue:
    """Find fields for the picker, by label, name, unit, window, source or legal basis."""
    with runtime().database.read() as session:
        given = opened(session, key)
    found = given.names.search(request.args.get("q", ""))
    withheld = ""
    if found.withheld:
        withheld = gettext(
            "另有 %(count)s 项符合，但其许可用途不含本策略用途，或只供模型使用",
            count=found.withheld,
        )
    return {
        "fields": [
            for_picker(field) | {"formula": typed_name(field.name, given.names)}
            for field in found.fields
        ],
        "total": gettext("共 %(count)s 项可用", count=found.total),
        "withheld": withheld,
    }


@staff_page(rights.VIEW)
def history(key: str) -> ResponseReturnValue:
    """List all versions of a strategy."""
    with runtime().database.read() as session:
        given = opened(session, key)
        versions = document_versions(session, kind=STRATEGY, key=key)
        shares = _shares_of_versions(session, key, versions, now())
    return draw("history.html", given, versions=versions, shares=shares)


def summary(stage: Mapping[str, Any]) -> str:
    """Say in one line what is in a stage."""
    say = _SUMMARIES.get(stage["kind"])
    return str(say(stage)) if say else ""


def _of_rules(stage: Mapping[str, Any]) -> Any:
    found = Counter(rule.get("outcome") for rule in stage["rules"])
    return gettext(
        "%(count)s 条规则 · 拒绝 %(decline)s · 转人工 %(review)s",
        count=len(stage["rules"]),
        decline=found["decline"],
        review=found["review"],
    )


def _of_table(stage: Mapping[str, Any]) -> Any:
    sizes = {key: len(stage[key]) for key in ("rows", "columns")}
    return gettext("%(rows)s 行 × %(columns)s 个条件", **sizes)


def _of_matrix(stage: Mapping[str, Any]) -> Any:
    sizes = {key: len(stage[key]["bands"]) for key in ("rows", "columns")}
    return gettext("%(rows)s × %(columns)s 档", **sizes)


def _of_card(stage: Mapping[str, Any]) -> Any:
    count = len(stage["characteristics"])
    return gettext("%(count)s 项特征 · 基础分 %(base)s", count=count, base=stage["base"])


_SUMMARIES: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "rules": _of_rules,
    "table": _of_table,
    "matrix": _of_matrix,
    "card": _of_card,
    "model": lambda stage: gettext("调用模型 %(model)s", model=stage["model"]),
    "compute": lambda stage: gettext("计算 %(count)s 项输出", count=len(stage["set"])),
    "final": lambda stage: gettext(
        "%(count)s 条通过规则，其余按约定处理", count=len(stage["rules"])
    ),
    "tree": lambda stage: gettext("%(count)s 个叶子", count=_leaves(stage["root"])),
    "branch": lambda stage: gettext("%(count)s 个分流条件", count=len(stage["cases"])),
}


def _leaves(node: Mapping[str, Any]) -> int:
    return _leaves(node["then"]) + _leaves(node["else"]) if "when" in node else 1


def _reasons_used(part: Any) -> list[str]:
    if isinstance(part, Mapping):
        own = [part["reason"]] if isinstance(part.get("reason"), str) else []
        return own + [code for value in part.values() for code in _reasons_used(value)]
    if isinstance(part, list):
        return [code for value in part for code in _reasons_used(value)]
    return []


def _shares(session: Session, at: datetime) -> dict[str, Share]:
    """Count the decisions of the last day for each strategy."""
    counted: dict[str, Counter[str]] = {}
    for key, _, outcome, count in outcomes_between(session, moments=(at - _LAST_DAY, at)):
        counted.setdefault(key, Counter())[outcome] += count
    return {key: Share(outcomes=outcomes) for key, outcomes in counted.items()}


def _shares_of_versions(
    session: Session, wanted: str, versions: Sequence[DocumentView], at: datetime
) -> dict[int, Share]:
    """Count the decisions of the last day by the version that answered."""
    since = at - _LAST_DAY
    changes = sorted({one for one in map(_in_force_from, versions) if one and since < one < at})
    counted: dict[int, Counter[str]] = {}
    for key, version, outcome, count in outcomes_between(session, moments=(since, *changes, at)):
        if key == wanted:
            counted.setdefault(version, Counter())[outcome] += count
    return {version: Share(outcomes=outcomes) for version, outcomes in counted.items()}


def _in_force_from(version: DocumentView) -> datetime | None:
    """Return since when a version may have answered; None if nobody approved it."""
    if version.approved_at is None or version.effective_on is None:
        return None
    return max(version.approved_at, start_of_day(version.effective_on))
