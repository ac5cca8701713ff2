"""Puts the API on the app: its views, how it refuses, its OpenAPI document and its page."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from apiflask import APIFlask, HTTPError
from flask import Response, current_app, jsonify, render_template_string, request

from kernel.api_keys import ApiKeys
from kernel.errors import FenqiError, NotFound
from kernel.web import problem_of, vendor_url
from servicing.api import (
    applications,
    customers,
    documented,
    door,
    events,
    exports,
    lateness,
    limits,
    loans,
    payments,
    products,
    quotes,
    statements,
    tokens,
    webhooks,
)
from servicing.api.introduction import DESCRIPTION, TAGS
from servicing.api.refusals import RequestMalformed
from servicing.api.scopes import SAID

PREFIX: Final = "/api/v1"

_RESOURCES: Final = (
    tokens,
    customers,
    products,
    applications,
    quotes,
    loans,
    lateness,
    events,
    limits,
    payments,
    statements,
    exports,
    webhooks,
)
_DOCUMENT: Final = "api_document"
_ERRORS: Final = "api_errors"
_PROBLEM: Final = "application/problem+json"
_UNPROCESSABLE: Final = 422


def plug_in(app: APIFlask, *, keys: ApiKeys) -> None:
    """Put the API on an app.

    Args:
        app: Made by kernel.web.
        keys: Who may call.
    """
    app.extensions[door.KEYS] = keys
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        AUTO_SERVERS=False,
        AUTO_200_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        SECURITY_SCHEMES=_schemes(),
    )
    app.title, app.version = "Fenqi partner API", "1"
    app.description, app.tags = DESCRIPTION, list(TAGS)
    app.register_error_handler(HTTPError, _refuse)
    app.register_error_handler(RecursionError, _refuse_depth)
    app.after_request(door.tell_rate)
    for resource in _RESOURCES:
        app.register_blueprint(resource.blueprint, url_prefix=PREFIX)
        app.extensions["csrf"].exempt(resource.blueprint)
    app.add_url_rule("/api/openapi.json", "openapi_document", document)
    app.add_url_rule("/api/docs", "api_docs", docs)
    app.add_url_rule("/api/errors/<code>", "api_error", error_page)


def document() -> Response:
    """Answer the OpenAPI document, which is written once."""
    known = current_app.extensions
    if _DOCUMENT not in known:
        written = documented.finish(cast("APIFlask", current_app).spec)
        # In the order in which a reader meets things, which Flask's own way of writing would sort.
        known[_DOCUMENT] = json.dumps(written, ensure_ascii=False)
    return Response(known[_DOCUMENT], mimetype="application/json")


def error_page(code: str) -> Response:
    """Answer what `type` of a problem leads to: every operation's codes, with what each means.

    Raises:
        NotFound: No operation of the document is refused so.
    """
    known = current_app.extensions
    if _ERRORS not in known:
        known[_ERRORS] = documented.meanings(json.loads(document().get_data()))
    if code not in known[_ERRORS]:
        raise NotFound(f"no operation is refused by {code[:64]}")
    return jsonify(known[_ERRORS][code])


def docs() -> str:
    """Show the document as a page, out of files of our own."""
    return render_template_string(_PAGE, vendor_url=vendor_url)


def _schemes() -> Mapping[str, Any]:
    scopes = {scope.value: said for scope, said in SAID.items()}
    flow = {"tokenUrl": f"{PREFIX}/token", "scopes": scopes}
    return {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "The key itself, or a token. For trying things out on this page.",
        },
        "oauth2": {
            "type": "oauth2",
            "description": "Client id is the key's number, client secret the key. A token lives "
            "for fifteen minutes and may be asked for with fewer scopes.",
            "flows": {"clientCredentials": flow},
        },
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "The key's number and the key, to ask for a token.",
        },
    }


def _refuse(error: HTTPError) -> Response:
    """Turn what APIFlask found wrong into problem details that name each member."""
    faults = _faults(error.detail)
    if request.blueprint == tokens.blueprint.name:
        return _problem(tokens.refused(faults))
    return _problem(RequestMalformed("what was sent has another shape", faults=faults))


def _refuse_depth(_error: RecursionError) -> Response:
    return _problem(RequestMalformed("what was sent is nested too deeply", faults=[]))


def _problem(refused: FenqiError) -> Response:
    response = jsonify(
        problem_of(refused.status, refused.code, refused.detail, refused.message_zh, refused.extras)
    )
    response.status_code, response.content_type = refused.status, _PROBLEM
    return response


def _faults(detail: Any) -> list[dict[str, str]]:
    found = detail if isinstance(detail, dict) else {}
    return [
        {"member": member[:120], "fault": "; ".join(faults)[:300]}
        for members in found.values()
        for member, faults in members.items()
    ]


_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fenqi partner API</title>
<link rel="stylesheet" href="{{ vendor_url('swagger-ui.css') }}">
<div id="api"></div>
<script src="{{ vendor_url('swagger-ui-bundle.js') }}"></script>
<script nonce="{{ csp_nonce() }}">
  SwaggerUIBundle({url: "/api/openapi.json", dom_id: "#api", deepLinking: true,
                   validatorUrl: null});
</script>
</html>
"""
