"""House rules that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import kernel.redis_server
import worker
import wsgi
from kernel.errors import FenqiError

ROOT = Path(__file__).resolve().parent.parent
AREAS = ("bot", "cli", "contact", "kernel", "migrations", "sandbox", "servicing")
_MODULE_LINES, _FUNCTION_LINES = 600, 70
_NOT_OURS = {".git", ".venv", "node_modules", "static", "var", "LICENSE"}


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")
    yield from ROOT.glob("*.py")


def _functions(*folders: str) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in _sources(*folders):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def _tree_texts() -> Iterator[tuple[Path, str]]:
    for path in ROOT.rglob("*"):
        if path.is_file() and not _NOT_OURS & set(path.relative_to(ROOT).parts):
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


class TestLayout:
    def test_collections_is_a_plain_folder(self) -> None:
        assert not (ROOT / "collections" / "__init__.py").exists()

    def test_area_init_is_a_docstring_only(self) -> None:
        for area in set(AREAS) - {"cli"}:
            body = ast.parse((ROOT / area / "__init__.py").read_text(encoding="utf-8")).body
            assert len(body) == 1, area
            assert isinstance(body[0], ast.Expr), area

    def test_modules_and_functions_stay_short(self) -> None:
        for path in _sources(*AREAS):
            lines = path.read_text(encoding="utf-8").count("\n")
            assert lines <= _MODULE_LINES or "versions" in path.parts, path
        for path, function in _functions(*AREAS):
            if "versions" not in path.parts:
                length = (function.end_lineno or 0) - function.lineno + 1
                assert length <= _FUNCTION_LINES, f"{path}: {function.name}"

    def test_every_test_asserts(self) -> None:
        asserts = re.compile(r"\bassert\b|raises|pytest\.fail|expect")
        for path, function in _functions("tests"):
            if function.name.startswith("test_"):
                assert asserts.search(ast.unparse(function)), f"{path}: {function.name}"

    def test_no_float_meets_money(self) -> None:
        for path in (ROOT / "servicing").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
                assert not is_float or path.name == "clients.py" or "demo" in path.parts, path

    def test_no_registry_host_is_named(self) -> None:
        pairs = (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npm"), ("deb", "debian"))
        hosts = re.compile("|".join(rf"{name}\.{end}" for name, end in pairs))
        for path, text in _tree_texts():
            assert not hosts.search(text), path


class TestDocs:
    def test_every_periodic_job_and_event_is_listed(self) -> None:
        listed = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
        for entry in worker.PERIODIC:
            assert f"| `{entry.job.name}` | {entry.job.queue} | {entry.schedule} |" in listed
        for event, jobs in worker.ROUTES.items():
            for job in jobs:
                assert f"| `{event.__name__}` | `{job.name}` |" in listed

    def test_every_error_code_is_listed(self) -> None:
        listed = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
        assert wsgi.create_app
        assert kernel.redis_server.RedisNotStarted in _subclasses(FenqiError)
        for error in _subclasses(FenqiError):
            if not error.__module__.startswith("sandbox"):
                assert f"| `{error.code}` | {error.status} |" in listed


def _subclasses(error: type[FenqiError]) -> set[type[FenqiError]]:
    return {error}.union(*(_subclasses(child) for child in error.__subclasses__()))
