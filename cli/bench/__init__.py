"""`fenqi bench NAME`: figures of the running product, each against a yardstick of the same run.

A bench starts its own servers and removes them, also when it is told to stop. It proves that the
work was done right; whether it was done fast enough is for people to judge.
"""

import json
import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from types import FrameType
from typing import Final

import click

from cli.bench.figures import Asked, Figure, NotMeasured, WrongAnswer
from kernel.logs import configure_logs

_OK, _WRONG, _NOT_MEASURED = 0, 1, 2
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


# Imported by name when asked for, because tests use the servers without the benches.
BENCHES: Final = {
    "bot": "cli.bench.bot",
    "reminders": "cli.bench.reminders",
    "close-day": "cli.bench.close_day",
    "replay": "cli.bench.replay",
    "pages": "cli.bench.pages",
    "decisions": "cli.bench.decisions",
    "rules": "cli.bench.rules",
    "backtest": "cli.bench.backtest",
    "application": "cli.bench.application",
}


def run(name: str, asked: Asked) -> int:
    """Run a bench and print its figure as one JSON object on stdout.

    Returns:
        0 measured, 1 wrong results (and no figure), 2 could not run.
    """
    try:
        if name not in BENCHES:
            raise NotMeasured(f"there is no such bench; there are {', '.join(BENCHES)}")
        configure_logs(level=logging.WARNING)
        with _told_to_stop():
            figure: Figure = import_module(BENCHES[name]).measure(asked)
    except NotMeasured as error:
        click.echo(f"fenqi bench {name}: {error}", err=True)
        return _NOT_MEASURED
    except WrongAnswer as error:
        click.echo(f"fenqi bench {name}: wrong results: {error}", err=True)
        return _WRONG
    except Exception as error:  # noqa: BLE001 -- whatever broke, nothing was measured
        traceback.print_exc()
        click.echo(f"fenqi bench {name}: broke: {type(error).__name__}", err=True)
        return _NOT_MEASURED
    click.echo(json.dumps(asdict(figure), ensure_ascii=False))
    return _OK


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Let a signal unwind the bench, so that everything it started ends; others come too late."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        for one in _STOPS:
            signal.signal(one, signal.SIG_IGN)
        raise NotMeasured("stopped")

    before = {one: signal.signal(one, stop) for one in _STOPS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
