"""The Flask app that every area hangs its pages on: errors, headers, health, one `now` a request.

Programs get problem details (RFC 9457), people a page in Chinese. It knows no area; wsgi.py
registers their blueprints.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from apiflask import APIFlask
from flask import Response, g, jsonify, make_response, request
from flask import current_app as app_now
from flask_babel import Babel, Domain, gettext
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from markupsafe import escape
from sqlalchemy import text
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as BaseResponse

from kernel.clock import business_date
from kernel.errors import FenqiError, Unauthorized
from kernel.jobs import jobs_waiting
from kernel.logs import log
from kernel.metrics import HTTP_SECONDS, exposition
from kernel.runtime import Runtime

LANGUAGES = ("zh_CN", "en")

_STATIC = Path(__file__).resolve().parent.parent / "static"
_PROGRAM_PATHS = ("/api/", "/pay/", "/contact/")
# What borrowers read comes first: where areas say a text differently, the later one has the word.
_WITH_WORDS = ("bot", "desk", "contact", "risk", "servicing")
_MAX_BODY = 1024 * 1024
_UNREADABLE = "what was sent cannot be read; JSON is expected in UTF-8"
# What HTTP itself refuses, as a borrower may read it.
_REFUSED_ZH = {
    400: "请求内容无法读取",
    404: "没有找到相关内容",
    405: "不支持该操作方式",
    413: "提交的内容过大",
    414: "请求地址过长",
    415: "请求内容须为 JSON 格式",
    431: "请求头过长",
}


def runtime() -> Runtime:
    """Return the runtime of the current app."""
    return cast("Runtime", app_now.extensions["fenqi"])


def now() -> datetime:
    """Return the instant of the current request; the same at every call."""
    if "now" not in g:
        g.now = runtime().clock.now()
    return cast("datetime", g.now)


def today() -> date:
    """Return the business date of the current request."""
    return business_date(now())


def vendor_url(name: str) -> str:
    """Return the path of a front-end file that set-up copied from npm."""
    return f"/static/vendor/{name}"


def create_base_app(given: Runtime) -> APIFlask:
    """Make an app with everything that is the same for all areas."""
    app = APIFlask("fenqi", static_folder=str(_STATIC), docs_path=None, spec_path=None)
    app.root_path = str(_STATIC.parent)
    settings = given.settings
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=_MAX_BODY,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=not settings.is_development,
        BABEL_DEFAULT_LOCALE="zh_CN",
        BABEL_DEFAULT_TIMEZONE="Asia/Shanghai",
        BABEL_TRANSLATION_DIRECTORIES=";".join(f"{area}/translations" for area in _WITH_WORDS),
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["fenqi"] = given
    CSRFProtect(app)
    app.extensions["rate_limiter"] = Limiter(
        get_remote_address, app=app, storage_uri=_limits_url(given.settings.redis_url)
    )
    Babel(app, locale_selector=_language)
    app.before_request(_let_the_area_speak({area: _words_of(app, area) for area in _WITH_WORDS}))
    app.jinja_env.globals.update(_=_said, vendor_url=vendor_url, csp_nonce=csp_nonce)
    _add_handlers(app)
    _add_health(app)
    return app


def _limits_url(redis_url: str) -> str:
    return redis_url.replace("unix://", "redis+unix://", 1) or "memory://"


def csp_nonce() -> str:
    """Return the nonce that inline scripts of this response must carry."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return cast("str", g.csp_nonce)


def _said(text: str | None, /, **named: Any) -> str:
    """Say a text in the page's language, with values in its named places.

    Unlike Jinja's own it escapes the text, and one without values is no pattern: pages also say
    what people wrote, with its per cent and angle signs.
    """
    said = gettext(text) if text else ""
    return escape(said) % named if named else said


def _words_of(app: APIFlask, area: str) -> Domain:
    """Return all catalogues, that of one area with the last word."""
    areas = sorted(_WITH_WORDS, key=lambda other: other == area)
    return Domain([str(Path(app.root_path) / each / "translations") for each in areas])


def _let_the_area_speak(words: Mapping[str, Domain]) -> Callable[[], None]:
    def speak() -> None:
        """Have a page speak as its own area does where several say the same text differently."""
        view = app_now.view_functions.get(request.endpoint or "")
        area = getattr(view, "__module__", "").partition(".")[0]
        if area in words:
            words[area].as_default()

    return speak


def _language() -> str:
    wanted = request.cookies.get("language", "")
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def _add_handlers(app: APIFlask) -> None:
    app.register_error_handler(FenqiError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    app.before_request(_start_timer)
    app.after_request(_finish)


def _refuse(error: FenqiError) -> Response:
    response = _problem(error.status, error.code, error.detail, error.message_zh, error.extras)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unauthorized) and request.path.startswith(_PROGRAM_PATHS):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 500
    detail = error.description or ""
    if status == BadRequest.code and detail == BadRequest.description:
        detail = _UNREADABLE
    refused = http_problem(status, detail)
    response = _problem(status, refused["code"], detail, refused["message_zh"], {})
    if error.response is not None:
        return cast("Response", error.response)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return response


def _fail(error: Exception) -> Response:
    log.error("request failed", endpoint=request.endpoint, exc_info=error)
    return _problem(500, FenqiError.code, "", FenqiError.message_zh, {})


def problem_of(
    status: int, code: str, detail: str, message_zh: str, extras: dict[str, object]
) -> dict[str, Any]:
    """Write a refusal as problem details (RFC 9457)."""
    body = extras | {"type": f"/api/errors/{code}", "title": code, "status": status}
    return body | {"code": code, "detail": detail, "message_zh": message_zh}


def http_problem(status: int, detail: str) -> dict[str, Any]:
    """Write what HTTP itself refuses as problem details, whose code is the status's name."""
    code = HTTPStatus(status).phrase.lower().replace(" ", "-").replace("request-uri", "uri")
    return problem_of(status, code, detail, _REFUSED_ZH.get(status, ""), {})


def _problem(
    status: int, code: str, detail: str, message_zh: str, extras: dict[str, object]
) -> Response:
    if request.path.startswith(_PROGRAM_PATHS):
        response = jsonify(problem_of(status, code, detail, message_zh, extras))
        response.content_type = "application/problem+json"
    else:
        page = _ERROR_PAGE.format(status=status, message=message_zh or "页面出错了")
        response = make_response(page)
    response.status_code = status
    return response


_ERROR_PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{message}</title>
<main><h1>{message}</h1><p>Error {status}</p></main>
</html>"""


def _start_timer() -> None:
    g.started = time.perf_counter()


def _finish(response: BaseResponse) -> BaseResponse:
    headers = response.headers
    headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'self'; script-src 'self' 'nonce-{csp_nonce()}'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'self'; form-action 'self'; base-uri 'none'; object-src 'none'",
    )
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    if not request.path.startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    HTTP_SECONDS.labels(request.endpoint or "none", response.status_code).observe(seconds)
    return response


def _add_health(app: APIFlask) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        given = runtime()
        try:
            with given.database.read() as session:
                session.execute(text("SELECT 1 FROM alembic_version"))
            given.redis.ping()
        except Exception as error:  # noqa: BLE001 -- whatever is wrong, we are not ready
            log.warning("not ready", error=type(error).__name__)
            return {"status": "not ready"}, 503
        return {"status": "ready"}, 200

    @app.get("/metrics")
    def metrics() -> Response:
        given = runtime()
        return Response(exposition(given.redis, jobs_waiting(given)), mimetype="text/plain")
