"""What the stand-ins keep over a restart: demo people and their files, menu, template titles.

One small JSON file in the state folder. Everything else lives in memory on purpose.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_EMPTY: dict[str, Any] = {"people": [], "files": {}, "menu": None, "templates": {}}


class Book:
    """The file and its contents.

    Args:
        path: The JSON file; made when first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._data = dict(_EMPTY)
        if path.exists():
            self._data |= json.loads(path.read_text("utf-8"))

    def people(self) -> list[dict[str, str]]:
        """Return the demo people: openid, name, phone, note."""
        with self._lock:
            return [dict(person) for person in self._data["people"]]

    def person(self, openid: str) -> dict[str, str]:
        """Return one person, or an empty one with that openid."""
        found = (person for person in self.people() if person["openid"] == openid)
        return next(found, {"openid": openid, "name": "", "phone": "", "note": ""})

    def put_people(self, people: Iterable[Mapping[str, Any]], *, replace: bool) -> int:
        """Add or change people by openid, or replace the whole list; return how many there are."""
        given = [
            {key: str(person.get(key) or "") for key in ("openid", "name", "phone", "note")}
            for person in people
        ]
        with self._lock:
            kept = {} if replace else {known["openid"]: known for known in self._data["people"]}
            kept |= {person["openid"]: person for person in given if person["openid"]}
            self._data["people"] = list(kept.values())
            self._save()
            return len(kept)

    def file(self, id_number: str) -> dict[str, Any] | None:
        """Return what sub-systems know of a person, or None."""
        with self._lock:
            found: dict[str, Any] | None = self._data["files"].get(id_number)
            return found

    def put_files(self, files: Mapping[str, Mapping[str, Any]]) -> int:
        """Add or replace files by id number: name, report, hits; return how many are known."""
        with self._lock:
            self._data["files"] = self._data["files"] | {
                number: dict(file) for number, file in files.items()
            }
            self._save()
            return len(self._data["files"])

    def menu(self) -> dict[str, Any] | None:
        """Return the account's menu, or None."""
        with self._lock:
            menu: dict[str, Any] | None = self._data["menu"]
            return menu

    def put_menu(self, menu: Mapping[str, Any] | None) -> None:
        """Replace the account's menu."""
        with self._lock:
            self._data["menu"] = dict(menu) if menu is not None else None
            self._save()

    def templates(self) -> dict[str, dict[str, Any]]:
        """Return titles and labels by template id."""
        with self._lock:
            return dict(self._data["templates"])

    def put_templates(self, templates: Iterable[Mapping[str, Any]]) -> int:
        """Tell titles, field labels or SMS texts of templates; return how many are known."""
        with self._lock:
            known = dict(self._data["templates"])
            known |= {str(template["template_id"]): dict(template) for template in templates}
            self._data["templates"] = known
            self._save()
            return len(known)

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(self._data, ensure_ascii=False, indent=1), "utf-8")
        draft.replace(self._path)
