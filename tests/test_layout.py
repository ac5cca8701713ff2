"""House rules that no linter knows."""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import doc_tables
import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOTS = {path.stem for path in ROOT.glob("*.py")} - {"gunicorn.conf"}
PACKAGES = {
    path.parent.name: path.parent
    for pattern in ("*/__init__.py", "collections/*/__init__.py")
    for path in ROOT.glob(pattern)
    if not path.parent.name.startswith(".")
}
AREAS = sorted(set(PACKAGES) - {"cli", "migrations"})
# What another area may import of an area, beside all of kernel (contact.ports, risk.queries, …).
DOORS = {"operations", "queries", "ports", "events"}
# Packages that are pure from the first to the last module, like any model.py.
PURE_PACKAGES = {"risk.features", "risk.models", "risk.strategy", "servicing.engine"}
# The composition roots wire everything, so they may look anywhere.
WIRING = {"cli", "migrations"} | ROOTS

_MODULE_LINES, _FUNCTION_LINES = 600, 70
_NOT_OURS = {"node_modules", "static", "var", "LICENSE"}


def _sources(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(*folders: Path) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in _sources(*folders):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef):
                yield path, node


def _imports(path: Path) -> Iterator[str]:
    """Name what a module imports: `from a.b import c` is a.b.c."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _tree_texts() -> Iterator[tuple[Path, str]]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in _NOT_OURS and (name == ".ci" or not name.startswith((".", "__")))
        ]
        for path in (Path(folder) / name for name in names if name not in _NOT_OURS):
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def _dotted(path: Path) -> str:
    inside = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in inside if part != "collections")


def _doors(area: str) -> set[str]:
    """An area that has no ports yet lends its words out of its model."""
    return DOORS if (PACKAGES[area] / "ports.py").exists() else DOORS | {"model"}


def _of_areas(*, but: frozenset[str] = frozenset()) -> Iterator[tuple[str, Path]]:
    for area in AREAS:
        if area not in but:
            yield from ((area, path) for path in _sources(PACKAGES[area]))


class TestLayout:
    def test_collections_is_a_plain_folder(self) -> None:
        assert not (ROOT / "collections" / "__init__.py").exists()

    @pytest.mark.parametrize("area", AREAS)
    def test_area_init_is_a_docstring_only(self, area: str) -> None:
        body = _tree(PACKAGES[area] / "__init__.py").body
        assert [type(statement) for statement in body] == [ast.Expr]

    def test_every_package_is_under_contract(self) -> None:
        assert set(CONFIG["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)

    def test_every_area_stands_in_the_layers(self) -> None:
        contracts = CONFIG["tool"]["importlinter"]["contracts"]
        layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
        listed = {name for layer in layers for name in re.split(r"[ |()]+", layer)}
        assert set(AREAS) - {"sandbox"} <= listed

    def test_every_pure_module_is_under_contract(self) -> None:
        contracts = CONFIG["tool"]["importlinter"]["contracts"]
        pure = next(entry for entry in contracts if entry["name"].startswith("Pure rules"))
        models = {path for _, path in _of_areas() if path.name == "model.py"}
        assert set(pure["source_modules"]) == set(map(_dotted, models)) | PURE_PACKAGES

    def test_the_wheel_holds_everything(self) -> None:
        build = CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
        folders = {str(path.relative_to(ROOT)) for path in PACKAGES.values()}
        assert set(build) == folders | {f"{name}.py" for name in ROOTS}

    def test_areas_meet_at_their_doors_only(self) -> None:
        for area, path in _of_areas():
            for name in _imports(path):
                other, _, rest = name.partition(".")
                if other in PACKAGES and other not in (area, "kernel"):
                    assert _doors(other) & set(rest.split(".")), f"{path}: {name}"

    def test_no_area_imports_a_composition_root(self) -> None:
        for _, path in _of_areas():
            assert not WIRING & {name.split(".")[0] for name in _imports(path)}, path

    def test_modules_and_functions_stay_short(self) -> None:
        for path in [*_sources(*PACKAGES.values(), ROOT / "tests"), *ROOT.glob("*.py")]:
            lines = path.read_text(encoding="utf-8").count("\n")
            assert lines <= _MODULE_LINES or "versions" in path.parts, path
        for path, function in _functions(*PACKAGES.values()):
            if "versions" not in path.parts:
                length = (function.end_lineno or 0) - function.lineno + 1
                assert length <= _FUNCTION_LINES, f"{path}: {function.name}"

    def test_no_registry_host_is_named(self) -> None:
        pairs = (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npm"), ("deb", "debian"))
        hosts = re.compile("|".join(rf"{name}\.{end}" for name, end in pairs))
        texts = list(_tree_texts())
        assert ROOT / "package-lock.json" in [path for path, _ in texts]
        assert [path for path, text in texts if hosts.search(text)] == []


class TestMoney:
    def test_no_float_meets_money(self) -> None:
        for area, path in _of_areas(but=frozenset({"sandbox"})):
            # Seconds of a time-out are no money, and neither are shares of a made-up book.
            is_exempt = path.name == "clients.py" or "demo" in path.parts
            if area in ("servicing", "dunning") and not is_exempt:
                for node in ast.walk(_tree(path)):
                    assert not _is_float(node), f"{path}:{ast.unparse(node)}"


def _is_float(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "float"
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


class TestTests:
    def test_every_test_asserts(self) -> None:
        asserts = re.compile(r"\bassert\b|raises|pytest\.fail|expect")
        for path, function in _functions(ROOT / "tests"):
            if function.name.startswith("test_"):
                assert asserts.search(ast.unparse(function)), f"{path}: {function.name}"

    def test_no_test_folder_is_a_package(self) -> None:
        assert list((ROOT / "tests").rglob("__init__.py")) == []


class TestDocs:
    def test_tables_of_errors_and_jobs_are_up_to_date(self) -> None:
        assert doc_tables.outdated() == [], "run `make docs`"

    def test_every_error_has_a_code_of_its_own(self) -> None:
        codes = [error.code for error in doc_tables.error_classes()]
        assert len(codes) == len(set(codes))

    @pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in"])
    def test_every_library_has_its_reason(self, name: str) -> None:
        reasons = (ROOT / "docs" / "adr" / "0004-libraries.md").read_text(encoding="utf-8").lower()
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        found = [re.match(r"[a-z][\w.-]*", line) for line in lines]
        assert [match[0] for match in found if match and f"`{match[0]}`" not in reasons] == []

    def test_every_link_leads_somewhere(self) -> None:
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *_readmes()]:
            for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
                assert (path.parent / target).exists(), f"{path}: {target}"


def _readmes() -> Iterator[Path]:
    yield from (folder / "README.md" for folder in PACKAGES.values() if _has_readme(folder))


def _has_readme(folder: Path) -> bool:
    return (folder / "README.md").exists()
