"""`fenqi risk shadow` and `challenge`; cli.beside, imported when they run, says what they do."""

import json
from typing import Any

import click


def add_beside_commands(group: click.Group) -> None:
    """Put them into `fenqi risk`."""
    for part in (shadow, challenge):
        group.add_command(part)


@click.group()
def shadow() -> None:
    """Versions that decide beside the one in force, heard by nobody."""


@shadow.command("start")
@click.argument("key")
@click.argument("version", type=int)
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 92))
@click.option("--by", required=True, help="Who does it.")
def start_shadow(key: str, version: int, days: int, by: str) -> None:
    """Let a version decide what is decided from now on; several may run at once."""
    _print(_beside().start_shadow(_runtime(), key, version, days=days, by=by))


@shadow.command("stop")
@click.argument("number", type=int)
@click.option("--by", required=True, help="Who does it.")
def stop_shadow(number: int, by: str) -> None:
    """End a shadow; what it said stays."""
    _print(_beside().stop_shadow(_runtime(), number, by=by))


@shadow.command("list")
@click.argument("key")
def list_shadows(key: str) -> None:
    """Say how far the shadows of a strategy agree with what was decided."""
    _print(_beside().shadows_of(_runtime(), key))


@click.group()
def challenge() -> None:
    """Tested versions that decide for a share of subjects, within guard rails."""


@challenge.command("start")
@click.argument("key")
@click.argument("version", type=int)
@click.option("--share", type=click.FloatRange(0.1, 50), required=True, help="In per cent.")
@click.option("--rail", "rails", multiple=True, help="NAME=BOUND, such as error_share_most=0.01.")
@click.option("--by", required=True, help="Who approves it: not the author.")
def start_challenge(key: str, version: int, share: float, rails: tuple[str, ...], by: str) -> None:
    """Let a tested version decide for a share of subjects."""
    bounds = dict(map(_bound, rails))
    _print(_beside().start_challenge(_runtime(), key, version, share=share, rails=bounds, by=by))


@challenge.command("share")
@click.argument("number", type=int)
@click.option("--share", type=click.FloatRange(0.1, 50), required=True, help="In per cent.")
@click.option("--by", required=True, help="Who approves it: not the author.")
def change_share(number: int, share: float, by: str) -> None:
    """Let a running challenger decide for more or fewer."""
    _print(_beside().change_share(_runtime(), number, share=share, by=by))


@challenge.command("stop")
@click.argument("number", type=int)
@click.option("--by", required=True, help="Who does it.")
@click.option("--why", required=True)
def stop_challenge(number: int, by: str, why: str) -> None:
    """Give all subjects back to the champion, at once."""
    _print(_beside().stop_challenge(_runtime(), number, by=by, why=why))


@challenge.command("list")
@click.argument("key")
def list_challenges(key: str) -> None:
    """Say what the challengers of a strategy did, and why they ended."""
    _print(_beside().challenges_of(_runtime(), key))


def _bound(text: str) -> tuple[str, float]:
    name, sign, bound = text.partition("=")
    try:
        value = float(bound)
    except ValueError:
        sign = ""
    if not sign:
        raise click.UsageError(f"{text} is no NAME=BOUND")
    return name, int(value) if value.is_integer() else value


def _beside() -> Any:
    from cli import beside  # noqa: PLC0415 -- keeps other commands quick

    return beside


def _runtime() -> Any:
    from cli import _runtime as opened  # noqa: PLC0415 -- cli imports this module

    return opened()


def _print(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))
