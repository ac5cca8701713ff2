"""The commands of a strategy's life; cli.life, imported when they run, says what they do."""

import json
from pathlib import Path
from typing import Any, Final

import click

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def add_life_commands(group: click.Group) -> None:
    """Put them into `fenqi risk`."""
    for command in (test, approve):
        group.add_command(command)


@click.command()
@click.argument("key")
@click.argument("version", type=int)
@click.option("--by", required=True, help="Who does it.")
def test(key: str, version: int, by: str) -> None:
    """Mark a draft as tested if all its cases pass."""
    _print(_life().try_out(_runtime(), key, version, by))


@click.command()
@click.argument("key")
@click.argument("version", type=int)
@click.option("--by", required=True, help="Who does it: not the author.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="First business date.")
def approve(key: str, version: int, by: str, on: Any) -> None:
    """Publish a tested version from a day on, today unless given."""
    _print(_life().approve(_runtime(), key, version, by, on and on.date()))


def _life() -> Any:
    from cli import life  # noqa: PLC0415 -- keeps other commands quick

    return life


def _runtime() -> Any:
    import cli  # noqa: PLC0415 -- it imports this module

    return cli._runtime()  # noqa: SLF001 -- tests put their own there


def _print(result: object) -> None:
    click.echo(json.dumps(result, ensure_ascii=False, indent=2))
