"""A small house around the desk: a site with made-up plugs, its app, and people to log in as."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from flask import Blueprint
from markupsafe import Markup
from sqlalchemy.orm import Session
from workplace import PASSWORD, House, hash_quickly

from desk import operations
from desk.model import Change
from desk.ports import (
    Approvable,
    NavItem,
    Panel,
    Search,
    SearchHit,
    Site,
    Tile,
    Unmasker,
    current_staff,
    public_page,
    staff_page,
)
from desk.views import create_blueprint
from kernel.clock import FixedClock
from kernel.errors import NotFound
from kernel.runtime import Runtime
from kernel.web import create_base_app

PHONE = "13800001234"
ACTION = "demo.limit.raise"


@dataclass
class Acts:
    """What the demo act did; stands in for an area's rows."""

    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)

    def describe(self, payload: Mapping[str, Any]) -> list[Change]:
        return [Change(label="额度", before="5,000.00", after=str(payload["limit"]))]

    def execute(
        self, _session: Session, payload: Mapping[str, Any], _now: datetime
    ) -> dict[str, Any]:
        self.done.append(payload["limit"])
        return {"limit": payload["limit"]}

    def undo(
        self, _session: Session, payload: Mapping[str, Any], _result: object, _now: datetime
    ) -> None:
        self.undone.append(payload["limit"])


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_quickly(monkeypatch)


@pytest.fixture
def acts() -> Acts:
    return Acts()


def _reveal(subject: str) -> str:
    if subject != "17":
        raise NotFound("no such customer")
    return PHONE


def _search(text: str) -> list[SearchHit]:
    is_hit = text in ("张三", PHONE)
    hit = SearchHit(title="张*", detail="138****1234 · 2 笔分期", url="/admin/customers/17")
    return [hit] if is_hit else []


@pytest.fixture
def site(acts: Acts) -> Site:
    """A site with one of each plug."""
    site = Site()
    declare = site.permissions.declare
    declare("demo.view", "查看演示", roles={"clerk", "risk_manager", "risk_analyst"})
    declare("demo.phone", "查看手机号", roles={"clerk"})
    declare("demo.limit.propose", "申请提额", roles={"risk_analyst", "risk_manager"})
    declare("demo.limit.decide", "审批提额", roles={"risk_manager"})
    site.navigation.add(
        NavItem(
            label="演示页",
            endpoint="demo.board",
            permission="demo.view",
            group="演示",
            order=100,
            icon="chart",
        )
    )
    site.tiles.add(
        Tile(key="b", permission="demo.view", order=2, render=lambda: Markup("<p>乙</p>")),
        Tile(key="a", permission="demo.view", order=1, render=lambda: Markup("<p>甲</p>")),
        Tile(key="c", permission="demo.phone", order=3, render=lambda: Markup("<p>丙</p>")),
    )
    site.customer_panels.add(
        Panel(
            key="plan",
            title="还款计划",
            permission="demo.view",
            order=2,
            render=lambda customer_id: Markup("<p>plan of {}</p>").format(customer_id),
        ),
        Panel(
            key="head",
            title="",
            permission="demo.view",
            order=1,
            render=lambda customer_id: Markup("<p>head of {}</p>").format(customer_id),
        ),
    )
    site.searches.add(Search(label="客户", permission="demo.view", find=_search))
    site.unmaskers.add(
        Unmasker(key="customer.phone", permission="demo.phone", reveal=_reveal, label="手机号")
    )
    site.approvables.add(
        Approvable(
            action=ACTION,
            label="提高额度",
            permission_propose="demo.limit.propose",
            permission_decide="demo.limit.decide",
            describe=acts.describe,
            execute=acts.execute,
            undo=acts.undo,
        )
    )
    return site


def demo_area() -> Blueprint:
    """Another area's pages, one of them forgotten."""
    blueprint = Blueprint("demo", __name__, url_prefix="/admin/demo")

    @blueprint.get("/board")
    @staff_page("demo.view")
    def board() -> str:
        return f"board of {current_staff().login}"

    @blueprint.get("/open")
    @public_page
    def open_to_all() -> str:
        return current_staff().login

    @blueprint.get("/forgotten")
    def forgotten() -> str:
        return "secret"

    return blueprint


@pytest.fixture
def house(runtime: Runtime, site: Site, clock: FixedClock) -> House:
    app = create_base_app(runtime)
    app.register_blueprint(demo_area())
    app.register_blueprint(create_blueprint(site))
    return House(app=app, runtime=runtime, site=site, clock=clock)


@pytest.fixture
def hire(runtime: Runtime, clock: FixedClock) -> Callable[..., int]:
    """Create staff without an app."""

    def create(login: str, *roles: str) -> int:
        with runtime.database.write() as session:
            return operations.create_staff(
                session,
                login=login,
                name=login,
                password=PASSWORD,
                roles=roles,
                now=clock.now(),
            )

    return create
