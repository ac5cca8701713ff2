"""The `fenqi` command: results as JSON on stdout, logs on stderr.

A composition root: it reads settings, builds the runtime and calls operations. Heavier commands
live in modules beside it and are imported when they run.
"""

import atexit
import gc
import json
import os
import re
import sys
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.beside_commands import add_beside_commands
from cli.keeper import keep_running
from cli.life_commands import add_life_commands
from cli.product_commands import product_group
from kernel.errors import FenqiError
from kernel.logs import configure_logs
from kernel.money import fen_from_yuan
from kernel.settings import Settings, SettingsRefused

if TYPE_CHECKING:
    from kernel.runtime import Runtime  # SQLAlchemy and Redis are slow to import

# Most commands need no Redis; one that does fails with this name when it connects.
_NO_REDIS = "unix:///REDIS_URL-is-not-set"
_NAME_SIGNS = 64
_RATE = re.compile(r"[0-9]{0,2}(\.[0-9]{1,12})?(?<=[0-9])")
_DAY = re.compile(r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}")


def _runtime() -> "Runtime":
    from assembly import build_runtime  # noqa: PLC0415 -- all areas: help and plain sums need none

    settings = Settings.from_env(os.environ)
    return build_runtime(replace(settings, redis_url=settings.redis_url or _NO_REDIS))


def _print(result: object) -> None:
    click.echo(json.dumps(result, ensure_ascii=False, indent=2))


@click.group()
def commands() -> None:
    """Fenqi: instalment credit from application to last repayment."""


@commands.command()
def up() -> None:
    """Start everything for development: web, workers, scheduler, sandbox."""
    from cli.up import run_everything  # noqa: PLC0415 -- only this command needs it

    sys.exit(run_everything())


@commands.command()
def smoke() -> None:
    """Walk a borrower's journey over HTTP in a throw-away folder."""
    from cli.smoke import walk  # noqa: PLC0415 -- only this command needs it

    sys.exit(walk())


@commands.command()
def migrate() -> None:
    """Bring the database up to date."""
    _migrated()


def _migrated() -> "Runtime":
    from cli.up import load_contact_data  # noqa: PLC0415 -- the same as on a first start
    from migrations.schema import upgrade  # noqa: PLC0415 -- Alembic is slow to import

    runtime = _runtime()
    upgrade(runtime.database)
    load_contact_data(runtime)
    return runtime


@commands.command()
@click.option(
    "--customers",
    default=200,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many borrowers.",
)
@click.option("--seed", default=1, show_default=True, help="Of all randomness.")
@click.option("--json", "as_json", is_flag=True, help="Accepted for scripts; output is JSON.")
def seed(customers: int, seed: int, as_json: bool) -> None:  # noqa: ARG001, FBT001
    """Write a demo book into an empty database, made if need be; prints whom to play."""
    from cli.demo import opened_at, write_demo  # noqa: PLC0415 -- never in production
    from cli.up import DEMO_PASSWORD, employ  # noqa: PLC0415 -- as above
    from desk.queries import staff_list  # noqa: PLC0415 -- keeps other commands quick
    from kernel.api_keys import create_api_key  # noqa: PLC0415 -- as above
    from risk.decisions.door import ALL_SOURCES, SCOPE  # noqa: PLC0415 -- as above
    from servicing.api.scopes import Scope  # noqa: PLC0415 -- as above
    from servicing.tables import Customer  # noqa: PLC0415 -- keeps other commands quick

    runtime = _migrated()
    with runtime.database.read() as session:
        if session.query(Customer.id).first() is not None:
            raise click.ClickException("this database holds a book already; seed an empty one")
    now = runtime.clock.now()
    if runtime.settings.is_development:  # their password is public
        with runtime.database.write() as session:
            if not staff_list(session):
                employ(session, now=opened_at(now))
    seeded = write_demo(runtime, customers=customers, seed=seed, now=now)
    with runtime.database.write() as session:
        staff = [member.login for member in staff_list(session)]
        number, key = create_api_key(
            session, name="demo", partner="demo", scopes=(SCOPE, ALL_SOURCES, *Scope), now=now
        )
    _print(
        {
            "customers": seeded.customers,
            "loans": seeded.loans,
            "staff": staff,
            "staff_password": DEMO_PASSWORD if staff else None,
            "api_key": {"id": number, "key": key},
            "openids": [person["openid"] for person in seeded.people],
            "people": seeded.people,
        }
    )


@commands.command()
@click.option("--principal", required=True, help="Yuan, such as 12000.00.")
@click.option("--rate-annual", default="0", help="Contract interest, such as 0.18.")
@click.option("--rate-monthly", default="0", help="Fee of flat-fee a month, such as 0.0075.")
@click.option("--terms", required=True, type=int, help="Months.")
@click.option(
    "--method",
    default="equal-instalment",
    show_default=True,
    type=click.Choice(
        ["equal-instalment", "equal-principal", "flat-fee", "interest-first", "bullet"]
    ),
)
@click.option("--start", required=True, help="Disbursement; the first due date is a month later.")
@click.option("--json", "as_json", is_flag=True, help="Accepted for scripts; output is JSON.")
def schedule(
    principal: str,
    rate_annual: str,
    rate_monthly: str,
    terms: int,
    method: str,
    start: str,
    as_json: bool,  # noqa: ARG001, FBT001
) -> None:
    """Print a repayment plan and what it costs a year."""
    from cli.schedule import schedule as planned  # noqa: PLC0415 -- keeps other commands quick
    from servicing.engine.terms import Method  # noqa: PLC0415

    monthly, yearly = _rate(rate_monthly), _rate(rate_annual)
    if monthly and method != Method.FLAT_FEE:
        raise click.UsageError("--rate-monthly belongs to --method flat-fee")
    if monthly and yearly:
        raise click.UsageError("either --rate-monthly or --rate-annual")
    result = planned(
        principal_fen=fen_from_yuan(principal),
        rate_annual=yearly,
        rate_monthly=monthly,
        terms=terms,
        method=Method(method),
        start=_date(start),
    )
    _print(result)


@commands.command(name="conformance")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--emit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what the engine computed, in the shape of what is expected.",
)
def money_conformance(files: tuple[Path, ...], emit: Path | None) -> None:
    """Run money cases against the engine: plans, payments, changes, endings, cost."""
    from cli.money_cases import CasesNotReadable, run  # noqa: PLC0415 -- only this command needs it

    if emit is not None and not emit.parent.is_dir():
        raise click.UsageError(f"{emit.parent} is no folder")
    try:
        sys.exit(run(files, click.echo, emit, partial(click.echo, err=True)))
    except CasesNotReadable as error:
        raise click.UsageError(str(error)) from None


@commands.command(name="close-day")
@click.option("--on", "on", required=True, help="Business date.")
def close_day(on: str) -> None:
    """Bring the book to the end of a business date; the same day twice changes nothing.

    In production none that lies ahead: what a day's end recognises is never taken back.
    """
    from kernel.clock import business_date  # noqa: PLC0415 -- keeps other commands quick
    from servicing import operations  # noqa: PLC0415 -- as above
    from servicing.ports import GradeAccounts  # noqa: PLC0415 -- as above

    runtime = _runtime()
    if _date(on) > business_date(runtime.clock.now()) and not runtime.settings.is_development:
        raise click.UsageError(f"{on} has not come yet")
    counts = operations.close_day(runtime, on=_date(on), grade=runtime.get(GradeAccounts))
    with runtime.database.read() as session:
        differences = operations.prove_books(session)
    _print({"on": on, **counts, "differences": differences})
    sys.exit(1 if differences or counts["failed"] else 0)


@commands.group(name="dunning")
def dunning_group() -> None:
    """Plan whom to remind."""


@dunning_group.command()
@click.option("--on", "on", required=True, help="Business date.")
def plan(on: str) -> None:
    """Plan a business date's reminders; the same date twice plans nothing more."""
    from dunning import operations  # noqa: PLC0415 -- keeps other commands quick

    runtime = _runtime()
    with runtime.database.write() as session:
        counts = operations.plan(session, on=_date(on), now=runtime.clock.now())
    _print({"on": on, "planned": sum(counts.values()), "steps": counts})


@commands.group(name="contact")
def contact_group() -> None:
    """Reach people."""


@contact_group.command()
@click.option("--seconds", default=600, show_default=True, help="Stop then at the latest.")
def send(seconds: int) -> None:
    """Send what is ready and may go out now."""
    from contact import operations  # noqa: PLC0415 -- keeps other commands quick

    _print(asdict(operations.send_ready(_runtime(), at_most_s=seconds)))


@commands.group(name="bot")
def bot_group() -> None:
    """Ask the assistant's understanding."""


@bot_group.command()
@click.argument("text")
def understand(text: str) -> None:
    """Say what a text is taken for."""
    from bot import understanding  # noqa: PLC0415 -- keeps other commands quick
    from kernel.clock import SystemClock, business_date  # noqa: PLC0415 -- as above

    on = business_date(SystemClock().now())
    found = understanding.understand(text, on=on)
    slots = {name: str(value) for name, value in found.slots.items()}
    _print(
        {
            "intent": found.intent,
            "confidence": found.confidence,
            "urgent": found.is_urgent,
            "slots": slots,
            "ms": round(found.ms, 3),
        }
    )


@bot_group.command()
def intents() -> None:
    """List the stable names of intents."""
    from bot import understanding  # noqa: PLC0415 -- keeps other commands quick

    _print([intent.value for intent in understanding.Intent])


@bot_group.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def evaluate(file: Path) -> None:
    """Judge the understanding on a CSV file with the columns text and intent."""
    from bot.evaluation import evaluate_file  # noqa: PLC0415 -- keeps other commands quick

    _print(asdict(evaluate_file(file)))


@bot_group.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def conformance(files: tuple[Path, ...]) -> None:
    """Run published vectors: messages through the app in all modes, ciphers against functions."""
    from cli.conformance import run  # noqa: PLC0415 -- builds an app of its own

    sys.exit(run(files, click.echo))


@commands.group(name="api-key")
def api_key_group() -> None:
    """Let programs of others in."""


@api_key_group.command(name="create")
@click.option("--scope", "scopes", required=True, multiple=True, help="Such as decisions.")
@click.option("--name", default="", help="What it is for.")
@click.option("--partner", help="Whose it is; keys of one partner see the same.")
@click.option("--rate", type=click.IntRange(min=1), help="Requests a minute; 600 unless said.")
def create_key(scopes: tuple[str, ...], name: str, partner: str | None, rate: int | None) -> None:
    """Make a key and print it, this once."""
    from kernel.api_keys import PARTNER_SIGNS, create_api_key  # noqa: PLC0415 -- keeps others quick
    from risk.decisions.door import ALL_SOURCES, SCOPE  # noqa: PLC0415 -- as above
    from servicing.api.scopes import Scope  # noqa: PLC0415 -- as above

    known = (SCOPE, ALL_SOURCES, *map(str, Scope))
    unknown = [scope for scope in scopes if scope not in known]
    if unknown:
        raise click.UsageError(f"no scope {', '.join(unknown)}; there are {', '.join(known)}")
    if len(partner or "") > PARTNER_SIGNS or len(name) > _NAME_SIGNS:
        said = f"--partner takes {PARTNER_SIGNS} signs at most, --name {_NAME_SIGNS}"
        raise click.UsageError(said)
    runtime = _runtime()
    with runtime.database.write() as session:
        number, key = create_api_key(
            session,
            name=name,
            scopes=scopes,
            now=runtime.clock.now(),
            partner=partner,
            rate_per_minute=rate,
        )
    _print({"id": number, "name": name, "scopes": list(scopes), "key": key})


@api_key_group.command(name="revoke")
@click.argument("number", type=int)
def revoke_key(number: int) -> None:
    """Stop a key; processes notice within seconds."""
    from kernel.api_keys import revoke_api_key  # noqa: PLC0415 -- keeps other commands quick

    runtime = _runtime()
    with runtime.database.write() as session:
        revoke_api_key(session, key_id=number, now=runtime.clock.now())
    _print({"id": number, "revoked": True})


@commands.group(name="risk")
def risk_group() -> None:
    """Publish what decides, and play decisions again."""


@risk_group.command(name="publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--author", required=True, help="Who wrote it.")
@click.option("--approver", required=True, help="Who approved it: somebody else.")
@click.option("--with-statutory", is_flag=True, help="Put the statutory rules in first.")
@click.option("--cases", type=click.Path(exists=True, path_type=Path), help="Cases that must pass.")
def publish(
    file: Path,
    author: str,
    approver: str,
    with_statutory: bool,  # noqa: FBT001
    cases: Path | None,
) -> None:
    """Check a strategy or a model, try it out, and put it in force today.

    A strategy needs --cases, unless this very document is stored as a tested version.
    """
    from cli.risk import publish_file  # noqa: PLC0415 -- keeps other commands quick

    how: dict[str, Any] = {"with_statutory": with_statutory, "cases": cases}
    _print(publish_file(_runtime(), file, author, approver, **how))


@risk_group.command(name="rollback")
@click.argument("key")
@click.option("--by", required=True, help="Who does it.")
@click.option("--reason", required=True)
def rollback(key: str, by: str, reason: str) -> None:
    """Put the strategy that was in force before back in force, at once."""
    from cli.risk import roll_back  # noqa: PLC0415 -- keeps other commands quick

    _print(roll_back(_runtime(), key, by, reason))


@risk_group.command(name="replay")
@click.argument("decision_id")
def replay(decision_id: str) -> None:
    """Play a stored decision again; exit code 1 if it does not come out the same."""
    from cli.risk import play_again  # noqa: PLC0415 -- keeps other commands quick

    played = play_again(_runtime(), decision_id)
    _print(played)
    sys.exit(0 if played["is_same"] else 1)


@risk_group.command(name="load-list")
@click.argument("name")
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--kind", default="text", type=click.Choice(["identity", "phone", "network", "text"]))
@click.option("--author", default="", help="Who brings the file.")
@click.option("--approver", default="", help="Who else read it, where the list takes two.")
def load_list(name: str, file: Path | None, kind: str, author: str, approver: str) -> None:
    """Make a list that strategies can read; add a CSV of value,source,reason,expires_on."""
    from cli.risk import load_list_file  # noqa: PLC0415 -- keeps other commands quick
    from risk.strategy.lists import ListKind  # noqa: PLC0415 -- as above

    people = {"author": author, "approver": approver}
    _print(load_list_file(_runtime(), name, file, ListKind(kind), **people))


@risk_group.command(name="rebuild-links")
def rebuild_links() -> None:
    """Make links and window counters anew from the facts; a run broken off goes on where it was."""
    from cli.risk import rebuild_links_anew  # noqa: PLC0415 -- keeps other commands quick

    _print(rebuild_links_anew(_runtime(), say=lambda line: click.echo(line, err=True)))


add_life_commands(risk_group)
add_beside_commands(risk_group)
commands.add_command(product_group)


@commands.command()
@click.argument("queue", type=click.Choice(["send", "evidence", "decision", "analysis", "default"]))
@click.option("--once", is_flag=True, help="Be the worker itself instead of watching one.")
@click.option("--processes", default=1, show_default=True, help="How many to watch.")
def work(queue: str, once: bool, processes: int) -> None:  # noqa: FBT001
    """Run background jobs of a queue."""
    if not once:
        keep_running(["work", queue, "--once"], processes=processes)
        return
    import worker  # noqa: PLC0415 -- RQ is slow to import

    worker.run_worker(_runtime(), queue)


@commands.command(name="schedule-jobs")
def schedule_jobs() -> None:
    """Relay events and start periodic jobs; one process does."""
    import worker  # noqa: PLC0415 -- RQ is slow to import

    worker.run_scheduler(_runtime())


@commands.command()
@click.argument("name")
@click.option("--seconds", default=10, show_default=True, type=click.IntRange(1, 60))
@click.option("--scale", type=click.IntRange(min=1), help="Size of the book; each has its own.")
@click.option("--database", default="", help="URL of a PostgreSQL server, for a database of ours.")
def bench(name: str, seconds: int, scale: int | None, database: str) -> None:
    """Measure against a yardstick, on servers of its own: see docs/benchmarks.md."""
    from cli.bench import run  # noqa: PLC0415 -- only this command needs it
    from cli.bench.figures import Asked  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(name, Asked(seconds=seconds, scale=scale, database=database)))


@commands.command()
def today() -> None:
    """Print the business date of the (development) clock."""
    from kernel.clock import business_date  # noqa: PLC0415 -- keeps other commands quick

    _print({"on": business_date(_runtime().clock.now()).isoformat()})


def _rate(text: str) -> Decimal:
    if not _RATE.fullmatch(text):
        raise click.UsageError(f"{text} is no rate such as 0.18")
    return Decimal(text)


def _date(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise click.UsageError(f"{text} is no date such as 2026-01-31, from 1900 to 2099")


def main() -> None:
    """Run the command line; a known error becomes one clear line and exit code 1."""
    configure_logs()
    atexit.register(gc.freeze)  # else the end searches all that was imported, for half a second
    try:
        commands()
    except (FenqiError, SettingsRefused) as error:
        click.echo(f"fenqi: {error}", err=True)
        sys.exit(1)
    except Exception as error:
        # SQLAlchemy is slow to import, and was imported if it is what failed.
        refused = getattr(sys.modules.get("sqlalchemy.exc"), "OperationalError", None)
        if refused is None or not isinstance(error, refused):
            raise
        why = str(error.orig).strip().splitlines()[0]
        click.echo(
            f"fenqi: the database refused: {why} (a new one needs `fenqi migrate`)", err=True
        )
        sys.exit(1)
