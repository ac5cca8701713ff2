"""A borrower's phone, as far as the pages inside WeChat see it."""

import re

from flask.testing import FlaskClient

from bot import login
from kernel.runtime import Runtime

WECHAT = {"User-Agent": "Mozilla/5.0 MicroMessenger/8.0"}
NEW = "oNewAccount0000000000000001"


def sign_in(client: FlaskClient, runtime: Runtime, openid: str) -> None:
    value = login._signer(runtime.settings, "session").dumps(openid)
    client.set_cookie("fenqi_h5", str(value), path="/h5")


def token_of(page: str) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    return found[1] if found else ""
