import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import commands


class TestSeed:
    def test_prints_counts_staff_and_openids(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'new' / 'seed.db'}")
        asked = ["seed", "--customers", "9", "--json"]
        outcome = CliRunner().invoke(commands, asked)
        # Logs stand before it here: only the command itself sends them elsewhere.
        printed = json.loads(outcome.stdout[outcome.stdout.index("{") :])
        assert printed["customers"] == len(printed["openids"]) == 9
        assert printed["loans"] >= 9
        assert printed["staff"] == ["admin", "analyst", "finance", "manager"]
        assert printed["staff_password"]
        assert printed["api_key"]["key"].startswith("fq_")
        assert printed["openids"] == [person["openid"] for person in printed["people"]]
        again = CliRunner().invoke(commands, asked)
        assert again.exit_code == 1
        assert "holds a book already" in again.stderr.splitlines()[-1]
