"""`fenqi api-key` and what any command says when it cannot work."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from cli import commands, main
from kernel.clock import FixedClock


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scope", "loan:read"), "no scope loan:read; there are decisions,"),
        (("--scope", "loans:read", "--partner", "p" * 25), "24 signs at most"),
        (("--scope", "loans:read", "--name", "n" * 65), "--name 64"),
    ],
)
def test_a_key_that_nobody_could_use_is_not_made(options: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(commands, ["api-key", "create", *options])
    assert result.exit_code == 2
    assert said in result.output


def test_a_database_that_is_not_ready_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setattr("sys.argv", ["fenqi", "today"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("fenqi: the database refused: no such table")


def test_a_day_that_has_not_come_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    made = cli._runtime()
    settings = replace(made.settings, env="production")
    clock = FixedClock(datetime(2026, 3, 10, 2, tzinfo=UTC))
    monkeypatch.setattr(cli, "_runtime", lambda: replace(made, settings=settings, clock=clock))
    monkeypatch.setattr("sys.argv", ["fenqi", "close-day", "--on", "2026-03-11"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "Error: 2026-03-11 has not come yet"
