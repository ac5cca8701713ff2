"""An app with its staff pages, people to log in as, and the app served for a browser."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from apiflask import APIFlask
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page
from werkzeug.serving import make_server

from desk import operations, queries
from desk.ports import Site
from kernel.clock import FixedClock
from kernel.runtime import Runtime
from risk.ports import Applications
from servicing.answers import ApplicationBook
from wsgi import create_app

PASSWORD = "correct-horse-7"


def hash_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend little on passwords: what argon2 costs is not what most tests are about."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("desk.operations.staff._hasher", cheap)
    monkeypatch.setattr("desk.operations.staff._NOBODYS_HASH", cheap.hash("nobody"))


@dataclass
class House:
    """An app, its parts, and ways in."""

    app: APIFlask
    runtime: Runtime
    site: Site
    clock: FixedClock

    @classmethod
    def of(cls, runtime: Runtime) -> "House":
        """Open the app of all areas."""
        runtime.provide(Applications, ApplicationBook())
        app = create_app(runtime)
        return cls(app=app, runtime=runtime, site=app.extensions["desk"], clock=runtime.clock)

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def hire(self, login: str, *roles: str, **given: Any) -> int:
        """Create a member of staff."""
        with self.runtime.database.write() as session:
            return operations.create_staff(
                session,
                login=login,
                name=given.pop("name", login),
                password=PASSWORD,
                roles=roles,
                now=self.clock.now(),
                **given,
            )

    def log_in(self, login: str, password: str = PASSWORD, client: Any = None) -> FlaskClient:
        """Return a client that has tried to log in."""
        client = client or self.client()
        token = token_of(client.get("/admin/login").text)
        form = {"login": login, "password": password, "csrf_token": token}
        client.last = client.post("/admin/login", data=form)
        return client

    def member(self, login: str, *roles: str) -> FlaskClient:
        """Create a member of staff and log in."""
        self.hire(login, *roles)
        client = self.log_in(login)
        assert client.last.status_code == 302, client.last.text
        return client

    def seat(self, login: str, *roles: str) -> "Seat":
        """Create a member of staff, `login` playing the role of that name, and log in."""
        client = self.member(login, *(roles or (login,)))
        return Seat(client=client, token=token_of(client.get("/admin/password").text))

    def acts(self, **wanted: str) -> list[queries.AuditView]:
        """List what the audit chain says, having proven it."""
        with self.runtime.database.read() as session:
            assert queries.verify_audit_chain(session) is None
            found = queries.each_audit_entry(session, wanted=queries.AuditFilter(**wanted))
            return list(found)


@dataclass
class Seat:
    """Where a member of staff sits, logged in, and fills in dialogs."""

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


def token_of(page: str) -> str:
    """Read the CSRF token of a page."""
    return page.split('name="csrf_token" value="')[1].split('"', maxsplit=1)[0]


def key_of(form: str) -> str:
    """Read the key that makes a dialog count once."""
    return form.split('name="key" value="')[1].split('"', maxsplit=1)[0]


def post(client: FlaskClient, path: str, **form: str) -> Any:
    """Send a form with the CSRF token of the client's session."""
    token = token_of(client.get("/admin/").text)
    return client.post(path, data=form | {"csrf_token": token})


class _Answering:
    """An app that knows how many requests it is still answering."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._changed = threading.Condition()
        self._under_way = 0

    def __call__(self, environ: Any, start_response: Any) -> Iterator[bytes]:
        with self._changed:
            self._under_way += 1
        try:
            with closing(self._app(environ, start_response)) as answer:
                yield from answer
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def finish(self) -> None:
        """Wait until nothing is being answered: it would write into the next test's database."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0)


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an app on a free port; gives its address, and ends with the last answer."""
    answering = _Answering(app)
    server = make_server("127.0.0.1", 0, answering, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        answering.finish()
        server.server_close()


def log_in_by_browser(page: Page, address: str, login: str) -> None:
    """Log in through the login page, whoever was in before."""
    page.context.clear_cookies()
    page.goto(f"{address}/admin/login")
    page.get_by_label("登录名").fill(login)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(f"{address}/admin/")
