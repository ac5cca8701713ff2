"""Coming in and going out: login, logout, one's own password, the language of the pages.

Accounts of others are desk.views.staff's.
"""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk.identity import begin_session, forget_session, limit_rate, member_now, origin
from desk.model import WORKPLACE
from desk.operations import Admitted, append_audit, change_password
from desk.operations import log_in as check_login
from desk.ports import public_page, staff_page
from desk.views.gate import is_staff_path
from desk.views.shell import member, site
from kernel.errors import FenqiError
from kernel.web import LANGUAGES, now, runtime

_PER_ADDRESS: Final = "30/minute"
_PER_LOGIN: Final = "10/minute"
_LANGUAGE_KEPT: Final = timedelta(days=365)


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule("/admin/login", "login", login)
    blueprint.add_url_rule("/admin/login", "log_in", log_in, methods=["POST"])
    blueprint.add_url_rule("/admin/logout", "log_out", log_out, methods=["POST"])
    blueprint.add_url_rule("/admin/password", "password", password)
    blueprint.add_url_rule("/admin/password", "set_password", set_password, methods=["POST"])
    blueprint.add_url_rule("/admin/language", "set_language", set_language, methods=["POST"])


@public_page
def login() -> ResponseReturnValue:
    """Show the login page, or go on if somebody is in already."""
    if member_now() is not None:
        return redirect(_back())
    return render_template("desk/login.html", login="", error="")


@public_page
def log_in() -> ResponseReturnValue:
    """Check login and password and begin a session."""
    name = request.form.get("login", "").strip().lower()[:64]
    try:
        limit_rate("login", _PER_ADDRESS, origin())
        limit_rate("login", _PER_LOGIN, name)
        admitted = check_login(
            runtime().database,
            login=name,
            password=request.form.get("password", ""),
            origin=origin(),
            now=now(),
        )
    except FenqiError as error:
        page = render_template("desk/login.html", login=name, error=gettext(error.message_zh))
        return page, error.status
    begin_session(admitted, site().permissions)
    return redirect(_back())


@staff_page(WORKPLACE)
def log_out() -> ResponseReturnValue:
    """End the session."""
    login = member().login
    forget_session()
    with runtime().database.write() as session:
        append_audit(
            session,
            actor=login,
            action="desk.staff.logged_out",
            subject=f"staff:{login}",
            details={},
            now=now(),
        )
    return redirect(url_for("desk.login"))


@staff_page(WORKPLACE)
def password() -> ResponseReturnValue:
    """Show the page on which one's own password is changed."""
    return render_template("desk/password.html", error="")


@staff_page(WORKPLACE)
def set_password() -> ResponseReturnValue:
    """Change one's own password; other sessions of the account end."""
    limit_rate("password", _PER_LOGIN, member().login)
    form = request.form
    if form.get("new", "") != form.get("again", ""):
        error = gettext("两次输入的新密码不一致")
        return render_template("desk/password.html", error=error), 422
    try:
        with runtime().database.write() as session:
            version = change_password(
                session,
                staff_id=member().id,
                current=form.get("current", ""),
                new=form.get("new", ""),
                now=now(),
            )
    except FenqiError as error:
        words = gettext(error.message_zh)
        return render_template("desk/password.html", error=words), error.status
    admitted = Admitted(staff_id=member().id, session_version=version)
    begin_session(admitted, site().permissions)
    flash(gettext("密码已修改"), "success")
    return redirect(url_for("desk.dashboard"))


@public_page
def set_language() -> ResponseReturnValue:
    """Switch between Chinese and English."""
    wanted = request.form.get("language", "")
    response = redirect(_back())
    if wanted in LANGUAGES:
        response.set_cookie(
            "language",
            wanted,
            max_age=_LANGUAGE_KEPT,
            httponly=True,
            samesite="Lax",
            secure=not runtime().settings.is_development,
        )
    return response


def _back() -> str:
    """Return the page to go to: within the workplace, wherever `next` points."""
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    is_inside = not parts.scheme and not parts.netloc and is_staff_path(parts.path)
    return wanted if is_inside and "\\" not in wanted else url_for("desk.dashboard")
