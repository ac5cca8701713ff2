"""What the API itself refuses, whatever the resource.

RequestMalformed 422  what was sent has another shape; `faults` names each member
TooOften         429  more requests than the key is served in a minute
CrossedOther     409  another request changed the same rows at this moment
"""

from kernel.errors import Conflict, Invalid, TooMany


class RequestMalformed(Invalid):
    """What was sent has another shape; `faults` names each member and what is wrong with it."""

    code = "request-malformed"
    message_zh = "请求内容有误，请对照接口文档检查"


class TooOften(TooMany):
    """The key is served so many requests a minute, and no more."""

    code = "api-too-often"
    message_zh = "请求过于频繁，请稍后再试"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class CrossedOther(Conflict):
    """Another request entered the same thing at this moment; the same request can be repeated."""

    code = "request-crossed"
    message_zh = "操作冲突，请稍后重试"
    retry_after_s = 1
