"""What every test may ask for: real databases, a real Redis, a clock that stands still.

Servers are started once a session on unix sockets in private folders and end with it. Sockets to
anywhere but this machine are refused.
"""

import gc
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import workplace as workplaces
from browsing import opened
from hypothesis import settings
from playwright.sync_api import Browser, Page, sync_playwright
from quick_apps import make_quickly
from redis import Redis
from sqlalchemy import text

from assembly import build_cipher
from cli.bench.postgresql import PostgresqlMissing, postgresql
from kernel.clock import FixedClock
from kernel.crypto import FieldCipher
from kernel.database import Base, Database
from kernel.redis_server import EmbeddedRedis
from kernel.runtime import Runtime
from kernel.settings import Settings
from migrations.schema import upgrade

TEN_IN_THE_MORNING = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
REQUIRE_ALL = os.environ.get("FENQI_REQUIRE_ALL") == "1"
SHARED = Path(__file__).resolve().parent.parent.parent / "shared"

_CHROMIUM = [path for path in map(Path, ("/usr/bin/chromium",)) if path.exists()]
_CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run"),
    # Nothing of the browser's own may knock at the network.
    *("--disable-quic", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
]
_RESTART_NUMBERS = text(
    "SELECT setval(CAST(format('%I.%I', schemaname, sequencename) AS regclass), start_value, false)"
    " FROM pg_sequences WHERE last_value IS NOT NULL"
)
_GROWN = text(
    "SELECT name FROM unnest(CAST(:tables AS text[])) AS name"
    " WHERE pg_table_size(CAST(name AS regclass)) > 1000000"
)


# A machine that is busy elsewhere must not fail a test.
# The same examples in every run, so that a change is judged by what it changed;
# `pytest --hypothesis-profile explore` looks for new ones.
settings.register_profile("fenqi", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("fenqi")
make_quickly()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose tests take longest each: at the end a worker would wait alone."""
    sizes = Counter(item.path for item in items)
    long = {item.path for item in items if _takes_long(item)}
    items.sort(key=lambda item: (item.path not in long, -sizes[item.path], item.path))


def _takes_long(item: pytest.Item) -> bool:
    is_told_by_name = "journeys" in item.path.parts or "kill" in item.path.name
    return is_told_by_name or "browser" in getattr(item, "fixturenames", ())


def pytest_collection_finish() -> None:
    """Let the collector of garbage leave the modules and tests alone, which stay to the end.

    Every app that a test throws away set it off to search them all: a third of the tests' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,  # noqa: ARG001 -- pytest passes hooks by name
    call: pytest.CallInfo[None],  # noqa: ARG001
) -> Iterator[pytest.TestReport]:
    """Turn a skip into a failure where nothing may be missing, but for the shared folder."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        if "../shared is absent" not in reason or SHARED.exists():
            report.outcome = "failed"
            report.longrepr = f"skipped although FENQI_REQUIRE_ALL=1: {reason}"
    return report


@pytest.fixture(autouse=True)
def _only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(real: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "::1") and not str(host).startswith("127."):
            pytest.fail(f"a test wants to reach {host}")
        return real(self, address)

    return connect


@pytest.fixture
def shared() -> Path:
    """The folder of real cases, beside the project."""
    if not SHARED.exists():
        pytest.skip("../shared is absent")
    return SHARED


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def redis(_redis_server: EmbeddedRedis) -> Iterator["Redis"]:
    """A real Redis, empty."""
    client = Redis.from_url(_redis_server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """URL of a PostgreSQL of this session."""
    try:
        with postgresql(is_durable=False) as url:
            yield url
    except PostgresqlMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path.read_bytes()


@pytest.fixture(scope="session")
def _postgresql(postgresql_url: str) -> Iterator[Database]:
    database = Database(postgresql_url)
    upgrade(database)
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, migrated database; every test that asks runs on both kinds."""
    if request.param == "postgresql":
        on_server = request.getfixturevalue("_postgresql")
        yield on_server
        _empty(on_server)
        return
    path = tmp_path / "fenqi.db"
    path.write_bytes(request.getfixturevalue("_sqlite_template"))
    in_file = Database(f"sqlite:///{path}")
    yield in_file
    in_file.dispose()


def _empty(database: Database) -> None:
    """Empty a PostgreSQL as TRUNCATE does, which takes ten times as long for so many tables.

    Like it, wait for whoever still writes, such as the last commit of a process that was killed.
    Only what has grown is truncated, since rows that were deleted lie about until a vacuum.
    """
    tables = [table.name for table in Base.metadata.sorted_tables]
    deletes = "".join(f"DELETE FROM {name};" for name in tables)  # noqa: S608 -- our own names
    with database.write() as session:
        session.execute(text(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE"))
        session.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers or keys
        session.execute(text(f"DO $$ BEGIN {deletes} END $$"))
        session.execute(_RESTART_NUMBERS)
        grown = session.scalars(_GROWN, {"tables": tables}).all()
        if grown:
            session.execute(text(f"TRUNCATE {', '.join(grown)} CASCADE"))


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at 10:00 in Shanghai on 2026-03-10."""
    return FixedClock(TEN_IN_THE_MORNING)


@pytest.fixture
def settings() -> Settings:
    """Development settings."""
    return Settings.from_env({})


@pytest.fixture
def cipher(settings: Settings) -> FieldCipher:
    """The cipher of the development keys."""
    return build_cipher(settings)


@pytest.fixture
def runtime(
    settings: Settings,
    database: Database,
    redis: "Redis",
    clock: FixedClock,
    cipher: FieldCipher,
    _redis_server: EmbeddedRedis,
) -> Runtime:
    """All parts together."""
    return Runtime(
        settings=replace(settings, redis_url=_redis_server.url, sandbox_base=""),
        database=database,
        redis=redis,
        clock=clock,
        cipher=cipher,
    )


@pytest.fixture
def workplace(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> workplaces.House:
    """The whole app with all areas' staff pages, and ways in."""
    workplaces.hash_quickly(monkeypatch)
    return workplaces.House.of(runtime)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, one a module: two of Playwright's loops cannot run at once."""
    if not _CHROMIUM:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM[0], args=_CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def phone_page(browser: Browser) -> Iterator[Page]:
    """A page as wide as a borrower's phone."""
    with opened(browser, width=390, height=844, is_phone=True) as page:
        yield page


@pytest.fixture
def desk_page(browser: Browser) -> Iterator[Page]:
    """A page as wide as a staff member's screen."""
    with opened(browser, width=1440, height=900) as page:
        yield page
