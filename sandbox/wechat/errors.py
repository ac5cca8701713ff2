"""The platform's numbered errors, worded as it words them.

Refused   an errcode other than 0; HTTP stays 200
"""

import secrets

TEXTS: dict[int, str] = {
    -1: "system error",
    40001: (
        "invalid credential, access_token is invalid or not latest, could get access_token by "
        "getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
    ),
    40002: "invalid grant_type",
    40003: "invalid openid",
    40008: "invalid message type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40015: "invalid button type",
    40016: "invalid button size",
    40018: "invalid button name size",
    40019: "invalid button key size",
    40020: "invalid button url size",
    40023: "invalid sub button size",
    40025: "invalid sub button name size",
    40029: "invalid code",
    40030: "invalid refresh_token",
    40037: "invalid template_id",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip 127.0.0.1, not in whitelist",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    42001: "access_token expired",
    43004: "require subscribe",
    43019: "require remove blacklist",
    43101: "user refuse to accept the msg",
    44004: "empty content",
    45002: "content size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    46003: "menu no exist",
    47001: "data format error",
    47003: "argument invalid!",
    48001: "api unauthorized",
    48002: "user block receive message",
    50002: "user limited",
    65401: "invalid custom service account",
    65413: "no such session",
    65415: "session has been accepted by other custom service",
    89503: "ip not in whitelist, need administrator confirm",
}


class Refused(Exception):
    """The platform answers an error.

    Args:
        errcode: Its number.
        detail: Appended to its standard text.
    """

    def __init__(self, errcode: int, detail: str = "") -> None:
        self.errcode = errcode
        text = TEXTS.get(errcode, "unknown error")
        super().__init__(f"{text} {detail}" if detail else text)

    def answer(self) -> dict[str, object]:
        """Return the JSON body, with a fresh request id at the end of the text."""
        rid = "-".join(secrets.token_hex(4) for _ in range(3))
        return {"errcode": self.errcode, "errmsg": f"{self} rid: {rid}"}
