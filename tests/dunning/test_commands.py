"""`fenqi dunning plan` and `fenqi contact send`: JSON on stdout and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from cli import commands
from kernel.runtime import Runtime


@pytest.fixture
def fenqi(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command on the test's own runtime."""
    monkeypatch.setattr("cli._runtime", lambda: runtime)

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
        return json.loads(result.stdout) if result.exit_code == 0 else result

    return run


class TestPlan:
    def test_counts_what_each_step_planned(self, town: Any, fenqi: Any) -> None:
        for due_in in (3, 3, 0):
            town.borrower(due_in)
        steps = {"due-soon": 2, "due-today": 1, "overdue": 0}
        planned = [fenqi("dunning", "plan", "--on", "2026-03-10") for _ in range(2)]
        assert planned == [
            {"on": "2026-03-10", "planned": 3, "steps": steps},
            {"on": "2026-03-10", "planned": 0, "steps": dict.fromkeys(steps, 0)},
        ]

    def test_wants_a_date(self, fenqi: Any) -> None:
        assert "no date" in fenqi("dunning", "plan", "--on", "soon").stderr


class TestSend:
    def test_counts_what_became_of_what_was_ready(self, town: Any, fenqi: Any) -> None:
        for _ in range(3):
            town.borrower(3)
        town.plan()
        town.pay(1)
        town.hold(2)
        assert fenqi("contact", "send") == {
            "claimed": 3, "sent": 1, "failed": 0, "retried": 0, "unknown": 0,
            "blocked": 2, "deferred": 0, "expired": 0,
        }  # fmt: skip
        assert fenqi("contact", "send")["claimed"] == 0
