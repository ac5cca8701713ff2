"""The project as others would install it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = {".py", ".html", ".css", ".csv", ".js", ".toml", ".mako"}


@pytest.mark.slow
class TestWheel:
    def test_holds_every_module_template_and_rule(self, tmp_path: Path) -> None:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, "."]
        subprocess.run([*build, *options], check=True, cwd=ROOT)
        (wheel,) = tmp_path.glob("*.whl")
        held = set(zipfile.ZipFile(wheel).namelist())
        packages = [path.parent for path in ROOT.glob("*/__init__.py")]
        packages += [path.parent for path in ROOT.glob("collections/*/__init__.py")]
        wanted = {
            f"{package.name}/{path.relative_to(package)}"
            for package in packages
            for path in package.rglob("*")
            if path.suffix in SHIPPED and "__pycache__" not in path.parts
        }
        assert wanted
        assert wanted - held == set()
