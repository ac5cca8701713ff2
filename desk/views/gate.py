"""The gate before /admin: an endpoint that is not marked with a permission is refused to everyone.

It covers the pages of all areas, since they are served by the same app. What a permission means
is the Site's business.
"""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from desk.identity import Member, member_now
from desk.model import PUBLIC
from desk.ports import permission_of
from kernel.errors import FenqiError, Forbidden

_HOME: Final = "/admin"
_BEFORE_PASSWORD: Final = {
    "desk.password",
    "desk.set_password",
    "desk.log_out",
    "desk.set_language",
}


class PageNotPermitted(Forbidden):
    """The page is not marked with a permission, or the person's roles do not hold it."""

    code = "page-not-permitted"
    message_zh = "您没有权限打开此页面"


def guard() -> ResponseReturnValue | None:
    """Let a request under /admin pass, or answer it.

    Raises:
        PageNotPermitted: The endpoint is unmarked, or its permission is not held.
    """
    if not is_staff_path(request.path) or request.endpoint is None:
        return None
    permission = permission_of(current_app.view_functions[request.endpoint])
    if permission is None:
        raise PageNotPermitted(f"{request.endpoint} is marked with no permission")
    if permission == PUBLIC:
        return None
    member = member_now()
    if member is None:
        return _to_login()
    if not member.may(permission):
        raise PageNotPermitted(f"{permission} is needed")
    if member.must_change_password and request.endpoint not in _BEFORE_PASSWORD:
        return redirect(url_for("desk.password"))
    return None


def is_staff_path(path: str) -> bool:
    """Say whether a path belongs to the workplace."""
    return path == _HOME or path.startswith(f"{_HOME}/")


def unmarked_endpoints(app: Flask) -> tuple[str, ...]:
    """List endpoints under /admin that nobody can open for want of a mark; for tests."""
    return tuple(
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if is_staff_path(rule.rule) and permission_of(app.view_functions[rule.endpoint]) is None
    )


def _to_login() -> ResponseReturnValue:
    is_page = request.method in ("GET", "HEAD") and not request.headers.get("HX-Request")
    back = request.full_path.rstrip("?") if is_page else None
    login = url_for("desk.login", next=back)
    if is_page:
        return redirect(login)
    return "", 401, {"HX-Redirect": login}


# --- error pages ---

Handler = Callable[[Any], Any]


def install_error_pages(app: Flask) -> None:
    """Show staff refusals inside the page shell; all else stays with the kernel's handlers."""
    known = app.error_handler_spec[None][None]
    for kind, words in ((FenqiError, _of_ours), (HTTPException, _of_http)):
        app.register_error_handler(kind, _in_shell(known[kind], words))


def _in_shell(otherwise: Handler, words: Callable[[Any], tuple[int, str]]) -> Handler:
    def answer(error: Any) -> Any:
        status, message = words(error)
        is_redirect = isinstance(error, HTTPException) and error.response is not None
        if is_redirect or status < 400 or not is_staff_path(request.path):  # noqa: PLR2004 -- errors begin there
            return otherwise(error)
        if request.headers.get("HX-Request"):
            return render_template("desk/alert.html", message=message), status
        member: Member | None = member_now()
        if member is None:
            return otherwise(error)
        return render_template("desk/error.html", status=status, message=message), status

    return answer


def _of_ours(error: FenqiError) -> tuple[int, str]:
    # An empty msgid would fetch the catalogue's header.
    return error.status, gettext(error.message_zh or "页面出错了")


def _of_http(error: HTTPException) -> tuple[int, str]:
    if isinstance(error, CSRFError):
        return 400, gettext("页面已过期，请返回后刷新重试")
    words = {
        404: gettext("没有找到该页面"),
        405: gettext("该页面不支持此操作"),
        413: gettext("提交的内容过大"),
        429: gettext("操作过于频繁，请稍后再试"),
    }
    status = error.code or 500
    return status, words.get(status, gettext("页面出错了"))
