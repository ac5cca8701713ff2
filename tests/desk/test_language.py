"""Everything the desk says in Chinese can be said in English."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_babel import gettext
from wording import CHINESE, catalogue, left_unmarked, marked

import desk
from desk.model import PERMISSIONS, ROLE_LABELS
from desk.views import language, shell, unmasking
from desk.views.language import compile_catalogues
from kernel.errors import FenqiError

DESK = Path(desk.__file__).parent


def said() -> set[str]:
    words = marked(DESK)
    for path in DESK.rglob("*.py"):
        words |= set(re.findall(r'gettext\(\s*"([^"]+)"', path.read_text(encoding="utf-8")))
    words |= set(ROLE_LABELS.values()) | {label for _, label, _ in PERMISSIONS}
    words |= {word for item in shell._OWN_PAGES for word in (item.label, item.group)}
    return words | set(unmasking._REASONS) | {unmasking._OTHER}


def errors(kind: type[FenqiError]) -> set[type[FenqiError]]:
    return {kind}.union(*(errors(child) for child in kind.__subclasses__()))


def test_every_text_is_translated() -> None:
    known = catalogue("desk")
    assert {word for word in said() if CHINESE.search(word) and not known.get(word)} == set()


def test_every_refusal_is_translated() -> None:
    known = catalogue("desk")
    ours = {e for e in errors(FenqiError) if e.__module__.startswith(("desk.", "kernel.errors"))}
    assert {e.message_zh for e in ours if not known.get(e.message_zh)} == set()


def test_templates_hold_no_untranslatable_chinese() -> None:
    assert list(left_unmarked(DESK)) == []


@pytest.mark.parametrize("word", ["%(who)s 提出申请", "共 %(total)s 条"])
def test_placeholders_survive(word: str) -> None:
    names = re.findall(r"%\(\w+\)s", word)
    assert re.findall(r"%\(\w+\)s", catalogue("desk")[word]) == names


class TestCompileCatalogues:
    def app(self, folder: Path) -> Flask:
        app = Flask("fenqi", root_path=str(folder))
        app.config["BABEL_TRANSLATION_DIRECTORIES"] = "desk/translations;bot/translations"
        return app

    def test_compiles_what_is_missing_or_old(self, tmp_path: Path) -> None:
        place = tmp_path / "bot/translations/en/LC_MESSAGES"
        place.mkdir(parents=True)
        source, target = place / "messages.po", place / "messages.mo"
        source.write_text('msgid ""\nmsgstr ""\n\nmsgid "还款"\nmsgstr "Repay"\n', encoding="utf-8")
        compile_catalogues(self.app(tmp_path))
        assert b"Repay" in target.read_bytes()
        target.write_bytes(b"kept while it is newer")
        compile_catalogues(self.app(tmp_path))
        assert target.read_bytes() == b"kept while it is newer"
        assert sorted(path.name for path in place.iterdir()) == ["messages.mo", "messages.po"]

    def test_a_folder_that_cannot_be_written_costs_only_the_english(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = tmp_path / "desk/translations/en/LC_MESSAGES"
        place.mkdir(parents=True)
        (place / "messages.po").write_text('msgid "x"\nmsgstr "y"\n', encoding="utf-8")

        def refuse(**_given: object) -> None:
            raise PermissionError

        monkeypatch.setattr(language, "NamedTemporaryFile", refuse)
        compile_catalogues(self.app(tmp_path))
        assert not (place / "messages.mo").exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/admin/products", "Line frozen"),
        ("/admin/customers/1", "Line frozen"),
        ("/h5/progress", "Your line is frozen"),
    ],
)
def test_a_page_speaks_as_its_own_area_does(workplace: Any, path: str, said: str) -> None:
    with workplace.app.test_request_context(path, headers={"Cookie": "language=en"}):
        workplace.app.preprocess_request()
        assert gettext("额度已冻结") == said
