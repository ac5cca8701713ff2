"""The commands of a strategy's life; cli.life, imported when they run, says what they do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

_DAY: Final = click.DateTime(["%Y-%m-%d"])
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def add_life_commands(group: click.Group) -> None:
    """Put them into `fenqi risk`."""
    for command in (test, approve, backtest, train, validate):
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
@click.option("--on", type=_DAY, help="First business date.")
def approve(key: str, version: int, by: str, on: Any) -> None:
    """Publish a tested version from a day on, today unless given."""
    _print(_life().approve(_runtime(), key, version, by, on and on.date()))


def _data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what says which table is read, and what of it is what."""
    for option in (
        click.option("--catalogue", type=FILE, help="What may be read; `source` is the column."),
        click.option("--positive", help="What stands for bad in the target; 1 unless given."),
        click.option("--sep", default=",", show_default=True, help="A space means any number."),
        click.option("--test-share", default=0.3, show_default=True, help="By the hash of rows."),
        click.option("--target", help="The column that says who went bad."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("document")
@click.option("--data", type=FILE, help="A table; without it stored decisions are read.")
@_data_options
@click.option("--whole", is_flag=True, help="All rows of the table, not the test part alone.")
@click.option("--amount", help="The dimension that says what was asked for.")
@click.option("--segment", "segments", multiple=True, help="A dimension to cut the report by.")
@click.option("--against", type=FILE, help="The strategy to compare with, for a table.")
@click.option("--product", help="The first of the strategy unless given.")
@click.option("--since", type=_DAY, help="First business date; a month ago unless given.")
@click.option("--until", type=_DAY, help="First business date no longer.")
@click.option("--snoozes/--no-snoozes", default=True, help="Whether rules silenced then are so.")
@click.option("--by", default="analyst", show_default=True, help="Who does it.")
def backtest(document: str, data: Path | None, by: str, product: str | None, **more: Any) -> None:
    """Try a strategy, a file or KEY:VERSION, on stored decisions; with --data a file on a table."""
    life, runtime = _life(), _runtime()
    if data is not None:
        given = _given(data, more)
        found = life.backtest_file(
            runtime, Path(document), given, against=more["against"], product=product, by=by
        )
    else:
        if not Path(document).is_file() and not document.rpartition(":")[2].isdigit():
            raise click.UsageError(f"{document} is neither a file nor KEY:VERSION")
        since, until = (more[name] and more[name].date() for name in ("since", "until"))
        found = life.backtest_stored(
            runtime,
            document,
            since=since,
            until=until,
            product=product,
            segments=more["segments"],
            with_snoozes=more["snoozes"],
            by=by,
        )
    _print(found)


@click.command()
@click.option("--data", type=FILE, required=True, help="A table with known outcomes.")
@_data_options
@click.option("--approve-share", default=0.6, show_default=True, help="What to approve of it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def train(data: Path, out: Path, approve_share: float, seed: int, **more: Any) -> None:
    """Fit a card and a challenger, judge them out of sample, write them and a strategy."""
    found = _life().train_files(_given(data, more), out, approve_share=approve_share, seed=seed)
    _print(found)


@click.command()
@click.option("--data", type=FILE, required=True, help="A table with known outcomes.")
@click.option("--target", required=True, help="The column that says who went bad.")
@click.option("--positive", help="What stands for bad; 1 unless given.")
@click.option("--sep", default=",", show_default=True, help="A space means any number of them.")
@click.option("--no-header", is_flag=True, help="Columns are c1, c2 and so on.")
@click.option("--drop", default="", help="Columns that are not read, joined by commas.")
@click.option("--special", default="", help="Codes with bins of their own, joined by commas.")
@click.option("--groups", help="Rows with the same value here stay together.")
@click.option("--test-where", help="Such as 'month >= 7': those rows are the test.")
@click.option("--derive", type=FILE, help="JSON of columns to add: name to arithmetic.")
@click.option("--folds", default=5, show_default=True, type=click.IntRange(2, 50))
@click.option("--seed", default=0, show_default=True)
def validate(data: Path, sep: str, no_header: bool, derive: Path | None, **more: Any) -> None:  # noqa: FBT001
    """Cross-validate card and challenger on a table."""
    from risk.training.validation import Plan  # noqa: PLC0415 -- scikit-learn is slow to import

    more["drop"] = tuple(filter(None, more.pop("drop").split(",")))
    more["specials"] = tuple(map(float, filter(None, more.pop("special").split(","))))
    plan, has_header = Plan(**more), not no_header
    _print(_life().validate_file(data, plan, sep=sep, has_header=has_header, derive=derive))


def _given(data: Path, more: dict[str, Any]) -> Any:
    from risk.features.catalogue import read_catalogue  # noqa: PLC0415 -- keeps other commands quick
    from risk.training.history import Reading  # noqa: PLC0415 -- as above

    if more["catalogue"] is None or more["target"] is None:
        raise click.UsageError("a table needs --catalogue and --target")
    reading = Reading(
        catalogue=read_catalogue(more["catalogue"]),
        target=more["target"],
        positive=more["positive"],
        amount=more.get("amount"),
        segments=more.get("segments", ()),
    )
    return _life().DataGiven(
        file=data,
        sep=more["sep"],
        reading=reading,
        test_share=more["test_share"],
        is_whole=more.get("whole", False),
    )


def _life() -> Any:
    from cli import life  # noqa: PLC0415 -- keeps other commands quick

    return life


def _runtime() -> Any:
    import cli  # noqa: PLC0415 -- it imports this module

    return cli._runtime()  # noqa: SLF001 -- tests put their own there


def _print(result: object) -> None:
    click.echo(json.dumps(result, ensure_ascii=False, indent=2))
