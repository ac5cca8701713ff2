"""The commands of a product's life; cli.product, imported when they run, says what they do.

The way from a draft to what is sold is that of the pages: tried out, and approved by a second
person. Mistakes go to stderr, one a line, as `FILE:LINE: place: what`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

_DAY: Final = click.DateTime(["%Y-%m-%d"])
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(name="product")
def product_group() -> None:
    """Check, import, export and publish products as JSON documents."""


@product_group.command()
@click.argument("file", type=_FILE)
@click.option("--on", type=_DAY, help="The day whose caps hold, today unless given.")
def check(file: Path, on: Any) -> None:
    """Say whether FILE may be sold, and what it costs at worst; exit code 1 if it may not."""
    _say(str(file), lambda: _product().check(_runtime(), file, on and on.date()))


@product_group.command(name="import")
@click.argument("file", type=_FILE)
@click.option("--author", required=True, help="Who wrote it.")
@click.option("--note", default="", help="What is new, for whoever approves.")
def import_file(file: Path, author: str, note: str) -> None:
    """Keep FILE as the next version of the product that it names, a draft."""
    _say(str(file), lambda: _product().bring_in(_runtime(), file, author, note))


@product_group.command()
@click.argument("code")
@click.option("--version", type=int, help="The one in force today unless given.")
def export(code: str, version: int | None) -> None:
    """Print a version with every item written out, as `import` reads it."""
    click.echo(_product().take_out(_runtime(), code, version), nl=False)


@product_group.command(name="try")
@click.argument("code")
@click.argument("version", type=int)
@click.option("--by", required=True, help="Who does it.")
def try_out(code: str, version: int, by: str) -> None:
    """Hold a draft against the caps at every corner; passed, it waits for approval."""
    _say(f"{code} v{version}", lambda: _product().try_out(_runtime(), code, version, by))


@product_group.command()
@click.argument("code")
@click.argument("version", type=int)
@click.option("--by", required=True, help="Who does it: not the author.")
@click.option("--on", type=_DAY, help="First business date, today unless given.")
def approve(code: str, version: int, by: str, on: Any) -> None:
    """Let a tested version be sold from a day on."""
    day = on and on.date()
    _say(f"{code} v{version}", lambda: _product().approve(_runtime(), code, version, by, day))


def _say(what: str, do: Callable[[], dict[str, Any]]) -> None:
    """Print what came of it, or every mistake with its place."""
    refused = _product().ProductRefused
    try:
        result = do()
    except refused as error:
        for problem in error.problems:
            place = f"{what}:{problem.line}" if problem.line else what
            click.echo(f"{place}: {problem.path}: {problem.message}", err=True)
        sys.exit(1)
    click.echo(json.dumps(result, ensure_ascii=False, indent=2))


def _product() -> Any:
    from cli import product  # noqa: PLC0415 -- keeps other commands quick

    return product


def _runtime() -> Any:
    import cli  # noqa: PLC0415 -- it imports this module

    return cli._runtime()  # noqa: SLF001 -- tests put their own there
