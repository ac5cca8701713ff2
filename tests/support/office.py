"""The staff workplace of the whole house for tests: who works there, and how they click."""

from dataclasses import dataclass
from typing import Any

import pytest
from apiflask import APIFlask
from argon2 import PasswordHasher
from flask.testing import FlaskClient

from desk import operations, queries
from kernel.runtime import Runtime
from wsgi import create_app

PASSWORD = "correct-horse-7"
TOKEN = 'name="csrf_token" value="'


def make_hashes_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend little on passwords: what argon2 costs is not what these tests are about."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("desk.operations.staff._hasher", cheap)
    monkeypatch.setattr("desk.operations.staff._NOBODYS_HASH", cheap.hash("nobody"))


def token_of(page: str) -> str:
    """Read the CSRF token of a page."""
    return page.split(TOKEN)[1].split('"', maxsplit=1)[0]


def key_of(form: str) -> str:
    """Read the key that makes a dialog count once."""
    return form.split('name="key" value="')[1].split('"', maxsplit=1)[0]


@dataclass
class Office:
    """The app of all areas, and ways in."""

    runtime: Runtime
    app: APIFlask

    @classmethod
    def of(cls, runtime: Runtime) -> "Office":
        return cls(runtime=runtime, app=create_app(runtime))

    def hire(self, login: str, *roles: str, name: str = "") -> None:
        """Create a member of staff."""
        with self.runtime.database.write() as session:
            operations.create_staff(
                session,
                login=login,
                name=name or login,
                password=PASSWORD,
                roles=roles,
                now=self.runtime.clock.now(),
            )

    def member(self, login: str, *roles: str) -> "Desk":
        """Create a member of staff, `login` playing the role of that name, and log in."""
        self.hire(login, *(roles or (login,)))
        client = self.app.test_client()
        form = {"login": login, "password": PASSWORD}
        form["csrf_token"] = token_of(client.get("/admin/login").text)
        assert client.post("/admin/login", data=form).status_code == 302
        return Desk(client=client, token=token_of(client.get("/admin/password").text))

    def acts(self, **wanted: str) -> list[queries.AuditView]:
        """List what the audit chain says, having proven it."""
        with self.runtime.database.read() as session:
            assert queries.verify_audit_chain(session) is None
            found = queries.each_audit_entry(session, wanted=queries.AuditFilter(**wanted))
            return list(found)


@dataclass
class Desk:
    """Where a member of staff sits, logged in."""

    client: FlaskClient
    token: str

    def get(self, path: str, **given: Any) -> Any:
        return self.client.get(path, **given)

    def post(self, path: str, **form: Any) -> Any:
        """Send a form with the session's token."""
        return self.client.post(path, data=form | {"csrf_token": self.token})

    def fill(self, form_path: str, path: str, **form: Any) -> Any:
        """Open a dialog and send it as htmx does, with the key that it was drawn with."""
        dialog = self.client.get(form_path, headers={"HX-Request": "true"})
        assert dialog.status_code == 200, dialog.text
        data = {"key": key_of(dialog.text), "csrf_token": self.token} | form
        return self.client.post(path, data=data, headers={"HX-Request": "true"})
