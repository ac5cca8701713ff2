"""Where benches measure: a PostgreSQL and Redis of their own, and the web side on a free port.

All of it is thrown away afterwards. Settings are those of production but for the keys, which are
the public ones of development; nothing of the real environment is read.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from assembly import build_runtime
from cli.bench.figures import NotMeasured
from cli.bench.postgresql import PostgresqlMissing, postgresql
from cli.up import load_contact_data
from contact.queries import address_of
from kernel.clock import business_date
from kernel.money import yuan
from kernel.redis_server import EmbeddedRedis
from kernel.runtime import Runtime
from kernel.settings import PRODUCTION, Settings
from migrations.schema import upgrade
from servicing.demo.book import seed_demo
from servicing.queries import loans_of
from servicing.tables import Customer

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_START_TIMEOUT_S: Final = 30
_STOP_TIMEOUT_S: Final = 10
_BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a bench works with.

    Attributes:
        environ: The environment of processes that it starts.
        folder: For logs.
    """

    runtime: Runtime
    environ: Mapping[str, str]
    folder: Path


@contextlib.contextmanager
def stage(database: str, **settings: str) -> Iterator[Stage]:
    """Start database and Redis, and bring the tables up to date.

    Args:
        database: URL of a PostgreSQL server on which a database of our own may be made, or "" to
            start a server.
        settings: Further environment variables.
    """
    with contextlib.ExitStack() as ended_with_us:
        folder = Path(
            ended_with_us.enter_context(tempfile.TemporaryDirectory(prefix="fenqi-bench-"))
        )
        url = ended_with_us.enter_context(_database(database))
        redis = ended_with_us.enter_context(EmbeddedRedis())
        environ = {"PATH": os.environ.get("PATH", ""), "FENQI_STATE_DIR": str(folder)}
        environ |= {"DATABASE_URL": url, "REDIS_URL": redis.url} | settings
        runtime = build_runtime(production_settings(environ))
        ended_with_us.callback(runtime.database.dispose)
        upgrade(runtime.database)
        load_contact_data(runtime)
        yield Stage(runtime=runtime, environ=environ, folder=folder)


def production_settings(environ: Mapping[str, str]) -> Settings:
    """Read settings that behave like production: the machine's clock, no sandbox in between."""
    return replace(Settings.from_env(environ), env=PRODUCTION, sandbox_base="")


@contextlib.contextmanager
def _database(server: str) -> Iterator[str]:
    if not server:
        try:
            with postgresql(is_durable=True) as own:
                yield own
        except PostgresqlMissing as missing:
            raise NotMeasured(str(missing)) from missing
        return
    name = f"fenqi_bench_{secrets.token_hex(6)}"
    try:
        url = make_url(server).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING UTF8'))
    except SQLAlchemyError as error:
        raise NotMeasured(f"no database can be made there: {type(error).__name__}") from error
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        engine.dispose()


def seed_book(runtime: Runtime, borrowers: int) -> int:
    """Write a demo book, the same at every run of a day; returns how many loans."""
    now = runtime.clock.now()
    with runtime.database.write() as session:
        return seed_demo(session, runtime.cipher, customers=borrowers, seed=1, now=now).loans


def owed_by_openid(runtime: Runtime) -> dict[str, str]:
    """Ask servicing what each bound borrower with an open loan has to pay, in yuan."""
    today = business_date(runtime.clock.now())
    owed = {}
    with runtime.database.read() as session:
        for customer_id in session.scalars(select(Customer.id).order_by(Customer.id)):
            bound = address_of(
                session, customer_id=customer_id, channel_kind="wechat", cipher=runtime.cipher
            )
            loans = loans_of(session, customer_id=customer_id, on=today)
            remaining_fen = sum(loan.remaining_fen for loan in loans)
            if bound is not None and remaining_fen:
                owed[bound[1]] = yuan(remaining_fen)
    if not owed:
        raise NotMeasured("the book has no borrower to ask for; try a larger --scale")
    return owed


@contextlib.contextmanager
def child(
    command: Sequence[str], environ: Mapping[str, str], log: Path, *, pass_fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our own programs until the end of the block, with all that it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- ourselves
            [sys.executable, "-m", *command],
            env=dict(environ),
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def web_server(on: Stage) -> Iterator[str]:
    """Serve the app with gunicorn as the Procfile does; yields its address.

    Raises:
        NotMeasured: It did not answer within 30 s.
    """
    log = on.folder / "web.log"
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        bind = ("--bind", f"fd://{listener.fileno()}")
        command = ("gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), *bind)
        environ = {**on.environ, "PUBLIC_BASE_URL": base}
        try:
            with child(
                (*command, "cli.bench.web:app"), environ, log, pass_fds=(listener.fileno(),)
            ) as process:
                _wait_until_ready(process, base, log)
                yield base
        finally:
            click.echo(log.read_text("utf-8")[-2000:], err=True, nl=False)


def _wait_until_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{base}/readyz", timeout=2).close()  # noqa: S310 -- loopback
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise NotMeasured(f"the web side did not start: {log.read_text('utf-8').strip()[-300:]}")
