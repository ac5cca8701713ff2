"""`fenqi product`: a document checked, brought in, tried out, approved by another, taken out."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import commands
from kernel.database import Base
from kernel.runtime import Runtime
from servicing.products import house_documents, read_form

STANDARD = house_documents()["standard"][0]


@pytest.fixture
def runtime(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """The runtime of the command line."""
    Base.metadata.create_all(runtime.database.engine)
    monkeypatch.setattr("cli._runtime", lambda: runtime)
    return runtime


def product(*words: Any) -> Result:
    return CliRunner().invoke(commands, ["product", *map(str, words)])


def write(folder: Path, **changed: Any) -> Path:
    file = folder / "phones.json"
    document = {**STANDARD, "code": "phones", "name": "手机分期", **changed}
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return file


@pytest.mark.usefixtures("runtime")
class TestProduct:
    def test_goes_from_a_file_to_what_is_sold_by_two_people(self, tmp_path: Path) -> None:
        file = write(tmp_path, closing_tolerance_fen=100)
        assert json.loads(product("check", file).stdout)["may_be_sold"] is True
        drafted = json.loads(product("import", file, "--author", "li").stdout)
        assert drafted == {"code": "phones", "version": 1, "state": "draft"}
        assert product("export", "phones").exit_code == 1
        tried = json.loads(product("try", "phones", 1, "--by", "li").stdout)
        assert (tried["state"], tried["cap_annual"]) == ("tested", "0.2400")
        own = product("approve", "phones", 1, "--by", "li")
        assert own.exit_code == 1
        assert type(own.exception).__name__ == "AuthorApproves"
        assert product("approve", "phones", 1, "--by", "wang").exit_code == 0
        taken = product("export", "phones").stdout
        assert read_form(json.loads(taken)) == read_form(json.loads(file.read_text("utf-8")))
        assert product("export", "phones", "--version", 1).stdout == taken
        file.write_text(taken, encoding="utf-8")
        assert json.loads(product("import", file, "--author", "li").stdout)["version"] == 2

    def test_says_on_which_line_what_is_wrong(self, tmp_path: Path) -> None:
        fee = {"name": "服务费", "payee": "平台", "at": "disbursement", "amount_fen": 5}
        refused = product("import", write(tmp_path, fees=[fee]), "--author", "li")
        assert (refused.exit_code, refused.stdout) == (1, "")
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"{tmp_path / 'phones.json'}:23: fees.0.at: ")
        assert "砍头息" in line

    def test_says_where_a_file_is_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "phones.json"
        file.write_bytes(b'{\n "name": "\xca\xd6"}')
        refused = product("check", file)
        assert refused.exit_code == 1
        assert refused.stderr.startswith(f"{file}:2: form: 文件须为 UTF-8")

    def test_says_what_is_too_dear(self, tmp_path: Path) -> None:
        file = write(tmp_path, rate_annual="0.3")
        refused = product("check", file)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "超过上限 24.00%" in refused.stderr
        assert product("import", file, "--author", "li").exit_code == 0
        tried = product("try", "phones", 1, "--by", "li")
        assert tried.exit_code == 1
        assert tried.stderr.startswith("phones v1: terms: ")
