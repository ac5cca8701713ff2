"""`fenqi up`: everything a newcomer needs, started in order and ended together.

An embedded Redis unless REDIS_URL says otherwise, migrations, a demo book on the first start,
then the processes of the Procfile under honcho.
"""

import json
import os
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click
from honcho.environ import parse_procfile
from honcho.manager import Manager
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from assembly import build_runtime
from bot.menu import publish_menu
from cli.demo import opened_at, write_demo
from cli.risk import publish_house_strategy
from contact.operations import load_rules, load_templates
from contact.queries import provider_templates
from desk.operations import create_staff
from desk.queries import staff_list
from kernel.clock import SystemClock, move_clock
from kernel.redis_server import EmbeddedRedis
from kernel.runtime import Runtime
from kernel.settings import Settings
from migrations.schema import upgrade
from servicing.operations import publish_house_products
from servicing.tables import Customer

_PROCFILE = Path(__file__).resolve().parent.parent / "Procfile"
_READY_TIMEOUT_S = 120
_OWN_PORTS = range(20_000, 32_000, 2)
DEMO_CUSTOMERS = 200
DEMO_SEED = 5
# What the stand-ins of sub-systems know of the demo people.
CREDIT_FILES = "credit-files.json"
DEMO_PASSWORD = "fenqi-demo-login"  # noqa: S105 -- development only, printed at each start
_DEMO_STAFF = {
    "admin": ("管理员", ("admin", "auditor", "operator", "clerk")),
    "manager": ("风控经理", ("risk_manager", "auditor", "clerk")),
    "analyst": ("风控专员", ("risk_analyst",)),
    "finance": ("财务", ("finance",)),
}
_DEMO_STAFF_HINT = f"{' or '.join(_DEMO_STAFF)}, password {DEMO_PASSWORD}"


def run_everything() -> int:
    """Start everything and wait until it is told to stop; returns the exit code."""
    environ = dict(os.environ)
    settings = Settings.from_env(environ)
    sandbox_port = settings.port + 1
    taken = [port for port in (settings.port, sandbox_port) if is_taken(port)]
    if taken:
        click.echo(f"fenqi: port {taken[0]} is in use; try PORT=9000 make run", err=True)
        return 1
    state = Path(settings.state_dir).resolve()
    state.mkdir(parents=True, exist_ok=True)
    redis = None if settings.redis_url else EmbeddedRedis(state / "redis").start()
    try:
        environ |= _environment(settings, state, sandbox_port, redis)
        runtime = build_runtime(Settings.from_env(environ))
        people = prepare(runtime, state)
        return _run_processes(runtime, environ, people)
    finally:
        if redis is not None:
            redis.stop()


def is_taken(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """Find a port for a server of our own whose neighbour, the sandbox's, is free too.

    It is none of those that the system hands out to anybody who calls: between the look and the
    start such a port may be gone.
    """
    while True:
        port = secrets.choice(_OWN_PORTS)
        if not is_taken(port) and not is_taken(port + 1):
            return port


def prepare(runtime: Runtime, state: Path) -> list[dict[str, str]]:
    """Migrate, set the clock, and write the demo book into an empty database."""
    upgrade(runtime.database)
    load_contact_data(runtime)
    started = runtime.settings.now
    if started is not None:
        with runtime.database.write() as session:
            move_clock(session, offset=started - SystemClock().now())
    cast_file, now = state / "people.json", started or runtime.clock.now()
    with runtime.database.write() as session:
        is_new = not session.scalar(select(func.count()).select_from(Customer))
        if not staff_list(session):
            employ(session, now=opened_at(now) if is_new else now)
    if is_new:
        seeded = write_demo(runtime, customers=DEMO_CUSTOMERS, seed=DEMO_SEED, now=now)
        cast_file.write_text(json.dumps(seeded.people, ensure_ascii=False), encoding="utf-8")
        files = json.dumps(seeded.files, ensure_ascii=False)
        (state / CREDIT_FILES).write_text(files, encoding="utf-8")
    publish_house_strategy(runtime)
    with runtime.database.write() as session:
        publish_house_products(session, now=now)
    if not cast_file.exists():  # the book was written by `fenqi seed`, which printed them
        return []
    people: list[dict[str, str]] = json.loads(cast_file.read_text(encoding="utf-8"))
    return people


def employ(session: Session, *, now: datetime) -> None:
    """Give the workplace some people to begin with: approving takes another than proposing."""
    for login, (name, roles) in _DEMO_STAFF.items():
        create_staff(session, login=login, name=name, password=DEMO_PASSWORD, roles=roles, now=now)


def _environment(
    settings: Settings, state: Path, sandbox_port: int, redis: EmbeddedRedis | None
) -> Mapping[str, str]:
    scripts = str(Path(sys.executable).parent)
    database = settings.database_url
    if database.startswith("sqlite:///"):
        database = f"sqlite:///{Path(database.removeprefix('sqlite:///')).resolve()}"
    return {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis.url if redis else settings.redis_url,
        "DATABASE_URL": database,
        "FENQI_STATE_DIR": str(state),
        "PORT": str(settings.port),
        "SANDBOX_PORT": str(sandbox_port),
    }


def _run_processes(
    runtime: Runtime, environ: Mapping[str, str], people: list[dict[str, str]]
) -> int:
    manager = Manager()
    root = str(_PROCFILE.parent)
    for name, line in parse_procfile(_PROCFILE.read_text(encoding="utf-8")).processes.items():
        manager.add_process(name, f"exec {line}", env=dict(environ), cwd=root)
    greeter = threading.Thread(
        target=_greet, args=(runtime, runtime.settings.port, people), daemon=True
    )
    greeter.start()
    manager.loop()
    return int(manager.returncode or 0)


def load_contact_data(runtime: Runtime) -> None:
    """Bring the rules and templates of messages up to date from their files."""
    with runtime.database.write() as session:
        load_rules(session, now=SystemClock().now())
        load_templates(session, now=SystemClock().now())


def _greet(runtime: Runtime, port: int, people: list[dict[str, str]]) -> None:
    base = f"http://127.0.0.1:{port}"
    if not wait_until_ready(base):
        return
    with runtime.database.read() as session:
        templates = provider_templates(session)
    _tell_sandbox(base, "templates", templates)
    _tell_sandbox(base, "people", {"people": people, "replace": True})
    files = Path(runtime.settings.state_dir) / CREDIT_FILES
    if files.exists():  # a book of an older release has none
        _tell_sandbox(base, "files", json.loads(files.read_text(encoding="utf-8")))
    publish_menu(runtime)
    first = people[0] if people else {"name": "-", "note": "-"}
    click.echo(
        f"\n  READY {base}\n"
        f"  chat as a borrower   {base}/sandbox/   (start with {first['name']}: {first['note']})\n"
        f"  work as staff        {base}/admin/     ({_DEMO_STAFF_HINT})\n"
    )


def _tell_sandbox(base: str, what: str, body: object) -> None:
    request = urllib.request.Request(  # noqa: S310 -- our own loopback address
        f"{base}/sandbox/api/{what}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 -- our own loopback address


def wait_until_ready(base: str) -> bool:
    """Wait until web and sandbox both answer, two minutes at most."""
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if all(_answers(base + path) for path in ("/readyz", "/sandbox/api/state")):
            return True
        time.sleep(0.1)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 -- our own loopback address
            return bool(response.status == 200)  # noqa: PLR2004 -- OK
    except (urllib.error.URLError, OSError):
        return False
